//! What `pulsetestsrc` delivers: times, bytes, and the pulse in them.

use gst::prelude::*;
use gstheartrate::facecrop::area::PackedRgb;
use gstheartrate::facecrop::detector::Detector;
use gstheartrate::meta::{PulseTestMeta, TrueFace, iou};

const FORMATS: [&str; 17] = [
    "I420", "YV12", "NV12", "NV21", "YUY2", "UYVY", "RGB", "BGR", "RGBx", "BGRx", "xRGB", "xBGR",
    "RGBA", "BGRA", "ARGB", "ABGR", "GRAY8",
];

fn init() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        gst::init().unwrap();
        gstheartrate::plugin_register_static().unwrap();
    });
}

fn pipeline(source: &str, caps: &str) -> (gst::Pipeline, gst_app::AppSink) {
    init();
    let line = format!(
        "pulsetestsrc name=src {source} ! capsfilter name=caps caps=video/x-raw,{caps} ! \
         appsink name=sink sync=false max-buffers=2"
    );
    let pipeline = gst::parse::launch(&line).unwrap().downcast::<gst::Pipeline>().unwrap();
    let sink = pipeline.by_name("sink").unwrap().downcast::<gst_app::AppSink>().unwrap();
    (pipeline, sink)
}

/// Runs to the end and returns all frames.
fn run(source: &str, caps: &str) -> Vec<gst::Sample> {
    let (pipeline, sink) = pipeline(source, caps);
    pipeline.set_state(gst::State::Playing).unwrap();
    let samples = std::iter::from_fn(|| sink.pull_sample().ok()).collect();
    assert!(sink.is_eos(), "{source} {caps}");
    pipeline.set_state(gst::State::Null).unwrap();
    samples
}

fn buffer(sample: &gst::Sample) -> &gst::BufferRef {
    sample.buffer().unwrap()
}

fn bytes(sample: &gst::Sample) -> Vec<u8> {
    buffer(sample).map_readable().unwrap().to_vec()
}

fn truth(sample: &gst::Sample) -> Vec<TrueFace> {
    PulseTestMeta::read(buffer(sample)).unwrap().faces
}

fn ns(time: Option<gst::ClockTime>) -> u64 {
    time.unwrap().nseconds()
}

#[test]
fn timestamps_are_exact() {
    let rates = [(30, 1), (30000, 1001), (15, 1), (24, 1), (60, 1), (7, 3)];
    for (num, den) in rates {
        let caps = format!("width=32,height=24,framerate={num}/{den}");
        let samples = run("num-buffers=50 timestamp-offset=1000000007", &caps);
        assert_eq!(samples.len(), 50);
        for (n, sample) in samples.iter().enumerate() {
            let time = |n: u64| n * den * 1_000_000_000 / num;
            let (n, buffer) = (n as u64, buffer(sample));
            assert_eq!(ns(buffer.pts()), 1_000_000_007 + time(n), "{num}/{den} {n}");
            assert_eq!(ns(buffer.duration()), time(n + 1) - time(n));
            assert_eq!((buffer.offset(), buffer.offset_end()), (n, n + 1));
            assert_eq!(buffer.dts(), None);
        }
    }
}

#[test]
fn caps_default_to_vga_at_30() {
    let samples = run("num-buffers=1", "format={I420,RGB}");
    let info = gst_video::VideoInfo::from_caps(samples[0].caps().unwrap()).unwrap();
    assert_eq!(
        (info.format(), info.width(), info.height()),
        (gst_video::VideoFormat::I420, 640, 480)
    );
    assert_eq!(info.fps(), gst::Fraction::new(30, 1));
}

#[test]
fn a_still_picture_is_one_buffer() {
    let samples = run("", "width=64,height=48,framerate=0/1");
    assert_eq!(samples.len(), 1);
    assert_eq!(ns(buffer(&samples[0]).pts()), 0);
    assert_eq!(buffer(&samples[0]).duration(), None);
}

#[test]
fn every_format_and_odd_size_is_filled() {
    for format in FORMATS {
        for (w, h) in [(16, 16), (17, 33), (65, 16), (641, 479)] {
            let caps = format!("format={format},width={w},height={h}");
            for source in ["num-buffers=1 noise=0", "num-buffers=1 noise=2 bpm=60,70,80,90"] {
                let samples = run(source, &caps);
                let info = gst_video::VideoInfo::from_caps(samples[0].caps().unwrap()).unwrap();
                assert_eq!(buffer(&samples[0]).size(), info.size(), "{caps}");
            }
        }
    }
}

#[test]
fn unused_bytes_are_opaque() {
    for (format, at) in [("RGBx", 3), ("xBGR", 0), ("BGRA", 3), ("ARGB", 0)] {
        for noise in [0, 1] {
            let source = format!("num-buffers=1 noise={noise}");
            let samples = run(&source, &format!("format={format},width=33,height=20"));
            assert!(bytes(&samples[0]).iter().skip(at).step_by(4).all(|b| *b == 255), "{format}");
        }
    }
}

/// Mean of green (of luma for GRAY8) over a box of the frame, in grey levels, full range.
fn mean_green(sample: &gst::Sample, area: [usize; 4]) -> f64 {
    let info = gst_video::VideoInfo::from_caps(sample.caps().unwrap()).unwrap();
    let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer(sample), &info).unwrap();
    let format = info.format_info();
    let value = |c: u8, x: usize, y: usize| {
        let (x, y) = (x >> format.w_sub()[c as usize], y >> format.h_sub()[c as usize]);
        let stride = info.comp_stride(c) as usize;
        let at = y * stride + x * info.comp_pstride(c) as usize + info.comp_poffset(c) as usize;
        frame.comp_data(c.into()).unwrap()[at - info.comp_poffset(c) as usize] as f64
    };
    let limited = info.colorimetry().range() == gst_video::VideoColorRange::Range16_235;
    let [x0, y0, w, h] = area;
    let mut sum = 0.0;
    for (x, y) in (y0..y0 + h).flat_map(|y| (x0..x0 + w).map(move |x| (x, y))) {
        sum += if format.is_rgb() {
            value(1, x, y)
        } else if info.format() == gst_video::VideoFormat::Gray8 {
            value(0, x, y)
        } else {
            assert!(limited);
            let (kr, kb) = info.colorimetry().matrix().kr_kb().unwrap();
            let luma = (value(0, x, y) - 16.0) * 255.0 / 219.0;
            let [cb, cr] = [value(1, x, y), value(2, x, y)].map(|v| (v - 128.0) * 255.0 / 224.0);
            let (b, r) = (luma + 2.0 * (1.0 - kb) * cb, luma + 2.0 * (1.0 - kr) * cr);
            (luma - kr * r - kb * b) / (1.0 - kr - kb)
        };
    }
    sum / (w * h) as f64
}

/// The middle of the face, where there is skin only between brows and mouth: pixels of the frame.
fn cheeks(face: &TrueFace, width: usize, height: usize) -> [usize; 4] {
    let (w, h) = (width as f64, height as f64);
    let at = |v: f64| v.round() as usize;
    [
        at((face.x + 0.2 * face.w) * w),
        at((face.y + 0.45 * face.h) * h),
        at(0.6 * face.w * w),
        at(0.17 * face.h * h),
    ]
}

/// Depth of the pulse: regression of the values on the true wave, relative to their mean.
fn depth(values: &[f64], wave: &[f64]) -> f64 {
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let (value, middle) = (mean(values), mean(wave));
    let square: f64 = wave.iter().map(|w| (w - middle).powi(2)).sum();
    let cross: f64 = wave.iter().zip(values).map(|(w, v)| (w - middle) * (v - value)).sum();
    -cross / square / value
}

/// The frequency in 0.5..5 Hz of the largest amplitude, as beats per minute.
fn peak_bpm(values: &[f64], times: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let power = |bpm: f64| {
        let phase = |t: f64| std::f64::consts::TAU * bpm / 60.0 * t;
        let (c, s) = values.iter().zip(times).fold((0.0, 0.0), |(c, s), (v, t)| {
            let (sin, cos) = phase(*t).sin_cos();
            (c + (v - mean) * cos, s + (v - mean) * sin)
        });
        c * c + s * s
    };
    let grid = (300..3000).map(|i| i as f64 / 10.0);
    grid.max_by(|a, b| power(*a).total_cmp(&power(*b))).unwrap()
}

#[test]
fn the_pulse_is_in_every_format() {
    for format in FORMATS {
        let caps = format!("format={format},width=320,height=240,framerate=30/1");
        let samples = run("num-buffers=300 bpm=72 pulse-amplitude=1", &caps);
        let area = cheeks(&truth(&samples[0])[0], 320, 240);
        let green: Vec<f64> = samples.iter().map(|s| mean_green(s, area)).collect();
        let wave: Vec<f64> = samples.iter().map(|s| truth(s)[0].pulse).collect();
        let times: Vec<f64> = samples.iter().map(|s| ns(buffer(s).pts()) as f64 / 1e9).collect();
        let rate = peak_bpm(&green, &times);
        assert!((rate - 72.0).abs() < 0.5, "{format}: {rate}");
        // Perfusion differs over the face by a third; luma holds red and blue, which pulse less.
        let depth = depth(&green, &wave);
        let expected = if format == "GRAY8" { 0.0075 } else { 0.01 };
        assert!((depth / expected - 1.0).abs() < 0.2, "{format}: {depth}");
        assert!(truth(&samples[0])[0].bpm == 72.0);
    }
}

#[test]
fn the_depth_follows_the_amplitude() {
    let caps = "format=I420,width=320,height=240,framerate=30/1";
    let measure = |amplitude: f64| {
        let source = format!("num-buffers=150 bpm=90 pulse-amplitude={amplitude}");
        let samples = run(&source, caps);
        let area = cheeks(&truth(&samples[0])[0], 320, 240);
        let green: Vec<f64> = samples.iter().map(|s| mean_green(s, area)).collect();
        let wave: Vec<f64> = samples.iter().map(|s| truth(s)[0].pulse).collect();
        depth(&green, &wave)
    };
    let (weak, strong) = (measure(0.25), measure(4.0));
    assert!((strong / weak / 16.0 - 1.0).abs() < 0.1, "{weak} {strong}");
}

#[test]
fn a_lifeless_face_never_changes() {
    let samples =
        run("num-buffers=40 pulse-amplitude=0 noise=0", "format=I420,width=160,height=120");
    let first = bytes(&samples[0]);
    for sample in &samples {
        assert!(bytes(sample) == first);
        let face = truth(sample)[0];
        assert_eq!((face.pulse, face.bpm), (0.0, 0.0));
    }
}

#[test]
fn a_ramp_is_followed_in_the_truth() {
    let samples = run("num-buffers=40 bpm=60>120@2", "width=32,height=32,framerate=10/1");
    for (n, sample) in samples.iter().enumerate() {
        let expected = (60.0 + 3.0 * n as f64).min(120.0);
        assert!((truth(sample)[0].bpm - expected).abs() < 1e-9);
    }
}

#[test]
fn seeds_repeat_bytes() {
    for settings in ["motion=moderate light=drift", "bpm=60,95 light=flicker", "picture=noise"] {
        let play = |seed| {
            let source = format!("num-buffers=5 noise=1.5 seed={seed} {settings}");
            run(&source, "format=NV12,width=127,height=94").iter().map(bytes).collect::<Vec<_>>()
        };
        assert!(play(3) == play(3), "{settings}");
        assert!(play(3) != play(4), "{settings}");
    }
}

#[test]
fn a_seek_shows_the_same_bytes() {
    for rate in ["30/1", "30000/1001"] {
        let caps = format!("format=YUY2,width=160,height=120,framerate={rate}");
        let source = "motion=moderate light=step noise=1";
        let straight = run(&format!("{source} num-buffers=60"), &caps);
        let (pipeline, sink) = pipeline(source, &caps);
        pipeline.set_state(gst::State::Paused).unwrap();
        pipeline.state(gst::ClockTime::NONE).0.unwrap();
        let target = buffer(&straight[31]).pts().unwrap();
        pipeline.seek_simple(gst::SeekFlags::FLUSH | gst::SeekFlags::ACCURATE, target).unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        for expected in &straight[31..] {
            let sample = sink.pull_sample().unwrap();
            assert_eq!(buffer(&sample).pts(), buffer(expected).pts());
            assert!(bytes(&sample) == bytes(expected));
            assert_eq!(truth(&sample), truth(expected));
        }
        pipeline.set_state(gst::State::Null).unwrap();
    }
}

#[test]
fn a_segment_ends_where_it_ends() {
    let (pipeline, sink) = pipeline("noise=0", "width=32,height=24,framerate=10/1");
    pipeline.set_state(gst::State::Paused).unwrap();
    pipeline.state(gst::ClockTime::NONE).0.unwrap();
    let (start, stop) = (gst::ClockTime::from_mseconds(500), gst::ClockTime::from_mseconds(1500));
    let (set, flags) = (gst::SeekType::Set, gst::SeekFlags::FLUSH);
    pipeline.seek(1.0, flags, set, start, set, stop).unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let first = sink.pull_sample().unwrap();
    assert_eq!(ns(buffer(&first).pts()), 500_000_000);
    // Backwards is refused, and disturbs nothing.
    assert!(pipeline.seek(-1.0, flags, set, start, set, stop).is_err());
    let times: Vec<u64> = std::iter::from_fn(|| sink.pull_sample().ok())
        .map(|s| ns(buffer(&s).pts()) / 1_000_000)
        .collect();
    assert_eq!(times, (6..15).map(|n| 100 * n).collect::<Vec<_>>());
    pipeline.set_state(gst::State::Null).unwrap();
}

#[test]
fn bad_rates_fail_at_start_and_are_named() {
    for (bpm, item) in
        [("60,abc", "\"abc\""), ("60>90", "\"60>90\""), ("500", "\"500\""), ("1,2", "\"1\"")]
    {
        init();
        let source =
            gst::ElementFactory::make("pulsetestsrc").property("bpm", bpm).build().unwrap();
        let pipeline = gst::Pipeline::new();
        pipeline.add(&source).unwrap();
        assert!(pipeline.set_state(gst::State::Paused).is_err());
        let message = pipeline.bus().unwrap().pop_filtered(&[gst::MessageType::Error]).unwrap();
        let gst::MessageView::Error(error) = message.view() else { unreachable!() };
        let text = error.error().to_string();
        assert!(text.contains("bpm") && text.contains(item), "{text}");
        assert!(error.error().matches(gst::ResourceError::Settings));
        pipeline.set_state(gst::State::Null).unwrap();
    }
}

#[test]
fn one_to_four_faces_stand_side_by_side() {
    for n in 1..=4 {
        let bpm = ["60", "70", "80", "90"][..n].join(",");
        let samples = run(&format!("num-buffers=1 bpm={bpm}"), "width=640,height=480");
        let faces = truth(&samples[0]);
        assert_eq!(faces.len(), n);
        for (i, face) in faces.iter().enumerate() {
            assert_eq!((face.index, face.bpm), (i as u32, 60.0 + 10.0 * i as f64));
            assert!(face.x > 0.0 && face.x + face.w < 1.0 && face.y > 0.0 && face.y + face.h < 1.0);
            let middle = face.x + face.w / 2.0;
            assert!((middle - (i as f64 + 0.5) / n as f64).abs() < 1e-9);
            assert!(face.h > 0.2 && face.w < 1.0 / n as f64);
        }
    }
    for picture in ["wall", "noise"] {
        let samples = run(&format!("num-buffers=1 picture={picture} bpm=60,70"), "width=64");
        assert_eq!(truth(&samples[0]), []);
    }
}

#[test]
fn scripted_motion_goes_where_it_should() {
    let caps = "width=64,height=48,framerate=1/1";
    let leave = run("num-buffers=30 motion=leave bpm=60,95", caps);
    for (t, sample) in leave.iter().enumerate() {
        let [stays, leaves] = truth(sample)[..] else { panic!("two faces") };
        assert!(stays.x > 0.0 && stays.x + stays.w < 0.5);
        assert_eq!(leaves.x > 1.0, (20..=24).contains(&t), "{t}: {}", leaves.x);
        assert_eq!(leaves.x + leaves.w < 1.0, !(20..=24).contains(&t), "{t}");
    }
    let carry = run("num-buffers=9 motion=carry", caps);
    let x: Vec<f64> = carry.iter().map(|s| truth(s)[0].x).collect();
    assert!(x[0] < 0.1 && x[4] + truth(&carry[4])[0].w > 0.9);
    assert!((x[0] - x[8]).abs() < 1e-9 && (x[2] - x[6]).abs() < 1e-9);
}

#[test]
fn a_new_frame_rate_counts_on() {
    let (pipeline, sink) = pipeline("noise=0", "width=32,height=24,framerate=30/1");
    pipeline.set_state(gst::State::Playing).unwrap();
    let filter = pipeline.by_name("caps").unwrap();
    let mut end = 0;
    let mut rates = std::collections::BTreeSet::new();
    for n in 0..60 {
        if n == 10 {
            let caps = "video/x-raw,width=48,height=24,framerate=30000/1001";
            filter.set_property("caps", caps.parse::<gst::Caps>().unwrap());
        }
        let sample = sink.pull_sample().unwrap();
        assert_eq!(ns(buffer(&sample).pts()), end);
        end += ns(buffer(&sample).duration());
        let info = gst_video::VideoInfo::from_caps(sample.caps().unwrap()).unwrap();
        assert_eq!(buffer(&sample).size(), info.size());
        rates.insert((info.width(), info.fps().numer()));
    }
    assert_eq!(rates.len(), 2);
    pipeline.set_state(gst::State::Null).unwrap();
}

#[test]
fn a_live_source_says_so_and_keeps_time() {
    let (pipeline, sink) =
        pipeline("is-live=true num-buffers=5", "width=32,height=24,framerate=50/1");
    assert_eq!(pipeline.set_state(gst::State::Paused), Ok(gst::StateChangeSuccess::NoPreroll));
    pipeline.set_state(gst::State::Playing).unwrap();
    let samples: Vec<gst::Sample> = std::iter::from_fn(|| sink.pull_sample().ok()).collect();
    assert_eq!(samples.len(), 5);
    let mut query = gst::query::Latency::new();
    assert!(pipeline.by_name("src").unwrap().query(&mut query));
    let (live, min, _) = query.result();
    assert!(live);
    assert_eq!(min, gst::ClockTime::from_mseconds(20));
    pipeline.set_state(gst::State::Null).unwrap();
}

#[test]
fn an_8k_frame_is_made() {
    let samples = run("num-buffers=1", "format=NV12,width=7680,height=4320");
    assert_eq!(buffer(&samples[0]).size(), 7680 * 4320 * 3 / 2);
}

/// Faces that the built-in detector finds in an RGB sample.
fn detect(detector: &Detector, sample: &gst::Sample) -> Vec<[f64; 4]> {
    let info = gst_video::VideoInfo::from_caps(sample.caps().unwrap()).unwrap();
    let data = bytes(sample);
    let (width, height) = (info.width() as usize, info.height() as usize);
    let rgb = PackedRgb { data: &data, width, height, stride: info.stride()[0] as usize };
    detector.detect(&rgb).unwrap().iter().map(|d| d.rect).collect()
}

#[test]
fn the_detector_finds_the_faces_where_the_truth_has_them() {
    let detector = Detector::new().unwrap();
    let settings = ["", "light=flicker", "motion=strong noise=3", "motion=carry", "light=dim"];
    for n in 1..=4 {
        // The darker skins are too dark to be found in dim light.
        let settings = if n == 1 { &settings[..] } else { &settings[..4] };
        let bpm = ["60", "70", "80", "90"][..n].join(",");
        for &setting in settings {
            let source = format!("num-buffers=4 bpm={bpm} {setting}");
            let caps = "format=RGB,width=640,height=480,framerate=1/1";
            for sample in run(&source, caps) {
                let found = detect(&detector, &sample);
                assert_eq!(found.len(), n, "{n} {setting}");
                for face in truth(&sample) {
                    let area = [640.0 * face.x, 480.0 * face.y, 640.0 * face.w, 480.0 * face.h];
                    let best = found.iter().map(|f| iou(*f, area)).fold(0.0, f64::max);
                    assert!(best > 0.7, "{n} {setting}: {best}");
                }
            }
        }
    }
    for picture in ["wall", "noise"] {
        let source = format!("num-buffers=2 picture={picture}");
        for sample in run(&source, "format=RGB,width=640,height=480") {
            assert_eq!(detect(&detector, &sample), [[0.0; 4]; 0], "{picture}");
        }
    }
}
