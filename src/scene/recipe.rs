//! What training clips are made of, and how often: the distributions behind
//! [`Clip`](super::clip::Clip).

use serde::Serialize;

use super::camera::Camera;
use super::light;
use super::motion::{Path, Strength};
use super::portrait::{Sitter, Tint, portrait};
use super::procedural::{Look, SKIN_TONES, Shapes};
use super::pulse::{Pulse, random_bpm};
use super::render::Pose;
use super::texture::Texture;
use super::tracker::Tracker;
use super::{chance, log_uniform, uniform};
use crate::facecrop::area::{PixelRect, crop_rect};

/// Which clips are drawn. The two sets share no seed and no portrait; the drawn faces of validation
/// have wider proportions, and all of them move in another way.
pub type Set = Shapes;

/// What is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    Portrait,
    Procedural,
    Wall,
}

/// Time of a frame, seconds.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// When the picture was taken.
    pub taken: f64,
    /// What its timestamp says.
    pub stamped: f64,
}

/// Frame times.
#[derive(Clone, Debug)]
pub struct Timing {
    /// Nominal frame rate.
    pub fps: f64,
    /// Timestamps jitter or err, or frames are missing.
    pub uneven: bool,
    pub moments: Vec<Moment>,
}

/// Where the face is in each frame, and what is cropped.
#[derive(Clone, Debug)]
pub struct Framing {
    /// In pixels of the rendered canvas, which just holds all crops.
    pub poses: Vec<Pose>,
    pub crops: Vec<PixelRect>,
    /// Width and height of the canvas.
    pub size: (usize, usize),
    pub face_width: f64,
}

pub fn random_subject(rng: &mut fastrand::Rng, set: Set) -> Subject {
    let portraits = if set == Set::Training { 0.4 } else { 0.3 };
    match rng.f64() {
        u if u < 0.03 => Subject::Wall,
        u if u < 0.03 + portraits => Subject::Portrait,
        _ => Subject::Procedural,
    }
}

/// The face and its skin tone, 1..6.
pub fn random_texture(
    rng: &mut fastrand::Rng,
    subject: Subject,
    set: Set,
) -> (Option<Texture>, usize) {
    match subject {
        Subject::Wall => (None, 0),
        Subject::Procedural => {
            let look = Look::random(rng, set);
            (Some(look.draw(rng)), look.tone)
        }
        Subject::Portrait => {
            let tone = rng.usize(1..=6);
            // The portraits' own skin is of type II.
            let skin = std::array::from_fn(|c| SKIN_TONES[tone - 1][c] / SKIN_TONES[1][c]);
            let shade = uniform(rng, 0.2, 1.1);
            let hair = std::array::from_fn(|_| (shade * uniform(rng, 0.9, 1.1)) as f32);
            let sitter = if set == Set::Training { Sitter::Collins } else { Sitter::Hopper };
            let mut texture = portrait(sitter, rng.u64(..), Tint { skin, hair });
            if rng.bool() {
                texture.flip();
            }
            (Some(texture), tone)
        }
    }
}

/// How long a clip is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Length {
    /// Pairs of frames.
    Pairs(usize),
    Seconds(f64),
}

/// Frame times: one more than there are pairs.
pub fn random_timing(rng: &mut fastrand::Rng, length: Length) -> Timing {
    let rates = [15.0, 20.0, 24.0, 25.0, 30_000.0 / 1001.0, 30.0, 30.0, 30.0, 50.0, 60.0];
    let fps = rates[rng.usize(..rates.len())];
    let n = 1 + match length {
        Length::Pairs(pairs) => pairs,
        Length::Seconds(seconds) => (seconds * fps).round() as usize,
    };
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
    Timing { fps, uneven: jitter + missing + error > 0.0, moments }
}

/// A pulse and its amplitude (a fraction of green). A quarter of the faces to learn from, one in
/// seven of the others and all walls have none.
pub fn random_pulse(rng: &mut fastrand::Rng, subject: Subject, set: Set) -> Option<(Pulse, f64)> {
    let lifeless = if set == Set::Training { 0.25 } else { 0.14 };
    if subject == Subject::Wall || chance(rng, lifeless) {
        return None;
    }
    let bpm = random_bpm(rng);
    Some((Pulse::random(rng, bpm), log_uniform(rng, 0.0018, 0.018)))
}

/// The light. What has no pulse gets more of the kinds that look like one, and so do the clips to
/// learn from.
pub fn random_light(rng: &mut fastrand::Rng, alive: bool, set: Set) -> light::Kind {
    let deceptive = match (set, alive) {
        (Set::Training, true) => 0.25,
        (Set::Training, false) => 0.7,
        (Set::Validation, true) => 0.0,
        (Set::Validation, false) => 0.5,
    };
    if chance(rng, deceptive) { light::Kind::deceptive(rng) } else { light::Kind::random(rng) }
}

/// By how much, and up to how many Hz, a highlight glitters. A spot that gets brighter and darker on
/// a lifeless face has been read as a pulse: what is learnt from has more of it.
pub fn glitter(set: Set) -> (f64, f64) {
    match set {
        Set::Training => (0.25, 4.0),
        Set::Validation => (0.1, 2.0),
    }
}

/// What a clip's pictures show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// As much as the crops need: for tensors.
    Crops,
    /// The whole picture of a camera, width and height in pixels: for videos.
    Frame(usize, usize),
}

/// Movement and crops. Small faces are frequent: they are what wide views give, and they cost
/// little.
pub fn random_framing(
    rng: &mut fastrand::Rng,
    (set, view): (Set, View),
    motion: Strength,
    texture: Option<&Texture>,
    moments: &[Moment],
) -> Framing {
    let face_width = log_uniform(rng, 60.0, 220.0);
    let path = match set {
        Set::Training => Path::random(rng, motion),
        Set::Validation => Path::wandering(rng, motion),
    };
    let texture_width = texture.map_or(1.0, |t| t.face[2] as f64);
    let mut poses = random_poses(rng, &path, moments, face_width, texture_width);
    let (crops, origin, size) = match view {
        View::Crops => random_crops(rng, texture, moments, &poses, face_width),
        View::Frame(w, h) => (Vec::new(), random_origin(rng, (w, h), face_width), (w, h)),
    };
    poses.iter_mut().for_each(|p| (p.x, p.y) = (p.x - origin.0, p.y - origin.1));
    Framing { poses, crops, size, face_width }
}

/// The picture's corner as seen from a face that is in its middle third or so.
fn random_origin(rng: &mut fastrand::Rng, (w, h): (usize, usize), face_width: f64) -> (f64, f64) {
    let mut place = |size: usize, margin: f64| {
        let free = (size as f64 / 2.0 - margin * face_width).max(0.0);
        -(size as f64 / 2.0 + free * uniform(rng, -0.6, 0.6))
    };
    (place(w, 0.75), place(h, 0.85))
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
    let world = (40.0 * face_width) as usize;
    let middle =
        (random_place(rng, world as f64, face_width), random_place(rng, world as f64, face_width));
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
            let face = tracker.follow(m.taken, [x + middle.0, y + middle.1, w, h]);
            crop_rect(face, margin, world, world)
        })
        .collect();
    let left = crops.iter().map(|r| r.x).min().unwrap_or(0);
    let top = crops.iter().map(|r| r.y).min().unwrap_or(0);
    let right = crops.iter().map(|r| r.x + r.w).max().unwrap_or(1);
    let bottom = crops.iter().map(|r| r.y + r.h).max().unwrap_or(1);
    // Whole blocks: encoders want even sizes, and libjpeg fills up others with whatever lies there.
    let size = ((right - left).next_multiple_of(16), (bottom - top).next_multiple_of(16));
    crops.iter_mut().for_each(|r| (r.x, r.y) = (r.x - left, r.y - top));
    (crops, (left as f64 - middle.0, top as f64 - middle.1), size)
}

/// Where along one side of a picture a face is: one in twelve so close to an edge that the crop,
/// which stays in the picture, is not centred on the face; else far from any.
fn random_place(rng: &mut fastrand::Rng, world: f64, face_width: f64) -> f64 {
    let edge = face_width * uniform(rng, 0.45, 0.9);
    match rng.u32(..24) {
        0 => edge,
        1 => world - edge,
        _ => world / 2.0,
    }
}

/// Brightness and white balance. The camera's exposure makes up for half of what a skin tone
/// (0: none) is darker than another.
pub fn random_base(rng: &mut fastrand::Rng, tone: usize) -> [f64; 3] {
    let skin = if tone > 0 { SKIN_TONES[tone - 1][1] as f64 } else { 130.0 };
    let brightness = uniform(rng, 0.4, 1.12) * (130.0 / skin).sqrt();
    let odd = chance(rng, 0.15);
    std::array::from_fn(|_| {
        brightness * if odd { uniform(rng, 0.6, 1.3) } else { uniform(rng, 0.88, 1.12) }
    })
}

pub fn random_camera(rng: &mut fastrand::Rng) -> Camera {
    Camera {
        bend: uniform(rng, -0.3, 0.3) as f32,
        noise: log_uniform(rng, 0.3, 3.0) as f32,
        seed: rng.u64(..),
    }
}
