//! An engine on a device, and what runs it.

use std::ffi::{CString, c_void};
use std::ptr::{NonNull, null, without_provenance_mut};
use std::rc::Rc;

use super::ffi::*;
use super::{Text, is_rtx};
use crate::hrnetinfer::bindings::{Kind, Tensor};
use crate::hrnetinfer::tensorrt::device::{DeviceEngine, Execution};

/// The engine itself. Goes when it and all that runs it are dropped.
struct Handle(NonNull<HrtEngine>);

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: it is freed here and once.
        unsafe { hrt_free(self.0.as_ptr()) }
    }
}

/// An engine on a device; bound to the thread that has it.
pub struct Engine(Rc<Handle>);

impl Engine {
    pub(super) fn new(engine: NonNull<HrtEngine>) -> Engine {
        Engine(Rc::new(Handle(engine)))
    }

    pub fn tensors(&self) -> Result<Vec<Tensor>, String> {
        // SAFETY: the engine is whole until it is dropped.
        let count = unsafe { hrt_tensor_count(self.0.0.as_ptr()) };
        (0..count).map(|index| self.tensor(index)).collect()
    }

    fn tensor(&self, index: i32) -> Result<Tensor, String> {
        let mut error = Text::error();
        // SAFETY: the struct is plain numbers, for which zeros are valid; the shim fills it in and
        // leaves the name's last byte 0.
        let (out, status) = unsafe {
            let mut out: HrtTensor = std::mem::zeroed();
            let (text, size) = (error.pointer(), error.0.len());
            let status = hrt_tensor(self.0.0.as_ptr(), index, &raw mut out, text, size);
            (out, status)
        };
        error.check(status)?;
        let name: Vec<u8> = out.name.iter().map(|c| *c as u8).take_while(|c| *c != 0).collect();
        Ok(Tensor {
            name: String::from_utf8_lossy(&name).into_owned(),
            input: out.input != 0,
            kind: match out.kind {
                0 => Kind::Float,
                1 => Kind::Half,
                other => Kind::Other(other),
            },
            shape: out.dims[..out.dim_count.clamp(0, 8) as usize].to_vec(),
            max_batch: out.max_batch,
        })
    }

    /// What the engine holds, as JSON.
    pub fn inspect(&self) -> Result<String, String> {
        let (mut text, mut error) = (Text::new(1 << 20), Text::error());
        let (room, size) = (text.pointer(), text.0.len());
        // SAFETY: both texts have the stated room.
        let status =
            unsafe { hrt_inspect(self.0.0.as_ptr(), room, size, error.pointer(), error.0.len()) };
        error.check(status)?;
        Ok(text.lines())
    }
}

impl DeviceEngine for Engine {
    fn tensors(&self) -> Result<Vec<Tensor>, String> {
        Engine::tensors(self)
    }

    fn memory(&self) -> usize {
        // SAFETY: the engine is whole.
        unsafe { hrt_memory(self.0.0.as_ptr()) }.max(0) as usize
    }

    unsafe fn execution(&self, memory: u64) -> Result<Box<dyn Execution>, String> {
        let mut error = Text::error();
        let size = DeviceEngine::memory(self) as i64;
        // SAFETY: the engine is whole; the memory is the caller's word.
        let context = unsafe {
            let memory = without_provenance_mut(memory as usize);
            hrt_context(self.0.0.as_ptr(), memory, size, error.pointer(), error.0.len())
        };
        let context = NonNull::new(context).ok_or_else(|| error.read())?;
        Ok(Box::new(Context { context, _engine: self.0.clone() }))
    }

    fn records(&self) -> bool {
        is_rtx()
    }
}

/// TensorRT's execution context.
struct Context {
    context: NonNull<HrtContext>,
    /// Outlives it.
    _engine: Rc<Handle>,
}

impl Execution for Context {
    unsafe fn bind(
        &mut self,
        name: &str,
        address: u64,
        shape: Option<&[i64]>,
    ) -> Result<(), String> {
        let name = CString::new(name).map_err(|_| "a name with a NUL".to_string())?;
        let (dims, count) = shape.map_or((null(), 0), |s| (s.as_ptr(), s.len() as i32));
        let mut error = Text::error();
        // SAFETY: name and shape live through the call; the address is the caller's word.
        let status = unsafe {
            let address = without_provenance_mut(address as usize);
            let (text, size) = (error.pointer(), error.0.len());
            hrt_bind(self.context.as_ptr(), name.as_ptr(), address, dims, count, text, size)
        };
        error.check(status)
    }

    unsafe fn enqueue(&mut self, stream: *mut c_void) -> Result<(), String> {
        let mut error = Text::error();
        // SAFETY: the caller's word.
        let status =
            unsafe { hrt_enqueue(self.context.as_ptr(), stream, error.pointer(), error.0.len()) };
        error.check(status)
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: it is freed here and once, before its engine.
        unsafe { hrt_context_free(self.context.as_ptr()) }
    }
}
