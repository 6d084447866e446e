//! Which regions of interest are faces, and when two boxes are of one face.

use gst_video::VideoRegionOfInterestMeta;

/// Boxes that overlap by more than this (intersection over union) are of one face.
pub const SAME_FACE: f64 = 0.5;

/// Whether a region is a face: its type is a face's, and it covers a pixel.
pub fn is_face_region(roi: &VideoRegionOfInterestMeta) -> bool {
    let (_, _, w, h) = roi.rect();
    w > 0 && h > 0 && is_face_type(roi.roi_type())
}

/// Whether what a detector calls its find is a face: "face", "FaceDetection" and the like.
pub fn is_face_type(name: &str) -> bool {
    name.to_ascii_lowercase().contains("face")
}

/// Intersection over union of two boxes (x, y, w, h), 0 where either is empty.
pub fn iou(a: [f64; 4], b: [f64; 4]) -> f64 {
    let overlap = |i: usize| ((a[i] + a[i + 2]).min(b[i] + b[i + 2]) - a[i].max(b[i])).max(0.0);
    let both = overlap(0) * overlap(1);
    let union = a[2] * a[3] + b[2] * b[3] - both;
    if both > 0.0 && union > 0.0 { both / union } else { 0.0 }
}
