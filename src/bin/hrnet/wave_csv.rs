//! Reading a CSV of pulse samples and their truth.

use std::path::Path;

use gstheartrate::meta::LightChange;

use crate::table::Table;

/// One row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// Time of the frame in ns.
    pub time: u64,
    /// Time since the frame before in ns; unknown where the file has times of its own, as a row
    /// may be missing.
    pub interval: Option<u64>,
    /// Rate of change of the pulse wave, as the network put it out.
    pub prediction: f64,
    /// Rate of change of the contact sensor's wave.
    pub label: f64,
    pub light: Option<LightChange>,
}

/// Reads the columns `prediction`, `label` and, if there is one, `time` (seconds); without it
/// frames are 1 / `fps` apart; `light` and `light_around`, where there are both and neither is
/// empty. The error names the file and the row.
pub fn read(path: &Path, fps: f64) -> Result<Vec<Row>, String> {
    let table = Table::read(path, &["prediction", "label"], &["time", "light", "light_around"])?;
    let frame = |i: usize| (i as f64 * 1e9 / fps).round() as u64;
    let times = table.has("time").then(|| table.times("time")).transpose()?;
    let row = |i: usize| {
        let (time, interval) = match &times {
            None => (frame(i + 1), Some(frame(i + 1) - frame(i))),
            Some(times) => (nanoseconds(times[i]).map_err(|e| table.error(i, e))?, None),
        };
        let (prediction, label) = (table.number(i, "prediction")?, table.number(i, "label")?);
        Ok(Row { time, interval, prediction, label, light: light(&table, i)? })
    };
    (0..table.len()).map(row).collect()
}

fn light(table: &Table, row: usize) -> Result<Option<LightChange>, String> {
    if table.text(row, "light").is_empty() || table.text(row, "light_around").is_empty() {
        return Ok(None);
    }
    let number = |column| Ok::<_, String>(table.number(row, column)? as f32);
    Ok(Some(LightChange { face: number("light")?, around: number("light_around")? }))
}

fn nanoseconds(seconds: f64) -> Result<u64, String> {
    // A century is more than any recording and far from overflow.
    if (0.0..3.2e9).contains(&seconds) {
        Ok((seconds * 1e9).round() as u64)
    } else {
        Err(format!("time {seconds} s is out of range"))
    }
}
