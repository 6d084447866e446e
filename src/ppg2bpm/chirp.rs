//! The slope of a rate that changes within the window.
//!
//! A spectrum gives the rate in the middle of its window, which for a rate that climbs is an old
//! one. Where a straight climb explains the signal clearly better than a steady rate, the rate at
//! the window's end is told instead; the climb may have ended before it.

use std::f64::consts::{PI, TAU};

use rustfft::num_complex::Complex;

use super::resample::RATE;

/// Length in seconds of the low-pass that follows the shift to 0 Hz: a Hann kernel of this length
/// has its first zero at 2 / LENGTH, where the mirror image of 40 bpm falls.
const LENGTH: f64 = 1.5;
/// Every so many samples of the low-passed signal are kept.
const DECIMATION: usize = 5;
/// Largest sweep over the window, in units of one over its duration, and largest deviation of the
/// middle rate from the spectrum's peak, likewise.
const SWEEP: f64 = 8.0;
const SHIFT: f64 = 2.0;
/// Steps of the search for sweep and shift, in the same units: to see whether there is a climb, and
/// then to find its course.
const COARSE: [f64; 2] = [0.5, 0.25];
const FINE: [f64; 2] = [0.25, 0.125];
/// Gain in log-likelihood (nats) that comes about once in a thousand by chance, at one degree of
/// freedom (half of the chi-squared quantile, 10.8, is 5.4).
pub const SIGNIFICANT: f64 = 5.4;
/// Share of the energy around the rate that the climb must explain: the natural variation of a
/// resting heart bends within a window and leaves more.
const EXPLAINED: f64 = 0.97;
/// Where in the window a climb may have ended, in units of the duration from its middle.
const KNEES: [f64; 5] = [0.3, 0.2, 0.1, 0.0, -0.1];
/// What the earlier end of a climb must bring (nats): one more thing to choose costs one (Akaike),
/// and one of several is chosen.
const KNEE: f64 = 3.0;
/// A lag that is left standing, in Hz (1.5 bpm): natural variation within a window is no climb.
/// From twice as much on the lag is made good in full; between the two, without a step.
const TOLERATED_LAG: f64 = 1.5 / 60.0;

/// What to add (Hz) to a rate that lags by `ahead`; 0 for a lag that is tolerated.
pub fn made_good(ahead: f64) -> f64 {
    ahead.signum() * (2.0 * (ahead.abs() - TOLERATED_LAG)).clamp(0.0, ahead.abs())
}

/// Hz by which the rate at the end of `wave` (band-passed, at the grid's rate) is above `rate`, where
/// its spectrum has its peak; 0 unless a climb or a fall is significant.
pub fn ahead(wave: &[f64], rate: f64) -> f64 {
    let fit = Fit { base: baseband(wave, rate), duration: wave.len() as f64 / RATE };
    if fit.base.len() < 8 || !fit.climbs() { 0.0 } else { fit.course().end() / fit.duration }
}

/// How the rate goes: off by `shift` in the window's middle, changing by `sweep` over the whole of
/// it, up to `knee`. In units of one over the duration, and of the duration from the middle.
#[derive(Clone, Copy)]
struct Course {
    shift: f64,
    sweep: f64,
    knee: f64,
}

impl Course {
    /// How much it is off at the window's end.
    fn end(&self) -> f64 {
        self.shift + self.sweep * self.knee
    }
}

/// The signal around a rate as [`baseband`] gives it, and the window's duration in seconds.
struct Fit {
    base: Vec<Complex<f64>>,
    duration: f64,
}

impl Fit {
    /// Whether a straight climb or fall explains the signal, and better than a steady rate.
    fn climbs(&self) -> bool {
        let (steady, _) = self.best(0.5, 0.0, COARSE);
        let (share, _) = self.best(0.5, SWEEP, COARSE);
        self.gain(steady, share) >= SIGNIFICANT && share >= EXPLAINED
    }

    /// The climb's course: to the window's end unless it clearly ended before.
    fn course(&self) -> Course {
        let (share, lasting) = self.best(0.5, SWEEP, FINE);
        let ended = KNEES.map(|knee| self.best(knee, SWEEP, FINE));
        let (most, ended) = ended.into_iter().fold((share, lasting), better);
        if self.gain(share, most) > KNEE { ended } else { lasting }
    }

    /// Nats that explaining the share `to` of the energy instead of `from` brings.
    fn gain(&self, from: f64, to: f64) -> f64 {
        // Independent samples of a signal 1 / LENGTH wide.
        let independent = self.base.len() as f64 * DECIMATION as f64 / RATE / LENGTH;
        independent * ((1.0 - from).max(1e-6) / (1.0 - to).max(1e-6)).ln()
    }

    /// The course to `knee`, of at most `sweep`, that explains most of the energy, after its share.
    fn best(&self, knee: f64, sweep: f64, [step, fine]: [f64; 2]) -> (f64, Course) {
        let total: f64 = self.base.iter().map(|y| y.norm_sqr()).sum();
        let scale = 1.0 / (total * self.base.len() as f64).max(f64::MIN_POSITIVE);
        steps(sweep, step)
            .flat_map(|sweep| steps(SHIFT, fine).map(move |shift| Course { shift, sweep, knee }))
            .map(|course| (scale * correlate(&self.base, course, self.duration), course))
            .fold((0.0, Course { shift: 0.0, sweep: 0.0, knee }), better)
    }
}

fn better(a: (f64, Course), b: (f64, Course)) -> (f64, Course) {
    if b.0 > a.0 { b } else { a }
}

/// −limit, −limit + step … limit.
fn steps(limit: f64, step: f64) -> impl Iterator<Item = f64> {
    let n = (limit / step).round() as i32;
    (-n..=n).map(move |i| f64::from(i) * step)
}

fn hann(n: usize) -> Vec<f64> {
    let angle = TAU / (n + 1) as f64;
    (0..n).map(|i| 0.5 * (1.0 - (angle * (i + 1) as f64).cos())).collect()
}

/// The analytic signal around `rate`, shifted to 0 Hz, low-passed and thinned; its middle is the
/// window's middle.
fn baseband(wave: &[f64], rate: f64) -> Vec<Complex<f64>> {
    let kernel = hann((LENGTH * RATE) as usize);
    if wave.len() <= kernel.len() {
        return Vec::new();
    }
    let shifted: Vec<_> = wave
        .iter()
        .enumerate()
        .map(|(i, v)| Complex::from_polar(*v, -TAU * rate * i as f64 / RATE))
        .collect();
    let points = (wave.len() - kernel.len()) / DECIMATION + 1;
    let first = (wave.len() - kernel.len() - (points - 1) * DECIMATION) / 2;
    (0..points)
        .map(|k| {
            let part = &shifted[first + k * DECIMATION..];
            part.iter().zip(&kernel).map(|(v, k)| v * k).sum()
        })
        .collect()
}

/// Energy of `y` along a course.
fn correlate(y: &[Complex<f64>], course: Course, duration: f64) -> f64 {
    let Course { shift, sweep, knee } = course;
    let step = DECIMATION as f64 / RATE / duration;
    let middle = (y.len() - 1) as f64 / 2.0;
    // Phase 2π (shift·u + sweep·u²/2), by its first and second differences.
    let phase = |u: f64| -TAU * shift * u - PI * sweep * u * u;
    let u0 = -middle * step;
    let mut turn = Complex::from_polar(1.0, phase(u0));
    let mut rate = Complex::from_polar(1.0, phase(u0 + step) - phase(u0));
    let bend = Complex::from_polar(1.0, -TAU * sweep * step * step);
    let mut sum = Complex::new(0.0, 0.0);
    for (i, v) in y.iter().enumerate() {
        sum += v * turn;
        turn *= rate;
        if u0 + (i as f64 + 1.0) * step < knee {
            rate *= bend;
        }
    }
    sum.norm_sqr()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ppg2bpm::spectrum::Spectrum;

    /// Ten seconds that climb by `slope` bpm a second and reach `end` bpm.
    fn climb(end: f64, slope: f64, noise: f64, seed: u64) -> Vec<f64> {
        let mut random = fastrand::Rng::with_seed(seed);
        (0..=300)
            .map(|i| i as f64 / RATE - 10.0)
            .map(|t| (TAU / 60.0 * (end * t + slope * t * t / 2.0)).sin())
            .map(|v| v + noise * (random.f64() - 0.5))
            .collect()
    }

    fn lag(wave: &[f64], middle: f64) -> f64 {
        60.0 * made_good(ahead(wave, middle / 60.0))
    }

    #[test]
    fn a_climb_and_a_fall_are_followed_but_for_what_is_tolerated() {
        for slope in [-2.0, -1.0, 1.0, 2.0] {
            let lag = lag(&climb(100.0, slope, 0.3, 1), 100.0 - 5.0 * slope);
            let expected = 5.0 * slope;
            assert!((lag - expected).abs() < 1.0, "{slope}: {lag} {expected}");
        }
    }

    #[test]
    fn the_end_of_a_climb_is_seen() {
        for (slope, since) in
            [(1.0, 3.0), (2.0, 3.0), (-2.0, 3.0), (1.0, 5.0), (-1.0, 4.0), (2.0, 5.0)]
        {
            for seed in 0..10 {
                let (wave, rate) = ended(100.0, slope, since, seed);
                let end = rate + lag(&wave, rate);
                assert!((end - 100.0).abs() < 2.5, "{slope}, ended {since} s ago: {end}");
            }
        }
    }

    /// Ten seconds that climb by `slope` bpm a second to `end` bpm, where they have been for
    /// `since` seconds; and the rate at the spectrum's peak.
    fn ended(end: f64, slope: f64, since: f64, seed: u64) -> (Vec<f64>, f64) {
        let mut random = fastrand::Rng::with_seed(seed);
        let wave: Vec<f64> = (0..=300)
            .map(|i| i as f64 / RATE - 10.0 + since)
            .map(|t| (TAU / 60.0 * (end * t + slope * t.min(0.0).powi(2) / 2.0)).sin())
            .map(|v| v + 0.3 * (random.f64() - 0.5))
            .collect();
        let peak = Spectrum::new(&wave).peak(0.67, 4.0).unwrap();
        (wave, 60.0 * peak)
    }

    #[test]
    fn a_steady_rate_has_no_slope_however_noisy() {
        for seed in 0..200 {
            for (noise, rate) in [(0.5, 100.0), (6.0, 100.3), (20.0, 99.0)] {
                let lag = lag(&climb(100.0, 0.0, noise, seed), rate);
                assert!(lag.abs() < 3.0, "{seed} {noise}: {lag}");
            }
        }
    }
}
