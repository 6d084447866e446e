//! The probability that a reading is right.
//!
//! A logistic regression on what the stages found, and never more than the probability that there
//! is a pulse at all. `training/calibrate.py` fits the constants below from the readings that
//! `hrnet signal --readings` writes; docs/signal.md says on which signals they were fitted last.

/// What is known of a reading. The confidence uses `snr`, `half_snr` and `mass`; the others are
/// there to be looked at and refitted with.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Features {
    /// Log-likelihood of the best pulse over that of noise alone, nats.
    pub evidence: f64,
    /// Signal-to-noise ratio over the whole window, dB.
    pub snr: f64,
    /// The lower of the ratios of the window's two halves at the same rate, dB.
    pub half_snr: f64,
    /// Probability that continuity over time leaves to the rate ±5 bpm, no pulse being one of the
    /// possibilities.
    pub mass: f64,
    /// Difference from the reading before, bpm; 0 for the first.
    pub jump: f64,
    /// Seconds of signal.
    pub duration: f64,
}

impl Features {
    /// Names for a table's head, in order.
    pub const NAMES: [&'static str; 6] =
        ["evidence", "snr", "half_snr", "mass", "jump", "duration"];

    /// The values in the order of [`Features::NAMES`].
    pub fn values(&self) -> [f64; 6] {
        [self.evidence, self.snr, self.half_snr, self.mass, self.jump, self.duration]
    }

    /// What the regression sees, each on a scale on which its effect is about linear.
    fn terms(&self) -> [f64; 3] {
        let mass = self.mass.clamp(1e-4, 1.0 - 1e-4);
        [self.half_snr.clamp(-15.0, 15.0), (mass / (1.0 - mass)).ln(), self.snr.clamp(-15.0, 15.0)]
    }
}

/// Constant, then one weight a term. Written by training/calibrate.py.
const WEIGHTS: [f64; 4] = [-0.7611, 0.0539, 0.3079, 0.2723];

/// Probability, 0..1, that the reading lies within 5 bpm of the truth.
pub fn confidence(features: &Features) -> f64 {
    let sum: f64 = WEIGHTS[1..].iter().zip(features.terms()).map(|(w, x)| w * x).sum();
    let right = 1.0 / (1.0 + (-(WEIGHTS[0] + sum)).exp());
    right.min(features.mass)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clean_pulse_is_believed_and_nothing_is_not() {
        let clean = Features {
            evidence: 60.0,
            snr: 12.0,
            half_snr: 8.0,
            mass: 0.99,
            jump: 0.5,
            duration: 10.0,
        };
        assert!(confidence(&clean) > 0.9, "{}", confidence(&clean));
        let nothing = Features { snr: -15.0, half_snr: -15.0, mass: 0.01, ..Features::default() };
        assert!(confidence(&nothing) < 0.05, "{}", confidence(&nothing));
    }
}
