//! The part of each element's page that the element says itself: what it is, its pads, properties
//! and signals. `UPDATE_DOCS=1 cargo test --test docs` writes it anew.

mod common;

use std::fmt::Write;
use std::path::PathBuf;

use gst::glib;
use gst::glib::translate::{FromGlib, IntoGlib};
use gst::prelude::*;

const ELEMENTS: [&str; 6] =
    ["facecrop", "hrnetinfer", "ppg2bpm", "bpmoverlay", "bpm2json", "pulsetestsrc"];
const BEGIN: &str = "<!-- said by the element: UPDATE_DOCS=1 cargo test --test docs -->\n";
const END: &str = "<!-- end of what the element says -->\n";
/// A list of more formats than this is all that GStreamer knows, which depends on its version.
const FEW_FORMATS: usize = 30;

/// Numbers at the end of their type's range are no limits.
fn number<T: PartialEq + std::fmt::Display>(least: T, most: T, ends: (T, T)) -> String {
    match (least == ends.0, most == ends.1) {
        (true, true) => String::new(),
        (false, true) => format!(", at least {least}"),
        (true, false) => format!(", at most {most}"),
        (false, false) => format!(", {least} to {most}"),
    }
}

/// Type and range.
fn kind(spec: &glib::ParamSpec) -> String {
    let range = if let Some(s) = spec.downcast_ref::<glib::ParamSpecDouble>() {
        number(s.minimum(), s.maximum(), (-f64::MAX, f64::MAX))
    } else if let Some(s) = spec.downcast_ref::<glib::ParamSpecUInt>() {
        number(s.minimum(), s.maximum(), (u32::MIN, u32::MAX))
    } else if let Some(s) = spec.downcast_ref::<glib::ParamSpecInt>() {
        number(s.minimum(), s.maximum(), (i32::MIN, i32::MAX))
    } else if let Some(s) = spec.downcast_ref::<glib::ParamSpecUInt64>() {
        number(s.minimum(), s.maximum(), (u64::MIN, u64::MAX))
    } else if let Some(s) = spec.downcast_ref::<glib::ParamSpecInt64>() {
        number(s.minimum(), s.maximum(), (i64::MIN, i64::MAX))
    } else {
        String::new()
    };
    let name = match spec.value_type().name() {
        "gdouble" => "double",
        "guint" => "uint",
        "gint" => "int",
        "guint64" => "uint64",
        "gint64" => "int64",
        "gboolean" => "boolean",
        "gchararray" => "string",
        _ if spec.value_type().is_a(glib::Type::ENUM) => "enum",
        other => other,
    };
    format!("{name}{range}")
}

fn default(spec: &glib::ParamSpec) -> String {
    let value = spec.default_value();
    if let Some((_, value)) = glib::EnumValue::from_value(value) {
        return value.nick().to_string();
    }
    if let Ok(number) = value.get::<f64>() {
        return number.to_string();
    }
    // Colours are numbers that are read as hexadecimal.
    match value.get::<u32>() {
        Ok(argb) if argb > 0xff_ffff => format!("0x{argb:08x}"),
        Err(_) if value.type_().is_a(glib::Type::BOXED) => "none".into(),
        _ => match value.get::<Option<String>>() {
            Ok(text) => text.filter(|t| !t.is_empty()).unwrap_or("none".into()),
            Err(_) => value.serialize().expect("a plain value").to_string(),
        },
    }
}

/// The highest state in which it can be set.
fn changes(spec: &glib::ParamSpec) -> &'static str {
    let flags = spec.flags();
    if !flags.contains(glib::ParamFlags::WRITABLE) {
        "never"
    } else if flags.contains(gst::PARAM_FLAG_MUTABLE_PLAYING) {
        "playing"
    } else if flags.contains(gst::PARAM_FLAG_MUTABLE_PAUSED) {
        "paused"
    } else if flags.contains(gst::PARAM_FLAG_MUTABLE_READY) {
        "ready"
    } else {
        "null"
    }
}

fn properties(element: &gst::Element) -> String {
    let mut text =
        "| property | type | default | set up to | meaning |\n|---|---|---|---|---|\n".to_string();
    let specs = element.list_properties();
    for spec in specs.iter().filter(|s| s.owner_type() == element.type_()) {
        let blurb = spec.blurb().unwrap_or_else(|| panic!("{} has no blurb", spec.name()));
        let row = [spec.name().to_string(), kind(spec), default(spec), changes(spec).to_string()];
        write!(text, "| `{}` | {} | `{}` | {} | {blurb}", row[0], row[1], row[2], row[3]).unwrap();
        if let Some(class) = glib::EnumClass::with_type(spec.value_type()) {
            for value in class.values() {
                // The name says the nick first, for gst-inspect.
                let meaning =
                    value.name().split_once(": ").map_or(value.name(), |(_, after)| after);
                write!(text, "<br>`{}`: {meaning}", value.nick()).unwrap();
            }
        }
        text.push_str(" |\n");
    }
    text
}

fn caps(caps: &gst::Caps) -> String {
    if caps.is_any() {
        return "anything".into();
    }
    let one = |(s, features): (&gst::StructureRef, &gst::CapsFeaturesRef)| {
        let mut text = format!("`{}`", s.name());
        if features.is_any() {
            text.push_str(" in any memory");
        } else if !features
            .is_equal(gst::CapsFeatures::new([gst::CAPS_FEATURE_MEMORY_SYSTEM_MEMORY]).as_ref())
        {
            write!(text, " with `{features}`").unwrap();
        }
        let formats: Vec<String> = match s.value("format") {
            Ok(value) => match value.get::<gst::List>() {
                Ok(list) => list.iter().map(|v| v.get::<String>().expect("a format")).collect(),
                Err(_) => value.get::<String>().into_iter().collect(),
            },
            Err(_) => Vec::new(),
        };
        match formats.len() {
            0 => (),
            n if n > FEW_FORMATS => text.push_str(", many formats"),
            _ => write!(text, ", {}", formats.join(" ")).unwrap(),
        }
        text
    };
    caps.iter_with_features().map(one).collect::<Vec<_>>().join("; ")
}

fn pads(factory: &gst::ElementFactory) -> String {
    let mut pads: Vec<String> = factory
        .static_pad_templates()
        .iter()
        .map(|pad| format!("- `{}`: {}\n", pad.name_template(), caps(&pad.caps())))
        .collect();
    pads.sort();
    pads.concat()
}

/// Those of the element's own class.
fn signals(element: &gst::Element) -> String {
    let mut count = 0;
    let ids = unsafe {
        let type_ = element.type_().into_glib();
        let ids = glib::gobject_ffi::g_signal_list_ids(type_, &mut count);
        let list = (0..count as usize).map(|i| *ids.add(i)).collect::<Vec<u32>>();
        glib::ffi::g_free(ids.cast());
        list
    };
    let mut text = String::new();
    for id in ids {
        let query = unsafe { glib::subclass::SignalId::from_glib(id) }.query();
        let action = query.flags().contains(glib::SignalFlags::ACTION);
        let kind = if action { "Action signal" } else { "Signal" };
        writeln!(text, "\n{kind}: `{}`", query.signal_name()).unwrap();
    }
    text
}

/// What the element says of itself, with the markers.
fn section(name: &str) -> String {
    let factory = gst::ElementFactory::find(name).expect("the plugin has the element");
    let element = factory.create().build().unwrap();
    let said =
        |key| factory.metadata(key).unwrap_or_else(|| panic!("{name} has no {key}")).to_string();
    let (long, what) = (said("long-name"), said("description"));
    let (pads, properties, signals) = (pads(&factory), properties(&element), signals(&element));
    format!("{BEGIN}**{long}** ({}): {what}.\n\n{pads}\n{properties}{signals}{END}", said("klass"))
}

#[test]
fn the_pages_say_what_the_elements_say() {
    common::init();
    let mut stale = Vec::new();
    for name in ELEMENTS {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("docs/{name}.md"));
        let page =
            std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let (before, rest) = page.split_once(BEGIN).unwrap_or_else(|| panic!("{name}: no {BEGIN}"));
        let (_, after) = rest.split_once(END).unwrap_or_else(|| panic!("{name}: no {END}"));
        let fresh = format!("{before}{}{after}", section(name));
        if fresh != page {
            if std::env::var_os("UPDATE_DOCS").is_some() {
                std::fs::write(&path, fresh).unwrap();
            } else {
                stale.push(name);
            }
        }
    }
    assert!(stale.is_empty(), "docs of {stale:?} are stale: UPDATE_DOCS=1 cargo test --test docs");
}

#[test]
fn every_property_explains_itself() {
    common::init();
    for name in ELEMENTS {
        let element = gst::ElementFactory::make(name).build().unwrap();
        for spec in element.list_properties().iter().filter(|s| s.owner_type() == element.type_()) {
            let blurb = spec.blurb().unwrap_or_default();
            assert!(blurb.split_whitespace().count() >= 4, "{name}::{}: {blurb}", spec.name());
            assert_ne!(blurb, spec.nick(), "{name}::{}", spec.name());
        }
    }
}
