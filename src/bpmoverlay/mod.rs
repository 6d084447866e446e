//! The picture with what is known of its faces drawn over it.
//!
//! What is drawn and where is decided without any GStreamer type: `words` (what a label says),
//! `layout` (where things stand), `wave` (the strip's curve).

mod blend;
mod faces;
mod imp;
mod layout;
mod paint;
mod settings;
mod wave;
mod words;

use gst::glib;
use gst::prelude::*;

glib::wrapper! {
    /// Draws each face's rectangle, heart rate and pulse wave.
    ///
    /// |[
    /// gst-launch-1.0 pulsetestsrc bpm=72 ! facecrop ! hrnetinfer ! ppg2bpm ! bpmoverlay ! videoconvert ! autovideosink
    /// ]|
    ///
    /// Reads `HeartRateMeta`, so conversion and scaling upstream do no harm. Where downstream
    /// blends overlays itself (`GstVideoOverlayCompositionMeta`) they are attached, else they are
    /// blended into the picture, in any raw format.
    ///
    /// A face has a rate only where there is one that can be believed; else it has the
    /// `placeholder` while measuring, or the reason in words.
    ///
    /// Since: 0.1
    pub struct BpmOverlay(ObjectSubclass<imp::BpmOverlay>)
        @extends gst_base::BaseTransform, gst::Element, gst::Object;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(Some(plugin), "bpmoverlay", gst::Rank::NONE, BpmOverlay::static_type())
}
