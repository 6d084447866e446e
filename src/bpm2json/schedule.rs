//! When a line is due.

use gst::glib;

use crate::meta::{Face, Reasons, Status};

/// What makes a line due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstBpm2JsonMode")]
pub enum Mode {
    #[default]
    #[enum_value(name = "Interval: at the first frame, then every interval", nick = "interval")]
    Interval,
    #[enum_value(
        name = "Change: when a face comes or goes, or its status, reasons or whole beats change",
        nick = "change"
    )]
    Change,
    #[enum_value(name = "Frame: every frame", nick = "frame")]
    Frame,
}

/// What of a face makes a change.
type Gist = (u32, Status, Reasons, Option<i64>);

/// Remembers what was said last.
#[derive(Debug, Default)]
pub struct Schedule {
    /// Time of the frame that came last, and of the line that the intervals are counted from.
    last: Option<u64>,
    anchor: Option<u64>,
    said: Option<Vec<Gist>>,
}

impl Schedule {
    /// Whether a frame at `time` (ns of stream time; `None` without one) with `faces` gets a line.
    pub fn due(&mut self, mode: Mode, interval: u64, time: Option<u64>, faces: &[Face]) -> bool {
        let gist: Vec<Gist> = faces.iter().map(gist).collect();
        let changed = self.said.as_ref() != Some(&gist);
        let due = match mode {
            Mode::Interval => self.interval_due(interval.max(1), time),
            Mode::Change => changed,
            Mode::Frame => true,
        };
        self.last = time.or(self.last);
        if due {
            self.said = Some(gist);
        }
        due
    }

    /// Without a time only the first frame can be told from the others.
    fn interval_due(&mut self, interval: u64, time: Option<u64>) -> bool {
        let first = self.said.is_none();
        let Some(time) = time else { return first };
        let back = self.last.is_some_and(|last| time < last);
        match self.anchor {
            Some(anchor) if !back => {
                let intervals = (time - anchor.min(time)) / interval;
                self.anchor = Some(anchor + intervals * interval);
                intervals > 0
            }
            _ => {
                self.anchor = Some(time);
                true
            }
        }
    }
}

fn gist(face: &Face) -> Gist {
    (face.id, face.status, face.reasons, face.bpm.map(|bpm| bpm.round() as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dues(mode: Mode, times: &[u64], faces: &[Face]) -> Vec<u64> {
        let mut schedule = Schedule::default();
        let due = times.iter().filter(|t| schedule.due(mode, 100, Some(**t), faces));
        due.copied().collect()
    }

    #[test]
    fn intervals_do_not_drift_and_survive_holes() {
        let times: Vec<u64> = (0..=40).map(|i| 5 + i * 33).collect();
        let due = dues(Mode::Interval, &times, &[]);
        assert_eq!(due, [5, 137, 236, 335, 434, 533, 632, 731, 830, 929, 1028, 1127, 1226, 1325]);
        assert_eq!(dues(Mode::Interval, &[0, 50, 950, 980, 1010], &[]), [0, 950, 1010]);
    }

    #[test]
    fn time_that_goes_back_starts_anew() {
        assert_eq!(dues(Mode::Interval, &[500, 550, 20, 60, 120], &[]), [500, 20, 120]);
    }

    #[test]
    fn a_change_is_a_word_or_a_whole_beat() {
        let mut schedule = Schedule::default();
        let mut due = |face: Face| schedule.due(Mode::Change, 100, Some(0), &[face]);
        let ok = Face { status: Status::Ok, bpm: Some(72.1), ..Face::default() };
        assert!(due(Face::default()));
        assert!(!due(Face { x: 0.5, ppg: Some(1.0), ..Face::default() }));
        assert!(due(ok.clone()));
        assert!(!due(Face { bpm: Some(72.4), ..ok.clone() }));
        assert!(due(Face { bpm: Some(72.6), ..ok.clone() }));
        assert!(due(Face { id: 1, bpm: Some(72.6), ..ok }));
    }

    #[test]
    fn without_timestamps_the_first_frame_speaks() {
        let mut schedule = Schedule::default();
        assert!(schedule.due(Mode::Interval, 100, None, &[]));
        assert!(!schedule.due(Mode::Interval, 100, None, &[]));
    }
}
