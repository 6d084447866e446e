//! The pulse in the colours of a face, as a witness beside the network.
//!
//! A network that is shown two frames at a time errs anew at each pair, and the sum of such errors
//! wanders and hides slow pulses. A colour does not: what it errs by at one frame it takes back at
//! the next.
//!
//! There are two waves of it: the sum of least power ([`crate::pbv`]) of the face's mean colour in
//! the window, and what `facecrop` has put together of the quiet places of the face, by what it had
//! seen until then. Each has noise that the other has not.

use super::beside::Beside;
use super::estimator::Config;
use super::filter::{BandPass, detrend};
use super::resample::Sample;
use super::shine::Shine;
use super::wave::{cancel, steps};
use crate::meta::{Changes, ColourChange};
use crate::pbv::Sum;

/// Share of the mean power that is added to each colour's: little, as the window is all there is.
const RIDGE: f64 = 1e-5;

/// Something of the pulse in the face's mean colour and of that in its quiet places, where they change.
#[derive(Clone, Debug, Default)]
pub struct Colours<T> {
    pub mean: Option<T>,
    pub quiet: Option<T>,
}

impl<T> Colours<T> {
    pub fn map<U>(self, mut of: impl FnMut(T) -> U) -> Colours<U> {
        Colours { mean: self.mean.map(&mut of), quiet: self.quiet.map(of) }
    }

    pub fn as_ref(&self) -> Colours<&T> {
        Colours { mean: self.mean.as_ref(), quiet: self.quiet.as_ref() }
    }
}

/// The colours of a window's pairs of frames.
#[derive(Clone, Debug, Default)]
pub struct Chroma {
    mean: [Beside; 3],
    blood: Beside,
    held: Held,
}

/// The share of the face whose chroma was held: the mean over a window's time, the older the less.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    sum: f64,
    weight: f64,
    /// Seconds.
    last: f64,
}

impl Held {
    /// Adds the share at a `time`; what is not known is held.
    fn push(&mut self, time: f64, share: Option<f32>, window: f64) {
        let left = (-(time - self.last).max(0.0) / window).exp();
        self.sum = self.sum * left + f64::from(share.unwrap_or(1.0));
        self.weight = self.weight * left + 1.0;
        self.last = time;
    }

    fn mean(&self) -> f64 {
        self.sum / self.weight
    }
}

impl Chroma {
    /// Adds the `changes` over the pair of frames of which the sample `pulse` was made; what is not
    /// known is no change.
    pub fn push(&mut self, pulse: Sample, changes: &Changes, of: &Config) {
        let ColourChange { red, green, blue } = changes.colour.unwrap_or_default();
        for (colour, change) in self.mean.iter_mut().zip([red, green, blue]) {
            colour.push(pulse, change, of);
        }
        self.blood.push(pulse, changes.blood.unwrap_or_default(), of);
        self.held.push(pulse.time, changes.chroma_held, of.window);
    }

    /// The pulse waves where [`super::resample::Integral::wave`] has the network's, without what goes
    /// with the light `around`; and what of the face's mean colour may be a highlight's.
    pub fn waves(
        &self,
        around: &[Vec<f64>],
        filter: &BandPass,
        of: &Config,
    ) -> (Colours<Vec<f64>>, Shine) {
        let wave = |beside: &Beside| {
            let mut wave = beside.wave(of);
            detrend(&mut wave);
            cancel(&mut wave, around, 0.0);
            wave
        };
        let quiet = Some(wave(&self.blood)).filter(|w| w.iter().any(|v| *v != 0.0));
        let colours = self.mean.each_ref().map(wave);
        let shine = Shine::new(&colours, self.held.mean());
        (Colours { mean: least_power(colours, filter), quiet }, shine)
    }
}

/// The sum of least power in the band of the pulse; `None` where there is no power.
fn least_power(colours: [Vec<f64>; 3], filter: &BandPass) -> Option<Vec<f64>> {
    let steps = colours.each_ref().map(|colour| band_steps(colour, filter));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let power = steps.each_ref().map(|a| steps.each_ref().map(|b| dot(a, b)));
    let mean = (0..3).map(|c| power[c][c]).sum::<f64>() / 3.0;
    let weights = Sum::of_least_power(&power, RIDGE * mean)?.weights;
    let sum = |i: usize| weights.iter().zip(&colours).map(|(w, colour)| w * colour[i]).sum();
    Some((0..colours[0].len()).map(sum).collect())
}

/// The steps of a wave in the band of the pulse.
fn band_steps(wave: &[f64], filter: &BandPass) -> Vec<f64> {
    let mut band = wave.to_vec();
    filter.run(&mut band);
    steps(&band).collect()
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
            let colour = Some(ColourChange { red, green, blue });
            chroma.push(pulse, &Changes { colour, ..Changes::default() }, &config);
        }
        let filter = BandPass::new(40.0 / 60.0, 4.0, RATE);
        let spectrum = slope(chroma.waves(&[], &filter, &config).0.mean.as_ref()?);
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
