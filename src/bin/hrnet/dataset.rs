//! Finds recordings: videos, folders of frames, and data sets in the layouts of HeartRateNet,
//! UBFC-rPPG and PURE.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::layouts;

/// How a data set's folders are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Layout {
    /// Whatever each folder looks like.
    #[default]
    Auto,
    /// `images/` or a video, `image_timestamps.csv`, `ground_truth.csv`.
    #[value(name = "heartratenet")]
    HeartRateNet,
    /// `vid.avi` with `ground_truth.txt` (set 2) or `gtdump.xmp` (set 1).
    Ubfc,
    /// `NAME.json` and `NAME/Image*.png`.
    Pure,
}

/// One recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    pub name: String,
    pub media: Media,
    /// The contact sensor's pulse wave; all 0 where there is no pulse to be read.
    pub truth: Option<Wave>,
    /// What else is known of it (`attributes.json`): for tables.
    pub attributes: Map<String, Value>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Media {
    Video(PathBuf),
    Frames(Vec<Frame>),
}

/// One image file.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    pub path: PathBuf,
    /// Nanoseconds since the first frame.
    pub time: u64,
}

/// A pulse wave. Times are seconds since the recording's first frame, ascending.
#[derive(Clone, Debug, PartialEq)]
pub struct Wave {
    pub times: Vec<f64>,
    pub values: Vec<f64>,
}

/// Seconds by which the first and the last value of a wave may be prolonged.
const BEYOND: f64 = 0.1;

impl Wave {
    /// Linear interpolation at `t` seconds; `None` where the wave has no value.
    pub fn at(&self, t: f64) -> Option<f64> {
        let (first, last) = (*self.times.first()?, *self.times.last()?);
        if t < first - BEYOND || t > last + BEYOND {
            return None;
        }
        let t = t.clamp(first, last);
        let after = self.times.partition_point(|time| *time < t).max(1).min(self.times.len() - 1);
        let (t0, t1) = (self.times[after - 1], self.times[after]);
        let share = (t - t0) / (t1 - t0);
        Some(self.values[after - 1] + share * (self.values[after] - self.values[after - 1]))
    }

    /// Mean rate of change between two moments: the label of a pair of frames.
    pub fn derivative_between(&self, from: f64, to: f64) -> Option<f64> {
        Some((self.at(to)? - self.at(from)?) / (to - from))
    }

    /// Whether it is 0 throughout: there is no pulse.
    pub fn is_flat(&self) -> bool {
        self.values.iter().all(|v| *v == 0.0)
    }

    /// Refuses a wave that leaves more than a second of `seconds` uncovered.
    pub fn must_cover(&self, seconds: f64) -> Result<(), String> {
        let (first, last) = (self.times[0], self.times[self.times.len() - 1]);
        if first <= 1.0 && last >= seconds - 1.0 {
            return Ok(());
        }
        Err(format!(
            "ground truth from {first:.3} to {last:.3} s does not cover the frames, 0 to \
             {seconds:.3} s"
        ))
    }
}

/// The recordings at `path`: a video file, a folder of images, a recording's folder, or a folder
/// of such folders. `fps` tells the time of images without timestamps.
pub fn find(path: &Path, layout: Layout, fps: f64) -> Result<Vec<Subject>, String> {
    if path.is_file() {
        let media = Media::Video(path.to_owned());
        let attributes = Map::new();
        return Ok(vec![Subject { name: stem(path), media, truth: None, attributes }]);
    }
    if let Some(subject) = layouts::read(path, layout, fps)? {
        return Ok(vec![subject]);
    }
    let mut subjects = Vec::new();
    for folder in entries(path)?.into_iter().filter(|p| p.is_dir() && !is_hidden(p)) {
        subjects.extend(layouts::read(&folder, layout, fps)?);
    }
    if subjects.is_empty() {
        return Err(format!("{}: no video, no frames and no data set in it", path.display()));
    }
    Ok(subjects)
}

/// What a folder holds, in order of names.
pub fn entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let failed = |e: std::io::Error| format!("{}: can't be read: {e}", folder.display());
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .map_err(failed)?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    paths.sort();
    Ok(paths)
}

/// A file's name without folder and ending.
pub fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waves_are_interpolated_and_end() {
        let wave = Wave { times: vec![0.0, 1.0, 3.0], values: vec![0.0, 2.0, -2.0] };
        assert_eq!(wave.at(0.5), Some(1.0));
        assert_eq!(wave.at(2.0), Some(0.0));
        assert_eq!((wave.at(-0.05), wave.at(3.05)), (Some(0.0), Some(-2.0)));
        assert_eq!((wave.at(-0.2), wave.at(3.2)), (None, None));
        assert_eq!(wave.derivative_between(1.0, 3.0), Some(-2.0));
        assert!(wave.must_cover(3.9).is_ok() && wave.must_cover(4.1).is_err());
    }
}
