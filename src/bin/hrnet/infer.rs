//! `hrnet infer`: the pulse and the rate in recordings.

use std::collections::{BTreeMap, HashSet};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use gstheartrate::meta::{Face, Status};
use serde::Serialize;

use crate::dataset::{self, Layout, Subject};
use crate::media::{self, Record};
use crate::partial::{Partial, make_folder};
use crate::usage::Usage;

const SECOND: u64 = 1_000_000_000;

/// Read the pulse and the heart rate in recordings.
///
/// A PATH is a video, a folder of pictures, or a data set. The table has a line for each face seen
/// for a second or more. With --out each recording gets two files: NAME-pulse.csv, a line for each
/// face of each frame, and NAME-rate.csv, a line for each face a second.
#[derive(clap::Args)]
pub struct Args {
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Folder for the CSV files; made if it is not there. Without it nothing is written
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// ONNX file of the network; the built-in one without
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Seconds of signal that a reading uses
    #[arg(long, value_name = "S", default_value_t = 10.0, value_parser = crate::window)]
    window: f64,
    /// Frames a second of pictures without timestamps
    #[arg(long, default_value_t = 30.0, value_parser = crate::frame_rate)]
    fps: f64,
    /// How the folders are laid out
    #[arg(long, value_enum, default_value_t)]
    layout: Layout,
    /// What finds the faces
    #[arg(long, value_enum, default_value_t)]
    detector: Detector,
    /// Print the table as JSON
    #[arg(long)]
    json: bool,
}

/// What finds the faces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Detector {
    /// The built-in detector.
    #[default]
    Ultraface,
    /// Nothing: the whole frame is the face.
    None,
}

#[derive(Serialize)]
struct Report {
    recordings: Vec<Summary>,
    speed: Speed,
}

/// What was read in one recording.
#[derive(Debug, Default, Serialize)]
struct Summary {
    name: String,
    frames: u64,
    /// From the first to the last frame.
    seconds: f64,
    /// The longest seen first.
    faces: Vec<FaceSummary>,
}

#[derive(Clone, Debug, Default, Serialize)]
struct FaceSummary {
    id: u32,
    /// Seconds at which it was there.
    seconds: usize,
    /// Median of the readings at status ok.
    bpm: Option<f64>,
    /// Share of its seconds at status ok.
    ok: f64,
    /// Mean over its seconds that have one.
    confidence: Option<f64>,
}

/// Over all recordings, decoding and loading included.
#[derive(Serialize)]
struct Speed {
    frames: u64,
    cpu_seconds: f64,
    frames_per_cpu_second: f64,
    frames_per_second: f64,
    peak_memory_bytes: u64,
}

pub fn run(args: &Args) -> Result<(), String> {
    let settings = media::Settings {
        model: args.model.clone(),
        whole_frame: args.detector == Detector::None,
        window: args.window,
        ..media::Settings::default()
    };
    let mut subjects = Vec::new();
    for path in &args.paths {
        subjects.extend(dataset::find(path, args.layout, args.fps)?);
    }
    name_apart(&mut subjects);
    args.out.as_deref().map_or(Ok(()), make_folder)?;
    let (start, before) = (Instant::now(), Usage::now());
    let mut recordings = Vec::new();
    for subject in &subjects {
        recordings.push(infer(subject, &settings, args.out.as_deref())?);
    }
    let speed = Speed::new(recordings.iter().map(|r| r.frames).sum(), start, before);
    if args.json {
        let report = Report { recordings, speed };
        println!("{}", serde_json::to_string_pretty(&report).map_err(|e| e.to_string())?);
    } else {
        print_table(&recordings, &speed);
    }
    Ok(())
}

/// Numbers the later ones of recordings with one name, as files are named by it.
pub fn name_apart(subjects: &mut [Subject]) {
    let mut taken = HashSet::new();
    for subject in subjects {
        let name = subject.name.clone();
        let mut count = 1;
        while !taken.insert(subject.name.clone()) {
            count += 1;
            subject.name = format!("{name}-{count}");
        }
    }
}

/// Plays one recording and writes its files.
fn infer(
    subject: &Subject,
    settings: &media::Settings,
    out: Option<&Path>,
) -> Result<Summary, String> {
    let mut files = out.map(|folder| Files::create(folder, &subject.name)).transpose()?;
    let mut tally = Tally::default();
    let mut progress = Progress::new(&subject.name);
    media::play(&subject.media, settings, |record| {
        let due = tally.take(&record);
        progress.show(tally.frames, record.time);
        match &mut files {
            Some(files) => files.write(&record, due),
            None => Ok(()),
        }
    })?;
    files.map_or(Ok(()), Files::finish)?;
    Ok(tally.summary(&subject.name))
}

/// What has been seen so far; grows by one number a second and face.
#[derive(Default)]
struct Tally {
    frames: u64,
    first: Option<u64>,
    last: u64,
    /// When the next reading counts, ns.
    due: u64,
    faces: BTreeMap<u32, FaceTally>,
}

#[derive(Default)]
struct FaceTally {
    seconds: usize,
    /// Readings at status ok.
    bpm: Vec<f64>,
    /// Sum and number.
    confidence: (f64, usize),
}

impl Tally {
    /// Takes a frame in; says whether its readings are those of a second.
    fn take(&mut self, record: &Record) -> bool {
        let first = *self.first.get_or_insert(record.time);
        self.frames += 1;
        self.last = record.time;
        if self.frames == 1 {
            self.due = first + SECOND;
        }
        let due = record.time >= self.due;
        if due {
            self.due += SECOND * (1 + (record.time - self.due) / SECOND);
            record.faces.iter().for_each(|f| self.faces.entry(f.id).or_default().take(f));
        }
        due
    }

    fn summary(self, name: &str) -> Summary {
        let mut faces: Vec<_> = self.faces.into_iter().map(|(id, f)| f.summary(id)).collect();
        faces.sort_by_key(|f| (std::cmp::Reverse(f.seconds), f.id));
        let seconds = self.last.saturating_sub(self.first.unwrap_or(0)) as f64 * 1e-9;
        Summary { name: name.into(), frames: self.frames, seconds, faces }
    }
}

impl FaceTally {
    fn take(&mut self, face: &Face) {
        self.seconds += 1;
        self.bpm.extend(face.bpm.filter(|_| face.status == Status::Ok));
        if let Some(confidence) = face.confidence {
            self.confidence.0 += confidence;
            self.confidence.1 += 1;
        }
    }

    fn summary(mut self, id: u32) -> FaceSummary {
        let (sum, n) = self.confidence;
        FaceSummary {
            id,
            seconds: self.seconds,
            ok: self.bpm.len() as f64 / self.seconds as f64,
            bpm: median(&mut self.bpm),
            confidence: (n > 0).then(|| sum / n as f64),
        }
    }
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.len().checked_sub(1)? / 2, values.len() / 2);
    Some((values[low] + values[high]) / 2.0)
}

/// A recording's two tables.
struct Files {
    pulse: Partial,
    rate: Partial,
}

impl Files {
    fn create(folder: &Path, name: &str) -> Result<Files, String> {
        let mut pulse = Partial::create(&folder.join(format!("{name}-pulse.csv")))?;
        pulse.line(format_args!("time,face,ppg,interval,x,y,w,h"))?;
        let mut rate = Partial::create(&folder.join(format!("{name}-rate.csv")))?;
        rate.line(format_args!("time,face,bpm,confidence,snr,status,reasons"))?;
        Ok(Files { pulse, rate })
    }

    fn write(&mut self, record: &Record, due: bool) -> Result<(), String> {
        let time = record.time as f64 * 1e-9;
        let text = |value: Option<f64>, digits: usize| {
            value.map_or(String::new(), |v| format!("{v:.digits$}"))
        };
        for face in &record.faces {
            let Face { id, x, y, w, h, .. } = face;
            let interval = face.ppg_interval.map(|i| i.nseconds() as f64 * 1e-9);
            let (ppg, interval) = (text(face.ppg, 6), text(interval, 6));
            self.pulse.line(format_args!(
                "{time:.6},{id},{ppg},{interval},{x:.5},{y:.5},{w:.5},{h:.5}"
            ))?;
            if due {
                let (bpm, snr) = (text(face.bpm, 2), text(face.snr, 2));
                let (confidence, status) = (text(face.confidence, 4), face.status.as_str());
                let reasons: Vec<_> = face.reasons.iter().map(|r| r.as_str()).collect();
                let reasons = reasons.join(" ");
                self.rate.line(format_args!(
                    "{time:.6},{id},{bpm},{confidence},{snr},{status},{reasons}"
                ))?;
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<(), String> {
        self.pulse.finish()?;
        self.rate.finish()
    }
}

/// How far a recording has got, on a terminal.
struct Progress<'a> {
    name: &'a str,
    start: Instant,
    shown: Instant,
    terminal: bool,
}

impl Progress<'_> {
    fn new(name: &str) -> Progress<'_> {
        let now = Instant::now();
        Progress { name, start: now, shown: now, terminal: std::io::stderr().is_terminal() }
    }

    fn show(&mut self, frames: u64, time: u64) {
        if self.terminal && self.shown.elapsed().as_millis() >= 200 {
            self.shown = Instant::now();
            let speed = frames as f64 / self.start.elapsed().as_secs_f64();
            let time = time as f64 * 1e-9;
            eprint!("\r{}: {time:.1} s, {speed:.0} frames/s\x1b[K", self.name);
            let _ = std::io::stderr().flush();
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if self.terminal {
            eprint!("\r\x1b[K");
        }
    }
}

impl Speed {
    fn new(frames: u64, start: Instant, before: Usage) -> Speed {
        let now = Usage::now();
        let (cpu, wall) = (now.cpu - before.cpu, start.elapsed().as_secs_f64());
        Speed {
            frames,
            cpu_seconds: cpu,
            frames_per_cpu_second: frames as f64 / cpu,
            frames_per_second: frames as f64 / wall,
            peak_memory_bytes: now.peak,
        }
    }
}

fn print_table(recordings: &[Summary], speed: &Speed) {
    let width = recordings.iter().map(|r| r.name.chars().count()).max().unwrap_or(0).max(9);
    println!(
        "{:width$} {:>8} {:>6} {:>5} {:>8} {:>6} {:>6} {:>10}",
        "recording", "seconds", "faces", "face", "seen, s", "bpm", "ok", "confidence"
    );
    for Summary { name, seconds, faces, .. } in recordings {
        let head = format!("{name:width$} {seconds:>8.1} {:>6}", faces.len());
        if faces.is_empty() {
            println!("{head}");
        }
        for (i, face) in faces.iter().enumerate() {
            let head = if i == 0 { head.clone() } else { " ".repeat(width + 16) };
            let number =
                |v: Option<f64>, digits| v.map_or("–".into(), |v| format!("{v:.digits$}"));
            println!(
                "{head} {:>5} {:>8} {:>6} {:>4.0} % {:>10}",
                face.id,
                face.seconds,
                number(face.bpm, 1),
                100.0 * face.ok,
                number(face.confidence, 2),
            );
        }
    }
    println!(
        "{} frames, {:.0} a CPU-second, {:.0} a second; peak memory {:.0} MiB",
        speed.frames,
        speed.frames_per_cpu_second,
        speed.frames_per_second,
        speed.peak_memory_bytes as f64 / f64::from(1 << 20),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(time: u64, status: Status, bpm: Option<f64>) -> Record {
        let confidence = bpm.map(|_| 0.5);
        let face = Face { id: 3, status, bpm, confidence, ..Face::default() };
        Record { time, faces: vec![face], derivative: true, crops: [].into() }
    }

    #[test]
    fn seconds_are_counted_by_the_frames_times() {
        let mut tally = Tally::default();
        let half = SECOND / 2;
        let due: Vec<bool> = [
            (0, None),
            (half, None),
            (2 * half, Some(70.0)),
            (3 * half, Some(200.0)),
            // Seconds are missing.
            (9 * half, Some(80.0)),
            (10 * half, None),
        ]
        .into_iter()
        .map(|(time, bpm)| {
            let status = if bpm.is_some() { Status::Ok } else { Status::Weak };
            tally.take(&record(7 * SECOND + time, status, bpm))
        })
        .collect();
        assert_eq!(due, [false, false, true, false, true, true]);
        let summary = tally.summary("a");
        assert_eq!((summary.frames, summary.seconds), (6, 5.0));
        let face = &summary.faces[0];
        assert_eq!((face.id, face.seconds, face.bpm), (3, 3, Some(75.0)));
        assert_eq!((face.ok, face.confidence), (2.0 / 3.0, Some(0.5)));
    }

    #[test]
    fn recordings_of_one_name_are_told_apart() {
        let subject = |name: &str| Subject {
            name: name.into(),
            media: dataset::Media::Frames(Vec::new()),
            truth: None,
            attributes: Default::default(),
        };
        let mut subjects = ["a", "a", "a-2", "b"].map(subject);
        name_apart(&mut subjects);
        assert_eq!(subjects.map(|s| s.name), ["a", "a-2", "a-2-2", "b"]);
    }
}
