//! What half precision is, and what it costs.

use gst::prelude::*;

use super::*;
use crate::hrnetinfer::cpu::CpuEngine;
use crate::hrnetinfer::engine::{DEFAULT_MODEL, Engine};
use crate::meta::HeartRateMeta;

#[test]
fn every_float16_goes_there_and_back() {
    for bits in 0..=u16::MAX {
        let value = from_half(bits);
        if !value.is_nan() {
            assert_eq!(to_half(value), bits, "{value}");
        }
    }
    assert!(from_half(to_half(f32::NAN)).is_nan());
}

#[test]
fn values_between_go_to_the_nearest_and_ties_to_the_even() {
    // 1 + 2^-10 is the next float16 behind 1.
    let step = 2f32.powi(-10);
    for (value, expected) in [
        (1.0 + 0.5 * step, 1.0),
        (1.0 + 0.51 * step, 1.0 + step),
        (1.0 + 1.5 * step, 1.0 + 2.0 * step),
        (65519.9, 65504.0),
        (65520.0, f32::INFINITY),
        (2f32.powi(-25), 0.0),
        (1.1 * 2f32.powi(-25), 2f32.powi(-24)),
        (-0.3, -0.300_048_83),
    ] {
        assert_eq!(from_half(to_half(value)), expected, "{value}");
    }
}

#[test]
fn the_built_in_models_arithmetic_becomes_half_precision() {
    let half = half_precision(DEFAULT_MODEL).unwrap();
    let model = ModelProto::parse_buf(&half).unwrap();
    let graph = model.graph.unwrap();
    assert!(graph.initializer.iter().all(|t| t.data_type != Some(DataType::FLOAT)));
    let to_float: Vec<_> = (graph.node.iter())
        .filter(|n| n.attribute.iter().any(|a| a.i == Some(1) && a.name.as_deref() == Some("to")))
        .collect();
    assert_eq!(to_float.len(), 1);
    assert_eq!(to_float[0].output, ["ppg"]);
    assert_eq!(
        model.metadata_props.len(),
        ModelProto::parse_buf(DEFAULT_MODEL).unwrap().metadata_props.len()
    );
    // What is half already stays.
    assert_eq!(half_precision(&half).unwrap(), half);
}

/// The built-in network with every value between its nodes, and its inputs, rounded to the eleven
/// bits of a float16, by Veltkamp's y = (2^13 + 1) x, y - (y - x).
fn rounded() -> Vec<u8> {
    let mut model = ModelProto::parse_buf(DEFAULT_MODEL).unwrap();
    let graph = model.graph.as_mut().unwrap();
    let factor = RefCell::new((8193.0f32).to_le_bytes().to_vec());
    graph.initializer.push(TensorProto {
        name: Some("factor".into()),
        data_type: Some(DataType::FLOAT),
        raw_data: Some(factor),
        ..TensorProto::default()
    });
    let inputs: Vec<String> = graph.input.iter().filter_map(|v| v.name.clone()).collect();
    inputs.iter().for_each(|name| rename(&mut graph.node, name));
    let mut nodes: Vec<NodeProto> =
        inputs.iter().flat_map(|name| rounding(name, &inner(name))).collect();
    for mut node in std::mem::take(&mut graph.node) {
        let out = node.output[0].clone();
        // Weights are float16 already.
        let is_weight = node.op_type.as_deref() == Some("Cast");
        if !is_weight {
            node.output[0] = format!("{out}/raw");
        }
        nodes.push(node);
        if !is_weight {
            nodes.extend(rounding(&format!("{out}/raw"), &out));
        }
    }
    graph.node = nodes;
    model.write_buf().unwrap()
}

fn rounding(from: &str, to: &str) -> [NodeProto; 3] {
    let node = |op: &str, inputs: [&str; 2], output: &str| NodeProto {
        name: Some(output.into()),
        op_type: Some(op.into()),
        input: inputs.map(String::from).into(),
        output: vec![output.into()],
        ..NodeProto::default()
    };
    let [large, rest] = ["large", "rest"].map(|part| format!("{to}/{part}"));
    [
        node("Mul", [from, "factor"], &large),
        node("Sub", [&large, from], &rest),
        node("Sub", [&large, &rest], to),
    ]
}

/// What an FP16 engine costs at the most: it keeps sums in float32 or better than this.
#[test]
fn half_precision_costs_less_than_a_hundredth_of_the_pulse() {
    let load = |onnx: Vec<u8>| CpuEngine::load(onnx, &|_| None).unwrap();
    let (whole, half) = (load(DEFAULT_MODEL.to_vec()), load(rounded()));
    let mut random = fastrand::Rng::with_seed(9);
    let mut maps = || -> Vec<f32> {
        (0..32 * whole.network().map_len()).map(|_| 3.4 * (random.f32() - 0.5)).collect()
    };
    let (motion, appearance) = (maps(), maps());
    let [a, b] = [&whole, &half].map(|e| e.run(&motion, &appearance).unwrap());
    let square = |v: f64| v * v;
    let error: f64 = a.iter().zip(&b).map(|(a, b)| square(f64::from(a - b))).sum();
    let power: f64 = a.iter().map(|a| square(f64::from(*a))).sum();
    let relative = (error / power).sqrt();
    println!("relative error of the pulse in half precision: {relative:.1e}");
    assert!(relative > 1e-5 && relative < 1e-2, "{relative}");
}

#[test]
fn what_may_not_be_half_is_refused() {
    let mut model = ModelProto::parse_buf(DEFAULT_MODEL).unwrap();
    let graph = model.graph.as_mut().unwrap();
    graph.node[5].op_type = Some("Resize".into());
    let error = half_precision(&model.write_buf().unwrap()).unwrap_err().to_string();
    assert!(error.contains("operator Resize"), "{error}");
    assert!(half_precision(b"not a model").is_err());
}

/// Plays a test face of 75 beats a minute through the model in `path`; the last reading.
fn play(path: &str) -> f64 {
    let launch = format!(
        "pulsetestsrc bpm=75 num-buffers=450 ! facecrop ! hrnetinfer backend=cpu model={path} ! \
         ppg2bpm ! appsink name=sink sync=false"
    );
    let pipeline = gst::parse::launch(&launch).unwrap().downcast::<gst::Pipeline>().unwrap();
    let sink = pipeline.by_name("sink").unwrap().downcast::<gst_app::AppSink>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let frames = std::iter::from_fn(|| sink.pull_sample().ok());
    let last = frames.filter_map(|s| HeartRateMeta::read(s.buffer()?)).last().unwrap();
    pipeline.set_state(gst::State::Null).unwrap();
    last.faces[0].bpm.expect("a reading")
}

#[test]
fn half_precision_reads_the_same_rate() {
    gst::init().unwrap();
    crate::plugin_register_static().unwrap();
    let folder = std::env::temp_dir().join(format!("half-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("rounded.onnx");
    std::fs::write(&path, rounded()).unwrap();
    let (whole, half) = (play("\"\""), play(path.to_str().unwrap()));
    std::fs::remove_dir_all(&folder).unwrap();
    println!("{whole:.3} bpm, in half precision {half:.3}");
    assert!((whole - 75.0).abs() < 0.3 && (half - whole).abs() < 0.3, "{whole} {half}");
    assert_ne!(half, whole);
}
