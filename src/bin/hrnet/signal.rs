//! `hrnet signal`: the signal stage on recorded network outputs.

use std::path::{Path, PathBuf};

use gstheartrate::meta::Reasons;
use gstheartrate::ppg2bpm::confidence::Features;
use gstheartrate::ppg2bpm::{Config, Estimate, Estimator, Reading, Sample, reference_bpm};
use serde::Serialize;

use crate::score::{Pair, Score};
use crate::wave_csv::{self, Row};

/// Run the signal stage of ppg2bpm on pulse samples and score it against their labels.
///
/// Each FILE has the columns prediction and label, both rates of change of a pulse wave, and
/// optionally time in seconds. Samples are fed in their order; once the window is full there is
/// one reading a second, scored against the rate of the label over the same window. A label of
/// zeros means that there is no pulse: its readings are written but not scored.
#[derive(clap::Args)]
pub struct Args {
    /// Seconds of signal that a reading uses
    #[arg(long, value_name = "S", default_value_t = 10.0, value_parser = crate::window)]
    window: f64,
    /// Frames a second of files without a time column
    #[arg(long, default_value_t = 30.0, value_parser = crate::frame_rate)]
    fps: f64,
    /// Print the scores as JSON
    #[arg(long)]
    json: bool,
    /// Write every reading to this CSV file
    #[arg(long, value_name = "OUT.csv")]
    readings: Option<PathBuf>,
    #[arg(required = true, value_name = "FILE.csv")]
    files: Vec<PathBuf>,
}

/// A reading at one moment of a file.
struct Moment {
    /// Seconds.
    time: f64,
    estimate: Estimate,
    reference: Option<f64>,
}

#[derive(Serialize)]
struct Report<'a> {
    window: f64,
    #[serde(flatten)]
    score: Score,
    files: &'a [FileScore],
}

#[derive(Serialize)]
struct FileScore {
    file: String,
    #[serde(flatten)]
    score: Score,
}

pub fn run(args: &Args) -> Result<(), String> {
    let config = Config { window: args.window, ..Config::default() };
    let mut all = Vec::new();
    let mut files = Vec::new();
    let mut out = args.readings.as_deref().map(ReadingsFile::create).transpose()?;
    for path in &args.files {
        let rows = wave_csv::read(path, args.fps)?;
        let moments = read_file(&rows, &config);
        if let Some(out) = &mut out {
            moments.iter().try_for_each(|m| out.write(path, m))?;
        }
        let pairs: Vec<Pair> = moments.iter().filter_map(pair).collect();
        files.push(FileScore { file: path.display().to_string(), score: Score::new(&pairs) });
        all.extend(pairs);
    }
    if let Some(out) = &mut out {
        out.finish()?;
    }
    let score = Score::new(&all);
    if args.json {
        let report = Report { window: args.window, score, files: &files };
        println!("{}", serde_json::to_string_pretty(&report).map_err(|e| e.to_string())?);
    } else {
        print_table(&files, &score, args.window);
    }
    Ok(())
}

fn pair(moment: &Moment) -> Option<Pair> {
    let Reading { bpm, confidence, .. } = moment.estimate.reading?;
    Some(Pair { bpm, reference: moment.reference?, confidence })
}

/// Feeds `rows` to the stage, causally, and has a reading once a second of the file's time.
/// Before the window is full the stage reads as well, as it does in ppg2bpm, but nobody listens.
fn read_file(rows: &[Row], config: &Config) -> Vec<Moment> {
    const SECOND: u64 = 1_000_000_000;
    let mut estimator = Estimator::new(*config);
    let mut moments = Vec::new();
    let start = rows[0].time - rows[0].interval.unwrap_or(0).min(rows[0].time);
    let full = start + (config.window * 1e9) as u64;
    let mut due = start + SECOND;
    for (i, row) in rows.iter().enumerate() {
        estimator.push(row.time, Some(row.prediction), row.interval, Reasons::NONE);
        if row.time < due {
            continue;
        }
        let estimate = estimator.estimate();
        // Of frames with their own times the first rarely is exactly one window old.
        if row.time + SECOND / 10 >= full {
            let reference = reference(&rows[..=i], &estimate, config);
            moments.push(Moment { time: row.time as f64 * 1e-9, estimate, reference });
        }
        while due <= row.time {
            due += SECOND;
        }
    }
    moments
}

/// The label's rate over the window that `estimate` used, which ends with the last of `rows`.
fn reference(rows: &[Row], estimate: &Estimate, config: &Config) -> Option<f64> {
    let end = rows.last()?.time;
    let from = end.saturating_sub((estimate.window * 1e9).round() as u64 + 1_000);
    let samples: Vec<Sample> = rows
        .iter()
        .filter(|r| r.time - r.interval.unwrap_or(0).min(r.time) >= from)
        .map(|r| Sample {
            time: r.time as f64 * 1e-9,
            value: r.label,
            interval: r.interval.map(|i| i as f64 * 1e-9),
        })
        .collect();
    reference_bpm(&samples, config)
}

fn print_table(files: &[FileScore], all: &Score, window: f64) {
    let width = files.iter().map(|f| f.file.len()).max().unwrap_or(0).max(4);
    println!("window {window} s; errors in bpm; confident: confidence 0.5 and above");
    println!(
        "{:width$} {:>6} {:>7} {:>7} {:>6} {:>7} {:>7} {:>9} {:>7} {:>7}",
        "file", "n", "MAE", "RMSE", "r", "≤2", "≤5", "confident", "MAE", "≤5"
    );
    let cell = |v: Option<f64>| v.map_or("–".to_string(), |v| format!("{v:.3}"));
    let share = |v: Option<f64>| v.map_or("–".to_string(), |v| format!("{:.1} %", 100.0 * v));
    let line = |name: &str, s: &Score| {
        println!(
            "{name:width$} {:>6} {:>7} {:>7} {:>6} {:>7} {:>7} {:>9} {:>7} {:>7}",
            s.n,
            cell(s.mae),
            cell(s.rmse),
            cell(s.r),
            share(s.within2),
            share(s.within5),
            share(s.confident.coverage),
            cell(s.confident.mae),
            share(s.confident.within5),
        );
    };
    files.iter().for_each(|f| line(&f.file, &f.score));
    line("all", all);
}

/// The table of all readings that `training/calibrate.py` fits the confidence to.
struct ReadingsFile<'a> {
    path: &'a Path,
    writer: csv::Writer<std::fs::File>,
}

impl<'a> ReadingsFile<'a> {
    fn create(path: &'a Path) -> Result<ReadingsFile<'a>, String> {
        let writer = csv::Writer::from_path(path)
            .map_err(|e| format!("{}: can't be written: {e}", path.display()))?;
        let mut file = ReadingsFile { path, writer };
        let head = ["file", "time", "bpm", "reference", "confidence", "status"];
        file.record(head.into_iter().chain(Features::NAMES).map(String::from).collect())?;
        Ok(file)
    }

    fn write(&mut self, path: &Path, moment: &Moment) -> Result<(), String> {
        let Some(reading) = moment.estimate.reading else { return Ok(()) };
        let mut record = vec![
            path.display().to_string(),
            format!("{:.3}", moment.time),
            format!("{:.3}", reading.bpm),
            moment.reference.map_or(String::new(), |r| format!("{r:.3}")),
            format!("{:.4}", reading.confidence),
            moment.estimate.status.as_str().to_string(),
        ];
        record.extend(reading.features.values().map(|v| format!("{v:.5}")));
        self.record(record)
    }

    fn record(&mut self, record: Vec<String>) -> Result<(), String> {
        let path = self.path.display();
        self.writer.write_record(record).map_err(|e| format!("{path}: can't be written: {e}"))
    }

    fn finish(&mut self) -> Result<(), String> {
        let path = self.path.display();
        self.writer.flush().map_err(|e| format!("{path}: can't be written: {e}"))
    }
}
