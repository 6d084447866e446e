//! One face from frame to frame: its crops, its place, its steady rectangle.

use super::area::{PixelRect, RgbRows, area_average, crop_rect};
use super::backdrop::Backdrop;
use super::blood::Blood;
use super::chroma::Chroma;
use super::follow::{Shift, Template};
use super::quality;
use super::steady::{FaceBox, Steady};
use super::surround::Surround;
use crate::meta::{Changes, LightChange, Movement, Reason, Reasons};

/// Correlation below which the crop no longer shows what the template showed. A resting face has
/// 0.98 and more, another piece of the scene mostly less than 0.5.
const MIN_MATCH: f64 = 0.7;
/// Farther than this share of the face's size from where it was expected, the registration has
/// slipped.
const MAX_SLIP: f64 = 0.35;
/// Grown or shrunk by more than this since the last detection, it has slipped as well.
const MAX_GROWTH: f64 = 1.3;
/// Time over which velocity is averaged, seconds.
const VELOCITY_TIME: f64 = 0.2;
/// Faster than this many face widths a second is motion that spoils the reading. Across a face the
/// light changes by about half within a quarter of its width: at this speed a point of it changes
/// by 100 % a second, and the pulse by 4 (0.5 % at 75 a minute), which the mean over the face can
/// still be expected to part.
const MAX_SPEED: f64 = 0.5;
/// Disagreement with the detector beyond this share of the size is a mistake of one of them, less
/// is averaged with its jitter.
const DISAGREEMENT: f64 = 0.1;
/// A mistake that lasts so long, seconds, is ours and is corrected at once: a Haar cascade, asked on
/// each frame, makes one of this size in twenty.
const MISTAKE: f64 = 0.25;
/// Time over which the detector's centres and sizes are averaged, seconds.
const CENTRE_TIME: f64 = 0.72;
const SIZE_TIME: f64 = 1.4;

/// The crop that both frames of a pair are made with.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// Side of the crop in its own pixels.
    pub size: usize,
    /// Margin around the face box.
    pub margin: f64,
}

impl Cut {
    fn rect(&self, face: &FaceBox, picture: &impl RgbRows) -> PixelRect {
        crop_rect(face.rect(), self.margin, picture.width(), picture.height())
    }

    fn pixels(&self, rect: PixelRect, picture: &impl RgbRows) -> Vec<f32> {
        let mut out = Vec::new();
        area_average(picture, rect, self.size, &mut out);
        out
    }
}

/// A face of this frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Face {
    /// Stable while the face is followed.
    pub id: u32,
    /// Seconds since it was first found.
    pub age: f64,
    /// The detector's confidence when it last found it, 0..1.
    pub score: f32,
    /// x, y, w, h in pixels, without margin; may reach over the picture's border.
    pub rect: [f64; 4],
    /// Planar R, G, B of this frame's crop.
    pub pixels: Vec<f32>,
    /// The frame before, cropped with the same rectangle.
    pub previous: Option<Vec<f32>>,
    /// Since the frame before.
    pub changes: Changes,
    /// What pixels and movement tell against a reading.
    pub reasons: Reasons,
    /// Which of this frame's detections it was found by.
    pub detection: Option<usize>,
}

/// What the registration holds on to, and where the face was in it.
struct Anchor {
    template: Template,
    face: FaceBox,
    shift: Shift,
}

/// One face, followed.
pub struct Track {
    pub id: u32,
    /// The id is the detector's, not ours.
    pub given_id: bool,
    /// The detector has said that id more than once: it is no number of the frame's own.
    pub confirmed_id: bool,
    /// Where the face is thought to be.
    pub place: FaceBox,
    /// Pixels a second.
    pub velocity: [f64; 2],
    /// Registration has lost it.
    pub poor: bool,
    /// Detections in a row that did not find it.
    pub misses: u32,
    /// Seconds since it was last found or well followed.
    pub unseen: f64,
    /// Seconds since it was given up, which keeps it only to be recognised.
    pub lost: Option<f64>,
    pub detection: Option<usize>,
    /// Seconds since it was first found.
    pub age: f64,
    /// What the last detection said: confidence and size.
    pub score: f32,
    found_size: f64,
    /// Seconds since then.
    since_found: f64,
    /// Seconds for which detections have disagreed.
    disagreed: f64,
    /// Widths a second, whatever the direction.
    speed: f64,
    steady: Steady,
    /// The whole picture, wherever the face goes.
    fixed: bool,
    rect: PixelRect,
    anchor: Option<Anchor>,
    /// Since the frame before.
    movement: Option<Movement>,
    blood: Blood,
    /// This frame's crop.
    pixels: Vec<f32>,
    /// The frame before, cropped with `rect`, and what was around it.
    stored: Option<Stored>,
}

/// What is kept of a frame for the next one's pair.
struct Stored {
    pixels: Vec<f32>,
    measured: Measured,
}

/// What is measured of a frame with the rectangle of the crop, beside the crop itself.
struct Measured {
    surround: Surround,
    chroma: Chroma,
}

impl Measured {
    fn new(rect: PixelRect, picture: &impl RgbRows) -> Measured {
        Measured { surround: Surround::new(rect, picture), chroma: Chroma::new(rect, picture) }
    }
}

impl Track {
    /// A face seen for the first time.
    pub fn new(id: u32, place: FaceBox, cut: &Cut, picture: &impl RgbRows) -> Self {
        let rect = cut.rect(&place, picture);
        let mut track = Self {
            id,
            given_id: false,
            confirmed_id: false,
            place,
            velocity: [0.0; 2],
            poor: false,
            misses: 0,
            unseen: 0.0,
            lost: None,
            detection: None,
            age: 0.0,
            score: 1.0,
            found_size: place.size(),
            since_found: 0.0,
            disagreed: 0.0,
            speed: 0.0,
            steady: Steady::new(place),
            fixed: false,
            rect,
            anchor: None,
            movement: None,
            blood: Blood::default(),
            pixels: Vec::new(),
            stored: None,
        };
        track.start(place, cut, picture);
        track
    }

    /// The whole picture as one face.
    pub fn whole(id: u32, cut: &Cut, picture: &impl RgbRows) -> Self {
        let rect = PixelRect { x: 0, y: 0, w: picture.width(), h: picture.height() };
        let place = FaceBox::from_rect([0.0, 0.0, rect.w as f64, rect.h as f64]);
        let mut track = Self { fixed: true, rect, ..Self::new(id, place, cut, picture) };
        track.pixels = cut.pixels(rect, picture);
        track.anchor(cut.size);
        track
    }

    /// Takes the face up at `place`, at rest, without a frame before.
    fn start(&mut self, place: FaceBox, cut: &Cut, picture: &impl RgbRows) {
        self.place = place;
        self.found_size = place.size();
        self.steady = Steady::new(place);
        self.rect = cut.rect(&place, picture);
        self.pixels = cut.pixels(self.rect, picture);
        self.stored = None;
        self.blood = Blood::default();
        self.anchor(cut.size);
    }

    /// Crops this frame and looks where the face has gone in `dt` seconds.
    pub fn follow(&mut self, dt: f64, cut: &Cut, picture: &impl RgbRows) {
        self.next_frame(dt, cut, picture);
        match self.registered(dt, cut.size) {
            Some((place, shift)) => {
                self.set_velocity(&place, dt);
                self.place = place;
                if let Some(anchor) = &mut self.anchor {
                    self.movement = Some(shift.since(&anchor.shift));
                    anchor.shift = shift;
                }
                (self.poor, self.unseen) = (false, 0.0);
            }
            None => {
                let fade = (-dt / VELOCITY_TIME).exp();
                self.velocity = self.velocity.map(|v| v * fade);
                self.poor = true;
                self.unseen += dt;
            }
        }
    }

    /// Crops this frame and goes on as before: another face is in the way.
    pub fn coast(&mut self, dt: f64, cut: &Cut, picture: &impl RgbRows) {
        self.next_frame(dt, cut, picture);
        self.place = self.expected(dt);
        self.poor = false;
        self.unseen += dt;
        self.anchor(cut.size);
    }

    /// Crops the frame `dt` seconds after the one before.
    fn next_frame(&mut self, dt: f64, cut: &Cut, picture: &impl RgbRows) {
        (self.detection, self.movement) = (None, None);
        self.since_found += dt;
        self.pixels = cut.pixels(self.rect, picture);
    }

    /// Registration has lost the face, rather than having had nothing to hold on to.
    pub fn out_of_sight(&self) -> bool {
        self.poor && self.anchor.is_some() && !self.fixed
    }

    /// Where the face should be `dt` seconds after it was last placed.
    pub fn expected(&self, dt: f64) -> FaceBox {
        let [vx, vy] = self.velocity;
        FaceBox { cx: self.place.cx + vx * dt, cy: self.place.cy + vy * dt, ..self.place }
    }

    /// The place that the registration of this frame's crop gives, where it can be believed.
    fn registered(&self, dt: f64, size: usize) -> Option<(FaceBox, Shift)> {
        let anchor = self.anchor.as_ref()?;
        let (w, h) = (self.rect.w as f64, self.rect.h as f64);
        let guess = Shift {
            dx: anchor.shift.dx + self.velocity[0] * dt / w,
            dy: anchor.shift.dy + self.velocity[1] * dt / h,
            ..anchor.shift
        };
        let shift = anchor.template.find(&self.pixels, size, guess)?;
        let (x, y) = (self.rect.x as f64 + w / 2.0, self.rect.y as f64 + h / 2.0);
        let place = FaceBox {
            cx: x + shift.scale * (anchor.face.cx - x) + shift.dx * w,
            cy: y + shift.scale * (anchor.face.cy - y) + shift.dy * h,
            w: anchor.face.w * shift.scale,
            h: anchor.face.h * shift.scale,
        };
        let slip = place.distance(&self.expected(dt)) / self.place.size().max(1.0);
        let growth = place.size() / self.found_size.max(1.0);
        let plausible = slip < MAX_SLIP && (1.0 / MAX_GROWTH..MAX_GROWTH).contains(&growth);
        (shift.match_ > MIN_MATCH && plausible).then_some((place, shift))
    }

    fn set_velocity(&mut self, place: &FaceBox, dt: f64) {
        if dt <= 0.0 {
            return;
        }
        let share = 1.0 - (-dt / VELOCITY_TIME).exp();
        let moved = [(place.cx - self.place.cx) / dt, (place.cy - self.place.cy) / dt];
        self.velocity.iter_mut().zip(moved).for_each(|(v, m)| *v += share * (m - *v));
        let speed = moved[0].hypot(moved[1]) / place.w.max(1.0);
        self.speed += share * (speed - self.speed);
    }

    /// The detector has found the face at `found`.
    pub fn found(&mut self, found: FaceBox, cut: &Cut, picture: &impl RgbRows) {
        if self.lost.is_some() {
            self.velocity = [0.0; 2];
            self.start(found, cut, picture);
        } else {
            if self.poor && self.unseen > 0.0 {
                self.set_velocity(&found, self.unseen);
            }
            self.correct(&found);
            self.anchor(cut.size);
        }
        self.found_size = found.size();
        self.since_found = 0.0;
        (self.poor, self.unseen, self.misses, self.lost) = (false, 0.0, 0, None);
    }

    /// Takes the place nearer to where the detector has found the face.
    fn correct(&mut self, found: &FaceBox) {
        let size = self.place.size().max(1.0);
        let agree = self.place.distance(found) / size < DISAGREEMENT
            && (found.w - self.place.w).abs() / size < DISAGREEMENT;
        self.disagreed = if agree { 0.0 } else { self.disagreed + self.since_found };
        let share = |time: f64| 1.0 - (-self.since_found / time).exp();
        let (centre, extent) = if agree {
            (share(CENTRE_TIME), share(SIZE_TIME))
        } else if self.poor || self.disagreed >= MISTAKE {
            (1.0, 1.0)
        } else {
            (0.0, 0.0)
        };
        self.place = self.place.towards(found, centre, extent);
    }

    /// Holds on to the crop in `pixels`.
    fn anchor(&mut self, size: usize) {
        let template = Template::new(&self.pixels, size);
        let face = self.place;
        self.anchor = template.map(|template| Anchor { template, face, shift: Shift::NONE });
    }

    /// Forgets the frame before: the next pair would not be one.
    pub fn drop_stored(&mut self) {
        self.stored = None;
        self.velocity = [0.0; 2];
    }

    /// Forgets all that was measured in pixels of another size, after a change of the picture's by
    /// these factors or of the crop's.
    pub fn rescale(&mut self, x: f64, y: f64, cut: &Cut, picture: &impl RgbRows) {
        let p = self.place;
        self.velocity = [0.0; 2];
        self.start(FaceBox { cx: p.cx * x, cy: p.cy * y, w: p.w * x, h: p.h * y }, cut, picture);
    }

    /// Gives this frame's face, and prepares the next: where the rectangle moves, this frame is
    /// cropped once more with the rectangle to come.
    pub fn finish(
        &mut self,
        dt: f64,
        cut: &Cut,
        picture: &impl RgbRows,
        backdrops: (Option<&Backdrop>, &Backdrop),
    ) -> Face {
        let rect = self.steady.face().rect();
        let measured = Measured::new(self.rect, picture);
        let previous = self.stored.take();
        let (before, now) = backdrops;
        let backdrop = before.and_then(|before| now.change_since(before, self.rect));
        let changes =
            previous.as_ref().map(|p| self.changes(p, (&measured, backdrop), cut.size, dt));
        let changes = changes.unwrap_or_default();
        let next = self.next_rect(dt, cut, picture);
        let mut reasons = quality::reasons(&self.pixels, cut.size);
        if self.out_of_sight() || self.speed > MAX_SPEED {
            reasons.insert(Reason::Motion);
        }
        let (pixels, stored) = if next == self.rect {
            let pixels = std::mem::take(&mut self.pixels);
            (pixels.clone(), Stored { pixels, measured })
        } else {
            self.rect = next;
            let stored = cut.pixels(next, picture);
            let pixels = std::mem::replace(&mut self.pixels, stored.clone());
            self.anchor(cut.size);
            (pixels, Stored { pixels: stored, measured: Measured::new(next, picture) })
        };
        self.stored = Some(stored);
        let previous = previous.map(|p| p.pixels);
        let Track { id, age, score, detection, .. } = *self;
        Face { id, age, score, rect, pixels, previous, changes, reasons, detection }
    }

    /// How this frame, with what is measured of it and how the backdrop changed, differs from the one
    /// `before`.
    fn changes(
        &mut self,
        before: &Stored,
        (measured, backdrop): (&Measured, Option<f32>),
        size: usize,
        dt: f64,
    ) -> Changes {
        let pixels = [&before.pixels, &self.pixels].map(Vec::as_slice);
        let [then, now] = pixels.map(|p| quality::mean_colour(p, size));
        let around = measured.surround.change_since(&before.measured.surround);
        let light = quality::light_change(then, now).zip(around);
        let colour = quality::colour_change(then, now);
        Changes {
            light: light.map(|(face, around)| LightChange { face, around, backdrop }),
            colour,
            chroma_held: colour.and_then(|_| measured.chroma.held_since(&before.measured.chroma)),
            blood: self.blood.change(pixels, size, around.unwrap_or(0.0), dt),
            movement: self.movement,
        }
    }

    /// The rectangle of the next frame's crop. It waits for a face that is out of sight.
    fn next_rect(&mut self, dt: f64, cut: &Cut, picture: &impl RgbRows) -> PixelRect {
        if self.fixed {
            self.place = *self.steady.face();
            self.anchor(cut.size);
            return self.rect;
        }
        if !self.out_of_sight() {
            self.steady.update(&self.place, dt);
        }
        cut.rect(self.steady.face(), picture)
    }
}
