//! A TensorRT engine on disk: `x.engine`, and beside it `x.engine.json` with what is known of it.
//!
//! The second file is optional. It is an object of strings: the contract's `hrnet.*` keys, and `sha256`
//! of the engine, by which a damaged one is told before TensorRT reads it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use gst::glib;

use super::engine::EngineError;

/// An engine and what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineFile {
    pub bytes: Vec<u8>,
    pub about: BTreeMap<String, String>,
}

/// SHA-256 in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    let digits = glib::compute_checksum_for_data(glib::ChecksumType::Sha256, bytes);
    digits.map_or_else(String::new, Into::into)
}

/// The file beside an engine.
fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".json");
    name.into()
}

impl EngineFile {
    pub fn read(path: &Path) -> Result<EngineFile, EngineError> {
        let bytes = fs::read(path).map_err(EngineError::Read)?;
        if bytes.is_empty() {
            return Err(EngineError::Unavailable("is an empty file".into()));
        }
        let (note, mut about) = (beside(path), BTreeMap::new());
        let odd = |e: &dyn std::fmt::Display| {
            EngineError::Unavailable(format!("{} can't be used: {e}", note.display()))
        };
        if note.exists() {
            let text = fs::read(&note).map_err(|e| odd(&e))?;
            about = serde_json::from_slice(&text).map_err(|e| odd(&e))?;
        }
        let file = EngineFile { bytes, about };
        file.check()?;
        Ok(file)
    }

    fn check(&self) -> Result<(), EngineError> {
        match self.about.get("sha256") {
            Some(sum) if *sum != sha256(&self.bytes) => Err(EngineError::Unavailable(
                "is a damaged engine, or not the one that the file beside it is about: it has \
                 another checksum"
                    .into(),
            )),
            _ => Ok(()),
        }
    }

    /// Writes both files, each under another name first.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        let mut about = self.about.clone();
        about.insert("sha256".into(), sha256(&self.bytes));
        let note = serde_json::to_vec_pretty(&about)?;
        write_whole(path, &self.bytes)?;
        write_whole(&beside(path), &note)
    }
}

/// Writes a file beside its name and renames it when it is whole.
fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = OsString::from(path);
    name.push(format!(".{}.part", std::process::id()));
    let part = PathBuf::from(name);
    let written = fs::write(&part, bytes).and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        let _ = fs::remove_file(&part);
    }
    written
}

/// The engine kept in `cache` under `key`; else what `build` makes, which is then kept. An entry is a
/// folder that is renamed when it is whole: of two processes that build at once the later one's is
/// dropped.
pub fn cached(
    cache: &Path,
    key: &str,
    warn: &dyn Fn(&str),
    build: impl FnOnce() -> Result<EngineFile, EngineError>,
) -> Result<EngineFile, EngineError> {
    let entry = cache.join(sha256(key.as_bytes()));
    if entry.exists() {
        match EngineFile::read(&entry.join("model.engine")) {
            Ok(file) if file.about.contains_key("sha256") => return Ok(file),
            _ => warn(&format!("The cached engine {} is damaged: built anew", entry.display())),
        }
        let _ = fs::remove_dir_all(&entry);
    }
    let file = build()?;
    if let Err(error) = keep(&entry, &file) {
        warn(&format!("The engine can't be kept as {}: {error}", entry.display()));
    }
    Ok(file)
}

/// Removes what is kept under `key`; whether there was something.
pub fn forget(cache: &Path, key: &str) -> bool {
    fs::remove_dir_all(cache.join(sha256(key.as_bytes()))).is_ok()
}

fn keep(entry: &Path, file: &EngineFile) -> std::io::Result<()> {
    let part = entry.with_extension(format!("{}.part", std::process::id()));
    fs::create_dir_all(&part)?;
    let kept = file.write(&part.join("model.engine")).and_then(|()| fs::rename(&part, entry));
    if kept.is_err() {
        let _ = fs::remove_dir_all(&part);
    }
    // Another process was quicker.
    if entry.join("model.engine").exists() { Ok(()) } else { kept }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("engine-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn file(bytes: &[u8]) -> EngineFile {
        let about = BTreeMap::from([("hrnet.color".to_string(), "bgr".to_string())]);
        EngineFile { bytes: bytes.to_vec(), about }
    }

    #[test]
    fn a_file_comes_back_and_a_damaged_one_is_told() {
        let path = folder("file").join("a.engine");
        file(b"engine").write(&path).unwrap();
        let read = EngineFile::read(&path).unwrap();
        assert_eq!((read.bytes, &read.about["hrnet.color"][..]), (b"engine".to_vec(), "bgr"));
        fs::write(&path, b"engin").unwrap();
        assert!(EngineFile::read(&path).unwrap_err().to_string().contains("damaged"));
        fs::write(&path, b"").unwrap();
        assert!(EngineFile::read(&path).unwrap_err().to_string().contains("empty"));
        fs::write(beside(&path), "{\"sha256\": 7}").unwrap();
        fs::write(&path, b"engine").unwrap();
        assert!(EngineFile::read(&path).unwrap_err().to_string().contains("a.engine.json"));
        // Without the file beside it an engine is taken as it is.
        fs::remove_file(beside(&path)).unwrap();
        assert!(EngineFile::read(&path).unwrap().about.is_empty());
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn an_engine_is_built_once_and_a_damaged_entry_anew() {
        let cache = folder("cache");
        let (builds, warnings) = (Cell::new(0), RefCell::new(Vec::new()));
        let get = |key: &str| {
            let build = || {
                builds.set(builds.get() + 1);
                Ok(file(key.as_bytes()))
            };
            let warn = |text: &str| warnings.borrow_mut().push(text.to_string());
            cached(&cache, key, &warn, build).unwrap().bytes
        };
        assert_eq!((get("a"), get("a"), get("b")), (b"a".to_vec(), b"a".to_vec(), b"b".to_vec()));
        assert_eq!((builds.get(), warnings.borrow().len()), (2, 0));
        let entry = cache.join(sha256(b"a"));
        fs::write(entry.join("model.engine"), b"x").unwrap();
        assert_eq!(get("a"), b"a");
        fs::remove_file(entry.join("model.engine.json")).unwrap();
        assert_eq!((get("a"), get("a")), (b"a".to_vec(), b"a".to_vec()));
        assert_eq!((builds.get(), warnings.borrow().len()), (4, 2));
        assert!(warnings.borrow()[0].contains("damaged"), "{warnings:?}");
        assert!(forget(&cache, "b") && !forget(&cache, "b"));
        assert_eq!((get("b"), builds.get()), (b"b".to_vec(), 5));
        // Nothing is left but the two entries.
        assert_eq!(fs::read_dir(&cache).unwrap().count(), 2);
        fs::remove_dir_all(&cache).unwrap();
    }

    #[test]
    fn an_entry_of_another_process_stays_and_a_failed_build_leaves_nothing() {
        let cache = folder("two");
        let silent = |_: &str| ();
        let build = || {
            // The other process is done while this one builds.
            keep(&cache.join(sha256(b"k")), &file(b"other")).unwrap();
            Ok(file(b"own"))
        };
        assert_eq!(cached(&cache, "k", &silent, build).unwrap().bytes, b"own");
        let never = || unreachable!("it is kept");
        assert_eq!(cached(&cache, "k", &silent, never).unwrap().bytes, b"other");
        let fail = || Err(EngineError::Unavailable("no".into()));
        assert!(cached(&cache, "f", &silent, fail).is_err());
        assert_eq!(fs::read_dir(&cache).unwrap().count(), 1);
        fs::remove_dir_all(&cache).unwrap();
    }

    #[test]
    fn a_cache_that_can_not_be_written_is_a_warning() {
        let cache = folder("full").join("file");
        fs::write(&cache, b"").unwrap();
        let warnings = Cell::new(0);
        let warn = |_: &str| warnings.set(warnings.get() + 1);
        assert_eq!(cached(&cache, "k", &warn, || Ok(file(b"own"))).unwrap().bytes, b"own");
        assert_eq!(warnings.get(), 1);
        fs::remove_dir_all(cache.parent().unwrap()).unwrap();
    }
}
