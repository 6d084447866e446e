//! The reading, related to the object detections that stand for the faces.
//!
//! Of the types of 1.24 a classification fits best: a word and a level, which readers of detections
//! show beside the box (objectdetectionoverlay does). The rate's fraction and all else stand in
//! `HeartRateMeta`.

use gst::glib;
use gst_analytics::prelude::*;
use gst_analytics::{AnalyticsClassificationMtd, AnalyticsRelationMeta, RelTypes};

use super::owners::owners;
use crate::meta::{Face, FaceDetection, Relations, relate};

/// How the class of a reading ends.
const UNIT: &str = " bpm";

/// Relates the reading of each of `faces` to its detection: the one of a frame of width × height
/// `size` that overlaps it most. A face without a rate has nothing related.
pub fn write(buffer: &mut gst::BufferRef, faces: &[Face], (width, height): (f64, f64)) {
    let found = FaceDetection::read(buffer);
    let boxes: Vec<_> = found
        .iter()
        .map(|FaceDetection { rect: [x, y, w, h], .. }| {
            Some([x / width, y / height, w / width, h / height])
        })
        .collect();
    for (detection, face) in found.iter().zip(owners(&boxes, faces)) {
        if let (Some(face), Some(meta)) = (face, buffer.meta_mut::<AnalyticsRelationMeta>()) {
            write_one(meta, detection.mtd, face);
        }
    }
}

/// Makes the reading of `face` the only one that is related to `detection`. Nothing can be taken out
/// of the meta: where an earlier `ppg2bpm` has read another rate, that stays, related to nothing.
fn write_one(mut meta: Relations, detection: u32, face: &Face) {
    // At most as many classes as there are whole numbers of beats: a quark is never freed.
    let class = face.bpm.map(|bpm| glib::Quark::from_str(format!("{bpm:.0}{UNIT}")));
    let now = class.zip(face.confidence.map(|c| c as f32));
    let before = readings(&meta, detection);
    if before.len() == 1 && now == Some(before[0].1) {
        return;
    }
    for (old, _) in before {
        // Fails for entries that are not the meta's only.
        let _ = relate(&mut meta, RelTypes::NONE, detection, old);
    }
    let Some((class, confidence)) = now else { return };
    let added = meta.add_one_cls_mtd(confidence, class).map(|mtd| mtd.id());
    if let Ok(new) = added {
        let _ = relate(&mut meta, RelTypes::RELATE_TO, detection, new);
    }
}

/// The readings that are related to `detection`: their numbers, and class and level.
fn readings(meta: &Relations, detection: u32) -> Vec<(u32, (glib::Quark, f32))> {
    let classes = meta
        .as_ref()
        .iter_direct_related::<AnalyticsClassificationMtd>(detection, RelTypes::RELATE_TO);
    let readings = classes.filter(|c| c.len() == 1 && c.quark(0).as_str().ends_with(UNIT));
    readings.map(|c| (c.id(), (c.quark(0), c.level(0)))).collect()
}

#[cfg(test)]
mod tests {
    use gst_analytics::AnalyticsODMtd;

    use super::*;
    use crate::meta::Status;

    fn face(x: f64, bpm: Option<f64>) -> Face {
        let confidence = Some(0.75);
        Face { x, y: 0.25, w: 0.25, h: 0.5, bpm, confidence, status: Status::Ok, ..Face::default() }
    }

    fn buffer(detections: &[(&str, [i32; 4])]) -> gst::Buffer {
        gst::init().unwrap();
        let mut buffer = gst::Buffer::new();
        let mut meta = AnalyticsRelationMeta::add(buffer.make_mut());
        for (kind, [x, y, w, h]) in detections {
            meta.add_od_mtd(glib::Quark::from_str(*kind), *x, *y, *w, *h, 0.9).unwrap();
        }
        buffer
    }

    /// The readings related to each detection, asked for from both sides.
    fn related(buffer: &gst::BufferRef) -> Vec<Vec<(String, f32)>> {
        let meta = buffer.meta::<AnalyticsRelationMeta>().unwrap();
        let classes: Vec<_> = meta.iter::<AnalyticsClassificationMtd>().collect();
        let of = |od: u32| {
            let to = |c: u32| [meta.relation(od, c), meta.relation(c, od)];
            let linked = classes.iter().filter(|c| to(c.id()) == [RelTypes::RELATE_TO; 2]);
            let unlinked = classes.iter().filter(|c| to(c.id()) == [RelTypes::NONE; 2]);
            assert_eq!(linked.clone().count() + unlinked.count(), classes.len());
            linked.map(|c| (c.quark(0).as_str().to_string(), c.level(0))).collect()
        };
        meta.iter::<AnalyticsODMtd>().map(|od| of(od.id())).collect()
    }

    const FRAME: (f64, f64) = (200.0, 200.0);

    #[test]
    fn each_rate_is_related_to_the_detection_on_its_face() {
        let mut buffer = buffer(&[
            ("person", [50, 50, 100, 200]),
            ("face", [103, 52, 50, 100]),
            ("face", [-10, 50, 50, 100]),
            ("Face", [100, 50, 50, 100]),
            ("face", [170, 0, 30, 30]),
        ]);
        let faces = [face(0.5, Some(71.6)), face(-0.05, Some(120.2))];
        write(buffer.make_mut(), &faces, FRAME);
        let reading = |word: &str| vec![(word.to_string(), 0.75)];
        let nothing = Vec::new;
        assert_eq!(
            related(&buffer),
            [nothing(), nothing(), reading("120 bpm"), reading("72 bpm"), nothing()]
        );
    }

    #[test]
    fn a_second_pass_leaves_one_reading_or_none() {
        let mut buffer = buffer(&[("face", [100, 50, 50, 100])]);
        let count = |buffer: &gst::BufferRef| {
            buffer
                .meta::<AnalyticsRelationMeta>()
                .unwrap()
                .iter::<AnalyticsClassificationMtd>()
                .count()
        };
        // Another's class, which stays.
        let mut meta = AnalyticsRelationMeta::add(buffer.make_mut());
        let smile = meta.add_one_cls_mtd(0.5, glib::Quark::from_str("smile")).unwrap().id();
        relate(&mut meta, RelTypes::RELATE_TO, 0, smile).unwrap();
        let smile = || ("smile".to_string(), 0.5);
        let passes = [
            (Some(71.6), 2, vec![smile(), ("72 bpm".to_string(), 0.75)]),
            (Some(72.4), 2, vec![smile(), ("72 bpm".to_string(), 0.75)]),
            (Some(73.0), 3, vec![smile(), ("73 bpm".to_string(), 0.75)]),
            (None, 3, vec![smile()]),
        ];
        for (bpm, entries, expected) in passes {
            write(buffer.make_mut(), &[face(0.5, bpm)], FRAME);
            assert_eq!(related(&buffer), [expected], "{bpm:?}");
            assert_eq!(count(&buffer), entries, "{bpm:?}");
        }
    }

    #[test]
    fn where_nothing_was_detected_there_is_no_meta() {
        gst::init().unwrap();
        let mut buffer = gst::Buffer::new();
        write(buffer.make_mut(), &[face(0.5, Some(72.0))], FRAME);
        assert!(buffer.meta::<AnalyticsRelationMeta>().is_none());
    }
}
