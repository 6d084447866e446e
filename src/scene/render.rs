//! Draws a face under a light, in float.

use super::backdrop::FloatImage;
use super::texture::{ALPHA, BLOOD, EYES, MOUTH, SHINE, Texel, Texture};

/// Strength of the pulse in red and blue against green, where it is strongest
/// (0.33 : 0.77 : 0.53, the usual signature of blood in camera video).
pub const BLOOD_COLOUR: [f64; 3] = [0.33 / 0.77, 1.0, 0.53 / 0.77];

/// Where a face is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pose {
    /// Centre of the face box in pixels of the picture.
    pub x: f64,
    pub y: f64,
    /// Pixels a texel.
    pub scale: f64,
    /// Radians, clockwise.
    pub angle: f64,
}

impl Pose {
    /// The detector's box (x, y, w, h) in pixels around a face of this pose. It stays upright.
    pub fn face_box(&self, texture: &Texture) -> [f64; 4] {
        let (w, h) = (texture.face[2] as f64 * self.scale, texture.face[3] as f64 * self.scale);
        [self.x - w / 2.0, self.y - h / 2.0, w, h]
    }
}

/// What a face does at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Expression {
    /// Fraction by which skin of mean perfusion is darker than at rest: R, G, B.
    pub blood: [f32; 3],
    /// 0 closed .. 1 open.
    pub mouth: f32,
    /// 0 open .. 1 closed.
    pub lids: f32,
    /// Grey levels of the reflected light on the shiny places. It carries no pulse.
    pub shine: f32,
    /// The head turned to the side and nodding, radians, small.
    pub turn: [f32; 2],
    /// Where the light comes from, as seen from the face: how much its shading changes with a turn.
    pub side: [f32; 2],
}

/// A rectangle of the picture that is drawn: columns and rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    pub x: usize,
    pub y: usize,
    pub w: usize,
    pub h: usize,
}

impl Region {
    /// The smallest region of a `width` × `height` picture that holds all that a texture covers.
    pub fn of(texture: &Texture, pose: &Pose, width: usize, height: usize) -> Region {
        let map = Mapping::new(texture, pose);
        let (w, h) = (texture.width as f64, texture.height as f64);
        let corners = [(0.0, 0.0), (w, 0.0), (0.0, h), (w, h)].map(|(u, v)| map.place(u, v));
        let span = |values: [f64; 4], size: usize| {
            let low = values.into_iter().fold(f64::MAX, f64::min).floor().clamp(0.0, size as f64);
            let high = values.into_iter().fold(f64::MIN, f64::max).ceil().clamp(0.0, size as f64);
            (low as usize, (high - low).max(0.0) as usize)
        };
        let (x, w) = span(corners.map(|c| c.0), width);
        let (y, h) = span(corners.map(|c| c.1), height);
        Region { x, y, w, h }
    }
}

/// The affine map between picture and texture.
struct Mapping {
    /// Texels a pixel, along and across.
    cos: f64,
    sin: f64,
    pose: Pose,
    /// Centre of the face in texels.
    centre: (f64, f64),
}

impl Mapping {
    fn new(texture: &Texture, pose: &Pose) -> Mapping {
        let [x, y, w, h] = texture.face.map(f64::from);
        let (sin, cos) = pose.angle.sin_cos();
        let centre = (x + w / 2.0, y + h / 2.0);
        Mapping { cos: cos / pose.scale, sin: sin / pose.scale, pose: *pose, centre }
    }

    /// Texel under the centre of pixel (x, y); texel i has its centre at i.
    fn texel(&self, x: f64, y: f64) -> (f64, f64) {
        let (dx, dy) = (x + 0.5 - self.pose.x, y + 0.5 - self.pose.y);
        let u = self.centre.0 + self.cos * dx + self.sin * dy - 0.5;
        let v = self.centre.1 - self.sin * dx + self.cos * dy - 0.5;
        (u, v)
    }

    /// Place in the picture of texture coordinates (u, v).
    fn place(&self, u: f64, v: f64) -> (f64, f64) {
        let (du, dv) = (u - self.centre.0, v - self.centre.1);
        let s2 = self.pose.scale * self.pose.scale;
        (
            self.pose.x + s2 * (self.cos * du - self.sin * dv),
            self.pose.y + s2 * (self.sin * du + self.cos * dv),
        )
    }

    /// The pixels x of row `y`, within `from`..`to`, whose four texels exist.
    fn columns(&self, texture: &Texture, y: f64, from: usize, to: usize) -> (usize, usize) {
        let (u0, v0) = self.texel(0.0, y);
        let (mut low, mut high) = (from as f64, to as f64 - 1.0);
        let sides = [(u0, self.cos, texture.width), (v0, -self.sin, texture.height)];
        for (start, step, size) in sides {
            // A hair inside, so that rounding never leaves the texture.
            let (first, last) = (1e-3, size as f64 - 1.0 - 1e-3);
            if step.abs() < 1e-9 {
                if start < first || start > last {
                    return (0, 0);
                }
                continue;
            }
            let (a, b) = ((first - start) / step, (last - start) / step);
            low = low.max(a.min(b));
            high = high.min(a.max(b));
        }
        if high < low.max(0.0) { (0, 0) } else { (low.ceil() as usize, high.floor() as usize + 1) }
    }
}

/// A face of one pose and expression, ready to be drawn row by row.
pub struct Layer<'a> {
    texture: &'a Texture,
    map: Mapping,
    face: Expression,
    /// What it may touch.
    pub region: Region,
}

impl<'a> Layer<'a> {
    /// A layer on a `width` × `height` picture.
    pub fn new(
        texture: &'a Texture,
        pose: &Pose,
        face: Expression,
        (width, height): (usize, usize),
    ) -> Layer<'a> {
        let region = Region::of(texture, pose, width, height);
        Layer { texture, map: Mapping::new(texture, pose), face, region }
    }

    /// Draws over `row`, which holds the pixels of line `y` from column `start` on.
    pub fn draw(&self, row: &mut [f32], start: usize, y: usize) {
        if y < self.region.y || y >= self.region.y + self.region.h {
            return;
        }
        let end = (self.region.x + self.region.w).min(start + row.len() / 3);
        let from = self.region.x.max(start);
        let (from, to) = self.map.columns(self.texture, y as f64, from, end);
        if from >= to {
            return;
        }
        let (u, v) = self.map.texel(from as f64, y as f64);
        let (du, dv) = (fixed(self.map.cos), fixed(-self.map.sin));
        let walk = Walk { u: fixed(u), v: fixed(v), du, dv };
        let row = &mut row[3 * (from - start)..3 * (to - start)];
        let rests = self.face.mouth == 0.0 && self.face.lids == 0.0 && self.face.turn == [0.0; 2];
        if rests {
            draw_row::<false>(row, walk, self.texture, &self.face);
        } else {
            draw_row::<true>(row, walk, self.texture, &self.face);
        }
    }
}

/// Draws a layer over a whole picture.
pub fn draw(image: &mut FloatImage, layer: &Layer) {
    for y in layer.region.y..layer.region.y + layer.region.h {
        layer.draw(image.row_mut(y), 0, y);
    }
}

/// A straight way through the texture, in texels with 32 binary places.
struct Walk {
    u: i64,
    v: i64,
    du: i64,
    dv: i64,
}

fn fixed(v: f64) -> i64 {
    (v * 4_294_967_296.0).round() as i64
}

/// A head that turns: its front moves across its outline, and its shading stays with the light.
struct Turned {
    /// Centre and half-axes of the head, texels.
    centre: [f32; 2],
    axes: [f32; 2],
    turn: [f32; 2],
    side: [f32; 2],
}

impl Turned {
    fn new(texture: &Texture, face: &Expression) -> Turned {
        let [x, y, w, h] = texture.face;
        let centre = [x + w / 2.0, y + h / 2.0];
        Turned { centre, axes: [0.6 * w, 0.68 * h], turn: face.turn, side: face.side }
    }

    /// Where the texel at (u, v) comes from, and the factor of its light. A point of a sphere at
    /// r of its radius moves by the angle times √(1 − r²); the bulge 1 − r² is as good and smooth.
    #[inline(always)]
    fn at(&self, u: i64, v: i64) -> (i64, i64, f32) {
        let texels = |x: i64| (x >> 16) as f32 / 65536.0;
        let x = (texels(u) - self.centre[0]) / self.axes[0];
        let y = (texels(v) - self.centre[1]) / self.axes[1];
        let bulge = (1.0 - x * x - y * y).max(0.0);
        let moved = |i: usize| ((self.turn[i] * self.axes[i] * bulge) * 65536.0) as i64;
        let shading = self.turn[0] * (self.side[0] - x) + self.turn[1] * (self.side[1] - y);
        (u + (moved(0) << 16), v + (moved(1) << 16), 1.0 + bulge * shading)
    }
}

/// Draws the pixels along one walk. Without `EXPRESSIVE` mouth, lids and head rest.
fn draw_row<const EXPRESSIVE: bool>(
    row: &mut [f32],
    walk: Walk,
    texture: &Texture,
    face: &Expression,
) {
    let [r, g, b] = texture.lid;
    let lid = [r, g, b, 0.0];
    let [r, g, b] = face.blood;
    let blood = [r, g, b, 0.0];
    let (mut u, mut v) = (walk.u, walk.v);
    let turned = Turned::new(texture, face);
    for pixel in row.chunks_exact_mut(3) {
        let (from_u, from_v, light) = if EXPRESSIVE { turned.at(u, v) } else { (u, v, 1.0) };
        let texel = sample(texture, from_u, from_v);
        (u, v) = (u + walk.du, v + walk.dv);
        if texel[ALPHA] == 0.0 {
            continue;
        }
        let mut colour = [texel[0], texel[1], texel[2], 0.0];
        if EXPRESSIVE {
            let closed = texel[EYES] * face.lids;
            let dark = 1.0 - 0.75 * texel[MOUTH] * face.mouth;
            let factor = dark * light;
            (0..4).for_each(|c| colour[c] = (colour[c] + closed * (lid[c] - colour[c])) * factor);
        }
        let shine = texel[SHINE] * face.shine;
        let behind = 1.0 - texel[ALPHA];
        for c in 0..3 {
            let skin = colour[c] * (1.0 - texel[BLOOD] * blood[c]);
            pixel[c] = pixel[c] * behind + skin + shine;
        }
    }
}

/// Bilinear sample; (u, v) lies within the texture.
#[inline(always)]
fn sample(texture: &Texture, u: i64, v: i64) -> Texel {
    let (iu, iv) = ((u >> 32) as usize, (v >> 32) as usize);
    let fraction = |x: i64| (x as u32 >> 8) as i32 as f32 / 16_777_216.0;
    let (fu, fv) = (fraction(u), fraction(v));
    let texels = &texture.texels[iv * texture.width + iu..][..texture.width + 2];
    let (a, b) = (&texels[0], &texels[1]);
    let (c, d) = (&texels[texture.width], &texels[texture.width + 1]);
    std::array::from_fn(|k| {
        let upper = a[k] + fu * (b[k] - a[k]);
        let lower = c[k] + fu * (d[k] - c[k]);
        upper + fv * (lower - upper)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::portrait::{Sitter, Tint, portrait};

    fn picture(pose: &Pose, face: &Expression) -> FloatImage {
        let texture = portrait(Sitter::Collins, 1, Tint::default());
        let mut image = FloatImage::new(400, 400);
        image.data.fill(200.0);
        draw(&mut image, &Layer::new(&texture, pose, *face, (400, 400)));
        image
    }

    #[test]
    fn blood_darkens_skin_by_its_amplitude_and_nothing_else() {
        let pose = Pose { x: 200.0, y: 200.0, scale: 1.0, angle: 0.0 };
        let rest = picture(&pose, &Expression::default());
        let blood = [0.0043, 0.01, 0.0069];
        let beat = picture(&pose, &Expression { blood, ..Default::default() });
        let (mut weighted, mut square, mut skin) = (0.0, 0.0, 0);
        for (a, b) in rest.data.chunks_exact(3).zip(beat.data.chunks_exact(3)) {
            if a[1] < 20.0 || a[0] < 20.0 {
                continue;
            }
            let depth = 1.0 - b[1] / a[1];
            let red = 1.0 - b[0] / a[0];
            assert!((red - 0.43 * depth).abs() < 3e-4, "{red} {depth}");
            weighted += depth;
            square += depth * depth;
            skin += (depth > 0.002) as u32;
        }
        // Weighted with itself, the mean depth on skin is the amplitude.
        assert!((square / weighted - 0.01).abs() < 5e-4, "{}", square / weighted);
        assert!((4000..9000).contains(&skin), "{skin}");
        // Outside the face box: unchanged.
        let [x, y, w, h] = pose.face_box(&portrait(Sitter::Collins, 1, Tint::default()));
        for (i, (a, b)) in rest.data.iter().zip(&beat.data).enumerate() {
            let (px, py) = ((i / 3 % 400) as f64, (i / 1200) as f64);
            let inside = px > x - 6.0 && px < x + w + 6.0 && py > y - 6.0 && py < y + h + 16.0;
            assert!(inside || a == b, "{px} {py}");
        }
    }

    /// Turned by 0.2 rad, the tip of the nose moves by 0.2 of the head's half-axis and the outline
    /// stays.
    #[test]
    fn a_turned_head_keeps_its_outline() {
        let pose = Pose { x: 200.0, y: 200.0, scale: 1.0, angle: 0.0 };
        let front = picture(&pose, &Expression::default());
        let turned = picture(&pose, &Expression { turn: [0.2, 0.0], ..Default::default() });
        let [_, _, w, _] = portrait(Sitter::Collins, 1, Tint::default()).face;
        // What was 0.12 face widths right of the middle is in the middle now.
        let moved = (0.2 * 0.6 * w).round() as usize;
        let row = |image: &FloatImage, x: usize| image.row(200)[3 * x..3 * x + 30].to_vec();
        let (a, b) = (row(&front, 195 + moved), row(&turned, 195));
        let error = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).sum::<f32>() / 30.0;
        let still = a.iter().zip(row(&front, 195)).map(|(a, b)| (a - b).abs()).sum::<f32>() / 30.0;
        assert!(error < 0.5 * still, "{error} {still}");
        assert_eq!(front.row(100)[..300], turned.row(100)[..300]);
        assert_eq!(front.row(330), turned.row(330));
    }

    #[test]
    fn any_pose_is_drawn_within_its_region() {
        for i in 0..200 {
            let f = i as f64;
            let pose = Pose {
                x: -300.0 + 5.0 * f,
                y: 700.0 - 4.0 * f,
                scale: 0.05 + 0.02 * f,
                angle: 0.3 * f,
            };
            picture(&pose, &Expression::default());
            picture(&pose, &Expression { turn: [0.4, -0.4], ..Default::default() });
        }
    }

    #[test]
    fn moving_by_whole_pixels_moves_the_picture() {
        let at = |x: f64| Pose { x, y: 200.0, scale: 1.3, angle: 0.1 };
        let a = picture(&at(190.0), &Expression::default());
        let b = picture(&at(197.0), &Expression::default());
        for y in 0..400 {
            for (p, q) in a.row(y)[..3 * 393].iter().zip(&b.row(y)[21..]) {
                assert!((p - q).abs() < 0.1, "{p} {q}");
            }
        }
    }
}
