//! `hrnet prepare DATASET`: clips of recordings, by the crops and maps of the elements.

use std::path::{Path, PathBuf};

use gstheartrate::hrnetinfer::contract::Contract;
use gstheartrate::hrnetinfer::maps::MotionState;
use gstheartrate::hrnetinfer::pair::Pair;
use gstheartrate::meta::FaceCrop;
use gstheartrate::ppg2bpm::{Config, Sample, reference_bpm};
use serde_json::{Value, json};

use crate::dataset::{self, Subject, Wave};
use crate::media::{self, Record};
use crate::prepare::{CLIPS, ClipTensors, Options, Truth, shard_path, write_shard};

/// Frames a second of pictures without timestamps.
const FPS: f64 = 30.0;

/// Seconds before and after a frame over which its rate is read.
const AROUND: f64 = 5.0;

/// Writes the shards of the recordings at `path`. If one of them is bad, none is left.
pub fn prepare(path: &Path, options: &Options) -> Result<(), String> {
    let subjects = dataset::find(path, options.layout, FPS)?;
    let mut shards = Shards { options, clips: Vec::new(), written: Vec::new(), whole: false };
    for subject in &subjects {
        prepare_subject(subject, options, &mut shards)?;
    }
    let clips = shards.finish()?;
    println!("{clips} clips of {} pairs from {} recordings", options.frames, subjects.len());
    Ok(())
}

fn prepare_subject(
    subject: &Subject,
    options: &Options,
    shards: &mut Shards,
) -> Result<(), String> {
    let name = &subject.name;
    let wave = subject.truth.as_ref().ok_or_else(|| format!("{name}: no ground truth"))?;
    let settings =
        media::Settings { crops_only: Some(options.size as usize), ..media::Settings::default() };
    let mut cutter = Cutter::new(subject, wave, options);
    let mut last = 0;
    media::play(&subject.media, &settings, |record| {
        last = record.time;
        cutter.take(&record).map_or(Ok(()), |clip| shards.add(clip))
    })?;
    wave.must_cover(last as f64 * 1e-9).map_err(|e| format!("{name}: {e}"))
}

/// Collects clips into files.
struct Shards<'a> {
    options: &'a Options,
    clips: Vec<ClipTensors>,
    written: Vec<PathBuf>,
    whole: bool,
}

impl Shards<'_> {
    fn add(&mut self, clip: ClipTensors) -> Result<(), String> {
        self.clips.push(clip);
        if self.clips.len() == CLIPS { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), String> {
        let path = shard_path(&self.options.out, self.written.len());
        write_shard(self.options, &path, std::mem::take(&mut self.clips))?;
        self.written.push(path);
        Ok(())
    }

    /// Writes what is left; the number of clips.
    fn finish(&mut self) -> Result<usize, String> {
        let clips = self.written.len() * CLIPS + self.clips.len();
        if clips == 0 {
            let frames = self.options.frames;
            return Err(format!("no recording has a face over {frames} pairs of frames"));
        }
        if !self.clips.is_empty() {
            self.write()?;
        }
        self.whole = true;
        Ok(clips)
    }
}

impl Drop for Shards<'_> {
    fn drop(&mut self) {
        if !self.whole {
            self.written.iter().for_each(|path| drop(std::fs::remove_file(path)));
        }
    }
}

/// Cuts a recording into clips of `pairs`, all of one face. The face's motion scaling runs on from
/// clip to clip, as in hrnetinfer.
struct Cutter<'a> {
    subject: &'a Subject,
    truth: Rates,
    contract: Contract,
    size: usize,
    pairs: usize,
    face: Option<(u32, MotionState)>,
    clip: Option<ClipTensors>,
}

impl<'a> Cutter<'a> {
    fn new(subject: &'a Subject, wave: &Wave, options: &Options) -> Cutter<'a> {
        Cutter {
            subject,
            truth: Rates::new(wave),
            contract: Contract::default(),
            size: options.size as usize,
            pairs: options.frames as usize,
            face: None,
            clip: None,
        }
    }

    /// Takes a frame; gives the clip that ends with it.
    fn take(&mut self, record: &Record) -> Option<ClipTensors> {
        let crop = self.choose(&record.crops);
        let interval = crop.and_then(|c| c.previous.as_ref()?.interval);
        let (Some(crop), Some(interval)) = (crop, interval) else {
            // hrnetinfer forgets a face without a pair, too.
            (self.face, self.clip) = (None, None);
            return None;
        };
        if self.face.as_ref().is_none_or(|(id, _)| *id != crop.id) {
            (self.face, self.clip) = (Some((crop.id, MotionState::default())), None);
        }
        let (_, state) = self.face.as_mut()?;
        let pair = Pair::new(crop, interval, self.size)?;
        let mut map = vec![0.0; 3 * self.size * self.size];
        pair.motion(&self.contract, state, &mut map);
        let Some(truth) = self.truth.of(record.time, interval.nseconds()) else {
            self.clip = None;
            return None;
        };
        let clip = self.clip.get_or_insert_with(|| ClipTensors::new(Value::Null));
        clip.push_motion(&map);
        pair.appearance(&self.contract, &mut map);
        clip.push_appearance(&map);
        clip.push_truth(&truth);
        let whole = clip.pairs() == self.pairs;
        whole.then(|| self.clip.take()).flatten().map(|clip| self.describe(clip, record.time))
    }

    /// The face that is followed; if it is gone, the largest.
    fn choose<'c>(&self, crops: &'c [FaceCrop]) -> Option<&'c FaceCrop> {
        let known = self.face.as_ref().map(|(id, _)| *id);
        let area = |c: &&FaceCrop| c.rect[2] * c.rect[3];
        let same = crops.iter().find(|c| Some(c.id) == known);
        same.or_else(|| crops.iter().max_by(|a, b| area(a).total_cmp(&area(b))))
    }

    /// Writes what the clip is; `end` is its last frame's time, ns.
    fn describe(&self, mut clip: ClipTensors, end: u64) -> ClipTensors {
        let seconds: f64 = clip.seconds();
        let mut attributes = self.subject.attributes.clone();
        attributes.insert("recording".into(), json!(self.subject.name));
        attributes.entry("subject").or_insert(json!(self.subject.name));
        attributes.insert("negative".into(), json!(self.truth.negative));
        attributes.insert("fps".into(), json!(self.pairs as f64 / seconds));
        let middle = end as f64 * 1e-9 - seconds / 2.0;
        attributes.insert("bpm".into(), json!(self.truth.bpm(middle)));
        clip.attributes = Value::Object(attributes);
        clip
    }
}

/// The truth of a recording.
struct Rates {
    /// Mean 0 and the variance of a sine from −1 to 1, so that waves of all sensors are alike.
    wave: Wave,
    negative: bool,
    config: Config,
    /// The rate last worked out, and its second.
    last: Option<(i64, f64)>,
}

impl Rates {
    fn new(wave: &Wave) -> Rates {
        let n = wave.values.len() as f64;
        let mean = wave.values.iter().sum::<f64>() / n;
        let square = wave.values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
        let negative = wave.is_flat();
        let factor = if square > 0.0 { (2.0 * square).sqrt().recip() } else { 0.0 };
        let values = wave.values.iter().map(|v| (v - mean) * factor).collect();
        let wave = Wave { times: wave.times.clone(), values };
        Rates { wave, negative, config: Config::default(), last: None }
    }

    /// Of the pair that ends at `time` and is `interval` long, both in ns.
    fn of(&mut self, time: u64, interval: u64) -> Option<Truth> {
        let (seconds, step) = (time as f64 * 1e-9, interval as f64 * 1e-9);
        let label = self.wave.derivative_between(seconds - step, seconds)?;
        let wave = self.wave.at(seconds)?;
        let second = seconds.floor() as i64;
        let known = self.last.filter(|(s, _)| *s == second).map(|(_, bpm)| bpm);
        let bpm = known.unwrap_or_else(|| self.bpm(second as f64 + 0.5));
        self.last = Some((second, bpm));
        Some(Truth { label, wave, time: seconds, interval: interval as f32 * 1e-9, bpm })
    }

    /// Rate around `seconds`; 0 without a pulse, not a number where it can't be told.
    fn bpm(&self, seconds: f64) -> f64 {
        if self.negative {
            return 0.0;
        }
        let Wave { times, values } = &self.wave;
        let near = |i: &usize| (times[*i] - seconds).abs() <= AROUND;
        let sample = |i: usize| {
            let interval = times[i] - times[i - 1];
            let value = (values[i] - values[i - 1]) / interval;
            Sample { time: times[i], value, interval: Some(interval) }
        };
        let samples: Vec<_> = (1..times.len()).filter(near).map(sample).collect();
        reference_bpm(&samples, &self.config).unwrap_or(f64::NAN)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use gstheartrate::hrnetinfer::engine::{self, Attention, Backend, Engine};
    use gstheartrate::scene::clip::{Clip, Length, Set};

    use super::*;
    use crate::dataset::Layout;
    use crate::videos;

    #[test]
    fn rates_and_labels_are_the_waves() {
        let times: Vec<f64> = (0..1200).map(|i| i as f64 / 60.0).collect();
        let sine = |t: f64| (std::f64::consts::TAU * 1.5 * t).sin();
        // A sensor that counts around 500.
        let values = times.iter().map(|t| 500.0 + 40.0 * sine(*t)).collect();
        let mut rates = Rates::new(&Wave { times, values });
        let truth = rates.of(10_000_000_000, 33_333_333).unwrap();
        let step = 0.033333333;
        let expected = (sine(10.0) - sine(10.0 - step)) / step;
        assert!((truth.label - expected).abs() < 0.05, "{} {expected}", truth.label);
        assert!((truth.bpm - 90.0).abs() < 0.5, "{}", truth.bpm);
        assert!((truth.wave - sine(10.0)).abs() < 0.01);
        assert!(rates.of(25_000_000_000, 33_333_333).is_none());
    }

    #[test]
    fn no_pulse_is_zero() {
        let times = (0..600).map(|i| i as f64 / 60.0).collect();
        let mut rates = Rates::new(&Wave { times, values: vec![0.0; 600] });
        let truth = rates.of(5_000_000_000, 33_333_333).unwrap();
        assert!(rates.negative);
        assert_eq!((truth.label, truth.wave, truth.bpm), (0.0, 0.0, 0.0));
    }

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    /// What hrnetinfer computes from `record`, by the same functions: motion and appearance as they
    /// stand in a shard, and the sample of the network run on them.
    fn fed(
        record: &Record,
        engine: &dyn Engine,
        state: &mut MotionState,
        looked: &mut Option<(Attention, [f64; 4], u32)>,
    ) -> Option<(Vec<u8>, Vec<u8>, f64)> {
        let crop = record.crops.first()?;
        // hrnetinfer has asked for it: crops averaged twice would not be the same.
        assert_eq!(crop.size, engine.network().size);
        let pair = Pair::new(crop, crop.previous.as_ref()?.interval?, engine.network().size)?;
        let contract = &engine.network().contract;
        let mut motion = vec![0.0; engine.network().map_len()];
        let mut appearance = motion.clone();
        pair.motion(contract, state, &mut motion);
        pair.appearance(contract, &mut appearance);
        let sample = if engine.attends() {
            let every = contract.appearance_every;
            let fresh = looked.take().filter(|(_, rect, age)| *rect == crop.rect && *age < every);
            let (attention, rect, age) =
                fresh.unwrap_or_else(|| (engine.attend(&appearance).unwrap(), crop.rect, 0));
            let sample = engine.run_attending(&motion, &attention).unwrap();
            *looked = Some((attention, rect, age + 1));
            sample
        } else {
            engine.run(&motion, &appearance).unwrap()[0]
        };
        let mut clip = ClipTensors::new(Value::Null);
        clip.push_motion(&motion);
        clip.push_appearance(&appearance);
        Some((clip.motion, clip.appearance, f64::from(sample)))
    }

    /// The bytes of tensor `name` in a shard.
    fn tensor(shard: &[u8], name: &str) -> Vec<u8> {
        let length = u64::from_le_bytes(shard[..8].try_into().unwrap()) as usize;
        let (head, data) = shard[8..].split_at(length);
        let head: Value = serde_json::from_slice(head).unwrap();
        let at = |i: usize| head[name]["data_offsets"][i].as_u64().unwrap() as usize;
        data[at(0)..at(1)].to_vec()
    }

    #[test]
    fn what_is_learnt_is_what_is_fed_bit_for_bit() {
        let folder = std::env::temp_dir().join(format!("recorded-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let clip = Clip::new(1, Set::Training, videos::VIEW, Length::Seconds(2.0));
        videos::write(&folder, clip, Set::Training).unwrap();
        let out = folder.join("shards");
        let text = |path: &Path| path.to_str().unwrap().to_string();
        let line = ["prepare", &text(&folder), "--out", &text(&out), "--frames", "40"];
        prepare(&folder, &Line::parse_from(line).options).unwrap_err(); // no folder to write to
        crate::prepare::run(&Line::parse_from(line).options).unwrap();
        let shard = std::fs::read(shard_path(&out, 0)).unwrap();

        // The one that the pipeline takes.
        let engine = engine::load(None, Backend::Auto, &|_| None).unwrap();
        let subject = &dataset::find(&folder, Layout::Auto, FPS).unwrap()[0];
        let (mut motion, mut appearance, mut pairs) = (Vec::new(), Vec::new(), 0);
        let (mut state, mut looked) = (MotionState::default(), None);
        media::play(&subject.media, &media::Settings::default(), |record| {
            if let Some((m, a, sample)) = fed(&record, &*engine, &mut state, &mut looked) {
                assert_eq!(record.faces[0].ppg, Some(sample), "pair {pairs}");
                if pairs < 40 {
                    motion.extend(m);
                    appearance.extend(a);
                }
                pairs += 1;
            }
            Ok(())
        })
        .unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(pairs >= 40, "{pairs}");
        assert_eq!(motion.len(), 40 * 3 * 36 * 36 * 2);
        assert!(motion == tensor(&shard, "motion"), "the motion maps differ");
        assert!(appearance == tensor(&shard, "appearance"), "the appearance maps differ");
    }
}
