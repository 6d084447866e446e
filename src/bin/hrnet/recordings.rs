//! `hrnet prepare DATASET`: training tensors from recordings with a sensor's pulse wave.

use std::path::{Path, PathBuf};

use gstheartrate::hrnetinfer::maps::MotionState;
use gstheartrate::meta::FaceCrop;
use gstheartrate::ppg2bpm::{Config, Sample, reference_bpm};
use serde_json::{Map, Value, json};

use crate::clip_tensors::{ClipTensors, Truth, write_shard};
use crate::dataset::{Subject, Wave};
use crate::media::{self, Record, Settings};

/// Clips in a file.
const CLIPS: usize = 50;

/// Half of the signal that a clip's rate is told from, seconds.
const HALF_WINDOW: f64 = 5.0;

/// What is made of the recordings.
pub struct Options<'a> {
    pub out: &'a Path,
    /// Pairs in a clip.
    pub frames: usize,
    /// Side of the maps.
    pub size: usize,
    pub whole_frame: bool,
}

/// Writes all whole clips of `subjects`; how many.
pub fn prepare(subjects: &[Subject], options: &Options) -> Result<usize, String> {
    let (mut waiting, mut files, mut clips) = (Vec::new(), 0, 0);
    let mut write = |clips: Vec<ClipTensors>| {
        let path: PathBuf = options.out.join(format!("shard-{files:05}.safetensors"));
        files += 1;
        write_shard(&path, "recordings", (options.frames, options.size), clips)
    };
    for subject in subjects {
        for clip in cut(subject, options)? {
            waiting.push(clip);
            clips += 1;
            if waiting.len() == CLIPS {
                write(std::mem::take(&mut waiting))?;
            }
        }
    }
    if !waiting.is_empty() {
        write(waiting)?;
    }
    Ok(clips)
}

/// The clips of one recording.
fn cut(subject: &Subject, options: &Options) -> Result<Vec<ClipTensors>, String> {
    let wave = subject.truth.as_ref().ok_or(format!("{}: no ground truth", subject.name))?;
    let settings = Settings {
        crops_only: Some(options.size),
        whole_frame: options.whole_frame,
        ..Settings::default()
    };
    let mut cutter = Cutter {
        wave: standardised(wave),
        attributes: attributes(subject, wave),
        frames: options.frames,
        face: None,
        bpm: None,
        clips: Vec::new(),
    };
    let mut seconds = 0.0;
    media::play(&subject.media, &settings, |record| {
        seconds = record.time as f64 * 1e-9;
        cutter.take(&record);
        Ok(())
    })?;
    wave.must_cover(seconds).map_err(|e| format!("{}: {e}", subject.name))?;
    Ok(cutter.clips)
}

fn attributes(subject: &Subject, wave: &Wave) -> Map<String, Value> {
    let mut attributes = subject.attributes.clone();
    attributes.insert("subject".into(), json!(subject.name));
    attributes.insert("negative".into(), json!(wave.is_flat()));
    attributes
}

/// The wave less its mean, over its standard deviation; a flat one stays as it is.
fn standardised(wave: &Wave) -> Wave {
    let n = wave.values.len() as f64;
    let mean = wave.values.iter().sum::<f64>() / n;
    let deviation = (wave.values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
    let values = match deviation > 0.0 {
        true => wave.values.iter().map(|v| (v - mean) / deviation).collect(),
        false => wave.values.clone(),
    };
    Wave { times: wave.times.clone(), values }
}

/// The face that is followed, and its clip so far.
struct Following {
    id: u32,
    motion: MotionState,
    clip: ClipTensors,
}

struct Cutter {
    wave: Wave,
    attributes: Map<String, Value>,
    frames: usize,
    face: Option<Following>,
    /// The second that the rate was told for last, and the rate.
    bpm: Option<(u64, f64)>,
    clips: Vec<ClipTensors>,
}

impl Cutter {
    /// Takes the largest face's pair. Where there is none, or no truth, or the face is another,
    /// the clip is given up.
    fn take(&mut self, record: &Record) {
        let area = |c: &&FaceCrop| c.rect[2] * c.rect[3];
        let largest = record.crops.iter().max_by(|a, b| area(a).total_cmp(&area(b)));
        self.face = largest.and_then(|crop| self.follow(crop, record.time as f64 * 1e-9));
        if self.face.as_ref().is_some_and(|f| f.clip.pairs == self.frames)
            && let Some(face) = &mut self.face
        {
            let mut clip = std::mem::take(&mut face.clip);
            clip.attributes = self.attributes.clone().into();
            self.clips.push(clip);
        }
    }

    fn follow(&mut self, crop: &FaceCrop, time: f64) -> Option<Following> {
        let previous = crop.previous.as_ref()?;
        let interval = previous.interval?.nseconds() as f64 * 1e-9;
        let truth = Truth {
            label: self.wave.derivative_between(time - interval, time)?,
            wave: self.wave.at(time)?,
            time,
            bpm: self.rate(time),
        };
        let mut face = self.face.take().filter(|f| f.id == crop.id).unwrap_or(Following {
            id: crop.id,
            motion: MotionState::default(),
            clip: ClipTensors::default(),
        });
        let pair = (&previous.pixels[..], &crop.pixels[..]);
        face.clip.push(&mut face.motion, pair, interval as f32, &truth);
        Some(face)
    }

    /// The rate in the second that holds `time`.
    fn rate(&mut self, time: f64) -> f64 {
        let second = time as u64;
        match self.bpm {
            Some((known, bpm)) if known == second => bpm,
            _ => self.bpm.insert((second, rate(&self.wave, second as f64 + 0.5))).1,
        }
    }
}

/// The wave's rate around `time` seconds, by the estimate that readings are judged by; 0 where it has none.
fn rate(wave: &Wave, time: f64) -> f64 {
    const STEP: f64 = 1.0 / 30.0;
    let first = (time - HALF_WINDOW).max(wave.times[0] + STEP);
    let sample = |i: usize| {
        let t = first + i as f64 * STEP;
        let value = wave.derivative_between(t - STEP, t)?;
        Some(Sample { time: t, value, interval: Some(STEP) })
    };
    let count = (2.0 * HALF_WINDOW / STEP) as usize;
    let samples: Vec<Sample> = (0..count).map_while(sample).collect();
    reference_bpm(&samples, &Config::default()).unwrap_or(0.0)
}
