//! What hides a part of a face: a mask, sunglasses, a hand.

use super::backdrop::{FloatImage, Grain};
use super::signal::Signal;
use super::texture::{ALPHA, BLOOD, EYES, MOUTH, SHINE, Texture};
use super::{smoothstep, uniform};

/// Classes of occlusion, for tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    None,
    Mask,
    Sunglasses,
    Hand,
}

impl Kind {
    /// Most faces are bare.
    pub fn random(rng: &mut fastrand::Rng) -> Kind {
        match rng.f64() {
            u if u < 0.06 => Kind::Mask,
            u if u < 0.11 => Kind::Sunglasses,
            u if u < 0.17 => Kind::Hand,
            _ => Kind::None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Kind::None => "none",
            Kind::Mask => "mask",
            Kind::Sunglasses => "sunglasses",
            Kind::Hand => "hand",
        }
    }

    /// Puts on the face what is worn.
    pub fn wear(self, texture: &mut Texture, rng: &mut fastrand::Rng) {
        match self {
            Kind::None | Kind::Hand => {}
            Kind::Mask => wear_mask(texture, rng),
            Kind::Sunglasses => wear_sunglasses(texture, rng),
        }
    }
}

/// A cloth from the bridge of the nose to below the chin.
fn wear_mask(texture: &mut Texture, rng: &mut fastrand::Rng) {
    let [x, y, w, h] = texture.face;
    let level = uniform(rng, 25.0, 235.0);
    let cloth: [f32; 3] = std::array::from_fn(|_| (level * uniform(rng, 0.8, 1.1)) as f32);
    let top = y + h * uniform(rng, 0.52, 0.6) as f32;
    let grain = Grain::new(rng);
    texture.for_each(|u, v, texel| {
        let across = (u - x - w / 2.0) / (0.56 * w);
        let edge = top + 0.1 * h * across * across;
        let inside = smoothstep(-1.5, 1.5, v - edge)
            * smoothstep(1.0, 0.94, across.abs())
            * smoothstep(1.16, 1.08, (v - y) / h);
        // Folds, and darker towards the sides.
        let fold = 1.0 + 0.06 * grain.cloud(u / 30.0, v / 6.0) - 0.3 * across * across;
        cover(texel, inside, cloth.map(|c| c * fold));
    });
}

fn wear_sunglasses(texture: &mut Texture, rng: &mut fastrand::Rng) {
    let [x, y, w, h] = texture.face;
    let glass = [uniform(rng, 8.0, 45.0) as f32; 3];
    let line = y + h * 0.38;
    let (half_width, half_height) = (0.2 * w, h * uniform(rng, 0.09, 0.13) as f32);
    texture.for_each(|u, v, texel| {
        let along = ((u - x - w / 2.0).abs() - 0.23 * w) / half_width;
        let r = (along.powi(4) + ((v - line) / half_height).powi(4)).sqrt();
        let bridge = smoothstep(2.0, 1.0, (v - line + 0.5 * half_height).abs())
            * smoothstep(0.5 * w, 0.48 * w, (u - x - w / 2.0).abs());
        cover(texel, smoothstep(1.1, 0.9, r).max(bridge), glass);
    });
}

/// Replaces a texel by `share` with something of this colour that has no pulse.
fn cover(texel: &mut [f32; 8], share: f32, colour: [f32; 3]) {
    for (value, c) in texel.iter_mut().zip(colour) {
        *value += share * (c - *value);
    }
    texel[ALPHA] += share * (1.0 - texel[ALPHA]);
    for part in [BLOOD, SHINE, MOUTH, EYES] {
        texel[part] *= 1.0 - share;
    }
}

/// A hand, a cup, a sheet: comes before the face now and then, and moves there.
#[derive(Clone)]
pub struct Hand {
    colour: [f32; 3],
    /// Half-axes, face widths.
    size: [f64; 2],
    /// Where it is while it is there, face widths from the face's centre.
    place: [Signal; 2],
    centre: [f64; 2],
    /// It is there while this is above 0, and on its way below; 1 is one face width.
    near: Signal,
    grain: std::sync::Arc<Grain>,
}

impl Hand {
    /// `skin` is the colour of the face's skin; half of the things are of another.
    pub fn random(rng: &mut fastrand::Rng, skin: [f32; 3]) -> Hand {
        let other = std::array::from_fn(|_| uniform(rng, 20.0, 230.0) as f32);
        let mut near = Signal::default();
        near.steps(4.0, uniform(rng, 0.1, 0.4), uniform(rng, 0.5, 1.5), rng);
        let mut axis = || {
            let mut signal = Signal::default();
            signal.noise(uniform(rng, 0.02, 0.15), uniform(rng, 0.5, 3.0), rng);
            signal
        };
        let place = [axis(), axis()];
        Hand {
            colour: if rng.bool() { skin } else { other },
            size: [uniform(rng, 0.15, 0.35), uniform(rng, 0.15, 0.4)],
            place,
            centre: [uniform(rng, -0.45, 0.45), uniform(rng, -0.1, 0.7)],
            near,
            grain: std::sync::Arc::new(Grain::new(rng)),
        }
    }

    /// Draws it at `t` seconds before a face at (x, y) that is `width` pixels wide.
    pub fn draw(&self, image: &mut FloatImage, t: f64, x: f64, y: f64, width: f64) {
        let away = (-self.near.at(t)).max(0.0);
        let cx = x + width * (self.centre[0] + self.place[0].at(t));
        let cy = y + width * (self.centre[1] + self.place[1].at(t) + away);
        let (a, b) = (self.size[0] * width, self.size[1] * width);
        let span = |c: f64, r: f64, size: usize| {
            let clamped = |v: f64| v.clamp(0.0, size as f64) as usize;
            clamped(c - 1.1 * r)..clamped(c + 1.1 * r + 1.0)
        };
        let (columns, rows) = (span(cx, a, image.width), span(cy, b, image.height));
        for v in rows {
            let row = image.row_mut(v);
            for u in columns.clone() {
                let (dx, dy) = ((u as f64 - cx) as f32, (v as f64 - cy) as f32);
                let r = ((dx / a as f32).powi(4) + (dy / b as f32).powi(4)).sqrt();
                let share = smoothstep(1.08, 0.92, r);
                let shade = 1.0 + 0.1 * self.grain.cloud(dx / 20.0 + 99.0, dy / 20.0 + 99.0);
                for (value, c) in row[3 * u..3 * u + 3].iter_mut().zip(self.colour) {
                    *value += share * (c * shade - *value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::portrait::{Sitter, Tint, portrait};

    #[test]
    fn what_is_worn_has_no_pulse_and_the_rest_keeps_its_own() {
        let bare = portrait(Sitter::Collins, 1, Tint::default());
        let blood = |t: &Texture| t.texels.iter().map(|t| t[BLOOD]).sum::<f32>() / 1000.0;
        for (kind, least, most) in [(Kind::Mask, 0.3, 0.7), (Kind::Sunglasses, 0.6, 0.97)] {
            let mut worn = bare.clone();
            kind.wear(&mut worn, &mut fastrand::Rng::with_seed(2));
            let left = blood(&worn) / blood(&bare);
            assert!((least..most).contains(&left), "{kind:?}: {left}");
            for (a, b) in bare.texels.iter().zip(&worn.texels) {
                assert!(b[BLOOD] <= a[BLOOD] && (0.0..=1.0).contains(&b[ALPHA]));
            }
        }
    }

    #[test]
    fn a_hand_comes_and_goes() {
        let hand = Hand::random(&mut fastrand::Rng::with_seed(4), [200.0, 150.0, 120.0]);
        let covered = |t: f64| {
            let mut image = FloatImage::new(300, 300);
            hand.draw(&mut image, t, 150.0, 120.0, 100.0);
            image.data.iter().filter(|v| **v > 5.0).count()
        };
        let counts: Vec<usize> = (0..60).map(|t| covered(t as f64)).collect();
        let there = counts.iter().filter(|n| **n > 1000).count();
        assert!((10..55).contains(&there), "{there}");
    }
}
