//! Heart rate from camera video, as GStreamer elements.
//!
//! `facecrop` finds and crops faces, `hrnetinfer` turns each pair of frames into a pulse sample,
//! `ppg2bpm` turns the pulse wave into beats per minute, `bpmoverlay` draws them, `bpm2json` says
//! them, `pulsetestsrc` makes faces whose pulse is known. [`meta`] holds what they write on the
//! buffers.

pub mod bpm2json;
pub mod bpmoverlay;
pub mod facecrop;
pub mod hrnetinfer;
pub mod meta;
mod pbv;
pub mod ppg2bpm;
pub mod pulsetestsrc;
pub mod scene;

fn plugin_init(plugin: &gst::Plugin) -> Result<(), gst::glib::BoolError> {
    meta::register();
    facecrop::register(plugin)?;
    hrnetinfer::register(plugin)?;
    ppg2bpm::register(plugin)?;
    bpm2json::register(plugin)?;
    bpmoverlay::register(plugin)?;
    pulsetestsrc::register(plugin)
}

gst::plugin_define!(
    heartrate,
    env!("CARGO_PKG_DESCRIPTION"),
    plugin_init,
    concat!(env!("CARGO_PKG_VERSION"), "-", env!("COMMIT_ID")),
    "MPL-2.0",
    env!("CARGO_PKG_NAME"),
    env!("CARGO_PKG_NAME"),
    env!("CARGO_PKG_REPOSITORY"),
    env!("BUILD_REL_DATE")
);
