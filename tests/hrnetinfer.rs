//! hrnetinfer: samples that can be worked out by hand, and everything it must refuse.

use gst::prelude::*;
use gstheartrate::meta::{
    Changes, FaceCrop, FaceCropMeta, HeartRateMeta, Previous, Reason, Reasons,
};

const INTERVAL: gst::ClockTime = gst::ClockTime::from_mseconds(20);

fn init() {
    gst::init().unwrap();
    gstheartrate::plugin_register_static().unwrap();
}

fn model(name: &str) -> String {
    format!("{}/tests/models/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn harness(launch: &str, caps: &str) -> gst_check::Harness {
    init();
    let mut h = gst_check::Harness::new_parse(launch);
    h.set_src_caps_str(caps);
    h
}

const CAPS: &str = "video/x-raw,format=RGB,width=8,height=8,framerate=50/1";

/// A crop whose planes are even: R, G, B now and before.
fn crop(id: u32, size: usize, now: [f32; 3], before: Option<[f32; 3]>) -> FaceCrop {
    let planes = |c: [f32; 3]| c.iter().flat_map(|v| vec![*v; size * size]).collect::<Vec<f32>>();
    FaceCrop {
        id,
        rect: [0.125, 0.25, 0.5, 0.5],
        size,
        pixels: planes(now),
        previous: before.map(|b| Previous { pixels: planes(b), interval: Some(INTERVAL) }),
        changes: Changes::default(),
        reasons: Reasons::NONE,
    }
}

fn buffer(crops: Vec<FaceCrop>) -> gst::Buffer {
    let mut buffer = gst::Buffer::with_size(8 * 8 * 3).unwrap();
    let buf = buffer.get_mut().unwrap();
    buf.set_pts(gst::ClockTime::from_seconds(1));
    FaceCropMeta::write(buf, crops);
    buffer
}

/// What `green-*.onnx` gives: mean of the motion's green plane and of the appearance.
fn expected(now: [f32; 3], before: [f32; 3], seconds: f32) -> f64 {
    let motion = (now[1] - before[1]) / (now[1] + before[1]) / (30.0 * seconds);
    f64::from(motion + now.iter().sum::<f32>() / 3.0)
}

fn run(h: &mut gst_check::Harness, crops: Vec<FaceCrop>) -> HeartRateMeta {
    let out = h.push_and_pull(buffer(crops)).unwrap();
    HeartRateMeta::read(&out).unwrap()
}

#[test]
fn samples_are_the_networks_in_every_layout_size_and_batch() {
    let (now, before) = ([0.5, 0.6, 0.7], [0.5, 0.5, 0.5]);
    for (name, sizes) in [
        ("green-nchw-36.onnx", [36, 72]),
        ("green-nhwc-72.onnx", [72, 36]),
        ("green-batch-4.onnx", [36, 50]),
    ] {
        let mut h = harness(&format!("hrnetinfer model={}", model(name)), CAPS);
        for size in sizes {
            let crops = (1..=6).map(|id| {
                let shade = id as f32 / 10.0;
                crop(id, size, [shade, now[1], now[2]], Some(before))
            });
            let meta = run(&mut h, crops.collect());
            assert!(!meta.derivative, "hrnet.output is pulse");
            assert_eq!(meta.faces.len(), 6);
            for face in &meta.faces {
                let shade = face.id as f32 / 10.0;
                let want = expected([shade, now[1], now[2]], before, 0.02);
                assert!((face.ppg.unwrap() - want).abs() < 1e-5, "{name} {size} {face:?} {want}");
                assert_eq!(face.ppg_interval, Some(INTERVAL));
                assert_eq!((face.x, face.y, face.w, face.h), (0.125, 0.25, 0.5, 0.5));
                assert_eq!((face.bpm, face.confidence), (None, None));
            }
        }
    }
}

/// Every third frame's appearance serves for three, unless the rectangle moves or the face is new.
#[test]
fn the_appearance_branch_runs_once_in_so_many_frames() {
    let launch = format!(
        "hrnetinfer model={} contract=\"contract,appearance_every=(int)3\"",
        model("green-nchw-36.onnx")
    );
    let mut h = harness(&launch, CAPS);
    let mut look = |id, shade: f32, x| {
        let mut crop = crop(id, 36, [shade; 3], Some([shade; 3]));
        crop.rect[0] = x;
        // Of still frames the sample is the mean of the appearance.
        (run(&mut h, vec![crop]).faces[0].ppg.unwrap() * 100.0).round()
    };
    let seen: Vec<f64> = (1..=7).map(|i| look(1, i as f32 / 10.0, 0.1)).collect();
    assert_eq!(seen, [10.0, 10.0, 10.0, 40.0, 40.0, 40.0, 70.0]);
    assert_eq!([look(1, 0.8, 0.2), look(1, 0.9, 0.2), look(2, 0.5, 0.2)], [80.0, 80.0, 50.0]);
}

#[test]
fn branches_run_one_by_one_give_what_the_whole_network_gives() {
    let samples = |contract: &str| {
        let mut h = harness(&format!("hrnetinfer contract=\"contract,{contract}\""), CAPS);
        let frame = |i: usize| {
            let (now, before) = (0.5 + 0.01 * (i % 3) as f32, 0.5 + 0.01 * ((i + 1) % 3) as f32);
            let crops = [1, 2].map(|id| crop(id, 36, [now, 0.3, 0.2], Some([before, 0.31, 0.2])));
            run(&mut h, crops.to_vec()).faces.iter().map(|f| f.ppg.unwrap()).collect::<Vec<_>>()
        };
        // One frame: each later one would see an older appearance.
        (0..1).flat_map(frame).collect::<Vec<_>>()
    };
    let (whole, parts) = (samples("appearance_every=(int)1"), samples("appearance_every=(int)2"));
    assert!(whole.iter().any(|v| v.abs() > 1e-3), "{whole:?}");
    whole.iter().zip(&parts).for_each(|(a, b)| assert!((a - b).abs() < 1e-5, "{a} {b}"));
}

#[test]
fn a_face_without_previous_frame_yields_no_sample_and_shifts_no_other() {
    let mut h = harness(&format!("hrnetinfer model={}", model("green-nchw-36.onnx")), CAPS);
    let mut dark = crop(3, 36, [0.1; 3], Some([0.1; 3]));
    dark.reasons.insert(Reason::Dark);
    let crops =
        vec![crop(1, 36, [0.9; 3], Some([0.9; 3])), crop(2, 36, [0.5; 3], None), dark.clone()];
    let faces = run(&mut h, crops).faces;
    assert!((faces[0].ppg.unwrap() - 0.9).abs() < 1e-5);
    assert_eq!((faces[1].ppg, faces[1].ppg_interval), (None, None));
    assert!((faces[2].ppg.unwrap() - 0.1).abs() < 1e-5);
    assert_eq!(faces[2].reasons, dark.reasons);
    assert_eq!(run(&mut h, vec![]).faces, []);
}

#[test]
fn frames_without_timestamps_are_counted_by_the_caps_framerate() {
    let launch = format!("hrnetinfer model={}", model("green-nchw-36.onnx"));
    let (now, before) = ([0.5, 0.6, 0.7], [0.5, 0.5, 0.5]);
    let mut untimed = crop(1, 36, now, Some(before));
    untimed.previous.as_mut().unwrap().interval = None;
    let mut h = harness(&launch, CAPS);
    let sample = run(&mut h, vec![untimed.clone()]).faces[0].ppg.unwrap();
    assert!((sample - expected(now, before, 0.02)).abs() < 1e-5);
    let mut h = harness(&launch, "video/x-raw,format=RGB,width=8,height=8,framerate=0/1");
    assert_eq!(run(&mut h, vec![untimed]).faces[0].ppg, None);
}

#[test]
fn the_contract_property_overrides_the_file() {
    let launch = format!(
        "hrnetinfer model={} contract=\"contract,color=bgr,appearance=byte,output=derivative\"",
        model("green-nchw-36.onnx")
    );
    let mut h = harness(&launch, CAPS);
    let meta = run(&mut h, vec![crop(1, 36, [0.5; 3], Some([0.5; 3]))]);
    assert!(meta.derivative);
    assert!((meta.faces[0].ppg.unwrap() - 127.5).abs() < 1e-3);
}

#[test]
fn the_allocation_query_asks_for_the_models_size() {
    for (name, size) in [("green-nchw-36.onnx", 36), ("green-nhwc-72.onnx", 72)] {
        let h = harness(&format!("hrnetinfer model={}", model(name)), CAPS);
        let caps: gst::Caps = CAPS.parse().unwrap();
        let mut query = gst::query::Allocation::new(Some(&caps), false);
        let pad = h.element().unwrap().static_pad("sink").unwrap();
        assert!(pad.query(&mut query));
        assert_eq!(FaceCropMeta::proposed_size(&query), Some(size));
    }
}

#[test]
fn buffers_without_crops_pass_untouched() {
    let mut h = harness("hrnetinfer", CAPS);
    let out = h.push_and_pull(gst::Buffer::with_size(192).unwrap()).unwrap();
    assert_eq!(HeartRateMeta::read(&out), None);
}

/// Starts an element with `properties` and returns the error that it posts.
fn start_error(properties: &str) -> String {
    start(properties).unwrap_or_else(|| panic!("{properties} must not start"))
}

/// Starts an element with `properties`; returns the error, if any.
fn start(properties: &str) -> Option<String> {
    init();
    let pipeline = gst::parse::launch(&format!("fakesrc ! hrnetinfer {properties} ! fakesink"))
        .unwrap()
        .downcast::<gst::Pipeline>()
        .unwrap();
    let failed = pipeline.set_state(gst::State::Paused).is_err();
    let bus = pipeline.bus().unwrap();
    let message = bus.pop_filtered(&[gst::MessageType::Error]);
    pipeline.set_state(gst::State::Null).unwrap();
    failed.then(|| match message.as_ref().expect("an error message").view() {
        gst::MessageView::Error(error) => format!("{} {:?}", error.error(), error.debug()),
        _ => unreachable!("only errors were asked for"),
    })
}

#[test]
fn a_bad_model_is_an_error_at_start_that_names_it() {
    for (name, expected) in [
        ("missing.onnx", "can't be read"),
        ("bad-size.onnx", "[batch x 3 x 40 x 40]"),
        ("bad-one-input.onnx", "1 inputs; expected two"),
        ("bad-output.onnx", "gives 7776 values for 2 pairs; expected"),
        ("bad-key.onnx", "hrnet.color: \"grey\" is not rgb or bgr"),
        ("make.py", "not a usable ONNX model"),
    ] {
        let error = start_error(&format!("model={}", model(name)));
        assert!(error.contains(name) && error.contains(expected), "{error}");
    }
}

#[test]
fn a_contract_key_that_does_not_exist_is_an_error_at_start() {
    let error = start_error("contract=\"contract,colour=bgr\"");
    assert!(error.contains("no key hrnet.colour"), "{error}");
}

#[test]
fn a_truncated_or_damaged_model_never_crashes() {
    init();
    let whole = std::fs::read(model("green-nchw-36.onnx")).unwrap();
    let dir = std::env::temp_dir().join(format!("hrnetinfer-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("damaged.onnx");
    // The second half ends in the metadata, without which a file is still a model.
    for length in (0..whole.len() / 2).step_by(7) {
        std::fs::write(&path, &whole[..length]).unwrap();
        let error = start_error(&format!("model={}", path.display()));
        assert!(error.contains("damaged.onnx"), "{length}: {error}");
    }
    for place in (0..whole.len()).step_by(5) {
        let mut damaged = whole.clone();
        damaged[place] ^= 0xa5;
        std::fs::write(&path, &damaged).unwrap();
        let error = start(&format!("model={}", path.display()));
        assert!(error.is_none_or(|e| e.contains("damaged.onnx")), "{place}");
    }
    std::fs::remove_dir_all(&dir).unwrap();
}
