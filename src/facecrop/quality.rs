//! What a crop's pixels tell against a reading.

use crate::meta::{Reason, Reasons};

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
const FACE: f32 = 0.38;

/// Judges a planar RGB crop of `size` × `size` under the disc that the face fills.
pub fn reasons(rgb: &[f32], size: usize) -> Reasons {
    let plane = size * size;
    let centre = (size - 1) as f32 / 2.0;
    let (mut n, mut luma, mut white, mut colour) = (0f32, 0f32, 0f32, 0f32);
    for j in 0..size {
        let y = j as f32 - centre;
        let half = ((FACE * size as f32).powi(2) - y * y).max(0.0).sqrt();
        let first = (centre - half).ceil().max(0.0) as usize;
        let last = ((centre + half).floor().max(0.0) as usize).min(size - 1);
        if half == 0.0 && size > 1 {
            continue;
        }
        for i in first..=last {
            let [r, g, b] = [0, 1, 2].map(|c| rgb[c * plane + j * size + i]);
            n += 1.0;
            luma += 0.299 * r + 0.587 * g + 0.114 * b;
            let most = r.max(g).max(b);
            white += f32::from(most > WHITE);
            colour += most - r.min(g).min(b);
        }
    }
    let found = [
        (luma < DARK * n, Reason::Dark),
        (white > OVEREXPOSED * n, Reason::Overexposed),
        (colour < GREY * n, Reason::Monochrome),
    ];
    found.into_iter().filter_map(|(is, reason)| is.then_some(reason)).collect()
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
}
