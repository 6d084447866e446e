//! A recording after it has gone through the elements: what they said of the largest face.

use std::collections::BTreeMap;

use gstheartrate::meta::{Face, FaceCrop};
use gstheartrate::ppg2bpm::Sample;
use gstheartrate::ppg2bpm::faces::Seen;
use serde_json::{Map, Value};

use crate::baselines::{Baseline, Colour};
use crate::dataset::{Subject, Wave};
use crate::media::{Record, Settings, play};
use crate::stage::{Frame, Truth};
use crate::wave_csv;

/// What makes the pulse wave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Network,
    Baseline(Baseline),
}

impl Method {
    pub const ALL: [Method; 4] = [
        Method::Network,
        Method::Baseline(Baseline::Green),
        Method::Baseline(Baseline::Chrom),
        Method::Baseline(Baseline::Pos),
    ];

    pub fn name(self) -> &'static str {
        match self {
            Method::Network => "network",
            Method::Baseline(baseline) => baseline.name(),
        }
    }
}

/// One frame.
#[derive(Clone, Copy, Debug)]
pub struct Sight {
    /// ns since the first frame.
    pub time: u64,
    /// The largest.
    pub face: Option<Seen>,
}

pub struct Recording {
    pub name: String,
    pub attributes: Map<String, Value>,
    pub wave: Wave,
    /// Whether the network's samples are the rate of change of the wave.
    pub derivative: bool,
    pub sights: Vec<Sight>,
}

impl Recording {
    /// Plays `subject`, which must have a ground truth that covers it.
    pub fn play(subject: &Subject, settings: &Settings) -> Result<Recording, String> {
        let Subject { name, media, truth, attributes } = subject;
        let wave = truth.clone().ok_or_else(|| format!("{name}: no ground truth"))?;
        let (mut sights, mut derivative, mut start) = (Vec::new(), false, None);
        play(media, settings, |record| {
            let start = *start.get_or_insert(record.time);
            derivative |= record.derivative;
            let time = record.time.saturating_sub(start);
            sights.push(Sight { time, face: largest(&record) });
            Ok(())
        })?;
        let seconds = sights.last().map_or(0, |s: &Sight| s.time) as f64 * 1e-9;
        wave.must_cover(seconds).map_err(|e| format!("{name}: {e}"))?;
        let (name, attributes) = (name.clone(), attributes.clone());
        Ok(Recording { name, attributes, wave, derivative, sights })
    }

    /// What the signal stage gets of `method`.
    pub fn frames(&self, method: Method) -> Vec<Frame> {
        let frame = |s: &Sight| Frame { time: s.time, face: s.face };
        let mut frames: Vec<Frame> = self.sights.iter().map(frame).collect();
        if let Method::Baseline(baseline) = method {
            self.replace(&mut frames, baseline);
        }
        frames
    }

    /// Puts the wave of `baseline`, each face's by itself, in place of the network's.
    fn replace(&self, frames: &mut [Frame], baseline: Baseline) {
        let mut faces: BTreeMap<u32, (Vec<usize>, Vec<Colour>)> = BTreeMap::new();
        for (i, sight) in self.sights.iter().enumerate() {
            let Some(seen) = sight.face else { continue };
            let (places, colours) = faces.entry(seen.id).or_default();
            places.push(i);
            colours.push(Colour { time: sight.time as f64 * 1e-9, change: seen.changes.colour });
        }
        for (places, colours) in faces.values() {
            for (place, value) in places.iter().zip(baseline.wave(colours)) {
                if let Some(seen) = &mut frames[*place].face {
                    let Seen { id, rect, reasons, .. } = *seen;
                    *seen = Seen { id, rect, reasons, ppg: Some(value), ..Seen::default() };
                }
            }
        }
    }

    /// Whether samples of `method` are the rate of change of the wave.
    pub fn is_derivative(&self, method: Method) -> bool {
        method == Method::Network && self.derivative
    }

    /// Whether there is no pulse to be read.
    pub fn is_negative(&self) -> bool {
        self.wave.is_flat()
    }

    /// The ground truth for the signal stage.
    pub fn truth(&self) -> Truth {
        let sample =
            |(time, value): (&f64, &f64)| Sample { time: *time, value: *value, interval: None };
        let samples = self.wave.times.iter().zip(&self.wave.values).map(sample).collect();
        Truth { samples, derivative: false }
    }

    /// The pairs' samples, labels and times as `hrnet signal` reads them; `None` without any.
    pub fn to_csv(&self) -> Option<String> {
        let mut text = format!("prediction,label,time,{}\n", wave_csv::BESIDE.join(","));
        let head = text.len();
        for sight in &self.sights {
            let Some(seen) = sight.face else { continue };
            let (Some(ppg), Some(interval)) = (seen.ppg, seen.interval) else { continue };
            let (from, to) = (sight.time.saturating_sub(interval), sight.time);
            let label = self.wave.derivative_between(from as f64 * 1e-9, to as f64 * 1e-9);
            let Some(label) = label else { continue };
            let beside = wave_csv::beside(&seen);
            text += &format!("{ppg:.6},{label:.6},{:.6},{beside}\n", to as f64 * 1e-9);
        }
        (text.len() > head).then_some(text)
    }
}

/// The face of the largest rectangle that is seen in the frame. What the frame tells against a
/// reading stands with the crop; with the face stands what the estimate was told.
fn largest(record: &Record) -> Option<Seen> {
    let area = |f: &(&Face, &FaceCrop)| f.0.w * f.0.h;
    let crop_of = |f: &Face| record.crops.iter().find(|c| c.id == f.id);
    let faces = record.faces.iter().filter_map(|f| Some((f, crop_of(f)?)));
    let (face, crop) = faces.max_by(|a, b| area(a).total_cmp(&area(b)))?;
    let interval = crop.previous.as_ref().and_then(|p| p.interval).or(face.ppg_interval);
    Some(Seen {
        id: face.id,
        rect: [face.x, face.y, face.w, face.h],
        ppg: face.ppg,
        interval: interval.map(gst::ClockTime::nseconds),
        changes: face.changes,
        reasons: crop.reasons,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gstheartrate::meta::{Changes, ColourChange, LightChange, Movement};

    #[test]
    fn the_csv_has_the_pairs_with_their_labels() {
        let light = Some(LightChange { face: 0.5, around: -0.25, backdrop: Some(0.125) });
        let movement = Some(Movement { x: 0.125, y: 0.0, growth: -0.5 });
        let seen = Seen { id: 1, interval: Some(500_000_000), ..Seen::default() };
        let colour = Some(ColourChange { red: 0.25, green: -1e-7, blue: 0.5 });
        let (blood, chroma_held) = (Some(-0.125), Some(0.25));
        let face = |ppg: Option<f64>| match ppg {
            Some(p) if p > 0.0 => {
                let changes = Changes { light, colour, blood, chroma_held, movement };
                Seen { ppg, changes, ..seen }
            }
            _ => Seen { ppg, ..seen },
        };
        let sight = |time, face| Sight { time, face };
        let recording = Recording {
            name: "a".into(),
            attributes: Map::new(),
            wave: Wave { times: vec![0.0, 1.0], values: vec![0.0, 3.0] },
            derivative: true,
            sights: vec![
                sight(0, Some(face(None))),
                sight(500_000_000, Some(face(Some(0.25)))),
                sight(750_000_000, None),
                sight(1_000_000_000, Some(face(Some(-1.0)))),
            ],
        };
        let expected = "prediction,label,time,light,light_around,light_backdrop,red,green,blue,blood,chroma_held,move_x,move_y,growth\n\
                        0.250000,3.000000,0.500000,0.500000,-0.250000,0.1250000,0.2500000,-0.0000001,0.5000000,-0.1250000,0.2500,\
                        0.125000,0.000000,-0.500000\n\
                        -1.000000,3.000000,1.000000,,,,,,,,,,,\n";
        assert_eq!(recording.to_csv().as_deref(), Some(expected));
        assert_eq!(Recording { sights: Vec::new(), ..recording }.to_csv(), None);
    }
}
