//! Faces from GstAnalytics object detections, and readings related to them.

#![cfg(feature = "v1_24")]

mod common;

use std::sync::{Arc, Mutex};

use common::{Run, try_play};
use gst::glib;
use gst::prelude::*;
use gst_analytics::prelude::*;
use gst_analytics::{
    AnalyticsClassificationMtd, AnalyticsODMtd, AnalyticsRelationMeta, AnalyticsTrackingMtd,
    RelTypes,
};
use gst_video::VideoRegionOfInterestMeta;
use gstheartrate::meta::{FaceCropMeta, HeartRateMeta, PulseTestMeta};

const TWO: &str = "pulsetestsrc bpm=72,95 num-buffers=450 ! video/x-raw,width=640,height=480";
const CHAIN: &str = "facecrop name=crop ! hrnetinfer ! ppg2bpm";

/// A detection with the class entries that are related to it.
#[derive(Clone, Debug)]
struct Detected {
    kind: String,
    rect: [f64; 4],
    /// The tracking entry that is related to it: id, first and last seen in ns.
    track: Option<(u64, u64, u64)>,
    classes: Vec<(String, f32)>,
}

/// What stood on one frame at the end.
#[derive(Clone, Debug)]
struct Seen {
    detected: Vec<Detected>,
    /// Class entries in all.
    classes: usize,
    /// Ids and pixel rectangles of the faces that facecrop cropped.
    faces: Vec<(u32, [f64; 4])>,
    regions: usize,
    /// Per face id: rate and confidence of the public meta.
    readings: Vec<(u32, Option<f64>, Option<f64>)>,
}

fn detected(meta: &gst::MetaRef<AnalyticsRelationMeta>) -> Vec<Detected> {
    let classes = |id: u32| {
        let related =
            meta.iter_direct_related::<AnalyticsClassificationMtd>(id, RelTypes::RELATE_TO);
        related.map(|c| (c.quark(0).as_str().to_string(), c.level(0))).collect()
    };
    let track = |id: u32| {
        meta.iter_direct_related::<AnalyticsTrackingMtd>(id, RelTypes::RELATE_TO)
            .next()
            .map(|t| t.info())
            .map(|(id, first, last, _)| (id, first.nseconds(), last.nseconds()))
    };
    let one = |od: gst_analytics::AnalyticsMtdRef<AnalyticsODMtd>| {
        let at = od.location().unwrap();
        let rect = [at.x, at.y, at.w, at.h].map(f64::from);
        Detected {
            kind: od.obj_type().unwrap().as_str().to_string(),
            rect,
            track: track(od.id()),
            classes: classes(od.id()),
        }
    };
    meta.iter::<AnalyticsODMtd>().map(one).collect()
}

fn seen(buffer: &gst::BufferRef) -> Seen {
    let meta = buffer.meta::<AnalyticsRelationMeta>().expect("upstream's meta comes through");
    let crops = buffer.meta::<FaceCropMeta>().expect("facecrop always writes it");
    let pixels = |[x, y, w, h]: [f64; 4]| [x * 640.0, y * 480.0, w * 640.0, h * 480.0];
    let public = HeartRateMeta::read(buffer).unwrap_or_default().faces;
    Seen {
        detected: detected(&meta),
        classes: meta.iter::<AnalyticsClassificationMtd>().count(),
        faces: crops.faces().iter().map(|f| (f.id, pixels(f.rect))).collect(),
        regions: buffer.iter_meta::<VideoRegionOfInterestMeta>().count(),
        readings: public.iter().map(|f| (f.id, f.bpm, f.confidence)).collect(),
    }
}

/// The true rectangles on this frame, in whole pixels.
fn truth(buffer: &gst::BufferRef) -> Vec<[i32; 4]> {
    let meta = PulseTestMeta::read(buffer).expect("the source writes its truth");
    let pixels = [640.0, 480.0, 640.0, 480.0];
    let rect = |r: [f64; 4]| std::array::from_fn(|i| (r[i] * pixels[i]).round() as i32);
    meta.faces.iter().map(|f| rect([f.x, f.y, f.w, f.h])).collect()
}

fn detect(buffer: &mut gst::BufferRef, kind: &str, [x, y, w, h]: [i32; 4], track: Option<u64>) {
    let mut meta = AnalyticsRelationMeta::add(buffer);
    let kind = glib::Quark::from_str(kind);
    let od = meta.add_od_mtd(kind, x, y, w, h, 0.9).unwrap().id();
    if let Some(track) = track {
        let track = meta.add_tracking_mtd(track, gst::ClockTime::ZERO).unwrap().id();
        meta.set_relation(RelTypes::RELATE_TO, od, track).unwrap();
    }
}

/// Plays `source` through `chain`; `marks` writes on what comes to its `facecrop`.
fn run(
    source: &str,
    chain: &str,
    marks: impl Fn(usize, &mut gst::BufferRef) + Send + Sync + 'static,
) -> (Run, Vec<Seen>) {
    let frames = Arc::new(Mutex::new(Vec::new()));
    let (kept, frame) = (frames.clone(), Mutex::new(0));
    let run = try_play(&format!("{source} ! {chain}"), |pipeline| {
        let sink = pipeline.by_name("crop").unwrap().static_pad("sink").unwrap();
        sink.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            let mut frame = frame.lock().unwrap();
            marks(*frame, info.buffer_mut().unwrap().make_mut());
            *frame += 1;
            gst::PadProbeReturn::Ok
        });
        let end = pipeline.by_name("end").unwrap().static_pad("sink").unwrap();
        end.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            kept.lock().unwrap().push(seen(info.buffer().unwrap()));
            gst::PadProbeReturn::Ok
        });
    });
    assert_eq!(run.error, None, "{chain}");
    (run, std::mem::take(&mut frames.lock().unwrap()))
}

/// Whether two rectangles lie within two pixels of one another.
fn near(a: [f64; 4], b: [f64; 4]) -> bool {
    a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 2.0)
}

/// Marks both faces, in an order that changes from frame to frame, and a person around the first.
fn mark_two(i: usize, buffer: &mut gst::BufferRef, tracks: [Option<u64>; 2]) {
    let rects = truth(buffer);
    let [x, y, w, h] = rects[0];
    detect(buffer, "person", [x - w / 2, y - h / 4, 2 * w, 2 * h], None);
    let mut faces = [("face", rects[0], tracks[0]), ("FaceDetection", rects[1], tracks[1])];
    faces.rotate_left(i % 2);
    for (kind, rect, track) in faces {
        detect(buffer, kind, rect, track);
    }
}

/// Asserts that each detection has the readings that the public meta has for the face on it.
fn assert_related(seen: &Seen) {
    for detected in &seen.detected {
        let face = seen.faces.iter().find(|f| near(f.1, detected.rect));
        let reading = face.and_then(|f| seen.readings.iter().find(|r| r.0 == f.0));
        let expected: Vec<(String, f32)> = reading
            .and_then(|r| Some((format!("{:.0} bpm", r.1?), r.2? as f32)))
            .into_iter()
            .collect();
        assert_eq!(detected.classes, expected, "{seen:?}");
        assert_eq!(face.is_some(), detected.kind != "person", "{seen:?}");
    }
}

#[test]
fn detections_give_boxes_ids_and_rates_that_are_related_to_them() {
    // Trackers count from 0, and some have numbers that no region can bear.
    let cases = [
        ("metadata", [None, None], [1, 2]),
        ("auto", [Some(31), Some(32)], [31, 32]),
        ("auto", [Some(0), Some(1 << 40)], [0, 1]),
    ];
    for (detector, tracks, mut ids) in cases {
        let chain = CHAIN.replace("name=crop", &format!("name=crop detector={detector}"));
        let (run, frames) = run(TWO, &chain, move |i, buffer| mark_two(i, buffer, tracks));
        run.assert_reads("detections", 9.0, 1.5);
        let mut read = run.ids();
        read.sort();
        ids.sort();
        assert_eq!(read, ids);
        assert_eq!(frames.len(), 450);
        for seen in &frames {
            assert_eq!((seen.faces.len(), seen.regions, seen.detected.len()), (2, 2, 3));
            assert_related(seen);
        }
        // No rate yet, nothing said; then each its own.
        assert_eq!(frames[30].classes, 0);
        let last = frames.last().unwrap();
        assert_eq!(last.classes, 2);
        let said = |kind: &str| &last.detected.iter().find(|d| d.kind == kind).unwrap().classes[0];
        assert_eq!(
            (said("face").0.as_str(), said("FaceDetection").0.as_str()),
            ("72 bpm", "95 bpm")
        );
        assert!(said("face").1 >= 0.5 && said("FaceDetection").1 >= 0.5);
        if let [Some(first), Some(_)] = tracks {
            let face = last.detected.iter().find(|d| d.kind == "face").unwrap();
            let id = last.faces.iter().find(|f| near(f.1, face.rect)).unwrap().0;
            assert_eq!(u64::from(id), first);
        }
    }
}

#[test]
fn a_second_ppg2bpm_adds_nothing() {
    let chain = format!("{CHAIN} ! ppg2bpm");
    let (_, frames) = run(TWO, &chain, |i, buffer| mark_two(i, buffer, [Some(5), Some(6)]));
    let last = frames.last().unwrap();
    assert_related(last);
    assert_eq!(last.classes, 2, "{last:?}");
}

#[test]
fn a_face_marked_both_ways_is_one() {
    let one = TWO.replace("72,95", "72");
    let (run, frames) = run(&one, CHAIN, |_, buffer| {
        let rect = truth(buffer)[0];
        let [x, y, w, h] = rect.map(|v| v as u32);
        let mut roi = VideoRegionOfInterestMeta::add(buffer, "face", (x, y, w, h));
        // A number of the frame's own: the tracker's is the face's.
        roi.set_id(3);
        roi.add_param(gst::Structure::builder("detection").field("confidence", 0.9).build());
        detect(buffer, "face", rect, Some(17));
    });
    run.assert_reads("both ways", 9.0, 1.5);
    assert_eq!(run.ids(), [17]);
    assert!(frames.iter().all(|s| s.regions == 1 && s.faces.len() == 1));
    assert_eq!(frames.last().unwrap().detected[0].classes[0].0, "72 bpm");
}

#[test]
fn what_is_no_face_is_left_to_the_built_in_detector() {
    let one = TWO.replace("72,95", "72");
    let (run, frames) = run(&one, CHAIN, |_, buffer| {
        let [x, y, w, h] = truth(buffer)[0];
        detect(buffer, "face", [x, y, 0, h], Some(8));
        detect(buffer, "person", [x - w, y, 3 * w, h], Some(9));
    });
    run.assert_reads("no face", 9.0, 1.5);
    assert_eq!(run.ids(), [1]);
    // To upstream's two comes one of facecrop's own, which has the rate.
    let last = frames.last().unwrap();
    let said: Vec<_> = last.detected.iter().map(|d| (d.kind.as_str(), d.classes.len())).collect();
    assert_eq!(said, [("face", 0), ("person", 0), ("face", 1)]);
    assert_eq!(last.detected[2].classes[0].0, "72 bpm");
}

#[test]
fn faces_that_are_found_here_are_detections_with_tracks() {
    // A second facecrop finds the faces by itself, and marks none twice.
    for chain in [CHAIN.to_string(), format!("{CHAIN} ! facecrop")] {
        let (run, frames) = run(TWO, &chain, |_, buffer| {
            AnalyticsRelationMeta::add(buffer);
        });
        run.assert_reads("found here", 9.0, 1.5);
        for (seen, time) in frames.iter().zip((0..).map(|i: u64| i * 1_000_000_000 / 30)) {
            assert_eq!(seen.detected.len(), seen.faces.len(), "{seen:?}");
            for (detected, (id, rect)) in seen.detected.iter().zip(&seen.faces) {
                let (track, first, last) = detected.track.expect("it is followed");
                assert_eq!((detected.kind.as_str(), track), ("face", u64::from(*id)));
                // Both faces are there from the first frame on; ages are summed up in f64.
                assert!(first < 1000 && last.abs_diff(time) < 1000, "{first} {last} at {time}");
                assert!(near(detected.rect, *rect), "{seen:?}");
            }
            assert_related(seen);
        }
        assert_eq!(frames.last().unwrap().classes, 2, "{chain}");
    }
}
