//! The driver of driver.c in the place of NVIDIA's.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock};

/// CUDA's codes.
pub const OUT_OF_MEMORY: i32 = 2;
pub const ILLEGAL_ADDRESS: i32 = 700;
pub const UNKNOWN: i32 = 999;

/// The driver, for one test at a time. Its end looks whether all was given back and nothing misused.
pub struct Driver {
    _one_at_a_time: MutexGuard<'static, ()>,
}

pub fn driver() -> Driver {
    static ONE: Mutex<()> = Mutex::new(());
    let one_at_a_time = ONE.lock().unwrap_or_else(|e| e.into_inner());
    let driver = Driver { _one_at_a_time: one_at_a_time };
    driver.reset();
    driver
}

impl Driver {
    /// The call that comes after so many of its name fails with `code`.
    pub fn fail(&self, name: &str, after: i32, code: i32) {
        let name = CString::new(name).unwrap();
        call::<extern "C" fn(*const c_char, c_int, c_int)>(c"fake_fail")(
            name.as_ptr(),
            after,
            code,
        );
    }

    /// Mends what was ordered, and counts from 0.
    pub fn reset(&self) {
        call::<extern "C" fn()>(c"fake_reset")();
    }

    /// From now on memory comes from no pool, as on old GPUs.
    pub fn without_pools(&self) {
        call::<extern "C" fn(c_int)>(c"fake_pools")(0);
    }

    /// CUDA graphs launched.
    pub fn launches(&self) -> i32 {
        call::<extern "C" fn() -> c_int>(c"fake_launches")()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let misuse = call::<extern "C" fn() -> *const c_char>(c"fake_misuse")();
        // SAFETY: a C string that stays.
        assert_eq!(unsafe { CStr::from_ptr(misuse) }, c"");
        assert_eq!(call::<extern "C" fn() -> c_int>(c"fake_live")(), 0, "not given back");
    }
}

/// A function of the library.
fn call<F: Copy>(name: &CStr) -> F {
    static LIBRARY: OnceLock<usize> = OnceLock::new();
    let library = *LIBRARY.get_or_init(|| load() as usize) as *mut c_void;
    // SAFETY: the library stays open, and each caller says the function's own type.
    unsafe {
        let address = libc::dlsym(library, name.as_ptr());
        assert!(!address.is_null(), "{name:?}");
        std::mem::transmute_copy::<*mut c_void, F>(&address)
    }
}

/// Compiles and loads the library under both names that a driver is looked for by: what has been
/// loaded under a name is not looked for again.
fn load() -> *mut c_void {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(std::process::id().to_string());
    std::fs::create_dir_all(&folder).unwrap();
    let empty = folder.join("empty.c");
    std::fs::write(&empty, "").unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gpu_runner/driver.c");
    open(&folder, "libcuda.so.1", &empty);
    let library = open(&folder, "libcuda.so", &source);
    std::fs::remove_dir_all(&folder).unwrap();
    library
}

fn open(folder: &Path, name: &str, source: &Path) -> *mut c_void {
    let path = folder.join(name);
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-pthread", &format!("-Wl,-soname,{name}"), "-o"]);
    assert!(compiler.arg(&path).arg(source).status().unwrap().success());
    let path = CString::new(path.as_os_str().as_encoded_bytes()).unwrap();
    // SAFETY: the library has nothing that runs when it is loaded.
    let library = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
    assert!(!library.is_null());
    library
}
