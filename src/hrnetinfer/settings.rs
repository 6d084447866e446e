//! What the user sets on the element.

use std::path::PathBuf;
use std::time::Duration;

use gst::glib;
use gst::prelude::*;

use super::engine::{self, Request};
use super::{Backend, Precision};

#[derive(Clone, Debug)]
pub struct Settings {
    pub model: Option<PathBuf>,
    pub backend: Backend,
    pub contract: Option<gst::Structure>,
    pub precision: Precision,
    pub device_id: u32,
    pub batch_size: u32,
    /// Nanoseconds.
    pub batch_timeout: u64,
}

impl Default for Settings {
    fn default() -> Self {
        let request = Request::default();
        Settings {
            model: None,
            backend: Backend::default(),
            contract: None,
            precision: Precision::default(),
            device_id: request.device,
            batch_size: request.batch_size,
            batch_timeout: request.batch_timeout.as_nanos() as u64,
        }
    }
}

impl Settings {
    /// The properties.
    pub fn specs() -> Vec<glib::ParamSpec> {
        let defaults = Settings::default();
        let uint = |name| glib::ParamSpecUInt::builder(name).mutable_ready();
        vec![
            glib::ParamSpecString::builder("model")
                .nick("Model")
                .blurb("ONNX file or TensorRT engine of the network (empty = the one inside the plugin)")
                .mutable_ready()
                .build(),
            glib::ParamSpecEnum::builder_with_default("backend", defaults.backend)
                .nick("Backend")
                .blurb("What runs the network")
                .mutable_ready()
                .build(),
            glib::ParamSpecBoxed::builder::<gst::Structure>("contract")
                .nick("Contract")
                .blurb(
                    "Overrides the hrnet.* keys of the model: color, motion, appearance, output \
                     (e.g. contract,color=bgr,output=pulse)",
                )
                .mutable_ready()
                .build(),
            glib::ParamSpecEnum::builder_with_default("precision", defaults.precision)
                .nick("Precision")
                .blurb("In what a TensorRT engine that is built here computes (the CPU: fp32)")
                .mutable_ready()
                .build(),
            uint("device-id")
                .nick("Device")
                .blurb("Which GPU, counted from 0")
                .default_value(defaults.device_id)
                .build(),
            uint("batch-size")
                .nick("Batch size")
                .blurb("The most pairs of frames that a GPU runs at a time, over all streams")
                .minimum(1)
                .maximum(1024)
                .default_value(defaults.batch_size)
                .build(),
            glib::ParamSpecUInt64::builder("batch-timeout")
                .nick("Batch timeout")
                .blurb("How long a pair may wait for other streams to fill a GPU's batch, in ns")
                .maximum(gst::ClockTime::SECOND.nseconds())
                .default_value(defaults.batch_timeout)
                .mutable_ready()
                .build(),
        ]
    }

    /// Sets a property.
    pub fn set(&mut self, name: &str, value: &glib::Value) {
        const CHECKED: &str = "type checked upstream";
        match name {
            "model" => {
                let path = value.get::<Option<String>>().expect(CHECKED);
                self.model = path.filter(|p| !p.is_empty()).map(PathBuf::from);
            }
            "backend" => self.backend = value.get().expect(CHECKED),
            "contract" => self.contract = value.get().expect(CHECKED),
            "precision" => self.precision = value.get().expect(CHECKED),
            "device-id" => self.device_id = value.get().expect(CHECKED),
            "batch-size" => self.batch_size = value.get().expect(CHECKED),
            "batch-timeout" => self.batch_timeout = value.get().expect(CHECKED),
            _ => unreachable!("unknown property"),
        }
    }

    /// A property's value.
    pub fn get(&self, name: &str) -> glib::Value {
        match name {
            "model" => {
                let path = self.model.as_ref();
                path.map_or(String::new(), |p| p.to_string_lossy().into_owned()).to_value()
            }
            "backend" => self.backend.to_value(),
            "contract" => self.contract.to_value(),
            "precision" => self.precision.to_value(),
            "device-id" => self.device_id.to_value(),
            "batch-size" => self.batch_size.to_value(),
            "batch-timeout" => self.batch_timeout.to_value(),
            _ => unreachable!("unknown property"),
        }
    }

    /// What the engines are asked for.
    pub fn request<'a>(&'a self, overrides: &'a dyn Fn(&str) -> Option<String>) -> Request<'a> {
        Request {
            model: self.model.as_deref(),
            backend: match self.backend {
                Backend::Auto => engine::Backend::Auto,
                Backend::Cpu => engine::Backend::Cpu,
                Backend::OnnxRuntime => engine::Backend::OnnxRuntime,
                Backend::TensorRt => engine::Backend::TensorRt,
            },
            precision: match self.precision {
                Precision::Fp16 => engine::Precision::Fp16,
                Precision::Fp32 => engine::Precision::Fp32,
            },
            device: self.device_id,
            batch_size: self.batch_size,
            batch_timeout: Duration::from_nanos(self.batch_timeout),
            overrides,
            ..Request::default()
        }
    }
}
