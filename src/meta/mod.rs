//! What rides on the buffers: one definition, read and written everywhere.
//!
//! - [`HeartRateMeta`]: the public result, a `GstCustomMeta` that C and Python read by name.
//! - [`HeartRateMessage`]: the same on the bus.
//! - [`FaceCropMeta`]: private, the pixels that `facecrop` hands to `hrnetinfer`.
//! - [`PulseTestMeta`]: the truth that `pulsetestsrc` writes and tests read.

mod changes;
mod custom;
mod face_crop;
#[cfg(feature = "v1_24")]
mod face_detection;
mod face_region;
mod heart_rate;
mod message;
mod pulse_test;
mod reasons;

pub use changes::{Changes, ColourChange, LightChange, Movement};
pub use face_crop::{FaceCrop, FaceCropMeta, Previous};
#[cfg(feature = "v1_24")]
pub use face_detection::{FaceDetection, Relations, relate};
pub use face_region::{SAME_FACE, iou, is_face_region, is_face_type};
pub use heart_rate::{Face, HeartRateMeta, Status};
pub use message::HeartRateMessage;
pub use pulse_test::{PulseTestMeta, TrueFace};
pub use reasons::{Reason, Reasons};

/// Registers the public metas with GStreamer. Call it once GStreamer is initialised; repeated
/// calls do nothing.
pub fn register() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        gst::meta::CustomMeta::register(heart_rate::NAME, &[]);
        gst::meta::CustomMeta::register(pulse_test::NAME, &[]);
    });
}
