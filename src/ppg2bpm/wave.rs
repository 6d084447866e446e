//! The wave of one window and what is read off it.

use std::f64::consts::TAU;

use super::estimator::Config;
use super::filter::{BandPass, detrend};
use super::resample::{Integral, RATE};
use super::spectrum::Spectrum;

/// Half the width in Hz (3 bpm) of the search for the spectrum's peak around the tracked rate.
const PEAK_SEARCH: f64 = 3.0 / 60.0;
/// As far (Hz) from a lamp's rate a face that breathes and nods in its light may have lines of the
/// light.
const MODULATED: f64 = 0.5;
/// Up to which multiple of a lamp's rate, and how far (Hz) from it, a face has lines of the light.
const HARMONICS: u32 = 3;
const HARMONIC_WIDTH: f64 = 0.2;
/// A wave below this share of the samples' running sum is rounding.
const ROUNDING: f64 = 1e-9;

/// The wave of one window, without the lines of lamps, and its spectra.
pub(super) struct Wave {
    /// Without trend, band-passed.
    pub filtered: Vec<f64>,
    /// Of that.
    pub spectrum: Spectrum,
    /// Of the wave's rate of change, unfiltered.
    pub derivative: Spectrum,
    /// The like, with the lines of the lamps; absent without any.
    lit: Option<Spectrum>,
}

impl Wave {
    /// Of the last `config.window` seconds, under `lamps` that pulse at so many Hz; `None` where the
    /// samples hold nothing but rounding.
    pub fn new(
        integral: &Integral,
        config: &Config,
        filter: &BandPass,
        lamps: &[f64],
    ) -> Option<Wave> {
        let mut wave = integral.wave(config.window, config.derivative);
        let scale = wave.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        detrend(&mut wave);
        let size = wave.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        if wave.len() < 3 || !size.is_finite() || size <= ROUNDING * scale {
            return None;
        }
        let lit = (!lamps.is_empty()).then(|| slope(&wave));
        remove(&mut wave, lamps);
        let derivative = slope(&wave);
        filter.run(&mut wave);
        Some(Wave { spectrum: Spectrum::new(&wave), derivative, filtered: wave, lit })
    }

    /// The peak near `rate`, both in Hz. The band-pass makes a peak of any slope across its edge:
    /// one that the unfiltered spectrum does not have, too, is none.
    pub fn peak(&self, rate: f64) -> Option<f64> {
        let (low, high) = (rate - PEAK_SEARCH, rate + PEAK_SEARCH);
        self.derivative.peak(low, high).and(self.spectrum.peak(low, high))
    }

    /// Whether what stands at `rate` Hz may be made of the stronger line of one of the `lamps`: by
    /// movement, which modulates it, or as a harmonic, which a network makes of any line.
    pub fn shares(&self, rate: f64, lamps: &[f64]) -> bool {
        let own = self.derivative.line(rate);
        let near = |lamp: f64| {
            (lamp - rate).abs() < MODULATED
                || (2..=HARMONICS).any(|k| (f64::from(k) * lamp - rate).abs() < HARMONIC_WIDTH)
        };
        let stronger = |lamp: f64| self.lit.as_ref().is_some_and(|lit| lit.line(lamp) > own);
        lamps.iter().any(|lamp| near(*lamp) && stronger(*lamp))
    }

    /// The lower of the signal-to-noise ratios of the two halves.
    pub fn half_snr(&self, rate: f64) -> f64 {
        let (a, b) = self.filtered.split_at(self.filtered.len() / 2);
        Spectrum::new(a).snr(rate).min(Spectrum::new(b).snr(rate))
    }
}

/// The spectrum of the rate of change.
fn slope(wave: &[f64]) -> Spectrum {
    let mut slope: Vec<f64> = wave.windows(2).map(|w| (w[1] - w[0]) * RATE).collect();
    detrend(&mut slope);
    Spectrum::new(&slope)
}

/// Takes out of `wave` the line at each rate (Hz), which may grow or fade and be off by a fraction of
/// its width: what sine and cosine explain, constant and in proportion to time (least squares, by
/// Gram and Schmidt).
fn remove(wave: &mut [f64], rates: &[f64]) {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let middle = wave.len() as f64 / 2.0;
    let mut known: Vec<Vec<f64>> = Vec::new();
    for (rate, quarter, power) in
        rates.iter().flat_map(|r| [(r, 0.0, 0), (r, 0.25, 0), (r, 0.0, 1), (r, 0.25, 1)])
    {
        let time = (0..wave.len()).map(|i| i as f64 - middle);
        let line = |t: f64| (TAU * (rate * t / RATE + quarter)).cos() * (t / middle).powi(power);
        let mut new: Vec<f64> = time.map(line).collect();
        let before = dot(&new, &new);
        for line in &known {
            let share = dot(&new, line);
            subtract(&mut new, line, share);
        }
        let after = dot(&new, &new);
        // Two lamps of nearly one rate have nearly the same lines.
        if after > 1e-3 * before {
            new.iter_mut().for_each(|v| *v /= after.sqrt());
            let share = dot(wave, &new);
            subtract(wave, &new, share);
            known.push(new);
        }
    }
}

fn subtract(from: &mut [f64], what: &[f64], times: f64) {
    from.iter_mut().zip(what).for_each(|(a, b)| *a -= times * b);
}

#[cfg(test)]
mod tests {
    use super::super::resample::Sample;
    use super::*;

    #[test]
    fn a_line_that_fades_is_taken_out_and_its_neighbour_stays() {
        let line = |hz: f64, i: usize| (TAU * hz * i as f64 / RATE + 0.3).cos();
        let pulse: Vec<f64> = (0..300).map(|i| line(1.5, i)).collect();
        let lamp = |i: usize| (8.0 - i as f64 / 100.0) * line(2.02, i);
        let mut wave: Vec<f64> = pulse.iter().enumerate().map(|(i, p)| p + lamp(i)).collect();
        remove(&mut wave, &[2.0, 2.001]);
        let left: f64 = wave.iter().zip(&pulse).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / 300.0;
        // The lamp had a mean square of 22, the pulse has one of a half.
        assert!(left < 0.15, "{left}");
    }

    #[test]
    fn what_may_be_made_of_a_lamps_line_is_told_from_a_pulse() {
        let mut integral = Integral::default();
        for i in 1..=330 {
            let time = f64::from(i) / 30.0;
            let line = |hz: f64, height: f64| height * (TAU * hz * time).cos();
            let value = line(1.2, 5.0) + line(1.5, 1.0) + line(2.0, 1.0) + line(3.6, 1.0);
            integral.push(Sample { time, value, interval: Some(1.0 / 30.0) });
        }
        let filter = BandPass::new(40.0 / 60.0, 4.0, RATE);
        let shares = |rate, lamps: &[f64]| {
            Wave::new(&integral, &Config::default(), &filter, lamps).unwrap().shares(rate, lamps)
        };
        // Modulated by movement, its third harmonic, and neither.
        assert!(shares(1.5, &[1.2]) && shares(3.6, &[1.2]) && !shares(2.0, &[1.2]));
        // Beside a lamp that is no stronger, and without any.
        assert!(!shares(1.2, &[1.5]) && !shares(1.5, &[]));
    }
}
