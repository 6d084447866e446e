//! 8-bit pictures of any layout, averaged before their colours are converted.
//!
//! Conversion to RGB is linear up to its final clamp, so the mean of the converted pixels is the
//! converted mean, and only the cells of the crop need converting. The two differ where single
//! pixels fall outside of the RGB cube: those are clamped here after averaging, not before. A
//! subsampled chroma sample covers its pixels evenly (no interpolation), as area averaging asks.

use super::area::{PixelRect, RgbRows, Tap, taps};

/// From the three components of a pixel (as 8-bit code values) to RGB in 0..1:
/// `rgb = matrix · (value - offset)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Colour {
    pub matrix: [[f32; 3]; 3],
    pub offset: [f32; 3],
}

impl Colour {
    /// Components are R, G, B; 16..235 where not `full`.
    pub fn rgb(full: bool) -> Self {
        let (black, scale) = if full { (0.0, 1.0 / 255.0) } else { (16.0, 1.0 / 219.0) };
        let matrix = [[scale, 0.0, 0.0], [0.0, scale, 0.0], [0.0, 0.0, scale]];
        Self { matrix, offset: [black; 3] }
    }

    /// The first component is grey, there are no others.
    pub fn grey(full: bool) -> Self {
        let Self { matrix: [[scale, ..], ..], offset } = Self::rgb(full);
        Self { matrix: [[scale, 0.0, 0.0]; 3], offset: [offset[0], 0.0, 0.0] }
    }

    /// Components are Y', Cb, Cr with the luma weights `kr` and `kb` (ITU-R BT.601: 0.299 and
    /// 0.114; BT.709: 0.2126 and 0.0722; BT.2020: 0.2627 and 0.0593); Y' in 16..235 and chroma in
    /// 16..240 where not `full`.
    pub fn ycbcr(kr: f64, kb: f64, full: bool) -> Self {
        let (black, luma, chroma) = if full { (0.0, 255.0, 255.0) } else { (16.0, 219.0, 224.0) };
        let kg = 1.0 - kr - kb;
        let y = (1.0 / luma) as f32;
        let of = |v: f64| (v / chroma) as f32;
        let (r, b) = (2.0 * (1.0 - kr), 2.0 * (1.0 - kb));
        let matrix = [[y, 0.0, of(r)], [y, of(-b * kb / kg), of(-r * kr / kg)], [y, of(b), 0.0]];
        Self { matrix, offset: [black, 128.0, 128.0] }
    }

    /// Converts planes of equal length in place.
    fn convert(&self, planes: [&mut [f32]; 3]) {
        let (m, o) = (self.matrix, self.offset);
        let [a, b, c] = planes;
        for ((a, b), c) in a.iter_mut().zip(b).zip(c) {
            let v = [*a - o[0], *b - o[1], *c - o[2]];
            let row = |r: [f32; 3]| (r[0] * v[0] + r[1] * v[1] + r[2] * v[2]).clamp(0.0, 1.0);
            (*a, *b, *c) = (row(m[0]), row(m[1]), row(m[2]));
        }
    }
}

/// One component's samples in a row of a plane.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Samples {
    /// Which of the three components.
    pub component: usize,
    /// Byte of the first sample.
    pub offset: usize,
    /// Bytes from one sample to the next.
    pub step: usize,
    /// Pixels that a sample spans, across.
    pub span: usize,
}

/// A memory plane and the components in it.
#[derive(Clone, Debug)]
pub struct Plane<'a> {
    pub data: &'a [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
    /// Pixels that a row spans, down.
    pub span: usize,
    pub samples: Vec<Samples>,
}

/// A picture of 8-bit samples in up to three planes.
#[derive(Clone, Debug)]
pub struct Picture<'a> {
    origin: (usize, usize),
    width: usize,
    height: usize,
    planes: Vec<Plane<'a>>,
    colour: Colour,
}

impl<'a> Picture<'a> {
    /// The part of `width` × `height` pixels that starts at `origin` (x, y) of the planes.
    ///
    /// `None` where it is empty or a plane is too short for it.
    pub fn new(
        planes: Vec<Plane<'a>>,
        origin: (usize, usize),
        (width, height): (usize, usize),
        colour: Colour,
    ) -> Option<Self> {
        let fits = |p: &Plane| {
            p.samples.iter().all(|s| {
                let last = (origin.0 + width - 1) / s.span * s.step + s.offset;
                let row = (origin.1 + height - 1) / p.span;
                s.component < 3 && last < p.stride && row * p.stride + last < p.data.len()
            })
        };
        (width > 0 && height > 0 && planes.iter().all(fits)).then_some(Self {
            origin,
            width,
            height,
            planes,
            colour,
        })
    }

    /// Whether the picture holds colour at all.
    pub fn has_colour(&self) -> bool {
        self.planes.iter().map(|p| p.samples.len()).sum::<usize>() == 3
    }
}

impl RgbRows for Picture<'_> {
    fn width(&self) -> usize {
        self.width
    }

    fn height(&self) -> usize {
        self.height
    }

    fn read_row(&self, y: usize, x: usize, mut out: [&mut [f32]; 3]) {
        let (x, y) = (x + self.origin.0, y + self.origin.1);
        out.iter_mut().for_each(|plane| plane.fill(0.0));
        for plane in &self.planes {
            let row = &plane.data[y / plane.span * plane.stride..];
            for s in &plane.samples {
                for (i, o) in out[s.component].iter_mut().enumerate() {
                    *o = f32::from(row[(x + i) / s.span * s.step + s.offset]);
                }
            }
        }
        self.colour.convert(out);
    }

    fn average(&self, rect: PixelRect, (columns, rows): (usize, usize), out: &mut Vec<f32>) {
        let cells = columns * rows;
        out.clear();
        out.resize(3 * cells, 0.0);
        let rect = PixelRect { x: rect.x + self.origin.0, y: rect.y + self.origin.1, ..rect };
        for plane in &self.planes {
            average_plane(plane, rect, (columns, rows), out);
        }
        let (a, bc) = out.split_at_mut(cells);
        let (b, c) = bc.split_at_mut(cells);
        self.colour.convert([a, b, c]);
    }
}

/// Averages the components of a plane: its rows are summed as they lie in memory, then columns.
fn average_plane(plane: &Plane, rect: PixelRect, (columns, rows): (usize, usize), out: &mut [f32]) {
    let across: Vec<(Samples, Vec<Tap>)> =
        plane.samples.iter().map(|s| (*s, taps(rect.x, rect.w, s.span, columns))).collect();
    let first = |(s, taps): &(Samples, Vec<Tap>)| taps[0].samples.start * s.step + s.offset;
    let end = |(s, taps): &(Samples, Vec<Tap>)| {
        (taps[columns - 1].samples.end - 1) * s.step + s.offset + 1
    };
    let from = across.iter().map(first).min().unwrap_or(0);
    let to = across.iter().map(end).max().unwrap_or(0);
    let mut sums = vec![0.0; to - from];
    for (j, tap) in taps(rect.y, rect.h, plane.span, rows).into_iter().enumerate() {
        sums.fill(0.0);
        for y in tap.samples.clone() {
            add_row(&mut sums, &plane.data[y * plane.stride + from..], tap.weight(y));
        }
        for (s, taps) in &across {
            let area = (rect.w * rect.h) as f32 / (s.span * plane.span) as f32;
            let scale = (columns * rows) as f32 / area;
            let cells = &mut out[(s.component * rows + j) * columns..][..columns];
            for (cell, tap) in cells.iter_mut().zip(taps) {
                let first = tap.samples.start * s.step + s.offset - from;
                *cell = scale * tap.sum_at(&sums, first, s.step);
            }
        }
    }
}

fn add_row(sums: &mut [f32], row: &[u8], weight: f32) {
    sums.iter_mut().zip(row).for_each(|(sum, byte)| *sum += weight * f32::from(*byte));
}
