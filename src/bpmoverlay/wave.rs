//! The last ten seconds of a face's pulse wave, as the strip shows them.

use std::collections::VecDeque;

/// Seconds that the strip shows.
pub const SPAN: f64 = 10.0;
/// Points a second. The points stand on this grid of time, whatever the frames do, so that the
/// curve glides and does not shiver.
const RATE: f64 = 20.0;
/// Points in the strip.
pub const POINTS: usize = (SPAN * RATE) as usize;
/// Seconds after which drift is forgotten: a high-pass at 0.16 Hz, well below a slow pulse.
const LEAK: f64 = 1.0;
/// A longer hole breaks the curve.
const HOLE: f64 = 1.0;
/// Share of points above the strip's height, and as many below: what is beyond is clipped.
const CLIPPED: f64 = 0.015;

/// Takes in samples, keeps points.
#[derive(Clone, Debug, Default)]
pub struct Wave {
    /// The leaky integral, or the mean that is taken off a wave.
    level: f64,
    /// Seconds of the last sample.
    last: Option<f64>,
    /// Grid index of the newest point, which is still being averaged, with its sum and count.
    open: Option<(i64, f64, u32)>,
    /// Finished points with their grid index, ascending.
    points: VecDeque<(i64, f32)>,
}

impl Wave {
    /// Takes in the sample `ppg` at `time` seconds; `interval` seconds are what a derivative's
    /// sample stands for (the time since the last sample where unknown).
    pub fn push(&mut self, time: f64, ppg: f64, derivative: bool, interval: Option<f64>) {
        if !ppg.is_finite() || !time.is_finite() {
            return;
        }
        let elapsed = self.last.map(|last| time - last);
        if elapsed.is_some_and(|e| e < 0.0) {
            *self = Wave::default();
        }
        if elapsed.is_some_and(|e| e > HOLE) {
            self.level = if derivative { 0.0 } else { ppg };
        }
        let step = interval.or(elapsed).unwrap_or(0.0).clamp(0.0, HOLE);
        let value = self.high_pass(ppg, derivative, step);
        self.last = Some(time);
        self.collect((time * RATE).floor() as i64, value);
    }

    fn high_pass(&mut self, ppg: f64, derivative: bool, step: f64) -> f64 {
        let keep = (-step / LEAK).exp();
        if derivative {
            self.level = self.level * keep + ppg * step;
            return self.level;
        }
        if self.last.is_none() {
            self.level = ppg;
        }
        self.level = self.level * keep + ppg * (1.0 - keep);
        ppg - self.level
    }

    fn collect(&mut self, index: i64, value: f64) {
        match &mut self.open {
            Some((at, sum, count)) if *at == index => {
                *sum += value;
                *count += 1;
            }
            open => {
                if let Some((at, sum, count)) = open.replace((index, value, 1)) {
                    self.points.push_back((at, (sum / f64::from(count)) as f32));
                }
            }
        }
        while self.points.front().is_some_and(|(at, _)| *at < index - POINTS as i64) {
            self.points.pop_front();
        }
    }

    /// Grid index of the newest finished point: the curve changes when it does.
    pub fn newest(&self) -> Option<i64> {
        self.points.back().map(|(at, _)| *at)
    }

    /// The curve's pieces for a strip that ends at grid index `end`: points (x, y), x from 0 at
    /// the strip's left to 1, y from −1 (bottom) to 1.
    pub fn curve(&self, end: i64) -> Vec<Vec<(f64, f64)>> {
        let first = end - POINTS as i64 + 1;
        let shown = || self.points.iter().filter(|(at, _)| (first..=end).contains(at));
        let (low, high) = range(shown().map(|(_, v)| *v).collect());
        let mut pieces: Vec<Vec<(f64, f64)>> = Vec::new();
        let mut before = None;
        for (at, value) in shown() {
            let x = (at - first) as f64 / (POINTS - 1) as f64;
            let height = f64::from(high - low);
            let y = if height > 0.0 { 2.0 * f64::from(value - low) / height - 1.0 } else { 0.0 };
            let joined = before.is_some_and(|b| ((at - b) as f64) < HOLE * RATE);
            match pieces.last_mut() {
                Some(piece) if joined => piece.push((x, y.clamp(-1.0, 1.0))),
                _ => pieces.push(vec![(x, y.clamp(-1.0, 1.0))]),
            }
            before = Some(*at);
        }
        pieces
    }
}

/// What the strip's bottom and top stand for.
fn range(mut values: Vec<f32>) -> (f32, f32) {
    values.sort_by(f32::total_cmp);
    let clipped = (values.len() as f64 * CLIPPED) as usize;
    let at = |index: usize| values.get(index).copied().unwrap_or(0.0);
    (at(clipped), at(values.len().saturating_sub(1 + clipped)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    const HZ: f64 = 1.2;

    fn wave(derivative: bool, seconds: f64, fps: f64) -> Wave {
        let mut wave = Wave::default();
        for i in 0..(seconds * fps) as u64 {
            let time = i as f64 / fps;
            let phase = TAU * HZ * time;
            let ppg = if derivative { TAU * HZ * phase.cos() } else { 5.0 + phase.sin() };
            wave.push(time, ppg, derivative, Some(1.0 / fps));
        }
        wave
    }

    /// Rising passages through the middle.
    fn beats(curve: &[Vec<(f64, f64)>]) -> usize {
        curve.iter().flat_map(|p| p.windows(2)).filter(|w| w[0].1 < 0.0 && w[1].1 >= 0.0).count()
    }

    #[test]
    fn ten_seconds_of_72_bpm_are_twelve_beats() {
        for (derivative, fps) in [(true, 30.0), (true, 15.0), (true, 60.0), (false, 30.0)] {
            let wave = wave(derivative, 14.0, fps);
            let curve = wave.curve(wave.newest().unwrap());
            assert_eq!(curve.len(), 1, "one piece at {fps} frames/s");
            assert!((11..=12).contains(&beats(&curve)), "{} beats", beats(&curve));
            let highest = curve[0].iter().map(|p| p.1).fold(f64::MIN, f64::max);
            let lowest = curve[0].iter().map(|p| p.1).fold(f64::MAX, f64::min);
            assert!(highest > 0.95 && lowest < -0.95, "{lowest} to {highest}");
        }
    }

    #[test]
    fn the_strip_holds_ten_seconds_and_no_more() {
        let wave = wave(true, 60.0, 30.0);
        assert!(wave.points.len() <= POINTS + 1, "{} points", wave.points.len());
        let curve = wave.curve(wave.newest().unwrap());
        let (first, last) = (curve[0][0], *curve[0].last().unwrap());
        assert_eq!((first.0, last.0), (0.0, 1.0));
    }

    #[test]
    fn a_hole_breaks_the_curve_and_time_that_goes_back_ends_it() {
        let mut wave = wave(true, 3.0, 30.0);
        for i in 0..60 {
            wave.push(5.0 + f64::from(i) / 30.0, 1.0, true, Some(1.0 / 30.0));
        }
        assert_eq!(wave.curve(wave.newest().unwrap()).len(), 2);
        wave.push(1.0, 1.0, true, None);
        assert_eq!(wave.newest(), None);
    }

    #[test]
    fn nothing_and_what_is_no_number_draw_nothing() {
        let mut wave = Wave::default();
        wave.push(0.0, f64::NAN, true, None);
        assert_eq!(wave.newest(), None);
        assert!(wave.curve(0).is_empty());
        for i in 0..30 {
            wave.push(f64::from(i) / 30.0, 0.0, true, None);
        }
        assert!(wave.curve(19).iter().flatten().all(|p| p.1 == 0.0));
    }
}
