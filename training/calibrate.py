#!/usr/bin/env python3
"""Fits the confidence of the signal stage.

    hrnet signal --readings readings.csv FILES…
    python3 training/calibrate.py readings.csv [more.csv …]

Reads what `hrnet signal --readings` wrote and prints the constants for
src/ppg2bpm/confidence.rs, with a table of how well they hold on files that were left out.
A reading is right if it lies within 5 bpm of its reference; without one it is wrong. Needs numpy.
"""

import csv
import sys

import numpy as np

RIGHT = 5.0  # bpm
FOLDS = 5
RIDGE = 1e-3


def load(paths):
    """Terms as in confidence.rs (with a leading 1), the limit, whether right, and the file."""
    terms, limit, right, files = [], [], [], []
    for path in paths:
        with open(path, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                value = lambda name: float(row[name])
                mass = min(max(value("mass"), 1e-4), 1 - 1e-4)
                terms.append([
                    1.0,
                    np.clip(value("half_snr"), -15, 15),
                    np.log(mass / (1 - mass)),
                    np.clip(value("snr"), -15, 15),
                ])
                limit.append(mass)
                reference = row["reference"]
                right.append(bool(reference) and abs(value("bpm") - float(reference)) <= RIGHT)
                files.append(row["file"])
    return np.array(terms), np.array(limit), np.array(right, float), np.array(files)


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


def left_out(x, limit, y, files):
    """Confidence of each reading by constants fitted without its file's fold."""
    names = np.unique(files)
    np.random.default_rng(0).shuffle(names)
    out = np.zeros(len(y))
    for fold in range(FOLDS):
        test = np.isin(files, names[fold::FOLDS])
        if test.any() and not test.all():
            right = 1 / (1 + np.exp(-x[test] @ fit(x[~test], y[~test])))
            out[test] = np.minimum(right, limit[test])
    return out


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    x, limit, y, files = load(sys.argv[1:])
    p = left_out(x, limit, y, files)
    print(f"// {len(y)} readings of {len(np.unique(files))} files, {y.mean():.3f} of them right")
    print("// confidence  readings  said  right (files left out)")
    edges = np.linspace(0, 1, 11)
    for low, high in zip(edges[:-1], edges[1:]):
        inside = (p >= low) & (p < high + (high == 1))
        if inside.any():
            print(f"// {low:.1f}..{high:.1f} {inside.sum():13} {p[inside].mean():6.3f} {y[inside].mean():6.3f}")
    sure = p >= 0.5
    print(f"// at 0.5 and above: {sure.mean():.3f} of readings, {y[sure].mean():.3f} right")
    weights = ", ".join(f"{w:.4f}" for w in fit(x, y))
    print(f"const WEIGHTS: [f64; {x.shape[1]}] = [{weights}];")


if __name__ == "__main__":
    main()
