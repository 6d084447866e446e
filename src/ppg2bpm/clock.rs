//! The camera's even clock behind times that are off and frames that are missing.

use std::f64::consts::PI;

/// Share of the deviation that the clock follows from frame to frame.
const FOLLOW: f64 = 0.1;
/// Times are smoothed over this many seconds on either side: a clock may wander, not jump.
const SMOOTH: f64 = 1.0;
/// Root mean square of the deviations, in frames, up to which there is a clock. Times that have
/// nothing to do with one are off by 0.29.
const OFF: f64 = 0.2;
/// Most frames for each one that is there.
const FRAMES: usize = 2;

/// An even clock.
#[derive(Clone, Debug, PartialEq)]
pub struct Clock {
    /// Time of each of its frames, whether it is there or not, and of the one before the first.
    pub times: Vec<f64>,
    /// Which of its frames each time is, from 0 on; frame i is at `times[i + 1]`.
    pub frames: Vec<usize>,
}

impl Clock {
    /// The clock behind ascending `times` in seconds; `None` if there is none.
    pub fn fit(times: &[f64]) -> Option<Clock> {
        let interval = interval(times)?;
        let frames = frames(times, interval);
        let last = *frames.last()?;
        if last >= FRAMES * times.len() {
            return None;
        }
        let (offset, interval) = line(&frames, times)?;
        let at = |i: f64| offset + interval * i;
        let off: Vec<f64> = frames.iter().zip(times).map(|(i, t)| t - at(*i as f64)).collect();
        let wander = smooth(&frames, &off, last, (SMOOTH / interval).ceil() as usize);
        let rest = frames.iter().zip(&off).map(|(i, o)| (o - wander[*i]).powi(2)).sum::<f64>();
        if (rest / times.len() as f64).sqrt() > OFF * interval {
            return None;
        }
        let mut times = vec![at(-1.0) + wander[0]];
        times.extend(wander.iter().enumerate().map(|(i, w)| at(i as f64) + w));
        let ascending = times.windows(2).all(|w| w[0] < w[1]);
        ascending.then_some(Clock { times, frames })
    }
}

/// Seconds between two frames: the median, and then the whole time over the frames in it.
fn interval(times: &[f64]) -> Option<f64> {
    let mut steps: Vec<f64> = times.windows(2).map(|w| w[1] - w[0]).collect();
    if steps.len() < 8 {
        return None;
    }
    let whole: f64 = steps.iter().sum();
    let middle = steps.len() / 2;
    let mut interval = *steps.select_nth_unstable_by(middle, f64::total_cmp).1;
    for _ in 0..3 {
        let frames: f64 = steps.iter().map(|s| (s / interval).round()).sum();
        interval = whole / frames.max(1.0);
    }
    (interval > 0.0).then_some(interval)
}

/// Number of each frame, by a clock that follows the times slowly.
fn frames(times: &[f64], interval: f64) -> Vec<usize> {
    let (mut clock, mut frame) = (times[0], 0);
    let mut frames = vec![0];
    for t in &times[1..] {
        let steps = ((t - clock) / interval).round().max(1.0);
        clock += steps * interval;
        clock += FOLLOW * (t - clock);
        frame += steps as usize;
        frames.push(frame);
    }
    frames
}

/// Offset and slope of the straight line that fits `times` best.
fn line(frames: &[usize], times: &[f64]) -> Option<(f64, f64)> {
    let n = times.len() as f64;
    let x = frames.iter().sum::<usize>() as f64 / n;
    let y = times.iter().sum::<f64>() / n;
    let (mut xy, mut xx) = (0.0, 0.0);
    for (i, t) in frames.iter().zip(times) {
        xy += (*i as f64 - x) * (t - y);
        xx += (*i as f64 - x).powi(2);
    }
    let slope = xy / xx;
    (slope > 0.0).then_some((y - slope * x, slope))
}

/// Mean of `off` around each frame up to `last`, weighted by a raised cosine of `reach` frames to
/// either side.
fn smooth(frames: &[usize], off: &[f64], last: usize, reach: usize) -> Vec<f64> {
    let weight = |d: usize| 1.0 + (PI * d as f64 / (reach + 1) as f64).cos();
    let weights: Vec<f64> = (0..=reach).map(weight).collect();
    let mut sums = vec![(0.0, 0.0); last + 1];
    for (i, o) in frames.iter().zip(off) {
        for j in i.saturating_sub(reach)..=(i + reach).min(last) {
            let w = weights[j.abs_diff(*i)];
            sums[j].0 += w * o;
            sums[j].1 += w;
        }
    }
    sums.into_iter().map(|(sum, w)| if w > 0.0 { sum / w } else { 0.0 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jittered(fps: f64, missing: impl Fn(usize) -> bool, jitter: f64) -> (Vec<usize>, Vec<f64>) {
        let mut random = fastrand::Rng::with_seed(1);
        let frames: Vec<usize> = (0..(10.0 * fps) as usize).filter(|i| !missing(*i)).collect();
        let mut off = || jitter * (2.0 * random.f64() - 1.0);
        let times = frames.iter().map(|i| 7.0 + *i as f64 / fps + off()).collect();
        (frames, times)
    }

    #[test]
    fn the_clock_is_found_behind_jitter_and_missing_frames() {
        for fps in [15.0, 24.0, 29.97, 30.0, 60.0] {
            let (frames, times) = jittered(fps, |i| i % 10 == 9 || i % 37 == 5, 0.005);
            let clock = Clock::fit(&times).expect("there is a clock");
            assert_eq!(clock.frames, frames, "{fps}");
            for (i, t) in clock.times.iter().enumerate() {
                let expected = 7.0 + (i as f64 - 1.0) / fps;
                assert!((t - expected).abs() < 0.003, "{fps} {i}: {t} {expected}");
            }
        }
    }

    #[test]
    fn a_clock_that_wanders_is_followed() {
        let wander = |i: usize| 0.03 * (i as f64 / 60.0).sin();
        let times: Vec<f64> = (0..300).map(|i| i as f64 / 30.0 + wander(i)).collect();
        let clock = Clock::fit(&times).expect("there is a clock");
        let off = clock.times[1..].iter().zip(&times).map(|(a, b)| (a - b).abs());
        assert!(off.fold(0.0, f64::max) < 0.01);
    }

    #[test]
    fn times_without_a_clock_have_none() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut times: Vec<f64> = (0..300).map(|_| 10.0 * random.f64()).collect();
        times.sort_unstable_by(f64::total_cmp);
        assert_eq!(Clock::fit(&times), None);
        assert_eq!(Clock::fit(&[]), None);
        assert_eq!(Clock::fit(&[1.0; 20]), None);
    }
}
