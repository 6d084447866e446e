//! Random functions of time that can be asked for at any moment.

use std::f64::consts::TAU;

use super::{log_uniform, uniform};

/// One part of a [`Signal`].
#[derive(Clone, Debug)]
enum Part {
    /// amplitude · sin(2π · hz · t + phase)
    Sine { amplitude: f64, hz: f64, phase: f64 },
    /// Smooth noise: random values `hz` times a second, cubic between them.
    Noise { amplitude: f64, hz: f64, seed: u64 },
    /// A random level held between changes, `hz` of them a second, each `ramp` seconds long.
    Steps { amplitude: f64, hz: f64, ramp: f64, seed: u64 },
}

/// A sum of sines, smooth noise and steps. The default is 0 for ever.
#[derive(Clone, Debug, Default)]
pub struct Signal {
    parts: Vec<Part>,
}

/// A value in −1..1 that depends on `seed` and `index` only.
fn lattice(seed: u64, index: i64) -> f64 {
    // SplitMix64, the finaliser of its step.
    let mut z = seed.wrapping_add((index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

impl Part {
    fn at(&self, t: f64) -> f64 {
        match *self {
            Part::Sine { amplitude, hz, phase } => amplitude * (TAU * hz * t + phase).sin(),
            Part::Noise { amplitude, hz, seed } => {
                let x = t * hz;
                let (i, f) = (x.floor() as i64, x - x.floor());
                let (a, b) = (lattice(seed, i), lattice(seed, i + 1));
                amplitude * (a + (b - a) * f * f * (3.0 - 2.0 * f))
            }
            Part::Steps { amplitude, hz, ramp, seed } => {
                let x = t * hz;
                let (i, f) = (x.floor() as i64, (x - x.floor()) / hz);
                let (a, b) = (lattice(seed, i - 1), lattice(seed, i));
                amplitude * (a + (b - a) * (f / ramp).min(1.0))
            }
        }
    }
}

impl Signal {
    /// Value at `t` seconds.
    pub fn at(&self, t: f64) -> f64 {
        self.parts.iter().map(|p| p.at(t)).sum()
    }

    /// Adds one sine of a random phase.
    pub fn sine(&mut self, amplitude: f64, hz: f64, rng: &mut fastrand::Rng) {
        self.parts.push(Part::Sine { amplitude, hz, phase: uniform(rng, 0.0, TAU) });
    }

    /// Adds `n` sines of random frequencies between `from` and `to` Hz, together of the root mean
    /// square of one sine of `amplitude`.
    pub fn sines(&mut self, amplitude: f64, n: usize, from: f64, to: f64, rng: &mut fastrand::Rng) {
        for _ in 0..n {
            let hz = log_uniform(rng, from, to);
            self.sine(amplitude / (n as f64).sqrt(), hz, rng);
        }
    }

    /// Adds smooth noise with `hz` random values a second.
    pub fn noise(&mut self, amplitude: f64, hz: f64, rng: &mut fastrand::Rng) {
        self.parts.push(Part::Noise { amplitude, hz, seed: rng.u64(..) });
    }

    /// Adds levels that change `hz` times a second within `ramp` seconds.
    pub fn steps(&mut self, amplitude: f64, hz: f64, ramp: f64, rng: &mut fastrand::Rng) {
        self.parts.push(Part::Steps { amplitude, hz, ramp, seed: rng.u64(..) });
    }

    pub fn is_zero(&self) -> bool {
        self.parts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_bounded_continuous_and_repeatable() {
        let build = || {
            let mut rng = fastrand::Rng::with_seed(3);
            let mut signal = Signal::default();
            signal.sines(1.0, 4, 0.5, 3.0, &mut rng);
            signal.noise(1.0, 2.0, &mut rng);
            signal.steps(1.0, 0.5, 0.3, &mut rng);
            signal
        };
        let (a, b) = (build(), build());
        let mut last = a.at(-5.0);
        for i in 0..20_000 {
            let t = -5.0 + i as f64 * 1e-3;
            let value = a.at(t);
            assert_eq!(value, b.at(t));
            assert!(value.abs() <= 4.0 && (value - last).abs() < 0.1, "{t}: {last} {value}");
            last = value;
        }
    }
}
