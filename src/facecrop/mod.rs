//! Finds, follows and crops faces: see [`FaceCropElement`].
//!
//! Free of GStreamer, for tools: [`detector::Detector`], [`tracker::Tracker`],
//! [`pixels::Picture`], [`area`].

#[cfg(feature = "v1_24")]
mod analytics;
pub mod area;
mod backdrop;
mod blood;
mod chroma;
pub mod detector;
mod follow;
mod frame;
mod imp;
mod output;
pub mod pixels;
pub mod quality;
mod settings;
pub mod steady;
mod surround;
pub mod timeline;
pub mod track;
pub mod tracker;
mod upstream;

use gst::glib;
use gst::prelude::*;

pub use settings::{DetectorKind, Output};

glib::wrapper! {
    /// element-facecrop: finds faces, follows them and hands their crops to `hrnetinfer`.
    ///
    /// Works in place on raw video. On each frame it attaches a `GstVideoRegionOfInterestMeta` of
    /// type "face" for each face, with the face's id, and the crops themselves, each with the crop
    /// of the frame before made with the same rectangle. With `output=crop` it pushes the crop of
    /// the largest face as RGB video instead.
    ///
    /// |[
    /// gst-launch-1.0 v4l2src ! videoconvert ! facecrop ! hrnetinfer ! ppg2bpm ! fakesink -m
    /// ]|
    /// prints a `heart-rate` message a second.
    ///
    /// |[
    /// gst-launch-1.0 uridecodebin uri=file:///a.mp4 ! videoconvert ! facecrop output=crop crop-size=128 ! pngenc ! multifilesink location=face-%05d.png
    /// ]|
    /// writes the largest face of each frame that shows one.
    ///
    /// Since: 0.1
    pub struct FaceCropElement(ObjectSubclass<imp::FaceCropElement>)
        @extends gst_base::BaseTransform, gst::Element, gst::Object;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    DetectorKind::static_type().mark_as_plugin_api(gst::PluginAPIFlags::empty());
    Output::static_type().mark_as_plugin_api(gst::PluginAPIFlags::empty());
    gst::Element::register(
        Some(plugin),
        "facecrop",
        gst::Rank::NONE,
        FaceCropElement::static_type(),
    )
}
