//! The element.

use std::sync::{LazyLock, Mutex};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::BaseTransformExtManual;
use gst_base::subclass::prelude::*;

#[cfg(feature = "v1_24")]
use super::analytics;
use super::estimator::{Config, Estimate, MIN_CONFIDENCE};
use super::faces::{Faces, Seen};
use super::regions;
use super::timeline::{Cadence, Moment, Timeline};
use crate::meta::{Face, HeartRateMessage, HeartRateMeta, Reason, Status};

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new("ppg2bpm", gst::DebugColorFlags::empty(), Some("Pulse to bpm"))
});

const DEFAULT_WINDOW: gst::ClockTime = gst::ClockTime::from_seconds(10);
const DEFAULT_INTERVAL: gst::ClockTime = gst::ClockTime::SECOND;
const DEFAULT_MIN_BPM: f64 = 40.0;
const DEFAULT_MAX_BPM: f64 = 240.0;
const DEFAULT_POST_MESSAGES: bool = true;
/// Estimates are made at least this often, however rarely messages are posted: the first reading
/// comes as early as it can.
const ESTIMATE_INTERVAL: gst::ClockTime = gst::ClockTime::from_mseconds(500);

#[derive(Clone, Copy, Debug)]
struct Settings {
    window: gst::ClockTime,
    interval: gst::ClockTime,
    min_confidence: f64,
    min_bpm: f64,
    max_bpm: f64,
    post_messages: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            window: DEFAULT_WINDOW,
            interval: DEFAULT_INTERVAL,
            min_confidence: MIN_CONFIDENCE,
            min_bpm: DEFAULT_MIN_BPM,
            max_bpm: DEFAULT_MAX_BPM,
            post_messages: DEFAULT_POST_MESSAGES,
        }
    }
}

impl Settings {
    fn config(&self) -> Config {
        Config {
            window: self.window.nseconds() as f64 * 1e-9,
            min_bpm: self.min_bpm,
            max_bpm: self.max_bpm,
            min_confidence: self.min_confidence,
            derivative: true,
        }
    }
}

struct State {
    faces: Faces,
    timeline: Timeline,
    estimates: Cadence,
    messages: Cadence,
    /// Width and height that the caps tell.
    frame: Option<(f64, f64)>,
    warned_no_meta: bool,
}

impl State {
    fn new(settings: &Settings) -> State {
        State {
            faces: Faces::new(settings.config()),
            timeline: Timeline::default(),
            estimates: Cadence::default(),
            messages: Cadence::default(),
            frame: None,
            warned_no_meta: false,
        }
    }

    /// Forgets all faces.
    fn reset(&mut self, settings: &Settings, timeline: Timeline) {
        let State { frame, warned_no_meta, .. } = *self;
        *self = State { timeline, frame, warned_no_meta, ..State::new(settings) };
    }
}

#[derive(Default)]
pub struct Ppg2Bpm {
    settings: Mutex<Settings>,
    state: Mutex<Option<State>>,
}

impl Ppg2Bpm {
    fn settings(&self) -> Settings {
        *self.settings.lock().unwrap()
    }

    fn reset(&self, why: &str) {
        gst::debug!(CAT, imp = self, "Forgetting all faces: {why}");
        let settings = self.settings();
        if let Some(state) = self.state.lock().unwrap().as_mut() {
            let timeline = state.timeline.restarted();
            state.reset(&settings, timeline);
        }
    }

    /// Takes in one buffer; returns the message that is due.
    fn process(&self, buffer: &mut gst::BufferRef) -> Option<HeartRateMessage> {
        let settings = self.settings();
        let read = HeartRateMeta::read(buffer);
        let no_meta = read.is_none();
        let mut meta = read.unwrap_or_default();
        let segment = self.obj().segment().downcast::<gst::ClockTime>().ok();
        let mut guard = self.state.lock().unwrap();
        let state = guard.as_mut()?;
        let moment = state.timeline.moment(buffer.pts(), segment.as_ref());
        let untimed = state.timeline.take_warning();
        let no_meta = no_meta && !std::mem::replace(&mut state.warned_no_meta, true);
        let due = self.update(state, &settings, &moment, &mut meta);
        let message = due.then(|| message(state, buffer.pts(), segment.as_ref(), &meta));
        let frame = state.frame;
        drop(guard);
        self.warn(untimed, no_meta);
        if !meta.faces.is_empty() {
            meta.write(buffer);
            if let Some(frame) = frame {
                regions::write(buffer, &meta.faces, frame);
                #[cfg(feature = "v1_24")]
                analytics::write(buffer, &meta.faces, frame);
            }
        }
        message.filter(|_| settings.post_messages).flatten()
    }

    /// Posts the warnings of one buffer.
    fn warn(&self, untimed: bool, no_meta: bool) {
        if untimed {
            gst::element_imp_warning!(
                self,
                gst::StreamError::Format,
                ("Buffers without timestamps: counting frames by the caps' framerate, if any")
            );
        }
        if no_meta {
            gst::element_imp_warning!(
                self,
                gst::StreamError::Failed,
                ("Buffers without HeartRateMeta: put hrnetinfer upstream of ppg2bpm")
            );
        }
    }

    /// Brings the faces up to date and fills in `meta`; whether a message is due.
    fn update(
        &self,
        state: &mut State,
        settings: &Settings,
        moment: &Moment,
        meta: &mut HeartRateMeta,
    ) -> bool {
        let time = match *moment {
            Moment::At(time) => time,
            Moment::Jump(time) => {
                gst::debug!(CAT, imp = self, "Time goes back, forgetting all faces");
                let timeline = state.timeline.clone();
                state.reset(settings, timeline);
                time
            }
            Moment::Unknown => {
                meta.faces.iter_mut().for_each(without_time);
                return false;
            }
        };
        if !meta.faces.is_empty() {
            state.faces.set_derivative(meta.derivative);
        }
        state.faces.set_min_confidence(settings.min_confidence);
        let seen: Vec<Seen> = meta.faces.iter().map(seen).collect();
        let gone = state.faces.frame(time, &seen);
        let due = state.messages.due(time, settings.interval);
        if state.estimates.due(time, settings.interval.min(ESTIMATE_INTERVAL)) || due {
            state.faces.estimate();
        }
        for face in &mut meta.faces {
            if let Some(known) = state.faces.get(face.id) {
                fill(face, &known.latest);
            }
        }
        let lost = gone.into_iter().filter_map(|id| Some((id, state.faces.get(id)?.rect)));
        meta.faces.extend(lost.map(|(id, rect)| lost_face(id, rect)));
        due
    }
}

fn clock_time(value: &glib::Value) -> gst::ClockTime {
    gst::ClockTime::from_nseconds(value.get().expect("type checked upstream"))
}

fn seen(face: &Face) -> Seen {
    Seen {
        id: face.id,
        rect: [face.x, face.y, face.w, face.h],
        ppg: face.ppg,
        interval: face.ppg_interval.map(gst::ClockTime::nseconds),
        changes: face.changes,
        reasons: face.reasons,
    }
}

fn fill(face: &mut Face, estimate: &Estimate) {
    face.bpm = estimate.bpm();
    face.confidence = estimate.reading.map(|r| r.confidence);
    face.snr = estimate.reading.map(|r| r.snr);
    face.status = estimate.status;
    face.reasons = estimate.reasons;
    face.window = gst::ClockTime::from_nseconds((estimate.window * 1e9).round() as u64);
}

fn without_time(face: &mut Face) {
    fill(face, &Estimate { status: Status::Weak, ..Estimate::default() });
    face.reasons.insert(Reason::LowFramerate);
}

fn lost_face(id: u32, [x, y, w, h]: [f64; 4]) -> Face {
    Face { id, x, y, w, h, status: Status::Lost, ..Face::default() }
}

/// The `heart-rate` message: the faces of this frame and, once, those lost since the last one.
/// `None` if there are neither.
fn message(
    state: &mut State,
    timestamp: Option<gst::ClockTime>,
    segment: Option<&gst::FormattedSegment<gst::ClockTime>>,
    meta: &HeartRateMeta,
) -> Option<HeartRateMessage> {
    let present = meta.faces.iter().filter(|f| f.status != Status::Lost).cloned();
    let lost = state.faces.take_lost().into_iter().map(|(id, rect)| lost_face(id, rect));
    let faces: Vec<_> = present.chain(lost).collect();
    let message = HeartRateMessage {
        timestamp,
        stream_time: segment.and_then(|s| s.to_stream_time(timestamp)),
        running_time: segment.and_then(|s| s.to_running_time(timestamp)),
        faces,
    };
    (!message.faces.is_empty()).then_some(message)
}

#[glib::object_subclass]
impl ObjectSubclass for Ppg2Bpm {
    const NAME: &'static str = "GstPpg2Bpm";
    type Type = super::Ppg2Bpm;
    type ParentType = gst_base::BaseTransform;
}

impl ObjectImpl for Ppg2Bpm {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            vec![
                glib::ParamSpecUInt64::builder("window")
                    .nick("Window")
                    .blurb("Signal that a reading uses, in nanoseconds")
                    .minimum(5 * gst::ClockTime::SECOND.nseconds())
                    .maximum(60 * gst::ClockTime::SECOND.nseconds())
                    .default_value(DEFAULT_WINDOW.nseconds())
                    .mutable_ready()
                    .build(),
                glib::ParamSpecUInt64::builder("interval")
                    .nick("Interval")
                    .blurb("Stream time between messages, in nanoseconds")
                    .minimum(gst::ClockTime::SECOND.nseconds() / 10)
                    .maximum(3600 * gst::ClockTime::SECOND.nseconds())
                    .default_value(DEFAULT_INTERVAL.nseconds())
                    .mutable_playing()
                    .build(),
                glib::ParamSpecDouble::builder("min-confidence")
                    .nick("Minimum confidence")
                    .blurb("Confidence from which on a reading is given at status ok")
                    .minimum(0.0)
                    .maximum(1.0)
                    .default_value(MIN_CONFIDENCE)
                    .mutable_playing()
                    .build(),
                glib::ParamSpecDouble::builder("min-bpm")
                    .nick("Minimum bpm")
                    .blurb("Lowest rate looked for, beats per minute; below max-bpm")
                    .minimum(30.0)
                    .maximum(240.0)
                    .default_value(DEFAULT_MIN_BPM)
                    .mutable_ready()
                    .build(),
                glib::ParamSpecDouble::builder("max-bpm")
                    .nick("Maximum bpm")
                    .blurb("Highest rate looked for, beats per minute; above min-bpm")
                    .minimum(30.0)
                    .maximum(240.0)
                    .default_value(DEFAULT_MAX_BPM)
                    .mutable_ready()
                    .build(),
                glib::ParamSpecBoolean::builder("post-messages")
                    .nick("Post messages")
                    .blurb("Whether to post heart-rate element messages")
                    .default_value(DEFAULT_POST_MESSAGES)
                    .mutable_playing()
                    .build(),
            ]
        });
        &PROPERTIES
    }

    fn signals() -> &'static [glib::subclass::Signal] {
        static SIGNALS: LazyLock<Vec<glib::subclass::Signal>> = LazyLock::new(|| {
            vec![
                glib::subclass::Signal::builder("reset")
                    .action()
                    .class_handler(|args| {
                        let element = args[0].get::<super::Ppg2Bpm>().expect("the emitter");
                        element.imp().reset("asked to");
                        None
                    })
                    .build(),
            ]
        });
        &SIGNALS
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        let mut settings = self.settings.lock().unwrap();
        match pspec.name() {
            "window" => settings.window = clock_time(value),
            "interval" => settings.interval = clock_time(value),
            "min-confidence" => {
                settings.min_confidence = value.get().expect("type checked upstream")
            }
            "min-bpm" => settings.min_bpm = value.get().expect("type checked upstream"),
            "max-bpm" => settings.max_bpm = value.get().expect("type checked upstream"),
            "post-messages" => settings.post_messages = value.get().expect("type checked upstream"),
            _ => unreachable!("unknown property"),
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        let settings = self.settings();
        match pspec.name() {
            "window" => settings.window.nseconds().to_value(),
            "interval" => settings.interval.nseconds().to_value(),
            "min-confidence" => settings.min_confidence.to_value(),
            "min-bpm" => settings.min_bpm.to_value(),
            "max-bpm" => settings.max_bpm.to_value(),
            "post-messages" => settings.post_messages.to_value(),
            _ => unreachable!("unknown property"),
        }
    }
}

impl GstObjectImpl for Ppg2Bpm {}

impl ElementImpl for Ppg2Bpm {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Pulse to beats per minute",
                "Filter/Analyzer/Video",
                "Turns the pulse samples of each face into a heart rate",
                "The gst-plugin-heartrate authors",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let pad = |name, direction| {
                let caps = gst::Caps::new_any();
                gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &caps)
                    .expect("a valid pad template")
            };
            vec![pad("sink", gst::PadDirection::Sink), pad("src", gst::PadDirection::Src)]
        });
        &TEMPLATES
    }
}

impl BaseTransformImpl for Ppg2Bpm {
    const MODE: gst_base::subclass::BaseTransformMode =
        gst_base::subclass::BaseTransformMode::AlwaysInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = false;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        let settings = self.settings();
        if settings.min_bpm >= settings.max_bpm {
            return Err(gst::error_msg!(
                gst::LibraryError::Settings,
                ("min-bpm {} is not below max-bpm {}", settings.min_bpm, settings.max_bpm)
            ));
        }
        *self.state.lock().unwrap() = Some(State::new(&settings));
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        *self.state.lock().unwrap() = None;
        Ok(())
    }

    /// Only counting frames and the regions' pixels need the caps. Sizes don't matter otherwise
    /// (rectangles are fractions) and frame rates don't either (samples have their own times), so
    /// that no face is forgotten.
    fn set_caps(&self, incaps: &gst::Caps, _out: &gst::Caps) -> Result<(), gst::LoggableError> {
        let rate = incaps.structure(0).and_then(|s| s.get::<gst::Fraction>("framerate").ok());
        let duration = rate
            .filter(|r| r.numer() > 0 && r.denom() > 0)
            .map(|r| 1e9 * f64::from(r.denom()) / f64::from(r.numer()));
        let side = |name| Some(f64::from(incaps.structure(0)?.get::<i32>(name).ok()?));
        let frame = side("width").zip(side("height")).filter(|(w, h)| *w > 0.0 && *h > 0.0);
        if let Some(state) = self.state.lock().unwrap().as_mut() {
            state.timeline.set_frame_duration(duration);
            state.frame = frame;
        }
        Ok(())
    }

    fn sink_event(&self, event: gst::Event) -> bool {
        match event.view() {
            gst::EventView::FlushStop(_) => self.reset("flush"),
            gst::EventView::StreamStart(_) => self.reset("new stream"),
            _ => (),
        }
        self.parent_sink_event(event)
    }

    fn transform_ip(
        &self,
        buffer: &mut gst::BufferRef,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        if let Some(message) = self.process(buffer) {
            let message = message.to_structure();
            let message = gst::message::Element::builder(message).src(&*self.obj()).build();
            // Without a bus there is nobody to tell.
            let _ = self.obj().post_message(message);
        }
        Ok(gst::FlowSuccess::Ok)
    }
}
