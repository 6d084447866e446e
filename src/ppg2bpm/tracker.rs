//! Continuity of the rate over time.
//!
//! A forward (Bayes) filter over rates that are evenly spaced in the logarithm. Hearts change
//! their rate by a few per cent a second and, rarely, what looked like the rate was not it.

use super::likelihood::Likelihood;

/// Spacing of the rates: half a per cent.
const STEP: f64 = 0.005;
/// Standard deviation of the rate's change in one second: 2 bpm at rest, the steepest that the
/// onset of effort makes; 10 % within ten seconds.
const CHANGE: f64 = 0.03;
/// Probability a second that the rate may be anything.
const OUTLIER: f64 = 1e-4;
/// Windows overlap, so a window's likelihood may count only in the share of it that is new; this
/// multiple of that share (the memory is that much longer).
const MEMORY: f64 = 2.0;
/// Rates of people before anything is known: around 75 bpm (in Hz), 60 to 100 being the normal
/// range of adults at rest and half or twice as much rare; and a tenth of that for any rate.
const USUAL: f64 = 75.0 / 60.0;
const USUAL_SPREAD: f64 = 0.4;
const UNUSUAL: f64 = 0.1;
/// Probability that there is a pulse before anything is known, and what it returns to within this
/// many seconds of ignorance.
const PRESENCE: f64 = 0.03;
const PRESENCE_MEMORY: f64 = 30.0;
/// Share of the present window's likelihood in a reading, the rest of which is in the prior.
const PRESENT: f64 = 0.5;

/// 5 bpm in Hz.
const NEAR: f64 = 5.0 / 60.0;

/// The filter's state for one face.
#[derive(Clone, Debug)]
pub struct Tracker {
    rates: Vec<f64>,
    /// Probability of each rate if nothing is known.
    prior: Vec<f64>,
    /// Probability of each rate if there is a pulse; empty before the first window.
    belief: Vec<f64>,
    /// Probability that there is a pulse.
    presence: f64,
}

impl Tracker {
    /// Follows rates of `low..=high` Hz.
    pub fn new(low: f64, high: f64) -> Tracker {
        let steps = ((high / low).ln() / STEP).ceil().max(1.0) as usize;
        let ratio = (high / low).ln() / steps as f64;
        let rates: Vec<f64> = (0..=steps).map(|i| low * (ratio * i as f64).exp()).collect();
        let usual = |r: &f64| (-0.5 * ((r / USUAL).ln() / USUAL_SPREAD).powi(2)).exp() + UNUSUAL;
        let sum: f64 = rates.iter().map(usual).sum();
        let prior = rates.iter().map(|r| usual(r) / sum).collect();
        Tracker { rates, prior, belief: Vec::new(), presence: PRESENCE }
    }

    /// The rates that likelihoods are asked for, in Hz.
    pub fn rates(&self) -> &[f64] {
        &self.rates
    }

    /// The lowest and the highest rate that is followed, in Hz.
    pub fn band(&self) -> (f64, f64) {
        (self.rates[0], self.rates[self.rates.len() - 1])
    }

    /// Takes in a window of `duration` seconds, `elapsed` seconds after the one before.
    /// `likelihood` is for [`Tracker::rates`]. Returns what is known at its end.
    pub fn update(&mut self, likelihood: &Likelihood, duration: f64, elapsed: f64) -> Tracker {
        let first = self.belief.is_empty();
        if first {
            self.belief = self.prior.clone();
            self.presence = PRESENCE;
        } else {
            self.predict(elapsed);
        }
        let new = if first { 1.0 } else { (elapsed / duration).min(1.0) };
        let present = if first { 1.0 } else { PRESENT };
        let now = self.with(likelihood, present, present);
        *self = self.with(likelihood, (MEMORY * new).min(1.0), new);
        now
    }

    /// The state after `likelihood` to the power of `rate` for the rates and of `presence` for
    /// whether there is a pulse at all.
    fn with(&self, likelihood: &Likelihood, rate: f64, presence: f64) -> Tracker {
        let (belief, _) = combine(&self.belief, &likelihood.rates, rate);
        let (_, pulse) = combine(&self.belief, &likelihood.rates, presence);
        let odds = self.presence / (1.0 - self.presence);
        let odds = odds * pulse.clamp(-50.0, 50.0).exp();
        let presence = (odds / (1.0 + odds)).clamp(1e-9, 1.0 - 1e-9);
        Tracker { rates: self.rates.clone(), prior: self.prior.clone(), belief, presence }
    }

    /// The median in Hz: the rate of the least expected error. Where there is evidence it is the most
    /// probable one; where there is hardly any, that one would jump with every breath of noise.
    pub fn rate(&self) -> f64 {
        let mut sum = 0.0;
        let middle = self.belief.iter().position(|p| {
            sum += p;
            sum >= 0.5
        });
        // No belief is a number where the likelihood was none.
        self.rates[middle.unwrap_or(self.rates.len() - 1)]
    }

    /// Probability that there is a pulse and its rate is within [`NEAR`] of `rate`.
    pub fn mass(&self, rate: f64) -> f64 {
        let near = self.rates.iter().zip(&self.belief).filter(|(r, _)| (*r - rate).abs() <= NEAR);
        self.presence * near.map(|(_, p)| p).sum::<f64>()
    }

    /// Lets `elapsed` seconds pass.
    fn predict(&mut self, elapsed: f64) {
        let width = CHANGE * elapsed.sqrt() / STEP;
        let reach = (4.0 * width).ceil() as usize;
        let kernel: Vec<f64> =
            (0..=reach).map(|i| (-0.5 * (i as f64 / width).powi(2)).exp()).collect();
        let n = self.belief.len();
        let mut next = vec![0.0; n];
        for (i, p) in self.belief.iter().enumerate().filter(|(_, p)| **p > 1e-12) {
            let range = i.saturating_sub(reach)..(i + reach + 1).min(n);
            let total: f64 = range.clone().map(|j| kernel[j.abs_diff(i)]).sum();
            for j in range {
                next[j] += p / total * kernel[j.abs_diff(i)];
            }
        }
        let outlier = (OUTLIER * elapsed).min(1.0);
        for (p, prior) in next.iter_mut().zip(&self.prior) {
            *p = (1.0 - outlier) * *p + outlier * prior;
        }
        self.belief = next;
        let stay = (-elapsed / PRESENCE_MEMORY).exp();
        self.presence = PRESENCE + (self.presence - PRESENCE) * stay;
    }
}

/// Normalised product of `prior` and likelihood to the power of `share`, and the logarithm of
/// what it was normalised by.
fn combine(prior: &[f64], likelihood: &[f64], share: f64) -> (Vec<f64>, f64) {
    let log: Vec<f64> =
        prior.iter().zip(likelihood).map(|(p, l)| p.max(1e-300).ln() + share * l).collect();
    let max = log.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut product: Vec<f64> = log.iter().map(|l| (l - max).exp()).collect();
    let sum: f64 = product.iter().sum();
    product.iter_mut().for_each(|p| *p /= sum);
    (product, max + sum.ln())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bump(tracker: &Tracker, rate: f64, height: f64) -> Likelihood {
        let bump = |r: &f64| height * (-0.5 * ((r / rate).ln() / 0.02).powi(2)).exp();
        Likelihood { rates: tracker.rates().iter().map(bump).collect() }
    }

    #[test]
    fn a_stray_window_does_not_move_it_and_a_lasting_change_does() {
        let mut tracker = Tracker::new(40.0 / 60.0, 4.0);
        let (low, high) = (bump(&tracker, 1.2, 10.0), bump(&tracker, 2.4, 10.0));
        for _ in 0..10 {
            tracker.update(&low, 10.0, 1.0);
        }
        assert!((tracker.update(&high, 10.0, 1.0).rate() - 1.2).abs() < 0.05);
        let mut seconds = 1;
        while (tracker.update(&high, 10.0, 1.0).rate() - 2.4).abs() > 0.05 {
            seconds += 1;
            assert!(seconds < 15, "sticks");
        }
    }

    #[test]
    fn no_evidence_spreads_the_belief() {
        let mut tracker = Tracker::new(40.0 / 60.0, 4.0);
        let sharp = bump(&tracker, 1.2, 20.0);
        assert!(tracker.update(&sharp, 10.0, 1.0).mass(1.2) > 0.95);
        let flat = Likelihood { rates: vec![0.0; tracker.rates().len()] };
        let mut mass = 1.0;
        for _ in 0..60 {
            mass = tracker.update(&flat, 10.0, 1.0).mass(1.2);
        }
        assert!(mass < 0.4, "{mass}");
    }
}
