//! The faces as object detections with tracking entries, for readers of `GstAnalyticsRelationMeta`.

use gst::glib;
use gst_analytics::prelude::*;
use gst_analytics::{AnalyticsRelationMeta, AnalyticsTrackingMtd, RelTypes};

use super::track::Face;
use super::upstream::FACE;
use crate::meta::{FaceDetection, Relations, SAME_FACE, iou, relate};

/// Adds a detection and, related to it, a tracking entry with the face's id for each of `faces` on
/// which no detection lies yet. Others' entries stay as they are.
pub fn write(buffer: &mut gst::BufferRef, faces: &[Face]) {
    let found = FaceDetection::read(buffer);
    let marked = |face: &&Face| found.iter().any(|f| iou(f.rect, face.rect) > SAME_FACE);
    let new: Vec<&Face> = faces.iter().filter(|face| !marked(face)).collect();
    if new.is_empty() {
        return;
    }
    let now = buffer.pts().unwrap_or_default();
    let mut meta = AnalyticsRelationMeta::add(buffer);
    // Fails where the meta holds as much as it can: the regions of interest remain.
    let tracks: Vec<u32> = new.iter().filter_map(|face| add(&mut meta, face, now).ok()).collect();
    tracks.into_iter().for_each(|track| touch(buffer, track, now));
}

/// One face in a frame of the time `now`; returns its tracking entry. The box is rounded, not clipped.
fn add(meta: &mut Relations, face: &Face, now: gst::ClockTime) -> Result<u32, glib::BoolError> {
    let [x, y, w, h] = face.rect.map(|v| v.round() as i32);
    let detection = meta.add_od_mtd(glib::Quark::from_str(FACE), x, y, w, h, face.score)?.id();
    let since = now.saturating_sub(gst::ClockTime::from_seconds_f64(face.age));
    let track = meta.add_tracking_mtd(u64::from(face.id), since)?.id();
    relate(meta, RelTypes::RELATE_TO, detection, track)?;
    Ok(track)
}

/// A tracking entry was last seen `now`; a new one says when it was seen first.
fn touch(buffer: &mut gst::BufferRef, track: u32, now: gst::ClockTime) {
    let Some(mut meta) = buffer.meta_mut::<AnalyticsRelationMeta>() else { return };
    if let Some(mut track) = meta.mtd_mut::<AnalyticsTrackingMtd>(track) {
        // It is no entry of another kind, for which alone this fails.
        let _ = track.update_last_seen(now);
    }
}

#[cfg(test)]
mod tests {
    use gst_analytics::AnalyticsODMtd;

    use super::*;

    fn face(id: u32, x: f64) -> Face {
        Face { id, rect: [x, 50.4, 40.0, 60.0], age: 1.5, score: 0.75, ..Face::default() }
    }

    fn entries(buffer: &gst::BufferRef) -> (usize, usize) {
        let meta = buffer.meta::<AnalyticsRelationMeta>().unwrap();
        (meta.iter::<AnalyticsODMtd>().count(), meta.iter::<AnalyticsTrackingMtd>().count())
    }

    #[test]
    fn each_face_gets_a_detection_and_a_track_once() {
        gst::init().unwrap();
        let mut buffer = gst::Buffer::new();
        let buffer = buffer.make_mut();
        buffer.set_pts(gst::ClockTime::from_seconds(4));
        let faces = [face(1, -10.2), face(7, 100.0)];
        write(buffer, &faces);
        write(buffer, &faces);
        assert_eq!(entries(buffer), (2, 2));
        let found = FaceDetection::read(buffer);
        let told: Vec<_> = found.iter().map(|f| (f.rect, f.score, f.tracking_id)).collect();
        assert_eq!(told[0], ([-10.0, 50.0, 40.0, 60.0], 0.75, Some(1)));
        assert_eq!(told[1], ([100.0, 50.0, 40.0, 60.0], 0.75, Some(7)));
        let meta = buffer.meta::<AnalyticsRelationMeta>().unwrap();
        for track in meta.iter::<AnalyticsTrackingMtd>() {
            let (_, first, last, lost) = track.info();
            let seconds = (first.mseconds(), last.mseconds());
            assert_eq!((seconds, lost), ((2500, 4000), false));
        }
    }

    #[test]
    fn a_detection_of_anothers_is_left_alone_and_none_is_added_beside_it() {
        gst::init().unwrap();
        let mut buffer = gst::Buffer::new();
        let buffer = buffer.make_mut();
        let mut meta = AnalyticsRelationMeta::add(buffer);
        meta.add_od_mtd(glib::Quark::from_str("face"), 98, 52, 40, 60, 0.5).unwrap();
        write(buffer, &[face(1, 100.0)]);
        assert_eq!(entries(buffer), (1, 0));
        write(buffer, &[]);
        assert_eq!(entries(buffer), (1, 0));
    }

    #[test]
    fn without_faces_there_is_no_meta() {
        gst::init().unwrap();
        let mut buffer = gst::Buffer::new();
        write(buffer.make_mut(), &[]);
        assert!(buffer.meta::<AnalyticsRelationMeta>().is_none());
    }
}
