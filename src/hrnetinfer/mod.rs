//! The element `hrnetinfer`: from face crops to pulse samples.

use gst::glib;
use gst::prelude::*;

pub mod contract;
mod cpu;
pub mod engine;
mod imp;
pub mod maps;
pub mod pair;

glib::wrapper! {
    /// Runs a two-branch attention network (DeepPhys, NVIDIA HeartRateNet) on each face's pair of
    /// crops and attaches the pulse sample as `HeartRateMeta`.
    ///
    /// It wants `facecrop` upstream, which it asks for crops of the model's size. `model` is an
    /// ONNX file with two inputs, motion and appearance, N×3×S×S or N×S×S×3 with S 36 or 72, and
    /// one output; empty means the network inside the plugin. What the graph does not tell stands
    /// in the file's metadata under `hrnet.*` keys; the property `contract` overrides them.
    ///
    /// ## Example
    ///
    /// |[
    /// gst-launch-1.0 pulsetestsrc num-buffers=450 ! facecrop ! hrnetinfer ! ppg2bpm ! fakesink -m
    /// ]|
    ///
    /// shows a `heart-rate` message a second. With NVIDIA's own contract, on an ONNX file of one's
    /// own:
    ///
    /// |[
    /// ... ! hrnetinfer model=heartratenet.onnx contract="contract,color=bgr,output=derivative" ! ...
    /// ]|
    ///
    /// Since: 0.1
    pub struct HrnetInfer(ObjectSubclass<imp::HrnetInfer>)
        @extends gst_base::BaseTransform, gst::Element, gst::Object;
}

/// Which runtime runs the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[repr(i32)]
#[enum_type(name = "GstHrnetInferBackend")]
pub enum Backend {
    #[default]
    #[enum_value(name = "The best that this machine has", nick = "auto")]
    Auto,
    #[enum_value(name = "CPU (rten)", nick = "cpu")]
    Cpu,
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    Backend::static_type().mark_as_plugin_api(gst::PluginAPIFlags::empty());
    gst::Element::register(Some(plugin), "hrnetinfer", gst::Rank::NONE, HrnetInfer::static_type())
}
