//! The faces of a stream, each with an estimator of its own.

use std::collections::BTreeMap;

use super::estimator::{Config, Estimate, Estimator};
use crate::meta::{Changes, Reason, Reasons, Status};

/// How long (ns) a face that is no longer seen is remembered.
pub const KEEP: u64 = 5_000_000_000;
/// Most faces remembered; beyond it the one that was seen longest ago is dropped.
pub const MOST: usize = 512;

/// One face of one frame.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Seen {
    pub id: u32,
    /// Fractions of the frame.
    pub rect: [f64; 4],
    /// The pulse sample and the ns between the two frames that it was made of, where known.
    pub ppg: Option<f64>,
    pub interval: Option<u64>,
    /// Between the two.
    pub changes: Changes,
    /// What the picture tells against a reading.
    pub reasons: Reasons,
}

/// What is remembered of a face.
#[derive(Clone, Debug)]
pub struct Face {
    pub rect: [f64; 4],
    /// As of the last time that estimates were made; lost while the face is not seen.
    pub latest: Estimate,
    estimator: Estimator,
    last_seen: u64,
    /// Not seen in the last frame.
    lost: bool,
}

impl Face {
    fn new(config: Config) -> Face {
        let reasons = [Reason::ShortWindow].into_iter().collect();
        Face {
            rect: [0.0; 4],
            latest: Estimate { reasons, ..Estimate::default() },
            estimator: Estimator::new(config),
            last_seen: 0,
            lost: true,
        }
    }
}

/// All faces of a stream. Nothing of one ever reaches another.
#[derive(Clone, Debug)]
pub struct Faces {
    config: Config,
    faces: BTreeMap<u32, Face>,
    /// Faces lost since [`Faces::take_lost`].
    lost: BTreeMap<u32, [f64; 4]>,
}

impl Faces {
    pub fn new(config: Config) -> Faces {
        Faces { config, faces: BTreeMap::new(), lost: BTreeMap::new() }
    }

    /// Whether samples are the rate of change of the wave. A change forgets all faces.
    pub fn set_derivative(&mut self, derivative: bool) {
        if self.config.derivative != derivative {
            self.config.derivative = derivative;
            self.faces.clear();
        }
    }

    /// Changes what a reading needs to be trusted, from the next estimates on.
    pub fn set_min_confidence(&mut self, min_confidence: f64) {
        if self.config.min_confidence != min_confidence {
            self.config.min_confidence = min_confidence;
            self.faces.values_mut().for_each(|f| f.estimator.set_min_confidence(min_confidence));
        }
    }

    /// Takes in the faces of the frame at `time` ns and returns the ids that were seen in the
    /// frame before and are not in this one.
    pub fn frame(&mut self, time: u64, seen: &[Seen]) -> Vec<u32> {
        for s in seen {
            let face = self.faces.entry(s.id).or_insert_with(|| Face::new(self.config));
            if face.lost && face.latest.status == Status::Lost {
                face.latest = Face::new(self.config).latest;
            }
            face.lost = false;
            (face.rect, face.last_seen) = (s.rect, time);
            face.estimator.push(time, s);
            self.lost.remove(&s.id);
        }
        let gone = self.lose(seen);
        self.faces.retain(|_, f| time.saturating_sub(f.last_seen) <= KEEP);
        while self.faces.len() > MOST {
            let oldest = self.faces.iter().min_by_key(|(_, f)| f.last_seen).map(|(id, _)| *id);
            oldest.and_then(|id| self.faces.remove(&id));
        }
        gone
    }

    fn lose(&mut self, seen: &[Seen]) -> Vec<u32> {
        let mut gone = Vec::new();
        for (id, face) in &mut self.faces {
            if face.lost || seen.iter().any(|s| s.id == *id) {
                continue;
            }
            face.lost = true;
            face.latest = Estimate { status: Status::Lost, ..Estimate::default() };
            self.lost.insert(*id, face.rect);
            gone.push(*id);
        }
        while self.lost.len() > MOST {
            self.lost.pop_first();
        }
        gone
    }

    /// Makes the estimates of all faces that are seen.
    pub fn estimate(&mut self) {
        for face in self.faces.values_mut().filter(|f| !f.lost) {
            face.latest = face.estimator.estimate();
        }
    }

    /// What is remembered of the face `id`.
    pub fn get(&self, id: u32) -> Option<&Face> {
        self.faces.get(&id)
    }

    /// Faces and their last rectangles that were lost since the last call and have not come back.
    pub fn take_lost(&mut self) -> BTreeMap<u32, [f64; 4]> {
        std::mem::take(&mut self.lost)
    }

    /// Number of faces remembered.
    pub fn len(&self) -> usize {
        self.faces.len()
    }

    /// Whether no face is remembered.
    pub fn is_empty(&self) -> bool {
        self.faces.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(id: u32) -> Seen {
        let (rect, reasons) = ([0.1; 4], Reasons::NONE);
        Seen { id, rect, ppg: Some(1.0), reasons, ..Seen::default() }
    }

    #[test]
    fn a_face_is_lost_once_kept_for_a_while_and_dropped() {
        let mut faces = Faces::new(Config::default());
        assert!(faces.frame(0, &[seen(1), seen(2)]).is_empty());
        assert_eq!(faces.frame(40_000_000, &[seen(2)]), [1]);
        assert!(faces.frame(80_000_000, &[seen(2)]).is_empty());
        assert_eq!(faces.get(1).unwrap().latest.status, Status::Lost);
        assert_eq!(faces.take_lost().into_keys().collect::<Vec<_>>(), [1]);
        assert!(faces.frame(KEEP, &[seen(2)]).is_empty());
        assert_eq!(faces.len(), 2);
        faces.frame(KEEP + 1, &[seen(1)]);
        assert_eq!(faces.get(1).unwrap().latest.status, Status::Measuring);
        faces.frame(3 * KEEP, &[seen(1)]);
        assert_eq!(faces.len(), 1);
    }

    #[test]
    fn however_many_ids_come_the_memory_is_bounded() {
        let mut faces = Faces::new(Config::default());
        for i in 0..5000u32 {
            faces.frame(u64::from(i) * 1000, &[seen(i)]);
        }
        assert_eq!(faces.len(), MOST);
        assert!(faces.take_lost().len() <= MOST);
    }
}
