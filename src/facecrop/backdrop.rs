//! How the light on the whole picture changes.
//!
//! A camera's noise, and a codec that leaves a dim wall as it was until a lamp has moved it by a
//! step of its own, hide a small change from a few patches. The mean over strips across the whole
//! picture shows a tenth of it: where blocks differ, some are always at the edge of the next step.
//!
//! A person moves what is around the face, too, and has a neck: what lies below a face is left out,
//! and no place counts by more than light does in one frame.

use super::area::{PixelRect, RgbRows};
use super::surround::{LEVELS, luma};

/// Strips across the picture, each of so many rows of pixels and so many places.
const STRIPS: usize = 24;
const THICKNESS: usize = 2;
const PLACES: usize = 32;
/// Fewer places than this see no more than the patches around the face do.
const FEWEST: usize = 80;
/// What lies within this of a crop is left out, in sides of the crop...
const BESIDE: f64 = 0.1;
/// ...and within this of what is below its upper edge.
const BELOW: f64 = 0.6;
/// The change of a place counts up to this (logarithm): a lamp of 5 % has at 4 Hz and 25 frames a
/// second no more, the edge of a sleeve ten times as much.
const MOST: f32 = 0.05;

/// The strips of one picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Backdrop {
    width: usize,
    height: usize,
    /// Luma of each place, 0..1, strip by strip.
    levels: Vec<f32>,
}

impl Backdrop {
    /// Measures `picture`.
    pub fn new(picture: &impl RgbRows) -> Self {
        let (width, height) = (picture.width(), picture.height());
        let (mut rgb, mut levels) = (Vec::new(), Vec::new());
        let thick = THICKNESS.min(height);
        for strip in 0..STRIPS {
            let y = (middle(strip, STRIPS, height) - thick as f64 / 2.0).max(0.0) as usize;
            let rect = PixelRect { x: 0, y: y.min(height - thick), w: width, h: thick };
            picture.average(rect, (PLACES, 1), &mut rgb);
            let colour = |c: usize, i: usize| rgb[c * PLACES + i];
            levels.extend((0..PLACES).map(|i| luma([colour(0, i), colour(1, i), colour(2, i)])));
        }
        Self { width, height, levels }
    }

    /// Relative change of the light since the picture of `before` on what is away from the face in
    /// `crop`: the mean of the places' logarithms. `None` where the size of the picture has changed
    /// or too little can be seen.
    pub fn change_since(&self, before: &Self, crop: PixelRect) -> Option<f32> {
        if (self.width, self.height) != (before.width, before.height) {
            return None;
        }
        let along = |n: usize, length: usize, from: usize, side: usize| -> Vec<f64> {
            (0..n).map(|i| (middle(i, n, length) - from as f64) / side as f64).collect()
        };
        let across = along(PLACES, self.width, crop.x, crop.w);
        let down = along(STRIPS, self.height, crop.y, crop.h);
        let away = |i: &usize| is_away(across[i % PLACES], down[i / PLACES]);
        let places = (0..STRIPS * PLACES).filter(away);
        let pairs = places.map(|i| (before.levels[i], self.levels[i]));
        let seen = pairs.filter(|(a, b)| LEVELS.contains(a) && LEVELS.contains(b));
        let changes = seen.map(|(a, b)| (b / a).ln().clamp(-MOST, MOST));
        let (n, sum) = changes.fold((0, 0.0), |(n, sum), change| (n + 1, sum + change));
        (n >= FEWEST).then(|| sum / n as f32)
    }
}

/// Whether a place, in sides of a crop from its upper left corner, is neither near the crop nor below
/// it.
fn is_away(across: f64, down: f64) -> bool {
    let within = |at: f64, by: f64| (-by..1.0 + by).contains(&at);
    let near = within(across, BESIDE) && within(down, BESIDE);
    let below = within(across, BELOW) && down > 0.0;
    !near && !below
}

/// The middle of part `i` of `n` of a length.
fn middle(i: usize, n: usize, length: usize) -> f64 {
    (i as f64 + 0.5) * length as f64 / n as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facecrop::area::PackedRgb;

    const CROP: PixelRect = PixelRect { x: 120, y: 60, w: 80, h: 80 };

    /// 320 × 240, grey, of which `level` says how bright it is at (x, y).
    fn backdrop(level: impl Fn(usize, usize) -> u8) -> Backdrop {
        let data: Vec<u8> = (0..320 * 240).flat_map(|i| [level(i % 320, i / 320); 3]).collect();
        Backdrop::new(&PackedRgb { data: &data, width: 320, height: 240, stride: 960 })
    }

    fn is_person(x: usize, y: usize) -> bool {
        (112..208).contains(&x) && y >= 52 || (72..248).contains(&x) && y > 70
    }

    #[test]
    fn the_change_is_that_of_the_light_whatever_the_person_does() {
        let before = backdrop(|_, _| 100);
        let lit = backdrop(|x, y| if is_person(x, y) { 180 } else { 102 });
        let change = lit.change_since(&before, CROP).unwrap();
        assert!((change - 1.02f32.ln()).abs() < 1e-5, "{change}");
        // One who passes behind, in a fifth of what is seen, would count for 0.36.
        let passed = backdrop(|x, _| if x < 32 { 20 } else { 100 });
        let change = passed.change_since(&before, CROP).unwrap();
        assert!((-0.015..-0.005).contains(&change), "{change}");
    }

    #[test]
    fn light_below_a_step_of_the_codec_shows_where_blocks_differ() {
        // A wall of 97 to 104 by the block, in steps of four levels, as under a lamp of 0.4 %.
        let wall = |lit: f64| {
            backdrop(|x, y| {
                let level = 97.0 + ((x / 8 * 31 + y / 8 * 17) % 71) as f64 / 10.0;
                ((level * lit / 4.0).round() * 4.0) as u8
            })
        };
        let change = wall(1.004).change_since(&wall(1.0), CROP).unwrap();
        assert!((change - 0.004).abs() < 0.002, "{change}");
    }

    #[test]
    fn a_close_face_the_dark_and_another_size_tell_nothing() {
        let at = |level| backdrop(|_, _| level);
        let whole = PixelRect { x: 40, y: 0, w: 240, h: 240 };
        assert_eq!(at(101).change_since(&at(100), whole), None);
        assert_eq!(at(5).change_since(&at(4), CROP), None);
        let small = PackedRgb { data: &[100; 12], width: 2, height: 2, stride: 6 };
        assert_eq!(Backdrop::new(&small).change_since(&at(100), CROP), None);
    }
}
