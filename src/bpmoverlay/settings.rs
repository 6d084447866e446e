//! What the user sets.

use gst::glib;
use gst::prelude::*;

use super::faces::Wanted;
use super::layout::Scale;
use super::paint::{Colours, Look};

#[derive(Clone, Debug)]
pub struct Settings {
    pub wanted: Wanted,
    pub font: String,
    pub colours: Colours,
}

impl Default for Settings {
    /// The colours are apart in lightness and in blue and yellow, whatever the eye.
    fn default() -> Self {
        Settings {
            wanted: Wanted {
                wave: true,
                outline: true,
                confidence: true,
                placeholder: "measuring".into(),
            },
            font: "Sans".into(),
            colours: Colours {
                text: 0xffff_ffff,
                background: 0xb810_161c,
                measuring: 0xff6c_c4f5,
                ok: 0xff3d_e0b0,
                weak: 0xffff_b000,
            },
        }
    }
}

impl Settings {
    /// How things look on a frame of this size.
    pub fn look(&self, width: u32, height: u32) -> Look {
        let font = pango::FontDescription::from_string(&self.font);
        let size = f64::from(font.size()) / f64::from(pango::SCALE);
        let size = Some(size).filter(|s| *s > 0.0);
        Look {
            scale: Scale::new(width, height, size),
            font: self.font.clone(),
            colours: self.colours,
        }
    }

    pub fn properties() -> Vec<glib::ParamSpec> {
        let default = Self::default();
        let mut properties = vec![
            switch("show-wave", "Show wave", "Draw the last ten seconds of the pulse wave"),
            switch("show-box", "Show box", "Draw the faces' rectangles"),
            switch("show-confidence", "Show confidence", "Draw the confidence mark"),
            glib::ParamSpecString::builder("font")
                .nick("Font")
                .blurb(
                    "Pango font description; a size in it is pixels of a picture of 480 lines, \
                     without one the text fits the picture",
                )
                .default_value(Some(default.font.as_str()))
                .mutable_playing()
                .build(),
            glib::ParamSpecString::builder("placeholder")
                .nick("Placeholder")
                .blurb("What stands in the rate's place while it is measured")
                .default_value(Some(default.wanted.placeholder.as_str()))
                .mutable_playing()
                .build(),
        ];
        let c = default.colours;
        properties.extend([
            colour("color", "Colour", "Colour of the text, big-endian ARGB", c.text),
            colour(
                "background-color",
                "Background",
                "Colour of the cards behind the text, big-endian ARGB",
                c.background,
            ),
            colour(
                "measuring-color",
                "Measuring",
                "Colour of box, bars and wave at status measuring, big-endian ARGB",
                c.measuring,
            ),
            colour(
                "ok-color",
                "Ok",
                "Colour of box, bars and wave at status ok, big-endian ARGB",
                c.ok,
            ),
            colour(
                "weak-color",
                "Weak",
                "Colour of box, bars and wave at status weak, big-endian ARGB",
                c.weak,
            ),
        ]);
        properties
    }

    pub fn set(&mut self, name: &str, value: &glib::Value) {
        let truth = || value.get().expect("type checked upstream");
        let words = || value.get::<Option<String>>().expect("type checked upstream");
        let colour = || value.get().expect("type checked upstream");
        match name {
            "show-wave" => self.wanted.wave = truth(),
            "show-box" => self.wanted.outline = truth(),
            "show-confidence" => self.wanted.confidence = truth(),
            "font" => self.font = words().unwrap_or(Self::default().font),
            "placeholder" => self.wanted.placeholder = words().unwrap_or_default(),
            "color" => self.colours.text = colour(),
            "background-color" => self.colours.background = colour(),
            "measuring-color" => self.colours.measuring = colour(),
            "ok-color" => self.colours.ok = colour(),
            "weak-color" => self.colours.weak = colour(),
            _ => unreachable!("unknown property"),
        }
    }

    pub fn get(&self, name: &str) -> glib::Value {
        match name {
            "show-wave" => self.wanted.wave.to_value(),
            "show-box" => self.wanted.outline.to_value(),
            "show-confidence" => self.wanted.confidence.to_value(),
            "font" => self.font.to_value(),
            "placeholder" => self.wanted.placeholder.to_value(),
            "color" => self.colours.text.to_value(),
            "background-color" => self.colours.background.to_value(),
            "measuring-color" => self.colours.measuring.to_value(),
            "ok-color" => self.colours.ok.to_value(),
            "weak-color" => self.colours.weak.to_value(),
            _ => unreachable!("unknown property"),
        }
    }
}

fn switch(name: &str, nick: &str, blurb: &str) -> glib::ParamSpec {
    glib::ParamSpecBoolean::builder(name)
        .nick(nick)
        .blurb(blurb)
        .default_value(true)
        .mutable_playing()
        .build()
}

fn colour(name: &str, nick: &str, blurb: &str, default: u32) -> glib::ParamSpec {
    glib::ParamSpecUInt::builder(name)
        .nick(nick)
        .blurb(blurb)
        .default_value(default)
        .mutable_playing()
        .build()
}
