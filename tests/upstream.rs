//! Faces that other elements have found.

mod common;

use std::sync::{Arc, Mutex};

use common::{Run, init, try_play};
use gst::prelude::*;
use gst_video::VideoRegionOfInterestMeta;
use gstheartrate::meta::{FaceCropMeta, PulseTestMeta};

type Rect = (u32, u32, u32, u32);

fn mark(buffer: &mut gst::BufferRef, kind: &str, id: i32, rect: Rect) {
    VideoRegionOfInterestMeta::add(buffer, kind, rect).set_id(id);
}

/// What a region says of itself: type, id, rectangle, names of its params.
type Region = (String, i32, Rect, Vec<String>);

fn regions(buffer: &gst::BufferRef) -> Vec<Region> {
    let rois = buffer.iter_meta::<VideoRegionOfInterestMeta>();
    let names =
        |roi: &VideoRegionOfInterestMeta| roi.params().map(|p| p.name().to_string()).collect();
    rois.map(|r| (r.roi_type().to_string(), r.id(), r.rect(), names(&r))).collect()
}

/// What `facecrop` made of each frame.
#[derive(Clone, Debug, Default)]
struct Seen {
    regions: Vec<Region>,
    /// Id and rectangle in fractions.
    faces: Vec<(u32, [f64; 4])>,
}

/// Plays `source`, which has an element `last`, whose buffers `marks` writes on, through
/// `facecrop` with `settings` and the elements behind it.
fn run(
    source: &str,
    settings: &str,
    marks: impl Fn(usize, &mut gst::BufferRef) + Send + Sync + 'static,
) -> (Run, Vec<Seen>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (kept, frame) = (seen.clone(), Mutex::new(0));
    let launch = format!("{source} ! facecrop name=crop {settings} ! hrnetinfer ! ppg2bpm");
    let run = try_play(&launch, |pipeline| {
        let crop = pipeline.by_name("crop").unwrap();
        let sink = crop.static_pad("sink").unwrap();
        sink.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            let mut frame = frame.lock().unwrap();
            marks(*frame, info.buffer_mut().unwrap().make_mut());
            *frame += 1;
            gst::PadProbeReturn::Ok
        });
        let pad = crop.static_pad("src").unwrap();
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            let buffer = info.buffer().unwrap();
            let meta = buffer.meta::<FaceCropMeta>().expect("facecrop always writes it");
            let faces = meta.faces().iter().map(|f| (f.id, f.rect)).collect();
            kept.lock().unwrap().push(Seen { regions: regions(buffer), faces });
            gst::PadProbeReturn::Ok
        });
    });
    assert_eq!(run.error, None, "{launch}");
    (run, std::mem::take(&mut seen.lock().unwrap()))
}

/// How often the rectangle of the frame's first face has changed.
fn moves(seen: &[Seen]) -> usize {
    let rects: Vec<_> = seen.iter().filter_map(|s| s.faces.first()).map(|f| f.1).collect();
    rects.windows(2).filter(|r| r[0] != r[1]).count()
}

/// The cascade that Debian's opencv-data brings, if `facedetect` is there as well.
fn cascade() -> Option<&'static str> {
    init();
    let path = "/usr/share/opencv4/haarcascades/haarcascade_frontalface_default.xml";
    let here =
        gst::ElementFactory::find("facedetect").is_some() && std::path::Path::new(path).exists();
    if !here {
        println!("skipped: facedetect needs the packages gstreamer1.0-opencv and opencv-data");
    }
    here.then_some(path)
}

#[test]
fn facedetects_faces_have_the_right_rate() {
    let Some(cascade) = cascade() else { return };
    for detector in ["auto", "metadata"] {
        let source = format!(
            "pulsetestsrc bpm=72,95 num-buffers=450 ! videoconvert ! \
             facedetect display=false profile={cascade}"
        );
        let (run, seen) = run(&source, &format!("detector={detector}"), |_, _| ());
        run.assert_reads("facedetect", 9.0, 1.5);
        assert_eq!(run.ids(), [1, 2]);
        // Upstream's own regions, and no others; boxes that jitter by 2 % rest.
        assert!(seen.iter().all(|s| s.regions.len() == 2), "{:?}", seen[100]);
        assert_eq!(moves(&seen), 0);
    }
}

/// The rectangle of the source's first face on this frame, in pixels of 640 × 480.
fn truth(buffer: &gst::BufferRef) -> [f64; 4] {
    let face = &PulseTestMeta::read(buffer).expect("the source writes its truth").faces[0];
    [face.x * 640.0, face.y * 480.0, face.w * 640.0, face.h * 480.0]
}

fn pixels([x, y, w, h]: [f64; 4]) -> Rect {
    (x.round() as u32, y.round() as u32, w.round() as u32, h.round() as u32)
}

const ONE: &str = "pulsetestsrc bpm=72 num-buffers=450 ! video/x-raw,width=640,height=480";

#[test]
fn boxes_that_jitter_like_haars_rest_and_give_the_right_rate() {
    let random = Mutex::new(fastrand::Rng::with_seed(5));
    let (run, seen) = run(ONE, "", move |_, buffer| {
        let mut random = random.lock().unwrap();
        let mut normal = |std: f64| std * ((0..12).map(|_| random.f64()).sum::<f64>() - 6.0);
        let [x, y, w, h] = truth(buffer);
        // Standard deviations of a Haar cascade: 2 % of the size for the centre, 5.2 % for the size.
        let (dx, dy, grown) = (normal(0.02 * h), normal(0.02 * h), normal(0.052 * w));
        let rect = [x + dx - grown / 2.0, y + dy - grown / 2.0, w + grown, h + grown];
        mark(buffer, "face", 0, pixels(rect));
    });
    // The first box is as far off as any other: one step to the mean of the others is allowed.
    assert!(moves(&seen) <= 8, "{} moves", moves(&seen));
    assert_eq!(moves(&seen[60..]), 0);
    run.assert_reads("jitter", 9.0, 1.5);
    assert_eq!(run.ids(), [1]);
}

#[test]
fn a_box_that_swings_like_a_pulse_is_none() {
    let still =
        "pulsetestsrc bpm=72 pulse-amplitude=0 num-buffers=450 ! video/x-raw,width=640,height=480";
    for swing in [0.03, 0.12] {
        let (run, seen) = run(still, "", move |i, buffer| {
            let [x, y, w, h] = truth(buffer);
            let off = swing * w * (std::f64::consts::TAU * 1.5 * i as f64 / 30.0).sin();
            mark(buffer, "face", 0, pixels([x + off, y, w, h]));
        });
        run.assert_silent(&format!("a swing of {swing}"));
        assert!(seen.iter().all(|s| s.faces.len() == 1));
    }
}

#[test]
fn rectangles_are_upstreams_and_last_between_its_detections() {
    let rect = (200, 100, 150, 180);
    let (run, seen) = run(ONE, "detector=metadata", move |i, buffer| {
        // Ten detections in the first 9 s, then none.
        if i % 30 == 0 && i < 300 {
            mark(buffer, "face", 0, rect);
        }
        mark(buffer, "person", 1, (150, 80, 300, 400));
    });
    for (i, seen) in seen.iter().enumerate().take(300) {
        assert_eq!(seen.regions.len(), 2, "{i}: {seen:?}");
        let face = seen.regions.iter().find(|r| r.0 == "face").expect("a region for the face");
        assert_eq!((face.1, face.2), (1, rect), "{i}");
    }
    // Missed by ten looks, one each half second: given up within 5.5 s, and not at once.
    assert_eq!(seen[400].faces.len(), 1);
    assert_eq!(seen[449].faces.len(), 0);
    assert_eq!(run.ids(), [1]);
}

#[test]
fn where_upstream_falls_silent_the_built_in_detector_goes_on() {
    let (run, seen) = run(ONE, "", |i, buffer| {
        if i < 150 {
            // A detector with wider boxes, as Haar's are.
            let [x, y, w, h] = truth(buffer);
            mark(buffer, "face", 0, pixels([x - w / 8.0, y - h / 8.0, 1.25 * w, 1.25 * h]));
        }
    });
    assert!(seen.iter().all(|s| s.faces.len() == 1 && s.regions.len() == 1));
    run.assert_reads("taken over", 9.0, 1.5);
    assert_eq!(run.ids(), [1]);
    let width = |i: usize| seen[i].faces[0].1[2];
    assert_eq!(width(200), width(0));
    assert!(width(440) < 0.9 * width(0), "{} {}", width(440), width(0));
}

/// A region as DL Streamer marks it: its id numbers the frame's metadata; `object` is the tracker's.
fn streamed(buffer: &mut gst::BufferRef, id: i32, object: Option<i32>, rect: Rect) {
    let mut roi = VideoRegionOfInterestMeta::add(buffer, "face", rect);
    roi.set_id(id);
    let detection =
        gst::Structure::builder("detection").field("confidence", 0.9).field("label_id", 1);
    roi.add_param(detection.build());
    if let Some(object) = object {
        roi.add_param(gst::Structure::builder("object_id").field("id", object).build());
    }
}

#[test]
fn dl_streamers_numbers_are_no_identities_and_stay() {
    let two = "pulsetestsrc bpm=72,95 num-buffers=60 ! video/x-raw,width=640,height=480";
    let (left, right) = ((90, 230, 137, 137), (416, 236, 125, 125));
    for objects in [[None, None], [Some(31), Some(32)]] {
        let (_, seen) = run(two, "", move |i, buffer| {
            // The better detection comes first, and which that is changes.
            let mut faces = [(objects[0], left), (objects[1], right)];
            faces.rotate_left(i % 2);
            streamed(buffer, 1, faces[0].0, faces[0].1);
            streamed(buffer, 2, faces[1].0, faces[1].1);
        });
        let id_at = |seen: &Seen, x: f64| {
            let near = |f: &&(u32, [f64; 4])| (f.1[0] * 640.0 - x).abs() < 2.0;
            seen.faces.iter().find(near).expect("a face there").0
        };
        let ids = (id_at(&seen[0], 90.0), id_at(&seen[0], 416.0));
        assert_ne!(ids.0, ids.1);
        if objects[0].is_some() {
            assert_eq!(ids, (31, 32));
        }
        for seen in &seen {
            assert_eq!((id_at(seen, 90.0), id_at(seen, 416.0)), ids);
            assert_eq!(seen.regions.iter().map(|r| r.1).collect::<Vec<_>>(), [1, 2]);
            assert!(seen.regions.iter().all(|r| r.3[0] == "detection"));
        }
    }
}

#[test]
fn numbers_that_never_come_again_are_no_identities() {
    let (run, _) =
        run(ONE, "", |i, buffer| mark(buffer, "face", 1000 + i as i32, pixels(truth(buffer))));
    assert_eq!(run.ids(), [1000]);
    run.assert_reads("numbers", 9.0, 1.5);
}

#[test]
fn another_facecrops_faces_are_not_upstreams() {
    let source = format!("{ONE} ! facecrop margin=0.1");
    let (run, seen) = run(&source, "", |_, _| ());
    // Each marks its own.
    assert!(seen.iter().all(|s| s.regions.len() == 2 && s.faces.len() == 1));
    run.assert_reads("second", 9.0, 1.5);
    let rect = |seen: &Seen| seen.regions[0].2 == seen.regions[1].2;
    assert!(rect(&seen[0]), "both look at the same frames: {:?}", seen[0]);
}

#[test]
fn gvametaconvert_finds_the_rate_in_its_region() {
    let rates = Arc::new(Mutex::new(Vec::new()));
    let kept = rates.clone();
    let launch = format!("{ONE} ! identity name=mark ! facecrop ! hrnetinfer ! ppg2bpm name=last");
    let run = try_play(&launch, |pipeline| {
        let pad = pipeline.by_name("mark").unwrap().static_pad("src").unwrap();
        pad.add_probe(gst::PadProbeType::BUFFER, |_, info| {
            let buffer = info.buffer_mut().unwrap().make_mut();
            let rect = pixels(truth(buffer));
            streamed(buffer, 5, None, rect);
            gst::PadProbeReturn::Ok
        });
        let pad = pipeline.by_name("last").unwrap().static_pad("src").unwrap();
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            let rois = info.buffer().unwrap().iter_meta::<VideoRegionOfInterestMeta>();
            let read = |roi: &VideoRegionOfInterestMeta| {
                let s = roi.params().find(|p| p.name() == "heart-rate")?.to_owned();
                let text = |name| s.get::<String>(name).ok();
                Some((
                    roi.id(),
                    text("label")?,
                    text("model_name")?,
                    s.get::<f64>("confidence").ok(),
                ))
            };
            kept.lock().unwrap().push(rois.map(|roi| read(&roi)).collect::<Vec<_>>());
            gst::PadProbeReturn::Ok
        });
    });
    assert_eq!(run.error, None);
    let rates = rates.lock().unwrap();
    let last = rates.last().unwrap();
    let [Some((5, label, model, Some(confidence)))] = &last[..] else { panic!("{last:?}") };
    assert_eq!((label.as_str(), model.as_str()), ("72 bpm", "heartrate"));
    assert!(*confidence >= 0.5, "{confidence}");
    let [Some((5, label, _, None))] = &rates[0][..] else { panic!("{:?}", rates[0]) };
    assert_eq!(label, "measuring");
}
