//! Registration of a face's crop on an earlier one: shift and size, far below a pixel of the crop.
//!
//! Inverse-compositional Lucas-Kanade (Baker and Matthews, "Lucas-Kanade 20 years on", 2004) on the
//! luma, coarse to fine. Mean and contrast are taken out of both pictures under the mask, so that a
//! change of light is no movement; the mask leaves out the crop's corners, which are background.

use crate::meta::Movement;

/// Side of the finest level, at most about this: beyond it accuracy costs time and gains nothing.
const FINEST: usize = 36;
/// Smaller pictures tell too little.
const COARSEST: usize = 12;
/// Steps a level; at rest the first is small enough to be the last.
const MAX_STEPS: usize = 8;
/// A step below this many pixels of its level ends the search.
const SMALL_STEP: f64 = 0.004;
/// Radius of the mask over the side of the crop: the face box takes 1 / 1.3 of it.
const MASK: f32 = 0.38;
/// Size changes beyond this between two pictures are no measurement.
const MAX_SCALE: f64 = 1.25;
/// Light that varies by less than this (standard deviation, of 0..1) is no texture to follow.
const MIN_CONTRAST: f32 = 0.004;

/// Where the earlier picture is found in the later one. Shifts are fractions of the crop's side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shift {
    pub dx: f64,
    pub dy: f64,
    /// Its size over the earlier one, about the centre.
    pub scale: f64,
    /// Correlation of the two under the mask once registered, -1..1.
    pub match_: f64,
}

impl Shift {
    pub const NONE: Shift = Shift { dx: 0.0, dy: 0.0, scale: 1.0, match_: 0.0 };

    /// The movement from where the same picture was found `before`.
    pub fn since(&self, before: &Shift) -> Movement {
        let growth = (self.scale / before.scale).ln() as f32;
        Movement { x: (self.dx - before.dx) as f32, y: (self.dy - before.dy) as f32, growth }
    }
}

/// A luma picture of `side` × `side`.
#[derive(Clone, Debug)]
struct Luma {
    side: usize,
    values: Vec<f32>,
}

impl Luma {
    /// BT.601 luma of a planar RGB crop, averaged down by a whole number to about [`FINEST`].
    fn of_crop(rgb: &[f32], size: usize) -> Self {
        let plane = size * size;
        let (r, gb) = rgb.split_at(plane);
        let (g, b) = gb.split_at(plane);
        let luma = r.iter().zip(g).zip(b).map(|((r, g), b)| 0.299 * r + 0.587 * g + 0.114 * b);
        let full = Self { side: size, values: luma.collect() };
        match size / FINEST {
            0 | 1 => full,
            factor => full.reduced(factor),
        }
    }

    /// The means of blocks of `factor` × `factor`.
    fn reduced(&self, factor: usize) -> Self {
        let side = self.side / factor;
        let mut values = vec![0.0; side * side];
        let rows = self.values.chunks_exact(self.side).take(side * factor);
        for (y, row) in rows.enumerate() {
            let cells = values[y / factor * side..][..side].iter_mut();
            cells.zip(row.chunks_exact(factor)).for_each(|(c, v)| *c += v.iter().sum::<f32>());
        }
        let scale = 1.0 / (factor * factor) as f32;
        values.iter_mut().for_each(|v| *v *= scale);
        Self { side, values }
    }

    /// Bilinear value at pixel centres (x, y); the border's value beyond the border.
    fn at(&self, x: f32, y: f32) -> f32 {
        let most = (self.side - 1) as f32;
        let (x, y) = (x.clamp(0.0, most), y.clamp(0.0, most));
        let i = (x as usize).min(self.side - 2);
        let j = (y as usize).min(self.side - 2);
        let (fx, fy) = (x - i as f32, y - j as f32);
        let (top, below) =
            (&self.values[j * self.side + i..], &self.values[(j + 1) * self.side + i..]);
        let upper = top[0] + fx * (top[1] - top[0]);
        let lower = below[0] + fx * (below[1] - below[0]);
        upper + fy * (lower - upper)
    }
}

/// A pixel of the template under the mask.
#[derive(Clone, Debug)]
struct Point {
    /// From the centre.
    x: f32,
    y: f32,
    weight: f32,
    /// Less its mean, over its deviation.
    value: f32,
    /// Change of the value with a shift in x, in y, and with size.
    slope: [f32; 3],
}

/// One level of the template: masked points and the inverse of their normal matrix.
#[derive(Clone, Debug)]
struct Level {
    points: Vec<Point>,
    inverse: [[f64; 3]; 3],
}

impl Level {
    /// `None` where the picture has too little texture.
    fn new(luma: &Luma) -> Option<Self> {
        let side = luma.side;
        let centre = (side - 1) as f32 / 2.0;
        let radius = MASK * side as f32;
        let mut points = Vec::new();
        for (j, i) in (1..side - 1).flat_map(|j| (1..side - 1).map(move |i| (j, i))) {
            let (x, y) = (i as f32 - centre, j as f32 - centre);
            let d2 = (x * x + y * y) / (radius * radius);
            if d2 < 1.0 {
                let v = |i: usize, j: usize| luma.values[j * side + i];
                let gx = (v(i + 1, j) - v(i - 1, j)) / 2.0;
                let gy = (v(i, j + 1) - v(i, j - 1)) / 2.0;
                let slope = [gx, gy, gx * x + gy * y];
                points.push(Point { x, y, weight: 1.0 - d2, value: v(i, j), slope });
            }
        }
        normalise(&mut points)?;
        let inverse = inverse(normal_matrix(&points))?;
        Some(Self { points, inverse })
    }

    /// One Gauss-Newton step from `p` = shift x, y in pixels and scale: the new `p`, and the
    /// correlation before the step. `None` where the later picture has no texture there.
    fn step(&self, luma: &Luma, p: [f64; 3], sampled: &mut Vec<f32>) -> Option<([f64; 3], f64)> {
        let centre = (luma.side - 1) as f32 / 2.0;
        let [dx, dy, scale] = p.map(|v| v as f32);
        sampled.clear();
        sampled.extend(
            self.points
                .iter()
                .map(|q| luma.at(centre + dx + scale * q.x, centre + dy + scale * q.y)),
        );
        let weights = self.points.iter().map(|q| q.weight);
        let (mean, deviation) = moments(weights.zip(sampled.iter().copied()));
        if deviation < MIN_CONTRAST {
            return None;
        }
        let (mut right, mut together, mut weights) = ([0f32; 3], 0f32, 0f32);
        for (q, v) in self.points.iter().zip(sampled.iter()) {
            let value = (v - mean) / deviation;
            let error = q.weight * (value - q.value);
            right.iter_mut().zip(q.slope).for_each(|(r, s)| *r += s * error);
            together += q.weight * value * q.value;
            weights += q.weight;
        }
        let right = right.map(f64::from);
        let row = |r: [f64; 3]| r[0] * right[0] + r[1] * right[1] + r[2] * right[2];
        let [x, y, s] = self.inverse.map(row);
        let grown = (p[2] / (1.0 + s.clamp(-0.2, 0.2))).clamp(1.0 / MAX_SCALE, MAX_SCALE);
        Some(([p[0] - grown * x, p[1] - grown * y, grown], f64::from(together / weights)))
    }
}

fn moments(values: impl Iterator<Item = (f32, f32)>) -> (f32, f32) {
    let (mut w, mut sum, mut squares) = (0f32, 0f32, 0f32);
    for (weight, v) in values {
        w += weight;
        sum += weight * v;
        squares += weight * v * v;
    }
    let mean = sum / w;
    (mean, (squares / w - mean * mean).max(0.0).sqrt())
}

/// Takes mean and contrast out of the values, and out of the slopes what a change of mean explains.
fn normalise(points: &mut [Point]) -> Option<()> {
    let (mean, deviation) = moments(points.iter().map(|q| (q.weight, q.value)));
    if deviation.is_nan() || deviation < MIN_CONTRAST {
        return None;
    }
    let slopes = [0, 1, 2].map(|k| moments(points.iter().map(|q| (q.weight, q.slope[k]))).0);
    for q in points {
        q.value = (q.value - mean) / deviation;
        q.slope.iter_mut().zip(slopes).for_each(|(s, mean)| *s = (*s - mean) / deviation);
    }
    Some(())
}

fn normal_matrix(points: &[Point]) -> [[f64; 3]; 3] {
    let mut m = [[0.0; 3]; 3];
    for q in points {
        for (row, a) in m.iter_mut().zip(q.slope) {
            for (cell, b) in row.iter_mut().zip(q.slope) {
                *cell += f64::from(q.weight * a * b);
            }
        }
    }
    m
}

/// Inverse of a symmetric positive matrix; `None` where it is all but singular.
fn inverse(m: [[f64; 3]; 3]) -> Option<[[f64; 3]; 3]> {
    let minor = |i: usize, j: usize| {
        let (a, b, c, d) = ((i + 1) % 3, (i + 2) % 3, (j + 1) % 3, (j + 2) % 3);
        m[a][c] * m[b][d] - m[a][d] * m[b][c]
    };
    let det = (0..3).map(|j| m[0][j] * minor(0, j)).sum::<f64>();
    let size = m[0][0] * m[1][1] * m[2][2];
    let rows = [0, 1, 2].map(|i| [0, 1, 2].map(|j| minor(j, i) / det));
    (det > 1e-6 * size && det.is_finite()).then_some(rows)
}

/// A crop to be found again in later crops of the same rectangle.
#[derive(Clone, Debug)]
pub struct Template {
    /// Finest first, each with its side.
    levels: Vec<(usize, Level)>,
}

impl Template {
    /// From a planar RGB crop of `size` × `size`. `None` where it has too little texture.
    pub fn new(rgb: &[f32], size: usize) -> Option<Self> {
        let levels = pyramid(rgb, size)
            .iter()
            .map(|luma| Some((luma.side, Level::new(luma)?)))
            .collect::<Option<Vec<_>>>()?;
        (!levels.is_empty()).then_some(Self { levels })
    }

    /// Looks for the template in the crop `rgb` (of the template's size), starting at `guess`.
    /// `None` where there is nothing to hold on to.
    pub fn find(&self, rgb: &[f32], size: usize, guess: Shift) -> Option<Shift> {
        let pictures = pyramid(rgb, size);
        let mut p = [guess.dx, guess.dy, guess.scale];
        let mut match_ = 0.0;
        let mut sampled = Vec::new();
        for ((side, level), luma) in self.levels.iter().zip(&pictures).rev() {
            let side = *side as f64;
            let mut q = [p[0] * side, p[1] * side, p[2]];
            for _ in 0..MAX_STEPS {
                let (next, m) = level.step(luma, q, &mut sampled)?;
                let moved = (next[0] - q[0]).abs().max((next[1] - q[1]).abs());
                let grown = (next[2] - q[2]).abs() * side / 2.0;
                (q, match_) = (next, m);
                if moved.max(grown) < SMALL_STEP {
                    break;
                }
            }
            p = [q[0] / side, q[1] / side, q[2]];
        }
        let found = p[0].abs() < 0.5 && p[1].abs() < 0.5;
        found.then_some(Shift { dx: p[0], dy: p[1], scale: p[2], match_ })
    }
}

/// The luma at falling sizes; empty where the crop is smaller than [`COARSEST`].
fn pyramid(rgb: &[f32], size: usize) -> Vec<Luma> {
    if size < COARSEST {
        return Vec::new();
    }
    let mut levels = vec![Luma::of_crop(rgb, size)];
    while let Some(last) = levels.last().filter(|l| l.side / 2 >= COARSEST) {
        levels.push(last.reduced(2));
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facecrop::area::{PackedRgb, PixelRect, area_average};

    /// A smooth scene of blobs in a picture of 400 × 300.
    fn scene(light: f64) -> Vec<u8> {
        let value = |x: f64, y: f64| {
            let wave = (x / 17.0).sin() + (y / 13.0).cos() + ((x + 2.0 * y) / 29.0).sin();
            light * (120.0 + 30.0 * wave)
        };
        (0..400 * 300)
            .flat_map(|i| [value(f64::from(i % 400), f64::from(i / 400)) as u8; 3])
            .collect()
    }

    fn crop(data: &[u8], x: usize, y: usize, side: usize, size: usize) -> Vec<f32> {
        let mut out = Vec::new();
        let src = PackedRgb { data, width: 400, height: 300, stride: 1200 };
        area_average(&src, PixelRect { x, y, w: side, h: side }, size, &mut out);
        out
    }

    #[test]
    fn shift_and_size_are_found_below_a_pixel() {
        let data = scene(1.0);
        let dimmed = scene(0.8);
        for size in [36, 72] {
            let template = Template::new(&crop(&data, 100, 80, 144, size), size).unwrap();
            for (x, y, side) in [(100, 80, 144), (101, 80, 144), (90, 85, 144), (97, 77, 150)] {
                let found =
                    template.find(&crop(&dimmed, x, y, side, size), size, Shift::NONE).unwrap();
                let (side_f, scale) = (side as f64, 144.0 / side as f64);
                let dx = (172.0 - x as f64 - side_f / 2.0) / side_f;
                let dy = (152.0 - y as f64 - side_f / 2.0) / side_f;
                assert!((found.dx - dx).abs() < 0.002, "{size}: {found:?}, dx {dx}");
                assert!((found.dy - dy).abs() < 0.002, "{size}: {found:?}, dy {dy}");
                assert!((found.scale - scale).abs() < 0.01, "{size}: {found:?}, scale {scale}");
                assert!(found.match_ > 0.99, "{found:?}");
            }
        }
    }

    #[test]
    fn nothing_is_found_in_nothing() {
        let flat = vec![0.5; 3 * 36 * 36];
        assert!(Template::new(&flat, 36).is_none());
        assert!(Template::new(&[0.5; 3], 1).is_none());
        let data = scene(1.0);
        let face = crop(&data, 100, 80, 144, 36);
        let template = Template::new(&face, 36).unwrap();
        assert_eq!(template.find(&flat, 36, Shift::NONE), None);
        let other = crop(&data, 250, 150, 144, 36);
        let found = template.find(&other, 36, Shift::NONE);
        assert!(found.is_none_or(|f| f.match_ < 0.7), "{found:?}");
    }
}
