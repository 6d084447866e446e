//! The element ppg2bpm: what stands on the buffers and on the bus.

use std::f64::consts::TAU;

use gst::prelude::*;
use gst_check::Harness;
use gst_video::VideoRegionOfInterestMeta;
use gstheartrate::meta::{Face, HeartRateMeta, Reason, Status};

const FPS: u64 = 30;

fn init() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        gst::init().unwrap();
        gstheartrate::plugin_register_static().unwrap();
    });
}

/// A harness around the element, and the bus that it posts to.
struct Bench {
    harness: Harness,
    bus: gst::Bus,
}

impl Bench {
    fn new(properties: &[(&str, &str)]) -> Bench {
        init();
        let mut element = gst::ElementFactory::make("ppg2bpm");
        for (name, value) in properties {
            element = element.property_from_str(name, value);
        }
        let element = element.build().unwrap();
        let bus = gst::Bus::new();
        element.set_bus(Some(&bus));
        let mut harness = Harness::with_element(&element, Some("sink"), Some("src"));
        harness.set_src_caps_str("video/x-raw,format=I420,width=64,height=64,framerate=30/1");
        Bench { harness, bus }
    }

    /// Pushes one buffer with `faces` and returns what came out.
    fn push(&mut self, pts: Option<u64>, faces: Vec<Face>) -> gst::Buffer {
        let mut buffer = gst::Buffer::with_size(64 * 64 * 3 / 2).unwrap();
        {
            let buffer = buffer.get_mut().unwrap();
            buffer.set_pts(pts.map(gst::ClockTime::from_nseconds));
            if !faces.is_empty() {
                HeartRateMeta { derivative: true, faces }.write(buffer);
            }
        }
        self.harness.push_and_pull(buffer).unwrap()
    }

    /// Pushes frames `from..to` with the faces (id, bpm).
    fn play(&mut self, from: u64, to: u64, faces: &[(u32, f64)]) -> Option<HeartRateMeta> {
        let mut last = None;
        for i in from..to {
            let faces = faces.iter().map(|(id, bpm)| face(*id, *bpm, i)).collect();
            last = HeartRateMeta::read(&self.push(Some(time(i)), faces));
        }
        last
    }

    /// The messages posted since the last call.
    fn messages(&self) -> Vec<gst::Structure> {
        let mut messages = Vec::new();
        while let Some(message) = self.bus.pop_filtered(&[gst::MessageType::Element]) {
            let structure = message.structure().unwrap();
            assert_eq!(structure.name(), "heart-rate");
            messages.push(structure.to_owned());
        }
        messages
    }

    fn warnings(&self) -> usize {
        std::iter::from_fn(|| self.bus.pop_filtered(&[gst::MessageType::Warning])).count()
    }
}

fn time(frame: u64) -> u64 {
    frame * 1_000_000_000 / FPS
}

/// A face with the sample of frame `i` of a pulse of `bpm`.
fn face(id: u32, bpm: f64, i: u64) -> Face {
    let wave = |i: f64| (TAU * bpm / 60.0 * i / FPS as f64).sin();
    Face {
        id,
        x: 0.1,
        y: 0.2,
        w: 0.3,
        h: 0.4,
        ppg: Some((wave(i as f64) - wave(i as f64 - 1.0)) * FPS as f64),
        ppg_interval: Some(gst::ClockTime::from_nseconds(time(1))),
        ..Face::default()
    }
}

fn faces(message: &gst::Structure) -> Vec<gst::Structure> {
    let array = message.get::<gst::Array>("faces").unwrap();
    array.iter().map(|v| v.get::<gst::Structure>().unwrap()).collect()
}

#[test]
fn messages_come_every_second_with_their_times_and_the_rate() {
    let mut bench = Bench::new(&[]);
    let meta = bench.play(0, 301, &[(3, 72.0)]).unwrap();
    let messages = bench.messages();
    assert_eq!(messages.len(), 10);
    for (i, message) in messages.iter().enumerate() {
        let expected = (i as u64 + 1) * 1_000_000_000;
        for field in ["timestamp", "stream-time", "running-time"] {
            assert_eq!(message.get::<u64>(field).unwrap(), expected, "{field}");
        }
        let faces = faces(message);
        assert_eq!(faces.len(), 1);
        assert_eq!(faces[0].get::<u32>("id").unwrap(), 3);
        let (status, bpm) = (faces[0].get::<&str>("status").unwrap(), faces[0].get::<f64>("bpm"));
        assert_eq!(status == "ok", bpm.is_ok());
        if i < 4 {
            assert_eq!(status, "measuring");
        }
        if i >= 7 {
            assert!((bpm.expect("a reading after 8 s") - 72.0).abs() < 1.0, "{faces:?}");
        }
    }
    let face = &meta.faces[0];
    assert_eq!(face.status, Status::Ok);
    assert!((face.bpm.unwrap() - 72.0).abs() < 0.3);
    assert!(face.snr.unwrap() > 20.0 && face.confidence.unwrap() > 0.9);
    assert_eq!(face.window, gst::ClockTime::from_seconds(10));
    // What was there stays.
    assert!(meta.derivative && face.ppg.is_some() && face.x == 0.1);
}

#[test]
fn two_faces_are_kept_apart_and_one_that_leaves_is_lost_once() {
    let mut bench = Bench::new(&[]);
    let both = [(1, 60.0), (2, 95.0)];
    let meta = bench.play(0, 360, &both).unwrap();
    assert!((meta.faces[0].bpm.unwrap() - 60.0).abs() < 0.5);
    assert!((meta.faces[1].bpm.unwrap() - 95.0).abs() < 0.5);
    bench.messages();
    let meta = bench.play(360, 361, &both[..1]).unwrap();
    assert_eq!(meta.faces.len(), 2);
    assert_eq!((meta.faces[1].id, meta.faces[1].status), (2, Status::Lost));
    assert_eq!(meta.faces[1].bpm, None);
    let meta = bench.play(361, 421, &both[..1]).unwrap();
    assert_eq!(meta.faces.len(), 1);
    let messages = bench.messages();
    let counts: Vec<_> = messages.iter().map(|m| faces(m).len()).collect();
    assert_eq!(counts, [2, 1, 1]);
    assert_eq!(faces(&messages[0])[1].get::<&str>("status").unwrap(), "lost");
    // Two seconds later it is back: its window starts anew, its rate is found again.
    let meta = bench.play(421, 660, &both).unwrap();
    assert!((meta.faces[0].bpm.unwrap() - 60.0).abs() < 0.5);
    assert!((meta.faces[1].bpm.unwrap() - 95.0).abs() < 1.0);
    assert!(meta.faces[1].window < gst::ClockTime::from_seconds(8));
}

#[test]
fn without_faces_there_is_one_more_message_and_then_silence() {
    let mut bench = Bench::new(&[]);
    bench.play(0, 45, &[(1, 70.0)]);
    assert_eq!(bench.messages().len(), 1);
    assert_eq!(bench.play(45, 46, &[]).unwrap().faces[0].status, Status::Lost);
    assert_eq!(bench.play(46, 300, &[]), None);
    let messages = bench.messages();
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].get::<u64>("timestamp").unwrap(), 2_000_000_000);
    assert_eq!(faces(&messages[0])[0].get::<&str>("status").unwrap(), "lost");
}

#[test]
fn regions_of_the_face_get_the_result() {
    let mut bench = Bench::new(&[]);
    bench.play(0, 240, &[(5, 80.0)]);
    let mut buffer = gst::Buffer::with_size(6144).unwrap();
    {
        let buffer = buffer.get_mut().unwrap();
        buffer.set_pts(gst::ClockTime::from_nseconds(time(240)));
        HeartRateMeta { derivative: true, faces: vec![face(5, 80.0, 240)] }.write(buffer);
        // The place tells, not the number: upstream's regions have their own.
        VideoRegionOfInterestMeta::add(buffer, "face", (6, 13, 19, 26)).set_id(6);
        VideoRegionOfInterestMeta::add(buffer, "face", (40, 13, 19, 26)).set_id(5);
    }
    let buffer = bench.harness.push_and_pull(buffer).unwrap();
    let params: Vec<Vec<gst::Structure>> = buffer
        .iter_meta::<VideoRegionOfInterestMeta>()
        .map(|m| m.params().map(|p| p.to_owned()).collect())
        .collect();
    assert!(params[1].is_empty());
    assert_eq!(params[0][0].name(), "heart-rate");
    assert!((params[0][0].get::<f64>("bpm").unwrap() - 80.0).abs() < 1.0);
    assert_eq!(params[0][0].get::<&str>("status").unwrap(), "ok");
}

/// Whether the face measures from the start after `disturb`, having had a reading before.
fn starts_anew(disturb: impl FnOnce(&mut Bench) -> u64) -> bool {
    let mut bench = Bench::new(&[]);
    assert_eq!(bench.play(0, 301, &[(1, 72.0)]).unwrap().faces[0].status, Status::Ok);
    let next = disturb(&mut bench);
    let meta = bench.play(next, next + 31, &[(1, 72.0)]).unwrap();
    let face = &meta.faces[0];
    let anew = face.window < gst::ClockTime::from_seconds(2);
    assert_eq!(face.bpm.is_none(), anew, "{face:?}");
    assert_eq!(face.reasons.contains(Reason::ShortWindow), anew);
    anew
}

#[test]
fn state_is_reset_where_it_must_be_and_nowhere_else() {
    assert!(!starts_anew(|_| 301));
    assert!(starts_anew(|bench| {
        bench.harness.element().unwrap().emit_by_name::<()>("reset", &[]);
        301
    }));
    assert!(starts_anew(|bench| {
        bench.harness.push_event(gst::event::FlushStart::new());
        bench.harness.push_event(gst::event::FlushStop::new(true));
        let segment = gst::FormattedSegment::<gst::ClockTime>::new();
        bench.harness.push_event(gst::event::Segment::new(&segment));
        301
    }));
    // Time that goes back; a hole of two seconds; one of half a second.
    assert!(starts_anew(|_| 100));
    assert!(starts_anew(|_| 361));
    assert!(!starts_anew(|_| 316));
    // A new frame rate in the caps.
    assert!(!starts_anew(|bench| {
        bench.harness.set_src_caps_str("video/x-raw,format=I420,width=32,height=32,framerate=15/1");
        301
    }));
}

#[test]
fn without_timestamps_frames_are_counted_and_one_warning_is_given() {
    let mut bench = Bench::new(&[]);
    let mut last = None;
    for i in 0..240 {
        last = HeartRateMeta::read(&bench.push(None, vec![face(1, 66.0, i)]));
    }
    assert!((last.unwrap().faces[0].bpm.unwrap() - 66.0).abs() < 1.0);
    assert_eq!(bench.warnings(), 1);
}

#[test]
fn without_timestamps_and_frame_rate_there_is_no_reading() {
    let mut bench = Bench::new(&[]);
    bench.harness.set_src_caps_str("video/x-raw,format=I420,width=64,height=64");
    for i in 0..200 {
        let meta = HeartRateMeta::read(&bench.push(None, vec![face(1, 66.0, i)])).unwrap();
        assert_eq!((meta.faces[0].bpm, meta.faces[0].status), (None, Status::Weak));
        assert!(meta.faces[0].reasons.contains(Reason::LowFramerate));
    }
    assert_eq!(bench.warnings(), 1);
    assert!(bench.messages().is_empty());
}

#[test]
fn settings_are_obeyed() {
    let mut bench = Bench::new(&[("post-messages", "false")]);
    bench.play(0, 60, &[(1, 70.0)]);
    assert!(bench.messages().is_empty());

    let mut bench = Bench::new(&[("interval", "500000000"), ("min-confidence", "1")]);
    let meta = bench.play(0, 301, &[(1, 70.0)]).unwrap();
    assert_eq!(bench.messages().len(), 20);
    assert_eq!((meta.faces[0].bpm, meta.faces[0].status), (None, Status::Weak));

    init();
    let element = gst::ElementFactory::make("ppg2bpm")
        .property("min-bpm", 100.0)
        .property("max-bpm", 90.0)
        .build()
        .unwrap();
    assert!(element.set_state(gst::State::Paused).is_err());
    element.set_state(gst::State::Null).unwrap();
}

#[test]
fn many_faces_and_no_bus_do_no_harm() {
    init();
    let mut harness = Harness::new("ppg2bpm");
    harness.set_src_caps_str("video/x-raw,format=I420,width=64,height=64,framerate=30/1");
    for i in 0..90 {
        let mut buffer = gst::Buffer::new();
        {
            let buffer = buffer.get_mut().unwrap();
            buffer.set_pts(gst::ClockTime::from_nseconds(time(i)));
            let faces = (0..200).map(|id| face(id, 50.0 + f64::from(id), i)).collect();
            HeartRateMeta { derivative: true, faces }.write(buffer);
        }
        let buffer = harness.push_and_pull(buffer).unwrap();
        assert_eq!(HeartRateMeta::read(&buffer).unwrap().faces.len(), 200);
    }
}
