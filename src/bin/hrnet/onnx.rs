//! What an ONNX file holds, as far as `hrnet model` tells it: a reader of the protobuf messages
//! (onnx/onnx.proto) that takes nothing on trust.

use std::collections::{BTreeMap, HashMap};

/// The parts of a model that are told.
#[derive(Debug, Default)]
pub struct Onnx {
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
    /// Numbers in all float tensors.
    pub weights: u64,
    /// Types of these tensors, and how many numbers of each.
    pub types: BTreeMap<&'static str, u64>,
    pub metadata: BTreeMap<String, String>,
    pub operators: usize,
    /// For one item of a batch; `None` where the shapes can't be told.
    pub multiply_adds: Option<u64>,
}

/// An input or output: name and dimensions, a number or a name each.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Port {
    pub name: String,
    pub shape: Vec<String>,
}

/// A field of a message.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Fixed width: floats, which nobody asks for.
    Other,
}

/// Fields of one message, until its end or the first that makes no sense.
struct Fields<'a> {
    data: &'a [u8],
    broken: bool,
}

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.data.split_first()?;
            self.data = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: u64) -> Option<&'a [u8]> {
        let (head, rest) = self.data.split_at_checked(usize::try_from(length).ok()?)?;
        self.data = rest;
        Some(head)
    }

    fn field(&mut self) -> Option<(u64, Field<'a>)> {
        let tag = self.varint()?;
        let field = match tag & 7 {
            0 => Field::Number(self.varint()?),
            1 => self.take(8).map(|_| Field::Other)?,
            2 => {
                let length = self.varint()?;
                Field::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Field::Other)?,
            _ => return None,
        };
        Some((tag >> 3, field))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, Field<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.data.is_empty() || self.broken {
            return None;
        }
        let field = self.field();
        self.broken = field.is_none();
        field
    }
}

/// All fields of a message, or an error.
fn fields(data: &[u8]) -> Result<Vec<(u64, Field<'_>)>, String> {
    let mut fields = Fields { data, broken: false };
    let all: Vec<_> = fields.by_ref().collect();
    if fields.broken { Err("is damaged or no ONNX file".into()) } else { Ok(all) }
}

fn text(data: &[u8]) -> String {
    String::from_utf8_lossy(data).into_owned()
}

/// Reads a whole file's bytes.
pub fn read(data: &[u8]) -> Result<Onnx, String> {
    let mut onnx = Onnx::default();
    let mut graph = None;
    for (number, field) in fields(data)? {
        match (number, field) {
            (7, Field::Bytes(bytes)) => graph = Some(bytes),
            (14, Field::Bytes(bytes)) => {
                let (key, value) = read_entry(bytes)?;
                onnx.metadata.insert(key, value);
            }
            _ => (),
        }
    }
    read_graph(graph.ok_or("is damaged or no ONNX file")?, &mut onnx)?;
    Ok(onnx)
}

fn read_entry(data: &[u8]) -> Result<(String, String), String> {
    let mut entry = (String::new(), String::new());
    for (number, field) in fields(data)? {
        match (number, field) {
            (1, Field::Bytes(bytes)) => entry.0 = text(bytes),
            (2, Field::Bytes(bytes)) => entry.1 = text(bytes),
            _ => (),
        }
    }
    Ok(entry)
}

/// Dimensions of values by name; 0 stands for the batch.
type Shapes = HashMap<String, Vec<u64>>;

fn read_graph(data: &[u8], onnx: &mut Onnx) -> Result<(), String> {
    let mut shapes = Shapes::new();
    let mut nodes = Vec::new();
    let mut ports = Vec::new();
    for (number, field) in fields(data)? {
        let Field::Bytes(bytes) = field else { continue };
        match number {
            1 => nodes.push(read_node(bytes)?),
            5 => read_tensor(bytes, onnx, &mut shapes)?,
            11 => ports.push(read_port(bytes)?),
            12 => onnx.outputs.push(read_port(bytes)?),
            _ => (),
        }
    }
    // Older files list the weights among the inputs.
    ports.retain(|port| !shapes.contains_key(&port.name));
    for port in &ports {
        let dims = port.shape.iter().map(|d| d.parse().unwrap_or(0));
        shapes.insert(port.name.clone(), dims.collect());
    }
    onnx.inputs = ports;
    onnx.operators = nodes.len();
    onnx.multiply_adds = nodes.iter().try_fold(0u64, |sum, node| {
        let (cost, shape) = node.follow(&shapes)?;
        shapes.insert(node.output.clone(), shape);
        sum.checked_add(cost)
    });
    Ok(())
}

fn read_tensor(data: &[u8], onnx: &mut Onnx, shapes: &mut Shapes) -> Result<(), String> {
    let (mut name, mut dims, mut kind) = (String::new(), Vec::new(), 0);
    for (number, field) in fields(data)? {
        match (number, field) {
            (1, Field::Number(dim)) => dims.push(dim),
            (1, Field::Bytes(packed)) => dims.extend(integers(packed)?),
            (2, Field::Number(value)) => kind = value,
            (8, Field::Bytes(bytes)) => name = text(bytes),
            _ => (),
        }
    }
    let kind = match kind {
        1 => "float32",
        10 => "float16",
        16 => "bfloat16",
        11 => "float64",
        _ => "",
    };
    if !kind.is_empty() {
        let numbers = dims.iter().fold(1u64, |n, d| n.saturating_mul(*d));
        onnx.weights = onnx.weights.saturating_add(numbers);
        *onnx.types.entry(kind).or_default() += numbers;
    }
    shapes.insert(name, dims);
    Ok(())
}

/// Numbers that stand without tags of their own.
fn integers(packed: &[u8]) -> Result<Vec<u64>, String> {
    let mut rest = Fields { data: packed, broken: false };
    let mut all = Vec::new();
    while !rest.data.is_empty() {
        all.push(rest.varint().ok_or("is damaged")?);
    }
    Ok(all)
}

/// ValueInfoProto: name, type, tensor type, shape, dimensions.
fn read_port(data: &[u8]) -> Result<Port, String> {
    let mut port = Port { name: String::new(), shape: Vec::new() };
    let mut inner = None;
    for (number, field) in fields(data)? {
        match (number, field) {
            (1, Field::Bytes(bytes)) => port.name = text(bytes),
            (2, Field::Bytes(bytes)) => inner = Some(bytes),
            _ => (),
        }
    }
    // TypeProto.tensor_type, then its shape.
    for step in [1, 2] {
        let Some(bytes) = inner else { return Ok(port) };
        inner = fields(bytes)?.into_iter().find_map(|(number, field)| match field {
            Field::Bytes(bytes) if number == step => Some(bytes),
            _ => None,
        });
    }
    for (_, dim) in fields(inner.unwrap_or_default())? {
        let Field::Bytes(dim) = dim else { continue };
        let told = fields(dim)?.into_iter().next().map(|(_, field)| match field {
            Field::Number(n) => n.to_string(),
            Field::Bytes(name) => text(name),
            Field::Other => "?".into(),
        });
        port.shape.push(told.unwrap_or("?".into()));
    }
    Ok(port)
}

/// One operator.
#[derive(Default)]
struct Node {
    operator: String,
    inputs: Vec<String>,
    output: String,
    integers: HashMap<String, Vec<u64>>,
    texts: HashMap<String, String>,
}

fn read_node(data: &[u8]) -> Result<Node, String> {
    let mut node = Node::default();
    for (number, field) in fields(data)? {
        let Field::Bytes(bytes) = field else { continue };
        match number {
            1 => node.inputs.push(text(bytes)),
            2 if node.output.is_empty() => node.output = text(bytes),
            4 => node.operator = text(bytes),
            5 => read_attribute(bytes, &mut node)?,
            _ => (),
        }
    }
    Ok(node)
}

/// AttributeProto: name 1, i 3, s 4, ints 8.
fn read_attribute(data: &[u8], node: &mut Node) -> Result<(), String> {
    let (mut name, mut values, mut word) = (String::new(), Vec::new(), None);
    for (number, field) in fields(data)? {
        match (number, field) {
            (1, Field::Bytes(bytes)) => name = text(bytes),
            (3 | 8, Field::Number(value)) => values.push(value),
            (8, Field::Bytes(packed)) => values.extend(integers(packed)?),
            (4, Field::Bytes(bytes)) => word = Some(text(bytes)),
            _ => (),
        }
    }
    if let Some(word) = word {
        node.texts.insert(name.clone(), word);
    }
    node.integers.insert(name, values);
    Ok(())
}

impl Node {
    /// Multiply-adds of one item, and the shape of the output; `None` where they can't be told.
    fn follow(&self, shapes: &Shapes) -> Option<(u64, Vec<u64>)> {
        let input = |i: usize| self.inputs.get(i).and_then(|name| shapes.get(name));
        match self.operator.as_str() {
            "Conv" => self.follow_convolution(input(0)?, input(1)?),
            "AveragePool" | "MaxPool" => {
                let kernel = self.integers.get("kernel_shape")?.clone();
                let sides = self.sides(input(0)?, &kernel)?;
                Some((0, [&input(0)?[..2], &sides].concat()))
            }
            "Gemm" | "MatMul" => {
                let weights = input(1)?;
                let transposed = self.integers.get("transB").is_some_and(|v| v[..] == [1]);
                let columns = if transposed { weights.first()? } else { weights.last()? };
                let mut shape = input(0)?.clone();
                *shape.last_mut()? = *columns;
                let cost = weights.iter().try_fold(1u64, |n, d| n.checked_mul(*d))?;
                Some((cost, shape))
            }
            "Flatten" => {
                let rest = input(0)?.iter().skip(1).try_fold(1u64, |n, d| n.checked_mul(*d))?;
                Some((0, vec![*input(0)?.first()?, rest]))
            }
            "Transpose" => {
                let order = self.integers.get("perm")?;
                let dim = |i: &u64| input(0)?.get(usize::try_from(*i).ok()?).copied();
                Some((0, order.iter().map(dim).collect::<Option<_>>()?))
            }
            // What is done number by number has the shape of its largest input.
            _ => {
                let known = self.inputs.iter().filter_map(|name| shapes.get(name));
                let size =
                    |shape: &&Vec<u64>| shape.iter().map(|d| (*d).max(1) as u128).product::<u128>();
                Some((0, known.max_by_key(size).cloned().unwrap_or_default()))
            }
        }
    }

    fn follow_convolution(&self, input: &[u64], weights: &[u64]) -> Option<(u64, Vec<u64>)> {
        let [outputs, kernel @ ..] = weights else { return None };
        let sides = self.sides(input, kernel.get(1..)?)?;
        let each = kernel.iter().try_fold(*outputs, |n, d| n.checked_mul(*d))?;
        let cost = sides.iter().try_fold(each, |n, d| n.checked_mul(*d))?;
        Some((cost, [&[*input.first()?, *outputs][..], &sides].concat()))
    }

    /// Height and width after a window of `kernel` went over `input`.
    fn sides(&self, input: &[u64], kernel: &[u64]) -> Option<Vec<u64>> {
        let list = |name: &str| self.integers.get(name).filter(|v| !v.is_empty());
        let at = |name: &str, i: usize, default: u64| match list(name) {
            Some(values) => values.get(i).copied(),
            None => Some(default),
        };
        let same = self.texts.get("auto_pad").is_some_and(|p| p.starts_with("SAME"));
        let side = |(i, k): (usize, &u64)| {
            let (size, stride) = (*input.get(2 + i)?, at("strides", i, 1)?);
            let stride = (stride > 0).then_some(stride)?;
            if same {
                return Some(size.div_ceil(stride));
            }
            let pads = at("pads", i, 0)?.checked_add(at("pads", i + kernel.len(), 0)?)?;
            let reach = k.checked_sub(1)?.checked_mul(at("dilations", i, 1)?)?.checked_add(1)?;
            Some(size.checked_add(pads)?.checked_sub(reach)? / stride + 1)
        };
        kernel.iter().enumerate().map(side).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: &[u8] = include_bytes!("../../../models/heartrate.onnx");

    #[test]
    fn no_stump_and_no_flipped_bit_is_taken_for_more_than_it_is() {
        assert!(read(&[]).is_err() && read(b"no model").is_err());
        for n in (0..DEFAULT.len()).step_by(997) {
            assert!(read(&DEFAULT[..n]).is_err(), "{n}");
        }
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..2000 {
            let mut data = DEFAULT[..].to_vec();
            let place = random.usize(..data.len());
            data[place] ^= 1 << random.u32(..8);
            // Whatever comes: no panic, no endless loop.
            let _ = read(&data);
        }
    }

    #[test]
    fn dense_layers_and_convolutions_cost_what_they_cost() {
        let shapes = Shapes::from([
            ("x".into(), vec![0, 3, 36, 36]),
            ("w".into(), vec![32, 3, 5, 5]),
            ("d".into(), vec![128, 3136]),
            ("f".into(), vec![0, 3136]),
        ]);
        let node = |operator: &str, inputs: [&str; 2], integers: &[(&str, &[u64])]| Node {
            operator: operator.into(),
            inputs: inputs.map(String::from).to_vec(),
            integers: integers.iter().map(|(k, v)| (k.to_string(), v.to_vec())).collect(),
            ..Node::default()
        };
        let conv = node("Conv", ["x", "w"], &[("strides", &[2, 2]), ("pads", &[2, 2, 2, 2])]);
        let cost = 32 * 75 * 18 * 18;
        assert_eq!(conv.follow(&shapes), Some((cost, vec![0, 32, 18, 18])));
        let gemm = node("Gemm", ["f", "d"], &[("transB", &[1])]);
        assert_eq!(gemm.follow(&shapes), Some((128 * 3136, vec![0, 128])));
        let pool =
            node("AveragePool", ["x", ""], &[("kernel_shape", &[2, 2]), ("strides", &[2, 2])]);
        assert_eq!(pool.follow(&shapes), Some((0, vec![0, 3, 18, 18])));
    }
}
