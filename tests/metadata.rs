//! HeartRateMeta on its way through other elements, and read by name from Python.

mod common;

use std::process::Command;
use std::sync::{Arc, Mutex};

use common::{ELEMENTS, Frame, play, try_play};
use gst::prelude::*;
use gstheartrate::meta::HeartRateMeta;

/// Plays `after` behind the elements; returns the metas before and behind it.
fn through(after: &str) -> (Vec<HeartRateMeta>, Vec<Frame>) {
    let before = Arc::new(Mutex::new(Vec::new()));
    let kept = before.clone();
    let source = "pulsetestsrc bpm=70,90 num-buffers=60 ! video/x-raw,width=640,height=480";
    let launch = format!("{source} ! facecrop ! hrnetinfer ! ppg2bpm name=last ! {after}");
    let run = try_play(&launch, |pipeline| {
        let pad = pipeline.by_name("last").unwrap().static_pad("src").unwrap();
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            let meta = HeartRateMeta::read(info.buffer().expect("a buffer probe"));
            kept.lock().unwrap().push(meta.expect("ppg2bpm writes the meta"));
            gst::PadProbeReturn::Ok
        });
    });
    assert_eq!(run.error, None, "{after}");
    (Arc::into_inner(before).unwrap().into_inner().unwrap(), run.frames)
}

#[test]
fn the_meta_survives_conversion_scaling_and_an_h264_round_trip() {
    for after in [
        "identity",
        "videoconvert ! video/x-raw,format=RGBx",
        "videoscale ! video/x-raw,width=320,height=240",
        "x264enc tune=zerolatency speed-preset=ultrafast ! avdec_h264",
    ] {
        let (before, frames) = through(after);
        assert_eq!(frames.len(), 60, "{after}");
        for (meta, frame) in before.iter().zip(&frames) {
            assert_eq!(meta.faces, frame.faces, "{after} at {} s", frame.time);
        }
        assert_eq!(frames[59].faces.len(), 2, "{after}");
        assert!(frames[59].faces.iter().all(|f| f.ppg.is_some()), "{after}");
    }
}

#[test]
fn regions_of_interest_carry_ids_rectangles_and_the_rate() {
    let source = "pulsetestsrc bpm=70 num-buffers=300";
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = seen.clone();
    try_play(&format!("{source} ! facecrop ! hrnetinfer ! ppg2bpm name=last"), |pipeline| {
        let pad = pipeline.by_name("last").unwrap().static_pad("src").unwrap();
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            let buffer = info.buffer().expect("a buffer probe");
            let rois = buffer.iter_meta::<gst_video::VideoRegionOfInterestMeta>();
            let rois: Vec<_> = rois
                .map(|roi| {
                    let rate = roi.params().find(|p| p.name() == "heart-rate");
                    (roi.roi_type(), roi.id(), roi.rect(), rate.and_then(|p| p.get("bpm").ok()))
                })
                .collect();
            kept.lock().unwrap().push((rois, HeartRateMeta::read(buffer).unwrap().faces));
            gst::PadProbeReturn::Ok
        });
    });
    let seen = seen.lock().unwrap();
    for (rois, faces) in seen.iter() {
        assert_eq!(rois.len(), faces.len());
        for ((kind, id, (x, y, w, h), bpm), face) in rois.iter().zip(faces) {
            assert_eq!((*kind, *id as u32, *bpm), ("face", face.id, face.bpm));
            let near = |pixels: u32, share: f64, side: f64| {
                (f64::from(pixels) - share * side).abs() <= 1.0
            };
            assert!(near(*x, face.x, 640.0) && near(*w, face.w, 640.0), "{face:?}");
            assert!(near(*y, face.y, 480.0) && near(*h, face.h, 480.0), "{face:?}");
        }
    }
    assert!(seen.last().unwrap().1[0].bpm.is_some());
}

#[test]
fn python_reads_the_meta_by_name() {
    common::init();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/read_meta.py");
    // A folder of its own: others hold builds of other days, too.
    let built = std::path::Path::new(env!("CARGO_BIN_EXE_hrnet")).parent().unwrap();
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugin");
    std::fs::create_dir_all(&folder).unwrap();
    let library = built.join("deps/libgstheartrate.so");
    std::fs::copy(&library, folder.join("libgstheartrate.so")).expect("the library was built");
    let output = Command::new("/usr/bin/python3")
        .arg(script)
        .env("GST_PLUGIN_PATH", &folder)
        .env("GST_REGISTRY", folder.join("registry.bin"))
        .output()
        .expect("python3 is there");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let numbers: Vec<f64> = text.split_whitespace().map(|w| w.parse().unwrap()).collect();
    let &[id, bpm, confidence, message_bpm] = &numbers[..] else { panic!("{text}") };
    assert_eq!(id, 1.0);
    assert!((bpm - 72.0).abs() <= 1.0 && (message_bpm - 72.0).abs() <= 1.0, "{text}");
    assert!((0.5..=1.0).contains(&confidence), "{text}");
}

#[test]
fn a_message_comes_each_interval_and_can_be_switched_off() {
    let source = "pulsetestsrc bpm=70 num-buffers=300";
    let run = play(&format!("{source} ! {ELEMENTS}"));
    let times: Vec<_> = run.messages.iter().map(|m| m.stream_time.unwrap().mseconds()).collect();
    assert!((9..=10).contains(&times.len()), "{times:?}");
    assert!(times.windows(2).all(|t| (t[1] - t[0]).abs_diff(1000) <= 1), "{times:?}");
    for message in &run.messages {
        assert_eq!(message.timestamp, message.stream_time);
        assert_eq!(message.timestamp, message.running_time);
    }
    let quiet = play(&format!("{source} ! {ELEMENTS} post-messages=false"));
    assert_eq!(quiet.messages, []);
}
