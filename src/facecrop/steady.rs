//! The rectangle that rests while the face rests.

/// Centre and size of a box: x, y of the centre, w, h, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FaceBox {
    pub cx: f64,
    pub cy: f64,
    pub w: f64,
    pub h: f64,
}

impl FaceBox {
    /// From x, y, w, h.
    pub fn from_rect([x, y, w, h]: [f64; 4]) -> Self {
        Self { cx: x + w / 2.0, cy: y + h / 2.0, w, h }
    }

    /// As x, y, w, h.
    pub fn rect(&self) -> [f64; 4] {
        [self.cx - self.w / 2.0, self.cy - self.h / 2.0, self.w, self.h]
    }

    /// Its longer side, from which the crop is made.
    pub fn size(&self) -> f64 {
        self.w.max(self.h)
    }

    /// Distance of the centres.
    pub fn distance(&self, other: &FaceBox) -> f64 {
        (self.cx - other.cx).hypot(self.cy - other.cy)
    }

    /// The box `share` (0..1) of the way to `other`.
    pub fn towards(&self, other: &FaceBox, centre: f64, size: f64) -> FaceBox {
        FaceBox {
            cx: self.cx + centre * (other.cx - self.cx),
            cy: self.cy + centre * (other.cy - self.cy),
            w: self.w + size * (other.w - self.w),
            h: self.h + size * (other.h - self.h),
        }
    }
}

/// A centre farther than this share of the face's size has moved; the detector's jitter is a tenth
/// of it (0.5 % standard deviation).
const CENTRE_LEFT: f64 = 0.05;
/// Movement has ended when the rectangle is this near.
const CENTRE_REACHED: f64 = 0.01;
/// The same for the size, whose jitter is 1.1 %.
const SIZE_LEFT: f64 = 0.1;
const SIZE_REACHED: f64 = 0.03;
/// Time in which small errors fade, seconds.
const CALM: f64 = 0.1;
/// An error of this share of the size is made good at once, smaller ones more gently.
const AT_ONCE: f64 = 0.15;

/// A rectangle with a dead band: it rests until the face has left it, then follows in smooth steps
/// until it has caught up.
#[derive(Clone, Debug)]
pub struct Steady {
    face: FaceBox,
    moving: bool,
    resizing: bool,
}

impl Steady {
    pub fn new(face: FaceBox) -> Self {
        Self { face, moving: false, resizing: false }
    }

    /// Where the rectangle is.
    pub fn face(&self) -> &FaceBox {
        &self.face
    }

    /// Takes the rectangle `dt` seconds further after the face at `target`.
    pub fn update(&mut self, target: &FaceBox, dt: f64) {
        let size = self.face.size().max(1.0);
        let away = self.face.distance(target) / size;
        let grown = (target.w - self.face.w).abs().max((target.h - self.face.h).abs()) / size;
        self.moving = away > if self.moving { CENTRE_REACHED } else { CENTRE_LEFT };
        self.resizing = grown > if self.resizing { SIZE_REACHED } else { SIZE_LEFT };
        let calm = 1.0 - (-dt / CALM).exp();
        let gain = |on: bool, error: f64| {
            if on { calm.max((error / AT_ONCE).min(1.0)) } else { 0.0 }
        };
        let (centre, size) = (gain(self.moving, away), gain(self.resizing, grown));
        self.face = self.face.towards(target, centre, size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACE: FaceBox = FaceBox { cx: 300.0, cy: 200.0, w: 80.0, h: 100.0 };

    #[test]
    fn a_resting_face_is_left_alone() {
        let mut steady = Steady::new(FACE);
        let mut random = fastrand::Rng::with_seed(1);
        let mut jitter =
            |std: f64| std * 100.0 * (0..12).map(|_| random.f64()).sum::<f64>() - 6.0 * std * 100.0;
        for _ in 0..10_000 {
            let seen = FaceBox {
                cx: FACE.cx + jitter(0.005),
                cy: FACE.cy + jitter(0.005),
                w: FACE.w + jitter(0.011),
                h: FACE.h + jitter(0.011),
            };
            steady.update(&seen, 1.0 / 30.0);
            assert_eq!(*steady.face(), FACE);
        }
    }

    #[test]
    fn a_moving_face_is_followed_within_a_tenth_of_its_size() {
        let mut steady = Steady::new(FACE);
        for i in 0..120 {
            let target = FaceBox { cx: FACE.cx + 160.0 * f64::from(i) / 30.0, ..FACE };
            steady.update(&target, 1.0 / 30.0);
            assert!(steady.face().distance(&target) < 10.0, "{i}: {:?}", steady.face());
        }
    }

    #[test]
    fn it_comes_to_rest_where_the_face_does() {
        let mut steady = Steady::new(FACE);
        let target = FaceBox { cx: 310.0, cy: 200.0, w: 96.0, h: 120.0 };
        for _ in 0..30 {
            steady.update(&target, 1.0 / 30.0);
        }
        let rest = *steady.face();
        assert!(rest.distance(&target) < 1.5 && (rest.w - 96.0).abs() < 4.0, "{rest:?}");
        steady.update(&target, 1.0 / 30.0);
        assert_eq!(*steady.face(), rest);
    }
}
