//! `hrnet engine`: TensorRT engines ahead of time, and what is in one.

use std::path::{Path, PathBuf};

use gstheartrate::hrnetinfer::engine::{EngineError, Precision};
use gstheartrate::hrnetinfer::engine_file::EngineFile;

/// Build TensorRT engines ahead of time, or show what is in one.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Build(Build),
    Show(Show),
}

/// Make an engine of an ONNX file.
#[derive(clap::Args)]
struct Build {
    /// ONNX file; the built-in network without
    #[arg(value_name = "FILE")]
    model: Option<PathBuf>,
    /// Where the engine goes; what is known of it goes to OUT.json
    #[arg(long, value_name = "OUT.engine")]
    out: PathBuf,
    /// For GPUs of these compute capabilities, with TensorRT for RTX; else for the GPU of this machine
    #[arg(long, value_name = "8.6,…", value_delimiter = ',', value_parser = capability)]
    compute_capability: Vec<i32>,
    #[arg(long, value_enum, default_value_t)]
    precision: PrecisionArg,
    /// The most pairs of frames that it runs at a time
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1024))]
    max_batch: u32,
}

/// Show what is known of an engine, and on a machine that can run it what it wants and holds.
#[derive(clap::Args)]
struct Show {
    #[arg(value_name = "FILE.engine")]
    file: PathBuf,
}

/// In what an engine computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum PrecisionArg {
    #[default]
    Fp16,
    Fp32,
}

impl PrecisionArg {
    pub fn get(self) -> Precision {
        if self == PrecisionArg::Fp16 { Precision::Fp16 } else { Precision::Fp32 }
    }
}

/// 8.6 as 86.
fn capability(text: &str) -> Result<i32, String> {
    let odd = || "must be like 8.6".to_string();
    let (major, minor) = text.split_once('.').ok_or_else(odd)?;
    let (major, minor): (i32, i32) =
        (major.parse().map_err(|_| odd())?, minor.parse().map_err(|_| odd())?);
    let fits = (1..=99).contains(&major) && (0..=9).contains(&minor);
    fits.then_some(10 * major + minor).ok_or_else(odd)
}

pub fn run(args: &Args) -> Result<(), String> {
    match &args.command {
        Command::Build(args) => build(args),
        Command::Show(args) => show(&args.file).map_err(|e| named(Some(&args.file), &e)),
    }
}

/// An error with the file that it is about.
fn named(path: Option<&Path>, error: &EngineError) -> String {
    let name = path.map_or("the built-in model".into(), |p| p.display().to_string());
    format!("{name}: {error}").replace('\n', " ")
}

fn build(args: &Build) -> Result<(), String> {
    let file = make(args).map_err(|e| named(args.model.as_deref(), &e))?;
    file.write(&args.out).map_err(|e| format!("{} can't be written: {e}", args.out.display()))?;
    print(&args.out, &file);
    Ok(())
}

fn print(path: &Path, file: &EngineFile) {
    println!("{:24} {}, {} bytes", "file", path.display(), file.bytes.len());
    for (key, value) in &file.about {
        println!("{key:24} {value}");
    }
}

#[cfg(feature = "tensorrt")]
fn make(args: &Build) -> Result<EngineFile, EngineError> {
    use gstheartrate::hrnetinfer::backends;
    use gstheartrate::hrnetinfer::tensorrt::build::{Target, build};
    use gstheartrate::hrnetinfer::tensorrt::{driver, library};

    if args.compute_capability.is_empty() {
        driver::probe().map_err(|e| {
            EngineError::Unavailable(format!("{e}; name a --compute-capability to build for"))
        })?;
    }
    let target = Target {
        precision: args.precision.get(),
        max_batch: args.max_batch,
        capabilities: args.compute_capability.clone(),
    };
    let onnx = backends::read(args.model.as_deref())?;
    build(library()?, &onnx, &target, &|phase, step, of| eprintln!("{phase}: {step} of {of}"))
}

#[cfg(not(feature = "tensorrt"))]
fn make(_: &Build) -> Result<EngineFile, EngineError> {
    let what = "this build has no TensorRT (cargo feature tensorrt, docs/engines.md)";
    Err(EngineError::Unavailable(what.into()))
}

fn show(path: &Path) -> Result<(), EngineError> {
    let file = EngineFile::read(path)?;
    print(path, &file);
    match inspect(&file) {
        Ok(text) => println!("{text}"),
        Err(error) => println!("{:24} not shown: {error}", "inside"),
    }
    Ok(())
}

#[cfg(feature = "tensorrt")]
fn inspect(file: &EngineFile) -> Result<String, EngineError> {
    use gstheartrate::hrnetinfer::tensorrt::{driver::Gpu, library};

    let gpu = Gpu::find(0)?;
    let _ = gpu.context.bind_to_thread();
    let failed = |e: String| EngineError::Unavailable(format!("TensorRT refuses it: {e}"));
    let engine = library()?.load(&file.bytes).map_err(failed)?;
    let mut text = String::new();
    for tensor in engine.tensors().map_err(failed)? {
        let role = if tensor.input { "input" } else { "output" };
        let (name, shape, kind) = (&tensor.name, &tensor.shape, tensor.kind);
        text += &format!("{role:24} {name} {shape:?} {kind:?}, batch to {}\n", tensor.max_batch);
    }
    Ok(text + &engine.inspect().map_err(failed)?)
}

#[cfg(not(feature = "tensorrt"))]
fn inspect(_: &EngineFile) -> Result<String, EngineError> {
    Err(EngineError::Unavailable("this build has no TensorRT (cargo feature tensorrt)".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read() {
        assert_eq!(capability("8.6"), Ok(86));
        assert_eq!(capability("12.0"), Ok(120));
        for odd in ["86", "8.x", "8.10", "0.5", "-8.6", ""] {
            assert!(capability(odd).is_err(), "{odd}");
        }
    }
}
