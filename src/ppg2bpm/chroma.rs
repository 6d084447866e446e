//! The pulse in the mean colour of a face, as a witness beside the network.
//!
//! A network that is shown two frames at a time errs anew at each pair, and the sum of such errors
//! wanders and hides slow pulses. A mean colour does not: what it errs by at one frame it takes back
//! at the next.
//!
//! Blood changes red, green and blue of skin in a proportion that is known. Of all weighted sums of
//! the three in which such a change keeps its size, the one of the least power has the least of
//! everything else (de Haan and van Leest 2014, "Improved motion robustness of remote-PPG by using
//! the blood volume pulse signature", Physiological Measurement 35).

use super::beside::Beside;
use super::estimator::Config;
use super::filter::{BandPass, detrend};
use super::resample::Sample;
use super::wave::{cancel, steps};
use crate::meta::ColourChange;

/// Relative changes of red, green and blue by blood, in that proportion, as cameras see them (de
/// Haan and van Leest; red or blue off by a fifth to a third costs a third of the gain at most).
const BLOOD: [f64; 3] = [0.33, 0.77, 0.53];
/// Share of the mean power that is added to each colour's, so that a grey picture, whose colours are
/// all one, has a sum of least power, too.
const RIDGE: f64 = 1e-5;

/// The colours of a window's pairs of frames.
#[derive(Clone, Debug, Default)]
pub struct Chroma([Beside; 3]);

impl Chroma {
    /// Adds the change, if it is known, over the pair of frames of which the sample `pulse` was made.
    pub fn push(&mut self, pulse: Sample, change: Option<ColourChange>, of: &Config) {
        let ColourChange { red, green, blue } = change.unwrap_or_default();
        for (colour, change) in self.0.iter_mut().zip([red, green, blue]) {
            colour.push(pulse, change, of);
        }
    }

    /// The pulse wave where [`super::resample::Integral::wave`] has the network's, without what goes
    /// with the light `around`; `None` where no colour changes.
    pub fn wave(&self, around: &[Vec<f64>], filter: &BandPass, of: &Config) -> Option<Vec<f64>> {
        let colours = self.0.each_ref().map(|colour| {
            let mut wave = colour.wave(of);
            detrend(&mut wave);
            cancel(&mut wave, around, 0.0);
            wave
        });
        let weights = weights(colours.each_ref().map(|colour| band_steps(colour, filter)))?;
        let sum = |i: usize| weights.iter().zip(&colours).map(|(w, colour)| w * colour[i]).sum();
        Some((0..colours[0].len()).map(sum).collect())
    }
}

/// The steps of a wave in the band of the pulse.
fn band_steps(wave: &[f64], filter: &BandPass) -> Vec<f64> {
    let mut band = wave.to_vec();
    filter.run(&mut band);
    steps(&band).collect()
}

/// With which the sum of `colours` has the least power beside the pulse's; their scale is arbitrary.
/// `None` where there is no power.
fn weights(colours: [Vec<f64>; 3]) -> Option<[f64; 3]> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut power = colours.each_ref().map(|a| colours.each_ref().map(|b| dot(a, b)));
    let mean = (0..3).map(|c| power[c][c]).sum::<f64>() / 3.0;
    (0..3).for_each(|c| power[c][c] += RIDGE * mean);
    mean.is_normal().then(|| {
        // The inverse's columns, but for the determinant.
        let [a, b, c] = &power.map(|row| row.map(|v| v / mean));
        let columns = [cross(b, c), cross(c, a), cross(a, b)];
        std::array::from_fn(|i| (0..3).map(|c| BLOOD[c] * columns[c][i]).sum())
    })
}

fn cross(a: &[f64; 3], b: &[f64; 3]) -> [f64; 3] {
    std::array::from_fn(|i| {
        let (j, k) = ((i + 1) % 3, (i + 2) % 3);
        a[j] * b[k] - a[k] * b[j]
    })
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::super::resample::RATE;
    use super::super::wave::slope;
    use super::*;

    /// The sum's line at `hz` over its median, both as power, of a face with `changes` of its colours
    /// from frame to frame, at 30 frames a second.
    fn line(hz: f64, change: impl Fn(usize) -> [f64; 3]) -> Option<f64> {
        let (config, mut chroma) = (Config::default(), Chroma::default());
        for i in 1..=330 {
            let interval = Some(1.0 / RATE);
            let pulse = Sample { time: i as f64 / RATE, value: 0.0, interval };
            let (now, then) = (change(i), change(i - 1));
            let [red, green, blue] = std::array::from_fn(|c| (now[c] - then[c]) as f32);
            chroma.push(pulse, Some(ColourChange { red, green, blue }), &config);
        }
        let filter = BandPass::new(40.0 / 60.0, 4.0, RATE);
        let spectrum = slope(&chroma.wave(&[], &filter, &config)?);
        let mut band = spectrum.power()[spectrum.bins(0.7, 4.0)].to_vec();
        band.sort_by(f64::total_cmp);
        Some(spectrum.line(hz) / band[band.len() / 2])
    }

    fn sine(hz: f64, i: usize) -> f64 {
        (TAU * hz * i as f64 / RATE).sin()
    }

    #[test]
    fn blood_stays_and_what_has_other_colours_goes() {
        let mut random = fastrand::Rng::with_seed(2);
        let noise: Vec<f64> = (0..331).map(|_| 1e-4 * (random.f64() - 0.5)).collect();
        let blood = |i: usize| 0.002 * sine(0.8, i);
        // Shade that changes all colours alike, a dye that changes red most: both ten times as strong.
        let shade = |i: usize| 0.02 * sine(1.7, i);
        let dye = |i: usize| 0.02 * sine(2.9, i);
        let face = |i: usize| {
            let parts = [(0.33, 1.0), (0.77, 0.2), (0.53, 0.1)];
            parts.map(|(k, d)| k * blood(i) + shade(i) + d * dye(i) + noise[(7 * i) % 331])
        };
        let at = |hz| line(hz, face).unwrap();
        assert!(at(0.8) > 100.0 * at(1.7).max(at(2.9)), "{} {} {}", at(0.8), at(1.7), at(2.9));
        let green = line(0.8, |i| [0.0, face(i)[1], 0.0]).unwrap();
        assert!(at(0.8) > 100.0 * green, "{} {green}", at(0.8));
    }

    #[test]
    fn a_grey_face_has_its_brightness_and_one_that_rests_has_nothing() {
        assert!(line(1.1, |i| [0.003 * sine(1.1, i); 3]).unwrap() > 1e6);
        assert_eq!(line(1.1, |_| [0.5; 3]), None);
        assert_eq!(line(1.1, |i| [if i == 40 { f64::NAN } else { 0.0 }; 3]), None);
    }
}
