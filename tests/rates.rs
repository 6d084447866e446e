//! The main job: a face with a known pulse goes in, its rate comes out.

mod common;

use common::{ELEMENTS, play, try_play};
use gst::prelude::*;

const RATES: [u32; 7] = [45, 60, 72, 100, 150, 200, 230];

/// Plays a face at each rate for 14 s at `fps` frames a second.
fn rates_at(fps: &str, frames: u32) {
    for bpm in RATES {
        let source = format!("pulsetestsrc bpm={bpm} num-buffers={frames}");
        let run = play(&format!("{source} ! video/x-raw,framerate={fps} ! {ELEMENTS}"));
        assert_eq!(run.frames.len(), frames as usize);
        run.assert_reads(&format!("{bpm} bpm at {fps}"), 10.0, 1.0);
    }
}

#[test]
fn at_15_frames_a_second() {
    rates_at("15/1", 210);
}

#[test]
fn at_24_frames_a_second() {
    rates_at("24/1", 336);
}

#[test]
fn at_29_97_frames_a_second() {
    rates_at("30000/1001", 420);
}

#[test]
fn at_30_frames_a_second() {
    rates_at("30/1", 420);
}

#[test]
fn at_60_frames_a_second() {
    rates_at("60/1", 840);
}

/// Drops a tenth of the frames and moves the timestamps by up to 5 ms, the same each time.
fn disturb(pipeline: &gst::Pipeline) {
    let pad = pipeline.by_name("source").unwrap().static_pad("src").unwrap();
    let rng = std::sync::Mutex::new(fastrand::Rng::with_seed(7));
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let mut rng = rng.lock().unwrap();
        if rng.f64() < 0.1 {
            return gst::PadProbeReturn::Drop;
        }
        let buffer = info.buffer_mut().expect("a buffer probe").make_mut();
        let jitter = gst::ClockTime::from_useconds(rng.u64(0..10_000));
        buffer.set_pts(buffer.pts().map(|pts| pts + jitter));
        gst::PadProbeReturn::Ok
    });
}

#[test]
fn with_missing_frames_and_jittered_timestamps() {
    for bpm in RATES {
        let source = format!("pulsetestsrc name=source bpm={bpm} num-buffers=420");
        let run = try_play(&format!("{source} ! {ELEMENTS}"), disturb);
        assert_eq!(run.error, None);
        assert!((350..400).contains(&run.frames.len()), "{} frames", run.frames.len());
        run.assert_reads(&format!("{bpm} bpm disturbed"), 10.0, 1.0);
    }
}

#[test]
fn a_ramp_is_followed() {
    for ramp in ["60>110@50", "150>100@50"] {
        let source = format!("pulsetestsrc bpm=\"{ramp}\" num-buffers=1500");
        let run = play(&format!("{source} ! {ELEMENTS}"));
        run.assert_reads(&format!("ramp {ramp}"), 10.0, 3.0);
    }
}
