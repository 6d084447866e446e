//! One engine for many streams: a thread owns it, gathers what the streams ask into batches, and
//! gives each its own samples back.
//!
//! A batch starts when it is full, when every stream that uses the engine has asked (no more can come
//! then, for a stream waits for its answer), or when its oldest request has waited for the batch
//! timeout of its stream.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, LazyLock, Mutex, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::contract::Contract;
use super::engine::{Engine, EngineError, Network};

/// What the thread owns. Made on that thread and never leaves it.
pub trait Runner {
    fn network(&self) -> &Network;

    /// The most pairs that one run takes.
    fn max_batch(&self) -> usize;

    /// Runs as many pairs as the maps hold, at most [`Runner::max_batch`]; a sample for each.
    fn run(&mut self, motion: &[f32], appearance: &[f32]) -> Result<Vec<f32>, EngineError>;
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
                    let _ = sender.send(Ok(runner.network().clone()));
                    serve(&queue, runner);
                }
                Err(error) => {
                    let _ = sender.send(Err(error));
                }
            }
        };
        let gone = |what: String| EngineError::Unavailable(format!("no thread for it: {what}"));
        let builder = std::thread::Builder::new().name("hrnet-engine".into());
        let thread = builder.spawn(work).map_err(|e| gone(e.to_string()))?;
        let network = made.recv().unwrap_or_else(|e| Err(gone(e.to_string())))?;
        Ok(Owner { shared, network, thread: Some(thread) })
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

/// The thread's work.
fn serve(shared: &Shared, mut runner: Box<dyn Runner>) {
    let max = runner.max_batch().max(1);
    while let Some(requests) = gather(shared, max) {
        answer(&mut *runner, max, requests);
    }
}

/// Waits for the next batch; `None` when no client is left.
fn gather(shared: &Shared, max: usize) -> Option<Vec<Request>> {
    let mut queue = shared.queue.lock().unwrap();
    loop {
        let Some(deadline) = queue.requests.iter().map(|r| r.deadline).min() else {
            if queue.closed {
                return None;
            }
            queue = shared.changed.wait(queue).unwrap();
            continue;
        };
        let pairs: usize = queue.requests.iter().map(|r| r.pairs).sum();
        let left = deadline.saturating_duration_since(Instant::now());
        let all_here = queue.requests.len() >= queue.clients;
        if pairs >= max || all_here || left.is_zero() {
            return Some(take(&mut queue.requests, max));
        }
        queue = shared.changed.wait_timeout(queue, left).unwrap().0;
    }
}

/// The oldest requests that fit into a batch; the first, whatever its size.
fn take(requests: &mut VecDeque<Request>, max: usize) -> Vec<Request> {
    let (mut taken, mut pairs) = (Vec::new(), 0);
    while let Some(request) = requests.front() {
        pairs += request.pairs;
        if !taken.is_empty() && pairs > max {
            break;
        }
        taken.extend(requests.pop_front());
    }
    taken
}

/// Runs requests together and sends each its samples. Where that fails each is run alone, so that
/// what is wrong with one is the error of that one.
fn answer(runner: &mut dyn Runner, max: usize, mut requests: Vec<Request>) {
    if let [request] = &mut requests[..] {
        let samples = run(runner, max, &request.motion, &request.appearance);
        let _ = request.reply.send(samples);
        return;
    }
    let all = |maps: fn(&Request) -> &[f32]| -> Vec<f32> {
        requests.iter().flat_map(maps).copied().collect()
    };
    match run(runner, max, &all(|r| &r.motion), &all(|r| &r.appearance)) {
        Ok(samples) => {
            let mut samples = samples.into_iter();
            for request in requests {
                let own = samples.by_ref().take(request.pairs).collect();
                // A stream that has gone away does not matter to the others.
                let _ = request.reply.send(Ok(own));
            }
        }
        Err(_) => requests.into_iter().for_each(|request| answer(runner, max, vec![request])),
    }
}

/// Runs pairs in batches of at most `max`.
fn run(runner: &mut dyn Runner, max: usize, motion: &[f32], appearance: &[f32]) -> Reply {
    let len = runner.network().map_len();
    let mut samples = Vec::with_capacity(motion.len() / len);
    for (motion, appearance) in motion.chunks(max * len).zip(appearance.chunks(max * len)) {
        let pairs = motion.len() / len;
        let own = catch_unwind(AssertUnwindSafe(|| runner.run(motion, appearance)))
            .unwrap_or_else(|_| Err(EngineError::Run("the runtime panicked".into())))
            .map_err(|e| if let EngineError::Run(what) = e { what } else { e.to_string() })?;
        if own.len() != pairs {
            return Err(format!("the network gives {} values for {pairs} pairs", own.len()));
        }
        samples.extend(own);
    }
    Ok(samples)
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
mod tests;
