//! The safe layer over shim.cpp: libraries and what is built with them; `engine` has what is run.

use std::ffi::{CStr, CString, c_char, c_void};
use std::path::Path;
use std::ptr::{NonNull, null};
use std::sync::Mutex;

mod engine;
mod ffi;

pub use self::engine::Engine;
use self::ffi::*;

/// A function that hears how far a build is: phase, steps done, steps in all.
pub type Progress<'a> = dyn Fn(&str, u32, u32) + Sync + 'a;

/// What an engine is to be.
#[derive(Clone, Debug)]
pub struct Options {
    pub max_batch: u32,
    pub best_batch: u32,
    /// Half precision, where a flag decides that ([`is_typed`] says where not).
    pub half: bool,
    /// Compute capabilities times ten; none means the GPU of this machine.
    pub capabilities: Vec<i32>,
    /// Keep for [`Engine::inspect`] what the layers are.
    pub detailed: bool,
}

/// A built engine.
#[derive(Debug)]
pub struct Built {
    pub bytes: Vec<u8>,
    /// Of each part of the parsed graph: the type that it gives (half, float, other), its kind's
    /// number, its name.
    pub graph: String,
}

/// Version of the headers: major, and the number that TensorRT makes of all its parts.
pub fn headers_version() -> (i32, i32) {
    // SAFETY: they return constants.
    unsafe { (hrt_headers_major(), hrt_headers_version()) }
}

/// Whether the headers are those of TensorRT for RTX.
pub fn is_rtx() -> bool {
    // SAFETY: it returns a constant.
    unsafe { hrt_is_rtx() != 0 }
}

/// Whether an engine computes in the types of its graph, and no flag changes that.
pub fn is_typed() -> bool {
    // SAFETY: it returns a constant.
    unsafe { hrt_is_typed() != 0 }
}

/// Room for a text from the shim.
struct Text(Vec<u8>);

impl Text {
    fn new(size: usize) -> Text {
        Text(vec![0; size])
    }

    fn error() -> Text {
        Text::new(8192)
    }

    fn pointer(&mut self) -> *mut c_char {
        self.0.as_mut_ptr().cast()
    }

    fn read(&self) -> String {
        let text = CStr::from_bytes_until_nul(&self.0).unwrap_or_default();
        text.to_string_lossy().trim().replace('\n', " ")
    }

    fn lines(&self) -> String {
        CStr::from_bytes_until_nul(&self.0).unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Whether a call that fills this with what went wrong did its work.
    fn check(&self, status: i32) -> Result<(), String> {
        if status == 0 { Ok(()) } else { Err(self.read()) }
    }
}

/// TensorRT, opened. It stays open as long as the process runs.
pub struct Library {
    /// One call at a time: what is logged meanwhile belongs to it.
    handle: Mutex<NonNull<HrtLibrary>>,
}

// SAFETY: the handle is used under its lock only, and TensorRT has no thread-bound state but the
// current CUDA device, which callers set.
unsafe impl Send for Library {}
// SAFETY: see above.
unsafe impl Sync for Library {}

fn c_path(path: &Path) -> Result<CString, String> {
    CString::new(path.as_os_str().as_encoded_bytes()).map_err(|_| "a path with a NUL".into())
}

impl Library {
    /// Opens the libraries at (or known to the loader as) `core` and `parser`, if they are of the
    /// headers' version.
    pub fn open(core: &Path, parser: Option<&Path>) -> Result<Library, String> {
        let core = c_path(core)?;
        let parser = parser.map(c_path).transpose()?;
        let parser = parser.as_ref().map_or(null(), |p| p.as_ptr());
        let mut error = Text::error();
        // SAFETY: the strings end in NUL and live through the call; the error has the stated room.
        let handle = unsafe { hrt_open(core.as_ptr(), parser, error.pointer(), error.0.len()) };
        NonNull::new(handle)
            .map(|handle| Library { handle: Mutex::new(handle) })
            .ok_or_else(|| error.read())
    }

    /// Makes an engine of an ONNX file's bytes.
    pub fn build(
        &self,
        onnx: &[u8],
        options: &Options,
        progress: &Progress,
    ) -> Result<Built, String> {
        let mut hook: &Progress = progress;
        let build = HrtBuild {
            max_batch: options.max_batch as i32,
            best_batch: options.best_batch as i32,
            half: options.half.into(),
            capabilities: options.capabilities.as_ptr(),
            capability_count: options.capabilities.len() as i32,
            detailed: options.detailed.into(),
            progress: Some(tell),
            user: (&raw mut hook).cast(),
        };
        let (mut graph, mut error) = (Text::new(1 << 16), Text::error());
        let handle = self.handle.lock().unwrap();
        // SAFETY: all pointers outlive the call, with the stated sizes; `tell` takes `user` for what
        // it is.
        let blob = unsafe {
            hrt_build(
                handle.as_ptr(),
                onnx.as_ptr().cast(),
                onnx.len(),
                &raw const build,
                graph.pointer(),
                graph.0.len(),
                error.pointer(),
                error.0.len(),
            )
        };
        let blob = NonNull::new(blob).ok_or_else(|| error.read())?.as_ptr();
        // SAFETY: the blob is whole until it is freed, which happens here and once.
        let bytes = unsafe {
            let bytes = std::slice::from_raw_parts(hrt_blob_data(blob).cast(), hrt_blob_size(blob));
            let bytes: Vec<u8> = bytes.to_vec();
            hrt_blob_free(blob);
            bytes
        };
        Ok(Built { bytes, graph: graph.lines() })
    }

    /// Reads a built engine, for the CUDA device that is current on this thread.
    pub fn load(&self, engine: &[u8]) -> Result<Engine, String> {
        let mut error = Text::error();
        let handle = self.handle.lock().unwrap();
        // SAFETY: the bytes live through the call, which copies them.
        let engine = unsafe {
            hrt_load(
                handle.as_ptr(),
                engine.as_ptr().cast(),
                engine.len(),
                error.pointer(),
                error.0.len(),
            )
        };
        NonNull::new(engine).map(Engine::new).ok_or_else(|| error.read())
    }
}

/// Hands a build's progress on.
unsafe extern "C" fn tell(user: *mut c_void, phase: *const c_char, step: i32, steps: i32) {
    // SAFETY: `user` is the hook in `Library::build`, which outlives the build; the phase is a C
    // string of TensorRT's.
    let (progress, phase) = unsafe { (*user.cast::<&Progress>(), CStr::from_ptr(phase)) };
    let (step, steps) = (step.max(0) as u32, steps.max(0) as u32);
    // Nothing may unwind into C++.
    let told = std::panic::AssertUnwindSafe(|| progress(&phase.to_string_lossy(), step, steps));
    let _ = std::panic::catch_unwind(told);
}
