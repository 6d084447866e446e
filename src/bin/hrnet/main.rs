//! The command line of gst-plugin-heartrate.

mod prepare;
mod shard;

use std::process::ExitCode;

use clap::Parser;

/// Heart rate from camera video: tools around the GStreamer elements.
#[derive(Parser)]
#[command(name = "hrnet", version)]
enum Command {
    /// Render synthetic clips and write them as training tensors.
    Prepare(prepare::Options),
}

fn main() -> ExitCode {
    let result = match Command::parse() {
        Command::Prepare(options) => prepare::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("hrnet: {message}");
            ExitCode::FAILURE
        }
    }
}
