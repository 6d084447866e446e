//! What is seen of a face beside its pulse.

use super::chroma::Chroma;
use super::estimator::Config;
use super::faces::Seen;
use super::light::Light;
use super::movement::Path;
use super::resample::Sample;

/// All that is known beside the pulse.
#[derive(Clone, Debug, Default)]
pub struct Circumstances {
    pub light: Light,
    pub path: Path,
    pub chroma: Chroma,
}

impl Circumstances {
    /// Adds what was `seen` over the pair of frames, with its middle at `middle` seconds, of which
    /// the sample `pulse` was made.
    pub fn push(&mut self, pulse: Sample, middle: f64, seen: &Seen, of: &Config) {
        let changes = &seen.changes;
        self.light.push(pulse, middle, changes.light, of);
        self.path.push(pulse, changes.movement, of);
        self.chroma.push(pulse, changes, of);
    }
}
