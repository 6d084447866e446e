//! Files that appear when they are whole.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// A file being written beside its name; deleted unless [`Partial::finish`] renames it.
pub struct Partial {
    path: PathBuf,
    partial: PathBuf,
    file: BufWriter<File>,
}

impl Partial {
    /// # Errors
    /// In one line that names the file, like those of all methods.
    pub fn create(path: &Path) -> Result<Partial, String> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".partial");
        let partial = path.with_file_name(name);
        let file = File::create(&partial).map_err(|e| failed(path, &e))?;
        Ok(Partial { path: path.to_owned(), partial, file: BufWriter::new(file) })
    }

    /// Writes one line.
    pub fn line(&mut self, line: std::fmt::Arguments) -> Result<(), String> {
        writeln!(self.file, "{line}").map_err(|e| failed(&self.path, &e))
    }

    /// Writes `text` and gives the file its name.
    pub fn finish_with(mut self, text: &str) -> Result<(), String> {
        self.file.write_all(text.as_bytes()).map_err(|e| failed(&self.path, &e))?;
        self.finish()
    }

    /// Gives the file its name.
    pub fn finish(mut self) -> Result<(), String> {
        let done = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        done.and_then(|()| fs::rename(&self.partial, &self.path))
            .map_err(|e| failed(&self.path, &e))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After finish there is nothing of that name any more.
        let _ = fs::remove_file(&self.partial);
    }
}

fn failed(path: &Path, error: &io::Error) -> String {
    format!("{}: can't be written: {error}", path.display())
}

/// Makes the folder `path` with its parents, if it is not there.
pub fn make_folder(path: &Path) -> Result<(), String> {
    fs::create_dir_all(path).map_err(|e| failed(path, &e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_whole_or_not_there() {
        let folder = std::env::temp_dir().join(format!("partial-{}", std::process::id()));
        make_folder(&folder).unwrap();
        let path = folder.join("a.csv");
        let mut file = Partial::create(&path).unwrap();
        file.line(format_args!("1")).unwrap();
        drop(file);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        let mut file = Partial::create(&path).unwrap();
        file.line(format_args!("{}", 2)).unwrap();
        file.finish().unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        assert_eq!(fs::read_to_string(&path).unwrap(), "2\n");
        fs::remove_dir_all(&folder).unwrap();
        let error = Partial::create(&path).err().unwrap();
        assert_eq!(
            error,
            format!("{}: can't be written: No such file or directory (os error 2)", path.display())
        );
    }
}
