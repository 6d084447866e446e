//! Flicker that a camera and a network fold into the band.
//!
//! Lamps flicker at twice the mains frequency, which a camera's frame rate folds to a line above
//! the band of the pulse. A network that is driven hard by it adds the line's second and third
//! harmonics, and the frame rate folds those once more: they may come to lie anywhere, sharp and
//! steady as no pulse is.

use super::spectrum::{LINE, Spectrum};

/// Where such lines are looked for, in Hz: above the harmonics of a pulse.
const ABOVE: f64 = 5.0;
/// A harmonic has at most a ninth of its line's power (that of a square wave, third to first). But
/// the network weakens the line more than what is folded into the band, and resampling takes away
/// from a line near half the frame rate: three and five times the power have been seen.
const STRONGER: f64 = 1.5;
/// Harmonics that have been seen to be folded into the band.
const HARMONICS: [f64; 2] = [2.0, 3.0];
/// So many times the frame rate may lie between a harmonic and where it is folded to: the third of
/// half the frame rate is one and a half times the frame rate away.
const FOLDS: i32 = 2;

/// Whether the line at `rate` Hz in the spectrum of the wave's rate of change, taken at
/// `frame_rate` frames a second, is a folded harmonic of a stronger one.
pub fn is_folded(derivative: &Spectrum, rate: f64, frame_rate: f64) -> bool {
    let width = LINE / derivative.duration();
    let Some(line) = derivative.peak(ABOVE, frame_rate / 2.0) else { return false };
    derivative.line(line) > STRONGER * derivative.line(rate)
        && HARMONICS.iter().any(|h| (folded(h * line, frame_rate) - rate).abs() < width)
}

/// Where (Hz) a line may lie that `frame_rate` frames a second can show and of which a harmonic
/// would appear at `rate` Hz.
pub fn origins(rate: f64, frame_rate: f64) -> impl Iterator<Item = f64> {
    let seen = ABOVE..frame_rate / 2.0;
    let whole = (0..=FOLDS).flat_map(move |k| {
        let far = f64::from(k) * frame_rate;
        [far - rate, far + rate]
    });
    whole.flat_map(|f| HARMONICS.map(|h| f / h)).filter(move |f| seen.contains(f))
}

/// Where `f` Hz appears at `frame_rate` frames a second.
pub fn folded(f: f64, frame_rate: f64) -> f64 {
    (f - (f / frame_rate).round() * frame_rate).abs()
}

#[cfg(test)]
mod tests {
    use super::super::resample::RATE;
    use super::*;
    use std::f64::consts::TAU;

    fn spectrum(lines: &[(f64, f64)]) -> Spectrum {
        let value = |t: f64| lines.iter().map(|(f, a)| a * (TAU * f * t).sin()).sum::<f64>();
        let wave: Vec<f64> = (0..300).map(|i| value(i as f64 / RATE)).collect();
        Spectrum::new(&wave)
    }

    #[test]
    fn a_third_harmonic_is_recognised_where_it_folds_to() {
        // 3 × 10.25 = 30.75 Hz appears at 0.75.
        assert!(is_folded(&spectrum(&[(10.25, 1.0), (0.75, 0.3)]), 0.75, 30.0));
        // 2 × 12.9 = 25.8 Hz appears at 1.2 at 27 frames/s.
        assert!(is_folded(&spectrum(&[(12.9, 1.0), (1.2, 0.3)]), 1.2, 27.0));
    }

    #[test]
    fn the_origins_of_a_line_are_those_that_fold_to_it() {
        for (rate, frame_rate) in [(0.75, 30.0), (1.2, 27.0), (3.1, 25.0), (2.0, 15.0)] {
            let origins: Vec<f64> = origins(rate, frame_rate).collect();
            let folds =
                |f: f64| HARMONICS.iter().any(|h| (folded(h * f, frame_rate) - rate).abs() < 1e-9);
            assert!(origins.iter().all(|f| folds(*f)), "{rate} {frame_rate}: {origins:?}");
            let steps = (0..).map(|i| ABOVE + f64::from(i) * 1e-3);
            for f in steps.take_while(|f| *f < frame_rate / 2.0) {
                let near = |h: &f64| (folded(h * f, frame_rate) - rate).abs() < 1e-3;
                let known = origins.iter().any(|o| (o - f).abs() < 2e-3);
                assert!(known || !HARMONICS.iter().any(near), "{f} of {rate} at {frame_rate}");
            }
        }
    }

    #[test]
    fn a_pulse_beside_flicker_is_none() {
        assert!(!is_folded(&spectrum(&[(10.25, 1.0), (1.2, 0.3)]), 1.2, 30.0));
        assert!(!is_folded(&spectrum(&[(10.25, 1.0), (0.75, 1.0)]), 0.75, 30.0));
    }
}
