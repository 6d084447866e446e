//! The element bpm2json: lines, their times, their schema, and the sinks behind it.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

use gst::prelude::*;
use gst_check::Harness;
use gstheartrate::meta::{Face, HeartRateMeta, Reason, Status};
use serde_json::Value;

mod common;

const FRAME: u64 = 1_000_000_000 / 25;

/// A harness around the element, fed 25 frames/s, and what was pushed so far.
struct Bench {
    harness: Harness,
    bus: gst::Bus,
}

impl Bench {
    fn new(properties: &[(&str, &str)]) -> Bench {
        common::init();
        let mut element = gst::ElementFactory::make("bpm2json");
        for (name, value) in properties {
            element = element.property_from_str(name, value);
        }
        let element = element.build().unwrap();
        let bus = gst::Bus::new();
        element.set_bus(Some(&bus));
        let mut harness = Harness::with_element(&element, Some("sink"), Some("src"));
        harness.set_src_caps_str("video/x-raw,format=I420,width=64,height=48,framerate=25/1");
        Bench { harness, bus }
    }

    fn frame(index: u64, faces: &[Face]) -> gst::Buffer {
        let mut buffer = gst::Buffer::with_size(64 * 48 * 3 / 2).unwrap();
        let buf = buffer.get_mut().unwrap();
        buf.set_pts(gst::ClockTime::from_nseconds(index * FRAME));
        HeartRateMeta { derivative: true, faces: faces.to_vec() }.write(buf);
        buffer
    }

    /// Pushes frames `range` with `faces`; returns the lines with the time of their buffers.
    fn play(&mut self, range: std::ops::Range<u64>, faces: &[Face]) -> Vec<(u64, Value)> {
        for index in range {
            self.harness.push(Bench::frame(index, faces)).unwrap();
        }
        self.lines()
    }

    fn lines(&mut self) -> Vec<(u64, Value)> {
        let mut lines = Vec::new();
        while let Some(buffer) = self.harness.try_pull() {
            let text = String::from_utf8(buffer.map_readable().unwrap().to_vec()).unwrap();
            assert_eq!(text.matches('\n').count(), 1, "one line a buffer");
            assert!(text.ends_with('\n'));
            assert_eq!(buffer.duration(), Some(gst::ClockTime::from_nseconds(FRAME)));
            let time = buffer.pts().unwrap().nseconds();
            lines.push((time / FRAME, serde_json::from_str(&text).unwrap()));
        }
        lines
    }

    fn events(&mut self) -> Vec<gst::Event> {
        std::iter::from_fn(|| self.harness.try_pull_event()).collect()
    }
}

fn face(id: u32) -> Face {
    Face {
        id,
        x: 0.1,
        y: 0.2,
        w: 0.3,
        h: 0.4,
        ppg: Some(-0.5),
        ppg_interval: Some(gst::ClockTime::from_nseconds(FRAME)),
        ..Face::default()
    }
}

fn ok(id: u32, bpm: f64) -> Face {
    let (bpm, confidence, snr) = (Some(bpm), Some(0.875), Some(6.5));
    let window = gst::ClockTime::from_seconds(10);
    Face { bpm, confidence, snr, status: Status::Ok, window, ..face(id) }
}

fn indices(lines: &[(u64, Value)]) -> Vec<u64> {
    lines.iter().map(|(index, _)| *index).collect()
}

#[test]
fn a_line_a_second_and_one_at_the_end() {
    let mut bench = Bench::new(&[("stream-name", "door")]);
    let mut lines = bench.play(0..60, &[ok(3, 72.5)]);
    bench.harness.push_event(gst::event::Eos::new());
    lines.extend(bench.lines());
    assert_eq!(indices(&lines), [0, 25, 50, 59]);
    let expected = serde_json::json!({
        "version": 1, "stream": "door",
        "timestamp": 25 * FRAME, "stream-time": 25 * FRAME, "running-time": 25 * FRAME,
        "width": 64, "height": 48,
        "faces": [{
            "id": 3, "x": 0.1, "y": 0.2, "w": 0.3, "h": 0.4, "ppg": -0.5, "ppg-interval": FRAME,
            "bpm": 72.5, "confidence": 0.875, "snr": 6.5, "status": "ok", "reasons": [],
            "window": 10_000_000_000u64
        }]
    });
    assert_eq!(lines[1].1, expected);
}

#[test]
fn a_last_line_is_not_said_twice() {
    let mut bench = Bench::new(&[]);
    assert_eq!(indices(&bench.play(0..26, &[])), [0, 25]);
    bench.harness.push_event(gst::event::Eos::new());
    assert!(bench.lines().is_empty());
    let mut empty = Bench::new(&[]);
    empty.harness.push_event(gst::event::Eos::new());
    assert!(empty.lines().is_empty());
}

#[test]
fn modes_change_and_frame() {
    let mut bench = Bench::new(&[("mode", "change")]);
    assert_eq!(indices(&bench.play(0..10, &[])), [0]);
    assert_eq!(indices(&bench.play(10..20, &[face(1)])), [10]);
    assert_eq!(indices(&bench.play(20..30, &[ok(1, 72.0)])), [20]);
    assert_eq!(indices(&bench.play(30..40, &[ok(1, 72.3)])), [0; 0]);
    assert_eq!(indices(&bench.play(40..50, &[ok(1, 74.0)])), [40]);
    let mut bench = Bench::new(&[("mode", "frame")]);
    assert_eq!(indices(&bench.play(0..5, &[])), [0, 1, 2, 3, 4]);
    let mut bench = Bench::new(&[("interval", "200000000")]);
    assert_eq!(indices(&bench.play(0..11, &[])), [0, 5, 10]);
}

#[test]
fn caps_are_json_and_silence_is_gaps() {
    let mut bench = Bench::new(&[]);
    bench.play(0..26, &[]);
    let events = bench.events();
    let caps: Vec<_> = events
        .iter()
        .filter_map(|e| match e.view() {
            gst::EventView::Caps(caps) => Some(caps.caps().to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(caps, ["application/x-json"]);
    let gaps: Vec<_> = events
        .iter()
        .filter_map(|e| match e.view() {
            gst::EventView::Gap(gap) => Some(gap.get()),
            _ => None,
        })
        .collect();
    assert_eq!(gaps.len(), 24, "all frames but the first and the last");
    let frame = gst::ClockTime::from_nseconds(FRAME);
    assert_eq!(gaps[0], (frame, Some(frame)));
    assert_eq!(bench.harness.query_latency(), Some(gst::ClockTime::ZERO));
}

#[test]
fn times_follow_the_segment_and_a_flush_starts_anew() {
    let mut bench = Bench::new(&[]);
    bench.play(0..5, &[]);
    bench.harness.push_event(gst::event::FlushStart::new());
    bench.harness.push_event(gst::event::FlushStop::new(true));
    let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
    segment.set_start(gst::ClockTime::from_nseconds(100 * FRAME));
    segment.set_time(gst::ClockTime::from_seconds(60));
    segment.set_base(gst::ClockTime::from_seconds(7));
    bench.harness.push_event(gst::event::Segment::new(&segment));
    let lines = bench.play(101..104, &[]);
    assert_eq!(indices(&lines), [101]);
    let time = |name: &str| lines[0].1[name].as_u64().unwrap();
    assert_eq!(time("timestamp"), 101 * FRAME);
    assert_eq!(time("stream-time"), 60_000_000_000 + FRAME);
    assert_eq!(time("running-time"), 7_000_000_000 + FRAME);
}

#[test]
fn what_can_not_be_read_is_told_once() {
    let mut bench = Bench::new(&[("mode", "frame")]);
    for index in 0..3 {
        let mut buffer = Bench::frame(index, &[face(1)]);
        let buf = buffer.get_mut().unwrap();
        let mut meta = gst::meta::CustomMeta::from_mut_buffer(buf, "HeartRateMeta").unwrap();
        meta.mut_structure().set("faces", 7);
        bench.harness.push(buffer).unwrap();
    }
    let lines = bench.lines();
    assert_eq!(indices(&lines), [0, 1, 2]);
    assert!(lines.iter().all(|(_, line)| line["faces"] == serde_json::json!([])));
    let warnings = std::iter::from_fn(|| bench.bus.pop_filtered(&[gst::MessageType::Warning]));
    assert_eq!(warnings.count(), 1);
}

/// Validates `lines` with Python's jsonschema; returns how many there are.
fn validate(lines: &str) -> usize {
    let root = env!("CARGO_MANIFEST_DIR");
    let mut child = Command::new("/usr/bin/python3")
        .arg(format!("{root}/tests/validate_json.py"))
        .arg(format!("{root}/docs/bpm2json.schema.json"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3 is there");
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

#[test]
fn lines_are_of_the_schema() {
    let mut bench = Bench::new(&[("mode", "frame")]);
    let reasons = Reason::ALL.into_iter().collect();
    let odd = [
        Face { status: Status::Weak, reasons, ..face(u32::MAX) },
        Face { ppg: Some(f64::NAN), snr: Some(f64::NEG_INFINITY), ..ok(2, f64::INFINITY) },
        Face { y: f64::INFINITY, ..face(3) },
        Face { confidence: Some(1.5), ..ok(5, 70.0) },
        Face { status: Status::Lost, x: -0.25, ..face(4) },
    ];
    let mut lines = bench.play(0..2, &odd);
    lines.extend(bench.play(2..4, &[ok(1, 71.0), ok(2, 90.5)]));
    let text: String = lines.iter().map(|(_, line)| format!("{line}\n")).collect();
    assert_eq!(validate(&text), 4);
    let ids: Vec<_> = lines[0].1["faces"].as_array().unwrap().iter().map(|f| &f["id"]).collect();
    assert_eq!(ids, [&Value::from(u32::MAX), &2.into(), &5.into(), &4.into()]);
}

/// Plays a test face through everything into `sink`, a launch line.
fn pipeline(frames: u32, sink: &str) -> gst::Pipeline {
    common::init();
    let launch = format!(
        "pulsetestsrc bpm=72 num-buffers={frames} ! video/x-raw,width=320,height=240 ! {} ! \
         bpm2json stream-name=test ! {sink}",
        common::ELEMENTS
    );
    gst::parse::launch(&launch).unwrap().downcast().unwrap()
}

fn play_to_end(pipeline: &gst::Pipeline) {
    pipeline.set_state(gst::State::Playing).unwrap();
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let patience = gst::ClockTime::from_seconds(120);
    let end = pipeline.bus().unwrap().timed_pop_filtered(patience, &ends).expect("an end");
    assert_eq!(end.type_(), gst::MessageType::Eos, "{end:?}");
    pipeline.set_state(gst::State::Null).unwrap();
}

#[test]
fn a_file_of_a_whole_run_is_of_the_schema_and_has_the_rate() {
    let path = std::env::temp_dir().join(format!("bpm2json-{}.jsonl", std::process::id()));
    play_to_end(&pipeline(360, &format!("filesink location={}", path.display())));
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(validate(&text), 13, "seconds 0 to 11, and the end");
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert!((last["faces"][0]["bpm"].as_f64().unwrap() - 72.0).abs() < 1.0, "{last}");
    let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert!(first["faces"].as_array().unwrap().iter().all(|f| f.get("bpm").is_none()), "{first}");
}

/// What an app does that reads the pipe while the pipeline runs: whole lines, as they come.
#[test]
fn a_pipe_gives_whole_lines_while_the_pipeline_runs() {
    use std::os::fd::AsRawFd;
    let (reader, writer) = std::io::pipe().unwrap();
    let pipeline = pipeline(90, &format!("fdsink fd={} sync=true", writer.as_raw_fd()));
    pipeline.set_state(gst::State::Playing).unwrap();
    let mut reader = BufReader::new(reader);
    for second in 0..3u64 {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert_eq!(validate(&line), 1);
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["stream-time"], second * 1_000_000_000);
        let end = pipeline.bus().unwrap().pop_filtered(&[gst::MessageType::Eos]);
        assert!(end.is_none(), "the line of second {second} came while it ran");
    }
    let end = [gst::MessageType::Eos];
    pipeline.bus().unwrap().timed_pop_filtered(gst::ClockTime::from_seconds(60), &end).unwrap();
    pipeline.set_state(gst::State::Null).unwrap();
    drop(writer);
    let mut rest = String::new();
    reader.read_to_string(&mut rest).unwrap();
    assert_eq!(validate(&rest), 1, "the end");
}

#[test]
fn a_socket_gives_whole_lines() {
    let sink = "tcpserversink name=server host=127.0.0.1 port=0 sync=false recover-policy=keyframe";
    let pipeline = pipeline(90, sink);
    let server = pipeline.by_name("server").unwrap();
    pipeline.set_state(gst::State::Paused).unwrap();
    let port = (0..500).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        Some(server.property::<i32>("current-port")).filter(|p| *p > 0)
    });
    let socket = std::net::TcpStream::connect(("127.0.0.1", port.expect("a port") as u16)).unwrap();
    let handles = || server.property::<u32>("num-handles");
    assert!((0..500).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        handles() == 1
    }));
    socket.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let mut socket = BufReader::new(socket);
    let mut text = String::new();
    for _ in 0..4 {
        socket.read_line(&mut text).unwrap();
    }
    assert_eq!(validate(&text), 4, "seconds 0 to 2, and the end");
    pipeline.set_state(gst::State::Null).unwrap();
}
