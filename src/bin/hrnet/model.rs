//! `hrnet model`: what a network is.

use std::path::PathBuf;

use gstheartrate::hrnetinfer::contract::KEYS;
use gstheartrate::hrnetinfer::engine::{self, Backend, Network};
use gstheartrate::hrnetinfer::maps::Layout;
use serde::Serialize;

use crate::onnx::{self, Onnx, Port};

/// Tell what a network is: inputs, outputs, contract, size and cost.
#[derive(clap::Args)]
pub struct Args {
    /// ONNX file; the network inside the plugin if absent
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    bytes: usize,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    layout: &'static str,
    size: usize,
    /// The file's own keys; those that are absent have their default.
    metadata: std::collections::BTreeMap<String, String>,
    weights: u64,
    types: std::collections::BTreeMap<&'static str, u64>,
    operators: usize,
    multiply_adds: Option<u64>,
}

pub fn run(args: &Args) -> Result<(), String> {
    let name = args.file.as_ref().map_or("built-in model".into(), |f| f.display().to_string());
    let named = |e: String| format!("{name}: {e}");
    let data = match &args.file {
        Some(file) => std::fs::read(file).map_err(|e| named(format!("can't be read: {e}")))?,
        None => engine::DEFAULT_MODEL.to_vec(),
    };
    let onnx = onnx::read(&data).map_err(named)?;
    let engine = engine::load(args.file.as_deref(), Backend::Cpu, &|_| None);
    let engine = engine.map_err(|e| named(e.to_string()))?;
    let report = Report::new(data.len(), onnx, engine.network());
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report).map_err(|e| e.to_string())?);
    } else {
        report.print(&name);
    }
    Ok(())
}

impl Report {
    fn new(bytes: usize, onnx: Onnx, network: &Network) -> Report {
        let layout = match network.layout {
            Layout::Nchw => "channels first",
            Layout::Nhwc => "channels last",
        };
        Report {
            bytes,
            inputs: onnx.inputs,
            outputs: onnx.outputs,
            layout,
            size: network.size,
            metadata: onnx.metadata,
            weights: onnx.weights,
            types: onnx.types,
            operators: onnx.operators,
            multiply_adds: onnx.multiply_adds,
        }
    }

    fn print(&self, name: &str) {
        println!("{name}: {} bytes, {} operators", self.bytes, self.operators);
        let ports = [("input", &self.inputs), ("output", &self.outputs)];
        for (kind, port) in ports.iter().flat_map(|(k, p)| p.iter().map(move |p| (k, p))) {
            println!("  {kind:8} {:24} {}", port.name, port.shape.join(" x "));
        }
        println!("  layout   {}, {} x {} pixels", self.layout, self.size, self.size);
        let types: Vec<_> = self.types.iter().map(|(name, n)| format!("{n} as {name}")).collect();
        println!("  weights  {} ({})", self.weights, types.join(", "));
        match self.multiply_adds {
            Some(n) => println!("  cost     {:.1} million multiply-adds a frame", n as f64 * 1e-6),
            None => println!("  cost     can't be told"),
        }
        let absent = KEYS.iter().filter(|key| !self.metadata.contains_key(**key));
        self.metadata.iter().for_each(|(key, value)| println!("  {key:24} {value}"));
        absent.for_each(|key| println!("  {key:24} (default)"));
    }
}
