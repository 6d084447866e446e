//! The signal stage against pulses whose rate is known, against what is no pulse, and against
//! recorded network outputs.

use std::f64::consts::TAU;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use gstheartrate::meta::{Changes, ColourChange, LightChange, Movement, Reason, Reasons, Status};
use gstheartrate::ppg2bpm::faces::Seen;
use gstheartrate::ppg2bpm::{Config, Estimate, Estimator};

const SECOND: f64 = 1e9;

/// Sum of twelve: near enough to a normal deviate.
fn normal(random: &mut fastrand::Rng) -> f64 {
    (0..12).map(|_| random.f64()).sum::<f64>() - 6.0
}

/// A pulse wave with a dicrotic harmonic.
fn wave(beats: f64) -> f64 {
    (TAU * beats).sin() + 0.3 * (2.0 * TAU * beats + 1.0).sin()
}

/// How frames are taken.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Frames {
    Even,
    /// Times off by up to a fifth of a frame.
    Jittered,
    /// As `Jittered`, and one frame in ten missing.
    Missing,
}

fn times(fps: f64, seconds: f64, frames: Frames, random: &mut fastrand::Rng) -> Vec<u64> {
    let mut times = Vec::new();
    for i in 0..=(fps * seconds) as usize {
        if frames == Frames::Missing && i > 0 && random.u32(0..10) == 0 {
            continue;
        }
        let off = if frames == Frames::Even { 0.0 } else { 0.4 * (random.f64() - 0.5) };
        times.push(((i as f64 + off).max(0.0) / fps * SECOND) as u64);
    }
    times
}

/// A sample made of frames `interval` ns apart.
fn seen(ppg: f64, interval: u64) -> Seen {
    Seen { ppg: Some(ppg), interval: Some(interval), ..Seen::default() }
}

const NONE: Changes =
    Changes { light: None, colour: None, blood: None, chroma_held: None, movement: None };

/// What a face changes by if blood makes it.
fn blood(change: f64) -> Changes {
    let of = |share: f64| (share * change) as f32;
    let colour = ColourChange { red: of(0.33), green: of(0.77), blue: of(0.53) };
    Changes { colour: Some(colour), blood: Some(of(1.0)), ..NONE }
}

fn beside(seen: Seen, changes: Changes) -> Seen {
    Seen { changes, ..seen }
}

/// Feeds the mean rate of change of `value` between frames at `times`, estimates twice a second,
/// and hands each estimate and its time in seconds to `each`.
fn run(times: &[u64], value: impl Fn(f64) -> f64, each: impl FnMut(f64, Estimate)) {
    run_beside(times, value, || NONE, each);
}

/// The same beside a face that changes so.
fn run_beside(
    times: &[u64],
    value: impl Fn(f64) -> f64,
    mut changes: impl FnMut() -> Changes,
    mut each: impl FnMut(f64, Estimate),
) {
    let mut estimator = Estimator::new(Config::default());
    let mut due = times[0] + SECOND as u64;
    for pair in times.windows(2) {
        let interval = pair[1] - pair[0];
        let change = value(pair[1] as f64 / SECOND) - value(pair[0] as f64 / SECOND);
        let ppg = change / (interval as f64 / SECOND);
        estimator.push(pair[1], &beside(seen(ppg, interval), changes()));
        if pair[1] >= due {
            due += SECOND as u64 / 2;
            each(pair[1] as f64 / SECOND, estimator.estimate());
        }
    }
}

#[test]
fn a_pulse_is_read_in_light_that_flickers_at_random_if_it_is_seen_around_the_face() {
    let (times, mut random) = light_times();
    let light: Vec<f32> = times.iter().map(|_| 0.01 * normal(&mut random) as f32).collect();
    let read = |known: bool| {
        let mut estimator = Estimator::new(Config::default());
        for (pair, around) in times.windows(2).zip(&light) {
            let interval = (pair[1] - pair[0]) as f64 / SECOND;
            let at = |time: u64| wave(1.2 * time as f64 / SECOND);
            // The light's steps are ten times the pulse's, and a network takes them for blood.
            let ppg = (at(pair[1]) - at(pair[0]) + 250.0 * f64::from(*around)) / interval;
            let change = LightChange { face: 1.2 * around, around: *around, backdrop: None };
            let seen = seen(ppg, pair[1] - pair[0]);
            estimator
                .push(pair[1], &beside(seen, Changes { light: known.then_some(change), ..NONE }));
        }
        estimator.estimate()
    };
    assert_eq!(read(false).bpm(), None);
    let bpm = read(true).bpm().unwrap();
    assert!((bpm - 72.0).abs() < 0.5, "{bpm}");
}

#[test]
fn light_that_is_no_number_does_no_harm() {
    let (times, _) = light_times();
    let mut estimator = Estimator::new(Config::default());
    for (i, pair) in times.windows(2).enumerate() {
        let at = |time: u64| wave(1.2 * time as f64 / SECOND);
        let ppg = (at(pair[1]) - at(pair[0])) * 30.0;
        let around = if i == 200 { f32::NAN } else { 0.0 };
        let light = Some(LightChange { face: around, around, backdrop: None });
        estimator.push(pair[1], &beside(seen(ppg, pair[1] - pair[0]), Changes { light, ..NONE }));
    }
    assert!((estimator.estimate().bpm().unwrap() - 72.0).abs() < 0.5);
}

#[test]
fn a_head_that_nods_is_no_pulse_and_a_pulse_beside_it_is_one() {
    let (times, mut random) = light_times();
    // What a nod leaves in the wave, at 150 a minute, and where the face is, in sides of the crop.
    let nod = |time: u64| (TAU * 2.5 * time as f64 / SECOND).sin();
    let noise: Vec<f64> = times.iter().map(|_| 3.0 * normal(&mut random)).collect();
    let read = |pulse: f64, nods: f64, size: f64| {
        let mut estimator = Estimator::new(Config::default());
        for (pair, noise) in times.windows(2).zip(&noise) {
            let at = |time: u64| pulse * wave(1.2 * time as f64 / SECOND) + nods * nod(time);
            let ppg = (at(pair[1]) - at(pair[0])) * 30.0 + noise;
            let x = (size * (nod(pair[1]) - nod(pair[0]))) as f32;
            let movement = Some(Movement { x, y: -x / 2.0, growth: 0.0 });
            estimator
                .push(pair[1], &beside(seen(ppg, pair[1] - pair[0]), Changes { movement, ..NONE }));
        }
        estimator.estimate()
    };
    let nodding = read(0.0, 1.0, 0.01);
    assert_eq!((nodding.bpm(), nodding.status), (None, Status::Weak));
    assert!(nodding.reasons.iter().any(|r| r == Reason::Motion), "{:?}", nodding.reasons);
    // The same wave of a face that rests is a pulse's, and so is one that a nod is not in step with.
    for (pulse, nods, size, bpm) in [(0.0, 1.0, 1e-5, 150.0), (1.0, 0.1, 0.01, 72.0)] {
        let bpm_read = read(pulse, nods, size).bpm().unwrap();
        assert!((bpm_read - bpm).abs() < 1.0, "{bpm_read} for {bpm}");
    }
}

/// What a face changes by whose quiet places alone are known.
fn quiet(change: f64) -> Changes {
    Changes { blood: Some(change as f32), ..NONE }
}

/// A rate, and what a face changes by whose blood changes so.
type Shown = (f64, fn(f64) -> Changes);

/// Reads ten seconds in which the network has two lines of such rates and strengths with `loud` noise
/// beside them, and the face changes at a rate.
fn read_lines(lines: [(f64, f64); 2], loud: f64, shown: Option<Shown>) -> Estimate {
    let (times, mut random) = light_times();
    let noise: Vec<f64> = times.iter().map(|_| normal(&mut random)).collect();
    let line = |hz: f64, time: u64| (TAU * hz * time as f64 / SECOND).sin();
    let mut estimator = Estimator::new(Config::default());
    for (pair, noise) in times.windows(2).zip(&noise) {
        let step = |bpm: f64| line(bpm / 60.0, pair[1]) - line(bpm / 60.0, pair[0]);
        let pulse: f64 = lines.iter().map(|(bpm, size)| size * step(*bpm)).sum();
        let changes = shown.map_or(NONE, |(bpm, changes)| changes(0.004 * step(bpm)));
        let seen = seen(30.0 * pulse + loud * noise, pair[1] - pair[0]);
        estimator.push(pair[1], &beside(seen, changes));
    }
    estimator.estimate()
}

/// Half and twice 94 a minute: the network has hardly more of the one than of the other.
const EITHER: [(f64, f64); 2] = [(47.0, 0.25), (94.0, 0.25)];

#[test]
fn the_colour_of_the_face_tells_which_of_two_rates_it_is_and_overrules_nothing() {
    let alone = read_lines(EITHER, 6.0, None).reading.unwrap().bpm;
    assert!((alone - 94.0).abs() < 3.0, "{alone}");
    for bpm in [47.0, 94.0] {
        let found = read_lines(EITHER, 6.0, Some((bpm, blood))).reading.unwrap().bpm;
        // And where its line is: the network's alone is off by 0.4.
        assert!((found - bpm).abs() < 0.2, "{found} for {bpm}");
    }
    // A clean pulse of another rate stays, and colours alone prove nothing.
    let strong = read_lines([(72.0, 1.0), (144.0, 0.2)], 3.0, Some((130.0, blood)));
    assert!((strong.bpm().unwrap() - 72.0).abs() < 1.0, "{strong:?}");
    let noise = read_lines([(72.0, 0.0), (144.0, 0.0)], 6.0, Some((130.0, blood)));
    assert_eq!(noise.bpm(), None, "{noise:?}");
}

#[test]
fn the_quiet_places_tell_which_of_two_rates_it_is_and_prove_nothing() {
    let read = |lines, shown| read_lines(lines, 6.0, shown).reading.unwrap();
    let alone = read(EITHER, None);
    for bpm in [47.0, 94.0] {
        let found = read(EITHER, Some((bpm, quiet)));
        assert!((found.bpm - bpm).abs() < 0.5, "{found:?} for {bpm}");
        assert_eq!(found.features.evidence, alone.features.evidence);
    }
    // One rate that could be chance: likelier with them, and proven no more.
    let weak = [(94.0, 0.25), (188.0, 0.0)];
    let [alone, seconded] = [None, Some((94.0, quiet as _))].map(|shown| read(weak, shown));
    assert!((alone.bpm - 94.0).abs() < 2.0 && alone.confidence < 0.9, "{alone:?}");
    let [before, now] = [alone, seconded].map(|reading| reading.features);
    assert_eq!(now.evidence, before.evidence);
    assert!(now.mass > 3.0 * before.mass, "{now:?}, {before:?}");
    assert!((now.proof - before.proof).abs() < 0.01, "{now:?}, {before:?}");
}

#[test]
fn the_colours_tell_a_pulse_that_a_lamp_hides() {
    let (times, mut random) = light_times();
    let noise: Vec<f64> = times.iter().map(|_| normal(&mut random)).collect();
    let mut estimator = Estimator::new(Config::default());
    for (pair, noise) in times.windows(2).zip(&noise) {
        let step = |wave: &dyn Fn(f64) -> f64| {
            wave(pair[1] as f64 / SECOND) - wave(pair[0] as f64 / SECOND)
        };
        let blood = step(&|t| (TAU * 1.75 * t).sin());
        // At 111 a minute; what it hides reaches down to 99.
        let lamp = step(&|t| 0.03 * (TAU * 1.85 * t).sin());
        let of = |share: f64| (lamp + 0.004 * share * blood + 1e-4 * noise) as f32;
        let colour = ColourChange { red: of(0.33), green: of(0.77), blue: of(0.53) };
        let told = (0.004 * blood + 1e-4 * noise) as f32;
        let light = LightChange { face: lamp as f32, around: lamp as f32, backdrop: None };
        let seen = seen(30.0 * (0.1 * blood + 100.0 * lamp) + 3.0 * noise, pair[1] - pair[0]);
        estimator.push(
            pair[1],
            &beside(
                seen,
                Changes { colour: Some(colour), blood: Some(told), light: Some(light), ..NONE },
            ),
        );
    }
    let estimate = estimator.estimate();
    assert!((estimate.reading.unwrap().bpm - 105.0).abs() < 3.0, "{estimate:?}");
    // So near the lamp's own line nobody is shown it.
    assert_eq!((estimate.bpm(), estimate.status), (None, Status::Weak));
    assert!(estimate.reasons.contains(Reason::Light), "{estimate:?}");
}

#[test]
fn a_highlight_that_glitters_is_no_pulse_unless_a_codec_hides_what_it_is() {
    let (times, mut random) = light_times();
    let noise: Vec<[f64; 4]> = times.iter().map(|_| [0; 4].map(|_| normal(&mut random))).collect();
    // Of a line at 84 a minute each colour has its share; `held` is the share of the chroma.
    let read = |[r, g, b]: [f64; 3], chroma_held: Option<f32>| {
        let mut estimator = Estimator::new(Config::default());
        for (pair, noise) in times.windows(2).zip(&noise) {
            let at = |time: u64| (TAU * 1.4 * time as f64 / SECOND).sin();
            let line = at(pair[1]) - at(pair[0]);
            let of = |share: f64, noise: f64| (1e-3 * (share * line + 0.1 * noise)) as f32;
            let (red, green, blue) = (of(r, noise[0]), of(g, noise[1]), of(b, noise[2]));
            let colour = Some(ColourChange { red, green, blue });
            let changes = Changes { colour, chroma_held, ..NONE };
            let seen = seen(30.0 * line + noise[3], pair[1] - pair[0]);
            estimator.push(pair[1], &beside(seen, changes));
        }
        estimator.estimate()
    };
    let (blood, shine) = ([0.33, 0.77, 0.53], [0.6, 0.8, 1.05]);
    let glittering = read(shine, Some(0.3));
    assert_eq!((glittering.bpm(), glittering.status), (None, Status::Weak));
    assert!(glittering.reasons.contains(Reason::Light), "{glittering:?}");
    for (colour, held) in [(blood, Some(0.3)), (shine, Some(0.8)), (shine, None)] {
        let bpm = read(colour, held).bpm().expect("a pulse, for all that is known");
        assert!((bpm - 84.0).abs() < 0.5, "{bpm}");
    }
}

/// Ten seconds and a bit.
fn light_times() -> (Vec<u64>, fastrand::Rng) {
    let mut random = fastrand::Rng::with_seed(11);
    (times(30.0, 10.5, Frames::Even, &mut random), random)
}

#[test]
fn every_rate_is_read_at_every_frame_rate() {
    let mut random = fastrand::Rng::with_seed(7);
    for bpm in [45.0, 60.0, 72.0, 100.0, 150.0, 200.0, 230.0] {
        for fps in [15.0, 24.0, 29.97, 30.0, 60.0] {
            for frames in [Frames::Even, Frames::Jittered, Frames::Missing] {
                let times = times(fps, 20.0, frames, &mut random);
                let mut first = None;
                let value = |t: f64| wave(bpm / 60.0 * t);
                run(&times, value, |time, estimate| {
                    if estimate.status == Status::Ok {
                        first.get_or_insert(time);
                    }
                    if time >= 10.0 {
                        let case = format!("{bpm} bpm, {fps}/s, {frames:?}, {time} s");
                        let read = estimate.bpm().expect(&case);
                        assert!((read - bpm).abs() <= 1.0, "{case}: {read}");
                    }
                });
                assert!(first.is_some_and(|t| t <= 8.0), "{bpm} {fps} {frames:?}: {first:?}");
            }
        }
    }
}

#[test]
fn noise_of_half_the_pulse_does_not_matter() {
    for (seed, bpm) in [(1, 48.0), (2, 75.0), (3, 130.0), (4, 190.0)] {
        let mut random = fastrand::Rng::with_seed(seed);
        let noise: Vec<f64> = (0..=900).map(|_| 0.5 * normal(&mut random)).collect();
        let times = times(30.0, 30.0, Frames::Even, &mut random);
        let value = |t: f64| wave(bpm / 60.0 * t) + noise[(t * 30.0).round() as usize];
        run(&times, value, |time, estimate| {
            if time > 9.9 {
                let read = estimate.bpm().unwrap_or_else(|| panic!("{bpm} {time} {estimate:?}"));
                assert!((read - bpm).abs() <= 2.0, "{bpm} {time}: {read}");
            }
        });
    }
}

#[test]
fn a_climb_of_a_beat_a_second_is_followed() {
    for (start, slope) in [(60.0, 1.0), (80.0, 1.0), (150.0, -1.0), (180.0, 1.0)] {
        for seed in 0..4 {
            let mut random = fastrand::Rng::with_seed(seed);
            let noise: Vec<f64> = (0..=1200).map(|_| 0.1 * normal(&mut random)).collect();
            let times = times(30.0, 40.0, Frames::Even, &mut random);
            let beats = |t: f64| (start * t + slope * t * t / 2.0) / 60.0;
            let value = |t: f64| wave(beats(t)) + noise[(t * 30.0).round() as usize];
            run(&times, value, |time, estimate| {
                if time >= 10.0 {
                    let (read, truth) = (estimate.bpm().unwrap(), start + slope * time);
                    assert!((read - truth).abs() <= 3.0, "{start} {time}: {read} {truth}");
                }
            });
        }
    }
}

#[test]
fn a_rate_that_jumps_is_followed_within_two_windows() {
    let times = times(30.0, 60.0, Frames::Even, &mut fastrand::Rng::with_seed(1));
    let beats = |t: f64| if t < 30.0 { t * 70.0 / 60.0 } else { 35.0 + (t - 30.0) * 110.0 / 60.0 };
    let value = |t: f64| wave(beats(t));
    run(&times, value, |time, estimate| {
        if time > 50.0 {
            assert!((estimate.bpm().unwrap() - 110.0).abs() <= 1.0, "{time} {estimate:?}");
        }
    });
}

/// Running sum that forgets: each value is `keep` times the one before plus the next of `x`.
fn sum(keep: f64, x: &[f64]) -> Vec<f64> {
    let mut value = 0.0;
    let mut add = |v: &f64| {
        value = keep * value + v;
        value
    };
    x.iter().map(&mut add).collect()
}

/// Kinds of [`lifeless`] that are drawn at random, and those that are not.
const RANDOM: [usize; 5] = [0, 1, 2, 3, 8];
const FIXED: [usize; 4] = [4, 5, 6, 7];

/// A minute at 30 frames a second of what is no pulse.
fn lifeless(kind: usize, seed: u64) -> Vec<f64> {
    let mut random = fastrand::Rng::with_seed(seed);
    let white: Vec<f64> = (0..=1800).map(|_| normal(&mut random)).collect();
    let of_time = |f: &dyn Fn(f64) -> f64| (0..=1800).map(|i| f(f64::from(i) / 30.0)).collect();
    match kind {
        // White noise of the wave, of its rate of change (a random walk), and one more sum.
        0 => white,
        1 => sum(1.0, &white),
        2 => sum(1.0, &sum(1.0, &white)),
        // In between: pink, by sums that forget at three scales.
        3 => {
            let parts = [0.5, 0.9, 0.98].map(|k| sum(k, &white));
            (0..=1800).map(|i| parts.iter().map(|p| p[i]).sum()).collect()
        }
        4 => vec![0.0; 1801],
        5 => vec![3.5; 1801],
        // A constant rate of change, a slow sway.
        6 => of_time(&|t| 30.0 * t),
        7 => of_time(&|t| (t / 1.5).sin()),
        // A burst in the middle.
        _ => (0..=1800usize)
            .map(|i| if i.abs_diff(900) < 45 { 20.0 * white[i] } else { 0.01 * white[i] })
            .collect(),
    }
}

fn assert_lifeless(kind: usize, seed: u64) {
    let x = lifeless(kind, seed);
    let times = times(30.0, 60.0, Frames::Even, &mut fastrand::Rng::with_seed(0));
    let value = |t: f64| x[(t * 30.0).round() as usize];
    // Colours that wander at random.
    let mut random = fastrand::Rng::with_seed(1000 + seed);
    let changes = || {
        let [red, green, blue, blood] =
            [0.001; 4].map(|size: f64| (size * normal(&mut random)) as f32);
        Changes { colour: Some(ColourChange { red, green, blue }), blood: Some(blood), ..NONE }
    };
    run_beside(&times, value, changes, |time, estimate| {
        let case = format!("kind {kind}, seed {seed}, {time} s: {estimate:?}");
        assert_ne!(estimate.status, Status::Ok, "{case}");
        assert!(time < 10.1 || estimate.reasons.contains(Reason::NoPulse), "{case}");
    });
}

#[test]
fn noise_gives_no_reading() {
    RANDOM.into_iter().for_each(|kind| (0..60).for_each(|seed| assert_lifeless(kind, seed)));
}

#[test]
fn stillness_and_drift_give_no_reading() {
    FIXED.into_iter().for_each(|kind| assert_lifeless(kind, 0));
}

#[test]
fn a_hole_restarts_the_window_and_a_short_one_does_not() {
    let mut estimator = Estimator::new(Config::default());
    let feed = |estimator: &mut Estimator, from: f64, to: f64| {
        for i in (from * 30.0) as u64 + 1..=(to * 30.0) as u64 {
            let at = |i: u64| wave(i as f64 / 30.0 * 1.2);
            let time = (i as f64 / 30.0 * SECOND) as u64;
            let change = 30.0 * (at(i) - at(i - 1));
            estimator.push(time, &seen(change, 33_333_333));
        }
        estimator.estimate()
    };
    assert!((feed(&mut estimator, 0.0, 12.0).bpm().unwrap() - 72.0).abs() < 0.5);
    let after_short = feed(&mut estimator, 12.9, 13.5);
    assert!((after_short.window - 10.0).abs() < 0.05, "{after_short:?}");
    let after_long = feed(&mut estimator, 15.0, 16.0);
    assert!((after_long.window - 1.0).abs() < 0.05, "{after_long:?}");
    assert_eq!(after_long.status, Status::Measuring);
    assert!(after_long.reasons.contains(Reason::ShortWindow));
    assert!((feed(&mut estimator, 16.0, 22.0).bpm().unwrap() - 72.0).abs() < 1.0);
}

#[test]
fn reasons_are_told_when_they_hold_for_a_good_share() {
    let mut estimator = Estimator::new(Config::default());
    for i in 1..=310u64 {
        let mut reasons = Reasons::NONE;
        if i > 150 {
            reasons.insert(Reason::Motion);
        }
        if i > 290 {
            reasons.insert(Reason::Dark);
        }
        estimator.push(i * 33_333_333, &Seen { reasons, ..seen(0.0, 33_333_333) });
    }
    let estimate = estimator.estimate();
    assert_eq!(estimate.status, Status::Weak);
    assert_eq!(estimate.reasons, [Reason::Motion].into_iter().collect());
}

#[test]
fn too_few_frames_give_no_reading_however_clear_the_wave() {
    let times = times(6.0, 30.0, Frames::Even, &mut fastrand::Rng::with_seed(1));
    let value = |t: f64| wave(t * 1.2);
    run(&times, value, |_, estimate| {
        assert_eq!(estimate.bpm(), None);
        assert!(estimate.window < 5.0 || estimate.reasons.contains(Reason::LowFramerate));
    });
}

#[test]
fn odd_samples_do_no_harm() {
    let mut estimator = Estimator::new(Config::default());
    let odd = [f64::NAN, f64::INFINITY, 1e300, -1e300, 0.0];
    for (i, value) in odd.into_iter().cycle().take(1000).enumerate() {
        estimator.push(i as u64 * 20_000_000, &seen(value, u64::MAX));
        estimator.push(0, &seen(value, 0));
        if i % 50 == 0 {
            assert_eq!(estimator.estimate().bpm(), None);
        }
    }
}

fn hrnet(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hrnet")).arg("signal").args(args).output().unwrap()
}

fn folder() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("signal");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn bad_files_are_named_with_their_row_in_one_line() {
    let folder = folder();
    let cases = [
        ("missing.csv", "prediction,time\n1,2\n", "row 1: no column 'label'"),
        ("number.csv", "prediction,label\n1,2\n1,x\n", "row 3: label 'x' is not a number"),
        ("nan.csv", "prediction,label\nnan,2\n", "row 2: prediction 'nan' is not a number"),
        ("time.csv", "prediction,label,time\n1,2,1\n1,2,1\n", "row 3: time is not later"),
        ("early.csv", "prediction,label,time\n1,2,-1\n", "row 2: time -1 s is out of range"),
        ("empty.csv", "", "row 1: no column 'prediction'"),
        ("bare.csv", "prediction,label\n", "row 2: no samples"),
        ("short.csv", "prediction,label\n1,2\n3\n", "row 3: 1 columns instead of 2"),
    ];
    for (name, text, expected) in cases {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap();
        let output = hrnet(&[path]);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{name}: {message}");
        assert!(message.contains(path) && message.contains(expected), "{name}: {message}");
        assert_eq!(message.trim_end().lines().count(), 1, "{name}: {message}");
    }
    let output = hrnet(&["no-such-file.csv"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("no-such-file.csv"));
}

#[test]
fn the_json_has_its_keys_and_a_reading_comes_every_second() {
    let path = folder().join("pulse.csv");
    let mut text = String::from("prediction,label\n");
    for i in 0..600 {
        let v = wave((i + 1) as f64 / 30.0 * 1.25) - wave(i as f64 / 30.0 * 1.25);
        text += &format!("{v:.6},{v:.6}\n");
    }
    std::fs::write(&path, text).unwrap();
    let output = hrnet(&["--json", path.to_str().unwrap()]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut keys: Vec<_> = report.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    let expected = [
        "confident",
        "files",
        "mae",
        "mape",
        "n",
        "r",
        "rmse",
        "se",
        "snr",
        "window",
        "within2",
        "within5",
    ];
    assert_eq!(keys, expected);
    // Readings at 10, 11 … 20 s.
    assert_eq!(report["n"], 11);
    assert_eq!(report["window"], 10.0);
    assert!(report["mae"].as_f64().unwrap() < 0.1);
    assert_eq!(report["confident"]["coverage"], 1.0);
    assert_eq!(report["files"].as_array().unwrap().len(), 1);
}

/// The recorded network outputs, if they are there.
fn recordings() -> Vec<String> {
    let Ok(entries) = std::fs::read_dir("../shared/data/ubfc-deepphys") else {
        eprintln!("skipped: no ../shared/data/ubfc-deepphys");
        return Vec::new();
    };
    let paths = entries.map(|e| e.unwrap().path());
    let csv = paths.filter(|p| p.extension().is_some_and(|e| e == "csv"));
    let mut paths: Vec<_> = csv.map(|p| p.to_str().unwrap().to_string()).collect();
    paths.sort_unstable();
    paths
}

/// Copies of the recordings with every tenth frame dropped, the first of them `phase`, and times
/// off by up to 5 ms.
fn disturbed(files: &[String], phase: usize) -> Vec<String> {
    let mut random = fastrand::Rng::with_seed(phase as u64);
    let folder = folder().join(format!("disturbed{phase}"));
    std::fs::create_dir_all(&folder).unwrap();
    let copy = |path: &String| {
        let text = std::fs::read_to_string(path).unwrap();
        let mut out = String::from("prediction,label,time\n");
        for (i, line) in text.lines().skip(1).enumerate().filter(|(i, _)| i % 10 != phase) {
            let time = (i + 1) as f64 / 30.0 + 0.01 * (random.f64() - 0.5);
            out += &format!("{line},{time:.6}\n");
        }
        let path = folder.join(Path::new(path).file_name().unwrap());
        std::fs::write(&path, out).unwrap();
        path.to_str().unwrap().to_string()
    };
    files.iter().map(copy).collect()
}

fn mae(window: &str, files: &[String]) -> f64 {
    let mut args = vec!["--json", "--window", window];
    args.extend(files.iter().map(String::as_str));
    let output = hrnet(&args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["confident"]["within5"].as_f64().unwrap() >= 0.95);
    report["mae"].as_f64().unwrap()
}

#[test]
fn recorded_outputs_are_read_and_a_bad_clock_costs_little() {
    let files = recordings();
    if files.is_empty() {
        return;
    }
    let copies: Vec<_> = (0..10).map(|phase| disturbed(&files, phase)).collect();
    for (window, limit) in [("10", 1.3), ("30", 0.9)] {
        let clean = mae(window, &files);
        let worse: Vec<f64> = copies.iter().map(|c| mae(window, c)).collect();
        let mean = worse.iter().sum::<f64>() / worse.len() as f64;
        eprintln!("{window} s: {clean:.3}, disturbed {mean:.3}: {worse:.3?}");
        assert!(clean <= limit, "{window} s: {clean}");
        assert!(mean <= 1.1 * clean, "{window} s: {worse:?} instead of {clean}");
    }
}
