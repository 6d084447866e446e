//! From pulse samples to beats per minute: the signal stage and its element.
//!
//! The stage itself knows no GStreamer type: [`Estimator`] is one face, fed with samples at their
//! own times. docs/signal.md describes it from end to end.

#[cfg(feature = "v1_24")]
mod analytics;
pub mod autoregression;
mod beside;
pub mod chirp;
mod chroma;
mod circumstances;
pub mod clock;
pub mod confidence;
pub mod estimator;
pub mod faces;
pub mod filter;
pub mod folded;
mod imp;
pub mod light;
pub mod likelihood;
mod movement;
mod owners;
mod regions;
pub mod resample;
mod shine;
pub mod spectrum;
mod timeline;
pub mod tracker;
mod wave;

use gst::glib;
use gst::prelude::*;

pub use estimator::{Config, Estimate, Estimator, Reading, reference_bpm};
pub use resample::Sample;

glib::wrapper! {
    /// Turns the pulse samples of each face into a heart rate.
    ///
    /// |[
    /// gst-launch-1.0 -m filesrc location=face.mp4 ! decodebin ! videoconvert ! facecrop ! hrnetinfer ! ppg2bpm ! fakesink
    /// ]|
    ///
    /// Prints, once a second of the video, an element message `heart-rate` with the fields
    /// `timestamp`, `stream-time`, `running-time` (ns) and `faces`, an array of structures with
    /// the fields of [`crate::meta::Face`]. The same stands on every buffer, in the custom meta
    /// `HeartRateMeta` and, as params `heart-rate`, in the region of interest that lies on the face.
    /// DL Streamer's gvametaconvert takes those params into its JSON. Built with the feature
    /// `v1_24`, a rate is a classification as well, "72 bpm", related to the object detection that
    /// lies on the face.
    /// A face has a `bpm` only at `status` ok, that is with a `confidence` of `min-confidence`
    /// or more. A face that is no longer seen appears once more with status lost; while there is
    /// none there are no messages.
    ///
    /// Time is the buffers' stream time. Frames may be dropped and their rate may vary; after a
    /// hole of more than a second a face's window starts anew. All faces are forgotten when time
    /// goes back, on a flush, at a new stream, and on the action signal `reset`.
    ///
    /// Since: 0.1
    pub struct Ppg2Bpm(ObjectSubclass<imp::Ppg2Bpm>)
        @extends gst_base::BaseTransform, gst::Element, gst::Object;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(Some(plugin), "ppg2bpm", gst::Rank::NONE, Ppg2Bpm::static_type())
}
