//! The wave of one window and what is read off it.

use super::chroma::Colours;
use super::circumstances::Circumstances;
use super::estimator::Config;
use super::filter::{BandPass, detrend};
use super::resample::{Integral, RATE};
use super::shine::Shine;
use super::spectrum::Spectrum;

/// Half the width in Hz (3 bpm) of the search for the spectrum's peak around the tracked rate.
const PEAK_SEARCH: f64 = 3.0 / 60.0;
/// As far (Hz) from a lamp's rate a face that breathes and nods in its light may have lines of the
/// light.
const MODULATED: f64 = 0.5;
/// Up to which multiple of a lamp's rate, and how far (Hz) from it, a face has lines of the light.
const HARMONICS: u32 = 3;
const HARMONIC_WIDTH: f64 = 0.2;
/// Steps of the grid by which light and movement are looked at before and after: a network's scale
/// lags behind, and the grid may lie between frames.
const LAGS: [isize; 3] = [0, 1, -1];
/// A lag is of its own if this share of its power is not in those before.
const INDEPENDENT: f64 = 1e-3;
/// Movement (sides of the crop) within a step of the grid below which it explains little: for
/// resting faces in encoded videos the registration gives a tenth of that as shift, and up to half of
/// it as growth.
const STILL: f64 = 1e-3;
/// Movement has made a line if it leaves less than this share of its power.
const LEFT: f64 = 0.5;
/// The first harmonic of a pulse has at most half its amplitude, that of its rate of change as much;
/// noise adds to either. Above this ratio of their powers a line is half of one that no heart makes.
const HARMONIC: f64 = 2.0;
/// A wave below this share of the samples' running sum is rounding.
const ROUNDING: f64 = 1e-9;

/// The wave of one window, without what the light makes of it, and its spectra.
pub(super) struct Wave {
    /// Without trend, band-passed.
    pub filtered: Vec<f64>,
    /// Of that.
    pub spectrum: Spectrum,
    /// Of the wave's rate of change, unfiltered.
    pub derivative: Spectrum,
    /// The like, with what the light makes of it.
    pub lit: Spectrum,
    /// As `derivative`, without what goes with the movement, where the face moves.
    pub still: Option<Spectrum>,
    /// Of the waves in the face's colours.
    pub colours: Colours<Colour>,
    /// What of the colours may be a highlight's.
    pub shine: Shine,
}

/// Spectra of a wave beside the network's, made as those of the same name in [`Wave`].
pub(super) struct Colour {
    pub derivative: Spectrum,
    spectrum: Spectrum,
}

impl Colour {
    fn new(mut wave: Vec<f64>, filter: &BandPass) -> Colour {
        let derivative = slope(&wave);
        filter.run(&mut wave);
        Colour { derivative, spectrum: Spectrum::new(&wave) }
    }
}

impl Wave {
    /// Of the last `config.window` seconds, under such `circumstances`; `None` where the samples hold
    /// nothing but rounding.
    pub fn new(
        integral: &Integral,
        config: &Config,
        filter: &BandPass,
        circumstances: &Circumstances,
    ) -> Option<Wave> {
        let Circumstances { light, path, chroma } = circumstances;
        let mut wave = integral.wave(config.window, config.derivative);
        let scale = wave.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        detrend(&mut wave);
        let lit = slope(&wave);
        let around = [light.around(config)];
        cancel(&mut wave, &around, 0.0);
        let size = wave.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        if wave.len() < 3 || !size.is_finite() || size <= ROUNDING * scale {
            return None;
        }
        let derivative = slope(&wave);
        let mut still = wave.clone();
        let still = cancel(&mut still, &path.waves(config), STILL).then(|| slope(&still));
        let (colours, shine) = chroma.waves(&around, filter, config);
        let colours = colours.map(|wave| Colour::new(wave, filter));
        filter.run(&mut wave);
        Some(Wave {
            spectrum: Spectrum::new(&wave),
            derivative,
            filtered: wave,
            lit,
            still,
            colours,
            shine,
        })
    }

    /// The peak near `rate`, within the `band` (Hz). The band-pass makes a peak of any slope across
    /// its edge: one that the unfiltered spectrum does not have, too, is none. Nor is the foot of a
    /// line beyond the edge. Where the colours show the pulse as well, the peak of both together is the
    /// likeliest rate of a line in noise of either's own level.
    pub fn peak(&self, rate: f64, band: (f64, f64)) -> Option<f64> {
        let (low, high) = ((rate - PEAK_SEARCH).max(band.0), (rate + PEAK_SEARCH).min(band.1));
        let own = self.derivative.peak(low, high).and(self.spectrum.peak(low, high))?;
        let together = |colour: &Colour| self.spectrum.beside(&colour.spectrum).peak(low, high);
        let Colours { mean, quiet } = &self.colours;
        quiet.as_ref().or(mean.as_ref()).and_then(together).or(Some(own))
    }

    /// Whether what stands at `rate` Hz may be made of the stronger line of one of the `lamps`: by
    /// movement, which modulates it, or as a harmonic, which a network makes of any line.
    pub fn shares(&self, rate: f64, lamps: &[f64]) -> bool {
        let own = self.derivative.line(rate);
        let near = |lamp: f64| {
            (lamp - rate).abs() < MODULATED
                || (2..=HARMONICS).any(|k| (f64::from(k) * lamp - rate).abs() < HARMONIC_WIDTH)
        };
        let stronger = |lamp: f64| self.lit.line(lamp) > own;
        lamps.iter().any(|lamp| near(*lamp) && stronger(*lamp))
    }

    /// Whether what stands at `rate` Hz is half of a higher line, of a codec or a machine.
    pub fn is_half(&self, rate: f64) -> bool {
        self.derivative.line(2.0 * rate) > HARMONIC * self.derivative.line(rate)
    }

    /// Whether most of what stands at `rate` Hz goes with the movement.
    pub fn moves(&self, rate: f64) -> bool {
        let whole = self.derivative.line(rate);
        self.still.as_ref().is_some_and(|s| s.line(rate) < LEFT * whole)
    }

    /// The lower of the signal-to-noise ratios of the two halves.
    pub fn half_snr(&self, rate: f64) -> f64 {
        let (a, b) = self.filtered.split_at(self.filtered.len() / 2);
        Spectrum::new(a).snr(rate).min(Spectrum::new(b).snr(rate))
    }
}

/// The spectrum of the rate of change.
pub(super) fn slope(wave: &[f64]) -> Spectrum {
    let mut slope: Vec<f64> = steps(wave).map(|s| s * RATE).collect();
    detrend(&mut slope);
    Spectrum::new(&slope)
}

pub(super) fn steps(wave: &[f64]) -> impl Iterator<Item = f64> {
    wave.windows(2).map(|w| w[1] - w[0])
}

/// Takes out of a wave what goes with the waves `beside` it, now and a step of the grid before and
/// after (least squares over the steps, by Gram and Schmidt). Steps beside it that are no larger
/// than `noise` take little out (ridge regression, Hoerl and Kennard, 1970). Leaves a wave without
/// a trend; whether there was anything to take out.
pub(super) fn cancel(wave: &mut [f64], beside: &[Vec<f64>], noise: f64) -> bool {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut left: Vec<f64> = steps(wave).collect();
    let n = left.len();
    let columns = columns(beside, n, noise * (n as f64).sqrt());
    left.resize(n + columns.len(), 0.0);
    let mut known: Vec<Vec<f64>> = Vec::new();
    for mut new in columns {
        let before = dot(&new, &new);
        for line in &known {
            let share = dot(&new, line);
            subtract(&mut new, line, share);
        }
        let after = dot(&new, &new);
        // What does not change has nothing to take out, nor has one that another says all of.
        if after > INDEPENDENT * before && after.is_normal() {
            new.iter_mut().for_each(|v| *v /= after.sqrt());
            let share = dot(&left, &new);
            subtract(&mut left, &new, share);
            known.push(new);
        }
    }
    if !known.is_empty() {
        integrate(&left[..n], wave);
        detrend(wave);
    }
    !known.is_empty()
}

/// The steps of each wave at each lag, `n` of them, and behind them a row of the ridge: `ridge` at
/// the column's own place.
fn columns(waves: &[Vec<f64>], n: usize, ridge: f64) -> Vec<Vec<f64>> {
    let mut columns = Vec::new();
    let count = waves.len() * LAGS.len();
    for wave in waves {
        let mut wave = wave.clone();
        detrend(&mut wave);
        let steps: Vec<f64> = steps(&wave).collect();
        if steps.iter().all(|s| *s == 0.0) {
            continue;
        }
        for lag in LAGS {
            let at = |i: usize| i.checked_add_signed(lag).and_then(|i| steps.get(i));
            let mut column: Vec<f64> = (0..n).map(|i| at(i).copied().unwrap_or(0.0)).collect();
            column.resize(n + count, 0.0);
            column[n + columns.len()] = ridge;
            columns.push(column);
        }
    }
    columns
}

/// Makes of `wave` the running sum of `steps`.
fn integrate(steps: &[f64], wave: &mut [f64]) {
    for (i, step) in steps.iter().enumerate() {
        wave[i + 1] = wave[i] + step;
    }
}

fn subtract(from: &mut [f64], what: &[f64], times: f64) {
    from.iter_mut().zip(what).for_each(|(a, b)| *a -= times * b);
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::super::resample::Sample;
    use super::*;

    #[test]
    fn what_goes_with_the_light_around_is_taken_out_and_the_pulse_stays() {
        let mut random = fastrand::Rng::with_seed(5);
        let (mut level, mut light) = (0.0, Vec::new());
        for _ in 0..301 {
            level += random.f64() - 0.5;
            light.push(level);
        }
        let pulse = |i: usize| (TAU * 1.3 * i as f64 / RATE).cos();
        // A camera's light, half of it a step late.
        let lit = |i: usize| 3.0 * light[i] + 3.0 * light[i.saturating_sub(1)];
        let mut wave: Vec<f64> = (0..301).map(|i| pulse(i) + lit(i)).collect();
        let mut expected: Vec<f64> = (0..301).map(pulse).collect();
        detrend(&mut wave);
        detrend(&mut expected);
        let off = |wave: &[f64]| {
            wave.iter().zip(&expected).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / 301.0
        };
        let before = off(&wave);
        cancel(&mut wave, &[light], 0.0);
        // The pulse has a mean square of a half.
        assert!(before > 10.0 && off(&wave) < 0.05, "{before} {}", off(&wave));
    }

    #[test]
    fn light_that_rests_or_is_unknown_changes_nothing() {
        let pulse: Vec<f64> = (0..301).map(|i| (TAU * 1.3 * i as f64 / RATE).cos()).collect();
        for around in [vec![0.0; 301], vec![7.0; 301], Vec::new()] {
            let mut wave = pulse.clone();
            cancel(&mut wave, &[around], 0.0);
            let most = wave.iter().zip(&pulse).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(most < 1e-9, "{most}");
        }
    }

    #[test]
    fn what_goes_with_a_movement_is_taken_out_unless_it_is_too_small() {
        let pulse = |i: usize| (TAU * 1.3 * i as f64 / RATE).cos();
        let nod = |i: usize| (TAU * 2.1 * i as f64 / RATE).sin();
        let left = |size: f64, hz: f64| {
            let mut wave: Vec<f64> = (0..301).map(|i| pulse(i) + nod(i)).collect();
            let path = (0..301).map(|i| size * nod(i)).collect();
            cancel(&mut wave, &[path, vec![0.0; 301], Vec::new()], STILL);
            slope(&wave).line(hz) / slope(&(0..301).map(pulse).collect::<Vec<f64>>()).line(1.3)
        };
        // A nod by a hundredth of the crop, and its power of 2.6 that of the pulse.
        assert!(left(0.01, 2.1) < 0.01 && left(0.01, 1.3) > 0.95);
        assert!(left(0.00001, 2.1) > 2.5);
    }

    /// The wave of ten seconds in which its rate of change has lines of such rates (Hz) and heights.
    fn wave(lines: &[(f64, f64)]) -> Wave {
        let mut integral = Integral::default();
        for i in 1..=330 {
            let time = f64::from(i) / 30.0;
            let value = lines.iter().map(|(hz, height)| height * (TAU * hz * time).cos()).sum();
            integral.push(Sample { time, value, interval: Some(1.0 / 30.0) });
        }
        let filter = BandPass::new(40.0 / 60.0, 4.0, RATE);
        Wave::new(&integral, &Config::default(), &filter, &Circumstances::default()).unwrap()
    }

    #[test]
    fn what_may_be_made_of_a_lamps_line_is_told_from_a_pulse() {
        let wave = wave(&[(1.2, 5.0), (1.5, 1.0), (2.0, 1.0), (3.6, 1.0)]);
        // Modulated by movement, its third harmonic, and neither.
        assert!(wave.shares(1.5, &[1.2]) && wave.shares(3.6, &[1.2]) && !wave.shares(2.0, &[1.2]));
        // Beside a lamp that is no stronger, and without any.
        assert!(!wave.shares(1.2, &[1.5]) && !wave.shares(1.5, &[]));
    }

    #[test]
    fn a_line_under_a_higher_one_at_twice_its_rate_is_half_of_that() {
        // The steepest pulse's first harmonic changes as fast as its fundamental.
        assert!(!wave(&[(1.2, 1.0), (2.4, 1.0)]).is_half(1.2));
        assert!(wave(&[(1.2, 1.0), (2.4, 2.0)]).is_half(1.2));
        // Beyond the band, too.
        assert!(wave(&[(2.3, 1.0), (4.6, 2.0)]).is_half(2.3));
    }
}
