//! The beat: a rate over time, its phase, and the wave of blood volume.

use std::f64::consts::TAU;

use super::{chance, uniform};

/// The rate that is asked for, beats per minute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    Constant(f64),
    /// `from` until time 0, then straight to `to` within `seconds`, then `to`.
    Ramp {
        from: f64,
        to: f64,
        seconds: f64,
    },
}

impl Rate {
    /// Beats per minute at `t` seconds.
    pub fn bpm(&self, t: f64) -> f64 {
        match *self {
            Rate::Constant(bpm) => bpm,
            Rate::Ramp { from, to, seconds } => from + (to - from) * (t / seconds).clamp(0.0, 1.0),
        }
    }

    /// Beats since time 0: the integral of the rate.
    fn beats(&self, t: f64) -> f64 {
        match *self {
            Rate::Constant(bpm) => bpm * t / 60.0,
            Rate::Ramp { from, to, seconds } => {
                let inside = t.clamp(0.0, seconds);
                let ramp = from * inside + (to - from) * inside * inside / (2.0 * seconds);
                (from * t.min(0.0) + ramp + to * (t - seconds).max(0.0)) / 60.0
            }
        }
    }
}

/// A slow sine on top of the rate or of the amplitude.
#[derive(Clone, Copy, Debug)]
struct Wobble {
    depth: f64,
    hz: f64,
    phase: f64,
}

impl Wobble {
    fn at(&self, t: f64) -> f64 {
        self.depth * (TAU * self.hz * t + self.phase).sin()
    }

    /// Integral over time of [`Wobble::at`].
    fn integral(&self, t: f64) -> f64 {
        -self.depth / (TAU * self.hz) * (TAU * self.hz * t + self.phase).cos()
    }
}

/// Amplitudes and phases of the second and third harmonic against the first.
type Harmonics = [(f64, f64); 2];

/// A pulse as a function of time.
///
/// The phase is the integral of the rate (with drift and breathing arrhythmia), so that the rate
/// at any moment is known exactly. The wave has a steep rise and a dicrotic shoulder; 1 is the
/// systolic peak: most blood, darkest skin.
#[derive(Clone, Debug)]
pub struct Pulse {
    rate: Rate,
    /// Beats per minute on top of the rate.
    arrhythmia: Vec<Wobble>,
    /// Fraction of the amplitude.
    modulation: Vec<Wobble>,
    harmonics: Harmonics,
    /// Beats at time 0.
    start: f64,
    /// Makes the largest value of the plain wave 1.
    scale: f64,
}

impl Pulse {
    /// A regular pulse of the usual shape: rate exactly as asked, amplitude unmodulated.
    pub fn regular(rate: Rate, start: f64) -> Pulse {
        Pulse::new(rate, start, [(0.4, -0.5), (0.12, -0.5)])
    }

    fn new(rate: Rate, start: f64, harmonics: Harmonics) -> Pulse {
        let peak = (0..256).map(|i| shape(&harmonics, i as f64 / 256.0).abs()).fold(0.0, f64::max);
        let (arrhythmia, modulation) = (Vec::new(), Vec::new());
        Pulse { rate, arrhythmia, modulation, harmonics, start, scale: 1.0 / peak }
    }

    /// A random pulse around `bpm`: drift, breathing in rate and amplitude, its own shape.
    pub fn random(rng: &mut fastrand::Rng, bpm: f64) -> Pulse {
        // Harmonics of fast pulses are weaker: the vessels low-pass them.
        let fade = (90.0 / bpm).clamp(0.35, 1.0);
        let second = (fade * uniform(rng, 0.15, 0.55), uniform(rng, -0.9, 0.2));
        let third = (fade * uniform(rng, 0.0, 0.22), uniform(rng, -1.1, 0.4));
        let mut pulse = Pulse::new(random_rate(rng, bpm), rng.f64(), [second, third]);
        let mut wobble = |depth: f64, from: f64, to: f64| Wobble {
            depth: depth * rng.f64(),
            hz: uniform(rng, from, to),
            phase: uniform(rng, 0.0, TAU),
        };
        pulse.arrhythmia.push(wobble(0.03 * bpm, 0.01, 0.06));
        pulse.arrhythmia.push(wobble(0.05 * bpm, 0.12, 0.4));
        pulse.modulation.push(wobble(0.25, 0.12, 0.4));
        pulse.modulation.push(wobble(0.2, 0.02, 0.1));
        pulse
    }

    /// Beats per minute at `t` seconds.
    pub fn bpm(&self, t: f64) -> f64 {
        self.rate.bpm(t) + self.arrhythmia.iter().map(|w| w.at(t)).sum::<f64>()
    }

    /// Blood volume at `t` seconds, about −1..1.
    pub fn wave(&self, t: f64) -> f64 {
        let wobbles: f64 = self.arrhythmia.iter().map(|w| w.integral(t)).sum();
        let beats = self.start + self.rate.beats(t) + wobbles / 60.0;
        let amplitude = 1.0 + self.modulation.iter().map(|w| w.at(t)).sum::<f64>();
        amplitude * self.scale * shape(&self.harmonics, beats)
    }

    /// Change of [`Pulse::wave`] per second.
    pub fn derivative(&self, t: f64) -> f64 {
        const H: f64 = 1e-5;
        (self.wave(t + H) - self.wave(t - H)) / (2.0 * H)
    }
}

/// Three quarters hold their rate, the others speed up or slow down by up to 1 bpm a second.
fn random_rate(rng: &mut fastrand::Rng, bpm: f64) -> Rate {
    if !chance(rng, 0.25) {
        return Rate::Constant(bpm);
    }
    let seconds = uniform(rng, 10.0, 20.0);
    let change = uniform(rng, -1.0, 1.0) * seconds * (bpm / 90.0).min(1.0);
    Rate::Ramp { from: bpm, to: (bpm + change).clamp(40.0, 240.0), seconds }
}

/// The wave at `beats` (period 1): like the first terms of a falling sawtooth, a steep rise at 0.
fn shape(harmonics: &Harmonics, beats: f64) -> f64 {
    let phase = TAU * beats.rem_euclid(1.0);
    let [(a2, p2), (a3, p3)] = *harmonics;
    phase.sin() + a2 * (2.0 * phase + p2).sin() + a3 * (3.0 * phase + p3).sin()
}

/// A rate for training, 40 to 240 bpm: mostly uniform in 45..180, with tails.
pub fn random_bpm(rng: &mut fastrand::Rng) -> f64 {
    match rng.f64() {
        u if u < 0.74 => uniform(rng, 45.0, 180.0),
        u if u < 0.84 => uniform(rng, 40.0, 60.0),
        _ => uniform(rng, 150.0, 240.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wave_follows_the_rate() {
        let mut rng = fastrand::Rng::with_seed(1);
        for bpm in [40.0, 72.0, 240.0] {
            let pulse = Pulse::random(&mut rng, bpm);
            // Beats counted on the phase, rate integrated by hand.
            let (mut beats, dt) = (0.0, 1e-3);
            let mut rises = 0;
            for i in 0..30_000 {
                let t = i as f64 * dt;
                beats += pulse.bpm(t + dt / 2.0) * dt / 60.0;
                rises += (pulse.wave(t) < -0.3 && pulse.wave(t + dt) >= -0.3) as u32;
            }
            assert!((beats - rises as f64).abs() < 1.5, "{bpm}: {beats} {rises}");
        }
    }

    #[test]
    fn a_ramp_is_continuous() {
        let rate = Rate::Ramp { from: 60.0, to: 120.0, seconds: 60.0 };
        assert_eq!((rate.bpm(-1.0), rate.bpm(30.0), rate.bpm(99.0)), (60.0, 90.0, 120.0));
        assert_eq!((rate.beats(-2.0), rate.beats(60.0), rate.beats(61.0)), (-2.0, 90.0, 92.0));
    }

    #[test]
    fn a_regular_wave_fills_its_range() {
        let pulse = Pulse::regular(Rate::Constant(60.0), 0.0);
        let wave: Vec<f64> = (0..1000).map(|i| pulse.wave(i as f64 / 1000.0)).collect();
        let max = wave.iter().copied().fold(f64::MIN, f64::max);
        let min = wave.iter().copied().fold(f64::MAX, f64::min);
        assert!((max - 1.0).abs() < 1e-3 && (-1.0..-0.7).contains(&min), "{min} {max}");
    }
}
