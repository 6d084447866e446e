//! One training clip: everything drawn from one seed, rendered around the face only.

use serde::Serialize;

use super::backdrop::{self, FloatImage};
use super::camera::Camera;
use super::compression::{self, Codec, Compression};
use super::light::Light;
use super::motion::{Strength, Turning};
use super::occlusion::{self, Hand};
use super::pulse::Pulse;
use super::recipe::{self, Moment};
pub use super::recipe::{Length, Set, Subject, View};
use super::render::{self, BLOOD_COLOUR, Expression, Layer, Pose};
use super::signal::Signal;
use super::texture::Texture;
use super::{chance, uniform};
use crate::facecrop::area::PixelRect;

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
    /// Name of the codec that the frames go through; `none` without.
    pub codec: &'static str,
    /// Its rate; 0 without codec and for MJPEG.
    pub kbit_s: u32,
    /// What hides a part of the face.
    pub occlusion: &'static str,
    pub talks: bool,
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

/// A clip, ready to be rendered. Frame 0 is the one before the first pair.
pub struct Clip {
    pub attributes: Attributes,
    /// What the rendered frames must go through.
    pub compression: Option<Compression>,
    moments: Vec<Moment>,
    /// Crop of frame i and of frame i − 1 in the pair that ends with frame i, in canvas pixels.
    crops: Vec<PixelRect>,
    face: Option<Face>,
    light: Light,
    camera: Camera,
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
    turning: Turning,
    /// Where the light on the face comes from.
    side: [f32; 2],
    hand: Option<Hand>,
    /// Seconds between blinks, and where in between time 0 is.
    blink: (f64, f64),
}

impl Clip {
    /// Draws the clip of `seed`.
    pub fn new(seed: u64, set: Set, view: View, length: Length) -> Clip {
        let salt = if set == Set::Training { 0 } else { 0x7661_6c69_6400_0000 };
        let rng = &mut fastrand::Rng::with_seed(seed ^ salt);
        let subject = recipe::random_subject(rng, set);
        let recipe::Timing { fps, uneven, moments } = recipe::random_timing(rng, length);
        let (texture, skin_tone) = recipe::random_texture(rng, subject, set);
        let pulse = recipe::random_pulse(rng, subject, set);
        let (motion, kind) =
            (Strength::random(rng), recipe::random_light(rng, pulse.is_some(), set));
        let framing = recipe::random_framing(rng, (set, view), motion, texture.as_ref(), &moments);
        let recipe::Framing { poses, crops, size, face_width } = framing;
        let base = recipe::random_base(rng, skin_tone);
        let light = Light::random(rng, kind, base, recipe::glitter(set));
        let camera = recipe::random_camera(rng);
        let canvas = backdrop::random(rng, size.0, size.1);
        let compression = Compression::random(rng, set);
        let pixels = match view {
            View::Frame(w, h) => w * h,
            View::Crops => compression::random_pixels(rng, size.0 * size.1),
        };
        let occlusion = occlusion::Kind::random(rng);
        let mut attributes = Attributes {
            seed,
            subject,
            skin_tone,
            motion: motion.name(),
            light: kind.name(),
            noise: camera.noise as f64,
            codec: compression.map_or("none", |c| c.codec.name()),
            kbit_s: compression
                .filter(|c| c.codec != Codec::Mjpeg)
                .map_or(0, |c| c.kbit_s(pixels, fps)),
            occlusion: if texture.is_some() { occlusion.name() } else { "none" },
            talks: false,
            amplitude: pulse.as_ref().map_or(0.0, |p| p.1),
            fps,
            uneven,
            face_width,
            bpm: pulse.as_ref().map_or(0.0, |p| p.0.bpm(moments[moments.len() / 2].taken)),
            negative: pulse.is_none(),
        };
        let rest = (poses[0].x, poses[0].y, face_width);
        let face = texture.map(|mut texture| {
            occlusion.wear(&mut texture, rng);
            let mut face = Face::random(rng, texture, poses, pulse);
            face.turning = Turning::random(rng, motion);
            face.hand = (occlusion == occlusion::Kind::Hand).then(|| face.random_hand(rng));
            face
        });
        attributes.talks = face.as_ref().is_some_and(|f| !f.talk.is_zero());
        let picture = canvas.clone();
        Clip { attributes, compression, moments, crops, face, light, camera, canvas, picture, rest }
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

    /// Pulse wave `t` seconds after frame 0's timestamp; 0 in negative clips.
    pub fn wave_at(&self, t: f64) -> f64 {
        self.pulse().map_or(0.0, |p| p.wave(self.moments[0].stamped + t))
    }

    /// Change of the wave per second in the middle of the pair that ends with `frame`, from 1.
    pub fn label(&self, frame: usize) -> f64 {
        let middle = 0.5 * (self.moments[frame - 1].taken + self.moments[frame].taken);
        self.pulse().map_or(0.0, |p| p.derivative(middle))
    }

    fn pulse(&self) -> Option<&Pulse> {
        self.face.as_ref()?.pulse.as_ref()
    }

    /// Renders `frame` as packed RGB, not compressed.
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
            if let Some(hand) = &face.hand {
                let pose = &face.poses[frame];
                hand.draw(&mut self.picture, t, pose.x, pose.y, width);
            }
        }
        light.apply(&mut self.picture);
        self.camera.take(&mut self.picture, frame as u64, out);
    }
}

impl Face {
    fn random(
        rng: &mut fastrand::Rng,
        texture: Texture,
        poses: Vec<Pose>,
        pulse: Option<(Pulse, f64)>,
    ) -> Face {
        let (pulse, amplitude) = pulse.unzip();
        let mut blood = BLOOD_COLOUR.map(|v| v * uniform(rng, 0.88, 1.12));
        let strongest = blood.iter().copied().fold(0.0, f64::max);
        blood.iter_mut().for_each(|v| *v *= amplitude.unwrap_or(0.0) / strongest);
        let mut talk = Signal::default();
        if chance(rng, 0.3) {
            talk.noise(uniform(rng, 0.2, 1.0), uniform(rng, 3.0, 9.0), rng);
            talk.noise(0.4, 0.5, rng);
        }
        let blink = (uniform(rng, 1.5, 8.0), rng.f64());
        let side = [uniform(rng, -0.8, 0.8) as f32, uniform(rng, -0.8, 0.2) as f32];
        let turning = Turning::default();
        Face { texture, poses, pulse, blood, talk, turning, side, hand: None, blink }
    }

    /// A hand, in half of the cases of about the face's colour.
    fn random_hand(&self, rng: &mut fastrand::Rng) -> Hand {
        let [x, y, w, h] = self.texture.face.map(|v| v as usize);
        let cheek = self.texture.texels[(y + 3 * h / 5) * self.texture.width + x + w / 4];
        Hand::random(rng, [cheek[0], cheek[1], cheek[2]])
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
            turn: self.turning.at(t),
            side: self.side,
        }
    }
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
            let mut clip = Clip::new(seed, set, View::Crops, Length::Pairs(3));
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
        let clips: Vec<Attributes> = (0..300)
            .map(|seed| Clip::new(seed, Set::Training, View::Crops, Length::Pairs(2)).attributes)
            .collect();
        let share = |f: &dyn Fn(&Attributes) -> bool| {
            clips.iter().filter(|a| f(a)).count() as f64 / clips.len() as f64
        };
        assert!((0.2..0.35).contains(&share(&|a| a.negative)));
        assert!((0.32..0.48).contains(&share(&|a| a.subject == Subject::Portrait)));
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
        for seed in 0..300 {
            let mut clip = Clip::new(seed, Set::Training, View::Crops, Length::Pairs(60));
            let a = clip.attributes.clone();
            let calm = a.motion == "none" && a.light == "steady" && a.occlusion == "none";
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
