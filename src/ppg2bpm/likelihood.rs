//! How well a pulse of each rate explains a spectrum.
//!
//! The model of the rate of change of the wave is: coloured noise, whose power follows f^−c with
//! an unknown c, plus a line at the rate and some at its harmonics. Each independent bin of a
//! spectrum is then exponentially distributed around the model's power (Whittle, 1953), so that
//! the logarithm of the likelihood is −Σ (ln v + x / v). The noise level, the power of the lines
//! and the colour are unknown: level and power are set to their most likely values, colours are
//! averaged over.
//!
//! The unknown colour is what makes a slow wander of the integrated wave (the integral of white
//! noise has f^−2) cheap to explain as noise and dear to explain as a pulse; the bound on the
//! harmonic is what keeps half the true rate from explaining all that the true rate explains.
//!
//! Where the light is known to have a line (light.rs) the spectrum tells nothing of the pulse: those
//! bins are left out, of both models.

use super::spectrum::{BIN, Spectrum};

/// Exponents c of the noise: white noise in the wave itself is −2, white noise in its derivative
/// 0, a random walk of the derivative 2, the skirts of a drift 6.
const COLOURS: [f64; 8] = [-2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.5, 6.0];
/// Band in Hz over which the model is compared. Below it breathing and posture rule. Above it a
/// 15 Hz camera has nothing left.
pub(super) const LOW: f64 = 0.5;
pub(super) const HIGH: f64 = 6.0;
/// The band ends at this share of the frame rate at the latest.
const OF_FRAME_RATE: f64 = 0.4;
/// Most power that a harmonic of the pulse wave may have beside the fundamental: half its
/// amplitude, the strongest dicrotic wave of a healthy finger pulse.
const HARMONIC_POWER: f64 = 0.25;
/// Lines of a pulse: what a finger's wave has above a hundredth of the fundamental's power.
const HARMONICS: usize = 3;
/// Half the width of a line in units of one over the duration; a Hann window's main lobe falls to
/// a tenth of its height there.
const HALF_WIDTH: f64 = 1.5;
/// How far on either side of a lamp's line nothing else is to be seen, in the same units: where that
/// lobe ends.
const HIDES: f64 = 2.0;
/// Independent bins per unit of one over the duration, under a Hann window: one over its
/// equivalent noise bandwidth.
const INDEPENDENT: f64 = 2.0 / 3.0;
/// What the powers of the lines, set to their most likely values, gain by chance: a nat for each
/// free one (Akaike, 1974). The bounded harmonics together count as one.
const FITTED: f64 = 2.0;
/// Power below this share of the mean is not told from rounding.
const FLOOR: f64 = 1e-6;
/// No pulse is explained to better than this share of the mean power: beats differ, and a camera
/// folds the higher harmonics of a fast pulse back into the band.
const UNEXPLAINED: f64 = 0.03;

/// Logarithms of likelihoods, for each rate asked and for no pulse.
#[derive(Clone, Debug)]
pub struct Likelihood {
    /// For each rate that was asked, up to a constant in common.
    pub rates: Vec<f64>,
    /// For noise alone, up to the same constant.
    pub noise: f64,
}

impl Likelihood {
    /// Compares `rates` (Hz) on the spectrum of the wave's rate of change, taken at `frame_rate`
    /// frames a second, without what the lines of `lamps` (Hz) hide.
    pub fn new(derivative: &Spectrum, rates: &[f64], frame_rate: f64, lamps: &[f64]) -> Likelihood {
        let high = HIGH.min(OF_FRAME_RATE * frame_rate).max(2.0 * LOW);
        let bins = derivative.bins(LOW, high);
        let hides = HIDES / derivative.duration();
        let lit = |i: &usize| lamps.iter().any(|lamp| (*i as f64 * BIN - lamp).abs() <= hides);
        let power: Vec<Option<f64>> =
            bins.clone().map(|i| (!lit(&i)).then(|| derivative.power()[i])).collect();
        if power.iter().all(Option::is_none) {
            return Likelihood { rates: vec![-FITTED; rates.len()], noise: 0.0 };
        }
        let mut rates_by_colour = Vec::with_capacity(COLOURS.len());
        let mut noise_by_colour = Vec::with_capacity(COLOURS.len());
        for colour in COLOURS {
            let band = Band::new(&power, bins.start, colour, derivative.duration());
            noise_by_colour.push(band.noise());
            rates_by_colour.push(rates.iter().map(|f| band.pulse(*f)).collect::<Vec<_>>());
        }
        let at = |i: usize| log_mean_exp(rates_by_colour.iter().map(|r| r[i]));
        Likelihood {
            rates: (0..rates.len()).map(at).collect(),
            noise: log_mean_exp(noise_by_colour.iter().copied()),
        }
    }

    /// By how many nats the best pulse explains more than noise alone.
    pub fn evidence(&self) -> f64 {
        self.rates.iter().copied().fold(f64::NEG_INFINITY, f64::max) - self.noise
    }
}

fn log_mean_exp(x: impl Iterator<Item = f64> + Clone) -> f64 {
    let n = x.clone().count() as f64;
    let max = x.clone().fold(f64::NEG_INFINITY, f64::max);
    max + (x.map(|v| (v - max).exp()).sum::<f64>() / n).ln()
}

/// The band's power, whitened for one colour of noise.
struct Band {
    /// Number and whitened power of the bins that count, summed up to each bin.
    sums: Vec<(usize, f64)>,
    first: usize,
    colour: f64,
    /// Independent bins in one bin of the spectrum.
    density: f64,
    half_width: f64,
}

impl Band {
    /// `power` of the bins from `first` on; those without do not count.
    fn new(power: &[Option<f64>], first: usize, colour: f64, duration: f64) -> Band {
        let log_f = |i: usize| ((first + i) as f64 * BIN).ln();
        let known = || power.iter().enumerate().filter_map(|(i, p)| p.map(|p| (i, p)));
        let count = known().count() as f64;
        let mean = known().map(|(_, p)| p).sum::<f64>() / count;
        // The whitening must not change the mean logarithm, or colours could not be compared.
        let log_mean = known().map(|(i, _)| log_f(i)).sum::<f64>() / count;
        let white = |i, p| (p / mean + FLOOR) * (colour * (log_f(i) - log_mean)).exp();
        let mut sums = Vec::with_capacity(power.len() + 1);
        let (mut bins, mut sum) = (0, 0.0);
        sums.push((bins, sum));
        for (i, p) in power.iter().enumerate() {
            if let Some(p) = p {
                (bins, sum) = (bins + 1, sum + white(i, p));
            }
            sums.push((bins, sum));
        }
        let density = duration * BIN * INDEPENDENT;
        Band { sums, first, colour, density, half_width: HALF_WIDTH / duration }
    }

    /// Independent bins and mean power of the line around `f` Hz.
    fn line(&self, f: f64) -> (f64, f64) {
        let end = self.first + self.sums.len() - 1;
        let bin = |f: f64| ((f / BIN).ceil() as usize).clamp(self.first, end) - self.first;
        let (low, high) = (bin(f - self.half_width), bin(f + self.half_width));
        let (bins, sum) =
            (self.sums[high].0 - self.sums[low].0, self.sums[high].1 - self.sums[low].1);
        if bins == 0 {
            return (0.0, 0.0);
        }
        (bins as f64 * self.density, sum / bins as f64)
    }

    fn total(&self) -> (f64, f64) {
        let (bins, sum) = self.sums[self.sums.len() - 1];
        (bins as f64 * self.density, sum * self.density)
    }

    fn noise(&self) -> f64 {
        let (n, total) = self.total();
        -n * ((total / n).ln() + 1.0)
    }

    fn pulse(&self, f: f64) -> f64 {
        let (mut rest, mut left) = self.total();
        let unexplained = UNEXPLAINED * left / rest;
        let lines: [(f64, f64); HARMONICS] = std::array::from_fn(|h| self.line((h + 1) as f64 * f));
        for (n, x) in lines {
            (rest, left) = (rest - n, left - n * x);
        }
        let rest = rest.max(1.0);
        let level = (left / rest).max(unexplained).max(FLOOR);
        let fundamental = (lines[0].1 - level).max(0.0);
        let mut sum = -rest * (level.ln() + 1.0);
        for (h, (n, x)) in lines.into_iter().enumerate() {
            let order = (h + 1) as f64;
            // Differentiation makes order² times the power of the harmonic, whitening order^colour.
            let gain = order.powi(2) * order.powf(self.colour);
            let most = level + HARMONIC_POWER.powi(h as i32) * gain * fundamental;
            let v = x.clamp(level, most);
            sum -= n * (v.ln() + x / v);
        }
        sum - FITTED
    }
}

#[cfg(test)]
mod tests {
    use super::super::resample::RATE;
    use super::*;
    use std::f64::consts::TAU;

    fn best(x: &[f64]) -> (f64, f64) {
        best_under(x, &[])
    }

    fn best_under(x: &[f64], lamps: &[f64]) -> (f64, f64) {
        let rates: Vec<f64> = (80..=480).map(|b| b as f64 / 120.0).collect();
        let l = Likelihood::new(&Spectrum::new(x), &rates, 30.0, lamps);
        let i = (0..rates.len()).max_by(|a, b| l.rates[*a].total_cmp(&l.rates[*b])).unwrap();
        (rates[i] * 60.0, l.evidence())
    }

    /// Derivative of a pulse with a harmonic of `second` of the fundamental's amplitude.
    fn pulse(bpm: f64, second: f64, noise: f64) -> Vec<f64> {
        let mut random = fastrand::Rng::with_seed(3);
        let w = TAU * bpm / 60.0;
        let mut white = || (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
        (0..300)
            .map(|i| i as f64 / RATE)
            .map(|t| w * ((w * t).cos() + 2.0 * second * (2.0 * w * t).cos()) + noise * white())
            .collect()
    }

    #[test]
    fn the_fundamental_is_not_taken_for_its_harmonic_nor_for_half_of_it() {
        for bpm in [45.0, 60.0, 100.0, 150.0, 230.0] {
            for second in [0.0, 0.2, 0.45] {
                let (found, evidence) = best(&pulse(bpm, second, 1.0));
                assert!((found - bpm).abs() < 4.0, "{bpm} {second}: {found}");
                assert!(evidence > 10.0, "{bpm} {second}: {evidence}");
            }
        }
    }

    #[test]
    fn what_a_lamp_hides_does_not_count() {
        let (blood, lamp) = (pulse(70.0, 0.2, 1.0), pulse(150.0, 0.0, 0.0));
        let both: Vec<f64> = blood.iter().zip(&lamp).map(|(b, l)| b + 3.0 * l).collect();
        let (found, _) = best(&both);
        assert!((found - 150.0).abs() < 4.0, "{found}");
        let (found, evidence) = best_under(&both, &[2.5]);
        assert!((found - 70.0).abs() < 4.0 && evidence > 10.0, "{found} {evidence}");
        // Nothing but the lamp.
        let (_, evidence) = best_under(&pulse(150.0, 0.0, 20.0), &[2.5]);
        assert!(evidence < 6.0, "{evidence}");
        // Nor where lamps hide everything.
        let lamps: Vec<f64> = (0..=60).map(|i| f64::from(i) / 10.0).collect();
        let (_, evidence) = best_under(&both, &lamps);
        assert!(evidence.is_finite() && evidence <= 0.0, "{evidence}");
    }

    #[test]
    fn noise_gives_little_evidence() {
        let (_, evidence) = best(&pulse(60.0, 0.0, 1000.0));
        assert!(evidence < 6.0, "{evidence}");
    }
}
