//! The probability that a reading is right.
//!
//! A logistic regression on what the stages found; a reading that a rule distrusts has the share of
//! such readings that were right. `training/calibrate.py` fits the constants below from the readings
//! that `hrnet evaluate` and `hrnet signal` write with `--readings`; docs/signal.md says on which
//! signals they were fitted last.

use super::chirp::SIGNIFICANT;

/// What is known of a reading. The confidence uses all but `jump` and `duration`; these
/// are there to be looked at and refitted with.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Features {
    /// Log-likelihood of the best pulse over that of noise alone, the mean colour being heard,
    /// nats.
    pub evidence: f64,
    /// Signal-to-noise ratio over the whole window, dB.
    pub snr: f64,
    /// The lower of the ratios of the window's two halves at the same rate, dB.
    pub half_snr: f64,
    /// Probability that continuity over time leaves to the rate ±5 bpm, no pulse being one of the
    /// possibilities.
    pub mass: f64,
    /// The same by what the whole face shows, its quiet places not being heard.
    pub proof: f64,
    /// Difference from the reading before, bpm; 0 for the first.
    pub jump: f64,
    /// Seconds of signal.
    pub duration: f64,
    /// The light around the face pulses, at this rate or another.
    pub lamp: bool,
    /// No rule speaks against it: the rate has its peak, and is neither flicker's nor the light's nor the
    /// movement's.
    pub trusted: bool,
}

impl Features {
    /// Names for a table's head, in order.
    pub const NAMES: [&'static str; 9] =
        ["evidence", "snr", "half_snr", "mass", "proof", "jump", "duration", "lamp", "trusted"];

    /// The values in the order of [`Features::NAMES`].
    pub fn values(&self) -> [f64; 9] {
        let [lamp, trusted] = [self.lamp, self.trusted].map(f64::from);
        let Features { evidence, snr, half_snr, mass, proof, jump, duration, .. } = *self;
        [evidence, snr, half_snr, mass, proof, jump, duration, lamp, trusted]
    }

    /// The `proof` from which on a pulse is proven.
    fn probable(&self) -> f64 {
        match (self.lamp, self.snr < 0.0) {
            (true, _) => PROBABLE_BESIDE_LAMP,
            (false, true) => PROBABLE_BELOW_NOISE,
            (false, false) => PROBABLE,
        }
    }

    /// What the regression sees, each on a scale on which its effect is about linear.
    fn terms(&self) -> [f64; 3] {
        let mass = self.mass.clamp(1e-4, 1.0 - 1e-4);
        let odds = (mass / (1.0 - mass)).ln();
        [self.half_snr.clamp(-15.0, 15.0), odds.min(UNLIKELY), odds.max(UNLIKELY)]
    }
}

/// Logarithm of the odds of the mass (one to twenty) below which they count by another weight.
const UNLIKELY: f64 = -3.0;
/// Constant, then one weight a term. Written by training/calibrate.py.
const WEIGHTS: [f64; 4] = [3.5941, 0.0729, 0.5645, 0.4552];
/// The share of the distrusted readings that are right. Likewise.
const DISTRUSTED: f64 = 0.25;

/// What a reading has at most while a pulse is not proven: smooth noise and drifts have clean lines
/// for a window.
const UNPROVEN: f64 = 0.89;
/// Proven is what is three times as probable as not ([`Features::proof`]) and what network and mean
/// colour have significant [`Features::evidence`] for in the window itself.
const PROBABLE: f64 = 0.75;
/// Nine times where the pulse has less power than the rest of the band (SNR below 0 dB).
const PROBABLE_BELOW_NOISE: f64 = 0.9;
/// Nineteen times beside a lamp that pulses: codec and network make other lines of its own.
const PROBABLE_BESIDE_LAMP: f64 = 0.95;

/// Probability, 0..1, that the reading lies within 5 bpm of the truth.
pub fn confidence(features: &Features) -> f64 {
    if !features.trusted {
        return DISTRUSTED;
    }
    let sum: f64 = WEIGHTS[1..].iter().zip(features.terms()).map(|(w, x)| w * x).sum();
    let right = 1.0 / (1.0 + (-(WEIGHTS[0] + sum)).exp());
    let proven = features.proof >= features.probable() && features.evidence >= SIGNIFICANT;
    if proven { right } else { right.min(UNPROVEN) }
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
            proof: 0.99,
            jump: 0.5,
            duration: 10.0,
            lamp: false,
            trusted: true,
        };
        assert!(confidence(&clean) > 0.95, "{}", confidence(&clean));
        let nothing = Features { snr: -15.0, half_snr: -15.0, mass: 0.001, ..clean };
        assert!(confidence(&nothing) < 0.3, "{}", confidence(&nothing));
        assert_eq!(confidence(&Features { proof: 0.7, ..clean }), UNPROVEN);
        assert_eq!(confidence(&Features { evidence: 4.0, ..clean }), UNPROVEN);
        let lit = Features { lamp: true, ..clean };
        assert_eq!(confidence(&lit), confidence(&clean));
        assert_eq!(confidence(&Features { proof: 0.94, ..lit }), UNPROVEN);
        assert_eq!(confidence(&Features { trusted: false, ..clean }), DISTRUSTED);
    }
}
