//! The face box as a detector with errors and a tracker that rests would give it.

use super::{chance, log_uniform, uniform};

/// Seconds between two detections.
const INTERVAL: f64 = 0.5;

/// A detector with a bias and some jitter, and a tracker with a dead band.
#[derive(Clone, Debug)]
pub struct Tracker {
    rng: fastrand::Rng,
    /// Constant error: x, y in face widths, size as a factor.
    bias: [f64; 3],
    /// Standard deviation of one detection, same units.
    jitter: f64,
    /// The box rests until the face is off by this, face widths.
    dead_band: f64,
    /// Fraction of the way that it then goes in one frame.
    pace: f64,
    next: f64,
    current: Option<[f64; 4]>,
    target: [f64; 4],
}

impl Tracker {
    pub fn random(rng: &mut fastrand::Rng) -> Tracker {
        let bias =
            [uniform(rng, -0.08, 0.08), uniform(rng, -0.1, 0.1), log_uniform(rng, 0.87, 1.17)];
        Tracker {
            bias,
            jitter: log_uniform(rng, 0.003, 0.02),
            dead_band: uniform(rng, 0.03, 0.12),
            pace: if chance(rng, 0.4) { 1.0 } else { uniform(rng, 0.1, 0.6) },
            next: f64::MIN,
            current: None,
            target: [0.0; 4],
            rng: rng.fork(),
        }
    }

    /// The box (x, y, w, h) at `t` seconds, given the true one. Times must not go back.
    pub fn follow(&mut self, t: f64, truth: [f64; 4]) -> [f64; 4] {
        if t >= self.next {
            self.next = t + INTERVAL;
            let seen = self.detect(truth);
            if self.current.is_none_or(|current| self.is_off(current, seen)) {
                self.target = seen;
            }
        }
        let current = self.current.get_or_insert(self.target);
        for (value, target) in current.iter_mut().zip(self.target) {
            let rest = target - *value;
            // The last half pixel is gone at once, or it would creep for ever.
            *value += if rest.abs() < 0.5 { rest } else { self.pace * rest };
        }
        *current
    }

    fn detect(&mut self, [x, y, w, h]: [f64; 4]) -> [f64; 4] {
        let jitter = 1.7 * self.jitter;
        let mut error = || jitter * uniform(&mut self.rng, -1.0, 1.0);
        let size = self.bias[2] * (1.0 + 2.0 * error());
        let (cx, cy) = (x + w / 2.0, y + h / 2.0);
        let (cx, cy) = (cx + (self.bias[0] + error()) * w, cy + (self.bias[1] + error()) * w);
        [cx - size * w / 2.0, cy - size * h / 2.0, size * w, size * h]
    }

    fn is_off(&self, a: [f64; 4], b: [f64; 4]) -> bool {
        let centre = |r: [f64; 4]| (r[0] + r[2] / 2.0, r[1] + r[3] / 2.0);
        let ((ax, ay), (bx, by)) = (centre(a), centre(b));
        let off = (ax - bx).hypot(ay - by) / a[2];
        off > self.dead_band || (a[2] / b[2]).ln().abs() > 1.5 * self.dead_band
    }
}
