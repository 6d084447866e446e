//! How long calls take.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use gstheartrate::hrnetinfer::engine::EngineError;

use super::usage::Usage;

/// What a measurement gave.
#[derive(Debug)]
pub struct Measured {
    /// Frames a second.
    pub rate: f64,
    /// Processor time of a frame, all threads.
    pub cpu_ms: f64,
    /// Seconds of each run, sorted.
    pub times: Vec<f64>,
}

impl Measured {
    /// In milliseconds: the smallest time that so many of the runs kept to.
    pub fn percentile(&self, share: f64) -> f64 {
        percentile_ms(&self.times, share)
    }
}

/// In milliseconds, of sorted seconds.
pub fn percentile_ms(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).map_or(f64::NAN, |s| s * 1e3)
}

/// Has each of `callers` run `frames` frames over and over for `seconds`, on threads of their own,
/// after a tenth of that.
pub fn measure<F>(seconds: f64, frames: u32, callers: Vec<F>) -> Result<Measured, EngineError>
where
    F: FnMut() -> Result<(), EngineError> + Send,
{
    let barrier = &Barrier::new(callers.len() + 1);
    let caller = |mut run: F| {
        move || -> Result<Vec<f64>, EngineError> {
            let warm = repeat(seconds / 10.0, &mut run);
            // Also where that failed: the others wait for it.
            barrier.wait();
            warm?;
            repeat(seconds, &mut run)
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = callers.into_iter().map(|run| scope.spawn(caller(run))).collect();
        barrier.wait();
        let (before, start) = (Usage::now(), Instant::now());
        let mut times = Vec::new();
        for thread in threads {
            let own = thread.join().map_err(|_| EngineError::Run("panicked".into()))?;
            times.append(&mut own?);
        }
        let done = times.len() as f64 * f64::from(frames);
        let cpu = Usage::now().cpu - before.cpu;
        let rate = done / start.elapsed().as_secs_f64();
        times.sort_by(f64::total_cmp);
        Ok(Measured { rate, cpu_ms: cpu / done * 1e3, times })
    })
}

/// Seconds of each run.
fn repeat(
    seconds: f64,
    run: &mut impl FnMut() -> Result<(), EngineError>,
) -> Result<Vec<f64>, EngineError> {
    let (begin, mut times) = (Instant::now(), Vec::new());
    while begin.elapsed() < Duration::from_secs_f64(seconds) {
        let start = Instant::now();
        run()?;
        times.push(start.elapsed().as_secs_f64());
    }
    Ok(times)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn percentiles_are_times_that_occurred() {
        let times: Vec<f64> = (1..=200).map(|i| f64::from(i) / 1000.0).collect();
        assert_eq!([0.5, 0.99, 1.0].map(|s| percentile_ms(&times, s)), [100.0, 198.0, 200.0]);
        assert_eq!(percentile_ms(&[0.004], 0.5), 4.0);
        assert!(percentile_ms(&[], 0.5).is_nan());
    }

    /// The first run of each of three goes on only when the other two have come.
    #[test]
    fn callers_call_at_a_time_and_all_their_runs_count() {
        let (together, runs) = (Barrier::new(3), AtomicUsize::new(0));
        let caller = |_| {
            let mut own = 0;
            let (together, runs) = (&together, &runs);
            move || {
                own += 1;
                if own == 1 {
                    together.wait();
                }
                runs.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
        };
        let measured = measure(0.02, 7, (0..3).map(caller).collect()).unwrap();
        assert!(measured.times.len() >= 3 && measured.times.len() < runs.load(Ordering::Relaxed));
        assert!(measured.rate > 0.0 && measured.times.is_sorted());
    }

    #[test]
    fn a_caller_that_fails_ends_the_measurement() {
        let caller =
            |fails: bool| move || if fails { Err(EngineError::Run("lost".into())) } else { Ok(()) };
        let error = measure(0.02, 1, vec![caller(false), caller(true)]).unwrap_err();
        assert_eq!(error.to_string(), "failed to run: lost");
    }
}
