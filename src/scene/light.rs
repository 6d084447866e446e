//! What falls on the scene: face and backdrop alike.

use std::f64::consts::TAU;

use super::backdrop::FloatImage;
use super::signal::Signal;
use super::{chance, log_uniform, smoothstep, uniform};

/// The soft edge of a shadow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shade {
    /// Unit vector across the edge.
    pub normal: [f32; 2],
    /// Where the edge stands along `normal`, and half its width, in pixels.
    pub position: f32,
    pub width: f32,
    /// Fraction of the light that is missing on the far side.
    pub depth: f32,
}

/// Light at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Illumination {
    /// Factor on R, G, B.
    pub gain: [f32; 3],
    pub shade: Option<Shade>,
    /// Grey levels of the specular layer at its strongest.
    pub shine: f32,
}

impl Default for Illumination {
    fn default() -> Self {
        Illumination { gain: [1.0; 3], shade: None, shine: 0.0 }
    }
}

impl Illumination {
    /// Whether it leaves a picture as it is.
    pub fn is_neutral(&self) -> bool {
        self.gain == [1.0; 3] && self.shade.is_none()
    }

    /// Lights a picture.
    pub fn apply(&self, image: &mut FloatImage) {
        (0..image.height).for_each(|y| self.apply_row(image.row_mut(y), 0, y));
    }

    /// Lights `row`, which holds the pixels of line `y` from column `start` on.
    pub fn apply_row(&self, row: &mut [f32], start: usize, y: usize) {
        match self.shade {
            _ if self.is_neutral() => {}
            None => row.chunks_exact_mut(3).for_each(|p| (0..3).for_each(|c| p[c] *= self.gain[c])),
            Some(shade) => self.apply_shade(row, shade, start as f32, y as f32),
        }
    }

    fn apply_shade(&self, row: &mut [f32], shade: Shade, x: f32, y: f32) {
        let start = shade.normal[0] * x + shade.normal[1] * y - shade.position;
        for (i, pixel) in row.chunks_exact_mut(3).enumerate() {
            let along = start + shade.normal[0] * i as f32;
            let factor = 1.0 - shade.depth * smoothstep(-shade.width, shade.width, along);
            (0..3).for_each(|c| pixel[c] *= self.gain[c] * factor);
        }
    }
}

/// A shadow that moves.
#[derive(Clone, Debug)]
struct MovingShade {
    angle: f64,
    depth: f64,
    /// Position of the edge in face widths from the face's centre, and half its width.
    position: Signal,
    start: f64,
    width: f64,
}

/// Light as a function of time.
#[derive(Clone, Debug)]
pub struct Light {
    base: [f64; 3],
    /// Relative change of all colours, and of each.
    level: Signal,
    colours: [Signal; 3],
    shade: Option<MovingShade>,
    shine: f64,
    shimmer: Signal,
}

/// Classes of light, for tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Steady,
    Drift,
    Flicker,
    Periodic,
    Steps,
    Shade,
}

impl Kind {
    pub fn random(rng: &mut fastrand::Rng) -> Kind {
        match rng.f64() {
            u if u < 0.35 => Kind::Steady,
            u if u < 0.55 => Kind::Drift,
            u if u < 0.67 => Kind::Flicker,
            u if u < 0.79 => Kind::Periodic,
            u if u < 0.88 => Kind::Steps,
            _ => Kind::Shade,
        }
    }

    /// What could be taken for a pulse where there is none.
    pub fn deceptive(rng: &mut fastrand::Rng) -> Kind {
        match rng.f64() {
            u if u < 0.5 => Kind::Periodic,
            u if u < 0.67 => Kind::Flicker,
            u if u < 0.83 => Kind::Steps,
            _ => Kind::Shade,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Kind::Steady => "steady",
            Kind::Drift => "drift",
            Kind::Flicker => "flicker",
            Kind::Periodic => "periodic",
            Kind::Steps => "steps",
            Kind::Shade => "shade",
        }
    }
}

impl Light {
    /// Constant light: a factor on R, G and B.
    pub fn steady(base: [f64; 3]) -> Light {
        let colours = Default::default();
        Light {
            base,
            level: Signal::default(),
            colours,
            shade: None,
            shine: 0.0,
            shimmer: Signal::default(),
        }
    }

    /// A light of a kind; `base` as in [`Light::steady`]. The highlight glitters by up to `glitter`, a
    /// fraction and Hz.
    pub fn random(
        rng: &mut fastrand::Rng,
        kind: Kind,
        base: [f64; 3],
        glitter: (f64, f64),
    ) -> Light {
        let mut light = Light::steady(base);
        light.shine = if chance(rng, 0.6) { log_uniform(rng, 4.0, 50.0) } else { 0.0 };
        light.shimmer.sines(uniform(rng, 0.0, glitter.0), 3, 0.05, glitter.1, rng);
        match kind {
            Kind::Steady => {}
            Kind::Drift => light.drift(rng),
            Kind::Flicker => light.flicker(rng),
            Kind::Periodic => {
                let depth = log_uniform(rng, 0.002, 0.03);
                let hz = uniform(rng, 0.7, 4.0);
                light.beat(rng, depth, hz);
            }
            Kind::Steps => {
                let (depth, hz) = (log_uniform(rng, 0.01, 0.15), uniform(rng, 0.1, 0.6));
                light.level.steps(depth, hz, log_uniform(rng, 0.02, 0.6), rng);
            }
            Kind::Shade => light.shade = Some(MovingShade::random(rng)),
        }
        light
    }

    /// Slow changes of brightness and of each colour.
    pub fn drift(&mut self, rng: &mut fastrand::Rng) {
        let depth = log_uniform(rng, 0.01, 0.15);
        self.level.sines(depth, 3, 0.02, 0.4, rng);
        let tint = log_uniform(rng, 0.003, 0.03);
        self.colours.iter_mut().for_each(|colour| colour.sines(tint, 2, 0.02, 0.3, rng));
    }

    /// Lamps on the mains, seen through a shutter: 100 or 120 Hz and what beats with the frames.
    pub fn flicker(&mut self, rng: &mut fastrand::Rng) {
        let mains = if rng.bool() { 100.0 } else { 120.0 };
        let (depth, hz) = (log_uniform(rng, 0.002, 0.03), mains + uniform(rng, -0.3, 0.3));
        self.level.sine(depth, hz, rng);
        self.level.noise(0.5 * depth, uniform(rng, 5.0, 20.0), rng);
    }

    /// A lamp that pulses by ±`depth` at `hz`.
    pub fn beat(&mut self, rng: &mut fastrand::Rng, depth: f64, hz: f64) {
        self.level.sine(depth, hz, rng);
    }

    /// Exposure that jumps, as a camera's control does: up to ±`depth`, every `seconds`.
    pub fn step(&mut self, rng: &mut fastrand::Rng, depth: f64, seconds: f64) {
        self.level.steps(depth, 1.0 / seconds, 0.1, rng);
    }

    /// Light at `t` seconds on a face whose place of rest is (x, y) and `face_width` pixels wide.
    pub fn at(&self, t: f64, x: f64, y: f64, face_width: f64) -> Illumination {
        let level = 1.0 + self.level.at(t);
        let gain = std::array::from_fn(|c| {
            (self.base[c] * level * (1.0 + self.colours[c].at(t))).max(0.0) as f32
        });
        let shade = self.shade.as_ref().map(|s| s.at(t, x, y, face_width));
        let shine = (self.shine * (1.0 + self.shimmer.at(t))).max(0.0) as f32;
        Illumination { gain, shade, shine }
    }
}

impl MovingShade {
    fn random(rng: &mut fastrand::Rng) -> MovingShade {
        let mut position = Signal::default();
        let amplitude = uniform(rng, 0.1, 0.8);
        position.sines(amplitude, 2, 0.03, 0.6, rng);
        position.sines(0.05 * amplitude, 2, 0.6, 3.0, rng);
        MovingShade {
            angle: uniform(rng, 0.0, TAU),
            depth: uniform(rng, 0.05, 0.5),
            position,
            start: uniform(rng, -0.5, 0.5),
            width: log_uniform(rng, 0.05, 0.8),
        }
    }

    fn at(&self, t: f64, x: f64, y: f64, face_width: f64) -> Shade {
        let (sin, cos) = self.angle.sin_cos();
        let along = (self.start + self.position.at(t)) * face_width;
        Shade {
            normal: [cos as f32, sin as f32],
            position: (cos * x + sin * y + along) as f32,
            width: (self.width * face_width) as f32,
            depth: self.depth as f32,
        }
    }
}
