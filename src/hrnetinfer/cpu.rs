//! The CPU engine, on rten.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rten::{Dimension, Model, NodeId, RunOptions, ThreadPool, Value, ValueOrView};
use rten_tensor::NdTensorView;
use rten_tensor::prelude::*;

use super::contract::Contract;
use super::engine::{Attention, Engine, EngineError, Network, in_batches};
use super::maps;

/// An ONNX network run by rten on one thread.
pub struct CpuEngine {
    model: Model,
    network: Network,
    /// Motion, appearance.
    inputs: [NodeId; 2],
    output: NodeId,
    /// Pairs that the graph takes at a time, where that is fixed.
    batch: Option<usize>,
    /// One thread: a pipeline's parallelism is its streams.
    threads: Arc<ThreadPool>,
}

impl CpuEngine {
    /// Loads an ONNX file's bytes and tries the network once.
    pub fn load(
        data: Vec<u8>,
        overrides: &dyn Fn(&str) -> Option<String>,
    ) -> Result<CpuEngine, EngineError> {
        let model = guarded(EngineError::Load, || {
            Model::load(data).map_err(|e| EngineError::Load(e.to_string()))
        })?;
        let own = |key: &str| model.metadata().get(key).map(str::to_owned);
        let contract = Contract::read(|key| overrides(key).or_else(|| own(key)))
            .map_err(|e| EngineError::Load(e.to_string()))?;
        let inputs = find_inputs(&model)?;
        let (layout, size, batch) = find_shape(&model, inputs)?;
        let [output] = model.output_ids() else {
            let found = format!("the network has {} outputs", model.output_ids().len());
            return Err(EngineError::Shape(found));
        };
        let engine = CpuEngine {
            output: *output,
            network: Network { contract, layout, size },
            inputs,
            batch,
            threads: Arc::new(ThreadPool::with_num_threads(1)),
            model,
        };
        engine.probe()?;
        Ok(engine)
    }

    /// Runs two blank pairs, so that a graph that can't run fails now.
    fn probe(&self) -> Result<(), EngineError> {
        let blank = vec![0.0; 2 * self.network.map_len()];
        self.run(&blank, &blank)?;
        if self.attends() {
            let attention = self.attend(&blank[..self.network.map_len()])?;
            self.run_attending(&blank[..self.network.map_len()], &attention)?;
        }
        Ok(())
    }

    fn options(&self) -> Option<RunOptions> {
        Some(RunOptions::default().with_thread_pool(Some(self.threads.clone())))
    }

    /// Runs the rest of the graph from `inputs` and appends `n` samples to `out`.
    fn finish(
        &self,
        n: usize,
        inputs: Vec<(NodeId, ValueOrView)>,
        out: &mut Vec<f32>,
    ) -> Result<(), EngineError> {
        let [value] = guarded(EngineError::Run, || {
            self.model
                .run_n(inputs, [self.output], self.options())
                .map_err(|e| EngineError::Run(e.to_string()))
        })?;
        let value = value.into_tensor::<f32>().ok_or_else(|| {
            EngineError::Shape("the network's output is not of type float".to_owned())
        })?;
        if value.len() != n {
            let found = format!("the network gives {} values for {n} pairs", value.len());
            return Err(EngineError::Shape(found));
        }
        out.extend(value.iter());
        Ok(())
    }

    /// The shape of `n` items in the network's layout.
    fn shape(&self, n: usize) -> [usize; 4] {
        let size = self.network.size;
        match self.network.layout {
            maps::Layout::Nchw => [n, 3, size, size],
            maps::Layout::Nhwc => [n, size, size, 3],
        }
    }

    /// Runs `n` pairs at once and appends their samples to `out`.
    fn run_batch(
        &self,
        n: usize,
        motion: &[f32],
        appearance: &[f32],
        out: &mut Vec<f32>,
    ) -> Result<(), EngineError> {
        let shape = self.shape(n);
        let view = |data| ValueOrView::from(NdTensorView::from_data(shape, data));
        let inputs = vec![(self.inputs[0], view(motion)), (self.inputs[1], view(appearance))];
        self.finish(n, inputs, out)
    }
}

/// What the appearance branch left in the graph: the attention masks.
type Masks = Vec<(NodeId, Value)>;

impl Engine for CpuEngine {
    fn network(&self) -> &Network {
        &self.network
    }

    fn run(&self, motion: &[f32], appearance: &[f32]) -> Result<Vec<f32>, EngineError> {
        let len = self.network.map_len();
        in_batches(self.batch, len, motion, appearance, |n, motion, appearance, out| {
            self.run_batch(n, motion, appearance, out)
        })
    }

    fn attends(&self) -> bool {
        self.network.contract.appearance_every > 1 && self.batch.is_none()
    }

    fn attend(&self, appearance: &[f32]) -> Result<Attention, EngineError> {
        let view = ValueOrView::from(NdTensorView::from_data(self.shape(1), appearance));
        let masks: Masks = guarded(EngineError::Run, || {
            self.model
                .partial_run(vec![(self.inputs[1], view)], &[self.output], self.options())
                .map_err(|e| EngineError::Run(e.to_string()))
        })?;
        Ok(Arc::new(masks))
    }

    fn run_attending(&self, motion: &[f32], attention: &Attention) -> Result<f32, EngineError> {
        let Some(masks) = attention.downcast_ref::<Masks>() else {
            return Err(EngineError::Run("got the attention of another engine".into()));
        };
        let view = ValueOrView::from(NdTensorView::from_data(self.shape(1), motion));
        let mut inputs = vec![(self.inputs[0], view)];
        inputs.extend(masks.iter().map(|(id, value)| (*id, value.as_view().into())));
        let mut out = Vec::with_capacity(1);
        self.finish(1, inputs, &mut out)?;
        Ok(out[0])
    }
}

/// Runs code of the runtime on data that is not trusted: a panic in there becomes an error.
fn guarded<T>(
    error: impl Fn(String) -> EngineError,
    run: impl FnOnce() -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    catch_unwind(AssertUnwindSafe(run))
        .unwrap_or_else(|_| Err(error("the runtime panicked on it".to_owned())))
}

/// The motion and the appearance input: by name, else by order.
fn find_inputs(model: &Model) -> Result<[NodeId; 2], EngineError> {
    let &[first, second] = model.input_ids() else {
        let found = format!("the network has {} inputs", model.input_ids().len());
        return Err(EngineError::Shape(found));
    };
    let name = |id| {
        let info = model.node_info(id);
        info.and_then(|i| i.name()).unwrap_or_default().to_ascii_lowercase()
    };
    let swapped = name(first).contains("appearance") || name(second).contains("motion");
    Ok(if swapped { [second, first] } else { [first, second] })
}

/// Layout, map size and fixed batch of the inputs, which must agree.
fn find_shape(
    model: &Model,
    inputs: [NodeId; 2],
) -> Result<(maps::Layout, usize, Option<usize>), EngineError> {
    let shapes = inputs.map(|id| model.node_info(id).and_then(|i| i.shape()).unwrap_or_default());
    let wrong = || EngineError::Shape(format!("the network's inputs are {}", describe(&shapes)));
    if shapes[0][..].get(1..) != shapes[1][..].get(1..) {
        return Err(wrong());
    }
    let [batch, rest @ ..] = &shapes[0][..] else { return Err(wrong()) };
    let batch = match batch {
        Dimension::Fixed(n) => {
            Some(*n).filter(|n| (1..=1024).contains(n)).ok_or_else(wrong)?.into()
        }
        Dimension::Symbolic(_) => None,
    };
    use Dimension::Fixed;
    match rest {
        [Fixed(3), Fixed(h), Fixed(w)] if is_size(*h, *w) => Ok((maps::Layout::Nchw, *h, batch)),
        [Fixed(h), Fixed(w), Fixed(3)] if is_size(*h, *w) => Ok((maps::Layout::Nhwc, *h, batch)),
        _ => Err(wrong()),
    }
}

fn is_size(h: usize, w: usize) -> bool {
    h == w && (h == 36 || h == 72)
}

fn describe(shapes: &[Vec<Dimension>; 2]) -> String {
    let one = |shape: &Vec<Dimension>| {
        let dims: Vec<String> = shape
            .iter()
            .map(|d| match d {
                Dimension::Fixed(n) => n.to_string(),
                Dimension::Symbolic(name) => name.clone(),
            })
            .collect();
        format!("[{}]", dims.join(" x "))
    };
    format!("{} and {}", one(&shapes[0]), one(&shapes[1]))
}
