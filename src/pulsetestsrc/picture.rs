//! The test picture: faces before a canvas, a function of time and settings only.

use super::rates::MAX_FACES;
use super::{Light as LightKind, Motion, Subject};
use crate::scene::backdrop::{self, FloatImage};
use crate::scene::camera::FrameNoise;
use crate::scene::light::{Illumination, Light};
use crate::scene::motion::{self, Offset, Path, Strength};
use crate::scene::portrait::{Sitter, Tint, portrait};
use crate::scene::pulse::{Pulse, Rate};
use crate::scene::render::{BLOOD_COLOUR, Expression, Layer, Pose};
use crate::scene::texture::Texture;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    pub width: usize,
    pub height: usize,
    /// One face each.
    pub rates: Vec<Rate>,
    /// Peak modulation of green on mean skin, a fraction; 0 for lifeless faces.
    pub amplitude: f64,
    pub motion: Motion,
    /// Standard deviation per pixel and colour, grey levels.
    pub noise: f64,
    pub light: LightKind,
    pub seed: u64,
    pub subject: Subject,
}

/// Height of a single face, as a share of the picture's.
const FACE_HEIGHT: f64 = 0.34;

/// Texels that a head with its hair is wide.
const HEAD_WIDTH: f64 = 155.0;

/// Texels by which the portrait's lower edge is hidden below the picture.
const BELOW: f64 = 16.0;

/// Colours of each face against the portrait's. The hair is darker: the blond crown is a face of
/// its own to the detector.
const TINTS: [Tint; MAX_FACES] = [
    Tint { skin: [1.0, 1.0, 1.0], hair: [0.45, 0.41, 0.38] },
    Tint { skin: [0.8, 0.72, 0.66], hair: [0.3, 0.28, 0.28] },
    Tint { skin: [0.92, 0.88, 0.83], hair: [0.36, 0.27, 0.22] },
    Tint { skin: [0.68, 0.56, 0.5], hair: [0.22, 0.22, 0.24] },
];

/// Grey levels of the noise that stands in for a picture.
const NOISE_PICTURE: f64 = 40.0;

/// Light that is left when it is dim.
const DIM: f64 = 0.12;

struct Face {
    texture: Texture,
    rest: Pose,
    path: Path,
    pulse: Pulse,
}

/// The truth about one face.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Truth {
    /// Face box (x, y, w, h) in pixels.
    pub area: [f64; 4],
    /// Beats per minute; 0 for a lifeless face.
    pub bpm: f64,
    /// Pulse wave, −1..1; 0 for a lifeless face.
    pub pulse: f64,
}

/// Rows of the backdrop as it is kept; larger pictures repeat its pixels, which are smooth.
const BACKDROP_ROWS: usize = 1080;

/// What stands behind the faces.
struct Backdrop {
    image: FloatImage,
    /// Pixels of the picture, in each direction, that show one of the image.
    factor: usize,
}

impl Backdrop {
    fn new(rng: &mut fastrand::Rng, options: &Options) -> Backdrop {
        let factor = options.height.max(options.width / 2).div_ceil(BACKDROP_ROWS);
        let (width, height) = (options.width.div_ceil(factor), options.height.div_ceil(factor));
        let image = match options.subject {
            Subject::Noise => grey(width, height),
            _ => backdrop::canvas(rng, width, height, (0.08 * height as f32).max(2.0)),
        };
        Backdrop { image, factor }
    }

    /// Writes the columns from `start` of line `y`.
    fn read_row(&self, y: usize, start: usize, row: &mut [f32]) {
        let source = self.image.row(y / self.factor);
        if self.factor == 1 {
            row.copy_from_slice(&source[3 * start..][..row.len()]);
            return;
        }
        for (i, pixel) in row.chunks_exact_mut(3).enumerate() {
            pixel.copy_from_slice(&source[3 * ((start + i) / self.factor)..][..3]);
        }
    }
}

/// A picture that changes with time.
pub struct Picture {
    options: Options,
    backdrop: Backdrop,
    faces: Vec<Face>,
    light: Light,
}

impl Picture {
    /// Prepares a picture.
    pub fn new(options: Options) -> Picture {
        let mut rng = fastrand::Rng::with_seed(options.seed ^ 0x7075_6c73_6574_6573);
        let backdrop = Backdrop::new(&mut rng, &options);
        let light = make_light(&mut rng, options.light);
        let n = if options.subject == Subject::Portrait { options.rates.len() } else { 0 };
        let faces = (0..n).map(|i| Face::new(&mut rng, &options, i)).collect();
        Picture { options, backdrop, faces, light }
    }

    /// The frame at `nanoseconds`.
    pub fn at(&self, nanoseconds: u64) -> Frame<'_> {
        let t = nanoseconds as f64 / 1e9;
        let size = (self.options.width, self.options.height);
        let layers = self.faces.iter().enumerate().map(|(i, face)| {
            let wave = self.wave(face, t);
            let blood = BLOOD_COLOUR.map(|c| (c * self.options.amplitude * wave) as f32);
            let expression = Expression { blood, ..Default::default() };
            Layer::new(&face.texture, &self.pose(i, t), expression, size)
        });
        let deviation = match self.options.subject {
            Subject::Noise => self.options.noise.max(NOISE_PICTURE),
            _ => self.options.noise,
        };
        Frame {
            backdrop: &self.backdrop,
            layers: layers.collect(),
            light: self.light.at(t, 0.0, 0.0, 1.0),
            noise: FrameNoise::new(self.options.seed, nanoseconds, deviation as f32),
            noisy: deviation > 0.0,
        }
    }

    /// The truth at `nanoseconds`, one entry a face.
    pub fn truth(&self, nanoseconds: u64) -> Vec<Truth> {
        let t = nanoseconds as f64 / 1e9;
        let truth = |(i, face): (usize, &Face)| Truth {
            area: self.pose(i, t).face_box(&face.texture),
            bpm: if self.options.amplitude > 0.0 { face.pulse.bpm(t) } else { 0.0 },
            pulse: self.wave(face, t),
        };
        self.faces.iter().enumerate().map(truth).collect()
    }

    fn wave(&self, face: &Face, t: f64) -> f64 {
        if self.options.amplitude > 0.0 { face.pulse.wave(t) } else { 0.0 }
    }

    /// Where face `i` is at `t` seconds.
    fn pose(&self, i: usize, t: f64) -> Pose {
        let face = &self.faces[i];
        let Offset { x, y, angle, scale } = face.path.at(t);
        let rest = face.rest;
        let face_width = rest.scale * face.texture.face[2] as f64;
        let slot = self.options.width as f64 / self.faces.len() as f64;
        let way = match self.options.motion {
            Motion::Carry => (motion::carry(t) - 0.5) * (slot - 1.2 * face_width).max(0.0),
            Motion::Leave if i + 1 == self.faces.len() => {
                let out = self.options.width as f64 - rest.x;
                motion::leave(t) * (out + rest.scale * face.texture.width as f64)
            }
            _ => 0.0,
        };
        Pose {
            x: rest.x + way + x * face_width,
            y: rest.y + y * face_width,
            scale: rest.scale * scale,
            angle,
        }
    }
}

impl Face {
    /// Face `i`: in its place side by side with the others, mirrored and of another skin.
    fn new(rng: &mut fastrand::Rng, options: &Options, i: usize) -> Face {
        let mut texture = portrait(Sitter::Collins, rng.u64(..), TINTS[i % TINTS.len()]);
        if i % 2 == 1 {
            texture.flip();
        }
        let (width, height) = (options.width as f64, options.height as f64);
        let slot = width / options.rates.len() as f64;
        let [_, y, _, h] = texture.face.map(f64::from);
        let scale = (FACE_HEIGHT * height / h).min(slot / HEAD_WIDTH);
        let below = texture.height as f64 - BELOW - (y + h / 2.0);
        let rest =
            Pose { x: slot * (i as f64 + 0.5), y: height - below * scale, scale, angle: 0.0 };
        let path = match options.motion {
            Motion::Still | Motion::Carry | Motion::Leave => Path::default(),
            Motion::Slight => Path::random(rng, Strength::Slight),
            Motion::Moderate => Path::random(rng, Strength::Moderate),
            Motion::Strong => Path::random(rng, Strength::Strong),
        };
        Face { texture, rest, path, pulse: Pulse::regular(options.rates[i], rng.f64()) }
    }
}

fn grey(width: usize, height: usize) -> FloatImage {
    let mut image = FloatImage::new(width, height);
    image.data.fill(128.0);
    image
}

fn make_light(rng: &mut fastrand::Rng, kind: LightKind) -> Light {
    let level = if kind == LightKind::Dim { DIM } else { 1.0 };
    let mut light = Light::steady([level; 3]);
    match kind {
        LightKind::Steady | LightKind::Dim => {}
        LightKind::Drift => light.drift(rng),
        LightKind::Flicker => light.flicker(rng),
        LightKind::Step => light.step(rng, 0.12, 3.0),
        LightKind::Beat => light.beat(rng, 0.02, 1.2),
    }
    light
}

/// One moment of a picture, read row by row.
pub struct Frame<'a> {
    backdrop: &'a Backdrop,
    layers: Vec<Layer<'a>>,
    light: Illumination,
    noise: FrameNoise,
    noisy: bool,
}

impl Frame<'_> {
    /// Whether all outside of [`Frame::touched`] is the bare backdrop.
    pub fn is_plain(&self) -> bool {
        !self.noisy && self.light.is_neutral()
    }

    /// The columns of line `y` that faces may cover, as a range; empty where there is none.
    pub fn touched(&self, y: usize) -> std::ops::Range<usize> {
        let rows = self.layers.iter().map(|l| l.region);
        let here = rows.filter(|r| r.w > 0 && y >= r.y && y < r.y + r.h);
        here.fold(0..0, |all, r| match all.is_empty() {
            true => r.x..r.x + r.w,
            false => all.start.min(r.x)..all.end.max(r.x + r.w),
        })
    }

    /// Writes the columns `x` of line `y` to `row`, interleaved RGB in grey levels. Noise is drawn
    /// line after line: a frame with noise is read once, from the top, whole lines.
    pub fn read_row(&mut self, y: usize, x: std::ops::Range<usize>, row: &mut [f32]) {
        self.backdrop.read_row(y, x.start, row);
        self.layers.iter().for_each(|layer| layer.draw(row, x.start, y));
        self.light.apply_row(row, x.start, y);
        self.noise.add(row);
    }

    /// Writes the backdrop alone.
    pub fn read_backdrop(&self, y: usize, row: &mut [f32]) {
        self.backdrop.read_row(y, 0, row);
    }
}
