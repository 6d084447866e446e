//! What only a GPU can show (`make test-gpu`): the built-in model by TensorRT in half and in single
//! precision beside rten. Says "skipped", and why, where there is no GPU.
#![cfg(feature = "tensorrt")]

use std::sync::OnceLock;

use gst::prelude::*;
use gstheartrate::hrnetinfer::backends;
use gstheartrate::hrnetinfer::engine::{Backend, DEFAULT_MODEL, Engine, Precision, Request};
use gstheartrate::hrnetinfer::half::half_precision;
use gstheartrate::hrnetinfer::tensorrt::build::{Target, build, capability};
use gstheartrate::hrnetinfer::tensorrt::driver::Gpu;
use gstheartrate::hrnetinfer::tensorrt::runner::GpuRunner;
use gstheartrate::hrnetinfer::tensorrt::sys::{self, Options};
use gstheartrate::hrnetinfer::tensorrt::{library, version};
use gstheartrate::meta::HeartRateMeta;

/// The GPU, where TensorRT makes engines for it and runs them; else the reason in one line.
fn gpu() -> Option<&'static Gpu> {
    static FOUND: OnceLock<Option<Gpu>> = OnceLock::new();
    FOUND
        .get_or_init(|| {
            let gpu = match Gpu::find(0) {
                Ok(gpu) => gpu,
                Err(error) => {
                    eprintln!("skipped: {error}");
                    return None;
                }
            };
            let (name, number) = (&gpu.name, capability(gpu.capability));
            let open = backends::open(&request(Precision::Fp16));
            let result = open.as_ref().map_or_else(|e| e.to_string(), |_| "runs".into());
            println!("{} on {name}, compute capability {number}: {result}", version());
            // TensorRT for RTX knows no data-centre GPUs: that is no fault of ours.
            let known = !sys::is_rtx() || [75, 86, 89, 120, 121].contains(&gpu.capability);
            if open.is_err() {
                assert!(!known, "{result}");
                eprintln!("skipped: {} does not run on this GPU: {result}", version());
            }
            open.is_ok().then_some(gpu)
        })
        .as_ref()
}

fn request(precision: Precision) -> Request<'static> {
    Request { backend: Backend::TensorRt, precision, batch_size: 64, ..Request::default() }
}

/// What one clip gives: the pulse and the last reading.
fn play(properties: &str) -> (Vec<f64>, f64) {
    gst::init().unwrap();
    gstheartrate::plugin_register_static().unwrap();
    // Both branches on every frame, as an engine does.
    let launch = format!(
        "pulsetestsrc bpm=75 num-buffers=450 ! facecrop ! hrnetinfer {properties} \
         contract=\"contract,appearance_every=1\" ! ppg2bpm ! appsink name=sink sync=false"
    );
    let pipeline = gst::parse::launch(&launch).unwrap().downcast::<gst::Pipeline>().unwrap();
    let sink = pipeline.by_name("sink").unwrap().downcast::<gst_app::AppSink>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let frames = std::iter::from_fn(|| sink.pull_sample().ok());
    let faces: Vec<_> =
        frames.filter_map(|s| HeartRateMeta::read(s.buffer()?)?.faces.into_iter().next()).collect();
    pipeline.set_state(gst::State::Null).unwrap();
    let bpm = faces.last().and_then(|f| f.bpm).expect("a reading");
    (faces.iter().filter_map(|f| f.ppg).collect(), bpm)
}

/// Root of the squares of the difference over those of `a`.
fn relative(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let squares = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
    let error = squares(&mut a.iter().zip(b).map(|(a, b)| a - b));
    (error / squares(&mut a.iter().copied())).sqrt()
}

#[test]
#[ignore = "needs a GPU: make test-gpu"]
fn half_and_single_precision_and_the_cpu_read_the_same_pulse() {
    if gpu().is_none() {
        return;
    }
    let (cpu, cpu_bpm) = play("backend=cpu");
    let (single, single_bpm) = play("backend=tensorrt precision=fp32");
    let (half, half_bpm) = play("backend=tensorrt precision=fp16");
    println!("{cpu_bpm:.3} bpm by rten, {single_bpm:.3} by TensorRT FP32, {half_bpm:.3} by FP16");
    for (name, a, b) in [("FP16 to FP32", &single, &half), ("FP32 to rten", &cpu, &single)] {
        let error = relative(a, b);
        println!("relative error of the pulse, {name}: {error:.1e}");
        assert!(error < 1e-2, "{name}: {error}");
    }
    assert!((cpu_bpm - 75.0).abs() < 0.5, "{cpu_bpm}");
    assert!((single_bpm - half_bpm).abs() < 0.3 && (single_bpm - cpu_bpm).abs() < 0.3);
}

/// Every batch size, first and replayed, from two threads at a time.
#[test]
#[ignore = "needs a GPU: make test-gpu"]
fn every_batch_gives_what_the_cpu_gives() {
    if gpu().is_none() {
        return;
    }
    let open = |request: &Request| backends::open(request).unwrap().engine;
    let cpu = open(&Request { backend: Backend::Cpu, ..Request::default() });
    let gpus = [(); 2].map(|_| open(&request(Precision::Fp16)));
    let len = cpu.network().map_len();
    let mut random = fastrand::Rng::with_seed(3);
    let mut noise = || -> Vec<f32> { (0..70 * len).map(|_| 3.4 * (random.f32() - 0.5)).collect() };
    let (motion, appearance) = (noise(), noise());
    let all = cpu.run(&motion, &appearance).unwrap();
    let scale = (all.iter().map(|v| v * v).sum::<f32>() / all.len() as f32).sqrt();
    let check = |engine: &dyn Engine, first: usize| {
        for _ in 0..3 {
            for pairs in [1, 2, 3, 7, 8, 9, 16, 17, 31, 64, 65] {
                let range = first * len..(first + pairs) * len;
                let samples = engine.run(&motion[range.clone()], &appearance[range]).unwrap();
                let differ = samples.iter().zip(&all[first..]).map(|(a, b)| (a - b).abs());
                let error = differ.fold(0.0, f32::max) / scale;
                assert!(samples.len() == pairs && error < 2e-2, "{pairs} from {first}: {error}");
            }
        }
    };
    std::thread::scope(|scope| {
        for (first, engine) in gpus.iter().enumerate() {
            scope.spawn(move || check(&**engine, 5 * first));
        }
    });
}

#[test]
#[ignore = "needs a GPU: make test-gpu"]
fn the_inspector_shows_half_precision() {
    let Some(gpu) = gpu() else { return };
    gpu.context.bind_to_thread().unwrap();
    let inspect = |onnx: &[u8], half: bool| {
        let (max_batch, best_batch, capabilities) = (16, 16, Vec::new());
        let options = Options { max_batch, best_batch, half, capabilities, detailed: true };
        let built = library().unwrap().build(onnx, &options, &|_, _, _| ()).unwrap();
        library().unwrap().load(&built.bytes).unwrap().inspect().unwrap().to_ascii_lowercase()
    };
    let halved = half_precision(DEFAULT_MODEL).unwrap();
    let half = inspect(if sys::is_typed() { &halved } else { DEFAULT_MODEL }, true);
    let single = inspect(DEFAULT_MODEL, false);
    let count = |text: &str| text.matches("half").count() + text.matches("fp16").count();
    println!(
        "the inspector names half precision {} times, of FP32 {}",
        count(&half),
        count(&single)
    );
    assert!(count(&half) > count(&single), "{half}");
}

/// Engines of TensorRT for RTX that were made for another compute capability, or for none: what
/// becomes of them on this GPU is printed. None may stop the process.
#[test]
#[ignore = "needs a GPU: make test-gpu"]
fn engines_for_other_gpus_are_run_or_refused() {
    let Ok(gpu) = Gpu::find(0) else {
        eprintln!("skipped: no GPU");
        return;
    };
    if !sys::is_rtx() {
        eprintln!("skipped: this TensorRT makes engines for the GPU of this machine only");
        return;
    }
    for capabilities in [vec![], vec![80], vec![86], vec![89], vec![120], vec![90]] {
        let names: Vec<String> = capabilities.iter().map(|c| capability(*c)).collect();
        let target = Target { precision: Precision::Fp16, max_batch: 16, capabilities };
        let file = build(library().unwrap(), DEFAULT_MODEL, &target, &|_, _, _| ());
        let run =
            file.and_then(|f| GpuRunner::load(library().unwrap(), &gpu.context, &f.bytes, 16));
        let result = run.map_or_else(|e| e.to_string(), |_| "runs".into());
        let [here, made] = [capability(gpu.capability), names.join(" ")];
        println!("an engine for [{made}] on compute capability {here}: {result}");
    }
}
