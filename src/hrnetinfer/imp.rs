use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::subclass::prelude::*;

use super::backends;
use super::contract;
use super::engine::{self, Attention, Engine, EngineError, Network, Request};
use super::maps::MotionState;
use super::pair::Pair;
use super::progress::BuildProgress;
use super::settings::Settings;
use crate::meta::{Face, FaceCrop, FaceCropMeta, HeartRateMeta};

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "hrnetinfer",
        gst::DebugColorFlags::empty(),
        Some("Pulse from pairs of face crops"),
    )
});

struct State {
    engine: Arc<dyn Engine>,
    /// The faces of the last frame, by id.
    faces: HashMap<u32, FaceState>,
    /// From the caps: what a pair without timestamps is taken to be apart.
    frame_interval: Option<gst::ClockTime>,
    warned_no_crops: bool,
    warned_no_time: bool,
}

/// What is kept of a face from frame to frame.
#[derive(Default)]
struct FaceState {
    motion: MotionState,
    /// What the engine made of the face's appearance some frames ago, within the same rectangle.
    attention: Option<Attention>,
    rect: [f64; 4],
    frames: u32,
}

impl FaceState {
    /// Forgets an attention that is too old, or was paid to another place.
    fn refresh(&mut self, rect: [f64; 4], every: u32) {
        self.frames += 1;
        if self.rect != rect || self.frames >= every {
            (self.attention, self.rect, self.frames) = (None, rect, 0);
        }
    }
}

/// One face's network inputs.
struct Item {
    id: u32,
    motion: Vec<f32>,
    /// The appearance map; not made where there is an attention.
    appearance: Vec<f32>,
    attention: Option<Attention>,
}

#[derive(Default)]
pub struct HrnetInfer {
    settings: Mutex<Settings>,
    state: Mutex<Option<State>>,
}

impl State {
    fn new(engine: Arc<dyn Engine>) -> State {
        State {
            engine,
            faces: HashMap::new(),
            frame_interval: None,
            warned_no_crops: false,
            warned_no_time: false,
        }
    }

    /// Makes the inputs of all faces that have a pair; says for each face the pair's interval, or
    /// `None` where it yields no sample. Forgets the faces that are not there.
    fn prepare(&mut self, crops: &[FaceCrop]) -> (Vec<Item>, Vec<Option<gst::ClockTime>>) {
        let (mut items, mut faces) = (Vec::new(), HashMap::new());
        let mut intervals = Vec::with_capacity(crops.len());
        let every =
            if self.engine.attends() { self.engine.network().contract.appearance_every } else { 1 };
        for crop in crops {
            let interval = self.interval(crop);
            if let Some(interval) = interval {
                let mut face = self.faces.remove(&crop.id).unwrap_or_default();
                face.refresh(crop.rect, every);
                items.extend(item(self.engine.network(), crop, interval, &mut face));
                faces.insert(crop.id, face);
            }
            intervals.push(interval);
        }
        self.faces = faces;
        (items, intervals)
    }

    /// Time between the frames of the crop's pair, `None` without a pair or any idea of time.
    fn interval(&self, crop: &FaceCrop) -> Option<gst::ClockTime> {
        let previous = crop.previous.as_ref()?;
        previous.interval.or(self.frame_interval).filter(|i| !i.is_zero())
    }

    /// Whether some face has a pair that can't be used for want of time.
    fn lacks_time(&self, crops: &[FaceCrop]) -> bool {
        crops.iter().any(|c| c.previous.is_some() && self.interval(c).is_none())
    }
}

/// The inputs of `crop`, if it has a previous crop.
fn item(
    network: &Network,
    crop: &FaceCrop,
    interval: gst::ClockTime,
    face: &mut FaceState,
) -> Option<Item> {
    let pair = Pair::new(crop, interval, network.size)?;
    let mut map = vec![0.0; network.map_len()];
    let arranged = |map: &[f32]| {
        let mut tensor = vec![0.0; map.len()];
        network.layout.arrange(network.contract.color, map, &mut tensor);
        tensor
    };
    pair.motion(&network.contract, &mut face.motion, &mut map);
    let motion = arranged(&map);
    let attention = face.attention.clone();
    let mut appearance = Vec::new();
    if attention.is_none() {
        pair.appearance(&network.contract, &mut map);
        appearance = arranged(&map);
    }
    Some(Item { id: crop.id, motion, appearance, attention })
}

/// The pulse samples of `items`. What the engine made of an appearance is left in them.
fn infer(engine: &dyn Engine, items: &mut [Item]) -> Result<Vec<f32>, EngineError> {
    if !engine.attends() {
        let all = |map: fn(&Item) -> &[f32]| items.iter().flat_map(map).copied().collect();
        let (motion, appearance): (Vec<f32>, Vec<f32>) =
            (all(|i| &i.motion), all(|i| &i.appearance));
        return engine.run(&motion, &appearance);
    }
    let one = |item: &mut Item| {
        let attention = match item.attention.take() {
            Some(attention) => attention,
            None => engine.attend(&item.appearance)?,
        };
        let sample = engine.run_attending(&item.motion, &attention);
        item.attention = Some(attention);
        sample
    };
    items.iter_mut().map(one).collect()
}

/// The public face of each crop, with its sample where there is one.
fn faces(crops: &[FaceCrop], intervals: &[Option<gst::ClockTime>], samples: Vec<f32>) -> Vec<Face> {
    let mut samples = samples.into_iter();
    let face = |(crop, interval): (&FaceCrop, &Option<gst::ClockTime>)| {
        let [x, y, w, h] = crop.rect;
        let sample = interval.and_then(|_| samples.next()).filter(|s| s.is_finite());
        Face {
            id: crop.id,
            x,
            y,
            w,
            h,
            ppg: sample.map(f64::from),
            ppg_interval: interval.filter(|_| sample.is_some()),
            changes: crop.changes,
            reasons: crop.reasons,
            ..Face::default()
        }
    };
    crops.iter().zip(intervals).map(face).collect()
}

/// Refuses overrides that are no keys of the contract, which would be ignored in silence.
fn check_keys(overrides: Option<&gst::Structure>) -> Result<(), gst::ErrorMessage> {
    let mut fields = overrides.into_iter().flat_map(|s| s.fields());
    let unknown = fields.find(|f| !contract::KEYS.contains(&format!("hrnet.{f}").as_str()));
    unknown.map_or(Ok(()), |field| {
        Err(gst::error_msg!(
            gst::LibraryError::Settings,
            ("Property contract: no key hrnet.{field}; there are {}", contract::KEYS.join(", "))
        ))
    })
}

impl HrnetInfer {
    fn load(&self) -> Result<Arc<dyn Engine>, gst::ErrorMessage> {
        let settings = self.settings.lock().unwrap().clone();
        check_keys(settings.contract.as_ref())?;
        let overrides = |key: &str| {
            let value = settings.contract.as_ref()?.value(key.strip_prefix("hrnet.")?).ok()?;
            value.get::<String>().ok().or_else(|| value.serialize().ok().map(Into::into))
        };
        let element = self.obj();
        let build = BuildProgress::new(element.upcast_ref());
        let progress = |phase: &str, step, of| build.step(phase, step, of);
        let warn = |text: &str| {
            gst::element_imp_warning!(self, gst::ResourceError::Failed, ("{text}"));
        };
        let request = Request { progress: &progress, warn: &warn, ..settings.request(&overrides) };
        let opened = backends::open(&request);
        build.end(opened.as_ref().is_ok_and(|o| o.backend == engine::Backend::TensorRt));
        let name = settings.model.map_or("the built-in model".into(), |p| p.display().to_string());
        let opened = opened.map_err(|error| match error {
            EngineError::Read(_) => {
                gst::error_msg!(gst::ResourceError::OpenRead, ("Model {name} {error}"))
            }
            EngineError::Unavailable(_) => {
                gst::error_msg!(gst::ResourceError::NotFound, ("Model {name}: {error}"))
            }
            _ => gst::error_msg!(gst::StreamError::Format, ("Model {name}: {error}")),
        })?;
        gst::info!(CAT, imp = self, "{name} runs on {}", opened.why);
        Ok(opened.engine)
    }

    /// Takes from the state what a frame needs, so that no lock is held while the network runs.
    fn prepare(&self, crops: &[FaceCrop]) -> Option<Prepared> {
        let mut guard = self.state.lock().unwrap();
        let state = guard.as_mut()?;
        let (items, intervals) = state.prepare(crops);
        let lacks_time = !state.warned_no_time && state.lacks_time(crops);
        state.warned_no_time |= lacks_time;
        Some(Prepared { engine: state.engine.clone(), items, intervals, lacks_time })
    }

    /// Keeps what the engine made of the faces' appearances for the frames to come.
    fn keep(&self, items: Vec<Item>) {
        let mut guard = self.state.lock().unwrap();
        let Some(state) = guard.as_mut() else { return };
        for item in items {
            if let Some(face) = state.faces.get_mut(&item.id) {
                face.attention = item.attention;
            }
        }
    }

    /// Warns once that nothing upstream crops faces.
    fn warn_no_crops(&self) {
        let mut guard = self.state.lock().unwrap();
        let Some(state) = guard.as_mut().filter(|s| !s.warned_no_crops) else { return };
        state.warned_no_crops = true;
        drop(guard);
        gst::element_imp_warning!(
            self,
            gst::StreamError::Failed,
            ("Buffers without face crops: put facecrop right before hrnetinfer")
        );
    }
}

/// One frame's work.
struct Prepared {
    engine: Arc<dyn Engine>,
    items: Vec<Item>,
    intervals: Vec<Option<gst::ClockTime>>,
    lacks_time: bool,
}

#[glib::object_subclass]
impl ObjectSubclass for HrnetInfer {
    const NAME: &'static str = "GstHrnetInfer";
    type Type = super::HrnetInfer;
    type ParentType = gst_base::BaseTransform;
}

impl ObjectImpl for HrnetInfer {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(Settings::specs);
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        self.settings.lock().unwrap().set(pspec.name(), value);
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        self.settings.lock().unwrap().get(pspec.name())
    }
}

impl GstObjectImpl for HrnetInfer {}

impl ElementImpl for HrnetInfer {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Heart-rate network",
                "Filter/Analyzer/Video",
                "Runs a two-branch attention network on face crops and attaches pulse samples",
                "The gst-plugin-heartrate authors",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let caps = gst::Caps::builder("video/x-raw").any_features().build();
            let template = |name, direction| {
                gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &caps)
                    .expect("valid template")
            };
            vec![template("sink", gst::PadDirection::Sink), template("src", gst::PadDirection::Src)]
        });
        &TEMPLATES
    }
}

impl BaseTransformImpl for HrnetInfer {
    const MODE: gst_base::subclass::BaseTransformMode =
        gst_base::subclass::BaseTransformMode::AlwaysInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = false;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        let engine = self.load()?;
        gst::info!(CAT, imp = self, "Loaded {:?}", engine.network());
        *self.state.lock().unwrap() = Some(State::new(engine));
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        *self.state.lock().unwrap() = None;
        Ok(())
    }

    fn set_caps(&self, incaps: &gst::Caps, _out: &gst::Caps) -> Result<(), gst::LoggableError> {
        let fps = incaps.structure(0).and_then(|s| s.get::<gst::Fraction>("framerate").ok());
        let interval = fps
            .filter(|f| f.numer() > 0)
            .and_then(|f| gst::ClockTime::SECOND.mul_div_round(f.denom() as u64, f.numer() as u64));
        if let Some(state) = self.state.lock().unwrap().as_mut() {
            state.frame_interval = interval;
        }
        Ok(())
    }

    fn propose_allocation(
        &self,
        decide_query: Option<&gst::query::Allocation>,
        query: &mut gst::query::Allocation,
    ) -> Result<(), gst::LoggableError> {
        // It fails where the sink has nothing to say, as appsink and fakesink: we have all the same.
        let _ = self.parent_propose_allocation(decide_query, query);
        if let Some(state) = self.state.lock().unwrap().as_ref() {
            let proposal = FaceCropMeta::proposal(state.engine.network().size);
            query.add_allocation_meta::<FaceCropMeta>(Some(&proposal));
        }
        Ok(())
    }

    fn transform_ip(&self, buf: &mut gst::BufferRef) -> Result<gst::FlowSuccess, gst::FlowError> {
        let Some(meta) = buf.meta::<FaceCropMeta>() else {
            self.warn_no_crops();
            return Ok(gst::FlowSuccess::Ok);
        };
        let crops = meta.shared_faces();
        let mut prepared = self.prepare(&crops).ok_or(gst::FlowError::Flushing)?;
        if prepared.lacks_time {
            gst::element_imp_warning!(
                self,
                gst::StreamError::Failed,
                ("Buffers without timestamps and caps without a framerate: no pulse samples")
            );
        }
        let samples = infer(&*prepared.engine, &mut prepared.items).map_err(|error| {
            gst::element_imp_error!(self, gst::StreamError::Failed, ("The network {error}"));
            gst::FlowError::Error
        })?;
        gst::trace!(CAT, imp = self, "{} faces, {} samples", crops.len(), samples.len());
        self.keep(std::mem::take(&mut prepared.items));
        let faces = faces(&crops, &prepared.intervals, samples);
        let derivative = prepared.engine.network().contract.derivative;
        HeartRateMeta { derivative, faces }.write(buf);
        Ok(gst::FlowSuccess::Ok)
    }
}

#[cfg(test)]
mod tests;
