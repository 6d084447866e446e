"""Trains the network. Example: train.py --data data/train --val data/val --out runs/first"""

import argparse
import csv
import time
from pathlib import Path

import torch

from data import Clip, batches, read_clips
from evaluate import predict, rate_errors, summary
from losses import pulse_loss
from network import DeepPhys, ModelConfig, load_model, read_config, save_model

COLUMNS = ["step", "epoch", "seconds", "lr", "loss", "r_wave", "r_derivative", "mse", "mse_lifeless"]


class Training:
    """Network, optimiser, schedule and log of one run; saved and resumed at the end of epochs."""

    def __init__(self, config: dict, clips: list[Clip], out: Path):
        self.config, self.clips, self.out = config["train"], clips, out
        torch.manual_seed(self.config["seed"])
        model = DeepPhys(ModelConfig.read(config["model"]))
        self.model = model.to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.AdamW(
            model.parameters(), self.config["learning_rate"], weight_decay=self.config["weight_decay"]
        )
        self.steps = len(clips) // self.config["batch_clips"]
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, self.config["learning_rate"], self.steps * self.config["epochs"], pct_start=0.2
        )
        self.epoch = 0
        out.mkdir(parents=True, exist_ok=True)

    def step(self, batch) -> dict[str, float]:
        """One optimiser step; returns the loss and its parts."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.config["bf16"]):
            prediction = self.model(batch.motion, batch.appearance)
        prediction = prediction.view(batch.label.shape)
        loss, parts = pulse_loss(prediction, batch.label, batch.interval, self.config)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.schedule.step()
        return parts

    def run_epoch(self, log: csv.DictWriter) -> None:
        """One pass over the clips, a line in the log a step and on the screen now and then."""
        self.model.train()
        started = time.monotonic()
        for i, batch in enumerate(batches(self.clips, self.config, self.epoch)):
            parts = self.step(batch)
            seconds = time.monotonic() - started
            row = {"step": self.epoch * self.steps + i, "epoch": self.epoch,
                   "seconds": seconds, "lr": self.schedule.get_last_lr()[0], **parts}
            log.writerow({k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()})
            if i % 20 == 0:
                print(f"epoch {self.epoch} {i}/{self.steps} {seconds:.0f} s  " +
                      "  ".join(f"{k} {v:.3f}" for k, v in parts.items()), flush=True)
        self.epoch += 1

    def save(self, note: str) -> None:
        """`checkpoint.pt` to resume from, `model.pt` to export."""
        parts = {"model": self.model, "optimizer": self.optimizer, "schedule": self.schedule}
        state = {name: part.state_dict() for name, part in parts.items()}
        state["random"] = torch.get_rng_state()
        torch.save({"epoch": self.epoch, **state}, self.out / "checkpoint.pt")
        save_model(self.out / "model.pt", self.model, note)

    def resume(self) -> None:
        """Goes on from `checkpoint.pt`."""
        saved = torch.load(self.out / "checkpoint.pt", weights_only=True)
        self.epoch = saved["epoch"]
        torch.set_rng_state(saved["random"])
        for name in ("model", "optimizer", "schedule"):
            getattr(self, name).load_state_dict(saved[name])


def report(model: DeepPhys, clips: list[Clip]) -> None:
    """The held-out error so far."""
    model.eval()
    rows = [row for clip in clips for row in rate_errors(clip, predict(model, clip))]
    print("held out:", summary(rows), flush=True)


def main() -> None:
    args = parse_arguments()
    config = read_config(args.config)
    torch.set_num_threads(config["train"]["threads"])
    clips, held_out = read_clips(args.data), read_clips(args.val)[: args.val_clips] if args.val else []
    training = Training(config, clips, args.out)
    print(f"{len(clips)} clips, {training.steps} steps an epoch, "
          f"{training.model.config.multiply_adds() / 1e6:.1f} M multiply-adds a frame")
    note = ""
    if args.init:
        first, note = load_model(args.init)
        training.model.load_state_dict(first.state_dict())
        note += ", then "
    if args.resume:
        training.resume()
    note += f"{len(clips)} synthetic clips x {config['train']['epochs']} epochs, seed {config['train']['seed']}"
    with open(args.out / "log.csv", "a" if args.resume else "w", newline="") as file:
        log = csv.DictWriter(file, COLUMNS)
        if not args.resume:
            log.writeheader()
        while training.epoch < config["train"]["epochs"]:
            training.run_epoch(log)
            file.flush()
            training.save(note)
            if held_out:
                report(training.model, held_out)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default=Path(__file__).parent / "config.toml", type=Path)
    parser.add_argument("--data", required=True, nargs="+", type=Path, help="folders of shards")
    parser.add_argument("--val", nargs="*", default=[], type=Path, help="folders of held-out shards")
    parser.add_argument("--val-clips", default=100, type=int, help="held-out clips read after each epoch")
    parser.add_argument("--out", required=True, type=Path, help="folder for the log and the weights")
    parser.add_argument("--init", type=Path, help="model.pt of another run to start from")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    return parser.parse_args()


if __name__ == "__main__":
    main()
