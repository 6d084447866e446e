//! Plays a test picture, or the video file named on the command line, through the elements and
//! prints each face's heart rate once a second.
//!
//! `cargo run --release --example demo [VIDEO]`

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use gst::prelude::*;
use gstheartrate::meta::{HeartRateMessage, PulseTestMeta};

/// What plays where no video is named: two faces, half a minute.
const TEST_SOURCE: &str = "pulsetestsrc name=source bpm=72,95 motion=slight num-buffers=900";
const ELEMENTS: &str = "facecrop ! hrnetinfer ! ppg2bpm ! fakesink name=sink sync=false";

/// Readings at status ok of each face.
type Readings = BTreeMap<u32, Vec<f64>>;

fn main() -> ExitCode {
    match run(std::env::args().nth(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(video: Option<String>) -> Result<(), Box<dyn std::error::Error>> {
    gst::init()?;
    gstheartrate::plugin_register_static()?;
    let pipeline = build(video.as_deref())?;
    let truth = watch_truth(&pipeline);
    println!("{:>7} {:>5} {:>7} {:>7} {:>6}  status", "time", "face", "bpm", "SNR", "conf.");
    pipeline.set_state(gst::State::Playing)?;
    let readings = follow(&pipeline);
    pipeline.set_state(gst::State::Null)?;
    conclude(&readings?, &truth.lock().unwrap());
    Ok(())
}

fn build(video: Option<&str>) -> Result<gst::Pipeline, Box<dyn std::error::Error>> {
    let source = match video {
        Some(path) => {
            let path =
                std::path::Path::new(path).canonicalize().map_err(|e| format!("{path}: {e}"))?;
            let uri = gst::glib::filename_to_uri(&path, None)?;
            format!(
                "uridecodebin uri=\"{uri}\" ! queue ! videoflip video-direction=auto ! videoconvert"
            )
        }
        None => TEST_SOURCE.to_owned(),
    };
    let pipeline = gst::parse::launch(&format!("{source} ! {ELEMENTS}"))?;
    Ok(pipeline.downcast().expect("several elements make a pipeline"))
}

/// Notes the true rates that the test source writes on its buffers.
fn watch_truth(pipeline: &gst::Pipeline) -> Arc<Mutex<Vec<f64>>> {
    let truth = Arc::new(Mutex::new(Vec::new()));
    let pad = pipeline.by_name("sink").and_then(|s| s.static_pad("sink")).expect("sink is there");
    let seen = truth.clone();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let Some(meta) = info.buffer().and_then(|b| PulseTestMeta::read(b)) {
            *seen.lock().unwrap() = meta.faces.iter().map(|f| f.bpm).collect();
        }
        gst::PadProbeReturn::Ok
    });
    truth
}

/// Prints the messages until the end of the stream.
fn follow(pipeline: &gst::Pipeline) -> Result<Readings, Box<dyn std::error::Error>> {
    let mut readings = Readings::new();
    let bus = pipeline.bus().expect("a pipeline has a bus");
    for message in bus.iter_timed(gst::ClockTime::NONE) {
        match message.view() {
            gst::MessageView::Element(element) => {
                if let Some(message) = HeartRateMessage::read(element.message()) {
                    print_readings(&message, &mut readings);
                }
            }
            gst::MessageView::Error(error) => {
                let source = error.src().map(|s| s.path_string()).unwrap_or_default();
                return Err(format!("{source}: {}", error.error()).into());
            }
            gst::MessageView::Eos(_) => break,
            _ => (),
        }
    }
    Ok(readings)
}

/// Prints a line for each face of a message.
fn print_readings(message: &HeartRateMessage, readings: &mut Readings) {
    let time = message.stream_time.unwrap_or_default().mseconds() as f64 / 1e3;
    let number = |value: Option<f64>, digits: usize| match value {
        Some(value) => format!("{value:.digits$}"),
        None => "-".to_owned(),
    };
    for face in &message.faces {
        let reasons: Vec<_> = face.reasons.iter().map(|r| r.as_str()).collect();
        println!(
            "{time:6.1}s {:>5} {:>7} {:>4} dB {:>6}  {} {}",
            face.id,
            number(face.bpm, 1),
            number(face.snr, 1),
            number(face.confidence, 2),
            face.status.as_str(),
            reasons.join(", "),
        );
        readings.entry(face.id).or_default().extend(face.bpm);
    }
}

/// Says what was read, and what was true where that is known.
fn conclude(readings: &Readings, truth: &[f64]) {
    let read = readings.iter().filter(|(_, bpm)| !bpm.is_empty());
    for (id, bpm) in read {
        let mut sorted = bpm.clone();
        sorted.sort_by(f64::total_cmp);
        let median = sorted[sorted.len() / 2];
        println!("Face {id}: {median:.1} bpm (median of {} readings)", bpm.len());
    }
    if readings.values().all(Vec::is_empty) {
        println!("No reading that could be believed.");
    }
    if !truth.is_empty() {
        let rates: Vec<_> = truth.iter().map(|bpm| format!("{bpm:.1}")).collect();
        println!("True rates: {} bpm", rates.join(", "));
    }
}
