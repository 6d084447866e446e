//! `hrnet bench`: how fast a network runs on this machine, by itself and in whole pipelines.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use gstheartrate::hrnetinfer::backends::{self, Opened};
use gstheartrate::hrnetinfer::engine::{Backend, Engine, EngineError, Request};
use serde::Serialize;

use super::bench_streams;
use super::engine::PrecisionArg;
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
    let opened = backends::open(&request)?;
    let half = backend == Backend::TensorRt && args.precision == PrecisionArg::Fp16;
    let mut row = |batch, every, measured: Measured| {
        rows.push(Row {
            backend: backend_name(opened.backend),
            precision: if half { "fp16" } else { "fp32" },
            batch,
            appearance_every: every,
            frames_per_second: measured.rate,
            p50_ms: measured.percentile(0.50),
            p99_ms: measured.percentile(0.99),
            cpu_ms_per_frame: measured.cpu_ms,
            memory_mib: Usage::now().peak as f64 / f64::from(1 << 20),
        });
    };
    if opened.engine.attends() {
        let every = opened.engine.network().contract.appearance_every;
        row(1, every, attending(args, &opened, every)?);
    }
    for batch in &args.batch {
        row(*batch, 1, whole(args, &*opened.engine, *batch)?);
    }
    Ok(())
}

/// What a measurement gave.
struct Measured {
    rate: f64,
    cpu_ms: f64,
    /// Seconds of each run, sorted.
    times: Vec<f64>,
}

impl Measured {
    /// In milliseconds: the smallest time that so many of the runs kept to.
    fn percentile(&self, share: f64) -> f64 {
        percentile_ms(&self.times, share)
    }
}

/// In milliseconds, of sorted seconds.
pub fn percentile_ms(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).map_or(f64::NAN, |s| s * 1e3)
}

/// Runs `run`, of `frames` frames each, for as long as was asked for, after a tenth of that.
fn measure(
    args: &Args,
    frames: u32,
    mut run: impl FnMut() -> Result<(), EngineError>,
) -> Result<Measured, EngineError> {
    let warm = Instant::now();
    while warm.elapsed() < Duration::from_secs_f64(args.seconds / 10.0) {
        run()?;
    }
    let (before, start) = (Usage::now(), Instant::now());
    let mut times = Vec::new();
    while start.elapsed() < Duration::from_secs_f64(args.seconds) {
        let start = Instant::now();
        run()?;
        times.push(start.elapsed().as_secs_f64());
    }
    let done = times.len() as f64 * f64::from(frames);
    let cpu = Usage::now().cpu - before.cpu;
    let rate = done / start.elapsed().as_secs_f64();
    times.sort_by(f64::total_cmp);
    Ok(Measured { rate, cpu_ms: cpu / done * 1e3, times })
}

/// Maps of noise as a network sees them.
fn noise(values: usize) -> Vec<f32> {
    let mut random = fastrand::Rng::with_seed(1);
    (0..values).map(|_| 3.4 * (random.f32() - 0.5)).collect()
}

/// The whole graph on `batch` pairs.
fn whole(args: &Args, engine: &dyn Engine, batch: u32) -> Result<Measured, EngineError> {
    let maps = noise(batch as usize * engine.network().map_len());
    measure(args, batch, || engine.run(&maps, &maps).map(|_| ()))
}

/// One pair after the other, with the appearance branch once in so many, as the element does.
fn attending(args: &Args, opened: &Opened, every: u32) -> Result<Measured, EngineError> {
    let engine = &opened.engine;
    let maps = noise(engine.network().map_len());
    let (mut attention, mut frame) = (engine.attend(&maps)?, 0);
    measure(args, 1, || {
        frame += 1;
        if frame % every == 0 {
            attention = engine.attend(&maps)?;
        }
        engine.run_attending(&maps, &attention).map(|_| ())
    })
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
        "{:12} {:9} {:>5} {:>10} {:>10} {:>8} {:>8} {:>12} {:>10}",
        "backend",
        "precision",
        "batch",
        "appearance",
        "frames/s",
        "p50 ms",
        "p99 ms",
        "CPU ms/frame",
        "memory MiB"
    );
    for row in &report.rows {
        println!(
            "{:12} {:9} {:>5} {:>10} {:>10.0} {:>8.3} {:>8.3} {:>12.3} {:>10.0}",
            row.backend,
            row.precision,
            row.batch,
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

    #[test]
    fn percentiles_are_times_that_occurred() {
        let times: Vec<f64> = (1..=200).map(|i| f64::from(i) / 1000.0).collect();
        assert_eq!([0.5, 0.99, 1.0].map(|s| percentile_ms(&times, s)), [100.0, 198.0, 200.0]);
        assert_eq!(percentile_ms(&[0.004], 0.5), 4.0);
        assert!(percentile_ms(&[], 0.5).is_nan());
    }
}
