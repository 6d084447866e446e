//! The element on streams: time, metas, caps, bad input, real videos.

use gst::prelude::*;
use gst_check::Harness;
use gst_video::{VideoFormat, VideoInfo, VideoRegionOfInterestMeta};
use gstheartrate::facecrop::quality::{colour_change, mean_colour};
use gstheartrate::meta::{FaceCrop, FaceCropMeta, PulseTestMeta, Reason, TrueFace};

const MS: u64 = 1_000_000;

fn init() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        gst::init().unwrap();
        gstheartrate::plugin_register_static().unwrap();
    });
}

fn info(format: VideoFormat, w: u32, h: u32) -> VideoInfo {
    init();
    VideoInfo::builder(format, w, h).fps(gst::Fraction::new(25, 1)).build().unwrap()
}

fn harness(element: &str, info: &VideoInfo) -> Harness {
    init();
    let mut h = Harness::new_parse(element);
    h.set_src_caps(info.to_caps().unwrap());
    h
}

/// A frame with some pattern in it, at `ms`.
fn frame(info: &VideoInfo, ms: Option<u64>) -> gst::Buffer {
    let data: Vec<u8> = (0..info.size()).map(|i| (60 + i % 120) as u8).collect();
    let mut buffer = gst::Buffer::from_mut_slice(data);
    buffer.get_mut().unwrap().set_pts(ms.map(gst::ClockTime::from_mseconds));
    buffer
}

fn mark(buffer: &mut gst::Buffer, kind: &str, id: i32, rect: (u32, u32, u32, u32)) {
    let buffer = buffer.make_mut();
    VideoRegionOfInterestMeta::add(buffer, kind, rect).set_id(id);
}

fn faces(buffer: &gst::Buffer) -> Vec<FaceCrop> {
    buffer.meta::<FaceCropMeta>().expect("the meta is always there").faces().to_vec()
}

/// Type, id and x, y, w, h.
type Roi<'a> = (&'a str, i32, (u32, u32, u32, u32));

fn rois(buffer: &gst::Buffer) -> Vec<Roi<'_>> {
    let rois = buffer.iter_meta::<VideoRegionOfInterestMeta>();
    rois.map(|r| (r.roi_type(), r.id(), r.rect())).collect()
}

#[test]
fn pairs_follow_the_timestamps() {
    let info = info(VideoFormat::Rgb, 64, 48);
    let mut h = harness("facecrop detector=none", &info);
    let mut push = |ms, discont| {
        let mut buffer = frame(&info, ms);
        if discont {
            buffer.get_mut().unwrap().set_flags(gst::BufferFlags::DISCONT);
        }
        let faces = faces(&h.push_and_pull(buffer).unwrap());
        assert_eq!((faces.len(), faces[0].id, faces[0].rect), (1, 1, [0.0, 0.0, 1.0, 1.0]));
        let interval = |ns: gst::ClockTime| ns.nseconds() / MS;
        faces[0].previous.as_ref().map(|p| p.interval.map(interval))
    };
    assert_eq!(push(Some(1000), true), None);
    assert_eq!(push(Some(1040), false), Some(Some(40)));
    assert_eq!(push(Some(1240), false), Some(Some(200)));
    // A hole, a break, the same time twice, time going back.
    assert_eq!(push(Some(1500), false), None);
    assert_eq!(push(Some(1540), false), Some(Some(40)));
    assert_eq!(push(Some(1580), true), None);
    assert_eq!(push(Some(1580), false), None);
    assert_eq!(push(Some(1620), false), Some(Some(40)));
    assert_eq!(push(Some(1600), false), None);
    // No timestamps: pairs, but no time between them.
    assert_eq!(push(None, false), Some(None));
    assert_eq!(push(None, false), Some(None));
    assert_eq!(push(Some(1700), false), Some(None));
    assert_eq!(push(Some(1740), false), Some(Some(40)));
}

#[test]
fn a_stream_played_backwards_has_pairs() {
    let info = info(VideoFormat::Rgb, 64, 48);
    let mut h = harness("facecrop detector=none", &info);
    let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
    segment.set_rate(-1.0);
    segment.set_stop(gst::ClockTime::from_seconds(9));
    assert!(h.push_event(gst::event::Segment::new(&segment)));
    for i in 0..10 {
        let found = faces(&h.push_and_pull(frame(&info, Some(1000 - 40 * i))).unwrap());
        let interval = found[0].previous.as_ref().map(|p| p.interval.unwrap().mseconds());
        assert_eq!(interval, (i > 0).then_some(40));
    }
}

#[test]
fn the_number_of_faces_may_change_while_playing() {
    let info = info(VideoFormat::Rgb, 640, 480);
    let mut h = harness("facecrop name=crop detector=metadata", &info);
    let bin = h.element().unwrap().downcast::<gst::Bin>().unwrap();
    let element = bin.by_name("crop").unwrap();
    let mut found = Vec::new();
    for (i, most) in [4u32, 4, 1, 1, 4, 4].into_iter().enumerate() {
        element.set_property("max-faces", most);
        let mut buffer = frame(&info, Some(40 * i as u64));
        mark(&mut buffer, "face", 1, (50, 50, 100, 120));
        mark(&mut buffer, "face", 2, (350, 50, 100, 120));
        let faces = faces(&h.push_and_pull(buffer).unwrap());
        found.push(faces.iter().map(|f| (f.id, f.previous.is_some())).collect::<Vec<_>>());
    }
    // A face that was left out for a time has no frame before.
    let (all, one) = (vec![(1, true), (2, true)], vec![(1, true)]);
    let (first, again) = (vec![(1, false), (2, false)], vec![(1, true), (2, false)]);
    assert_eq!(found, [first, all.clone(), one.clone(), one, again, all]);
}

#[test]
fn missing_timestamps_are_warned_of_once() {
    let info = info(VideoFormat::Gray8, 16, 16);
    let mut h = harness("facecrop detector=none", &info);
    let bus = gst::Bus::new();
    h.element().unwrap().set_bus(Some(&bus));
    for _ in 0..50 {
        h.push_and_pull(frame(&info, None)).unwrap();
    }
    let warnings = bus.iter_filtered(&[gst::MessageType::Warning]).count();
    assert_eq!(warnings, 1);
}

#[test]
fn a_flush_and_a_new_stream_start_afresh() {
    let info = info(VideoFormat::Rgb, 320, 240);
    let mut h = harness("facecrop detector=metadata", &info);
    let mut ids = Vec::new();
    for round in 0..3u64 {
        for i in 0..3 {
            let mut buffer = frame(&info, Some(round * 1000 + i * 40));
            mark(&mut buffer, "face", 0, (100, 60, 80, 100));
            let faces = faces(&h.push_and_pull(buffer).unwrap());
            assert_eq!(faces[0].previous.is_some(), i > 0);
            ids.push(faces[0].id);
        }
        if round == 0 {
            assert!(h.push_event(gst::event::FlushStart::new()));
            assert!(h.push_event(gst::event::FlushStop::new(true)));
            let segment = gst::FormattedSegment::<gst::ClockTime>::new();
            assert!(h.push_event(gst::event::Segment::new(&segment)));
        }
    }
    // A gap of a second keeps the face's id; after a flush it may be anyone.
    assert_eq!(ids[3..], [ids[3]; 6]);
}

#[test]
fn upstreams_faces_keep_ids_and_are_not_doubled() {
    let info = info(VideoFormat::I420, 640, 480);
    let mut h = harness("facecrop detector=metadata max-faces=3", &info);
    for i in 0..60u64 {
        let jitter = (i % 2) as u32;
        let mut buffer = frame(&info, Some(i * 40));
        mark(&mut buffer, "person", 5, (20, 20, 200, 400));
        mark(&mut buffer, "FaceDetection", 42, (100 + jitter, 100, 80, 100));
        mark(&mut buffer, "face", 7, (300, 100 + jitter, 80, 100));
        // Ids that are doubled or 0 are none.
        mark(&mut buffer, "face", 0, (500, 100, 80, 100));
        let out = h.push_and_pull(buffer).unwrap();
        let found = faces(&out);
        let mut ids: Vec<_> = found.iter().map(|f| f.id).collect();
        ids.sort();
        assert_eq!(ids, [1, 7, 42], "{i}");
        assert!(found.iter().all(|f| f.previous.is_some() == (i > 0)));
        // Jitter of a pixel is no movement.
        let want = [
            ("person", 5, (20, 20, 200, 400)),
            ("FaceDetection", 42, (100, 100, 80, 100)),
            ("face", 7, (300, 100, 80, 100)),
            ("face", 1, (500, 100, 80, 100)),
        ];
        assert_eq!(rois(&out), want, "{i}");
    }
    // Between upstream's detections the faces are followed and marked.
    let out = h.push_and_pull(frame(&info, Some(2400))).unwrap();
    assert_eq!(rois(&out).len(), 3);
    assert!(faces(&out).iter().all(|f| f.previous.is_some()));
}

#[test]
fn crops_have_the_size_that_downstream_asks_for() {
    let info = info(VideoFormat::Nv12, 320, 240);
    let mut h = harness("facecrop detector=none", &info);
    let size = |h: &mut Harness, ms| {
        let faces = faces(&h.push_and_pull(frame(&info, Some(ms))).unwrap());
        assert_eq!(faces[0].pixels.len(), 3 * faces[0].size * faces[0].size);
        (faces[0].size, faces[0].previous.is_some())
    };
    assert_eq!(size(&mut h, 0), (72, false));
    assert_eq!(size(&mut h, 40), (72, true));
    let proposal = FaceCropMeta::proposal(36);
    h.add_propose_allocation_meta(FaceCropMeta::meta_api(), Some(&proposal));
    assert!(h.push_upstream_event(gst::event::Reconfigure::new()));
    assert_eq!(size(&mut h, 80), (36, false));
    assert_eq!(size(&mut h, 120), (36, true));
}

#[test]
fn caps_may_change_in_mid_stream() {
    let small = info(VideoFormat::I420, 320, 240);
    let mut h = harness("facecrop detector=metadata", &small);
    let mut buffer = frame(&small, Some(0));
    mark(&mut buffer, "face", 0, (100, 60, 80, 100));
    let before = faces(&h.push_and_pull(buffer).unwrap());
    let large = info(VideoFormat::Bgrx, 640, 480);
    h.set_src_caps(large.to_caps().unwrap());
    let after = faces(&h.push_and_pull(frame(&large, Some(40))).unwrap());
    assert_eq!((after[0].id, after[0].rect), (before[0].id, before[0].rect));
    assert_eq!(after[0].previous, None);
    assert!(faces(&h.push_and_pull(frame(&large, Some(80))).unwrap())[0].previous.is_some());
}

#[test]
fn the_pixels_stay_where_they_are() {
    let info = info(VideoFormat::Rgb, 320, 240);
    let mut h = harness("facecrop detector=none", &info);
    let shared = frame(&info, Some(0));
    let out = h.push_and_pull(shared.clone()).unwrap();
    assert!(shared.meta::<FaceCropMeta>().is_none());
    assert_eq!(out.peek_memory(0).as_ptr(), shared.peek_memory(0).as_ptr());
    assert_eq!(rois(&out), [("face", 1, (0, 0, 320, 240))]);
}

#[test]
fn frames_of_any_size_are_taken() {
    for (w, h) in [(1, 1), (1, 480), (640, 1), (3, 5), (7680, 4320)] {
        for element in ["facecrop", "facecrop detector=none", "facecrop detector=metadata"] {
            let info = info(VideoFormat::Yuy2, w, h);
            let mut harness = harness(element, &info);
            for ms in [0, 40] {
                let mut buffer = frame(&info, Some(ms));
                mark(&mut buffer, "face", -3, (0, 0, 1, h));
                mark(&mut buffer, "face", 3, (u32::MAX, 7, u32::MAX, u32::MAX));
                let out = harness.push_and_pull(buffer).unwrap();
                let found = faces(&out);
                assert!(found.iter().flat_map(|f| &f.pixels).all(|v| (0.0..=1.0).contains(v)));
            }
        }
    }
}

#[test]
fn a_video_meta_that_lies_is_an_error() {
    let info = info(VideoFormat::Rgb, 32, 32);
    for (offset, stride) in [(0, 200), (2000, 96), (usize::MAX - 8, 96), (0, 8)] {
        let mut h = harness("facecrop detector=none", &info);
        let mut buffer = frame(&info, Some(0));
        let flags = gst_video::VideoFrameFlags::empty();
        let meta = gst_video::VideoMeta::add_full(
            buffer.make_mut(),
            flags,
            VideoFormat::Rgb,
            32,
            32,
            &[offset],
            &[stride],
        );
        if meta.is_ok() {
            assert_eq!(h.push(buffer), Err(gst::FlowError::Error), "{offset} {stride}");
        }
    }
}

#[test]
fn an_empty_scene_has_no_faces_for_minutes() {
    let info = info(VideoFormat::Gray8, 64, 48);
    let mut h = harness("facecrop", &info);
    for i in 0..300 {
        let out = h.push_and_pull(frame(&info, Some(i * 200))).unwrap();
        assert_eq!((faces(&out).len(), rois(&out).len()), (0, 0));
    }
}

#[test]
fn crop_output_is_the_largest_face() {
    let info = info(VideoFormat::Rgb, 640, 480);
    let mut h = harness("facecrop output=crop crop-size=50 detector=metadata margin=0", &info);
    // Red all over, but for two faces: green, and the larger one blue.
    let mut data = [250u8, 0, 0].repeat(640 * 480);
    let mut fill = |x: usize, y: usize, side: usize, colour: [u8; 3]| {
        for (y, x) in (y..y + side).flat_map(|y| (x..x + side).map(move |x| (y, x))) {
            data[3 * (y * 640 + x)..][..3].copy_from_slice(&colour);
        }
    };
    fill(100, 100, 60, [0, 250, 0]);
    fill(300, 200, 100, [10, 20, 250]);
    let picture = |ms| {
        let mut buffer = gst::Buffer::from_mut_slice(data.clone());
        buffer.get_mut().unwrap().set_pts(gst::ClockTime::from_mseconds(ms));
        buffer
    };
    // Nobody there: a gap instead of a buffer.
    h.push(picture(0)).unwrap();
    assert!(h.try_pull().is_none());
    let gaps = std::iter::from_fn(|| h.try_pull_event());
    assert_eq!(gaps.filter(|e| e.type_() == gst::EventType::Gap).count(), 1);
    let mut buffer = picture(40);
    mark(&mut buffer, "face", 1, (100, 100, 60, 60));
    mark(&mut buffer, "face", 2, (300, 200, 100, 100));
    let out = h.push_and_pull(buffer).unwrap();
    assert_eq!(out.pts(), Some(gst::ClockTime::from_mseconds(40)));
    let caps = h.sinkpad().unwrap().current_caps().unwrap();
    let crop = VideoInfo::from_caps(&caps).unwrap();
    assert_eq!((crop.format(), crop.width(), crop.height()), (VideoFormat::Rgb, 50, 50));
    assert_eq!(crop.fps(), gst::Fraction::new(25, 1));
    let map = out.map_readable().unwrap();
    for row in map.chunks_exact(crop.stride()[0] as usize) {
        assert_eq!(row[..150], [10, 20, 250].repeat(50));
    }
}

#[test]
fn odd_caps_are_refused() {
    init();
    let mut h = Harness::new_parse("facecrop");
    let refused = |h: &Harness, caps: &str| {
        let caps = gst::Caps::from_str(caps).unwrap();
        let pad = h.element().unwrap().static_pad("sink").unwrap();
        assert!(!pad.query_accept_caps(&caps), "{caps}");
    };
    use std::str::FromStr;
    h.play();
    refused(&h, "video/x-raw, format=P010_10LE, width=64, height=64, framerate=25/1");
    refused(&h, "video/x-raw(memory:GLMemory), format=RGBA, width=64, height=64, framerate=25/1");
    refused(&h, "video/x-h264");
}

/// Runs `launch` to its end: buffers, and the segment that they are in.
fn play(launch: &str) -> (Vec<(gst::Buffer, gst::Segment)>, Option<gst::Message>) {
    init();
    let launch = format!("{launch} ! appsink name=sink sync=false");
    let pipeline = gst::parse::launch(&launch).unwrap().downcast::<gst::Pipeline>().unwrap();
    let sink = pipeline.by_name("sink").unwrap().downcast::<gst_app::AppSink>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let mut buffers = Vec::new();
    while let Ok(sample) = sink.pull_sample() {
        // Only the metas are looked at: the pixels would fill the memory.
        let mut buffer = sample.buffer_owned().unwrap();
        let segment = sample.segment().unwrap().clone();
        buffer.make_mut().remove_all_memory();
        buffers.push((buffer, segment));
    }
    let error = pipeline.bus().unwrap().pop_filtered(&[gst::MessageType::Error]);
    pipeline.set_state(gst::State::Null).unwrap();
    (buffers, error)
}

#[test]
fn moving_faces_are_followed_as_the_truth_says() {
    // How far the rectangle may be behind, in widths of the face.
    for (motion, behind) in
        [("still", 0.03), ("slight", 0.1), ("moderate", 0.1), ("strong", 0.2), ("carry", 0.3)]
    {
        let (buffers, error) = play(&format!(
            "pulsetestsrc num-buffers=240 motion={motion} \
             ! video/x-raw,format=I420,width=640,height=480,framerate=30/1 ! facecrop"
        ));
        assert!(error.is_none(), "{error:?}");
        assert_eq!(buffers.len(), 240);
        let off = |buffer: &gst::Buffer| {
            let truth = PulseTestMeta::read(buffer).unwrap().faces[0];
            let faces = faces(buffer);
            assert_eq!((faces.len(), faces[0].id), (1, 1), "{motion}");
            let [x, y, w, h] = faces[0].rect;
            let across = x + w / 2.0 - truth.x - truth.w / 2.0;
            let down = (y + h / 2.0 - truth.y - truth.h / 2.0) * 480.0 / 640.0;
            [across / truth.w, down / truth.w]
        };
        // The detector's idea of a face's centre is not the source's.
        let own = off(&buffers[0].0);
        for (i, (buffer, _)) in buffers.iter().enumerate() {
            let [across, down] = off(buffer);
            let far = (across - own[0]).hypot(down - own[1]);
            assert!(far < behind, "{motion}, frame {i}: {far} widths behind");
        }
    }
}

#[test]
fn a_face_moves_as_the_truth_says() {
    let (buffers, _) = play(
        "pulsetestsrc num-buffers=240 motion=moderate \
         ! video/x-raw,format=I420,width=640,height=480,framerate=30/1 ! facecrop",
    );
    // The crop's side is 1.3 times the longer side of the face's box.
    let step = |pair: &[(gst::Buffer, gst::Segment)]| {
        let [before, now] =
            [&pair[0].0, &pair[1].0].map(|b| PulseTestMeta::read(b).unwrap().faces[0]);
        let face = &faces(&pair[1].0)[0];
        let side = 1.3 * (face.rect[2] * 640.0).max(face.rect[3] * 480.0);
        let movement = face.changes.movement.expect("followed");
        let centre = |f: &TrueFace| [(f.x + f.w / 2.0) * 640.0, (f.y + f.h / 2.0) * 480.0];
        let (a, b) = (centre(&before), centre(&now));
        let told = [movement.x, movement.y].map(|m| f64::from(m) * side);
        [b[0] - a[0], b[1] - a[1], told[0], told[1]]
    };
    let steps: Vec<[f64; 4]> = buffers.windows(2).map(step).collect();
    let square = |f: &dyn Fn(&[f64; 4]) -> f64| steps.iter().map(|s| f(s).powi(2)).sum::<f64>();
    for axis in 0..2 {
        let (moved, off) = (square(&|s| s[axis]), square(&|s| s[axis] - s[axis + 2]));
        assert!(moved > 1.0 && off < 0.05 * moved, "axis {axis}: {off} of {moved}");
    }
    assert_eq!(faces(&buffers[0].0)[0].changes.movement, None);
}

#[test]
fn the_light_changes_by_the_lamp_on_face_surroundings_and_backdrop() {
    let (buffers, _) = play(
        "pulsetestsrc num-buffers=151 light=beat pulse-amplitude=0 \
         ! video/x-raw,format=I420,width=640,height=480,framerate=30/1 ! facecrop",
    );
    let light = |buffer: &gst::Buffer| faces(buffer)[0].changes.light;
    assert_eq!(light(&buffers[0].0), None);
    let mut level = [0.0; 3];
    let mut lines = [[0.0; 2]; 3];
    for (i, (buffer, _)) in buffers.iter().enumerate().skip(1) {
        let change = light(buffer).expect("it is seen");
        let places = [change.face, change.around, change.backdrop.expect("there is room")];
        let turned = std::f64::consts::TAU * 1.2 * i as f64 / 30.0;
        for ((level, line), place) in level.iter_mut().zip(&mut lines).zip(places) {
            *level += f64::from(place);
            line[0] += *level * turned.cos() / 75.0;
            line[1] += *level * turned.sin() / 75.0;
        }
    }
    // A lamp that pulses by 2 % at 72 a minute, for six of its beats.
    for [a, b] in lines {
        assert!((a.hypot(b) - 0.02).abs() < 0.003, "{lines:?}");
    }
}

#[test]
fn the_colours_of_a_face_change_as_blood_makes_them() {
    let (buffers, _) = play(
        "pulsetestsrc num-buffers=150 noise=0 \
         ! video/x-raw,format=RGB,width=640,height=480,framerate=30/1 ! facecrop",
    );
    let step = |pair: &[(gst::Buffer, gst::Segment)]| {
        let pulse = |b: &gst::Buffer| PulseTestMeta::read(b).unwrap().faces[0].pulse;
        let colour = faces(&pair[1].0)[0].changes.colour.expect("the face is there");
        let [r, g, b] = [colour.red, colour.green, colour.blue].map(f64::from);
        let blood = faces(&pair[1].0)[0].changes.blood.expect("it changes");
        [pulse(&pair[1].0) - pulse(&pair[0].0), r, g, b, f64::from(blood)]
    };
    let steps: Vec<[f64; 5]> = buffers.windows(2).map(step).collect();
    let dot = |a: usize, b: usize| steps.iter().map(|s| s[a] * s[b]).sum::<f64>();
    let [red, green, blue] = [1, 2, 3].map(|colour| dot(colour, 0) / dot(0, 0));
    // The scene's blood: 0.33 to 0.77 to 0.53.
    let (red, blue) = (red / green, blue / green);
    assert!((red - 0.43).abs() < 0.1 && (blue - 0.69).abs() < 0.1, "{red} {green} {blue}");
    let shared = dot(2, 0).powi(2) / (dot(2, 2) * dot(0, 0));
    assert!(green.abs() > 1e-4 && shared > 0.9, "{green}: {shared}");
    // Without noise what has no blood is the quietest, and dilutes it, to half of its size at most.
    let of_green = 0.77 * dot(4, 0) / dot(2, 0);
    let shared = dot(4, 0).powi(2) / (dot(4, 4) * dot(0, 0));
    assert!((0.5..1.1).contains(&of_green) && shared > 0.97, "{of_green}: {shared}");
    let first = faces(&buffers[0].0)[0].changes;
    assert_eq!((first.colour, first.blood, first.chroma_held), (None, None, None));
}

#[test]
fn a_codec_holds_the_chroma_and_a_cameras_noise_does_not() {
    let held = |through: &str| {
        let (buffers, _) = play(&format!(
            "pulsetestsrc num-buffers=61 noise=1 \
             ! video/x-raw,format=I420,width=640,height=480,framerate=30/1 {through} ! facecrop",
        ));
        let shares = buffers[1..].iter().map(|(b, _)| faces(b)[0].changes.chroma_held.unwrap());
        shares.sum::<f32>() / 60.0
    };
    let (camera, pictures) = (held(""), held("! jpegenc quality=85 ! jpegdec"));
    let video = held("! vp8enc deadline=1 target-bitrate=600000 ! vp8dec");
    assert!(camera < 0.6 && pictures < 0.6 && video > 0.75, "{camera} {pictures} {video}");
}

/// A rectangle that follows a face brings other skin along. Both crops of a pair have the same one.
#[test]
fn the_change_of_colour_is_that_within_a_pair() {
    let (buffers, _) = play(
        "pulsetestsrc num-buffers=90 motion=carry \
         ! video/x-raw,format=RGB,width=640,height=480,framerate=30/1 ! facecrop",
    );
    let crops: Vec<FaceCrop> = buffers.iter().map(|b| faces(&b.0)[0].clone()).collect();
    let mean = |crop: &FaceCrop, pixels: &[f32]| mean_colour(pixels, crop.size);
    let mut others = 0;
    for (before, crop) in crops.iter().zip(&crops[1..]) {
        let now = mean(crop, &crop.pixels);
        let previous = &crop.previous.as_ref().expect("the face is followed").pixels;
        assert_eq!(crop.changes.colour, colour_change(mean(crop, previous), now));
        others +=
            usize::from(crop.changes.colour != colour_change(mean(before, &before.pixels), now));
    }
    assert!(others > 80, "{others} of {} differ from the crop before", crops.len());
}

/// Runs a video of the shared set through `facecrop`: stream time in seconds and faces.
fn video(file: &str) -> Option<Vec<(f64, Vec<FaceCrop>)>> {
    init();
    let path = format!("{}/../shared/data/faces/{file}", env!("CARGO_MANIFEST_DIR"));
    let Ok(path) = std::fs::canonicalize(path) else {
        eprintln!("skipped: no {file}");
        return None;
    };
    let (buffers, error) =
        play(&format!("uridecodebin uri=file://{} ! videoconvert ! facecrop", path.display()));
    let time = |buffer: &gst::Buffer, segment: &gst::Segment| {
        let segment = segment.downcast_ref::<gst::ClockTime>().unwrap();
        segment.to_stream_time(buffer.pts()).unwrap().nseconds() as f64 / 1e9
    };
    let frames: Vec<_> = buffers.iter().map(|(b, s)| (time(b, s), faces(b))).collect();
    if frames.is_empty() {
        eprintln!("skipped: {file} can't be decoded: {error:?}");
        return None;
    }
    assert!(error.is_none(), "{error:?}");
    Some(frames)
}

#[test]
fn the_face_that_leaves_is_lost() {
    let Some(frames) = video("face_noface.mov") else { return };
    // The picture cuts from the face to a cartoon after 2.4 s.
    for (time, faces) in &frames {
        match *time {
            t if t < 2.3 => {
                assert_eq!((faces.len(), faces[0].id), (1, 1), "{t}");
                let [x, y, w, h] = faces[0].rect;
                // Where it sits on the picture, seen with the eye.
                assert!((x + w / 2.0 - 0.46).abs() < 0.03 && (y + h / 2.0 - 0.52).abs() < 0.06);
                assert!((0.2..0.25).contains(&w) && (0.58..0.7).contains(&h));
            }
            t if t > 2.8 => assert!(faces.is_empty(), "{t}"),
            _ => (),
        }
    }
}

#[test]
fn the_face_that_enters_is_found() {
    let Some(frames) = video("noface_face.mov") else { return };
    let last = frames.last().unwrap().0;
    let first = frames.iter().find(|f| !f.1.is_empty()).unwrap().0;
    for (time, faces) in &frames {
        assert_eq!(faces.len(), usize::from(*time >= first), "{time} of {last}");
        assert!(faces.iter().all(|f| f.id == 1));
    }
    // The picture cuts to the face after 3.86 s; the detector looks twice a second.
    assert!((3.8..4.4).contains(&first), "{first}");
}

#[test]
fn the_man_at_the_desk_is_one_face_that_rests() {
    for file in ["desk-webcam-25.mp4", "desk-webcam-75.mp4"] {
        let Some(frames) = video(file) else { return };
        let mut moves = 0;
        for pair in frames.windows(2) {
            let [(_, before), (time, now)] = pair else { unreachable!() };
            assert_eq!((now.len(), now[0].id), (1, 1), "{file} {time}");
            assert!(now[0].previous.is_some(), "{file} {time}");
            moves += usize::from(before[0].rect != now[0].rect);
        }
        assert!(moves < frames.len() / 5, "{file}: the rectangle moves in {moves} frames");
        let motion = frames.iter().filter(|f| f.1[0].reasons.contains(Reason::Motion)).count();
        assert!(motion < frames.len() / 20, "{file}: motion in {motion} frames");
    }
}
