//! A face as texels.

/// What one texel holds: colour in grey levels (0..255) weighted with its coverage, coverage
/// (0..1), blood (local strength of the pulse, about 1 on skin, 0 elsewhere), shine (weight of the
/// specular layer), mouth and eyes (where a mouth opens, where lids close).
pub type Texel = [f32; 8];

pub const ALPHA: usize = 3;
pub const BLOOD: usize = 4;
pub const SHINE: usize = 5;
pub const MOUTH: usize = 6;
pub const EYES: usize = 7;

/// A face that can be drawn in any place, size and angle.
#[derive(Clone, Debug)]
pub struct Texture {
    pub width: usize,
    pub height: usize,
    /// Rows of texels; the outermost ring is clear.
    pub texels: Vec<Texel>,
    /// Face box (x, y, w, h) in texels, as the face detector sees it: forehead to chin.
    pub face: [f32; 4],
    /// Colour of a closed lid, grey levels.
    pub lid: [f32; 3],
}

impl Texture {
    /// A clear texture.
    pub fn new(width: usize, height: usize, face: [f32; 4]) -> Texture {
        Texture { width, height, texels: vec![[0.0; 8]; width * height], face, lid: [0.0; 3] }
    }

    /// Changes every texel; `f` gets its place and the texel.
    pub fn for_each(&mut self, mut f: impl FnMut(f32, f32, &mut Texel)) {
        for (y, row) in self.texels.chunks_exact_mut(self.width).enumerate() {
            for (x, texel) in row.iter_mut().enumerate() {
                f(x as f32, y as f32, texel);
            }
        }
    }

    /// Left becomes right.
    pub fn flip(&mut self) {
        self.texels.chunks_exact_mut(self.width).for_each(<[Texel]>::reverse);
        self.face[0] = self.width as f32 - self.face[0] - self.face[2];
    }

    /// Scales the blood so that its mean over skin, weighted with itself, is 1, and clears the
    /// outermost ring.
    pub fn finish(&mut self) {
        let sum = |p: i32| self.texels.iter().map(|t| t[BLOOD].powi(p)).sum::<f32>();
        let (first, second) = (sum(1), sum(2));
        let factor = if second > 0.0 { first / second } else { 0.0 };
        self.texels.iter_mut().for_each(|t| t[BLOOD] *= factor);
        let (w, h) = (self.width as f32 - 1.0, self.height as f32 - 1.0);
        self.for_each(|x, y, texel| {
            if x == 0.0 || y == 0.0 || x == w || y == h {
                *texel = [0.0; 8];
            }
        });
    }
}
