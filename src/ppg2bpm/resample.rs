//! From samples at their own times to an even grid.

use std::collections::VecDeque;

use super::autoregression;
use super::clock::Clock;

/// Rate of the even grid in Hz. The second harmonic of 240 bpm is at 8 Hz; sensors of 30 frames a
/// second are by far the most common, and there the grid neither thins nor invents.
pub const RATE: f64 = 30.0;

/// Samples closer together than this (seconds) are merged, which bounds the memory of a window
/// whatever the frame rate.
pub(super) const MIN_SPACING: f64 = 0.008;

/// Seconds of samples to keep beyond a window: a knot's distance, for the grid to fit in.
pub(super) const SPARE: f64 = 0.1;

/// Seconds that are no hole.
const ROUNDING: f64 = 1e-6;

/// One sample of a face.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Time of the frame in seconds.
    pub time: f64,
    /// The pulse wave, or its rate of change a second; arbitrary unit.
    pub value: f64,
    /// Seconds between the two frames that the sample was made of, where known: the sample then
    /// stands for the whole of `time − interval ..= time`.
    pub interval: Option<f64>,
}

/// The latest samples, and their integral.
///
/// The integral of a derivative is the wave itself; the integral of a wave, differenced again
/// over one step of the grid, is its mean over that step. Either way nothing between two grid
/// points is lost, which is what keeps a higher frame rate from aliasing.
#[derive(Clone, Debug, Default)]
pub struct Integral {
    samples: VecDeque<Sample>,
}

impl Integral {
    /// Time of the last sample.
    pub fn end(&self) -> Option<f64> {
        self.samples.back().map(|s| s.time)
    }

    /// Seconds from the beginning of the first sample to the last.
    pub fn span(&self) -> f64 {
        match (self.samples.front(), self.samples.back()) {
            (Some(a), Some(b)) => b.time - a.start(),
            _ => 0.0,
        }
    }

    /// Adds a sample, later than all before it.
    pub fn push(&mut self, sample: Sample) {
        match self.samples.back_mut() {
            Some(last) if sample.time - last.start() < MIN_SPACING => last.merge(sample),
            _ => self.samples.push_back(sample),
        }
    }

    /// Forgets all but the last `seconds`, keeping one sample beyond.
    pub fn trim(&mut self, seconds: f64) {
        let Some(end) = self.end() else { return };
        while self.samples.len() > 2 && self.samples[1].start() < end - seconds {
            self.samples.pop_front();
        }
    }

    /// The wave on an even grid of [`RATE`] that ends with the last sample and reaches back at
    /// most `seconds`. `derivative` says what the samples were.
    pub fn wave(&self, seconds: f64, derivative: bool) -> Vec<f64> {
        let knots = self.knots();
        let (Some(first), Some(last)) = (knots.first(), knots.last()) else { return Vec::new() };
        let span = (last.0 - first.0).min(seconds);
        // The last grid point may miss the first knot by rounding only.
        let steps = (span * RATE + 1e-6).floor() as usize;
        let times = (0..=steps).rev().map(|k| last.0 - k as f64 / RATE);
        let integral = interpolate(&knots, times);
        if derivative {
            integral
        } else {
            integral.windows(2).map(|w| (w[1] - w[0]) * RATE).collect()
        }
    }

    /// The integral as knots (time, value). Samples that tile the time have it exactly, dropped
    /// frames included. Otherwise holes are filled with what the samples of an even clock
    /// predict or, if there is no such clock, with a curve.
    fn knots(&self) -> Vec<(f64, f64)> {
        let times: Vec<f64> = self.samples.iter().map(|s| s.time).collect();
        let clock = if self.tiles() { None } else { Clock::fit(&times) };
        clock.map_or_else(|| self.curve(), |clock| self.filled(&clock))
    }

    /// Whether each sample's interval begins where the one before it ends.
    fn tiles(&self) -> bool {
        let pairs = self.samples.iter().zip(self.samples.iter().skip(1));
        pairs.into_iter().all(|(a, b)| b.interval.is_some() && b.start() - a.time <= ROUNDING)
    }

    /// Each sample stands for one interval of the clock.
    fn filled(&self, clock: &Clock) -> Vec<(f64, f64)> {
        let mut values = vec![0.0; clock.times.len() - 1];
        let mut known = vec![false; values.len()];
        for (sample, frame) in self.samples.iter().zip(&clock.frames) {
            values[*frame] = sample.value;
            known[*frame] = true;
        }
        autoregression::fill(&mut values, &known);
        let mut sum = 0.0;
        let steps = clock.times.windows(2).zip(&values).map(|(t, v)| {
            sum += (t[1] - t[0]) * v;
            (t[1], sum)
        });
        std::iter::once((clock.times[0], 0.0)).chain(steps).collect()
    }

    /// Samples of known intervals as they are; between others the integral of the cubic through
    /// them.
    fn curve(&self) -> Vec<(f64, f64)> {
        let points: Vec<_> = self.samples.iter().map(|s| (s.time, s.value)).collect();
        let mut knots: Vec<(f64, f64)> = Vec::with_capacity(2 * points.len());
        for (i, sample) in self.samples.iter().enumerate() {
            let value = sample.value;
            let start = sample.start();
            let Some(&(mut at, mut sum)) = knots.last() else {
                knots.push((start, 0.0));
                if start < sample.time {
                    knots.push((sample.time, (sample.time - start) * value));
                }
                continue;
            };
            let gap = start - at;
            if gap > 0.0 {
                let before = &self.samples[i - 1];
                sum += gap * (before.value + value) / 2.0;
                if before.interval.is_none() && sample.interval.is_none() {
                    sum += gap * gap * (slope(&points, i - 1) - slope(&points, i)) / 12.0;
                }
                at = start;
                if gap > ROUNDING && start < sample.time {
                    knots.push((at, sum));
                }
            }
            knots.push((sample.time, sum + (sample.time - at) * value));
        }
        knots
    }
}

impl Sample {
    fn start(&self) -> f64 {
        self.time - self.interval.unwrap_or(0.0).max(0.0)
    }

    /// Takes in the sample that follows at once.
    fn merge(&mut self, next: Sample) {
        let (a, b) = (self.time - self.start(), next.time - self.time);
        let (a, b) = if a > 0.0 { (a, b) } else { (1.0, 1.0) };
        self.value = (a * self.value + b * next.value) / (a + b);
        self.interval = self.interval.map(|i| i + next.time - self.time);
        self.time = next.time;
    }
}

/// The curve through `knots` at ascending `times`: cubic Hermite.
fn interpolate(knots: &[(f64, f64)], times: impl Iterator<Item = f64>) -> Vec<f64> {
    if knots.len() < 2 {
        return times.map(|_| 0.0).collect();
    }
    let mut out = Vec::with_capacity(times.size_hint().0);
    let mut i = 0;
    for t in times {
        while i + 2 < knots.len() && knots[i + 1].0 < t {
            i += 1;
        }
        let ((t0, y0), (t1, y1)) = (knots[i], knots[i + 1]);
        let h = t1 - t0;
        let u = ((t - t0) / h).clamp(0.0, 1.0);
        let (m0, m1) = (slope(knots, i), slope(knots, i + 1));
        let (a, b) = (h * m0 - (y1 - y0), (y1 - y0) - h * m1);
        out.push(y0 + u * (y1 - y0) + u * (1.0 - u) * (a * (1.0 - u) + b * u));
    }
    out
}

/// Slope at point `i` of the parabola through it and its neighbours; at the ends, of the chord.
fn slope(points: &[(f64, f64)], i: usize) -> f64 {
    let chord = |i: usize| {
        let ((t0, y0), (t1, y1)) = (points[i], points[i + 1]);
        ((y1 - y0) / (t1 - t0), t1 - t0)
    };
    match (i.checked_sub(1), i + 1 < points.len()) {
        (Some(before), true) => {
            let ((d0, h0), (d1, h1)) = (chord(before), chord(i));
            (d0 * h1 + d1 * h0) / (h0 + h1)
        }
        (Some(before), false) => chord(before).0,
        (None, true) => chord(0).0,
        (None, false) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    fn wave(t: f64) -> f64 {
        (TAU * 1.5 * t).sin()
    }

    /// Mean rate of change over each pair of frames, frames at `times`.
    fn pairs(times: &[f64]) -> Integral {
        let mut integral = Integral::default();
        for w in times.windows(2) {
            let interval = w[1] - w[0];
            let value = (wave(w[1]) - wave(w[0])) / interval;
            integral.push(Sample { time: w[1], value, interval: Some(interval) });
        }
        integral
    }

    #[test]
    fn pairs_that_tile_the_time_give_the_wave_back_whatever_is_missing() {
        let times: Vec<f64> = (0..300).filter(|i| i % 10 != 3).map(|i| i as f64 / 30.0).collect();
        let grid = pairs(&times).wave(5.0, true);
        assert_eq!(grid.len(), 151);
        let end = *times.last().unwrap();
        let offset = grid[0] - wave(end - 5.0);
        for (k, v) in grid.iter().enumerate() {
            let expected = wave(end - 5.0 + k as f64 / RATE);
            assert!((v - offset - expected).abs() < 0.05, "{k}: {v} {expected}");
        }
    }

    #[test]
    fn a_wave_is_averaged_over_the_grid_step() {
        let mut integral = Integral::default();
        for i in 0..1200 {
            let time = i as f64 / 120.0;
            // 60 Hz of full scale on top: alternates from sample to sample.
            let value = wave(time) + if i % 2 == 0 { 1.0 } else { -1.0 };
            integral.push(Sample { time, value, interval: None });
        }
        let grid = integral.wave(4.0, false);
        let end = 1199.0 / 120.0;
        for (k, v) in grid.iter().enumerate() {
            let time = end - (grid.len() - k) as f64 / RATE + 0.5 / RATE;
            assert!((v - wave(time)).abs() < 0.3, "{k}: {v} {}", wave(time));
        }
    }

    #[test]
    fn memory_is_bounded_at_any_frame_rate() {
        let mut integral = Integral::default();
        for i in 0..100_000 {
            let time = i as f64 / 1000.0;
            integral.push(Sample { time, value: 1.0, interval: Some(0.001) });
            integral.trim(10.0);
        }
        assert!(integral.samples.len() <= 1440, "{}", integral.samples.len());
        assert!((integral.span() - 10.0).abs() < 0.02);
    }
}
