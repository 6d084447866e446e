//! How well a pulse of each rate explains a spectrum.
//!
//! The model of the rate of change of the wave is: coloured noise, whose power follows f^−c with an
//! unknown c, plus a line at the rate and some at its harmonics. Seen on a comb, frequencies as far
//! apart as a line under the spectrum's window is wide, powers are independent and exponentially
//! distributed around the model's (Whittle, 1953), so that the logarithm of the likelihood is −Σ
//! (ln v + x / v). The noise level, the power of the lines and the colour are unknown: level and
//! power are set to their most likely values, colours are averaged over. Each rate is judged on the
//! comb that has a tooth on it, against noise alone on the same.
//!
//! The unknown colour is what makes a slow wander of the integrated wave (the integral of white
//! noise has f^−2) cheap to explain as noise and dear to explain as a pulse; the bound on the
//! harmonic is what keeps half the true rate from explaining all that the true rate explains.
//!
//! A slow camera shows high harmonics folded into the band. They belong to the pulse there, too, or
//! a fast one would be read at half its rate.
//!
//! Where the light is known to have a line (light.rs) the spectrum tells nothing of the pulse:
//! those teeth are left out, of both models. A rate of which that hides the line itself is judged by
//! the next one, as high as it may be.

use super::folded::folded;
use super::spectrum::{BIN, Spectrum};

/// Exponents c of the noise: white noise in the wave itself is −2, white noise in its derivative
/// 0, a random walk of the derivative 2, the skirts of a drift 6.
const COLOURS: [f64; 8] = [-2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.5, 6.0];
/// Band in Hz over which the model is compared, at least. Below it breathing and posture rule.
/// Above it a 15 Hz camera has nothing left.
pub(super) const LOW: f64 = 0.5;
pub(super) const HIGH: f64 = 6.0;
/// The band ends at this share of the frame rate at the latest.
const OF_FRAME_RATE: f64 = 0.4;
/// Width of a line in units of one over the duration: the Hann window's equivalent noise bandwidth.
const LINE_WIDTH: f64 = 1.5;
/// No line is narrower than one over so many seconds: hearts are not steadier.
const STEADY: f64 = 10.0;
/// Most power that a harmonic of the pulse wave may have beside the fundamental: half its
/// amplitude, the strongest dicrotic wave of a healthy finger pulse.
const HARMONIC_POWER: f64 = 0.25;
/// Harmonics of a pulse: with them all lines that a finger's wave has above a hundredth of the
/// fundamental's power.
const HARMONICS: i32 = 2;
/// Highest multiple of a rate whose line counts where a slow camera folds it into the band: a
/// network that bends a clean pulse leaves some of the fourth and fifth.
const HIGHEST: i32 = 5;
/// Mean power of the two teeth next to a harmonic, wherever it lies between them, over its height.
const BESIDE: f64 = 0.5;
/// How far on either side of a lamp's line nothing else is to be seen, in units of one over the
/// duration: where a line under a Hann window ends.
const HIDES: f64 = 2.0;
/// What the powers of the lines, set to their most likely values, gain by chance: a nat for each
/// free one (Akaike, 1974). The bounded harmonics together count as one.
const FITTED: f64 = 2.0;
/// Probability that a second wave of the face shows the pulse, where it shows anything. With one in
/// thirty to doubt it, what it says against a rate weighs 3.5 nats at most; no more is what it says
/// for one, lest it prove a pulse alone.
const CREDIBLE: f64 = 0.97;
const DOUBT: f64 = 1.0 - CREDIBLE;
/// No power is told from none below this share of the mean: beats differ.
const FLOOR: f64 = 0.08;

/// Logarithms of likelihoods of pulses.
#[derive(Clone, Debug)]
pub struct Likelihood {
    /// For each rate that was asked, over that of noise alone, nats.
    pub rates: Vec<f64>,
}

impl Likelihood {
    /// Compares `rates` (Hz) on the spectrum of the wave's rate of change, taken at `frame_rate`
    /// frames a second, without what the lines of `lamps` (Hz) hide.
    pub fn new(derivative: &Spectrum, rates: &[f64], frame_rate: f64, lamps: &[f64]) -> Likelihood {
        let high = HIGH.min(OF_FRAME_RATE * frame_rate).max(2.0 * LOW);
        // A line at the lowest rate has a tooth below it, too, or it could be noise of a steep colour.
        let low = LOW.min(rates.first().unwrap_or(&LOW) - LINE_WIDTH / derivative.duration());
        let combs = Combs::new(derivative, (low, high), frame_rate, lamps);
        let white = combs.combs.iter().map(|comb| COLOURS.map(|colour| White::new(comb, colour)));
        let white: Vec<[White; COLOURS.len()]> = white.collect();
        let noise = |white: &[White; COLOURS.len()]| {
            log_mean_exp(white.iter().map(|w| combs.independent * w.noise()))
        };
        let noise: Vec<f64> = white.iter().map(noise).collect();
        let ratio = |f: &f64| {
            let Some(lines) = combs.lines(*f) else { return -FITTED };
            let pulse = |w: &White| combs.independent * w.pulse(&lines);
            log_mean_exp(white[lines.comb].iter().map(pulse)) - noise[lines.comb] - FITTED
        };
        Likelihood { rates: rates.iter().map(ratio).collect() }
    }

    /// Weighs the rates by what a `witness` tells of them on the same terms. It has seen the pulse with
    /// the probability [`CREDIBLE`], or else tells nothing. Of all rates together it says neither that
    /// there is a pulse nor that there is none; for one rate it counts as bounded evidence.
    pub fn hear(&mut self, witness: &Likelihood) {
        let mean = log_mean_exp(witness.rates.iter().copied());
        for (rate, told) in self.rates.iter_mut().zip(&witness.rates) {
            let weight = (CREDIBLE * (told - mean).exp() + DOUBT).ln();
            *rate += weight.min(-DOUBT.ln());
        }
    }

    /// By how many nats the best pulse explains more than noise alone.
    pub fn evidence(&self) -> f64 {
        self.rates.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }
}

fn log_mean_exp(x: impl Iterator<Item = f64> + Clone) -> f64 {
    let n = x.clone().count() as f64;
    let max = x.clone().fold(f64::NEG_INFINITY, f64::max);
    max + (x.map(|v| (v - max).exp()).sum::<f64>() / n).ln()
}

/// Combs of one spacing, each a bin further than the one before, that fill the band together.
struct Combs {
    /// Bins from tooth to tooth.
    spacing: f64,
    /// First bin of the band.
    first: usize,
    /// Independent powers that a tooth is the mean of.
    independent: f64,
    /// Frames a second, at which harmonics are folded.
    frame_rate: f64,
    combs: Vec<Comb>,
}

/// Powers and logarithms of their frequencies, relative to their means; absent where a lamp hides
/// them.
struct Comb(Vec<Option<(f64, f64)>>);

/// Where the lines of a rate lie.
struct Lines {
    comb: usize,
    /// The tooth of the rate itself.
    fundamental: usize,
    harmonics: Vec<Harmonic>,
}

/// A multiple of a rate.
struct Harmonic {
    order: i32,
    /// Its frequency, as the camera shows it, over the rate.
    ratio: f64,
    /// On either side of it.
    teeth: [usize; 2],
}

impl Combs {
    /// Of the `band` (Hz) of a spectrum.
    fn new(spectrum: &Spectrum, band: (f64, f64), frame_rate: f64, lamps: &[f64]) -> Combs {
        let duration = spectrum.duration();
        let narrowest = LINE_WIDTH / duration;
        let width = narrowest.max(1.0 / STEADY);
        let spacing = width / BIN;
        let half = ((width - narrowest) / 2.0 / BIN).round() as usize;
        let bins = spectrum.bins(band.0, band.1);
        let hides = HIDES / duration;
        let lit = |bin: usize| lamps.iter().any(|l| (bin as f64 * BIN - l).abs() <= hides);
        let tooth = |bin: usize| {
            let wide = &spectrum.power()[bin - half..=bin + half];
            (!lit(bin)).then(|| (wide.iter().sum::<f64>(), (bin as f64 * BIN).ln()))
        };
        let comb = |shift: usize| {
            let places = (0..).map(|k| (k as f64 * spacing).round() as usize + bins.start + shift);
            Comb::new(places.take_while(|b| bins.contains(b)).map(tooth).collect())
        };
        let combs = (0..spacing.ceil() as usize).map(comb).collect();
        let independent = width / narrowest;
        Combs { spacing, first: bins.start, independent, frame_rate, combs }
    }

    /// The teeth for a pulse of `f` Hz; none where neither its own line nor the next is seen.
    fn lines(&self, f: f64) -> Option<Lines> {
        let place = |f: f64| f / BIN - self.first as f64;
        let turns = ((place(f) + 0.5) / self.spacing).floor();
        let comb = (place(f) - turns * self.spacing).round().max(0.0) as usize;
        let comb = comb.min(self.combs.len() - 1);
        let fundamental = (turns >= 0.0).then_some(turns as usize)?;
        let own = self.combs[comb].0.get(fundamental)?;
        let mut taken = vec![fundamental];
        let mut harmonics = Vec::new();
        for (order, seen) in self.harmonics(f) {
            let below = ((place(seen) - comb as f64) / self.spacing) as usize;
            let teeth = [below, below + 1];
            // Of two that are shown in one place the lower counts.
            if teeth.iter().all(|t| !taken.contains(t)) {
                taken.extend(teeth);
                harmonics.push(Harmonic { order, ratio: seen / f, teeth });
            }
        }
        let seen = own.is_some() || self.sees(comb, harmonics.first()?);
        seen.then_some(Lines { comb, fundamental, harmonics })
    }

    /// Whether something is seen of a harmonic.
    fn sees(&self, comb: usize, harmonic: &Harmonic) -> bool {
        harmonic.teeth.iter().any(|t| self.combs[comb].0.get(*t).is_some_and(Option::is_some))
    }

    /// The multiples of `f` Hz that a pulse may have, and where (Hz) the camera shows them.
    fn harmonics(&self, f: f64) -> impl Iterator<Item = (i32, f64)> {
        let lowest = self.first as f64 * BIN;
        let seen = move |order: i32| (order, folded(f64::from(order) * f, self.frame_rate));
        (2..=HIGHEST).map(seen).filter(move |(order, seen)| {
            let is_folded = *seen < f64::from(*order) * f - BIN;
            *order <= HARMONICS + 1 && !is_folded || is_folded && *seen >= lowest
        })
    }
}

impl Comb {
    /// Of powers and the logarithms of their frequencies.
    fn new(mut teeth: Vec<Option<(f64, f64)>>) -> Comb {
        let seen = || teeth.iter().flatten();
        let count = seen().count().max(1) as f64;
        let power = seen().map(|t| t.0).sum::<f64>() / count;
        let log_f = seen().map(|t| t.1).sum::<f64>() / count;
        let power = power.max(f64::MIN_POSITIVE);
        teeth.iter_mut().flatten().for_each(|t| *t = (t.0 / power + FLOOR, t.1 - log_f));
        Comb(teeth)
    }
}

/// The powers of a comb, whitened for one colour of noise. That leaves the mean of their logarithms
/// as it was, or colours could not be compared.
struct White {
    teeth: Vec<Option<f64>>,
    count: f64,
    sum: f64,
    colour: f64,
}

impl White {
    fn new(comb: &Comb, colour: f64) -> White {
        let white = |t: &Option<(f64, f64)>| t.map(|(power, log_f)| power * (colour * log_f).exp());
        let teeth: Vec<Option<f64>> = comb.0.iter().map(white).collect();
        let count = teeth.iter().flatten().count() as f64;
        let sum = teeth.iter().flatten().sum();
        White { teeth, count, sum, colour }
    }

    fn noise(&self) -> f64 {
        -self.count * ((self.sum / self.count.max(1.0)).max(f64::MIN_POSITIVE).ln() + 1.0)
    }

    fn pulse(&self, lines: &Lines) -> f64 {
        let fundamental = self.line(&[lines.fundamental]);
        let mut harmonics = [(0.0, 0.0); HIGHEST as usize - 1];
        for (line, harmonic) in harmonics.iter_mut().zip(&lines.harmonics) {
            *line = self.line(&harmonic.teeth);
        }
        let (mut rest, mut left) = (self.count, self.sum);
        for (n, x) in [fundamental].iter().chain(&harmonics) {
            (rest, left) = (rest - n, left - n * x);
        }
        let rest = rest.max(1.0);
        let level = (left / rest).max(f64::MIN_POSITIVE);
        // Differentiation makes order² times the power of a harmonic, whitening ratio^colour.
        let gain = |h: &Harmonic| {
            let order = f64::from(h.order).powi(2) * h.ratio.powf(self.colour);
            BESIDE * HARMONIC_POWER.powi(h.order - 1) * order
        };
        // Where a lamp hides the rate itself, it may be as high as the next line asks for.
        let hidden = lines.harmonics.first().filter(|_| fundamental.0 == 0.0);
        let height = hidden.map_or(fundamental.1 - level, |h| (harmonics[0].1 - level) / gain(h));
        let height = height.max(0.0);
        let explained = |(n, x): (f64, f64), most: f64| {
            let v = x.clamp(level, level + most);
            n * (v.ln() + x / v)
        };
        let harmonics = harmonics
            .into_iter()
            .zip(&lines.harmonics)
            .map(|(line, harmonic)| explained(line, gain(harmonic) * height));
        let lines = explained(fundamental, height) + harmonics.sum::<f64>();
        -rest * (level.ln() + 1.0) - lines
    }

    /// Number and mean of the powers of `teeth` that are seen.
    fn line(&self, teeth: &[usize]) -> (f64, f64) {
        let seen = || teeth.iter().filter_map(|t| self.teeth.get(*t).copied().flatten());
        let count = seen().count() as f64;
        (count, seen().sum::<f64>() / count.max(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::super::chirp::SIGNIFICANT;
    use super::super::resample::RATE;
    use super::super::tracker::Tracker;
    use super::*;
    use std::f64::consts::TAU;

    fn best(x: &[f64]) -> (f64, f64) {
        best_under(x, &[])
    }

    fn best_under(x: &[f64], lamps: &[f64]) -> (f64, f64) {
        best_at(x, 30.0, lamps)
    }

    fn best_at(x: &[f64], frame_rate: f64, lamps: &[f64]) -> (f64, f64) {
        let rates: Vec<f64> = (80..=480).map(|b| b as f64 / 120.0).collect();
        let l = Likelihood::new(&Spectrum::new(x), &rates, frame_rate, lamps);
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
    fn a_fourth_harmonic_that_a_slow_camera_folds_is_no_pulse() {
        // 4 × 200 a minute appear at 100 at 15 frames a second, with a tenth of the power.
        let (fast, slow) = (pulse(200.0, 0.0, 1.0), pulse(100.0, 0.0, 0.0));
        let both: Vec<f64> = fast.iter().zip(&slow).map(|(f, s)| f + 0.63 * s).collect();
        let (found, evidence) = best_at(&both, 15.0, &[]);
        assert!((found - 200.0).abs() < 4.0 && evidence > 10.0, "{found} {evidence}");
        let (found, _) = best_at(&both, 30.0, &[]);
        assert!((found - 100.0).abs() < 4.0, "{found}");
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
    fn a_rate_that_a_lamp_hides_is_told_by_its_harmonic_as_well_as_twice_the_rate() {
        let rates: Vec<f64> = (80..=480).map(|b| b as f64 / 120.0).collect();
        let spectrum = Spectrum::new(&pulse(100.0, 0.45, 1.0));
        let lit = Likelihood::new(&spectrum, &rates, 30.0, &[1.75]);
        let at = |l: &Likelihood, bpm: f64| l.rates[(2.0 * bpm) as usize - 80];
        let (own, twice) = (at(&lit, 100.0), at(&lit, 200.0));
        assert!(own.min(twice) > 10.0_f64.max(0.7 * own.max(twice)), "{own} {twice}");
        // Nothing at any rate that has no line.
        assert!(at(&lit, 70.0) < 0.0 && at(&lit, 130.0) < 0.0);
        // A witness whom the lamp does not deceive decides.
        let mut heard = lit.clone();
        heard.hear(&Likelihood::new(&Spectrum::new(&pulse(100.0, 0.2, 2.0)), &rates, 30.0, &[]));
        let best = (0..rates.len()).max_by(|a, b| heard.rates[*a].total_cmp(&heard.rates[*b]));
        assert!((60.0 * rates[best.unwrap()] - 100.0).abs() < 4.0, "{best:?}");
    }

    #[test]
    fn a_witness_alone_proves_nothing() {
        for bpm in [45.0, 72.0, 150.0, 230.0] {
            let tracker = Tracker::new(40.0 / 60.0, 4.0);
            let witness = Spectrum::new(&pulse(bpm, 0.3, 0.0));
            let mut none = Likelihood { rates: vec![0.0; tracker.rates().len()] };
            none.hear(&Likelihood::new(&witness, tracker.rates(), 30.0, &[]));
            assert!(none.evidence() > 2.0 && none.evidence() < SIGNIFICANT, "{}", none.evidence());
        }
    }

    #[test]
    fn noise_gives_little_evidence() {
        let (_, evidence) = best(&pulse(60.0, 0.0, 1000.0));
        assert!(evidence < 6.0, "{evidence}");
    }
}
