//! What an ONNX file says of itself, and its two branches apart.

use std::collections::{BTreeMap, HashSet};

use rten_onnx::onnx::{
    DataType, GraphProto, ModelProto, NodeProto, TypeProto, TypeProtoTensor, ValueInfoProto,
};

use super::bindings::{Bindings, Kind, Tensor};
use super::engine::EngineError;

/// The inputs and the output of an ONNX network, and its `hrnet.*` keys. An open batch is taken to be
/// at most `max_batch`.
pub fn describe(
    onnx: &[u8],
    max_batch: u32,
) -> Result<(Bindings, BTreeMap<String, String>), EngineError> {
    let model = ModelProto::parse_buf(onnx).map_err(|e| EngineError::Load(e.to_string()))?;
    let graph = model.graph.ok_or_else(|| EngineError::Load("no graph in it".into()))?;
    // Older files list their weights among the inputs.
    let weights: HashSet<_> = graph.initializer.iter().map(|t| &t.name).collect();
    let inputs = graph.input.iter().filter(|v| !weights.contains(&v.name));
    let mut tensors: Vec<Tensor> = inputs.map(|v| tensor(v, true, max_batch)).collect();
    // What an output's shape is often stands in no file: the first run tells.
    let batch = tensors.first().and_then(|t| t.shape.first()).copied().unwrap_or(-1);
    let outputs = graph.output.iter();
    tensors.extend(outputs.map(|v| Tensor { shape: vec![batch], ..tensor(v, false, max_batch) }));
    let pairs = model.metadata_props.into_iter().filter_map(|p| Some((p.key?, p.value?)));
    let keys = pairs.filter(|(key, _)| key.starts_with("hrnet.")).collect();
    Ok((Bindings::find(&tensors)?, keys))
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

/// A network as two: what becomes of the appearance, and the rest.
pub struct Branches {
    /// From the appearance input to `masks`.
    pub appearance: Vec<u8>,
    /// From the motion input and `masks` to the output.
    pub motion: Vec<u8>,
    /// The values that go over.
    pub masks: Vec<String>,
}

/// Takes a network apart where the appearance joins the motion; `None` where that can't be done.
pub fn branches(onnx: &[u8], bindings: &Bindings) -> Option<Branches> {
    let model = ModelProto::parse_buf(onnx).ok()?;
    let graph = model.graph.as_ref()?;
    // What stands within an attribute may use any value.
    if graph.node.iter().any(|n| n.attribute.iter().any(|a| a.g.is_some())) {
        return None;
    }
    let after_motion = downstream(graph, &bindings.motion.name);
    let after_appearance = downstream(graph, &bindings.appearance.name);
    let joined = |node: &&NodeProto| node.input.iter().any(|v| after_motion.contains(v.as_str()));
    let crosses =
        |v: &&String| after_appearance.contains(v.as_str()) && !after_motion.contains(v.as_str());
    let mut masks: Vec<String> = Vec::new();
    for value in graph.node.iter().filter(joined).flat_map(|n| &n.input).filter(crosses) {
        if !masks.contains(value) {
            masks.push(value.clone());
        }
    }
    if masks.is_empty() || masks.contains(&bindings.appearance.name) {
        return None;
    }
    let cut = |inputs: Vec<ValueInfoProto>, outputs: Vec<ValueInfoProto>| {
        let part = part(graph, inputs, outputs);
        let opset_import = model.opset_import.clone();
        let ir_version = model.ir_version;
        let model =
            ModelProto { graph: Some(part), opset_import, ir_version, ..ModelProto::default() };
        model.write_buf().ok()
    };
    let own = |name: &String| graph.input.iter().find(|v| v.name.as_ref() == Some(name)).cloned();
    let over: Vec<ValueInfoProto> = masks.iter().map(|name| float(name)).collect();
    let mut inputs = vec![own(&bindings.motion.name)?];
    inputs.extend(over.iter().cloned());
    Some(Branches {
        appearance: cut(vec![own(&bindings.appearance.name)?], over)?,
        motion: cut(inputs, graph.output.clone())?,
        masks,
    })
}

/// A float value of any shape.
fn float(name: &str) -> ValueInfoProto {
    let tensor_type = Some(TypeProtoTensor { elem_type: Some(DataType::FLOAT), shape: None });
    let r#type = Some(TypeProto { tensor_type, sequence: None });
    ValueInfoProto { name: Some(name.into()), r#type }
}

/// All values that depend on `name`. Nodes stand in an order in which they can run.
fn downstream<'a>(graph: &'a GraphProto, name: &'a str) -> HashSet<&'a str> {
    let mut values = HashSet::from([name]);
    for node in &graph.node {
        if node.input.iter().any(|v| values.contains(v.as_str())) {
            values.extend(node.output.iter().map(String::as_str));
        }
    }
    values
}

/// What `outputs` need of the graph, if `inputs` are given.
fn part(
    graph: &GraphProto,
    inputs: Vec<ValueInfoProto>,
    outputs: Vec<ValueInfoProto>,
) -> GraphProto {
    let given: HashSet<_> = inputs.iter().filter_map(|v| v.name.clone()).collect();
    let mut needed: HashSet<_> = outputs.iter().filter_map(|v| v.name.clone()).collect();
    let mut node = Vec::new();
    for candidate in graph.node.iter().rev() {
        let is_needed = |v: &String| needed.contains(v) && !given.contains(v);
        if candidate.output.iter().any(is_needed) {
            needed.extend(candidate.input.iter().cloned());
            node.push(candidate.clone());
        }
    }
    node.reverse();
    let used = |name: &Option<String>| name.as_ref().is_some_and(|n| needed.contains(n));
    let initializer = graph.initializer.iter().filter(|t| used(&t.name)).cloned().collect();
    GraphProto { node, initializer, input: inputs, output: outputs, value_info: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hrnetinfer::engine::DEFAULT_MODEL;
    use crate::hrnetinfer::maps::Layout;

    #[test]
    fn the_built_in_model_is_described() {
        let (bindings, keys) = describe(DEFAULT_MODEL, 16).unwrap();
        assert_eq!((bindings.layout, bindings.size, bindings.fixed), (Layout::Nchw, 36, None));
        assert_eq!((&bindings.motion.name[..], bindings.max_batch), ("motion_input", 16));
        assert_eq!(keys["hrnet.color"], "rgb");
    }

    /// The parts' layers are the whole's, each once.
    #[test]
    fn the_branches_are_taken_apart_at_the_masks() {
        let (bindings, _) = describe(DEFAULT_MODEL, 16).unwrap();
        let branches = branches(DEFAULT_MODEL, &bindings).unwrap();
        assert_eq!(branches.masks, ["attention.0.mask", "attention.1.mask"]);
        let layers = |onnx: &[u8]| -> Vec<String> {
            let graph = ModelProto::parse_buf(onnx).unwrap().graph.unwrap();
            let is_layer =
                |n: &NodeProto| ["Conv", "Gemm"].contains(&n.op_type.as_deref().unwrap());
            graph.node.into_iter().filter(is_layer).filter_map(|n| n.name).collect()
        };
        let [mut all, appearance, motion] =
            [DEFAULT_MODEL, &branches.appearance, &branches.motion].map(layers);
        assert!(
            appearance.iter().all(|n| n.starts_with("appearance") || n.starts_with("attention"))
        );
        let mut parts = [appearance, motion].concat();
        parts.sort();
        all.sort();
        assert_eq!(parts, all);
    }

    #[test]
    fn a_network_without_attention_stays_whole() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/bad-output.onnx");
        let onnx = std::fs::read(path).unwrap();
        let (bindings, _) = describe(&onnx, 16).unwrap();
        let joined_late = branches(&onnx, &bindings);
        assert!(joined_late.is_none_or(|b| !b.masks.is_empty()));
    }
}
