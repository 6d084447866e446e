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

/// What is asked of a line to be a lamp's.
struct Lamp {
    /// Height over the face's own line, in step with it: what is around a face gets less of a lamp's
    /// light than the face, or is lit by others too; below, the line is the face's.
    share: f64,
    /// What it stands out by, dB: people and trees that move make no line.
    stands_out: f64,
    /// The like where any of the rates will do: one of many is high by chance.
    any: f64,
}

/// Around the face, where of the lines that chance makes of a flicker one in twenty thousand is as
/// high; and on the backdrop, of which a codec may let stand nearly all. Of a pulse nothing is seen
/// there but what a codec spreads: in videos of living faces at most 0.02 of its line.
const LAMPS: [Lamp; 2] = [
    Lamp { share: 0.3, stands_out: 10.0, any: 10.0 },
    Lamp { share: 0.08, stands_out: 8.0, any: 14.0 },
];
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
        let change =
            change.map(|c| LightChange { backdrop: c.backdrop.filter(|b| b.is_finite()), ..c });
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
                sum.backdrop = sum.backdrop.zip(change.backdrop).map(|(a, b)| a + b);
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

    /// Whether the light around the face, or on the backdrop, has a line at `rate` Hz, in step with
    /// the face's, in the `duration` seconds up to `end` and in either half of them.
    pub fn pulses(&self, rate: f64, end: f64, duration: f64) -> bool {
        self.lit(rate, end, duration, |lamp| lamp.stands_out)
    }

    /// [`Light::pulses`] where a line must stand out by so many dB.
    fn lit(&self, rate: f64, end: f64, duration: f64, by: impl Fn(&Lamp) -> f64) -> bool {
        let (start, middle) = (end - duration, end - duration / 2.0);
        let parts = [(start, end), (start, middle), (middle, end)];
        let parts = parts.map(|(from, to)| self.lines(rate, from, to));
        let shared = |(place, lamp): &(usize, &Lamp)| parts.iter().all(|p| p.is_lit(*place, lamp));
        let mut places = LAMPS.iter().enumerate().filter(shared);
        places.any(|(place, lamp)| self.stands_out(place, rate, start, end) > by(lamp))
    }

    /// Whether at `frame_rate` frames a second a harmonic of flicker, whose line is stronger on the
    /// face than the one at `rate` Hz, would appear at that rate.
    pub fn folds(&self, rate: f64, end: f64, duration: f64, frame_rate: f64) -> bool {
        let face = |f: f64| self.lines(f, end - duration, end).face.norm_sqr();
        let own = face(rate);
        folded::origins(rate, frame_rate).any(|f| face(f) > own && self.pulses(f, end, duration))
    }

    /// The rates in Hz at which the light pulses in the `duration` seconds up to `end`, of those
    /// over which pulses are compared.
    pub fn lamps(&self, end: f64, duration: f64) -> Vec<f64> {
        let step = SCAN / duration;
        let steps = ((HIGH - LOW) / step) as usize + 1;
        let lines = self.scan(LOW, step, steps, end - duration..=end);
        let peak = |i: usize, place: usize| {
            let power = |line: &Lines| line.places[place].norm_sqr();
            let beside = &lines[i.saturating_sub(1)..(i + 2).min(steps)];
            beside.iter().all(|line| power(line) <= power(&lines[i]))
        };
        let lamp = |i: &usize| {
            let mut places = LAMPS.iter().enumerate();
            places.any(|(place, lamp)| lines[*i].is_lit(place, lamp) && peak(*i, place))
        };
        (0..steps)
            .filter(lamp)
            .map(|i| LOW + step * i as f64)
            .filter(|f| self.lit(*f, end, duration, |lamp| lamp.any))
            .collect()
    }

    /// By how much (dB) the line at a place is above what is beside it.
    fn stands_out(&self, place: usize, rate: f64, from: f64, to: f64) -> f64 {
        let power = |f: f64| self.lines(f, from, to).places[place].norm_sqr();
        let beside = BESIDE.flat_map(|k| [k, -k]).map(|k| rate + f64::from(k) / (to - from));
        let level = beside.clone().map(power).sum::<f64>() / beside.count() as f64;
        10.0 * (power(rate) / level).log10()
    }

    /// The lines at `rate` Hz of the rates of change since `from` seconds.
    fn lines(&self, rate: f64, from: f64, to: f64) -> Lines {
        self.scan(rate, 0.0, 1, from..=to)[0]
    }

    /// The lines at so many rates, the first and then one every `step` Hz. The sum of all changes
    /// under a Hann window, each turned by its time, needs no even grid.
    fn scan(&self, first: f64, step: f64, rates: usize, of: RangeInclusive<f64>) -> Vec<Lines> {
        let mut lines = vec![Lines::default(); rates];
        for (time, change) in self.changes.iter().filter(|(t, _)| of.contains(t)) {
            let hann = 1.0 - (TAU * (time - of.start()) / (of.end() - of.start())).cos();
            let mut turned = Complex::from_polar(hann, -TAU * first * time);
            let turn = Complex::cis(-TAU * step * time);
            let places = [change.around, change.backdrop.unwrap_or_default()];
            for line in &mut lines {
                line.face += turned * f64::from(change.face);
                line.places[0] += turned * f64::from(places[0]);
                line.places[1] += turned * f64::from(places[1]);
                turned *= turn;
            }
        }
        lines
    }
}

/// The lines at one rate: the face's, and those at the places of [`LAMPS`].
#[derive(Clone, Copy, Debug, Default)]
struct Lines {
    face: Complex<f64>,
    places: [Complex<f64>; 2],
}

impl Lines {
    /// Whether the line at a place goes with the face's and is high enough to be of the same light.
    fn is_lit(&self, place: usize, lamp: &Lamp) -> bool {
        (self.places[place] * self.face.conj()).re > lamp.share * self.face.norm_sqr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten seconds at 30 frames a second: relative brightness of face and surroundings at a time.
    fn light(face: impl Fn(f64) -> f64, around: impl Fn(f64) -> f64) -> Light {
        lit(face, around, None)
    }

    /// The like, and of the backdrop.
    fn lit(
        face: impl Fn(f64) -> f64,
        around: impl Fn(f64) -> f64,
        backdrop: Option<&dyn Fn(f64) -> f64>,
    ) -> Light {
        let mut light = Light::default();
        for i in 0..330 {
            let (a, b) = (f64::from(i) / 30.0, f64::from(i + 1) / 30.0);
            let change = |x: &dyn Fn(f64) -> f64| (x(b) / x(a)).ln() as f32;
            let backdrop = backdrop.map(change);
            let change = LightChange { face: change(&face), around: change(&around), backdrop };
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
    fn a_lamp_that_the_backdrop_alone_shows_is_one_and_what_a_codec_spreads_is_none() {
        let seen = |share: f64| {
            let noise = |t: f64| 1.0 + 1e-4 * (37.0 * t * t).sin();
            let backdrop = move |t: f64| wave(0.01 * share, 1.6)(t) * noise(t);
            lit(wave(0.01, 1.6), |_| 1.0, Some(&backdrop))
        };
        let lamp = seen(0.12);
        assert!(lamp.pulses(1.6, 11.0, 10.0) && !lamp.pulses(2.0, 11.0, 10.0));
        assert_eq!(lamp.lamps(11.0, 10.0).len(), 1);
        let spread = seen(0.04);
        assert!(!spread.pulses(1.6, 11.0, 10.0) && spread.lamps(11.0, 10.0).is_empty());
        // Seen for half of the time it is of neither.
        let ends = |t: f64| if t < 6.0 { wave(0.002, 1.6)(t) } else { 1.0 };
        assert!(!lit(wave(0.01, 1.6), |_| 1.0, Some(&ends)).pulses(1.6, 11.0, 10.0));
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
            let change = LightChange { face: change, around: change, backdrop: None };
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
