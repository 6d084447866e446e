//! [`HeartRateMeta`], the public result.

use super::{Changes, Reasons, custom};

/// Name of the `GstCustomMeta`.
pub(super) const NAME: &str = "HeartRateMeta";

/// How far a reading can be believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Not enough signal yet.
    #[default]
    Measuring,
    /// A reading with at least the asked-for confidence.
    Ok,
    /// A signal that gives no trustworthy reading; the reasons say why.
    Weak,
    /// The face is no longer seen.
    Lost,
}

impl Status {
    /// The word of the metadata contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Measuring => "measuring",
            Status::Ok => "ok",
            Status::Weak => "weak",
            Status::Lost => "lost",
        }
    }

    fn from_word(word: &str) -> Option<Status> {
        [Status::Measuring, Status::Ok, Status::Weak, Status::Lost]
            .into_iter()
            .find(|s| s.as_str() == word)
    }
}

/// What is known of one face at one frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Face {
    /// Stable while the face is followed.
    pub id: u32,
    /// Face rectangle, fractions of the frame, 0..1.
    pub x: f64,
    pub y: f64,
    pub w: f64,
    pub h: f64,
    /// This frame's pulse sample, arbitrary unit. Where [`HeartRateMeta::derivative`] is set it is
    /// the rate of change of the pulse wave (a unit a second, whatever the frame rate).
    pub ppg: Option<f64>,
    /// Time between the two frames that `ppg` was made of; the sample stands for their middle.
    pub ppg_interval: Option<gst::ClockTime>,
    /// Over `ppg_interval`.
    pub changes: Changes,
    /// Beats per minute; `None` while there is no trustworthy estimate.
    pub bpm: Option<f64>,
    /// 0..1, calibrated: of the readings at 0.9, nine in ten lie within 5 bpm.
    pub confidence: Option<f64>,
    /// dB: power around the rate and its first harmonic over the rest of 0.7..4 Hz.
    pub snr: Option<f64>,
    pub status: Status,
    pub reasons: Reasons,
    /// Signal that the estimate used.
    pub window: gst::ClockTime,
}

impl Face {
    /// Writes the contract's fields into `s`; what is absent is not written.
    pub fn write_fields(&self, s: &mut gst::StructureRef) {
        s.set("id", self.id);
        for (name, value) in [("x", self.x), ("y", self.y), ("w", self.w), ("h", self.h)] {
            s.set(name, value);
        }
        let optional = [
            ("ppg", self.ppg),
            ("bpm", self.bpm),
            ("confidence", self.confidence),
            ("snr", self.snr),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                s.set(name, value);
            }
        }
        if let Some(interval) = self.ppg_interval {
            s.set("ppg-interval", interval.nseconds());
        }
        self.changes.write_fields(s);
        s.set("status", self.status.as_str());
        s.set("reasons", gst::Array::new(self.reasons.iter().map(|r| r.as_str())));
        s.set("window", self.window.nseconds());
    }

    /// Reads the contract's fields; `None` where one that must be there is not.
    pub fn read_fields(s: &gst::StructureRef) -> Option<Face> {
        let mut reasons = Reasons::NONE;
        if let Ok(words) = s.get::<gst::Array>("reasons") {
            words.iter().filter_map(|v| v.get::<&str>().ok()).for_each(|w| reasons.insert_word(w));
        }
        let time = |name| s.get::<u64>(name).ok().map(gst::ClockTime::from_nseconds);
        Some(Face {
            id: s.get("id").ok()?,
            x: s.get("x").ok()?,
            y: s.get("y").ok()?,
            w: s.get("w").ok()?,
            h: s.get("h").ok()?,
            ppg: s.get("ppg").ok(),
            ppg_interval: time("ppg-interval"),
            changes: Changes::read_fields(s),
            bpm: s.get("bpm").ok(),
            confidence: s.get("confidence").ok(),
            snr: s.get("snr").ok(),
            status: Status::from_word(s.get::<&str>("status").ok()?)?,
            reasons,
            window: time("window").unwrap_or_default(),
        })
    }
}

/// The array of face structures, as it stands in the meta and in the message.
pub(super) fn write_faces(faces: &[Face]) -> gst::Array {
    custom::array(faces.iter().map(|face| {
        let mut s = gst::Structure::new_empty("face");
        face.write_fields(&mut s);
        s
    }))
}

/// Reads the field `faces` of `s`.
pub(super) fn read_faces(s: &gst::StructureRef) -> Option<Vec<Face>> {
    custom::structures(s, "faces")?.iter().map(|s| Face::read_fields(s)).collect()
}

/// The public result on a buffer: a `GstCustomMeta` named `HeartRateMeta`, without tags, so that
/// it survives conversion, scaling and encoding within a process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeartRateMeta {
    /// Whether the `ppg` samples are the derivative of the pulse wave.
    pub derivative: bool,
    pub faces: Vec<Face>,
}

impl HeartRateMeta {
    /// Reads the meta of `buffer`; `None` if there is none or it is not of this contract.
    pub fn read(buffer: &gst::BufferRef) -> Option<HeartRateMeta> {
        super::register();
        let meta = gst::meta::CustomMeta::from_buffer(buffer, NAME).ok()?;
        let s = meta.structure();
        let derivative = s.get("derivative").unwrap_or(false);
        Some(HeartRateMeta { derivative, faces: read_faces(s)? })
    }

    /// Whether there is one on `buffer`, be it of this contract or not.
    pub fn is_on(buffer: &gst::BufferRef) -> bool {
        super::register();
        gst::meta::CustomMeta::from_buffer(buffer, NAME).is_ok()
    }

    /// Writes the meta to `buffer`, in place of the one that is there.
    pub fn write(&self, buffer: &mut gst::BufferRef) {
        let faces = write_faces(&self.faces);
        custom::replace(buffer, NAME, |s| {
            s.set("derivative", self.derivative);
            s.set("faces", faces);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ColourChange, LightChange, Movement};
    use super::*;
    use crate::meta::Reason;

    fn face() -> Face {
        Face {
            id: 7,
            x: 0.25,
            y: 0.125,
            w: 0.5,
            h: 0.75,
            ppg: Some(-1.5),
            ppg_interval: Some(gst::ClockTime::from_mseconds(33)),
            changes: Changes {
                light: Some(LightChange { face: 0.0078125, around: -0.25, backdrop: Some(0.0625) }),
                colour: Some(ColourChange { red: 0.25, green: -0.5, blue: 0.125 }),
                blood: Some(-0.375),
                chroma_held: Some(0.75),
                movement: Some(Movement { x: 0.5, y: -0.125, growth: 0.0625 }),
            },
            bpm: Some(72.25),
            confidence: Some(0.875),
            snr: Some(6.5),
            status: Status::Weak,
            reasons: [Reason::Dark, Reason::NoPulse].into_iter().collect(),
            window: gst::ClockTime::from_seconds(10),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        gst::init().unwrap();
        let mut buffer = gst::Buffer::new();
        assert_eq!(HeartRateMeta::read(&buffer), None);
        let empty = Face { id: 8, ..Face::default() };
        let meta = HeartRateMeta { derivative: true, faces: vec![face(), empty] };
        meta.write(buffer.make_mut());
        assert_eq!(HeartRateMeta::read(&buffer), Some(meta));
    }

    #[test]
    fn writing_again_replaces_and_absent_stays_absent() {
        gst::init().unwrap();
        let mut buffer = gst::Buffer::new();
        let mut meta = HeartRateMeta { derivative: true, faces: vec![face()] };
        meta.write(buffer.make_mut());
        meta.faces[0].bpm = None;
        meta.write(buffer.make_mut());
        assert_eq!(HeartRateMeta::read(&buffer).unwrap().faces[0].bpm, None);
        let custom = gst::meta::CustomMeta::from_buffer(&buffer, NAME).unwrap();
        let faces = custom::structures(custom.structure(), "faces").unwrap();
        assert!(!faces[0].has_field("bpm"));
        assert_eq!(buffer.iter_meta::<gst::Meta>().count(), 1);
    }

    #[test]
    fn a_malformed_meta_reads_as_none() {
        gst::init().unwrap();
        let mut buffer = gst::Buffer::new();
        custom::replace(buffer.make_mut(), NAME, |s| s.set("faces", 3i32));
        assert_eq!(HeartRateMeta::read(&buffer), None);
        let bad = gst::Structure::builder("face").field("id", "seven").build();
        custom::replace(buffer.make_mut(), NAME, |s| {
            s.set("faces", custom::array(std::iter::once(bad)))
        });
        assert_eq!(HeartRateMeta::read(&buffer), None);
    }
}
