//! Subjects by what is known of them.

use serde_json::{Map, Value};

/// Limits of the bands of numbers that are no categories. A number at a limit belongs above it.
const BANDS: [(&str, &[f64]); 6] = [
    ("bpm", &[40.0, 60.0, 90.0, 120.0, 180.0, 240.0]),
    ("fps", &[16.0, 26.0, 31.0, 61.0]),
    ("kbit_s", &[1.0, 300.0, 600.0, 1200.0, 2400.0]),
    ("amplitude", &[0.001, 0.003, 0.006, 0.01, 0.02]),
    ("noise", &[0.5, 1.0, 2.0, 4.0]),
    ("face_width", &[60.0, 90.0, 130.0, 180.0, 240.0]),
];

type Attributes = Map<String, Value>;

/// A group's place in the order of groups, and its name.
pub type Label = (usize, String);

/// The group of a subject by `key`; `None` where it has no such attribute.
pub fn label(attributes: &Attributes, key: &str) -> Option<Label> {
    let value = attributes.get(key)?;
    let bands = BANDS.iter().find(|(name, _)| *name == key).map(|(_, limits)| *limits);
    match (value.as_f64(), bands) {
        (Some(number), Some(limits)) => Some(band(number, limits)),
        (Some(number), None) => Some(((number.max(0.0) * 1000.0) as usize, text(value))),
        _ => Some((0, text(value))),
    }
}

fn band(number: f64, limits: &[f64]) -> Label {
    let i = limits.partition_point(|limit| *limit <= number);
    let name = match (i.checked_sub(1).map(|i| limits[i]), limits.get(i)) {
        (None, Some(high)) => format!("<{high}"),
        (Some(low), Some(high)) => format!("{low}-{high}"),
        (low, None) => format!("≥{}", low.unwrap_or(0.0)),
    };
    (i, name)
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), String::from)
}

/// What `--where` asks for: one attribute with one of some values.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    key: String,
    values: Vec<String>,
}

impl Filter {
    /// Parses `KEY=VALUE[,VALUE…]`.
    pub fn parse(text: &str) -> Result<Filter, String> {
        let parts = text.split_once('=').filter(|(k, v)| !k.is_empty() && !v.is_empty());
        let (key, values) = parts.ok_or("must be KEY=VALUE[,VALUE…]")?;
        Ok(Filter { key: key.into(), values: values.split(',').map(String::from).collect() })
    }

    /// The attribute's name.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether a subject with `attributes` is asked for.
    pub fn takes(&self, attributes: &Attributes) -> bool {
        let value = attributes.get(&self.key);
        value.is_some_and(|v| self.values.iter().any(|wanted| is(v, wanted)))
    }
}

impl std::fmt::Display for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{}={}", self.key, self.values.join(","))
    }
}

/// Whether `value` is `wanted`: the same word or number, or within LOW-HIGH, HIGH not included.
fn is(value: &Value, wanted: &str) -> bool {
    let Some(number) = value.as_f64() else { return text(value) == wanted };
    let range = wanted.split_once('-').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    match (range, wanted.parse::<f64>()) {
        (Some((low, high)), _) => (low..high).contains(&number),
        (None, Ok(same)) => number == same,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes() -> Attributes {
        let json = r#"{"motion": "slight", "bpm": 90.0, "skin_tone": 4, "talks": true}"#;
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn rates_have_bands_and_words_are_themselves() {
        let name = |key: &str| label(&attributes(), key).map(|l| l.1);
        assert_eq!(name("bpm").as_deref(), Some("90-120"));
        assert_eq!(name("motion").as_deref(), Some("slight"));
        assert_eq!(name("skin_tone").as_deref(), Some("4"));
        assert_eq!(name("talks").as_deref(), Some("true"));
        assert_eq!(name("light"), None);
        assert_eq!(band(39.0, BANDS[0].1), (0, "<40".into()));
        assert_eq!(band(240.0, BANDS[0].1), (6, "≥240".into()));
    }

    #[test]
    fn filters_take_what_they_name() {
        let takes = |text: &str| Filter::parse(text).unwrap().takes(&attributes());
        assert!(takes("motion=none,slight") && !takes("motion=none"));
        assert!(takes("bpm=80-91") && !takes("bpm=60-90") && takes("bpm=90"));
        assert!(takes("talks=true") && takes("skin_tone=4") && !takes("light=steady"));
        assert!(Filter::parse("motion").is_err() && Filter::parse("=x").is_err());
    }
}
