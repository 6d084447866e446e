//! How the light around a face changes.
//!
//! A lamp, a screen or a cloud lights a face and what is around it; a pulse lights neither. Patches
//! around the crop tell one from the other, and their median is not moved by a hand or a passer-by
//! in some of them.

use super::area::{PixelRect, RgbRows};

/// Side of a patch over the side of the crop.
const SIDE: f64 = 0.25;
/// Distance of a patch from the crop, over the side of the patch.
const GAP: f64 = 0.25;
/// Side of a corner over that of the crop: its inner end is farther from the centre than a face
/// box that fills the crop but for its margin.
const CORNER: f64 = 0.12;
/// Fewer patches than this have no median to speak of.
const FEWEST: usize = 3;
/// A level outside of these (0..1) is in the dark or at white: light hardly moves it.
pub(super) const LEVELS: std::ops::Range<f32> = 0.03..0.97;

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

    /// Relative change of the light since the picture of `before`: the median of the patches'
    /// logarithms. `None` where the crop has moved or too few patches can be seen.
    pub fn change_since(&self, before: &Self) -> Option<f32> {
        if self.crop != before.crop {
            return None;
        }
        let pairs = before.levels.iter().zip(&self.levels);
        let seen = pairs.filter(|(a, b)| LEVELS.contains(*a) && LEVELS.contains(*b));
        let mut changes: Vec<f32> = seen.map(|(a, b)| (b / a).ln()).collect();
        changes.sort_by(f32::total_cmp);
        let n = changes.len();
        (n >= FEWEST).then(|| (changes[(n - 1) / 2] + changes[n / 2]) / 2.0)
    }
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

    #[test]
    fn the_change_is_that_of_the_light_whatever_face_and_passers_by_do() {
        let before = surround(100, |_, _| None, CROP);
        assert_eq!(before.levels.len(), 12);
        let face = |x, y| ((100..180).contains(&x) && (80..160).contains(&y)).then_some(200);
        let passer = |x, _| (x > 185).then_some(30);
        for now in [surround(102, face, CROP), surround(102, passer, CROP)] {
            let change = now.change_since(&before).unwrap();
            assert!((change - 1.02f32.ln()).abs() < 1e-5, "{change}");
        }
    }

    #[test]
    fn a_moved_crop_and_the_dark_tell_nothing() {
        let at = |level, crop| surround(level, |_, _| None, crop);
        let moved = PixelRect { x: 101, ..CROP };
        assert_eq!(at(100, moved).change_since(&at(100, CROP)), None);
        assert_eq!(at(4, CROP).change_since(&at(5, CROP)), None);
    }

    #[test]
    fn at_the_edge_of_the_picture_there_are_fewer_patches_and_then_the_corners() {
        let at = |level, crop| surround(level, |_, _| None, crop);
        let whole = PixelRect { x: 0, y: 0, w: 240, h: 240 };
        let corners = |x, y| [0, 211].iter().any(|c| (*c..c + 29).contains(&x)) && y < 240;
        let lit = surround(100, |x, y| corners(x, y).then_some(102), whole);
        let change = lit.change_since(&at(100, whole)).unwrap();
        assert!((change - 1.02f32.ln()).abs() < 1e-5, "{change}");
        let corner = PixelRect { x: 0, y: 0, w: 80, h: 80 };
        assert_eq!(at(100, corner).levels.len(), 6);
        assert!(at(101, corner).change_since(&at(100, corner)).is_some());
    }
}
