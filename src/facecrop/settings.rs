//! What the user sets.

use gst::glib;
use gst::prelude::*;

use super::tracker::Limits;

/// Where the faces come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstFaceCropDetector")]
pub enum DetectorKind {
    #[default]
    #[enum_value(name = "Auto: upstream's faces where it marks any, else UltraFace", nick = "auto")]
    Auto,
    #[enum_value(name = "UltraFace: the built-in detector", nick = "ultraface")]
    UltraFace,
    #[enum_value(
        name = "Metadata: faces that upstream has marked, and no others",
        nick = "metadata"
    )]
    Metadata,
    #[enum_value(name = "None: the whole frame is one face, id 1", nick = "none")]
    None,
}

/// What is pushed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstFaceCropOutput")]
pub enum Output {
    #[default]
    #[enum_value(name = "Frame: the video, with the faces as metadata", nick = "frame")]
    Frame,
    #[enum_value(
        name = "Crop: the crop of the largest face as RGB video; frames without a face become GAP events",
        nick = "crop"
    )]
    Crop,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    pub detector: DetectorKind,
    pub detect_interval: gst::ClockTime,
    pub limits: Limits,
    pub output: Output,
    pub crop_size: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            detector: DetectorKind::default(),
            detect_interval: gst::ClockTime::from_mseconds(500),
            limits: Limits { max_faces: 4, min_face_size: 0.08, margin: 0.3 },
            output: Output::default(),
            crop_size: crate::meta::FaceCropMeta::DEFAULT_SIZE as u32,
        }
    }
}

impl Settings {
    /// The interval in seconds.
    pub fn interval(&self) -> f64 {
        self.detect_interval.nseconds() as f64 / 1e9
    }

    pub fn properties() -> Vec<glib::ParamSpec> {
        let mut properties = Self::face_properties();
        let default = Self::default();
        properties.extend([
            glib::ParamSpecEnum::builder_with_default("output", default.output)
                .nick("Output")
                .blurb("What to push: the frames with metadata, or the crop itself")
                .mutable_ready()
                .build(),
            glib::ParamSpecUInt::builder("crop-size")
                .nick("Crop size")
                .blurb("Side of the pushed crop in pixels (output=crop)")
                .minimum(1)
                .maximum(1024)
                .default_value(default.crop_size)
                .mutable_ready()
                .build(),
        ]);
        properties
    }

    fn face_properties() -> Vec<glib::ParamSpec> {
        let default = Self::default();
        vec![
            glib::ParamSpecEnum::builder_with_default("detector", default.detector)
                .nick("Detector")
                .blurb("Where the faces come from")
                .mutable_ready()
                .build(),
            glib::ParamSpecUInt64::builder("detect-interval")
                .nick("Detect interval")
                .blurb("Stream time from one detection to the next, in nanoseconds; 0: each frame")
                .maximum(3600 * gst::ClockTime::SECOND.nseconds())
                .default_value(default.detect_interval.nseconds())
                .mutable_playing()
                .build(),
            glib::ParamSpecUInt::builder("max-faces")
                .nick("Maximum number of faces")
                .blurb("How many faces to follow at a time: those already followed, then the largest")
                .minimum(1)
                .maximum(256)
                .default_value(default.limits.max_faces as u32)
                .mutable_playing()
                .build(),
            glib::ParamSpecDouble::builder("min-face-size")
                .nick("Minimum face size")
                .blurb("Height of the smallest face to take up, fraction of the frame's; once followed, a face may shrink to 0.8 of it")
                .minimum(0.0)
                .maximum(1.0)
                .default_value(default.limits.min_face_size)
                .mutable_playing()
                .build(),
            glib::ParamSpecDouble::builder("margin")
                .nick("Margin")
                .blurb("The crop's side is the longer side of the face box times 1 + margin")
                .minimum(0.0)
                .maximum(4.0)
                .default_value(default.limits.margin)
                .mutable_playing()
                .build(),
        ]
    }

    pub fn set(&mut self, name: &str, value: &glib::Value) {
        match name {
            "detector" => self.detector = value.get().expect("type checked upstream"),
            "detect-interval" => {
                let ns: u64 = value.get().expect("type checked upstream");
                self.detect_interval = gst::ClockTime::from_nseconds(ns);
            }
            "max-faces" => {
                let n: u32 = value.get().expect("type checked upstream");
                self.limits.max_faces = n as usize;
            }
            "min-face-size" => {
                self.limits.min_face_size = value.get().expect("type checked upstream")
            }
            "margin" => self.limits.margin = value.get().expect("type checked upstream"),
            "output" => self.output = value.get().expect("type checked upstream"),
            "crop-size" => self.crop_size = value.get().expect("type checked upstream"),
            _ => unreachable!("unknown property"),
        }
    }

    pub fn get(&self, name: &str) -> glib::Value {
        match name {
            "detector" => self.detector.to_value(),
            "detect-interval" => self.detect_interval.nseconds().to_value(),
            "max-faces" => (self.limits.max_faces as u32).to_value(),
            "min-face-size" => self.limits.min_face_size.to_value(),
            "margin" => self.limits.margin.to_value(),
            "output" => self.output.to_value(),
            "crop-size" => self.crop_size.to_value(),
            _ => unreachable!("unknown property"),
        }
    }
}
