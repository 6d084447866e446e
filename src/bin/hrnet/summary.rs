//! What came of a number of recordings, and the figures of any part of them.

use std::collections::BTreeMap;

use gstheartrate::ppg2bpm::Config;
use serde::Serialize;
use serde_json::{Value, json};

use crate::groups;
use crate::recording::{Method, Recording};
use crate::score::{Bin, Errors, Pair, Score, reliability};
use crate::stage::{Moment, listen};

/// A recording and what each method read of it.
pub struct Outcome {
    pub recording: Recording,
    runs: Vec<Run>,
}

struct Run {
    method: Method,
    window: f64,
    moments: Vec<Moment>,
}

impl Outcome {
    /// Runs the signal stage with every method and window.
    pub fn new(recording: Recording, windows: &[f64]) -> Outcome {
        let truth = recording.truth();
        let mut runs = Vec::new();
        for method in Method::ALL {
            let frames = recording.frames(method);
            for &window in windows {
                let derivative = recording.is_derivative(method);
                let config = Config { window, derivative, ..Config::default() };
                runs.push(Run { method, window, moments: listen(&frames, &config, &truth) });
            }
        }
        Outcome { recording, runs }
    }

    /// One moment a second.
    pub fn moments(&self, method: Method, window: f64) -> &[Moment] {
        let run = self.runs.iter().find(|r| r.method == method && r.window == window);
        run.map_or(&[], |r| &r.moments)
    }

    /// Readings with their reference.
    pub fn pairs(&self, method: Method, window: f64) -> Vec<Pair> {
        self.moments(method, window).iter().filter_map(Moment::pair).collect()
    }

    /// Confidences of the network's readings, and whether they are right. Where there is no pulse
    /// none is.
    fn stated(&self, window: f64) -> Vec<(f64, bool)> {
        if self.recording.is_negative() {
            let readings = self.moments(Method::Network, window).iter();
            let readings = readings.filter_map(|m| m.estimate.reading);
            return readings.map(|r| (r.confidence, false)).collect();
        }
        let pairs = self.pairs(Method::Network, window);
        pairs.iter().map(|p| (p.confidence, p.is_right())).collect()
    }
}

/// The figures of some subjects by one method with one window.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Subjects with a pulse.
    pub subjects: usize,
    /// Seconds with a reference, from the first full window on.
    pub seconds: usize,
    #[serde(flatten)]
    pub score: Score,
    /// Standard errors over subjects.
    pub se_subjects: Errors,
    pub negative: Negative,
}

/// Subjects without a pulse.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Negative {
    pub subjects: usize,
    pub seconds: usize,
    /// Share of the seconds with a rate at status ok: there should be none.
    pub ok: Option<f64>,
}

impl Summary {
    pub fn new(outcomes: &[&Outcome], method: Method, window: f64) -> Summary {
        let (negative, alive): (Vec<&Outcome>, Vec<&Outcome>) =
            outcomes.iter().partition(|o| o.recording.is_negative());
        let pairs: Vec<Vec<Pair>> = alive.iter().map(|o| o.pairs(method, window)).collect();
        let moments = alive.iter().flat_map(|o| o.moments(method, window));
        let seconds = moments.filter(|m| m.reference.is_some()).count();
        Summary {
            subjects: alive.len(),
            seconds,
            score: Score::new(&pairs.concat(), seconds),
            se_subjects: Errors::over_subjects(&pairs),
            negative: Negative::new(&negative, method, window),
        }
    }
}

impl Negative {
    fn new(outcomes: &[&Outcome], method: Method, window: f64) -> Negative {
        let moments: Vec<&Moment> =
            outcomes.iter().flat_map(|o| o.moments(method, window)).collect();
        let ok = moments.iter().filter(|m| m.is_ok()).count();
        let seconds = moments.len();
        let share = (seconds > 0).then(|| ok as f64 / seconds as f64);
        Negative { subjects: outcomes.len(), seconds, ok: share }
    }
}

/// All outcomes of a call.
pub struct Results {
    pub outcomes: Vec<Outcome>,
    pub windows: Vec<f64>,
    /// Attributes to split by.
    pub by: Vec<String>,
}

impl Results {
    pub fn all(&self) -> Vec<&Outcome> {
        self.outcomes.iter().collect()
    }

    /// The subjects by the values of `key`, in order; those without it under `–`.
    pub fn groups(&self, key: &str) -> Vec<(String, Vec<&Outcome>)> {
        let mut groups: BTreeMap<groups::Label, Vec<&Outcome>> = BTreeMap::new();
        for outcome in &self.outcomes {
            let label = groups::label(&outcome.recording.attributes, key);
            groups.entry(label.unwrap_or((usize::MAX, "–".into()))).or_default().push(outcome);
        }
        groups.into_iter().map(|((_, name), outcomes)| (name, outcomes)).collect()
    }

    /// Stated against observed confidence of the network's readings.
    pub fn reliability(&self, window: f64) -> Vec<Bin> {
        let stated: Vec<_> = self.outcomes.iter().flat_map(|o| o.stated(window)).collect();
        reliability(&stated)
    }

    /// Everything that is printed, for machines.
    pub fn json(&self) -> Value {
        let windows: Vec<Value> = self.windows.iter().map(|w| self.window_json(*w)).collect();
        json!({ "windows": windows })
    }

    fn window_json(&self, window: f64) -> Value {
        let subject = |o: &Outcome| {
            json!({
                "subject": o.recording.name,
                "negative": o.recording.is_negative(),
                "attributes": o.recording.attributes,
                "methods": methods(&[o], window),
            })
        };
        let group = |(value, outcomes): (String, Vec<&Outcome>)| json!({ "value": value, "methods": methods(&outcomes, window) });
        let by = |key: &String| {
            let groups: Vec<Value> = self.groups(key).into_iter().map(group).collect();
            (key.clone(), Value::from(groups))
        };
        json!({
            "window": window,
            "all": methods(&self.all(), window),
            "reliability": self.reliability(window),
            "by": self.by.iter().map(by).collect::<serde_json::Map<_, _>>(),
            "subjects": self.outcomes.iter().map(subject).collect::<Vec<_>>(),
        })
    }
}

fn methods(outcomes: &[&Outcome], window: f64) -> Value {
    let summary = |m: Method| {
        let summary = Summary::new(outcomes, m, window);
        (m.name().to_lowercase(), serde_json::to_value(summary).unwrap_or_default())
    };
    Value::Object(Method::ALL.into_iter().map(summary).collect())
}
