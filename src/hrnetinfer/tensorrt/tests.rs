//! What can be seen without a GPU, with the library that scripts/tensorrt-rtx brings.

use std::sync::Mutex;
use std::time::Instant;

use super::sys::Options;
use super::*;
use crate::hrnetinfer::engine::DEFAULT_MODEL;
use crate::hrnetinfer::half::half_precision;

/// TensorRT for RTX of the tests; `None`, said aloud, where it is not to be had.
fn rtx() -> Option<&'static Library> {
    static OPENED: OnceLock<Option<Library>> = OnceLock::new();
    let open = || {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tensorrt-rtx/lib");
        let (core, parser) = paths(Some(&folder));
        if !core.exists() {
            eprintln!("skipped: no {}: run scripts/tensorrt-rtx", core.display());
            return None;
        }
        Some(Library::open(&core, Some(&parser)).unwrap())
    };
    OPENED.get_or_init(open).as_ref()
}

fn model(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/models/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn target(capabilities: &[i32]) -> Target {
    let capabilities = capabilities.to_vec();
    Target { precision: Precision::Fp16, max_batch: 16, capabilities }
}

/// Bytes of an engine's constants by their type, half and float, as its plain text has them.
fn constants(engine: &[u8]) -> [usize; 2] {
    let text = String::from_utf8_lossy(engine);
    let constants: Vec<&str> = text.split("const_payload_size=").skip(1).collect();
    let bytes = |c: &&&str| -> usize { c.split(' ').next().unwrap().parse().unwrap() };
    ["half", "float"].map(|kind| {
        let name = format!(" type={kind} ");
        let is_kind = |c: &&&str| c.split('}').take(4).any(|part| part.contains(&name));
        constants.iter().filter(is_kind).map(|c| bytes(&c)).sum()
    })
}

#[test]
fn the_built_in_model_becomes_a_half_precision_engine_without_a_gpu() {
    let Some(library) = rtx() else { return };
    let steps = Mutex::new(Vec::new());
    let progress = |_: &str, step, of| steps.lock().unwrap().push((step, of));
    for capabilities in [&[86][..], &[89], &[120], &[86, 89, 120]] {
        let start = Instant::now();
        let file = build(library, DEFAULT_MODEL, &target(capabilities), &progress).unwrap();
        println!("{capabilities:?}: {} bytes in {:?}", file.bytes.len(), start.elapsed());
        assert!(file.bytes.len() > 1_000_000);
        assert_eq!(file.about["hrnet.color"], "rgb");
        assert_eq!((&file.about["precision"][..], &file.about["max-batch"][..]), ("fp16", "16"));
        // All weights; what is left of float are factors of one number.
        let [half, float] = constants(&file.bytes);
        assert!(half > 300_000 && float < 200, "{half} {float}");
    }
    let steps = steps.into_inner().unwrap();
    assert!(steps.len() > 3 && steps.iter().all(|(step, of)| step <= of), "{steps:?}");
}

/// Every part of the parsed graph gives half precision but the last cast and the shapes' arithmetic;
/// of the file as it stands every one gives float.
#[test]
fn the_graphs_arithmetic_is_half_precision() {
    let Some(library) = rtx() else { return };
    let options = Options {
        max_batch: 16,
        best_batch: 16,
        half: true,
        capabilities: vec![86],
        detailed: true,
    };
    let count = |onnx: &[u8]| {
        let built = library.build(onnx, &options, &|_, _, _| ()).unwrap();
        // Convolutions, activations, products and sums by the numbers of nvinfer1::LayerType.
        let computes = |line: &&str| {
            ["0", "2", "3", "9", "14", "17"].contains(&line.split(' ').nth(1).unwrap())
        };
        let parts: Vec<String> = built
            .graph
            .lines()
            .filter(computes)
            .map(|l| l.split(' ').next().unwrap().into())
            .collect();
        ["half", "float"].map(|kind| parts.iter().filter(|p| *p == kind).count())
    };
    let [half, float] = count(&half_precision(DEFAULT_MODEL).unwrap());
    assert!(half > 30 && float == 0, "{half} {float}");
    assert_eq!(count(DEFAULT_MODEL), [0, half]);
}

#[test]
fn full_precision_is_there_too() {
    let Some(library) = rtx() else { return };
    let target = Target { precision: Precision::Fp32, ..target(&[86]) };
    let file = build(library, DEFAULT_MODEL, &target, &|_, _, _| ()).unwrap();
    assert_eq!(file.about["precision"], "fp32");
    let [half, float] = constants(&file.bytes);
    assert!(float > 600_000 && half == 0, "{half} {float}");
}

#[test]
fn what_can_not_be_built_is_a_clear_error() {
    let Some(library) = rtx() else { return };
    let error = |onnx: &[u8], capabilities: &[i32]| {
        build(library, onnx, &target(capabilities), &|_, _, _| ()).unwrap_err().to_string()
    };
    let capability = error(DEFAULT_MODEL, &[90]);
    assert!(capability.contains("9.0"), "{capability}");
    let one = error(&model("bad-one-input.onnx"), &[86]);
    assert!(one.contains("expected two float inputs"), "{one}");
    let size = error(&model("bad-size.onnx"), &[86]);
    assert!(size.contains("[batch x 3 x 40 x 40]"), "{size}");
    let cut = error(&DEFAULT_MODEL[..DEFAULT_MODEL.len() / 2], &[86]);
    assert!(cut.contains("not a usable ONNX model"), "{cut}");
}

/// An operator that nobody has: refused by the pass to half precision, and by the parser.
#[test]
fn an_unknown_operator_is_named() {
    let Some(library) = rtx() else { return };
    let mut proto = rten_onnx::onnx::ModelProto::parse_buf(DEFAULT_MODEL).unwrap();
    let node = proto.graph.as_mut().unwrap().node.iter_mut();
    node.filter(|n| n.op_type.as_deref() == Some("Sigmoid")).for_each(|n| {
        n.op_type = Some("Wobble".into());
    });
    let onnx = proto.write_buf().unwrap();
    for precision in [Precision::Fp16, Precision::Fp32] {
        let target = Target { precision, ..target(&[86]) };
        let error = build(library, &onnx, &target, &|_, _, _| ()).unwrap_err().to_string();
        assert!(error.contains("Wobble"), "{error}");
    }
}

#[test]
fn networks_of_every_layout_and_batch_can_be_built() {
    let Some(library) = rtx() else { return };
    for name in ["green-nchw-36.onnx", "green-nhwc-72.onnx", "green-batch-4.onnx"] {
        let file = build(library, &model(name), &target(&[86]), &|_, _, _| ()).unwrap();
        assert!(file.bytes.len() > 1000, "{name}");
        assert_eq!(file.about["hrnet.output"], "pulse", "{name}");
    }
}

/// With a driver it runs; without, the error names what is missing. Never a crash.
#[test]
fn a_truncated_engine_or_none_at_all_is_refused() {
    let Some(library) = rtx() else { return };
    let engine = build(library, DEFAULT_MODEL, &target(&[86]), &|_, _, _| ()).unwrap().bytes;
    for bytes in [&engine[..engine.len() / 2], b"no engine", &[0; 4096]] {
        let error = library.load(bytes).err().expect("it is no engine");
        assert!(error.starts_with("reading the engine failed: "), "{error}");
    }
    if driver::probe().is_err() {
        let error = library.load(&engine).err().expect("there is no driver");
        assert!(error.contains("CUDA driver"), "{error}");
    }
}

#[test]
fn a_library_of_another_version_or_kind_is_refused() {
    let error = Library::open(Path::new("/nowhere/libnvinfer.so.10"), None).err().unwrap();
    assert!(error.contains("/nowhere/libnvinfer.so.10"), "{error}");
    let error = Library::open(Path::new("libc.so.6"), None).err().unwrap();
    assert!(error.contains("getInferLibVersion"), "{error}");
}

/// A library that has the function, and another version.
#[test]
fn another_version_is_refused_before_the_first_call() {
    let folder = std::env::temp_dir().join(format!("tensorrt-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (source, library) = (folder.join("a.c"), folder.join("liba.so"));
    std::fs::write(&source, "int getInferLibVersion(void) { return 70100; }").unwrap();
    let mut compiler = std::process::Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source);
    assert!(compiler.status().unwrap().success());
    let error = Library::open(&library, None).err().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let number = sys::headers_version().1;
    let expected = format!("has version number 70100, the plugin was built for {number}");
    assert!(error.contains(&expected), "{error}");
}

#[test]
fn libraries_are_looked_for_where_the_user_says() {
    let major = sys::headers_version().0;
    let core = if sys::is_rtx() { "libtensorrt_rtx.so" } else { "libnvinfer.so" };
    let core = format!("{core}.{major}");
    assert_eq!(paths(None).0, Path::new(&core));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert_eq!(paths(Some(folder)).0, folder.join(&core));
    let (file, parser) = paths(Some(Path::new("/opt/own.so")));
    assert_eq!((file.to_str(), parser.parent()), (Some("/opt/own.so"), Some(Path::new("/opt"))));
}

#[test]
fn without_a_driver_opening_says_so() {
    if driver::probe().is_ok() {
        eprintln!("skipped: this machine has a driver");
        return;
    }
    let error = open(&Request::default(), false).err().unwrap().to_string();
    assert!(error.contains("no NVIDIA driver") && error.contains("libcuda.so.1"), "{error}");
}
