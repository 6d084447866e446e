//! The command line on data sets: what it reads, and what it says of bad ones.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn hrnet(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hrnet")).args(args).output().unwrap()
}

/// An empty folder of this test's own.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hrnet").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Writes files, by their paths in `folder`.
fn write(folder: &Path, files: &[(&str, &[u8])]) {
    for (name, data) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, data).unwrap();
    }
}

/// A 24-bit BMP of one colour.
fn bmp(width: u32, height: u32, level: u8) -> Vec<u8> {
    let size = 3 * width * height; // rows of a multiple of four bytes, as the tests' widths are
    let mut file = b"BM".to_vec();
    for value in [54 + size, 0, 54, 40, width, height, 1 | 24 << 16, 0, size, 0, 0, 0, 0] {
        file.extend(value.to_le_bytes());
    }
    file.extend(vec![level; size as usize]);
    file
}

fn png(width: u32, height: u32, level: u8) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&vec![level; (3 * width * height) as usize]).unwrap();
    writer.finish().unwrap();
    file
}

/// Runs `command` on `folder`; asserts exit code 2 and one line that is `expected`, in which `@`
/// stands for the folder.
fn assert_refused(command: &[&str], folder: &Path, expected: &str) {
    let path = folder.to_str().unwrap();
    let args: Vec<_> = command.iter().map(|a| a.replace('@', path)).collect();
    let output = hrnet(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(message, format!("hrnet: {}\n", expected.replace('@', path)), "{expected}");
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(output.stdout.is_empty(), "{message}");
}

const STAMPS: &[u8] = b"ID,Time\n0,0.0\n1,0.1\n2,0.2\n";
const TRUTH: &[u8] = b"Time,PulseWaveform\n0,1\n0.1,2\n0.3,1\n";

/// A subject of three pictures with one file in place of the good one of that name.
fn subject(name: &str, bad: (&str, &[u8])) -> PathBuf {
    let folder = folder(name);
    let picture = bmp(8, 8, 90);
    let names = ["s/images/0000.bmp", "s/images/0001.bmp", "s/images/0002.bmp"];
    names.iter().for_each(|n| write(&folder, &[(n, &picture)]));
    write(&folder, &[("s/image_timestamps.csv", STAMPS), ("s/ground_truth.csv", TRUTH), bad]);
    folder
}

#[test]
fn bad_subjects_are_named_with_file_and_row() {
    let (stamps, truth) = ("s/image_timestamps.csv", "s/ground_truth.csv");
    let late = "Time is not later than in the row before";
    let cases: [(&str, &[u8], &str); 14] = [
        (stamps, b"ID,Seconds\n0,0\n", "@/s/image_timestamps.csv: row 1: no column 'Time'"),
        (
            stamps,
            b"ID,Time\n0,0\n1,x\n2,1\n",
            "@/s/image_timestamps.csv: row 3: Time 'x' is not a number",
        ),
        (
            stamps,
            b"ID,Time\n0,0\n1,0.1\n2,0.1\n",
            &format!("@/s/image_timestamps.csv: row 4: {late}"),
        ),
        (
            stamps,
            b"ID,Time\n0,0\n2,0.1\n",
            "@/s/image_timestamps.csv: row 3: ID '2' is not 0001.bmp",
        ),
        (stamps, b"ID,Time\n0,0\n1,0.1\n", "@/s/image_timestamps.csv: no row for 0002.bmp"),
        (
            stamps,
            b"ID,Time\n0,0\n1,0.1\n2,0.2\n3,0.3\n",
            "@/s/image_timestamps.csv: row 5: there is no such image",
        ),
        (stamps, b"", "@/s/image_timestamps.csv: row 1: no column 'ID'"),
        (truth, b"Time\n0\n", "@/s/ground_truth.csv: row 1: no column 'PulseWaveform'"),
        (
            truth,
            b"Time,PulseWaveform\n0,1\n1,nan\n",
            "@/s/ground_truth.csv: row 3: PulseWaveform 'nan' is not a number",
        ),
        (
            truth,
            b"Time,PulseWaveform\n0,1\n1\n",
            "@/s/ground_truth.csv: row 3: 1 columns instead of 2",
        ),
        (truth, b"Time,PulseWaveform\n0,1\n0,1\n", &format!("@/s/ground_truth.csv: row 3: {late}")),
        (
            truth,
            b"Time,PulseWaveform\n0,1\n",
            "@/s/ground_truth.csv: a pulse wave has at least two samples",
        ),
        (
            truth,
            b"Time,PulseWaveform\n5,1\n6,1\n",
            "@/s: ground truth from 5.000 to 6.000 s does not cover the frames, 0 to 0.200 s",
        ),
        ("s/attributes.json", b"[1]", "@/s/attributes.json: not a JSON object"),
    ];
    for (i, (file, data, expected)) in cases.into_iter().enumerate() {
        let folder = subject(&format!("subject{i}"), (file, data));
        assert_refused(&["infer", "@"], &folder, expected);
        assert_refused(&["prepare", "@", "--out", "@/out"], &folder, expected);
        let left = fs::read_dir(folder.join("out")).unwrap().count();
        assert_eq!(left, 0, "{expected}");
    }
}

#[test]
fn bad_pictures_are_named() {
    let none = ["infer", "@", "--detector", "none"];
    let other = subject("mixed", ("s/images/0002.bmp", &bmp(16, 8, 90)));
    let expected = "@/s/images/0002.bmp: 16 x 8 pixels, those before have 8 x 8";
    assert_refused(&none, &other, expected);
    let gap = subject("gap", ("s/images/0004.bmp", &bmp(8, 8, 90)));
    let expected = "@/s/images/0004.bmp: does not follow on 0002.bmp";
    assert_refused(&none, &gap, expected);
    let twice = subject("twice", ("s/images/02.bmp", &bmp(8, 8, 90)));
    assert_refused(&none, &twice, "@/s/images/02.bmp: has the number of 0002.bmp");
    let nameless = subject("nameless", ("s/images/face.bmp", &bmp(8, 8, 90)));
    assert_refused(&none, &nameless, "@/s/images/face.bmp: no number in its name");
    let empty = folder("empty");
    assert_refused(&none, &empty, "@: no video, no frames and no data set in it");
    fs::create_dir_all(empty.join("s/images")).unwrap();
    assert_refused(&none, &empty, "@/s/images: no bmp, png or jpg image in it");
    let missing = empty.join("missing");
    let message = "@: can't be read: No such file or directory (os error 2)";
    assert_refused(&none, &missing, message);
}

#[test]
fn unreadable_pictures_and_videos_are_named() {
    for (name, data) in
        [("0001.png", &png(16, 16, 90)[..50]), ("0001.png", b"text"), ("0001.jpg", b"text")]
    {
        let folder = folder("unreadable");
        let first = name.replace('1', "0");
        let good = if name.ends_with("png") { png(16, 16, 90) } else { b"text".to_vec() };
        write(&folder, &[(&first, &good), (name, data)]);
        let output = hrnet(&["infer", folder.to_str().unwrap(), "--detector", "none"]);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        let bad = if name.ends_with("png") { name } else { &first };
        assert!(message.contains(&format!("/{bad}: ")), "{message}");
    }
    let folder = folder("videos");
    write(&folder, &[("text.mp4", b"just a text\n"), ("empty.mkv", b"")]);
    for name in ["text.mp4", "empty.mkv"] {
        let path = folder.join(name);
        let output = hrnet(&["infer", path.to_str().unwrap()]);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(message.starts_with(&format!("hrnet: {}: ", path.display())), "{message}");
    }
}

/// A second of silence.
fn wav() -> Vec<u8> {
    let (rate, bytes) = (8000u32, 16000u32);
    let mut file = b"RIFF".to_vec();
    file.extend((36 + bytes).to_le_bytes());
    file.extend(b"WAVEfmt ");
    for value in [16, 1 | 1 << 16, rate, 2 * rate, 2 | 16 << 16] {
        file.extend(value.to_le_bytes());
    }
    file.extend(b"data");
    file.extend(bytes.to_le_bytes());
    file.resize(44 + bytes as usize, 0);
    file
}

#[test]
fn sound_alone_and_cut_off_videos_are_refused() {
    let folder = folder("cut");
    write(&folder, &[("sound.wav", &wav())]);
    assert_refused(&["infer", "@/sound.wav"], &folder, "@/sound.wav: no video in it");
    let out = folder.to_str().unwrap();
    let made = hrnet(&["prepare", "--synthetic", "1", "--videos", "--seconds", "6", "--out", out]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let video = folder.join("train-000000/video.mkv");
    let whole = hrnet(&["infer", video.to_str().unwrap()]);
    assert!(whole.status.success(), "{}", String::from_utf8_lossy(&whole.stderr));
    let data = fs::read(&video).unwrap();
    write(&folder, &[("cut.mkv", &data[..data.len() / 3])]);
    let readings = folder.join("readings");
    let cut = folder.join("cut.mkv");
    let args = ["infer", cut.to_str().unwrap(), "--out", readings.to_str().unwrap()];
    let output = hrnet(&args);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), message.lines().count()), (Some(2), 1), "{message}");
    let expected = format!("hrnet: {}: cut off: its pictures end at ", cut.display());
    assert!(message.starts_with(&expected), "{message}");
    assert_eq!(fs::read_dir(readings).unwrap().count(), 0);
}

/// The shell's limit on a file's size stands for a full disk.
#[test]
fn a_disk_that_fills_leaves_nothing() {
    let folder = folder("full");
    (0..60).for_each(|i| write(&folder, &[(&format!("s/{i:02}.bmp"), &bmp(8, 8, 90))]));
    let line = "trap '' XFSZ; ulimit -f 1; exec \"$0\" infer \"$1\" --detector none --out \"$2\"";
    let (subject, out) = (folder.join("s"), folder.join("out"));
    let mut shell = Command::new("sh");
    shell.args(["-c", line, env!("CARGO_BIN_EXE_hrnet")]).args([&subject, &out]);
    let output = shell.output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    let file = out.join("s-pulse.csv");
    let reason = "can't be written: File too large (os error 27)";
    assert_eq!(message, format!("hrnet: {}: {reason}\n", file.display()));
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(fs::read_dir(out).unwrap().count(), 0);
}

#[test]
fn bad_ground_truth_of_the_other_layouts_is_named() {
    let cases: [(&str, &[u8], &str); 6] = [
        ("ground_truth.txt", b"1 2 3\n60 60 60\n", "@/s/ground_truth.txt: 2 lines instead of 3"),
        (
            "ground_truth.txt",
            b"1 2 3\n60 x 60\n0 1 2\n",
            "@/s/ground_truth.txt: row 2: 'x' is not a number",
        ),
        (
            "ground_truth.txt",
            b"1 2 3\n60 60 60\n0 1\n",
            "@/s/ground_truth.txt: row 3: 2 times for 3 samples",
        ),
        (
            "ground_truth.txt",
            b"1 2 3\n60 60 60\n0 2 1\n",
            "@/s/ground_truth.txt: sample 3 is not later than the one before",
        ),
        ("gtdump.xmp", b"0,60,98,1\n20,60,98\n", "@/s/gtdump.xmp: row 2: 3 columns instead of 4"),
        ("gtdump.xmp", b"0,60,98,?\n", "@/s/gtdump.xmp: row 1: '?' is not a number"),
    ];
    for (file, data, expected) in cases {
        let folder = folder("ubfc");
        write(&folder, &[("s/vid.avi", b""), (&format!("s/{file}"), data)]);
        assert_refused(&["infer", "@"], &folder, expected);
    }
    let sample = br#"{"/FullPackage":[{"Timestamp":5,"Value":{}}]}"#;
    for (data, expected) in [
        (&b"{}"[..], "@/01-01/01-01.json: no /FullPackage"),
        (sample, "@/01-01/01-01.json: sample 1: no Timestamp or waveform"),
    ] {
        let folder = folder("pure");
        let picture = png(8, 8, 90);
        write(&folder, &[("01-01/01-01/Image5.png", &picture), ("01-01/01-01.json", data)]);
        assert_refused(&["infer", "@"], &folder, expected);
    }
}

#[test]
fn a_bad_model_and_a_missing_folder_are_named() {
    let folder = folder("model");
    let model = format!("{}/tests/models/green-nchw-36.onnx", env!("CARGO_MANIFEST_DIR"));
    let half = fs::read(&model).unwrap();
    write(&folder, &[("half.onnx", &half[..half.len() / 2]), ("file", b"")]);
    let path = folder.join("half.onnx");
    let cut = format!("{}: is not a usable ONNX model: it is damaged or cut off", path.display());
    assert_refused(&["model", "@/half.onnx"], &folder, &cut);
    let missing = "@/no.onnx: can't be read: No such file or directory (os error 2)";
    assert_refused(&["model", "@/no.onnx"], &folder, missing);

    let subject = subject("out", ("s/attributes.json", b"{}"));
    let file = folder.join("file");
    let (file, out) = (file.to_str().unwrap(), folder.join("file/out"));
    let expected = format!("{}: can't be written: Not a directory (os error 20)", out.display());
    for command in ["infer", "prepare"] {
        assert_refused(&[command, "@", "--out", &format!("{file}/out")], &subject, &expected);
    }
}

#[test]
fn the_model_is_described() {
    let model = format!("{}/tests/models/green-nchw-36.onnx", env!("CARGO_MANIFEST_DIR"));
    let output = hrnet(&["model", "--json", &model]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["bytes"], fs::metadata(&model).unwrap().len());
    assert_eq!(report["inputs"][1]["name"], "motion_input");
    assert_eq!(report["inputs"][1]["shape"], serde_json::json!(["batch", "3", "36", "36"]));
    assert_eq!(report["outputs"][0]["name"], "ppg");
    assert_eq!((report["weights"].as_u64(), report["multiply_adds"].as_u64()), (Some(3), Some(3)));
}

/// The same frames in every layout and format give the same pulse.
#[test]
fn every_layout_and_picture_format_is_read() {
    let folder = folder("layouts");
    let picture = |i: u32, make: fn(u32, u32, u8) -> Vec<u8>| make(16, 16, 100 + (i % 3) as u8);
    for i in 0..30u32 {
        let time = 1_392_643_993_642_815_000u64 + u64::from(i) * 100_000_000;
        write(
            &folder,
            &[
                (&format!("tao/s/images/{i:04}.bmp"), &picture(i, bmp)),
                (&format!("plain/{i}.png"), &picture(i, png)),
                (&format!("pure/01-01/01-01/Image{time}.png"), &picture(i, png)),
            ],
        );
    }
    let package = |i: u64| {
        let time = 1_392_643_993_642_815_000u64 + i * 16_666_667;
        format!(r#"{{"Timestamp":{time},"Value":{{"waveform":{}}}}}"#, i % 50)
    };
    let packages: Vec<_> = (0..200).map(package).collect();
    let json = format!(r#"{{"/FullPackage":[{}],"/Image":[]}}"#, packages.join(","));
    let stamps: Vec<_> = (0..30).map(|i| format!("{i},{}\n", 40.0 + f64::from(i) / 10.0)).collect();
    write(
        &folder,
        &[
            ("pure/01-01/01-01.json", json.as_bytes()),
            ("tao/s/image_timestamps.csv", format!("ID,Time\n{}", stamps.concat()).as_bytes()),
        ],
    );
    let out = folder.join("out");
    let out = out.to_str().unwrap();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_string();
    let (tao, plain, pure) = (path("tao"), path("plain"), path("pure"));
    let args =
        ["infer", &tao, &plain, &pure, "--detector", "none", "--fps", "10", "--out", out, "--json"];
    let output = hrnet(&args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let recordings = report["recordings"].as_array().unwrap();
    for (recording, name) in recordings.iter().zip(["s", "plain", "01-01"]) {
        assert_eq!(recording["name"], name);
        assert_eq!((&recording["frames"], &recording["seconds"]), (&30.into(), &2.9.into()));
        assert_eq!(recording["faces"][0]["bpm"], serde_json::Value::Null);
    }
    assert_eq!(report["speed"]["frames"], 90);
    let pulse = |name: &str| fs::read_to_string(format!("{out}/{name}-pulse.csv")).unwrap();
    let lines: Vec<_> = pulse("s").lines().map(str::to_string).collect();
    assert_eq!((lines.len(), &*lines[0]), (31, "time,face,ppg,interval,x,y,w,h"));
    assert!(lines[1].starts_with("0.000000,1,,,"), "{}", lines[1]);
    assert!(lines[2].starts_with("0.100000,1,") && lines[2].contains(",0.100000,"), "{}", lines[2]);
    assert_eq!(pulse("s"), pulse("plain"));
    assert_eq!(pulse("s"), pulse("01-01"));
    let rate = fs::read_to_string(format!("{out}/s-rate.csv")).unwrap();
    assert_eq!(rate.lines().count(), 3, "{rate}");
    assert_eq!(fs::read_dir(out).unwrap().count(), 6);
}
