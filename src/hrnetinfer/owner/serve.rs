//! The work of the thread that owns an engine.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::{EngineError, Maps, Queue, Reply, Request, Runner, Shared};

/// How often the thread looks whether a batch is done while it also waits for requests. Less than a
/// batch takes, and no burden.
const LOOK: Duration = Duration::from_micros(50);

/// Works until no client is left.
pub fn serve(shared: &Shared, runner: Box<dyn Runner>) {
    let mut work = Work::new(runner);
    loop {
        match next(shared, &mut work) {
            Step::Start(requests) => work.start(requests),
            Step::Finish => work.finish(),
            Step::End => return,
        }
    }
}

enum Step {
    Start(Vec<Request>),
    /// Waits for the oldest batch under way and answers it.
    Finish,
    End,
}

/// Waits until there is something to do.
fn next(shared: &Shared, work: &mut Work) -> Step {
    let mut queue = shared.queue.lock().unwrap();
    loop {
        let asking = work.requests_under_way();
        let left = queue.left(work.max, asking);
        let room = work.under_way.len() < work.depth;
        if room && left.is_some_and(|l| l.is_zero()) {
            return Step::Start(take(&mut queue.requests, work.max));
        }
        if work.under_way.is_empty() {
            queue = match left {
                Some(left) => shared.changed.wait_timeout(queue, left).unwrap().0,
                None if queue.closed => return Step::End,
                None => shared.changed.wait(queue).unwrap(),
            };
            continue;
        }
        // Nothing can be started before the oldest is done, or that is done.
        let none_asks = queue.requests.is_empty() && asking >= queue.clients;
        if !room || none_asks || work.ready() {
            return Step::Finish;
        }
        let look = left.unwrap_or(LOOK).min(LOOK);
        queue = shared.changed.wait_timeout(queue, look).unwrap().0;
    }
}

impl Queue {
    /// How long until a batch is to start; `None` where nobody has asked. `asking` more requests are
    /// under way, whose streams can't ask again now.
    fn left(&self, max: usize, asking: usize) -> Option<Duration> {
        let deadline = self.requests.iter().map(|r| r.deadline).min()?;
        let pairs: usize = self.requests.iter().map(|r| r.pairs).sum();
        let all_here = self.requests.len() + asking >= self.clients;
        let now = pairs >= max || all_here;
        Some(if now { Duration::ZERO } else { deadline.saturating_duration_since(Instant::now()) })
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

/// The engine, and what each batch under way is of.
struct Work {
    runner: Box<dyn Runner>,
    max: usize,
    depth: usize,
    under_way: VecDeque<Vec<Request>>,
}

impl Work {
    fn new(runner: Box<dyn Runner>) -> Work {
        let (max, depth) = (runner.max_batch().max(1), runner.depth().max(1));
        Work { runner, max, depth, under_way: VecDeque::new() }
    }

    fn requests_under_way(&self) -> usize {
        self.under_way.iter().map(Vec::len).sum()
    }

    fn ready(&mut self) -> bool {
        catch_unwind(AssertUnwindSafe(|| self.runner.ready())).unwrap_or(true)
    }

    /// Starts a batch of requests; what is more than a batch is run by itself.
    fn start(&mut self, requests: Vec<Request>) {
        if requests.iter().map(|r| r.pairs).sum::<usize>() > self.max {
            return self.run_apart(requests);
        }
        let parts: Vec<Maps> = requests.iter().map(Request::maps).collect();
        match self.submit(&parts) {
            Ok(()) => self.under_way.push_back(requests),
            Err(error) => self.failed(requests, error),
        }
    }

    /// Waits for the oldest batch and sends each request its samples.
    fn finish(&mut self) {
        let Some(requests) = self.under_way.pop_front() else { return };
        match self.collect(requests.iter().map(|r| r.pairs).sum()) {
            Ok(samples) => {
                let mut samples = samples.into_iter();
                for request in requests {
                    let own = samples.by_ref().take(request.pairs).collect();
                    // A stream that has gone away does not matter to the others.
                    let _ = request.reply.send(Ok(own));
                }
            }
            Err(error) => self.failed(requests, error),
        }
    }

    /// Where several have failed together each is run alone, so that what is wrong with one is the
    /// error of that one.
    fn failed(&mut self, requests: Vec<Request>, error: String) {
        match &requests[..] {
            [request] => drop(request.reply.send(Err(error))),
            _ => self.run_apart(requests),
        }
    }

    /// Runs requests one after the other, behind what is under way.
    fn run_apart(&mut self, requests: Vec<Request>) {
        while !self.under_way.is_empty() {
            self.finish();
        }
        for request in requests {
            let samples = self.run(request.maps());
            let _ = request.reply.send(samples);
        }
    }

    /// Runs pairs in batches of at most `max`.
    fn run(&mut self, maps: Maps) -> Reply {
        let len = self.runner.network().map_len();
        let mut samples = Vec::with_capacity(maps.motion.len() / len);
        let chunk = self.max * len;
        for (motion, appearance) in maps.motion.chunks(chunk).zip(maps.appearance.chunks(chunk)) {
            self.submit(&[Maps { motion, appearance }])?;
            samples.extend(self.collect(motion.len() / len)?);
        }
        Ok(samples)
    }

    fn submit(&mut self, parts: &[Maps]) -> Result<(), String> {
        guarded(|| self.runner.submit(parts))
    }

    fn collect(&mut self, pairs: usize) -> Reply {
        let samples = guarded(|| self.runner.collect())?;
        if samples.len() != pairs {
            return Err(format!("the network gives {} values for {pairs} pairs", samples.len()));
        }
        Ok(samples)
    }
}

/// What went wrong in words; a panic of the runtime's is that, too.
fn guarded<T>(call: impl FnOnce() -> Result<T, EngineError>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(call))
        .unwrap_or_else(|_| Err(EngineError::Run("the runtime panicked".into())))
        .map_err(|e| if let EngineError::Run(what) = e { what } else { e.to_string() })
}
