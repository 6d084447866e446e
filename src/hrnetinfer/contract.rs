//! What a network expects and gives, as far as its graph does not say it: the `hrnet.*` keys.
//!
//! | key | values | default |
//! |---|---|---|
//! | `hrnet.contract` | `1` | `1` |
//! | `hrnet.color` | `rgb`, `bgr` | `rgb` |
//! | `hrnet.motion` | `rms TAU FLOOR CLAMP` (divide by a running RMS), `gain G CLAMP` (multiply) | `rms 2 0.0002 5` |
//! | `hrnet.appearance` | `standardized` (per frame), `unit` (0..1), `byte` (0..255) | `standardized` |
//! | `hrnet.appearance_every` | frames, 1..240, from one run of the appearance branch to the next | `1` |
//! | `hrnet.output` | `derivative`, `pulse` | `derivative` |

use std::fmt;

/// The keys of a model file's metadata.
pub const KEYS: [&str; 6] = [
    "hrnet.contract",
    "hrnet.color",
    "hrnet.motion",
    "hrnet.appearance",
    "hrnet.appearance_every",
    "hrnet.output",
];

/// Order of the colour planes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    Rgb,
    Bgr,
}

/// How the motion map (C2 − C1) / (C2 + C1) is scaled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MotionScale {
    /// Divided by its running root mean square over pixels and channels (an exponential average of
    /// the square with time constant `tau` seconds, at least `floor`), then clamped to ±`clamp`.
    RunningRms { tau: f32, floor: f32, clamp: f32 },
    /// Multiplied by `gain`, then clamped to ±`clamp`.
    Gain { gain: f32, clamp: f32 },
}

/// How the appearance map is scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appearance {
    /// Mean 0, standard deviation 1 over all pixels and channels of the frame's crop.
    Standardized,
    /// 0..1.
    Unit,
    /// 0..255.
    Byte,
}

/// The part of the model contract that does not stand in the graph.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contract {
    pub color: Color,
    pub motion: MotionScale,
    pub appearance: Appearance,
    /// A face looks much the same for a while: its appearance branch may be run once in so many
    /// frames, where the engine can.
    pub appearance_every: u32,
    /// Whether the output is the derivative of the pulse wave rather than the wave.
    pub derivative: bool,
}

impl Default for Contract {
    fn default() -> Self {
        Contract {
            color: Color::Rgb,
            motion: MotionScale::RunningRms { tau: 2.0, floor: 2e-4, clamp: 5.0 },
            appearance: Appearance::Standardized,
            appearance_every: 1,
            derivative: true,
        }
    }
}

/// A key whose value is not one of the contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractError {
    key: &'static str,
    value: String,
    expected: &'static str,
}

impl fmt::Display for ContractError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}: \"{}\" is not {}", self.key, self.value, self.expected)
    }
}

impl std::error::Error for ContractError {}

impl Contract {
    /// Reads the keys that `get` finds; a key that is not there keeps its default.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Contract, ContractError> {
        let mut contract = Contract::default();
        read_key(&get, "hrnet.contract", "1 (made for a newer plugin?)", |v| {
            (v == "1").then_some(())
        })?;
        if let Some(color) = read_key(&get, "hrnet.color", "rgb or bgr", parse_color)? {
            contract.color = color;
        }
        let motion = "\"rms TAU FLOOR CLAMP\" or \"gain G CLAMP\" with numbers above 0";
        if let Some(motion) = read_key(&get, "hrnet.motion", motion, parse_motion)? {
            contract.motion = motion;
        }
        let appearance = "standardized, unit or byte";
        if let Some(a) = read_key(&get, "hrnet.appearance", appearance, parse_appearance)? {
            contract.appearance = a;
        }
        let every = "a whole number from 1 to 240";
        if let Some(n) = read_key(&get, "hrnet.appearance_every", every, parse_every)? {
            contract.appearance_every = n;
        }
        if let Some(d) = read_key(&get, "hrnet.output", "derivative or pulse", parse_output)? {
            contract.derivative = d;
        }
        Ok(contract)
    }
}

fn read_key<T>(
    get: &impl Fn(&str) -> Option<String>,
    key: &'static str,
    expected: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, ContractError> {
    let Some(value) = get(key) else { return Ok(None) };
    parse(value.trim()).map(Some).ok_or(ContractError { key, value, expected })
}

fn parse_color(value: &str) -> Option<Color> {
    match value {
        "rgb" => Some(Color::Rgb),
        "bgr" => Some(Color::Bgr),
        _ => None,
    }
}

fn parse_motion(value: &str) -> Option<MotionScale> {
    let mut words = value.split_ascii_whitespace();
    let kind = words.next()?;
    let numbers: Vec<f32> = words
        .map(|w| w.parse().ok().filter(|n: &f32| n.is_finite() && *n > 0.0))
        .collect::<Option<_>>()?;
    match (kind, numbers[..].as_ref()) {
        ("rms", &[tau, floor, clamp]) => Some(MotionScale::RunningRms { tau, floor, clamp }),
        ("gain", &[gain, clamp]) => Some(MotionScale::Gain { gain, clamp }),
        _ => None,
    }
}

fn parse_appearance(value: &str) -> Option<Appearance> {
    match value {
        "standardized" => Some(Appearance::Standardized),
        "unit" => Some(Appearance::Unit),
        "byte" => Some(Appearance::Byte),
        _ => None,
    }
}

fn parse_every(value: &str) -> Option<u32> {
    value.parse().ok().filter(|n| (1..=240).contains(n))
}

fn parse_output(value: &str) -> Option<bool> {
    match value {
        "derivative" => Some(true),
        "pulse" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read() {
        let get = |key: &str| match key {
            "hrnet.color" => Some("bgr"),
            "hrnet.motion" => Some("gain 3.5 2"),
            "hrnet.appearance" => Some("byte"),
            "hrnet.appearance_every" => Some("8"),
            "hrnet.output" => Some("pulse"),
            _ => None,
        };
        let get = |key: &str| get(key).map(str::to_owned);
        let expected = Contract {
            color: Color::Bgr,
            motion: MotionScale::Gain { gain: 3.5, clamp: 2.0 },
            appearance: Appearance::Byte,
            appearance_every: 8,
            derivative: false,
        };
        assert_eq!(Contract::read(get), Ok(expected));
        assert_eq!(Contract::read(|_| None), Ok(Contract::default()));
    }

    #[test]
    fn a_bad_value_is_named() {
        for (key, value) in [
            ("hrnet.contract", "2"),
            ("hrnet.color", "grey"),
            ("hrnet.motion", "rms 2 0 5"),
            ("hrnet.motion", "gain NaN 1"),
            ("hrnet.appearance", ""),
            ("hrnet.appearance_every", "0"),
            ("hrnet.output", "bpm"),
        ] {
            let error = Contract::read(|k| (k == key).then(|| value.to_owned())).unwrap_err();
            assert!(error.to_string().starts_with(&format!("{key}: \"{value}\" is not ")));
        }
    }
}
