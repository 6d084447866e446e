//! The layouts of data sets, one recording's folder each.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::dataset::{Frame, Layout, Media, Subject, Wave, entries, stem};
use crate::table::Table;

const IMAGES: [&str; 4] = ["bmp", "png", "jpg", "jpeg"];
const VIDEOS: [&str; 6] = ["mkv", "mp4", "avi", "mov", "webm", "m4v"];

/// Reads a recording's folder of one layout, with the frame rate of images without timestamps.
type Reader = fn(&Path, f64) -> Result<Option<Subject>, String>;

/// The recording in `folder`; `None` if there is none of this layout.
pub fn read(folder: &Path, layout: Layout, fps: f64) -> Result<Option<Subject>, String> {
    let readers: &[Reader] = match layout {
        Layout::Auto => &[read_ubfc, read_pure, read_heartratenet],
        Layout::Ubfc => &[read_ubfc],
        Layout::Pure => &[read_pure],
        Layout::HeartRateNet => &[read_heartratenet],
    };
    for reader in readers {
        if let Some(mut subject) = reader(folder, fps)? {
            subject.attributes = read_attributes(&folder.join("attributes.json"))?;
            return check_truth(subject, folder).map(Some);
        }
    }
    Ok(None)
}

/// Of frames it is known how long they are; of videos once they have been played.
fn check_truth(subject: Subject, folder: &Path) -> Result<Subject, String> {
    if let (Some(truth), Media::Frames(frames)) = (&subject.truth, &subject.media) {
        let seconds = frames.last().map_or(0, |f| f.time) as f64 * 1e-9;
        truth.must_cover(seconds).map_err(|e| format!("{}: {e}", folder.display()))?;
    }
    Ok(subject)
}

/// TAO's layout: `images/0000.bmp`…, or a video in their place, or images in the folder itself.
fn read_heartratenet(folder: &Path, fps: f64) -> Result<Option<Subject>, String> {
    let images = folder.join("images");
    let (mut start, videos) = (0.0, files(folder, &VIDEOS)?);
    let media = if let ([video], false) = (&videos[..], images.is_dir()) {
        Media::Video(video.clone())
    } else {
        let place = if images.is_dir() { &images } else { folder };
        let frames = files(place, &IMAGES)?;
        match (frames.is_empty(), images.is_dir()) {
            (true, true) => {
                return Err(format!("{}: no bmp, png or jpg image in it", place.display()));
            }
            (true, false) => return Ok(None),
            _ => (),
        }
        let (frames, first) = time_frames(frames, &folder.join("image_timestamps.csv"), fps)?;
        start = first;
        Media::Frames(frames)
    };
    let truth = folder.join("ground_truth.csv");
    let truth = truth.is_file().then(|| read_truth(&truth, start)).transpose()?;
    Ok(Some(Subject { name: stem(folder), media, truth, attributes: Map::new() }))
}

/// `Time,PulseWaveform`; `start` is the first frame's time on the same clock.
fn read_truth(path: &Path, start: f64) -> Result<Wave, String> {
    let table = Table::read(path, &["Time", "PulseWaveform"], &[])?;
    let times = table.times("Time")?.into_iter().map(|t| t - start).collect();
    checked(path, Wave { times, values: table.numbers("PulseWaveform")? })
}

fn checked(path: &Path, wave: Wave) -> Result<Wave, String> {
    if wave.times.len() < 2 {
        return Err(format!("{}: a pulse wave has at least two samples", path.display()));
    }
    Ok(wave)
}

/// Gives each image its time, by `stamps` (ID, Time) if that is there; also the first one's time.
fn time_frames(images: Vec<PathBuf>, stamps: &Path, fps: f64) -> Result<(Vec<Frame>, f64), String> {
    let mut numbered: Vec<(u64, PathBuf)> =
        images.into_iter().map(|path| Ok((number(&path)?, path))).collect::<Result<_, String>>()?;
    numbered.sort();
    for pair in numbered.windows(2) {
        let ((a, before), (b, path)) = (&pair[0], &pair[1]);
        if *b != a + 1 {
            let what = if a == b { "has the number of" } else { "does not follow on" };
            return Err(format!("{}: {what} {}", path.display(), file_name(before)));
        }
    }
    let times = if stamps.is_file() {
        read_stamps(stamps, &numbered)?
    } else {
        (0..numbered.len()).map(|i| i as f64 / fps).collect()
    };
    let start = times[0];
    let frame = |((_, path), time): ((u64, PathBuf), f64)| Frame { path, time: ns(time - start) };
    Ok((numbered.into_iter().zip(times).map(frame).collect(), start))
}

/// Times of the images, which must be those of the table.
fn read_stamps(stamps: &Path, images: &[(u64, PathBuf)]) -> Result<Vec<f64>, String> {
    let table = Table::read(stamps, &["ID", "Time"], &[])?;
    let times = table.times("Time")?;
    for (row, (image, path)) in images.iter().enumerate().take(table.len()) {
        let id = table.text(row, "ID");
        if number(Path::new(id)).ok() != Some(*image) {
            return Err(table.error(row, format!("ID '{id}' is not {}", file_name(path))));
        }
    }
    if times.len() > images.len() {
        return Err(table.error(images.len(), "there is no such image"));
    }
    if let Some((_, path)) = images.get(times.len()) {
        return Err(format!("{}: no row for {}", stamps.display(), file_name(path)));
    }
    Ok(times)
}

/// The number in an image's name: its last digits.
fn number(path: &Path) -> Result<u64, String> {
    let name = stem(path);
    let head = name.trim_end_matches(|c: char| c.is_ascii_digit());
    name[head.len()..].parse().map_err(|_| format!("{}: no number in its name", path.display()))
}

/// UBFC-rPPG, both parts.
fn read_ubfc(folder: &Path, _: f64) -> Result<Option<Subject>, String> {
    let video = folder.join("vid.avi");
    let (text, dump) = (folder.join("ground_truth.txt"), folder.join("gtdump.xmp"));
    if !video.is_file() || !(text.is_file() || dump.is_file()) {
        return Ok(None);
    }
    let truth = if text.is_file() { read_ubfc_text(&text)? } else { read_ubfc_dump(&dump)? };
    let media = Media::Video(video);
    Ok(Some(Subject { name: stem(folder), media, truth: Some(truth), attributes: Map::new() }))
}

/// Lines of numbers: pulse wave, heart rate, seconds.
fn read_ubfc_text(path: &Path) -> Result<Wave, String> {
    let text = read_text(path)?;
    let lines: Vec<Vec<f64>> = text
        .lines()
        .enumerate()
        .map(|(i, line)| numbers(line.split_ascii_whitespace(), path, i + 1))
        .collect::<Result<_, _>>()?;
    let [values, _, times, ..] = &lines[..] else {
        return Err(format!("{}: {} lines instead of 3", path.display(), lines.len()));
    };
    if values.len() != times.len() {
        let (n, m) = (times.len(), values.len());
        return Err(format!("{}: row 3: {n} times for {m} samples", path.display()));
    }
    checked(path, Wave { times: ascending(times.clone(), path)?, values: values.clone() })
}

/// Rows without a head: milliseconds, heart rate, oxygen, pulse wave.
fn read_ubfc_dump(path: &Path) -> Result<Wave, String> {
    let (mut times, mut values) = (Vec::new(), Vec::new());
    for (i, line) in read_text(path)?.lines().enumerate() {
        let row = numbers(line.split(',').map(str::trim), path, i + 1)?;
        let [time, _, _, value] = row[..] else {
            let n = row.len();
            return Err(format!("{}: row {}: {n} columns instead of 4", path.display(), i + 1));
        };
        times.push(time / 1000.0);
        values.push(value);
    }
    checked(path, Wave { times: ascending(times, path)?, values })
}

fn numbers<'a>(
    words: impl Iterator<Item = &'a str>,
    path: &Path,
    row: usize,
) -> Result<Vec<f64>, String> {
    let number = |word: &str| {
        let value: Option<f64> = word.parse().ok();
        let wrong = || format!("{}: row {row}: '{word}' is not a number", path.display());
        value.filter(|v| v.is_finite()).ok_or_else(wrong)
    };
    words.map(number).collect()
}

fn ascending(times: Vec<f64>, path: &Path) -> Result<Vec<f64>, String> {
    match times.windows(2).position(|pair| pair[0] >= pair[1]) {
        Some(i) => {
            Err(format!("{}: sample {} is not later than the one before", path.display(), i + 2))
        }
        None => Ok(times),
    }
}

/// PURE: images named by their time in nanoseconds, and one JSON file.
fn read_pure(folder: &Path, _: f64) -> Result<Option<Subject>, String> {
    let name = file_name(folder);
    let inner = folder.join(&name);
    let json = [folder.join(format!("{name}.json")), folder.with_file_name(format!("{name}.json"))];
    let Some(json) = json.iter().find(|j| j.is_file()) else { return Ok(None) };
    let images = files(if inner.is_dir() { &inner } else { folder }, &IMAGES)?;
    if images.is_empty() {
        return Ok(None);
    }
    let mut stamped: Vec<(u64, PathBuf)> =
        images.into_iter().map(|path| Ok((number(&path)?, path))).collect::<Result<_, String>>()?;
    stamped.sort();
    let start = stamped[0].0;
    let frames = stamped.into_iter().map(|(t, path)| Frame { path, time: t - start }).collect();
    let truth = Some(read_pure_truth(json, start)?);
    Ok(Some(Subject { name, media: Media::Frames(frames), truth, attributes: Map::new() }))
}

fn read_pure_truth(path: &Path, start: u64) -> Result<Wave, String> {
    let json = read_json(path)?;
    let packages = json["/FullPackage"].as_array();
    let packages = packages.ok_or_else(|| format!("{}: no /FullPackage", path.display()))?;
    let (mut times, mut values) = (Vec::new(), Vec::new());
    for (i, package) in packages.iter().enumerate() {
        let (time, value) = (package["Timestamp"].as_i64(), package["Value"]["waveform"].as_f64());
        let wrong = || format!("{}: sample {}: no Timestamp or waveform", path.display(), i + 1);
        times.push((time.ok_or_else(wrong)? - start as i64) as f64 * 1e-9);
        values.push(value.ok_or_else(wrong)?);
    }
    checked(path, Wave { times: ascending(times, path)?, values })
}

fn read_attributes(path: &Path) -> Result<Map<String, Value>, String> {
    if !path.is_file() {
        return Ok(Map::new());
    }
    match read_json(path)? {
        Value::Object(map) => Ok(map),
        _ => Err(format!("{}: not a JSON object", path.display())),
    }
}

fn read_json(path: &Path) -> Result<Value, String> {
    serde_json::from_str(&read_text(path)?).map_err(|e| format!("{}: {e}", path.display()))
}

fn read_text(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|e| format!("{}: can't be read: {e}", path.display()))
}

/// Files in `folder` with one of these endings.
fn files(folder: &Path, endings: &[&str]) -> Result<Vec<PathBuf>, String> {
    let wanted = |path: &PathBuf| {
        let ending = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
        ending.is_some_and(|e| endings.contains(&&*e)) && path.is_file()
    };
    Ok(entries(folder)?.into_iter().filter(wanted).collect())
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn ns(seconds: f64) -> u64 {
    (seconds * 1e9).round().max(0.0) as u64
}
