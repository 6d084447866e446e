//! Where a face is.

use super::signal::Signal;
use super::{chance, log_uniform, uniform};

/// A displacement from the place of rest.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Offset {
    /// Face widths, to the right and down.
    pub x: f64,
    pub y: f64,
    /// Radians, clockwise.
    pub angle: f64,
    /// Factor on the size.
    pub scale: f64,
}

/// How much a face moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strength {
    Still,
    Slight,
    Moderate,
    Strong,
}

impl Strength {
    /// Drawn with the shares of training: 20, 40, 30, 10 %.
    pub fn random(rng: &mut fastrand::Rng) -> Strength {
        match rng.f64() {
            u if u < 0.2 => Strength::Still,
            u if u < 0.6 => Strength::Slight,
            u if u < 0.9 => Strength::Moderate,
            _ => Strength::Strong,
        }
    }

    /// Displacement in face widths, about one standard deviation.
    fn amplitude(self) -> f64 {
        match self {
            Strength::Still => 0.0,
            Strength::Slight => 0.008,
            Strength::Moderate => 0.03,
            Strength::Strong => 0.09,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Strength::Still => "none",
            Strength::Slight => "slight",
            Strength::Moderate => "moderate",
            Strength::Strong => "strong",
        }
    }
}

/// Movement of one face: smooth functions of time.
#[derive(Clone, Debug, Default)]
pub struct Path {
    x: Signal,
    y: Signal,
    angle: Signal,
    ln_scale: Signal,
}

impl Path {
    /// Drift, sway (0.05 to 0.5 Hz) and jitter (0.5 to 3 Hz); for a quarter of the faces also a
    /// periodic nod at a rate that a pulse could have.
    pub fn random(rng: &mut fastrand::Rng, strength: Strength) -> Path {
        let mut path = Path::default();
        let size = strength.amplitude();
        if size == 0.0 {
            return path;
        }
        let nod = chance(rng, 0.25).then(|| uniform(rng, 0.7, 4.0));
        // Turning and leaning go with moving, in the proportion of a neck's length.
        let axes = [&mut path.x, &mut path.y, &mut path.angle, &mut path.ln_scale];
        for (axis, share) in axes.into_iter().zip([1.0, 0.7, 0.7, 0.35]) {
            let amplitude = size * share * log_uniform(rng, 0.5, 1.6);
            axis.sines(amplitude, 1, 0.01, 0.05, rng);
            axis.sines(amplitude, 3, 0.05, 0.5, rng);
            axis.sines(0.15 * amplitude, 4, 0.5, 3.0, rng);
            if let Some(hz) = nod {
                axis.sine(0.3 * amplitude * uniform(rng, 0.2, 1.0), hz, rng);
            }
        }
        path
    }

    /// As [`Path::random`], of another make: smooth noise instead of sines.
    pub fn wandering(rng: &mut fastrand::Rng, strength: Strength) -> Path {
        let mut path = Path::default();
        let size = 1.6 * strength.amplitude();
        if size == 0.0 {
            return path;
        }
        let axes = [&mut path.x, &mut path.y, &mut path.angle, &mut path.ln_scale];
        for (axis, share) in axes.into_iter().zip([1.0, 0.7, 0.7, 0.35]) {
            axis.noise(size * share, uniform(rng, 0.2, 0.8), rng);
            axis.noise(0.2 * size * share, uniform(rng, 1.0, 5.0), rng);
        }
        path
    }

    /// Displacement at `t` seconds.
    pub fn at(&self, t: f64) -> Offset {
        Offset {
            x: self.x.at(t),
            y: self.y.at(t),
            angle: self.angle.at(t),
            scale: self.ln_scale.at(t).exp(),
        }
    }
}

/// Turning to the sides and nodding of one head.
#[derive(Clone, Debug, Default)]
pub struct Turning {
    axes: [Signal; 2],
}

impl Turning {
    /// A head that moves by a face width turns by some 3 radians, if it could.
    pub fn random(rng: &mut fastrand::Rng, strength: Strength) -> Turning {
        let mut turning = Turning::default();
        let size = 3.0 * strength.amplitude();
        if size == 0.0 {
            return turning;
        }
        for (axis, share) in turning.axes.iter_mut().zip([1.0, 0.6]) {
            let amplitude = size * share * log_uniform(rng, 0.5, 1.6);
            axis.sines(amplitude, 2, 0.03, 0.5, rng);
            axis.noise(0.12 * amplitude, uniform(rng, 1.0, 4.0), rng);
        }
        turning
    }

    /// Radians to the side and down at `t` seconds.
    pub fn at(&self, t: f64) -> [f32; 2] {
        [0, 1].map(|i| self.axes[i].at(t).clamp(-0.4, 0.4) as f32)
    }
}

/// Place on the way across the picture and back, 0..1, 4 s each way.
pub fn carry(t: f64) -> f64 {
    1.0 - (t.rem_euclid(8.0) / 4.0 - 1.0).abs()
}

/// How far out a face is that leaves and returns, 0 in its place .. 1 gone: gone from second 20 to
/// second 24 of every 40, a second for each way before and after.
pub fn leave(t: f64) -> f64 {
    let t = t.rem_euclid(40.0);
    let way = if t < 22.0 { t - 19.0 } else { 25.0 - t };
    let way = way.clamp(0.0, 1.0);
    way * way * (3.0 - 2.0 * way)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_where_they_say() {
        assert_eq!([0.0, 2.0, 4.0, 6.0, 8.0].map(carry), [0.0, 0.5, 1.0, 0.5, 0.0]);
        assert_eq!([0.0, 19.0, 20.0, 24.0, 25.0, 60.0].map(leave), [0.0, 0.0, 1.0, 1.0, 0.0, 1.0]);
    }

    #[test]
    fn strength_orders_movement() {
        let spread = |strength| {
            let mut rng = fastrand::Rng::with_seed(5);
            let paths: Vec<Path> = (0..20).map(|_| Path::random(&mut rng, strength)).collect();
            let all = paths.iter().flat_map(|p| (0..50).map(|i| p.at(i as f64).x.powi(2)));
            (all.sum::<f64>() / 1000.0).sqrt()
        };
        let [still, slight, moderate, strong] =
            [Strength::Still, Strength::Slight, Strength::Moderate, Strength::Strong].map(spread);
        assert_eq!(still, 0.0);
        assert!(
            slight < 0.02 && 2.0 * slight < moderate && 2.0 * moderate < strong && strong < 0.3
        );
    }
}
