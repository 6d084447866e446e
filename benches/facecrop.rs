//! What facecrop costs: `cargo bench --bench facecrop`. 640 × 480 I420, one face of 130 pixels.

use std::convert::Infallible;
use std::time::Instant;

use gst::prelude::*;
use gstheartrate::facecrop::area::{PixelRect, area_average};
use gstheartrate::facecrop::detector::Detector;
use gstheartrate::facecrop::pixels::{Colour, Picture, Plane, Samples};
use gstheartrate::facecrop::timeline::Timeline;
use gstheartrate::facecrop::tracker::{Limits, Mode, Tracker};

const WIDTH: usize = 640;
const HEIGHT: usize = 480;

/// Frames of the test source, a face that moves like somebody who talks.
fn frames(count: usize) -> Vec<gst::Buffer> {
    gst::init().unwrap();
    gstheartrate::plugin_register_static().unwrap();
    let launch = format!(
        "pulsetestsrc motion=moderate num-buffers={count} \
         ! video/x-raw,format=I420,width={WIDTH},height={HEIGHT} ! appsink name=sink sync=false"
    );
    let pipeline = gst::parse::launch(&launch).unwrap().downcast::<gst::Pipeline>().unwrap();
    let sink = pipeline.by_name("sink").unwrap().downcast::<gst_app::AppSink>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let frames = (0..count).map(|_| sink.pull_sample().unwrap().buffer_owned().unwrap()).collect();
    pipeline.set_state(gst::State::Null).unwrap();
    frames
}

fn picture(data: &[u8]) -> Picture<'_> {
    let (luma, chroma) = data.split_at(WIDTH * HEIGHT);
    let (u, v) = chroma.split_at(WIDTH * HEIGHT / 4);
    let plane = |component, data, span| Plane {
        data,
        stride: WIDTH / span,
        span,
        samples: vec![Samples { component, offset: 0, step: 1, span }],
    };
    let planes = vec![plane(0, luma, 1), plane(1, u, 2), plane(2, v, 2)];
    let colour = Colour::ycbcr(0.299, 0.114, false);
    Picture::new(planes, (0, 0), (WIDTH, HEIGHT), colour).unwrap()
}

/// The least of ten times, each the mean of `rounds`: what others on the machine leave out of it.
fn time(what: &str, rounds: usize, mut work: impl FnMut()) {
    let mut round = || {
        let start = Instant::now();
        (0..rounds).for_each(|_| work());
        start.elapsed().as_secs_f64() * 1e6 / rounds as f64
    };
    let best = (0..10).map(|_| round()).fold(f64::INFINITY, f64::min);
    println!("{what:<40} {best:>10.1} µs");
}

fn main() {
    let buffers = frames(300);
    let maps: Vec<_> = buffers.iter().map(|b| b.map_readable().unwrap()).collect();
    let mut out = Vec::new();
    for (side, size) in [(200, 36), (144, 36), (200, 72)] {
        let rect = PixelRect { x: 101, y: 51, w: side, h: side };
        time(&format!("crop of {side} pixels to {size}"), 300, || {
            area_average(&picture(&maps[0]), rect, size, &mut out)
        });
    }
    let detector = Detector::new().unwrap();
    time("detection", 10, || assert_eq!(detector.detect(&picture(&maps[0])).unwrap().len(), 1));
    for size in [36, 72] {
        let limits = Limits { max_faces: 4, min_face_size: 0.08, margin: 0.3 };
        let mut tracker = Tracker::new(Mode::Detections, limits, size);
        let (mut timeline, mut first) = (Timeline::default(), true);
        let mut next = 0u64;
        time(&format!("frame without detection, crop of {size}"), 300, || {
            let step = timeline.advance(Some(next * 33_333_333), None, false, 0.5);
            let picture = picture(&maps[next as usize % maps.len()]);
            next += 1;
            let look = |_| Ok::<_, Infallible>(first.then(|| detector.detect(&picture).unwrap()));
            let Ok(faces) = tracker.frame(&step, &picture, look);
            first = false;
            assert_eq!(faces.len(), 1);
        });
    }
}
