//! What changes from frame to frame beside the pulse.

use super::estimator::Config;
use super::resample::{Integral, SPARE, Sample};

/// The running sum of such changes, sampled where the pulse is.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    level: f64,
    samples: Integral,
}

impl Beside {
    /// Adds the `change` over the pair of frames of which the sample `pulse` was made; what is no
    /// number is no change.
    pub fn push(&mut self, pulse: Sample, change: f32, of: &Config) {
        let change = if change.is_finite() { f64::from(change) } else { 0.0 };
        self.level += change;
        // Of samples whose interval is not known few are missing.
        let since = || self.samples.end().map(|end| pulse.time - end);
        let rate = change / pulse.interval.or_else(since).filter(|i| *i > 0.0).unwrap_or(1.0);
        // As the pulse's samples are: rates of change, or the thing itself.
        let value = if of.derivative { rate } else { self.level };
        self.samples.push(Sample { value, ..pulse });
        self.samples.trim(of.window + SPARE);
    }

    /// The sum where [`Integral::wave`] has the pulse.
    pub fn wave(&self, of: &Config) -> Vec<f64> {
        self.samples.wave(of.window, of.derivative)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_without_intervals_give_the_same_sum() {
        let wave = |known: bool| {
            let mut beside = Beside::default();
            for i in 1..=150 {
                let (time, value) = (f64::from(i) / 30.0, 0.0);
                let interval = known.then_some(1.0 / 30.0);
                let change = if i % 10 < 5 { 0.01 } else { -0.01 };
                beside.push(Sample { time, value, interval }, change, &Config::default());
            }
            beside.wave(&Config::default())
        };
        let swing = |wave: &[f64]| {
            let (low, high) =
                wave[10..].iter().fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(*v), b.max(*v)));
            high - low
        };
        // Five steps up and five down.
        for known in [true, false] {
            let swing = swing(&wave(known));
            assert!((swing - 0.05).abs() < 0.005, "{known}: {swing}");
        }
    }
}
