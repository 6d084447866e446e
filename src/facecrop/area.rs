//! Area averaging: from any picture that can be read as RGB rows to a small float crop.

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
    fn width(&self) -> usize;
    fn height(&self) -> usize;
    /// Writes R, G, B (0..1) of pixels x..x+n of row y into three planes of length n.
    fn read_row(&self, y: usize, x: usize, out: [&mut [f32]; 3]);
}

/// Packed 8-bit RGB (3 bytes a pixel) picture.
pub struct PackedRgb<'a> {
    pub data: &'a [u8],
    pub width: usize,
    pub height: usize,
    pub stride: usize,
}

impl RgbRows for PackedRgb<'_> {
    fn width(&self) -> usize {
        self.width
    }

    fn height(&self) -> usize {
        self.height
    }

    fn read_row(&self, y: usize, x: usize, out: [&mut [f32]; 3]) {
        let n = out[0].len();
        let row = &self.data[y * self.stride + 3 * x..][..3 * n];
        for (c, plane) in out.into_iter().enumerate() {
            for (value, pixel) in plane.iter_mut().zip(row.chunks_exact(3)) {
                *value = f32::from(pixel[c]) / 255.0;
            }
        }
    }
}

/// The source pixels under one output pixel: from `first`, with weights that add up to 1.
struct Span {
    first: usize,
    weights: Vec<f32>,
}

/// Splits `len` source pixels evenly over `size` outputs.
fn spans(len: usize, size: usize) -> Vec<Span> {
    let step = len as f64 / size as f64;
    let span = |i: usize| {
        let (from, to) = (i as f64 * step, (i + 1) as f64 * step);
        let first = from as usize;
        let last = (to.ceil() as usize).clamp(first + 1, len);
        let weight = |p: usize| (to.min(p as f64 + 1.0) - from.max(p as f64)).max(0.0) / step;
        Span { first, weights: (first..last).map(|p| weight(p) as f32).collect() }
    };
    (0..size).map(span).collect()
}

/// Area-averages `rect` of `src` to planar RGB, 3 × size × size, exact fractional weights.
pub fn area_average(src: &impl RgbRows, rect: PixelRect, size: usize, out: &mut Vec<f32>) {
    out.clear();
    out.resize(3 * size * size, 0.0);
    let (columns, rows) = (spans(rect.w, size), spans(rect.h, size));
    let mut line = vec![0.0; 3 * rect.w];
    for (oy, row) in rows.iter().enumerate() {
        for (dy, wy) in row.weights.iter().enumerate() {
            let (r, gb) = line.split_at_mut(rect.w);
            let (g, b) = gb.split_at_mut(rect.w);
            src.read_row(rect.y + row.first + dy, rect.x, [r, g, b]);
            for (c, plane) in line.chunks_exact(rect.w).enumerate() {
                let target = &mut out[(c * size + oy) * size..][..size];
                for (value, span) in target.iter_mut().zip(&columns) {
                    let pixels = &plane[span.first..][..span.weights.len()];
                    let sum: f32 = pixels.iter().zip(&span.weights).map(|(p, w)| p * w).sum();
                    *value += wy * sum;
                }
            }
        }
    }
}

/// Square crop around a face box (x, y, w, h in pixels): side = max(w, h) · (1 + margin), centred
/// on the box, moved (then shrunk) to lie inside the frame.
pub fn crop_rect(face: [f64; 4], margin: f64, width: usize, height: usize) -> PixelRect {
    let [x, y, w, h] = face;
    let side = (w.max(h) * (1.0 + margin)).round().max(1.0) as usize;
    let place = |centre: f64, frame: usize| {
        let len = side.min(frame);
        let start = (centre - len as f64 / 2.0).round().max(0.0) as usize;
        (start.min(frame - len), len)
    };
    let (px, pw) = place(x + w / 2.0, width);
    let (py, ph) = place(y + h / 2.0, height);
    PixelRect { x: px, y: py, w: pw, h: ph }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractional_pixels_are_weighted() {
        // 3 columns onto 2: the middle one is shared evenly.
        let data: Vec<u8> = [[0, 0, 0], [255, 255, 255], [0, 0, 0]].concat().repeat(3);
        let src = PackedRgb { data: &data, width: 3, height: 3, stride: 9 };
        let mut out = Vec::new();
        area_average(&src, PixelRect { x: 0, y: 0, w: 3, h: 3 }, 2, &mut out);
        assert_eq!(out.len(), 12);
        out.iter().for_each(|v| assert!((v - 1.0 / 3.0).abs() < 1e-6));
    }

    #[test]
    fn crops_stay_in_the_frame() {
        let rect = |x, y, w, h| PixelRect { x, y, w, h };
        assert_eq!(crop_rect([40.0, 30.0, 16.0, 20.0], 0.3, 100, 80), rect(35, 27, 26, 26));
        assert_eq!(crop_rect([-5.0, 70.0, 16.0, 20.0], 0.3, 100, 80), rect(0, 54, 26, 26));
        assert_eq!(crop_rect([0.0, 0.0, 300.0, 300.0], 0.3, 100, 80), rect(0, 0, 100, 80));
        assert_eq!(crop_rect([0.0, 0.0, 1.0, 1.0], 0.3, 1, 1), rect(0, 0, 1, 1));
    }
}
