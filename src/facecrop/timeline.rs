//! What the timestamps say about a frame and the one before it.

/// A longer step between frames is a gap: the pair would not be one of neighbours. The slowest
/// pulse, 40 a minute, lasts 1.5 s; a sixth of it is where its wave can still be told.
const GAP: u64 = 250_000_000;
/// A face may be followed over a gap up to this, ns.
const LONG_GAP: u64 = 2_000_000_000;
/// Frames from one detection to the next where neither timestamps nor a frame rate tell the time.
const FRAMES_PER_DETECTION: f64 = 15.0;

/// How a frame continues the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// It is the next.
    Next,
    /// Something is missing between the two, or the timestamp has not moved.
    Gap,
    /// It has nothing to do with what came before: the first, time going back, seconds missing.
    Restart,
}

/// A frame's place in time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    pub course: Course,
    /// Seconds since the frame before; an assumption where there are no timestamps.
    pub dt: f64,
    /// Nanoseconds between the two timestamps, more than 0; `None` where they don't tell or where
    /// the course isn't [`Course::Next`].
    pub interval: Option<u64>,
}

/// Follows the timestamps of a stream.
#[derive(Debug, Default)]
pub struct Timeline {
    last: Option<u64>,
    started: bool,
    /// Seconds since the last detection.
    since_detection: Option<f64>,
}

impl Timeline {
    /// Takes the next frame: its timestamp in ns, the duration of a frame in ns where the stream
    /// has a rate, whether the buffer is flagged as discontinuous; `detect_interval` in seconds.
    pub fn advance(
        &mut self,
        pts: Option<u64>,
        frame: Option<u64>,
        discont: bool,
        detect_interval: f64,
    ) -> Step {
        let assumed = frame.map_or(detect_interval / FRAMES_PER_DETECTION, |ns| ns as f64 / 1e9);
        let step = match (self.last, pts) {
            _ if !self.started => Step { course: Course::Restart, dt: assumed, interval: None },
            (Some(last), Some(pts)) => between(last, pts, discont),
            _ => {
                let course = if discont { Course::Gap } else { Course::Next };
                Step { course, dt: assumed, interval: None }
            }
        };
        self.started = true;
        self.last = pts;
        self.since_detection = match step.course {
            Course::Restart => None,
            _ => self.since_detection.map(|s| s + step.dt),
        };
        step
    }

    /// Whether `detect_interval` seconds have passed since the last detection, or there was none.
    /// Where a face has just got out of sight (`urgent`), a quarter is enough.
    pub fn detection_due(&self, detect_interval: f64, urgent: bool) -> bool {
        let wait = if urgent { detect_interval / 4.0 } else { detect_interval };
        // Timestamps are rounded: a millisecond early is in time.
        self.since_detection.is_none_or(|s| s + 0.001 >= wait)
    }

    /// Faces have been looked for in this frame.
    pub fn detected(&mut self) {
        self.since_detection = Some(0.0);
    }
}

fn between(last: u64, pts: u64, discont: bool) -> Step {
    let passed = pts.saturating_sub(last);
    let course = match passed {
        _ if pts < last || passed > LONG_GAP => Course::Restart,
        _ if passed == 0 || passed > GAP || discont => Course::Gap,
        _ => Course::Next,
    };
    let interval = (course == Course::Next).then_some(passed);
    Step { course, dt: passed as f64 / 1e9, interval }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn courses(steps: &[(Option<u64>, bool)]) -> Vec<(Course, Option<u64>)> {
        let mut timeline = Timeline::default();
        let mut advance = |(pts, discont): &(Option<u64>, bool)| {
            timeline.advance(pts.map(|p| p * MS), Some(40 * MS), *discont, 0.5)
        };
        steps.iter().map(&mut advance).map(|s| (s.course, s.interval.map(|i| i / MS))).collect()
    }

    #[test]
    fn gaps_and_restarts_are_told_apart() {
        use Course::*;
        let at = |ms, discont| (Some(ms), discont);
        let got = courses(&[
            at(1000, true),
            at(1040, false),
            at(1080, true),
            at(1330, false),
            at(1581, false),
            at(1581, false),
            at(3581, false),
            at(5582, false),
            at(5000, false),
            (None, false),
            (None, true),
            at(5080, false),
            at(5120, false),
        ]);
        let want = [
            (Restart, None),
            (Next, Some(40)),
            (Gap, None),
            (Next, Some(250)),
            (Gap, None),
            (Gap, None),
            (Gap, None),
            (Restart, None),
            (Restart, None),
            (Next, None),
            (Gap, None),
            (Next, None),
            (Next, Some(40)),
        ];
        assert_eq!(got, want);
    }

    #[test]
    fn detection_is_due_by_stream_time() {
        let due = |pts: fn(u64) -> Option<u64>, frame| -> Vec<u64> {
            let mut timeline = Timeline::default();
            (0..46u64)
                .filter(|i| {
                    timeline.advance(pts(*i), frame, false, 0.5);
                    let due = timeline.detection_due(0.5, false);
                    due.then(|| timeline.detected());
                    due
                })
                .collect()
        };
        assert_eq!(due(|i| Some(i * 1_000_000_000 / 30), None), [0, 15, 30, 45]);
        assert_eq!(due(|_| None, None), [0, 15, 30, 45]);
        assert_eq!(due(|_| None, Some(50 * MS)), [0, 10, 20, 30, 40]);
        assert_eq!(due(|i| Some(i * 200 * MS), None)[..3], [0, 3, 6]);
    }
}
