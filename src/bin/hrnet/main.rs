//! `hrnet`, the project's command line.

mod score;
mod signal;
mod wave_csv;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Heart rate from video: work on signals, models and recordings.
#[derive(Parser)]
#[command(name = "hrnet")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Signal(signal::Args),
}

fn main() -> ExitCode {
    let result = match Args::parse().command {
        Command::Signal(args) => signal::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("hrnet: {message}");
            ExitCode::from(2)
        }
    }
}
