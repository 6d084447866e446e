//! How the face moves.
//!
//! A head that nods brings other skin, in other light, to where the network looks, and does so as
//! periodically as blood comes. `facecrop` knows how the face moves, as it follows it.

use super::beside::Beside;
use super::estimator::Config;
use super::resample::Sample;
use crate::meta::Movement;

/// The movement of a window's pairs of frames.
#[derive(Clone, Debug, Default)]
pub struct Path([Beside; 3]);

impl Path {
    /// Adds the movement, if it is known, over the pair of frames of which the sample `pulse` was
    /// made.
    pub fn push(&mut self, pulse: Sample, movement: Option<Movement>, of: &Config) {
        let Movement { x, y, growth } = movement.unwrap_or_default();
        // What grows moves the crop's border by half of it.
        for (axis, change) in self.0.iter_mut().zip([x, y, growth / 2.0]) {
            axis.push(pulse, change, of);
        }
    }

    /// Where the face is on each axis, in sides of the crop.
    pub fn waves(&self, of: &Config) -> [Vec<f64>; 3] {
        self.0.each_ref().map(|axis| axis.wave(of))
    }
}
