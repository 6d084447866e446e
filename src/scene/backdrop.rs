//! What stands behind a face, and flat float pictures.

use super::{chance, uniform};

/// Interleaved RGB in grey levels (0..255), not rounded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FloatImage {
    pub width: usize,
    pub height: usize,
    pub data: Vec<f32>,
}

impl FloatImage {
    pub fn new(width: usize, height: usize) -> FloatImage {
        FloatImage { width, height, data: vec![0.0; 3 * width * height] }
    }

    /// Row `y`.
    pub fn row(&self, y: usize) -> &[f32] {
        &self.data[3 * y * self.width..][..3 * self.width]
    }

    /// Row `y`.
    pub fn row_mut(&mut self, y: usize) -> &mut [f32] {
        &mut self.data[3 * y * self.width..][..3 * self.width]
    }
}

/// Two-dimensional smooth noise, −1..1, from a small table of random values.
pub struct Grain {
    table: Vec<f32>,
}

/// Values along a side of the table of [`Grain`].
const SIDE: usize = 64;

impl Grain {
    pub fn new(rng: &mut fastrand::Rng) -> Grain {
        Grain { table: (0..SIDE * SIDE).map(|_| 2.0 * rng.f32() - 1.0).collect() }
    }

    /// Value at (x, y), one random value a unit; any finite coordinates.
    pub fn at(&self, x: f32, y: f32) -> f32 {
        let (fx, fy) = (x.floor(), y.floor());
        let (tx, ty) = (x - fx, y - fy);
        let (ix, iy) = (fx as i32 as usize % SIDE, fy as i32 as usize % SIDE);
        let (jx, jy) = ((ix + 1) % SIDE, (iy + 1) % SIDE);
        let (sx, sy) = (tx * tx * (3.0 - 2.0 * tx), ty * ty * (3.0 - 2.0 * ty));
        let mix = |a: f32, b: f32, t: f32| a + t * (b - a);
        let top = mix(self.table[iy * SIDE + ix], self.table[iy * SIDE + jx], sx);
        let low = mix(self.table[jy * SIDE + ix], self.table[jy * SIDE + jx], sx);
        mix(top, low, sy)
    }

    /// Three octaves of [`Grain::at`], about −1..1.
    pub fn cloud(&self, x: f32, y: f32) -> f32 {
        0.6 * self.at(x, y)
            + 0.3 * self.at(2.1 * x + 17.0, 2.1 * y + 5.0)
            + 0.15 * self.at(4.3 * x + 3.0, 4.3 * y + 29.0)
    }
}

/// A random colour, grey levels, from `dark` to `light`, little to moderately saturated.
pub fn random_colour(rng: &mut fastrand::Rng, dark: f64, light: f64) -> [f32; 3] {
    let grey = uniform(rng, dark, light);
    let tint = uniform(rng, 0.0, 0.35);
    std::array::from_fn(|_| (grey * (1.0 + tint * uniform(rng, -1.0, 1.0))).min(255.0) as f32)
}

/// A random backdrop: a mottled wall with a gradient, half of them with furniture.
pub fn random(rng: &mut fastrand::Rng, width: usize, height: usize) -> FloatImage {
    let colour = random_colour(rng, 20.0, 230.0);
    let slope = [uniform(rng, -0.3, 0.3) as f32, uniform(rng, -0.3, 0.3) as f32];
    let mottle = uniform(rng, 0.0, 0.15) as f32;
    let cell = uniform(rng, 8.0, 80.0) as f32;
    let grain = Grain::new(rng);
    let mut image = FloatImage::new(width, height);
    for y in 0..height {
        let fy = y as f32 / height as f32 - 0.5;
        for (x, pixel) in image.row_mut(y).chunks_exact_mut(3).enumerate() {
            let fx = x as f32 / width as f32 - 0.5;
            let cloud = mottle * grain.cloud(x as f32 / cell, y as f32 / cell);
            let shade = 1.0 + slope[0] * fx + slope[1] * fy + cloud;
            (0..3).for_each(|c| pixel[c] = (colour[c] * shade).clamp(0.0, 255.0));
        }
    }
    if chance(rng, 0.5) {
        (0..rng.usize(1..6)).for_each(|_| furnish(rng, &mut image));
    }
    image
}

/// Draws one upright rectangle with a gradient: a door, a shelf, a window.
fn furnish(rng: &mut fastrand::Rng, image: &mut FloatImage) {
    let (width, height) = (image.width, image.height);
    let colour = random_colour(rng, 10.0, 245.0);
    let slope = uniform(rng, -0.4, 0.4) as f32;
    let (x0, y0) = (rng.usize(0..width), rng.usize(0..height));
    let (w, h) = (rng.usize(1..width / 2 + 2), rng.usize(1..height + 1));
    for y in y0..(y0 + h).min(height) {
        let shade = 1.0 + slope * ((y - y0) as f32 / h as f32 - 0.5);
        let row = image.row_mut(y);
        for pixel in row[3 * x0..3 * (x0 + w).min(width)].chunks_exact_mut(3) {
            (0..3).for_each(|c| pixel[c] = (colour[c] * shade).min(255.0));
        }
    }
}

/// The backdrop of the portrait: a painted canvas in warm grey. `cell` is the size of its mottling
/// in pixels.
pub fn canvas(rng: &mut fastrand::Rng, width: usize, height: usize, cell: f32) -> FloatImage {
    let grain = Grain::new(rng);
    let mut image = FloatImage::new(width, height);
    for y in 0..height {
        for (x, pixel) in image.row_mut(y).chunks_exact_mut(3).enumerate() {
            let cloud = grain.cloud(x as f32 / cell, y as f32 / cell);
            let base = [208.0, 199.0, 196.0];
            let spread = [14.0, 16.0, 20.0];
            (0..3).for_each(|c| pixel[c] = base[c] + spread[c] * cloud);
        }
    }
    image
}
