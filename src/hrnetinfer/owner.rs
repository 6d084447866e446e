//! One engine for many streams: a thread owns it, gathers what the streams ask into batches, and
//! gives each its own samples back.
//!
//! A batch starts when it is full, when every stream that uses the engine has asked (no more can come
//! then, for a stream waits for its answer), or when its oldest request has waited for the batch
//! timeout of its stream; and when the engine takes one more, which may be while another one runs.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, LazyLock, Mutex, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::contract::Contract;
use super::engine::{Engine, EngineError, Network};

mod serve;

/// Pairs of one stream: as many maps of motion as of appearance, in the network's layout.
#[derive(Clone, Copy, Debug)]
pub struct Maps<'a> {
    pub motion: &'a [f32],
    pub appearance: &'a [f32],
}

/// What the thread owns. Made on that thread and never leaves it.
pub trait Runner {
    fn network(&self) -> &Network;

    /// The most pairs of a batch.
    fn max_batch(&self) -> usize;

    /// How many batches may be under way at a time, 1 or more: the second is copied to where it runs
    /// while the first runs.
    fn depth(&self) -> usize;

    /// Starts a batch, of `parts` one after the other. A batch that can't be started is not under way.
    fn submit(&mut self, parts: &[Maps]) -> Result<(), EngineError>;

    /// Whether the oldest batch under way is done, well or badly: [`Runner::collect`] won't wait.
    fn ready(&mut self) -> bool;

    /// Waits for the oldest batch under way; a sample for each of its pairs, in their order. It is
    /// under way no longer, whatever became of it.
    fn collect(&mut self) -> Result<Vec<f32>, EngineError>;
}

/// Makes the runner, on the thread that will own it.
pub type Make = Box<dyn FnOnce() -> Result<Box<dyn Runner>, EngineError> + Send>;

type Reply = Result<Vec<f32>, String>;

/// Pairs of one stream.
struct Request {
    pairs: usize,
    motion: Vec<f32>,
    appearance: Vec<f32>,
    deadline: Instant,
    reply: Sender<Reply>,
}

impl Request {
    fn maps(&self) -> Maps<'_> {
        Maps { motion: &self.motion, appearance: &self.appearance }
    }
}

#[derive(Default)]
struct Queue {
    requests: VecDeque<Request>,
    clients: usize,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// Something in the queue has changed.
    changed: Condvar,
}

/// The thread and the way to it. The last client takes it down.
struct Owner {
    shared: Arc<Shared>,
    network: Network,
    max_batch: usize,
    thread: Option<JoinHandle<()>>,
}

impl Owner {
    fn start(make: Make) -> Result<Owner, EngineError> {
        let shared = Arc::new(Shared::default());
        let (sender, made) = channel();
        let queue = shared.clone();
        let work = move || {
            let runner = catch_unwind(AssertUnwindSafe(make))
                .unwrap_or_else(|_| Err(EngineError::Load("the runtime panicked".into())));
            match runner {
                Ok(runner) => {
                    let _ = sender.send(Ok((runner.network().clone(), runner.max_batch())));
                    serve::serve(&queue, runner);
                }
                Err(error) => {
                    let _ = sender.send(Err(error));
                }
            }
        };
        let gone = |what: String| EngineError::Unavailable(format!("no thread for it: {what}"));
        let builder = std::thread::Builder::new().name("hrnet-engine".into());
        let thread = builder.spawn(work).map_err(|e| gone(e.to_string()))?;
        let (network, max_batch) = made.recv().unwrap_or_else(|e| Err(gone(e.to_string())))?;
        Ok(Owner { shared, network, max_batch, thread: Some(thread) })
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.queue.lock().unwrap().closed = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A stream's handle of a shared engine.
pub struct Client {
    owner: Arc<Owner>,
    network: Network,
    timeout: Duration,
}

impl Client {
    /// `contract` is the stream's own; `timeout` is how long a request of it may wait for others.
    fn new(owner: Arc<Owner>, contract: Contract, timeout: Duration) -> Client {
        owner.shared.queue.lock().unwrap().clients += 1;
        let network = Network { contract, ..owner.network.clone() };
        Client { owner, network, timeout }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.owner.shared.queue.lock().unwrap().clients -= 1;
        // The batch that waits may be whole without this one.
        self.owner.shared.changed.notify_all();
    }
}

impl Engine for Client {
    fn network(&self) -> &Network {
        &self.network
    }

    fn max_batch(&self) -> Option<usize> {
        Some(self.owner.max_batch)
    }

    fn run(&self, motion: &[f32], appearance: &[f32]) -> Result<Vec<f32>, EngineError> {
        let pairs = motion.len() / self.network.map_len();
        if motion.len() != appearance.len() || motion.len() != pairs * self.network.map_len() {
            return Err(EngineError::Run("got maps that are no pairs".into()));
        }
        if pairs == 0 {
            return Ok(Vec::new());
        }
        let (reply, samples) = channel();
        let request = Request {
            pairs,
            motion: motion.to_vec(),
            appearance: appearance.to_vec(),
            deadline: Instant::now() + self.timeout,
            reply,
        };
        self.owner.shared.queue.lock().unwrap().requests.push_back(request);
        self.owner.shared.changed.notify_all();
        let samples = samples.recv().unwrap_or_else(|_| Err("its thread is gone".into()));
        samples.map_err(EngineError::Run)
    }
}

/// A key's owner, if it lives; locked while it is made, so that it is made once.
type Slot = Arc<Mutex<Weak<Owner>>>;

static OWNERS: LazyLock<Mutex<HashMap<String, Slot>>> = LazyLock::new(Mutex::default);

/// A handle of the engine known as `key`. The first to ask has it made: `prepare` runs on the calling
/// thread and gives what makes the engine on its own.
pub fn shared(
    key: &str,
    contract: Contract,
    timeout: Duration,
    prepare: impl FnOnce() -> Result<Make, EngineError>,
) -> Result<Client, EngineError> {
    let slot = OWNERS.lock().unwrap().entry(key.to_owned()).or_default().clone();
    // A panic of another's build leaves an empty slot, which is a fit state.
    let mut slot = slot.lock().unwrap_or_else(|e| e.into_inner());
    let owner = match slot.upgrade() {
        Some(owner) => owner,
        None => Arc::new(Owner::start(prepare()?)?),
    };
    *slot = Arc::downgrade(&owner);
    Ok(Client::new(owner, contract, timeout))
}

#[cfg(test)]
mod overlap_tests;
#[cfg(test)]
mod tests;
