//! Results as lines of JSON.

mod imp;
mod line;
mod schedule;

use gst::glib;
use gst::prelude::*;

pub use schedule::Mode;

glib::wrapper! {
    /// Says what stands in `HeartRateMeta`, one JSON object a line, and drops the pictures.
    ///
    /// |[
    /// gst-launch-1.0 -q pulsetestsrc bpm=72 num-buffers=600 ! facecrop ! hrnetinfer ! ppg2bpm ! bpm2json ! fdsink
    /// ]|
    ///
    /// Prints a line for every second of the video, with the fields of docs/bpm2json.schema.json:
    /// the frame's times and size, and the faces with the fields of [`crate::meta::Face`]. What is
    /// not known is absent: never `null`, never 0.
    ///
    /// A line is one buffer with the timestamp and duration of its frame; where nothing is to be
    /// said a GAP event goes downstream. The end of the stream has a last line.
    ///
    /// Since: 0.1
    pub struct Bpm2Json(ObjectSubclass<imp::Bpm2Json>)
        @extends gst::Element, gst::Object;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(Some(plugin), "bpm2json", gst::Rank::NONE, Bpm2Json::static_type())
}
