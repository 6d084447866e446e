//! The signal stage: from pulse samples to beats per minute.

pub mod chirp;
pub mod confidence;
pub mod estimator;
pub mod filter;
pub mod likelihood;
pub mod resample;
pub mod spectrum;
pub mod tracker;

pub use estimator::{Config, Estimate, Estimator, Reading, reference_bpm};
pub use resample::Sample;

pub(crate) fn register(_plugin: &gst::Plugin) -> Result<(), gst::glib::BoolError> {
    Ok(())
}
