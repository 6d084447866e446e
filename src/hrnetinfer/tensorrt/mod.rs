//! TensorRT: engines built, kept and run.
//!
//! `shim.cpp` makes TensorRT's calls, `sys` is the safe layer over it, `driver` finds the GPU,
//! `build` makes an engine of an ONNX file, `runner` runs one on the thread of an
//! [`owner`](super::owner).

pub mod build;
pub mod driver;
mod runner;
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
use super::engine_file::{EngineFile, cached, sha256};
use super::onnx;
use super::owner::{self, Make, Runner};

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
    let key = key(&source, &gpu, request.device, &target);
    let client = owner::shared(&key, contract, request.batch_timeout, || {
        let file = source.engine(library, &key, &target, request)?;
        let max_batch = target.max_batch as usize;
        let make: Make = Box::new(move || {
            let runner = GpuRunner::load(library, &gpu.context, &file.bytes, max_batch)?;
            Ok(Box::new(runner) as Box<dyn Runner>)
        });
        Ok(make)
    })?;
    Ok(Arc::new(client))
}

enum Source {
    Engine(EngineFile),
    Onnx(Vec<u8>),
}

impl Source {
    fn engine(
        self,
        library: &Library,
        key: &str,
        target: &Target,
        request: &Request,
    ) -> Result<EngineFile, EngineError> {
        match self {
            Source::Engine(file) => Ok(file),
            Source::Onnx(onnx) => {
                let build = || build(library, &onnx, target, request.progress);
                cached(&cache(), key, request.warn, build)
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
