//! Which regions of interest are faces.

use gst_video::VideoRegionOfInterestMeta;

/// Whether a region is a face: its type has the word in it, as "face" or "FaceDetection" do, and it
/// covers a pixel.
pub fn is_face_region(roi: &VideoRegionOfInterestMeta) -> bool {
    let (_, _, w, h) = roi.rect();
    w > 0 && h > 0 && roi.roi_type().to_ascii_lowercase().contains("face")
}
