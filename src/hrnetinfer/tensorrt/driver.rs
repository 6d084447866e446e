//! The GPU and its driver. Nothing of CUDA or TensorRT is called before the driver's library has been
//! found here: both stop the process where it is missing.

use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cudarc::driver::{CudaContext, DriverError, result};

use crate::hrnetinfer::engine::EngineError;

/// A GPU of this machine.
pub struct Gpu {
    pub context: Arc<CudaContext>,
    pub name: String,
    /// Compute capability times ten.
    pub capability: i32,
}

impl Gpu {
    /// The GPU number `device`.
    pub fn find(device: u32) -> Result<Gpu, EngineError> {
        probe()?;
        // A driver without a function that cudarc looks for is a panic in there.
        catch_unwind(AssertUnwindSafe(|| Gpu::open(device)))
            .unwrap_or_else(|_| Err(unavailable("the NVIDIA driver is too old".into())))
    }

    fn open(device: u32) -> Result<Gpu, EngineError> {
        let failed = |what: &str, e: DriverError| unavailable(format!("{what}: {e}"));
        result::init().map_err(|e| failed("the NVIDIA driver finds no GPU", e))?;
        let count = result::device::get_count().map_err(|e| failed("GPUs can't be counted", e))?;
        if i64::from(device) >= i64::from(count) {
            return Err(unavailable(format!("no GPU {device}: there are {count}, counted from 0")));
        }
        let open = || {
            let context = CudaContext::new(device as usize)?;
            let (major, minor) = context.compute_capability()?;
            Ok(Gpu { name: context.name()?, capability: 10 * major + minor, context })
        };
        open().map_err(|e| failed(&format!("GPU {device} can't be used"), e))
    }
}

fn unavailable(what: String) -> EngineError {
    EngineError::Unavailable(what)
}

/// Whether there is a driver.
pub fn probe() -> Result<(), EngineError> {
    // SAFETY: a literal name; what is loaded is the system's driver, and stays.
    let handle = unsafe { libc::dlopen(c"libcuda.so.1".as_ptr(), libc::RTLD_NOW) };
    if !handle.is_null() {
        return Ok(());
    }
    // SAFETY: dlerror gives a C string of this thread or null.
    let why = unsafe {
        let text = libc::dlerror();
        if text.is_null() { "".into() } else { CStr::from_ptr(text).to_string_lossy() }
    };
    Err(unavailable(format!("no NVIDIA driver on this machine ({why})")))
}
