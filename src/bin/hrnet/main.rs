//! `hrnet`, the project's command line.

mod dataset;
mod infer;
mod layouts;
mod media;
mod model;
mod partial;
mod picture;
mod prepare;
mod recorded;
mod score;
mod shard;
mod signal;
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
    Signal(signal::Args),
    Prepare(prepare::Options),
    Model(model::Args),
}

fn main() -> ExitCode {
    let result = match Command::parse() {
        Command::Infer(args) => infer::run(&args),
        Command::Signal(args) => signal::run(&args),
        Command::Prepare(options) => prepare::run(&options),
        Command::Model(args) => model::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("hrnet: {message}");
            ExitCode::from(2)
        }
    }
}
