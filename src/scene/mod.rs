//! Synthetic faces with a known pulse: what `pulsetestsrc` shows and what the network learns from.
//!
//! Everything is a pure function of a seed and of the time in seconds, so that a picture can be
//! asked for at any moment and in any order.
//!
//! | file | what it makes |
//! |---|---|
//! | [`pulse`] | the beat: rate, phase, wave |
//! | [`signal`] | slow random functions of time, the stuff of motion and light |
//! | [`motion`] | where a face is |
//! | [`light`] | what falls on the scene |
//! | [`texture`] | a face as texels: colour, coverage, blood |
//! | [`portrait`], [`procedural`] | the two kinds of faces |
//! | [`backdrop`] | what stands behind a face |
//! | [`render`] | a face under a light, in float |
//! | [`occlusion`] | what hides a part of a face |
//! | [`camera`] | noise, rounding |
//! | [`compression`] | which encoder a clip goes through |
//! | [`tracker`] | the face box as a detector and a tracker would give it |
//! | [`recipe`] | what training clips are made of, and how often |
//! | [`clip`] | one training clip, everything drawn from one seed |

pub mod backdrop;
pub mod camera;
pub mod clip;
pub mod compression;
pub mod light;
pub mod motion;
pub mod occlusion;
pub mod portrait;
pub mod procedural;
pub mod pulse;
pub mod recipe;
pub mod render;
pub mod signal;
pub mod texture;
pub mod tracker;

/// Uniform in `from`..`to`.
pub(crate) fn uniform(rng: &mut fastrand::Rng, from: f64, to: f64) -> f64 {
    from + (to - from) * rng.f64()
}

/// Uniform in the logarithm, `from`..`to`, both above 0.
pub(crate) fn log_uniform(rng: &mut fastrand::Rng, from: f64, to: f64) -> f64 {
    uniform(rng, from.ln(), to.ln()).exp()
}

/// True with probability `p`.
pub(crate) fn chance(rng: &mut fastrand::Rng, p: f64) -> bool {
    rng.f64() < p
}

/// 0 below `from`, 1 above `to`, smooth between; `from` may lie above `to`.
pub(crate) fn smoothstep(from: f32, to: f32, x: f32) -> f32 {
    let t = ((x - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}
