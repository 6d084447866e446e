//! What a network learns from, clip by clip: maps by the code that hrnetinfer runs, and the truth.

use std::collections::BTreeMap;
use std::path::Path;

use gstheartrate::hrnetinfer::contract::Contract;
use gstheartrate::hrnetinfer::maps::{MotionState, appearance_map, motion_map};
use serde_json::Value;

use crate::shard::{self, Tensor, half};

/// The tensors of one clip as bytes, with its description.
#[derive(Default)]
pub struct ClipTensors {
    pub pairs: usize,
    motion: Vec<u8>,
    appearance: Vec<u8>,
    label: Vec<u8>,
    wave: Vec<u8>,
    time: Vec<u8>,
    interval: Vec<u8>,
    bpm: Vec<u8>,
    pub attributes: Value,
    /// Some crops, planar RGB, for looking at.
    pub samples: Vec<Vec<f32>>,
}

/// What is true of one pair.
pub struct Truth {
    /// Derivative of the wave in the pair's middle, per second.
    pub label: f64,
    /// Wave at its second frame, and that frame's time in seconds.
    pub wave: f64,
    pub time: f64,
    pub bpm: f64,
}

impl ClipTensors {
    pub fn new(attributes: Value) -> ClipTensors {
        ClipTensors { attributes, ..ClipTensors::default() }
    }

    /// Appends the maps of a pair of crops, `interval` seconds apart, and the truth of it.
    pub fn push(
        &mut self,
        state: &mut MotionState,
        (previous, current): (&[f32], &[f32]),
        interval: f32,
        truth: &Truth,
    ) {
        let contract = Contract::default();
        let mut map = vec![0.0; current.len()];
        let bytes = |map: &[f32], out: &mut Vec<u8>| {
            out.extend(map.iter().flat_map(|v| half(*v).to_le_bytes()));
        };
        motion_map(&contract, state, previous, current, interval, &mut map);
        bytes(&map, &mut self.motion);
        appearance_map(&contract, current, &mut map);
        bytes(&map, &mut self.appearance);
        self.label.extend((truth.label as f32).to_le_bytes());
        self.wave.extend((truth.wave as f32).to_le_bytes());
        self.time.extend(truth.time.to_le_bytes());
        self.interval.extend(interval.to_le_bytes());
        self.bpm.extend((truth.bpm as f32).to_le_bytes());
        self.pairs += 1;
    }
}

/// Writes clips of `frames` pairs of maps of `size` pixels each as one file; `set` says where they
/// are from. The error names the file.
pub fn write_shard(
    path: &Path,
    set: &str,
    (frames, size): (usize, usize),
    clips: Vec<ClipTensors>,
) -> Result<(), String> {
    let named = |e: std::io::Error| format!("{}: {e}", path.display());
    let attributes: Vec<&Value> = clips.iter().map(|c| &c.attributes).collect();
    let metadata = BTreeMap::from([
        ("clips", serde_json::to_string(&attributes).map_err(|e| named(e.into()))?),
        ("set", set.to_string()),
    ]);
    let images = vec![clips.len(), frames, 3, size, size];
    let series = vec![clips.len(), frames];
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
    shard::write(path, &tensors, &metadata).map_err(named)
}
