//! What the runner wants of an engine. TensorRT's engines are in [`sys`](super::sys); the tests bring
//! one of their own.

use std::ffi::c_void;

use crate::hrnetinfer::bindings::Tensor;

/// An engine on a device; bound to the thread that has it.
pub trait DeviceEngine {
    fn tensors(&self) -> Result<Vec<Tensor>, String>;

    /// Bytes of device memory that a run wants beside its inputs and output.
    fn memory(&self) -> usize;

    /// What runs the engine, one run at a time; several may run side by side.
    ///
    /// # Safety
    ///
    /// `memory` is [`DeviceEngine::memory`] bytes on the device, which outlive it and serve one run at
    /// a time.
    unsafe fn execution(&self, memory: u64) -> Result<Box<dyn Execution>, String>;

    /// Whether the library records and replays CUDA graphs itself, so that nobody else should.
    fn records(&self) -> bool;
}

/// What runs an engine.
pub trait Execution {
    /// Says where a tensor lies and, of an input, its shape.
    ///
    /// # Safety
    ///
    /// `address` is device memory for the whole tensor and outlives every run.
    unsafe fn bind(
        &mut self,
        name: &str,
        address: u64,
        shape: Option<&[i64]>,
    ) -> Result<(), String>;

    /// Queues a run on a CUDA stream.
    ///
    /// # Safety
    ///
    /// All tensors are bound, and `stream` is a stream of the device.
    unsafe fn enqueue(&mut self, stream: *mut c_void) -> Result<(), String>;
}
