//! The element bpmoverlay: what it draws and where, at every size and in every format.

use std::f64::consts::TAU;

use gst::prelude::*;
use gst_check::Harness;
use gst_video::{VideoFormat, VideoInfo, VideoOverlayCompositionMeta};
use gstheartrate::meta::{Face, HeartRateMeta, Reason, Status};

mod common;

/// The default colours, R, G, B.
const OK: [u8; 3] = [0x3d, 0xe0, 0xb0];
const WEAK: [u8; 3] = [0xff, 0xb0, 0x00];
const MEASURING: [u8; 3] = [0x6c, 0xc4, 0xf5];
const GREY: u8 = 128;
const FEATURE: &str = "memory:SystemMemory, meta:GstVideoOverlayComposition";

/// A harness around the element that is fed grey BGRx frames.
struct Bench {
    harness: Harness,
    bus: gst::Bus,
    size: (usize, usize),
    frames: u64,
}

/// A frame that came out.
struct Picture {
    pixels: Vec<u8>,
    width: usize,
}

impl Picture {
    /// R, G, B.
    fn at(&self, x: usize, y: usize) -> [u8; 3] {
        let p = 4 * (y * self.width + x);
        [self.pixels[p + 2], self.pixels[p + 1], self.pixels[p]]
    }

    /// Share of the pixels of x, y, w, h for which `what` holds.
    fn share(&self, [x, y, w, h]: [usize; 4], what: impl Fn([u8; 3]) -> bool) -> f64 {
        let all = (y..y + h).flat_map(|y| (x..x + w).map(move |x| (x, y)));
        let hits = all.filter(|(x, y)| what(self.at(*x, *y))).count();
        hits as f64 / (w * h) as f64
    }

    /// The smallest x, y, right, bottom around all that is not the grey of the background, within
    /// the columns `columns`.
    fn drawn(&self, columns: std::ops::Range<usize>) -> Option<[usize; 4]> {
        let mut bounds: Option<[usize; 4]> = None;
        for y in 0..self.pixels.len() / 4 / self.width {
            for x in columns.clone().filter(|x| self.at(*x, y) != [GREY; 3]) {
                let b = bounds.get_or_insert([x, y, x + 1, y + 1]);
                *b = [b[0].min(x), b[1].min(y), b[2].max(x + 1), b[3].max(y + 1)];
            }
        }
        bounds
    }
}

fn near(a: [u8; 3], b: [u8; 3]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.abs_diff(b) <= 12)
}

/// Part of a thin green line, on a dark ground.
fn greenish([r, g, b]: [u8; 3]) -> bool {
    g > 110 && g > r.saturating_add(40) && g > b
}

impl Bench {
    fn new(size: (usize, usize)) -> Bench {
        Bench::with(size, &[])
    }

    fn with(size: (usize, usize), properties: &[(&str, &str)]) -> Bench {
        common::init();
        let mut element = gst::ElementFactory::make("bpmoverlay");
        for (name, value) in properties {
            element = element.property_from_str(name, value);
        }
        let element = element.build().unwrap();
        let bus = gst::Bus::new();
        element.set_bus(Some(&bus));
        let harness = Harness::with_element(&element, Some("sink"), Some("src"));
        let mut bench = Bench { harness, bus, size, frames: 0 };
        bench.set_size(size);
        bench
    }

    fn set_size(&mut self, size: (usize, usize)) {
        self.size = size;
        let (w, h) = size;
        let caps = format!("video/x-raw,format=BGRx,width={w},height={h},framerate=30/1");
        self.harness.set_src_caps_str(&caps);
    }

    fn grey(&mut self) -> gst::Buffer {
        let mut buffer = gst::Buffer::from_mut_slice(vec![GREY; self.size.0 * self.size.1 * 4]);
        let time = gst::ClockTime::SECOND.mul_div_floor(self.frames, 30);
        buffer.get_mut().unwrap().set_pts(time);
        self.frames += 1;
        buffer
    }

    fn push(&mut self, faces: &[Face]) -> gst::Buffer {
        let mut buffer = self.grey();
        let meta = HeartRateMeta { derivative: true, faces: faces.to_vec() };
        meta.write(buffer.get_mut().unwrap());
        self.harness.push_and_pull(buffer).unwrap()
    }

    fn draw(&mut self, faces: &[Face]) -> Picture {
        let buffer = self.push(faces);
        let pixels = buffer.map_readable().unwrap().to_vec();
        Picture { pixels, width: self.size.0 }
    }

    /// Pushes `count` frames on which the faces' pulse goes on, returns the last.
    fn beat(&mut self, count: u64, faces: &[Face]) -> Picture {
        let beating = |frame: u64, face: &Face| Face {
            ppg: Some((TAU * 1.2 * frame as f64 / 30.0).cos()),
            ppg_interval: Some(gst::ClockTime::SECOND / 30),
            ..face.clone()
        };
        for _ in 1..count {
            let faces: Vec<_> = faces.iter().map(|f| beating(self.frames, f)).collect();
            self.push(&faces);
        }
        let faces: Vec<_> = faces.iter().map(|f| beating(self.frames, f)).collect();
        self.draw(&faces)
    }

    fn out_caps(&self) -> gst::Caps {
        self.harness.sinkpad().unwrap().current_caps().unwrap()
    }

    fn warnings(&self) -> usize {
        std::iter::from_fn(|| self.bus.pop_filtered(&[gst::MessageType::Warning])).count()
    }
}

/// A face at status ok in the middle of the frame.
fn face(id: u32) -> Face {
    Face {
        id,
        x: 0.4,
        y: 0.5,
        w: 0.25,
        h: 0.4,
        bpm: Some(72.0),
        confidence: Some(0.9),
        status: Status::Ok,
        ..Face::default()
    }
}

fn measuring(id: u32) -> Face {
    Face { bpm: None, confidence: None, status: Status::Measuring, ..face(id) }
}

const SIZES: [(usize, usize); 4] = [(320, 240), (640, 480), (1920, 1080), (3840, 2160)];

#[test]
fn without_faces_not_one_pixel_changes() {
    for size in SIZES {
        let mut bench = Bench::new(size);
        assert_eq!(bench.draw(&[]).drawn(0..size.0), None);
        let bare = bench.grey();
        let out = bench.harness.push_and_pull(bare).unwrap();
        assert!(out.map_readable().unwrap().iter().all(|p| *p == GREY));
        assert_eq!(bench.warnings(), 0);
    }
}

/// Line, rim, card and text of one face, and nothing anywhere else.
#[test]
fn a_face_has_its_box_and_its_card() {
    for size in SIZES {
        let (w, h) = size;
        let picture = Bench::new(size).beat(310, &[face(1)]);
        let (left, right) = (w * 2 / 5, w * 13 / 20);
        let (top, bottom) = (h / 2, h * 9 / 10);
        let (cx, cy) = ((left + right) / 2, (top + bottom) / 2);
        // The box's lines lie on the face's edges, dark outside and inside of them.
        let line = (h / 216).max(2);
        for (x, y) in [(cx, top + 1), (cx, bottom - 2), (left + 1, cy), (right - 2, cy)] {
            assert!(near(picture.at(x, y), OK), "{size:?}: {:?} at {x},{y}", picture.at(x, y));
        }
        let rim = picture.at(cx, top - 1)[1];
        assert!(rim < GREY - 30, "{size:?}: rim {rim}");
        // Inside there is nothing.
        let inside =
            [left + 3 * line, top + 3 * line, right - left - 6 * line, bottom - top - 6 * line];
        assert_eq!(picture.share(inside, |p| p == [GREY; 3]), 1.0, "{size:?}");
        // The card stands above, flush with the box; the box goes below to its own bottom.
        let drawn = picture.drawn(0..w).unwrap();
        let text = (4.0 + 0.022 * h as f64).max(11.0);
        assert!(drawn[0].abs_diff(left) <= 2 * line, "{size:?}: {drawn:?}");
        assert!(drawn[3].abs_diff(bottom) <= 2 * line, "{size:?}: {drawn:?}");
        let card_height = (top - drawn[1]) as f64 / text;
        assert!((4.5..6.5).contains(&card_height), "{size:?}: {card_height} lines of text");
        // It has ink: text in its left upper part, a curve in its lower.
        let unit = text as usize;
        let words = [left + unit / 2, drawn[1], 3 * unit, 2 * unit];
        let white = picture.share(words, |p| p.iter().all(|c| *c > 220));
        assert!((0.05..0.5).contains(&white), "{size:?}: {white} of the text is ink");
        let strip = [left + unit, drawn[1] + unit * 9 / 4, 8 * unit, 2 * unit];
        let curve = picture.share(strip, greenish);
        assert!((0.01..0.4).contains(&curve), "{size:?}: {curve} of the strip is ink");
    }
}

#[test]
fn two_faces_have_a_box_and_a_card_each() {
    for size in SIZES {
        let w = size.0;
        let one = Face { x: 0.05, ..face(1) };
        let two = Face { x: 0.6, status: Status::Weak, bpm: None, ..face(2) };
        let picture = Bench::new(size).draw(&[one, two]);
        let left = picture.drawn(0..w / 2).unwrap();
        let right = picture.drawn(w / 2..w).unwrap();
        assert!(left[2] < w / 2 && right[0] > w / 2, "{size:?}: {left:?} {right:?}");
        let count = |range: std::ops::Range<usize>, colour| {
            let area = [range.start, 0, range.len(), size.1];
            picture.share(area, |p| near(p, colour))
        };
        assert!(count(0..w / 2, OK) > 0.002 && count(0..w / 2, WEAK) == 0.0, "{size:?}");
        assert!(count(w / 2..w, WEAK) > 0.001 && count(w / 2..w, OK) == 0.0, "{size:?}");
    }
}

/// States differ by the line's style, not by colour alone.
#[test]
fn the_line_is_solid_dashed_or_dotted() {
    let size = (640, 480);
    let style = |face: Face, colour| {
        let picture = Bench::with(size, &[("show-wave", "false")]).draw(&[face]);
        let line: Vec<bool> =
            (270..400).map(|x| near(picture.at(x, 480 / 2 + 1), colour)).collect();
        line.windows(2).filter(|w| w[0] != w[1]).count()
    };
    let weak = Face { status: Status::Weak, bpm: None, ..face(1) };
    let counts = [style(face(1), OK), style(weak, WEAK), style(measuring(1), MEASURING)];
    assert_eq!(counts[0], 0, "solid");
    assert!(counts[1] > 4 && counts[2] > counts[1] + 8, "{counts:?}");
}

#[test]
fn what_is_switched_off_is_not_drawn() {
    let size = (640, 480);
    let drawn = |properties: &[(&str, &str)]| {
        let picture = Bench::with(size, properties).draw(&[face(1)]);
        (picture.drawn(0..640).unwrap(), picture)
    };
    let (all, _) = drawn(&[]);
    let (no_wave, _) = drawn(&[("show-wave", "false")]);
    assert!(no_wave[1] > all[1] + 25, "the card is lower: {all:?} {no_wave:?}");
    let (no_box, _) = drawn(&[("show-box", "false")]);
    assert!(no_box[3] < 240, "nothing at the box: {no_box:?}");
    let corner = |picture: &Picture| picture.share([256, 140, 160, 60], |p| near(p, OK));
    let (_, with) = drawn(&[("show-box", "false")]);
    let (_, without) = drawn(&[("show-box", "false"), ("show-confidence", "false")]);
    assert!(corner(&with) > corner(&without), "bars");
    let (_, red) = drawn(&[("ok-color", "0xffff0000")]);
    assert!(near(red.at(340, 241), [255, 0, 0]));
}

/// More confidence, more bars.
#[test]
fn the_mark_grows_with_confidence() {
    let ink = |confidence| {
        let face = Face { confidence: Some(confidence), ..face(1) };
        let picture = Bench::with((640, 480), &[("show-box", "false")]).draw(&[face]);
        picture.share([262, 140, 180, 60], |p| near(p, OK))
    };
    let bars: Vec<f64> = [0.0, 0.25, 0.5, 0.75, 1.0].into_iter().map(ink).collect();
    assert!(bars[0] == 0.0 && bars.is_sorted_by(|a, b| a < b), "{bars:?}");
}

#[test]
fn reasons_make_the_card_taller() {
    let height = |reasons: &[Reason]| {
        let reasons = reasons.iter().copied().collect();
        let face = Face { status: Status::Weak, bpm: None, reasons, ..face(1) };
        let picture = Bench::with((640, 480), &[("show-box", "false")]).draw(&[face]);
        let drawn = picture.drawn(0..640).unwrap();
        drawn[3] - drawn[1]
    };
    let none = height(&[]);
    let one = height(&[Reason::NoPulse]);
    let many = height(&[Reason::Motion, Reason::Dark, Reason::Monochrome]);
    assert!(one > none + 10 && many > one + 10, "{none} {one} {many}");
}

/// Wholly or partly outside, tiny, on top of each other: nothing breaks, no card covers another.
#[test]
fn odd_faces_are_drawn_as_far_as_they_can() {
    let at = |id, x, y, w, h| Face { id, x, y, w, h, ..face(id) };
    let mut bench = Bench::new((320, 240));
    assert!(bench.draw(&[at(1, -0.2, -0.2, 0.5, 0.5)]).drawn(0..320).is_some());
    assert!(bench.draw(&[at(1, 0.8, 0.8, 0.5, 0.5)]).drawn(0..320).is_some());
    assert!(bench.draw(&[at(1, 0.5, 0.5, 1e-9, 1e-9)]).drawn(0..320).is_some());
    for (x, w) in [(2.0, 0.1), (f64::NAN, 0.1), (0.5, f64::INFINITY), (0.5, -1.0)] {
        assert_eq!(bench.draw(&[at(1, x, 0.1, w, 0.1)]).drawn(0..320), None, "{x} {w}");
    }
    let crowd: Vec<Face> = (0..30).map(|i| at(i, 0.03 * f64::from(i), 0.4, 0.1, 0.1)).collect();
    assert!(bench.draw(&crowd).drawn(0..320).is_some());
    let mut smallest = Bench::new((16, 16));
    assert!(smallest.draw(&[face(1)]).drawn(0..16).is_some());
    assert_eq!(bench.warnings() + smallest.warnings(), 0);
}

#[test]
fn a_meta_of_another_version_is_told_once_and_not_drawn() {
    let mut bench = Bench::new((320, 240));
    for _ in 0..3 {
        let mut buffer = bench.grey();
        HeartRateMeta::default().write(buffer.get_mut().unwrap());
        let mut meta =
            gst::meta::CustomMeta::from_mut_buffer(buffer.get_mut().unwrap(), "HeartRateMeta")
                .unwrap();
        meta.mut_structure().set("faces", "of the year 2040");
        let out = bench.harness.push_and_pull(buffer).unwrap();
        assert!(out.map_readable().unwrap().iter().all(|p| *p == GREY));
    }
    assert_eq!(bench.warnings(), 1);
    assert!(bench.draw(&[face(1)]).drawn(0..320).is_some());
}

/// Ink of the curve in the strip.
fn curve(picture: &Picture) -> f64 {
    picture.share([262, 185, 140, 45], greenish)
}

#[test]
fn the_wave_is_forgotten_with_its_face_and_at_a_flush() {
    let mut bench = Bench::with((640, 480), &[("show-box", "false")]);
    let fresh = curve(&bench.draw(&[face(1)]));
    let full = curve(&bench.beat(300, &[face(1)]));
    assert!(full > fresh + 0.05, "{full} {fresh}");
    bench.draw(&[]);
    assert_eq!(curve(&bench.draw(&[face(1)])), fresh);
    assert!(curve(&bench.beat(300, &[face(1)])) > fresh + 0.05);
    bench.harness.push_event(gst::event::FlushStart::new());
    bench.harness.push_event(gst::event::FlushStop::new(true));
    let segment = gst::FormattedSegment::<gst::ClockTime>::new();
    bench.harness.push_event(gst::event::Segment::new(&segment));
    assert_eq!(curve(&bench.draw(&[face(1)])), fresh);
}

#[test]
fn new_caps_are_drawn_at_their_own_size_and_keep_the_wave() {
    let mut bench = Bench::new((320, 240));
    bench.beat(150, &[face(1)]);
    bench.set_size((640, 480));
    let picture = bench.draw(&[face(1)]);
    let drawn = picture.drawn(0..640).unwrap();
    assert!(drawn[0].abs_diff(256) < 4 && drawn[3].abs_diff(432) < 4, "{drawn:?}");
    assert!(curve(&picture) > 0.05);
}

/// Downstream takes any caps and says nothing of the meta: blended, in caps without the feature.
#[test]
fn caps_alone_do_not_make_a_sink_blend() {
    let mut bench = Bench::new((320, 240));
    let out = bench.push(&[face(1)]);
    assert!(!bench.out_caps().to_string().contains("GstVideoOverlayComposition"));
    assert!(out.meta::<VideoOverlayCompositionMeta>().is_none());
    assert!(out.map_readable().unwrap().iter().any(|p| *p != GREY));
}

fn attaching() -> Bench {
    let mut bench = Bench::new((640, 480));
    let api = VideoOverlayCompositionMeta::meta_api();
    bench.harness.add_propose_allocation_meta(api, None);
    // Negotiated again, now that downstream says that it blends.
    bench.set_size((320, 240));
    bench.set_size((640, 480));
    bench
}

#[test]
fn a_sink_that_blends_gets_pieces_that_are_drawn_once() {
    let mut bench = attaching();
    let mut overlay = |faces: &[Face]| {
        let out = bench.push(faces);
        assert!(out.map_readable().unwrap().iter().all(|p| *p == GREY), "not blended as well");
        out.meta::<VideoOverlayCompositionMeta>().map(|m| m.overlay_owned())
    };
    let pixels = |o: &gst_video::VideoOverlayComposition| -> Vec<(usize, (i32, i32, u32, u32))> {
        let flags = gst_video::VideoOverlayFormatFlags::PREMULTIPLIED_ALPHA;
        let piece = |r: gst_video::VideoOverlayRectangle| {
            (r.pixels_unscaled_raw(flags).as_ptr() as usize, r.render_rectangle())
        };
        o.iter().map(piece).collect()
    };
    assert!(overlay(&[]).is_none());
    let first = overlay(&[face(1)]).unwrap();
    assert_eq!(first.n_rectangles(), 6, "four edges, card, strip");
    // Nothing changed: the very same composition.
    let again = overlay(&[Face { bpm: Some(72.3), ..face(1) }]).unwrap();
    assert_eq!(again.seqnum(), first.seqnum());
    // The face moved: the same pixels elsewhere.
    let moved = overlay(&[Face { x: 0.5, ..face(1) }]).unwrap();
    assert_ne!(moved.seqnum(), first.seqnum());
    for (before, after) in pixels(&first).iter().zip(pixels(&moved)) {
        assert_eq!(before.0, after.0, "drawn anew");
        assert_eq!(after.1.0 - before.1.0, 64);
    }
    // Another rate: the card alone is drawn anew.
    let rate = overlay(&[Face { x: 0.5, bpm: Some(75.0), ..face(1) }]).unwrap();
    let both = pixels(&moved).into_iter().zip(pixels(&rate));
    let anew: Vec<bool> = both.map(|(a, b)| a.0 != b.0).collect();
    assert_eq!(anew, [false, false, false, false, true, false]);
}

#[test]
fn the_strip_is_drawn_ten_times_a_second() {
    let mut bench = attaching();
    let mut strips = Vec::new();
    for i in 0..90 {
        let face = Face { ppg: Some((f64::from(i) * 0.2).cos()), ..face(1) };
        let out = bench.push(&[face]);
        let overlay = out.meta::<VideoOverlayCompositionMeta>().unwrap().overlay_owned();
        let flags = gst_video::VideoOverlayFormatFlags::PREMULTIPLIED_ALPHA;
        strips.push(overlay.rectangle(5).unwrap().pixels_unscaled_raw(flags));
    }
    strips.dedup_by_key(|s| s.as_ptr());
    assert!((28..=31).contains(&strips.len()), "{} drawings in 3 s", strips.len());
}

#[test]
fn overlays_from_upstream_stay() {
    let mut bench = attaching();
    let caps = format!("video/x-raw({FEATURE}),format=BGRx,width=640,height=480,framerate=30/1");
    bench.harness.set_src_caps_str(&caps);
    let mut pixels = gst::Buffer::from_slice(vec![255u8; 16]);
    let format = VideoFormat::Bgra;
    let none = gst_video::VideoFrameFlags::empty();
    gst_video::VideoMeta::add(pixels.get_mut().unwrap(), none, format, 2, 2).unwrap();
    let flags = gst_video::VideoOverlayFormatFlags::empty();
    let other = gst_video::VideoOverlayRectangle::new_raw(&pixels, 1, 2, 2, 2, flags);
    let other = gst_video::VideoOverlayComposition::new([&other]).unwrap();
    let mut buffer = bench.grey();
    let buf = buffer.get_mut().unwrap();
    VideoOverlayCompositionMeta::add(buf, &other);
    HeartRateMeta { derivative: true, faces: vec![face(1)] }.write(buf);
    let out = bench.harness.push_and_pull(buffer).unwrap();
    assert_eq!(out.iter_meta::<VideoOverlayCompositionMeta>().count(), 1);
    let overlay = out.meta::<VideoOverlayCompositionMeta>().unwrap().overlay_owned();
    assert_eq!(overlay.n_rectangles(), 7);
    assert_eq!(overlay.rectangle(0).unwrap().render_rectangle(), (1, 2, 2, 2));
}

/// Somebody else holds the pixels: theirs stay as they are.
#[test]
fn shared_pixels_are_copied_before_they_are_drawn_on() {
    let mut bench = Bench::new((320, 240));
    let mut buffer = bench.grey();
    HeartRateMeta { derivative: true, faces: vec![face(1)] }.write(buffer.get_mut().unwrap());
    let held = buffer.clone();
    let out = bench.harness.push_and_pull(buffer).unwrap();
    assert!(held.map_readable().unwrap().iter().all(|p| *p == GREY));
    assert!(out.map_readable().unwrap().iter().any(|p| *p != GREY));
}

/// Every raw format that GStreamer blends into: the box has its colour (where there is one) and the rest is left alone.
#[test]
fn every_raw_format_can_be_drawn_on() {
    common::init();
    let mut drawn = 0;
    for format in VideoFormat::iter_raw() {
        let Some(picture) = through(format) else { continue };
        drawn += 1;
        let line = picture.at(168, 121);
        let grey = [line[1]; 3];
        let expected = if has_colour(format) { OK } else { grey };
        let off = line.iter().zip(expected).map(|(a, b)| a.abs_diff(b)).max().unwrap();
        assert!(off < 48, "{format:?}: line {line:?}");
        assert!(line[1] > 165, "{format:?}: line {line:?}");
        let far = [0, 200, 100, 40];
        let rest = picture.share(far, |p| p.iter().all(|c| c.abs_diff(GREY) < 10));
        assert!(rest == 1.0, "{format:?}: {rest} of the rest left alone");
    }
    assert!(drawn > 60, "{drawn} formats were tried");
}

fn has_colour(format: VideoFormat) -> bool {
    let info = gst_video::VideoFormatInfo::from_format(format);
    !info.flags().contains(gst_video::VideoFormatFlags::GRAY)
}

/// A grey frame in `format` with a face drawn on it, as BGRx; `None` where GStreamer can't make
/// such frames.
fn through(format: VideoFormat) -> Option<Picture> {
    let caps = |f: VideoFormat| {
        gst_video::VideoCapsBuilder::new()
            .format(f)
            .width(320)
            .height(240)
            .framerate(gst::Fraction::new(30, 1))
            .build()
    };
    let info = VideoInfo::from_caps(&caps(format)).ok()?;
    let mut bench = Harness::new_parse(&format!(
        "videoconvert dither=none ! capsfilter caps=\"{}\" ! identity name=faces ! bpmoverlay ! videoconvert",
        info.to_caps().ok()?
    ));
    let bin = bench.element().and_downcast::<gst::Bin>().unwrap();
    let pad = bin.by_name("faces").unwrap().static_pad("src").unwrap();
    pad.add_probe(gst::PadProbeType::BUFFER, |_, info| {
        let buffer = info.buffer_mut().unwrap().make_mut();
        HeartRateMeta { derivative: true, faces: vec![face(1)] }.write(buffer);
        gst::PadProbeReturn::Ok
    });
    bench.set_src_caps(caps(VideoFormat::Bgrx));
    bench.set_sink_caps(caps(VideoFormat::Bgrx));
    let buffer = gst::Buffer::from_mut_slice(vec![GREY; 320 * 240 * 4]);
    bench.push(buffer).ok()?;
    let out = bench.pull().unwrap();
    Some(Picture { pixels: out.map_readable().unwrap().to_vec(), width: 320 })
}
