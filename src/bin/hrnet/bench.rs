//! `hrnet bench`: how fast a network runs on this machine, by itself and in whole pipelines.

use std::path::PathBuf;
use std::sync::Arc;

use gstheartrate::hrnetinfer::backends;
use gstheartrate::hrnetinfer::engine::{Backend, Engine, EngineError, Request};
use serde::Serialize;

use super::bench_streams;
use super::engine::PrecisionArg;
use super::measure::{Measured, measure};
use super::usage::Usage;

/// Measure networks on this machine: every backend that is there, or whole pipelines.
#[derive(clap::Args)]
pub struct Args {
    /// ONNX file or TensorRT engine; the built-in network without
    #[arg(value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// Only this one
    #[arg(long, value_enum)]
    pub backend: Option<BackendArg>,
    #[arg(long, value_enum, default_value_t)]
    pub precision: PrecisionArg,
    /// Which GPU, counted from 0
    #[arg(long, default_value_t = 0)]
    pub device: u32,
    /// Pairs of frames at a time
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8],
          value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub batch: Vec<u32>,
    /// Threads that ask at a time, as several streams do; on a GPU they share the engine
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub callers: u32,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    pub seconds: f64,
    /// Whole pipelines instead, of so many cameras in one process
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub streams: Option<u32>,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

fn seconds(text: &str) -> Result<f64, String> {
    super::in_range(text, 0.1, 600.0)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum BackendArg {
    Cpu,
    Onnxruntime,
    Tensorrt,
}

impl BackendArg {
    const ALL: [BackendArg; 3] = [BackendArg::Tensorrt, BackendArg::Onnxruntime, BackendArg::Cpu];

    pub fn get(self) -> Backend {
        match self {
            BackendArg::Cpu => Backend::Cpu,
            BackendArg::Onnxruntime => Backend::OnnxRuntime,
            BackendArg::Tensorrt => Backend::TensorRt,
        }
    }
}

/// The name that the element knows it by.
pub fn backend_name(backend: Backend) -> &'static str {
    match backend {
        Backend::Auto => "auto",
        Backend::Cpu => "cpu",
        Backend::OnnxRuntime => "onnxruntime",
        Backend::TensorRt => "tensorrt",
    }
}

#[derive(Debug, Serialize)]
struct Report {
    model: String,
    cpu: String,
    gpu: Option<String>,
    rows: Vec<Row>,
    /// Backends that can't run here, and why.
    unavailable: Vec<(&'static str, String)>,
}

#[derive(Debug, Serialize)]
struct Row {
    backend: &'static str,
    precision: &'static str,
    batch: u32,
    callers: u32,
    /// Frames for which one run of the appearance branch serves.
    appearance_every: u32,
    frames_per_second: f64,
    /// Milliseconds of a run.
    p50_ms: f64,
    p99_ms: f64,
    /// Milliseconds of processor time, all threads.
    cpu_ms_per_frame: f64,
    /// Peak resident memory of the process so far.
    memory_mib: f64,
}

pub fn run(args: &Args) -> Result<(), String> {
    if let Some(streams) = args.streams {
        return bench_streams::run(args, streams);
    }
    let mut report = Report {
        model: args.model.as_ref().map_or("built in".into(), |p| p.display().to_string()),
        cpu: cpu_name(),
        gpu: gpu_name(args.device),
        rows: Vec::new(),
        unavailable: Vec::new(),
    };
    let backends = args.backend.map_or(BackendArg::ALL.to_vec(), |b| vec![b]);
    for backend in backends {
        if let Err(error) = bench(args, backend.get(), &mut report.rows) {
            let why = format!("{error}").replace('\n', " ");
            match args.backend {
                Some(_) => return Err(format!("{}: {why}", report.model)),
                None => report.unavailable.push((backend_name(backend.get()), why)),
            }
        }
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report).map_err(|e| e.to_string())?);
    } else {
        print(&report);
    }
    Ok(())
}

/// Opens a backend and measures it at every batch size.
fn bench(args: &Args, backend: Backend, rows: &mut Vec<Row>) -> Result<(), EngineError> {
    let request = Request {
        model: args.model.as_deref(),
        backend,
        precision: args.precision.get(),
        device: args.device,
        batch_size: args.batch.iter().copied().max().unwrap_or(1),
        progress: &|phase, step, of| eprintln!("{phase}: {step} of {of}"),
        warn: &|text| eprintln!("{text}"),
        ..Request::default()
    };
    let opened = (0..args.callers).map(|_| backends::open(&request));
    let engines: Vec<_> =
        opened.map(|o| o.map(|o| o.engine)).collect::<Result<_, EngineError>>()?;
    let half = backend == Backend::TensorRt && args.precision == PrecisionArg::Fp16;
    let mut row = |batch, every, measured: Measured| {
        rows.push(Row {
            backend: backend_name(backend),
            precision: if half { "fp16" } else { "fp32" },
            batch,
            callers: args.callers,
            appearance_every: every,
            frames_per_second: measured.rate,
            p50_ms: measured.percentile(0.50),
            p99_ms: measured.percentile(0.99),
            cpu_ms_per_frame: measured.cpu_ms,
            memory_mib: Usage::now().peak as f64 / f64::from(1 << 20),
        });
    };
    if engines[0].attends() {
        let every = engines[0].network().contract.appearance_every;
        row(1, every, attending(args, &engines, every)?);
    }
    for batch in &args.batch {
        row(*batch, 1, whole(args, &engines, *batch)?);
    }
    Ok(())
}

/// Maps of noise as a network sees them.
fn noise(values: usize) -> Vec<f32> {
    let mut random = fastrand::Rng::with_seed(1);
    (0..values).map(|_| 3.4 * (random.f32() - 0.5)).collect()
}

/// The whole graph on `batch` pairs in one run.
fn whole(args: &Args, engines: &[Arc<dyn Engine>], batch: u32) -> Result<Measured, EngineError> {
    if let Some(max) = engines[0].max_batch().filter(|max| batch as usize > *max) {
        let what = format!("the engine runs {max} pairs at a time at the most: no --batch {batch}");
        return Err(EngineError::Unavailable(what));
    }
    let maps = &noise(batch as usize * engines[0].network().map_len());
    let caller = |engine| move || Engine::run(engine, maps, maps).map(|_| ());
    measure(args.seconds, batch, engines.iter().map(|e| caller(&**e)).collect())
}

/// One pair after the other, with the appearance branch once in so many, as the element does.
fn attending(
    args: &Args,
    engines: &[Arc<dyn Engine>],
    every: u32,
) -> Result<Measured, EngineError> {
    let maps = &noise(engines[0].network().map_len());
    let caller = |engine: &Arc<dyn Engine>| {
        let engine = engine.clone();
        let (mut attention, mut frame) = (engine.attend(maps)?, 0);
        let run = move || {
            frame += 1;
            if frame % every == 0 {
                attention = engine.attend(maps)?;
            }
            engine.run_attending(maps, &attention).map(|_| ())
        };
        Ok(run)
    };
    measure(args.seconds, 1, engines.iter().map(caller).collect::<Result<_, EngineError>>()?)
}

/// The processor's name.
pub fn cpu_name() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|l| l.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{}, {cores} cores", name.map_or("unknown processor", |(_, n)| n))
}

/// The name of a GPU that TensorRT could use.
#[cfg(feature = "tensorrt")]
fn gpu_name(device: u32) -> Option<String> {
    gstheartrate::hrnetinfer::tensorrt::driver::Gpu::find(device).ok().map(|gpu| gpu.name)
}

#[cfg(not(feature = "tensorrt"))]
fn gpu_name(_: u32) -> Option<String> {
    None
}

fn print(report: &Report) {
    println!(
        "model {}; {}; {}",
        report.model,
        report.cpu,
        report.gpu.as_deref().unwrap_or("no GPU")
    );
    println!(
        "{:12} {:9} {:>5} {:>7} {:>10} {:>10} {:>8} {:>8} {:>12} {:>10}",
        "backend",
        "precision",
        "batch",
        "callers",
        "appearance",
        "frames/s",
        "p50 ms",
        "p99 ms",
        "CPU ms/frame",
        "memory MiB"
    );
    for row in &report.rows {
        println!(
            "{:12} {:9} {:>5} {:>7} {:>10} {:>10.0} {:>8.3} {:>8.3} {:>12.3} {:>10.0}",
            row.backend,
            row.precision,
            row.batch,
            row.callers,
            format!("1 in {}", row.appearance_every),
            row.frames_per_second,
            row.p50_ms,
            row.p99_ms,
            row.cpu_ms_per_frame,
            row.memory_mib
        );
    }
    for (backend, why) in &report.unavailable {
        println!("{backend:12} {why}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gstheartrate::hrnetinfer::contract::Contract;
    use gstheartrate::hrnetinfer::engine::Network;
    use gstheartrate::hrnetinfer::maps::Layout;

    /// Runs four pairs at a time.
    struct Four(Network);

    impl Engine for Four {
        fn network(&self) -> &Network {
            &self.0
        }

        fn run(&self, motion: &[f32], _: &[f32]) -> Result<Vec<f32>, EngineError> {
            Ok(vec![0.0; motion.len() / self.0.map_len()])
        }

        fn max_batch(&self) -> Option<usize> {
            Some(4)
        }
    }

    /// An engine that was made for smaller batches would run it in pieces, under its name.
    #[test]
    fn a_batch_that_an_engine_would_cut_is_not_measured() {
        let network = Network { contract: Contract::default(), layout: Layout::Nchw, size: 36 };
        let engine: [Arc<dyn Engine>; 1] = [Arc::new(Four(network))];
        let args = Args {
            model: None,
            backend: None,
            precision: PrecisionArg::Fp16,
            device: 0,
            batch: Vec::new(),
            seconds: 0.01,
            streams: None,
            callers: 1,
            json: false,
        };
        assert!(whole(&args, &engine, 4).unwrap().rate > 0.0);
        let error = whole(&args, &engine, 5).err().unwrap().to_string();
        assert_eq!(error, "the engine runs 4 pairs at a time at the most: no --batch 5");
    }
}
