//! `hrnet evaluate`: the whole way from picture to rate, against a contact sensor.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::dataset::{Layout, Subject, find};
use crate::groups::Filter;
use crate::infer::{Detector, name_apart};
use crate::media::Settings;
use crate::partial::{Partial, make_folder};
use crate::prepare::parallel;
use crate::readings::Readings;
use crate::recording::{Method, Recording};
use crate::summary::{Outcome, Results};
use crate::{print, report};

/// Run data sets through all elements and compare the rates with the ground truth.
///
/// Of every recording the largest face is read, once a second from the first full window on. The
/// reference is the rate of the ground truth's wave over the same window. A ground truth of zeros
/// means that there is no pulse: then seconds at status ok are counted. GREEN, CHROM and POS are
/// methods without a network, on the same crops.
#[derive(clap::Args)]
pub struct Args {
    /// Seconds of signal that a reading uses
    #[arg(long, value_name = "S,…", default_value = "10", value_delimiter = ',',
        value_parser = crate::window)]
    windows: Vec<f64>,
    /// ONNX file of the network; the built-in one if not given
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// How the data sets are laid out
    #[arg(long, value_enum, default_value_t)]
    layout: Layout,
    /// Frames a second of pictures without times
    #[arg(long, default_value_t = 30.0, value_parser = crate::frame_rate)]
    fps: f64,
    /// Who finds the faces; `none` takes the whole frame for one
    #[arg(long, value_enum, default_value_t)]
    detector: Detector,
    /// Only subjects with one of these values in their attributes.json; LOW-HIGH for numbers
    #[arg(long = "where", value_name = "KEY=VALUE[,VALUE…]", value_parser = Filter::parse)]
    filters: Vec<Filter>,
    /// Also print the figures by these attributes
    #[arg(long, value_name = "KEY,…", value_delimiter = ',')]
    by: Vec<String>,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
    /// Write every reading of the network to this CSV file
    #[arg(long, value_name = "OUT.csv")]
    readings: Option<PathBuf>,
    /// Write the pulse samples of each subject, once it is read, to a CSV file in this folder, for
    /// `hrnet signal`
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
    /// Write tables and plots to this HTML file
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// Recordings at a time
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    jobs: u32,
    /// Data sets, or single recordings with their ground truth
    #[arg(required = true, value_name = "DATASET")]
    datasets: Vec<PathBuf>,
}

pub fn run(args: &Args) -> Result<(), String> {
    let subjects = subjects(args)?;
    // A file that can't be written is told of before the work.
    let create = |path: &Option<PathBuf>| path.as_deref().map(Partial::create).transpose();
    let (report, table) = (create(&args.report)?, create(&args.readings)?);
    if let Some(folder) = &args.save {
        make_folder(folder)?;
    }
    let outcomes = play_all(args, &subjects)?;
    let results = Results { outcomes, windows: args.windows.clone(), by: args.by.clone() };
    if let Some(file) = table {
        readings(&results).write(file)?;
    }
    if let Some(file) = report {
        file.finish_with(&report::page(&results, &about(args, &results)))?;
    }
    if args.json {
        let text = serde_json::to_string_pretty(&results.json()).map_err(|e| e.to_string())?;
        println!("{text}");
    } else {
        print::print(&results);
    }
    Ok(())
}

/// What was run, for the report.
fn about(args: &Args, results: &Results) -> String {
    let sets = args.datasets.iter().map(|d| d.display().to_string()).collect::<Vec<_>>();
    let model = args.model.as_ref().map_or("built-in network".into(), |m| m.display().to_string());
    let filters: String = args.filters.iter().map(|f| format!(", where {f}")).collect();
    let (n, version) = (results.outcomes.len(), env!("CARGO_PKG_VERSION"));
    format!("{n} recordings of {}{filters}; {model}; hrnet {version}.", sets.join(", "))
}

/// The recordings that are asked for, each of a name of its own and with its ground truth.
fn subjects(args: &Args) -> Result<Vec<Subject>, String> {
    let mut subjects = Vec::new();
    for path in &args.datasets {
        subjects.extend(find(path, args.layout, args.fps)?);
    }
    name_apart(&mut subjects);
    subjects.retain(|s| args.filters.iter().all(|f| f.takes(&s.attributes)));
    if subjects.is_empty() {
        return Err("no subject has these attributes".into());
    }
    if let Some(s) = subjects.iter().find(|s| s.truth.is_none()) {
        return Err(format!("{}: no ground truth", s.name));
    }
    for key in &args.by {
        if !subjects.iter().any(|s| s.attributes.contains_key(key)) {
            return Err(format!("no subject has the attribute '{key}'"));
        }
    }
    Ok(subjects)
}

fn play_all(args: &Args, subjects: &[Subject]) -> Result<Vec<Outcome>, String> {
    let settings = Settings {
        model: args.model.clone(),
        whole_frame: args.detector == Detector::None,
        ..Settings::default()
    };
    let progress = Progress::new(subjects.len());
    let outcomes = parallel(args.jobs, subjects.len(), |i| {
        let recording = Recording::play(&subjects[i], &settings)?;
        if let Some(folder) = &args.save {
            save(folder, &recording)?;
        }
        let outcome = Outcome::new(recording, &args.windows);
        progress.step(&subjects[i].name);
        Ok(outcome)
    });
    progress.clear();
    outcomes
}

/// A line on the terminal that says how far it is.
struct Progress {
    total: usize,
    done: AtomicUsize,
    shown: bool,
}

impl Progress {
    fn new(total: usize) -> Progress {
        Progress { total, done: AtomicUsize::new(0), shown: std::io::stderr().is_terminal() }
    }

    fn step(&self, name: &str) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        self.write(&format!("{done} of {}: {name}", self.total));
    }

    fn clear(&self) {
        self.write("");
    }

    fn write(&self, text: &str) {
        if self.shown {
            // A progress line that can't be written is no error.
            let _ = write!(std::io::stderr(), "\r\x1b[K{text}");
        }
    }
}

fn readings(results: &Results) -> Readings {
    let mut readings = Readings::new();
    for outcome in &results.outcomes {
        for window in &results.windows {
            let moments = outcome.moments(Method::Network, *window);
            readings.add(&outcome.recording.name, moments, outcome.recording.is_negative());
        }
    }
    readings
}

/// Writes the samples of one recording, at once: hours of work outlast a break.
fn save(folder: &Path, recording: &Recording) -> Result<(), String> {
    let Some(text) = recording.to_csv() else {
        eprintln!("hrnet: {}: no face, nothing to save", recording.name);
        return Ok(());
    };
    if !recording.derivative {
        return Err("--save: the network's output is not the rate of change of a wave".into());
    }
    let path = folder.join(format!("{}.csv", recording.name));
    Partial::create(&path)?.finish_with(&text)
}
