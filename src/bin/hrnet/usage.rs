//! What the process has used so far.

/// Processor time and memory of the whole process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// Seconds, user and system, all threads.
    pub cpu: f64,
    /// Peak resident memory, bytes.
    pub peak: u64,
}

impl Usage {
    pub fn now() -> Usage {
        // SAFETY: rusage is plain numbers, for which zeros are valid, and getrusage fills it in.
        let usage = unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            libc::getrusage(libc::RUSAGE_SELF, &mut usage);
            usage
        };
        let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 * 1e-6;
        // Linux counts in KiB.
        let peak = usage.ru_maxrss as u64 * 1024;
        Usage { cpu: seconds(usage.ru_utime) + seconds(usage.ru_stime), peak }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_takes_time_and_memory() {
        let before = Usage::now();
        let block = std::hint::black_box(vec![1u8; 64 << 20]);
        let mut sum = 0u64;
        while Usage::now().cpu < before.cpu + 0.02 {
            sum = sum.wrapping_add(block.iter().map(|b| u64::from(*b)).sum());
        }
        std::hint::black_box(sum);
        assert!(Usage::now().cpu < before.cpu + 10.0, "{before:?}");
        assert!(Usage::now().peak >= 64 << 20);
    }
}
