//! Cost of each element on 640×480 I420 that is already in memory, and memory over a long run.
//!
//! `cargo bench --bench pipeline` (or `make bench`) plays the same ten seconds of a test face over
//! and over, with more and more elements behind it, and prints CPU time (user and system of the
//! whole process), not wall-clock time.

use std::time::Duration;

use gst::prelude::*;

mod common;
use common::cpu_time;

/// Ten seconds at 30 frames/s of a pulse of 72 bpm: it repeats without a seam.
const LOOP: u64 = 300;

fn main() {
    gst::init().unwrap();
    gstheartrate::plugin_register_static().unwrap();
    let frames = render();
    let cost = |elements: &str, count| {
        let (cpu, _) = play(&frames, elements, count);
        cpu.as_secs_f64() * 1e3 / count as f64
    };
    let never = "facecrop detect-interval=3600000000000";
    let source = cost("identity", 6000);
    let crop = cost(never, 6000) - source;
    let detect = cost("facecrop", 3000) - source - crop;
    let infer = cost(&format!("{never} ! hrnetinfer"), 6000) - source - crop;
    let signal = cost(&format!("{never} ! hrnetinfer ! ppg2bpm"), 6000) - source - crop - infer;
    let whole = cost("facecrop ! hrnetinfer ! ppg2bpm", 6000) - source;
    println!("milliseconds of CPU a frame, 640x480 I420, one face, detection twice a second");
    for (name, value) in [
        ("facecrop without detection", crop),
        ("detection", detect),
        ("hrnetinfer", infer),
        ("ppg2bpm", signal),
    ] {
        println!(
            "{name:28} {value:7.3}  {:5.1} %",
            100.0 * value / (crop + detect + infer + signal)
        );
    }
    println!("{:28} {whole:7.3}  {:.0} frames per CPU-second", "all, in one run", 1e3 / whole);
    let (_, memory) = play(&frames, "facecrop ! hrnetinfer ! ppg2bpm", 20_000);
    println!("resident memory after 2 000, 10 000 and 20 000 frames: {memory:?} MiB");
}

/// Renders the frames that all runs share.
fn render() -> Vec<gst::Buffer> {
    let launch = format!(
        "pulsetestsrc bpm=72 num-buffers={LOOP} ! video/x-raw,format=I420,width=640,height=480 ! \
         appsink name=sink sync=false"
    );
    let pipeline = gst::parse::launch(&launch).unwrap().downcast::<gst::Pipeline>().unwrap();
    let sink = pipeline.by_name("sink").unwrap().downcast::<gst_app::AppSink>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let frames = std::iter::from_fn(|| sink.pull_sample().ok()?.buffer_owned()).collect();
    pipeline.set_state(gst::State::Null).unwrap();
    frames
}

/// Plays `count` frames through `elements`; returns the CPU time and the memory on the way.
fn play(frames: &[gst::Buffer], elements: &str, count: u64) -> (Duration, Vec<u64>) {
    let launch = format!("appsrc name=source format=time ! {elements} ! fakesink name=end");
    let pipeline = gst::parse::launch(&launch).unwrap().downcast::<gst::Pipeline>().unwrap();
    let source = pipeline.by_name("source").unwrap().downcast::<gst_app::AppSrc>().unwrap();
    let caps = "video/x-raw,format=I420,width=640,height=480,framerate=30/1,colorimetry=bt601";
    source.set_caps(Some(&caps.parse().unwrap()));
    source.set_max_buffers(2);
    source.set_block(true);
    pipeline.set_state(gst::State::Playing).unwrap();
    let start = cpu_time();
    let mut memory = Vec::new();
    for index in 0..count {
        let mut buffer = gst::Buffer::new();
        let buf = buffer.get_mut().unwrap();
        frames[(index % LOOP) as usize]
            .copy_into(buf, gst::BufferCopyFlags::MEMORY, ..)
            .expect("memory can be shared");
        buf.set_pts(gst::ClockTime::SECOND.mul_div_floor(index, 30));
        source.push_buffer(buffer).unwrap();
        if [2_000, 10_000, 19_999].contains(&index) {
            memory.push(resident_mib());
        }
    }
    source.end_of_stream().unwrap();
    let bus = pipeline.bus().unwrap();
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let end = bus.timed_pop_filtered(gst::ClockTime::NONE, &ends).unwrap();
    assert_eq!(end.type_(), gst::MessageType::Eos, "{end:?}");
    let cpu = cpu_time() - start;
    pipeline.set_state(gst::State::Null).unwrap();
    (cpu, memory)
}

/// Resident memory of this process.
fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has /proc");
    let line = status.lines().find(|l| l.starts_with("VmRSS")).expect("VmRSS is there");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024
}
