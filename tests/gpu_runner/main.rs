//! What runs engines on a GPU, on a machine without one: TensorRT and the driver are doubles.
#![cfg(feature = "tensorrt")]

mod driver;
mod engine;

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use cudarc::driver::CudaContext;
use gstheartrate::hrnetinfer::bindings::Kind;
use gstheartrate::hrnetinfer::contract::Contract;
use gstheartrate::hrnetinfer::engine::{DEFAULT_MODEL, Engine, EngineError, Precision};
use gstheartrate::hrnetinfer::owner::{Client, Make, Maps, Runner, shared};
use gstheartrate::hrnetinfer::tensorrt::build::{Target, build};
use gstheartrate::hrnetinfer::tensorrt::driver::Gpu;
use gstheartrate::hrnetinfer::tensorrt::library;
use gstheartrate::hrnetinfer::tensorrt::runner::GpuRunner;

use self::driver::{Driver, ILLEGAL_ADDRESS, OUT_OF_MEMORY, UNKNOWN, driver};
use self::engine::{Double, LEN, RAN_WITHOUT_EXECUTION};

fn load(double: Double, max_batch: usize) -> Result<GpuRunner, EngineError> {
    GpuRunner::new(&CudaContext::new(0).unwrap(), Rc::new(double), max_batch)
}

/// Pairs as the network gets them, and the samples that it must give. `seed` makes them others.
fn pairs(seed: usize, count: usize) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let (mut motion, mut appearance) = (vec![0.0; count * LEN], vec![0.0; count * LEN]);
    // Whole numbers of less than 2048 are exact in half precision.
    let value = |pair: usize, of: usize| ((seed * 37 + pair * 11 + of) % 500) as f32;
    for pair in 0..count {
        motion[pair * LEN] = value(pair, 1);
        motion[(pair + 1) * LEN - 1] = value(pair, 200);
        appearance[pair * LEN] = 4.0 * value(pair, 3);
    }
    let sample = |pair| value(pair, 1) + value(pair, 200) + value(pair, 3);
    (motion, appearance, (0..count).map(sample).collect())
}

/// Starts a batch, of two parts where it can be cut; the samples that must come.
fn submit(runner: &mut GpuRunner, seed: usize, count: usize) -> Vec<f32> {
    let (motion, appearance, samples) = pairs(seed, count);
    let cut = count / 3 * LEN;
    let ((m0, m1), (a0, a1)) = (motion.split_at(cut), appearance.split_at(cut));
    let parts = [Maps { motion: m0, appearance: a0 }, Maps { motion: m1, appearance: a1 }];
    runner.submit(&parts[usize::from(cut == 0)..]).unwrap();
    samples
}

/// Every batch up to the largest, twice, gets its own samples: by replayed graphs, or queued anew
/// where the library records.
#[test]
fn every_batch_gets_its_samples_in_float_and_in_half() {
    for (kind, records) in
        [(Kind::Float, false), (Kind::Float, true), (Kind::Half, false), (Kind::Half, true)]
    {
        let driver = driver();
        let mut runner = load(Double { kind, records, ..Double::default() }, 20).unwrap();
        assert_eq!((runner.max_batch(), runner.depth()), (20, 2));
        for count in (1..=20).chain((1..=20).rev()) {
            let samples = submit(&mut runner, count, count);
            assert_eq!(runner.collect().unwrap(), samples, "{kind:?} {count}");
        }
        // Sizes 1 to 8, 16 and 20 in two slots, and 40 batches.
        assert_eq!(driver.launches(), if records { 0 } else { 20 + 40 });
    }
}

/// The second batch is queued while nothing of the first has run, and leaves it as it is.
#[test]
fn two_batches_are_under_way_and_a_third_is_refused() {
    let _driver = driver();
    let mut runner = load(Double { kind: Kind::Half, ..Double::default() }, 16).unwrap();
    for round in 0..4 {
        let first = submit(&mut runner, 2 * round, 16);
        assert!(!runner.ready());
        let second = submit(&mut runner, 2 * round + 1, 5);
        let (motion, appearance, _) = pairs(9, 1);
        let third = [Maps { motion: &motion, appearance: &appearance }];
        let error = runner.submit(&third).unwrap_err().to_string();
        assert!(error.contains("no room on the GPU for 1 pairs"), "{error}");
        // Two copies, a run and a copy are four looks.
        assert_eq!((0..9).find(|_| runner.ready()), Some(3));
        assert_eq!(runner.collect().unwrap(), first);
        assert!(!runner.ready());
        assert_eq!(runner.collect().unwrap(), second);
    }
    let error = runner.collect().unwrap_err().to_string();
    assert!(error.contains("nothing runs"), "{error}");
    let (motion, appearance, _) = pairs(0, 17);
    let large = [Maps { motion: &motion, appearance: &appearance }];
    assert!(runner.submit(&large).is_err());
}

/// Large batches have fewer sizes, so that an engine of 1024 is not 1024 executions.
#[test]
fn large_batches_run_in_few_sizes() {
    let driver = driver();
    let mut runner = load(Double { max_batch: 256, ..half() }, 200).unwrap();
    // 1 to 8, seven more to 64, then 128, 192 and 200; in two slots.
    assert_eq!(driver.launches(), 2 * 18);
    for count in [200, 65, 130, 64, 33, 199] {
        let samples = submit(&mut runner, count, count);
        assert_eq!(runner.collect().unwrap(), samples, "{count}");
    }
    assert_eq!(driver.launches(), 2 * 18 + 6);
}

#[test]
fn an_engine_of_a_fixed_batch_is_filled_up() {
    let driver = driver();
    let double = Double { batch: 4, max_batch: 4, kind: Kind::Half, ..Double::default() };
    let mut runner = load(double, 16).unwrap();
    assert_eq!(runner.max_batch(), 4);
    for count in [4, 1, 3, 2, 4] {
        let samples = submit(&mut runner, count, count);
        assert_eq!(runner.collect().unwrap(), samples);
    }
    // One size in two slots, and five batches.
    assert_eq!(driver.launches(), 2 + 5);
}

/// Before TensorRT 10 one execution alone may use an engine's profile: it is bound anew for each
/// size, and then what was recorded of it must not be played.
#[test]
fn an_engine_of_one_execution_runs_every_size_one_at_a_time() {
    let driver = driver();
    let mut runner = load(Double { executions: 1, ..Double::default() }, 16).unwrap();
    assert_eq!(runner.depth(), 1);
    driver.reset();
    for count in [3, 16, 3, 3, 1, 12] {
        let samples = submit(&mut runner, count, count);
        assert_eq!(runner.collect().unwrap(), samples, "{count}");
    }
    assert_eq!(driver.launches(), 0);
}

fn client(key: &str, double: fn() -> Double, timeout: Duration) -> Client {
    let make: Make = Box::new(move || Ok(Box::new(load(double(), 16)?)));
    shared(key, Contract::default(), timeout, || Ok(make)).unwrap()
}

fn half() -> Double {
    Double { kind: Kind::Half, ..Double::default() }
}

/// 64 faces of 8 streams of uneven rates; stream 3 goes in the middle.
#[test]
fn every_sample_of_64_faces_from_8_streams_lands_on_its_face() {
    let driver = driver();
    let clients: Vec<_> = (0..8).map(|_| client("64", half, Duration::from_millis(2))).collect();
    thread::scope(|scope| {
        for (stream, client) in clients.into_iter().enumerate() {
            scope.spawn(move || {
                for frame in 0..if stream == 3 { 7 } else { 40 - 3 * stream } {
                    let (motion, appearance, samples) = pairs(100 * stream + frame, 8);
                    assert_eq!(client.run(&motion, &appearance).unwrap(), samples);
                    thread::sleep(Duration::from_micros(300 * stream as u64));
                }
            });
        }
    });
    assert!(driver.launches() > 20 + 60, "{}", driver.launches());
}

/// Where memory ends in the first slot the engine can't be had; in the second, one must do.
#[test]
fn a_full_gpu_is_an_error_that_says_so() {
    let driver = driver();
    for (call, first, all) in
        [("cuMemAllocAsync", 4, 8), ("cuMemHostAlloc", 3, 6), ("cuMemAlloc", 4, 8)]
    {
        if call == "cuMemAlloc" {
            driver.without_pools();
        }
        for after in 0..all {
            driver.fail(call, after, OUT_OF_MEMORY);
            match load(Double::default(), 16) {
                Err(error) if after < first => {
                    let error = error.to_string();
                    assert!(error.starts_with("memory for 16 pairs: "), "{error}");
                    assert!(error.contains("CUDA_ERROR_OUT_OF_MEMORY"), "{error}");
                }
                Ok(mut runner) if after >= first => {
                    assert_eq!(runner.depth(), 1);
                    let samples = submit(&mut runner, 1, 9);
                    assert_eq!(runner.collect().unwrap(), samples);
                }
                other => panic!("{call} {after}: {:?}", other.map(|r| r.depth())),
            }
        }
    }
}

/// Whatever is the last that the driver does: an error for every stream that asks, then and later.
#[test]
fn a_device_lost_in_mid_stream_is_an_error_of_every_stream() {
    let driver = driver();
    let recording = || Double { records: true, ..half() };
    type Case = (&'static str, i32, fn() -> Double);
    let cases: [Case; 5] = [
        ("cuGraphLaunch", UNKNOWN, half),
        ("cuStreamSynchronize", ILLEGAL_ADDRESS, half),
        ("cuMemcpyHtoDAsync", UNKNOWN, recording),
        ("cuMemcpyDtoHAsync", UNKNOWN, recording),
        ("cuLaunchHostFunc", ILLEGAL_ADDRESS, recording),
    ];
    for (call, code, double) in cases {
        let name =
            if code == UNKNOWN { "CUDA_ERROR_UNKNOWN" } else { "CUDA_ERROR_ILLEGAL_ADDRESS" };
        driver.reset();
        let clients = [(); 3].map(|_| client(call, double, Duration::from_millis(1)));
        let (motion, appearance, samples) = pairs(5, 3);
        let ask = |client: &Client| client.run(&motion, &appearance);
        assert_eq!(ask(&clients[0]).unwrap(), samples);
        driver.fail(call, 1, code);
        thread::scope(|scope| {
            for client in &clients {
                scope.spawn(|| {
                    let error = (0..50).find_map(|_| ask(client).err()).expect("an error");
                    let error = error.to_string();
                    assert!(
                        error.starts_with("failed to run: ") && error.contains(name),
                        "{error}"
                    );
                    assert!(ask(client).is_err());
                });
            }
        });
        drop(clients);
    }
    driver.reset();
    // Another engine starts anew.
    let again = client("again", half, Duration::ZERO);
    let (motion, appearance, samples) = pairs(6, 2);
    assert_eq!(again.run(&motion, &appearance).unwrap(), samples);
}

/// What the device does when it is lost while it is set up.
#[test]
fn a_device_lost_at_start_is_an_error_at_start() {
    let driver = driver();
    for call in ["cuStreamCreate", "cuMemsetD8Async", "cuStreamSynchronize", "cuGraphLaunch"] {
        for after in [0, 3, 9] {
            driver.reset();
            driver.fail(call, after, ILLEGAL_ADDRESS);
            match load(half(), 16) {
                Err(error) => assert!(error.to_string().contains("ILLEGAL_ADDRESS"), "{error}"),
                // Two streams, and memory for eight things.
                Ok(_) => assert!(
                    call == "cuStreamCreate" && after > 1 || call == "cuMemsetD8Async" && after > 7
                ),
            }
        }
    }
}

/// A runner that goes with batches under way waits for them, and gives all back.
#[test]
fn a_runner_goes_in_good_order() {
    let driver = driver();
    for pools in [true, false] {
        if !pools {
            driver.without_pools();
        }
        let mut runner = load(half(), 16).unwrap();
        submit(&mut runner, 1, 16);
        submit(&mut runner, 2, 16);
        drop(runner);
        assert!(!RAN_WITHOUT_EXECUTION.load(Ordering::Relaxed));
    }
}

/// TensorRT looks for more in a driver than there is in this one.
#[test]
fn a_driver_that_tensorrt_can_not_use_is_refused_in_words() {
    let _driver = driver();
    let library = match library() {
        Ok(library) => library,
        Err(error) => return eprintln!("skipped: {error}"),
    };
    let target = Target { precision: Precision::Fp16, max_batch: 16, capabilities: vec![86] };
    let file = build(library, DEFAULT_MODEL, &target, &|_, _, _| ());
    // A TensorRT that is not for RTX builds on its GPU only.
    let Ok(file) = file else { return eprintln!("skipped: {}", file.unwrap_err()) };
    let gpu = Gpu::find(0).unwrap();
    let error = GpuRunner::load(library, &gpu.context, &file.bytes, 16).err().unwrap().to_string();
    assert!(error.starts_with("TensorRT refuses the engine: reading the engine failed"), "{error}");
}

#[test]
fn a_gpu_is_found_by_its_number() {
    let _driver: Driver = driver();
    let gpu = Gpu::find(0).unwrap();
    assert_eq!((&gpu.name[..], gpu.capability), ("no GPU", 86));
    let error = Gpu::find(1).err().unwrap().to_string();
    assert_eq!(error, "no GPU 1: there are 1, counted from 0");
    let context: &Arc<CudaContext> = &gpu.context;
    assert_eq!(context.ordinal(), 0);
}
