//! Which runtime runs a model: what was asked for, or the best that there is.

use std::path::Path;
use std::sync::Arc;

use super::cpu::CpuEngine;
use super::engine::{Backend, DEFAULT_MODEL, Engine, EngineError, Request};

/// An engine and how it came to be chosen.
pub struct Opened {
    pub engine: Arc<dyn Engine>,
    /// Never [`Backend::Auto`].
    pub backend: Backend,
    /// One line.
    pub why: String,
}

/// What a model's file is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Onnx,
    Engine,
    Encrypted,
}

fn format(path: Option<&Path>) -> Format {
    let extension = path.and_then(|p| p.extension()).map(|e| e.to_ascii_lowercase());
    match extension.as_ref().and_then(|e| e.to_str()) {
        Some("engine" | "plan") => Format::Engine,
        Some("etlt") => Format::Encrypted,
        _ => Format::Onnx,
    }
}

/// What turns NVIDIA's encrypted model into an engine.
const ENCRYPTED: &str = "is encrypted (.etlt); NVIDIA's tao-converter turns it into an engine, on the \
    machine that will run it: tao-converter -k nvidia_tlt -t fp16 -d 3,72,72 \
    -p motion_input:0,1x3x72x72,16x3x72x72,16x3x72x72 \
    -p appearance_input:0,1x3x72x72,16x3x72x72,16x3x72x72 -e heartratenet.engine MODEL.etlt";

/// Opens a model.
pub fn open(request: &Request) -> Result<Opened, EngineError> {
    let chosen = |engine, backend, why: String| Opened { engine, backend, why };
    match (format(request.model), request.backend) {
        (Format::Encrypted, _) => Err(EngineError::Unavailable(ENCRYPTED.into())),
        (Format::Engine, Backend::Cpu | Backend::OnnxRuntime) => Err(EngineError::Unavailable(
            "is a TensorRT engine, which the CPU can't run: take an ONNX file".into(),
        )),
        (Format::Engine, _) => tensorrt(request, true)
            .map(|e| chosen(e, Backend::TensorRt, "TensorRT: the model is an engine".into())),
        (Format::Onnx, Backend::TensorRt) => tensorrt(request, false)
            .map(|e| chosen(e, Backend::TensorRt, "TensorRT: asked for".into())),
        (Format::Onnx, Backend::OnnxRuntime) => onnxruntime(request)
            .map(|e| chosen(e, Backend::OnnxRuntime, "ONNX Runtime: asked for".into())),
        (Format::Onnx, Backend::Cpu) => {
            cpu(request).map(|e| chosen(e, Backend::Cpu, "CPU (rten): asked for".into()))
        }
        (Format::Onnx, Backend::Auto) => best(request),
    }
}

/// TensorRT, else ONNX Runtime, else rten.
fn best(request: &Request) -> Result<Opened, EngineError> {
    let mut without = Vec::new();
    type Open = fn(&Request) -> Result<Arc<dyn Engine>, EngineError>;
    let candidates: [(Backend, &str, Open); 2] = [
        (Backend::TensorRt, "TensorRT", |r| tensorrt(r, false)),
        (Backend::OnnxRuntime, "ONNX Runtime", onnxruntime),
    ];
    for (backend, name, open) in candidates {
        match open(request) {
            Ok(engine) => {
                let why = format!("{name}, the best of this machine{}", reasons(&without));
                return Ok(Opened { engine, backend, why });
            }
            // No other runtime finds a file that is not there.
            Err(error @ EngineError::Read(_)) => return Err(error),
            Err(error) => without.push(format!("{name}: {error}")),
        }
    }
    let why = format!("CPU (rten){}", reasons(&without));
    Ok(Opened { engine: cpu(request)?, backend: Backend::Cpu, why })
}

fn reasons(without: &[String]) -> String {
    if without.is_empty() { String::new() } else { format!("; not {}", without.join("; not ")) }
}

/// The model's bytes.
pub fn read(path: Option<&Path>) -> Result<Vec<u8>, EngineError> {
    match path {
        Some(path) => std::fs::read(path).map_err(EngineError::Read),
        None => Ok(DEFAULT_MODEL.to_vec()),
    }
}

fn cpu(request: &Request) -> Result<Arc<dyn Engine>, EngineError> {
    Ok(Arc::new(CpuEngine::load(read(request.model)?, request.overrides)?))
}

#[cfg(feature = "onnxruntime")]
fn onnxruntime(request: &Request) -> Result<Arc<dyn Engine>, EngineError> {
    let engine = super::onnxruntime::OrtEngine::load(&read(request.model)?, request.overrides)?;
    Ok(Arc::new(engine))
}

#[cfg(not(feature = "onnxruntime"))]
fn onnxruntime(_: &Request) -> Result<Arc<dyn Engine>, EngineError> {
    let what = "this build has no ONNX Runtime (cargo feature onnxruntime, docs/engines.md)";
    Err(EngineError::Unavailable(what.into()))
}

#[cfg(feature = "tensorrt")]
fn tensorrt(request: &Request, engine: bool) -> Result<Arc<dyn Engine>, EngineError> {
    super::tensorrt::open(request, engine)
}

#[cfg(not(feature = "tensorrt"))]
fn tensorrt(_: &Request, _: bool) -> Result<Arc<dyn Engine>, EngineError> {
    let what = "this build has no TensorRT (cargo feature tensorrt, docs/engines.md)";
    Err(EngineError::Unavailable(what.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(model: &str, backend: Backend) -> String {
        let request = Request { model: Some(Path::new(model)), backend, ..Request::default() };
        open(&request).err().expect("it can't be opened").to_string()
    }

    #[test]
    fn an_encrypted_model_is_told_how_to_convert() {
        for backend in [Backend::Auto, Backend::Cpu, Backend::TensorRt] {
            let error = error("/x/heartratenet.ETLT", backend);
            assert!(error.contains("encrypted") && error.contains("tao-converter -k"), "{error}");
        }
    }

    #[test]
    fn an_engine_is_nothing_for_the_cpu() {
        assert!(error("/x/a.engine", Backend::Cpu).contains("can't run"));
    }

    #[test]
    fn the_choice_is_explained() {
        let opened = open(&Request { backend: Backend::Cpu, ..Request::default() }).unwrap();
        assert_eq!((opened.backend, &opened.why[..]), (Backend::Cpu, "CPU (rten): asked for"));
        let opened = open(&Request::default()).unwrap();
        match opened.backend {
            Backend::Cpu => {
                assert!(opened.why.starts_with("CPU (rten); not TensorRT: "), "{}", opened.why);
                assert!(opened.why.contains("; not ONNX Runtime: "), "{}", opened.why);
            }
            other => assert_ne!(other, Backend::Auto),
        }
    }
}
