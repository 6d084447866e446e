//! The element.

use std::sync::{LazyLock, Mutex, MutexGuard};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;

use super::line::{self, Source, Times};
use super::schedule::{Mode, Schedule};
use crate::meta::{Face, HeartRateMeta};

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new("bpm2json", gst::DebugColorFlags::empty(), Some("Results as JSON"))
});

const DEFAULT_INTERVAL: gst::ClockTime = gst::ClockTime::SECOND;

#[derive(Clone, Debug)]
struct Settings {
    mode: Mode,
    interval: gst::ClockTime,
    stream_name: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { mode: Mode::default(), interval: DEFAULT_INTERVAL, stream_name: None }
    }
}

/// A frame without its pixels.
#[derive(Clone, Debug)]
struct Frame {
    pts: Option<gst::ClockTime>,
    duration: Option<gst::ClockTime>,
    times: Times,
    faces: Vec<Face>,
}

/// What the stream has produced.
#[derive(Default)]
struct State {
    stream_id: String,
    size: Option<(i32, i32)>,
    /// ns, from the caps' frame rate.
    frame_duration: Option<gst::ClockTime>,
    segment: gst::FormattedSegment<gst::ClockTime>,
    schedule: Schedule,
    /// The last frame, where it got no line.
    unsaid: Option<Frame>,
    warned: bool,
}

impl State {
    /// Forgets what was said; caps, segment and that a warning was given stay.
    fn restart(&mut self) {
        self.schedule = Schedule::default();
        self.unsaid = None;
    }

    fn set_caps(&mut self, caps: &gst::CapsRef) {
        let Some(s) = caps.structure(0) else { return };
        self.size = s.get("width").ok().zip(s.get("height").ok());
        let rate = s.get::<gst::Fraction>("framerate").ok();
        self.frame_duration = rate
            .filter(|r| r.numer() > 0 && r.denom() > 0)
            .and_then(|r| gst::ClockTime::SECOND.mul_div_floor(r.denom() as u64, r.numer() as u64));
    }

    fn frame(&self, buffer: &gst::BufferRef, faces: Vec<Face>) -> Frame {
        let pts = buffer.pts();
        let times = Times {
            timestamp: pts.map(|t| t.nseconds()),
            stream_time: self.segment.to_stream_time(pts).map(|t| t.nseconds()),
            running_time: self.segment.to_running_time(pts).map(|t| t.nseconds()),
        };
        Frame { pts, duration: buffer.duration().or(self.frame_duration), times, faces }
    }

    /// The line of `frame`, as a buffer.
    fn say(&self, frame: &Frame, stream_name: Option<String>) -> gst::Buffer {
        let stream = stream_name.unwrap_or_else(|| self.stream_id.clone());
        let source = Source { stream, size: self.size };
        let line = line::write(&source, frame.times, &frame.faces);
        let mut buffer = gst::Buffer::from_slice(line.into_bytes());
        let buf = buffer.get_mut().expect("a new buffer");
        buf.set_pts(frame.pts);
        buf.set_duration(frame.duration);
        buffer
    }
}

pub struct Bpm2Json {
    sinkpad: gst::Pad,
    srcpad: gst::Pad,
    settings: Mutex<Settings>,
    state: Mutex<State>,
}

impl Bpm2Json {
    fn settings(&self) -> Settings {
        self.settings.lock().unwrap().clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn chain(&self, buffer: gst::Buffer) -> Result<gst::FlowSuccess, gst::FlowError> {
        let settings = self.settings();
        let read = HeartRateMeta::read(&buffer);
        let malformed = read.is_none() && HeartRateMeta::is_on(&buffer);
        let mut state = self.state();
        let warn = malformed && !std::mem::replace(&mut state.warned, true);
        let frame = state.frame(&buffer, read.unwrap_or_default().faces);
        let time = frame.times.stream_time.or(frame.times.timestamp);
        let interval = settings.interval.nseconds();
        let due = state.schedule.due(settings.mode, interval, time, &frame.faces);
        let line = due.then(|| state.say(&frame, settings.stream_name));
        let gap = frame.pts.map(|pts| gst::event::Gap::builder(pts).duration(frame.duration));
        state.unsaid = (!due).then_some(frame);
        drop(state);
        if warn {
            self.warn();
        }
        match (line, gap) {
            (Some(line), _) => self.srcpad.push(line),
            (None, Some(gap)) => {
                self.srcpad.push_event(gap.build());
                Ok(gst::FlowSuccess::Ok)
            }
            (None, None) => Ok(gst::FlowSuccess::Ok),
        }
    }

    fn warn(&self) {
        gst::element_imp_warning!(
            self,
            gst::StreamError::Format,
            ("HeartRateMeta of another version or malformed: its frames count as without faces")
        );
    }

    fn sink_event(&self, event: gst::Event) -> bool {
        use gst::EventView;
        match event.view() {
            EventView::StreamStart(start) => {
                let mut state = self.state();
                state.restart();
                state.stream_id = start.stream_id().into();
            }
            EventView::Caps(caps) => {
                self.state().set_caps(caps.caps());
                let json = gst::Caps::builder("application/x-json").build();
                return self.srcpad.push_event(gst::event::Caps::new(&json));
            }
            EventView::Segment(segment) => return self.set_segment(&event, segment.segment()),
            EventView::FlushStop(_) => self.state().restart(),
            EventView::Eos(_) => self.say_last(),
            _ => (),
        }
        gst::Pad::event_default(&self.sinkpad, Some(&*self.obj()), event)
    }

    fn set_segment(&self, event: &gst::Event, segment: &gst::Segment) -> bool {
        let Some(segment) = segment.downcast_ref::<gst::ClockTime>() else {
            gst::element_imp_error!(
                self,
                gst::StreamError::Format,
                ("A stream that is not measured in time")
            );
            return false;
        };
        self.state().segment = segment.clone();
        gst::Pad::event_default(&self.sinkpad, Some(&*self.obj()), event.clone())
    }

    /// The last frame has a line, so that a reader knows how things ended.
    fn say_last(&self) {
        let stream_name = self.settings().stream_name;
        let mut state = self.state();
        let Some(frame) = state.unsaid.take() else { return };
        let line = state.say(&frame, stream_name);
        drop(state);
        if let Err(flow) = self.srcpad.push(line) {
            gst::debug!(CAT, imp = self, "The last line was not taken: {flow}");
        }
    }

    /// Nothing downstream can answer for pictures.
    fn sink_query(&self, query: &mut gst::QueryRef) -> bool {
        match query.view_mut() {
            gst::QueryViewMut::Allocation(query) => {
                query.add_allocation_meta::<gst_video::VideoMeta>(None);
                true
            }
            _ => gst::Pad::query_default(&self.sinkpad, Some(&*self.obj()), query),
        }
    }
}

#[glib::object_subclass]
impl ObjectSubclass for Bpm2Json {
    const NAME: &'static str = "GstBpm2Json";
    type Type = super::Bpm2Json;
    type ParentType = gst::Element;

    fn with_class(class: &Self::Class) -> Self {
        let sink = class.pad_template("sink").expect("the template is there");
        let src = class.pad_template("src").expect("the template is there");
        let sinkpad = gst::Pad::builder_from_template(&sink)
            .chain_function(|pad, parent, buffer| {
                Bpm2Json::catch_panic_pad_function(
                    parent,
                    || Err(gst::FlowError::Error),
                    |this| {
                        gst::trace!(CAT, obj = pad, "Frame {buffer:?}");
                        this.chain(buffer)
                    },
                )
            })
            .event_function(|_, parent, event| {
                Bpm2Json::catch_panic_pad_function(parent, || false, |this| this.sink_event(event))
            })
            .query_function(|_, parent, query| {
                Bpm2Json::catch_panic_pad_function(parent, || false, |this| this.sink_query(query))
            })
            .build();
        let srcpad = gst::Pad::builder_from_template(&src).flags(gst::PadFlags::FIXED_CAPS).build();
        Bpm2Json { sinkpad, srcpad, settings: Mutex::default(), state: Mutex::default() }
    }
}

impl ObjectImpl for Bpm2Json {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            vec![
                glib::ParamSpecEnum::builder::<Mode>("mode")
                    .nick("Mode")
                    .blurb("When a line is written; the end of the stream has one in any case")
                    .mutable_playing()
                    .build(),
                glib::ParamSpecUInt64::builder("interval")
                    .nick("Interval")
                    .blurb("Stream time between lines in mode interval, in nanoseconds")
                    .minimum(gst::ClockTime::MSECOND.nseconds())
                    .maximum(3600 * gst::ClockTime::SECOND.nseconds())
                    .default_value(DEFAULT_INTERVAL.nseconds())
                    .mutable_playing()
                    .build(),
                glib::ParamSpecString::builder("stream-name")
                    .nick("Stream name")
                    .blurb("What stands in the field stream; the stream's own id where unset")
                    .mutable_playing()
                    .build(),
            ]
        });
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        let mut settings = self.settings.lock().unwrap();
        match pspec.name() {
            "mode" => settings.mode = value.get().expect("type checked upstream"),
            "interval" => {
                let interval = value.get().expect("type checked upstream");
                settings.interval = gst::ClockTime::from_nseconds(interval);
            }
            "stream-name" => settings.stream_name = value.get().expect("type checked upstream"),
            _ => unreachable!("unknown property"),
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        let settings = self.settings();
        match pspec.name() {
            "mode" => settings.mode.to_value(),
            "interval" => settings.interval.nseconds().to_value(),
            "stream-name" => settings.stream_name.to_value(),
            _ => unreachable!("unknown property"),
        }
    }

    fn constructed(&self) {
        self.parent_constructed();
        let obj = self.obj();
        obj.add_pad(&self.sinkpad).expect("a new element has no pads");
        obj.add_pad(&self.srcpad).expect("a new element has no pads");
    }
}

impl GstObjectImpl for Bpm2Json {}

impl ElementImpl for Bpm2Json {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Beats per minute to JSON",
                "Filter/Converter/Video",
                "Says each face's heart rate, one JSON object a line",
                "The gst-plugin-heartrate authors",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let pad = |name, direction, caps| {
                gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &caps)
                    .expect("a valid pad template")
            };
            let json = gst::Caps::builder("application/x-json").build();
            vec![
                pad("sink", gst::PadDirection::Sink, gst::Caps::new_any()),
                pad("src", gst::PadDirection::Src, json),
            ]
        });
        &TEMPLATES
    }

    fn change_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        if transition == gst::StateChange::ReadyToPaused {
            *self.state() = State::default();
        }
        self.parent_change_state(transition)
    }
}
