//! From a pair of crops to the network's two inputs. Training reads what this code writes.
//!
//! Maps are planar RGB like the crops; [`Layout::arrange`] puts them in the tensor's order.

use super::contract::{Appearance, Color, Contract, MotionScale};
use crate::facecrop::area::{PixelRect, RgbRows, area_average};

/// The frame interval to which motion is normalised: a pair further apart has moved further, and
/// dividing by the interval makes the map a rate that does not depend on the frame rate.
const REFERENCE_INTERVAL: f32 = 1.0 / 30.0;

/// Below this C1 + C2 (in 0..1 each) a pixel is black in both frames and says nothing.
const BLACK: f32 = 2.0 / 255.0;

/// One face's motion scaling, which looks back over its past frames.
#[derive(Clone, Debug, Default)]
pub struct MotionState {
    /// Exponential average of the motion map's mean square.
    mean_square: f32,
    /// Pairs seen, for the average's start.
    pairs: u32,
}

impl MotionState {
    /// Takes one map into the average and returns the root mean square. `step` is the pair's
    /// interval over the time constant; the first pairs are averaged plainly.
    fn update(&mut self, map: &[f32], step: f32) -> f32 {
        let square = map.iter().map(|v| v * v).sum::<f32>() / map.len() as f32;
        self.pairs = self.pairs.saturating_add(1);
        let weight = (1.0 - (-step).exp()).max(1.0 / self.pairs as f32);
        self.mean_square += weight * (square - self.mean_square);
        self.mean_square.sqrt()
    }
}

/// Writes the motion map of a pair: (C2 − C1) / (C2 + C1) · (1/30 s) / interval, scaled as
/// `contract` says.
///
/// `previous` and `current` are planar RGB crops, 0..1, taken with the same rectangle; `interval`
/// is the time between them in seconds, above 0; `out` has their length.
pub fn motion_map(
    contract: &Contract,
    state: &mut MotionState,
    previous: &[f32],
    current: &[f32],
    interval: f32,
    out: &mut [f32],
) {
    let rate = REFERENCE_INTERVAL / interval;
    for ((value, c1), c2) in out.iter_mut().zip(previous).zip(current) {
        *value = rate * (c2 - c1) / (c2 + c1).max(BLACK);
    }
    let (factor, clamp) = match contract.motion {
        MotionScale::Gain { gain, clamp } => (gain, clamp),
        MotionScale::RunningRms { tau, floor, clamp } => {
            let rms = state.update(out, interval / tau);
            (1.0 / rms.max(floor), clamp)
        }
    };
    out.iter_mut().for_each(|v| *v = (*v * factor).clamp(-clamp, clamp));
}

/// Writes the appearance map of `current`, a planar RGB crop, 0..1; `out` has its length.
pub fn appearance_map(contract: &Contract, current: &[f32], out: &mut [f32]) {
    let (offset, factor) = match contract.appearance {
        Appearance::Unit => (0.0, 1.0),
        Appearance::Byte => (0.0, 255.0),
        Appearance::Standardized => {
            let n = current.len() as f32;
            let mean = current.iter().sum::<f32>() / n;
            let variance = current.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / n;
            // A blank picture has no contrast to blow up: at least one grey level.
            (mean, 1.0 / variance.sqrt().max(1.0 / 255.0))
        }
    };
    for (value, c) in out.iter_mut().zip(current) {
        *value = (c - offset) * factor;
    }
}

/// Order of a tensor's dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Channels first.
    Nchw,
    /// Channels last.
    Nhwc,
}

impl Layout {
    /// Writes the planar RGB `map` into `out`, one item of a tensor of this layout and `color`.
    pub fn arrange(self, color: Color, map: &[f32], out: &mut [f32]) {
        let plane = map.len() / 3;
        for (c, values) in map.chunks_exact(plane).enumerate() {
            let c = if color == Color::Bgr { 2 - c } else { c };
            match self {
                Layout::Nchw => out[c * plane..][..plane].copy_from_slice(values),
                Layout::Nhwc => {
                    let targets = out[c..].iter_mut().step_by(3);
                    targets.zip(values).for_each(|(target, value)| *target = *value);
                }
            }
        }
    }
}

/// Averages a planar RGB crop of side `from` to side `to`.
pub fn resized(crop: &[f32], from: usize, to: usize) -> Vec<f32> {
    struct Planar<'a>(&'a [f32], usize);
    impl RgbRows for Planar<'_> {
        fn width(&self) -> usize {
            self.1
        }
        fn height(&self) -> usize {
            self.1
        }
        fn read_row(&self, y: usize, x: usize, out: [&mut [f32]; 3]) {
            for (c, plane) in out.into_iter().enumerate() {
                plane.copy_from_slice(&self.0[(c * self.1 + y) * self.1 + x..][..plane.len()]);
            }
        }
    }
    let mut out = Vec::new();
    let rect = PixelRect { x: 0, y: 0, w: from, h: from };
    area_average(&Planar(crop, from), rect, to, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contract(motion: MotionScale) -> Contract {
        Contract { motion, ..Contract::default() }
    }

    #[test]
    fn motion_is_a_rate_of_the_normalised_difference() {
        let contract = contract(MotionScale::Gain { gain: 10.0, clamp: 2.0 });
        let mut state = MotionState::default();
        let mut out = [0.0; 3];
        let (previous, current) = ([0.5, 0.4, 0.0], [0.5, 0.6, 0.9]);
        motion_map(&contract, &mut state, &previous, &current, 2.0 / 30.0, &mut out);
        // 10 · 0.2 / 1.0 over two frame intervals; 10 · 1 / 2 is clamped.
        assert!((out[1] - 1.0).abs() < 1e-6);
        assert_eq!((out[0], out[2]), (0.0, 2.0));
    }

    #[test]
    fn the_running_scale_is_causal_and_forgets_with_its_time_constant() {
        let contract = contract(MotionScale::RunningRms { tau: 2.0, floor: 1e-6, clamp: 5.0 });
        let mut state = MotionState::default();
        let mut out = [0.0; 1];
        let mut feed = |difference: f32| {
            let (c1, c2) = (0.5 - difference / 2.0, 0.5 + difference / 2.0);
            motion_map(&contract, &mut state, &[c1], &[c2], 1.0 / 30.0, &mut out);
            out[0]
        };
        assert!((feed(0.01) - 1.0).abs() < 1e-4);
        (0..300).for_each(|_| assert!((feed(-0.01) + 1.0).abs() < 1e-4));
        // Twice the motion for one time constant: the mean square is 4 − 3/e of what it was.
        let last = (0..60).map(|_| feed(0.02)).last().unwrap();
        let expected = 2.0 / (4.0 - 3.0 * (-1.0f32).exp()).sqrt();
        assert!((last - expected).abs() < 1e-3, "{last} {expected}");
    }

    #[test]
    fn no_change_gives_zero_and_black_gives_no_noise() {
        let contract = Contract::default();
        let mut state = MotionState::default();
        let mut out = [1.0; 3];
        motion_map(&contract, &mut state, &[0.3, 0.0, 1.0], &[0.3, 0.0, 1.0], 0.03, &mut out);
        assert_eq!(out, [0.0; 3]);
    }

    #[test]
    fn appearance_is_standardised_over_the_frame() {
        let mut out = [0.0; 4];
        appearance_map(&Contract::default(), &[0.2, 0.4, 0.6, 0.8], &mut out);
        assert!(out.iter().sum::<f32>().abs() < 1e-5);
        assert!((out.iter().map(|v| v * v).sum::<f32>() / 4.0 - 1.0).abs() < 1e-5);
        appearance_map(&Contract::default(), &[0.5; 4], &mut out);
        assert_eq!(out, [0.0; 4]);
    }

    #[test]
    fn planes_are_arranged() {
        let map = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let mut out = [0.0; 6];
        Layout::Nhwc.arrange(Color::Rgb, &map, &mut out);
        assert_eq!(out, [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
        Layout::Nchw.arrange(Color::Bgr, &map, &mut out);
        assert_eq!(out, [5.0, 6.0, 3.0, 4.0, 1.0, 2.0]);
    }

    #[test]
    fn a_larger_crop_is_averaged() {
        let crop: Vec<f32> = (0..48).map(|i| i as f32).collect();
        let half = resized(&crop, 4, 2);
        assert_eq!(half[..4], [2.5, 4.5, 10.5, 12.5]);
        assert_eq!(half[8], 34.5);
    }
}
