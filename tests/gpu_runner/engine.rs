//! An engine for that driver: each pair gives the sum of its first and last motion value and a quarter
//! of its first appearance value.

use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::c_void;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

use cudarc::driver::{result, sys as cuda};
use gstheartrate::hrnetinfer::bindings::{Kind, Tensor};
use gstheartrate::hrnetinfer::half::{from_half, to_half};
use gstheartrate::hrnetinfer::tensorrt::device::{DeviceEngine, Execution};

pub const SIZE: i64 = 36;
pub const LEN: usize = 3 * 36 * 36;
/// Bytes of memory lent to a run.
const MEMORY: usize = 256;

#[derive(Clone)]
pub struct Double {
    pub kind: Kind,
    /// −1 where it is open.
    pub batch: i64,
    pub max_batch: i64,
    /// As TensorRT for RTX.
    pub records: bool,
    /// Executions that may be bound at a time, as before TensorRT 10; and those that are.
    pub executions: usize,
    pub bound: Rc<Cell<usize>>,
}

impl Default for Double {
    fn default() -> Double {
        let bound = Rc::default();
        let (kind, batch, max_batch) = (Kind::Float, -1, 64);
        Double { kind, batch, max_batch, records: false, executions: usize::MAX, bound }
    }
}

impl DeviceEngine for Double {
    fn tensors(&self) -> Result<Vec<Tensor>, String> {
        let tensor = |name: &str, shape: &[i64]| Tensor {
            name: name.into(),
            input: name.ends_with("input"),
            kind: self.kind,
            shape: [&[self.batch], shape].concat(),
            max_batch: self.max_batch,
        };
        let map = [3, SIZE, SIZE];
        Ok(vec![tensor("appearance_input", &map), tensor("motion_input", &map), tensor("out", &[])])
    }

    fn memory(&self) -> usize {
        MEMORY
    }

    unsafe fn execution(&self, memory: u64) -> Result<Box<dyn Execution>, String> {
        let (tensors, runs) = (HashMap::new(), Vec::new());
        let engine = self.clone();
        Ok(Box::new(Run { engine, memory, tensors, batch: 0, is_bound: false, runs }))
    }

    fn records(&self) -> bool {
        self.records
    }
}

struct Run {
    engine: Double,
    memory: u64,
    tensors: HashMap<String, u64>,
    batch: i64,
    is_bound: bool,
    /// What is queued or recorded; the driver has their addresses.
    runs: Vec<Rc<Arguments>>,
}

struct Arguments {
    motion: u64,
    appearance: u64,
    output: u64,
    memory: u64,
    batch: usize,
    half: bool,
    /// The execution has been bound anew since: a recording of it must not be played.
    stale: AtomicBool,
    /// The execution is no more.
    gone: AtomicBool,
}

/// Whether something has run whose execution was gone.
pub static RAN_WITHOUT_EXECUTION: AtomicBool = AtomicBool::new(false);

impl Execution for Run {
    unsafe fn bind(
        &mut self,
        name: &str,
        address: u64,
        shape: Option<&[i64]>,
    ) -> Result<(), String> {
        if !self.is_bound {
            if self.engine.bound.get() >= self.engine.executions {
                return Err("the profile is used by another execution".into());
            }
            self.engine.bound.update(|n| n + 1);
            self.is_bound = true;
        }
        if let Some(shape) = shape {
            assert_eq!(shape[1..], [3, SIZE, SIZE]);
            self.batch = shape[0];
        }
        self.tensors.insert(name.into(), address);
        self.runs.iter().for_each(|run| run.stale.store(true, Ordering::Relaxed));
        Ok(())
    }

    unsafe fn enqueue(&mut self, stream: *mut c_void) -> Result<(), String> {
        let run = Rc::new(Arguments {
            motion: self.tensors["motion_input"],
            appearance: self.tensors["appearance_input"],
            output: self.tensors["out"],
            memory: self.memory,
            batch: self.batch as usize,
            half: self.engine.kind == Kind::Half,
            stale: AtomicBool::new(false),
            gone: AtomicBool::new(false),
        });
        let arguments = Rc::as_ptr(&run).cast_mut().cast();
        self.runs.push(run);
        // SAFETY: the arguments live as long as the execution.
        unsafe {
            result::stream::launch_host_function(stream as cuda::CUstream, compute, arguments)
        }
        .map_err(|e| format!("enqueue: {e}"))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.engine.bound.update(|n| n - usize::from(self.is_bound));
        for run in self.runs.drain(..) {
            run.gone.store(true, Ordering::Relaxed);
            // What is queued against the rules must still find it.
            std::mem::forget(run);
        }
    }
}

/// The network. What it reads is there as long as the process.
unsafe extern "C" fn compute(arguments: *mut c_void) {
    // SAFETY: the execution that queued it lives, and its addresses are the driver's memory.
    unsafe {
        let run = &*arguments.cast::<Arguments>();
        RAN_WITHOUT_EXECUTION.fetch_or(run.gone.load(Ordering::Relaxed), Ordering::Relaxed);
        for pair in 0..run.batch {
            let value = |address, index| read(address, pair * LEN + index, run.half);
            let sum = value(run.motion, 0) + value(run.motion, LEN - 1);
            // By way of the lent memory, which another run may use only later.
            let between = (run.memory as *mut f32).add(pair % (MEMORY / 4));
            between.write(sum);
            let sample = between.read() + value(run.appearance, 0) / 4.0;
            let stale = run.stale.load(Ordering::Relaxed);
            write(run.output, pair, if stale { f32::NAN } else { sample }, run.half);
        }
    }
}

unsafe fn read(address: u64, index: usize, half: bool) -> f32 {
    // SAFETY: as the caller says.
    unsafe {
        if half {
            from_half((address as *const u16).add(index).read())
        } else {
            (address as *const f32).add(index).read()
        }
    }
}

unsafe fn write(address: u64, index: usize, value: f32, half: bool) {
    // SAFETY: as the caller says.
    unsafe {
        if half {
            (address as *mut u16).add(index).write(to_half(value));
        } else {
            (address as *mut f32).add(index).write(value);
        }
    }
}
