//! CSV files with named columns; errors name file and row (the head is row 1).

use std::path::Path;

use csv::StringRecord;

/// All rows of a file.
pub struct Table {
    file: String,
    columns: Vec<(&'static str, usize)>,
    records: Vec<StringRecord>,
}

impl Table {
    /// Reads `path`, which must have the columns `required`, and may have `optional`; upper and
    /// lower case are the same. A file without rows is an error.
    pub fn read(
        path: &Path,
        required: &[&'static str],
        optional: &[&'static str],
    ) -> Result<Table, String> {
        let file = path.display().to_string();
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_path(path)
            .map_err(|e| format!("{file}: can't be read: {}", reason(&e)))?;
        let head = reader.headers().map_err(|e| format!("{file}: row 1: {}", reason(&e)))?;
        let find = |name: &str| {
            let same = |h: &str| h.trim_start_matches('\u{feff}').eq_ignore_ascii_case(name);
            head.iter().position(same)
        };
        let mut columns = Vec::new();
        for name in required {
            let missing = || format!("{file}: row 1: no column '{name}'");
            columns.push((*name, find(name).ok_or_else(missing)?));
        }
        columns.extend(optional.iter().filter_map(|name| Some((*name, find(name)?))));
        let mut records = Vec::new();
        for (i, record) in reader.records().enumerate() {
            records.push(record.map_err(|e| format!("{file}: row {}: {}", i + 2, reason(&e)))?);
        }
        if records.is_empty() {
            return Err(format!("{file}: row 2: no samples"));
        }
        Ok(Table { file, columns, records })
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|(name, _)| *name == column)
    }

    /// The error `what` at `row`, counted from 0.
    pub fn error(&self, row: usize, what: impl std::fmt::Display) -> String {
        format!("{}: row {}: {what}", self.file, row + 2)
    }

    /// What stands in `column`, one of those asked for.
    pub fn text(&self, row: usize, column: &str) -> &str {
        let index = self.columns.iter().find(|(name, _)| *name == column).map(|c| c.1);
        index.and_then(|i| self.records[row].get(i)).unwrap_or_default()
    }

    /// The finite number in `column`.
    pub fn number(&self, row: usize, column: &str) -> Result<f64, String> {
        let text = self.text(row, column);
        let value: Option<f64> = text.parse().ok();
        let wrong = || self.error(row, format!("{column} '{text}' is not a number"));
        value.filter(|v| v.is_finite()).ok_or_else(wrong)
    }

    /// The numbers of `column`, which must grow from row to row.
    pub fn times(&self, column: &str) -> Result<Vec<f64>, String> {
        let mut times: Vec<f64> = Vec::with_capacity(self.len());
        for row in 0..self.len() {
            let time = self.number(row, column)?;
            if times.last().is_some_and(|before| *before >= time) {
                return Err(
                    self.error(row, format!("{column} is not later than in the row before"))
                );
            }
            times.push(time);
        }
        Ok(times)
    }

    /// The numbers of `column`.
    pub fn numbers(&self, column: &str) -> Result<Vec<f64>, String> {
        (0..self.len()).map(|row| self.number(row, column)).collect()
    }
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
