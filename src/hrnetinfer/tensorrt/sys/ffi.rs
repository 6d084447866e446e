//! What shim.cpp declares, word for word.

use std::ffi::{c_char, c_void};

#[repr(C)]
pub struct HrtBuild {
    pub max_batch: i32,
    pub best_batch: i32,
    pub half: i32,
    pub capabilities: *const i32,
    pub capability_count: i32,
    pub detailed: i32,
    pub progress: Option<unsafe extern "C" fn(*mut c_void, *const c_char, i32, i32)>,
    pub user: *mut c_void,
}

#[repr(C)]
pub struct HrtTensor {
    pub name: [c_char; 256],
    pub input: i32,
    pub kind: i32,
    pub dim_count: i32,
    pub dims: [i64; 8],
    pub max_batch: i64,
}

#[repr(C)]
pub struct HrtLibrary {
    _opaque: [u8; 0],
}

#[repr(C)]
pub struct HrtEngine {
    _opaque: [u8; 0],
}

#[repr(C)]
pub struct HrtContext {
    _opaque: [u8; 0],
}

unsafe extern "C" {
    pub fn hrt_headers_version() -> i32;
    pub fn hrt_headers_major() -> i32;
    pub fn hrt_is_rtx() -> i32;
    pub fn hrt_is_typed() -> i32;
    pub fn hrt_open(
        core: *const c_char,
        parser: *const c_char,
        error: *mut c_char,
        error_size: usize,
    ) -> *mut HrtLibrary;
    pub fn hrt_build(
        library: *mut HrtLibrary,
        onnx: *const c_void,
        size: usize,
        options: *const HrtBuild,
        graph: *mut c_char,
        graph_size: usize,
        error: *mut c_char,
        error_size: usize,
    ) -> *mut c_void;
    pub fn hrt_blob_data(blob: *mut c_void) -> *const c_void;
    pub fn hrt_blob_size(blob: *mut c_void) -> usize;
    pub fn hrt_blob_free(blob: *mut c_void);
    pub fn hrt_load(
        library: *mut HrtLibrary,
        data: *const c_void,
        size: usize,
        error: *mut c_char,
        error_size: usize,
    ) -> *mut HrtEngine;
    pub fn hrt_free(engine: *mut HrtEngine);
    pub fn hrt_tensor_count(engine: *mut HrtEngine) -> i32;
    pub fn hrt_tensor(
        engine: *mut HrtEngine,
        index: i32,
        out: *mut HrtTensor,
        error: *mut c_char,
        error_size: usize,
    ) -> i32;
    pub fn hrt_inspect(
        engine: *mut HrtEngine,
        text: *mut c_char,
        text_size: usize,
        error: *mut c_char,
        error_size: usize,
    ) -> i32;
    pub fn hrt_memory(engine: *mut HrtEngine) -> i64;
    pub fn hrt_context(
        engine: *mut HrtEngine,
        memory: *mut c_void,
        size: i64,
        error: *mut c_char,
        error_size: usize,
    ) -> *mut HrtContext;
    pub fn hrt_context_free(context: *mut HrtContext);
    pub fn hrt_bind(
        context: *mut HrtContext,
        name: *const c_char,
        address: *mut c_void,
        shape: *const i64,
        dim_count: i32,
        error: *mut c_char,
        error_size: usize,
    ) -> i32;
    pub fn hrt_enqueue(
        context: *mut HrtContext,
        stream: *mut c_void,
        error: *mut c_char,
        error_size: usize,
    ) -> i32;
}
