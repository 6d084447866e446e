#!/usr/bin/env python3
"""Fits the confidence of the signal stage.

    hrnet evaluate DATASET --readings readings.csv
    hrnet signal --readings more.csv FILES…
    python3 training/calibrate.py readings.csv [more.csv=WEIGHT …]

Reads what `--readings` wrote and prints the constants for src/ppg2bpm/confidence.rs, with a
table of how well they hold on files that were left out. A reading is right if it lies within 5 bpm
of its reference, and wrong in a file without a pulse. The readings of a file with a weight count so
much, those of the others 1. Needs numpy.
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


def load(arguments):
    """Terms as in confidence.rs (with a leading 1), whether trusted and proven, whether right, weight, file."""
    rows, weights = [], []
    for argument in arguments:
        path, _, weight = argument.partition("=")
        with open(path, newline="", encoding="utf-8") as file:
            # A pulse whose rate is not known tells nothing. No reading is near the 0 of a face without one.
            known = [(f"{path} {row['file']}", row) for row in csv.DictReader(file) if row["reference"]]
        rows += known
        weights += [float(weight or 1)] * len(known)
    right = [abs(float(r["bpm"]) - float(r["reference"])) <= RIGHT for _, r in rows]
    trusted = [float(row["trusted"]) > 0 for _, row in rows]
    x = np.array([terms(row) for _, row in rows])
    probable = [PROBABLE(float(r["snr"]), float(r["lamp"])) for _, r in rows]
    proven = [float(r["proof"]) >= p and float(r["evidence"]) >= EVIDENCE for p, (_, r) in zip(probable, rows)]
    files = np.array([file for file, _ in rows])
    return x, np.array(trusted), np.array(proven), np.array(right, float), np.array(weights), files


def terms(row):
    value = lambda name: float(row[name])
    mass = min(max(value("mass"), 1e-4), 1 - 1e-4)
    odds = np.log(mass / (1 - mass))
    return [1.0, np.clip(value("half_snr"), -15, 15), min(odds, UNLIKELY), max(odds, UNLIKELY)]


def fit(x, y, weights):
    """Logistic regression by Newton's method, with a light ridge on all but the constant."""
    w = np.zeros(x.shape[1])
    ridge = RIDGE * weights.sum() * np.diag([0.0] + [1.0] * (x.shape[1] - 1)) / 100
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ w))
        gradient = x.T @ (weights * (y - p)) - ridge @ w
        hessian = (x * (weights * p * (1 - p))[:, None]).T @ x + ridge
        step = np.linalg.solve(hessian, gradient)
        w += step
        if abs(step).max() < 1e-9:
            break
    return w


def state(x, trusted, proven, w, distrusted):
    """The confidence that confidence.rs gives."""
    right = 1 / (1 + np.exp(-x @ w))
    return np.where(trusted, np.where(proven, right, np.minimum(right, UNPROVEN)), distrusted)


def constants(x, trusted, y, weights):
    """The weights of the terms, and the share of the distrusted that are right."""
    distrusted = np.average(y[~trusted], weights=weights[~trusted])
    return fit(x[trusted], y[trusted], weights[trusted]), distrusted


def left_out(x, trusted, proven, y, weights, files):
    """Confidence of each reading by constants fitted without its file's fold."""
    names = np.unique(files)
    np.random.default_rng(0).shuffle(names)
    out = np.zeros(len(y))
    for fold in range(FOLDS):
        test = np.isin(files, names[fold::FOLDS])
        if test.any() and not test.all():
            known = constants(x[~test], trusted[~test], y[~test], weights[~test])
            out[test] = state(x[test], trusted[test], proven[test], *known)
    return out


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    x, trusted, proven, y, weights, files = load(sys.argv[1:])
    p = left_out(x, trusted, proven, y, weights, files)
    print(f"// {len(y)} readings of {len(np.unique(files))} files, {y.mean():.3f} of them right")
    print("// confidence  readings  said  right (files left out)")
    edges = np.linspace(0, 1, 11)
    for low, high in zip(edges[:-1], edges[1:]):
        inside = (p >= low) & (p < high + (high == 1))
        if inside.any():
            said, right = (np.average(v[inside], weights=weights[inside]) for v in (p, y))
            print(f"// {low:.1f}..{high:.1f} {inside.sum():13} {said:6.3f} {right:6.3f}")
    for least in (0.5, 0.8):
        sure = (p >= least) & trusted
        print(f"// at {least} and above: {sure.mean():.3f} of readings, {y[sure].mean():.3f} right")
    loss = -np.log(np.clip(np.where(y > 0, p, 1 - p), 1e-6, None))
    print(f"// logarithmic loss {np.average(loss, weights=weights):.4f}")
    terms_weights, distrusted = constants(x, trusted, y, weights)
    print(f"const WEIGHTS: [f64; {x.shape[1]}] = [{', '.join(f'{w:.4f}' for w in terms_weights)}];")
    print(f"const DISTRUSTED: f64 = {distrusted:.2f};")


if __name__ == "__main__":
    main()
