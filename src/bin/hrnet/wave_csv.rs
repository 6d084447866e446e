//! Reading a CSV of pulse samples and their truth.

use std::path::Path;

use csv::StringRecord;

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
}

/// Reads the columns `prediction`, `label` and, if there is one, `time` (seconds); without it
/// frames are 1 / `fps` apart. The error names the file and the row (the head is row 1).
pub fn read(path: &Path, fps: f64) -> Result<Vec<Row>, String> {
    let name = path.display();
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_path(path)
        .map_err(|e| format!("{name}: can't be read: {}", reason(&e)))?;
    let head = reader.headers().map_err(|e| format!("{name}: row 1: {}", reason(&e)))?.clone();
    let columns = Columns::find(&head).map_err(|e| format!("{name}: row 1: {e}"))?;
    let mut rows = Vec::new();
    for (i, record) in reader.records().enumerate() {
        let row = record
            .map_err(|e| reason(&e))
            .and_then(|record| columns.row(&record, i, fps, rows.last()))
            .map_err(|e| format!("{name}: row {}: {e}", i + 2))?;
        rows.push(row);
    }
    if rows.is_empty() {
        return Err(format!("{name}: row 2: no samples"));
    }
    Ok(rows)
}

/// The error in one line, without the place that the csv crate puts in.
fn reason(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Io(e) => e.to_string(),
        csv::ErrorKind::Utf8 { .. } => "not UTF-8 text".into(),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} columns instead of {expected_len}")
        }
        _ => error.to_string().replace('\n', " "),
    }
}

struct Columns {
    prediction: usize,
    label: usize,
    time: Option<usize>,
}

impl Columns {
    fn find(head: &StringRecord) -> Result<Columns, String> {
        let find = |name: &str| head.iter().position(|h| h.trim_start_matches('\u{feff}') == name);
        let must = |name: &str| find(name).ok_or_else(|| format!("no column '{name}'"));
        Ok(Columns { prediction: must("prediction")?, label: must("label")?, time: find("time") })
    }

    fn row(
        &self,
        record: &StringRecord,
        index: usize,
        fps: f64,
        before: Option<&Row>,
    ) -> Result<Row, String> {
        let number = |column: usize, name: &str| {
            let text = record.get(column).unwrap_or_default();
            let value: Option<f64> = text.parse().ok();
            value
                .filter(|v| v.is_finite())
                .ok_or_else(|| format!("{name} '{text}' is not a number"))
        };
        let frame = |i: usize| (i as f64 * 1e9 / fps).round() as u64;
        let (time, interval) = match self.time {
            None => (frame(index + 1), Some(frame(index + 1) - frame(index))),
            Some(column) => (nanoseconds(number(column, "time")?)?, None),
        };
        if before.is_some_and(|b| b.time >= time) {
            return Err("time is not later than in the row before".into());
        }
        let prediction = number(self.prediction, "prediction")?;
        Ok(Row { time, interval, prediction, label: number(self.label, "label")? })
    }
}

fn nanoseconds(seconds: f64) -> Result<u64, String> {
    // A century is more than any recording and far from overflow.
    if (0.0..3.2e9).contains(&seconds) {
        Ok((seconds * 1e9).round() as u64)
    } else {
        Err(format!("time {seconds} s is out of range"))
    }
}
