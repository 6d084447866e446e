//! TensorRT: engines built, kept and run.
//!
//! `shim.cpp` makes TensorRT's calls, `sys` is the safe layer over it, `driver` finds the GPU,
//! `build` makes an engine of an ONNX file, `runner` runs one on the thread of an
//! [`owner`](super::owner), two batches at a time, each in a `slot` with `port`s of its own.

pub mod build;
pub mod device;
pub mod driver;
mod port;
pub mod runner;
mod slot;
pub mod sys;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use gst::glib;

use self::build::{Target, build};
use self::driver::Gpu;
use self::runner::GpuRunner;
use self::sys::Library;
use super::backends;
use super::contract::Contract;
use super::engine::{Engine, EngineError, Precision, Request};
use super::engine_file::{EngineFile, cached, forget, sha256};
use super::onnx;
use super::owner::{self, Client, Make, Runner};

/// What names TensorRT's library, or the folder that holds it.
pub const LIBRARY: &str = "HRNET_TENSORRT_LIB";

/// TensorRT, opened once a process.
pub fn library() -> Result<&'static Library, EngineError> {
    static OPENED: OnceLock<Result<Library, String>> = OnceLock::new();
    OPENED.get_or_init(open_library).as_ref().map_err(|e| EngineError::Unavailable(e.clone()))
}

fn open_library() -> Result<Library, String> {
    let (core, parser) = paths(std::env::var_os(LIBRARY).map(PathBuf::from).as_deref());
    // Engines run without the parser; building says that it is missing.
    Library::open(&core, Some(&parser)).or_else(|_| Library::open(&core, None)).map_err(|error| {
        format!("{} can't be used: {error} (set {LIBRARY}, docs/engines.md)", version())
    })
}

/// TensorRT's library and its ONNX parser: at `place`, else where the loader finds them.
fn paths(place: Option<&Path>) -> (PathBuf, PathBuf) {
    let major = sys::headers_version().0;
    let (core, parser) = match sys::is_rtx() {
        true => ("libtensorrt_rtx.so", "libtensorrt_onnxparser_rtx.so"),
        false => ("libnvinfer.so", "libnvonnxparser.so"),
    };
    let (core, parser) = (format!("{core}.{major}"), format!("{parser}.{major}"));
    match place {
        None => (core.into(), parser.into()),
        Some(folder) if folder.is_dir() => (folder.join(core), folder.join(parser)),
        Some(file) => (file.into(), file.with_file_name(parser)),
    }
}

/// TensorRT's name and version, those of the headers: no other library is used.
pub fn version() -> String {
    let (major, number) = sys::headers_version();
    // 8.x counts in thousands.
    let rest = if number < 10_000 { number % 1000 } else { number % 10_000 };
    let name = if sys::is_rtx() { "TensorRT for RTX" } else { "TensorRT" };
    format!("{name} {major}.{}.{}", rest / 100, rest % 100)
}

/// Opens a model: an engine as it is, an ONNX file by way of an engine built now or kept before.
pub fn open(request: &Request, is_engine: bool) -> Result<Arc<dyn Engine>, EngineError> {
    let gpu = Gpu::find(request.device)?;
    let library = library()?;
    let target = Target {
        precision: request.precision,
        max_batch: request.batch_size,
        capabilities: Vec::new(),
    };
    let source = match (is_engine, request.model) {
        (true, Some(path)) => Source::Engine(EngineFile::read(path)?),
        _ => Source::Onnx(backends::read(request.model)?),
    };
    let keys = match &source {
        Source::Engine(file) => file.about.clone(),
        Source::Onnx(onnx) => onnx::describe(onnx, target.max_batch)?.1,
    };
    let contract =
        Contract::read(|key| (request.overrides)(key).or_else(|| keys.get(key).cloned()))
            .map_err(|e| EngineError::Load(e.to_string()))?;
    let job =
        Job { library, key: key(&source, &gpu, request.device, &target), source, gpu, target };
    let client = job.open(contract, request).or_else(|error| {
        // TensorRT may refuse what it built itself, as after a new driver.
        let refused = matches!(error, EngineError::Unavailable(_)) && !is_engine;
        if !(refused && forget(&cache(), &job.key)) {
            return Err(error);
        }
        (request.warn)(&format!("The engine that was kept is built anew: {error}"));
        job.open(contract, request)
    })?;
    Ok(Arc::new(client))
}

enum Source {
    Engine(EngineFile),
    Onnx(Vec<u8>),
}

/// An engine to be had.
struct Job {
    library: &'static Library,
    /// What makes it another one.
    key: String,
    source: Source,
    gpu: Gpu,
    target: Target,
}

impl Job {
    /// A handle of the engine, which is read or built if nobody has it yet.
    fn open(&self, contract: Contract, request: &Request) -> Result<Client, EngineError> {
        owner::shared(&self.key, contract, request.batch_timeout, || {
            let bytes = self.engine(request)?;
            let (library, context) = (self.library, self.gpu.context.clone());
            let max_batch = self.target.max_batch as usize;
            let make: Make = Box::new(move || {
                let runner = GpuRunner::load(library, &context, &bytes, max_batch)?;
                Ok(Box::new(runner) as Box<dyn Runner>)
            });
            Ok(make)
        })
    }

    fn engine(&self, request: &Request) -> Result<Vec<u8>, EngineError> {
        match &self.source {
            Source::Engine(file) => Ok(file.bytes.clone()),
            Source::Onnx(onnx) => {
                let build = || build(self.library, onnx, &self.target, request.progress);
                cached(&cache(), &self.key, request.warn, build).map(|file| file.bytes)
            }
        }
    }
}

/// Where built engines are kept.
pub fn cache() -> PathBuf {
    glib::user_cache_dir().join("gst-plugin-heartrate")
}

/// What makes an engine another one.
fn key(source: &Source, gpu: &Gpu, device: u32, target: &Target) -> String {
    let (kind, bytes) = match source {
        Source::Engine(file) => ("engine", &file.bytes),
        Source::Onnx(onnx) => ("onnx", onnx),
    };
    let precision = if target.precision == Precision::Fp16 { "fp16" } else { "fp32" };
    let (gpu, capability) = (&gpu.name, gpu.capability);
    let (content, version, batch) = (sha256(bytes), version(), target.max_batch);
    format!("{kind} {content} {version} gpu {device} {gpu} {capability} {precision} batch {batch}")
}

#[cfg(test)]
mod tests;
