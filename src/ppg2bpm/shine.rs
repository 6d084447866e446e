//! Which lines are a highlight's.
//!
//! What a lamp's mirror image on skin brings is as white as the lamp. When it glitters all colours
//! change by as much light, and so by a larger share the darker a colour is: of skin's colours blue
//! most. Blood changes green most ([`crate::pbv::BLOOD`]). So a line in which blue has a larger share
//! than green is a highlight's.
//!
//! Unless a codec holds the chroma: then a pulse, too, comes as light alone, the same for all colours.

use std::f64::consts::TAU;
use std::ops::RangeInclusive;

use rustfft::num_complex::Complex;

use super::resample::RATE;
use super::wave::steps;
use crate::pbv::Sum;

/// Changes of red and blue over that of green. By blood 0.43 and 0.69, where cameras and lamps differ
/// by a fifth or so; by white light on skin, of which red : green : blue are 1.6 : 1.1 : 0.8 or so, the
/// inverse.
const BLOOD: ([f64; 4], [f64; 5]) = ([0.3, 0.4, 0.5, 0.6], [0.5, 0.6, 0.7, 0.8, 0.9]);
const SHINE: ([f64; 5], [f64; 4]) = ([0.5, 0.6, 0.7, 0.8, 0.9], [1.15, 1.25, 1.35, 1.5]);
/// By how many nats a highlight must explain the line better than blood does.
const BETTER: f64 = 3.0;
/// Share of the colours' mean power beside the line that is added to each one's: no two colours have
/// the same noise to the last digit.
const RIDGE: f64 = 1e-3;
/// Distances in units of one over the duration at which there is noise and nothing of the line.
const BESIDE: RangeInclusive<i32> = 2..=8;
/// Hz below which no noise is taken: faces drift.
const LOWEST: f64 = 0.3;
/// Share of the face's pixels, on average over a window's time, whose chroma a codec may hold.
const HELD: f64 = 0.68;

/// A line of red, green and blue.
type Line = [Complex<f64>; 3];

/// The colours of a face in a window, and the share of its chroma that is held.
pub(super) struct Shine {
    /// Their steps, under a Hann window.
    colours: Vec<[f64; 3]>,
    held: f64,
}

impl Shine {
    /// Of the waves of red, green and blue; `held` is 1 where it is not known.
    pub fn new(waves: &[Vec<f64>; 3], held: f64) -> Shine {
        let turn = TAU / waves[0].len() as f64;
        let hann = (1..).map(|i| 1.0 - (turn * f64::from(i)).cos());
        let [red, green, blue] = waves.each_ref().map(|wave| steps(wave));
        let colours = red.zip(green).zip(blue).zip(hann);
        Shine { colours: colours.map(|(((r, g), b), h)| [r * h, g * h, b * h]).collect(), held }
    }

    /// Whether the line at `rate` Hz is a highlight's.
    pub fn is(&self, rate: f64) -> bool {
        if self.held > HELD {
            return false;
        }
        let (line, noise) = (self.line(rate), self.noise(rate));
        let mean = (0..3).map(|c| noise[c][c]).sum::<f64>() / 3.0;
        // Of the line's likelihood in such noise a change explains the power of the sum that keeps it
        // over that of the noise in it, at the best size and phase.
        let explained = |change: [f64; 3]| {
            let sum = Sum::keeping(&change, &noise, RIDGE * mean)?;
            let kept: Complex<f64> = line.iter().zip(sum.weights).map(|(l, w)| l * w).sum();
            Some(kept.norm_sqr() / sum.power)
        };
        let best = |reds: &[f64], blues: &[f64]| {
            let changes = reds.iter().flat_map(|r| blues.iter().map(|b| [*r, 1.0, *b]));
            changes.filter_map(explained).fold(0.0, f64::max)
        };
        best(&SHINE.0, &SHINE.1) > best(&BLOOD.0, &BLOOD.1) + BETTER
    }

    /// The colours' line.
    fn line(&self, rate: f64) -> Line {
        let mut line = Line::default();
        let (mut turned, turn) = (Complex::from(1.0), Complex::cis(-TAU * rate / RATE));
        for colours in &self.colours {
            line.iter_mut().zip(colours).for_each(|(l, c)| *l += turned * c);
            turned *= turn;
        }
        line
    }

    /// The mean products of the lines beside the one at `rate` Hz.
    fn noise(&self, rate: f64) -> [[f64; 3]; 3] {
        let duration = self.colours.len() as f64 / RATE;
        let beside = BESIDE.flat_map(|k| [k, -k]).map(|k| rate + f64::from(k) / duration);
        let lines: Vec<Line> = beside.filter(|f| *f > LOWEST).map(|f| self.line(f)).collect();
        let product =
            |a: usize, b: usize| lines.iter().map(|l| (l[a] * l[b].conj()).re).sum::<f64>();
        [0, 1, 2].map(|a| [0, 1, 2].map(|b| product(a, b) / lines.len() as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HZ: f64 = 1.4;
    const BLOOD: [f64; 3] = [0.43, 1.0, 0.69];
    const WHITE: [f64; 3] = [0.7, 1.0, 1.35];

    /// Ten seconds of a line at [`HZ`] in which the colours have such shares, in noise of the same size
    /// for all, of which `common` is the same in all.
    fn shine(shares: [f64; 3], common: f64, held: f64) -> Shine {
        let mut random = fastrand::Rng::with_seed(5);
        let mut waves = [const { Vec::new() }; 3];
        for i in 0..300 {
            let line = 1e-3 * (TAU * HZ * f64::from(i) / RATE).sin();
            let mut noise = || 2e-3 * (random.f64() - 0.5);
            let both = common * noise();
            for (wave, share) in waves.iter_mut().zip(shares) {
                wave.push(share * line + both + (1.0 - common) * noise());
            }
        }
        Shine::new(&waves, held)
    }

    #[test]
    fn a_highlight_is_told_from_blood_in_any_noise() {
        for common in [0.0, 0.5, 0.95] {
            assert!(shine(WHITE, common, 0.3).is(HZ), "{common}");
            assert!(!shine(BLOOD, common, 0.3).is(HZ), "{common}");
        }
        // Beside the line there is nothing to tell.
        assert!(!shine(WHITE, 0.5, 0.3).is(2.4));
    }

    #[test]
    fn nothing_is_told_where_a_codec_holds_the_chroma_or_nothing_changes() {
        assert!(!shine(WHITE, 0.5, 0.7).is(HZ));
        assert!(!Shine::new(&[const { Vec::new() }; 3], 0.0).is(HZ));
        assert!(!Shine::new(&[0; 3].map(|_| vec![0.0; 300]), 0.0).is(HZ));
    }
}
