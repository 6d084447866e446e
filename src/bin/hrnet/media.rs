//! Runs a recording through the plugin's elements.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

use gst::prelude::*;
use gstheartrate::meta::{Face, FaceCrop, FaceCropMeta, HeartRateMeta};

use crate::dataset::{Frame, Media};

/// How long the bus is left alone while no frame comes.
const PATIENCE: gst::ClockTime = gst::ClockTime::from_mseconds(100);

/// What is said of an image that is none.
const NO_PICTURE: &str = "is not a picture that can be decoded";

/// What is said of a file without a video.
const NO_VIDEO: &str = "no video in it";

/// What is run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// ONNX file; the built-in one if `None`.
    pub model: Option<PathBuf>,
    /// Whether the whole frame is taken for the face, without a detector.
    pub whole_frame: bool,
    /// Seconds of signal that a reading uses.
    pub window: f64,
    /// Run facecrop alone, for crops of this size in pixels.
    pub crops_only: Option<usize>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { model: None, whole_frame: false, window: 10.0, crops_only: None }
    }
}

/// What the elements made of one frame.
pub struct Record {
    /// Stream time, ns.
    pub time: u64,
    /// The faces that are seen, with this frame's pulse samples and the readings so far; empty
    /// with `crops_only`.
    pub faces: Vec<Face>,
    /// Whether the pulse samples are the rate of change of the wave.
    pub derivative: bool,
    pub crops: Arc<[FaceCrop]>,
}

/// Which elements a recording goes through.
fn elements(settings: &Settings) -> String {
    let detector = if settings.whole_frame { "none" } else { "ultraface" };
    let rest = match settings.crops_only {
        Some(_) => String::new(),
        None => {
            let window = (settings.window * 1e9) as u64;
            format!("! hrnetinfer name=infer ! ppg2bpm window={window} post-messages=false")
        }
    };
    format!(
        "videoconvert ! facecrop detector={detector} {rest} ! \
         appsink name=sink sync=false max-buffers=4"
    )
}

/// Plays `media` and gives each frame to `take`, in order.
pub fn play(
    media: &Media,
    settings: &Settings,
    take: impl FnMut(Record) -> Result<(), String>,
) -> Result<(), String> {
    match media {
        Media::Video(path) => play_video(path, settings, take),
        Media::Frames(frames) => play_frames(frames, settings, take),
    }
}

fn play_video(
    path: &Path,
    settings: &Settings,
    mut take: impl FnMut(Record) -> Result<(), String>,
) -> Result<(), String> {
    let named = |e: String| format!("{}: {e}", path.display());
    let player = Player::new(
        &format!(
            "uridecodebin name=source ! videoflip video-direction=auto ! {}",
            elements(settings)
        ),
        settings,
    )?;
    let absolute = path.canonicalize().map_err(|e| named(format!("can't be read: {e}")))?;
    let uri = gst::glib::filename_to_uri(absolute, None).map_err(|e| named(e.to_string()))?;
    player.element("source").set_property("uri", uri.as_str());
    player.start().map_err(named)?;
    let mut last = None;
    // A demuxer that finds nobody for its sound says only that its data were not taken.
    let failed = |e: String, last: Option<u64>| match last {
        None if e.starts_with("Internal data stream") => named(NO_VIDEO.into()),
        _ => named(e),
    };
    while let Some(record) = player.next().map_err(|e| failed(e, last))? {
        last = Some(record.time);
        take(record)?;
    }
    let last = last.ok_or_else(|| named(NO_VIDEO.into()))?;
    check_end(last, player.duration()).map_err(named)
}

/// Refuses a video whose last frame, at `last` ns, is far from the end that its head tells of. Sound
/// may be somewhat longer than the picture, and some heads only estimate.
fn check_end(last: u64, duration: Option<u64>) -> Result<(), String> {
    let Some(duration) = duration else { return Ok(()) };
    let missing = duration.saturating_sub(last);
    if missing <= 2_000_000_000 || missing <= duration / 10 {
        return Ok(());
    }
    let (last, duration) = (last as f64 * 1e-9, duration as f64 * 1e-9);
    Err(format!("cut off: its pictures end at {last:.1} s of {duration:.1} s"))
}

fn play_frames(
    frames: &[Frame],
    settings: &Settings,
    mut take: impl FnMut(Record) -> Result<(), String>,
) -> Result<(), String> {
    let decoder = decoder(&frames[0].path);
    let launch = format!("appsrc name=source ! {decoder} ! {}", elements(settings));
    let player = Player::new(&launch, settings)?;
    let source = player.element("source").downcast::<gst_app::AppSrc>().expect("it is an appsrc");
    source.set_format(gst::Format::Time);
    player.start().map_err(|e| format!("{}: {e}", frames[0].path.display()))?;
    // Few frames are under way: an error belongs to the oldest of them.
    let mut waiting: VecDeque<&Frame> = VecDeque::new();
    let mut size = None;
    let mut left = frames.iter();
    loop {
        while waiting.len() < 4
            && let Some(frame) = left.next()
        {
            check_size(frame, &mut size)?;
            push(&source, frame)?;
            waiting.push_back(frame);
            if left.len() == 0 {
                let _ = source.end_of_stream();
            }
        }
        let Some(oldest) = waiting.pop_front() else { return Ok(()) };
        // The source's own complaint says less than that its data were not taken.
        let named = |e: String| {
            let e = if e.starts_with("Internal data stream") { NO_PICTURE } else { &e };
            format!("{}: {e}", oldest.path.display())
        };
        match player.next().map_err(named)? {
            Some(record) if record.time == oldest.time => take(record)?,
            _ => return Err(named(NO_PICTURE.into())),
        }
    }
}

/// The decoder of an image.
fn decoder(path: &Path) -> &'static str {
    match crate::picture::media_type(path) {
        "image/png" => "pngdec",
        "image/jpeg" => "jpegdec",
        _ => "avdec_bmp",
    }
}

/// Refuses an image of another size than the first one.
fn check_size(frame: &Frame, size: &mut Option<(u32, u32)>) -> Result<(), String> {
    let Some(found) = crate::picture::size(&frame.path)? else {
        // What stands before a JPEG's size has no limit: its decoder judges.
        let jpeg = crate::picture::media_type(&frame.path) == "image/jpeg";
        return if jpeg { Ok(()) } else { Err(format!("{}: {NO_PICTURE}", frame.path.display())) };
    };
    let (w, h) = *size.get_or_insert(found);
    if found == (w, h) {
        return Ok(());
    }
    let (name, a, b) = (frame.path.display(), found.0, found.1);
    Err(format!("{name}: {a} x {b} pixels, those before have {w} x {h}"))
}

fn push(source: &gst_app::AppSrc, frame: &Frame) -> Result<(), String> {
    let name = frame.path.display();
    let bytes = std::fs::read(&frame.path).map_err(|e| format!("{name}: can't be read: {e}"))?;
    if source.caps().is_none() {
        source
            .set_caps(Some(&gst::Caps::new_empty_simple(crate::picture::media_type(&frame.path))));
    }
    let mut buffer = gst::Buffer::from_mut_slice(bytes);
    let pts = gst::ClockTime::from_nseconds(frame.time);
    buffer.get_mut().expect("nobody else has it").set_pts(pts);
    // Where the pipeline has failed, its error is read with the next record.
    let _ = source.push_buffer(buffer);
    Ok(())
}

/// A pipeline that ends in an appsink.
struct Player {
    pipeline: gst::Pipeline,
    sink: gst_app::AppSink,
}

impl Player {
    fn new(launch: &str, settings: &Settings) -> Result<Player, String> {
        static REGISTER: Once = Once::new();
        gst::init().map_err(|e| e.to_string())?;
        REGISTER.call_once(|| {
            // Fails only where it has been done before.
            let _ = gstheartrate::plugin_register_static();
            // Chosen for some browsers' recordings, it does not play them; the plain decoder does.
            for name in ["vp8alphadecodebin", "vp9alphadecodebin"] {
                if let Some(factory) = gst::ElementFactory::find(name) {
                    factory.set_rank(gst::Rank::NONE);
                }
            }
        });
        let bin = gst::parse::launch(launch).map_err(|e| format!("an element is missing: {e}"))?;
        let pipeline = bin.downcast::<gst::Pipeline>().expect("several elements make a pipeline");
        let sink = pipeline.by_name("sink").and_downcast::<gst_app::AppSink>();
        let player = Player { pipeline, sink: sink.expect("it is named so") };
        if let Some(path) = &settings.model {
            player.element("infer").set_property("model", path.display().to_string());
        }
        if let Some(size) = settings.crops_only {
            player.ask_for_crops(size);
        }
        Ok(player)
    }

    fn element(&self, name: &str) -> gst::Element {
        self.pipeline.by_name(name).expect("it is named so")
    }

    /// Answers facecrop's ALLOCATION query as hrnetinfer would.
    fn ask_for_crops(&self, size: usize) {
        let pad = self.sink.static_pad("sink").expect("a sink has a pad");
        pad.add_probe(gst::PadProbeType::QUERY_DOWNSTREAM, move |_, info| {
            if let Some(query) = info.query_mut()
                && let gst::QueryViewMut::Allocation(query) = query.view_mut()
            {
                query.add_allocation_meta::<FaceCropMeta>(Some(&FaceCropMeta::proposal(size)));
                return gst::PadProbeReturn::Handled;
            }
            gst::PadProbeReturn::Ok
        });
    }

    fn start(&self) -> Result<(), String> {
        let started = self.pipeline.set_state(gst::State::Playing);
        started.map(drop).map_err(|_| self.error().unwrap_or("can't be played".into()))
    }

    /// The next frame; `None` at the end.
    fn next(&self) -> Result<Option<Record>, String> {
        loop {
            if let Some(sample) = self.sink.try_pull_sample(PATIENCE) {
                return read(&sample).map(Some);
            }
            if let Some(error) = self.error() {
                return Err(error);
            }
            if self.sink.is_eos() {
                return Ok(None);
            }
        }
    }

    /// How long the recording says that it is, ns.
    fn duration(&self) -> Option<u64> {
        self.pipeline.query_duration::<gst::ClockTime>().map(gst::ClockTime::nseconds)
    }

    /// The first error on the bus, in one line.
    fn error(&self) -> Option<String> {
        let bus = self.pipeline.bus().expect("a pipeline has a bus");
        let message = bus.pop_filtered(&[gst::MessageType::Error])?;
        let gst::MessageView::Error(e) = message.view() else { return None };
        Some(e.error().to_string().replace('\n', " "))
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        // Going down to NULL can't fail.
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

fn read(sample: &gst::Sample) -> Result<Record, String> {
    let buffer = sample.buffer().ok_or("a frame without data")?;
    let segment = sample.segment().and_then(|s| s.downcast_ref::<gst::ClockTime>());
    let time = buffer.pts().and_then(|pts| segment?.to_stream_time(pts)).or(buffer.pts());
    let crops = buffer.meta::<FaceCropMeta>().map(|m| m.shared_faces());
    let HeartRateMeta { derivative, faces } = HeartRateMeta::read(buffer).unwrap_or_default();
    Ok(Record {
        time: time.ok_or("frames without timestamps")?.nseconds(),
        faces,
        derivative,
        crops: crops.unwrap_or_else(|| Arc::new([])),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_at_the_end_counts_by_seconds_and_share() {
        let second = 1_000_000_000;
        let check = |last, duration: u64| check_end(last * second, Some(duration * second));
        assert!(check_end(0, None).is_ok());
        assert!(check(62, 60).is_ok() && check(8, 10).is_ok() && check(90, 100).is_ok());
        let error = check(7, 10).unwrap_err();
        assert_eq!(error, "cut off: its pictures end at 7.0 s of 10.0 s");
        assert!(check(89, 100).is_err());
    }
}
