//! [`PulseTestMeta`], the truth behind a test picture.

use super::custom;

/// Name of the `GstCustomMeta`.
pub(super) const NAME: &str = "PulseTestMeta";

/// One rendered face.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TrueFace {
    /// Place in the source's list of faces, from 0.
    pub index: u32,
    /// Face rectangle, fractions of the frame; may reach beyond 0..1 where the face leaves it.
    pub x: f64,
    pub y: f64,
    pub w: f64,
    pub h: f64,
    /// Rate at this very frame, beats per minute.
    pub bpm: f64,
    /// Pulse wave at this frame, −1..1; 0 throughout where the face is lifeless.
    pub pulse: f64,
}

/// Ground truth written by `pulsetestsrc`: a `GstCustomMeta` named `PulseTestMeta`, without tags.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PulseTestMeta {
    pub faces: Vec<TrueFace>,
}

impl PulseTestMeta {
    /// Reads the meta of `buffer`.
    pub fn read(buffer: &gst::BufferRef) -> Option<PulseTestMeta> {
        super::register();
        let meta = gst::meta::CustomMeta::from_buffer(buffer, NAME).ok()?;
        let faces = custom::structures(meta.structure(), "faces")?;
        let faces = faces.iter().map(|s| {
            Some(TrueFace {
                index: s.get("index").ok()?,
                x: s.get("x").ok()?,
                y: s.get("y").ok()?,
                w: s.get("w").ok()?,
                h: s.get("h").ok()?,
                bpm: s.get("bpm").ok()?,
                pulse: s.get("pulse").ok()?,
            })
        });
        Some(PulseTestMeta { faces: faces.collect::<Option<_>>()? })
    }

    /// Writes the meta to `buffer`.
    pub fn write(&self, buffer: &mut gst::BufferRef) {
        let faces = custom::array(self.faces.iter().map(|f| {
            gst::Structure::builder("face")
                .field("index", f.index)
                .field("x", f.x)
                .field("y", f.y)
                .field("w", f.w)
                .field("h", f.h)
                .field("bpm", f.bpm)
                .field("pulse", f.pulse)
                .build()
        }));
        custom::replace(buffer, NAME, |s| s.set("faces", faces));
    }
}
