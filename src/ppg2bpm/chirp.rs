//! The slope of a rate that changes within the window.
//!
//! A spectrum gives the rate in the middle of its window, which for a rate that climbs is an old
//! one. Where a straight climb explains the signal clearly better than a steady rate, the rate at
//! the window's end is told instead.

use std::f64::consts::{PI, TAU};

use rustfft::num_complex::Complex;

use super::resample::RATE;

/// Length in seconds of the low-pass that follows the shift to 0 Hz: a Hann kernel of this length
/// has its first zero at 2 / LENGTH, where the mirror image of 40 bpm falls.
const LENGTH: f64 = 1.5;
/// Every so many samples of the low-passed signal are kept.
const DECIMATION: usize = 5;
/// Largest sweep over the window, and the step of the search, in units of one over its duration.
const SWEEP: (f64, f64) = (8.0, 0.5);
/// Largest deviation of the middle rate from the spectrum's peak, and the step, likewise.
const SHIFT: (f64, f64) = (2.0, 0.25);
/// Gain in log-likelihood that a slope must bring (nats): once in a thousand by chance, at one
/// degree of freedom (half of the chi-squared quantile, 10.8, is 5.4).
const SIGNIFICANT: f64 = 5.4;
/// Share of the energy around the rate that the climb must explain: the natural variation of a
/// resting heart bends within a window and leaves more.
const EXPLAINED: f64 = 0.97;
/// A lag that is left standing, in Hz (1.5 bpm): natural variation within a window is no climb.
/// From twice as much on the lag is made good in full; between the two, without a step.
const TOLERATED_LAG: f64 = 1.5 / 60.0;

/// What to add (Hz) to the rate in the middle of a window of `duration` seconds to have it at the
/// end, at `slope` Hz a second; 0 for a lag that is tolerated.
pub fn lag(slope: f64, duration: f64) -> f64 {
    let lag = slope * duration / 2.0;
    lag.signum() * (2.0 * (lag.abs() - TOLERATED_LAG)).clamp(0.0, lag.abs())
}

/// Hz a second by which the rate climbs in `wave` (band-passed, at the grid's rate), whose
/// spectrum has its peak at `rate`; 0 unless a climb or a fall is significant.
pub fn slope(wave: &[f64], rate: f64) -> f64 {
    let base = baseband(wave, rate);
    if base.len() < 8 {
        return 0.0;
    }
    let duration = wave.len() as f64 / RATE;
    let weights = hann(base.len());
    let total: f64 = base.iter().zip(&weights).map(|(y, w)| w * y.norm_sqr()).sum();
    if total <= 0.0 {
        return 0.0;
    }
    let scale = 1.0 / (total * weights.iter().sum::<f64>());
    let weighted: Vec<_> = base.iter().zip(&weights).map(|(y, w)| y * w).collect();
    // Share of the energy that a sweep explains, at its best shift.
    let explained = |sweep: f64| {
        steps(SHIFT).map(|s| correlate(&weighted, s, sweep, duration) * scale).fold(0.0, f64::max)
    };
    let steady = explained(0.0);
    let (share, sweep) = steps(SWEEP)
        .map(|s| (explained(s), s))
        .fold((steady, 0.0), |best, next| if next.0 > best.0 { next } else { best });
    // Independent samples of a signal 1 / LENGTH wide under the weights.
    let independent = base.len() as f64 * DECIMATION as f64 / RATE / LENGTH;
    let gain = independent * ((1.0 - steady).max(1e-6) / (1.0 - share).max(1e-6)).ln();
    if gain < SIGNIFICANT || share < EXPLAINED {
        return 0.0;
    }
    sweep / (duration * duration)
}

/// −limit, −limit + step … limit.
fn steps((limit, step): (f64, f64)) -> impl Iterator<Item = f64> {
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

/// Energy of `y` along a line in time and frequency: off by `shift` in the middle, changing by
/// `sweep` over `duration`, both in units of 1 / `duration`.
fn correlate(y: &[Complex<f64>], shift: f64, sweep: f64, duration: f64) -> f64 {
    let step = DECIMATION as f64 / RATE / duration;
    let middle = (y.len() - 1) as f64 / 2.0;
    // Phase 2π (shift·u + sweep·u²/2), by its first and second differences.
    let phase = |u: f64| -TAU * shift * u - PI * sweep * u * u;
    let u0 = -middle * step;
    let mut turn = Complex::from_polar(1.0, phase(u0));
    let mut rate = Complex::from_polar(1.0, phase(u0 + step) - phase(u0));
    let bend = Complex::from_polar(1.0, -TAU * sweep * step * step);
    let mut sum = Complex::new(0.0, 0.0);
    for v in y {
        sum += v * turn;
        turn *= rate;
        rate *= bend;
    }
    sum.norm_sqr()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten seconds that climb by `slope` bpm a second and reach `end` bpm.
    fn climb(end: f64, slope: f64, noise: f64, seed: u64) -> Vec<f64> {
        let mut random = fastrand::Rng::with_seed(seed);
        (0..=300)
            .map(|i| i as f64 / RATE - 10.0)
            .map(|t| (TAU / 60.0 * (end * t + slope * t * t / 2.0)).sin())
            .map(|v| v + noise * (random.f64() - 0.5))
            .collect()
    }

    #[test]
    fn a_climb_and_a_fall_are_followed_but_for_what_is_tolerated() {
        for slope in [-2.0, -1.0, 1.0, 2.0] {
            let middle = 100.0 - 5.0 * slope;
            let lag = 60.0 * lag(super::slope(&climb(100.0, slope, 0.3, 1), middle / 60.0), 10.0);
            let expected = 5.0 * slope;
            assert!((lag - expected).abs() < 1.0, "{slope}: {lag} {expected}");
        }
    }

    #[test]
    fn a_steady_rate_has_no_slope_however_noisy() {
        for seed in 0..200 {
            for (noise, rate) in [(0.5, 100.0), (6.0, 100.3), (20.0, 99.0)] {
                let lag = 60.0 * lag(slope(&climb(100.0, 0.0, noise, seed), rate / 60.0), 10.0);
                assert!(lag.abs() < 3.0, "{seed} {noise}: {lag}");
            }
        }
    }
}
