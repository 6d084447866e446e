//! From an ONNX file to an engine.

use super::sys::{self, Library, Options};
use crate::hrnetinfer::engine::{EngineError, Precision};
use crate::hrnetinfer::engine_file::EngineFile;
use crate::hrnetinfer::half::half_precision;
use crate::hrnetinfer::onnx::describe;

/// What an engine is built for.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    pub precision: Precision,
    pub max_batch: u32,
    /// Compute capabilities times ten; none means the GPU of this machine.
    pub capabilities: Vec<i32>,
}

/// Builds an engine. `progress` hears what is done, steps done and steps in all.
pub fn build(
    library: &Library,
    onnx: &[u8],
    target: &Target,
    progress: &sys::Progress,
) -> Result<EngineFile, EngineError> {
    let (_, mut about) = describe(onnx, target.max_batch)?;
    let half = target.precision == Precision::Fp16;
    let halved = if half && sys::is_typed() { Some(half_precision(onnx)?) } else { None };
    let options = Options {
        max_batch: target.max_batch,
        best_batch: target.max_batch,
        half,
        capabilities: target.capabilities.clone(),
        detailed: false,
    };
    let built = library
        .build(halved.as_deref().unwrap_or(onnx), &options, progress)
        .map_err(|e| EngineError::Load(format!("TensorRT can't make an engine of it: {e}")))?;
    let names: Vec<String> = target.capabilities.iter().map(|c| capability(*c)).collect();
    let precision = if half { "fp16" } else { "fp32" };
    for (key, value) in [
        ("tensorrt", super::version()),
        ("precision", precision.into()),
        ("max-batch", target.max_batch.to_string()),
        ("compute-capability", names.join(" ")),
    ] {
        about.insert(key.into(), value);
    }
    Ok(EngineFile { bytes: built.bytes, about })
}

/// 86 as 8.6.
pub fn capability(times_ten: i32) -> String {
    format!("{}.{}", times_ten / 10, times_ten % 10)
}
