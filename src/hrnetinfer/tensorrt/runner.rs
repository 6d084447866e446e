//! An engine on a GPU: two slots, so that one batch is copied while another one runs.

use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use cudarc::driver::CudaContext;

use super::device::DeviceEngine;
use super::slot::{Slot, failed};
use super::sys::Library;
use crate::hrnetinfer::bindings::Bindings;
use crate::hrnetinfer::contract::Contract;
use crate::hrnetinfer::engine::{EngineError, Network};
use crate::hrnetinfer::owner::{Maps, Runner};

const SLOTS: usize = 2;

/// Runs an engine.
pub struct GpuRunner {
    slots: Vec<Slot>,
    /// Slot and pairs of each batch, the oldest first.
    under_way: VecDeque<(usize, usize)>,
    network: Network,
    /// Pairs of every run, where the engine leaves no choice.
    fixed: Option<usize>,
    max_batch: usize,
}

impl GpuRunner {
    /// Reads a built engine for the GPU of `context`; runs of at most `max_batch` pairs.
    pub fn load(
        library: &Library,
        context: &Arc<CudaContext>,
        engine: &[u8],
        max_batch: usize,
    ) -> Result<GpuRunner, EngineError> {
        context.bind_to_thread().map_err(failed)?;
        let engine = library
            .load(engine)
            .map_err(|e| EngineError::Unavailable(format!("TensorRT refuses the engine: {e}")))?;
        GpuRunner::new(context, Rc::new(engine), max_batch)
    }

    /// Makes all that runs want, so that what can't run fails now and nothing is made in mid-stream.
    pub fn new(
        context: &Arc<CudaContext>,
        engine: Rc<dyn DeviceEngine>,
        max_batch: usize,
    ) -> Result<GpuRunner, EngineError> {
        context.bind_to_thread().map_err(failed)?;
        // SAFETY: each slot uses its memory on its own stream only.
        unsafe { context.disable_event_tracking() };
        let bindings = Bindings::find(&engine.tensors().map_err(EngineError::Shape)?)?;
        let max_batch = bindings.fixed.unwrap_or(bindings.max_batch.min(max_batch));
        let (layout, size) = (bindings.layout, bindings.size);
        let network = Network { contract: Contract::default(), layout, size };
        let fixed = bindings.fixed;
        let (slots, under_way) = (Vec::new(), VecDeque::new());
        let mut runner = GpuRunner { slots, under_way, network, fixed, max_batch };
        for slot in 0..SLOTS {
            match runner.slot(context, &engine, &bindings) {
                Ok(slot) => runner.slots.push(slot),
                // One is enough.
                Err(EngineError::Unavailable(why)) if slot > 0 => say_alone(&why),
                Err(error) => return Err(error),
            }
        }
        Ok(runner)
    }

    /// A slot that has run once in every size.
    fn slot(
        &self,
        context: &Arc<CudaContext>,
        engine: &Rc<dyn DeviceEngine>,
        bindings: &Bindings,
    ) -> Result<Slot, EngineError> {
        let len = self.network.map_len();
        let mut slot = Slot::new(context, engine, bindings, len, self.max_batch)?;
        let sizes: BTreeSet<usize> = (1..=self.max_batch).map(|pairs| self.batch(pairs)).collect();
        for batch in sizes {
            slot.start(batch)?;
            slot.finish(batch)?;
        }
        Ok(slot)
    }

    /// The batch that so many pairs are run in. Not every size, for each has an execution: what is
    /// left over runs with what was there before.
    fn batch(&self, pairs: usize) -> usize {
        let step = match pairs {
            ..=8 => 1,
            9..=64 => 8,
            _ => 64,
        };
        self.fixed.unwrap_or(pairs.next_multiple_of(step).min(self.max_batch))
    }
}

/// Says in the log that batches run one at a time.
fn say_alone(why: &str) {
    if let Some(category) = gst::DebugCategory::get("hrnetinfer") {
        gst::info!(category, "One batch at a time, copies don't overlap with runs: {why}");
    }
}

impl Runner for GpuRunner {
    fn network(&self) -> &Network {
        &self.network
    }

    fn max_batch(&self) -> usize {
        self.max_batch
    }

    fn depth(&self) -> usize {
        self.slots.len()
    }

    fn submit(&mut self, parts: &[Maps]) -> Result<(), EngineError> {
        let len = self.network.map_len();
        let pairs: usize = parts.iter().map(|p| p.motion.len() / len).sum();
        let is_free = |slot: &usize| self.under_way.iter().all(|(busy, _)| busy != slot);
        let free = (0..self.slots.len()).find(is_free);
        let Some(index) = free.filter(|_| (1..=self.max_batch).contains(&pairs)) else {
            return Err(EngineError::Run(format!("no room on the GPU for {pairs} pairs")));
        };
        let batch = self.batch(pairs);
        let slot = &mut self.slots[index];
        let mut first = 0;
        for part in parts {
            slot.write(first, part);
            first += part.motion.len() / len;
        }
        slot.start(batch)?;
        self.under_way.push_back((index, pairs));
        Ok(())
    }

    fn ready(&mut self) -> bool {
        self.under_way.front().is_none_or(|(slot, _)| self.slots[*slot].is_done())
    }

    fn collect(&mut self) -> Result<Vec<f32>, EngineError> {
        let Some((slot, pairs)) = self.under_way.pop_front() else {
            return Err(EngineError::Run("nothing runs on the GPU".into()));
        };
        self.slots[slot].finish(pairs)
    }
}
