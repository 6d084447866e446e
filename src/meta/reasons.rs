//! Why a reading is weak: a fixed set of words.

use std::fmt;

/// One reason for which a reading can't be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// The face moves too much.
    Motion,
    /// Too little light on the face.
    Dark,
    /// A good part of the face is clipped to white.
    Overexposed,
    /// No colour: GRAY8, infrared, a black-and-white picture.
    Monochrome,
    /// Fewer frames a second than the highest rate needs, or no usable timestamps.
    LowFramerate,
    /// The face has not been seen for long enough.
    ShortWindow,
    /// The light pulses on the face and around it, at the rate that was found or at another beside which
    /// none can be trusted.
    Light,
    /// Nothing in the wave looks like a pulse.
    NoPulse,
}

impl Reason {
    /// All reasons, in the order in which they are written.
    pub const ALL: [Reason; 8] = [
        Reason::Motion,
        Reason::Dark,
        Reason::Overexposed,
        Reason::Monochrome,
        Reason::LowFramerate,
        Reason::ShortWindow,
        Reason::Light,
        Reason::NoPulse,
    ];

    /// The word of the metadata contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Motion => "motion",
            Reason::Dark => "dark",
            Reason::Overexposed => "overexposed",
            Reason::Monochrome => "monochrome",
            Reason::LowFramerate => "low-framerate",
            Reason::ShortWindow => "short-window",
            Reason::Light => "light",
            Reason::NoPulse => "no-pulse",
        }
    }
}

/// A set of [`Reason`]s.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Reasons(u8);

impl Reasons {
    pub const NONE: Reasons = Reasons(0);

    pub fn insert(&mut self, reason: Reason) {
        self.0 |= 1 << reason as u8;
    }

    pub fn contains(self, reason: Reason) -> bool {
        self.0 & (1 << reason as u8) != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn iter(self) -> impl Iterator<Item = Reason> {
        Reason::ALL.into_iter().filter(move |r| self.contains(*r))
    }

    /// Parses a word of the contract; words of a newer version are ignored.
    pub(crate) fn insert_word(&mut self, word: &str) {
        if let Some(reason) = Reason::ALL.into_iter().find(|r| r.as_str() == word) {
            self.insert(reason);
        }
    }
}

impl FromIterator<Reason> for Reasons {
    fn from_iter<I: IntoIterator<Item = Reason>>(iter: I) -> Self {
        let mut set = Reasons::NONE;
        iter.into_iter().for_each(|r| set.insert(r));
        set
    }
}

impl fmt::Debug for Reasons {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
