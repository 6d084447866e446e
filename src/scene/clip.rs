//! One training clip: everything drawn from one seed, rendered around the face only.

use serde::Serialize;

use super::backdrop::{self, FloatImage};
use super::camera::Camera;
use super::codec::Codec;
use super::light::{self, Light};
use super::motion::{Path, Strength};
use super::portrait::portrait;
use super::procedural::{Look, SKIN_TONES, Shapes};
use super::pulse::{Pulse, random_bpm};
use super::render::{self, BLOOD_COLOUR, Expression, Layer, Pose};
use super::signal::Signal;
use super::texture::Texture;
use super::tracker::Tracker;
use super::{chance, log_uniform, uniform};
use crate::facecrop::area::{PixelRect, crop_rect};

/// Which clips are drawn. The two sets share no seed; validation has drawn faces only, of wider
/// proportions, moving in another way.
pub type Set = Shapes;

/// What is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    Portrait,
    Procedural,
    Wall,
}

/// What a clip is made of, for tables.
#[derive(Clone, Debug, Serialize)]
pub struct Attributes {
    pub seed: u64,
    pub subject: Subject,
    /// Fitzpatrick type 1..6; 0 where there is no face.
    pub skin_tone: usize,
    pub motion: &'static str,
    pub light: &'static str,
    /// Grey levels a pixel.
    pub noise: f64,
    /// Quantiser step of the codec, grey levels; 0 without codec.
    pub codec: f64,
    /// Peak modulation of green on mean skin, fraction; 0 in negative clips.
    pub amplitude: f64,
    pub fps: f64,
    /// Timestamps jitter or frames are missing.
    pub uneven: bool,
    /// Pixels.
    pub face_width: f64,
    /// Mean rate; 0 in negative clips.
    pub bpm: f64,
    /// There is no pulse to be read.
    pub negative: bool,
}

/// Frame times, seconds.
#[derive(Clone, Copy, Debug)]
struct Moment {
    /// When the picture was taken.
    taken: f64,
    /// What its timestamp says.
    stamped: f64,
}

/// A clip, ready to be rendered. Frame 0 is the one before the first pair.
pub struct Clip {
    pub attributes: Attributes,
    moments: Vec<Moment>,
    /// Crop of frame i and of frame i − 1 in the pair that ends with frame i, in canvas pixels.
    crops: Vec<PixelRect>,
    face: Option<Face>,
    light: Light,
    camera: Camera,
    codec: Option<Codec>,
    canvas: FloatImage,
    picture: FloatImage,
    /// Place of rest and width of the face, canvas pixels.
    rest: (f64, f64, f64),
}

struct Face {
    texture: Texture,
    poses: Vec<Pose>,
    pulse: Option<Pulse>,
    /// Amplitude in R, G, B.
    blood: [f64; 3],
    talk: Signal,
    /// Seconds between blinks, and where in between time 0 is.
    blink: (f64, f64),
}

impl Clip {
    /// Draws the clip of `seed`: `pairs` pairs of frames.
    pub fn new(seed: u64, set: Set, pairs: usize) -> Clip {
        let salt = if set == Set::Training { 0 } else { 0x7661_6c69_6400_0000 };
        let mut rng = fastrand::Rng::with_seed(seed ^ salt);
        let rng = &mut rng;
        let subject = random_subject(rng, set);
        let negative = subject == Subject::Wall || chance(rng, 0.09);
        let (fps, uneven, moments) = random_moments(rng, pairs + 1);
        let motion = Strength::random(rng);
        let kind = light::Kind::random(rng);
        // Small faces are frequent: they are what wide views give, and they cost little.
        let face_width = log_uniform(rng, 60.0, 220.0);
        let (texture, tone) = random_texture(rng, subject, set);
        let path = match set {
            Set::Training => Path::random(rng, motion),
            Set::Validation => Path::wandering(rng, motion),
        };
        let texture_width = texture.as_ref().map_or(1.0, |t| t.face[2] as f64);
        let mut poses = random_poses(rng, &path, &moments, face_width, texture_width);
        let (crops, origin, size) =
            random_crops(rng, texture.as_ref(), &moments, &poses, face_width);
        poses.iter_mut().for_each(|p| (p.x, p.y) = (p.x - origin.0, p.y - origin.1));
        let amplitude = if negative { 0.0 } else { log_uniform(rng, 0.0018, 0.018) };
        let pulse = (!negative).then(|| {
            let bpm = random_bpm(rng);
            Pulse::random(rng, bpm)
        });
        let middle = moments[pairs / 2].taken;
        let bpm = pulse.as_ref().map_or(0.0, |p| p.bpm(middle));
        let rest = (poses[0].x, poses[0].y, face_width);
        let base = random_base(rng);
        let light = Light::random(rng, kind, base);
        let camera = random_camera(rng);
        let (step, codec) = random_codec(rng);
        let canvas = backdrop::random(rng, size.0, size.1);
        let face = texture.map(|texture| Face::random(rng, texture, poses, pulse, amplitude));
        let attributes = Attributes {
            seed,
            subject,
            skin_tone: tone,
            motion: motion.name(),
            light: kind.name(),
            noise: camera.noise as f64,
            codec: step,
            amplitude,
            fps,
            uneven,
            face_width,
            bpm,
            negative,
        };
        let picture = canvas.clone();
        Clip { attributes, moments, crops, face, light, camera, codec, canvas, picture, rest }
    }

    /// Pairs of frames.
    pub fn pairs(&self) -> usize {
        self.moments.len() - 1
    }

    /// Size of the rendered picture in pixels.
    pub fn size(&self) -> (usize, usize) {
        (self.canvas.width, self.canvas.height)
    }

    /// The rectangle with which both frames of the pair that ends with `frame` are cropped.
    pub fn crop(&self, frame: usize) -> PixelRect {
        self.crops[frame]
    }

    /// Timestamp of `frame`, seconds.
    pub fn time(&self, frame: usize) -> f64 {
        self.moments[frame].stamped
    }

    /// Pulse wave at `frame`; 0 in negative clips.
    pub fn wave(&self, frame: usize) -> f64 {
        self.pulse().map_or(0.0, |p| p.wave(self.moments[frame].taken))
    }

    /// Rate at `frame`, beats per minute; 0 in negative clips.
    pub fn bpm(&self, frame: usize) -> f64 {
        self.pulse().map_or(0.0, |p| p.bpm(self.moments[frame].taken))
    }

    /// Change of the wave per second in the middle of the pair that ends with `frame`, from 1.
    pub fn label(&self, frame: usize) -> f64 {
        let middle = 0.5 * (self.moments[frame - 1].taken + self.moments[frame].taken);
        self.pulse().map_or(0.0, |p| p.derivative(middle))
    }

    fn pulse(&self) -> Option<&Pulse> {
        self.face.as_ref()?.pulse.as_ref()
    }

    /// Renders `frame` as packed RGB. Frames must be asked for in order: the codec remembers.
    pub fn render(&mut self, frame: usize, out: &mut Vec<u8>) {
        let t = self.moments[frame].taken;
        let (w, h) = self.size();
        let (x, y, width) = self.rest;
        let light = self.light.at(t, x, y, width);
        self.picture.data.copy_from_slice(&self.canvas.data);
        if let Some(face) = &self.face {
            let expression = face.expression(t, light.shine);
            let layer = Layer::new(&face.texture, &face.poses[frame], expression, (w, h));
            render::draw(&mut self.picture, &layer);
        }
        light.apply(&mut self.picture);
        self.camera.take(&mut self.picture, frame as u64, out);
        if let Some(codec) = &mut self.codec {
            codec.pass(out, w, h);
        }
    }
}

impl Face {
    fn random(
        rng: &mut fastrand::Rng,
        texture: Texture,
        poses: Vec<Pose>,
        pulse: Option<Pulse>,
        amplitude: f64,
    ) -> Face {
        let mut blood = BLOOD_COLOUR.map(|v| v * uniform(rng, 0.88, 1.12));
        let strongest = blood.iter().copied().fold(0.0, f64::max);
        blood.iter_mut().for_each(|v| *v *= amplitude / strongest);
        let mut talk = Signal::default();
        if chance(rng, 0.2) {
            talk.noise(uniform(rng, 0.2, 1.0), uniform(rng, 3.0, 9.0), rng);
            talk.noise(0.4, 0.5, rng);
        }
        let blink = (uniform(rng, 1.5, 8.0), rng.f64());
        Face { texture, poses, pulse, blood, talk, blink }
    }

    fn expression(&self, t: f64, shine: f32) -> Expression {
        let wave = self.pulse.as_ref().map_or(0.0, |p| p.wave(t));
        // A blink takes a seventh of a second.
        let phase = (t / self.blink.0 + self.blink.1).rem_euclid(1.0) * self.blink.0;
        let lids = (1.0 - (phase / 0.07 - 1.0).abs()).max(0.0);
        Expression {
            blood: self.blood.map(|k| (k * wave) as f32),
            mouth: self.talk.at(t).clamp(0.0, 1.0) as f32,
            lids: lids as f32,
            shine,
        }
    }
}

fn random_subject(rng: &mut fastrand::Rng, set: Set) -> Subject {
    match rng.f64() {
        u if u < 0.03 => Subject::Wall,
        u if u < 0.48 && set == Set::Training => Subject::Portrait,
        _ => Subject::Procedural,
    }
}

/// The face and its skin tone, 1..6.
fn random_texture(rng: &mut fastrand::Rng, subject: Subject, set: Set) -> (Option<Texture>, usize) {
    match subject {
        Subject::Wall => (None, 0),
        Subject::Procedural => {
            let look = Look::random(rng, set);
            (Some(look.draw(rng)), look.tone)
        }
        Subject::Portrait => {
            let tone = rng.usize(1..=6);
            // The portrait's own skin is of type II.
            let tint = std::array::from_fn(|c| SKIN_TONES[tone - 1][c] / SKIN_TONES[1][c]);
            let mut texture = portrait(rng.u64(..), tint);
            if rng.bool() {
                texture.flip();
            }
            (Some(texture), tone)
        }
    }
}

/// Frame rate, whether times are uneven, and `n` frame times from 0.
fn random_moments(rng: &mut fastrand::Rng, n: usize) -> (f64, bool, Vec<Moment>) {
    let rates = [15.0, 20.0, 24.0, 25.0, 30_000.0 / 1001.0, 30.0, 30.0, 30.0, 50.0, 60.0];
    let fps = rates[rng.usize(..rates.len())];
    let jitter = if chance(rng, 0.3) { uniform(rng, 0.02, 0.3) / fps } else { 0.0 };
    let missing = if chance(rng, 0.2) { log_uniform(rng, 0.01, 0.12) } else { 0.0 };
    let error = if chance(rng, 0.15) { uniform(rng, 0.0, 0.1) / fps } else { 0.0 };
    let mut number = 0u32;
    let moments = (0..n).map(|_| {
        number += 1;
        while chance(rng, missing) {
            number += 1;
        }
        let taken = number as f64 / fps + jitter * uniform(rng, -1.0, 1.0);
        Moment { taken, stamped: taken + error * uniform(rng, -1.0, 1.0) }
    });
    let moments = moments.collect();
    (fps, jitter + missing + error > 0.0, moments)
}

/// Poses in the pixels of an endless picture around (0, 0).
fn random_poses(
    rng: &mut fastrand::Rng,
    path: &Path,
    moments: &[Moment],
    face_width: f64,
    texture_width: f64,
) -> Vec<Pose> {
    let tilt = 0.12 * uniform(rng, -1.0, 1.0);
    let (x, y) = (rng.f64(), rng.f64());
    let pose = |m: &Moment| {
        let offset = path.at(m.taken);
        Pose {
            x: x + offset.x * face_width,
            y: y + offset.y * face_width,
            scale: offset.scale * face_width / texture_width,
            angle: tilt + offset.angle,
        }
    };
    moments.iter().map(pose).collect()
}

/// Crop rectangles as the tracker makes them, in pixels of a canvas that just holds them all, with
/// the canvas's origin and size.
fn random_crops(
    rng: &mut fastrand::Rng,
    texture: Option<&Texture>,
    moments: &[Moment],
    poses: &[Pose],
    face_width: f64,
) -> (Vec<PixelRect>, (f64, f64), (usize, usize)) {
    // Far larger than any crop, so that no crop meets its edge.
    let world = (40.0 * face_width) as usize;
    let middle = world as f64 / 2.0;
    let margin = if rng.bool() { 0.3 } else { uniform(rng, 0.2, 0.45) };
    let mut tracker = Tracker::random(rng);
    let mut crops: Vec<PixelRect> = moments
        .iter()
        .zip(poses)
        .map(|(m, pose)| {
            let [x, y, w, h] = match texture {
                Some(texture) => pose.face_box(texture),
                None => [
                    pose.x - face_width / 2.0,
                    pose.y - 0.6 * face_width,
                    face_width,
                    1.2 * face_width,
                ],
            };
            let face = tracker.follow(m.taken, [x + middle, y + middle, w, h]);
            crop_rect(face, margin, world, world)
        })
        .collect();
    let left = crops.iter().map(|r| r.x).min().unwrap_or(0);
    let top = crops.iter().map(|r| r.y).min().unwrap_or(0);
    let right = crops.iter().map(|r| r.x + r.w).max().unwrap_or(1);
    let bottom = crops.iter().map(|r| r.y + r.h).max().unwrap_or(1);
    crops.iter_mut().for_each(|r| (r.x, r.y) = (r.x - left, r.y - top));
    (crops, (left as f64 - middle, top as f64 - middle), (right - left, bottom - top))
}

/// Brightness and white balance.
fn random_base(rng: &mut fastrand::Rng) -> [f64; 3] {
    let brightness = uniform(rng, 0.4, 1.12);
    let odd = chance(rng, 0.15);
    std::array::from_fn(|_| {
        if odd { uniform(rng, 0.5, 1.15) } else { brightness * uniform(rng, 0.88, 1.12) }
    })
}

fn random_camera(rng: &mut fastrand::Rng) -> Camera {
    Camera {
        bend: uniform(rng, -0.3, 0.3) as f32,
        noise: log_uniform(rng, 0.3, 3.0) as f32,
        seed: rng.u64(..),
    }
}

/// A third of the clips are compressed; two fifths of these frame by frame.
fn random_codec(rng: &mut fastrand::Rng) -> (f64, Option<Codec>) {
    if !chance(rng, 1.0 / 3.0) {
        return (0.0, None);
    }
    let step = log_uniform(rng, 1.5, 10.0);
    let intra_every = if chance(rng, 0.4) { 1 } else { rng.u32(12..250) };
    (step, Some(Codec::new(step as f32, intra_every)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean green of the pair's crop.
    fn green(rgb: &[u8], width: usize, rect: PixelRect) -> f64 {
        let row = |y: usize| &rgb[3 * (y * width + rect.x)..][..3 * rect.w];
        let rows = rect.y..rect.y + rect.h;
        let sum: u64 = rows.flat_map(|y| row(y).chunks_exact(3)).map(|p| p[1] as u64).sum();
        sum as f64 / (rect.w * rect.h) as f64
    }

    #[test]
    fn clips_repeat_and_the_sets_differ() {
        let first = |seed, set| {
            let mut clip = Clip::new(seed, set, 3);
            let mut rgb = Vec::new();
            clip.render(0, &mut rgb);
            (rgb, serde_json::to_string(&clip.attributes).unwrap())
        };
        let clip = first(5, Set::Training);
        assert_eq!(clip, first(5, Set::Training));
        assert_ne!(clip.0, first(6, Set::Training).0);
        assert_ne!(clip.0, first(5, Set::Validation).0);
    }

    #[test]
    fn shares_are_as_documented() {
        let clips: Vec<Attributes> =
            (0..300).map(|seed| Clip::new(seed, Set::Training, 2).attributes).collect();
        let share = |f: &dyn Fn(&Attributes) -> bool| {
            clips.iter().filter(|a| f(a)).count() as f64 / clips.len() as f64
        };
        assert!((0.07..0.18).contains(&share(&|a| a.negative)));
        assert!((0.35..0.55).contains(&share(&|a| a.subject == Subject::Portrait)));
        for tone in 1..=6 {
            assert!((0.08..0.26).contains(&share(&|a| a.skin_tone == tone)), "{tone}");
        }
        for clip in clips.iter().filter(|a| !a.negative) {
            assert!((35.0..255.0).contains(&clip.bpm), "{}", clip.bpm);
            assert!((0.0018..=0.018).contains(&clip.amplitude));
        }
    }

    /// The pulse darkens the crop's mean by a part of its amplitude that fits the share of skin.
    #[test]
    fn the_pulse_is_in_the_picture() {
        let mut seen = 0;
        for seed in 0..200 {
            let mut clip = Clip::new(seed, Set::Training, 60);
            let a = clip.attributes.clone();
            let calm = a.motion == "none" && a.light == "steady" && a.codec == 0.0;
            if a.negative || !calm || !clip.face.as_ref().unwrap().talk.is_zero() {
                continue;
            }
            clip.light = Light::steady([0.8; 3]);
            clip.face.as_mut().unwrap().blink = (1e9, 0.5);
            let (mut rgb, width) = (Vec::new(), clip.size().0);
            let (mut sww, mut swg, mut mean) = (0.0, 0.0, 0.0);
            let waves: Vec<f64> = (0..=60).map(|i| clip.wave(i)).collect();
            let middle = waves.iter().sum::<f64>() / 61.0;
            for (i, wave) in waves.iter().enumerate() {
                clip.render(i, &mut rgb);
                let value = green(&rgb, width, clip.crop(1));
                sww += (wave - middle) * (wave - middle);
                swg += (wave - middle) * value;
                mean += value / 61.0;
            }
            let depth = -swg / sww / mean / a.amplitude;
            assert!((0.08..1.0).contains(&depth), "seed {seed}: {depth} {a:?}");
            seen += 1;
        }
        assert!(seen >= 3, "{seen}");
    }
}
