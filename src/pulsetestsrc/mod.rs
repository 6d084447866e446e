/**
 * SECTION:element-pulsetestsrc
 *
 * A video source in the spirit of videotestsrc: faces whose pulse you set.
 *
 * The face is a real portrait whose skin darkens with each heartbeat as skin does: by a fraction
 * of a grey level, most in green. What is shown depends on the time of the frame and on the
 * properties only, so the same settings give the same bytes, before and after a seek.
 *
 * |[
 * gst-launch-1.0 pulsetestsrc bpm=60,95 ! videoconvert ! autovideosink
 * ]|
 * shows two faces at 60 and 95 beats per minute.
 *
 * |[
 * gst-launch-1.0 -m pulsetestsrc bpm="60>120@60" num-buffers=1800 ! facecrop ! hrnetinfer ! ppg2bpm ! fakesink
 * ]|
 * prints readings of a face whose rate rises from 60 to 120 within 60 s.
 *
 * ## The bpm property
 *
 * One item a face, one to four of them, with commas between. An item is a rate in beats per
 * minute (`72`), or a ramp `FROM>TO@SECONDS` that begins at stream time 0 (`60>120@60`). Rates lie
 * between 20 and 300. Anything else is an error at start that names the item.
 *
 * ## What rides on the buffers
 *
 * `PulseTestMeta`, a `GstCustomMeta`: for each face its index, box (fractions of the frame, also
 * outside of 0..1 where the face leaves the picture), rate and pulse at this frame. Rate and pulse
 * are 0 where `pulse-amplitude` is 0.
 *
 * Since: 0.1.0
 */
use gst::glib;
use gst::prelude::*;

pub mod convert;
mod imp;
pub mod painter;
pub mod picture;
pub mod rates;
mod settings;

pub use settings::{Light, Motion, Subject};

glib::wrapper! {
    pub struct PulseTestSrc(ObjectSubclass<imp::PulseTestSrc>)
        @extends gst_base::BaseSrc, gst::Element, gst::Object;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    Motion::static_type().mark_as_plugin_api(gst::PluginAPIFlags::empty());
    Light::static_type().mark_as_plugin_api(gst::PluginAPIFlags::empty());
    Subject::static_type().mark_as_plugin_api(gst::PluginAPIFlags::empty());
    gst::Element::register(
        Some(plugin),
        "pulsetestsrc",
        gst::Rank::NONE,
        PulseTestSrc::static_type(),
    )
}
