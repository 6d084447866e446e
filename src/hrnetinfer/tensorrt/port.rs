//! A tensor's memory on both sides.

use std::sync::Arc;

use cudarc::driver::{CudaSlice, CudaStream, DevicePtr, DriverError, PinnedHostSlice, result};

use crate::hrnetinfer::bindings::{Kind, Tensor};
use crate::hrnetinfer::half::{from_half, to_half};

/// Memory of a tensor, for the largest batch.
pub struct Port {
    pub tensor: Tensor,
    /// Where it lies on the device.
    pub address: u64,
    /// Values of a pair.
    values: usize,
    _device: CudaSlice<u8>,
    _host: PinnedHostSlice<u8>,
    /// Where the pinned memory is.
    pointer: *mut u8,
    /// Bytes on each side.
    size: usize,
}

impl Port {
    /// Cleared memory for `max_batch` pairs of `values` values each.
    pub fn new(
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
        Ok(Port { tensor, address, values, _device: device, _host: host, pointer, size })
    }

    /// The tensor's shape in a batch.
    pub fn shape(&self, batch: usize) -> Vec<i64> {
        let mut shape = self.tensor.shape.clone();
        if let Some(first) = shape.first_mut() {
            *first = batch as i64;
        }
        shape
    }

    /// Bytes of `pairs` pairs.
    fn bytes(&self, pairs: usize) -> usize {
        (pairs * self.values * width(self.tensor.kind)).min(self.size)
    }

    /// The pinned memory. Only while nothing is queued that uses it.
    fn host(&mut self) -> &mut [u8] {
        // SAFETY: the allocation has this size and belongs to this port alone.
        unsafe { std::slice::from_raw_parts_mut(self.pointer, self.size) }
    }

    /// Puts values into the pinned memory, of the pairs from number `first` on.
    pub fn write(&mut self, first: usize, values: &[f32]) {
        let (kind, from) = (self.tensor.kind, self.bytes(first));
        let room = &mut self.host()[from..];
        if kind == Kind::Half {
            let halves = room.as_chunks_mut::<2>().0;
            halves.iter_mut().zip(values).for_each(|(h, v)| *h = to_half(*v).to_le_bytes());
        } else {
            let floats = room.as_chunks_mut::<4>().0;
            floats.iter_mut().zip(values).for_each(|(f, v)| *f = v.to_le_bytes());
        }
    }

    /// What stands in the pinned memory of the first pairs.
    pub fn read(&mut self, pairs: usize) -> Vec<f32> {
        let (kind, bytes) = (self.tensor.kind, self.bytes(pairs));
        let host = &self.host()[..bytes];
        if kind == Kind::Half {
            host.as_chunks::<2>().0.iter().map(|b| from_half(u16::from_le_bytes(*b))).collect()
        } else {
            host.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
        }
    }

    /// Queues the copy of a batch to the device.
    pub fn upload(&mut self, batch: usize, stream: &CudaStream) -> Result<(), DriverError> {
        let (address, bytes) = (self.address, self.bytes(batch));
        // SAFETY: device and pinned memory are of this size and outlive the run.
        unsafe { result::memcpy_htod_async(address, &self.host()[..bytes], stream.cu_stream()) }
    }

    /// Queues the copy of a batch from the device.
    pub fn download(&mut self, batch: usize, stream: &CudaStream) -> Result<(), DriverError> {
        let (address, bytes) = (self.address, self.bytes(batch));
        // SAFETY: as above.
        unsafe { result::memcpy_dtoh_async(&mut self.host()[..bytes], address, stream.cu_stream()) }
    }
}

/// Bytes of a value.
fn width(kind: Kind) -> usize {
    if kind == Kind::Half { 2 } else { 4 }
}
