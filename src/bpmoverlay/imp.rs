//! The element.

use std::sync::{LazyLock, Mutex};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::base_transform::{InputBuffer, PrepareOutputBufferSuccess};
use gst_base::subclass::prelude::*;
use gst_video::{
    CAPS_FEATURE_META_GST_VIDEO_OVERLAY_COMPOSITION as OVERLAY, VideoFormat, VideoFrameRef,
    VideoInfo, VideoOverlayComposition, VideoOverlayCompositionMeta, VideoOverlayFormatFlags,
    VideoOverlayRectangle,
};

use super::blend::blend;
use super::faces::{Faces, Placed};
use super::settings::Settings;
use crate::meta::HeartRateMeta;

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new("bpmoverlay", gst::DebugColorFlags::empty(), Some("Drawn results"))
});

/// What the stream has produced.
#[derive(Default)]
struct State {
    info: Option<VideoInfo>,
    /// What comes in.
    caps: Option<gst::Caps>,
    /// Whether the caps leave the blending to downstream, and whether downstream has been asked
    /// if it really does it.
    attach: bool,
    asked: bool,
    faces: Faces,
    /// What was attached last: the same object says that nothing has changed.
    attached: Option<(Vec<Placed>, VideoOverlayComposition)>,
    warned: bool,
}

#[derive(Default)]
pub struct BpmOverlay {
    settings: Mutex<Settings>,
    state: Mutex<State>,
    /// Downstream takes the caps feature but not the meta: don't offer it.
    refused: Mutex<bool>,
}

impl BpmOverlay {
    fn reset(&self) {
        let mut state = self.state.lock().unwrap();
        state.faces = Faces::default();
        state.attached = None;
    }

    fn process(&self, buffer: &mut gst::BufferRef) -> Result<(), gst::FlowError> {
        let settings = self.settings.lock().unwrap().clone();
        let read = HeartRateMeta::read(buffer);
        let malformed = read.is_none() && HeartRateMeta::is_on(buffer);
        let segment = self.obj().segment().downcast::<gst::ClockTime>().ok();
        let time = time(buffer.pts(), segment.as_ref());
        let mut state = self.state.lock().unwrap();
        let info = state.info.clone().ok_or(gst::FlowError::NotNegotiated)?;
        let warn = malformed && !std::mem::replace(&mut state.warned, true);
        let look = settings.look(info.width(), info.height());
        let meta = read.unwrap_or_default();
        let pieces = state.faces.frame(&meta, time, &look, &settings.wanted);
        let attach = state.attach;
        drop(state);
        if warn {
            self.warn();
        }
        let pieces = pieces.map_err(|err| self.fail(&format!("Can't draw: {err}")))?;
        match (pieces.is_empty(), attach) {
            (true, _) => Ok(()),
            (false, true) => self.attach(buffer, pieces).map_err(|err| self.fail(&err.to_string())),
            (false, false) => self.blend(buffer, &info, &pieces),
        }
    }

    fn warn(&self) {
        gst::element_imp_warning!(
            self,
            gst::StreamError::Format,
            ("HeartRateMeta of another version or malformed: it is not drawn")
        );
    }

    fn fail(&self, what: &str) -> gst::FlowError {
        gst::element_imp_error!(self, gst::StreamError::Failed, ("{what}"));
        gst::FlowError::Error
    }

    fn blend(
        &self,
        buffer: &mut gst::BufferRef,
        info: &VideoInfo,
        pieces: &[Placed],
    ) -> Result<(), gst::FlowError> {
        let mut frame = VideoFrameRef::from_buffer_ref_writable(buffer, info)
            .map_err(|err| self.fail(&format!("Can't write to the frame: {err}")))?;
        for piece in pieces {
            if !blend(&mut frame, &piece.ink, piece.x, piece.y) {
                return Err(self.fail(&format!("Can't blend into {:?}", info.format())));
            }
        }
        Ok(())
    }

    /// Leaves the pieces to downstream, on top of what upstream leaves to it.
    fn attach(
        &self,
        buffer: &mut gst::BufferRef,
        pieces: Vec<Placed>,
    ) -> Result<(), glib::BoolError> {
        let mut state = self.state.lock().unwrap();
        let same = state.attached.as_ref().is_some_and(|(last, _)| *last == pieces);
        if !same {
            let composition = VideoOverlayComposition::new(&rectangles(&pieces))?;
            state.attached = Some((pieces, composition));
        }
        let (_, ours) = state.attached.as_ref().expect("it was there or was made");
        if let Some(mut meta) = buffer.meta_mut::<VideoOverlayCompositionMeta>() {
            let both: Vec<_> = meta.overlay().iter().chain(ours.iter()).collect();
            meta.set_overlay(&VideoOverlayComposition::new(&both)?);
        } else {
            VideoOverlayCompositionMeta::add(buffer, ours);
        }
        Ok(())
    }

    /// Whether downstream, which takes the caps feature, says that it handles the meta as well.
    /// Many that take any caps don't.
    fn downstream_blends(&self) -> bool {
        let Some(caps) = self.obj().src_pad().current_caps() else { return false };
        let mut query = gst::query::Allocation::new(Some(&caps), false);
        self.obj().src_pad().peer_query(&mut query)
            && query.find_allocation_meta::<VideoOverlayCompositionMeta>().is_some()
    }

    /// Asks downstream once per caps; false where the caps have to be negotiated again.
    fn confirm(&self) -> bool {
        let mut state = self.state.lock().unwrap();
        let ask = state.attach && !std::mem::replace(&mut state.asked, true);
        let caps = state.caps.clone().filter(|caps| ask && !has_overlay(caps) && blendable(caps));
        drop(state);
        let Some(caps) = caps else { return true };
        if self.downstream_blends() || !self.obj().src_pad().peer_query_accept_caps(&caps) {
            return true;
        }
        gst::debug!(CAT, imp = self, "Downstream takes the caps feature but not the meta");
        *self.refused.lock().unwrap() = true;
        false
    }
}

/// Seconds of stream time.
fn time(
    pts: Option<gst::ClockTime>,
    segment: Option<&gst::FormattedSegment<gst::ClockTime>>,
) -> Option<f64> {
    let pts = pts?;
    let time = segment.and_then(|s| s.to_stream_time(pts)).unwrap_or(pts);
    Some(time.nseconds() as f64 * 1e-9)
}

fn rectangles(pieces: &[Placed]) -> Vec<VideoOverlayRectangle> {
    let rectangle = |p: &Placed| {
        let flags = VideoOverlayFormatFlags::PREMULTIPLIED_ALPHA;
        let (w, h) = (p.ink.info.width(), p.ink.info.height());
        VideoOverlayRectangle::new_raw(&p.ink.buffer, p.x, p.y, w, h, flags)
    };
    pieces.iter().map(rectangle).collect()
}

/// The caps with the overlay feature beside the others.
fn with_overlay(caps: &gst::Caps) -> gst::Caps {
    let mut out = gst::Caps::new_empty();
    for (s, features) in caps.iter_with_features() {
        let mut features = features.to_owned();
        if !features.is_any() && !features.contains(OVERLAY) {
            features.add(OVERLAY);
        }
        out.merge_structure_full(s.to_owned(), Some(features));
    }
    out
}

fn without_overlay(caps: &gst::Caps) -> gst::Caps {
    let mut out = gst::Caps::new_empty();
    for (s, features) in caps.iter_with_features() {
        let mut features = features.to_owned();
        features.remove(OVERLAY);
        out.merge_structure_full(s.to_owned(), Some(features));
    }
    out
}

fn has_overlay(caps: &gst::Caps) -> bool {
    caps.features(0).is_some_and(|f| f.contains(OVERLAY))
}

/// Raw video in memory that can be mapped, in a format that GStreamer blends into.
fn mappable_caps() -> gst::Caps {
    let formats = VideoFormat::iter_raw().filter(super::blend::is_supported);
    gst_video::VideoCapsBuilder::new().format_list(formats).build()
}

fn blendable(caps: &gst::Caps) -> bool {
    caps.can_intersect(&mappable_caps())
}

#[glib::object_subclass]
impl ObjectSubclass for BpmOverlay {
    const NAME: &'static str = "GstBpmOverlay";
    type Type = super::BpmOverlay;
    type ParentType = gst_base::BaseTransform;
}

impl ObjectImpl for BpmOverlay {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(Settings::properties);
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        self.settings.lock().unwrap().set(pspec.name(), value);
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        self.settings.lock().unwrap().get(pspec.name())
    }
}

impl GstObjectImpl for BpmOverlay {}

impl ElementImpl for BpmOverlay {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Heart rate overlay",
                "Filter/Editor/Video",
                "Draws each face's rectangle, heart rate and pulse wave",
                "The gst-plugin-heartrate authors",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let mut caps = mappable_caps();
            let any = gst::Caps::builder("video/x-raw").any_features().build();
            caps.merge(any);
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

impl BaseTransformImpl for BpmOverlay {
    const MODE: gst_base::subclass::BaseTransformMode =
        gst_base::subclass::BaseTransformMode::AlwaysInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = false;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        *self.state.lock().unwrap() = State::default();
        *self.refused.lock().unwrap() = false;
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        *self.state.lock().unwrap() = State::default();
        Ok(())
    }

    /// Downstream, the overlay feature comes first, then the same caps for blending here. What
    /// comes with the feature keeps it: upstream's overlays are not blended here.
    fn transform_caps(
        &self,
        direction: gst::PadDirection,
        caps: &gst::Caps,
        filter: Option<&gst::Caps>,
    ) -> Option<gst::Caps> {
        let plain = caps.intersect_with_mode(&mappable_caps(), gst::CapsIntersectMode::First);
        let refused = *self.refused.lock().unwrap();
        let mut other = gst::Caps::new_empty();
        match direction {
            gst::PadDirection::Sink if refused => {
                let given = caps.iter_with_features().filter(|(_, f)| f.contains(OVERLAY));
                other.merge(given.map(|(s, f)| (s.to_owned(), f.to_owned())).collect());
            }
            gst::PadDirection::Sink => other.merge(with_overlay(caps)),
            _ => {
                let offered = caps.iter_with_features().filter(|(_, f)| f.contains(OVERLAY));
                let offered: gst::Caps =
                    offered.map(|(s, f)| (s.to_owned(), f.to_owned())).collect();
                other.merge(without_overlay(&offered));
                other.merge(offered);
            }
        }
        other.merge(plain);
        Some(match filter {
            Some(filter) => filter.intersect_with_mode(&other, gst::CapsIntersectMode::First),
            None => other,
        })
    }

    fn set_caps(&self, incaps: &gst::Caps, outcaps: &gst::Caps) -> Result<(), gst::LoggableError> {
        let info = VideoInfo::from_caps(incaps)
            .map_err(|_| gst::loggable_error!(CAT, "Can't parse caps {incaps}"))?;
        gst::debug!(CAT, imp = self, "From {incaps} to {outcaps}");
        let mut state = self.state.lock().unwrap();
        state.info = Some(info);
        state.caps = Some(incaps.clone());
        state.attach = has_overlay(outcaps);
        state.asked = false;
        Ok(())
    }

    fn propose_allocation(
        &self,
        decide_query: Option<&gst::query::Allocation>,
        query: &mut gst::query::Allocation,
    ) -> Result<(), gst::LoggableError> {
        self.parent_propose_allocation(decide_query, query)?;
        if query.find_allocation_meta::<gst_video::VideoMeta>().is_none() {
            query.add_allocation_meta::<gst_video::VideoMeta>(None);
        }
        Ok(())
    }

    fn sink_event(&self, event: gst::Event) -> bool {
        match event.view() {
            gst::EventView::FlushStop(_) | gst::EventView::StreamStart(_) => self.reset(),
            gst::EventView::Caps(_) => {
                *self.refused.lock().unwrap() = false;
                let again = event.clone();
                return self.parent_sink_event(event)
                    && (self.confirm() || self.parent_sink_event(again));
            }
            _ => (),
        }
        self.parent_sink_event(event)
    }

    fn src_event(&self, event: gst::Event) -> bool {
        if event.type_() == gst::EventType::Reconfigure {
            *self.refused.lock().unwrap() = false;
        }
        self.parent_src_event(event)
    }

    fn prepare_output_buffer(
        &self,
        inbuf: InputBuffer,
    ) -> Result<PrepareOutputBufferSuccess, gst::FlowError> {
        match inbuf {
            // Pixels that somebody else holds are copied when they are mapped for writing.
            InputBuffer::Readable(inbuf) => Ok(PrepareOutputBufferSuccess::Buffer(inbuf.copy())),
            inbuf => self.parent_prepare_output_buffer(inbuf),
        }
    }

    fn transform_ip(
        &self,
        buffer: &mut gst::BufferRef,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        if !self.confirm() {
            // Negotiated anew without the feature before the next frame; this one is blended.
            self.obj().reconfigure_src();
            self.state.lock().unwrap().attach = false;
        }
        self.process(buffer)?;
        Ok(gst::FlowSuccess::Ok)
    }
}
