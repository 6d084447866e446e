//! `hrnet prepare --videos`: synthetic clips as files that any player shows.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use gst::prelude::*;

/// A folder of this test's own, empty.
fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("hrnet-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    path
}

fn prepare(out: &Path, options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hrnet"))
        .args(["prepare", "--out"])
        .arg(out)
        .args(options)
        .output()
        .unwrap()
}

/// Timestamps of all frames of a file, ns, and the format that they are decoded to.
fn frames(file: &Path) -> (Vec<u64>, String) {
    gst::init().unwrap();
    let launch = format!(
        "filesrc location={} ! decodebin ! queue name=decoded ! videoconvert ! video/x-raw,format=RGB,width=640,\
         height=480 ! appsink name=sink sync=false",
        file.display()
    );
    let pipeline = gst::parse::launch(&launch).unwrap().downcast::<gst::Pipeline>().unwrap();
    let sink = pipeline.by_name("sink").and_downcast::<gst_app::AppSink>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let frames = std::iter::from_fn(|| sink.pull_sample().ok());
    let times = frames.map(|s| s.buffer().unwrap().pts().unwrap().nseconds()).collect();
    let decoded = pipeline.by_name("decoded").unwrap().static_pad("sink").unwrap();
    let caps = decoded.current_caps().unwrap();
    let format = caps.structure(0).unwrap().get("format").unwrap();
    pipeline.set_state(gst::State::Null).unwrap();
    (times, format)
}

#[test]
fn every_clip_is_a_whole_video_with_its_truth() {
    let out = folder("videos");
    let options = ["--synthetic", "10", "--videos", "--seconds", "2", "--val", "--seed", "500000"];
    let output = prepare(&out, &options);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut codecs = std::collections::BTreeSet::new();
    for seed in 500_000..500_010 {
        let clip = out.join(format!("val-{seed}"));
        let attributes = std::fs::read_to_string(clip.join("attributes.json")).unwrap();
        let attributes: serde_json::Value = serde_json::from_str(&attributes).unwrap();
        let codec = attributes["codec"].as_str().unwrap().to_owned();
        let (times, format) = frames(&clip.join("video.mkv"));
        // As cameras have it; JPEG's 4:2:2 is decoded to that, too, other than RGB or 4:4:4.
        assert_eq!(format, "I420", "{attributes}");
        codecs.insert(codec);
        let fps = attributes["fps"].as_f64().unwrap();
        assert_eq!(times.len(), 1 + (2.0 * fps).round() as usize, "{attributes}");
        assert!(times[0] < 1_000_000_000 && times.is_sorted_by(|a, b| a < b), "{attributes}");
        let length = (times[times.len() - 1] - times[0]) as f64 * 1e-9;
        assert!((1.8..3.0).contains(&length), "{length} {attributes}");
        let truth = std::fs::read_to_string(clip.join("ground_truth.csv")).unwrap();
        let rows: Vec<(f64, f64)> = truth
            .lines()
            .skip(1)
            .map(|row| row.split_once(',').unwrap())
            .map(|(time, wave)| (time.parse().unwrap(), wave.parse().unwrap()))
            .collect();
        assert!(truth.starts_with("Time,PulseWaveform\n0.000000,"));
        assert!(rows[rows.len() - 1].0 + 0.002 >= length, "{attributes}");
        let alive = rows.iter().any(|row| row.1 != 0.0);
        assert_eq!(alive, attributes["negative"] == false, "{attributes}");
    }
    assert!(codecs.len() >= 3, "{codecs:?}");
    std::fs::remove_dir_all(&out).unwrap();
}

/// What the clips say of themselves and the bytes of each one's motion maps.
fn clips(shard: &[u8]) -> Vec<(serde_json::Value, &[u8])> {
    let length = u64::from_le_bytes(shard[..8].try_into().unwrap()) as usize;
    let (head, data) = shard[8..].split_at(length);
    let head: serde_json::Value = serde_json::from_slice(head).unwrap();
    let clips = head["__metadata__"]["clips"].as_str().unwrap();
    let clips: Vec<serde_json::Value> = serde_json::from_str(clips).unwrap();
    let end = head["motion"]["data_offsets"][1].as_u64().unwrap() as usize;
    let maps = data[..end].chunks(end / clips.len());
    clips.into_iter().zip(maps).collect()
}

/// Encoders look at no clock and run on one thread: the same seed gives the same maps. Not so with
/// x264, whose rate control now and then decides otherwise.
#[test]
fn shards_repeat_bit_for_bit_through_every_codec_but_x264() {
    let (a, b) = (folder("shards-a"), folder("shards-b"));
    for out in [&a, &b] {
        let output = prepare(out, &["--synthetic", "8", "--frames", "12", "--seed", "50"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let read = |out: &Path| std::fs::read(out.join("shard-00000.safetensors")).unwrap();
    let (one, two) = (read(&a), read(&b));
    let codec = |clip: &serde_json::Value| clip["codec"].as_str().unwrap().to_owned();
    let codecs: std::collections::BTreeSet<String> =
        clips(&one).iter().map(|c| codec(&c.0)).collect();
    assert_eq!(codecs.len(), 6, "{codecs:?}");
    for ((clip, first), (_, second)) in clips(&one).into_iter().zip(clips(&two)) {
        let codec = codec(&clip);
        assert!(codec == "h264" || first == second, "two runs through {codec} differ");
    }
    [a, b].iter().for_each(|out| std::fs::remove_dir_all(out).unwrap());
}

#[test]
fn only_the_clips_that_are_asked_for_are_rendered() {
    let out = folder("shards-where");
    let base = ["--synthetic", "4", "--frames", "8", "--seed", "50", "--where", "codec=none,mjpeg"];
    let output = prepare(&out, &[&base[..], &["--where", "skin_tone=1-3"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let shard = std::fs::read(out.join("shard-00000.safetensors")).unwrap();
    let clips = clips(&shard);
    assert_eq!(clips.len(), 4);
    for (clip, _) in &clips {
        assert!(clip["codec"] == "none" || clip["codec"] == "mjpeg", "{clip}");
        assert!(clip["skin_tone"] == 1 || clip["skin_tone"] == 2, "{clip}");
    }
    assert!(clips.windows(2).all(|c| c[0].0["seed"].as_u64() < c[1].0["seed"].as_u64()));
    std::fs::remove_dir_all(&out).unwrap();
    let output = prepare(&out, &[&base[..], &["--where", "tone=1"]].concat());
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.starts_with("hrnet: --where tone=1: clips have amplitude, "), "{error}");
    assert_eq!((output.status.code(), error.lines().count()), (Some(2), 1));
    assert!(!out.exists(), "nothing is left behind");
}

#[test]
fn a_folder_that_cant_be_made_is_an_error() {
    let output = prepare(Path::new("/dev/null/out"), &["--synthetic", "1", "--videos"]);
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.starts_with("hrnet: /dev/null/out: "), "{error}");
    assert_eq!(error.lines().count(), 1);
}
