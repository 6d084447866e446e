//! `hrnet model`: what a network file holds.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use gstheartrate::hrnetinfer::contract;
use gstheartrate::hrnetinfer::engine::{self, Backend};
use rten::{Dimension, Model, ModelOptions, Value};
use rten_onnx::onnx::{DataType, GraphProto, ModelProto, NodeProto};
use rten_tensor::prelude::*;
use rten_tensor::{NdTensor, Tensor};
use serde::Serialize;

/// Describe a network: its inputs, its output, what its metadata says, its size and its cost.
#[derive(clap::Args)]
pub struct Args {
    /// ONNX file; the built-in network without
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// Multiply-adds of an operator, by the shapes of its inputs and its output.
type Cost = fn(&[u64], &[u64], &[u64]) -> Option<u64>;

#[derive(Debug, PartialEq, Serialize)]
struct Report {
    file: String,
    bytes: usize,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    /// The `hrnet.*` keys of the contract: null where the file leaves the default.
    contract: Vec<(&'static str, Option<String>)>,
    /// Numbers in the layers.
    weights: u64,
    /// Of convolutions and matrix products, for one pair of frames.
    multiply_adds: u64,
}

/// An input or output; a dimension that is open has its name.
#[derive(Debug, PartialEq, Serialize)]
struct Port {
    name: String,
    shape: Vec<String>,
}

pub fn run(args: &Args) -> Result<(), String> {
    let file = args.file.as_deref();
    let report = describe(file).map_err(|e| match file {
        Some(path) => format!("{}: {e}", path.display()),
        None => format!("the built-in model: {e}"),
    })?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report).map_err(|e| e.to_string())?);
    } else {
        print_report(&report);
    }
    Ok(())
}

fn describe(path: Option<&Path>) -> Result<Report, String> {
    let data = match path {
        Some(path) => std::fs::read(path).map_err(|e| format!("can't be read: {e}"))?,
        None => engine::DEFAULT_MODEL.to_vec(),
    };
    if !is_whole(&data) {
        return Err("is not a usable ONNX model: it is damaged or cut off".into());
    }
    // What the element refuses is refused here, in the same words.
    engine::load(path, Backend::Cpu, &|_| None).map_err(|e| e.to_string().replace('\n', " "))?;
    let proto = ModelProto::parse_buf(&data).map_err(|e| e.to_string())?;
    let graph = proto.graph.ok_or("no graph in it")?;
    let bytes = data.len();
    // Without optimisation every value of the file is there under its own name.
    let mut options = ModelOptions::with_all_ops();
    let model = options.enable_optimization(false).load(data).map_err(|e| e.to_string())?;
    let get = |key: &'static str| (key, model.metadata().get(key).map(str::to_string));
    Ok(Report {
        file: path.map_or("built in".into(), |p| p.display().to_string()),
        bytes,
        inputs: ports(&model, model.input_ids()),
        outputs: ports(&model, model.output_ids()),
        contract: contract::KEYS.map(get).into(),
        weights: weights(&graph),
        multiply_adds: multiply_adds(&model, &graph)?,
    })
}

/// Whether `data` is a protobuf message whose outermost fields end where it ends: what the runtime
/// does not look at may be cut off unseen.
fn is_whole(data: &[u8]) -> bool {
    let mut rest = data;
    while !rest.is_empty() {
        let Some(kind) = varint(&mut rest).map(|tag| tag & 7) else { return false };
        let skip = match kind {
            0 => varint(&mut rest).map(|_| 0),
            1 => Some(8),
            2 => varint(&mut rest),
            5 => Some(4),
            _ => None,
        };
        let after = skip.and_then(|n| rest.get(usize::try_from(n).ok()?..));
        let Some(after) = after else { return false };
        rest = after;
    }
    true
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let end = rest.iter().take(10).position(|b| b & 0x80 == 0)?;
    let (bytes, after) = rest.split_at(end + 1);
    *rest = after;
    Some(bytes.iter().rev().fold(0, |value, b| value << 7 | u64::from(b & 0x7f)))
}

fn ports(model: &Model, ids: &[rten::NodeId]) -> Vec<Port> {
    let port = |id: &rten::NodeId| {
        let info = model.node_info(*id);
        let name = info.as_ref().and_then(|i| i.name()).unwrap_or_default().to_string();
        let shape = info.and_then(|i| i.shape()).unwrap_or_default();
        let text = |d: &Dimension| match d {
            Dimension::Fixed(n) => n.to_string(),
            Dimension::Symbolic(name) => name.clone(),
        };
        Port { name, shape: shape.iter().map(text).collect() }
    };
    ids.iter().map(port).collect()
}

/// Numbers of the graph's float constants.
fn weights(graph: &GraphProto) -> u64 {
    let float = [DataType::FLOAT, DataType::FLOAT16, DataType::BFLOAT16, DataType::DOUBLE];
    let constants = graph.initializer.iter();
    let floats = constants.filter(|t| t.data_type.is_some_and(|d| float.contains(&d)));
    floats.map(|t| t.dims.iter().map(|d| d.unsigned_abs()).product::<u64>()).sum()
}

/// Runs the network on a blank pair for the shapes of its values, and counts.
fn multiply_adds(model: &Model, graph: &GraphProto) -> Result<u64, String> {
    let constants = graph.initializer.iter().filter_map(|t| {
        let dims = t.dims.iter().map(|d| d.unsigned_abs()).collect();
        Some((t.name.as_deref()?, dims))
    });
    let mut shapes: HashMap<&str, Vec<u64>> = constants.collect();
    let mut sum = 0;
    let mut batch = 1;
    for node in &graph.node {
        let cost: Cost = match node.op_type.as_deref() {
            Some("Conv") => |_, kernel, out| Some(product(out) * product(kernel.get(1..)?)),
            Some("MatMul") => |a, _, out| Some(product(out) * a.last()?),
            Some("Gemm") => |_, b, out| Some(out.first()? * product(b)),
            _ => continue,
        };
        let names = [node.input.first(), node.input.get(1), node.output.first()];
        let [Some(a), Some(b), Some(out)] = names else { return Err(odd(node)) };
        for name in [a, b, out] {
            if !shapes.contains_key(name.as_str()) {
                let (shape, n) = run_for_shape(model, name)?;
                shapes.insert(name, shape);
                batch = n;
            }
        }
        let shape = |name: &String| &shapes[name.as_str()][..];
        sum += cost(shape(a), shape(b), shape(out)).ok_or_else(|| odd(node))?;
    }
    Ok(sum / batch)
}

fn product(shape: &[u64]) -> u64 {
    shape.iter().product()
}

fn odd(node: &NodeProto) -> String {
    let name = node.name.as_deref().unwrap_or_default();
    format!("{} '{name}' has odd inputs", node.op_type.as_deref().unwrap_or("a node"))
}

/// Shape of the value `name`, and the pairs that were run.
fn run_for_shape(model: &Model, name: &str) -> Result<(Vec<u64>, u64), String> {
    let (mut inputs, mut batch) = (Vec::new(), 1);
    for id in model.input_ids() {
        let shape = model.node_info(*id).and_then(|i| i.shape()).unwrap_or_default();
        let fixed = |d: &Dimension| if let Dimension::Fixed(n) = d { *n } else { 1 };
        let shape: Vec<usize> = shape.iter().map(fixed).collect();
        let shape: [usize; 4] = shape.try_into().map_err(|_| "an input without four dimensions")?;
        batch = shape[0] as u64;
        inputs.push((*id, NdTensor::<f32, 4>::zeros(shape).into()));
    }
    let id = model.find_node(name).ok_or_else(|| format!("no value '{name}'"))?;
    // A value that is an input is not run for.
    if let Some((_, value)) = inputs.iter().find(|(i, _)| *i == id) {
        let value: &rten::ValueOrView = value;
        return Ok((value.shape().iter().map(|d| *d as u64).collect(), batch));
    }
    let [value]: [Value; 1] = model.run_n(inputs, [id], None).map_err(|e| e.to_string())?;
    let value: Tensor<f32> = value.into_tensor().ok_or_else(|| format!("'{name}' is no float"))?;
    Ok((value.shape().iter().map(|d| *d as u64).collect(), batch))
}

fn print_report(report: &Report) {
    let line = |head: &str, text: &str| println!("{head:24} {text}");
    line("file", &format!("{}, {} bytes", report.file, report.bytes));
    for (what, ports) in [("input", &report.inputs), ("output", &report.outputs)] {
        for port in ports {
            line(what, &format!("{}  {}", port.name, port.shape.join(" × ")));
        }
    }
    for (key, value) in &report.contract {
        line(key, value.as_deref().unwrap_or("(default)"));
    }
    line("weights", &report.weights.to_string());
    line("multiply-adds a frame", &format!("{:.1} million", report.multiply_adds as f64 * 1e-6));
}

#[cfg(test)]
mod tests {
    use rten_onnx::onnx::{
        AttributeProto, AttributeType, Dimension as Dim, OperatorSetIdProto, TensorProto,
        TensorShapeProto, TypeProto, TypeProtoTensor, ValueInfoProto,
    };

    use super::*;

    #[test]
    fn the_built_in_network_is_counted() {
        let report = describe(None).unwrap();
        let shape: Vec<_> = report.inputs[0].shape[1..].iter().map(String::as_str).collect();
        assert_eq!(shape, ["3", "36", "36"]);
        assert_eq!((report.inputs.len(), report.outputs.len()), (2, 1));
        assert_eq!(report.contract[1], ("hrnet.color", Some("rgb".into())));
        // Each weight is used once at least, and stands in the file in two bytes or four.
        assert!(report.multiply_adds > report.weights && report.weights > 10_000, "{report:?}");
        assert!((2..=4).contains(&(report.bytes as u64 / report.weights)), "{report:?}");
    }

    /// Two pictures a run through a convolution and a matrix product.
    #[test]
    fn convolutions_and_products_are_counted_by_hand() {
        let value = |name: &str, shape: &[i64]| {
            let dim = |n: &i64| Dim { dim_value: Some(*n), dim_param: None };
            let shape = TensorShapeProto { dim: shape.iter().map(dim).collect() };
            let tensor = TypeProtoTensor { elem_type: Some(DataType::FLOAT), shape: Some(shape) };
            let r#type = TypeProto { tensor_type: Some(tensor), sequence: None };
            ValueInfoProto { name: Some(name.into()), r#type: Some(r#type) }
        };
        let constant = |name: &str, dims: &[i64]| TensorProto {
            name: Some(name.into()),
            dims: dims.to_vec(),
            data_type: Some(DataType::FLOAT),
            float_data: vec![0.5; dims.iter().product::<i64>() as usize],
            ..TensorProto::default()
        };
        let ints = |name: &str, ints: &[i64]| AttributeProto {
            name: Some(name.into()),
            ints: ints.to_vec(),
            r#type: Some(AttributeType::INTS),
            ..AttributeProto::default()
        };
        let window =
            vec![ints("strides", &[1, 1]), ints("dilations", &[1, 1]), ints("pads", &[0; 4])];
        let node = |op: &str, input: [&str; 2], output: &str| NodeProto {
            op_type: Some(op.into()),
            attribute: if op == "Conv" { window.clone() } else { Vec::new() },
            input: input.map(String::from).into(),
            output: vec![output.into()],
            ..NodeProto::default()
        };
        let graph = GraphProto {
            node: vec![
                node("Conv", ["x", "kernel"], "maps"),
                node("MatMul", ["maps", "matrix"], "y"),
            ],
            initializer: vec![constant("kernel", &[4, 3, 3, 5]), constant("matrix", &[32, 7])],
            input: vec![value("x", &[2, 3, 36, 36])],
            output: vec![value("y", &[2, 4, 34, 7])],
            ..GraphProto::default()
        };
        let opset = OperatorSetIdProto { version: Some(13), ..OperatorSetIdProto::default() };
        let proto = ModelProto {
            ir_version: Some(8),
            graph: Some(graph.clone()),
            opset_import: vec![opset],
            ..ModelProto::default()
        };
        let model = Model::load(proto.write_buf().unwrap()).unwrap();
        // 4 maps of 34 × 32 by 3 × 3 × 5; 4 × 34 rows of 32 by 7 columns.
        let expected = 4 * 34 * 32 * 3 * 3 * 5 + 4 * 34 * 32 * 7;
        assert_eq!(multiply_adds(&model, &graph), Ok(expected));
        assert_eq!(weights(&graph), 4 * 3 * 3 * 5 + 32 * 7);
    }

    /// Random damage and every kind of stump: an error or a report, never a panic.
    #[test]
    fn damaged_files_are_refused() {
        let path = std::env::temp_dir().join(format!("model-{}.onnx", std::process::id()));
        let whole =
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/green-nchw-36.onnx"));
        let try_it = |data: &[u8]| {
            std::fs::write(&path, data).unwrap();
            describe(Some(&path))
        };
        let report = try_it(whole).unwrap();
        // planes (1 × 3) times pick (3 × 1).
        assert_eq!((report.weights, report.multiply_adds), (3, 3));
        // The graph ends at byte 422; the operators' version and three keys stand behind it.
        let passed: Vec<_> = (0..whole.len()).filter(|n| try_it(&whole[..*n]).is_ok()).collect();
        assert_eq!(passed, [422, 428, 454, 480]);
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..200 {
            let mut data = whole.to_vec();
            (0..3).for_each(|_| data[random.usize(..whole.len())] = random.u8(..));
            let _ = try_it(&data);
        }
        std::fs::remove_file(&path).unwrap();
    }
}
