//! An ONNX network in half precision: its weights and its arithmetic become float16, its inputs and
//! its output stay float32, with casts between.
//!
//! TensorRT 11 and TensorRT for RTX compute in the types that the graph has, so an FP16 engine comes
//! from such a graph.

use std::cell::RefCell;

use rten_onnx::onnx::{
    AttributeProto, AttributeType, DataType, GraphProto, ModelProto, NodeProto, TensorProto,
    ValueInfoProto,
};

use super::engine::EngineError;

/// Operators that do the same on float16 as on float32, in all their inputs and attributes.
const SAFE: [&str; 42] = [
    "Abs",
    "Add",
    "AveragePool",
    "BatchNormalization",
    "Clip",
    "Concat",
    "Conv",
    "Div",
    "Dropout",
    "Elu",
    "Exp",
    "Expand",
    "Flatten",
    "Gather",
    "Gemm",
    "GlobalAveragePool",
    "Identity",
    "LeakyRelu",
    "MatMul",
    "Max",
    "MaxPool",
    "Min",
    "Mul",
    "Neg",
    "Pad",
    "Pow",
    "PRelu",
    "ReduceMean",
    "ReduceSum",
    "Relu",
    "Reshape",
    "Shape",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Split",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Tanh",
    "Transpose",
    "Unsqueeze",
];

/// The bytes of an ONNX file in half precision; as they are where nothing in it is float32.
pub fn half_precision(onnx: &[u8]) -> Result<Vec<u8>, EngineError> {
    let refuse = |what: String| EngineError::Load(format!("can't be made half precision: {what}"));
    let mut model = ModelProto::parse_buf(onnx).map_err(|e| refuse(e.to_string()))?;
    let graph = model.graph.as_mut().ok_or_else(|| refuse("no graph in it".into()))?;
    if is_half(graph) {
        return Ok(onnx.to_vec());
    }
    for tensor in &mut graph.initializer {
        halve(tensor).map_err(refuse)?;
    }
    for node in &mut graph.node {
        halve_node(node).map_err(refuse)?;
    }
    let float = |value: &&ValueInfoProto| {
        let kind = value.r#type.as_ref().and_then(|t| t.tensor_type.as_ref());
        kind.and_then(|t| t.elem_type) == Some(DataType::FLOAT)
    };
    let names = |values: &[ValueInfoProto]| -> Vec<String> {
        values.iter().filter(float).filter_map(|v| v.name.clone()).collect()
    };
    // Older files list their weights among the inputs.
    let weights: Vec<_> = graph.initializer.iter().filter_map(|t| t.name.clone()).collect();
    let (mut inputs, outputs) = (names(&graph.input), names(&graph.output));
    inputs.retain(|name| !weights.contains(name));
    graph.input.retain(|v| v.name.as_ref().is_none_or(|name| !weights.contains(name)));
    for name in inputs.iter().chain(&outputs) {
        rename(&mut graph.node, name);
    }
    let casts_in = inputs.iter().map(|n| cast(n, &inner(n), DataType::FLOAT16));
    let casts_out = outputs.iter().map(|n| cast(&inner(n), n, DataType::FLOAT));
    let middle = std::mem::take(&mut graph.node);
    graph.node = casts_in.chain(middle).chain(casts_out).collect();
    // Types of values in between, which have changed.
    graph.value_info.clear();
    model.write_buf().map_err(|e| refuse(e.to_string()))
}

/// Whether nothing but inputs and outputs is float32.
fn is_half(graph: &GraphProto) -> bool {
    let float = |t: &TensorProto| t.data_type == Some(DataType::FLOAT);
    let is_output = |name: &String| graph.output.iter().any(|o| o.name.as_ref() == Some(name));
    !graph.initializer.iter().any(float)
        && !graph.node.iter().any(|node| {
            let to_float = node.attribute.iter().any(|a| {
                a.t.as_ref().is_some_and(float)
                    || a.name.as_deref() == Some("to") && a.i == Some(DataType::FLOAT.0.into())
            });
            to_float && !node.output.iter().all(is_output)
        })
}

/// Name of the float16 twin of an input or output.
fn inner(name: &str) -> String {
    format!("{name}/half")
}

fn rename(nodes: &mut [NodeProto], name: &str) {
    let values = nodes.iter_mut().flat_map(|n| n.input.iter_mut().chain(&mut n.output));
    values.filter(|v| *v == name).for_each(|v| *v = inner(name));
}

fn cast(from: &str, to: &str, kind: DataType) -> NodeProto {
    let attribute = AttributeProto {
        name: Some("to".into()),
        i: Some(kind.0.into()),
        r#type: Some(AttributeType::INT),
        ..AttributeProto::default()
    };
    NodeProto {
        name: Some(format!("{from} to {to}")),
        op_type: Some("Cast".into()),
        input: vec![from.into()],
        output: vec![to.into()],
        attribute: vec![attribute],
        ..NodeProto::default()
    }
}

/// Makes a node compute in float16.
fn halve_node(node: &mut NodeProto) -> Result<(), String> {
    let op = node.op_type.as_deref().unwrap_or_default();
    let odd = || Err(format!("operator {op} '{}'", node.name.as_deref().unwrap_or_default()));
    if node.domain.as_deref().is_some_and(|d| !d.is_empty() && d != "ai.onnx") {
        return odd();
    }
    match op {
        "Cast" => {
            let to = node.attribute.iter_mut().find(|a| a.name.as_deref() == Some("to"));
            if let Some(i) =
                to.and_then(|a| a.i.as_mut()).filter(|i| **i == i64::from(DataType::FLOAT.0))
            {
                *i = i64::from(DataType::FLOAT16.0);
            }
            Ok(())
        }
        "Constant" => match &mut node.attribute[..] {
            [AttributeProto { t: Some(tensor), .. }] => halve(tensor),
            [attribute]
                if attribute.r#type != Some(AttributeType::FLOAT)
                    && attribute.r#type != Some(AttributeType::FLOATS) =>
            {
                Ok(())
            }
            _ => odd(),
        },
        _ if SAFE.contains(&op) => Ok(()),
        _ => odd(),
    }
}

/// Makes a float32 tensor float16; other types stay.
fn halve(tensor: &mut TensorProto) -> Result<(), String> {
    let name = || tensor.name.as_deref().unwrap_or_default().to_owned();
    match tensor.data_type {
        Some(DataType::FLOAT) => {}
        Some(DataType::DOUBLE | DataType::BFLOAT16) => {
            return Err(format!("weight '{}' is neither float32 nor float16", name()));
        }
        _ => return Ok(()),
    }
    if !tensor.external_data.is_empty() {
        return Err(format!("weight '{}' stands in another file", name()));
    }
    let raw = tensor.raw_data.as_ref().map(|raw| raw.borrow());
    let values: Vec<f32> = match raw.as_ref().filter(|raw| !raw.is_empty()) {
        Some(raw) => raw.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        None => tensor.float_data.clone(),
    };
    if let Some(value) = values.iter().find(|v| v.abs() > MAX) {
        return Err(format!("weight '{}' holds {value}, beyond float16", name()));
    }
    let bytes = values.iter().flat_map(|v| to_half(*v).to_le_bytes()).collect();
    drop(raw);
    tensor.float_data.clear();
    tensor.raw_data = Some(RefCell::new(bytes));
    tensor.data_type = Some(DataType::FLOAT16);
    Ok(())
}

/// The largest float16.
const MAX: f32 = 65504.0;

/// The nearest float16, ties to even, as its bits.
pub fn to_half(value: f32) -> u16 {
    let bits = value.to_bits();
    let (sign, rest) = ((bits >> 16 & 0x8000) as u16, bits & 0x7fff_ffff);
    // In units of the float16's last place: the exponent moves by 112, 13 bits fall away.
    match rest {
        0x7f80_0001.. => sign | 0x7e00,
        0x477f_f000.. => sign | 0x7c00,
        0x3880_0000.. => {
            let even = rest >> 13 & 1;
            sign | ((rest - 0x3800_0000 + 0xfff + even) >> 13) as u16
        }
        // Below 2^-14 the last place is 2^-24 throughout.
        _ => sign | (f32::from_bits(rest) * 2f32.powi(24)).round_ties_even() as u16,
    }
}

/// The value of a float16's bits.
pub fn from_half(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let fraction = f32::from(bits & 0x3ff);
    sign * match bits >> 10 & 0x1f {
        0 => fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        exponent => (1024.0 + fraction) * 2f32.powi(i32::from(exponent) - 25),
    }
}

#[cfg(test)]
mod tests;
