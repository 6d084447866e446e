//! Faces as `GstVideoRegionOfInterestMeta`: those that come from upstream, those that go on. With the
//! feature `v1_24` those that come may be object detections, too.
//!
//! OpenCV's `facedetect` marks regions of type "face" with id 0. DL Streamer's regions carry a
//! structure `detection` and, where a tracker has seen them, `object_id`; their own ids number the
//! metadata of one frame and mean nothing in the next.

use gst_video::VideoRegionOfInterestMeta;

use super::detector::Detection;
use super::settings::DetectorKind;
use super::track::Face;
use crate::meta::{FaceCropMeta, HeartRateMeta, is_face_region};
#[cfg(feature = "v1_24")]
use crate::meta::{FaceDetection, SAME_FACE, iou};

/// The type of the regions written here.
pub const FACE: &str = "face";
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

/// The faces that upstream has marked: its regions, in the order of the metas, but for those with an
/// id of `own`, then its object detections, but for those tracked by one. Ids are taken where no other face of the frame has the same.
fn read(buffer: &gst::BufferRef, own: &[i32]) -> Vec<Detection> {
    let rois = buffer.iter_meta::<VideoRegionOfInterestMeta>();
    let rois = rois.filter(|roi| is_face_region(roi) && !own.contains(&roi.id()));
    let mut faces: Vec<Detection> = rois.map(|roi| region(&roi)).collect();
    #[cfg(feature = "v1_24")]
    add_detections(buffer, own, &mut faces);
    let ids: Vec<_> = faces.iter().map(|face| face.id).collect();
    for face in &mut faces {
        let unique = ids.iter().filter(|id| **id == face.id).count() == 1;
        face.id = face.id.filter(|_| unique);
    }
    faces
}

fn region(roi: &VideoRegionOfInterestMeta) -> Detection {
    let (x, y, w, h) = roi.rect();
    Detection {
        rect: [x, y, w, h].map(f64::from),
        score: confidence(roi).unwrap_or(1.0),
        id: identity(roi).map(|id| id as u32),
    }
}

/// Adds the object detections to the `regions`. One that lies on a region is the same face, marked
/// both ways: it gives an id where the region has none.
#[cfg(feature = "v1_24")]
fn add_detections(buffer: &gst::BufferRef, own: &[i32], regions: &mut Vec<Detection>) {
    let count = regions.len();
    for FaceDetection { rect, score, tracking_id, .. } in FaceDetection::read(buffer) {
        // A region's id is an i32.
        let id = tracking_id.and_then(|id| i32::try_from(id).ok());
        if id.is_some_and(|id| own.contains(&id)) {
            continue;
        }
        let id = id.map(|id| id as u32);
        match regions[..count].iter_mut().find(|region| iou(region.rect, rect) > SAME_FACE) {
            Some(region) => region.id = region.id.or(id),
            None => regions.push(Detection { rect, score, id }),
        }
    }
}

/// Marks `faces` in a frame of width × height `size`. A face that was found by a region of upstream's,
/// taken as `detector` says, has that region brought up to date, with its type and params, and its id
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
    let mut regions = 0;
    for (index, mut roi) in rois.enumerate() {
        regions = index + 1;
        if let Some(face) = taken(index) {
            roi.set_rect(clipped(face.rect, size));
            if roi.id() == 0 && roi.params().next().is_none() {
                roi.set_id(face.id as i32);
            }
        }
    }
    let marked = |face: &&Face| given && face.detection.is_some_and(|d| d < regions);
    for face in faces.iter().filter(|face| !marked(face)) {
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
