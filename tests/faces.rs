//! Several faces, lifeless ones, and real pictures.

mod common;

use common::{ELEMENTS, Run, play};
use gstheartrate::meta::{Face, Reason, Status};

#[test]
fn two_faces_keep_their_rates_while_one_leaves_and_comes_back() {
    let source = "pulsetestsrc bpm=60,95 motion=leave num-buffers=1200";
    let run = play(&format!("{source} ! {ELEMENTS}"));
    let stays = run.frames[60].faces.iter().find(|f| truth(&run, 60, f) == 60.0).unwrap().id;
    let left = run.frames.iter().find(|f| f.visible() < 2).expect("a face leaves").time;
    let away = run.frames.iter().filter(|f| f.visible() < 2);
    let back = away.max_by(|a, b| a.time.total_cmp(&b.time)).expect("and comes back").time;
    assert!((3.0..8.0).contains(&(back - left)), "away from {left} to {back}");
    for (index, frame) in run.frames.iter().enumerate().filter(|(_, f)| f.time >= 10.0) {
        for (face, bpm, truth) in frame.readings() {
            assert!((bpm - truth).abs() <= 1.5, "{bpm} not {truth} at {} s", frame.time);
            assert_eq!(face.id == stays, truth == 60.0, "ids swapped in frame {index}");
        }
        let rates = frame.readings().count();
        if frame.time < left || frame.time > back + 12.0 {
            assert_eq!(rates, 2, "both are read at {} s", frame.time);
        }
        assert!(rates >= 1, "the one that stays is read at {} s", frame.time);
    }
    let lost = run.messages.iter().flat_map(|m| &m.faces).filter(|f| f.status == Status::Lost);
    assert!(lost.clone().count() >= 1 && lost.clone().all(|f| f.id != stays && f.bpm.is_none()));
}

fn truth(run: &Run, frame: usize, face: &Face) -> f64 {
    run.frames[frame].truth_of(face).bpm
}

#[test]
fn a_lifeless_face_gives_no_reading() {
    for motion in ["still", "slight", "moderate", "carry"] {
        let source = format!("pulsetestsrc pulse-amplitude=0 motion={motion} num-buffers=1800");
        let run = play(&format!("{source} ! {ELEMENTS}"));
        assert!(run.frames.iter().filter(|f| !f.faces.is_empty()).count() > 1200, "{motion}");
        run.assert_silent(&format!("lifeless, {motion}"));
    }
}

#[test]
fn a_lifeless_face_in_changing_light_gives_no_reading() {
    for light in ["drift", "flicker", "step", "dim"] {
        let source = format!("pulsetestsrc pulse-amplitude=0 light={light} num-buffers=1800");
        play(&format!("{source} ! {ELEMENTS}")).assert_silent(&format!("lifeless, {light}"));
    }
}

/// These nod at 204 and at 174 a minute.
#[test]
fn a_lifeless_face_that_nods_gives_no_reading() {
    for (seed, light) in [(23, "drift"), (25, "step")] {
        let motion = format!("motion=moderate seed={seed} light={light}");
        let run =
            play(&format!("pulsetestsrc pulse-amplitude=0 {motion} num-buffers=900 ! {ELEMENTS}"));
        run.assert_silent(&format!("lifeless, {motion}"));
        let moves = |f: &&Face| f.status == Status::Weak && f.reasons.contains(Reason::Motion);
        let faces = run.frames.iter().filter(|f| f.time >= 10.0).flat_map(|f| &f.faces);
        let told = faces.filter(moves).count();
        assert!(told > 400, "{motion}: blamed on motion in {told} of 600 frames");
    }
}

/// Frames whose face is weak for the light's sake, from 10 s on.
fn blamed_on_light(run: &Run) -> usize {
    let faces = run.frames.iter().filter(|f| f.time >= 10.0).flat_map(|f| &f.faces);
    faces.filter(|f| f.status == Status::Weak && f.reasons.contains(Reason::Light)).count()
}

#[test]
fn a_lamp_that_pulses_is_no_pulse() {
    let source = "pulsetestsrc pulse-amplitude=0 light=beat num-buffers=900";
    let run = play(&format!("{source} ! {ELEMENTS}"));
    run.assert_silent("lifeless, beat");
    assert!(blamed_on_light(&run) > 550, "{} of 600", blamed_on_light(&run));
    let crop = "facecrop output=crop crop-size=120 ! facecrop detector=none ! hrnetinfer ! ppg2bpm";
    let run = play(&format!("{source} ! {crop}"));
    run.assert_silent("lifeless, beat, only the crop to be seen");
    assert!(blamed_on_light(&run) > 550, "{} of 600", blamed_on_light(&run));
}

/// A wall of which no block is near a step of the codec stands still while the face pulses; the rest of
/// the picture doesn't.
#[test]
fn a_lamp_whose_light_a_codec_hides_around_the_face_is_no_pulse() {
    let source = "pulsetestsrc pulse-amplitude=0 light=beat seed=2 num-buffers=900 \
                  ! video/x-raw,width=640,height=480 ! jpegenc quality=30 ! jpegdec ! videoconvert";
    let run = play(&format!("{source} ! {ELEMENTS}"));
    run.assert_silent("lifeless, beat, motion JPEG");
    assert!(blamed_on_light(&run) > 550, "{} of 600", blamed_on_light(&run));
}

#[test]
fn a_pulse_is_read_beside_a_lamp_that_is_stronger() {
    let run = play(&format!("pulsetestsrc bpm=130 light=beat num-buffers=900 ! {ELEMENTS}"));
    let late: Vec<_> =
        run.frames.iter().filter(|f| f.time >= 15.0).flat_map(|f| &f.faces).collect();
    let read: Vec<f64> = late.iter().filter_map(|f| f.bpm).collect();
    assert!(late.len() == 450 && read.len() > 400, "{} of {}", read.len(), late.len());
    assert!(read.iter().all(|bpm| (bpm - 130.0).abs() < 2.0), "{read:?}");
}

#[test]
fn what_is_no_face_gives_no_reading() {
    for picture in ["wall", "noise"] {
        let source = format!("pulsetestsrc picture={picture} num-buffers=1800");
        for detector in ["ultraface", "none"] {
            let run =
                play(&format!("{source} ! facecrop detector={detector} ! hrnetinfer ! ppg2bpm"));
            run.assert_silent(&format!("{picture}, {detector}"));
        }
    }
}

#[test]
fn a_photograph_gives_no_reading_and_says_so() {
    let Some(file) = shared("astronaut.png") else { return };
    let source =
        format!("filesrc location={file} ! pngdec ! videoconvert ! imagefreeze num-buffers=1500");
    let run = play(&format!("{source} ! video/x-raw,format=I420,framerate=25/1 ! {ELEMENTS}"));
    run.assert_silent("photograph");
    let face = &run.frames.last().unwrap().faces[0];
    assert_eq!(face.status, Status::Weak);
    assert!(face.reasons.contains(Reason::NoPulse), "{face:?}");
}

/// Path of a file of the shared test data, which does not ship with the project.
fn shared(name: &str) -> Option<String> {
    let path = format!("{}/../shared/data/faces/{name}", env!("CARGO_MANIFEST_DIR"));
    let there = std::path::Path::new(&path).exists();
    if !there {
        eprintln!("skipped: {path} is not there");
    }
    there.then_some(path)
}

fn play_file(name: &str) -> Option<Run> {
    let file = shared(name)?;
    Some(play(&format!("filesrc location={file} ! decodebin ! videoconvert ! {ELEMENTS}")))
}

/// Share of the frames between `from` and `to` seconds that have a face.
fn share_with_face(run: &Run, from: f64, to: f64) -> f64 {
    let frames: Vec<_> = run.frames.iter().filter(|f| (from..to).contains(&f.time)).collect();
    frames.iter().filter(|f| !f.faces.is_empty()).count() as f64 / frames.len() as f64
}

#[test]
fn a_face_that_leaves_is_lost_and_one_that_comes_is_found() {
    if let Some(run) = play_file("face_noface.mov") {
        assert!(share_with_face(&run, 0.0, 2.3) > 0.95);
        assert_eq!(share_with_face(&run, 4.5, 7.0), 0.0);
        let lost = run.messages.iter().flat_map(|m| &m.faces).any(|f| f.status == Status::Lost);
        assert!(lost, "a message says that the face is lost");
    }
    if let Some(run) = play_file("noface_face.mov") {
        assert_eq!(share_with_face(&run, 0.0, 3.7), 0.0);
        assert!(share_with_face(&run, 4.5, 7.0) > 0.95);
        run.assert_silent("six seconds of which a part shows a face");
    }
}

#[test]
fn a_real_face_at_a_desk_is_read_or_said_to_be_weak() {
    for name in ["desk-webcam-75.mp4", "desk-webcam-25.mp4"] {
        let Some(run) = play_file(name) else { return };
        assert!(share_with_face(&run, 0.5, 100.0) > 0.95, "{name}");
        assert_eq!(run.ids().len(), 1, "{name}: one man, one id");
        for frame in &run.frames {
            for face in frame.faces.iter().filter(|f| f.status == Status::Weak) {
                assert!(
                    !face.reasons.is_empty(),
                    "{name}: weak without a reason at {}",
                    frame.time
                );
            }
        }
    }
}
