use std::sync::{LazyLock, Mutex};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::base_transform::{InputBuffer, PrepareOutputBufferSuccess};
use gst_base::subclass::prelude::*;

#[cfg(feature = "v1_24")]
use super::analytics;
use super::area::RgbRows;
use super::detector::{Detection, Detector};
use super::frame::{FORMATS, Frame};
use super::output;
use super::pixels::Picture;
use super::settings::{DetectorKind, Output, Settings};
use super::timeline::{Step, Timeline};
use super::track::Face;
use super::tracker::{Mode, Tracker};
use super::upstream::{self, Upstream};
use crate::meta::{FaceCrop, FaceCropMeta, Previous, Reason};

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new("facecrop", gst::DebugColorFlags::empty(), Some("Face crops"))
});

/// What the stream has produced.
struct State {
    detector: Option<Detector>,
    info: Option<gst_video::VideoInfo>,
    timeline: Timeline,
    tracker: Tracker,
    upstream: Upstream,
    warned: bool,
}

/// What downstream wants.
#[derive(Clone, Copy, Debug, Default)]
struct Downstream {
    /// It may have changed its mind.
    ask: bool,
    crop_size: Option<usize>,
}

/// A frame's faces, and its size.
struct Faces {
    faces: Vec<Face>,
    /// They were detected by upstream.
    given: bool,
    step: Step,
    size: usize,
    frame: (usize, usize),
    has_colour: bool,
}

#[derive(Default)]
pub struct FaceCropElement {
    settings: Mutex<Settings>,
    /// Taken out while a frame is worked on: nothing is locked during detection.
    state: Mutex<Option<State>>,
    downstream: Mutex<Downstream>,
}

impl FaceCropElement {
    fn settings(&self) -> Settings {
        *self.settings.lock().unwrap()
    }

    /// Forgets the faces, keeps caps and detector.
    fn reset(&self) {
        let settings = self.settings();
        if let Some(state) = self.state.lock().unwrap().as_mut() {
            state.timeline = Timeline::default();
            state.tracker = tracker(&settings);
            state.upstream = Upstream::default();
        }
    }

    /// Finds and crops the faces of `buffer`.
    fn process(&self, buffer: &gst::BufferRef) -> Result<Faces, gst::FlowError> {
        let taken = self.state.lock().unwrap().take();
        let mut state = taken.ok_or(gst::FlowError::Flushing)?;
        let result = self.process_with(&mut state, buffer);
        *self.state.lock().unwrap() = Some(state);
        result
    }

    fn process_with(
        &self,
        state: &mut State,
        buffer: &gst::BufferRef,
    ) -> Result<Faces, gst::FlowError> {
        let settings = self.settings();
        let step = self.step(state, buffer, &settings);
        let info = state.info.as_ref().ok_or(gst::FlowError::NotNegotiated)?;
        let size = match settings.output {
            Output::Frame => self.wanted_size(info),
            Output::Crop => settings.crop_size as usize,
        };
        let frame = Frame::map(buffer, info).map_err(|err| {
            gst::element_imp_error!(
                self,
                gst::StreamError::Format,
                ("Can't read the frame: {err}")
            );
            gst::FlowError::Error
        })?;
        let Some(picture) = frame.picture() else {
            gst::warning!(CAT, imp = self, "Nothing to see in this frame");
            let (faces, frame) = (vec![], (1, 1));
            return Ok(Faces { faces, given: false, step, size, frame, has_colour: true });
        };
        state.tracker.configure(settings.limits, size);
        let found = state.upstream.read(settings.detector, buffer, step.dt);
        let given = found.is_some();
        let faces = self.track(state, &settings, &step, found, &picture)?;
        let frame = (picture.width(), picture.height());
        Ok(Faces { faces, given, step, size, frame, has_colour: picture.has_colour() })
    }

    /// Follows the faces and looks for new ones when it is time.
    fn track(
        &self,
        state: &mut State,
        settings: &Settings,
        step: &Step,
        given: Option<Vec<Detection>>,
        picture: &Picture,
    ) -> Result<Vec<Face>, gst::FlowError> {
        let State { detector, timeline, tracker, .. } = state;
        tracker.frame(step, picture, |urgent| {
            // Upstream looks when it likes: what is out of sight here is not urgent there.
            let urgent = urgent && given.is_none();
            let due = timeline.detection_due(settings.interval(), urgent);
            let found = match (given, detector) {
                (Some(found), _) => Some(found).filter(|found| due || !found.is_empty()),
                (None, Some(detector)) if due => Some(self.detect(detector, picture)?),
                _ => None,
            };
            if let Some(found) = &found {
                gst::trace!(CAT, imp = self, "Detected {found:?}");
                timeline.detected();
            }
            Ok(found)
        })
    }

    /// The crop size that downstream asks for. A base transform that works in place makes no
    /// ALLOCATION query of its own, having nothing to allocate.
    fn wanted_size(&self, info: &gst_video::VideoInfo) -> usize {
        let ask = std::mem::take(&mut self.downstream.lock().unwrap().ask);
        if ask {
            let caps = info.to_caps().ok();
            let mut query = gst::query::Allocation::new(caps.as_ref(), false);
            let answered = self.obj().src_pad().peer_query(&mut query);
            let crop_size = FaceCropMeta::proposed_size(&query).filter(|_| answered);
            gst::debug!(CAT, imp = self, "Downstream asks for crops of {crop_size:?}");
            self.downstream.lock().unwrap().crop_size = crop_size;
        }
        self.downstream.lock().unwrap().crop_size.unwrap_or(FaceCropMeta::DEFAULT_SIZE)
    }

    /// Places the buffer in time.
    fn step(&self, state: &mut State, buffer: &gst::BufferRef, settings: &Settings) -> Step {
        let fps = state.info.as_ref().map(|i| i.fps()).filter(|f| f.numer() > 0 && f.denom() > 0);
        let frame = fps
            .and_then(|f| gst::ClockTime::SECOND.mul_div_floor(f.denom() as u64, f.numer() as u64));
        if buffer.pts().is_none() && !state.warned {
            state.warned = true;
            gst::element_imp_warning!(
                self,
                gst::StreamError::Format,
                ("Buffers without timestamps: counting frames by the caps' framerate, if any")
            );
        }
        // Played backwards, a stream's time runs with its frames all the same.
        let backwards = self.obj().segment().rate() < 0.0;
        let time = |pts: gst::ClockTime| {
            if backwards { u64::MAX - pts.nseconds() } else { pts.nseconds() }
        };
        let discont = buffer.flags().contains(gst::BufferFlags::DISCONT);
        let frame = frame.map(|f| f.nseconds());
        state.timeline.advance(buffer.pts().map(time), frame, discont, settings.interval())
    }

    fn detect(
        &self,
        detector: &Detector,
        picture: &Picture,
    ) -> Result<Vec<Detection>, gst::FlowError> {
        detector.detect(picture).map_err(|err| {
            gst::element_imp_error!(self, gst::LibraryError::Failed, ("Face detector: {err}"));
            gst::FlowError::Error
        })
    }

    /// Writes the faces onto the frame.
    fn attach(&self, buffer: &mut gst::BufferRef, faces: Faces) {
        let Faces { faces, given, step, size, frame: (width, height), has_colour } = faces;
        let detector = if given { self.settings().detector } else { DetectorKind::None };
        upstream::write(buffer, detector, &faces, (width as u32, height as u32));
        #[cfg(feature = "v1_24")]
        analytics::write(buffer, &faces);
        let crop = |face: Face| {
            let [x, y, w, h] = face.rect;
            let (width, height) = (width as f64, height as f64);
            let mut reasons = face.reasons;
            if !has_colour {
                reasons.insert(Reason::Monochrome);
            }
            let interval = step.interval.map(gst::ClockTime::from_nseconds);
            FaceCrop {
                id: face.id,
                rect: [x / width, y / height, w / width, h / height],
                size,
                pixels: face.pixels,
                previous: face.previous.map(|pixels| Previous { pixels, interval }),
                changes: face.changes,
                reasons,
            }
        };
        FaceCropMeta::write(buffer, faces.into_iter().map(crop).collect());
    }

    /// Tells downstream that no crop will come for `buffer`.
    fn push_gap(&self, buffer: &gst::BufferRef) {
        if let Some(pts) = buffer.pts() {
            let gap = gst::event::Gap::builder(pts).duration(buffer.duration()).build();
            self.obj().src_pad().push_event(gap);
        }
    }
}

fn template_caps() -> gst::Caps {
    gst_video::VideoCapsBuilder::new().format_list(FORMATS).build()
}

fn tracker(settings: &Settings) -> Tracker {
    let mode = match settings.detector {
        DetectorKind::None => Mode::Whole,
        _ => Mode::Detections,
    };
    Tracker::new(mode, settings.limits, FaceCropMeta::DEFAULT_SIZE)
}

#[glib::object_subclass]
impl ObjectSubclass for FaceCropElement {
    const NAME: &'static str = "GstFaceCrop";
    type Type = super::FaceCropElement;
    type ParentType = gst_base::BaseTransform;
}

impl ObjectImpl for FaceCropElement {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(Settings::properties);
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        self.settings.lock().unwrap().set(pspec.name(), value);
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        self.settings().get(pspec.name())
    }
}

impl GstObjectImpl for FaceCropElement {}

impl ElementImpl for FaceCropElement {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Face crop",
                "Filter/Analyzer/Video",
                "Finds faces, follows them and attaches their crops",
                "The gst-plugin-heartrate authors",
            )
        });
        Some(&*METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let caps = template_caps();
            [("sink", gst::PadDirection::Sink), ("src", gst::PadDirection::Src)]
                .map(|(name, direction)| {
                    gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &caps)
                        .expect("name and caps are valid")
                })
                .into()
        });
        &TEMPLATES
    }
}

impl BaseTransformImpl for FaceCropElement {
    const MODE: gst_base::subclass::BaseTransformMode = gst_base::subclass::BaseTransformMode::Both;
    const PASSTHROUGH_ON_SAME_CAPS: bool = false;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        let settings = self.settings();
        self.obj().set_in_place(settings.output == Output::Frame);
        let detector = match settings.detector {
            DetectorKind::UltraFace | DetectorKind::Auto => {
                Some(Detector::new().map_err(|err| {
                    gst::error_msg!(
                        gst::ResourceError::Failed,
                        ("Can't load the built-in face detector: {err}")
                    )
                })?)
            }
            DetectorKind::Metadata | DetectorKind::None => None,
        };
        let (timeline, tracker) = (Timeline::default(), tracker(&settings));
        let upstream = Upstream::default();
        let state = State { detector, info: None, timeline, tracker, upstream, warned: false };
        *self.state.lock().unwrap() = Some(state);
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        *self.state.lock().unwrap() = None;
        *self.downstream.lock().unwrap() = Downstream::default();
        Ok(())
    }

    fn transform_caps(
        &self,
        direction: gst::PadDirection,
        caps: &gst::Caps,
        filter: Option<&gst::Caps>,
    ) -> Option<gst::Caps> {
        let settings = self.settings();
        let other = match (settings.output, direction) {
            (Output::Frame, _) => caps.clone(),
            (Output::Crop, gst::PadDirection::Sink) => output::caps(caps, settings.crop_size),
            (Output::Crop, _) => output::at_rates_of(&template_caps(), caps),
        };
        Some(match filter {
            Some(filter) => filter.intersect_with_mode(&other, gst::CapsIntersectMode::First),
            None => other,
        })
    }

    fn set_caps(&self, incaps: &gst::Caps, _outcaps: &gst::Caps) -> Result<(), gst::LoggableError> {
        let info = gst_video::VideoInfo::from_caps(incaps)
            .map_err(|_| gst::loggable_error!(CAT, "Can't parse caps {incaps}"))?;
        gst::debug!(CAT, imp = self, "Input is {info:?}");
        if let Some(state) = self.state.lock().unwrap().as_mut() {
            state.info = Some(info);
        }
        self.downstream.lock().unwrap().ask = true;
        Ok(())
    }

    fn transform_size(
        &self,
        _direction: gst::PadDirection,
        _caps: &gst::Caps,
        _size: usize,
        othercaps: &gst::Caps,
    ) -> Option<usize> {
        gst_video::VideoInfo::from_caps(othercaps).ok().map(|info| info.size())
    }

    fn propose_allocation(
        &self,
        decide_query: Option<&gst::query::Allocation>,
        query: &mut gst::query::Allocation,
    ) -> Result<(), gst::LoggableError> {
        self.parent_propose_allocation(decide_query, query)?;
        // In place, the buffers go on as they come, and the parent has asked downstream.
        if self.settings().output == Output::Crop {
            query.add_allocation_meta::<gst_video::VideoMeta>(None);
            query.add_allocation_meta::<gst_video::VideoCropMeta>(None);
        }
        Ok(())
    }

    fn sink_event(&self, event: gst::Event) -> bool {
        if matches!(event.view(), gst::EventView::FlushStop(_) | gst::EventView::StreamStart(_)) {
            self.reset();
        }
        self.parent_sink_event(event)
    }

    fn src_event(&self, event: gst::Event) -> bool {
        if event.type_() == gst::EventType::Reconfigure {
            self.downstream.lock().unwrap().ask = true;
        }
        self.parent_src_event(event)
    }

    fn prepare_output_buffer(
        &self,
        inbuf: InputBuffer,
    ) -> Result<PrepareOutputBufferSuccess, gst::FlowError> {
        match inbuf {
            // Only metas are added: the pixels may stay shared.
            InputBuffer::Readable(inbuf) if self.settings().output == Output::Frame => {
                Ok(PrepareOutputBufferSuccess::Buffer(inbuf.copy()))
            }
            inbuf => self.parent_prepare_output_buffer(inbuf),
        }
    }

    fn transform_ip(&self, buf: &mut gst::BufferRef) -> Result<gst::FlowSuccess, gst::FlowError> {
        let faces = self.process(buf)?;
        self.attach(buf, faces);
        Ok(gst::FlowSuccess::Ok)
    }

    fn transform(
        &self,
        inbuf: &gst::Buffer,
        outbuf: &mut gst::BufferRef,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        let Faces { faces, size, .. } = self.process(inbuf)?;
        let area = |face: &&Face| face.rect[2] * face.rect[3];
        let Some(face) = faces.iter().max_by(|a, b| area(a).total_cmp(&area(b))) else {
            self.push_gap(inbuf);
            return Ok(gst_base::BASE_TRANSFORM_FLOW_DROPPED);
        };
        output::write(&face.pixels, size, outbuf).map_err(|err| {
            gst::element_imp_error!(
                self,
                gst::StreamError::Failed,
                ("Can't write the crop: {err}")
            );
            gst::FlowError::Error
        })?;
        Ok(gst::FlowSuccess::Ok)
    }
}
