//! hrnetinfer's backends as a user meets them on a machine without a GPU.

use gst::prelude::*;
use gstheartrate::meta::HeartRateMeta;

fn init() {
    gst::init().unwrap();
    gstheartrate::plugin_register_static().unwrap();
}

/// Starts an element with `properties` and returns the error that it posts.
fn start_error(properties: &str) -> String {
    init();
    let launch = format!("fakesrc ! hrnetinfer {properties} ! fakesink");
    let pipeline = gst::parse::launch(&launch).unwrap().downcast::<gst::Pipeline>().unwrap();
    assert!(pipeline.set_state(gst::State::Paused).is_err(), "{properties} must not start");
    let bus = pipeline.bus().unwrap();
    let message = bus.pop_filtered(&[gst::MessageType::Error]).expect("an error message");
    pipeline.set_state(gst::State::Null).unwrap();
    match message.view() {
        gst::MessageView::Error(error) => format!("{} {:?}", error.error(), error.debug()),
        _ => unreachable!("only errors were asked for"),
    }
}

fn has_driver() -> bool {
    ["/proc/driver/nvidia/version", "/dev/nvidiactl"]
        .iter()
        .any(|p| std::path::Path::new(p).exists())
}

#[test]
fn tensorrt_without_what_it_wants_is_an_error_at_start_that_names_it() {
    if has_driver() {
        eprintln!("skipped: this machine has an NVIDIA driver");
        return;
    }
    let missing = if cfg!(feature = "tensorrt") {
        "no NVIDIA driver on this machine (libcuda.so.1"
    } else {
        "this build has no TensorRT (cargo feature tensorrt"
    };
    for properties in ["backend=tensorrt", "backend=tensorrt precision=fp32 batch-size=64"] {
        let error = start_error(properties);
        assert!(error.contains(missing), "{error}");
    }
    // A file that is not there is that, whatever the backend.
    let error = start_error("model=/nowhere/x.engine backend=cpu");
    assert!(error.contains("TensorRT engine, which the CPU can't run"), "{error}");
}

#[test]
fn an_encrypted_model_is_told_how_to_convert() {
    let error = start_error("model=/nowhere/heartratenet.etlt");
    assert!(
        error.contains("encrypted") && error.contains("tao-converter -k nvidia_tlt"),
        "{error}"
    );
}

/// Where there is no GPU `auto` plays on, on the CPU, to the right rate.
#[test]
fn auto_falls_back_and_plays_to_the_right_rate() {
    init();
    let launch = "pulsetestsrc bpm=72 num-buffers=400 ! facecrop ! hrnetinfer backend=auto ! ppg2bpm ! \
                  appsink name=sink sync=false";
    let pipeline = gst::parse::launch(launch).unwrap().downcast::<gst::Pipeline>().unwrap();
    let sink = pipeline.by_name("sink").unwrap().downcast::<gst_app::AppSink>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let frames = std::iter::from_fn(|| sink.pull_sample().ok());
    let last = frames.filter_map(|s| HeartRateMeta::read(s.buffer()?)).last().unwrap();
    pipeline.set_state(gst::State::Null).unwrap();
    let bpm = last.faces[0].bpm.expect("a reading");
    assert!((bpm - 72.0).abs() < 0.5, "{bpm}");
}

/// What is set is read back.
#[test]
fn the_engines_properties_are_there() {
    init();
    let element = gst::ElementFactory::make("hrnetinfer")
        .property_from_str("precision", "fp32")
        .property("device-id", 1u32)
        .property("batch-size", 64u32)
        .property("batch-timeout", 5_000_000u64)
        .build()
        .unwrap();
    assert_eq!(element.property::<u32>("device-id"), 1);
    assert_eq!(element.property::<u32>("batch-size"), 64);
    assert_eq!(element.property::<u64>("batch-timeout"), 5_000_000);
    let precision = element.property_value("precision").serialize().unwrap();
    assert_eq!(precision, "fp32");
}

fn hrnet(args: &[&str]) -> std::process::Output {
    std::process::Command::new(env!("CARGO_BIN_EXE_hrnet"))
        .args(args)
        .env("ORT_DYLIB_PATH", "/nowhere/libonnxruntime.so")
        .output()
        .unwrap()
}

/// Runs `hrnet`, which must refuse in one line; the line.
fn refused(args: &[&str]) -> String {
    let output = hrnet(args);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(output.stdout.is_empty() && message.lines().count() == 1, "{message}");
    message
}

/// Two backends of three can't run: each says why, and the third is measured.
#[test]
fn bench_measures_what_is_there_and_says_what_is_not() {
    let asked = ["bench", "--seconds", "0.2", "--batch", "1,4", "--callers", "2", "--json"];
    let output = hrnet(&asked);
    assert!(output.status.success(), "{output:?}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = report["rows"].as_array().unwrap();
    let seen: Vec<_> = (rows.iter().filter(|r| r["backend"] == "cpu"))
        .map(|r| (r["batch"].as_u64().unwrap(), r["appearance_every"].as_u64().unwrap()))
        .collect();
    assert_eq!(seen, [(1, 8), (1, 1), (4, 1)]);
    for row in rows {
        assert_eq!(row["callers"], 2, "{row}");
        let number = |key: &str| row[key].as_f64().unwrap();
        assert!(number("frames_per_second") > 10.0 && number("cpu_ms_per_frame") > 0.0, "{row}");
        assert!(number("p99_ms") >= number("p50_ms") && number("p50_ms") > 0.0, "{row}");
        assert!((10.0..4000.0).contains(&number("memory_mib")), "{row}");
    }
    let unavailable = report["unavailable"].to_string();
    assert!(unavailable.contains("no ONNX Runtime: "), "{unavailable}");
    assert!(unavailable.contains("/nowhere/libonnxruntime.so"), "{unavailable}");
    assert!(has_driver() || unavailable.contains("tensorrt"), "{unavailable}");
}

#[test]
fn a_backend_that_is_asked_for_and_missing_is_an_error() {
    let message = refused(&["bench", "--backend", "onnxruntime"]);
    assert!(message.contains("set ORT_DYLIB_PATH"), "{message}");
    let message = refused(&["bench", "--streams", "2", "--backend", "onnxruntime"]);
    assert!(message.contains("set ORT_DYLIB_PATH"), "{message}");
    let message = refused(&["bench", "/nowhere/a.onnx", "--backend", "cpu"]);
    assert!(message.starts_with("hrnet: /nowhere/a.onnx: can't be read"), "{message}");
}

/// Three cameras in one process: all frames, and every stream its reading.
#[test]
fn bench_plays_whole_pipelines() {
    let output = hrnet(&["bench", "--streams", "3", "--backend", "cpu", "--json"]);
    assert!(output.status.success(), "{output:?}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((report["frames"].as_u64(), report["right"].as_u64()), (Some(2700), Some(3)));
    assert!(report["cpu_ms_per_frame"].as_f64().unwrap() > 0.1, "{report}");
    assert!(report["p99_ms"].as_f64() >= report["p50_ms"].as_f64(), "{report}");
}

#[test]
fn engine_build_and_show_say_what_they_lack() {
    let folder = std::env::temp_dir().join(format!("hrnet-engine-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("a.engine");
    let out = path.to_str().unwrap();
    let message = refused(&["engine", "show", out]);
    assert!(message.contains("a.engine: can't be read"), "{message}");
    if cfg!(not(feature = "tensorrt")) {
        let message = refused(&["engine", "build", "--out", out]);
        assert!(message.contains("this build has no TensorRT"), "{message}");
    } else if std::env::var_os("HRNET_TENSORRT_LIB").is_some() {
        let args = ["engine", "build", "--out", out, "--compute-capability", "8.6,12.0"];
        let output = hrnet(&args);
        assert!(output.status.success(), "{output:?}");
        let shown = String::from_utf8(hrnet(&["engine", "show", out]).stdout).unwrap();
        for line in
            ["compute-capability       8.6 12.0", "precision                fp16", "hrnet.color"]
        {
            assert!(shown.contains(line), "{shown}");
        }
        if !has_driver() {
            assert!(shown.contains("no NVIDIA driver"), "{shown}");
        }
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let message = refused(&["engine", "show", out]);
        assert!(message.contains("damaged engine"), "{message}");
        let message = refused(&["engine", "build", "--out", out, "--compute-capability", "9.0"]);
        assert!(message.contains("9.0"), "{message}");
    } else {
        eprintln!("skipped: HRNET_TENSORRT_LIB names no library to build engines with");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
