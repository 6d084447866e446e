//! `hrnet`, the project's command line.

mod baselines;
mod bench;
mod bench_streams;
mod dataset;
mod engine;
mod evaluate;
mod figures;
mod groups;
mod infer;
mod layouts;
mod measure;
mod media;
mod model;
mod partial;
mod picture;
mod plot;
mod prepare;
mod print;
mod readings;
mod recorded;
mod recording;
mod report;
mod score;
mod seeds;
mod shard;
mod signal;
mod stage;
mod summary;
mod table;
mod transcode;
mod usage;
mod videos;
mod wave_csv;

use std::process::ExitCode;

use clap::Parser;

/// Heart rate from video: work on signals, models and recordings.
#[derive(Parser)]
#[command(name = "hrnet", version)]
enum Command {
    Infer(infer::Args),
    Evaluate(evaluate::Args),
    Signal(signal::Args),
    Prepare(prepare::Options),
    Model(model::Args),
    Engine(engine::Args),
    Bench(bench::Args),
}

fn main() -> ExitCode {
    let result = match Command::parse() {
        Command::Infer(args) => infer::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Signal(args) => signal::run(&args),
        Command::Prepare(options) => prepare::run(&options),
        Command::Model(args) => model::run(&args),
        Command::Engine(args) => engine::run(&args),
        Command::Bench(args) => bench::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("hrnet: {message}");
            ExitCode::from(2)
        }
    }
}

/// The number `text`, from `low` to `high`.
fn in_range(text: &str, low: f64, high: f64) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_string())?;
    let message = || format!("must be from {low} to {high}");
    (low..=high).contains(&value).then_some(value).ok_or_else(message)
}

/// Frames a second.
fn frame_rate(text: &str) -> Result<f64, String> {
    in_range(text, 1.0, 1000.0)
}

/// Seconds of signal that a reading uses.
fn window(text: &str) -> Result<f64, String> {
    in_range(text, 5.0, 60.0)
}
