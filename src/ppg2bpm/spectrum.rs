//! Windowed, zero-padded power spectra and what is read off them.

use std::f64::consts::TAU;
use std::ops::RangeInclusive;
use std::sync::{Arc, LazyLock};

use rustfft::{Fft, FftPlanner, num_complex::Complex};

use super::resample::RATE;

/// Points of the transform: bins of 0.44 bpm at 30 Hz, more than twice the samples of the longest
/// window.
const POINTS: usize = 4096;

static FFT: LazyLock<Arc<dyn Fft<f64>>> =
    LazyLock::new(|| FftPlanner::new().plan_fft_forward(POINTS));

/// The transform of `x`, padded with zeros (or cut) to its 4096 points.
pub(super) fn transform(mut x: Vec<Complex<f64>>) -> Vec<Complex<f64>> {
    x.resize(POINTS, Complex::new(0.0, 0.0));
    FFT.process(&mut x);
    x
}

/// Width of a bin in Hz.
pub const BIN: f64 = RATE / POINTS as f64;

/// Half the width of a line, for finding its top, in units of one over the duration.
pub const LINE: f64 = 0.75;

/// Band of the signal-to-noise ratio in Hz and half the width of what counts as signal around the
/// rate and its first harmonic, after the HeartRateNet model card.
const SNR_BAND: RangeInclusive<f64> = 0.7..=4.0;
const SNR_HALF_WIDTH: f64 = 0.2;
/// Beyond this many decibels rounding decides.
const SNR_LIMIT: f64 = 40.0;

/// Power at 0, [`BIN`], 2 · [`BIN`] … up to half of [`RATE`].
#[derive(Clone, Debug)]
pub struct Spectrum {
    power: Vec<f64>,
    /// Seconds of signal.
    duration: f64,
}

impl Spectrum {
    /// The Hann-windowed spectrum of `x`, even samples at [`RATE`]; of the last 68 s if longer.
    pub fn new(x: &[f64]) -> Spectrum {
        let x = &x[x.len().saturating_sub(POINTS / 2)..];
        let step = TAU / (x.len() + 1) as f64;
        let buffer: Vec<Complex<f64>> = x
            .iter()
            .enumerate()
            .map(|(i, v)| Complex::new(v * 0.5 * (1.0 - (step * (i + 1) as f64).cos()), 0.0))
            .collect();
        let buffer = transform(buffer);
        let power = buffer[..=POINTS / 2].iter().map(Complex::norm_sqr).collect();
        Spectrum { power, duration: x.len() as f64 / RATE }
    }

    /// Seconds of signal that the spectrum was made of.
    pub fn duration(&self) -> f64 {
        self.duration
    }

    /// The bins of `low..=high` Hz.
    pub fn bins(&self, low: f64, high: f64) -> std::ops::Range<usize> {
        let low = (low.max(0.0) / BIN).ceil() as usize;
        let end = ((high.max(0.0) / BIN).floor() as usize + 1).min(self.power.len());
        low.min(end)..end
    }

    /// The highest power of the line around `f` Hz.
    pub fn line(&self, f: f64) -> f64 {
        let width = LINE / self.duration;
        self.power[self.bins(f - width, f + width)].iter().copied().fold(0.0, f64::max)
    }

    /// Power per bin.
    pub fn power(&self) -> &[f64] {
        &self.power
    }

    /// The frequency of the highest peak in `low..=high` Hz, between the bins, by the parabola
    /// through the logarithms of its three highest bins. `None` if the highest bin is no local
    /// maximum.
    pub fn peak(&self, low: f64, high: f64) -> Option<f64> {
        let bins = self.bins(low, high);
        let best = bins.max_by(|a, b| self.power[*a].total_cmp(&self.power[*b]))?;
        if best == 0 || best + 1 >= self.power.len() {
            return None;
        }
        let [a, b, c] = [self.power[best - 1], self.power[best], self.power[best + 1]];
        if !(b > 0.0 && b >= a && b >= c) {
            return None;
        }
        let [a, b, c] = [a, b, c].map(|p| p.max(b * 1e-12).ln());
        let curve = a - 2.0 * b + c;
        let offset = if curve < 0.0 { 0.5 * (a - c) / curve } else { 0.0 };
        Some((best as f64 + offset.clamp(-0.5, 0.5)) * BIN)
    }

    /// dB: power within 0.2 Hz of `rate` Hz and of its first harmonic over the rest of
    /// 0.7..4 Hz, −40..40.
    pub fn snr(&self, rate: f64) -> f64 {
        let (mut signal, mut rest) = (0.0, 0.0);
        for bin in self.bins(*SNR_BAND.start(), *SNR_BAND.end()) {
            let f = bin as f64 * BIN;
            let near = |centre: f64| (f - centre).abs() <= SNR_HALF_WIDTH;
            if near(rate) || near(2.0 * rate) {
                signal += self.power[bin];
            } else {
                rest += self.power[bin];
            }
        }
        if signal <= 0.0 {
            return -SNR_LIMIT;
        }
        (10.0 * (signal / rest.max(f64::MIN_POSITIVE)).log10()).clamp(-SNR_LIMIT, SNR_LIMIT)
    }

    /// The sum of this and of another wave's spectrum over as many seconds, their noise being made as
    /// strong. Where a line stands out of it is the likeliest frequency that they share (of two sines
    /// in white noise, their amplitudes and phases unknown).
    pub fn beside(&self, other: &Spectrum) -> Spectrum {
        let (own, its) = (self.noise(), other.noise());
        let power = self.power.iter().zip(&other.power).map(|(p, q)| p * its + q * own).collect();
        Spectrum { power, duration: self.duration }
    }

    /// The median of the band, which lines hardly change.
    fn noise(&self) -> f64 {
        let mut band = self.power[self.bins(*SNR_BAND.start(), *SNR_BAND.end())].to_vec();
        let middle = band.len() / 2;
        *band.select_nth_unstable_by(middle, f64::total_cmp).1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(f: f64, seconds: f64) -> Vec<f64> {
        (0..(seconds * RATE) as usize).map(|i| (TAU * f * i as f64 / RATE).sin()).collect()
    }

    #[test]
    fn the_peak_is_read_to_a_tenth_of_a_beat() {
        for bpm in [45.0, 72.3, 100.0, 151.7, 230.0] {
            let peak = Spectrum::new(&sine(bpm / 60.0, 10.0)).peak(0.6, 4.1).unwrap();
            assert!((peak * 60.0 - bpm).abs() < 0.1, "{bpm}: {}", peak * 60.0);
        }
        let falling: Vec<f64> = vec![1.0; 300];
        assert_eq!(Spectrum::new(&falling).peak(0.02, 0.1), None);
    }

    #[test]
    fn two_waves_tell_the_rate_better_than_either() {
        let mut random = fastrand::Rng::with_seed(8);
        let mut noisy = |phase: f64, noise: f64| {
            let white = (0..300).map(|_| noise * (random.f64() - 0.5)).collect::<Vec<f64>>();
            let wave = |(i, n): (usize, &f64)| (TAU * 1.2 * i as f64 / RATE + phase).sin() + n;
            Spectrum::new(&white.iter().enumerate().map(wave).collect::<Vec<f64>>())
        };
        let peak = |s: &Spectrum| 60.0 * s.peak(1.1, 1.3).unwrap_or(1.1) - 72.0;
        let mut squares = [0.0; 4];
        for _ in 0..100 {
            let (a, b, worse) = (noisy(0.0, 4.0), noisy(1.0, 4.0), noisy(2.0, 40.0));
            let tried = [peak(&a), peak(&b), peak(&a.beside(&b)), peak(&a.beside(&worse))];
            squares.iter_mut().zip(tried).for_each(|(sum, off)| *sum += off * off / 100.0);
        }
        // Half the variance where both are alike; hardly more than the better's own if one is lost.
        let [a, b, both, with_worse] = squares;
        assert!(both < 0.7 * a.min(b) && with_worse < 1.2 * a, "{squares:?}");
        // Nothing beside the line in either: no peak, nor anything that is not a number.
        let none = Spectrum::new(&[0.0; 300]);
        assert_eq!(none.beside(&none).peak(1.1, 1.3), None);
    }

    #[test]
    fn the_ratio_counts_the_rate_and_its_first_harmonic() {
        // Two lines of equal power, 1 Hz and 3 Hz: 0 dB for either, all of it for neither.
        let (a, b) = (sine(1.0, 20.0), sine(3.0, 20.0));
        let both: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
        assert!(Spectrum::new(&both).snr(1.0).abs() < 0.1);
        assert!(Spectrum::new(&both).snr(1.5) > -1.0);
        assert!(Spectrum::new(&a).snr(1.0) > 30.0);
        // A first harmonic of a tenth of the amplitude belongs to the signal.
        let second = sine(2.0, 20.0);
        let pulse: Vec<f64> = a.iter().zip(&second).map(|(a, b)| a + 0.1 * b).collect();
        assert!(Spectrum::new(&pulse).snr(1.0) > 30.0);
        assert_eq!(Spectrum::new(&[0.0; 300]).snr(1.0), -40.0);
    }
}
