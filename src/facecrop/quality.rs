//! What a crop's pixels tell against a reading.

use super::surround::luma;
use crate::meta::{ColourChange, Reason, Reasons};

/// The pulse moves skin by about 0.4 % of its level. At a mean of 0.1 that is a tenth of an 8-bit
/// step, a third of the quantiser's own error (1/√12 step) and less than any camera's noise.
const DARK: f32 = 0.1;
/// A cell is the mean of many pixels: above this nearly all of them are at white.
const WHITE: f32 = 250.0 / 255.0;
/// Clipped skin carries no pulse; with a quarter of it gone, what moves along the edge of the
/// clipped part outweighs the rest.
const OVEREXPOSED: f32 = 0.25;
/// Mean distance of the greatest from the least colour, in 8-bit steps: grey pictures stay at 0 to
/// 1, by the rounding of chroma. Skin has 20 or more in fair light.
const GREY: f32 = 1.5 / 255.0;
/// Radius of the face over the side of the crop.
pub(super) const FACE: f32 = 0.38;

/// Judges a planar RGB crop of `size` × `size` under the disc that the face fills.
pub fn reasons(rgb: &[f32], size: usize) -> Reasons {
    let (mut n, mut light, mut white, mut colour) = (0f32, 0f32, 0f32, 0f32);
    for [r, g, b] in face(rgb, size) {
        n += 1.0;
        light += luma([r, g, b]);
        let most = r.max(g).max(b);
        white += f32::from(most > WHITE);
        colour += most - r.min(g).min(b);
    }
    let found = [
        (light < DARK * n, Reason::Dark),
        (white > OVEREXPOSED * n, Reason::Overexposed),
        (colour < GREY * n, Reason::Monochrome),
    ];
    found.into_iter().filter_map(|(is, reason)| is.then_some(reason)).collect()
}

/// Mean colour of the face in a crop.
pub fn mean_colour(rgb: &[f32], size: usize) -> [f64; 3] {
    let mut sum = [0.0; 3];
    let mut n = 0.0;
    for pixel in face(rgb, size) {
        n += 1.0;
        sum.iter_mut().zip(pixel).for_each(|(s, v)| *s += f64::from(v));
    }
    sum.map(|s| s / n)
}

/// Relative change of the light from one mean colour to the next: the logarithm of their lumas'
/// ratio. `None` in the dark.
pub fn light_change(before: [f64; 3], now: [f64; 3]) -> Option<f32> {
    let light = |rgb: [f64; 3]| f64::from(luma(rgb.map(|v| v as f32)));
    ratio(light(before), light(now))
}

/// The same for each colour by itself. `None` where one is dark.
pub fn colour_change(before: [f64; 3], now: [f64; 3]) -> Option<ColourChange> {
    let change = |c: usize| ratio(before[c], now[c]);
    Some(ColourChange { red: change(0)?, green: change(1)?, blue: change(2)? })
}

/// The logarithm of a ratio; `None` in the dark.
pub(super) fn ratio(before: f64, now: f64) -> Option<f32> {
    let change = (now / before).ln();
    change.is_finite().then_some(change as f32)
}

/// The colours under the disc that the face fills.
fn face(rgb: &[f32], size: usize) -> impl Iterator<Item = [f32; 3]> {
    let plane = size * size;
    let centre = (size - 1) as f32 / 2.0;
    let row = move |j: usize| {
        let y = j as f32 - centre;
        let half = ((FACE * size as f32).powi(2) - y * y).max(0.0).sqrt();
        let first = (centre - half).ceil().max(0.0) as usize;
        let end = ((centre + half).floor().max(0.0) as usize).min(size - 1) + 1;
        let columns = if half == 0.0 && size > 1 { 0..0 } else { first..end };
        columns.map(move |i| [0, 1, 2].map(|c| rgb[c * plane + j * size + i]))
    };
    (0..size).flat_map(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(r: f32, g: f32, b: f32) -> Vec<Reason> {
        let rgb: Vec<f32> = [r, g, b].iter().flat_map(|v| vec![*v; 36 * 36]).collect();
        reasons(&rgb, 36).iter().collect()
    }

    #[test]
    fn light_and_colour_are_judged() {
        assert_eq!(flat(0.8, 0.6, 0.5), []);
        assert_eq!(flat(0.3, 0.2, 0.15), []);
        assert_eq!(flat(0.1, 0.07, 0.05), [Reason::Dark]);
        assert_eq!(flat(1.0, 0.9, 0.8), [Reason::Overexposed]);
        assert_eq!(flat(0.5, 0.503, 0.5), [Reason::Monochrome]);
        assert_eq!(reasons(&[0.5, 0.4, 0.3], 1), Reasons::NONE);
    }

    #[test]
    fn the_change_is_that_of_the_face_not_of_the_corners() {
        let colour = |r: f32, g: f32, corner: f32| {
            let mut rgb: Vec<f32> = [r, g, 0.4].iter().flat_map(|v| vec![*v; 36 * 36]).collect();
            rgb[0] = corner;
            mean_colour(&rgb, 36)
        };
        let (before, now) = (colour(0.4, 0.4, 0.4), colour(0.408, 0.408, 1.0));
        let light = light_change(before, now).unwrap();
        assert!((light - (0.886f32 * 1.02 + 0.114).ln()).abs() < 1e-6, "{light}");
        let ColourChange { red, green, blue } = colour_change(before, now).unwrap();
        assert!((red - 1.02f32.ln()).abs() < 1e-6 && (green - red).abs() < 1e-6, "{red} {green}");
        assert_eq!(blue, 0.0);
        let dark = colour(0.0, 0.4, 0.0);
        assert!(light_change(before, dark).is_some() && colour_change(before, dark).is_none());
        assert!(light_change([0.0; 3], [0.0; 3]).is_none());
    }
}
