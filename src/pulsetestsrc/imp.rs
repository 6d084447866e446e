use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::prelude::*;
use gst_video::prelude::*;

use super::convert::{Channel, Plane, Writer, ycbcr};
use super::painter::Painter;
use super::picture::{Options, Picture, Truth};
use super::rates;
use super::settings::Settings;
use crate::meta::{PulseTestMeta, TrueFace};
use crate::scene::pulse::Rate;

const SECOND: u64 = gst::ClockTime::SECOND.nseconds();

/// The first is the one that is chosen where everything goes.
const FORMATS: [gst_video::VideoFormat; 17] = [
    gst_video::VideoFormat::I420,
    gst_video::VideoFormat::Yv12,
    gst_video::VideoFormat::Nv12,
    gst_video::VideoFormat::Nv21,
    gst_video::VideoFormat::Yuy2,
    gst_video::VideoFormat::Uyvy,
    gst_video::VideoFormat::Rgb,
    gst_video::VideoFormat::Bgr,
    gst_video::VideoFormat::Rgbx,
    gst_video::VideoFormat::Bgrx,
    gst_video::VideoFormat::Xrgb,
    gst_video::VideoFormat::Xbgr,
    gst_video::VideoFormat::Rgba,
    gst_video::VideoFormat::Bgra,
    gst_video::VideoFormat::Argb,
    gst_video::VideoFormat::Abgr,
    gst_video::VideoFormat::Gray8,
];

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "pulsetestsrc",
        gst::DebugColorFlags::empty(),
        Some("Pulse test source"),
    )
});

/// What belongs to one format.
struct Stream {
    info: gst_video::VideoInfo,
    picture: Picture,
    painter: Painter,
}

/// Which frame is next.
#[derive(Clone, Copy, Debug, Default)]
struct Timing {
    /// Stream time, in nanoseconds, from which `frames` are counted.
    origin: u64,
    frames: u64,
    /// Frames per second as a fraction, as far as they are known; 0 for a single frame.
    fps: Option<(u64, u64)>,
}

impl Timing {
    /// Stream time of frame `n` in nanoseconds, rounded down as GStreamer does.
    fn time(&self, n: u64) -> u64 {
        let passed = match self.fps {
            Some((num, den)) if num > 0 => n.mul_div_floor(den * SECOND, num).unwrap_or(u64::MAX),
            _ => 0,
        };
        self.origin.saturating_add(passed)
    }

    /// Goes to the frame that is shown at `time`.
    fn seek(&mut self, time: u64) {
        *self = Timing { fps: self.fps, ..Timing::default() };
        match self.fps {
            Some((num, den)) if num > 0 => {
                self.frames = time.mul_div_floor(num, den * SECOND).unwrap_or(0);
                // A frame's time is rounded down: it may begin just before its exact place.
                if self.time(self.frames + 1) <= time {
                    self.frames += 1;
                }
            }
            _ => self.origin = time,
        }
    }

    /// Counts on at another frame rate.
    fn change_rate(&mut self, fps: (u64, u64)) {
        if self.fps != Some(fps) {
            *self = Timing { origin: self.time(self.frames), frames: 0, fps: Some(fps) };
        }
    }
}

#[derive(Default)]
pub struct PulseTestSrc {
    settings: Mutex<Settings>,
    /// The rates that `bpm` says, read at start.
    rates: Mutex<Vec<Rate>>,
    timing: Mutex<Timing>,
    stream: Mutex<Option<Stream>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The channels of a format: each a weighted sum of R, G and B.
fn channels(info: &gst_video::VideoInfo) -> Vec<Channel> {
    let format = info.format_info();
    let limited = info.colorimetry().range() == gst_video::VideoColorRange::Range16_235;
    let sums: Vec<([f32; 3], f32)> = if format.is_rgb() {
        let (gain, black) = if limited { (219.0 / 255.0, 16.0) } else { (1.0, 0.0) };
        let unit = |c: usize| std::array::from_fn(|i| if i == c { gain } else { 0.0 });
        vec![(unit(0), black), (unit(1), black), (unit(2), black), ([0.0; 3], 255.0)]
    } else {
        let (kr, kb) = info.colorimetry().matrix().kr_kb().unwrap_or((0.299, 0.114));
        ycbcr(kr as f32, kb as f32, limited).to_vec()
    };
    let channel = |(i, (weights, add)): (usize, ([f32; 3], f32))| Channel {
        plane: info.comp_plane(i as u8) as usize,
        offset: info.comp_poffset(i as u8) as usize,
        step: info.comp_pstride(i as u8) as usize,
        half_width: format.w_sub()[i] == 1,
        half_height: format.h_sub()[i] == 1,
        weights,
        add,
    };
    let n = format.n_components() as usize;
    let mut channels: Vec<Channel> = sums.into_iter().take(n).enumerate().map(channel).collect();
    if format.is_rgb() && n == 3 && channels[0].step == 4 {
        // The byte that the three colours leave is padding.
        let offset = 6 - channels.iter().map(|c| c.offset).sum::<usize>();
        channels.push(Channel { offset, weights: [0.0; 3], add: 255.0, ..channels[0].clone() });
    }
    channels
}

impl PulseTestSrc {
    fn options(&self, info: &gst_video::VideoInfo) -> Options {
        let settings = lock(&self.settings).clone();
        Options {
            width: info.width() as usize,
            height: info.height() as usize,
            rates: lock(&self.rates).clone(),
            amplitude: settings.pulse_amplitude / 100.0,
            motion: settings.motion,
            noise: settings.noise,
            light: settings.light,
            seed: settings.seed,
            subject: settings.picture,
        }
    }

    /// Stream time of the next frame and of the one after, and its number; counts on.
    fn next_frame(&self) -> Result<(u64, Option<u64>, u64), gst::FlowError> {
        let mut timing = lock(&self.timing);
        let still = matches!(timing.fps, Some((0, _)));
        let n = timing.frames;
        if still && n > 0 {
            return Err(gst::FlowError::Eos);
        }
        timing.frames += 1;
        let end = (!still).then(|| timing.time(n + 1));
        Ok((timing.time(n), end, n))
    }

    /// Renders the frame at stream time `time` into `buffer`, with its truth.
    fn render(&self, time: u64, buffer: &mut gst::BufferRef) -> Result<(), gst::FlowError> {
        let mut stream = lock(&self.stream);
        let Stream { info, picture, painter } =
            stream.as_mut().ok_or(gst::FlowError::NotNegotiated)?;
        let mut frame =
            gst_video::VideoFrameRef::from_buffer_ref_writable(buffer, info).map_err(|_| {
                gst::element_imp_error!(
                    self,
                    gst::ResourceError::Write,
                    ("A buffer of the pool can't be mapped as {}", info.format())
                );
                gst::FlowError::Error
            })?;
        let strides: [usize; 4] =
            std::array::from_fn(|i| frame.plane_stride().get(i).map_or(0, |s| *s as usize));
        let n = frame.n_planes() as usize;
        let planes = frame.planes_data_mut();
        let planes = planes.into_iter().zip(strides).take(n);
        let mut planes: Vec<Plane> = planes.map(|(data, stride)| Plane { data, stride }).collect();
        painter.paint(picture.at(time), &mut planes);
        drop(planes);
        drop(frame);
        let size = (info.width() as f64, info.height() as f64);
        PulseTestMeta { faces: true_faces(&picture.truth(time), size) }.write(buffer);
        Ok(())
    }
}

fn true_faces(truth: &[Truth], (width, height): (f64, f64)) -> Vec<TrueFace> {
    let face = |(i, t): (usize, &Truth)| TrueFace {
        index: i as u32,
        x: t.area[0] / width,
        y: t.area[1] / height,
        w: t.area[2] / width,
        h: t.area[3] / height,
        bpm: t.bpm,
        pulse: t.pulse,
    };
    truth.iter().enumerate().map(face).collect()
}

#[glib::object_subclass]
impl ObjectSubclass for PulseTestSrc {
    const NAME: &'static str = "GstPulseTestSrc";
    type Type = super::PulseTestSrc;
    // Not PushSrc: its bindings ask for `create`, and buffers shall come from the pool.
    type ParentType = gst_base::BaseSrc;
}

impl ObjectImpl for PulseTestSrc {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(Settings::properties);
        PROPERTIES.as_ref()
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        match pspec.name() {
            "is-live" => self.obj().set_live(value.get().expect("type checked upstream")),
            name => lock(&self.settings).set(name, value),
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        match pspec.name() {
            "is-live" => self.obj().is_live().to_value(),
            name => lock(&self.settings).get(name),
        }
    }

    fn constructed(&self) {
        self.parent_constructed();
        self.obj().set_format(gst::Format::Time);
    }
}

impl GstObjectImpl for PulseTestSrc {}

impl ElementImpl for PulseTestSrc {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Pulse test source",
                "Source/Video",
                "Creates a video of faces whose heart rate is set",
                "The gst-plugin-heartrate authors",
            )
        });
        Some(&*METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let caps = gst_video::VideoCapsBuilder::new()
                .format_list(FORMATS)
                .width_range(16..=8192)
                .height_range(16..=8192)
                .framerate_range(gst::Fraction::new(0, 1)..=gst::Fraction::new(1000, 1))
                .build();
            let template = gst::PadTemplate::new(
                "src",
                gst::PadDirection::Src,
                gst::PadPresence::Always,
                &caps,
            );
            vec![template.expect("the template is valid")]
        });
        TEMPLATES.as_ref()
    }
}

impl BaseSrcImpl for PulseTestSrc {
    fn start(&self) -> Result<(), gst::ErrorMessage> {
        let text = lock(&self.settings).bpm.clone();
        let rates = rates::parse(&text)
            .map_err(|e| gst::error_msg!(gst::ResourceError::Settings, ("Property bpm: {e}")))?;
        *lock(&self.rates) = rates;
        *lock(&self.timing) = Timing::default();
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        *lock(&self.stream) = None;
        *lock(&self.timing) = Timing::default();
        Ok(())
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn fixate(&self, mut caps: gst::Caps) -> gst::Caps {
        caps.truncate();
        let s = caps.make_mut().structure_mut(0).expect("fixate gets caps that are not empty");
        s.fixate_field_nearest_int("width", 640);
        s.fixate_field_nearest_int("height", 480);
        s.fixate_field_nearest_fraction("framerate", gst::Fraction::new(30, 1));
        if s.has_field("pixel-aspect-ratio") {
            s.fixate_field_nearest_fraction("pixel-aspect-ratio", gst::Fraction::new(1, 1));
        }
        self.parent_fixate(caps)
    }

    fn set_caps(&self, caps: &gst::Caps) -> Result<(), gst::LoggableError> {
        let info = gst_video::VideoInfo::from_caps(caps)
            .map_err(|_| gst::loggable_error!(CAT, "Not video caps: {caps}"))?;
        gst::debug!(CAT, imp = self, "Caps {caps}");
        let fps = info.fps();
        let picture = Picture::new(self.options(&info));
        let writer = Writer::new(channels(&info));
        let painter = Painter::new(writer, info.width() as usize, info.height() as usize);
        self.obj().set_blocksize(info.size().try_into().unwrap_or(u32::MAX));
        lock(&self.timing).change_rate((fps.numer() as u64, fps.denom() as u64));
        *lock(&self.stream) = Some(Stream { info, picture, painter });
        Ok(())
    }

    fn decide_allocation(
        &self,
        query: &mut gst::query::Allocation,
    ) -> Result<(), gst::LoggableError> {
        let (caps, _) = query.get_owned();
        let caps = caps.ok_or_else(|| gst::loggable_error!(CAT, "Allocation without caps"))?;
        let info = gst_video::VideoInfo::from_caps(&caps)
            .map_err(|_| gst::loggable_error!(CAT, "Not video caps: {caps}"))?;
        let size = info.size() as u32;
        let first = query.allocation_pools().next();
        let (pool, size, min, max) = match &first {
            Some((pool, s, min, max)) => (pool.clone(), size.max(*s), *min, *max),
            None => (None, size, 0, 0),
        };
        let pool = pool.unwrap_or_else(|| gst_video::VideoBufferPool::new().upcast());
        let mut config = pool.config();
        config.set_params(Some(&caps), size, min, max);
        if query.find_allocation_meta::<gst_video::VideoMeta>().is_some() {
            config.add_option(gst_video::BUFFER_POOL_OPTION_VIDEO_META);
        }
        pool.set_config(config)
            .map_err(|e| gst::loggable_error!(CAT, "The buffer pool can't be set up: {e}"))?;
        match first {
            Some(_) => query.set_nth_allocation_pool(0, Some(&pool), size, min, max),
            None => query.add_allocation_pool(Some(&pool), size, min, max),
        }
        self.parent_decide_allocation(query)
    }

    fn event(&self, event: &gst::Event) -> bool {
        // Refused before anything is flushed: afterwards the base class would go on without a
        // segment.
        if let gst::EventView::Seek(seek) = event.view()
            && seek.get().0 < 0.0
        {
            gst::info!(CAT, imp = self, "Playing backwards is not supported");
            return false;
        }
        BaseSrcImplExt::parent_event(self, event)
    }

    fn do_seek(&self, segment: &mut gst::Segment) -> bool {
        let Some(segment) = segment.downcast_mut::<gst::ClockTime>() else {
            return false;
        };
        if segment.rate() < 0.0 {
            return false;
        }
        segment.set_time(segment.start());
        let time = segment.position().unwrap_or_default().nseconds();
        lock(&self.timing).seek(time);
        true
    }

    fn times(&self, buffer: &gst::BufferRef) -> (Option<gst::ClockTime>, Option<gst::ClockTime>) {
        if !self.obj().is_live() {
            return (None, None);
        }
        let start = buffer.pts();
        (start, start.zip(buffer.duration()).map(|(pts, duration)| pts + duration))
    }

    fn query(&self, query: &mut gst::QueryRef) -> bool {
        let gst::QueryViewMut::Latency(latency) = query.view_mut() else {
            return BaseSrcImplExt::parent_query(self, query);
        };
        let Some((num @ 1.., den)) = lock(&self.timing).fps else {
            return BaseSrcImplExt::parent_query(self, query);
        };
        // A camera's frame is there when it is over.
        let frame = gst::ClockTime::from_nseconds(SECOND.mul_div_floor(den, num).unwrap_or(0));
        latency.set(self.obj().is_live(), frame, gst::ClockTime::NONE);
        true
    }

    fn fill(
        &self,
        _offset: u64,
        _length: u32,
        buffer: &mut gst::BufferRef,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        let (time, end, n) = self.next_frame()?;
        self.render(time, buffer)?;
        let offset = lock(&self.settings).timestamp_offset;
        let pts = time.saturating_add_signed(offset);
        buffer.set_pts(gst::ClockTime::from_nseconds(pts));
        buffer.set_dts(gst::ClockTime::NONE);
        buffer.set_duration(end.map(|end| gst::ClockTime::from_nseconds(end - time)));
        buffer.set_offset(n);
        buffer.set_offset_end(n + 1);
        Ok(gst::FlowSuccess::Ok)
    }
}
