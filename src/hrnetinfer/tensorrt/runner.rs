//! An engine on a GPU: memory on both sides, one stream, and a CUDA graph for each batch size.

use std::collections::HashMap;
use std::sync::Arc;

use cudarc::driver::{
    CudaContext, CudaGraph, CudaSlice, CudaStream, DevicePtr, DriverError, PinnedHostSlice, result,
    sys as cuda,
};

use super::sys::{self, Library};
use crate::hrnetinfer::bindings::{Bindings, Kind, Tensor};
use crate::hrnetinfer::contract::Contract;
use crate::hrnetinfer::engine::{EngineError, Network};
use crate::hrnetinfer::half::{from_half, to_half};
use crate::hrnetinfer::owner::Runner;

/// Runs an engine. Its fields go in this order: what runs before what it runs on.
pub struct GpuRunner {
    /// By batch; `None` where the driver would not record one.
    graphs: HashMap<usize, Option<CudaGraph>>,
    engine: sys::Engine,
    /// Motion, appearance, output.
    ports: [Port; 3],
    stream: Arc<CudaStream>,
    network: Network,
    fixed: Option<usize>,
    max_batch: usize,
}

fn failed(error: DriverError) -> EngineError {
    EngineError::Run(format!("on the GPU: {error}"))
}

impl GpuRunner {
    /// Reads a built engine for the GPU of `context`; runs of at most `max_batch` pairs.
    pub fn load(
        library: &Library,
        context: &Arc<CudaContext>,
        engine: &[u8],
        max_batch: usize,
    ) -> Result<GpuRunner, EngineError> {
        let refused = |what: &str| {
            let what = what.to_owned();
            move |e: String| EngineError::Unavailable(format!("{what}: {e}"))
        };
        context.bind_to_thread().map_err(failed)?;
        // SAFETY: all memory is used on one stream.
        unsafe { context.disable_event_tracking() };
        let stream = context.new_stream().map_err(failed)?;
        let mut engine = library.load(engine).map_err(refused("TensorRT refuses the engine"))?;
        let bindings = Bindings::find(&engine.tensors().map_err(EngineError::Shape)?)?;
        engine.prepare().map_err(refused("TensorRT can't run the engine"))?;
        let max_batch = bindings.fixed.unwrap_or(bindings.max_batch.min(max_batch));
        let network =
            Network { contract: Contract::default(), layout: bindings.layout, size: bindings.size };
        let len = network.map_len();
        let port = |tensor, values| {
            let memory = |e| EngineError::Unavailable(format!("memory for {max_batch} pairs: {e}"));
            Port::new(&stream, tensor, values, max_batch).map_err(memory)
        };
        let ports = [
            port(bindings.motion, len)?,
            port(bindings.appearance, len)?,
            port(bindings.output, 1)?,
        ];
        let fixed = bindings.fixed;
        let graphs = HashMap::new();
        let mut runner = GpuRunner { graphs, engine, ports, stream, network, fixed, max_batch };
        runner.warm_up()?;
        Ok(runner)
    }

    /// Runs blank pairs in the usual batches, so that what can't run fails now, and what is made at
    /// the first run of a batch is made before the stream.
    fn warm_up(&mut self) -> Result<(), EngineError> {
        let len = self.network.map_len();
        for batch in 1..=self.max_batch.min(16) {
            let blank = vec![0.0; batch * len];
            self.run(&blank, &blank)?;
        }
        Ok(())
    }

    /// Queues copies and the run of `batch` pairs.
    fn queue(&mut self, batch: usize) -> Result<(), EngineError> {
        let [motion, appearance, output] = &mut self.ports;
        motion.upload(batch, &self.stream).map_err(failed)?;
        appearance.upload(batch, &self.stream).map_err(failed)?;
        // SAFETY: a stream of the engine's device; all three tensors were bound for this batch.
        unsafe { self.engine.enqueue(self.stream.cu_stream().cast()) }.map_err(EngineError::Run)?;
        output.download(batch, &self.stream).map_err(failed)
    }

    fn bind(&mut self, batch: usize) -> Result<(), EngineError> {
        for port in &self.ports {
            let mut shape = port.tensor.shape.clone();
            if let Some(first) = shape.first_mut() {
                *first = batch as i64;
            }
            let shape = port.tensor.input.then_some(&shape[..]);
            // SAFETY: the port's memory is as large as the largest batch and lives with the engine.
            unsafe { self.engine.bind(&port.tensor.name, port.address, shape) }
                .map_err(EngineError::Run)?;
        }
        Ok(())
    }

    /// Runs `batch` pairs that stand in the ports, and has the next run of as many replayed.
    fn launch(&mut self, batch: usize) -> Result<(), EngineError> {
        if let Some(Some(graph)) = self.graphs.get(&batch) {
            graph.launch().map_err(failed)?;
            return self.stream.synchronize().map_err(failed);
        }
        self.bind(batch)?;
        self.queue(batch)?;
        self.stream.synchronize().map_err(failed)?;
        // TensorRT for RTX records its own.
        if !sys::is_rtx() && !self.graphs.contains_key(&batch) {
            let graph = self.record(batch);
            self.graphs.insert(batch, graph);
        }
        Ok(())
    }

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

impl Runner for GpuRunner {
    fn network(&self) -> &Network {
        &self.network
    }

    fn max_batch(&self) -> usize {
        self.max_batch
    }

    fn run(&mut self, motion: &[f32], appearance: &[f32]) -> Result<Vec<f32>, EngineError> {
        let pairs = motion.len() / self.network.map_len();
        self.ports[0].write(motion);
        self.ports[1].write(appearance);
        self.launch(self.fixed.unwrap_or(pairs))?;
        Ok(self.ports[2].read(pairs))
    }
}

/// A tensor's memory on both sides.
struct Port {
    tensor: Tensor,
    /// Values of a pair.
    values: usize,
    /// Device memory, and where it is.
    _device: CudaSlice<u8>,
    address: u64,
    /// Pinned memory, and where it is.
    _host: PinnedHostSlice<u8>,
    pointer: *mut u8,
    /// Bytes of both.
    size: usize,
}

impl Port {
    fn new(
        stream: &Arc<CudaStream>,
        tensor: Tensor,
        values: usize,
        max_batch: usize,
    ) -> Result<Port, DriverError> {
        let size = max_batch * values * width(tensor.kind);
        let device = stream.alloc_zeros::<u8>(size)?;
        // SAFETY: it is cleared below, before anything reads it. No flags: it is read as well.
        let mut host = unsafe { stream.context().alloc_pinned_with_flags::<u8>(size, 0)? };
        host.as_mut_slice()?.fill(0);
        let pointer = host.as_mut_ptr()?;
        let address = device.device_ptr(stream).0;
        stream.synchronize()?;
        Ok(Port { tensor, values, _device: device, address, _host: host, pointer, size })
    }

    /// Bytes of `batch` pairs.
    fn bytes(&self, batch: usize) -> usize {
        (batch * self.values * width(self.tensor.kind)).min(self.size)
    }

    /// The pinned memory. Nothing is queued while it is held: every run ends in a synchronize.
    fn host(&mut self) -> &mut [u8] {
        // SAFETY: the allocation has this size and belongs to this port alone.
        unsafe { std::slice::from_raw_parts_mut(self.pointer, self.size) }
    }

    fn write(&mut self, values: &[f32]) {
        match self.tensor.kind {
            Kind::Half => {
                let halves = self.host().as_chunks_mut::<2>().0;
                halves.iter_mut().zip(values).for_each(|(h, v)| *h = to_half(*v).to_le_bytes());
            }
            _ => {
                let floats = self.host().as_chunks_mut::<4>().0;
                floats.iter_mut().zip(values).for_each(|(f, v)| *f = v.to_le_bytes());
            }
        }
    }

    fn read(&mut self, pairs: usize) -> Vec<f32> {
        let kind = self.tensor.kind;
        let bytes = self.bytes(pairs);
        let host = &self.host()[..bytes];
        match kind {
            Kind::Half => {
                host.as_chunks::<2>().0.iter().map(|b| from_half(u16::from_le_bytes(*b))).collect()
            }
            _ => host.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        }
    }

    fn upload(&mut self, batch: usize, stream: &CudaStream) -> Result<(), DriverError> {
        let (address, bytes) = (self.address, self.bytes(batch));
        // SAFETY: device and pinned memory are of this size and outlive the run.
        unsafe { result::memcpy_htod_async(address, &self.host()[..bytes], stream.cu_stream()) }
    }

    fn download(&mut self, batch: usize, stream: &CudaStream) -> Result<(), DriverError> {
        let (address, bytes) = (self.address, self.bytes(batch));
        // SAFETY: as above.
        unsafe { result::memcpy_dtoh_async(&mut self.host()[..bytes], address, stream.cu_stream()) }
    }
}

/// Bytes of a value.
fn width(kind: Kind) -> usize {
    if kind == Kind::Half { 2 } else { 4 }
}
