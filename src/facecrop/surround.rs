//! How the light around a face changes.
//!
//! A lamp, a screen or a cloud lights a face and what is around it; a pulse lights neither. Patches
//! around the crop tell one from the other, and the middle ones of them are not moved by a hand or
//! a passer-by in others.
//!
//! An encoder leaves a background as it was until the difference is worth its bits, one block
//! sooner and another later. From one frame to the next most patches then don't change at all. So
//! it is their brightness that is compared, summed up over the last second, not its steps.

use super::area::{PixelRect, RgbRows};

/// Side of a patch over the side of the crop.
const SIDE: f64 = 0.25;
/// Distance of a patch from the crop, over the side of the patch.
const GAP: f64 = 0.25;
/// Side of a corner over that of the crop: its inner end is farther from the centre than a face
/// box that fills the crop but for its margin.
const CORNER: f64 = 0.12;
/// Fewer patches than this have no middle to speak of.
const FEWEST: usize = 3;
/// The share of the patches, at either end of their order, that is not in the middle.
const ENDS: f64 = 0.25;
/// Seconds after which a change of a patch's brightness is forgotten: patches that rest are alike
/// again.
const MEMORY: f64 = 1.0;
/// A level outside of these (0..1) is in the dark or at white: light hardly moves it.
const LEVELS: std::ops::Range<f32> = 0.03..0.97;

/// The patches around a crop, in one picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Surround {
    crop: PixelRect,
    /// Mean luma of each patch, 0..1.
    levels: Vec<f32>,
}

impl Surround {
    /// Measures what is around `crop` in `picture`.
    pub fn new(crop: PixelRect, picture: &impl RgbRows) -> Self {
        let mut rgb = Vec::new();
        let level = |patch| {
            picture.average(patch, (1, 1), &mut rgb);
            luma([rgb[0], rgb[1], rgb[2]])
        };
        let patches = patches(crop, picture.width(), picture.height());
        Self { crop, levels: patches.into_iter().map(level).collect() }
    }
}

/// How bright each patch is, as the logarithm of a ratio to what it was lately.
#[derive(Clone, Debug, Default)]
pub struct Around(Vec<f32>);

impl Around {
    /// Takes in the change from `before` to `now`, `dt` seconds later, and gives the relative
    /// change of the light: the logarithm of a ratio. `None` where the crop has moved or too few
    /// patches can be seen.
    pub fn change(&mut self, before: &Surround, now: &Surround, dt: f64) -> Option<f32> {
        self.0.resize(now.levels.len(), 0.0);
        let kept = (-dt.max(0.0) / MEMORY).exp() as f32;
        let (mut was, mut is) = (Vec::new(), Vec::new());
        if before.crop != now.crop {
            self.0.iter_mut().for_each(|sum| *sum *= kept);
            return None;
        }
        for (sum, (a, b)) in self.0.iter_mut().zip(before.levels.iter().zip(&now.levels)) {
            *sum *= kept;
            if LEVELS.contains(a) && LEVELS.contains(b) {
                was.push(*sum);
                *sum += (b / a).ln();
                is.push(*sum);
            }
        }
        Some(middle(is)? - middle(was)?)
    }
}

/// The mean without either end; `None` of too few.
fn middle(mut values: Vec<f32>) -> Option<f32> {
    let n = values.len();
    if n < FEWEST {
        return None;
    }
    values.sort_by(f32::total_cmp);
    let end = ((ENDS * n as f64) as usize).max(1);
    let middle = &values[end..n - end];
    Some(middle.iter().sum::<f32>() / middle.len() as f32)
}

/// BT.601 luma.
pub fn luma([r, g, b]: [f32; 3]) -> f32 {
    0.299 * r + 0.587 * g + 0.114 * b
}

/// Three patches along each side of the crop, as far as they lie in the picture; where hardly any
/// does, the crop's own corners, which no face fills.
fn patches(crop: PixelRect, width: usize, height: usize) -> Vec<PixelRect> {
    let beside = beside(crop, width, height);
    if beside.len() >= FEWEST { beside } else { corners(crop) }
}

fn corners(crop: PixelRect) -> Vec<PixelRect> {
    let side = ((CORNER * crop.w.min(crop.h) as f64).round() as usize).max(1);
    let (right, bottom) = (crop.x + crop.w - side, crop.y + crop.h - side);
    let places = [(crop.x, crop.y), (right, crop.y), (crop.x, bottom), (right, bottom)];
    places.map(|(x, y)| PixelRect { x, y, w: side, h: side }).to_vec()
}

fn beside(crop: PixelRect, width: usize, height: usize) -> Vec<PixelRect> {
    let side = ((SIDE * crop.w as f64).round() as usize).max(1);
    let gap = (GAP * side as f64).ceil() as i64;
    let (x, y, w, s) = (crop.x as i64, crop.y as i64, crop.w as i64, side as i64);
    let (before, after) = (-gap - s, w + gap);
    let along = [0, (w - s) / 2, w - s];
    let places = along.into_iter().flat_map(|a| [(before, a), (after, a), (a, before), (a, after)]);
    let inside = |(dx, dy): (i64, i64)| {
        let (left, top) = (usize::try_from(x + dx).ok()?, usize::try_from(y + dy).ok()?);
        let fits = left + side <= width && top + side <= height;
        fits.then_some(PixelRect { x: left, y: top, w: side, h: side })
    };
    places.filter_map(inside).collect()
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;
    use crate::facecrop::area::PackedRgb;

    const CROP: PixelRect = PixelRect { x: 100, y: 80, w: 80, h: 80 };

    /// 300 × 240, grey of `level`, but for what `paint` says of (x, y).
    fn surround(
        level: u8,
        paint: impl Fn(usize, usize) -> Option<u8>,
        crop: PixelRect,
    ) -> Surround {
        let pixel = |i: usize| paint(i % 300, i / 300).unwrap_or(level);
        let data: Vec<u8> = (0..300 * 240).flat_map(|i| [pixel(i); 3]).collect();
        Surround::new(crop, &PackedRgb { data: &data, width: 300, height: 240, stride: 900 })
    }

    /// Of two pictures a thirtieth of a second apart, with nothing before them.
    fn change(before: &Surround, now: &Surround) -> Option<f32> {
        Around::default().change(before, now, 1.0 / 30.0)
    }

    #[test]
    fn a_background_that_follows_the_light_late_and_one_patch_at_a_time_follows_it() {
        // A lamp of ±2 % at 1.5 Hz, and patches that catch up every fifth frame, each at its own
        // time.
        let level = |t: f64| 0.5 * (1.0 + 0.02 * (TAU * 1.5 * t).sin()) as f32;
        let held = |patch: usize, frame: usize| {
            let late = (frame + patch) % 5;
            level(frame.saturating_sub(late) as f64 / 30.0)
        };
        let picture = |frame: usize| Surround {
            crop: CROP,
            levels: (0..12).map(|patch| held(patch, frame)).collect(),
        };
        let mut around = Around::default();
        let (mut line, mut lamp) = ([0.0; 2], [0.0; 2]);
        for frame in 1..=300 {
            let (before, now) = (frame - 1, frame as f64 / 30.0);
            let change = around.change(&picture(before), &picture(frame), 1.0 / 30.0).unwrap();
            let true_change = (level(now) / level(before as f64 / 30.0)).ln();
            for (i, turned) in [(TAU * 1.5 * now).cos(), (TAU * 1.5 * now).sin()].iter().enumerate()
            {
                line[i] += turned * f64::from(change);
                lamp[i] += turned * f64::from(true_change);
            }
        }
        let share = (line[0] * lamp[0] + line[1] * lamp[1]) / (lamp[0].powi(2) + lamp[1].powi(2));
        assert!(share > 0.6, "{share}");
    }

    #[test]
    fn the_change_is_that_of_the_light_whatever_face_and_passers_by_do() {
        let before = surround(100, |_, _| None, CROP);
        assert_eq!(before.levels.len(), 12);
        let face = |x, y| ((100..180).contains(&x) && (80..160).contains(&y)).then_some(200);
        let passer = |x, _| (x > 185).then_some(30);
        for now in [surround(102, face, CROP), surround(102, passer, CROP)] {
            let found = change(&before, &now).unwrap();
            assert!((found - 1.02f32.ln()).abs() < 1e-5, "{found}");
        }
    }

    #[test]
    fn a_moved_crop_and_the_dark_tell_nothing() {
        let at = |level, crop| surround(level, |_, _| None, crop);
        let moved = PixelRect { x: 101, ..CROP };
        assert_eq!(change(&at(100, CROP), &at(100, moved)), None);
        assert_eq!(change(&at(5, CROP), &at(4, CROP)), None);
    }

    #[test]
    fn at_the_edge_of_the_picture_there_are_fewer_patches_and_then_the_corners() {
        let at = |level, crop| surround(level, |_, _| None, crop);
        let whole = PixelRect { x: 0, y: 0, w: 240, h: 240 };
        let corners = |x, y| [0, 211].iter().any(|c| (*c..c + 29).contains(&x)) && y < 240;
        let lit = surround(100, |x, y| corners(x, y).then_some(102), whole);
        let found = change(&at(100, whole), &lit).unwrap();
        assert!((found - 1.02f32.ln()).abs() < 1e-5, "{found}");
        let corner = PixelRect { x: 0, y: 0, w: 80, h: 80 };
        assert_eq!(at(100, corner).levels.len(), 6);
        assert!(change(&at(100, corner), &at(101, corner)).is_some());
    }
}
