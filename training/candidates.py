"""Trains each network of candidates.toml for a short while on the same clips and prints a table.

    python training/candidates.py --data data/a data/a72 --val data/val data/val72 --out runs/candidates

A candidate takes the folders whose maps are of its size. The table so far is in --out, table.md.
"""

import argparse
import tomllib
from pathlib import Path

import numpy as np
import torch

from data import Clip, read_clips
from evaluate import predict, rate_errors
from export import to_onnx
from network import DeepPhys, ModelConfig, read_config
from train import Training, run

HERE = Path(__file__).parent
EVERY = (1, 4, 8)
MOST_MULTIPLY_ADDS, MOST_KILOBYTES = 60e6, 1200
HEAD = ("| network | weights, thousand | FP16, kB | million multiply-adds, every 1 / 4 / 8 | MAE "
        "| within 2 bpm, % | within 5 bpm, % | line, dB |\n|---|---|---|---|---|---|---|---|")


def train(config: dict, clips: list[Clip], out: Path) -> DeepPhys:
    """One run without a look at held-out clips."""
    training = Training(config, clips, out, "cuda" if torch.cuda.is_available() else "cpu")
    run(training, [], f"candidate {out.name}", False)
    return training.model.eval()


def kilobytes(model: DeepPhys) -> float:
    """Size of the deployed file with FP16 weights."""
    return len(to_onnx(model, "", True).SerializeToString()) / 1000


def refuse_excess(name: str, table: dict) -> None:
    """An error that names a network beyond the limits of cost and size."""
    model = DeepPhys(ModelConfig.read(table))
    adds, size = model.config.multiply_adds(), kilobytes(model)
    if adds > MOST_MULTIPLY_ADDS or size > MOST_KILOBYTES:
        raise ValueError(f"{name}: {adds / 1e6:.1f} M multiply-adds and {size:.0f} kB are more than "
                         f"{MOST_MULTIPLY_ADDS / 1e6:.0f} M and {MOST_KILOBYTES} kB")


def errors(model: DeepPhys, clips: list[Clip], every: int) -> tuple[np.ndarray, float]:
    """bpm, a value for each window of 10 s; and the mean height of the true rate's line, dB."""
    rows = [row for clip in clips for row in rate_errors(clip, predict(model, clip, every))]
    return np.array([row["error"] for row in rows]), np.mean([row["level"] for row in rows])


def line(name: str, model: DeepPhys, clips: list[Clip]) -> str:
    """A row of the table."""
    found, levels = zip(*(errors(model, clips, every) for every in EVERY))
    size = kilobytes(model.cpu())
    weights = sum(p.numel() for p in model.parameters()) / 1000
    cost = " / ".join(f"{model.config.multiply_adds(every) / 1e6:.1f}" for every in EVERY)
    within = " | ".join(" / ".join(f"{100 * np.mean(e <= limit):.1f}" for e in found) for limit in (2, 5))
    mae = " / ".join(f"{e.mean():.1f}" for e in found)
    level = " / ".join(f"{level:.2f}" for level in levels)
    return f"| {name} | {weights:.0f} | {size:.0f} | {cost} | {mae} | {within} | {level} |"


def main() -> None:
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    config = read_config(HERE / "config.toml")
    config["train"] |= {"epochs": args.epochs, "threads": args.threads}
    train_set, held_out = (read_clips(folders) for folders in (args.data, args.val))
    networks = tomllib.loads(args.list.read_text())
    for name, model in networks.items():
        refuse_excess(name, {**config["model"], **model})
    rows = []
    for name, model in networks.items():
        size = model["input_size"]
        sized = lambda clips: [c for c in clips if c.motion.shape[-1] == size]
        clips, checks = sized(train_set)[: args.clips], sized(held_out)
        if not clips or not checks:
            print(f"{name}: no clips of {size} pixels", flush=True)
            continue
        settings = {**config, "model": {**config["model"], **model}, "train": dict(config["train"])}
        rows.append(line(name, train(settings, clips, args.out / name), checks))
        (args.out / "table.md").write_text("\n".join([HEAD, *rows]) + "\n")
        print(rows[-1], flush=True)
    print("\n".join([HEAD, *rows]))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", default=HERE / "candidates.toml", type=Path)
    parser.add_argument("--data", required=True, nargs="+", type=Path)
    parser.add_argument("--val", required=True, nargs="+", type=Path)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--clips", default=1000, type=int)
    parser.add_argument("--epochs", default=3, type=int)
    parser.add_argument("--threads", default=2, type=int)
    return parser.parse_args()


if __name__ == "__main__":
    main()
