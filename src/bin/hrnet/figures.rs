//! The plots of the report.

use gstheartrate::ppg2bpm::filter::{BandPass, detrend};
use gstheartrate::ppg2bpm::resample::{Integral, RATE};
use gstheartrate::ppg2bpm::spectrum::{BIN, Spectrum};
use gstheartrate::ppg2bpm::{Config, Sample};

use crate::plot::{Axis, Plot};
use crate::recording::Method;
use crate::score::{Bin, Pair};
use crate::stage::Moment;
use crate::summary::Outcome;

/// Most dots in a plot; of more, every second, third … is drawn.
const DOTS: usize = 4000;
/// Seconds of a wave that are shown.
const SHOWN: f64 = 10.0;
/// The upper edge of errors that are shown, bpm.
const WORST: f64 = 20.0;

fn thinned(pairs: &[Pair]) -> impl Iterator<Item = &Pair> {
    pairs.iter().step_by(pairs.len().div_ceil(DOTS).max(1))
}

/// Estimate against reference.
pub fn scatter(pairs: &[Pair]) -> Plot {
    let both = || pairs.iter().flat_map(|p| [p.bpm, p.reference]);
    let (x, y) = (Axis::around("reference, bpm", both(), 20.0), "estimate, bpm");
    let (low, high) = (x.low, x.high);
    let y = Axis::around(y, both(), 20.0);
    let mut plot = Plot::new("estimate against reference", x, y);
    plot.line("ref", [(low, low), (high, high)].into_iter());
    let dots = |ok: bool| thinned(pairs).filter(move |p| p.ok == ok);
    plot.points("weak", dots(false).map(|p| (p.reference, p.bpm)));
    plot.points("est", dots(true).map(|p| (p.reference, p.bpm)));
    plot
}

/// Difference against mean, with bias and limits of agreement, after Bland and Altman (1986).
pub fn bland_altman(pairs: &[Pair]) -> Plot {
    let difference = |p: &Pair| p.bpm - p.reference;
    let middle = |p: &Pair| (p.bpm + p.reference) / 2.0;
    let n = pairs.len() as f64;
    let bias = pairs.iter().map(difference).sum::<f64>() / n;
    let squares: f64 = pairs.iter().map(|p| (difference(p) - bias).powi(2)).sum();
    let reach = 1.96 * (squares / (n - 1.0).max(1.0)).sqrt();
    let limits = [("+1.96 SD", bias + reach), ("−1.96 SD", bias - reach)];
    let heights = pairs.iter().map(difference).chain(limits.iter().map(|l| l.1));
    let x = Axis::around("mean of estimate and reference, bpm", pairs.iter().map(middle), 20.0);
    let y = Axis::around("estimate − reference, bpm", heights, 4.0);
    let mut plot = Plot::new("difference against mean", x, y);
    let dots = |ok: bool| thinned(pairs).filter(move |p| p.ok == ok);
    plot.points("weak", dots(false).map(|p| (middle(p), difference(p))));
    plot.points("est", dots(true).map(|p| (middle(p), difference(p))));
    plot.horizontal("ref", bias, &signed("bias", bias));
    for (name, limit) in limits {
        plot.horizontal("ref thin", limit, &signed(name, limit));
    }
    plot
}

fn signed(what: &str, value: f64) -> String {
    format!("{what}: {value:+.2} bpm").replace('-', "−")
}

/// Observed against stated confidence; bars are 95 % intervals, the numbers below count readings.
pub fn reliability(bins: &[Bin]) -> Plot {
    let x = Axis::new("stated confidence", 0.0, 1.0, 0.2);
    let y = Axis::new("share within 5 bpm", 0.0, 1.0, 0.2);
    let mut plot = Plot::new("observed against stated confidence", x, y);
    plot.line("ref", [(0.0, 0.0), (1.0, 1.0)].into_iter());
    let known = || bins.iter().filter_map(|b| Some((b.stated?, b.observed?, b.n)));
    for (stated, observed, n) in known() {
        let (low, high) = wilson(observed, n as f64);
        plot.line("est", [(stated, low), (stated, high)].into_iter());
        plot.word(stated, 0.0, &n.to_string());
    }
    plot.line("est thin", known().map(|(stated, observed, _)| (stated, observed)));
    plot.points("est", known().map(|(stated, observed, _)| (stated, observed)));
    plot
}

/// The 95 % interval of a share of `n`, after Wilson (1927).
fn wilson(share: f64, n: f64) -> (f64, f64) {
    const Z2: f64 = 1.96 * 1.96;
    let centre = (share + Z2 / (2.0 * n)) / (1.0 + Z2 / n);
    let root = (share * (1.0 - share) / n + Z2 / (4.0 * n * n)).sqrt();
    let half = Z2.sqrt() / (1.0 + Z2 / n) * root;
    (centre - half, centre + half)
}

/// Absolute error against confidence, and the mean of each tenth.
pub fn error_by_confidence(pairs: &[Pair]) -> Plot {
    let x = Axis::new("confidence", 0.0, 1.0, 0.2);
    let y = Axis::new("absolute error, bpm", 0.0, WORST, 5.0);
    let mut plot = Plot::new("error by confidence", x, y);
    let error = |p: &Pair| (p.bpm - p.reference).abs();
    let dots = |ok: bool| thinned(pairs).filter(move |p| p.ok == ok);
    plot.points("weak", dots(false).map(|p| (p.confidence, error(p))));
    plot.points("est", dots(true).map(|p| (p.confidence, error(p))));
    let mean = |i: usize| {
        let (low, high) = (i as f64 / 10.0, (i + 1) as f64 / 10.0);
        let inside = |p: &&Pair| p.confidence >= low && (p.confidence < high || i == 9);
        let errors: Vec<f64> = pairs.iter().filter(inside).map(error).collect();
        let n = errors.len() as f64;
        (!errors.is_empty()).then(|| (low + 0.05, errors.iter().sum::<f64>() / n))
    };
    plot.line("ref", (0..10).filter_map(mean));
    plot
}

/// The moment that a subject's pulse is shown at: the reading nearest to the middle.
fn shown_moment(outcome: &Outcome, window: f64) -> Option<&Moment> {
    let moments = outcome.moments(Method::Network, window);
    let middle = moments.len() / 2;
    let readings = moments.iter().enumerate().filter(|(_, m)| m.estimate.reading.is_some());
    readings.min_by_key(|(i, _)| i.abs_diff(middle)).map(|(_, m)| m)
}

/// The pulse samples of the face in the frame at `end` seconds, of the `seconds` before it.
fn samples(outcome: &Outcome, end: f64, seconds: f64) -> Vec<Sample> {
    let frames = outcome.recording.frames(Method::Network);
    let time = |t: u64| t as f64 * 1e-9;
    let until = frames.partition_point(|f| time(f.time) <= end + 1e-6);
    let faces = frames[..until].iter().filter_map(|f| Some((time(f.time), f.face?)));
    let faces: Vec<_> = faces.filter(|(t, _)| *t >= end - seconds - 1e-6).collect();
    let Some(id) = faces.last().map(|(_, f)| f.id) else { return Vec::new() };
    let interval = |ns: Option<u64>| ns.map(|ns| ns as f64 * 1e-9);
    let of_face = faces.iter().filter(|(_, f)| f.id == id);
    of_face
        .filter_map(|(time, f)| {
            Some(Sample { time: *time, value: f.ppg?, interval: interval(f.interval) })
        })
        .collect()
}

/// The band-passed wave of `samples` on the stage's grid, which ends with the last sample; of
/// unit standard deviation.
fn wave(samples: &[Sample], derivative: bool, seconds: f64) -> Vec<f64> {
    let Config { min_bpm, max_bpm, .. } = Config::default();
    let mut integral = Integral::default();
    samples.iter().for_each(|s| integral.push(*s));
    let mut wave = integral.wave(seconds, derivative);
    detrend(&mut wave);
    BandPass::new(min_bpm / 60.0, max_bpm / 60.0, RATE).run(&mut wave);
    let power = wave.iter().map(|v| v * v).sum::<f64>() / wave.len().max(1) as f64;
    if power > 0.0 {
        wave.iter_mut().for_each(|v| *v /= power.sqrt());
    }
    wave
}

/// The spectrum of one window's pulse, with its reading and its reference.
pub fn spectrum(outcome: &Outcome, window: f64) -> Option<Plot> {
    let moment = shown_moment(outcome, window)?;
    let derivative = outcome.recording.is_derivative(Method::Network);
    let samples = samples(outcome, moment.time, moment.estimate.window);
    let spectrum = Spectrum::new(&wave(&samples, derivative, window));
    let x = Axis::new("rate, bpm", 40.0, 240.0, 40.0);
    let y = Axis::new("power, share of the highest", 0.0, 1.0, 0.2);
    let mut plot = Plot::new("spectrum of the pulse", x, y);
    if let Some(reference) = moment.reference {
        plot.vertical("ref", reference);
    }
    let bins = spectrum.bins(40.0 / 60.0, 4.0);
    let most = spectrum.power()[bins.clone()].iter().fold(1e-300, |m: f64, v| m.max(*v));
    plot.line("est", bins.map(|i| (60.0 * i as f64 * BIN, spectrum.power()[i] / most)));
    Some(plot)
}

/// Ten seconds of the pulse over the contact sensor's.
pub fn waves(outcome: &Outcome, window: f64) -> Option<Plot> {
    let end = shown_moment(outcome, window)?.time;
    let derivative = outcome.recording.is_derivative(Method::Network);
    let pulse = samples(outcome, end, SHOWN);
    let pulse_end = pulse.last()?.time;
    let truth = outcome.recording.truth();
    let label = truth.stretch(end, SHOWN);
    let y = Axis::new("pulse, standard deviations", -3.0, 3.0, 1.0);
    let x = Axis::within("time, s", (end - SHOWN).max(0.0), end);
    let mut plot = Plot::new("pulse and contact sensor", x, y);
    let at = |wave: Vec<f64>, end: f64| {
        let n = wave.len();
        let time = move |i: usize| end - (n - 1 - i) as f64 / RATE;
        wave.into_iter().enumerate().map(move |(i, v)| (time(i), v))
    };
    if let Some(last) = label.last().filter(|_| !outcome.recording.is_negative()) {
        plot.line("ref", at(wave(label, truth.derivative, SHOWN), last.time));
    }
    plot.line("est", at(wave(&pulse, derivative, SHOWN), pulse_end));
    Some(plot)
}

/// Readings and reference over time; the darker a second, the higher its confidence.
pub fn rates(outcome: &Outcome, window: f64) -> Option<Plot> {
    let moments = outcome.moments(Method::Network, window);
    let (first, last) = (moments.first()?.time, moments.last()?.time);
    let reading = |m: &Moment| m.estimate.reading.map(|r| (m.time, r.bpm));
    let reference = |m: &Moment| m.reference.map(|r| (m.time, r));
    let rates = moments.iter().flat_map(|m| [reading(m), reference(m)]).flatten();
    let x = Axis::within("time, s", first - 1.0, last);
    let y = Axis::around("rate, bpm", rates.map(|r| r.1), 20.0);
    let mut plot = Plot::new("rate over time", x, y);
    for moment in moments {
        let confidence = moment.estimate.reading.map_or(0.0, |r| r.confidence);
        plot.band(moment.time - 1.0, moment.time, confidence);
    }
    plot.line("ref", moments.iter().filter_map(reference));
    let dots = |ok: bool| moments.iter().filter(move |m| m.is_ok() == ok).filter_map(reading);
    plot.points("weak", dots(false));
    plot.points("est", dots(true));
    Some(plot)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(bpm: f64, reference: f64, confidence: f64) -> Pair {
        Pair { bpm, reference, confidence, snr: 0.0, ok: confidence >= 0.5 }
    }

    /// Dots of a class.
    fn dots(svg: &str, class: &str) -> usize {
        let start = format!("<path class=\"dots {class}\" d=\"");
        let path = svg.split(&start).nth(1).and_then(|s| s.split('"').next());
        path.map_or(0, |p| p.matches("h0").count())
    }

    #[test]
    fn every_reading_is_a_dot() {
        let pairs = [pair(61.0, 60.0, 0.9), pair(84.0, 80.0, 0.5), pair(110.0, 100.0, 0.1)];
        for svg in [scatter(&pairs), bland_altman(&pairs), error_by_confidence(&pairs)] {
            let svg = svg.svg();
            assert_eq!((dots(&svg, "est"), dots(&svg, "weak")), (2, 1), "{svg}");
        }
        let many = vec![pair(61.0, 60.0, 0.9); 10_000];
        assert_eq!(dots(&scatter(&many).svg(), "est"), 3334);
    }

    #[test]
    fn bias_and_limits_of_agreement_are_written() {
        // Differences 1, 4 and 10: mean 5, standard deviation √21.
        let pairs = [pair(61.0, 60.0, 0.9), pair(84.0, 80.0, 0.5), pair(110.0, 100.0, 0.1)];
        let svg = bland_altman(&pairs).svg();
        for text in ["bias: +5.00 bpm", "+1.96 SD: +13.98 bpm", "−1.96 SD: −3.98 bpm"] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
    }

    #[test]
    fn the_interval_of_a_share_is_wilsons() {
        let (low, high) = wilson(0.5, 10.0);
        assert!((low - 0.2366).abs() < 1e-3 && (high - 0.7634).abs() < 1e-3, "{low} {high}");
        let (low, high) = wilson(1.0, 10.0);
        assert!((low - 0.7225).abs() < 1e-3 && (high - 1.0).abs() < 1e-9, "{low} {high}");
    }
}
