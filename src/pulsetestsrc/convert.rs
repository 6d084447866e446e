//! From float RGB to the bytes of any 8-bit format: one weighted sum a channel.

use std::ops::Range;

use crate::scene::camera::round;

/// One channel of a format: R, G, B, alpha, luma, a chroma plane, padding.
#[derive(Clone, Debug)]
pub struct Channel {
    pub plane: usize,
    /// First byte in a row, and bytes from one value to the next (1 to 4).
    pub offset: usize,
    pub step: usize,
    /// Whether it has half the columns, half the rows.
    pub half_width: bool,
    pub half_height: bool,
    /// Value = add + weights · (R, G, B), all 0..255.
    pub weights: [f32; 3],
    pub add: f32,
}

/// Weights and offset of luma, Cb and Cr: `kr`, `kb` of the matrix; limited range or full.
pub fn ycbcr(kr: f32, kb: f32, limited: bool) -> [([f32; 3], f32); 3] {
    let luma = [kr, 1.0 - kr - kb, kb];
    let (black, y, c) =
        if limited { (16.0, 219.0 / 255.0, 224.0 / 255.0) } else { (0.0, 1.0, 1.0) };
    let chroma = |which: usize, k: f32| {
        std::array::from_fn(|i| {
            let own = if i == which { 1.0 } else { 0.0 };
            c * (own - luma[i]) / (2.0 * (1.0 - k))
        })
    };
    [(luma.map(|v| v * y), black), (chroma(2, kb), 128.0), (chroma(0, kr), 128.0)]
}

/// Rows of one plane.
pub struct Plane<'a> {
    pub data: &'a mut [u8],
    pub stride: usize,
}

/// Writes bands of rows into planes.
pub struct Writer {
    channels: Vec<Channel>,
    /// Averages over the pixels of one chroma value.
    reduced: Vec<f32>,
}

impl Writer {
    pub fn new(channels: Vec<Channel>) -> Writer {
        Writer { channels, reduced: Vec::new() }
    }

    /// Rows that are written together: 2 where colour has half the rows.
    pub fn band(&self) -> usize {
        if self.channels.iter().any(|c| c.half_height) { 2 } else { 1 }
    }

    /// Clears what no channel writes: bytes beyond the last pixel of each row.
    pub fn clear_tails(&self, planes: &mut [Plane], width: usize, height: usize) {
        for channel in &self.channels {
            let halved = |size: usize, half: bool| if half { size.div_ceil(2) } else { size };
            let used = halved(width, channel.half_width) * channel.step;
            let plane = &mut planes[channel.plane];
            let rows = plane.data.chunks_mut(plane.stride);
            for row in rows.take(halved(height, channel.half_height)) {
                let used = used.min(row.len());
                row[used..].fill(0);
            }
        }
    }

    /// Writes the columns `x` of the rows `y`.. (one or two: a band, or what is left of it at the
    /// lower edge). `rows` are interleaved RGB; `x.start` and `y` are even.
    pub fn write(&mut self, planes: &mut [Plane], y: usize, x: Range<usize>, rows: &[&[f32]]) {
        for channel in &self.channels {
            let lines = if channel.half_height { 1 } else { rows.len() };
            for line in 0..lines {
                let source = if channel.half_width || channel.half_height {
                    let pair = if channel.half_height { rows } else { &rows[line..=line] };
                    reduce(pair, channel.half_width, &mut self.reduced);
                    self.reduced.as_slice()
                } else {
                    rows[line]
                };
                let row = if channel.half_height { y / 2 } else { y + line };
                let column = if channel.half_width { x.start / 2 } else { x.start };
                let plane = &mut planes[channel.plane];
                let bytes = &mut plane.data[row * plane.stride..];
                let end = plane.stride.min(bytes.len());
                scatter(channel, source, &mut bytes[column * channel.step..end]);
            }
        }
    }
}

/// Averages one or two rows, and pairs of columns; what has no partner stands for itself.
fn reduce(rows: &[&[f32]], half_width: bool, out: &mut Vec<f32>) {
    out.clear();
    let upper = rows[0];
    let lower = rows[rows.len() - 1];
    if !half_width {
        out.extend(upper.iter().zip(lower).map(|(a, b)| 0.5 * (a + b)));
        return;
    }
    for (a, b) in upper.chunks(6).zip(lower.chunks(6)) {
        let second = a.len() - 3;
        out.extend((0..3).map(|c| 0.25 * (a[c] + a[second + c] + b[c] + b[second + c])));
    }
}

/// Writes one value of the channel per pixel.
fn scatter(channel: &Channel, source: &[f32], bytes: &mut [u8]) {
    match channel.step {
        1 => scatter_by::<1>(channel, source, bytes),
        2 => scatter_by::<2>(channel, source, bytes),
        3 => scatter_by::<3>(channel, source, bytes),
        _ => scatter_by::<4>(channel, source, bytes),
    }
}

fn scatter_by<const STEP: usize>(channel: &Channel, source: &[f32], bytes: &mut [u8]) {
    let [r, g, b] = channel.weights;
    let (add, offset) = (channel.add, channel.offset.min(STEP - 1));
    for (target, p) in bytes.chunks_exact_mut(STEP).zip(source.chunks_exact(3)) {
        target[offset] = round(add + r * p[0] + g * p[1] + b * p[2]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices_are_those_of_the_standards() {
        let convert = |kr, kb, limited, rgb: [f32; 3]| {
            ycbcr(kr, kb, limited)
                .map(|(w, add)| round(add + (0..3).map(|i| w[i] * rgb[i]).sum::<f32>()))
        };
        assert_eq!(convert(0.299, 0.114, true, [255.0; 3]), [235, 128, 128]);
        assert_eq!(convert(0.299, 0.114, true, [255.0, 0.0, 0.0]), [81, 90, 240]);
        assert_eq!(convert(0.2126, 0.0722, true, [0.0, 0.0, 255.0]), [32, 240, 118]);
        assert_eq!(convert(0.2126, 0.0722, true, [0.0, 255.0, 0.0]), [173, 42, 26]);
        assert_eq!(convert(0.299, 0.114, false, [0.0, 0.0, 255.0]), [29, 255, 107]);
    }

    #[test]
    fn odd_pictures_are_written_to_the_edge() {
        let [y, cb, _] = ycbcr(0.299, 0.114, false);
        let channel = |plane, half, (weights, add)| Channel {
            plane,
            offset: 0,
            step: 1,
            half_width: half,
            half_height: half,
            weights,
            add,
        };
        let mut writer = Writer::new(vec![channel(0, false, y), channel(1, true, cb)]);
        assert_eq!(writer.band(), 2);
        let (mut luma, mut chroma) = (vec![0; 12], vec![0; 8]);
        let row: Vec<f32> = [[10.0, 10.0, 10.0], [20.0, 20.0, 20.0], [0.0, 0.0, 255.0]].concat();
        for (y, rows) in [(0, vec![&row[..], &row[..]]), (2, vec![&row[..]])] {
            let mut planes =
                [Plane { data: &mut luma, stride: 4 }, Plane { data: &mut chroma, stride: 4 }];
            writer.write(&mut planes, y, 0..3, &rows);
        }
        assert_eq!(luma, [10, 20, 29, 0, 10, 20, 29, 0, 10, 20, 29, 0]);
        assert_eq!(chroma, [128, 255, 0, 0, 128, 255, 0, 0]);
    }
}
