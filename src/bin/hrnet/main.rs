//! `hrnet`, the project's command line.

mod baselines;
mod dataset;
mod evaluate;
mod figures;
mod groups;
mod infer;
mod layouts;
mod media;
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
    Evaluate(evaluate::Args),
    Infer(infer::Args),
    Signal(signal::Args),
    Prepare(prepare::Options),
}

fn main() -> ExitCode {
    let result = match Command::parse() {
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Infer(args) => infer::run(&args),
        Command::Signal(args) => signal::run(&args),
        Command::Prepare(options) => prepare::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("hrnet: {message}");
            ExitCode::from(2)
        }
    }
}
