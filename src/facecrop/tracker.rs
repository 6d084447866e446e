//! All faces of a stream: detections become tracks with stable ids, tracks become pairs of crops.

use super::area::RgbRows;
use super::backdrop::Backdrop;
use super::detector::Detection;
use super::steady::FaceBox;
use super::timeline::{Course, Step};
use super::track::{Cut, Face, Track};
use crate::meta::{SAME_FACE, iou};

/// Detections in a row that may miss a face that registration has lost, too.
const MISSES: u32 = 2;
/// Detections in a row that may miss a face that is still registered (a profile, a raised hand).
const MOST_MISSES: u32 = 10;
/// A face that comes back within this time of being given up is the same, seconds.
const RECOGNISED: f64 = 1.0;
/// A detection this far from where a face is expected, in sizes of the face, is another face...
const NEAR: f64 = 0.6;
/// ...or this much farther for each second that the face has not been seen.
const DRIFT: f64 = 0.5;
/// A box more than this much larger or smaller is another face.
const MAX_GROWTH: f64 = 2.0;
/// Faces nearer to one another than this share of their size come under one another's mask:
/// registration would mix them up.
const CROSSING: f64 = 1.0;
/// For so long two faces may cross, seconds; longer is a lasting neighbour.
const MAX_CROSSING: f64 = 2.0;
/// A followed face may become this much smaller than one that is taken up.
const MIN_SIZE_KEPT: f64 = 0.8;

/// What the user asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Faces followed at a time.
    pub max_faces: usize,
    /// Height of the smallest face, as a fraction of the picture's.
    pub min_face_size: f64,
    /// Share of the face box that the crop is wider by.
    pub margin: f64,
}

/// Where faces come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// From detections.
    Detections,
    /// The whole picture is one face.
    Whole,
}

/// The faces of one stream.
pub struct Tracker {
    mode: Mode,
    limits: Limits,
    size: usize,
    /// Width and height of the last picture, side of its crops.
    last: Option<(usize, usize, usize)>,
    tracks: Vec<Track>,
    /// Of the picture before.
    backdrop: Option<Backdrop>,
    next_id: u32,
    /// Seconds for which faces have been crossing.
    crossing: f64,
}

impl Tracker {
    /// `size` is the side of the crops in pixels.
    pub fn new(mode: Mode, limits: Limits, size: usize) -> Self {
        let tracks = Vec::new();
        Self { mode, limits, size, last: None, tracks, backdrop: None, next_id: 1, crossing: 0.0 }
    }

    /// Changes what is asked for; a new crop size forgets the frames before.
    pub fn configure(&mut self, limits: Limits, size: usize) {
        self.limits = limits;
        self.size = size;
    }

    fn cut(&self) -> Cut {
        Cut { size: self.size, margin: self.limits.margin }
    }

    /// Takes the next frame and yields its faces. `look` is asked once for the faces that a
    /// detector finds in it, `None` where it need not look yet; its argument is whether a followed
    /// face is out of sight, so that it is urgent.
    ///
    /// # Errors
    /// Those of `look`.
    pub fn frame<P: RgbRows, E>(
        &mut self,
        step: &Step,
        picture: &P,
        look: impl FnOnce(bool) -> Result<Option<Vec<Detection>>, E>,
    ) -> Result<Vec<Face>, E> {
        let urgent = self.follow(step, picture);
        if let Some(found) = look(urgent)? {
            self.detected(&found, picture);
        }
        Ok(self.finish(step, picture))
    }

    /// Crops `picture` for the faces known so far and looks where they have gone. Whether one of
    /// them is out of sight.
    fn follow(&mut self, step: &Step, picture: &impl RgbRows) -> bool {
        match step.course {
            Course::Restart => self.restart(),
            Course::Gap => self.tracks.iter_mut().for_each(Track::drop_stored),
            Course::Next => (),
        }
        let cut = self.cut();
        self.adapt(&cut, picture);
        if self.mode == Mode::Whole && self.tracks.is_empty() {
            self.tracks.push(Track::whole(1, &cut, picture));
            return false;
        }
        let crossing = self.crossing(step.dt);
        let mut lost_sight = false;
        for (track, crossing) in self.tracks.iter_mut().zip(crossing) {
            track.age += step.dt;
            match &mut track.lost {
                Some(lost) => {
                    *lost += step.dt;
                    track.unseen += step.dt;
                }
                None if crossing => track.coast(step.dt, &cut, picture),
                None => track.follow(step.dt, &cut, picture),
            }
            lost_sight |= track.lost.is_none() && track.out_of_sight();
        }
        self.retain();
        lost_sight
    }

    /// Drops faces that were given up long ago, and those beyond a `max_faces` that has shrunk.
    fn retain(&mut self) {
        let mut room = self.limits.max_faces;
        self.tracks.retain(|track| match track.lost {
            Some(lost) => lost <= RECOGNISED,
            None if room == 0 => false,
            None => {
                room -= 1;
                true
            }
        });
    }

    /// Forgets all faces. Ids go on counting: a face found later may be another one.
    fn restart(&mut self) {
        self.tracks.clear();
        self.crossing = 0.0;
    }

    /// Brings the tracks into a picture, or crops, of a new size: the frames before are forgotten.
    fn adapt(&mut self, cut: &Cut, picture: &impl RgbRows) {
        let now = (picture.width(), picture.height(), cut.size);
        let before = self.last.replace(now).unwrap_or(now);
        if before == now {
            return;
        }
        if self.mode == Mode::Whole {
            self.tracks.clear();
        }
        let (x, y) = (now.0 as f64 / before.0 as f64, now.1 as f64 / before.1 as f64);
        self.tracks.iter_mut().for_each(|t| t.rescale(x, y, cut, picture));
    }

    /// Which of the tracks are passing another one.
    fn crossing(&mut self, dt: f64) -> Vec<bool> {
        let hidden = |a: &Track| {
            self.tracks.iter().any(|b| {
                let reach = CROSSING * (a.place.size() + b.place.size()) / 2.0;
                let near = a.expected(dt).distance(&b.expected(dt)) < reach;
                a.id != b.id && a.lost.is_none() && b.lost.is_none() && near
            })
        };
        let crossing: Vec<bool> = self.tracks.iter().map(hidden).collect();
        self.crossing = if crossing.contains(&true) { self.crossing + dt } else { 0.0 };
        let passing = self.crossing <= MAX_CROSSING;
        crossing.into_iter().map(|c| c && passing).collect()
    }

    /// Takes in the faces that were detected in this frame's `picture`.
    fn detected(&mut self, detections: &[Detection], picture: &impl RgbRows) {
        let cut = self.cut();
        let pairs = self.associate(detections);
        let mut taken = vec![false; detections.len()];
        for (t, d) in &pairs {
            let track = &mut self.tracks[*t];
            track.found(FaceBox::from_rect(detections[*d].rect), &cut, picture);
            (track.detection, track.score) = (Some(*d), detections[*d].score);
            track.confirmed_id |= detections[*d].id == Some(track.id);
            taken[*d] = true;
        }
        for (t, track) in self.tracks.iter_mut().enumerate() {
            if track.lost.is_none() && !pairs.iter().any(|p| p.0 == t) {
                track.misses += 1;
                let gone = if track.poor { MISSES } else { MOST_MISSES };
                track.lost = (track.misses >= gone).then_some(0.0);
            }
        }
        let kept = self.limits.min_face_size * MIN_SIZE_KEPT * picture.height() as f64;
        self.tracks.retain(|t| t.place.h >= kept);
        self.admit(detections, &taken, &cut, picture);
    }

    /// Pairs of track and detection, the surest first, each at most once.
    fn associate(&self, detections: &[Detection]) -> Vec<(usize, usize)> {
        let mut costs = Vec::new();
        for (t, track) in self.tracks.iter().enumerate() {
            for (d, detection) in detections.iter().enumerate() {
                costs.extend(cost(track, detection).map(|cost| (cost, t, d)));
            }
        }
        costs.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut tracks, mut found) =
            (vec![false; self.tracks.len()], vec![false; detections.len()]);
        costs.retain(|(_, t, d)| {
            let free = !tracks[*t] && !found[*d];
            tracks[*t] |= free;
            found[*d] |= free;
            free
        });
        costs.into_iter().map(|(_, t, d)| (t, d)).collect()
    }

    /// Takes up new faces, the largest first, as far as there is room.
    fn admit(
        &mut self,
        detections: &[Detection],
        taken: &[bool],
        cut: &Cut,
        picture: &impl RgbRows,
    ) {
        let least = self.limits.min_face_size * picture.height() as f64;
        let (width, height) = (picture.width() as f64, picture.height() as f64);
        let usable = |[x, y, w, h]: [f64; 4]| {
            let (cx, cy) = (x + w / 2.0, y + h / 2.0);
            w >= 1.0 && h >= least.max(1.0) && cx >= 0.0 && cy >= 0.0 && cx <= width && cy <= height
        };
        let mut new: Vec<usize> =
            (0..detections.len()).filter(|d| !taken[*d] && usable(detections[*d].rect)).collect();
        let area = |d: usize| detections[d].rect[2] * detections[d].rect[3];
        new.sort_by(|a, b| area(*b).total_cmp(&area(*a)));
        for d in new {
            let active = self.tracks.iter().filter(|t| t.lost.is_none());
            if active.clone().count() >= self.limits.max_faces {
                return;
            }
            let rect = detections[d].rect;
            if active.clone().any(|t| iou(t.place.rect(), rect) > SAME_FACE) {
                continue;
            }
            let (id, given) = self.new_id(detections[d].id);
            let mut track = Track::new(id, FaceBox::from_rect(rect), cut, picture);
            (track.given_id, track.detection) = (given, Some(d));
            track.score = detections[d].score;
            self.tracks.push(track);
        }
    }

    /// The id that a detection brings, where it is free, else one of ours.
    fn new_id(&mut self, given: Option<u32>) -> (u32, bool) {
        let used = |id: u32| self.tracks.iter().any(|t| t.id == id);
        if let Some(id) = given.filter(|id| !used(*id)) {
            return (id, true);
        }
        let mut id = self.next_id;
        while used(id) || id == 0 {
            id = id.wrapping_add(1);
        }
        self.next_id = id.wrapping_add(1).max(1);
        (id, false)
    }

    /// The crops of this frame, but for faces given up. Moves the rectangles for the next one.
    fn finish(&mut self, step: &Step, picture: &impl RgbRows) -> Vec<Face> {
        let (cut, before) = (self.cut(), self.backdrop.take());
        let mut seen = self.tracks.iter_mut().filter(|t| t.lost.is_none()).peekable();
        if seen.peek().is_none() {
            return Vec::new();
        }
        let now = Backdrop::new(picture);
        let backdrops = (before.as_ref(), &now);
        let faces = seen.map(|t| t.finish(step.dt, &cut, picture, backdrops)).collect();
        self.backdrop = Some(now);
        faces
    }
}

/// How badly a detection fits a track, less is better; `None` where it is another face.
fn cost(track: &Track, detection: &Detection) -> Option<f64> {
    if let (true, Some(id)) = (track.given_id, detection.id) {
        if id == track.id {
            return Some(-1.0);
        }
        // Until it has come twice it may be a number that each region gets anew.
        if track.confirmed_id {
            return None;
        }
    }
    let found = FaceBox::from_rect(detection.rect);
    let expected = track.expected(track.unseen);
    let size = expected.size().max(1.0);
    let growth = found.size() / size;
    let away = expected.distance(&found) / size;
    let near = away < NEAR + DRIFT * track.unseen;
    (near && (1.0 / MAX_GROWTH..MAX_GROWTH).contains(&growth)).then_some(away)
}
