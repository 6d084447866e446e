#!/usr/bin/env python3
"""Writes simulated network outputs with their truth, to fit and to test the signal stage on.

    python3 training/simulate_pulses.py OUT_DIR [--files 400] [--seed 1]

Each file has the columns prediction,label,time (seconds) as `hrnet signal` reads them; both are
rates of change of a pulse wave. A label of zeros: there is no pulse. Needs numpy.

What is varied, with the reason for each range, stands beside it. Nothing is taken from recordings.
"""

import argparse
import pathlib

import numpy as np

SECONDS = 60
FINE = 240  # Hz, the rate that waves are made at before frames are taken from them


def wander(rng, n, rate, seconds):
    """A unit-variance signal that forgets itself within `seconds` (Ornstein-Uhlenbeck)."""
    keep = np.exp(-1 / (rate * seconds))
    steps = rng.standard_normal(n) * np.sqrt(1 - keep**2)
    out = np.empty(n)
    value = rng.standard_normal()
    for i, step in enumerate(steps):
        value = keep * value + step
        out[i] = value
    return out


def coloured(rng, n, rate, exponent):
    """Noise with power f^-exponent from 0.1 Hz on, unit power in 0.7 to 4 Hz."""
    f = np.fft.rfftfreq(n, 1 / rate)
    spectrum = rng.standard_normal(len(f)) + 1j * rng.standard_normal(len(f))
    spectrum *= np.maximum(f, 0.1) ** (-exponent / 2)
    spectrum[0] = 0
    band = (f >= 0.7) & (f <= 4)
    spectrum /= np.sqrt((abs(spectrum[band]) ** 2).sum())
    return np.fft.irfft(spectrum, n) * n / np.sqrt(2)


def pulse(rng):
    """The derivative of a pulse wave, unit power, and nothing else."""
    n = SECONDS * FINE
    t = np.arange(n) / FINE
    # Resting to exercise: 45 to 210 bpm, most of them low.
    base = 45 * (210 / 45) ** rng.beta(1.2, 2.0)
    # Breathing arrhythmia up to 6 bpm at 9 to 24 breaths a minute, less at high rates.
    breath = rng.uniform(0, 6) * min(1, 80 / base)
    bpm = base + breath * np.sin(2 * np.pi * rng.uniform(0.15, 0.4) * t + rng.uniform(0, 6))
    bpm += rng.uniform(0, 5) * wander(rng, n, FINE, rng.uniform(5, 30))
    if rng.random() < 0.2:  # recovery or effort
        bpm += rng.uniform(-0.7, 0.7) * t
    bpm = np.clip(bpm, 42, 235)
    phase = 2 * np.pi * np.cumsum(bpm) / 60 / FINE
    # A dicrotic wave up to half the fundamental, a weaker third harmonic.
    wave = np.sin(phase)
    wave += rng.uniform(0, 0.5) * np.sin(2 * phase + rng.uniform(0, 6))
    wave += rng.uniform(0, 0.2) * np.sin(3 * phase + rng.uniform(0, 6))
    wave *= np.exp(rng.uniform(0, 0.4) * wander(rng, n, FINE, 5))
    slope = np.gradient(wave) * FINE
    return slope / slope.std()


def disturbances(rng, noise):
    """Motion: bursts of a few seconds, and swaying at its own rate."""
    n = len(noise)
    t = np.arange(n) / FINE
    for _ in range(rng.poisson(1.0)):
        start, length = rng.uniform(0, SECONDS), rng.uniform(0.5, 5)
        inside = (t > start) & (t < start + length)
        noise = noise + inside * coloured(rng, n, FINE, 1) * 10 ** rng.uniform(0, 1.2)
    if rng.random() < 0.25:  # walking, chewing, nodding, ventilators: 0.3 to 3 Hz
        sway = 2 * np.pi * np.cumsum(rng.uniform(0.3, 3) * (1 + 0.1 * wander(rng, n, FINE, 3))) / FINE
        envelope = np.clip(wander(rng, n, FINE, 5), 0, None)
        noise = noise + rng.uniform(0, 1.5) * envelope * np.sin(sway)
    return noise


def frames(rng):
    """Times of frames: 15 to 60 a second, now and then jittered or with frames missing."""
    rate = rng.choice([15, 24, 25, 29.97, 30, 30, 30, 60])
    times = np.arange(1, int(SECONDS * rate)) / rate
    if rng.random() < 0.3:
        times = times + rng.uniform(-0.2, 0.2, len(times)) / rate
    if rng.random() < 0.3:
        times = times[rng.random(len(times)) > rng.uniform(0, 0.15)]
    return times


def recording(rng):
    """Prediction, label and times of one file."""
    n = SECONDS * FINE
    # White noise of the wave is -2, of its derivative 0, a wandering network 2.
    noise = disturbances(rng, coloured(rng, n, FINE, rng.uniform(-2, 3)))
    alive = rng.random() < 0.75
    label = pulse(rng) if alive else np.zeros(n)
    # From hopeless to clean.
    prediction = noise + label * 10 ** (rng.uniform(-12, 18) / 20)
    # The network's output holds for the time between two frames: the mean over it.
    times = frames(rng)
    sums = [np.concatenate([[0], np.cumsum(x)]) / FINE for x in (prediction, label)]
    fine = np.arange(n + 1) / FINE
    edges = np.concatenate([[max(0, 2 * times[0] - times[1])], times])
    means = [np.diff(np.interp(edges, fine, s)) / np.diff(edges) for s in sums]
    # Without a known interval a sample stands at its time: the middle of its pair.
    return means[0], means[1], (edges[1:] + edges[:-1]) / 2


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--files", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for i in range(args.files):
        prediction, label, times = recording(np.random.default_rng([args.seed, i]))
        with open(args.out / f"{i:04}.csv", "w", encoding="ascii") as file:
            file.write("prediction,label,time\n")
            for row in zip(prediction, label, times):
                file.write("%.5f,%.5f,%.6f\n" % row)


if __name__ == "__main__":
    main()
