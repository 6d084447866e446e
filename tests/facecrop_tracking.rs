//! Faces followed through scenes whose truth is known, without GStreamer.

use gstheartrate::facecrop::area::PackedRgb;
use gstheartrate::facecrop::detector::{Detection, Detector};
use gstheartrate::facecrop::timeline::{Step, Timeline};
use gstheartrate::facecrop::track::Face;
use gstheartrate::facecrop::tracker::{Limits, Mode, Tracker};
use gstheartrate::meta::{Reason, Reasons};

const LIMITS: Limits = Limits { max_faces: 4, min_face_size: 0.08, margin: 0.3 };
const WIDTH: usize = 640;
const HEIGHT: usize = 480;
const FPS: u64 = 30;

struct Portrait {
    width: usize,
    rgb: Vec<u8>,
}

/// The portrait's face box, as the detector sees it.
const FACE: [f64; 4] = [75.8, 64.5, 86.4, 107.6];

impl Portrait {
    fn load() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/scene/collins.png");
        let file = std::fs::File::open(path).expect("the portrait ships with the project");
        let mut reader = png::Decoder::new(std::io::BufReader::new(file)).read_info().unwrap();
        let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut rgb).unwrap();
        assert_eq!(info.color_type, png::ColorType::Rgb);
        Self { width: info.width as usize, rgb }
    }

    fn at(&self, x: f64, y: f64, c: usize) -> f64 {
        let (i, j) = (x.floor(), y.floor());
        let v =
            |i: f64, j: f64| f64::from(self.rgb[3 * (j as usize * self.width + i as usize) + c]);
        let row = |j| v(i, j) + (x - i) * (v(i + 1.0, j) - v(i, j));
        row(j) + (y - j) * (row(j + 1.0) - row(j))
    }
}

/// A packed RGB picture with a soft pattern behind the faces.
#[derive(Clone)]
struct Scene(Vec<u8>);

impl Scene {
    fn empty() -> Self {
        let value = |i: usize| {
            let (x, y) = ((i % WIDTH) as f64, (i / WIDTH) as f64);
            110.0 + 30.0 * (x / 31.0).sin() + 30.0 * (y / 23.0).cos() + 10.0 * (x / 7.0).cos()
        };
        Self((0..WIDTH * HEIGHT).flat_map(|i| [value(i) as u8, value(i) as u8, 90]).collect())
    }

    /// Paints the head so that its face is centred on (cx, cy) and `width` wide.
    fn paint(&mut self, portrait: &Portrait, (cx, cy): (f64, f64), width: f64) {
        let scale = FACE[2] / width;
        let (fx, fy) = (FACE[0] + FACE[2] / 2.0, FACE[1] + FACE[3] / 2.0);
        for y in 0..HEIGHT {
            for x in 0..WIDTH {
                let (dx, dy) = ((x as f64 - cx) * scale, (y as f64 - cy) * scale);
                // An ellipse around the head, hair and chin in it, with a soft edge.
                let d = (dx / 72.0).hypot((dy + 5.0) / 88.0);
                let alpha = ((1.0 - d) * 12.0).clamp(0.0, 1.0);
                if alpha == 0.0 || fy + dy < 0.0 {
                    continue;
                }
                for c in 0..3 {
                    let pixel = &mut self.0[3 * (y * WIDTH + x) + c];
                    let behind = f64::from(*pixel);
                    let head = portrait.at(fx + dx, fy + dy, c);
                    *pixel = (behind + alpha * (head - behind)).round() as u8;
                }
            }
        }
    }

    fn picture(&self) -> PackedRgb<'_> {
        PackedRgb { data: &self.0, width: WIDTH, height: HEIGHT, stride: 3 * WIDTH }
    }
}

/// What the element does, at 30 frames a second.
struct Follower {
    timeline: Timeline,
    tracker: Tracker,
    detector: Option<Detector>,
    frames: u64,
    detections: usize,
}

impl Follower {
    fn new(detector: Option<Detector>) -> Self {
        let tracker = Tracker::new(Mode::Detections, LIMITS, 72);
        Self { timeline: Timeline::default(), tracker, detector, frames: 0, detections: 0 }
    }

    fn step(&mut self) -> Step {
        let pts = self.frames * 1_000_000_000 / FPS;
        self.frames += 1;
        self.timeline.advance(Some(pts), None, false, 0.5)
    }

    /// With the detector's own findings.
    fn see(&mut self, scene: &Scene) -> Vec<Face> {
        let step = self.step();
        let picture = scene.picture();
        let Self { timeline, tracker, detector, detections, .. } = self;
        let look = |urgent| {
            if !timeline.detection_due(0.5, urgent) {
                return Ok::<_, String>(None);
            }
            timeline.detected();
            *detections += 1;
            detector.as_ref().unwrap().detect(&picture).map(Some)
        };
        tracker.frame(&step, &picture, look).unwrap()
    }

    /// With findings that are given.
    fn told(&mut self, scene: &Scene, found: Option<&[[f64; 4]]>) -> Vec<Face> {
        let step = self.step();
        let found = found.map(|rects| {
            rects.iter().map(|rect| Detection { rect: *rect, score: 1.0, id: None }).collect()
        });
        self.tracker.frame(&step, &scene.picture(), |_| Ok::<_, ()>(found)).unwrap()
    }
}

fn centre(face: &Face) -> (f64, f64) {
    let [x, y, w, h] = face.rect;
    (x + w / 2.0, y + h / 2.0)
}

fn setup() -> (Portrait, Follower) {
    (Portrait::load(), Follower::new(Some(Detector::new().unwrap())))
}

#[test]
fn faces_of_all_sizes_are_found_where_they_are() {
    let (portrait, follower) = setup();
    let detector = follower.detector.unwrap();
    for width in [40.0, 50.0, 70.0, 120.0, 200.0] {
        for (x, y) in [(150.0, 180.0), (500.0, 300.0)] {
            let mut scene = Scene::empty();
            scene.paint(&portrait, (x, y), width);
            let found = detector.detect(&scene.picture()).unwrap();
            assert_eq!(found.len(), 1, "{width} at {x}, {y}: {found:?}");
            let [left, top, w, h] = found[0].rect;
            let off = (left + w / 2.0 - x).hypot(top + h / 2.0 - y);
            assert!(off < 0.06 * width, "{width} at {x}, {y}: {found:?}");
            assert!((w / width - 1.0).abs() < 0.12, "{width} at {x}, {y}: {found:?}");
        }
    }
    assert_eq!(detector.detect(&Scene::empty().picture()).unwrap(), []);
}

#[test]
fn a_face_at_rest_has_one_rectangle_and_no_motion() {
    let (portrait, mut follower) = setup();
    let mut scene = Scene::empty();
    scene.paint(&portrait, (300.0, 200.0), 110.0);
    let mut noise = fastrand::Rng::with_seed(7);
    let first = follower.see(&scene);
    assert!(first[0].previous.is_none());
    for _ in 0..90 {
        // A camera's noise: two steps.
        let mut noisy = scene.clone();
        let shake = |v: &mut u8| *v = v.saturating_add(noise.u8(0..5)).saturating_sub(2);
        noisy.0.iter_mut().for_each(shake);
        let faces = follower.see(&noisy);
        assert_eq!(faces.len(), 1);
        assert_eq!((faces[0].id, faces[0].rect), (1, first[0].rect));
        assert_eq!(faces[0].reasons, Reasons::NONE);
        assert!(faces[0].previous.is_some());
    }
    assert_eq!(follower.detections, 7);
}

#[test]
fn a_face_carried_across_the_frame_is_followed() {
    let (portrait, mut follower) = setup();
    for i in 0..120 {
        let x = 60.0 + 520.0 * f64::from(i) / 120.0;
        let y = 240.0 + 60.0 * (f64::from(i) / 20.0).sin();
        let mut scene = Scene::empty();
        scene.paint(&portrait, (x, y), 110.0);
        let faces = follower.see(&scene);
        assert_eq!(faces.len(), 1, "{i}");
        assert_eq!(faces[0].id, 1, "{i}");
        let (cx, cy) = centre(&faces[0]);
        let off = (cx - x).hypot(cy - y);
        assert!(off < 22.0, "{i}: {off} pixels off");
        assert_eq!(faces[0].previous.is_some(), i > 0);
        let moving = faces[0].reasons.contains(Reason::Motion);
        assert!(moving || i < 10, "{i}");
    }
    assert!(follower.detections <= 9, "{}", follower.detections);
}

#[test]
fn a_rectangle_moving_over_a_still_scene_shows_no_motion() {
    let (portrait, mut follower) = setup();
    let mut scene = Scene::empty();
    scene.paint(&portrait, (300.0, 200.0), 110.0);
    let mut rects = Vec::new();
    for i in 0..60 {
        let rect = [200.0 + 3.0 * f64::from(i), 150.0, 100.0 + f64::from(i), 130.0];
        let faces = follower.told(&scene, Some(&[rect]));
        assert_eq!(faces[0].id, 1);
        rects.push(faces[0].rect);
        match &faces[0].previous {
            Some(previous) => assert!(*previous == faces[0].pixels, "{i}"),
            None => assert_eq!(i, 0),
        }
    }
    rects.dedup();
    // The pixels say that nothing moves: only what the detections insist on moves the rectangle.
    assert!(rects.len() > 5, "the rectangle has moved {} times", rects.len());
}

#[test]
fn crossing_faces_keep_their_ids() {
    let (portrait, mut follower) = setup();
    let (mut left, mut right) = (0, 0);
    for i in 0..150 {
        let x = 80.0 + 480.0 * f64::from(i) / 150.0;
        let mut scene = Scene::empty();
        scene.paint(&portrait, (640.0 - x, 230.0), 90.0);
        scene.paint(&portrait, (x, 250.0), 90.0);
        let faces = follower.see(&scene);
        let id_at = |x: f64| {
            let near = faces.iter().filter(|f| (centre(f).0 - x).abs() < 40.0);
            near.map(|f| f.id).collect::<Vec<_>>()
        };
        if i == 20 {
            (left, right) = (id_at(x)[0], id_at(640.0 - x)[0]);
            assert_ne!(left, right);
        }
        if i > 110 {
            assert_eq!(id_at(x), [left], "{i}");
            assert!(id_at(640.0 - x) == [right], "{i}: {:?}", id_at(640.0 - x));
        }
    }
}

#[test]
fn a_face_that_leaves_is_lost_and_returns_as_another() {
    let (portrait, mut follower) = setup();
    let mut with = Scene::empty();
    with.paint(&portrait, (480.0, 240.0), 100.0);
    let stays = |scene: &mut Scene| scene.paint(&portrait, (160.0, 240.0), 100.0);
    let mut without = Scene::empty();
    stays(&mut with);
    stays(&mut without);
    let mut ids = Vec::new();
    // Away for 0.4 s, then for 3 s.
    for (scene, frames) in [(&with, 30), (&without, 12), (&with, 30), (&without, 90), (&with, 30)] {
        let mut faces = Vec::new();
        for _ in 0..frames {
            faces = follower.see(scene);
            assert!(faces.iter().any(|f| f.id == ids.first().copied().unwrap_or(f.id)));
        }
        let find = |x: f64| faces.iter().find(|f| (centre(f).0 - x).abs() < 30.0).map(|f| f.id);
        ids.push(find(160.0).unwrap());
        ids.extend(find(480.0));
    }
    let (a, b) = (ids[0], ids[1]);
    assert_eq!(ids[..6], [a, b, a, a, b, a], "{ids:?}");
    assert_eq!(ids.len(), 8);
    assert_eq!(ids[6], a);
    assert!(ids[7] != a && ids[7] != b, "{ids:?}");
}

#[test]
fn two_hundred_faces_are_four() {
    let mut follower = Follower::new(None);
    let scene = Scene::empty();
    let grid =
        |i: usize| [(i % 20 * 32) as f64, (i / 20 * 48) as f64, 30.0, 45.0 + i as f64 / 100.0];
    let rects: Vec<_> = (0..200).map(grid).collect();
    for _ in 0..30 {
        let faces = follower.told(&scene, Some(&rects));
        assert_eq!(faces.len(), 4);
        assert_eq!(faces.iter().map(|f| f.id).collect::<Vec<_>>(), [1, 2, 3, 4]);
    }
    assert_eq!(follower.told(&scene, Some(&[[f64::NAN; 4], [0.0; 4], [1e300; 4]])).len(), 4);
}
