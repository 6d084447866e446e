//! A stand-in for a video codec at a low bit rate.
//!
//! What matters for the pulse is kept: colour at half the resolution, blocks of 8 × 8 whose
//! difference to the previous decoded frame is transformed (Walsh-Hadamard in place of the cosine
//! transform) and coarsely quantised with a dead zone, so that small changes are held back for
//! several frames and then come at once.

use super::camera::round;

/// Codes frame after frame of one size.
#[derive(Clone, Debug)]
pub struct Codec {
    /// Quantiser step of an orthonormal transform, grey levels.
    step: f32,
    /// Frames from one intra-coded frame to the next.
    intra_every: u32,
    frames: u32,
    /// Luma and the two chroma planes as decoded last.
    planes: [Plane; 3],
}

#[derive(Clone, Debug, Default)]
struct Plane {
    /// Multiples of 8.
    width: usize,
    height: usize,
    coded: Vec<f32>,
    /// The frame to be coded.
    source: Vec<f32>,
}

impl Plane {
    fn new(width: usize, height: usize) -> Plane {
        let (width, height) = (width.next_multiple_of(8), height.next_multiple_of(8));
        let zeros = vec![0.0; width * height];
        Plane { width, height, coded: zeros.clone(), source: zeros }
    }

    /// Codes `source` against `coded`.
    fn code(&mut self, step: f32, intra: bool) {
        for by in (0..self.height).step_by(8) {
            for bx in (0..self.width).step_by(8) {
                let at = |y: usize| (by + y) * self.width + bx;
                let mut block = [[0.0f32; 8]; 8];
                for (y, line) in block.iter_mut().enumerate() {
                    let source = &self.source[at(y)..][..8];
                    let coded = &self.coded[at(y)..][..8];
                    (0..8).for_each(|x| line[x] = source[x] - if intra { 0.0 } else { coded[x] });
                }
                quantise(&mut block, step, intra);
                for (y, line) in block.iter().enumerate() {
                    let start = at(y);
                    let coded = &mut self.coded[start..start + 8];
                    (0..8).for_each(|x| coded[x] = line[x] + if intra { 0.0 } else { coded[x] });
                }
            }
        }
    }
}

/// Transform, quantisation, inverse.
fn quantise(block: &mut [[f32; 8]; 8], step: f32, intra: bool) {
    // Orthonormal forward and back: 1/8 each, put in one place.
    let (forward, back) = (0.125 / step, 0.125 * step);
    // Rounding offsets of common encoders: a third for intra, a sixth for predicted blocks.
    let offset = if intra { 1.0 / 3.0 } else { 1.0 / 6.0 };
    hadamard(block);
    for v in block.iter_mut().flatten() {
        let level = (v.abs() * forward + offset) as i32 as f32;
        *v = level.copysign(*v) * back;
    }
    hadamard(block);
}

/// Walsh-Hadamard transform of rows and columns, not normalised; its own inverse times 64.
fn hadamard(block: &mut [[f32; 8]; 8]) {
    for _ in 0..2 {
        for half in [4, 2, 1] {
            for y in (0..8).filter(|y| y & half == 0) {
                let (upper, lower) = block.split_at_mut(y + half);
                for (a, b) in upper[y].iter_mut().zip(&mut lower[0]) {
                    (*a, *b) = (*a + *b, *a - *b);
                }
            }
        }
        let copy = *block;
        for (y, line) in block.iter_mut().enumerate() {
            (0..8).for_each(|x| line[x] = copy[x][y]);
        }
    }
}

impl Codec {
    /// `step` in grey levels (2 fine .. 12 coarse); `intra_every` 1 codes every frame by itself,
    /// as motion JPEG does.
    pub fn new(step: f32, intra_every: u32) -> Codec {
        Codec { step, intra_every, frames: 0, planes: Default::default() }
    }

    /// Replaces the packed RGB picture by what a decoder would show.
    pub fn pass(&mut self, rgb: &mut [u8], width: usize, height: usize) {
        if self.frames == 0 {
            let (cw, ch) = (width.div_ceil(2), height.div_ceil(2));
            self.planes = [Plane::new(width, height), Plane::new(cw, ch), Plane::new(cw, ch)];
        }
        let intra = self.frames.is_multiple_of(self.intra_every);
        self.frames += 1;
        self.load(rgb, width, height);
        let [luma, cb, cr] = &mut self.planes;
        luma.code(self.step, intra);
        cb.code(self.step, intra);
        cr.code(self.step, intra);
        self.store(rgb, width);
    }

    /// RGB to the source planes; the padding beyond the picture stays 0.
    fn load(&mut self, rgb: &[u8], width: usize, height: usize) {
        let [luma, cb, cr] = &mut self.planes;
        cb.source.fill(0.0);
        cr.source.fill(0.0);
        for (y, row) in rgb.chunks_exact(3 * width).enumerate() {
            // An odd picture's last row and column count double.
            let share = if y + 1 == height && height % 2 == 1 { 0.5 } else { 0.25 };
            let target = &mut luma.source[y * luma.width..][..width];
            let start = y / 2 * cb.width;
            for (x, (pixel, l)) in row.chunks_exact(3).zip(target).enumerate() {
                let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(f32::from);
                *l = 0.299 * r + 0.587 * g + 0.114 * b;
                let share = if x + 1 == width && width % 2 == 1 { 2.0 * share } else { share };
                cb.source[start + x / 2] += share * (b - *l);
                cr.source[start + x / 2] += share * (r - *l);
            }
        }
    }

    /// Coded planes to RGB.
    fn store(&self, rgb: &mut [u8], width: usize) {
        let [luma, cb, cr] = &self.planes;
        for (y, row) in rgb.chunks_exact_mut(3 * width).enumerate() {
            let line = &luma.coded[y * luma.width..][..width];
            let blue = &cb.coded[y / 2 * cb.width..][..cb.width];
            let red = &cr.coded[y / 2 * cr.width..][..cr.width];
            for (x, (pixel, l)) in row.chunks_exact_mut(3).zip(line).enumerate() {
                let (b, r) = (l + blue[x / 2], l + red[x / 2]);
                let g = (l - 0.299 * r - 0.114 * b) / 0.587;
                pixel.copy_from_slice(&[round(r), round(g), round(b)]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fine_quantiser_is_nearly_lossless_and_a_coarse_one_holds() {
        let (w, h) = (21, 19);
        let picture = |level: u8| -> Vec<u8> {
            (0..w * h).flat_map(|i| [level + (i % 5) as u8; 3]).collect()
        };
        let mut fine = Codec::new(0.5, 10);
        let mut out = picture(100);
        fine.pass(&mut out, w, h);
        let worst = out.iter().zip(picture(100)).map(|(a, b)| a.abs_diff(b)).max();
        assert!(worst <= Some(1), "{worst:?}");
        // A picture that brightens by a grey level a frame: the decoded one holds, then jumps.
        let mut coarse = Codec::new(16.0, 100);
        let decoded: Vec<u8> = (100..112)
            .map(|level| {
                let mut frame = picture(level);
                coarse.pass(&mut frame, w, h);
                frame[0]
            })
            .collect();
        let held = decoded.windows(2).filter(|p| p[0] == p[1]).count();
        assert!(held >= 4 && decoded[11].abs_diff(111) <= 4, "{decoded:?}");
    }
}
