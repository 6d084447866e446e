//! Where things stand: whole pixels of the frame, no drawing.

/// x, y, width, height in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rect {
    pub x: i32,
    pub y: i32,
    pub w: i32,
    pub h: i32,
}

impl Rect {
    pub fn right(&self) -> i32 {
        self.x + self.w
    }

    pub fn bottom(&self) -> i32 {
        self.y + self.h
    }

    /// The part of it within `other`; `None` where there is none.
    pub fn within(&self, other: &Rect) -> Option<Rect> {
        let (x, y) = (self.x.max(other.x), self.y.max(other.y));
        let (w, h) = (self.right().min(other.right()) - x, self.bottom().min(other.bottom()) - y);
        (w > 0 && h > 0).then_some(Rect { x, y, w, h })
    }

    fn overlap(&self, other: &Rect) -> i64 {
        self.within(other).map_or(0, |r| i64::from(r.w) * i64::from(r.h))
    }
}

/// Sizes that follow from the frame's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    pub frame: Rect,
    /// Pixels of the plain text.
    pub text: f64,
}

/// Text is never smaller than this many pixels: legible at 320×240.
const LEAST_TEXT: f64 = 11.0;

impl Scale {
    /// For a frame of `width` × `height`. `text` is the size asked for, in pixels of a picture of
    /// 480 lines, where one is.
    pub fn new(width: u32, height: u32, text: Option<f64>) -> Scale {
        let lines = f64::from(width.min(height));
        let text = match text {
            Some(text) => text * lines / 480.0,
            None => (4.0 + lines * 0.022).max(LEAST_TEXT),
        };
        let frame = Rect { x: 0, y: 0, w: width as i32, h: height as i32 };
        Scale { frame, text: text.clamp(4.0, lines.max(8.0) / 4.0) }
    }

    /// Width of the box's line.
    pub fn line(&self) -> i32 {
        ((self.text / 7.0).round() as i32).max(2)
    }

    /// Width of the dark rim on each side of the line, that sets it off from a light picture.
    pub fn rim(&self) -> i32 {
        (self.line() / 2).max(1)
    }

    /// Pixels between a box and its card.
    pub fn gap(&self) -> i32 {
        self.line() + self.rim() + 1
    }

    /// Width of a card: the box's, within limits.
    pub fn card_width(&self, face: &Rect) -> i32 {
        let (least, most) = ((10.4 * self.text) as i32, (13.0 * self.text) as i32);
        even(face.w.clamp(least, most)).min(self.frame.w)
    }
}

/// Down to an even number: chroma is mostly shared by two pixels.
pub fn even(value: i32) -> i32 {
    value & !1
}

/// The box of a face in a frame of `frame`'s size, not cut to it; `None` where it is no rectangle
/// or lies wholly outside.
pub fn face_box([x, y, w, h]: [f64; 4], frame: &Rect) -> Option<Rect> {
    if ![x, y, w, h].iter().all(|v| v.is_finite()) || w <= 0.0 || h <= 0.0 {
        return None;
    }
    let far = |v: f64, size: i32| even((v * f64::from(size)).round().clamp(-1e5, 1e5) as i32);
    let (left, top) = (far(x, frame.w), far(y, frame.h));
    let (right, bottom) = (far(x + w, frame.w), far(y + h, frame.h));
    let rect = Rect { x: left, y: top, w: (right - left).max(2), h: (bottom - top).max(2) };
    rect.within(frame).map(|_| rect)
}

/// On which side of its box a card stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Above,
    Below,
    Right,
    Left,
    Inside,
}

const SIDES: [Side; 5] = [Side::Above, Side::Below, Side::Right, Side::Left, Side::Inside];

/// Places a card of `size` beside `face`, where it covers least: `cards` that stand already count
/// most, then `faces`. A card stays on its side (`before`) while that costs little.
pub fn place(
    size: (i32, i32),
    face: &Rect,
    scale: &Scale,
    faces: &[Rect],
    cards: &[Rect],
    before: Option<Side>,
) -> (Side, Rect) {
    let area = i64::from(size.0) * i64::from(size.1);
    let cost = |side: Side, rect: &Rect| {
        let cards: i64 = cards.iter().map(|c| c.overlap(rect)).sum();
        let faces: i64 = faces.iter().map(|f| f.overlap(rect)).sum();
        let order = SIDES.iter().position(|s| *s == side).unwrap_or(0) as i64;
        let change = if before.is_none_or(|b| b == side) { 0 } else { area / 6 };
        16 * cards + 2 * faces + change + order
    };
    let candidates = SIDES.map(|side| (side, stand(side, size, face, scale)));
    let best = candidates.into_iter().min_by_key(|(side, rect)| cost(*side, rect));
    best.expect("there are sides")
}

/// The card on `side`, pushed into the frame.
fn stand(side: Side, (w, h): (i32, i32), face: &Rect, scale: &Scale) -> Rect {
    let (gap, frame) = (scale.gap(), &scale.frame);
    let (x, y) = match side {
        Side::Above => (face.x, face.y - gap - h),
        Side::Below => (face.x, face.bottom() + gap),
        Side::Right => (face.right() + gap, face.y),
        Side::Left => (face.x - gap - w, face.y),
        Side::Inside => (face.x + gap, face.y + gap),
    };
    let x = even(x.clamp(0, (frame.w - w).max(0)));
    let y = even(y.clamp(0, (frame.h - h).max(0)));
    Rect { x, y, w, h }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rect(x: i32, y: i32, w: i32, h: i32) -> Rect {
        Rect { x, y, w, h }
    }

    #[test]
    fn text_is_legible_from_the_smallest_to_the_largest_frame() {
        let text = |w, h| Scale::new(w, h, None).text;
        assert_eq!(text(320, 240), LEAST_TEXT);
        assert!((text(1920, 1080) - 27.76).abs() < 1e-9);
        assert_eq!(text(1080, 1920), text(1920, 1080));
        assert!(text(3840, 2160) > 50.0);
        assert_eq!(Scale::new(1920, 1080, Some(16.0)).text, 36.0);
    }

    #[test]
    fn boxes_are_even_and_those_outside_are_none() {
        let frame = rect(0, 0, 640, 480);
        assert_eq!(face_box([0.25, 0.25, 0.5, 0.5], &frame), Some(rect(160, 120, 320, 240)));
        assert_eq!(face_box([-0.1, 0.9, 0.2, 0.2], &frame), Some(rect(-64, 432, 128, 96)));
        assert_eq!(face_box([1.1, 0.0, 0.5, 0.5], &frame), None);
        assert_eq!(face_box([0.1, 0.0, f64::NAN, 0.5], &frame), None);
        assert_eq!(face_box([0.1, 0.0, 0.0, 0.5], &frame), None);
        assert_eq!(face_box([0.5, 0.5, 1e-6, 1e-6], &frame).map(|r| (r.w, r.h)), Some((2, 2)));
        assert!(face_box([-1e300, -1e300, 2e300, 2e300], &frame).is_some());
    }

    #[test]
    fn a_card_stands_above_else_where_there_is_room() {
        let scale = Scale::new(640, 480, None);
        let side = |face: Rect| place((120, 60), &face, &scale, &[face], &[], None).0;
        assert_eq!(side(rect(200, 150, 200, 200)), Side::Above);
        assert_eq!(side(rect(200, 10, 200, 200)), Side::Below);
        assert_eq!(side(rect(200, 10, 200, 460)), Side::Right);
        assert_eq!(side(rect(420, 10, 216, 460)), Side::Left);
        let (side, card) = place((120, 60), &scale.frame, &scale, &[scale.frame], &[], None);
        assert_eq!(card.within(&scale.frame), Some(card), "{side:?} lies in the frame");
    }

    #[test]
    fn cards_of_neighbours_do_not_overlap() {
        let scale = Scale::new(640, 480, None);
        let faces = [rect(200, 150, 100, 100), rect(260, 150, 100, 100), rect(230, 170, 90, 90)];
        let mut cards: Vec<Rect> = Vec::new();
        for face in &faces {
            cards.push(place((120, 60), face, &scale, &faces, &cards, None).1);
        }
        for (i, a) in cards.iter().enumerate() {
            assert!(cards[..i].iter().all(|b| a.overlap(b) == 0), "{cards:?}");
        }
    }

    #[test]
    fn a_card_does_not_flutter_between_sides() {
        let scale = Scale::new(640, 480, None);
        let side = |top: i32, before| {
            let near = rect(200, top, 200, 200);
            place((120, 60), &near, &scale, &[near], &[], before).0
        };
        assert_eq!((side(58, None), side(58, Some(Side::Above))), (Side::Below, Side::Above));
        assert_eq!(side(30, Some(Side::Above)), Side::Below);
    }
}
