//! The signal stage of ppg2bpm on a recorded run: one reading a second.

use gstheartrate::meta::Status;
use gstheartrate::ppg2bpm::faces::{Faces, Seen};
use gstheartrate::ppg2bpm::{Config, Estimate, Sample, reference_bpm};

use crate::score::Pair;

const SECOND: u64 = 1_000_000_000;

/// One frame of a run and the face that is listened to, if it is there.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// ns.
    pub time: u64,
    pub face: Option<Seen>,
}

/// A reading at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Seconds.
    pub time: f64,
    /// Of the face in the frame at that time; without a reading and lost where there is none.
    pub estimate: Estimate,
    /// Beats per minute; absent where there is no pulse.
    pub reference: Option<f64>,
}

impl Moment {
    /// The reading beside its reference, where there are both.
    pub fn pair(&self) -> Option<Pair> {
        let reading = self.estimate.reading?;
        Some(Pair {
            bpm: reading.bpm,
            reference: self.reference?,
            confidence: reading.confidence,
            snr: reading.snr,
            ok: self.is_ok(),
        })
    }

    /// Whether an app would show a rate.
    pub fn is_ok(&self) -> bool {
        self.estimate.status == Status::Ok
    }
}

/// Feeds `frames` to the stage, causally, and has a moment once a second of their time, from the
/// first full window on. Before it the stage reads as well, as it does in ppg2bpm, but nobody
/// listens. Each has the reference beside it
/// that `truth` has over the same window.
pub fn listen(frames: &[Frame], config: &Config, truth: &Truth) -> Vec<Moment> {
    let mut faces = Faces::new(*config);
    let mut moments = Vec::new();
    let Some(first) = frames.first() else { return moments };
    let before = first.face.and_then(|f| f.interval).unwrap_or(0);
    let start = first.time.saturating_sub(before);
    let full = start + (config.window * 1e9) as u64;
    let mut due = start + SECOND;
    for frame in frames {
        faces.frame(frame.time, frame.face.as_slice());
        if frame.time < due {
            continue;
        }
        faces.estimate();
        // Of frames with their own times the first rarely is exactly one window old.
        if frame.time + SECOND / 10 >= full {
            let known = frame.face.and_then(|f| faces.get(f.id)).map(|f| f.latest);
            let lost = Estimate { status: Status::Lost, ..Estimate::default() };
            moments.push(truth.moment(frame.time, known.unwrap_or(lost), config));
        }
        while due <= frame.time {
            due += SECOND;
        }
    }
    moments
}

/// What a contact sensor recorded.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    /// In ascending order of time.
    pub samples: Vec<Sample>,
    /// Whether they are the rate of change of the wave.
    pub derivative: bool,
}

impl Truth {
    /// Samples of the `window` seconds up to `end` seconds.
    pub fn stretch(&self, end: f64, window: f64) -> &[Sample] {
        const ROUNDING: f64 = 1e-6;
        let from = end - window - ROUNDING;
        let start = |s: &Sample| s.time - s.interval.unwrap_or(0.0).min(s.time);
        let first = self.samples.partition_point(|s| start(s) < from);
        let last = self.samples.partition_point(|s| s.time <= end + ROUNDING);
        &self.samples[first.min(last)..last]
    }

    /// Puts the rate over the window that `estimate` used beside it.
    fn moment(&self, time: u64, estimate: Estimate, config: &Config) -> Moment {
        let seconds = time as f64 * 1e-9;
        let window = if estimate.reading.is_some() { estimate.window } else { config.window };
        let samples = self.stretch(seconds, window);
        Moment { time: seconds, estimate, reference: self.rate(samples, window, config) }
    }

    /// The rate of a stretch; absent where it covers less than nine tenths of the window.
    fn rate(&self, samples: &[Sample], window: f64, config: &Config) -> Option<f64> {
        const COVERED: f64 = 0.9;
        let (first, last) = (samples.first()?, samples.last()?);
        if last.time - first.time < COVERED * window {
            return None;
        }
        reference_bpm(samples, &Config { derivative: self.derivative, ..*config })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    fn frame(i: u64, id: u32, bpm: f64) -> Frame {
        let at = |i: u64| (TAU * bpm / 60.0 * i as f64 / 30.0).sin();
        let ppg = Some(30.0 * (at(i + 1) - at(i)));
        let (time, interval) = ((i + 1) * SECOND / 30, Some(SECOND / 30));
        Frame { time, face: Some(Seen { id, ppg, interval, ..Seen::default() }) }
    }

    fn truth(bpm: f64) -> Truth {
        let at = |i: u32| f64::from(i) / 60.0;
        let sample =
            |i| Sample { time: at(i), value: (TAU * bpm / 60.0 * at(i)).sin(), interval: None };
        Truth { samples: (0..=1800).map(sample).collect(), derivative: false }
    }

    #[test]
    fn a_reading_a_second_stands_beside_the_reference_of_its_window() {
        let frames: Vec<Frame> = (0..600).map(|i| frame(i, 1, 80.0)).collect();
        let moments = listen(&frames, &Config::default(), &truth(83.0));
        assert_eq!(moments.len(), 11);
        for pair in moments.iter().map(|m| m.pair().unwrap()) {
            assert!((pair.bpm - 80.0).abs() < 0.2 && pair.ok, "{pair:?}");
            assert!((pair.reference - 83.0).abs() < 0.2, "{pair:?}");
        }
    }

    #[test]
    fn a_new_face_starts_anew_and_seconds_without_a_face_are_there() {
        let mut frames: Vec<Frame> =
            (0..600).map(|i| frame(i, 1 + (i / 330) as u32, 80.0)).collect();
        frames[480..].iter_mut().for_each(|f| f.face = None);
        let moments = listen(&frames, &Config::default(), &truth(80.0));
        let statuses: Vec<&str> = moments.iter().map(|m| m.estimate.status.as_str()).collect();
        assert_eq!(statuses[..2], ["ok", "ok"], "{statuses:?}");
        // Faces change at 11 s, and there is none from 16 s on.
        assert!(moments[2].estimate.window < 1.1, "{:?}", moments[2]);
        assert_eq!(statuses[7..], ["lost"; 4]);
        assert!(moments[10].pair().is_none() && moments[10].reference.is_some());
    }

    #[test]
    fn half_a_window_and_zeros_are_no_reference() {
        let frames: Vec<Frame> = (0..330).map(|i| frame(i, 1, 80.0)).collect();
        let whole = truth(80.0);
        let mut truth = whole.clone();
        truth.samples.truncate(500);
        assert_eq!(listen(&frames, &Config::default(), &truth)[0].reference, None);
        let mut truth = whole;
        assert!(listen(&frames, &Config::default(), &truth)[0].reference.is_some());
        truth.samples.iter_mut().for_each(|s| s.value = 0.0);
        assert_eq!(listen(&frames, &Config::default(), &truth)[0].reference, None);
    }
}
