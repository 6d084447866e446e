//! How a clip is compressed. What is said here is done by a real encoder and decoder: whoever
//! renders a clip passes its frames through them.

use super::recipe::Set;
use super::{chance, log_uniform, uniform};

/// An encoder of webcams, browsers and recorders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    H264,
    H265,
    Vp8,
    Vp9,
    Mjpeg,
}

impl Codec {
    pub fn name(self) -> &'static str {
        match self {
            Codec::H264 => "h264",
            Codec::H265 => "h265",
            Codec::Vp8 => "vp8",
            Codec::Vp9 => "vp9",
            Codec::Mjpeg => "mjpeg",
        }
    }
}

/// An encoder's settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Compression {
    pub codec: Codec,
    /// Bits for each pixel of each frame at 30 frames/s; 0.054 are 500 kbit/s at 640 × 480.
    pub bits_per_pixel: f64,
    /// For MJPEG, in its place: 0..100.
    pub quality: u32,
    /// Frames from one key frame to the next.
    pub gop: u32,
    /// B-frames, some of them referred to, as recorders make; webcams and calls have none.
    pub reorder: bool,
}

impl Compression {
    /// Nothing for a little under half of the clips to check with and for a quarter of those to
    /// learn from, else each codec with its share. Learning has more of H.264, from which a pulse
    /// is hardest to read.
    pub fn random(rng: &mut fastrand::Rng, set: Set) -> Option<Compression> {
        let h264 = if set == Set::Training { 0.44 } else { 0.25 };
        let codec = match rng.f64() - h264 {
            u if u < 0.0 => Codec::H264,
            u if u < 0.05 => Codec::H265,
            u if u < 0.13 => Codec::Vp8,
            u if u < 0.18 => Codec::Vp9,
            u if u < 0.31 => Codec::Mjpeg,
            _ => return None,
        };
        Some(Compression {
            codec,
            bits_per_pixel: log_uniform(rng, 0.03, 0.4),
            quality: uniform(rng, 50.0, 95.0) as u32,
            gop: log_uniform(rng, 8.0, 300.0) as u32,
            reorder: chance(rng, 0.4),
        })
    }

    /// kbit/s for pictures of `pixels` at `fps` frames a second, not less than 20. The rate grows
    /// with the square root of the frame rate, as more frames differ less.
    pub fn kbit_s(&self, pixels: usize, fps: f64) -> u32 {
        let rate = self.bits_per_pixel * pixels as f64 * 30.0 * (fps / 30.0).sqrt();
        (rate / 1000.0).round().max(20.0) as u32
    }
}

/// For how many pixels of a whole picture (640 × 480) the bits go into one of its parts, of `part`
/// pixels: as many as it has where the rest is as busy, nearly all where the rest rests.
pub fn random_pixels(rng: &mut fastrand::Rng, part: usize) -> usize {
    let whole = part.max(640 * 480);
    log_uniform(rng, part as f64, whole as f64).round() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_webcams() {
        let mut rng = fastrand::Rng::with_seed(1);
        let drawn: Vec<_> =
            (0..2000).filter_map(|_| Compression::random(&mut rng, Set::Validation)).collect();
        assert!((1040..1200).contains(&drawn.len()), "{}", drawn.len());
        let c = Compression { bits_per_pixel: 500_000.0 / (640.0 * 480.0 * 30.0), ..drawn[0] };
        assert_eq!((c.kbit_s(640 * 480, 30.0), c.kbit_s(640 * 480, 15.0)), (500, 354));
        assert_eq!(c.kbit_s(64, 30.0), 20);
    }

    #[test]
    fn learning_sees_more_h264_and_all_shares_of_a_pictures_bits() {
        let mut rng = fastrand::Rng::with_seed(2);
        let drawn: Vec<_> =
            (0..2000).filter_map(|_| Compression::random(&mut rng, Set::Training)).collect();
        let h264 = drawn.iter().filter(|c| c.codec == Codec::H264).count();
        assert!((1440..1560).contains(&drawn.len()), "{}", drawn.len());
        assert!((820..940).contains(&h264), "{h264}");
        let pixels: Vec<_> = (0..1000).map(|_| random_pixels(&mut rng, 10_000)).collect();
        let (least, most) = (*pixels.iter().min().unwrap(), *pixels.iter().max().unwrap());
        assert!((10_000..11_000).contains(&least) && (290_000..=307_200).contains(&most));
        assert_eq!(random_pixels(&mut rng, 400_000), 400_000);
    }
}
