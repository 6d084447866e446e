//! Watches heart rates: composes the elements, reads the metadata of every frame, and reacts to the
//! messages by saying when a rate leaves a range.
//!
//! `cargo run --release --example alert LOW HIGH [LAUNCH LINE OF A SOURCE]`

use std::collections::BTreeSet;
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gst::prelude::*;
use gstheartrate::meta::{HeartRateMessage, HeartRateMeta};

/// What plays where no source is named: a pulse that rises by 2 beats a minute each second.
const TEST_SOURCE: &str = "pulsetestsrc bpm=80>120@20 num-buffers=750";

/// The elements behind the source, in their order.
const ELEMENTS: [&str; 4] = ["facecrop", "hrnetinfer", "ppg2bpm", "fakesink"];

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<(), Box<dyn Error>> {
    let [low, high, source @ ..] = args else {
        return Err("usage: alert LOW HIGH [LAUNCH LINE OF A SOURCE]".into());
    };
    let mut watch = Watch { low: low.parse()?, high: high.parse()?, outside: BTreeSet::new() };
    gst::init()?;
    gstheartrate::plugin_register_static()?;
    let pipeline = build(source.first().map_or(TEST_SOURCE, String::as_str))?;
    let counts = count_frames(&pipeline);
    pipeline.set_state(gst::State::Playing)?;
    let end = follow(&pipeline, &mut watch);
    pipeline.set_state(gst::State::Null)?;
    end?;
    let [frames, samples] = [&counts.frames, &counts.samples].map(|n| n.load(Ordering::Relaxed));
    println!("{frames} frames, {samples} pulse samples");
    Ok(())
}

fn build(source: &str) -> Result<gst::Pipeline, Box<dyn Error>> {
    let pipeline = gst::Pipeline::new();
    let source =
        gst::parse::bin_from_description(&format!("{source} ! videoconvert"), true)?.upcast();
    let mut chain = vec![source];
    for name in ELEMENTS {
        chain.push(gst::ElementFactory::make(name).name(name).build()?);
    }
    pipeline.add_many(&chain)?;
    gst::Element::link_many(&chain)?;
    Ok(pipeline)
}

#[derive(Default)]
struct Counts {
    frames: AtomicUsize,
    samples: AtomicUsize,
}

/// Counts, in the streaming thread, the frames with results and the pulse samples on them.
fn count_frames(pipeline: &gst::Pipeline) -> Arc<Counts> {
    let counts = Arc::new(Counts::default());
    let kept = counts.clone();
    let sink = pipeline.by_name("fakesink").expect("build has made it");
    let pad = sink.static_pad("sink").expect("a sink has one");
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let Some(meta) = info.buffer().and_then(|buffer| HeartRateMeta::read(buffer)) {
            let samples = meta.faces.iter().filter(|face| face.ppg.is_some()).count();
            kept.frames.fetch_add(1, Ordering::Relaxed);
            kept.samples.fetch_add(samples, Ordering::Relaxed);
        }
        gst::PadProbeReturn::Ok
    });
    counts
}

/// Hands the messages to `watch` until the end of the stream.
fn follow(pipeline: &gst::Pipeline, watch: &mut Watch) -> Result<(), Box<dyn Error>> {
    let bus = pipeline.bus().expect("a pipeline has a bus");
    for message in bus.iter_timed(gst::ClockTime::NONE) {
        match message.view() {
            gst::MessageView::Element(element) => {
                if let Some(message) = HeartRateMessage::read(element.message()) {
                    watch.react(&message);
                }
            }
            gst::MessageView::Error(error) => return Err(error.error().to_string().into()),
            gst::MessageView::Eos(_) => break,
            _ => (),
        }
    }
    Ok(())
}

/// A range of rates, and who is outside of it.
struct Watch {
    low: f64,
    high: f64,
    /// Ids of the faces that were told.
    outside: BTreeSet<u32>,
}

impl Watch {
    fn react(&mut self, message: &HeartRateMessage) {
        let time = message.stream_time.unwrap_or_default().mseconds() as f64 / 1e3;
        for face in &message.faces {
            if let Some(bpm) = face.bpm {
                println!("{time:6.1} s  face {}  {bpm:.1} bpm", face.id);
                self.judge(face.id, bpm);
            }
        }
    }

    fn judge(&mut self, id: u32, bpm: f64) {
        if (self.low..=self.high).contains(&bpm) {
            self.outside.remove(&id);
        } else if self.outside.insert(id) {
            let side = if bpm > self.high { "above" } else { "below" };
            println!("ALERT: face {id}: {side} the range");
        }
    }
}
