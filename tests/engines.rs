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
