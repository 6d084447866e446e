//! `hrnet prepare`: writes what a network learns from, made by the code that the elements run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use gstheartrate::facecrop::area::{PackedRgb, area_average};
use gstheartrate::hrnetinfer::maps::MotionState;
use gstheartrate::scene::clip::{Clip, Length, Set, View};

use crate::clip_tensors::{ClipTensors, Truth, write_shard};
use crate::dataset::{self, Layout};
use crate::recordings;
use crate::transcode::Frames;
use crate::videos;

/// Clips in a file.
const CLIPS: usize = 50;

/// Write the tensors that training reads, of recordings or of synthetic clips.
#[derive(clap::Args)]
pub struct Options {
    /// A data set with ground truth; see docs/hrnet.md for the layouts
    #[arg(value_name = "DATASET", required_unless_present = "synthetic")]
    dataset: Option<PathBuf>,
    /// Layout of the data set
    #[arg(long, value_enum, default_value_t)]
    layout: Layout,
    /// Frames a second of images without timestamps
    #[arg(long, default_value_t = 30.0, value_parser = crate::frame_rate)]
    fps: f64,
    /// Takes the whole frame for the face: for data sets of crops
    #[arg(long)]
    whole_frame: bool,
    /// Number of synthetic clips to render.
    #[arg(long, value_name = "N", conflicts_with = "dataset",
          value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    synthetic: Option<u64>,
    /// Folder for the shards; made if it is not there.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// First seed: clip i is drawn from seed + i.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Pairs of frames in a clip.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    frames: u32,
    /// Side of the network's input in pixels.
    #[arg(long, default_value_t = 36, value_parser = clap::value_parser!(u32).range(4..=256))]
    size: u32,
    /// Clips to check with: other seeds, drawn faces of wider proportions, other motion.
    #[arg(long)]
    val: bool,
    /// Writes videos of 640 × 480 with their ground truth, in the layout that `hrnet evaluate`
    /// reads, instead of tensors
    #[arg(long)]
    videos: bool,
    /// Seconds of a video.
    #[arg(long, default_value_t = 20.0, value_parser = seconds, requires = "videos")]
    seconds: f64,
    /// Threads that render.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=256))]
    threads: u32,
    /// Also writes a picture of the clips' crops, for looking at.
    #[arg(long, value_name = "PNG")]
    sheet: Option<PathBuf>,
}

impl Options {
    fn set(&self) -> Set {
        if self.val { Set::Validation } else { Set::Training }
    }

    fn seed(&self, clip: usize) -> u64 {
        self.seed.wrapping_add(clip as u64)
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    crate::in_range(text, 1.0, 3600.0)
}

/// Runs the command; the error names what failed.
pub fn run(options: &Options) -> Result<(), String> {
    let out = &options.out;
    std::fs::create_dir_all(out).map_err(|e| format!("{}: {e}", out.display()))?;
    match (&options.dataset, options.synthetic) {
        (Some(dataset), _) => run_recordings(options, dataset),
        (None, total) => run_synthetic(options, total.unwrap_or(0) as usize),
    }
}

fn run_recordings(options: &Options, path: &Path) -> Result<(), String> {
    let subjects = dataset::find(path, options.layout, options.fps)?;
    let clips = recordings::prepare(
        &subjects,
        &recordings::Options {
            out: &options.out,
            frames: options.frames as usize,
            size: options.size as usize,
            whole_frame: options.whole_frame,
        },
    )?;
    if clips == 0 {
        let (path, frames) = (path.display(), options.frames);
        return Err(format!("{path}: no face is followed for {frames} frames; try --frames"));
    }
    println!("{clips} clips of {} recordings", subjects.len());
    Ok(())
}

fn run_synthetic(options: &Options, total: usize) -> Result<(), String> {
    let Options { out, .. } = options;
    if options.videos {
        let length = Length::Seconds(options.seconds);
        let write = |i| videos::write(out, options.seed(i), options.set(), length);
        return parallel(options.threads, total, write).map(drop);
    }
    let mut samples = Vec::new();
    for (number, first) in (0..total).step_by(CLIPS).enumerate() {
        let count = CLIPS.min(total - first);
        let render = |i| render_clip(options, options.seed(first + i));
        let mut clips = parallel(options.threads, count, render)?;
        let path = out.join(format!("shard-{number:05}.safetensors"));
        samples.extend(clips.iter_mut().map(|c| std::mem::take(&mut c.samples)));
        let shape = (options.frames as usize, options.size as usize);
        write_shard(&path, if options.val { "validation" } else { "training" }, shape, clips)?;
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
    let mut clip = Clip::new(seed, options.set(), View::Crops, Length::Pairs(pairs));
    let attributes = serde_json::to_value(&clip.attributes).map_err(|e| e.to_string())?;
    let mut tensors = ClipTensors::new(attributes);
    let mut frames = Frames::new(&mut clip)?;
    let mut state = MotionState::default();
    let (mut current, mut previous) = (Vec::new(), Vec::new());
    let (mut crop, mut last_crop) = (Vec::new(), Vec::new());
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
        tensors.push(&mut state, (&last_crop, &crop), interval, &truth(clip, frame));
        if frame == 1 || frame == pairs / 2 || frame == pairs {
            tensors.samples.push(crop.clone());
        }
        std::mem::swap(&mut current, &mut previous);
        std::mem::swap(&mut crop, &mut last_crop);
    }
    Ok(tensors)
}

fn truth(clip: &Clip, frame: usize) -> Truth {
    Truth {
        label: clip.label(frame),
        wave: clip.wave(frame),
        time: clip.time(frame),
        bpm: clip.bpm(frame),
    }
}

fn packed(data: &[u8], (width, height): (usize, usize)) -> PackedRgb<'_> {
    PackedRgb { data, width, height, stride: 3 * width }
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
