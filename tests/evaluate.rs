//! `hrnet evaluate` on recordings whose truth is known.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use gst::prelude::*;
use gstheartrate::meta::PulseTestMeta;
use serde_json::Value;

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("evaluate").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Records 13 s of `source` as FFV1 in the layout of HeartRateNet, with the truth that stands on
/// its frames. FFV1 is lossless; the truth is that of the picture.
fn record(folder: &Path, source: &str, attributes: &str) {
    gst::init().unwrap();
    gstheartrate::plugin_register_static().unwrap();
    fs::create_dir_all(folder).unwrap();
    let launch = format!(
        "pulsetestsrc num-buffers=390 {source} ! video/x-raw,width=640,height=480,framerate=30/1 \
         ! identity name=truth ! videoconvert ! avenc_ffv1 ! matroskamux ! filesink name=file"
    );
    let pipeline = gst::parse::launch(&launch).unwrap().downcast::<gst::Pipeline>().unwrap();
    pipeline.by_name("file").unwrap().set_property("location", folder.join("video.mkv"));
    let rows = Arc::new(Mutex::new(String::from("Time,PulseWaveform\n")));
    let kept = rows.clone();
    let pad = pipeline.by_name("truth").unwrap().static_pad("src").unwrap();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let buffer = info.buffer().expect("a buffer probe");
        let truth = PulseTestMeta::read(buffer).expect("the source writes its truth");
        let time = buffer.pts().unwrap().nseconds() as f64 * 1e-9;
        let pulse = truth.faces.first().map_or(0.0, |f| f.pulse);
        *kept.lock().unwrap() += &format!("{time:.6},{pulse:.6}\n");
        gst::PadProbeReturn::Ok
    });
    pipeline.set_state(gst::State::Playing).unwrap();
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let end = pipeline.bus().unwrap().timed_pop_filtered(gst::ClockTime::from_seconds(240), &ends);
    pipeline.set_state(gst::State::Null).unwrap();
    assert_eq!(end.expect("it ends").type_(), gst::MessageType::Eos);
    fs::write(folder.join("ground_truth.csv"), rows.lock().unwrap().as_str()).unwrap();
    fs::write(folder.join("attributes.json"), attributes).unwrap();
}

fn hrnet(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hrnet")).args(args).output().unwrap()
}

fn json(args: &[&str]) -> Value {
    let output = hrnet(args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn a_pulse_is_read_and_lifeless_pictures_are_not() {
    let folder = folder("whole");
    let set = folder.join("set");
    record(&set.join("a<b>"), "bpm=75", r#"{"bpm": 75.0, "motion": "none"}"#);
    record(&set.join("c"), "bpm=110", r#"{"bpm": 110.0, "motion": "none"}"#);
    record(&set.join("dead"), "pulse-amplitude=0", r#"{"bpm": 0.0, "motion": "none"}"#);
    // A face that is never found: its seconds count, and none of them is covered.
    record(&set.join("wall"), "picture=wall", r#"{"bpm": 110.0, "motion": "none"}"#);
    fs::copy(set.join("c/ground_truth.csv"), set.join("wall/ground_truth.csv")).unwrap();
    let (report, readings) = (folder.join("report.html"), folder.join("readings.csv"));
    let save = folder.join("saved");
    let text = |path: &Path| path.to_str().unwrap().to_string();
    let (set, save_text) = (text(&set), text(&save));
    let [report_text, readings_text] = [&report, &readings].map(|p| text(p));
    #[rustfmt::skip]
    let all = json(&["evaluate", "--json", "--windows", "10,6", "--by", "bpm", "--jobs", "2",
        "--report", &report_text, "--readings", &readings_text, "--save", &save_text, &set]);
    let windows = all["windows"].as_array().unwrap();
    assert_eq!(windows.len(), 2);
    check_figures(&windows[0], 3);
    // Of thirteen seconds readings at 10, 11 and 12, and at 6 to 12 s.
    check_figures(&windows[1], 7);
    check_report(&fs::read_to_string(&report).unwrap());
    check_readings(&fs::read_to_string(&readings).unwrap());
    check_saved(&save, &windows[0]);
    let calm = json(&["evaluate", "--json", "--where", "bpm=60-90", &set]);
    assert_eq!(calm["windows"][0]["subjects"].as_array().unwrap().len(), 1);
}

/// `readings` are those of a subject.
fn check_figures(window: &Value, readings: u64) {
    let network = &window["all"]["network"];
    assert_eq!(network["subjects"], 3);
    assert_eq!(network["n"], 2 * readings);
    assert_eq!(network["seconds"], 3 * readings);
    for subject in window["subjects"].as_array().unwrap() {
        let network = &subject["methods"]["network"];
        if subject["negative"] == true {
            assert_eq!(network["negative"]["ok"], 0.0, "{subject}");
            continue;
        }
        if subject["subject"] == "wall" {
            assert_eq!(network["n"], 0, "{subject}");
            assert_eq!(network["confident"]["coverage"], 0.0, "{subject}");
            continue;
        }
        assert!(number(&network["mae"]) < 1.0, "{subject}");
        assert!(number(&network["snr"]) > 0.0, "{subject}");
        assert!(number(&network["confident"]["coverage"]) > 0.9, "{subject}");
    }
    // The baselines read a still face in steady light as well.
    for method in ["green", "chrom", "pos"] {
        assert!(number(&window["all"][method]["mae"]) < 5.0, "{method}: {window}");
    }
    let bands: Vec<&str> = window["by"]["bpm"]
        .as_array()
        .unwrap()
        .iter()
        .map(|g| g["value"].as_str().unwrap())
        .collect();
    assert_eq!(bands, ["<40", "60-90", "90-120"]);
    let counted: u64 =
        window["reliability"].as_array().unwrap().iter().map(|b| b["n"].as_u64().unwrap()).sum();
    // The lifeless face's too, which are all wrong.
    assert_eq!(counted, 3 * readings);
}

fn check_report(html: &str) {
    // Four plots a window, three a subject; of the wall there is but the reference.
    assert_eq!(html.matches("<svg").count(), 2 * 4 + 3 * 3 + 1);
    assert!(html.contains("a&lt;b&gt;") && !html.contains("a<b>"));
    for outside in ["http:", "https:", "<script", "<link", "<img", "url("] {
        assert!(!html.contains(outside), "{outside}");
    }
    assert!(!html.contains("NaN") && !html.contains("inf"));
}

fn check_readings(csv: &str) {
    let head = csv.lines().next().unwrap();
    assert!(head.starts_with("file,time,bpm,reference,confidence,status,evidence,snr"), "{head}");
    let rows: Vec<Vec<&str>> = csv.lines().skip(1).map(|l| l.split(',').collect()).collect();
    assert!(rows.iter().any(|r| r[0] == "dead"));
    for row in rows {
        let reference: f64 = row[3].parse().expect("all rates are known");
        assert_eq!(reference == 0.0, row[0] == "dead", "{row:?}");
    }
}

/// The saved samples give `hrnet signal` the same readings.
fn check_saved(folder: &Path, window: &Value) {
    let files: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path().to_str().unwrap().to_string())
        .collect();
    assert_eq!(files.len(), 3, "{files:?}");
    let mut args = vec!["signal", "--json"];
    args.extend(files.iter().map(String::as_str));
    let signal = json(&args);
    let (mae, n) = (number(&signal["mae"]), signal["n"].as_u64().unwrap());
    assert!((mae - number(&window["all"]["network"]["mae"])).abs() < 0.3, "{mae}");
    assert!((5..=7).contains(&n), "{n}");
}

#[test]
fn what_was_read_before_a_break_is_saved() {
    let folder = folder("break");
    let (set, save) = (folder.join("set"), folder.join("saved"));
    record(&set.join("a"), "bpm=75", "{}");
    fs::create_dir(set.join("b")).unwrap();
    fs::copy(set.join("a/ground_truth.csv"), set.join("b/ground_truth.csv")).unwrap();
    fs::write(set.join("b/video.mkv"), "no video").unwrap();
    let [save_text, set] = [&save, &set].map(|p| p.to_str().unwrap());
    let output = hrnet(&["evaluate", "--save", save_text, set]);
    assert_eq!(output.status.code(), Some(2));
    let saved = json(&["signal", "--json", save.join("a.csv").to_str().unwrap()]);
    let n = saved["n"].as_u64().unwrap();
    assert!((2..=3).contains(&n), "{saved}");
    assert!(number(&saved["mae"]) < 1.0, "{saved}");
    assert_eq!(fs::read_dir(&save).unwrap().count(), 1);
}

#[test]
fn what_is_wrong_is_named_in_a_line_and_nothing_is_left_behind() {
    let folder = folder("bad");
    let set = folder.join("set");
    record(&set.join("a"), "bpm=75 num-buffers=60", "{}");
    let report = folder.join("report.html");
    let (set_text, report_text) = (set.to_str().unwrap(), report.to_str().unwrap());
    let fails = |args: &[&str], expected: &str| {
        let args = [&["evaluate", "--report", report_text], args].concat();
        let output = hrnet(&args);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {message}");
        assert!(message.contains(expected), "{args:?}: {message}");
        assert_eq!(message.trim_end().lines().count(), 1, "{message}");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "{args:?}");
    };
    fails(&["no-such-folder"], "no-such-folder");
    fails(&["--where", "motion=none", set_text], "no subject has these attributes");
    fails(&["--by", "motion", set_text], "no subject has the attribute 'motion'");
    fails(&["--model", "no-such.onnx", set_text], "no-such.onnx");
    let truth = set.join("a/ground_truth.csv");
    fs::write(&truth, "Time,PulseWaveform\n0.0,0.5\n0.1,x\n").unwrap();
    fails(&[set_text], "ground_truth.csv: row 3: PulseWaveform 'x' is not a number");
    fs::write(&truth, "Time,PulseWaveform\n0.0,0.5\n0.1,0.6\n").unwrap();
    fails(&[set_text], "does not cover the frames");
    fs::remove_file(&truth).unwrap();
    fails(&[set_text], "a: no ground truth");
}
