//! Plays a launch line to its end and keeps what stood on the buffers.

#![allow(dead_code)] // each test file uses its own part

use std::sync::{Arc, Mutex};

use gst::prelude::*;
use gstheartrate::meta::{Face, HeartRateMessage, HeartRateMeta, PulseTestMeta, Status, TrueFace};

/// The elements under test, in their order.
pub const ELEMENTS: &str = "facecrop ! hrnetinfer ! ppg2bpm";

/// What stood on one buffer.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The buffer's timestamp in seconds.
    pub time: f64,
    pub faces: Vec<Face>,
    pub truth: Vec<TrueFace>,
}

/// All that came out of a run.
#[derive(Clone, Debug, Default)]
pub struct Run {
    pub frames: Vec<Frame>,
    pub messages: Vec<HeartRateMessage>,
    pub warnings: Vec<String>,
    pub error: Option<String>,
}

pub fn init() {
    gst::init().unwrap();
    gstheartrate::plugin_register_static().unwrap();
}

/// Plays `launch` (without a sink) to its end; an error is a failure.
pub fn play(launch: &str) -> Run {
    let run = try_play(launch, |_| ());
    assert_eq!(run.error, None, "{launch}");
    run
}

/// Plays `launch` (without a sink), prepared by `prepare`, to its end or its error.
pub fn try_play(launch: &str, prepare: impl FnOnce(&gst::Pipeline)) -> Run {
    init();
    let launch = format!("{launch} ! fakesink name=end sync=false");
    let pipeline = gst::parse::launch(&launch).unwrap_or_else(|e| panic!("{launch}: {e}"));
    let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
    prepare(&pipeline);
    let frames = collect(&pipeline);
    let started = pipeline.set_state(gst::State::Playing);
    let mut run = follow(&pipeline, started.is_err());
    pipeline.set_state(gst::State::Null).unwrap();
    run.frames = std::mem::take(&mut frames.lock().unwrap());
    run
}

fn collect(pipeline: &gst::Pipeline) -> Arc<Mutex<Vec<Frame>>> {
    let frames = Arc::new(Mutex::new(Vec::new()));
    let kept = frames.clone();
    let pad = pipeline.by_name("end").unwrap().static_pad("sink").unwrap();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let buffer = info.buffer().expect("a buffer probe");
        kept.lock().unwrap().push(Frame {
            time: buffer.pts().map_or(f64::NAN, |t| t.nseconds() as f64 * 1e-9),
            faces: HeartRateMeta::read(buffer).map(|m| m.faces).unwrap_or_default(),
            truth: PulseTestMeta::read(buffer).map(|m| m.faces).unwrap_or_default(),
        });
        gst::PadProbeReturn::Ok
    });
    frames
}

fn follow(pipeline: &gst::Pipeline, failed: bool) -> Run {
    let mut run = Run::default();
    let bus = pipeline.bus().unwrap();
    let patience = gst::ClockTime::from_seconds(if failed { 1 } else { 240 });
    while let Some(message) = bus.timed_pop(patience) {
        match message.view() {
            gst::MessageView::Element(e) => {
                run.messages.extend(HeartRateMessage::read(e.message()))
            }
            gst::MessageView::Warning(w) => run.warnings.push(w.error().to_string()),
            gst::MessageView::Error(e) => {
                run.error = Some(format!("{} {:?}", e.error(), e.debug()));
                return run;
            }
            gst::MessageView::Eos(_) => return run,
            _ => (),
        }
    }
    panic!("neither the end nor an error came");
}

impl Frame {
    /// The true face whose centre is nearest to that of `face`.
    pub fn truth_of(&self, face: &Face) -> &TrueFace {
        let distance = |t: &&TrueFace| {
            (t.x + t.w / 2.0 - face.x - face.w / 2.0).hypot(t.y + t.h / 2.0 - face.y - face.h / 2.0)
        };
        let nearest = self.truth.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)));
        nearest.expect("the source writes its truth")
    }

    /// How many true faces lie within the picture.
    pub fn visible(&self) -> usize {
        let inside = |t: &&TrueFace| t.x > 0.0 && t.y > 0.0 && t.x + t.w < 1.0 && t.y + t.h < 1.0;
        self.truth.iter().filter(inside).count()
    }

    /// Readings at status ok, each with the true rate at this frame.
    pub fn readings(&self) -> impl Iterator<Item = (&Face, f64, f64)> {
        self.faces.iter().filter_map(|face| {
            let bpm = face.bpm?;
            assert_eq!(face.status, Status::Ok, "a rate only at status ok: {face:?}");
            Some((face, bpm, self.truth_of(face).bpm))
        })
    }
}

impl Run {
    /// Asserts that every frame from `from` seconds on has a reading for every true face, within
    /// `tolerance` bpm of the rate at that frame, and that the first came by 8 s.
    pub fn assert_reads(&self, what: &str, from: f64, tolerance: f64) {
        let first = self.frames.iter().find(|f| f.readings().next().is_some());
        let first = first.unwrap_or_else(|| panic!("{what}: no reading at all")).time;
        assert!(first <= 8.0, "{what}: first reading at {first} s");
        let mut worst: f64 = 0.0;
        for frame in self.frames.iter().filter(|f| f.time >= from) {
            let readings: Vec<_> = frame.readings().collect();
            assert_eq!(readings.len(), frame.truth.len(), "{what}: at {} s: {frame:?}", frame.time);
            for (_, bpm, truth) in readings {
                worst = worst.max((bpm - truth).abs());
                assert!(
                    (bpm - truth).abs() <= tolerance,
                    "{what}: {bpm} not {truth} at {} s",
                    frame.time
                );
            }
        }
        println!("{what}: first reading at {first:.1} s, worst error {worst:.2} bpm");
    }

    /// Asserts that no frame has a reading at status ok.
    pub fn assert_silent(&self, what: &str) {
        assert!(!self.frames.is_empty(), "{what}: nothing played");
        let ok: Vec<_> = self
            .frames
            .iter()
            .flat_map(|f| f.faces.iter().map(move |face| (f.time, face)))
            .filter(|(_, face)| face.status == Status::Ok || face.bpm.is_some())
            .map(|(time, face)| (time, face.bpm, face.confidence, face.snr))
            .collect();
        assert!(ok.is_empty(), "{what}: {} frames with a reading, first {:?}", ok.len(), ok[0]);
    }

    /// Ids of all faces seen, in the order of their first frame.
    pub fn ids(&self) -> Vec<u32> {
        let mut ids = Vec::new();
        for id in self.frames.iter().flat_map(|f| f.faces.iter().map(|face| face.id)) {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        ids
    }
}
