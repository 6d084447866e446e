//! What streams do to elements: gaps, seeks, flushes, changed caps, odd sizes, no time.

mod common;

use common::{ELEMENTS, play, try_play};
use gst::prelude::*;
use gstheartrate::meta::{FaceCropMeta, HeartRateMeta, Reason, Status};

const SOURCE: &str = "pulsetestsrc name=source bpm=72";

/// Rewrites each buffer that the source pushes; drops it where `change` says false.
fn rewrite(
    pipeline: &gst::Pipeline,
    change: impl Fn(u64, &mut gst::BufferRef) -> bool + Send + Sync + 'static,
) {
    let pad = pipeline.by_name("source").unwrap().static_pad("src").unwrap();
    let count = std::sync::atomic::AtomicU64::new(0);
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let index = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if change(index, info.buffer_mut().expect("a buffer probe").make_mut()) {
            gst::PadProbeReturn::Ok
        } else {
            gst::PadProbeReturn::Drop
        }
    });
}

fn without_timestamps(pipeline: &gst::Pipeline) {
    rewrite(pipeline, |_, buffer| {
        buffer.set_pts(gst::ClockTime::NONE);
        true
    });
}

#[test]
fn without_timestamps_frames_are_counted_by_the_caps() {
    let launch = format!("{SOURCE} num-buffers=420 ! {ELEMENTS}");
    let run = try_play(&launch, without_timestamps);
    assert_eq!(run.error, None);
    let bpm = run.frames.last().unwrap().faces[0].bpm.expect("a reading");
    assert!((bpm - 72.0).abs() <= 1.0, "{bpm}");
    assert!(run.warnings.len() <= 3, "at most one warning an element: {:?}", run.warnings);
    assert!(!run.warnings.is_empty());
}

#[test]
fn without_any_idea_of_time_there_is_no_reading_and_the_status_says_so() {
    let launch = format!(
        "{SOURCE} num-buffers=420 ! capssetter caps=video/x-raw,framerate=0/1 ! {ELEMENTS}"
    );
    let run = try_play(&launch, without_timestamps);
    assert_eq!(run.error, None);
    run.assert_silent("no time");
    let face = &run.frames.last().unwrap().faces[0];
    assert!(face.reasons.contains(Reason::LowFramerate), "{face:?}");
}

#[test]
fn time_that_goes_back_starts_over() {
    let launch = format!("{SOURCE} num-buffers=720 ! {ELEMENTS}");
    let run = try_play(&launch, |p| {
        rewrite(p, |index, b| {
            let back = gst::ClockTime::from_seconds(if index >= 360 { 11 } else { 0 });
            b.set_pts(b.pts().map(|t| t - back));
            true
        })
    });
    assert_eq!(run.error, None);
    assert!(run.frames[355].faces[0].bpm.is_some());
    let after = &run.frames[370].faces[0];
    assert_eq!((after.status, after.bpm), (Status::Measuring, None));
    let bpm = run.frames.last().unwrap().faces[0].bpm.expect("a reading again");
    assert!((bpm - 72.0).abs() <= 1.0, "{bpm}");
}

#[test]
fn a_gap_of_seconds_starts_the_window_over() {
    let launch = format!("{SOURCE} num-buffers=900 ! {ELEMENTS}");
    let run = try_play(&launch, |p| rewrite(p, |index, _| !(360..480).contains(&index)));
    assert_eq!(run.error, None);
    assert_eq!(run.frames.len(), 780);
    assert!(run.frames[355].faces[0].bpm.is_some());
    let after = run.frames[360].faces.first();
    assert!(after.is_none_or(|f| f.ppg.is_none()), "no pair across the gap: {after:?}");
    assert!(run.frames[360..450].iter().all(|f| f.faces.iter().all(|face| face.bpm.is_none())));
    let bpm = run.frames.last().unwrap().faces[0].bpm.expect("a reading again");
    assert!((bpm - 72.0).abs() <= 1.0, "{bpm}");
}

#[test]
fn a_flushing_seek_starts_over_and_a_rate_changes_nothing() {
    common::init();
    let launch = format!("{SOURCE} ! {ELEMENTS} ! appsink name=sink sync=false max-buffers=2");
    let pipeline = gst::parse::launch(&launch).unwrap().downcast::<gst::Pipeline>().unwrap();
    let sink = pipeline.by_name("sink").unwrap().downcast::<gst_app::AppSink>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let pull = |n: usize| {
        (1..n).for_each(|_| drop(sink.pull_sample().expect("no end")));
        let buffer = sink.pull_sample().expect("no end").buffer_owned().unwrap();
        (buffer.pts().unwrap(), HeartRateMeta::read(&buffer).unwrap().faces)
    };
    let near = |bpm: Option<f64>| (bpm.expect("a reading") - 72.0).abs() <= 1.0;
    assert!(near(pull(360).1[0].bpm));
    let (flush, set) = (gst::SeekFlags::FLUSH | gst::SeekFlags::ACCURATE, gst::SeekType::Set);
    let (target, none) = (gst::ClockTime::from_seconds(100), gst::ClockTime::NONE);
    pipeline.seek(2.0, flush, set, target, gst::SeekType::None, none).unwrap();
    let (time, faces) = pull(10);
    assert!(time >= target && time < target + gst::ClockTime::SECOND, "{time}");
    assert_eq!((faces[0].status, faces[0].bpm), (Status::Measuring, None));
    assert!(near(pull(360).1[0].bpm), "at double speed the pulse is that of the picture's time");
    pipeline.set_state(gst::State::Null).unwrap();
}

#[test]
fn caps_may_change_in_mid_stream() {
    let caps = |w, h, format| format!("video/x-raw,width={w},height={h},format={format}");
    let part = |caps: String, n| format!("pulsetestsrc bpm=72 num-buffers={n} ! {caps} ! c.");
    let launch = format!(
        "concat name=c ! {ELEMENTS} ! fakesink name=end sync=false {} {} {}",
        part(caps(640, 480, "I420"), 100),
        part(caps(321, 243, "BGRx"), 100),
        part(caps(1280, 720, "NV12"), 420),
    );
    common::init();
    let pipeline = gst::parse::launch(&launch).unwrap().downcast::<gst::Pipeline>().unwrap();
    let last = std::sync::Arc::new(std::sync::Mutex::new(None));
    let kept = last.clone();
    let pad = pipeline.by_name("end").unwrap().static_pad("sink").unwrap();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        *kept.lock().unwrap() = HeartRateMeta::read(info.buffer().unwrap());
        gst::PadProbeReturn::Ok
    });
    pipeline.set_state(gst::State::Playing).unwrap();
    let bus = pipeline.bus().unwrap();
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let end = bus.timed_pop_filtered(gst::ClockTime::from_seconds(120), &ends).unwrap();
    assert_eq!(end.type_(), gst::MessageType::Eos, "{end:?}");
    pipeline.set_state(gst::State::Null).unwrap();
    let bpm = last.lock().unwrap().as_ref().unwrap().faces[0].bpm.expect("a reading");
    assert!((bpm - 72.0).abs() <= 1.0, "{bpm}");
}

#[test]
fn the_smallest_and_a_huge_frame_pass() {
    for (size, detector) in [
        ("width=1,height=1", "ultraface"),
        ("width=1,height=1", "none"),
        ("width=7680,height=4320", "ultraface"),
        ("width=7680,height=4320", "none"),
        ("width=17,height=480", "ultraface"),
    ] {
        let source = format!("videotestsrc num-buffers=4 ! video/x-raw,format=I420,{size}");
        let run = play(&format!("{source} ! facecrop detector={detector} ! hrnetinfer ! ppg2bpm"));
        assert_eq!(run.frames.len(), 4, "{size}");
        run.assert_silent(size);
    }
}

#[test]
fn no_face_for_minutes_is_no_trouble() {
    let source = "videotestsrc pattern=black num-buffers=1800 ! video/x-raw,width=64,height=48,framerate=5/1";
    let run = play(&format!("{source} ! {ELEMENTS}"));
    assert_eq!(run.frames.len(), 1800);
    assert!(run.frames.iter().all(|f| f.faces.is_empty()));
    assert!(run.messages.len() <= 1, "{} messages about nobody", run.messages.len());
}

#[test]
fn two_hundred_faces_from_upstream_keep_apart() {
    let launch = "videotestsrc name=source num-buffers=40 ! video/x-raw,format=I420,width=640,height=480 ! \
                  facecrop name=crop detector=metadata max-faces=200 min-face-size=0 ! hrnetinfer name=infer ! ppg2bpm";
    let crops = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = crops.clone();
    let run = try_play(launch, |p| {
        rewrite(p, |_, buffer| {
            for i in 0..200 {
                let rect = (i % 20 * 32, i / 20 * 48, 28, 40);
                let mut roi = gst_video::VideoRegionOfInterestMeta::add(buffer, "face", rect);
                roi.set_id(1000 + i as i32);
            }
            true
        });
        let pad = p.by_name("infer").unwrap().static_pad("sink").unwrap();
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            let meta = info.buffer().unwrap().meta::<FaceCropMeta>().expect("crops");
            kept.lock().unwrap().push(meta.faces().len());
            gst::PadProbeReturn::Ok
        });
    });
    assert_eq!(run.error, None);
    assert_eq!(run.frames.len(), 40);
    assert_eq!(crops.lock().unwrap().last(), Some(&200));
    let last = &run.frames.last().unwrap().faces;
    assert_eq!(last.len(), 200);
    assert!(last.iter().all(|f| f.ppg.is_some()));
}

#[test]
fn formats_that_can_not_be_handled_are_not_negotiated() {
    common::init();
    for format in ["I420_10LE", "GRAY16_LE", "v210"] {
        let launch = format!("videotestsrc ! video/x-raw,format={format} ! facecrop ! fakesink");
        let error = gst::parse::launch(&launch).expect_err("caps without a common format");
        assert!(error.to_string().contains("can't handle caps"), "{format}: {error}");
    }
}

#[test]
fn an_element_without_its_neighbour_warns_once_and_lets_everything_pass() {
    let source = "videotestsrc num-buffers=40 ! video/x-raw,format=I420,width=64,height=48";
    for (element, missing) in [("hrnetinfer", "facecrop"), ("ppg2bpm", "hrnetinfer")] {
        let run = play(&format!("{source} ! {element}"));
        assert_eq!(run.frames.len(), 40);
        assert_eq!(run.messages, []);
        let [warning] = &run.warnings[..] else { panic!("{:?}", run.warnings) };
        assert!(warning.contains(missing), "{warning}");
    }
}
