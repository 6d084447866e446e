//! Whole pipelines of several cameras in one process. The cameras' pictures are rendered before, so
//! that only what comes behind a camera is measured.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use gst::prelude::*;
use gstheartrate::meta::HeartRateMeta;
use serde::Serialize;

use super::bench::{Args, backend_name, cpu_name};
use super::engine::PrecisionArg;
use super::measure::percentile_ms;
use super::usage::Usage;

/// Ten seconds at 30 frames/s of a pulse of 72 bpm: it repeats without a seam.
const LOOP: u64 = 300;
const BPM: f64 = 72.0;
/// Frames that each camera plays.
const FRAMES: u64 = 900;
const CAPS: &str = "video/x-raw,format=I420,width=640,height=480,framerate=30/1,colorimetry=bt601";

#[derive(Debug, Serialize)]
struct Report {
    cpu: String,
    backend: String,
    streams: u32,
    frames: u64,
    frames_per_second: f64,
    /// How many times faster than cameras of 30 frames/s.
    speed: f64,
    /// Milliseconds that a frame takes through the elements.
    p50_ms: f64,
    p99_ms: f64,
    cpu_ms_per_frame: f64,
    memory_mib: f64,
    /// Streams whose last reading is within 1 bpm.
    right: usize,
}

/// What a stream's probes note.
#[derive(Default)]
struct Notes {
    start: Option<Instant>,
    /// Seconds of each frame.
    times: Vec<f64>,
    bpm: Option<f64>,
}

pub fn run(args: &Args, streams: u32) -> Result<(), String> {
    gst::init().map_err(|e| e.to_string())?;
    gstheartrate::plugin_register_static().map_err(|e| e.to_string())?;
    let frames = render()?;
    let before = Usage::now();
    let pipeline = gst::Pipeline::new();
    let (sources, notes): (Vec<_>, Vec<_>) = (0..streams)
        .map(|_| stream(args, &pipeline))
        .collect::<Result<Vec<_>, String>>()?
        .into_iter()
        .unzip();
    let start = Instant::now();
    let ended = play(&pipeline, &frames, &sources);
    let seconds = start.elapsed().as_secs_f64();
    let cpu = Usage::now().cpu - before.cpu;
    let _ = pipeline.set_state(gst::State::Null);
    ended?;
    let total = FRAMES * u64::from(streams);
    let mut times = Vec::new();
    let mut right = 0;
    for notes in &notes {
        let mut notes = notes.lock().unwrap();
        times.append(&mut notes.times);
        right += usize::from(notes.bpm.is_some_and(|bpm| (bpm - BPM).abs() < 1.0));
    }
    times.sort_by(f64::total_cmp);
    let rate = total as f64 / seconds;
    print(
        args,
        &Report {
            cpu: cpu_name(),
            backend: backend(args).into(),
            streams,
            frames: total,
            frames_per_second: rate,
            speed: rate / 30.0 / f64::from(streams),
            p50_ms: percentile_ms(&times, 0.50),
            p99_ms: percentile_ms(&times, 0.99),
            cpu_ms_per_frame: cpu / total as f64 * 1e3,
            memory_mib: Usage::now().peak as f64 / f64::from(1 << 20),
            right,
        },
    )
}

fn backend(args: &Args) -> &'static str {
    args.backend.map_or("auto", |b| backend_name(b.get()))
}

/// The frames that all cameras share.
fn render() -> Result<Vec<gst::Buffer>, String> {
    let launch = format!(
        "pulsetestsrc bpm={BPM} num-buffers={LOOP} ! {CAPS} ! appsink name=sink sync=false"
    );
    let bin = gst::parse::launch(&launch).map_err(|e| e.to_string())?;
    let pipeline = bin.downcast::<gst::Pipeline>().map_err(|_| "no pipeline")?;
    let sink = pipeline.by_name("sink").and_then(|s| s.downcast::<gst_app::AppSink>().ok());
    let sink = sink.ok_or("no appsink")?;
    pipeline.set_state(gst::State::Playing).map_err(|e| e.to_string())?;
    let frames: Vec<_> = std::iter::from_fn(|| sink.pull_sample().ok()?.buffer_owned()).collect();
    pipeline.set_state(gst::State::Null).map_err(|e| e.to_string())?;
    Ok(frames)
}

/// Adds a camera and what comes behind it.
fn stream(
    args: &Args,
    pipeline: &gst::Pipeline,
) -> Result<(gst_app::AppSrc, Arc<Mutex<Notes>>), String> {
    let infer = gst::ElementFactory::make("hrnetinfer")
        .property("model", args.model.as_ref().map(|p| p.to_string_lossy().into_owned()))
        .property_from_str("backend", backend(args))
        .property_from_str(
            "precision",
            if args.precision == PrecisionArg::Fp16 { "fp16" } else { "fp32" },
        )
        .property("device-id", args.device)
        .build();
    let infer = infer.map_err(|e| e.to_string())?;
    let make = |name: &str| gst::ElementFactory::make(name).build().map_err(|e| e.to_string());
    let caps: gst::Caps = CAPS.parse().map_err(|_| "odd caps")?;
    let source = gst_app::AppSrc::builder()
        .caps(&caps)
        .format(gst::Format::Time)
        .max_buffers(2)
        .block(true)
        .build();
    let (crop, signal, sink) = (make("facecrop")?, make("ppg2bpm")?, make("fakesink")?);
    signal.set_property("post-messages", false);
    let chain = [source.upcast_ref(), &crop, &infer, &signal, &sink];
    pipeline.add_many(chain).map_err(|e| e.to_string())?;
    gst::Element::link_many(chain).map_err(|e| e.to_string())?;
    let notes = Arc::new(Mutex::new(Notes::default()));
    let note = notes.clone();
    probe(&crop, "sink", move |_| note.lock().unwrap().start = Some(Instant::now()))?;
    let note = notes.clone();
    probe(&signal, "src", move |buffer| {
        let mut notes = note.lock().unwrap();
        let seconds = notes.start.take().map(|s| s.elapsed().as_secs_f64());
        notes.times.extend(seconds);
        let face = HeartRateMeta::read(buffer).and_then(|m| m.faces.into_iter().next());
        notes.bpm = face.and_then(|f| f.bpm);
    })?;
    Ok((source, notes))
}

fn probe(
    element: &gst::Element,
    pad: &str,
    note: impl Fn(&gst::BufferRef) + Send + Sync + 'static,
) -> Result<(), String> {
    let pad = element.static_pad(pad).ok_or("no pad")?;
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let Some(buffer) = info.buffer() {
            note(buffer);
        }
        gst::PadProbeReturn::Ok
    });
    Ok(())
}

/// Plays all cameras, each as fast as its stream takes it.
fn play(
    pipeline: &gst::Pipeline,
    frames: &[gst::Buffer],
    sources: &[gst_app::AppSrc],
) -> Result<(), String> {
    let bus = pipeline.bus().ok_or("no bus")?;
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let started = pipeline.set_state(gst::State::Playing).is_ok();
    let message = thread::scope(|scope| {
        if !started {
            return bus.pop_filtered(&ends);
        }
        for source in sources {
            scope.spawn(|| feed(source, frames));
        }
        let message = bus.timed_pop_filtered(gst::ClockTime::NONE, &ends);
        // Sets free a camera whose stream has stopped.
        let _ = pipeline.set_state(gst::State::Null);
        message
    });
    match message.as_ref().map(|m| m.view()) {
        Some(gst::MessageView::Eos(_)) => Ok(()),
        Some(gst::MessageView::Error(error)) => Err(error.error().to_string()),
        _ => Err("the pipeline does not start".into()),
    }
}

/// Feeds a camera's frames, until its stream ends or refuses one.
fn feed(source: &gst_app::AppSrc, frames: &[gst::Buffer]) {
    for index in 0..FRAMES {
        let mut buffer = gst::Buffer::new();
        let Some(buf) = buffer.get_mut() else { return };
        let frame = &frames[(index % LOOP) as usize];
        if frame.copy_into(buf, gst::BufferCopyFlags::MEMORY, ..).is_err() {
            return;
        }
        buf.set_pts(gst::ClockTime::SECOND.mul_div_floor(index, 30));
        if source.push_buffer(buffer).is_err() {
            return;
        }
    }
    let _ = source.end_of_stream();
}

fn print(args: &Args, report: &Report) -> Result<(), String> {
    if args.json {
        println!("{}", serde_json::to_string_pretty(report).map_err(|e| e.to_string())?);
        return Ok(());
    }
    let line = |head: &str, text: String| println!("{head:24} {text}");
    line("processor", report.cpu.clone());
    line("backend", report.backend.clone());
    line("streams", format!("{}, 640x480, {} frames in all", report.streams, report.frames));
    line("frames/s", format!("{:.0}, {:.1} times 30 each", report.frames_per_second, report.speed));
    line("a frame", format!("p50 {:.2} ms, p99 {:.2} ms", report.p50_ms, report.p99_ms));
    line("CPU a frame", format!("{:.2} ms", report.cpu_ms_per_frame));
    line("peak memory", format!("{:.0} MiB, the frames' 138 included", report.memory_mib));
    line("right within 1 bpm", format!("{} of {}", report.right, report.streams));
    Ok(())
}
