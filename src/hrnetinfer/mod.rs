//! The element `hrnetinfer`: from face crops to pulse samples.

use gst::glib;
use gst::prelude::*;

pub mod backends;
pub mod bindings;
pub mod contract;
mod cpu;
pub mod engine;
pub mod engine_file;
pub mod half;
mod imp;
pub mod maps;
pub mod onnx;
#[cfg(feature = "onnxruntime")]
pub mod onnxruntime;
pub mod owner;
pub mod pair;
mod progress;
mod settings;
#[cfg(feature = "tensorrt")]
pub mod tensorrt;

glib::wrapper! {
    /// Runs a two-branch attention network (DeepPhys, NVIDIA HeartRateNet) on each face's pair of
    /// crops and attaches the pulse sample as `HeartRateMeta`.
    ///
    /// It wants `facecrop` upstream, which it asks for crops of the model's size. `model` is an
    /// ONNX file with two inputs, motion and appearance, N×3×S×S or N×S×S×3 with S 36 or 72, and
    /// one output, or a TensorRT engine of such a network (`.engine`, `.plan`); empty means the
    /// network inside the plugin. What the graph does not tell stands in the file's metadata under
    /// `hrnet.*` keys (of an engine, in `NAME.engine.json` beside it); the property `contract`
    /// overrides them. While an engine is built progress messages are posted.
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
    #[enum_value(name = "CPU (ONNX Runtime)", nick = "onnxruntime")]
    OnnxRuntime,
    #[enum_value(name = "NVIDIA GPU (TensorRT)", nick = "tensorrt")]
    TensorRt,
}

/// In what a TensorRT engine computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[repr(i32)]
#[enum_type(name = "GstHrnetInferPrecision")]
pub enum Precision {
    #[default]
    #[enum_value(name = "Half", nick = "fp16")]
    Fp16,
    #[enum_value(name = "Single", nick = "fp32")]
    Fp32,
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    Backend::static_type().mark_as_plugin_api(gst::PluginAPIFlags::empty());
    Precision::static_type().mark_as_plugin_api(gst::PluginAPIFlags::empty());
    gst::Element::register(Some(plugin), "hrnetinfer", gst::Rank::NONE, HrnetInfer::static_type())
}
