//! The CPU engine on ONNX Runtime, whose library is looked for at run time.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::{Session, SessionInputValue};
use ort::value::TensorRef;

use super::bindings::{Bindings, Kind};
use super::contract::Contract;
use super::engine::{Attention, Engine, EngineError, Network, in_batches};
use super::onnx::{branches, describe};

/// What names the library.
pub const LIBRARY: &str = "ORT_DYLIB_PATH";
/// What it is called where nothing names it.
const NAMES: [&str; 2] = ["libonnxruntime.so", "libonnxruntime.so.1"];

/// The runtime, loaded once a process.
fn environment() -> Result<&'static Environment, EngineError> {
    static OPENED: OnceLock<Result<Environment, String>> = OnceLock::new();
    let open = || {
        catch_unwind(open_library).unwrap_or_else(|_| Err("its library can't be used".to_owned()))
    };
    OPENED.get_or_init(open).as_ref().map_err(|error| {
        let what = format!("no ONNX Runtime: {error} (set {LIBRARY}, docs/engines.md)");
        EngineError::Unavailable(what)
    })
}

fn open_library() -> Result<Environment, String> {
    let own = std::env::var(LIBRARY).ok().filter(|p| !p.is_empty());
    let names = match own {
        Some(path) => vec![path],
        None => NAMES.map(String::from).to_vec(),
    };
    let mut why = String::new();
    for name in names {
        match ort::init_from(Path::new(&name)) {
            Ok(builder) => {
                let environment =
                    builder.with_telemetry(false).build().map_err(|e| e.to_string())?;
                environment.set_log_level(LogLevel::Error);
                return Ok(environment);
            }
            Err(error) => why = error.to_string(),
        }
    }
    Err(why)
}

/// One graph, run on the caller's thread.
struct Graph(Mutex<Session>);

/// What a run gives: a shape and values for each output.
type Values = Vec<(Vec<i64>, Vec<f32>)>;

impl Graph {
    fn load(onnx: &[u8]) -> Result<Graph, EngineError> {
        let environment = environment()?;
        let load = || -> Result<Session, String> {
            let builder = Session::builder(environment).map_err(|e| e.to_string())?;
            let builder = builder.with_intra_threads(1).map_err(|e| e.to_string())?;
            let builder = builder.with_inter_threads(1).map_err(|e| e.to_string())?;
            let builder = builder.with_intra_op_spinning(false).map_err(|e| e.to_string())?;
            let mut builder = builder.with_inter_op_spinning(false).map_err(|e| e.to_string())?;
            builder.commit_from_memory(onnx).map_err(|e| e.to_string())
        };
        let session = catch_unwind(AssertUnwindSafe(load))
            .unwrap_or_else(|_| Err("the runtime panicked on it".into()))
            .map_err(|e| EngineError::Load(e.replace('\n', " ")))?;
        Ok(Graph(Mutex::new(session)))
    }

    /// Runs the graph on named inputs; gives all its outputs.
    fn run(&self, inputs: &[(&str, &[i64], &[f32])]) -> Result<Values, EngineError> {
        let run = || -> Result<Values, String> {
            let mut named = Vec::new();
            for (name, shape, data) in inputs {
                let tensor = TensorRef::from_array_view((shape.to_vec(), *data))
                    .map_err(|e| e.to_string())?;
                named.push((Cow::from(*name), SessionInputValue::from(tensor)));
            }
            let mut session = self.0.lock().unwrap_or_else(|e| e.into_inner());
            let outputs = session.run(named).map_err(|e| e.to_string())?;
            let value = |value: &ort::value::DynValue| {
                let (shape, data) = value.try_extract_tensor::<f32>().map_err(|e| e.to_string())?;
                Ok((shape.to_vec(), data.to_vec()))
            };
            (0..outputs.len()).map(|i| value(&outputs[i])).collect()
        };
        catch_unwind(AssertUnwindSafe(run))
            .unwrap_or_else(|_| Err("the runtime panicked".into()))
            .map_err(EngineError::Run)
    }
}

/// The network in two, where the appearance is not looked at in every frame.
struct Parts {
    appearance: Graph,
    motion: Graph,
    masks: Vec<String>,
}

/// An ONNX network run by ONNX Runtime on one thread.
pub struct OrtEngine {
    whole: Graph,
    parts: Option<Parts>,
    bindings: Bindings,
    network: Network,
}

impl OrtEngine {
    /// Loads an ONNX file's bytes and tries the network once.
    pub fn load(
        onnx: &[u8],
        overrides: &dyn Fn(&str) -> Option<String>,
    ) -> Result<OrtEngine, EngineError> {
        environment()?;
        let (bindings, keys) = describe(onnx, 1024)?;
        let contract = Contract::read(|key| overrides(key).or_else(|| keys.get(key).cloned()))
            .map_err(|e| EngineError::Load(e.to_string()))?;
        let ends = [&bindings.motion, &bindings.appearance, &bindings.output];
        if ends.iter().any(|t| t.kind != Kind::Float) {
            return Err(EngineError::Shape("the network's inputs or output are half".into()));
        }
        let network = Network { contract, layout: bindings.layout, size: bindings.size };
        let whole = Graph::load(onnx)?;
        let mut engine = OrtEngine { whole, parts: None, bindings, network };
        engine.probe()?;
        engine.parts = engine.take_apart(onnx);
        Ok(engine)
    }

    /// The branches apart; `None` where every frame is looked at, or the graph is of another kind.
    fn take_apart(&self, onnx: &[u8]) -> Option<Parts> {
        if self.network.contract.appearance_every < 2 || self.bindings.fixed.is_some() {
            return None;
        }
        let branches = branches(onnx, &self.bindings)?;
        Some(Parts {
            // A mask that is not float32 is refused here.
            appearance: Graph::load(&branches.appearance).ok()?,
            motion: Graph::load(&branches.motion).ok()?,
            masks: branches.masks,
        })
    }

    /// Runs two blank pairs, so that a graph that can't run fails now.
    fn probe(&self) -> Result<(), EngineError> {
        let blank = vec![0.0; 2 * self.network.map_len()];
        self.run(&blank, &blank).map(|_| ())
    }

    /// The shape of `n` items of `tensor`.
    fn shape(&self, n: usize, appearance: bool) -> Vec<i64> {
        let tensor = if appearance { &self.bindings.appearance } else { &self.bindings.motion };
        let mut shape = tensor.shape.clone();
        shape[0] = n as i64;
        shape
    }
}

/// The samples of `n` pairs, the only output.
fn samples(n: usize, values: Values) -> Result<Vec<f32>, EngineError> {
    let [(_, samples)]: [_; 1] = values.try_into().map_err(|v: Values| {
        EngineError::Shape(format!("the network gives {} outputs", v.len()))
    })?;
    if samples.len() == n {
        return Ok(samples);
    }
    let found = format!("the network gives {} values for {n} pairs", samples.len());
    Err(EngineError::Shape(found))
}

impl Engine for OrtEngine {
    fn network(&self) -> &Network {
        &self.network
    }

    fn run(&self, motion: &[f32], appearance: &[f32]) -> Result<Vec<f32>, EngineError> {
        let (batch, len) = (self.bindings.fixed, self.network.map_len());
        in_batches(batch, len, motion, appearance, |n, motion, appearance, out| {
            let inputs = [
                (&self.bindings.motion.name[..], &self.shape(n, false)[..], motion),
                (&self.bindings.appearance.name[..], &self.shape(n, true)[..], appearance),
            ];
            out.extend(samples(n, self.whole.run(&inputs)?)?);
            Ok(())
        })
    }

    fn attends(&self) -> bool {
        self.parts.is_some()
    }

    fn attend(&self, appearance: &[f32]) -> Result<Attention, EngineError> {
        let Some(parts) = &self.parts else {
            return Err(EngineError::Run("can't run its appearance branch alone".into()));
        };
        let name = &self.bindings.appearance.name[..];
        let masks = parts.appearance.run(&[(name, &self.shape(1, true), appearance)])?;
        Ok(Arc::new(masks))
    }

    fn run_attending(&self, motion: &[f32], attention: &Attention) -> Result<f32, EngineError> {
        let (Some(parts), Some(masks)) = (&self.parts, attention.downcast_ref::<Values>()) else {
            return Err(EngineError::Run("got the attention of another engine".into()));
        };
        let shape = self.shape(1, false);
        let mut inputs = vec![(&self.bindings.motion.name[..], &shape[..], motion)];
        let masks = parts.masks.iter().zip(masks);
        inputs.extend(masks.map(|(name, (shape, data))| (&name[..], &shape[..], &data[..])));
        Ok(samples(1, parts.motion.run(&inputs)?)?[0])
    }
}

#[cfg(test)]
mod tests;
