//! Synthetic clips as videos with their truth, in the layout of a data set.

use std::fs;
use std::path::Path;

use gstheartrate::scene::clip::{Clip, Set, View};

use crate::transcode::write_video;

/// What a video shows: 640 × 480 pixels.
pub const VIEW: View = View::Frame(640, 480);

/// Samples a second of the ground truth, as a pulse oximeter has them.
const TRUTH_RATE: f64 = 60.0;

/// Writes `clip`, one of `set`, to the folder `out/SET-SEED`: `video.mkv`, `ground_truth.csv` and
/// `attributes.json`. The folder appears when it is whole.
pub fn write(out: &Path, clip: Clip, set: Set) -> Result<(), String> {
    let name = if set == Set::Training { "train" } else { "val" };
    let name = format!("{name}-{:06}", clip.attributes.seed);
    let partial = out.join(format!(".{name}.partial"));
    let result = write_into(&partial, clip).and_then(|()| {
        let whole = out.join(&name);
        let _ = fs::remove_dir_all(&whole);
        fs::rename(&partial, &whole).map_err(|e| e.to_string())
    });
    result.map_err(|e| {
        let _ = fs::remove_dir_all(&partial);
        format!("{}: {e}", out.join(&name).display())
    })
}

fn write_into(folder: &Path, mut clip: Clip) -> Result<(), String> {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).map_err(|e| e.to_string())?;
    write_video(&mut clip, &folder.join("video.mkv"))?;
    let attributes = serde_json::to_string_pretty(&clip.attributes).map_err(|e| e.to_string())?;
    let write = |name: &str, text: String| {
        fs::write(folder.join(name), text).map_err(|e| format!("{name}: {e}"))
    };
    write("attributes.json", attributes + "\n")?;
    write("ground_truth.csv", ground_truth(&clip))
}

/// `Time,PulseWaveform` in seconds from the first frame to beyond the last; more is more blood.
fn ground_truth(clip: &Clip) -> String {
    let seconds = clip.time(clip.pairs()) - clip.time(0);
    let mut text = String::from("Time,PulseWaveform\n");
    for i in 0..=(seconds * TRUTH_RATE).ceil() as usize {
        let t = i as f64 / TRUTH_RATE;
        text += &format!("{t:.6},{:.6}\n", clip.wave_at(t));
    }
    text
}
