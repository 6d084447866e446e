//! An engine that counts, shared by streams of uneven rates.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::*;
use crate::hrnetinfer::maps::Layout;

/// What the counting engine has seen.
#[derive(Default)]
struct Count {
    engines: AtomicUsize,
    runs: AtomicUsize,
    pairs: AtomicUsize,
    largest: AtomicUsize,
    looks: AtomicUsize,
}

/// Gives each pair the first value of its motion map plus a thousandth of its appearance map's, two
/// batches at a time.
struct Counting {
    network: Network,
    count: Arc<Count>,
    max: usize,
    cost: Duration,
    under_way: VecDeque<[Vec<f32>; 2]>,
}

/// A motion value that this engine fails on.
const POISON: f32 = 666.0;

/// The first value of every map.
fn firsts<'a>(parts: &'a [Maps<'a>], maps: fn(&Maps<'a>) -> &'a [f32]) -> Vec<f32> {
    let len = network().map_len();
    parts.iter().flat_map(|p| maps(p).chunks_exact(len)).map(|m| m[0]).collect()
}

impl Runner for Counting {
    fn network(&self) -> &Network {
        &self.network
    }

    fn max_batch(&self) -> usize {
        self.max
    }

    fn depth(&self) -> usize {
        2
    }

    fn submit(&mut self, parts: &[Maps]) -> Result<(), EngineError> {
        assert!(self.under_way.len() < self.depth());
        let maps = [firsts(parts, |p| p.motion), firsts(parts, |p| p.appearance)];
        let pairs = maps[0].len();
        assert!(pairs <= self.max && maps[1].len() == pairs);
        self.count.runs.fetch_add(1, Ordering::Relaxed);
        self.count.pairs.fetch_add(pairs, Ordering::Relaxed);
        self.count.largest.fetch_max(pairs, Ordering::Relaxed);
        self.under_way.push_back(maps);
        Ok(())
    }

    fn ready(&mut self) -> bool {
        self.count.looks.fetch_add(1, Ordering::Relaxed);
        true
    }

    fn collect(&mut self) -> Result<Vec<f32>, EngineError> {
        let [motion, appearance] = self.under_way.pop_front().expect("a batch under way");
        thread::sleep(self.cost);
        if motion.contains(&POISON) {
            return Err(EngineError::Run("poison".into()));
        }
        Ok(motion.iter().zip(appearance).map(|(m, a)| m + a / 1000.0).collect())
    }
}

fn network() -> Network {
    Network { contract: Contract::default(), layout: Layout::Nchw, size: 36 }
}

fn client(key: &str, max: usize, timeout: Duration, count: &Arc<Count>) -> Client {
    let count = count.clone();
    let cost = Duration::from_millis(1);
    let prepare = move || -> Result<Make, EngineError> {
        count.engines.fetch_add(1, Ordering::Relaxed);
        let under_way = VecDeque::new();
        let engine = Counting { network: network(), count, max, cost, under_way };
        Ok(Box::new(move || Ok(Box::new(engine))))
    };
    shared(key, Contract::default(), timeout, prepare).unwrap()
}

/// Maps whose first values are `values`.
fn maps(values: &[f32]) -> Vec<f32> {
    values.iter().flat_map(|v| vec![*v; network().map_len()]).collect()
}

fn ask(client: &Client, motion: &[f32], appearance: f32) -> Result<Vec<f32>, EngineError> {
    client.run(&maps(motion), &maps(&vec![appearance; motion.len()]))
}

/// 64 faces of 8 streams; stream s asks `frames(s)` times, every s + 1 ms; stream 3 goes in the middle.
#[test]
fn every_sample_of_64_faces_from_8_streams_lands_on_its_face() {
    const TIMEOUT: Duration = Duration::from_millis(20);
    let count = Arc::new(Count::default());
    let frames = |stream: usize| if stream == 3 { 7 } else { 40 - 3 * stream };
    // All handles before the first frame, so that nobody is missed.
    let clients: Vec<_> = (0..8).map(|_| client("64", 16, TIMEOUT, &count)).collect();
    let slowest = thread::scope(|scope| {
        let stream = |(stream, client): (usize, Client)| {
            let mut slowest = Duration::ZERO;
            for frame in 0..frames(stream) {
                let faces: Vec<f32> = (0..8).map(|f| (100 * stream + f) as f32).collect();
                let start = Instant::now();
                let samples = ask(&client, &faces, frame as f32).unwrap();
                slowest = slowest.max(start.elapsed());
                for (face, sample) in faces.iter().zip(&samples) {
                    assert!((sample - face - frame as f32 / 1000.0).abs() < 1e-4);
                }
                assert_eq!(samples.len(), 8);
                thread::sleep(Duration::from_millis(stream as u64 + 1));
            }
            slowest
        };
        let threads: Vec<_> =
            clients.into_iter().enumerate().map(|c| scope.spawn(move || stream(c))).collect();
        threads.into_iter().map(|t| t.join().unwrap()).max().unwrap()
    });
    let asked: usize = (0..8).map(frames).sum();
    assert_eq!(count.engines.load(Ordering::Relaxed), 1);
    assert_eq!(count.pairs.load(Ordering::Relaxed), 8 * asked);
    assert_eq!(count.largest.load(Ordering::Relaxed), 16);
    // Two requests fill a batch, so hardly a run is alone.
    assert!(count.runs.load(Ordering::Relaxed) < 8 * asked / 10, "{:?}", count.runs);
    // No wait beyond the timeout, the four runs before and what the scheduler adds.
    assert!(slowest < TIMEOUT + Duration::from_millis(500), "{slowest:?}");
}

#[test]
fn a_lone_stream_never_waits_and_a_silent_one_costs_the_timeout() {
    const TIMEOUT: Duration = Duration::from_millis(300);
    let count = Arc::new(Count::default());
    let first = client("lone", 16, TIMEOUT, &count);
    let timed = |client: &Client| {
        let start = Instant::now();
        ask(client, &[1.0, 2.0], 0.0).unwrap();
        start.elapsed()
    };
    assert!(timed(&first) < TIMEOUT);
    // Nobody else can ask, so the thread waits for the engine alone.
    assert_eq!(count.looks.load(Ordering::Relaxed), 0);
    let silent = client("lone", 16, TIMEOUT, &count);
    let waited = timed(&first);
    assert!(waited >= TIMEOUT && waited < 3 * TIMEOUT, "{waited:?}");
    // One that goes while another waits sets it free.
    let start = Instant::now();
    thread::scope(|scope| {
        let other = scope.spawn(|| ask(&first, &[1.0], 0.0).unwrap());
        thread::sleep(Duration::from_millis(20));
        drop(silent);
        other.join().unwrap();
    });
    assert!(start.elapsed() < TIMEOUT, "{:?}", start.elapsed());
}

#[test]
fn one_streams_error_is_its_own() {
    let count = Arc::new(Count::default());
    let timeout = Duration::from_secs(5);
    let [good, bad] = [(); 2].map(|_| client("poison", 16, timeout, &count));
    thread::scope(|scope| {
        let good = scope.spawn(|| ask(&good, &[1.0, 2.0], 0.0));
        let bad = scope.spawn(|| ask(&bad, &[3.0, POISON], 0.0));
        assert_eq!(good.join().unwrap().unwrap(), [1.0, 2.0]);
        let error = bad.join().unwrap().unwrap_err().to_string();
        assert_eq!(error, "failed to run: poison");
    });
    // The batch of both, then each alone.
    assert_eq!(count.runs.load(Ordering::Relaxed), 3);
}

#[test]
fn a_request_beyond_the_batch_is_cut_and_odd_maps_are_refused() {
    let count = Arc::new(Count::default());
    let client = client("large", 4, Duration::ZERO, &count);
    assert_eq!(client.max_batch(), Some(4));
    let faces: Vec<f32> = (0..11).map(|f| f as f32).collect();
    assert_eq!(ask(&client, &faces, 0.0).unwrap(), faces);
    assert_eq!(count.runs.load(Ordering::Relaxed), 3);
    assert!(client.run(&maps(&[1.0]), &[]).is_err());
    assert!(client.run(&[1.0; 7], &[1.0; 7]).is_err());
    assert!(client.run(&[], &[]).unwrap().is_empty());
}

#[test]
fn the_last_client_takes_the_engine_down_and_a_failed_one_is_tried_anew() {
    let count = Arc::new(Count::default());
    let zero = Duration::ZERO;
    let [one, two] = [(); 2].map(|_| client("again", 4, zero, &count));
    drop(one);
    assert_eq!(ask(&two, &[5.0], 0.0).unwrap(), [5.0]);
    drop(two);
    // The thread held the second reference, and is gone.
    assert_eq!(Arc::strong_count(&count), 1);
    let fail = || -> Result<Make, EngineError> {
        Ok(Box::new(|| Err(EngineError::Unavailable("no GPU".into()))))
    };
    let failed = shared("again", Contract::default(), zero, fail).err().unwrap();
    assert_eq!(failed.to_string(), "no GPU");
    assert_eq!(ask(&client("again", 4, zero, &count), &[6.0], 0.0).unwrap(), [6.0]);
    assert_eq!(count.engines.load(Ordering::Relaxed), 2);
}
