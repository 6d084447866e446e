//! Rectangles of a picture and their exact area averages.
//!
//! A pixel of the crop is the mean of the part of the picture that it covers, with fractional
//! weights at its borders, in float from the first byte to the last: the pulse is a fraction of one
//! 8-bit step, so nothing may be rounded on the way.

use std::ops::Range;

/// Rectangle in whole pixels of the frame (may be non-square).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PixelRect {
    pub x: usize,
    pub y: usize,
    pub w: usize,
    pub h: usize,
}

/// Rows of a picture as RGB.
pub trait RgbRows {
    /// Width in pixels.
    fn width(&self) -> usize;

    /// Height in pixels.
    fn height(&self) -> usize;

    /// Writes R, G, B (0..1) of the pixels `x..x+n` of row `y` into three planes of length `n`.
    fn read_row(&self, y: usize, x: usize, out: [&mut [f32]; 3]);

    /// Averages `rect` down (or up) to `grid` = (columns, rows): planar R, G, B in `out`.
    ///
    /// Pictures that can average before they convert colours override this.
    fn average(&self, rect: PixelRect, grid: (usize, usize), out: &mut Vec<f32>) {
        average_rows(self, rect, grid, out)
    }
}

/// Packed 8-bit RGB (3 bytes a pixel) picture.
pub struct PackedRgb<'a> {
    /// The bytes, at least `stride * (height - 1) + 3 * width`.
    pub data: &'a [u8],
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Bytes from one row to the next.
    pub stride: usize,
}

impl RgbRows for PackedRgb<'_> {
    fn width(&self) -> usize {
        self.width
    }

    fn height(&self) -> usize {
        self.height
    }

    fn read_row(&self, y: usize, x: usize, [r, g, b]: [&mut [f32]; 3]) {
        let row = &self.data[y * self.stride + 3 * x..];
        for (((p, r), g), b) in row.chunks_exact(3).zip(r).zip(g).zip(b) {
            *r = f32::from(p[0]) / 255.0;
            *g = f32::from(p[1]) / 255.0;
            *b = f32::from(p[2]) / 255.0;
        }
    }
}

/// Area-averages `rect` of `src` to `size` × `size`: planar R, G, B in `out`, 3 × size × size
/// values in 0..1, exact fractional weights, float all the way.
///
/// # Panics
/// If `rect` is empty or does not lie inside the picture, or `size` is 0.
pub fn area_average(src: &impl RgbRows, rect: PixelRect, size: usize, out: &mut Vec<f32>) {
    assert!(rect.w > 0 && rect.h > 0 && size > 0, "empty crop: {rect:?} to {size}");
    assert!(
        rect.x + rect.w <= src.width() && rect.y + rect.h <= src.height(),
        "{rect:?} is outside of {}x{}",
        src.width(),
        src.height()
    );
    src.average(rect, (size, size), out)
}

/// Square crop around a face box (x, y, w, h in pixels): side = max(w, h) · (1 + margin), centred on
/// the box, moved (then shrunk) to lie inside the frame. At least one pixel; the frame must not be
/// empty.
pub fn crop_rect(face: [f64; 4], margin: f64, width: usize, height: usize) -> PixelRect {
    let [x, y, w, h] = face;
    // `as` turns what is not a number into 0 and saturates the rest.
    let side = ((w.max(h) * (1.0 + margin)).round() as usize).clamp(1, width.min(height).max(1));
    let place = |centre: f64, room: usize| {
        ((centre - side as f64 / 2.0).round() as usize).min(room.saturating_sub(side))
    };
    PixelRect { x: place(x + w / 2.0, width), y: place(y + h / 2.0, height), w: side, h: side }
}

/// What one cell of the grid takes from its axis: whole samples and fractions at both ends.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tap {
    /// Samples touched, never empty.
    pub samples: Range<usize>,
    /// Weight of the first sample.
    pub head: f32,
    /// Weight of the last sample, where it is another than the first; those between weigh 1.
    pub tail: f32,
}

impl Tap {
    /// The weight of sample `i` of [`Tap::samples`].
    pub fn weight(&self, i: usize) -> f32 {
        match i {
            i if i == self.samples.start => self.head,
            i if i + 1 == self.samples.end => self.tail,
            _ => 1.0,
        }
    }

    /// The weighted sum of the samples, which lie `step` values apart in `row`, the axis's first
    /// sample at `row[0]`.
    pub fn sum(&self, row: &[f32], step: usize) -> f32 {
        self.sum_at(row, self.samples.start * step, step)
    }

    /// [`Tap::sum`] where the first sample touched lies at `row[first]`.
    pub fn sum_at(&self, row: &[f32], first: usize, step: usize) -> f32 {
        let between = self.samples.len().saturating_sub(2);
        let mut sum = self.head * row[first];
        let mut at = first + step;
        for _ in 0..between {
            sum += row[at];
            at += step;
        }
        if self.samples.len() > 1 {
            sum += self.tail * row[at];
        }
        sum
    }
}

/// Divides `start..start+len` of an axis, whose samples each span `span` pixels, among `cells`.
pub(super) fn taps(start: usize, len: usize, span: usize, cells: usize) -> Vec<Tap> {
    // Borders are fractions with one denominator: those at whole samples come out exact.
    let whole = cells * span;
    let border = |i: usize| start * cells + i * len;
    let tap = |i| {
        let (a, b) = (border(i), border(i + 1));
        let (first, end) = (a / whole, b.div_ceil(whole));
        let end = end.max(first + 1);
        let [a, b] = [a, b].map(|border| border as f64 / whole as f64);
        let head = b.min(first as f64 + 1.0) - a;
        Tap { samples: first..end, head: head as f32, tail: (b - (end - 1) as f64) as f32 }
    };
    (0..cells).map(tap).collect()
}

/// [`RgbRows::average`] of any picture: rows are summed first, whole, then columns.
fn average_rows<R: RgbRows + ?Sized>(
    src: &R,
    rect: PixelRect,
    (columns, rows): (usize, usize),
    out: &mut Vec<f32>,
) {
    let plane = columns * rows;
    out.clear();
    out.resize(3 * plane, 0.0);
    let across = taps(0, rect.w, 1, columns);
    let scale = plane as f32 / (rect.w * rect.h) as f32;
    let (mut row, mut sums) = (vec![0.0; 3 * rect.w], vec![0.0; 3 * rect.w]);
    for (j, tap) in taps(rect.y, rect.h, 1, rows).into_iter().enumerate() {
        sums.fill(0.0);
        for y in tap.samples.clone() {
            let (r, gb) = row.split_at_mut(rect.w);
            let (g, b) = gb.split_at_mut(rect.w);
            src.read_row(y, rect.x, [r, g, b]);
            let weight = tap.weight(y);
            sums.iter_mut().zip(&row).for_each(|(s, v)| *s += weight * v);
        }
        for (c, sums) in sums.chunks_exact(rect.w).enumerate() {
            let cells = &mut out[c * plane + j * columns..][..columns];
            for (cell, tap) in cells.iter_mut().zip(&across) {
                *cell = scale * tap.sum(sums, 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(width: usize, height: usize) -> Vec<u8> {
        (0..width * height)
            .flat_map(|i| [(i % width) as u8, (i / width) as u8, (i % 251) as u8])
            .collect()
    }

    /// The definition, cell by cell, in double precision.
    fn naive(src: &PackedRgb, rect: PixelRect, size: usize) -> Vec<f64> {
        let overlap = |a: f64, b: f64, i: usize| (b.min((i + 1) as f64) - a.max(i as f64)).max(0.0);
        let border = |s, l, i| s as f64 + (l * i) as f64 / size as f64;
        let mut out = vec![0.0; 3 * size * size];
        for (n, o) in out.iter_mut().enumerate() {
            let (c, j, i) = (n / (size * size), n / size % size, n % size);
            let (x0, x1) = (border(rect.x, rect.w, i), border(rect.x, rect.w, i + 1));
            let (y0, y1) = (border(rect.y, rect.h, j), border(rect.y, rect.h, j + 1));
            for y in rect.y..rect.y + rect.h {
                for x in rect.x..rect.x + rect.w {
                    let v = f64::from(src.data[y * src.stride + 3 * x + c]) / 255.0;
                    *o += v * overlap(x0, x1, x) * overlap(y0, y1, y);
                }
            }
            *o /= (x1 - x0) * (y1 - y0);
        }
        out
    }

    #[test]
    fn averages_are_those_of_the_definition() {
        let (width, height) = (97, 61);
        let data = ramp(width, height);
        let src = PackedRgb { data: &data, width, height, stride: 3 * width };
        let mut out = Vec::new();
        for (rect, size) in [
            (PixelRect { x: 0, y: 0, w: 97, h: 61 }, 36),
            (PixelRect { x: 5, y: 7, w: 36, h: 36 }, 36),
            (PixelRect { x: 3, y: 1, w: 60, h: 60 }, 20),
            (PixelRect { x: 90, y: 50, w: 7, h: 11 }, 36),
            (PixelRect { x: 96, y: 60, w: 1, h: 1 }, 1),
            (PixelRect { x: 10, y: 10, w: 47, h: 43 }, 7),
        ] {
            area_average(&src, rect, size, &mut out);
            let want = naive(&src, rect, size);
            assert_eq!(out.len(), want.len());
            for (o, w) in out.iter().zip(want) {
                assert!((f64::from(*o) - w).abs() < 1e-6, "{rect:?} {size}: {o} for {w}");
            }
        }
    }

    #[test]
    fn one_byte_of_one_pixel_shows() {
        let mut data = vec![100; 3 * 200 * 200];
        let whole = PixelRect { x: 0, y: 0, w: 200, h: 200 };
        let (mut before, mut after) = (Vec::new(), Vec::new());
        let average = |data: &[u8], out: &mut Vec<f32>| {
            area_average(&PackedRgb { data, width: 200, height: 200, stride: 600 }, whole, 36, out)
        };
        average(&data, &mut before);
        data[3 * (200 * 100 + 100) + 1] += 1;
        average(&data, &mut after);
        let changed: f32 = before.iter().zip(&after).map(|(b, a)| a - b).sum();
        let step = 36.0 * 36.0 / (200.0 * 200.0) / 255.0;
        assert!((changed / step - 1.0).abs() < 0.02, "{changed} for {step}");
    }

    #[test]
    fn the_crop_is_centred_then_moved_then_shrunk() {
        let rect = |x, y, side| PixelRect { x, y, w: side, h: side };
        assert_eq!(crop_rect([100.0, 100.0, 80.0, 100.0], 0.3, 640, 480), rect(75, 85, 130));
        assert_eq!(crop_rect([-20.0, 400.0, 80.0, 100.0], 0.3, 640, 480), rect(0, 350, 130));
        assert_eq!(crop_rect([0.0, 0.0, 640.0, 480.0], 0.3, 640, 480), rect(80, 0, 480));
        assert_eq!(crop_rect([9e9, -9e9, 10.0, 10.0], 0.0, 640, 480), rect(630, 0, 10));
        assert_eq!(crop_rect([f64::NAN; 4], 0.3, 1, 1), rect(0, 0, 1));
    }

    #[test]
    fn taps_share_the_axis_exactly() {
        for (start, len, span, cells) in [(3, 200, 1, 36), (7, 101, 2, 72), (0, 5, 4, 36)] {
            let taps = taps(start, len, span, cells);
            let total: f32 =
                taps.iter().map(|t| t.samples.clone().map(|i| t.weight(i)).sum::<f32>()).sum();
            assert!((total - len as f32 / span as f32).abs() < 1e-4);
        }
        let whole = taps(10, 144, 1, 36);
        assert!(whole.iter().all(|t| t.samples.len() == 4 && t.head == 1.0 && t.tail == 1.0));
    }
}
