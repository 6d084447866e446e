//! From samples at their own times to an even grid.

use std::collections::VecDeque;

/// Rate of the even grid in Hz. The second harmonic of 240 bpm is at 8 Hz; sensors of 30 frames a
/// second are by far the most common, and there the grid neither thins nor invents.
pub const RATE: f64 = 30.0;

/// Knots closer together than this (seconds) are merged, which bounds the memory of a window
/// whatever the frame rate.
const MIN_SPACING: f64 = 0.008;

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

/// The running integral of the samples, as knots (time, integral).
///
/// The integral of a derivative is the wave itself; the integral of a wave, differenced again
/// over one step of the grid, is its mean over that step. Either way nothing between two grid
/// points is lost, which is what keeps a higher frame rate from aliasing.
#[derive(Clone, Debug, Default)]
pub struct Integral {
    knots: VecDeque<(f64, f64)>,
    /// Value of the last sample.
    last: f64,
    /// Time and integral of the last sample, which is a knot unless it was merged.
    end: Option<(f64, f64)>,
}

impl Integral {
    /// Time of the last sample.
    pub fn end(&self) -> Option<f64> {
        self.end.map(|(time, _)| time)
    }

    /// Seconds from the first knot to the last.
    pub fn span(&self) -> f64 {
        match (self.knots.front(), self.knots.back()) {
            (Some((a, _)), Some((b, _))) => b - a,
            _ => 0.0,
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.knots.len()
    }

    /// Adds a sample, later than all before it. With a known `interval` the samples tile the time
    /// and their sum is exact, dropped frames included; what they leave open, and all of the time
    /// where no interval is known, is filled by the trapezoid rule.
    pub fn push(&mut self, sample: Sample) {
        let Sample { time, value, interval } = sample;
        let interval = interval.unwrap_or(0.0).max(0.0);
        let start = time - interval;
        let (mut at, mut sum) = self.end.unwrap_or((start, 0.0));
        if self.end.is_none() {
            self.knot(at, sum);
        } else if start > at {
            sum += (start - at) * (self.last + value) / 2.0;
            at = start;
            self.knot(at, sum);
        }
        sum += (time - at) * value;
        self.knot(time, sum);
        self.last = value;
        self.end = Some((time, sum));
    }

    fn knot(&mut self, time: f64, sum: f64) {
        if self.knots.back().is_none_or(|(last, _)| time - last >= MIN_SPACING) {
            self.knots.push_back((time, sum));
        }
    }

    /// Forgets all but the last `seconds`, keeping one knot beyond.
    pub fn trim(&mut self, seconds: f64) {
        let Some(end) = self.end() else { return };
        while self.knots.len() > 2 && self.knots[1].0 < end - seconds {
            self.knots.pop_front();
        }
    }

    /// The wave on an even grid of [`RATE`] that ends with the last knot and reaches back at most
    /// `seconds`. `derivative` says what the samples were.
    pub fn wave(&self, seconds: f64, derivative: bool) -> Vec<f64> {
        let Some(&(end, _)) = self.knots.back() else { return Vec::new() };
        let span = self.span().min(seconds);
        // The last grid point may miss the first knot by rounding only.
        let steps = (span * RATE + 1e-6).floor() as usize;
        let times = (0..=steps).rev().map(|k| end - k as f64 / RATE);
        let integral = self.interpolate(times);
        if derivative {
            integral
        } else {
            integral.windows(2).map(|w| (w[1] - w[0]) * RATE).collect()
        }
    }

    /// The integral at ascending `times`: cubic Hermite between knots, with the slope of the
    /// parabola through a knot and its neighbours.
    fn interpolate(&self, times: impl Iterator<Item = f64>) -> Vec<f64> {
        let mut out = Vec::with_capacity(times.size_hint().0);
        if self.knots.len() < 2 {
            return times.map(|_| 0.0).collect();
        }
        let mut i = 0;
        for t in times {
            while i + 2 < self.knots.len() && self.knots[i + 1].0 < t {
                i += 1;
            }
            let ((t0, y0), (t1, y1)) = (self.knots[i], self.knots[i + 1]);
            let h = t1 - t0;
            let u = ((t - t0) / h).clamp(0.0, 1.0);
            let (m0, m1) = (self.slope(i), self.slope(i + 1));
            let (a, b) = (h * m0 - (y1 - y0), (y1 - y0) - h * m1);
            out.push(y0 + u * (y1 - y0) + u * (1.0 - u) * (a * (1.0 - u) + b * u));
        }
        out
    }

    fn slope(&self, i: usize) -> f64 {
        let chord = |i: usize| {
            let ((t0, y0), (t1, y1)) = (self.knots[i], self.knots[i + 1]);
            ((y1 - y0) / (t1 - t0), t1 - t0)
        };
        if i == 0 {
            return chord(0).0;
        }
        if i + 1 == self.knots.len() {
            return chord(i - 1).0;
        }
        let ((d0, h0), (d1, h1)) = (chord(i - 1), chord(i));
        (d0 * h1 + d1 * h0) / (h0 + h1)
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
        assert!(integral.len() <= 1252, "{}", integral.len());
        assert!((integral.span() - 10.0).abs() < 0.02);
    }
}
