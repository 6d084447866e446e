"""Trains each network of candidates.toml for a short while on the same clips and prints a table.

    python training/candidates.py --data data/a data/a72 --val data/val data/val72 --out runs/candidates

A candidate takes the folders whose maps are of its size.
"""

import argparse
import csv
import tomllib
from pathlib import Path

import numpy as np
import torch

from data import Clip, read_clips
from evaluate import predict, rate_errors
from export import to_onnx
from network import DeepPhys, read_config
from train import Training

HERE = Path(__file__).parent
EVERY = (1, 4, 8)


def train(config: dict, clips: list[Clip], out: Path) -> DeepPhys:
    """One run without a look at held-out clips."""
    training = Training(config, clips, out)
    with open(out / "log.csv", "w", newline="") as file:
        log = csv.DictWriter(file, ["step", "epoch", "seconds", "lr", "loss", "r_wave",
                                    "r_derivative", "mse", "mse_lifeless"])
        while training.epoch < training.config["epochs"]:
            training.run_epoch(log)
    return training.model.eval()


def errors(model: DeepPhys, clips: list[Clip], every: int) -> np.ndarray:
    """bpm, a value for each window of 10 s."""
    return np.array([row["error"] for clip in clips for row in rate_errors(clip, predict(model, clip, every))])


def line(name: str, model: DeepPhys, clips: list[Clip]) -> str:
    """A row of the table."""
    found = [errors(model, clips, every) for every in EVERY]
    kilobytes = len(to_onnx(model, "", True).SerializeToString()) / 1000
    weights = sum(p.numel() for p in model.parameters()) / 1000
    cost = " / ".join(f"{model.config.multiply_adds(every) / 1e6:.1f}" for every in EVERY)
    within = " / ".join(f"{100 * np.mean(e <= 5):.1f}" for e in found)
    mae = " / ".join(f"{e.mean():.1f}" for e in found)
    return f"| {name} | {weights:.0f} | {kilobytes:.0f} | {cost} | {mae} | {within} |"


def main() -> None:
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    config = read_config(HERE / "config.toml")
    config["train"] |= {"epochs": args.epochs, "threads": args.threads}
    train_set, held_out = (read_clips(folders) for folders in (args.data, args.val))
    rows = []
    for name, model in tomllib.loads((HERE / "candidates.toml").read_text()).items():
        size = model["input_size"]
        sized = lambda clips: [c for c in clips if c.motion.shape[-1] == size]
        clips, checks = sized(train_set)[: args.clips], sized(held_out)
        if not clips or not checks:
            print(f"{name}: no clips of {size} pixels", flush=True)
            continue
        settings = {**config, "model": {**config["model"], **model}, "train": dict(config["train"])}
        rows.append(line(name, train(settings, clips, args.out / name), checks))
        print(rows[-1], flush=True)
    heads = "| network | weights, thousand | FP16, kB | million multiply-adds, every 1 / 4 / 8 | MAE | within 5 bpm, % |"
    print("\n".join([heads, "|---|---|---|---|---|---|", *rows]))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, nargs="+", type=Path)
    parser.add_argument("--val", required=True, nargs="+", type=Path)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--clips", default=1000, type=int)
    parser.add_argument("--epochs", default=3, type=int)
    parser.add_argument("--threads", default=2, type=int)
    return parser.parse_args()


if __name__ == "__main__":
    main()
