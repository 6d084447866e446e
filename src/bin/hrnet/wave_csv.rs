//! Reading a CSV of pulse samples and their truth.

use std::path::Path;

use gstheartrate::meta::{Changes, ColourChange, LightChange, Movement};
use gstheartrate::ppg2bpm::faces::Seen;

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
    pub changes: Changes,
}

/// The columns of what stands beside the pulse.
pub const BESIDE: [&str; 11] = [
    "light",
    "light_around",
    "light_backdrop",
    "red",
    "green",
    "blue",
    "blood",
    "chroma_held",
    "move_x",
    "move_y",
    "growth",
];

/// Their values for one frame, empty where they are not known.
pub fn beside(seen: &Seen) -> String {
    let Changes { light, colour, blood, chroma_held, movement } = seen.changes;
    let backdrop = light.and_then(|l| l.backdrop).map(|b| format!("{b:.7}")).unwrap_or_default();
    let light = light.map(|l| format!("{:.6},{:.6}", l.face, l.around));
    let colour = colour.map(|c| format!("{:.7},{:.7},{:.7}", c.red, c.green, c.blue));
    let blood = blood.map(|b| format!("{b:.7}")).unwrap_or_default();
    let held = chroma_held.map(|h| format!("{h:.4}")).unwrap_or_default();
    let movement = movement.map(|m| format!("{:.6},{:.6},{:.6}", m.x, m.y, m.growth));
    let (colour, movement) = (colour.unwrap_or(",,".into()), movement.unwrap_or(",,".into()));
    format!("{},{backdrop},{colour},{blood},{held},{movement}", light.unwrap_or(",".into()))
}

/// Reads the columns `prediction`, `label` and, if there is one, `time` (seconds); without it
/// frames are 1 / `fps` apart; and of [`BESIDE`] light, colour, blood and movement, where all columns of one
/// are there and not empty. The error names the file and the row.
pub fn read(path: &Path, fps: f64) -> Result<Vec<Row>, String> {
    let optional: Vec<&str> = ["time"].into_iter().chain(BESIDE).collect();
    let table = Table::read(path, &["prediction", "label"], &optional)?;
    let frame = |i: usize| (i as f64 * 1e9 / fps).round() as u64;
    let times = table.has("time").then(|| table.times("time")).transpose()?;
    let row = |i: usize| {
        let (time, interval) = match &times {
            None => (frame(i + 1), Some(frame(i + 1) - frame(i))),
            Some(times) => (nanoseconds(times[i]).map_err(|e| table.error(i, e))?, None),
        };
        let (prediction, label) = (table.number(i, "prediction")?, table.number(i, "label")?);
        let [face, around, backdrop, red, green, blue, blood, held, x, y, growth] =
            BESIDE.map(|column| known(&table, i, column));
        let (light, backdrop) = (face?.zip(around?), backdrop?);
        let light = light.map(|(face, around)| LightChange { face, around, backdrop });
        let colour = red?.zip(green?).zip(blue?);
        let colour = colour.map(|((red, green), blue)| ColourChange { red, green, blue });
        let movement = x?.zip(y?).zip(growth?).map(|((x, y), growth)| Movement { x, y, growth });
        let changes = Changes { light, colour, blood: blood?, chroma_held: held?, movement };
        Ok(Row { time, interval, prediction, label, changes })
    };
    (0..table.len()).map(row).collect()
}

/// The number in a column, if there is one.
fn known(table: &Table, row: usize, column: &str) -> Result<Option<f32>, String> {
    let there = !table.text(row, column).is_empty();
    there.then(|| Ok(table.number(row, column)? as f32)).transpose()
}

fn nanoseconds(seconds: f64) -> Result<u64, String> {
    // A century is more than any recording and far from overflow.
    if (0.0..3.2e9).contains(&seconds) {
        Ok((seconds * 1e9).round() as u64)
    } else {
        Err(format!("time {seconds} s is out of range"))
    }
}
