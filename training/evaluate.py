"""Scores a trained network on held-out clips the way the plugin reads it.

Example: evaluate.py --model runs/first/best.safetensors --data data/val --csv runs/first/csv
"""

import argparse
import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from scipy import signal

from data import Clip, read_clips
from network import DeepPhys
from weights import load_model

WINDOW = 10.0  # seconds
BAND = (40 / 60, 240 / 60)  # Hz
GRID = 30.0  # Hz, for resampling
# The tables that are printed: an attribute of the clip and, for a number, its bins.
GROUPS = {"motion": [], "light": [], "subject": [], "skin_tone": [], "occlusion": [], "talks": [],
          "uneven": [], "fps": [20, 26, 40], "codec": [], "kbit_s": [0, 100, 300, 1000],
          "bpm": [60, 90, 120, 180], "amplitude": [0.003, 0.006, 0.012], "noise": [0.6, 1.2, 2.4],
          "face_width": [80, 120, 160]}


def predict(model: DeepPhys, clip: Clip, every: int = 1) -> np.ndarray:
    """The network's output for each frame, computed in FP32 as the plugin does, with the appearance
    branch run once in `every` frames."""
    device = next(model.parameters()).device
    frames = len(clip.label)
    seen = np.arange(0, frames, every)
    maps = [torch.from_numpy(x.astype(np.float32)).contiguous(memory_format=torch.channels_last)
            for x in (np.resize(clip.motion, (len(seen) * every, *clip.motion.shape[1:])), clip.appearance[seen])]
    with torch.inference_mode():
        return model(*(x.to(device) for x in maps)).cpu().numpy()[:frames]


def green(clip: Clip) -> np.ndarray:
    """The simplest method there is, for comparison: the green channel's mean over the crop."""
    return -clip.motion[:, 1].astype(np.float32).mean((1, 2))


def pos(clip: Clip) -> np.ndarray:
    """POS (Wang et al., IEEE TBME 2017) on the crop's mean, as a derivative.

    A motion map is the change of the colours' logarithms, but for its running scale: the sum over
    time is the normalised colour that POS projects, in windows of 1.6 s that are added up.
    """
    rgb = np.cumsum(clip.motion.astype(np.float32).mean((2, 3)) * clip.interval[:, None], 0)
    frames = max(2, round(1.6 / float(np.median(clip.interval))))
    wave = np.zeros(len(rgb))
    for start in range(max(1, len(rgb) - frames + 1)):
        part = slice(start, start + frames)
        r, g, b = (rgb[part] - rgb[part].mean(0)).T
        first, second = g - b, g + b - 2 * r
        wave[part] += first + second * first.std() / max(second.std(), 1e-9)
    return np.diff(wave, prepend=wave[0]) / clip.interval


def rate(time: np.ndarray, interval: np.ndarray, derivative: np.ndarray) -> float:
    """Beats per minute of one window: integrate, resample, detrend, band-pass, spectral peak."""
    grid = np.arange(time[0], time[-1], 1 / GRID)
    wave = signal.detrend(np.interp(grid, time, np.cumsum(derivative * interval)))
    sos = signal.butter(3, BAND, "bandpass", fs=GRID, output="sos")
    wave = signal.sosfiltfilt(sos, wave, padlen=min(90, len(wave) - 1))
    size = 8192
    power = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), size)) ** 2
    frequency = np.fft.rfftfreq(size, 1 / GRID)
    inside = (frequency >= BAND[0]) & (frequency <= BAND[1])
    return 60 * frequency[inside][np.argmax(power[inside])]


def line_level(time: np.ndarray, interval: np.ndarray, derivative: np.ndarray, bpm: float) -> float:
    """How far the line at the true rate stands out of what is beside it, in dB: what of the pulse
    there is to find. Tells networks apart that err alike.

    Power under a Hann window; what is beside it by a parabola through its logarithms, whose mean
    lies below the logarithm of the mean by Euler's constant (power of noise is exponential).
    """
    time = time - interval / 2 - time[0]
    duration = time[-1] - time[0]
    hann = np.sin(np.pi * (time - time[0]) / duration) ** 2 * interval
    reach = max(1.2, 4 / duration)
    frequency = np.arange(max(0.3, bpm / 60 - reach), bpm / 60 + reach, 0.25 / duration)
    turns = np.exp(-2j * np.pi * frequency[:, None] * time)
    power = np.abs(turns @ (hann * (derivative - np.average(derivative, weights=hann)))) ** 2
    off = frequency - bpm / 60
    line, beside = np.abs(off) < 0.75 / duration, np.abs(off) > 2.25 / duration
    noise = np.polyfit(off[beside], np.log(power[beside] + 1e-20), 2)[2]
    return 10 * (np.log10(power[line].max() + 1e-20) - (noise + np.euler_gamma) / np.log(10))


def windows(clip: Clip) -> list[slice]:
    """Windows of 10 s that do not overlap; the whole clip if it is shorter."""
    elapsed = clip.time - clip.time[0]
    count = max(1, int((elapsed[-1] + 0.5) // WINDOW))
    edges = np.searchsorted(elapsed, WINDOW * np.arange(count + 1))
    edges[-1] = max(edges[-1], len(elapsed)) if count == 1 else edges[-1]
    return [slice(a, b) for a, b in zip(edges[:-1], edges[1:])]


def rate_errors(clip: Clip, prediction: np.ndarray) -> list[dict]:
    """A row for each window of a clip with a pulse: true and estimated rate, and the attributes."""
    if not clip.alive:
        return []
    rows = []
    for w in windows(clip):
        bpm = float(np.mean(np.broadcast_to(clip.bpm, clip.time.shape)[w]))
        if not np.isfinite(bpm):
            continue  # a recording whose rate can't be told there
        estimate = rate(clip.time[w], clip.interval[w], prediction[w])
        level = line_level(clip.time[w], clip.interval[w], prediction[w], bpm)
        rows.append({**clip.attributes, "clip": clip.name, "bpm": bpm, "estimate": estimate,
                     "error": abs(estimate - bpm), "level": level})
    return rows


def summary(rows: list[dict]) -> str:
    """MAE, median, the shares within 2 and 5 bpm, and the mean height of the true rate's line."""
    if not rows:
        return "n    0"
    error = np.array([row["error"] for row in rows])
    return (f"n {len(error):4}  MAE {error.mean():6.2f}  median {np.median(error):5.2f}  "
            f"within 2: {np.mean(error <= 2):.3f}  within 5: {np.mean(error <= 5):.3f}  "
            f"line {np.mean([row['level'] for row in rows]):.1f} dB")


def print_by(rows: list[dict], key: str, bins: list[float]) -> None:
    """One line for each value of an attribute, or for each bin of a number."""
    groups = defaultdict(list)
    for row in rows:
        value = row.get(key)
        if value is None:
            continue
        if bins and not isinstance(value, str):
            upper = int(np.searchsorted(bins, value))
            value = f"to {bins[upper]:7g}" if upper < len(bins) else f"to {'more':>7}"
        groups[f"{value:.4g}" if isinstance(value, float) else str(value)].append(row)
    for value in sorted(groups):
        print(f"{key:>16} {value:<14} {summary(groups[value])}")


def write_csv(folder: Path, clip: Clip, prediction: np.ndarray) -> None:
    """`prediction,label,time`, the format of `hrnet signal`; label 0 where there is no pulse."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f"{clip.name}.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["prediction", "label", "time"])
        for p, l, t in zip(prediction, clip.label, clip.time):
            writer.writerow([f"{p:.6g}", f"{l:.6g}", f"{t:.6f}"])


def band_level(prediction: np.ndarray, clip: Clip) -> float:
    """Root mean square of the output within 40 to 240 bpm: what is left of it for the signal stage."""
    rate = 1 / float(np.mean(clip.interval))
    spectrum = np.abs(np.fft.rfft(prediction - prediction.mean())) / len(prediction)
    frequency = np.fft.rfftfreq(len(prediction), 1 / rate)
    inside = (frequency >= BAND[0]) & (frequency <= BAND[1])
    return float(np.sqrt(2 * np.sum(spectrum[inside] ** 2)))


def print_levels(levels: dict[bool, list[float]]) -> None:
    """How loud the output is without a pulse, against with one: it should be quiet."""
    if levels[True] and levels[False]:
        alive, lifeless = (np.median(levels[kind]) for kind in (True, False))
        print(f"{'no pulse':>16} n {len(levels[False]):4}  output in band {lifeless:.3f}, "
              f"{lifeless / alive:.2f} of that with a pulse (medians)")


def main() -> None:
    args = parse_arguments()
    torch.set_num_threads(2)
    model, _ = load_model(args.model)
    rows, baselines, levels = [], {"GREEN": [], "POS": []}, {True: [], False: []}
    for clip in read_clips(args.data):
        prediction = predict(model, clip, args.appearance_every)
        rows += rate_errors(clip, prediction)
        baselines["GREEN"] += rate_errors(clip, green(clip))
        baselines["POS"] += rate_errors(clip, pos(clip))
        levels[clip.alive].append(band_level(prediction, clip))
        if args.csv:
            write_csv(args.csv, clip, prediction)
    print(f"{'all':>16} {'':<14} {summary(rows)}")
    for name, found in baselines.items():
        print(f"{name:>16} {'':<14} {summary(found)}")
    print_levels(levels)
    for key, bins in GROUPS.items():
        print_by(rows, key, bins)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, type=Path, help="weights of a run, safetensors")
    parser.add_argument("--data", required=True, nargs="+", type=Path, help="folders of shards")
    parser.add_argument("--csv", type=Path, help="folder for one CSV file a clip")
    parser.add_argument("--appearance-every", default=1, type=int, metavar="K",
                        help="run the appearance branch once in K frames")
    return parser.parse_args()


if __name__ == "__main__":
    main()
