//! Which lines are the light's.
//!
//! A lamp that pulses at 1 Hz makes a face brighter and darker at 1 Hz, as blood would, and no
//! network can tell the two for sure from the face alone. But the lamp lights what is around the
//! face as well, by the same share and at the same time.

use std::collections::VecDeque;
use std::f64::consts::TAU;
use std::ops::RangeInclusive;

use rustfft::num_complex::Complex;

use super::beside::Beside;
use super::estimator::Config;
use super::folded;
use super::likelihood::{HIGH, LOW};
use super::resample::{MIN_SPACING, Sample};
use crate::meta::LightChange;

/// What is around a face gets less of a lamp's light than the face, or is lit by others too; below
/// this share of the face's own line (and in step with it) the line is the face's.
const SHARE: f64 = 0.3;
/// Its own line stands out by this, dB: people and trees that move make no line, and of the lines
/// that chance makes of a flicker one in twenty thousand is as high.
const STANDS_OUT: f64 = 10.0;
/// Distances in units of one over the duration at which there is nothing left of a line under a
/// Hann window.
const BESIDE: RangeInclusive<i32> = 2..=5;
/// Spacing of the rates at which lines are looked for, in the same units.
const SCAN: f64 = 0.25;

/// The changes of light of a window's pairs of frames.
#[derive(Clone, Debug, Default)]
pub struct Light {
    changes: VecDeque<(f64, LightChange)>,
    /// Around the face, where the pulse has its samples.
    around: Beside,
}

impl Light {
    /// Adds the change, if it is known, over the pair of frames whose middle is at `middle` seconds
    /// and of which the sample `pulse` was made.
    pub fn push(&mut self, pulse: Sample, middle: f64, change: Option<LightChange>, of: &Config) {
        let change = change.filter(|c| c.face.is_finite() && c.around.is_finite());
        self.around.push(pulse, change.map_or(0.0, |c| c.around), of);
        if let Some(change) = change {
            self.push_change(middle, change, of.window);
        }
    }

    /// Forgets what is more than `window` seconds older. Pairs closer together than the pulse
    /// samples are kept count as one.
    fn push_change(&mut self, time: f64, change: LightChange, window: f64) {
        match self.changes.back_mut() {
            Some((last, sum)) if time - *last < MIN_SPACING => {
                sum.face += change.face;
                sum.around += change.around;
            }
            _ => self.changes.push_back((time, change)),
        }
        while self.changes.front().is_some_and(|(t, _)| *t < time - window) {
            self.changes.pop_front();
        }
    }

    /// The logarithm of the brightness around the face where [`Integral::wave`] has the pulse.
    pub fn around(&self, of: &Config) -> Vec<f64> {
        self.around.wave(of)
    }

    /// Whether the light around the face has a line at `rate` Hz, in step with the face's, in the
    /// `duration` seconds up to `end` and in either half of them.
    pub fn pulses(&self, rate: f64, end: f64, duration: f64) -> bool {
        let (start, middle) = (end - duration, end - duration / 2.0);
        let shared = |from, to| in_step(self.lines(rate, from, to));
        shared(start, end)
            && shared(start, middle)
            && shared(middle, end)
            && self.stands_out(rate, start, end)
    }

    /// Whether at `frame_rate` frames a second a harmonic of flicker, whose line is stronger on the
    /// face than the one at `rate` Hz, would appear at that rate.
    pub fn folds(&self, rate: f64, end: f64, duration: f64, frame_rate: f64) -> bool {
        let face = |f: f64| self.lines(f, end - duration, end)[0].norm_sqr();
        let own = face(rate);
        folded::origins(rate, frame_rate).any(|f| face(f) > own && self.pulses(f, end, duration))
    }

    /// The rates in Hz at which the light pulses in the `duration` seconds up to `end`, of those
    /// over which pulses are compared.
    pub fn lamps(&self, end: f64, duration: f64) -> Vec<f64> {
        let step = SCAN / duration;
        let steps = ((HIGH - LOW) / step) as usize + 1;
        let lines = self.scan(LOW, step, steps, end - duration..=end);
        let power = |i: usize| lines[i][1].norm_sqr();
        let peak = |i: &usize| {
            (i.saturating_sub(1)..=(i + 1).min(steps - 1)).all(|j| power(j) <= power(*i))
        };
        (0..steps)
            .filter(|i| peak(i) && in_step(lines[*i]))
            .map(|i| LOW + step * i as f64)
            .filter(|f| self.pulses(*f, end, duration))
            .collect()
    }

    /// Whether the line around the face is well above what is beside it.
    fn stands_out(&self, rate: f64, from: f64, to: f64) -> bool {
        let power = |f: f64| self.lines(f, from, to)[1].norm_sqr();
        let beside = BESIDE.flat_map(|k| [k, -k]).map(|k| rate + f64::from(k) / (to - from));
        let level = beside.clone().map(power).sum::<f64>() / beside.count() as f64;
        power(rate) > level * 10f64.powf(STANDS_OUT / 10.0)
    }

    /// The lines at `rate` Hz of the rates of change since `from` seconds: of the face, and of what
    /// is around it.
    fn lines(&self, rate: f64, from: f64, to: f64) -> [Complex<f64>; 2] {
        self.scan(rate, 0.0, 1, from..=to)[0]
    }

    /// The lines at so many rates, the first and then one every `step` Hz. The sum of all changes
    /// under a Hann window, each turned by its time, needs no even grid.
    fn scan(
        &self,
        first: f64,
        step: f64,
        rates: usize,
        of: RangeInclusive<f64>,
    ) -> Vec<[Complex<f64>; 2]> {
        let mut lines = vec![[Complex::default(); 2]; rates];
        for (time, change) in self.changes.iter().filter(|(t, _)| of.contains(t)) {
            let hann = 1.0 - (TAU * (time - of.start()) / (of.end() - of.start())).cos();
            let mut turned = Complex::from_polar(hann, -TAU * first * time);
            let turn = Complex::cis(-TAU * step * time);
            for [face, around] in &mut lines {
                *face += turned * f64::from(change.face);
                *around += turned * f64::from(change.around);
                turned *= turn;
            }
        }
        lines
    }
}

/// Whether the line around the face goes with the face's and is high enough to be of the same
/// light.
fn in_step([face, around]: [Complex<f64>; 2]) -> bool {
    (around * face.conj()).re > SHARE * face.norm_sqr()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten seconds at 30 frames a second: relative brightness of face and surroundings at a time.
    fn light(face: impl Fn(f64) -> f64, around: impl Fn(f64) -> f64) -> Light {
        let mut light = Light::default();
        for i in 0..330 {
            let (a, b) = (f64::from(i) / 30.0, f64::from(i + 1) / 30.0);
            let change = |x: &dyn Fn(f64) -> f64| (x(b) / x(a)).ln() as f32;
            let change = LightChange { face: change(&face), around: change(&around) };
            light.push_change((a + b) / 2.0, change, 10.0);
        }
        light
    }

    fn wave(depth: f64, hz: f64) -> impl Fn(f64) -> f64 {
        move |t| 1.0 + depth * (TAU * hz * t).sin()
    }

    #[test]
    fn a_lamp_is_told_from_a_pulse() {
        for hz in [0.75, 1.2, 2.5, 3.9] {
            let lamp = light(wave(0.01, hz), wave(0.006, hz));
            assert!(lamp.pulses(hz, 11.0, 10.0), "{hz}");
            assert!(!lamp.pulses(hz + 0.4, 11.0, 10.0), "{hz}");
            let lamps = lamp.lamps(11.0, 10.0);
            // And, where it is in the band, the second harmonic that the logarithm makes.
            assert!((1..=2).contains(&lamps.len()), "{hz}: {lamps:?}");
            assert!((lamps[0] - hz).abs() < 0.02, "{hz}: {lamps:?}");
            let pulse = light(wave(0.005, hz), |_| 1.0);
            assert!(!pulse.pulses(hz, 11.0, 10.0), "{hz}");
            assert!(pulse.lamps(11.0, 10.0).is_empty(), "{hz}");
        }
        assert_eq!(light(wave(0.01, 1.0), wave(0.01, 1.0)).changes.len(), 300);
    }

    #[test]
    fn a_pulse_beside_a_lamp_of_another_rate_stands() {
        let face = |t: f64| wave(0.005, 1.0)(t) * wave(0.02, 2.1)(t);
        let both = light(face, wave(0.02, 2.1));
        assert!(!both.pulses(1.0, 11.0, 10.0) && both.pulses(2.1, 11.0, 10.0));
    }

    #[test]
    fn flicker_whose_harmonic_folds_to_a_rate_is_told_by_what_is_around() {
        // 3 × 10.25 = 30.75 Hz appears at 0.75.
        let face = |t: f64| wave(0.02, 10.25)(t) * wave(0.005, 0.75)(t);
        let lit = light(face, wave(0.02, 10.25));
        assert!(lit.folds(0.75, 11.0, 10.0, 30.0) && !lit.folds(1.2, 11.0, 10.0, 30.0));
        assert!(!light(face, |_| 1.0).folds(0.75, 11.0, 10.0, 30.0));
        // The flicker is weaker than what it should have made.
        let weak = light(|t| wave(0.0002, 10.25)(t) * wave(0.02, 0.75)(t), wave(0.0002, 10.25));
        assert!(!weak.folds(0.75, 11.0, 10.0, 30.0));
    }

    #[test]
    fn a_thousand_frames_a_second_take_no_more_memory_and_are_judged_alike() {
        let mut lamp = Light::default();
        for i in 0..11_000u32 {
            let at = |i: u32| wave(0.01, 1.2)(f64::from(i) / 1000.0).ln();
            let change = (at(i + 1) - at(i)) as f32;
            let change = LightChange { face: change, around: change };
            lamp.push_change(f64::from(i) / 1000.0, change, 10.0);
        }
        assert!(lamp.changes.len() <= 1251, "{}", lamp.changes.len());
        assert!(lamp.pulses(1.2, 11.0, 10.0) && !lamp.pulses(1.6, 11.0, 10.0));
    }

    #[test]
    fn drift_and_movement_around_make_no_line() {
        let drift = |t: f64| 1.0 + 0.1 * (0.2 * t).sin() + 0.03 * (1.1 * t * t / 7.0).sin();
        let moving = light(|t| wave(0.005, 1.2)(t) * drift(t), drift);
        assert!(!moving.pulses(1.2, 11.0, 10.0));
        assert!(!Light::default().pulses(1.2, 11.0, 10.0));
    }
}
