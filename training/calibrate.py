#!/usr/bin/env python3
"""Fits the confidence of the signal stage.

    hrnet evaluate DATASET --readings readings.csv
    hrnet signal --readings more.csv FILES…
    python3 training/calibrate.py readings.csv [more.csv …]

Reads what `--readings` wrote and prints the constants for src/ppg2bpm/confidence.rs, with a
table of how well they hold on files that were left out. A reading is right if it lies within 5 bpm
of its reference, and wrong in a file without a pulse. Needs numpy.
"""

import csv
import sys

import numpy as np

RIGHT = 5.0  # bpm
UNPROVEN, EVIDENCE = 0.89, 5.4  # as in confidence.rs
PROBABLE = lambda snr, lamp: 0.95 if lamp else 0.9 if snr < 0 else 0.75  # likewise
UNLIKELY = -3.0  # likewise
FOLDS = 5
RIDGE = 1e-3


def load(paths):
    """Terms as in confidence.rs (with a leading 1), whether trusted and proven, whether right, and the file."""
    rows = []
    for path in paths:
        with open(path, newline="", encoding="utf-8") as file:
            rows += [(f"{path} {row['file']}", row) for row in csv.DictReader(file)]
    # A pulse whose rate is not known tells nothing. No reading is near the 0 of a face without a pulse.
    rows = [(file, row) for file, row in rows if row["reference"]]
    right = [abs(float(r["bpm"]) - float(r["reference"])) <= RIGHT for _, r in rows]
    trusted = [float(row["trusted"]) > 0 for _, row in rows]
    x = np.array([terms(row) for _, row in rows])
    probable = [PROBABLE(float(r["snr"]), float(r["lamp"])) for _, r in rows]
    proven = [float(r["proof"]) >= p and float(r["evidence"]) >= EVIDENCE for p, (_, r) in zip(probable, rows)]
    return x, np.array(trusted), np.array(proven), np.array(right, float), np.array([file for file, _ in rows])


def terms(row):
    value = lambda name: float(row[name])
    mass = min(max(value("mass"), 1e-4), 1 - 1e-4)
    clip = lambda name: np.clip(value(name), -15, 15)
    odds = np.log(mass / (1 - mass))
    return [1.0, clip("half_snr"), min(odds, UNLIKELY), max(odds, UNLIKELY), clip("snr")]


def fit(x, y):
    """Logistic regression by Newton's method, with a light ridge on all but the constant."""
    w = np.zeros(x.shape[1])
    ridge = RIDGE * len(y) * np.diag([0.0] + [1.0] * (x.shape[1] - 1)) / 100
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ w))
        gradient = x.T @ (y - p) - ridge @ w
        hessian = (x * (p * (1 - p))[:, None]).T @ x + ridge
        step = np.linalg.solve(hessian, gradient)
        w += step
        if abs(step).max() < 1e-9:
            break
    return w


def state(x, trusted, proven, w, distrusted):
    """The confidence that confidence.rs gives."""
    right = 1 / (1 + np.exp(-x @ w))
    return np.where(trusted, np.where(proven, right, np.minimum(right, UNPROVEN)), distrusted)


def left_out(x, trusted, proven, y, files):
    """Confidence of each reading by constants fitted without its file's fold."""
    names = np.unique(files)
    np.random.default_rng(0).shuffle(names)
    out = np.zeros(len(y))
    for fold in range(FOLDS):
        test = np.isin(files, names[fold::FOLDS])
        if test.any() and not test.all():
            known = ~test & trusted
            w = fit(x[known], y[known])
            out[test] = state(x[test], trusted[test], proven[test], w, y[~test & ~trusted].mean())
    return out


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    x, trusted, proven, y, files = load(sys.argv[1:])
    p = left_out(x, trusted, proven, y, files)
    print(f"// {len(y)} readings of {len(np.unique(files))} files, {y.mean():.3f} of them right")
    print("// confidence  readings  said  right (files left out)")
    edges = np.linspace(0, 1, 11)
    for low, high in zip(edges[:-1], edges[1:]):
        inside = (p >= low) & (p < high + (high == 1))
        if inside.any():
            print(f"// {low:.1f}..{high:.1f} {inside.sum():13} {p[inside].mean():6.3f} {y[inside].mean():6.3f}")
    for least in (0.5, 0.8):
        sure = (p >= least) & trusted
        print(f"// at {least} and above: {sure.mean():.3f} of readings, {y[sure].mean():.3f} right")
    weights = ", ".join(f"{w:.4f}" for w in fit(x[trusted], y[trusted]))
    print(f"const WEIGHTS: [f64; {x.shape[1]}] = [{weights}];")
    print(f"const DISTRUSTED: f64 = {y[~trusted].mean():.2f};")


if __name__ == "__main__":
    main()
