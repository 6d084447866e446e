//! The scripts of pipelines/ and the example apps: what they print of faces with a known pulse, and
//! what they say when something is missing or wrong.

mod bench;
mod brokers;
mod cameras;

use std::fs;
use std::path::Path;
use std::process::Command;

use bench::*;

const SCRIPTS: [&str; 9] =
    ["file", "webcam", "rtsp", "mosaic", "record-dataset", "json", "mqtt", "kafka", "deepstream"];

/// A video of a test face.
fn video(folder: &Path, bpm: u32) -> String {
    let path = folder.join(format!("face {bpm}.mkv")).display().to_string();
    let encode = "x264enc pass=quant quantizer=12 speed-preset=veryfast ! matroskamux ! filesink";
    let line = format!("{} ! {encode} location=", face(bpm, 12));
    run(command(60, "gst-launch-1.0").arg("-q").args(line.split(' ').map(|word| match word {
        "location=" => format!("location=\"{path}\""),
        word => word.to_owned(),
    })));
    path
}

#[test]
fn every_script_explains_itself() {
    for name in SCRIPTS {
        let help = run(script(name).arg("--help"));
        assert!(help.starts_with(&format!("{name}: ")), "{help}");
        assert!(help.contains("--print") && help.lines().count() > 8, "{help}");
        let said = refused(2, script(name).arg("--nonsense"));
        assert_eq!(said, format!("{name}: unknown option --nonsense (see {name} --help)"));
        let manual = fs::read_to_string(format!("{ROOT}/docs/pipelines.md")).unwrap();
        assert!(manual.contains(&format!("| `{name}` |")), "{name} is not in docs/pipelines.md");
    }
    let all = fs::read_dir(format!("{ROOT}/pipelines")).unwrap();
    assert_eq!(all.count(), SCRIPTS.len() + 1, "the scripts and lib");
}

#[test]
fn json_of_two_streams() {
    let mut json = script("json");
    json.args(["--name", "a \"b\" \\ c", "--name", "désk", &face(72, 12), &face(110, 12)]);
    let output = run(&mut json);
    let lines = json_lines(&output);
    assert_eq!(lines.len(), 2 * 13, "seconds 0 to 11, and the end, of each");
    assert_rate(&lines, "a \"b\" \\ c", 72.0);
    assert_rate(&lines, "désk", 110.0);
    let slow = run(script("json").args(["--every", "5", &face(72, 12)]));
    let times: Vec<_> = json_lines(&slow).iter().map(|l| l["stream-time"].as_u64()).collect();
    assert_eq!(times[..3], [Some(0), Some(5_000_000_000), Some(10_000_000_000)]);
}

#[test]
fn what_is_printed_can_be_pasted() {
    let args = ["--name", "it's \"me\"", &face(72, 12)];
    let line = run(script("json").arg("--print").args(args));
    let pasted = run(command(60, "bash").args(["-c", &line]));
    assert_rate(&json_lines(&pasted), "it's \"me\"", 72.0);
    let line = run(script("rtsp").args(["--print", "rtsp://camera/stream"]));
    assert!(line.contains("reconnect.py rtsp tcp 10 3 no uridecodebin name=camera "), "{line}");
}

#[test]
fn a_file_and_its_copy() {
    let folder = folder("file");
    let video = video(&folder, 72);
    let words = run(script("file").arg(&video));
    assert_words(&words, 72.0);
    assert_eq!(
        words.lines().next().unwrap(),
        "    0.0 s  face 72.mkv  face 1  measuring short-window"
    );
    let copy = folder.join("copy.mp4").display().to_string();
    let lines = json_lines(&run(script("file").args(["--json", &video, &copy])));
    assert_rate(&lines, "face 72.mkv", 72.0);
    // The box is drawn around the face, and the pulse is still in the skin.
    assert_words(&run(script("file").arg(&copy)), 72.0);
    let left: Vec<_> = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn bad_videos_are_told_in_a_line() {
    let folder = folder("bad");
    let (text, copy) = (folder.join("text.mp4"), folder.join("copy.mp4"));
    fs::write(&text, "no video ".repeat(100)).unwrap();
    let text = text.to_str().unwrap();
    let said = refused(1, script("file").args([text, copy.to_str().unwrap()]));
    assert!(said.starts_with("file: This appears to be a text file"), "{said}");
    let cut = folder.join("cut.mkv");
    fs::write(&cut, &fs::read(video(&folder, 60)).unwrap()[..200]).unwrap();
    refused(1, script("file").args([cut.to_str().unwrap(), copy.to_str().unwrap()]));
    assert!(!copy.exists() && !folder.join("copy.mp4.part").exists());
    assert_eq!(refused(1, script("file").arg("nosuch.mp4")), "file: no such file: nosuch.mp4");
    assert!(refused(2, script("file").args([text, "copy.gif"])).contains("does not end in"));
    assert!(refused(2, script("file").args([text, text])).contains("would replace"));
    let said = refused(1, script("json").arg("http://127.0.0.1:1/a.mp4"));
    assert!(said.starts_with("json: "), "{said}");
    let said = refused(1, script("json").arg("pulsetestsrc bpm=999"));
    assert!(said.contains("\"999\" has a rate outside 20 to 300"), "{said}");
}

#[test]
fn a_mosaic_shows_each_stream_where_it_belongs() {
    let folder = folder("mosaic");
    let copy = folder.join("mosaic.mkv").display().to_string();
    let mut mosaic = script("mosaic");
    mosaic.args(["--tile", "320x240", "--no-window", "--json", "--copy", &copy]);
    mosaic.args(["--name", "left", "--name", "right", &face(72, 12), &face(110, 12)]);
    let lines = json_lines(&run(&mut mosaic));
    assert_rate(&lines, "left", 72.0);
    assert_rate(&lines, "right", 110.0);
    let lines = json_lines(&run(script("file").args(["--json", &copy])));
    let last = lines.last().unwrap();
    assert_eq!((last["width"].as_u64(), last["height"].as_u64()), (Some(640), Some(240)));
    let mut faces = last["faces"].as_array().unwrap().clone();
    assert_eq!(faces.len(), 2, "{last}");
    faces.sort_by(|a, b| a["x"].as_f64().unwrap().total_cmp(&b["x"].as_f64().unwrap()));
    for (face, expected) in faces.iter().zip([72.0, 110.0]) {
        assert!((face["bpm"].as_f64().unwrap() - expected).abs() <= 1.0, "{last}");
    }
    assert!(refused(1, script("mosaic").args([&face(72, 1), "nosuch.mp4"])).contains("nosuch.mp4"));
}

/// The median rate that `hrnet infer` reads from a recording, and its frames.
fn infer(args: &[&str]) -> (f64, u64) {
    let output = run(command(60, env!("CARGO_BIN_EXE_hrnet")).args(["infer", "--json"]).args(args));
    let report: serde_json::Value = serde_json::from_str(&output).unwrap();
    let recording = &report["recordings"][0];
    let bpm = recording["faces"][0]["bpm"].as_f64();
    (bpm.unwrap_or_else(|| panic!("no rate: {output}")), recording["frames"].as_u64().unwrap())
}

#[test]
fn data_sets_are_read_by_hrnet() {
    let folder = folder("record");
    let out = folder.to_str().unwrap();
    let record = |subject: &str, more: &[&str]| {
        let mut command = script("record-dataset");
        command.args(["--out", out, "--subject", subject]).args(more);
        command
    };
    run(&mut record("whole", &[&face(72, 12)]));
    run(&mut record("crops", &["--crops", "--png", "--seconds", "11", &face(100, 12)]));
    let subject = |name: &str| folder.join(name).display().to_string();
    let (bpm, frames) = infer(&[&subject("whole")]);
    assert!((bpm - 72.0).abs() <= 1.0 && frames == 180, "{bpm}, {frames} frames");
    let (bpm, frames) = infer(&["--detector", "none", &subject("crops")]);
    assert!((bpm - 100.0).abs() <= 1.0 && (166..=180).contains(&frames), "{bpm}, {frames} frames");
    let stamps = fs::read_to_string(folder.join("whole/image_timestamps.csv")).unwrap();
    assert!(stamps.starts_with("ID,Time\n0000,0.000000\n0001,0.066667\n"), "{stamps}");
    assert!(refused(1, &mut record("whole", &[&face(72, 1)])).contains("is there already"));
    refused(1, &mut record("wall", &["--crops", "pulsetestsrc picture=wall num-buffers=30"]));
    refused(1, &mut record("none", &["nosuch.mp4"]));
    let mut left: Vec<_> = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["crops", "whole"]);
}

#[test]
fn a_recording_that_is_stopped_is_whole() {
    let folder = folder("stopped");
    let live = "pulsetestsrc is-live=true ! video/x-raw,width=320,height=240";
    let mut record = script("record-dataset");
    record.args(["--out", folder.to_str().unwrap(), "--subject", "s", live]);
    let running = Running::start(&mut record);
    let there = folder.join("s.part/images/0030.bmp");
    await_some("a second of pictures", 30, || there.exists().then_some(()));
    running.signal(libc::SIGTERM);
    await_some("the recording", 20, || folder.join("s").exists().then_some(()));
    let rows = fs::read_to_string(folder.join("s/image_timestamps.csv")).unwrap().lines().count();
    let images = fs::read_dir(folder.join("s/images")).unwrap().count();
    assert!(rows == images + 1 && images > 30, "{rows} rows, {images} images");
}

#[test]
fn deepstream_prints_its_line_and_says_what_is_missing() {
    let uri = "rtsp://me:secret@camera/stream";
    let line = run(script("deepstream").args(["--print", uri]));
    assert!(line.starts_with("gst-launch-1.0 -q -e nvurisrcbin "), "{line}");
    assert!(line.contains("! facecrop ! hrnetinfer ! ppg2bpm !"), "{line}");
    assert!(line.contains("stream-name=\"rtsp://camera/stream\""), "{line}");
    if Path::new("/opt/nvidia/deepstream").exists() {
        println!("skipped: this machine has DeepStream");
        return;
    }
    let said = refused(1, script("deepstream").arg(uri));
    assert!(said.contains("nvurisrcbin is missing") && said.contains("DeepStream"), "{said}");
}

/// A folder with all of the system's plugins but one, as links.
fn plugins_without(name: &str) -> std::path::PathBuf {
    let found =
        Command::new("pkg-config").args(["--variable=pluginsdir", "gstreamer-1.0"]).output();
    let system = text(&found.unwrap().stdout);
    let folder = folder(name);
    for entry in fs::read_dir(system.trim()).unwrap().map(Result::unwrap) {
        if entry.file_name() != format!("libgst{name}.so").as_str() && entry.path().is_file() {
            std::os::unix::fs::symlink(entry.path(), folder.join(entry.file_name())).unwrap();
        }
    }
    folder
}

#[test]
fn what_is_missing_is_named_with_its_package() {
    let folder = plugins_without("x264");
    let without = |command: &mut Command| {
        command.env("GST_PLUGIN_SYSTEM_PATH", &folder);
        command.env("GST_REGISTRY", folder.join("registry.bin"));
        refused(1, command)
    };
    let copy = folder.join("copy.mp4");
    let said = without(script("file").args([&face(72, 1), copy.to_str().unwrap()]));
    let expected = "file: element x264enc is missing: apt-get install gstreamer1.0-plugins-ugly";
    assert_eq!(said, expected);
    let mut bare = script("json");
    bare.env("GST_PLUGIN_PATH", folder.join("nothing"))
        .env("GST_REGISTRY", folder.join("bare.bin"));
    let said = refused(1, bare.arg(face(72, 1)));
    assert!(said.contains("pulsetestsrc is missing: cargo build --release"), "{said}");
}

/// What both example apps print of a rate that rises from 80 to 110 within 15 s.
fn assert_alerts(mut app: Command) {
    let source = "pulsetestsrc bpm=80>110@15 num-buffers=450 ! \
                  video/x-raw,width=320,height=240,framerate=15/1";
    let words = run(app.arg(source));
    let lines: Vec<_> = words.lines().collect();
    assert_eq!(lines.last(), Some(&"450 frames, 449 pulse samples"), "{words}");
    let alerts: Vec<_> = lines.iter().enumerate().filter(|(_, l)| l.starts_with("ALERT")).collect();
    let [(at, alert)] = alerts[..] else { panic!("{words}") };
    assert_eq!(*alert, "ALERT: face 1: above the range");
    let seconds: f64 = lines[at - 1].split_whitespace().next().unwrap().parse().unwrap();
    assert!((6.0..=11.0).contains(&seconds), "95 bpm is reached at 7.5 s: {words}");
    assert_words(lines[lines.len() - 2], 110.0);
}

#[test]
fn the_python_example_reads_and_reacts() {
    let mut app = command(60, "/usr/bin/python3");
    let example = format!("{ROOT}/examples/read_heart_rate.py");
    app.arg(&example).args(["--low", "60", "--high", "95"]);
    assert_alerts(app);
    let said = refused(1, command(20, "/usr/bin/python3").args([&example, "nosuchsrc"]));
    assert_eq!(said, "no element \"nosuchsrc\"");
}

#[test]
fn the_rust_example_reads_and_reacts() {
    let path = Path::new(env!("CARGO_BIN_EXE_hrnet")).with_file_name("examples").join("alert");
    if !path.exists() {
        // `cargo test` builds examples; `cargo test --test pipelines` does not.
        run(Command::new(env!("CARGO")).args(["build", "--locked", "--example", "alert"]));
    }
    let mut app = command(60, &path);
    app.args(["60", "95"]);
    assert_alerts(app);
    let said = refused(1, Command::new(&path).args(["60", "95", "nosuchsrc"]));
    assert_eq!(said, "no element \"nosuchsrc\"");
    assert!(refused(1, Command::new(&path).arg("60")).starts_with("usage: "));
}
