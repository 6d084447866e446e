//! The time of a buffer, and what is due at it.

/// Offset of the signal clock, so that times before the segment's start are times as well.
const ORIGIN: i64 = 1 << 62;

/// Where a buffer stands in time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Moment {
    /// ns of signal time, not before the buffer that came last.
    At(u64),
    /// As `At`, on a clock that has nothing to do with that of the buffer that came last.
    Jump(u64),
    /// No timestamp, and no frame rate to count by.
    Unknown,
}

/// Makes one ascending signal time of the buffers' timestamps.
///
/// It is stream time, because that is what a second of video is, whatever the playback rate; in
/// reverse playback it runs backward and is mirrored (the spectrum of a wave does not know which
/// way it was played).
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    last: Option<(Clock, u64)>,
    /// Frames counted for want of timestamps.
    counted: u64,
    /// ns, from the caps.
    frame_duration: Option<f64>,
    warned: bool,
    warning: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Clock {
    Forward,
    Backward,
    Counted,
}

impl Timeline {
    /// The timeline after a reset: nothing is remembered but the caps and that a warning was given.
    pub fn restarted(&self) -> Timeline {
        Timeline {
            frame_duration: self.frame_duration,
            warned: self.warned,
            warning: self.warning,
            ..Timeline::default()
        }
    }

    /// ns of a frame by the caps.
    pub fn set_frame_duration(&mut self, duration: Option<f64>) {
        // Frames counted so far keep their times.
        if let (Some((Clock::Counted, last)), Some(new)) = (self.last, duration) {
            self.counted = ((last as i64 - ORIGIN) as f64 / new).round() as u64 + 1;
        }
        self.frame_duration = duration;
    }

    /// Whether a buffer without timestamp came, once.
    pub fn take_warning(&mut self) -> bool {
        std::mem::take(&mut self.warning)
    }

    /// The moment of the next buffer, by its timestamp and the segment that it lies in.
    pub fn moment(
        &mut self,
        pts: Option<gst::ClockTime>,
        segment: Option<&gst::FormattedSegment<gst::ClockTime>>,
    ) -> Moment {
        let stamped = pts.map(|pts| match segment {
            Some(segment) => stream_time(pts, segment),
            None => (Clock::Forward, pts.nseconds() as i64),
        });
        let Some((clock, time)) = stamped.or_else(|| self.count()) else {
            return Moment::Unknown;
        };
        let time = (ORIGIN.saturating_add(time)).max(0) as u64;
        let jump = self.last.is_some_and(|(c, last)| c != clock || time < last);
        self.last = Some((clock, time));
        if jump { Moment::Jump(time) } else { Moment::At(time) }
    }

    fn count(&mut self) -> Option<(Clock, i64)> {
        if !self.warned {
            (self.warned, self.warning) = (true, true);
        }
        let time = self.counted as f64 * self.frame_duration?;
        self.counted += 1;
        Some((Clock::Counted, time as i64))
    }
}

fn stream_time(
    pts: gst::ClockTime,
    segment: &gst::FormattedSegment<gst::ClockTime>,
) -> (Clock, i64) {
    use gst::Signed::{Negative, Positive};
    let time = match segment.to_stream_time_full(pts) {
        Some(Positive(t)) => t.nseconds() as i64,
        Some(Negative(t)) => -(t.nseconds() as i64),
        None => pts.nseconds() as i64,
    };
    if segment.rate() * segment.applied_rate() < 0.0 {
        (Clock::Backward, -time)
    } else {
        (Clock::Forward, time)
    }
}

/// What happens every so often of signal time, counted from the first moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cadence {
    next: Option<u64>,
}

impl Cadence {
    /// Whether it is due at `time` ns, once every `period`.
    pub fn due(&mut self, time: u64, period: gst::ClockTime) -> bool {
        let period = period.nseconds().max(1);
        let next = *self.next.get_or_insert(time.saturating_add(period));
        if time < next {
            // A period that was shortened meanwhile.
            self.next = Some(next.min(time.saturating_add(period)));
            return false;
        }
        let periods = (time - next) / period + 1;
        self.next = Some(next.saturating_add(periods.saturating_mul(period)));
        true
    }
}
