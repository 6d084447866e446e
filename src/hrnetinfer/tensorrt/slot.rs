//! What a batch runs in: a stream, memory on both sides and, for each batch size, an execution with
//! its CUDA graph.
//!
//! A graph holds what its execution was bound to and in which state it was, so an execution that has
//! been recorded is never bound anew.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use cudarc::driver::{
    CudaContext, CudaGraph, CudaSlice, CudaStream, DevicePtr, DriverError, sys as cuda,
};

use super::device::{DeviceEngine, Execution};
use super::port::Port;
use crate::hrnetinfer::bindings::Bindings;
use crate::hrnetinfer::engine::EngineError;
use crate::hrnetinfer::owner::Maps;

pub fn failed(error: DriverError) -> EngineError {
    EngineError::Run(format!("on the GPU: {error}"))
}

/// An execution, bound to the ports for a batch of one size.
struct Run {
    /// Goes before what it was recorded from.
    graph: Option<CudaGraph>,
    execution: Box<dyn Execution>,
}

/// Room for a batch. Its fields go in this order: what runs before what it runs on.
pub struct Slot {
    /// By batch size.
    runs: HashMap<usize, Run>,
    /// Motion, appearance, output.
    ports: [Port; 3],
    memory: CudaSlice<u8>,
    stream: Arc<CudaStream>,
    engine: Rc<dyn DeviceEngine>,
    /// Whether runs are recorded.
    records: bool,
}

impl Slot {
    /// Room for `max_batch` pairs of maps of `len` values.
    pub fn new(
        context: &Arc<CudaContext>,
        engine: &Rc<dyn DeviceEngine>,
        bindings: &Bindings,
        len: usize,
        max_batch: usize,
    ) -> Result<Slot, EngineError> {
        let short = |e| EngineError::Unavailable(format!("memory for {max_batch} pairs: {e}"));
        let stream = context.new_stream().map_err(failed)?;
        let port = |tensor: &_, values| {
            Port::new(&stream, Clone::clone(tensor), values, max_batch).map_err(short)
        };
        let ports = [
            port(&bindings.motion, len)?,
            port(&bindings.appearance, len)?,
            port(&bindings.output, 1)?,
        ];
        let memory = stream.alloc_zeros::<u8>(engine.memory().max(1)).map_err(short)?;
        stream.synchronize().map_err(failed)?;
        let (engine, records) = (engine.clone(), !engine.records());
        Ok(Slot { runs: HashMap::new(), ports, memory, stream, engine, records })
    }

    /// Puts pairs into the pinned memory, from number `first` on. Only while no batch is under way.
    pub fn write(&mut self, first: usize, maps: &Maps) {
        self.ports[0].write(first, maps.motion);
        self.ports[1].write(first, maps.appearance);
    }

    /// Queues the run of the first `batch` pairs. Where that fails nothing is under way.
    pub fn start(&mut self, batch: usize) -> Result<(), EngineError> {
        let started = self.prepare(batch).and_then(|()| self.launch(batch));
        if started.is_err() {
            // What has been queued uses the pinned memory.
            let _ = self.stream.synchronize();
        }
        started
    }

    /// Whether the run is over, well or badly.
    pub fn is_done(&self) -> bool {
        // SAFETY: a stream that lives.
        let state = unsafe { cuda::cuStreamQuery(self.stream.cu_stream()) };
        state != cuda::CUresult::CUDA_ERROR_NOT_READY
    }

    /// Waits for the run; the samples of the first `pairs` pairs.
    pub fn finish(&mut self, pairs: usize) -> Result<Vec<f32>, EngineError> {
        self.stream.synchronize().map_err(failed)?;
        Ok(self.ports[2].read(pairs))
    }

    /// Makes what runs batches of this size, unless it is there. TensorRT does its work for a shape
    /// in the first run, which can't be recorded.
    pub fn prepare(&mut self, batch: usize) -> Result<(), EngineError> {
        if self.runs.contains_key(&batch) {
            return Ok(());
        }
        let execution = self.execution(batch)?;
        self.runs.insert(batch, Run { graph: None, execution });
        if self.records {
            self.queue(batch)?;
            self.stream.synchronize().map_err(failed)?;
            let graph = self.record(batch);
            self.runs.entry(batch).and_modify(|run| run.graph = graph);
        }
        Ok(())
    }

    /// An execution for this batch size: a new one, or where the engine gives no more (before
    /// TensorRT 10 an engine made elsewhere gives one) another size's, bound anew and not recorded.
    fn execution(&mut self, batch: usize) -> Result<Box<dyn Execution>, EngineError> {
        let address = self.memory.device_ptr(&self.stream).0;
        // SAFETY: the memory is of the engine's size, and is dropped behind all executions. They use
        // it on one stream, one after the other.
        let new = unsafe { self.engine.execution(address) }.and_then(|mut execution| {
            bind(&self.ports, &mut *execution, batch)?;
            Ok(execution)
        });
        let refused =
            |e: String| EngineError::Unavailable(format!("TensorRT can't run the engine: {e}"));
        let error = match new {
            Ok(execution) => return Ok(execution),
            Err(error) => error,
        };
        let other = self.runs.keys().next().copied().and_then(|size| self.runs.remove(&size));
        let Some(Run { graph, mut execution }) = other else { return Err(refused(error)) };
        drop(graph);
        self.records = false;
        bind(&self.ports, &mut *execution, batch).map_err(refused)?;
        Ok(execution)
    }

    fn launch(&mut self, batch: usize) -> Result<(), EngineError> {
        match self.runs.get(&batch).and_then(|run| run.graph.as_ref()) {
            Some(graph) => graph.launch().map_err(failed),
            None => self.queue(batch),
        }
    }

    /// Queues copies and the run of `batch` pairs.
    fn queue(&mut self, batch: usize) -> Result<(), EngineError> {
        let [motion, appearance, output] = &mut self.ports;
        let Some(run) = self.runs.get_mut(&batch) else { return Ok(()) };
        motion.upload(batch, &self.stream).map_err(failed)?;
        appearance.upload(batch, &self.stream).map_err(failed)?;
        // SAFETY: a stream of the engine's device; all three tensors are bound for this batch.
        unsafe { run.execution.enqueue(self.stream.cu_stream().cast()) }
            .map_err(EngineError::Run)?;
        output.download(batch, &self.stream).map_err(failed)
    }

    /// The graph of a run; `None` where the driver records none.
    fn record(&mut self, batch: usize) -> Option<CudaGraph> {
        let mode = cuda::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        self.stream.begin_capture(mode).ok()?;
        let queued = self.queue(batch);
        // Ends the recording whatever was queued.
        let flags = cuda::CUgraphInstantiate_flags::CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH;
        let graph = self.stream.end_capture(flags).ok()?;
        queued.ok().and(graph)
    }
}

fn bind(ports: &[Port; 3], execution: &mut dyn Execution, batch: usize) -> Result<(), String> {
    for port in ports {
        let shape = port.shape(batch);
        let shape = port.tensor.input.then_some(&shape[..]);
        // SAFETY: the port's memory is as large as the largest batch and is dropped behind the
        // execution.
        unsafe { execution.bind(&port.tensor.name, port.address, shape) }?;
    }
    Ok(())
}

impl Drop for Slot {
    fn drop(&mut self) {
        // Nothing may run in what goes now.
        let _ = self.stream.synchronize();
    }
}
