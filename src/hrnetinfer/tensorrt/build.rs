//! From an ONNX file to an engine.

use std::collections::BTreeMap;

use rten_onnx::onnx::{DataType, ModelProto, ValueInfoProto};

use super::bindings::Bindings;
use super::sys::{self, Kind, Library, Options, Tensor};
use crate::hrnetinfer::engine::{EngineError, Precision};
use crate::hrnetinfer::engine_file::EngineFile;
use crate::hrnetinfer::half::half_precision;

/// What an engine is built for.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    pub precision: Precision,
    pub max_batch: u32,
    /// Compute capabilities times ten; none means the GPU of this machine.
    pub capabilities: Vec<i32>,
}

/// The `hrnet.*` keys of an ONNX file, if it is a network of the contract's shape.
pub fn keys(onnx: &[u8], max_batch: u32) -> Result<BTreeMap<String, String>, EngineError> {
    let model = ModelProto::parse_buf(onnx).map_err(|e| EngineError::Load(e.to_string()))?;
    let graph = model.graph.ok_or_else(|| EngineError::Load("no graph in it".into()))?;
    let weights: Vec<_> = graph.initializer.iter().map(|t| &t.name).collect();
    let inputs = graph.input.iter().filter(|v| !weights.contains(&&v.name));
    let mut tensors: Vec<Tensor> = inputs.map(|v| tensor(v, true, max_batch)).collect();
    // What an output's shape is often stands in no file: the engine tells.
    let batch = tensors.first().and_then(|t| t.shape.first()).copied().unwrap_or(-1);
    tensors.extend(
        graph.output.iter().map(|v| Tensor { shape: vec![batch], ..tensor(v, false, max_batch) }),
    );
    Bindings::find(&tensors)?;
    let pairs = model.metadata_props.into_iter().filter_map(|p| Some((p.key?, p.value?)));
    Ok(pairs.filter(|(key, _)| key.starts_with("hrnet.")).collect())
}

fn tensor(value: &ValueInfoProto, input: bool, max_batch: u32) -> Tensor {
    let kind = value.r#type.as_ref().and_then(|t| t.tensor_type.as_ref());
    let dims = kind.and_then(|t| t.shape.as_ref()).map(|s| &s.dim[..]).unwrap_or_default();
    let shape: Vec<i64> = dims.iter().map(|d| d.dim_value.unwrap_or(-1)).collect();
    let first = shape.first().copied().unwrap_or(1);
    Tensor {
        name: value.name.clone().unwrap_or_default(),
        input,
        kind: match kind.and_then(|t| t.elem_type) {
            Some(DataType::FLOAT) => Kind::Float,
            Some(DataType::FLOAT16) => Kind::Half,
            other => Kind::Other(other.map_or(0, |t| t.0)),
        },
        shape,
        max_batch: if first < 0 { max_batch.into() } else { first },
    }
}

/// Builds an engine. `progress` hears what is done, steps done and steps in all.
pub fn build(
    library: &Library,
    onnx: &[u8],
    target: &Target,
    progress: &sys::Progress,
) -> Result<EngineFile, EngineError> {
    let mut about = keys(onnx, target.max_batch)?;
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
