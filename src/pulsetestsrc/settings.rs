//! What the user sets.

use gst::glib;
use gst::prelude::*;

/// How the faces move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstPulseTestSrcMotion")]
pub enum Motion {
    #[default]
    #[enum_value(name = "Still: faces rest", nick = "still")]
    Still,
    #[enum_value(name = "Slight: as somebody who sits and watches", nick = "slight")]
    Slight,
    #[enum_value(name = "Moderate: as somebody who talks", nick = "moderate")]
    Moderate,
    #[enum_value(name = "Strong: as somebody who walks", nick = "strong")]
    Strong,
    #[enum_value(name = "Carry: across the picture in 4 s and back", nick = "carry")]
    Carry,
    #[enum_value(
        name = "Leave: the last face is away from 20 s to 24 s of every 40",
        nick = "leave"
    )]
    Leave,
}

/// How the light changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstPulseTestSrcLight")]
pub enum Light {
    #[default]
    #[enum_value(name = "Steady: constant light", nick = "steady")]
    Steady,
    #[enum_value(name = "Dim: constant, an eighth of the light", nick = "dim")]
    Dim,
    #[enum_value(name = "Drift: slow changes of brightness and colour", nick = "drift")]
    Drift,
    #[enum_value(name = "Flicker: lamps on the mains", nick = "flicker")]
    Flicker,
    #[enum_value(name = "Step: exposure that jumps every 3 s", nick = "step")]
    Step,
    #[enum_value(name = "Beat: a lamp that pulses by 2 % at 72 a minute", nick = "beat")]
    Beat,
}

/// What is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstPulseTestSrcPicture")]
pub enum Subject {
    #[default]
    #[enum_value(name = "Portrait: faces before a canvas", nick = "portrait")]
    Portrait,
    #[enum_value(name = "Wall: the canvas alone", nick = "wall")]
    Wall,
    #[enum_value(name = "Noise: strong noise, no picture", nick = "noise")]
    Noise,
}

#[derive(Clone, Debug)]
pub struct Settings {
    pub bpm: String,
    /// Percent.
    pub pulse_amplitude: f64,
    pub motion: Motion,
    pub noise: f64,
    pub light: Light,
    pub seed: u64,
    pub picture: Subject,
    pub timestamp_offset: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            bpm: "72".into(),
            pulse_amplitude: 1.0,
            motion: Motion::default(),
            noise: 1.0,
            light: Light::default(),
            seed: 0,
            picture: Subject::default(),
            timestamp_offset: 0,
        }
    }
}

impl Settings {
    /// All properties, with `is-live`, which the base class keeps.
    pub fn properties() -> Vec<glib::ParamSpec> {
        let mut properties = Self::picture_properties();
        let default = Self::default();
        properties.extend([
            glib::ParamSpecBoolean::builder("is-live")
                .nick("Is live")
                .blurb("Whether frames come in real time, as from a camera")
                .mutable_ready()
                .build(),
            glib::ParamSpecInt64::builder("timestamp-offset")
                .nick("Timestamp offset")
                .blurb("Added to the timestamps, ns")
                .default_value(default.timestamp_offset)
                .mutable_ready()
                .build(),
        ]);
        properties
    }

    fn picture_properties() -> Vec<glib::ParamSpec> {
        let default = Self::default();
        vec![
            glib::ParamSpecString::builder("bpm")
                .nick("Beats per minute")
                .blurb("Rate of each face, comma-separated: 72, or a ramp 60>120@60 (within 60 s)")
                .default_value(Some(default.bpm.as_str()))
                .mutable_ready()
                .build(),
            glib::ParamSpecDouble::builder("pulse-amplitude")
                .nick("Pulse amplitude")
                .blurb("Peak modulation of green on skin, percent; 0 shows lifeless faces")
                .minimum(0.0)
                .maximum(20.0)
                .default_value(default.pulse_amplitude)
                .mutable_ready()
                .build(),
            glib::ParamSpecEnum::builder_with_default("motion", default.motion)
                .nick("Motion")
                .blurb("How the faces move")
                .mutable_ready()
                .build(),
            glib::ParamSpecDouble::builder("noise")
                .nick("Noise")
                .blurb("Standard deviation of the noise per pixel and colour, grey levels")
                .minimum(0.0)
                .maximum(100.0)
                .default_value(default.noise)
                .mutable_ready()
                .build(),
            glib::ParamSpecEnum::builder_with_default("light", default.light)
                .nick("Light")
                .blurb("How the light on the scene changes")
                .mutable_ready()
                .build(),
            glib::ParamSpecUInt64::builder("seed")
                .nick("Seed")
                .blurb("Seed of all that is random; the same seed gives the same bytes")
                .default_value(default.seed)
                .mutable_ready()
                .build(),
            glib::ParamSpecEnum::builder_with_default("picture", default.picture)
                .nick("Picture")
                .blurb("What is shown; wall and noise have no face")
                .mutable_ready()
                .build(),
        ]
    }

    pub fn set(&mut self, name: &str, value: &glib::Value) {
        const TYPE: &str = "type checked upstream";
        match name {
            "timestamp-offset" => self.timestamp_offset = value.get().expect(TYPE),
            "bpm" => self.bpm = value.get::<Option<String>>().expect(TYPE).unwrap_or_default(),
            "pulse-amplitude" => self.pulse_amplitude = value.get().expect(TYPE),
            "motion" => self.motion = value.get().expect(TYPE),
            "noise" => self.noise = value.get().expect(TYPE),
            "light" => self.light = value.get().expect(TYPE),
            "seed" => self.seed = value.get().expect(TYPE),
            "picture" => self.picture = value.get().expect(TYPE),
            _ => unreachable!("unknown property"),
        }
    }

    pub fn get(&self, name: &str) -> glib::Value {
        match name {
            "timestamp-offset" => self.timestamp_offset.to_value(),
            "bpm" => self.bpm.to_value(),
            "pulse-amplitude" => self.pulse_amplitude.to_value(),
            "motion" => self.motion.to_value(),
            "noise" => self.noise.to_value(),
            "light" => self.light.to_value(),
            "seed" => self.seed.to_value(),
            "picture" => self.picture.to_value(),
            _ => unreachable!("unknown property"),
        }
    }
}
