//! An engine that is held and let go by the test, and tells what is done with it in which order.

use std::sync::mpsc::{Receiver, channel};
use std::thread;

use super::*;
use crate::hrnetinfer::maps::Layout;

/// What was done, with the first motion value of each part of the batch.
#[derive(Debug, PartialEq)]
enum Event {
    Submit(Vec<f32>),
    Collect(Vec<f32>),
}

struct Held {
    network: Network,
    depth: usize,
    events: Sender<Event>,
    /// A word for each batch that may end; its end lets all end.
    go: Receiver<()>,
    /// From then on all may end: a test that fails does not hang.
    patience: Instant,
    may_end: usize,
    under_way: VecDeque<Vec<f32>>,
}

/// Batches that start with it fail.
const POISON: f32 = 666.0;

impl Runner for Held {
    fn network(&self) -> &Network {
        &self.network
    }

    fn max_batch(&self) -> usize {
        2
    }

    fn depth(&self) -> usize {
        self.depth
    }

    fn submit(&mut self, parts: &[Maps]) -> Result<(), EngineError> {
        let first: Vec<f32> = parts.iter().map(|p| p.motion[0]).collect();
        let _ = self.events.send(Event::Submit(first.clone()));
        self.under_way.push_back(first);
        Ok(())
    }

    fn ready(&mut self) -> bool {
        self.may_end += self.go.try_iter().count();
        self.may_end > 0 || Instant::now() > self.patience
    }

    fn collect(&mut self) -> Result<Vec<f32>, EngineError> {
        if !self.ready() {
            let left = self.patience.saturating_duration_since(Instant::now());
            self.may_end += usize::from(self.go.recv_timeout(left).is_ok());
        }
        self.may_end = self.may_end.saturating_sub(1);
        let firsts = self.under_way.pop_front().expect("a batch under way");
        let _ = self.events.send(Event::Collect(firsts.clone()));
        if firsts.contains(&POISON) {
            return Err(EngineError::Run("poison".into()));
        }
        Ok(firsts)
    }
}

/// The test's side of the engine.
struct Control {
    events: Receiver<Event>,
    go: Sender<()>,
}

impl Control {
    /// What the engine does next. Fails where it does nothing.
    fn event(&self) -> Event {
        self.events.recv_timeout(Duration::from_secs(20)).expect("the engine does nothing")
    }

    /// Lets so many batches end.
    fn go(&self, batches: usize) {
        (0..batches).for_each(|_| self.go.send(()).unwrap());
    }
}

/// `N` streams of an engine that takes 2 pairs in a batch and `depth` batches.
fn streams<const N: usize>(key: &str, depth: usize, timeout: Duration) -> ([Client; N], Control) {
    let (events, seen) = channel();
    let (go, held) = channel();
    let network = Network { contract: Contract::default(), layout: Layout::Nchw, size: 36 };
    let (may_end, under_way) = (0, VecDeque::new());
    let patience = Instant::now() + Duration::from_secs(60);
    let engine = Held { network, depth, events, go: held, patience, may_end, under_way };
    let mut make: Option<Make> = Some(Box::new(move || Ok(Box::new(engine))));
    let client = |_| {
        let prepare = || Ok(make.take().expect("made once"));
        shared(key, Contract::default(), timeout, prepare).unwrap()
    };
    ([(); N].map(client), Control { events: seen, go })
}

fn ask(client: &Client, value: f32) -> Result<f32, String> {
    let maps = vec![value; client.network().map_len()];
    let samples = client.run(&maps, &maps).map_err(|e| e.to_string())?;
    assert_eq!(samples.len(), 1);
    Ok(samples[0])
}

use Event::{Collect, Submit};

/// While the engine runs what one stream asked, what another one asks is begun; each gets its own.
#[test]
fn a_batch_is_submitted_while_another_one_runs() {
    let (streams, engine) = streams::<3>("overlap", 2, Duration::ZERO);
    let ask = |stream: usize, value| ask(&streams[stream], value);
    thread::scope(|scope| {
        let first = scope.spawn(move || ask(0, 1.0));
        assert_eq!(engine.event(), Submit(vec![1.0]));
        let second = scope.spawn(move || ask(1, 2.0));
        assert_eq!(engine.event(), Submit(vec![2.0]));
        // The engine takes no third.
        let third = scope.spawn(move || ask(2, 3.0));
        engine.go(1);
        assert_eq!(engine.event(), Collect(vec![1.0]));
        assert_eq!(first.join().unwrap(), Ok(1.0));
        assert_eq!(engine.event(), Submit(vec![3.0]));
        engine.go(2);
        assert_eq!([engine.event(), engine.event()], [Collect(vec![2.0]), Collect(vec![3.0])]);
        assert_eq!(second.join().unwrap(), Ok(2.0));
        assert_eq!(third.join().unwrap(), Ok(3.0));
    });
}

/// Four requests that wait together are two batches, both begun before the first is waited for.
#[test]
fn two_full_batches_are_under_way_together() {
    let (streams, engine) = streams::<4>("two", 2, Duration::from_secs(60));
    let ask = |stream: usize, value| ask(&streams[stream], value);
    thread::scope(|scope| {
        let begin = |stream: usize| scope.spawn(move || ask(stream, stream as f32));
        let threads = [0, 1, 2, 3].map(begin);
        let begun = [engine.event(), engine.event()];
        let values = begun.iter().flat_map(|e| match e {
            Submit(values) => values.clone(),
            Collect(_) => panic!("the first is waited for: {begun:?}"),
        });
        let mut values: Vec<f32> = values.collect();
        values.sort_by(f32::total_cmp);
        assert_eq!(values, [0.0, 1.0, 2.0, 3.0]);
        engine.go(2);
        for (stream, thread) in threads.into_iter().enumerate() {
            assert_eq!(thread.join().unwrap(), Ok(stream as f32));
        }
    });
}

#[test]
fn an_engine_of_one_batch_gets_one() {
    let (streams, engine) = streams::<2>("one", 1, Duration::ZERO);
    let ask = |stream: usize, value| ask(&streams[stream], value);
    thread::scope(|scope| {
        let first = scope.spawn(move || ask(0, 1.0));
        assert_eq!(engine.event(), Submit(vec![1.0]));
        let second = scope.spawn(move || ask(1, 2.0));
        engine.go(2);
        assert_eq!(engine.event(), Collect(vec![1.0]));
        assert_eq!([engine.event(), engine.event()], [Submit(vec![2.0]), Collect(vec![2.0])]);
        assert_eq!([first, second].map(|t| t.join().unwrap()), [Ok(1.0), Ok(2.0)]);
    });
}

/// What fails is tried again apart only when nothing else is under way, so that nobody gets another's
/// samples.
#[test]
fn a_batch_that_fails_leaves_the_one_behind_it_alone() {
    let (streams, engine) = streams::<3>("fails", 2, Duration::from_secs(60));
    let ask = |stream: usize, value| ask(&streams[stream], value);
    thread::scope(|scope| {
        let bad = scope.spawn(move || ask(0, POISON));
        let good = scope.spawn(move || ask(1, 1.0));
        let Submit(first) = engine.event() else { panic!("nothing is under way") };
        assert_eq!(first.len(), 2);
        let behind = scope.spawn(move || ask(2, 2.0));
        assert_eq!(engine.event(), Submit(vec![2.0]));
        engine.go(4);
        assert_eq!(engine.event(), Collect(first));
        assert_eq!(engine.event(), Collect(vec![2.0]));
        assert_eq!(bad.join().unwrap(), Err("failed to run: poison".into()));
        assert_eq!([good, behind].map(|t| t.join().unwrap()), [Ok(1.0), Ok(2.0)]);
    });
}
