//! Pulse waves without a network, from the mean colour of the face: what a network has to beat.
//!
//! - GREEN: the mean of green (Verkruysse, Svaasand and Nelson 2008, "Remote plethysmographic
//!   imaging using ambient light").
//! - CHROM: a combination of colours in which specular light cancels (de Haan and Jeanne 2013,
//!   "Robust pulse rate from chrominance-based rPPG").
//! - POS: the plane orthogonal to the skin's colour (Wang, den Brinker, Stuijk and de Haan 2017,
//!   "Algorithmic principles of remote PPG").
//!
//! They are not causal: a sample of POS and CHROM uses 1.6 s on either side.

use gstheartrate::meta::ColourChange;

/// Seconds of a window of POS and CHROM.
const WINDOW: f64 = 1.6;

/// A way to make a wave of colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Baseline {
    Green,
    Chrom,
    Pos,
}

/// How the face's mean colour has changed up to one frame.
#[derive(Clone, Copy, Debug)]
pub struct Colour {
    /// Seconds.
    pub time: f64,
    /// Since the frame before, within one rectangle.
    pub change: Option<ColourChange>,
}

impl Baseline {
    pub fn name(self) -> &'static str {
        match self {
            Baseline::Green => "GREEN",
            Baseline::Chrom => "CHROM",
            Baseline::Pos => "POS",
        }
    }

    /// The pulse wave of one face at each of `colours`, arbitrary unit.
    pub fn wave(self, colours: &[Colour]) -> Vec<f64> {
        let times: Vec<f64> = colours.iter().map(|c| c.time).collect();
        let levels = chain(colours);
        match self {
            Baseline::Green => levels.iter().map(|c| c[1]).collect(),
            Baseline::Chrom => slide(&times, &levels, chrom),
            Baseline::Pos => slide(&times, &levels, pos),
        }
    }
}

/// The colours as if one rectangle had been kept: each frame changes them as it says. The first is 1,
/// a frame without a previous one changes nothing.
fn chain(colours: &[Colour]) -> Vec<[f64; 3]> {
    let mut level = [1.0; 3];
    let step = |colour: &Colour| {
        let ColourChange { red, green, blue } = colour.change.unwrap_or_default();
        for (value, change) in level.iter_mut().zip([red, green, blue]) {
            *value *= f64::from(change).exp();
        }
        level
    };
    colours.iter().map(step).collect()
}

/// Overlap-add: `project` makes a wave of each window of [`WINDOW`] seconds that ends with a
/// frame, of colours over their means.
fn slide(
    times: &[f64],
    levels: &[[f64; 3]],
    project: impl Fn(&[[f64; 3]]) -> Vec<f64>,
) -> Vec<f64> {
    let mut wave = vec![0.0; levels.len()];
    let mut first = 0;
    for last in 0..levels.len() {
        while times[last] - times[first] > WINDOW {
            first += 1;
        }
        // A part of a window at the beginning is none.
        if times[last] - times[0] < WINDOW || last - first < 4 {
            continue;
        }
        let part = project(&normalised(&levels[first..=last]));
        wave[first..=last].iter_mut().zip(part).for_each(|(w, p)| *w += p);
    }
    wave
}

/// Colours over their mean.
fn normalised(levels: &[[f64; 3]]) -> Vec<[f64; 3]> {
    let n = levels.len() as f64;
    let mean: [f64; 3] = std::array::from_fn(|c| levels.iter().map(|l| l[c]).sum::<f64>() / n);
    levels.iter().map(|l| std::array::from_fn(|c| l[c] / mean[c])).collect()
}

/// h = S₁ + σ(S₁)/σ(S₂)·S₂ without its mean; S₁ = G − B, S₂ = G + B − 2R.
fn pos(colours: &[[f64; 3]]) -> Vec<f64> {
    let s1: Vec<f64> = colours.iter().map(|[_, g, b]| g - b).collect();
    let s2: Vec<f64> = colours.iter().map(|[r, g, b]| g + b - 2.0 * r).collect();
    let ratio = ratio(deviation(&s1), deviation(&s2));
    let mut h: Vec<f64> = s1.iter().zip(&s2).map(|(a, b)| a + ratio * b).collect();
    centre(&mut h);
    h
}

/// S = X − σ(X)/σ(Y)·Y under a Hann window; X = 3R − 2G, Y = 1.5R + G − 1.5B. Where the paper
/// band-passes X and Y, their straight line is taken off: the signal stage does the rest.
fn chrom(colours: &[[f64; 3]]) -> Vec<f64> {
    let mut x: Vec<f64> = colours.iter().map(|[r, g, _]| 3.0 * r - 2.0 * g).collect();
    let mut y: Vec<f64> = colours.iter().map(|[r, g, b]| 1.5 * r + g - 1.5 * b).collect();
    gstheartrate::ppg2bpm::filter::detrend(&mut x);
    gstheartrate::ppg2bpm::filter::detrend(&mut y);
    let ratio = ratio(deviation(&x), deviation(&y));
    let step = std::f64::consts::TAU / (x.len() + 1) as f64;
    let hann = |i: usize| 0.5 * (1.0 - (step * (i + 1) as f64).cos());
    x.iter().zip(&y).enumerate().map(|(i, (a, b))| hann(i) * (a - ratio * b)).collect()
}

/// `a` over `b`; 0 where there is nothing to divide by.
fn ratio(a: f64, b: f64) -> f64 {
    if b > 1e-12 { a / b } else { 0.0 }
}

fn centre(x: &mut [f64]) {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    x.iter_mut().for_each(|v| *v -= mean);
}

fn deviation(x: &[f64]) -> f64 {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    (x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / x.len() as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gstheartrate::ppg2bpm::{Config, Sample, reference_bpm};
    use std::f64::consts::TAU;

    const ALL: [Baseline; 3] = [Baseline::Green, Baseline::Chrom, Baseline::Pos];

    /// A face of 20 s at 30 frames a second with a pulse of `bpm`, under a light that swells by
    /// `swell` at `swell_bpm`.
    fn face(bpm: f64, swell: f64, swell_bpm: f64) -> Vec<Colour> {
        let rgb = |i: i32| {
            let t = f64::from(i) / 30.0;
            let light = 1.0 + swell * (TAU * swell_bpm / 60.0 * t).sin();
            let pulse = (TAU * bpm / 60.0 * t).sin();
            // Relative strengths of the pulse, after the POS paper.
            [(0.6, 0.33), (0.45, 0.77), (0.35, 0.53)]
                .map(|(skin, blood)| skin * light * (1.0 - 0.01 * blood * pulse))
        };
        let change = |i: i32| {
            let (now, before) = (rgb(i), rgb(i - 1));
            let [red, green, blue] = std::array::from_fn(|c| (now[c] / before[c]).ln() as f32);
            ColourChange { red, green, blue }
        };
        let time = |i| f64::from(i) / 30.0;
        (0..600).map(|i| Colour { time: time(i), change: (i > 0).then(|| change(i)) }).collect()
    }

    fn rate(baseline: Baseline, colours: &[Colour]) -> f64 {
        let wave = baseline.wave(colours);
        assert_eq!(wave.len(), colours.len());
        let sample = |(c, value): (&Colour, f64)| Sample { time: c.time, value, interval: None };
        let samples: Vec<Sample> = colours.iter().zip(wave).map(sample).collect();
        let config = Config { window: 10.0, derivative: false, ..Config::default() };
        // Ten seconds out of the middle.
        reference_bpm(&samples[150..450], &config).expect("there is a peak")
    }

    #[test]
    fn each_reads_the_rate_of_a_clean_trace() {
        for bpm in [48.0, 72.0, 110.0, 180.0] {
            for baseline in ALL {
                let read = rate(baseline, &face(bpm, 0.0, 0.0));
                assert!((read - bpm).abs() < 0.5, "{baseline:?}: {read} instead of {bpm}");
            }
        }
    }

    #[test]
    fn a_light_that_swells_deceives_green_and_no_other() {
        let colours = face(72.0, 0.03, 110.0);
        let green = rate(Baseline::Green, &colours);
        assert!((green - 110.0).abs() < 0.5, "{green}");
        for baseline in [Baseline::Chrom, Baseline::Pos] {
            let read = rate(baseline, &colours);
            assert!((read - 72.0).abs() < 0.5, "{baseline:?}: {read}");
        }
    }

    #[test]
    fn holes_and_short_traces_do_no_harm() {
        let mut colours = face(72.0, 0.0, 0.0);
        colours[100].change = None;
        for baseline in ALL {
            assert!((rate(baseline, &colours) - 72.0).abs() < 0.5);
            assert!(baseline.wave(&colours).iter().all(|v| v.is_finite()));
            assert_eq!(baseline.wave(&colours[..3]).len(), 3);
            assert!(baseline.wave(&[]).is_empty());
        }
    }
}
