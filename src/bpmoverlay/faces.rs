//! The faces that are drawn, and what of them is drawn already.

use std::collections::HashMap;

use super::layout::{self, Rect, Side};
use super::paint::{self, Edge, Ink, Look};
use super::wave::Wave;
use super::words::{Mood, Words};
use crate::meta::{Face, HeartRateMeta};

/// What of a face is wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    pub wave: bool,
    pub outline: bool,
    pub confidence: bool,
    pub placeholder: String,
}

/// A drawn piece at its place in the frame.
#[derive(Clone, Debug)]
pub struct Placed {
    pub x: i32,
    pub y: i32,
    pub ink: Ink,
}

impl PartialEq for Placed {
    /// The same drawing at the same place.
    fn eq(&self, other: &Placed) -> bool {
        (self.x, self.y, self.ink.buffer.as_ptr()) == (other.x, other.y, other.ink.buffer.as_ptr())
    }
}

/// A drawing, with what it was drawn of.
#[derive(Debug)]
struct Drawn<K, T> {
    last: Option<(K, T)>,
}

impl<K, T> Default for Drawn<K, T> {
    fn default() -> Self {
        Drawn { last: None }
    }
}

impl<K: PartialEq, T: Clone> Drawn<K, T> {
    /// The drawing of `key`, made anew only if it was of another.
    fn get<E>(&mut self, key: K, draw: impl FnOnce(&K) -> Result<T, E>) -> Result<T, E> {
        match &self.last {
            Some((last, drawing)) if *last == key => Ok(drawing.clone()),
            _ => {
                let drawing = draw(&key)?;
                self.last = Some((key, drawing.clone()));
                Ok(drawing)
            }
        }
    }
}

/// One face.
#[derive(Debug, Default)]
struct Known {
    wave: Wave,
    side: Option<Side>,
    /// By words, width and lines of strip below.
    card: Drawn<(Words, i32, i32), Ink>,
    /// By newest point, mood, width and lines of card above.
    strip: Drawn<(Option<i64>, Mood, i32, i32), Ink>,
    /// By width, height and mood.
    outline: Drawn<(i32, i32, Mood), Vec<Edge>>,
}

/// All faces of a stream.
#[derive(Debug, Default)]
pub struct Faces {
    known: HashMap<u32, Known>,
    look: Option<(Look, Wanted)>,
}

/// A face of this frame, ready to be drawn.
struct Shown {
    rect: Rect,
    words: Words,
}

impl Faces {
    /// Takes in a frame at `time` seconds; returns what is to be seen on it.
    ///
    /// # Errors
    /// Where a piece can't be drawn (memory).
    pub fn frame(
        &mut self,
        meta: &HeartRateMeta,
        time: Option<f64>,
        look: &Look,
        wanted: &Wanted,
    ) -> Result<Vec<Placed>, cairo::Error> {
        self.known.retain(|id, _| meta.faces.iter().any(|f| f.id == *id));
        self.set_look(look, wanted);
        let shown: Vec<Shown> = meta
            .faces
            .iter()
            .filter_map(|face| self.take_in(face, meta, time, look, wanted))
            .collect();
        let mut pieces = Vec::new();
        if wanted.outline {
            for face in &shown {
                self.outline(face, look, &mut pieces)?;
            }
        }
        let rects: Vec<Rect> = shown.iter().map(|s| s.rect).collect();
        let mut cards = Vec::new();
        for face in shown {
            self.card(face, look, wanted, &rects, &mut cards, &mut pieces)?;
        }
        Ok(pieces)
    }

    /// Drops the drawings where they would look different now.
    fn set_look(&mut self, look: &Look, wanted: &Wanted) {
        let same = self.look.as_ref().is_some_and(|(l, w)| l == look && w == wanted);
        if !same {
            self.look = Some((look.clone(), wanted.clone()));
            for known in self.known.values_mut() {
                *known = Known { wave: std::mem::take(&mut known.wave), ..Known::default() };
            }
        }
    }

    fn take_in(
        &mut self,
        face: &Face,
        meta: &HeartRateMeta,
        time: Option<f64>,
        look: &Look,
        wanted: &Wanted,
    ) -> Option<Shown> {
        let known = self.known.entry(face.id).or_default();
        if let Some((time, ppg)) = time.zip(face.ppg) {
            let interval = face.ppg_interval.map(|i| i.nseconds() as f64 * 1e-9);
            known.wave.push(time, ppg, meta.derivative, interval);
        }
        let rect = layout::face_box([face.x, face.y, face.w, face.h], &look.scale.frame)?;
        let words = Words::of(face, &wanted.placeholder, wanted.confidence)?;
        Some(Shown { rect, words })
    }

    fn outline(
        &mut self,
        face: &Shown,
        look: &Look,
        pieces: &mut Vec<Placed>,
    ) -> Result<(), cairo::Error> {
        let known = self.known.entry(face.words.id).or_default();
        let Rect { x, y, w, h } = face.rect;
        let key = (w, h, face.words.mood);
        let edges = known.outline.get(key, |_| paint::edges(w, h, look, face.words.mood))?;
        let placed = edges.into_iter().map(|e| Placed { x: x + e.at.0, y: y + e.at.1, ink: e.ink });
        let seen = |p: &Placed| {
            let rect = Rect { x: p.x, y: p.y, w: p.ink.width(), h: p.ink.height() };
            rect.within(&look.scale.frame).is_some()
        };
        pieces.extend(placed.filter(seen));
        Ok(())
    }

    fn card(
        &mut self,
        face: Shown,
        look: &Look,
        wanted: &Wanted,
        faces: &[Rect],
        cards: &mut Vec<Rect>,
        pieces: &mut Vec<Placed>,
    ) -> Result<(), cairo::Error> {
        let Shown { rect, words } = face;
        let known = self.known.entry(words.id).or_default();
        let (width, mood) = (look.scale.card_width(&rect), words.mood);
        let below = if wanted.wave { paint::strip_height(look) } else { 0 };
        let key = (words, width, below);
        let card = known.card.get(key, |(words, ..)| paint::card(words, look, width, below))?;
        let above = card.height();
        let size = (width, above + below);
        let (side, at) = layout::place(size, &rect, &look.scale, faces, cards, known.side);
        known.side = Some(side);
        cards.push(at);
        pieces.push(Placed { x: at.x, y: at.y, ink: card });
        if wanted.wave {
            // Every other point: ten times a second.
            let end = known.wave.newest().map(|n| n & !1);
            let wave = &known.wave;
            let strip = known.strip.get((end, mood, width, above), |_| {
                let curve = end.map(|end| wave.curve(end)).unwrap_or_default();
                paint::strip(&curve, look, mood, width, above)
            })?;
            pieces.push(Placed { x: at.x, y: at.y + above, ink: strip });
        }
        Ok(())
    }
}
