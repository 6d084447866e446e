//! With the library that ORT_DYLIB_PATH names (`make test` names the one of training/.venv if that is
//! there) or the system's; without one they say that they are skipped.

use std::time::{Duration, Instant};

use super::*;
use crate::hrnetinfer::cpu::CpuEngine;
use crate::hrnetinfer::engine::DEFAULT_MODEL;
use crate::hrnetinfer::half::half_precision;

/// Whether there is a library.
fn found() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let found = environment();
        if let Err(error) = &found {
            eprintln!("skipped: {error}");
        }
        found.is_ok()
    })
}

fn model(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/models/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Maps of noise as a network sees them: mean 0, deviation near 1.
fn noise(seed: u64, values: usize) -> Vec<f32> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..values).map(|_| 3.4 * (random.f32() - 0.5)).collect()
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |largest, v| largest.max(v.abs()))
}

#[test]
fn it_gives_what_rten_gives() {
    if !found() {
        return;
    }
    let data = DEFAULT_MODEL;
    let ort = OrtEngine::load(data, &|_| None).unwrap();
    let rten = CpuEngine::load(data.to_vec(), &|_| None).unwrap();
    let len = ort.network().map_len();
    assert_eq!(ort.network(), rten.network());
    let (motion, appearance) = (noise(1, 5 * len), noise(2, 5 * len));
    let [a, b] = [&ort as &dyn Engine, &rten].map(|e| e.run(&motion, &appearance).unwrap());
    assert_eq!(a.len(), 5);
    let worst = a.iter().zip(&b).fold(0.0f32, |w, (a, b)| w.max((a - b).abs()));
    assert!(worst < 1e-4 * largest(&b), "{a:?} {b:?}");
    // Its branches one by one as well.
    assert!(ort.attends());
    for i in 0..5 {
        let attention = ort.attend(&appearance[i * len..][..len]).unwrap();
        let sample = ort.run_attending(&motion[i * len..][..len], &attention).unwrap();
        assert!((sample - a[i]).abs() < 1e-4 * largest(&a), "{sample} {}", a[i]);
    }
}

/// What the pass to half precision makes is a graph that another runtime takes. It folds the casts
/// away and computes in float32: what half precision costs is measured in `half`.
#[test]
fn the_graph_in_half_precision_is_the_same_network() {
    if !found() {
        return;
    }
    let whole = OrtEngine::load(DEFAULT_MODEL, &|_| None).unwrap();
    let half = OrtEngine::load(&half_precision(DEFAULT_MODEL).unwrap(), &|_| None).unwrap();
    let len = whole.network().map_len();
    let (motion, appearance) = (noise(3, 16 * len), noise(4, 16 * len));
    let [a, b] = [&whole, &half].map(|e| e.run(&motion, &appearance).unwrap());
    let worst = a.iter().zip(&b).fold(0.0f32, |w, (a, b)| w.max((a - b).abs()));
    assert!(worst < 1e-2 * largest(&a), "{a:?} {b:?}");
}

#[test]
fn every_layout_and_batch_is_run_and_another_network_refused() {
    if !found() {
        return;
    }
    for name in ["green-nchw-36.onnx", "green-nhwc-72.onnx", "green-batch-4.onnx"] {
        let ort = OrtEngine::load(&model(name), &|_| None).unwrap();
        let rten = CpuEngine::load(model(name), &|_| None).unwrap();
        assert_eq!(ort.network(), rten.network(), "{name}");
        let maps = noise(5, 6 * ort.network().map_len());
        let [a, b] = [&ort as &dyn Engine, &rten].map(|e| e.run(&maps, &maps).unwrap());
        assert_eq!(a.len(), 6);
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-4), "{name} {a:?} {b:?}");
    }
    for (name, expected) in [
        ("bad-size.onnx", "[batch x 3 x 40 x 40]"),
        ("bad-one-input.onnx", "expected two"),
        ("bad-output.onnx", "gives 7776 values for 2 pairs"),
        ("bad-key.onnx", "hrnet.color: \"grey\""),
        ("make.py", "not a usable ONNX model"),
    ] {
        let error = OrtEngine::load(&model(name), &|_| None).err().unwrap().to_string();
        assert!(error.contains(expected), "{name}: {error}");
    }
    let cut = OrtEngine::load(&DEFAULT_MODEL[..200_000], &|_| None).err().unwrap().to_string();
    assert!(cut.contains("not a usable ONNX model"), "{cut}");
}

/// Prints what the choice of `auto` rests on: both runtimes as the element runs them.
#[test]
fn it_is_faster_than_rten() {
    if !found() {
        return;
    }
    let ort = OrtEngine::load(DEFAULT_MODEL, &|_| None).unwrap();
    let rten = CpuEngine::load(DEFAULT_MODEL.to_vec(), &|_| None).unwrap();
    let maps = noise(6, ort.network().map_len());
    let thinned = |engine: &dyn Engine| {
        let attention = engine.attend(&maps).unwrap();
        (0..8).for_each(|_| assert!(engine.run_attending(&maps, &attention).unwrap().is_finite()));
    };
    let every = |engine: &dyn Engine| {
        (0..8).for_each(|_| assert_eq!(engine.run(&maps, &maps).unwrap().len(), 1));
    };
    // The best of many short turns, taken in turn: others use this machine too.
    let mut best = [Duration::MAX; 4];
    for _ in 0..40 {
        let runs: [&dyn Fn(); 4] =
            [&|| thinned(&rten), &|| thinned(&ort), &|| every(&rten), &|| every(&ort)];
        for (best, run) in best.iter_mut().zip(runs) {
            let start = Instant::now();
            run();
            *best = (*best).min(start.elapsed());
        }
    }
    let [rten, ort, rten_whole, ort_whole] = best.map(|d| d.as_secs_f64() * 1e3 / 8.0);
    println!("ms a frame, appearance every 8th: rten {rten:.3}, ONNX Runtime {ort:.3}");
    println!("ms a frame, whole graph: rten {rten_whole:.3}, ONNX Runtime {ort_whole:.3}");
    assert!(ort < rten, "{ort} {rten}");
}
