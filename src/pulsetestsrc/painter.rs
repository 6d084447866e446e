//! Puts frames of a picture into planes; what never changes is converted once.

use std::ops::Range;

use super::convert::{Plane, Writer};
use super::picture::Frame;

/// Converts frames of one size and format.
pub struct Painter {
    writer: Writer,
    width: usize,
    height: usize,
    /// The backdrop's bytes with their stride, one entry a plane.
    plain: Vec<(Vec<u8>, usize)>,
    rows: [Vec<f32>; 2],
}

impl Painter {
    pub fn new(writer: Writer, width: usize, height: usize) -> Painter {
        Painter { writer, width, height, plain: Vec::new(), rows: Default::default() }
    }

    /// Writes every byte of `planes`; unused ones become 0.
    pub fn paint(&mut self, mut frame: Frame, planes: &mut [Plane]) {
        if !frame.is_plain() {
            self.writer.clear_tails(planes, self.width, self.height);
            let width = self.width;
            self.write_bands(planes, |_| 0..width, |y, x, row| frame.read_row(y, x, row));
            return;
        }
        self.convert_backdrop(&frame, planes);
        for (plane, (bytes, _)) in planes.iter_mut().zip(&self.plain) {
            plane.data[..bytes.len()].copy_from_slice(bytes);
        }
        let touched: Vec<Range<usize>> = (0..self.height).map(|y| frame.touched(y)).collect();
        let spans = |y: usize| touched[y].clone();
        self.write_bands(planes, spans, |y, x, row| frame.read_row(y, x, row));
    }

    /// Converts the backdrop, unless it was converted for such planes before.
    fn convert_backdrop(&mut self, frame: &Frame, planes: &[Plane]) {
        let same = self.plain.len() == planes.len()
            && planes
                .iter()
                .zip(&self.plain)
                .all(|(p, (bytes, stride))| p.stride == *stride && p.data.len() == bytes.len());
        if same {
            return;
        }
        let mut plain: Vec<(Vec<u8>, usize)> =
            planes.iter().map(|p| (vec![0; p.data.len()], p.stride)).collect();
        let mut targets: Vec<Plane> =
            plain.iter_mut().map(|(data, stride)| Plane { data, stride: *stride }).collect();
        let width = self.width;
        self.write_bands(&mut targets, |_| 0..width, |y, _, row| frame.read_backdrop(y, row));
        self.plain = plain;
    }

    /// Writes the columns `spans(y)` of each row, band by band; `read` fills a row.
    fn write_bands(
        &mut self,
        planes: &mut [Plane],
        spans: impl Fn(usize) -> Range<usize>,
        mut read: impl FnMut(usize, Range<usize>, &mut [f32]),
    ) {
        let Painter { writer, rows, height, .. } = self;
        let band = writer.band();
        for y in (0..*height).step_by(band) {
            let lines = band.min(*height - y);
            let x = (y..y + lines).map(&spans).fold(0..0, union);
            // Chroma values cover two columns.
            let x = x.start & !1..x.end;
            if x.is_empty() {
                continue;
            }
            for (line, row) in rows[..lines].iter_mut().enumerate() {
                row.resize(3 * x.len(), 0.0);
                read(y + line, x.clone(), row);
            }
            let rows = [&rows[0][..], &rows[lines - 1][..]];
            writer.write(planes, y, x, &rows[..lines]);
        }
    }
}

fn union(a: Range<usize>, b: Range<usize>) -> Range<usize> {
    match (a.is_empty(), b.is_empty()) {
        (true, _) => b,
        (_, true) => a,
        _ => a.start.min(b.start)..a.end.max(b.end),
    }
}
