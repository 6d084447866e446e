//! Faces as `GstVideoRegionOfInterestMeta`: those that come from upstream, those that go on.
//!
//! OpenCV's `facedetect` marks regions of type "face" with id 0. DL Streamer's regions carry a
//! structure `detection` and, where a tracker has seen them, `object_id`; their own ids number the
//! metadata of one frame and mean nothing in the next.

use gst_video::VideoRegionOfInterestMeta;

use super::detector::Detection;
use super::settings::DetectorKind;
use super::track::Face;
use crate::meta::{FaceCropMeta, HeartRateMeta, is_face_region};

/// The type of the regions written here.
const FACE: &str = "face";
/// Upstream that has marked no face for so long, seconds, is no detector (any more).
const SILENT: f64 = 2.0;

type Rect = (u32, u32, u32, u32);

/// Whether upstream marks faces.
#[derive(Debug, Default)]
pub struct Upstream {
    /// Seconds since it last did.
    silence: Option<f64>,
}

impl Upstream {
    /// The faces that upstream has found in a frame `dt` seconds after the last one; `None` where
    /// it is not upstream that faces are to be taken from.
    pub fn read(
        &mut self,
        detector: DetectorKind,
        buffer: &gst::BufferRef,
        dt: f64,
    ) -> Option<Vec<Detection>> {
        let found = match detector {
            DetectorKind::Metadata => return Some(read(buffer, &[])),
            DetectorKind::Auto => read(buffer, &own(buffer)),
            DetectorKind::UltraFace | DetectorKind::None => return None,
        };
        self.silence = match self.silence {
            _ if !found.is_empty() => Some(0.0),
            silence => silence.map(|s| s + dt).filter(|s| *s <= SILENT),
        };
        self.silence.map(|_| found)
    }
}

/// Ids of the faces that a `facecrop` before this one has marked, told by the metas beside them.
fn own(buffer: &gst::BufferRef) -> Vec<i32> {
    let crops = buffer.meta::<FaceCropMeta>().map(|m| m.shared_faces());
    let crops = crops.iter().flat_map(|crops| crops.iter()).map(|f| f.id as i32);
    let rates = HeartRateMeta::read(buffer).unwrap_or_default().faces;
    crops.chain(rates.iter().map(|f| f.id as i32)).collect()
}

/// The identity that a region brings, more than 0: its tracker's, or else its own where that is no
/// number of DL Streamer's.
fn identity(roi: &VideoRegionOfInterestMeta) -> Option<i32> {
    let tracked = roi.params().find(|p| p.name() == "object_id").map(|p| p.get::<i32>("id").ok());
    let numbered = roi.params().any(|p| p.name() == "detection");
    tracked.unwrap_or_else(|| (!numbered).then(|| roi.id())).filter(|id| *id > 0)
}

fn confidence(roi: &VideoRegionOfInterestMeta) -> Option<f32> {
    let detection = roi.params().find(|p| p.name() == "detection")?;
    Some(detection.get::<f64>("confidence").ok()? as f32)
}

/// The faces that upstream has marked, in the order of the metas, but for those with an id of
/// `own`. Ids are taken where no other face of the frame has the same.
fn read(buffer: &gst::BufferRef, own: &[i32]) -> Vec<Detection> {
    let rois = buffer.iter_meta::<VideoRegionOfInterestMeta>();
    let rois: Vec<_> = rois.filter(|roi| is_face_region(roi) && !own.contains(&roi.id())).collect();
    let unique = |id: &i32| rois.iter().filter(|r| identity(r) == Some(*id)).count() == 1;
    let detection = |roi: &gst::MetaRef<VideoRegionOfInterestMeta>| {
        let (x, y, w, h) = roi.rect();
        Detection {
            rect: [x, y, w, h].map(f64::from),
            score: confidence(roi).unwrap_or(1.0),
            id: identity(roi).filter(unique).map(|id| id as u32),
        }
    };
    rois.iter().map(detection).collect()
}

/// Marks `faces` in a frame of width × height `size`. A face that was detected by upstream, taken
/// as `detector` says, has its own region brought up to date, with its type and params, and its id
/// unless that is 0 without any params: other metas may refer to it. The others get a new region.
pub fn write(
    buffer: &mut gst::BufferRef,
    detector: DetectorKind,
    faces: &[Face],
    size: (u32, u32),
) {
    let given = matches!(detector, DetectorKind::Metadata | DetectorKind::Auto);
    let own = if detector == DetectorKind::Auto { own(buffer) } else { Vec::new() };
    let taken = |index: usize| faces.iter().find(|f| given && f.detection == Some(index));
    let rois = buffer.iter_meta_mut::<VideoRegionOfInterestMeta>();
    let rois = rois.filter(|roi| is_face_region(roi) && !own.contains(&roi.id()));
    for (index, mut roi) in rois.enumerate() {
        if let Some(face) = taken(index) {
            roi.set_rect(clipped(face.rect, size));
            if roi.id() == 0 && roi.params().next().is_none() {
                roi.set_id(face.id as i32);
            }
        }
    }
    for face in faces.iter().filter(|f| !given || f.detection.is_none()) {
        let mut roi = VideoRegionOfInterestMeta::add(buffer, FACE, clipped(face.rect, size));
        roi.set_id(face.id as i32);
    }
}

/// Whole pixels inside of the frame.
fn clipped([x, y, w, h]: [f64; 4], (width, height): (u32, u32)) -> Rect {
    let side = |start: f64, len: f64, most: u32| {
        // `as` keeps what is negative or not a number at 0.
        let (a, b) = (start.round() as u32, (start + len).round() as u32);
        let a = a.min(most);
        (a, b.min(most).saturating_sub(a))
    };
    let ((x, w), (y, h)) = (side(x, w, width), side(y, h, height));
    (x, y, w, h)
}
