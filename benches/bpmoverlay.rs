//! What bpmoverlay costs at 1920×1080, 30 frames/s: a minute of frames with two faces whose pulse
//! and rate go on, with and without it.
//!
//! `cargo bench --bench bpmoverlay` prints CPU time (user and system of the whole process) a
//! frame, and as a share of one core at 30 frames/s.

use gst::prelude::*;
use gstheartrate::meta::{Face, HeartRateMeta, Status};

mod common;
use common::cpu_time;

const FRAMES: u64 = 1800;
const FPS: u64 = 30;
/// The sink that blends for itself is stood in for by one that says so.
const SINKS: [(&str, bool); 2] = [("blended", false), ("attached", true)];

fn main() {
    gst::init().unwrap();
    gstheartrate::plugin_register_static().unwrap();
    for format in ["I420", "NV12", "BGRx"] {
        let without = play(format, "identity", false);
        for (name, attach) in SINKS {
            let cost = (play(format, "bpmoverlay", attach) - without) / FRAMES as f64;
            println!(
                "1080p30 {format} {name:9} {:6.3} ms a frame, {:5.2} % of a core",
                cost * 1e3,
                cost * FPS as f64 * 100.0
            );
        }
    }
}

/// Seconds of CPU of one run.
fn play(format: &str, element: &str, attach: bool) -> f64 {
    let launch = format!(
        "videotestsrc pattern=red num-buffers={FRAMES} ! \
         video/x-raw,format={format},width=1920,height=1080,framerate={FPS}/1 ! \
         identity name=faces ! {element} ! fakesink name=end sync=false"
    );
    let pipeline = gst::parse::launch(&launch).unwrap().downcast::<gst::Pipeline>().unwrap();
    let pad = pipeline.by_name("faces").unwrap().static_pad("src").unwrap();
    pad.add_probe(gst::PadProbeType::BUFFER, |_, info| {
        let buffer = info.buffer_mut().expect("a buffer probe").make_mut();
        let time = buffer.pts().expect("videotestsrc counts").nseconds() as f64 * 1e-9;
        HeartRateMeta { derivative: true, faces: vec![face(1, time), face(2, time)] }.write(buffer);
        gst::PadProbeReturn::Ok
    });
    if attach {
        let pad = pipeline.by_name("end").unwrap().static_pad("sink").unwrap();
        pad.add_probe(gst::PadProbeType::QUERY_DOWNSTREAM, |_, info| {
            if let Some(gst::QueryViewMut::Allocation(query)) =
                info.query_mut().map(|q| q.view_mut())
            {
                query.add_allocation_meta::<gst_video::VideoOverlayCompositionMeta>(None);
                return gst::PadProbeReturn::Handled;
            }
            gst::PadProbeReturn::Ok
        });
    }
    let start = cpu_time();
    pipeline.set_state(gst::State::Playing).unwrap();
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let end = pipeline.bus().unwrap().timed_pop_filtered(gst::ClockTime::NONE, &ends).unwrap();
    assert_eq!(end.type_(), gst::MessageType::Eos, "{end:?}");
    pipeline.set_state(gst::State::Null).unwrap();
    (cpu_time() - start).as_secs_f64()
}

/// A face of 400 × 500 pixels that sways by a few pixels, with a rate that changes now and then.
fn face(id: u32, time: f64) -> Face {
    let sway = (time * 0.7).sin() * 0.004;
    Face {
        id,
        x: 0.15 + 0.4 * f64::from(id - 1) + sway,
        y: 0.3,
        w: 0.21,
        h: 0.46,
        ppg: Some((time * 7.5).cos()),
        ppg_interval: Some(gst::ClockTime::SECOND / FPS),
        bpm: (time > 6.0).then(|| 72.0 + (time * 0.2).sin() * 3.0),
        confidence: Some((time / 10.0).min(0.95)),
        status: if time > 6.0 { Status::Ok } else { Status::Measuring },
        ..Face::default()
    }
}
