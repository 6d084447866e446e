//! From light to bytes: tone, noise, rounding.

use std::sync::OnceLock;

use super::backdrop::FloatImage;

/// Values in the noise table.
const TABLE: usize = 1 << 16;

/// Gaussian noise of unit variance and exactly zero mean, drawn once.
fn table() -> &'static [f32] {
    static NOISE: OnceLock<Vec<f32>> = OnceLock::new();
    NOISE.get_or_init(|| {
        let mut rng = fastrand::Rng::with_seed(0x6e6f_6973);
        // The sum of twelve uniform values has unit variance and is close to Gaussian.
        let half: Vec<f32> =
            (0..TABLE / 2).map(|_| (0..12).map(|_| rng.f32()).sum::<f32>() - 6.0).collect();
        let mut values: Vec<f32> = half.iter().chain(&half).copied().collect();
        values[TABLE / 2..].iter_mut().for_each(|v| *v = -*v);
        rng.shuffle(&mut values);
        values
    })
}

/// Noise of one frame: every row begins at a random place of the table.
pub struct FrameNoise {
    rng: fastrand::Rng,
    deviation: f32,
}

impl FrameNoise {
    /// `deviation` in grey levels. Frames of one `seed` and `frame` number are the same.
    pub fn new(seed: u64, frame: u64, deviation: f32) -> FrameNoise {
        let rng = fastrand::Rng::with_seed(seed ^ frame.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        FrameNoise { rng, deviation }
    }

    /// Adds noise to the next row.
    pub fn add(&mut self, row: &mut [f32]) {
        if self.deviation == 0.0 {
            return;
        }
        let table = table();
        for part in row.chunks_mut(TABLE / 4) {
            let start = self.rng.usize(0..TABLE - part.len());
            let noise = &table[start..start + part.len()];
            part.iter_mut().zip(noise).for_each(|(v, n)| *v += self.deviation * n);
        }
    }
}

/// Bends the tone curve: v + bend · v · (1 − v) for v in 0..1, a gamma without its powers.
pub fn bend(row: &mut [f32], bend: f32) {
    row.iter_mut().for_each(|v| *v += bend * *v * (1.0 - *v / 255.0));
}

/// Rounds grey levels to bytes, clipping.
#[inline(always)]
pub fn round(v: f32) -> u8 {
    // Adding 2^23 leaves the integer in the mantissa; this form vectorises.
    ((v.clamp(0.0, 255.0) + 8_388_608.0).to_bits() & 0xff) as u8
}

/// A camera: tone curve and noise, then 8 bits.
#[derive(Clone, Debug)]
pub struct Camera {
    pub bend: f32,
    /// Standard deviation per pixel and colour, grey levels.
    pub noise: f32,
    pub seed: u64,
}

impl Camera {
    /// Takes `image` (which is used up) as frame number `frame`: packed RGB.
    pub fn take(&self, image: &mut FloatImage, frame: u64, out: &mut Vec<u8>) {
        out.resize(image.data.len(), 0);
        let mut noise = FrameNoise::new(self.seed, frame, self.noise);
        let length = 3 * image.width;
        for (row, bytes) in image.data.chunks_exact_mut(length).zip(out.chunks_exact_mut(length)) {
            bend(row, self.bend);
            noise.add(row);
            bytes.iter_mut().zip(row).for_each(|(b, v)| *b = round(*v));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_to_nearest_and_clips() {
        let values = [-3.0, 0.4, 0.6, 1.5, 127.51, 254.4, 254.6, 300.0, f32::NAN];
        assert_eq!(values.map(round), [0, 0, 1, 2, 128, 254, 255, 255, 0]);
    }

    #[test]
    fn noise_has_its_deviation_and_repeats() {
        let frame = |number| {
            let mut noise = FrameNoise::new(7, number, 2.0);
            let mut row = vec![0.0f32; 30_000];
            noise.add(&mut row);
            row
        };
        let row = frame(3);
        let square = row.iter().map(|v| v * v).sum::<f32>() / row.len() as f32;
        assert!((square.sqrt() - 2.0).abs() < 0.05, "{square}");
        assert_eq!(row, frame(3));
        assert_ne!(row, frame(4));
    }
}
