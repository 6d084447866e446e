//! Detrending and the Butterworth band-pass.

use std::f64::consts::PI;

use rustfft::num_complex::Complex;

/// Removes the straight line that fits `x` best in the least-squares sense.
pub fn detrend(x: &mut [f64]) {
    let n = x.len() as f64;
    if x.len() < 2 {
        x.fill(0.0);
        return;
    }
    let mean = x.iter().sum::<f64>() / n;
    let centre = (n - 1.0) / 2.0;
    let (mut xy, mut xx) = (0.0, 0.0);
    for (i, v) in x.iter().enumerate() {
        let t = i as f64 - centre;
        xy += t * (v - mean);
        xx += t * t;
    }
    for (i, v) in x.iter_mut().enumerate() {
        *v -= mean + xy / xx * (i as f64 - centre);
    }
}

/// A second-order section, transposed direct form II: b0 b1 b2 over 1 a1 a2.
#[derive(Clone, Copy, Debug)]
struct Biquad {
    b: [f64; 3],
    a: [f64; 2],
}

impl Biquad {
    /// The section of two poles whose sum and product are real, with zeros at 0 Hz and half the
    /// rate and unit gain at `peak` on the unit circle.
    fn new((p, q): (Complex<f64>, Complex<f64>), peak: Complex<f64>) -> Biquad {
        let a = [-(p + q).re, (p * q).re];
        let z1 = peak.inv();
        let z2 = z1 * z1;
        let one = Complex::new(1.0, 0.0);
        let gain = ((one + z1 * a[0] + z2 * a[1]) / (one - z2)).norm();
        Biquad { b: [gain, 0.0, -gain], a }
    }

    /// Filters in place, starting as if the first sample had stood for ever.
    fn run(&self, x: &mut [f64]) {
        let Some(&first) = x.first() else { return };
        let gain = self.b.iter().sum::<f64>() / (1.0 + self.a[0] + self.a[1]);
        let steady = gain * first;
        let mut z1 = steady - self.b[0] * first;
        let mut z2 = self.b[2] * first - self.a[1] * steady;
        for v in x {
            let y = self.b[0] * *v + z1;
            z1 = self.b[1] * *v - self.a[0] * y + z2;
            z2 = self.b[2] * *v - self.a[1] * y;
            *v = y;
        }
    }

    #[cfg(test)]
    fn response(&self, z: Complex<f64>) -> Complex<f64> {
        let z1 = z.inv();
        let z2 = z1 * z1;
        (z1 * self.b[1] + z2 * self.b[2] + self.b[0])
            / (z1 * self.a[0] + z2 * self.a[1] + Complex::new(1.0, 0.0))
    }
}

/// Butterworth band-pass of sixth order (three pairs of poles), run forward and backward so that
/// it shifts nothing in time.
#[derive(Clone, Debug)]
pub struct BandPass {
    sections: [Biquad; 3],
    /// Samples of odd extension at either end.
    pad: usize,
}

impl BandPass {
    /// Pass-band `low..high` Hz at `rate` samples a second; 0 < low < high < rate / 2.
    ///
    /// Bilinear transform of the analogue prototype with both edges pre-warped (Oppenheim and
    /// Schafer, Discrete-Time Signal Processing, section 7.2).
    pub fn new(low: f64, high: f64, rate: f64) -> BandPass {
        let warp = |f: f64| 2.0 * rate * (PI * f / rate).tan();
        let (w1, w2) = (warp(low), warp(high));
        let (centre2, width) = (w1 * w2, w2 - w1);
        // Low-pass to band-pass: each pole p becomes the two roots of s² − p·width·s + centre².
        let split = |p: Complex<f64>| {
            let half = p * (width / 2.0);
            let root = (half * half - centre2).sqrt();
            [half + root, half - root].map(|s| (s + 2.0 * rate) / (-s + 2.0 * rate))
        };
        // The prototype's poles: −1 and the pair at ±120 degrees.
        let [a, b] = split(Complex::new(-1.0, 0.0));
        let [c, d] = split(Complex::from_polar(1.0, 2.0 * PI / 3.0));
        let peak = Complex::from_polar(1.0, 2.0 * (centre2.sqrt() / (2.0 * rate)).atan());
        let sections = [(a, b), (c, c.conj()), (d, d.conj())].map(|p| Biquad::new(p, peak));
        BandPass { sections, pad: (1.5 * rate / low).ceil() as usize }
    }

    /// Filters `x` in place, zero-phase. Both ends are first extended by their own point
    /// reflection, as scipy's `filtfilt` does, over one and a half periods of the lower edge.
    pub fn run(&self, x: &mut [f64]) {
        let n = x.len();
        if n < 2 {
            x.fill(0.0);
            return;
        }
        let pad = self.pad.min(n - 1);
        let mut y = Vec::with_capacity(n + 2 * pad);
        y.extend((1..=pad).rev().map(|i| 2.0 * x[0] - x[i]));
        y.extend_from_slice(x);
        y.extend((1..=pad).map(|i| 2.0 * x[n - 1] - x[n - 1 - i]));
        for _ in 0..2 {
            self.sections.iter().for_each(|s| s.run(&mut y));
            y.reverse();
        }
        x.copy_from_slice(&y[pad..pad + n]);
    }

    #[cfg(test)]
    fn gain(&self, f: f64, rate: f64) -> f64 {
        let z = Complex::from_polar(1.0, 2.0 * PI * f / rate);
        self.sections.iter().map(|s| s.response(z).norm()).product()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edges_are_three_decibels_down_and_the_slopes_of_third_order() {
        let filter = BandPass::new(40.0 / 60.0, 4.0, 30.0);
        let db = |f: f64| 20.0 * filter.gain(f, 30.0).log10();
        assert!((db(40.0 / 60.0) + 3.01).abs() < 0.02, "{}", db(40.0 / 60.0));
        assert!((db(4.0) + 3.01).abs() < 0.02, "{}", db(4.0));
        assert!(db(1.6).abs() < 0.01);
        // 18 dB an octave well below the band.
        assert!((db(0.05) - db(0.025) - 18.06).abs() < 0.3);
    }

    #[test]
    fn a_sine_in_the_band_passes_unshifted_and_a_line_does_not() {
        let filter = BandPass::new(40.0 / 60.0, 4.0, 30.0);
        let wave = |i: usize| (2.0 * PI * 1.5 * i as f64 / 30.0).sin();
        let mut x: Vec<f64> = (0..300).map(wave).collect();
        filter.run(&mut x);
        for (i, v) in x.iter().enumerate().skip(45).take(210) {
            assert!((v - wave(i)).abs() < 0.03, "{i}: {v} {}", wave(i));
        }
        let mut line: Vec<f64> = (0..300).map(|i| 5.0 + 0.25 * i as f64).collect();
        detrend(&mut line);
        filter.run(&mut line);
        assert!(line.iter().all(|v| v.abs() < 1e-9));
    }
}
