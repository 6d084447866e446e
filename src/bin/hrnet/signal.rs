//! `hrnet signal`: the signal stage on recorded network outputs.

use std::path::PathBuf;

use gstheartrate::ppg2bpm::faces::Seen;
use gstheartrate::ppg2bpm::{Config, Sample};
use serde::Serialize;

use crate::partial::Partial;
use crate::readings::Readings;
use crate::score::{Pair, Score};
use crate::stage::{Frame, Moment, Truth, listen};
use crate::wave_csv::{self, Row};

/// Run the signal stage of ppg2bpm on pulse samples and score it against their labels.
///
/// Each FILE has the columns prediction and label, both rates of change of a pulse wave, and
/// optionally time in seconds; light, light_around and light_backdrop are the brightness of the
/// face, of what is around it and of the rest of the picture, as logarithms of the ratio to the
/// frame before, red, green and blue the like of the face's mean colour, and blood what of it the
/// face's quiet places give to blood, chroma_held the share of the face whose chroma stands as it
/// was; move_x, move_y and growth are how the face has moved since then. Samples are fed in their
/// order; once the window is full there is one reading a second, scored against the rate of the
/// label over the same window. A label of zeros means that there is no pulse: its readings are
/// written but not scored.
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
    let (mut all, mut seconds) = (Vec::new(), 0);
    let mut files = Vec::new();
    let out = args.readings.as_deref().map(Partial::create).transpose()?;
    let mut readings = Readings::new();
    for path in &args.files {
        let rows = wave_csv::read(path, args.fps)?;
        let name = path.display().to_string();
        let moments = listen(&frames(&rows), &config, &truth(&rows));
        readings.add(&name, &moments, rows.iter().all(|r| r.label == 0.0));
        let pairs: Vec<Pair> = moments.iter().filter_map(Moment::pair).collect();
        let n = moments.iter().filter(|m| m.reference.is_some()).count();
        files.push(FileScore { file: name, score: Score::new(&pairs, n) });
        all.extend(pairs);
        seconds += n;
    }
    if let Some(file) = out {
        readings.write(file)?;
    }
    let score = Score::new(&all, seconds);
    if args.json {
        let report = Report { window: args.window, score, files: &files };
        println!("{}", serde_json::to_string_pretty(&report).map_err(|e| e.to_string())?);
    } else {
        print_table(&files, &score, args.window);
    }
    Ok(())
}

/// Rows as frames of one face.
fn frames(rows: &[Row]) -> Vec<Frame> {
    let seen = |row: &Row| Seen {
        ppg: Some(row.prediction),
        interval: row.interval,
        changes: row.changes,
        ..Seen::default()
    };
    rows.iter().map(|row| Frame { time: row.time, face: Some(seen(row)) }).collect()
}

/// The labels' wave.
fn truth(rows: &[Row]) -> Truth {
    let sample = |row: &Row| Sample {
        time: row.time as f64 * 1e-9,
        value: row.label,
        interval: row.interval.map(|i| i as f64 * 1e-9),
    };
    Truth { samples: rows.iter().map(sample).collect(), derivative: true }
}

fn print_table(files: &[FileScore], all: &Score, window: f64) {
    let width = files.iter().map(|f| f.file.len()).max().unwrap_or(0).max(4);
    println!("window {window} s; errors in bpm; confident: at status ok");
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
