//! Blood in changes of colour.
//!
//! Blood changes red, green and blue of skin in a proportion that is known. Of all weighted sums of
//! the three in which such a change keeps its size, the one of the least power has the least of
//! everything else (de Haan and van Leest 2014, "Improved motion robustness of remote-PPG by using
//! the blood volume pulse signature", Physiological Measurement 35).

/// Relative changes of red, green and blue by blood, in that proportion, as cameras see them (de
/// Haan and van Leest; red or blue off by a fifth to a third costs a third of the gain at most).
pub const BLOOD: [f64; 3] = [0.33, 0.77, 0.53];

/// A weighted sum of changes of red, green and blue, in which a change by [`BLOOD`] is 1.
#[derive(Clone, Copy, Debug)]
pub struct Sum {
    pub weights: [f64; 3],
    /// Of the sum, in the units of the colours'.
    pub power: f64,
}

impl Sum {
    /// The one of least power of colours whose mean products are `power`, each with an independent
    /// `noise` more, so that a grey picture has one, too. `None` where there is no power.
    pub fn of_least_power(power: &[[f64; 3]; 3], noise: f64) -> Option<Sum> {
        Sum::keeping(&BLOOD, power, noise)
    }

    /// The like in which a `change` of red, green and blue is 1, not [`BLOOD`].
    pub fn keeping(change: &[f64; 3], power: &[[f64; 3]; 3], noise: f64) -> Option<Sum> {
        let mean = (0..3).map(|c| power[c][c]).sum::<f64>() / 3.0;
        if !mean.is_normal() {
            return None;
        }
        let entry = |a: usize, b: usize| (power[a][b] + if a == b { noise } else { 0.0 }) / mean;
        let [a, b, c] = &[0, 1, 2].map(|a| [0, 1, 2].map(|b| entry(a, b)));
        // The inverse's columns, but for the determinant.
        let columns = [cross(b, c), cross(c, a), cross(a, b)];
        let determinant = dot(a, &columns[0]);
        let weights: [f64; 3] =
            std::array::from_fn(|i| (0..3).map(|c| change[c] * columns[c][i]).sum());
        let size = dot(change, &weights);
        let sum = Sum { weights: weights.map(|w| w / size), power: mean * determinant / size };
        (sum.power.is_normal() && sum.power > 0.0).then_some(sum)
    }

    /// Where nothing is known of the noise: the same in all colours.
    pub fn plain() -> Sum {
        let size = dot(&BLOOD, &BLOOD);
        Sum { weights: BLOOD.map(|b| b / size), power: 1.0 }
    }
}

pub fn dot(a: &[f64; 3], b: &[f64; 3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn cross(a: &[f64; 3], b: &[f64; 3]) -> [f64; 3] {
    std::array::from_fn(|i| {
        let (j, k) = ((i + 1) % 3, (i + 2) % 3);
        a[j] * b[k] - a[k] * b[j]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_least_power_keeps_blood_and_loses_the_rest() {
        // Blood of power 1, and shade of power 100 that changes all colours alike.
        let power = |shade: f64| {
            [0, 1, 2].map(|a: usize| [0, 1, 2].map(|b: usize| BLOOD[a] * BLOOD[b] + shade))
        };
        let sum = Sum::of_least_power(&power(100.0), 1e-6).unwrap();
        assert!((dot(&sum.weights, &BLOOD) - 1.0).abs() < 1e-9);
        assert!(sum.weights.iter().sum::<f64>().abs() < 1e-3, "{sum:?}");
        assert!((sum.power - 1.0).abs() < 1e-3, "{sum:?}");
        // With nothing else it is the plain one.
        let alone = Sum::of_least_power(&power(0.0), 1e-3).unwrap();
        let plain = Sum::plain();
        let apart = alone.weights.iter().zip(plain.weights).map(|(a, b)| (a - b).abs());
        assert!(apart.fold(0.0, f64::max) < 1e-6, "{alone:?} {plain:?}");
        assert!(Sum::of_least_power(&[[0.0; 3]; 3], 0.0).is_none());
        assert!(Sum::of_least_power(&[[f64::NAN; 3]; 3], 1.0).is_none());
    }
}
