//! The probability that a reading is right.
//!
//! A logistic regression on what the stages found. `training/calibrate.py` fits the constants
//! below from the readings that `hrnet signal --readings` writes; docs/signal.md says on which
//! signals they were fitted last.

/// What the confidence is computed from, in the order of [`WEIGHTS`] after the constant.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Features {
    /// Log-likelihood of the best pulse over that of noise alone, nats.
    pub evidence: f64,
    /// Signal-to-noise ratio over the whole window, dB.
    pub snr: f64,
    /// The lower of the ratios of the window's two halves at the same rate, dB.
    pub half_snr: f64,
    /// As `evidence`, for this very rate: the lower of the window's two halves'.
    pub half_evidence: f64,
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
    pub const NAMES: [&'static str; 7] =
        ["evidence", "snr", "half_snr", "half_evidence", "mass", "jump", "duration"];

    /// The values in the order of [`Features::NAMES`].
    pub fn values(&self) -> [f64; 7] {
        [
            self.evidence,
            self.snr,
            self.half_snr,
            self.half_evidence,
            self.mass,
            self.jump,
            self.duration,
        ]
    }

    /// What the regression sees: each value on a scale on which its effect is about linear.
    fn terms(&self) -> [f64; 7] {
        let mass = self.mass.clamp(1e-4, 1.0 - 1e-4);
        [
            self.evidence.clamp(0.0, 200.0).sqrt(),
            self.snr.clamp(-15.0, 15.0),
            self.half_snr.clamp(-15.0, 15.0),
            (3.0 + self.half_evidence.clamp(-3.0, 100.0)).sqrt(),
            (mass / (1.0 - mass)).ln(),
            (1.0 + self.jump.clamp(0.0, 30.0)).ln(),
            (self.duration.max(1.0) / 10.0).ln(),
        ]
    }
}

/// Constant, then one weight a term. Written by training/calibrate.py.
const WEIGHTS: [f64; 8] = [-2.0, 0.5, 0.2, 0.2, 0.1, 0.1, -0.5, 0.0];

/// Probability, 0..1, that the reading lies within 5 bpm of the truth.
pub fn confidence(features: &Features) -> f64 {
    let terms = features.terms();
    let sum: f64 = WEIGHTS[1..].iter().zip(terms).map(|(w, x)| w * x).sum();
    1.0 / (1.0 + (-(WEIGHTS[0] + sum)).exp())
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
            half_evidence: 15.0,
            mass: 0.99,
            jump: 0.5,
            duration: 10.0,
        };
        assert!(confidence(&clean) > 0.9, "{}", confidence(&clean));
        let nothing = Features { snr: -15.0, half_snr: -15.0, mass: 0.1, ..Features::default() };
        assert!(confidence(&nothing) < 0.05, "{}", confidence(&nothing));
    }
}
