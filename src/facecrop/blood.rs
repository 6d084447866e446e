//! What of a face's changes of colour is blood's.
//!
//! The sum of least power ([`crate::pbv`]) has the brightness around the face as a fourth colour, in
//! which blood has no part: with it, what a lamp does to both is taken out.
//!
//! Lips, lids, a shadow's edge and a codec disturb one place of a face and leave others alone. So
//! the sum is made for each block of the crop by itself, and blocks count by how quiet they are.
//! Powers are those of the last seconds, nothing of what comes later.

use std::f64::consts::TAU;

use super::quality::{FACE, ratio};
use crate::pbv::{Sum, dot};

/// Blocks along a side of the crop: as small as codecs' own in a face 100 to 200 pixels wide.
const SIDE: usize = 9;
/// Seconds over which powers are means.
const MEMORY: f64 = 8.0;
/// Hz above which changes count less and less: the end of the pulse's band.
const CUTOFF: f64 = 3.0;
/// Share of a block's mean power that is added to each colour's: no camera's colours are blood's to
/// the last digit.
const RIDGE: f64 = 1e-2;
/// The like for the brightness around.
const RIDGE_AROUND: f64 = 0.05;
/// A block counts as much as so many of middling quiet at most: hair and what is behind the face
/// are quiet, too.
const QUIETEST: f64 = 3.0;
/// Pairs of frames before powers tell anything.
const FEW: u32 = 4;

/// Changes of red, green and blue of a block and of the brightness around the face.
type Change = [f64; 4];

/// One face, as long as it is followed.
#[derive(Clone, Debug)]
pub struct Blood {
    blocks: Vec<Block>,
    /// What the powers are means over: pairs of frames, the older the less.
    weight: f64,
    pairs: u32,
}

impl Default for Blood {
    fn default() -> Self {
        Blood { blocks: vec![Block::default(); SIDE * SIDE], weight: 0.0, pairs: 0 }
    }
}

impl Blood {
    /// The relative change by blood from one planar RGB crop of `size` × `size` to the `next`, `dt`
    /// seconds later, while the brightness around the face changed by `around`. `None` where there is
    /// no colour to change, or nothing changes.
    pub fn change(
        &mut self,
        [before, next]: [&[f32]; 2],
        size: usize,
        around: f32,
        dt: f64,
    ) -> Option<f32> {
        self.pairs = self.pairs.saturating_add(1);
        self.weight = self.weight * (-dt / MEMORY).exp() + 1.0;
        let smooth = 1.0 - (-TAU * CUTOFF * dt).exp();
        let changes = changes(before, next, size, f64::from(around));
        let known = changes.iter().zip(&mut self.blocks);
        let known = known.filter_map(|(change, block)| Some(((*change)?, block)));
        let told = known.filter_map(|(change, block)| {
            block.push(change, smooth, self.weight);
            if self.pairs < FEW {
                return Some(Told::new(&Sum::plain(), change, [0.0; 3]));
            }
            block.told(change)
        });
        mean(told.collect()).map(|m| m as f32)
    }
}

/// What a block tells of the blood.
#[derive(Clone, Copy, Debug)]
struct Told {
    change: f64,
    /// One over the power of what else is in it.
    quiet: f64,
}

impl Told {
    /// By a `sum` of a change of which `lit` goes with the brightness around.
    fn new(sum: &Sum, [red, green, blue, around]: Change, lit: [f64; 3]) -> Told {
        let rest = [red - lit[0] * around, green - lit[1] * around, blue - lit[2] * around];
        Told { change: dot(&sum.weights, &rest), quiet: 1.0 / sum.power }
    }
}

/// The changes by blood, each as quiet as it is.
fn mean(told: Vec<Told>) -> Option<f64> {
    let mut quiet: Vec<f64> = told.iter().map(|t| t.quiet).collect();
    quiet.sort_by(f64::total_cmp);
    let most = QUIETEST * quiet.get(quiet.len() / 2)?;
    let weights = || told.iter().map(|t| t.quiet.min(most));
    let sum: f64 = weights().zip(&told).map(|(w, t)| w * t.change).sum();
    Some(sum / weights().sum::<f64>())
}

/// One place of the face.
#[derive(Clone, Copy, Debug, Default)]
struct Block {
    /// The changes after the first and the second pole of the low-pass.
    poles: [Change; 2],
    /// Mean products of the smoothed changes.
    power: [Change; 4],
}

impl Block {
    /// Takes in a change, of which `smooth` passes each pole and of which the mean has 1 / `weight`.
    fn push(&mut self, change: Change, smooth: f64, weight: f64) {
        let mut input = change;
        for pole in &mut self.poles {
            pole.iter_mut().zip(input).for_each(|(p, x)| *p += smooth * (x - *p));
            input = *pole;
        }
        for (row, a) in self.power.iter_mut().zip(input) {
            row.iter_mut().zip(input).for_each(|(p, b)| *p += (a * b - *p) / weight);
        }
    }

    /// What the sum of least power makes of a change; `None` where nothing has changed.
    fn told(&self, change: Change) -> Option<Told> {
        let mean = (0..3).map(|c| self.power[c][c]).sum::<f64>() / 3.0;
        // What goes with the brightness around, by the least squares.
        let around = self.power[3][3] * (1.0 + RIDGE_AROUND) + f64::MIN_POSITIVE;
        let lit = [0, 1, 2].map(|c| self.power[c][3] / around);
        let rest = |a: usize, b: usize| self.power[a][b] - lit[a] * self.power[b][3];
        let rest = [0, 1, 2].map(|a| [0, 1, 2].map(|b| rest(a, b)));
        Some(Told::new(&Sum::of_least_power(&rest, RIDGE * mean)?, change, lit))
    }
}

/// How each block changes; none beside the face, nor where a colour is black.
fn changes(before: &[f32], next: &[f32], size: usize, around: f64) -> Vec<Option<Change>> {
    let [before, next] = [before, next].map(|rgb| sums(rgb, size));
    let middle = (SIDE - 1) as f64 / 2.0;
    let change = |block: usize| {
        let (x, y) = ((block % SIDE) as f64 - middle, (block / SIDE) as f64 - middle);
        let inside = x.hypot(y) <= f64::from(FACE) * SIDE as f64;
        let colour = |c: usize| ratio(before[block][c], next[block][c]).map(f64::from);
        inside.then(|| Some([colour(0)?, colour(1)?, colour(2)?, around]))?
    };
    (0..SIDE * SIDE).map(change).collect()
}

/// Of each block and colour.
fn sums(rgb: &[f32], size: usize) -> Vec<[f64; 3]> {
    let mut sums = vec![[0.0; 3]; SIDE * SIDE];
    let block: Vec<usize> = (0..size).map(|at| at * SIDE / size).collect();
    for (colour, plane) in rgb.chunks_exact(size * size).enumerate() {
        for (row, line) in block.iter().zip(plane.chunks_exact(size)) {
            for (column, value) in block.iter().zip(line) {
                sums[row * SIDE + column][colour] += f64::from(*value);
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pbv::BLOOD;

    const SIZE: usize = 36;
    const RATE: f64 = 30.0;

    fn sine(hz: f64, i: usize) -> f64 {
        (TAU * hz * i as f64 / RATE).sin()
    }

    /// A crop of skin whose colours are `changed` (row and column of the pixel, in sides of the crop).
    fn crop(changed: impl Fn(f64, f64) -> [f64; 3]) -> Vec<f32> {
        let mut rgb = vec![0.0; 3 * SIZE * SIZE];
        for at in 0..SIZE * SIZE {
            let place = |at: usize| (at as f64 + 0.5) / SIZE as f64;
            let changed = changed(place(at / SIZE), place(at % SIZE));
            for (colour, (level, change)) in [0.6, 0.45, 0.35].iter().zip(changed).enumerate() {
                rgb[colour * SIZE * SIZE + at] = (level * f64::exp(change)) as f32;
            }
        }
        rgb
    }

    /// The amplitudes at `rates` (Hz) of the sum of what 20 s of crops tell, the first half left out.
    fn lines<const N: usize>(
        rates: [f64; N],
        crop: impl Fn(usize) -> Vec<f32>,
        around: impl Fn(usize) -> f64,
    ) -> [f64; N] {
        let mut blood = Blood::default();
        let (mut before, mut level) = (crop(0), 0.0);
        let mut sums = [[0.0; 2]; N];
        for i in 1..=600 {
            let next = crop(i);
            let light = (around(i) - around(i - 1)) as f32;
            let change = blood.change([&before, &next], SIZE, light, 1.0 / RATE);
            level += f64::from(change.expect("skin is seen"));
            before = next;
            for (sum, hz) in sums.iter_mut().zip(rates).filter(|_| i > 300) {
                sum[0] += level * sine(hz, i) / 150.0;
                sum[1] += level * (TAU * hz * i as f64 / RATE).cos() / 150.0;
            }
        }
        sums.map(|[a, b]| f64::hypot(a, b))
    }

    /// Noise of a camera, of its own for each block and colour.
    fn noise(i: usize, row: f64, column: f64) -> [f64; 3] {
        let block = |at: f64| (at * SIDE as f64) as u64;
        let mut random = fastrand::Rng::with_seed(i as u64 * 100 + block(row) * 9 + block(column));
        [0; 3].map(|_| 2e-3 * (random.f64() - 0.5))
    }

    #[test]
    fn blood_keeps_its_size_and_a_mouth_that_speaks_does_not_drown_it() {
        // Shade of the mouth and a shadow over all, ten and five times as strong as the blood.
        let face = |i: usize| {
            crop(|row, column| {
                let mouth = if row > 0.6 { 0.02 * sine(1.7, i) } else { 0.0 };
                let own = noise(i, row, column);
                let shadow = 0.01 * sine(2.4, i);
                let blood = 0.002 * sine(0.9, i);
                [0, 1, 2].map(|c| BLOOD[c] * blood + shadow + own[c] + mouth * [1.0, 0.5, 0.3][c])
            })
        };
        let [blood, mouth, shadow] = lines([0.9, 1.7, 2.4], face, |_| 0.0);
        assert!((blood - 0.002).abs() < 2e-4, "{blood}");
        // In the mean over the face they would have 0.005 and 0.01.
        assert!(mouth < 5e-4 && shadow < 1.5e-3, "{blood} {mouth} {shadow}");
    }

    #[test]
    fn a_lamp_of_bloods_own_colours_is_told_by_what_is_around() {
        let lamp = |i: usize| 0.01 * sine(1.6, i);
        let face = |i: usize| {
            crop(|row, column| {
                let own = noise(i, row, column);
                let blood = 0.002 * sine(0.9, i) + lamp(i);
                [0, 1, 2].map(|c| BLOOD[c] * blood + own[c])
            })
        };
        let [blood, lit] = lines([0.9, 1.6], face, lamp);
        assert!((blood - 0.002).abs() < 2e-4 && lit < 0.5 * blood, "{blood} {lit}");
        let [_, unknown] = lines([0.9, 1.6], face, |_| 0.0);
        assert!((unknown - 0.01).abs() < 1e-3, "{unknown}");
    }

    #[test]
    fn nothing_is_told_of_the_dark_nor_of_a_picture_that_stands() {
        let (skin, dark) = (crop(|_, _| [0.0; 3]), vec![0.0; 3 * SIZE * SIZE]);
        let mut blood = Blood::default();
        for _ in 0..3 {
            assert_eq!(blood.change([&skin, &dark], SIZE, 0.1, 0.04), None);
        }
        let mut blood = Blood::default();
        let told = [0; 8].map(|_| blood.change([&skin, &skin], SIZE, 0.0, 0.04));
        assert_eq!(told[7], None);
        // And a lens cap that comes and goes leaves no trace.
        assert_eq!(blood.change([&skin, &dark], SIZE, -3.0, 0.04), None);
        let lit = crop(|_, _| [0.33e-2, 0.77e-2, 0.53e-2]);
        let told = blood.change([&skin, &lit], SIZE, 0.0, 0.04).unwrap();
        assert!((told - 0.01).abs() < 1e-4, "{told}");
    }
}
