//! What runs a network: one small trait, one file a runtime.

use std::{any::Any, fmt, path::Path, sync::Arc, time::Duration};

use super::contract::Contract;
use super::maps::Layout;

/// What the element must know of a loaded network.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    pub contract: Contract,
    pub layout: Layout,
    /// Side of the square maps in pixels.
    pub size: usize,
}

impl Network {
    /// Values of one map.
    pub fn map_len(&self) -> usize {
        3 * self.size * self.size
    }
}

/// What an engine keeps of a face's appearance.
pub type Attention = Arc<dyn Any + Send + Sync>;

/// A loaded network. `run` may be called from any thread; an engine that is bound to one thread
/// keeps that to itself.
pub trait Engine: Send + Sync {
    fn network(&self) -> &Network;

    /// Runs n pairs: `motion` and `appearance` hold n maps each in the network's layout. Returns n
    /// pulse samples.
    fn run(&self, motion: &[f32], appearance: &[f32]) -> Result<Vec<f32>, EngineError>;

    /// The most pairs that are run at a time, where there is a limit: more are cut.
    fn max_batch(&self) -> Option<usize> {
        None
    }

    /// Whether the branches run one by one; else only [`Engine::run`] may be called.
    fn attends(&self) -> bool {
        false
    }

    /// Runs the appearance branch alone, on one map.
    fn attend(&self, _appearance: &[f32]) -> Result<Attention, EngineError> {
        Err(EngineError::Run("can't run its appearance branch alone".into()))
    }

    /// Runs one motion map with what [`Engine::attend`] gave; the pulse sample.
    fn run_attending(&self, _motion: &[f32], _: &Attention) -> Result<f32, EngineError> {
        Err(EngineError::Run("can't run its motion branch alone".into()))
    }
}

/// Runs pairs of `len` values a map by `run`, at once or, where that is fixed, `batch` at a time, the
/// last of them filled up.
pub fn in_batches(
    batch: Option<usize>,
    len: usize,
    motion: &[f32],
    appearance: &[f32],
    mut run: impl FnMut(usize, &[f32], &[f32], &mut Vec<f32>) -> Result<(), EngineError>,
) -> Result<Vec<f32>, EngineError> {
    let n = motion.len() / len;
    let mut out = Vec::with_capacity(n);
    if n == 0 {
        return Ok(out);
    }
    let Some(batch) = batch else {
        run(n, motion, appearance, &mut out)?;
        return Ok(out);
    };
    for (motion, appearance) in motion.chunks(batch * len).zip(appearance.chunks(batch * len)) {
        let pad = |data: &[f32]| {
            let mut data = data.to_vec();
            data.resize(batch * len, 0.0);
            data
        };
        run(batch, &pad(motion), &pad(appearance), &mut out)?;
    }
    out.truncate(n);
    Ok(out)
}

/// Why a network can't be loaded or run.
#[derive(Debug)]
pub enum EngineError {
    /// The file can't be read.
    Read(std::io::Error),
    /// The file is no network that this runtime takes, or a damaged one.
    Load(String),
    /// The network has other inputs or outputs than the contract's; says what was found.
    Shape(String),
    /// This machine or this build lacks what the backend wants; says what.
    Unavailable(String),
    /// The run failed.
    Run(String),
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            EngineError::Read(error) => write!(f, "can't be read: {error}"),
            EngineError::Load(what) => write!(f, "is not a usable ONNX model: {what}"),
            EngineError::Unavailable(what) => write!(f, "{what}"),
            EngineError::Shape(found) => write!(
                f,
                "{found}; expected two float inputs, motion and appearance, of batch x 3 x S x S \
                 or batch x S x S x 3 (S 36 or 72) and one output value for each pair"
            ),
            EngineError::Run(what) => write!(f, "failed to run: {what}"),
        }
    }
}

impl std::error::Error for EngineError {}

/// The default model: the file inside the plugin.
pub const DEFAULT_MODEL: &[u8] = include_bytes!("../../models/heartrate.onnx");

/// Which runtime to take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// The best that this machine has.
    #[default]
    Auto,
    /// The CPU, by rten.
    Cpu,
    /// The CPU, by ONNX Runtime.
    OnnxRuntime,
    /// An NVIDIA GPU, by TensorRT.
    TensorRt,
}

/// In what a TensorRT engine computes. The CPU computes in float32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    #[default]
    Fp16,
    Fp32,
}

/// Loads the model at `path` (the built-in one if `None`) for `backend`, with the defaults of
/// everything else. `overrides` finds values of `hrnet.*` keys that stand above the file's own.
pub fn load(
    path: Option<&Path>,
    backend: Backend,
    overrides: &dyn Fn(&str) -> Option<String>,
) -> Result<Arc<dyn Engine>, EngineError> {
    let request = Request { model: path, backend, overrides, ..Request::default() };
    super::backends::open(&request).map(|opened| opened.engine)
}

/// Which model to load, how, and for whom.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The built-in model if `None`.
    pub model: Option<&'a Path>,
    pub backend: Backend,
    pub precision: Precision,
    /// Which of the machine's GPUs.
    pub device: u32,
    /// The most pairs that an engine shared by several streams runs at a time.
    pub batch_size: u32,
    /// How long a pair may wait for others to fill a batch.
    pub batch_timeout: Duration,
    /// Values of `hrnet.*` keys that stand above the file's own.
    pub overrides: &'a dyn Fn(&str) -> Option<String>,
    /// Hears how far the building of an engine is: what is done, steps done, steps in all.
    pub progress: &'a (dyn Fn(&str, u32, u32) + Sync),
    /// Hears what went wrong and was put right.
    pub warn: &'a dyn Fn(&str),
}

impl Default for Request<'_> {
    fn default() -> Self {
        Request {
            model: None,
            backend: Backend::Auto,
            precision: Precision::Fp16,
            device: 0,
            batch_size: 16,
            batch_timeout: Duration::from_millis(2),
            overrides: &|_| None,
            progress: &|_, _, _| (),
            warn: &|_| (),
        }
    }
}
