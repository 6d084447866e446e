//! What a face's card says.

use crate::meta::{Face, Reason, Status};

/// The state that colour, mark and line style tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mood {
    Measuring,
    Ok,
    Weak,
}

/// The words and marks of a card. Two that are equal look the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    pub mood: Mood,
    pub id: u32,
    /// The rate in whole beats, or what stands in its place.
    pub headline: Headline,
    /// Why there is no rate; empty where there is nothing to explain.
    pub reason: String,
    /// Filled bars of [`BARS`]; `None` where the mark is not wanted.
    pub bars: Option<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Headline {
    Rate(u32),
    Text(String),
}

/// Bars of the confidence mark.
pub const BARS: u8 = 4;

impl Words {
    /// `None` for a face that is gone.
    pub fn of(face: &Face, placeholder: &str, show_confidence: bool) -> Option<Words> {
        let mood = match face.status {
            Status::Measuring => Mood::Measuring,
            Status::Ok => Mood::Ok,
            Status::Weak => Mood::Weak,
            Status::Lost => return None,
        };
        let rate = face.bpm.filter(|bpm| bpm.is_finite() && *bpm >= 1.0);
        let headline = match (rate, mood) {
            (Some(bpm), _) => Headline::Rate(bpm.round() as u32),
            (None, Mood::Weak) => Headline::Text("no reading".into()),
            (None, _) => Headline::Text(placeholder.into()),
        };
        let reason = if mood == Mood::Weak { reasons(face) } else { String::new() };
        let bars = show_confidence.then(|| filled(face.confidence));
        Some(Words { mood, id: face.id, headline, reason, bars })
    }
}

/// Quarters of the confidence, rounded; nothing known is nothing filled.
fn filled(confidence: Option<f64>) -> u8 {
    let confidence = confidence.filter(|c| c.is_finite()).unwrap_or(0.0);
    (confidence.clamp(0.0, 1.0) * f64::from(BARS)).round() as u8
}

/// The reasons, in words that somebody before the camera understands.
fn reasons(face: &Face) -> String {
    let words: Vec<_> = face.reasons.iter().map(in_words).collect();
    words.join(", ")
}

fn in_words(reason: Reason) -> &'static str {
    match reason {
        Reason::Motion => "too much motion",
        Reason::Dark => "too dark",
        Reason::Overexposed => "too bright",
        Reason::Monochrome => "no colour",
        Reason::LowFramerate => "too few frames",
        Reason::ShortWindow => "seen too briefly",
        Reason::Light => "unsteady light",
        Reason::NoPulse => "no pulse found",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(face: Face) -> Words {
        Words::of(&face, "measuring", true).unwrap()
    }

    #[test]
    fn a_rate_is_shown_in_whole_beats() {
        let face = Face { status: Status::Ok, bpm: Some(71.6), confidence: Some(0.9), ..face(1) };
        let words = words(face);
        assert_eq!(words.headline, Headline::Rate(72));
        assert_eq!((words.bars, words.reason.as_str()), (Some(4), ""));
    }

    #[test]
    fn no_rate_is_words_and_never_zero() {
        let text = |w: &Words| w.headline.clone();
        assert_eq!(text(&words(face(1))), Headline::Text("measuring".into()));
        for bpm in [None, Some(0.0), Some(f64::NAN), Some(f64::INFINITY)] {
            let reasons = [Reason::Motion, Reason::Dark].into_iter().collect();
            let weak = words(Face { status: Status::Weak, bpm, reasons, ..face(1) });
            assert_eq!(text(&weak), Headline::Text("no reading".into()));
            assert_eq!(weak.reason, "too much motion, too dark");
            assert_eq!(weak.bars, Some(0));
        }
    }

    #[test]
    fn who_is_gone_has_no_card() {
        assert_eq!(Words::of(&Face { status: Status::Lost, ..face(1) }, "", true), None);
    }

    fn face(id: u32) -> Face {
        Face { id, ..Face::default() }
    }
}
