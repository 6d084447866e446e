//! A face's pair of crops as the network sees it. The element and `hrnet prepare` both go through
//! here, so that what is learnt is what is fed.

use std::borrow::Cow;

use super::contract::Contract;
use super::maps::{MotionState, appearance_map, motion_map, resized};
use crate::meta::FaceCrop;

/// Two crops of one rectangle, planar RGB, 0..1, of the network's size.
pub struct Pair<'a> {
    previous: Cow<'a, [f32]>,
    current: Cow<'a, [f32]>,
    /// Seconds between them.
    interval: f32,
}

impl Pair<'_> {
    /// The pair of `crop`, `interval` apart, averaged down to `size` pixels a side if need be;
    /// `None` without a previous crop.
    pub fn new(crop: &FaceCrop, interval: gst::ClockTime, size: usize) -> Option<Pair<'_>> {
        let previous = crop.previous.as_ref()?;
        let fit = |pixels| match crop.size == size {
            true => Cow::Borrowed(pixels),
            false => Cow::Owned(resized(pixels, crop.size, size)),
        };
        Some(Pair {
            previous: fit(&previous.pixels),
            current: fit(&crop.pixels),
            interval: interval.nseconds() as f32 * 1e-9,
        })
    }

    /// Writes the motion map; `out` holds 3 × size × size values.
    pub fn motion(&self, contract: &Contract, state: &mut MotionState, out: &mut [f32]) {
        motion_map(contract, state, &self.previous, &self.current, self.interval, out);
    }

    /// Writes the appearance map; `out` holds 3 × size × size values.
    pub fn appearance(&self, contract: &Contract, out: &mut [f32]) {
        appearance_map(contract, &self.current, out);
    }
}
