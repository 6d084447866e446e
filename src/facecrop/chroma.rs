//! How much of a face's chroma a codec holds.
//!
//! What a codec does not send anew stands exactly as it was, while a camera's noise changes every
//! sample. A cell of the crop is the mean of many, of which one changes; so single pixels are looked at.

use super::area::{PixelRect, RgbRows};
use super::quality::FACE;

/// Places along a side of the crop, of which those in the face are taken.
const SIDE: usize = 24;
/// Differences of colours less than an 8-bit step apart are the same: a picture that was converted has
/// its rounding. A step of a chroma sample is more than two.
const SAME: f32 = 1.0 / 255.0;

/// The chroma of places in a face, in one picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Chroma {
    crop: PixelRect,
    /// Red and blue less green, 0..1.
    places: Vec<[f32; 2]>,
}

impl Chroma {
    /// Measures the face in `crop` in `picture`.
    pub fn new(crop: PixelRect, picture: &impl RgbRows) -> Self {
        let along = |i: usize| (i as f64 + 0.5) / SIDE as f64;
        let inside = |at: &usize| {
            let [x, y] = [at % SIDE, at / SIDE].map(|i| along(i) - 0.5);
            x.hypot(y) <= f64::from(FACE)
        };
        let read = |at: usize| {
            let [mut r, mut g, mut b] = [[0.0]; 3];
            let x = crop.x + (along(at % SIDE) * crop.w as f64) as usize;
            let y = crop.y + (along(at / SIDE) * crop.h as f64) as usize;
            picture.read_row(y, x, [&mut r, &mut g, &mut b]);
            [r[0] - g[0], b[0] - g[0]]
        };
        Self { crop, places: (0..SIDE * SIDE).filter(inside).map(read).collect() }
    }

    /// The share of the places, 0..1, that are as in the picture of `before`. `None` where the crop has
    /// moved.
    pub fn held_since(&self, before: &Self) -> Option<f32> {
        let pairs = || before.places.iter().zip(&self.places);
        let same = |(a, b): &(&[f32; 2], &[f32; 2])| (0..2).all(|c| (a[c] - b[c]).abs() < SAME);
        let held = pairs().filter(same).count();
        (self.crop == before.crop).then(|| held as f32 / pairs().count() as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facecrop::area::PackedRgb;

    const CROP: PixelRect = PixelRect { x: 20, y: 10, w: 60, h: 60 };

    /// 100 × 80 of one colour, changed where `paint` says so of (x, y).
    fn chroma(crop: PixelRect, paint: impl Fn(usize, usize) -> [u8; 3]) -> Chroma {
        let pixel = |i: usize| paint(i % 100, i / 100);
        let data: Vec<u8> = (0..100 * 80).flat_map(pixel).collect();
        Chroma::new(crop, &PackedRgb { data: &data, width: 100, height: 80, stride: 300 })
    }

    #[test]
    fn light_alone_holds_the_chroma_and_a_step_of_it_does_not() {
        let skin = chroma(CROP, |_, _| [150, 110, 90]);
        let held = |paint: &dyn Fn(usize, usize) -> [u8; 3]| chroma(CROP, paint).held_since(&skin);
        assert_eq!(held(&|_, _| [160, 120, 100]), Some(1.0));
        // A step of a chroma sample.
        assert_eq!(held(&|_, _| [152, 110, 90]), Some(0.0));
        assert_eq!(held(&|_, y| if y < 40 { [150, 110, 92] } else { [140, 100, 80] }), Some(0.5));
        // What is not of the face does not count.
        assert_eq!(held(&|x, _| if x > 76 { [0, 200, 0] } else { [150, 110, 90] }), Some(1.0));
        let moved = chroma(PixelRect { x: 21, ..CROP }, |_, _| [150, 110, 90]);
        assert_eq!(moved.held_since(&skin), None);
    }

    #[test]
    fn the_smallest_face_has_places() {
        let one = PixelRect { x: 99, y: 79, w: 1, h: 1 };
        let [a, b] = [0, 1].map(|_| chroma(one, |_, _| [150, 110, 90]));
        assert_eq!(a.held_since(&b), Some(1.0));
    }
}
