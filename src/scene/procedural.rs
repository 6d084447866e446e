//! Drawn faces: head, hair, eyes, brows, nose, mouth, beard, neck and clothes in random
//! proportions and skin tones.

use super::backdrop::{Grain, random_colour};
use super::texture::{ALPHA, BLOOD, EYES, MOUTH, SHINE, Texture};
use super::{chance, smoothstep, uniform};

/// Size of the texture; the face is about 100 texels wide.
const WIDTH: usize = 224;
const HEIGHT: usize = 272;
const CENTRE: f32 = WIDTH as f32 / 2.0;

/// Skin in grey levels, Fitzpatrick I to VI, by daylight.
pub const SKIN_TONES: [[f32; 3]; 6] = [
    [244.0, 208.0, 188.0],
    [231.0, 188.0, 160.0],
    [212.0, 163.0, 130.0],
    [184.0, 132.0, 98.0],
    [138.0, 92.0, 66.0],
    [92.0, 60.0, 45.0],
];

/// Which shapes are drawn: the faces to learn from, or others to check with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shapes {
    Training,
    Validation,
}

/// What a drawn face looks like. Lengths in texels.
#[derive(Clone, Debug)]
pub struct Look {
    /// Fitzpatrick type 1..6.
    pub tone: usize,
    skin: [f32; 3],
    hair: [f32; 3],
    clothes: [f32; 3],
    iris: [f32; 3],
    /// Half width and half height of the head, and its middle.
    a: f32,
    b: f32,
    cy: f32,
    /// How much narrower the jaw is.
    taper: f32,
    eye_y: f32,
    eye_x: f32,
    eye_w: f32,
    eye_h: f32,
    brow: f32,
    mouth_y: f32,
    mouth_w: f32,
    lip_h: f32,
    nose_w: f32,
    /// Where the hair begins on the forehead, above the eyes.
    hairline: f32,
    fringe: f32,
    long_hair: bool,
    bald: bool,
    beard: f32,
    glasses: bool,
    /// Light from the side, −1..1, and how round it looks.
    side_light: f32,
    roundness: f32,
    mottle: f32,
    /// Perfusion: how patchy.
    patchy: f32,
}

impl Look {
    /// A random look. All six skin tones are equally frequent.
    pub fn random(rng: &mut fastrand::Rng, shapes: Shapes) -> Look {
        let wide = shapes == Shapes::Validation;
        let tone = rng.usize(1..=6);
        let skin = SKIN_TONES[tone - 1].map(|v| v * uniform(rng, 0.92, 1.06) as f32);
        let mut u = |from: f64, to: f64| uniform(rng, from, to) as f32;
        let a = if wide { u(42.0, 56.0) } else { u(46.0, 53.0) };
        let b = a * if wide { u(1.2, 1.5) } else { u(1.28, 1.42) };
        let cy = 138.0;
        let hair_grey = u(0.0, 1.0);
        let mut look = Look {
            tone,
            skin: skin.map(|v| v.min(252.0)),
            hair: [0.0; 3],
            clothes: [0.0; 3],
            iris: [u(40.0, 110.0), u(35.0, 110.0), u(25.0, 140.0)],
            a,
            b,
            cy,
            taper: u(0.12, 0.34),
            eye_y: cy - b * u(0.0, 0.1),
            eye_x: a * u(0.40, 0.48),
            eye_w: a * u(0.18, 0.24),
            eye_h: a * u(0.07, 0.115),
            brow: u(1.5, 4.5),
            mouth_y: cy + b * u(0.50, 0.60),
            mouth_w: a * u(0.32, 0.46),
            lip_h: a * u(0.06, 0.13),
            nose_w: a * u(0.15, 0.25),
            hairline: b * u(0.42, 0.72),
            fringe: u(-6.0, 8.0),
            long_hair: false,
            bald: false,
            beard: 0.0,
            glasses: false,
            side_light: u(-0.25, 0.25),
            roundness: u(0.1, 0.4),
            mottle: u(0.005, 0.04),
            patchy: u(0.1, 0.6),
        };
        look.hair = hair_colour(rng, hair_grey, tone);
        look.clothes = random_colour(rng, 15.0, 230.0);
        look.long_hair = chance(rng, 0.35);
        look.bald = !look.long_hair && chance(rng, 0.15);
        look.beard = if chance(rng, 0.25) { uniform(rng, 0.3, 0.95) as f32 } else { 0.0 };
        look.glasses = chance(rng, if wide { 0.25 } else { 0.12 });
        look
    }

    /// Draws the face.
    pub fn draw(&self, rng: &mut fastrand::Rng) -> Texture {
        // As UltraFace sees it, on average.
        let (w, h) = (1.755 * self.a, 1.555 * self.b);
        let face = [CENTRE - w / 2.0, self.cy + 0.09 * self.b - h / 2.0, w, h];
        let grain = Grain::new(rng);
        let mut painter = Painter { texture: Texture::new(WIDTH, HEIGHT, face), grain };
        self.draw_body(&mut painter);
        self.draw_head(&mut painter);
        self.draw_eyes(&mut painter);
        self.draw_nose(&mut painter);
        self.draw_mouth(&mut painter);
        self.draw_beard(&mut painter);
        self.draw_hair(&mut painter);
        if self.glasses {
            self.draw_glasses(&mut painter);
        }
        let mut texture = painter.texture;
        texture.lid = self.skin.map(|v| v * 0.82);
        texture.finish();
        texture
    }

    /// Clothes, neck, ears and the hair behind them.
    fn draw_body(&self, p: &mut Painter) {
        let chin = self.cy + self.b;
        let shoulder = chin + 0.22 * self.b;
        let neck = 0.62 * self.a;
        if self.long_hair {
            let (a, b) = (1.22 * self.a, 1.28 * self.b);
            p.paint(self.hair, 0.0, 0.12, |x, y| {
                ellipse(x - CENTRE, y - self.cy - 6.0, a, b, 0.03)
            });
        }
        let slope = |x: f32| shoulder + 0.004 * (x - CENTRE).powi(2);
        let sides = |x: f32| smoothstep(0.0, 12.0, x.min(WIDTH as f32 - 1.0 - x));
        let low = |y: f32| smoothstep(HEIGHT as f32 - 1.0, HEIGHT as f32 - 12.0, y);
        let clothes = |x: f32, y: f32| smoothstep(-1.0, 1.0, y - slope(x)) * sides(x) * low(y);
        p.paint(self.clothes, 0.0, 0.1, clothes);
        let skin = self.skin.map(|v| v * 0.8);
        p.paint(skin, 0.6, self.mottle, |x, y| {
            let width = neck + 0.1 * (y - chin).max(0.0);
            let end = smoothstep(
                chin + 0.36 * self.b,
                chin + 0.33 * self.b,
                y - 0.004 * (x - CENTRE).powi(2),
            );
            soft(width - (x - CENTRE).abs(), 1.5) * soft(y - self.cy, 2.0) * end
        });
        for side in [-1.0, 1.0] {
            let x0 = CENTRE + side * 0.99 * self.a;
            let ear = |x: f32, y: f32| ellipse(x - x0, y - self.eye_y - 8.0, 6.5, 14.0, 0.15);
            p.paint(self.skin.map(|v| v * 0.88), 0.7, self.mottle, ear);
        }
    }

    /// The head's coverage: an ellipse, narrower towards the chin.
    fn head(&self, x: f32, y: f32) -> f32 {
        let t = (y - self.cy) / self.b;
        let width = self.a * (1.0 - self.taper * t.max(0.0).powi(2));
        ellipse(x - CENTRE, y - self.cy, width, self.b, 0.03)
    }

    /// Skin of the head with its shading.
    fn draw_head(&self, p: &mut Painter) {
        p.paint(self.skin, 1.0, self.mottle, |x, y| self.head(x, y));
        let rim = self.skin.map(|v| v * 0.45);
        p.shade(rim, |x, y| {
            let (dx, dy) = ((x - CENTRE) / self.a, (y - self.cy) / self.b);
            let round = self.roundness * (dx * dx + 0.5 * dy * dy);
            ((round + self.side_light * dx) * self.head(x, y)).clamp(0.0, 0.8)
        });
        let flush = [self.skin[0], self.skin[1] * 0.82, self.skin[2] * 0.82];
        for side in [-1.0, 1.0] {
            let x0 = CENTRE + side * 0.5 * self.a;
            let y0 = self.cy + 0.25 * self.b;
            p.shade(flush, |x, y| 0.4 * ellipse(x - x0, y - y0, 20.0, 16.0, 1.0));
        }
        let forehead = self.eye_y - 0.38 * self.b;
        p.texture.for_each(|x, y, t| {
            let shine = ellipse(x - CENTRE, y - forehead, 0.6 * self.a, 0.2 * self.b, 1.0);
            let cheeks = ellipse(
                (x - CENTRE).abs() - 0.5 * self.a,
                y - self.cy - 0.2 * self.b,
                9.0,
                8.0,
                1.0,
            );
            t[SHINE] = (shine + 0.7 * cheeks) * t[ALPHA];
        });
        // Forehead and cheeks have the densest vessels; the map is smooth.
        let (patchy, grain) = (self.patchy, &p.grain);
        let cheek_y = self.cy + 0.28 * self.b;
        p.texture.for_each(|x, y, t| {
            let cheek = ellipse((x - CENTRE).abs() - 0.5 * self.a, y - cheek_y, 22.0, 20.0, 1.0);
            let map = 0.8 + 0.3 * cheek + patchy * grain.cloud(x / 30.0 + 11.0, y / 30.0);
            t[BLOOD] *= map.max(0.1);
        });
    }

    fn draw_eyes(&self, p: &mut Painter) {
        let (w, h) = (self.eye_w, self.eye_h);
        for side in [-1.0, 1.0] {
            let x0 = CENTRE + side * self.eye_x;
            let y0 = self.eye_y;
            let socket = self.skin.map(|v| v * 0.6);
            p.shade(socket, |x, y| 0.55 * ellipse(x - x0, y - y0 + 2.0, 1.7 * w, 2.8 * h, 1.0));
            let white = [225.0, 220.0, 215.0];
            p.paint(white, 0.0, 0.01, |x, y| ellipse(x - x0, y - y0, w, h, 0.2));
            let open = |x: f32, y: f32| ellipse(x - x0, y - y0, w, h, 0.2);
            p.paint(self.iris, 0.0, 0.05, |x, y| {
                ellipse(x - x0, y - y0, 0.52 * w, 0.52 * w, 0.2) * open(x, y)
            });
            p.paint([12.0; 3], 0.0, 0.0, |x, y| {
                ellipse(x - x0, y - y0, 0.22 * w, 0.22 * w, 0.3) * open(x, y)
            });
            p.paint([250.0; 3], 0.0, 0.0, |x, y| {
                ellipse(x - x0 - 1.5, y - y0 - 1.5, 1.2, 1.2, 0.6) * open(x, y)
            });
            let lash = |x: f32, y: f32| {
                let arc = y0 - h * (1.0 - ((x - x0) / w).powi(2)).max(0.0).sqrt();
                0.8 * soft(1.2 - (y - arc).abs(), 0.8) * soft(w - (x - x0).abs(), 1.0)
            };
            p.paint(self.hair.map(|v| 0.4 * v), 0.2, 0.0, lash);
            let brow = |x: f32, y: f32| {
                let along = (x - x0) / (1.45 * w);
                let arc = y0 - 2.4 * h - 5.0 + 4.0 * along * along;
                0.85 * soft(0.5 * self.brow * (1.2 - along.abs()) - (y - arc).abs(), 1.2)
                    * soft(1.0 - along.abs(), 0.15)
            };
            p.paint(self.hair.map(|v| 0.75 * v), 0.1, 0.3, brow);
            p.texture.for_each(|x, y, t| {
                t[EYES] = t[EYES].max(ellipse(x - x0, y - y0, 1.15 * w, 1.3 * h, 0.3))
            });
        }
    }

    fn draw_nose(&self, p: &mut Painter) {
        let (top, tip) = (self.eye_y, self.cy + 0.28 * self.b);
        let w = self.nose_w;
        let dark = self.skin.map(|v| v * 0.55);
        let light = self.skin.map(|v| (v * 1.15).min(255.0));
        let along = |y: f32| soft(y - top, 8.0) * soft(tip - y, 4.0);
        for side in [-1.0, 1.0] {
            p.shade(dark, |x, y| {
                let edge =
                    CENTRE + side * w * (0.45 + 0.5 * ((y - top) / (tip - top)).clamp(0.0, 1.0));
                0.4 * along(y) * soft(3.0 - (x - edge).abs(), 3.0)
            });
            let nostril = CENTRE + side * 0.55 * w;
            p.paint(self.skin.map(|v| v * 0.3), 0.2, 0.0, |x, y| {
                0.8 * ellipse(x - nostril, y - tip - 1.0, 0.3 * w, 1.8, 0.7)
            });
        }
        p.shade(dark, |x, y| 0.45 * ellipse(x - CENTRE, y - tip - 3.0, 1.2 * w, 3.5, 1.0));
        p.shade(light, |x, y| 0.6 * along(y) * ellipse(x - CENTRE, 0.0, 0.4 * w, 1.0, 1.0));
        p.texture.for_each(|x, y, t| {
            t[SHINE] = t[SHINE].max(ellipse(x - CENTRE, y - tip + 6.0, 0.5 * w, 9.0, 1.0));
        });
    }

    fn draw_mouth(&self, p: &mut Painter) {
        let (y0, w, h) = (self.mouth_y, self.mouth_w, self.lip_h);
        let lips = [self.skin[0] * 0.85, self.skin[1] * 0.62, self.skin[2] * 0.66];
        p.paint(lips, 0.9, 0.03, |x, y| 0.9 * ellipse(x - CENTRE, y - y0 + 0.4 * h, w, h, 0.3));
        p.paint(lips.map(|v| v * 1.08), 0.9, 0.03, |x, y| {
            0.9 * ellipse(x - CENTRE, y - y0 - 0.6 * h, 0.85 * w, 1.1 * h, 0.3)
        });
        p.paint(lips.map(|v| v * 0.4), 0.2, 0.0, |x, y| {
            0.85 * ellipse(x - CENTRE, y - y0, w, 1.2, 0.6)
        });
        let under = self.skin.map(|v| v * 0.6);
        p.shade(under, |x, y| 0.4 * ellipse(x - CENTRE, y - y0 - 2.8 * h, 0.6 * w, 0.7 * h, 1.0));
        p.texture
            .for_each(|x, y, t| t[MOUTH] = ellipse(x - CENTRE, y - y0 - h, 0.8 * w, 1.8 * h, 0.5));
    }

    fn draw_beard(&self, p: &mut Painter) {
        if self.beard == 0.0 {
            return;
        }
        let lips = |x: f32, y: f32| {
            ellipse(x - CENTRE, y - self.mouth_y, self.mouth_w, 1.6 * self.lip_h, 0.3)
        };
        let jaw = self.cy + 0.18 * self.b;
        let strands = Grain::new(&mut fastrand::Rng::with_seed(self.a.to_bits() as u64));
        p.paint(self.hair, 0.05, 0.3, |x, y| {
            let dx = (x - CENTRE) / self.a;
            let start = jaw + 0.22 * self.b * (1.0 - dx * dx * 1.4).max(-0.3);
            let strand = 0.8 + 0.2 * strands.at(x / 1.2, y / 2.5);
            self.beard * strand * self.head(x, y) * soft(y - start, 5.0) * (1.0 - lips(x, y))
        });
    }

    fn draw_hair(&self, p: &mut Painter) {
        if self.bald {
            return;
        }
        let strands = Grain::new(&mut fastrand::Rng::with_seed(self.b.to_bits() as u64));
        let (a, b) = (1.09 * self.a, 1.12 * self.b);
        let line = self.eye_y - self.hairline;
        p.paint(self.hair, 0.0, 0.25, |x, y| {
            let dx = (x - CENTRE) / self.a;
            // The hairline falls towards the temples, the fringe hangs into the forehead.
            let wave = self.fringe * strands.at(x / 14.0, 3.0);
            let drop = if self.long_hair { 1.1 } else { 0.75 };
            let edge = line + wave + drop * self.b * dx.abs().powi(5).min(1.3);
            let cap = ellipse(x - CENTRE, y - self.cy + 2.0, a, b, 0.03);
            cap * soft(edge - y, 3.0)
        });
    }

    fn draw_glasses(&self, p: &mut Painter) {
        let (w, h) = (2.0 * self.eye_w, 1.5 * self.eye_w);
        for side in [-1.0, 1.0] {
            let x0 = CENTRE + side * self.eye_x;
            p.paint([25.0, 22.0, 22.0], 0.0, 0.0, |x, y| {
                let r = (((x - x0) / w).powi(4) + ((y - self.eye_y - 2.0) / h).powi(4)).powf(0.25);
                soft(0.07 - (r - 1.0).abs(), 0.05)
            });
        }
        p.paint([25.0, 22.0, 22.0], 0.0, 0.0, |x, y| {
            let outside = (x - CENTRE).abs();
            let bridge = soft(self.eye_x - w - outside, 1.0);
            let arm = soft(outside - self.eye_x - w, 1.0) * soft(self.a - outside, 1.0);
            bridge.max(arm) * soft(1.2 - (y - self.eye_y + 1.0).abs(), 0.8)
        });
    }
}

/// Hair: black to blond for light skin, dark for dark skin, grey for some.
fn hair_colour(rng: &mut fastrand::Rng, lightness: f32, tone: usize) -> [f32; 3] {
    if chance(rng, 0.15) {
        return [150.0, 148.0, 145.0].map(|v: f32| v * uniform(rng, 0.6, 1.3) as f32);
    }
    let l = if tone >= 4 { 0.25 * lightness } else { lightness };
    [28.0 + 150.0 * l, 22.0 + 108.0 * l, 20.0 + 55.0 * l]
}

/// 1 where `inside` is well above 0, 0 where well below, over ±`width`.
fn soft(inside: f32, width: f32) -> f32 {
    smoothstep(-width, width, inside)
}

/// 1 inside the ellipse of half-axes (a, b) around 0, soft over `edge` of its radius; with edge 1
/// a smooth hill.
fn ellipse(x: f32, y: f32, a: f32, b: f32, edge: f32) -> f32 {
    let r = ((x / a).powi(2) + (y / b).powi(2)).sqrt();
    if edge >= 1.0 { 1.0 - smoothstep(0.0, 1.0, r) } else { soft(1.0 - r, edge) }
}

struct Painter {
    texture: Texture,
    grain: Grain,
}

impl Painter {
    /// Lays paint of a colour, blood and mottling (a fraction of the colour) where `cover` says.
    fn paint(
        &mut self,
        colour: [f32; 3],
        blood: f32,
        mottle: f32,
        cover: impl Fn(f32, f32) -> f32,
    ) {
        let grain = &self.grain;
        self.texture.for_each(|x, y, t| {
            let c = cover(x, y);
            if c > 0.0 {
                let fine = 1.0 + mottle * (grain.at(x / 1.7, y / 1.7) + grain.at(x / 9.0, y / 9.0));
                (0..3).for_each(|k| t[k] += c * ((colour[k] * fine).min(255.0) - t[k]));
                t[ALPHA] += c * (1.0 - t[ALPHA]);
                t[BLOOD] += c * (blood - t[BLOOD]);
                t[SHINE] *= 1.0 - c;
            }
        });
    }

    /// Mixes a colour in without covering: shadows and lights, the blood stays.
    fn shade(&mut self, colour: [f32; 3], strength: impl Fn(f32, f32) -> f32) {
        self.texture.for_each(|x, y, t| {
            let s = strength(x, y);
            if s > 0.0 {
                (0..3).for_each(|k| t[k] += s * t[ALPHA] * (colour[k] - t[k]));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facecrop::area::PackedRgb;
    use crate::facecrop::detector::Detector;
    use crate::meta::iou;
    use crate::scene::backdrop::FloatImage;
    use crate::scene::camera::round;
    use crate::scene::render::{Expression, Layer, Pose, draw};

    /// Drawn faces are faces to the detector, and their box is where it sees them.
    #[test]
    fn the_detector_finds_drawn_faces() {
        let detector = Detector::new().unwrap();
        for shapes in [Shapes::Training, Shapes::Validation] {
            let (mut found, mut overlap, mut off) = (0, 0.0, [0.0; 4]);
            for seed in 0..60 {
                let mut rng = fastrand::Rng::with_seed(seed);
                let texture = Look::random(&mut rng, shapes).draw(&mut rng);
                let pose = Pose { x: 320.0, y: 250.0, scale: 1.4, angle: 0.0 };
                let mut image = FloatImage::new(640, 480);
                image.data.fill(uniform(&mut rng, 60.0, 220.0) as f32);
                draw(&mut image, &Layer::new(&texture, &pose, Expression::default(), (640, 480)));
                let data: Vec<u8> = image.data.iter().map(|v| round(*v)).collect();
                let rgb = PackedRgb { data: &data, width: 640, height: 480, stride: 1920 };
                let Some(face) = detector.detect(&rgb).unwrap().first().copied() else { continue };
                let truth = pose.face_box(&texture);
                found += 1;
                overlap += iou(face.rect, truth);
                let [x, y, w, h] = face.rect;
                let [tx, ty, tw, th] = truth;
                let dx = (x + w / 2.0 - tx - tw / 2.0) / tw;
                let dy = (y + h / 2.0 - ty - th / 2.0) / tw;
                for (sum, v) in off.iter_mut().zip([dx, dy, w / tw - 1.0, h / th - 1.0]) {
                    *sum += v;
                }
            }
            let n = found as f64;
            assert!(found >= 55 && overlap / n > 0.8, "{found} {}", overlap / n);
            assert!(off.iter().all(|v| (v / n).abs() < 0.05), "{off:?}");
        }
    }
}
