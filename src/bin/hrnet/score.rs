//! Agreement of readings with their reference.

use serde::Serialize;

/// One reading beside the truth, both in beats per minute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    pub bpm: f64,
    pub reference: f64,
    pub confidence: f64,
}

/// Mean absolute and root mean square error in bpm, Pearson's r, and the shares of readings
/// within 2 and 5 bpm. What can't be told (no reading, no spread) is absent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Score {
    pub n: usize,
    pub mae: Option<f64>,
    pub rmse: Option<f64>,
    pub r: Option<f64>,
    pub within2: Option<f64>,
    pub within5: Option<f64>,
    pub confident: Confident,
}

/// The same for readings of confidence 0.5 and above; `coverage` is their share.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Confident {
    pub coverage: Option<f64>,
    pub mae: Option<f64>,
    pub within5: Option<f64>,
}

const CONFIDENT: f64 = 0.5;

impl Score {
    pub fn new(pairs: &[Pair]) -> Score {
        let sure: Vec<Pair> = pairs.iter().filter(|p| p.confidence >= CONFIDENT).copied().collect();
        Score {
            n: pairs.len(),
            mae: mean(pairs, |p| error(p).abs()),
            rmse: mean(pairs, |p| error(p).powi(2)).map(f64::sqrt),
            r: pearson(pairs),
            within2: mean(pairs, |p| f64::from(error(p).abs() <= 2.0)),
            within5: mean(pairs, |p| f64::from(error(p).abs() <= 5.0)),
            confident: Confident {
                coverage: mean(pairs, |p| f64::from(p.confidence >= CONFIDENT)),
                mae: mean(&sure, |p| error(p).abs()),
                within5: mean(&sure, |p| f64::from(error(p).abs() <= 5.0)),
            },
        }
    }
}

fn error(p: &Pair) -> f64 {
    p.bpm - p.reference
}

fn mean(pairs: &[Pair], value: impl Fn(&Pair) -> f64) -> Option<f64> {
    let sum: f64 = pairs.iter().map(value).sum();
    (!pairs.is_empty()).then(|| sum / pairs.len() as f64)
}

fn pearson(pairs: &[Pair]) -> Option<f64> {
    let (x, y) = (mean(pairs, |p| p.bpm)?, mean(pairs, |p| p.reference)?);
    let xy = mean(pairs, |p| (p.bpm - x) * (p.reference - y))?;
    let xx = mean(pairs, |p| (p.bpm - x).powi(2))?;
    let yy = mean(pairs, |p| (p.reference - y).powi(2))?;
    (xx > 0.0 && yy > 0.0).then(|| xy / (xx * yy).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_those_of_their_definitions() {
        let pair = |bpm, reference, confidence| Pair { bpm, reference, confidence };
        let pairs = [pair(61.0, 60.0, 0.9), pair(84.0, 80.0, 0.5), pair(110.0, 100.0, 0.1)];
        let score = Score::new(&pairs);
        assert_eq!(score.n, 3);
        assert_eq!(score.mae, Some(5.0));
        assert!((score.rmse.unwrap() - 39f64.sqrt()).abs() < 1e-12);
        assert!((score.r.unwrap() - 980.0 / (1202.0 * 800f64).sqrt()).abs() < 1e-12);
        assert_eq!((score.within2, score.within5), (Some(1.0 / 3.0), Some(2.0 / 3.0)));
        let confident = score.confident;
        assert_eq!(confident.coverage, Some(2.0 / 3.0));
        assert_eq!((confident.mae, confident.within5), (Some(2.5), Some(1.0)));
        assert_eq!(Score::new(&[]).mae, None);
    }
}
