//! Which lines are a highlight's.
//!
//! What a lamp's mirror image on skin brings is as white as the lamp. When it glitters all colours
//! change by as much light, and so by a larger share the darker a colour is: of skin's colours blue
//! most. Blood changes green most ([`crate::pbv::BLOOD`]). So a line of which blue has a larger share
//! than green is a highlight's.
//!
//! Unless a codec holds the chroma: then a pulse, too, comes as light alone, the same for all colours.

use std::f64::consts::TAU;
use std::ops::RangeInclusive;

use rustfft::num_complex::Complex;

use super::resample::RATE;
use super::wave::steps;

/// Change of blue over that of green, by blood (0.69, where cameras and lamps differ by a fifth or so)
/// and by white light on skin, on which red : green : blue are about 1.6 : 1.1 : 0.8.
const BLOOD: [f64; 6] = [0.4, 0.5, 0.6, 0.7, 0.8, 0.9];
const SHINE: [f64; 5] = [1.2, 1.3, 1.4, 1.5, 1.6];
/// By how many nats a highlight must explain the line better than blood does.
const BETTER: f64 = 3.0;
/// Share of both colours' mean power beside the line that is added to each one's: no two colours have
/// the same noise to the last digit.
const RIDGE: f64 = 1e-3;
/// Distances in units of one over the duration at which there is noise and nothing of the line.
const BESIDE: RangeInclusive<i32> = 2..=7;
/// Hz below which no noise is taken: faces drift.
const LOWEST: f64 = 0.3;
/// Share of the face, on average over a window's time, whose chroma a codec may hold: of ten videos of
/// living faces in which the pulse came as light alone eight had 0.6 to 0.97, two lifeless ones with a
/// highlight 0.3 and 0.4.
const HELD: f64 = 0.55;

/// Green and blue of a face in a window, and the share of its chroma that is held.
pub(super) struct Shine {
    /// Their steps, under a Hann window.
    colours: Vec<[f64; 2]>,
    held: f64,
}

impl Shine {
    /// Of the waves of green and blue; `held` is 1 where it is not known.
    pub fn new([green, blue]: [&[f64]; 2], held: f64) -> Shine {
        let turn = TAU / green.len() as f64;
        let window = (1..).map(|i| 1.0 - (turn * f64::from(i)).cos());
        let colours = steps(green).zip(steps(blue)).zip(window);
        Shine { colours: colours.map(|((g, b), hann)| [g * hann, b * hann]).collect(), held }
    }

    /// Whether the line at `rate` Hz is a highlight's.
    pub fn is(&self, rate: f64) -> bool {
        if self.held > HELD {
            return false;
        }
        let duration = self.colours.len() as f64 / RATE;
        let beside = BESIDE.flat_map(|k| [k, -k]).map(|k| rate + f64::from(k) / duration);
        let noise = Noise::new(beside.filter(|f| *f > LOWEST).map(|f| self.line(f)));
        let line = self.line(rate);
        let best = |shares: &[f64]| {
            shares.iter().map(|share| noise.explained(line, *share)).fold(0.0, f64::max)
        };
        best(&SHINE) > best(&BLOOD) + BETTER
    }

    /// Green's and blue's line.
    fn line(&self, rate: f64) -> [Complex<f64>; 2] {
        let mut line = [Complex::default(); 2];
        let (mut turned, turn) = (Complex::from(1.0), Complex::cis(-TAU * rate / RATE));
        for [green, blue] in &self.colours {
            line[0] += turned * green;
            line[1] += turned * blue;
            turned *= turn;
        }
        line
    }
}

/// The mean products of two colours' noise.
struct Noise {
    green: f64,
    both: f64,
    blue: f64,
}

impl Noise {
    /// Of lines in which there is nothing else.
    fn new(lines: impl Iterator<Item = [Complex<f64>; 2]>) -> Noise {
        let mut sum = Noise { green: 0.0, both: 0.0, blue: 0.0 };
        let mut n = 0.0;
        for [green, blue] in lines {
            n += 1.0;
            sum.green += green.norm_sqr();
            sum.both += (green * blue.conj()).re;
            sum.blue += blue.norm_sqr();
        }
        let ridge = RIDGE * (sum.green + sum.blue) / 2.0;
        Noise { green: (sum.green + ridge) / n, both: sum.both / n, blue: (sum.blue + ridge) / n }
    }

    /// How many nats of a line's likelihood in such noise are explained by a change of which blue has
    /// so large a `share` of green's: |vᵀΣ⁻¹y|² / vᵀΣ⁻¹v with v = (1, share), the best size and phase.
    fn explained(&self, [green, blue]: [Complex<f64>; 2], share: f64) -> f64 {
        // Σ⁻¹v but for the determinant.
        let (a, b) = (self.blue - self.both * share, self.green * share - self.both);
        let determinant = self.green * self.blue - self.both * self.both;
        let explained = (green * a + blue * b).norm_sqr() / ((a + share * b) * determinant);
        if explained.is_finite() { explained } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HZ: f64 = 1.4;

    /// Ten seconds of a line at [`HZ`] of which blue has a `share` of green's, in noise of the same size
    /// for both, of which `common` is the same in both.
    fn shine(share: f64, common: f64, held: f64) -> Shine {
        let mut random = fastrand::Rng::with_seed(5);
        let mut waves = [Vec::new(), Vec::new()];
        for i in 0..300 {
            let line = 1e-3 * (TAU * HZ * f64::from(i) / RATE).sin();
            let mut noise = || 1.5e-3 * (random.f64() - 0.5);
            let both = common * noise();
            waves[0].push(line + both + (1.0 - common) * noise());
            waves[1].push(share * line + both + (1.0 - common) * noise());
        }
        Shine::new(waves.each_ref().map(Vec::as_slice), held)
    }

    #[test]
    fn a_highlight_is_told_from_blood_in_any_noise() {
        for common in [0.0, 0.5, 0.95] {
            assert!(shine(1.3, common, 0.3).is(HZ), "{common}");
            assert!(!shine(0.7, common, 0.3).is(HZ), "{common}");
            // Light that changes both alike may be either's, where noise is in both.
            assert!(!shine(1.0, common, 0.3).is(HZ), "{common}");
        }
        // Beside the line there is nothing to tell.
        assert!(!shine(1.3, 0.5, 0.3).is(2.4));
    }

    #[test]
    fn nothing_is_told_where_a_codec_holds_the_chroma_or_nothing_changes() {
        assert!(!shine(1.3, 0.5, 0.7).is(HZ));
        let still = [0.0; 300];
        assert!(!Shine::new([&still, &still], 0.0).is(HZ));
        assert!(!Shine::new([&[], &[]], 0.0).is(HZ));
    }
}
