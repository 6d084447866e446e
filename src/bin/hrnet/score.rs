//! Agreement of readings with their reference. docs/hrnet.md has the formulas.

use serde::Serialize;

/// One reading beside the truth, both in beats per minute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    pub bpm: f64,
    pub reference: f64,
    pub confidence: f64,
    /// dB, as the model card defines it.
    pub snr: f64,
    /// Whether the reading is at status ok.
    pub ok: bool,
}

impl Pair {
    /// Whether the reading lies within 5 bpm of the truth.
    pub fn is_right(&self) -> bool {
        absolute(self) <= 5.0
    }
}

/// Mean absolute and root mean square error in bpm, mean absolute error in % of the reference,
/// Pearson's r, SNR in dB, and the shares of readings within 2 and 5 bpm. What can't be told (no
/// reading, no spread) is absent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Score {
    /// Readings.
    pub n: usize,
    pub mae: Option<f64>,
    pub rmse: Option<f64>,
    pub mape: Option<f64>,
    pub r: Option<f64>,
    pub snr: Option<f64>,
    pub within2: Option<f64>,
    pub within5: Option<f64>,
    /// Standard errors as if all readings were independent.
    pub se: Errors,
    pub confident: Confident,
}

/// Standard errors of figures of the same name, in their units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Errors {
    pub mae: Option<f64>,
    pub rmse: Option<f64>,
    pub mape: Option<f64>,
    pub r: Option<f64>,
    pub snr: Option<f64>,
}

/// The same for readings at status ok; `coverage` is their share of all seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Confident {
    pub coverage: Option<f64>,
    pub mae: Option<f64>,
    pub within5: Option<f64>,
}

impl Score {
    /// The score of `pairs`, of `seconds` at which there could have been a reading.
    pub fn new(pairs: &[Pair], seconds: usize) -> Score {
        let sure: Vec<Pair> = pairs.iter().filter(|p| p.ok).copied().collect();
        Score {
            n: pairs.len(),
            mae: mean(pairs, absolute),
            rmse: rmse(pairs),
            mape: mean(pairs, relative),
            r: pearson(pairs),
            snr: mean(pairs, |p| p.snr),
            within2: mean(pairs, |p| f64::from(absolute(p) <= 2.0)),
            within5: mean(pairs, |p| f64::from(p.is_right())),
            se: Errors::of_readings(pairs),
            confident: Confident {
                coverage: (seconds > 0).then(|| sure.len() as f64 / seconds as f64),
                mae: mean(&sure, absolute),
                within5: mean(&sure, |p| f64::from(p.is_right())),
            },
        }
    }
}

impl Errors {
    /// Standard errors as if the readings were independent: that of the mean for MAE, MAPE and
    /// SNR; of the mean square over 2·RMSE for RMSE (delta method); √((1 − r²) / (n − 2)) for r.
    fn of_readings(pairs: &[Pair]) -> Errors {
        let r = pearson(pairs).filter(|_| pairs.len() > 2);
        let root = rmse(pairs).filter(|r| *r > 0.0);
        Errors {
            mae: error_of_mean(pairs, absolute),
            rmse: root.and_then(|r| Some(error_of_mean(pairs, square)? / (2.0 * r))),
            mape: error_of_mean(pairs, relative),
            r: r.map(|r| ((1.0 - r * r).max(0.0) / (pairs.len() - 2) as f64).sqrt()),
            snr: error_of_mean(pairs, |p| p.snr),
        }
    }

    /// Standard errors over subjects, whose readings are not independent of one another: each
    /// figure is found again without one subject after the other (jackknife). Absent for fewer
    /// than two subjects with readings.
    pub fn over_subjects(subjects: &[Vec<Pair>]) -> Errors {
        let subjects: Vec<&Vec<Pair>> = subjects.iter().filter(|s| !s.is_empty()).collect();
        let without = |i: usize| -> Vec<Pair> {
            let others = subjects.iter().enumerate().filter(|(k, _)| *k != i);
            others.flat_map(|(_, s)| s.iter().copied()).collect()
        };
        let figures = |i: usize| {
            let rest = without(i);
            let errors = [mean(&rest, absolute), rmse(&rest), mean(&rest, relative)];
            (errors, pearson(&rest), mean(&rest, |p| p.snr))
        };
        let all: Vec<_> = (0..subjects.len()).map(figures).collect();
        let of = |i: usize| jackknife(all.iter().map(|f| f.0[i]));
        Errors {
            mae: of(0),
            rmse: of(1),
            mape: of(2),
            r: jackknife(all.iter().map(|f| f.1)),
            snr: jackknife(all.iter().map(|f| f.2)),
        }
    }
}

/// √((k − 1) / k · Σ (x − x̄)²) of `k` figures, each found without one subject.
fn jackknife(figures: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let figures: Vec<f64> = figures.collect::<Option<_>>()?;
    let k = figures.len() as f64;
    let mean = figures.iter().sum::<f64>() / k;
    let sum: f64 = figures.iter().map(|x| (x - mean).powi(2)).sum();
    (k > 1.0).then(|| ((k - 1.0) / k * sum).sqrt())
}

fn absolute(p: &Pair) -> f64 {
    (p.bpm - p.reference).abs()
}

fn square(p: &Pair) -> f64 {
    (p.bpm - p.reference).powi(2)
}

/// % of the reference.
fn relative(p: &Pair) -> f64 {
    100.0 * absolute(p) / p.reference
}

fn rmse(pairs: &[Pair]) -> Option<f64> {
    mean(pairs, square).map(f64::sqrt)
}

fn mean<T>(all: &[T], value: impl Fn(&T) -> f64) -> Option<f64> {
    let sum: f64 = all.iter().map(value).sum();
    (!all.is_empty()).then(|| sum / all.len() as f64)
}

/// Standard deviation (n − 1) over √n.
fn error_of_mean(pairs: &[Pair], value: impl Fn(&Pair) -> f64) -> Option<f64> {
    let (n, middle) = (pairs.len() as f64, mean(pairs, &value)?);
    let sum: f64 = pairs.iter().map(|p| (value(p) - middle).powi(2)).sum();
    (n > 1.0).then(|| (sum / (n - 1.0) / n).sqrt())
}

fn pearson(pairs: &[Pair]) -> Option<f64> {
    let (x, y) = (mean(pairs, |p| p.bpm)?, mean(pairs, |p| p.reference)?);
    let xy = mean(pairs, |p| (p.bpm - x) * (p.reference - y))?;
    let xx = mean(pairs, |p| (p.bpm - x).powi(2))?;
    let yy = mean(pairs, |p| (p.reference - y).powi(2))?;
    (xx > 0.0 && yy > 0.0).then(|| xy / (xx * yy).sqrt())
}

/// Readings of about one confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bin {
    /// Least confidence in the bin.
    pub from: f64,
    pub n: usize,
    /// Mean of the confidences.
    pub stated: Option<f64>,
    /// Share of readings within 5 bpm of a pulse that is there.
    pub observed: Option<f64>,
}

/// Stated confidences against the share that was right, in ten bins of 0.1.
pub fn reliability(stated: &[(f64, bool)]) -> Vec<Bin> {
    let bin = |confidence: f64| ((10.0 * confidence + 1e-9) as usize).min(9);
    let of = |i: usize| {
        let inside: Vec<_> = stated.iter().filter(|(c, _)| bin(*c) == i).copied().collect();
        Bin {
            from: i as f64 / 10.0,
            n: inside.len(),
            stated: mean(&inside, |(c, _)| *c),
            observed: mean(&inside, |(_, right)| f64::from(*right)),
        }
    };
    (0..10).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(bpm: f64, reference: f64, confidence: f64) -> Pair {
        Pair { bpm, reference, confidence, snr: bpm / 10.0, ok: confidence >= 0.5 }
    }

    fn near(value: Option<f64>, expected: f64) {
        let value = value.expect("there is a figure");
        assert!((value - expected).abs() < 1e-9, "{value} instead of {expected}");
    }

    /// Errors of 1, 4 and 10 bpm; everything below worked out by hand.
    #[test]
    fn the_figures_are_those_of_their_definitions() {
        let pairs = [pair(61.0, 60.0, 0.9), pair(84.0, 80.0, 0.5), pair(110.0, 100.0, 0.1)];
        let score = Score::new(&pairs, 4);
        assert_eq!(score.n, 3);
        assert_eq!(score.mae, Some(5.0));
        near(score.rmse, 39f64.sqrt());
        near(score.mape, (100.0 / 60.0 + 5.0 + 10.0) / 3.0);
        near(score.r, 980.0 / (1202.0 * 800f64).sqrt());
        near(score.snr, 8.5);
        assert_eq!((score.within2, score.within5), (Some(1.0 / 3.0), Some(2.0 / 3.0)));
        let confident = score.confident;
        assert_eq!(confident.coverage, Some(0.5));
        assert_eq!((confident.mae, confident.within5), (Some(2.5), Some(1.0)));
        assert_eq!(Score::new(&[], 0).mae, None);
        assert_eq!(Score::new(&[], 7).confident.coverage, Some(0.0));
    }

    #[test]
    fn standard_errors_are_those_of_their_definitions() {
        let pairs = [pair(61.0, 60.0, 0.9), pair(84.0, 80.0, 0.5), pair(110.0, 100.0, 0.1)];
        let se = Score::new(&pairs, 3).se;
        // |e| 1, 4, 10: squares about the mean 16 + 1 + 25 = 42, over 2, over 3.
        near(se.mae, 7f64.sqrt());
        // e² 1, 16, 100: about 39 they are 1444 + 529 + 3721 = 5694.
        near(se.rmse, (5694f64 / 6.0).sqrt() / (2.0 * 39f64.sqrt()));
        let r2 = 980f64.powi(2) / (1202.0 * 800.0);
        near(se.r, (1.0 - r2).sqrt());
        // 6.1, 8.4, 11 about 8.5.
        near(se.snr, ((5.76 + 0.01 + 6.25) / 6f64).sqrt());
        let one = Score::new(&pairs[..1], 1).se;
        assert_eq!((one.mae, one.r), (None, None));
    }

    #[test]
    fn subjects_are_what_the_error_is_taken_over() {
        // Two readings of error 1, one of error 4: without the first subject 4, without the
        // second 1; the jackknife of two figures is half their difference.
        let first = vec![pair(61.0, 60.0, 0.9), pair(81.0, 80.0, 0.9)];
        let second = vec![pair(84.0, 80.0, 0.9)];
        near(Errors::over_subjects(&[first.clone(), second, Vec::new()]).mae, 1.5);
        assert_eq!(Errors::over_subjects(&[first, Vec::new()]).mae, None);
        // With one reading a subject the jackknife of a mean is the error of the mean.
        let pairs = [pair(61.0, 60.0, 0.9), pair(84.0, 80.0, 0.5), pair(110.0, 100.0, 0.1)];
        let alone: Vec<Vec<Pair>> = pairs.iter().map(|p| vec![*p]).collect();
        near(Errors::over_subjects(&alone).mae, 7f64.sqrt());
    }

    #[test]
    fn stated_and_observed_stand_in_bins_of_a_tenth() {
        let bins = reliability(&[(0.95, true), (1.0, true), (0.7, false)]);
        assert_eq!(bins.len(), 10);
        assert_eq!((bins[9].n, bins[9].observed), (2, Some(1.0)));
        near(bins[9].stated, 0.975);
        assert_eq!((bins[7].n, bins[7].observed), (1, Some(0.0)));
        assert_eq!((bins[0].n, bins[0].stated), (0, None));
    }
}
