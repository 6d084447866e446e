//! Fills holes in an even series with what the rest of it predicts.
//!
//! Every value is taken for a weighted sum of those before it, plus noise (an autoregressive
//! model), which holds for lines as for coloured noise of any kind. The missing values are those
//! that leave the least noise, the weights are fitted to the series so filled, and so on in turn
//! (Janssen, Veldhuis and Vries, "Adaptive interpolation of discrete-time signals that can be
//! modeled as autoregressive processes", 1986). A curve through the neighbours instead would put
//! images of everything fast, the flicker of lamps first, into the pulse's band.

/// Values that a value is predicted from, at most: a second at 30 Hz. How many is up to the
/// series: few for noise, where each one more adds to the error of the fit, many for lines.
const ORDER: usize = 32;
/// That many times as many values are needed.
const VALUES: usize = 4;
/// Rounds at most, and the share of the energy that a round changes at least for another to
/// follow. Noise needs few, lines more: what is missing regularly looks like lines at first.
const ROUNDS: usize = 12;
const CHANGED: f64 = 1e-6;

/// Replaces the `values` that are not `known`. Does nothing where none is known.
pub fn fill(values: &mut [f64], known: &[bool]) {
    let n = known.iter().filter(|k| **k).count();
    if n == 0 || n == values.len() {
        return;
    }
    let mean =
        values.iter().zip(known).filter(|(_, k)| **k).map(|(v, _)| v).sum::<f64>() / n as f64;
    values.iter_mut().zip(known).for_each(|(v, k)| *v = if *k { *v - mean } else { 0.0 });
    let order = ORDER.min(values.len() / VALUES);
    for _ in 0..ROUNDS {
        let weights = burg(values, order);
        let change = predict(values, known, &weights);
        if change <= CHANGED * values.iter().map(|v| v * v).sum::<f64>() {
            break;
        }
    }
    values.iter_mut().for_each(|v| *v += mean);
}

/// The prediction error filter, its first weight being 1, by Burg's method ("Maximum entropy
/// spectral analysis", 1975), of the order up to `order` that the corrected criterion of Akaike
/// prefers (Hurvich and Tsai, "Regression and time series model selection in small samples", 1989).
fn burg(x: &[f64], order: usize) -> Vec<f64> {
    let n = x.len() as f64;
    let mut weights = vec![1.0];
    let (mut best, mut least, mut noise) = (weights.clone(), 0.0, 0.0);
    let (mut forward, mut backward) = (x.to_vec(), x.to_vec());
    for m in 1..=order.min(x.len().saturating_sub(1)) {
        let pairs = || forward[m..].iter().zip(&backward[m - 1..]);
        let product: f64 = pairs().map(|(f, b)| f * b).sum();
        let energy: f64 = pairs().map(|(f, b)| f * f + b * b).sum();
        if energy <= 0.0 {
            break;
        }
        let reflection = -2.0 * product / energy;
        noise += (1.0 - reflection * reflection).max(f64::MIN_POSITIVE).ln();
        weights.push(0.0);
        let reversed: Vec<f64> = weights.iter().rev().copied().collect();
        weights.iter_mut().zip(&reversed).for_each(|(w, r)| *w += reflection * r);
        // Against order 0, which has one parameter, the variance.
        let penalty = |m: f64| (n + m) / (n - m - 2.0);
        let criterion = noise + penalty(m as f64) - penalty(0.0);
        if criterion < least {
            (best, least) = (weights.clone(), criterion);
        }
        for i in (m..x.len()).rev() {
            let (f, b) = (forward[i], backward[i - 1]);
            forward[i] = f + reflection * b;
            backward[i] = b + reflection * f;
        }
    }
    best
}

/// Sets the values that are not `known` so that the filter `weights`, run over `values` forward
/// and backward, leaves the least energy. Returns the energy of what it changed.
fn predict(values: &mut [f64], known: &[bool], weights: &[f64]) -> f64 {
    let unknown: Vec<usize> = (0..values.len()).filter(|i| !known[*i]).collect();
    let reversed: Vec<f64> = weights.iter().rev().copied().collect();
    let mut system = Banded::new(unknown.len(), weights.len());
    let mut first = 0;
    for start in 0..=values.len() - weights.len() {
        while first < unknown.len() && unknown[first] < start {
            first += 1;
        }
        let inside = |i: &&usize| **i < start + weights.len();
        let places: Vec<usize> =
            unknown[first..].iter().take_while(inside).map(|i| i - start).collect();
        if places.is_empty() {
            continue;
        }
        for filter in [weights, &reversed] {
            let window = filter.iter().zip(&values[start..]).zip(&known[start..]);
            let rest: f64 = window.filter(|(_, k)| **k).map(|((w, v), _)| w * v).sum();
            system.add(first, places.iter().map(|i| filter[*i]), -rest);
        }
    }
    let set = |(i, v): (&usize, f64)| (std::mem::replace(&mut values[*i], v) - v).powi(2);
    unknown.iter().zip(system.solve()).map(set).sum()
}

/// Normal equations in which an unknown meets only those less than a width before it.
struct Banded {
    /// Of each row the diagonal, then the entries to the left of it.
    rows: Vec<Vec<f64>>,
    right: Vec<f64>,
}

impl Banded {
    fn new(n: usize, width: usize) -> Banded {
        Banded { rows: vec![vec![0.0; width]; n], right: vec![0.0; n] }
    }

    /// Adds the equation Σ `factors` · unknowns = `right`, the unknowns being those from `first`.
    fn add(&mut self, first: usize, factors: impl Iterator<Item = f64> + Clone, right: f64) {
        for (i, a) in factors.clone().enumerate() {
            let row = &mut self.rows[first + i];
            factors.clone().take(i + 1).enumerate().for_each(|(j, b)| row[i - j] += a * b);
            self.right[first + i] += a * right;
        }
    }

    /// The unknowns, by Cholesky's factors.
    fn solve(mut self) -> Vec<f64> {
        let n = self.right.len();
        let width = self.rows.first().map_or(0, Vec::len);
        for i in 0..n {
            for j in (i + 1).saturating_sub(width)..=i {
                let from = (i + 1).saturating_sub(width).max((j + 1).saturating_sub(width));
                let sum: f64 = (from..j).map(|k| self.rows[i][i - k] * self.rows[j][j - k]).sum();
                let rest = self.rows[i][i - j] - sum;
                self.rows[i][i - j] = if i == j {
                    rest.max(f64::MIN_POSITIVE).sqrt()
                } else {
                    rest / self.rows[j][0]
                };
            }
            let sum: f64 = ((i + 1).saturating_sub(width)..i)
                .map(|k| self.rows[i][i - k] * self.right[k])
                .sum();
            self.right[i] = (self.right[i] - sum) / self.rows[i][0];
        }
        for i in (0..n).rev() {
            let sum: f64 =
                (i + 1..n.min(i + width)).map(|k| self.rows[k][k - i] * self.right[k]).sum();
            self.right[i] = (self.right[i] - sum) / self.rows[i][0];
        }
        self.right
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    /// What is left of `wave` after holes were filled, root mean square over the holes.
    fn error(wave: &[f64], missing: impl Fn(usize) -> bool) -> f64 {
        let known: Vec<bool> = (0..wave.len()).map(|i| !missing(i)).collect();
        let mut filled: Vec<f64> =
            wave.iter().zip(&known).map(|(v, k)| if *k { *v } else { f64::NAN }).collect();
        fill(&mut filled, &known);
        let off = (0..wave.len()).filter(|i| !known[*i]).map(|i| (filled[i] - wave[i]).powi(2));
        (off.clone().sum::<f64>() / off.count() as f64).sqrt()
    }

    #[test]
    fn lines_of_any_frequency_are_filled() {
        let line = |f: f64, i: usize| (TAU * f * i as f64 / 30.0 + f).cos();
        let wave: Vec<f64> =
            (0..300).map(|i| 5.0 + line(1.3, i) + 3.0 * line(12.9, i) + line(9.0, i)).collect();
        // A regular hole makes images of the lines, and where an image falls on the wrong phase
        // the rounds may end at it; so most phases, not all.
        let filled = |phase: &usize| error(&wave, |i| i % 10 == *phase) < 0.3;
        let n = (0..10).filter(filled).count();
        assert!(n >= 8, "{n} of 10");
        let off = error(&wave, |i| (100..110).contains(&i));
        assert!(off < 0.3, "{off}");
    }

    #[test]
    fn noise_is_not_invented() {
        let mut random = fastrand::Rng::with_seed(1);
        let white: Vec<f64> = (0..300).map(|_| random.f64() - 0.5).collect();
        let off = error(&white, |i| i % 10 == 3);
        // Its standard deviation, 0.29, and what the fit costs.
        assert!(off < 0.4, "{off}");
        assert_eq!(error(&[0.0; 300], |i| i % 10 == 3), 0.0);
    }

    #[test]
    fn nothing_known_and_few_values_do_no_harm() {
        let mut values = [1.0, f64::NAN, 3.0];
        fill(&mut values, &[true, false, true]);
        assert!(values[1].is_finite());
        fill(&mut values, &[false; 3]);
        fill(&mut [], &[]);
    }
}
