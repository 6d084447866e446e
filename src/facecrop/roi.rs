//! Faces as `GstVideoRegionOfInterestMeta`: those that come from upstream, those that go on.

use gst_video::VideoRegionOfInterestMeta;

use super::detector::Detection;
use super::track::Face;

/// The type of the regions written here.
const FACE: &str = "face";

/// Whether a region is a face: its type has the word in it, as "face" or "FaceDetection" do.
fn is_face(roi: &VideoRegionOfInterestMeta) -> bool {
    let (_, _, w, h) = roi.rect();
    w > 0 && h > 0 && roi.roi_type().to_ascii_lowercase().contains(FACE)
}

/// The faces that upstream has marked, in the order of the metas. Ids are taken where they are
/// more than 0 and no other face of the frame has the same.
pub fn read(buffer: &gst::BufferRef) -> Vec<Detection> {
    let rois = buffer.iter_meta::<VideoRegionOfInterestMeta>();
    let rois: Vec<_> = rois.filter(|roi| is_face(roi)).collect();
    let unique = |id: i32| id > 0 && rois.iter().filter(|r| r.id() == id).count() == 1;
    let detection = |roi: &gst::MetaRef<VideoRegionOfInterestMeta>| {
        let (x, y, w, h) = roi.rect();
        Detection {
            rect: [x, y, w, h].map(f64::from),
            score: 1.0,
            id: unique(roi.id()).then_some(roi.id() as u32),
        }
    };
    rois.iter().map(detection).collect()
}

/// Marks `faces` in a frame of `width` × `height`. A face that came from upstream (`given`) has
/// its own region brought up to date, with its type and params; the others get a new one.
pub fn write(buffer: &mut gst::BufferRef, faces: &[Face], given: bool, size: (u32, u32)) {
    let taken = |index: usize| faces.iter().find(|f| given && f.detection == Some(index));
    let rois = buffer.iter_meta_mut::<VideoRegionOfInterestMeta>().filter(|r| is_face(r));
    for (index, mut roi) in rois.enumerate() {
        if let Some(face) = taken(index) {
            roi.set_rect(clipped(face.rect, size));
            roi.set_id(face.id as i32);
        }
    }
    for face in faces.iter().filter(|f| !given || f.detection.is_none()) {
        let mut roi = VideoRegionOfInterestMeta::add(buffer, FACE, clipped(face.rect, size));
        roi.set_id(face.id as i32);
    }
}

/// Whole pixels inside of the frame.
fn clipped([x, y, w, h]: [f64; 4], (width, height): (u32, u32)) -> (u32, u32, u32, u32) {
    let side = |start: f64, len: f64, most: u32| {
        // `as` keeps what is negative or not a number at 0.
        let (a, b) = (start.round() as u32, (start + len).round() as u32);
        let a = a.min(most);
        (a, b.min(most).saturating_sub(a))
    };
    let ((x, w), (y, h)) = (side(x, w, width), side(y, h, height));
    (x, y, w, h)
}
