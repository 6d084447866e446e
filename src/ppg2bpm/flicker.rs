//! Takes lines above the pulse out of unevenly sampled values.
//!
//! Lamps that flicker at twice the mains' frequency beat with the frame rate and stand in the
//! samples as a line of some Hz. Even frames keep it apart from the pulse. Where frames are
//! missing and nothing tells what they held, it has images at its distance from the rate at which
//! they are missing, right in the pulse's band; so it goes before the holes are filled.

use std::f64::consts::TAU;

use rustfft::num_complex::Complex;

use super::spectrum::transform;

/// Lowest frequency that is taken out, Hz: above the band in which rates are compared.
const LOW: f64 = 6.0;
/// Rate of the grid on which lines are looked for, and its highest frequency that counts, Hz.
const GRID: f64 = 60.0;
const HIGH: f64 = 29.0;
/// A line holds at least this share of the variance, and there are at most so many.
const SHARE: f64 = 0.05;
const LINES: usize = 3;

/// Takes the strongest lines out of `points` (ascending time in seconds, value).
pub fn remove(points: &mut [(f64, f64)]) {
    for _ in 0..LINES {
        let weights = hann(points);
        let total: f64 = weights.iter().sum();
        if points.len() < 30 || total <= 0.0 {
            return;
        }
        let mean = weights.iter().zip(&*points).map(|(w, p)| w * p.1).sum::<f64>() / total;
        let variance =
            weights.iter().zip(&*points).map(|(w, p)| w * (p.1 - mean).powi(2)).sum::<f64>();
        let at = |f: f64| -> Complex<f64> {
            let term = |(w, p): (&f64, &(f64, f64))| {
                Complex::from_polar(w * (p.1 - mean), -TAU * f * (p.0 - points[0].0))
            };
            weights.iter().zip(points.iter()).map(term).sum()
        };
        let (line, f) = strongest(points, &weights, mean, &at);
        // Of a sine of amplitude a the sum is a/2 of the weights', its variance a²/2 of theirs.
        let amplitude = line * (2.0 / total);
        if variance <= 0.0 || amplitude.norm_sqr() / 2.0 * total < SHARE * variance {
            return;
        }
        let start = points[0].0;
        for (t, v) in points.iter_mut() {
            *v -= (amplitude * Complex::from_polar(1.0, TAU * f * (*t - start))).re;
        }
    }
}

fn hann(points: &[(f64, f64)]) -> Vec<f64> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return Vec::new() };
    let span = (last.0 - first.0).max(f64::MIN_POSITIVE);
    points.iter().map(|p| 0.5 * (1.0 - (TAU * (p.0 - first.0) / span).cos())).collect()
}

/// Frequency of the strongest line and its weighted sum: roughly from an even grid of nearest
/// samples, then at the samples' own times.
fn strongest(
    points: &[(f64, f64)],
    weights: &[f64],
    mean: f64,
    at: &dyn Fn(f64) -> Complex<f64>,
) -> (Complex<f64>, f64) {
    let mut grid = Vec::new();
    for (w, p) in weights.iter().zip(points) {
        let i = ((p.0 - points[0].0) * GRID).round() as usize;
        if i >= grid.len() {
            grid.resize(i + 1, Complex::new(0.0, 0.0));
        }
        grid[i] += w * (p.1 - mean);
    }
    let spectrum = transform(grid);
    let bin = GRID / spectrum.len() as f64;
    // Beyond half the frame rate everything is an image of what is below.
    let rate = (points.len() - 1) as f64 / (points[points.len() - 1].0 - points[0].0);
    let high = HIGH.min(rate * 0.55).max(LOW + bin);
    let bins = (LOW / bin).ceil() as usize..(high / bin) as usize + 1;
    let best = bins.max_by(|a, b| spectrum[*a].norm_sqr().total_cmp(&spectrum[*b].norm_sqr()));
    let centre = best.unwrap_or(0) as f64 * bin;
    (-8..=8)
        .map(|k| centre + f64::from(k) * bin / 8.0)
        .map(|f| (at(f), f))
        .max_by(|a, b| a.0.norm_sqr().total_cmp(&b.0.norm_sqr()))
        .expect("there are candidates")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_and_what_is_slower_stays() {
        let slow = |t: f64| (TAU * 1.5 * t).sin();
        let times = (0..300).filter(|i| i % 10 != 9).map(|i| f64::from(i) / 30.0);
        let mut points: Vec<_> =
            times.map(|t| (t, slow(t) + 3.0 * (TAU * 12.9 * t + 1.0).cos())).collect();
        remove(&mut points);
        for (t, v) in points {
            assert!((v - slow(t)).abs() < 0.1, "{t}: {v} {}", slow(t));
        }
    }
}
