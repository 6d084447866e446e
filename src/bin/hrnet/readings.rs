//! The table of all readings that `training/calibrate.py` fits the confidence to.

use gstheartrate::ppg2bpm::confidence::Features;

use crate::partial::Partial;
use crate::stage::Moment;

/// Readings as CSV, in memory until they are written.
pub struct Readings(csv::Writer<Vec<u8>>);

impl Readings {
    pub fn new() -> Readings {
        let mut readings = Readings(csv::Writer::from_writer(Vec::new()));
        let head = ["file", "time", "bpm", "reference", "confidence", "status"];
        readings.record(head.into_iter().chain(Features::NAMES).map(String::from).collect());
        readings
    }

    /// Adds the readings among the `moments` of `file`. The reference of a `lifeless` one is 0.
    pub fn add(&mut self, file: &str, moments: &[Moment], lifeless: bool) {
        moments.iter().for_each(|m| self.add_one(file, m, lifeless));
    }

    fn add_one(&mut self, file: &str, moment: &Moment, lifeless: bool) {
        let Some(reading) = moment.estimate.reading else { return };
        let reference = if lifeless { Some(0.0) } else { moment.reference };
        let mut record = vec![
            file.to_string(),
            format!("{:.3}", moment.time),
            format!("{:.3}", reading.bpm),
            reference.map_or(String::new(), |r| format!("{r:.3}")),
            format!("{:.4}", reading.confidence),
            moment.estimate.status.as_str().to_string(),
        ];
        record.extend(reading.features.values().map(|v| format!("{v:.5}")));
        self.record(record);
    }

    fn record(&mut self, record: Vec<String>) {
        self.0.write_record(record).expect("rows of one length can be written to memory");
    }

    pub fn write(self, file: Partial) -> Result<(), String> {
        let bytes = self.0.into_inner().map_err(|e| e.to_string())?;
        file.finish_with(&String::from_utf8_lossy(&bytes))
    }
}
