//! `hrnet prepare`: writes what a network learns from, made by the code that the elements run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use gstheartrate::facecrop::area::{PackedRgb, area_average};
use gstheartrate::hrnetinfer::contract::Contract;
use gstheartrate::hrnetinfer::maps::{MotionState, appearance_map, motion_map};
use gstheartrate::scene::clip::{Clip, Length, Set, View};
use serde_json::{Map, Value, json};

use crate::dataset::Layout;
use crate::groups::Filter;
use crate::partial::make_folder;
use crate::recorded;
use crate::seeds;
use crate::shard::{self, Tensor, half};
use crate::transcode::Frames;
use crate::videos;

/// Clips in a file.
pub const CLIPS: usize = 50;

/// Writes shards of training tensors.
#[derive(clap::Args)]
pub struct Options {
    /// Data set whose recordings are cut into clips
    #[arg(value_name = "DATASET", required_unless_present = "synthetic")]
    dataset: Option<PathBuf>,
    /// How the data set's folders are laid out
    #[arg(long, value_enum, default_value_t)]
    pub layout: Layout,
    /// Number of synthetic clips to render, in place of a data set.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    #[arg(conflicts_with_all = ["dataset", "layout"])]
    synthetic: Option<u64>,
    /// Folder for the shards; made if it is not there.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// First seed: clip i is drawn from seed + i, or from the i-th one after it that --where takes.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Only clips with one of these values in their attributes; LOW-HIGH for numbers
    #[arg(long = "where", value_name = "KEY=VALUE[,VALUE…]", value_parser = Filter::parse)]
    #[arg(requires = "synthetic")]
    filters: Vec<Filter>,
    /// Pairs of frames in a clip.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub frames: u32,
    /// Side of the network's input in pixels.
    #[arg(long, default_value_t = 36, value_parser = clap::value_parser!(u32).range(4..=256))]
    pub size: u32,
    /// Clips to check with: other seeds, drawn faces of wider proportions, other motion.
    #[arg(long)]
    val: bool,
    /// Writes videos of 640 × 480 with their ground truth, in the layout that `hrnet evaluate`
    /// reads, instead of tensors
    #[arg(long, requires = "synthetic")]
    videos: bool,
    /// Seconds of a video.
    #[arg(long, default_value_t = 20.0, value_parser = seconds, requires = "videos")]
    seconds: f64,
    /// Threads that render.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=256))]
    threads: u32,
    /// Also writes a picture of the clips' crops, for looking at.
    #[arg(long, value_name = "PNG", requires = "synthetic")]
    sheet: Option<PathBuf>,
}

impl Options {
    fn set(&self) -> Set {
        if self.val { Set::Validation } else { Set::Training }
    }

    fn view(&self) -> View {
        if self.videos { videos::VIEW } else { View::Crops }
    }

    fn length(&self) -> Length {
        if self.videos {
            Length::Seconds(self.seconds)
        } else {
            Length::Pairs(self.frames as usize)
        }
    }

    fn clip(&self, seed: u64) -> Clip {
        Clip::new(seed, self.set(), self.view(), self.length())
    }

    /// Those of the clips to render.
    fn seeds(&self) -> Result<Vec<u64>, String> {
        let total = self.synthetic.unwrap_or_default() as usize;
        let draw = |seed| match json!(self.clip(seed).attributes) {
            Value::Object(attributes) => attributes,
            _ => Map::new(),
        };
        seeds::find((self.seed, total), &self.filters, self.threads, draw)
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_string())?;
    (1.0..=3600.0).contains(&value).then_some(value).ok_or("must be from 1 to 3600".into())
}

/// The tensors of one clip as bytes, with its description.
pub struct ClipTensors {
    pub motion: Vec<u8>,
    pub appearance: Vec<u8>,
    label: Vec<u8>,
    wave: Vec<u8>,
    time: Vec<u8>,
    interval: Vec<u8>,
    bpm: Vec<u8>,
    pub attributes: Value,
    /// First, middle and last crop, planar RGB, for the sheet.
    samples: Vec<Vec<f32>>,
}

/// Runs the command; the error names what failed.
pub fn run(options: &Options) -> Result<(), String> {
    let Options { out, .. } = options;
    let seeds = options.seeds()?;
    make_folder(out)?;
    if let Some(dataset) = &options.dataset {
        return recorded::prepare(dataset, options);
    }
    if options.videos {
        let write = |i: usize| videos::write(out, options.clip(seeds[i]), options.set());
        return parallel(options.threads, seeds.len(), write).map(drop);
    }
    let mut samples = Vec::new();
    for (number, seeds) in seeds.chunks(CLIPS).enumerate() {
        let render = |i: usize| render_clip(options, seeds[i]);
        let mut clips = parallel(options.threads, seeds.len(), render)?;
        let path = shard_path(out, number);
        samples.extend(clips.iter_mut().map(|c| std::mem::take(&mut c.samples)));
        write_shard(options, &path, clips)?;
    }
    if let Some(path) = &options.sheet {
        write_sheet(path, options.size as usize, &samples)
            .map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(())
}

/// `work` for 0..`count` on all threads; the results in order, or the first error.
pub fn parallel<T: Send>(
    threads: u32,
    count: usize,
    work: impl Fn(usize) -> Result<T, String> + Sync,
) -> Result<Vec<T>, String> {
    let next = AtomicUsize::new(0);
    let done: Mutex<BTreeMap<usize, Result<T, String>>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    if i >= count {
                        break;
                    }
                    let result = work(i);
                    if result.is_err() {
                        next.store(count, Ordering::Relaxed);
                    }
                    done.lock().unwrap_or_else(PoisonError::into_inner).insert(i, result);
                }
            });
        }
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}

/// Renders one clip and makes its network inputs.
fn render_clip(options: &Options, seed: u64) -> Result<ClipTensors, String> {
    let (size, pairs) = (options.size as usize, options.frames as usize);
    let mut clip = options.clip(seed);
    let mut tensors = ClipTensors::new(json!(clip.attributes));
    let mut frames = Frames::new(&mut clip)?;
    let contract = Contract::default();
    let mut state = MotionState::default();
    let (mut current, mut previous) = (Vec::new(), Vec::new());
    let (mut crop, mut last_crop) = (Vec::new(), Vec::new());
    let mut map = vec![0.0; 3 * size * size];
    frames.read(&mut previous)?;
    for frame in 1..=pairs {
        frames.read(&mut current)?;
        let clip = frames.clip();
        let rect = clip.crop(frame);
        if frame == 1 || rect != clip.crop(frame - 1) {
            // Both frames of a pair are cropped with one rectangle.
            area_average(&packed(&previous, clip.size()), rect, size, &mut last_crop);
        }
        area_average(&packed(&current, clip.size()), rect, size, &mut crop);
        let interval = (clip.time(frame) - clip.time(frame - 1)) as f32;
        motion_map(&contract, &mut state, &last_crop, &crop, interval, &mut map);
        tensors.push_motion(&map);
        appearance_map(&contract, &crop, &mut map);
        tensors.push_appearance(&map);
        tensors.push_truth(&Truth {
            label: clip.label(frame),
            wave: clip.wave(frame),
            time: clip.time(frame),
            interval,
            bpm: clip.bpm(frame),
        });
        if frame == 1 || frame == pairs / 2 || frame == pairs {
            tensors.samples.push(crop.clone());
        }
        std::mem::swap(&mut current, &mut previous);
        std::mem::swap(&mut crop, &mut last_crop);
    }
    Ok(tensors)
}

fn packed(data: &[u8], (width, height): (usize, usize)) -> PackedRgb<'_> {
    PackedRgb { data, width, height, stride: 3 * width }
}

/// What is known of one pair of frames; units as in the shard.
pub struct Truth {
    pub label: f64,
    pub wave: f64,
    pub time: f64,
    pub interval: f32,
    pub bpm: f64,
}

impl ClipTensors {
    pub fn new(attributes: Value) -> ClipTensors {
        let empty = Vec::new;
        ClipTensors {
            motion: empty(),
            appearance: empty(),
            label: empty(),
            wave: empty(),
            time: empty(),
            interval: empty(),
            bpm: empty(),
            attributes,
            samples: Vec::new(),
        }
    }

    /// Pairs so far.
    pub fn pairs(&self) -> usize {
        self.label.len() / size_of::<f32>()
    }

    /// From the first frame, which has no pair, to the last.
    pub fn seconds(&self) -> f64 {
        let intervals = self.interval.chunks_exact(size_of::<f32>());
        let seconds = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        intervals.map(|b| f64::from(seconds(b))).sum()
    }

    pub fn push_motion(&mut self, map: &[f32]) {
        self.motion.extend(map.iter().flat_map(|v| half(*v).to_le_bytes()));
    }

    pub fn push_appearance(&mut self, map: &[f32]) {
        self.appearance.extend(map.iter().flat_map(|v| half(*v).to_le_bytes()));
    }

    pub fn push_truth(&mut self, truth: &Truth) {
        self.label.extend((truth.label as f32).to_le_bytes());
        self.wave.extend((truth.wave as f32).to_le_bytes());
        self.time.extend(truth.time.to_le_bytes());
        self.interval.extend(truth.interval.to_le_bytes());
        self.bpm.extend((truth.bpm as f32).to_le_bytes());
    }
}

/// Path of shard `number`.
pub fn shard_path(out: &Path, number: usize) -> PathBuf {
    out.join(format!("shard-{number:05}.safetensors"))
}

/// Writes `clips`, each of `options.frames` pairs, to `path`.
pub fn write_shard(options: &Options, path: &Path, clips: Vec<ClipTensors>) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("{}: can't be written: {e}", path.display());
    let (n, frames, size) = (clips.len(), options.frames as usize, options.size as usize);
    let attributes: Vec<&Value> = clips.iter().map(|c| &c.attributes).collect();
    let metadata = BTreeMap::from([
        ("clips", json!(attributes).to_string()),
        ("set", if options.val { "validation" } else { "training" }.to_string()),
    ]);
    let images = vec![n, frames, 3, size, size];
    let series = vec![n, frames];
    let mut columns: [Vec<Vec<u8>>; 7] = Default::default();
    for clip in clips {
        let parts = [
            clip.motion,
            clip.appearance,
            clip.label,
            clip.wave,
            clip.time,
            clip.interval,
            clip.bpm,
        ];
        columns.iter_mut().zip(parts).for_each(|(column, part)| column.push(part));
    }
    let heads = [
        ("motion", "F16", &images),
        ("appearance", "F16", &images),
        ("label", "F32", &series),
        ("wave", "F32", &series),
        ("time", "F64", &series),
        ("interval", "F32", &series),
        ("bpm", "F32", &series),
    ];
    let tensors: Vec<Tensor> = heads
        .into_iter()
        .zip(columns)
        .map(|((name, dtype, shape), data)| Tensor { name, dtype, shape: shape.clone(), data })
        .collect();
    shard::write(path, &tensors, &metadata).map_err(failed)
}

/// Writes crops as a PNG, ten clips a row, each clip's crops above one another; 100 clips at most.
fn write_sheet(path: &Path, size: usize, samples: &[Vec<Vec<f32>>]) -> std::io::Result<()> {
    const ZOOM: usize = 2;
    const COLUMNS: usize = 10;
    let cell = ZOOM * size;
    let rows = samples.len().min(10 * COLUMNS).div_ceil(COLUMNS);
    let (width, height) = (COLUMNS * cell, 3 * rows * cell);
    let mut pixels = vec![0u8; 3 * width * height];
    for (i, clip) in samples.iter().take(10 * COLUMNS).enumerate() {
        for (k, crop) in clip.iter().enumerate() {
            let (x0, y0) = (i % COLUMNS * cell, (i / COLUMNS * 3 + k) * cell);
            for (y, x) in (0..cell).flat_map(|y| (0..cell).map(move |x| (y, x))) {
                for c in 0..3 {
                    let value = crop[(c * size + y / ZOOM) * size + x / ZOOM];
                    pixels[3 * ((y0 + y) * width + x0 + x) + c] = (255.0 * value).round() as u8;
                }
            }
        }
    }
    let file = std::io::BufWriter::new(std::fs::File::create(path)?);
    let mut encoder = png::Encoder::new(file, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels)?;
    Ok(writer.finish()?)
}
