//! Faces among the object detections of a `GstAnalyticsRelationMeta`.

use gst::glib;
use gst_analytics::prelude::*;
use gst_analytics::{
    AnalyticsMtdRef, AnalyticsODMtd, AnalyticsRelationMeta, AnalyticsTrackingMtd, RelTypes,
};

use super::is_face_type;

/// A relation meta that can be written to.
pub type Relations<'a> = gst::MetaRefMut<'a, AnalyticsRelationMeta, gst::meta::Standalone>;

/// Sets the relation of two entries, found from either.
///
/// # Errors
/// Where one of them is not the meta's.
pub fn relate(meta: &mut Relations, kind: RelTypes, a: u32, b: u32) -> Result<(), glib::BoolError> {
    meta.set_relation(kind, a, b)?;
    meta.set_relation(kind, b, a)
}

/// An object detection whose type is a face's and that covers a pixel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FaceDetection {
    /// Its number in the relation meta.
    pub mtd: u32,
    /// x, y, w, h in pixels; may reach over the frame's border.
    pub rect: [f64; 4],
    /// The detector's confidence, 0..1.
    pub score: f32,
    /// The id of a tracking entry that is related to it, in either direction.
    pub tracking_id: Option<u64>,
}

impl FaceDetection {
    /// All of a buffer, in their order.
    pub fn read(buffer: &gst::BufferRef) -> Vec<FaceDetection> {
        let Some(meta) = buffer.meta::<AnalyticsRelationMeta>() else { return Vec::new() };
        let tracks: Vec<_> = meta.iter::<AnalyticsTrackingMtd>().collect();
        meta.iter::<AnalyticsODMtd>().filter_map(|od| face(&meta, &od, &tracks)).collect()
    }
}

fn face(
    meta: &AnalyticsRelationMeta,
    od: &AnalyticsMtdRef<AnalyticsODMtd>,
    tracks: &[AnalyticsMtdRef<AnalyticsTrackingMtd>],
) -> Option<FaceDetection> {
    let place = od.location().ok()?;
    let is_face = place.w > 0 && place.h > 0 && is_face_type(od.obj_type()?.as_str());
    let related = |track: &&AnalyticsMtdRef<AnalyticsTrackingMtd>| {
        meta.relation(od.id(), track.id()) != RelTypes::NONE
            || meta.relation(track.id(), od.id()) != RelTypes::NONE
    };
    is_face.then(|| FaceDetection {
        mtd: od.id(),
        rect: [place.x, place.y, place.w, place.h].map(f64::from),
        score: place.loc_conf_lvl,
        tracking_id: tracks.iter().find(related).map(|track| track.info().0),
    })
}
