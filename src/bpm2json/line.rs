//! One line: what is known at one frame, as JSON. docs/bpm2json.schema.json describes it.

use serde::Serialize;

use crate::meta::Face;

/// Version of the line's fields: a reader that knows 1 may read everything that says 1.
const VERSION: u32 = 1;

/// A frame's time on three clocks, nanoseconds; absent where unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Times {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_time: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running_time: Option<u64>,
}

/// Where a line comes from.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// What the user, else the stream, calls itself.
    pub stream: String,
    /// Width and height of the frame in pixels, where the caps say so.
    pub size: Option<(i32, i32)>,
}

#[derive(Serialize)]
struct Line<'a> {
    version: u32,
    stream: &'a str,
    #[serde(flatten)]
    times: Times,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<i32>,
    faces: Vec<FaceFields>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct FaceFields {
    id: u32,
    x: f64,
    y: f64,
    w: f64,
    h: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ppg: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ppg_interval: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bpm: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snr: Option<f64>,
    status: &'static str,
    reasons: Vec<&'static str>,
    window: u64,
}

impl FaceFields {
    /// `None` for a face whose rectangle is no number. JSON has neither NaN nor infinity: a
    /// measure that is one is absent.
    fn new(face: &Face) -> Option<FaceFields> {
        let rect = [face.x, face.y, face.w, face.h];
        let finite = |value: Option<f64>| value.filter(|v| v.is_finite());
        rect.iter().all(|v| v.is_finite()).then(|| FaceFields {
            id: face.id,
            x: face.x,
            y: face.y,
            w: face.w,
            h: face.h,
            ppg: finite(face.ppg),
            ppg_interval: face.ppg_interval.map(|t| t.nseconds()),
            bpm: finite(face.bpm).filter(|bpm| *bpm > 0.0),
            confidence: finite(face.confidence).map(|c| c.clamp(0.0, 1.0)),
            snr: finite(face.snr),
            status: face.status.as_str(),
            reasons: face.reasons.iter().map(|r| r.as_str()).collect(),
            window: face.window.nseconds(),
        })
    }
}

/// The line, newline included.
pub fn write(source: &Source, times: Times, faces: &[Face]) -> String {
    let line = Line {
        version: VERSION,
        stream: &source.stream,
        times,
        width: source.size.map(|s| s.0),
        height: source.size.map(|s| s.1),
        faces: faces.iter().filter_map(FaceFields::new).collect(),
    };
    let mut json = serde_json::to_string(&line).expect("strings and finite numbers");
    json.push('\n');
    json
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meta::{Reason, Status};

    #[test]
    fn what_is_unknown_is_absent() {
        let faces = [Face { id: 3, ..Face::default() }];
        let json = write(&Source::default(), Times::default(), &faces);
        assert_eq!(
            json,
            "{\"version\":1,\"stream\":\"\",\"faces\":[{\"id\":3,\"x\":0.0,\"y\":0.0,\"w\":0.0,\
             \"h\":0.0,\"status\":\"measuring\",\"reasons\":[],\"window\":0}]}\n"
        );
    }

    #[test]
    fn what_is_no_number_does_not_appear() {
        let broken = Face { x: f64::NAN, ..Face::default() };
        let face = Face {
            id: 4,
            ppg: Some(f64::INFINITY),
            bpm: Some(0.0),
            confidence: Some(f64::NAN),
            snr: Some(-3.5),
            status: Status::Weak,
            reasons: [Reason::Dark, Reason::NoPulse].into_iter().collect(),
            ..Face::default()
        };
        let json = write(&Source::default(), Times::default(), &[broken, face]);
        let line: serde_json::Value = serde_json::from_str(&json).unwrap();
        let faces = line["faces"].as_array().unwrap();
        assert_eq!(faces.len(), 1);
        let keys: Vec<_> = faces[0].as_object().unwrap().keys().map(String::as_str).collect();
        let expected = ["h", "id", "reasons", "snr", "status", "w", "window", "x", "y"];
        assert_eq!(keys.len(), expected.len());
        assert!(expected.iter().all(|k| keys.contains(k)), "{keys:?}");
        assert_eq!(faces[0]["reasons"], serde_json::json!(["dark", "no-pulse"]));
    }

    #[test]
    fn names_are_escaped_and_a_line_is_a_line() {
        let source = Source { stream: "door \"2\"\n".into(), size: Some((640, 480)) };
        let times = Times { timestamp: Some(1), stream_time: Some(2), running_time: Some(3) };
        let json = write(&source, times, &[]);
        assert_eq!(
            json,
            "{\"version\":1,\"stream\":\"door \\\"2\\\"\\n\",\"timestamp\":1,\"stream-time\":2,\
             \"running-time\":3,\"width\":640,\"height\":480,\"faces\":[]}\n"
        );
    }
}
