//! Pulse samples of one face to beats per minute: the stages in their order.

use std::collections::VecDeque;

use super::chirp;
use super::chroma::Colours;
use super::circumstances::Circumstances;
use super::confidence::{Features, confidence};
use super::faces::Seen;
use super::filter::{BandPass, detrend};
use super::folded::is_folded;
use super::likelihood::Likelihood;
use super::resample::{Integral, RATE, SPARE, Sample};
use super::spectrum::Spectrum;
use super::tracker::Tracker;
use super::wave::{Colour, Wave};
use crate::meta::{Reason, Reasons, Status};

const NSECOND: f64 = 1e-9;
/// Seconds of signal before there is a reading at all: three and a half beats of the lowest rate.
pub const SHORTEST: f64 = 5.0;
/// A hole longer than this many seconds restarts the window; across a shorter one a beat of the
/// lowest rate can still be interpolated.
const LONGEST_GAP: f64 = 1.0;
/// Frames a second that the highest rate needs, as a multiple of it: Nyquist's two and a tenth.
const FRAMES_PER_BEAT: f64 = 2.2;
/// A reason of the frames is told when it held for this share of the window.
const REASON_SHARE: f64 = 1.0 / 3.0;

/// Confidence from which on a reading is ok unless the user says otherwise: above what is not proven,
/// see [`confidence`].
pub const MIN_CONFIDENCE: f64 = 0.9;

/// What the user may set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// Seconds of signal that an estimate uses at most, [`SHORTEST`] to 60.
    pub window: f64,
    /// Lowest and highest rate, beats per minute.
    pub min_bpm: f64,
    pub max_bpm: f64,
    /// Confidence from which on a reading, if it is trusted at all, is [`Status::Ok`].
    pub min_confidence: f64,
    /// Whether samples are the rate of change of the wave.
    pub derivative: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            window: 10.0,
            min_bpm: 40.0,
            max_bpm: 240.0,
            min_confidence: MIN_CONFIDENCE,
            derivative: true,
        }
    }
}

/// The reading itself, whether it can be trusted or not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Best estimate, beats per minute.
    pub bpm: f64,
    /// dB, see [`Spectrum::snr`].
    pub snr: f64,
    /// 0..1.
    pub confidence: f64,
    /// What the confidence comes from.
    pub features: Features,
    /// The light around the face pulses: at that rate, or at another, which may hide the pulse.
    pub lit: bool,
    /// What stands at that rate goes with the movement.
    pub moved: bool,
}

/// What is known of a face at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// Absent while there is too little signal, or none at all.
    pub reading: Option<Reading>,
    pub status: Status,
    pub reasons: Reasons,
    /// Seconds of signal used.
    pub window: f64,
}

impl Estimate {
    /// The rate, where it can be trusted.
    pub fn bpm(&self) -> Option<f64> {
        self.reading.filter(|_| self.status == Status::Ok).map(|r| r.bpm)
    }
}

/// The signal stage of one face. Samples are pushed as they come; an estimate uses those that
/// were pushed before it and nothing later.
#[derive(Clone, Debug)]
pub struct Estimator {
    config: Config,
    filter: BandPass,
    integral: Integral,
    circumstances: Circumstances,
    frames: Frames,
    /// Follows the rate by all that is seen.
    tracker: Tracker,
    /// Follows it by what the whole face shows: a nod shows in quiet places, too, which tell of two rates
    /// the likelier and prove none.
    proof: Tracker,
    /// Time of the first sample; all others are counted from it.
    origin: u64,
    /// The estimate before had no peak at its rate.
    without_peak: bool,
    /// End of the window and rate in Hz of the last reading.
    last: Option<(f64, f64)>,
    climbs: Climbs,
}

impl Estimator {
    /// An estimator without samples. Values out of range are brought into it.
    pub fn new(config: Config) -> Estimator {
        let low = config.min_bpm.clamp(20.0, 239.0) / 60.0;
        let high = (config.max_bpm / 60.0).clamp(low + 1.0 / 60.0, 4.0);
        Estimator {
            config: Config { window: config.window.clamp(SHORTEST, 60.0), ..config },
            filter: BandPass::new(low, high, RATE),
            integral: Integral::default(),
            circumstances: Circumstances::default(),
            frames: Frames::default(),
            tracker: Tracker::new(low, high),
            proof: Tracker::new(low, high),
            origin: 0,
            last: None,
            without_peak: false,
            climbs: Climbs::default(),
        }
    }

    /// Changes what a reading needs to be trusted.
    pub fn set_min_confidence(&mut self, min_confidence: f64) {
        self.config.min_confidence = min_confidence;
    }

    /// Forgets the samples; the rate they had is still the likeliest one to come, for as long as
    /// the tracker's belief lasts.
    fn restart(&mut self) {
        self.integral = Integral::default();
        self.circumstances = Circumstances::default();
        self.frames = Frames::default();
        self.climbs = Climbs::default();
    }

    /// Time of the last sample in ns.
    pub fn last_time(&self) -> Option<u64> {
        self.integral.end().map(|end| self.origin + (end / NSECOND).round() as u64)
    }

    /// Takes in the face in the frame at `time` ns. One without a (finite) sample counts as a hole.
    /// A frame that is not later than the last is ignored, after a hole of more than a second the
    /// window starts anew.
    pub fn push(&mut self, time: u64, seen: &Seen) {
        let Some(value) = seen.ppg.filter(|v| v.is_finite()) else { return };
        if self
            .last_time()
            .is_some_and(|last| time.saturating_sub(last) as f64 * NSECOND > LONGEST_GAP)
        {
            self.restart();
        }
        if self.integral.end().is_none() {
            self.move_origin(time);
        }
        let Some(since) = time.checked_sub(self.origin) else { return };
        let seconds = since as f64 * NSECOND;
        let interval = seen.interval.map(|i| i as f64 * NSECOND).filter(|i| *i <= LONGEST_GAP);
        let middle = seconds - interval.unwrap_or(0.0) / 2.0;
        // The mean of a wave over a pair stands for the pair's middle.
        let seconds = if self.config.derivative { seconds } else { middle };
        if self.integral.end().is_some_and(|end| seconds <= end) {
            return;
        }
        let interval = interval.filter(|_| self.config.derivative);
        let sample = Sample { time: seconds, value, interval };
        self.integral.push(sample);
        self.integral.trim(self.config.window + SPARE);
        self.circumstances.push(sample, middle, seen, &self.config);
        self.frames.push(seconds, seen.reasons, self.config.window);
    }

    /// Counts time from `time` on; what is remembered keeps its place.
    fn move_origin(&mut self, time: u64) {
        if let Some((end, rate)) = self.last {
            let moved = (time as i128 - i128::from(self.origin)) as f64 * NSECOND;
            self.last = Some((end - moved, rate));
        }
        self.origin = time;
    }

    /// What the samples up to now tell.
    pub fn estimate(&mut self) -> Estimate {
        let span = self.integral.span().min(self.config.window);
        let mut estimate = Estimate { window: span, ..Estimate::default() };
        estimate.reasons = self.frames.reasons(self.integral.end().unwrap_or(0.0) - span);
        if span < SHORTEST {
            estimate.reasons.insert(Reason::ShortWindow);
            return estimate;
        }
        let frame_rate = self.frames.rate(self.integral.end().unwrap_or(0.0) - span);
        let low_rate = frame_rate < FRAMES_PER_BEAT * self.config.max_bpm / 60.0;
        if low_rate {
            estimate.reasons.insert(Reason::LowFramerate);
        }
        estimate.reading = self.read(frame_rate);
        let min = self.config.min_confidence;
        let sure = estimate.reading.is_some_and(|r| r.features.trusted && r.confidence >= min);
        if let Some(reading) = estimate.reading.filter(|_| !sure) {
            let against = [(reading.lit, Reason::Light), (reading.moved, Reason::Motion)];
            against.iter().filter(|a| a.0).for_each(|a| estimate.reasons.insert(a.1));
        }
        estimate.status = self.status(sure && !low_rate, span, &mut estimate.reasons);
        estimate
    }

    fn status(&self, sure: bool, span: f64, reasons: &mut Reasons) -> Status {
        if sure {
            return Status::Ok;
        }
        // Frames are late by up to one: a window that lacks a tenth of a second is full.
        if span < self.config.window.min(10.0) - 0.1 {
            reasons.insert(Reason::ShortWindow);
            return Status::Measuring;
        }
        if reasons.is_empty() {
            reasons.insert(Reason::NoPulse);
        }
        Status::Weak
    }

    fn read(&mut self, frame_rate: f64) -> Option<Reading> {
        let (end, span) = (self.integral.end()?, self.integral.span().min(self.config.window));
        let lamps = self.circumstances.light.lamps(end, span);
        let wave = Wave::new(&self.integral, &self.config, &self.filter, &self.circumstances)?;
        let duration = wave.spectrum.duration();
        let beliefs = self.believe(&wave, frame_rate, &lamps, end);
        let peak = wave.peak(beliefs.likely.rate(), self.tracker.band());
        let rate = peak.unwrap_or(beliefs.likely.rate());
        let light = &self.circumstances.light;
        let folded =
            is_folded(&wave.lit, rate, frame_rate) || light.folds(rate, end, duration, frame_rate);
        // A pulse has its peak in every window; the skirts of a drift have one now and then.
        let stands = peak.is_some() && !folded;
        let stood = !std::mem::replace(&mut self.without_peak, !stands);
        let lit =
            light.pulses(rate, end, duration) || wave.shares(rate, &lamps) || wave.shine.is(rate);
        let moved = wave.moves(rate);
        let trusted = stands && stood && !lit && !moved && !wave.is_half(rate);
        let features = self.features(&wave, &beliefs, rate, !lamps.is_empty(), trusted);
        self.last = Some((end, rate));
        let ahead = self.climbs.agreed(end, chirp::ahead(&wave.filtered, rate));
        let bpm = 60.0 * (rate + chirp::made_good(ahead));
        Some(Reading {
            bpm: bpm.clamp(self.config.min_bpm, self.config.max_bpm),
            snr: features.snr,
            confidence: confidence(&features),
            lit: lit || !lamps.is_empty(),
            moved,
            features,
        })
    }

    /// Takes in what a window that ends at `end` tells at so many frames a second, beside such `lamps`.
    fn believe(&mut self, wave: &Wave, frame_rate: f64, lamps: &[f64], end: f64) -> Beliefs {
        let rates = self.tracker.rates();
        // No lamp hides a pulse in the colours: its light changes all of them alike.
        let colour = |c: &Colour| Likelihood::new(&c.derivative, rates, frame_rate, &[]);
        let Colours { mean, quiet } = wave.colours.as_ref().map(colour);
        let mut proven = Likelihood::new(&wave.derivative, rates, frame_rate, lamps);
        mean.inspect(|mean| proven.hear(mean));
        let mut likely = proven.clone();
        quiet.inspect(|quiet| likely.hear(quiet));
        let duration = wave.spectrum.duration();
        let elapsed = self.last.map_or(1.0, |(last, _)| end - last).max(0.0);
        Beliefs {
            evidence: proven.evidence(),
            likely: self.tracker.update(&likely, duration, elapsed),
            proven: self.proof.update(&proven, duration, elapsed),
        }
    }

    fn features(
        &self,
        wave: &Wave,
        beliefs: &Beliefs,
        rate: f64,
        lamp: bool,
        trusted: bool,
    ) -> Features {
        Features {
            evidence: beliefs.evidence,
            snr: wave.spectrum.snr(rate),
            half_snr: wave.half_snr(rate),
            mass: beliefs.likely.mass(rate),
            proof: beliefs.proven.mass(rate),
            jump: self.last.map_or(0.0, |(_, last)| (rate - last).abs() * 60.0),
            duration: wave.spectrum.duration(),
            lamp,
            trusted,
        }
    }
}

/// What is believed at the end of a window.
struct Beliefs {
    /// By all that is seen.
    likely: Tracker,
    /// By what the whole face shows.
    proven: Tracker,
    /// Of that in the window itself, nats.
    evidence: f64,
}

/// By how much (Hz) the rate at the end was ahead in the last seconds' windows. Breathing makes a rate
/// climb and fall within seconds; a climb counts once it has lasted.
#[derive(Clone, Debug, Default)]
struct Climbs(VecDeque<(f64, f64)>);

impl Climbs {
    /// Adds what the window that ends at `time` is `ahead`; the least of those of the last two seconds if all
    /// have its sign, else 0.
    fn agreed(&mut self, time: f64, ahead: f64) -> f64 {
        const LASTING: f64 = 2.0;
        // A frame's tolerance, for readings a second apart.
        let from = time - LASTING - 0.1;
        self.0.push_back((time, ahead));
        while self.0.front().is_some_and(|(t, _)| *t < from) {
            self.0.pop_front();
        }
        let long_enough = self.0.front().is_some_and(|(t, _)| time - t >= LASTING - 0.1);
        if !long_enough || self.0.iter().any(|(_, l)| l * ahead <= 0.0) {
            return 0.0;
        }
        let least = self.0.iter().fold(f64::INFINITY, |m, (_, l)| m.min(l.abs()));
        least * ahead.signum()
    }
}

/// The rate of a stretch of wave by itself, without continuity, in beats per minute: the peak of
/// the integrated, windowed spectrum. It is what a label's wave is read with. No band-pass: at its
/// edge a slow pulse would have a higher harmonic than itself. `None` where there is no peak.
pub fn reference_bpm(samples: &[Sample], config: &Config) -> Option<f64> {
    let mut integral = Integral::default();
    samples.iter().for_each(|s| integral.push(*s));
    let mut wave = integral.wave(config.window, config.derivative);
    detrend(&mut wave);
    let (low, high) = (config.min_bpm / 60.0, config.max_bpm / 60.0);
    Spectrum::new(&wave).peak(low, high).map(|f| f * 60.0)
}

/// Counts of frames and of their reasons, by the second.
#[derive(Clone, Debug, Default)]
struct Frames {
    seconds: VecDeque<Second>,
    last: f64,
}

#[derive(Clone, Debug)]
struct Second {
    start: f64,
    frames: u32,
    reasons: [u32; Reason::ALL.len()],
}

impl Frames {
    fn push(&mut self, time: f64, reasons: Reasons, window: f64) {
        if self.seconds.back().is_none_or(|s| time >= s.start + 1.0) {
            self.seconds.push_back(Second { start: time, frames: 0, reasons: Default::default() });
        }
        while self.seconds.front().is_some_and(|s| s.start + 1.0 < time - window) {
            self.seconds.pop_front();
        }
        let second = self.seconds.back_mut().expect("one was pushed");
        second.frames += 1;
        reasons.iter().for_each(|r| second.reasons[r as usize] += 1);
        self.last = time;
    }

    /// The seconds that lie, for a part at least, after `from`.
    fn since(&self, from: f64) -> impl Iterator<Item = &Second> {
        self.seconds.iter().filter(move |s| s.start + 1.0 > from)
    }

    /// Frames a second.
    fn rate(&self, from: f64) -> f64 {
        let Some(first) = self.since(from).next() else { return 0.0 };
        let frames: u32 = self.since(from).map(|s| s.frames).sum();
        (f64::from(frames) - 1.0) / (self.last - first.start).max(1e-3)
    }

    /// Reasons that held for a good share of the frames.
    fn reasons(&self, from: f64) -> Reasons {
        let frames: u32 = self.since(from).map(|s| s.frames).sum();
        let held = |r: &Reason| {
            let n: u32 = self.since(from).map(|s| s.reasons[*r as usize]).sum();
            n > 0 && f64::from(n) >= REASON_SHARE * f64::from(frames)
        };
        Reason::ALL.into_iter().filter(held).collect()
    }
}
