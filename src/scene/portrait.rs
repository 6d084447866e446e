//! The faces of real portraits, head and shoulders. Both are works of the United States' government
//! and in the public domain: NASA's of astronaut Eileen Collins (S93-33371), and the Navy's of
//! Commodore Grace Hopper, which is never trained on.

use super::backdrop::Grain;
use super::smoothstep;
use super::texture::{ALPHA, BLOOD, EYES, MOUTH, SHINE, Texel, Texture};

/// Whose portrait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sitter {
    Collins,
    Hopper,
}

/// Centre x, y and half-axes, in texels.
type Ellipse = [f32; 4];

/// Where things are on a portrait.
struct Map {
    picture: &'static [u8],
    /// The detector's box (UltraFace RFB-320).
    face: [f32; 4],
    /// The face's skin, and what is tinted as face, as head, and within that not as hair.
    skin: Ellipse,
    tinted: Ellipse,
    head: Ellipse,
    bare: Ellipse,
    /// Eyes and mouth with what surrounds them and has no pulse; and what moves of them.
    still: [Ellipse; 3],
    eyes: [Ellipse; 2],
    mouth: Ellipse,
    /// Forehead and bridge of the nose.
    shiny: [Ellipse; 2],
    /// A place whose colour a lid has.
    lid: (usize, usize),
}

static COLLINS: Map = Map {
    picture: include_bytes!("collins.png"),
    face: [75.0, 63.0, 92.0, 113.0],
    skin: [121.0, 126.0, 49.0, 64.0],
    tinted: [121.0, 131.0, 56.0, 74.0],
    head: [122.0, 88.0, 84.0, 84.0],
    bare: [121.0, 135.0, 46.0, 52.0],
    still: [[97.0, 100.0, 15.0, 9.0], [145.0, 103.0, 15.0, 9.0], [120.0, 146.0, 20.0, 8.0]],
    eyes: [[97.0, 100.0, 11.0, 4.5], [145.0, 103.0, 11.0, 4.5]],
    mouth: [120.0, 146.0, 17.0, 6.0],
    shiny: [[121.0, 88.0, 30.0, 14.0], [124.0, 122.0, 6.0, 16.0]],
    lid: (97, 88),
};

static HOPPER: Map = Map {
    picture: include_bytes!("hopper.png"),
    face: [61.0, 92.0, 139.0, 153.0],
    skin: [129.0, 172.0, 66.0, 82.0],
    tinted: [129.0, 178.0, 84.0, 100.0],
    head: [129.0, 178.0, 92.0, 86.0],
    bare: [129.0, 172.0, 70.0, 84.0],
    still: [[99.0, 142.0, 20.0, 13.0], [162.0, 140.0, 20.0, 13.0], [133.0, 207.0, 28.0, 10.0]],
    eyes: [[99.0, 142.0, 12.0, 5.5], [162.0, 140.0, 12.0, 5.5]],
    mouth: [133.0, 208.0, 23.0, 7.0],
    shiny: [[130.0, 112.0, 36.0, 10.0], [133.0, 168.0, 8.0, 16.0]],
    lid: (129, 113),
};

impl Sitter {
    fn map(self) -> &'static Map {
        match self {
            Sitter::Collins => &COLLINS,
            Sitter::Hopper => &HOPPER,
        }
    }
}

/// Factors on the portrait's colours.
#[derive(Clone, Copy, Debug)]
pub struct Tint {
    pub skin: [f32; 3],
    pub hair: [f32; 3],
}

impl Default for Tint {
    fn default() -> Self {
        Tint { skin: [1.0; 3], hair: [1.0; 3] }
    }
}

/// Draws a portrait as a texture. `seed` chooses the perfusion map.
pub fn portrait(sitter: Sitter, seed: u64, tint: Tint) -> Texture {
    let map = sitter.map();
    let Picture { width, height, colours, alpha } = decode(map.picture);
    let skin: Vec<f32> = colours.iter().map(|&p| skin_colour(p)).collect();
    let coverage = alpha.unwrap_or_else(|| bust(width, height, &colours));
    let grain = Grain::new(&mut fastrand::Rng::with_seed(seed));
    let mut texture = Texture::new(width, height, map.face);
    texture.for_each(|x, y, texel| {
        let i = y as usize * width + x as usize;
        *texel = map.texel(colours[i], skin[i], x, y, coverage[i], &grain);
    });
    recolour(&mut texture, map, &skin, tint);
    let lid = texture.texels[map.lid.1 * width + map.lid.0];
    texture.lid = [lid[0], lid[1], lid[2]];
    texture.finish();
    texture
}

/// Tints face and neck, eyes and teeth less, and the hair around them.
fn recolour(texture: &mut Texture, map: &Map, skin: &[f32], tint: Tint) {
    let width = texture.width;
    let mean = |x: usize, y: usize| -> f32 {
        let rows = y.saturating_sub(2)..(y + 3).min(skin.len() / width);
        let row = |y: usize| skin[y * width..][x.saturating_sub(2)..(x + 3).min(width)].iter();
        rows.flat_map(row).sum::<f32>() / 25.0
    };
    texture.for_each(|x, y, texel| {
        let colour = smoothstep(0.1, 0.9, mean(x as usize, y as usize));
        let face = colour * ellipse(map.tinted, 0.8, x, y);
        let head = ellipse(map.head, 0.85, x, y);
        let hair = head * (1.0 - face) * (1.0 - ellipse(map.bare, 0.9, x, y));
        for (value, (s, h)) in texel.iter_mut().zip(tint.skin.into_iter().zip(tint.hair)) {
            *value *= 1.0 + face * (s - 1.0) + hair * (h - 1.0);
        }
    });
}

/// A decoded picture: grey levels, and coverage where the file has it.
struct Picture {
    width: usize,
    height: usize,
    colours: Vec<[f32; 3]>,
    alpha: Option<Vec<f32>>,
}

/// Decodes an embedded picture, RGB or RGBA.
fn decode(file: &[u8]) -> Picture {
    let decoder = png::Decoder::new(std::io::Cursor::new(file));
    let mut reader = decoder.read_info().expect("the embedded portrait is a PNG");
    let size = reader.output_buffer_size().expect("the embedded portrait is small");
    let mut bytes = vec![0; size];
    let info = reader.next_frame(&mut bytes).expect("the embedded portrait is whole");
    let step = info.color_type.samples();
    let pixels = bytes.chunks_exact(step);
    let colours = pixels.clone().map(|p| [p[0], p[1], p[2]].map(f32::from)).collect();
    let alpha = (step == 4).then(|| pixels.map(|p| f32::from(p[3]) / 255.0).collect());
    Picture { width: info.width as usize, height: info.height as usize, colours, alpha }
}

impl Map {
    fn texel(
        &self,
        rgb: [f32; 3],
        skin: f32,
        x: f32,
        y: f32,
        coverage: f32,
        grain: &Grain,
    ) -> Texel {
        let mut texel: Texel = [0.0; 8];
        (0..3).for_each(|c| texel[c] = rgb[c] * coverage);
        texel[ALPHA] = coverage;
        // Cheeks and forehead pulse most; the map varies smoothly by about a third.
        let perfusion = 1.0 + 0.35 * grain.cloud(x / 24.0, y / 24.0);
        let moving: f32 = self.still.iter().map(|&p| 1.0 - ellipse(p, 0.7, x, y)).product();
        let skin = skin * ellipse(self.skin, 0.8, x, y) * moving;
        texel[BLOOD] = perfusion * skin;
        texel[SHINE] = skin * self.shiny.iter().map(|&p| ellipse(p, 0.0, x, y)).sum::<f32>();
        texel[MOUTH] = ellipse(self.mouth, 0.3, x, y);
        texel[EYES] = self.eyes.iter().map(|&p| ellipse(p, 0.5, x, y)).fold(0.0, f32::max);
        texel
    }
}

/// 1 inside the ellipse, 0 outside, falling from `edge` of its radius on.
fn ellipse([cx, cy, rx, ry]: Ellipse, edge: f32, x: f32, y: f32) -> f32 {
    let r = (((x - cx) / rx).powi(2) + ((y - cy) / ry).powi(2)).sqrt();
    1.0 - smoothstep(edge, 1.0, r)
}

/// How much a colour is skin, by chrominance (Chai and Ngan 1999: Cb 77..127, Cr 133..173), with
/// soft limits; hair is darker and yellower.
fn skin_colour([r, g, b]: [f32; 3]) -> f32 {
    let y = 0.299 * r + 0.587 * g + 0.114 * b;
    let (cb, cr) = (128.0 + 0.564 * (b - y), 128.0 + 0.713 * (r - y));
    let band = |v: f32, low: f32, high: f32| {
        smoothstep(low - 4.0, low + 4.0, v) * (1.0 - smoothstep(high - 4.0, high + 4.0, v))
    };
    band(cb, 84.0, 127.0) * band(cr, 137.0, 173.0) * smoothstep(90.0, 130.0, y)
}

/// Coverage of head and shoulders: what the bright grey canvas, flooded from the top, leaves;
/// feathered, and fading out towards the picture's sides and lower edge.
fn bust(width: usize, height: usize, pixels: &[[f32; 3]]) -> Vec<f32> {
    let canvas = flood(width, height, pixels);
    let open = |x: usize, y: usize| if canvas[y * width + x] { 0.0 } else { 1.0 };
    let mut coverage = vec![0.0; width * height];
    for y in 1..height - 1 {
        let low = smoothstep(height as f32 - 1.0, height as f32 - 14.0, y as f32);
        for x in 1..width - 1 {
            let mut sum = 0.0f32;
            for (dx, dy) in (0..9).map(|i| (i % 3, i / 3)) {
                sum += open(x + dx - 1, y + dy - 1);
            }
            let side = x.min(width - 1 - x) as f32;
            coverage[y * width + x] =
                smoothstep(0.35, 1.0, sum / 9.0) * smoothstep(1.0, 12.0, side) * low;
        }
    }
    coverage
}

/// Marks the canvas behind the portrait: pixels of its colour connected to the top edge.
fn flood(width: usize, height: usize, pixels: &[[f32; 3]]) -> Vec<bool> {
    let canvas =
        |[r, g, b]: [f32; 3]| r.min(g).min(b) > 140.0 && r.max(g).max(b) - r.min(g).min(b) < 45.0;
    let mut marked = vec![false; width * height];
    let mut queue: Vec<usize> = (0..width).filter(|&i| canvas(pixels[i])).collect();
    while let Some(i) = queue.pop() {
        if marked[i] {
            continue;
        }
        marked[i] = true;
        let (x, y) = (i % width, i / width);
        let near = [
            (x > 0).then(|| i - 1),
            (x + 1 < width).then(|| i + 1),
            (y > 0).then(|| i - width),
            (y + 1 < height).then(|| i + width),
        ];
        queue.extend(near.into_iter().flatten().filter(|&n| !marked[n] && canvas(pixels[n])));
    }
    marked
}
