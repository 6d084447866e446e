"""Trains the network. Example: train.py --data data/train --val data/val --out runs/first

Writes to --out: log.csv (a line a step), held_out.csv (a line an epoch), curves.svg,
checkpoint.pt (to --resume from), last.safetensors and best.safetensors (to export).
"""

import argparse
import csv
import sys
import time
from pathlib import Path

import torch

from curves import read, write_curves
from data import Clip, batches, read_clips
from evaluate import predict, rate_errors, summary
from losses import LOSSES, pulse_loss
from network import DeepPhys, ModelConfig, read_config, refuse_unknown
from weights import load_model, save_model

COLUMNS = ["step", "epoch", "seconds", "lr", "loss", "r_wave", "r_derivative", "mse", "mse_lifeless",
           "peak"]
KEYS = ["seed", "epochs", "batch_clips", "stretch", "loss", "learning_rate", "weight_decay",
        "derivative_weight", "mse_weight", "lifeless_weight", "peak_weight", "noise_share", "cover_share", "freeze",
        "bf16", "threads"]


def fast_bf16(device: str) -> bool:
    """Whether the device multiplies bfloat16 itself. Emulated it takes several times as long as FP32."""
    if device == "cuda":
        return torch.cuda.get_device_capability() >= (8, 0)
    cpu = torch.backends.cpu.get_cpu_capability()
    return cpu.startswith("AVX512") and any(getattr(torch.cpu, f"_is_{unit}_supported", lambda: False)()
                                            for unit in ("avx512_bf16", "amx_tile"))


class Training:
    """Network, optimiser, schedule and log of one run; saved and resumed at the end of epochs."""

    def __init__(self, config: dict, clips: list[Clip], out: Path, device: str = "cpu"):
        refuse_unknown("[train]", config["train"], KEYS)
        self.clips, self.out, self.device = clips, out, device
        torch.manual_seed(config["train"]["seed"])
        model = DeepPhys(ModelConfig.read(config["model"]))
        self.config = {"loss": "correlation", **config["train"], "appearance_every": model.config.appearance_every}
        self.bf16 = self.config["bf16"] and fast_bf16(device)
        self.model = model.to(device, memory_format=torch.channels_last)
        self.freeze(self.config["freeze"])
        self.optimizer = torch.optim.AdamW(
            [p for p in model.parameters() if p.requires_grad],
            self.config["learning_rate"], weight_decay=self.config["weight_decay"],
        )
        self.steps = len(clips) // self.config["batch_clips"]
        self.refuse_misfits()
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, self.config["learning_rate"], self.steps * self.config["epochs"], pct_start=0.2
        )
        self.epoch, self.best = 0, -1.0
        out.mkdir(parents=True, exist_ok=True)

    def refuse_misfits(self) -> None:
        """An error where clips and options don't go together."""
        if self.config["loss"] not in LOSSES:
            raise ValueError(f"loss is {self.config['loss']!r}, not one of {LOSSES}")
        batch, stretch, every = (self.config[k] for k in ("batch_clips", "stretch", "appearance_every"))
        if not self.steps:
            raise ValueError(f"{len(self.clips)} clips make no batch of batch_clips = {batch}")
        if stretch % every:
            raise ValueError(f"stretch = {stretch} is no multiple of appearance_every = {every}")
        for clip in self.clips:
            if len(clip.label) < stretch:
                raise ValueError(f"{clip.name}: {len(clip.label)} frames are less than stretch = {stretch}")

    def freeze(self, beginnings: list[str]) -> None:
        """Keeps the weights whose names begin so; a beginning of none is an error."""
        names = [name for name, _ in self.model.named_parameters()]
        for beginning in beginnings:
            if not any(name.startswith(beginning) for name in names):
                raise ValueError(f"freeze: no weight's name begins with {beginning!r}")
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad = not name.startswith(tuple(beginnings))

    def prepare_to_learn(self) -> None:
        """Training mode, but for frozen parts: their batch norms keep what they have seen."""
        self.model.train()
        for module in self.model.modules():
            parameters = list(module.parameters())
            if parameters and not any(p.requires_grad for p in parameters):
                module.eval()

    def step(self, batch) -> dict[str, float]:
        """One optimiser step; returns the loss and its parts."""
        batch = batch.to(self.device)
        with torch.autocast(self.device, torch.bfloat16, enabled=self.bf16):
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
        self.prepare_to_learn()
        started = time.monotonic()
        for i, batch in enumerate(batches(self.clips, self.config, self.epoch)):
            parts = self.step(batch)
            seconds = time.monotonic() - started
            row = {"step": self.epoch * self.steps + i, "epoch": self.epoch,
                   "seconds": seconds, "lr": self.schedule.get_last_lr()[0], **parts}
            log.writerow({k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()})
            if i % 20 == 0:
                left = seconds / (i + 1) * (self.steps * (self.config["epochs"] - self.epoch) - i - 1)
                print(f"epoch {self.epoch} {i}/{self.steps} {seconds:.0f} s, {left / 60:.0f} min left  " +
                      "  ".join(f"{k} {v:.3f}" for k, v in parts.items()), flush=True)
        self.epoch += 1

    def save(self, note: str, score: float | None) -> None:
        """`checkpoint.pt` to resume from, the network as it is, and the best so far by `score`."""
        save_model(self.out / "last.safetensors", self.model, note)
        if score is None or score >= self.best:
            self.best = -1.0 if score is None else score
            save_model(self.out / "best.safetensors", self.model, note)
        parts = {"model": self.model, "optimizer": self.optimizer, "schedule": self.schedule}
        state = {name: part.state_dict() for name, part in parts.items()}
        state |= {"random": torch.get_rng_state(), "epoch": self.epoch, "best": self.best}
        state["config"] = self.config
        beside = self.out / "checkpoint.partial"
        torch.save(state, beside)
        beside.rename(self.out / "checkpoint.pt")

    def resume(self) -> None:
        """Goes on from `checkpoint.pt`, as if there had been no break."""
        saved = torch.load(self.out / "checkpoint.pt", weights_only=True)
        changed = [k for k in KEYS if k not in ("epochs", "threads")
                   and saved["config"].get(k, self.config[k]) != self.config[k]]
        if changed:
            raise ValueError(f"{self.out}: the run was begun with other values of {changed}")
        if saved["schedule"]["total_steps"] != self.schedule.total_steps:
            raise ValueError(f"{self.out}: the run was begun with another number of clips or epochs")
        self.epoch, self.best = saved["epoch"], saved["best"]
        torch.set_rng_state(saved["random"])
        for name in ("model", "optimizer", "schedule"):
            getattr(self, name).load_state_dict(saved[name])


def judge(training: Training, clips: list[Clip]) -> float | None:
    """Prints the held-out error so far and notes it; the share of windows within 5 bpm."""
    if not clips:
        return None
    training.model.eval()
    rows = [row for clip in clips for row in rate_errors(clip, predict(training.model, clip))]
    if not rows:
        print("held out: no clip with a pulse", flush=True)
        return None
    print("held out:", summary(rows), flush=True)
    within = float(sum(row["error"] <= 5 for row in rows) / len(rows))
    error = sum(row["error"] for row in rows) / len(rows)
    with open(training.out / "held_out.csv", "w" if training.epoch == 1 else "a", newline="") as file:
        if training.epoch == 1:
            file.write("epoch,mae,within5\n")
        file.write(f"{training.epoch},{error:.3f},{within:.4f}\n")
    return within


def run(training: Training, held_out: list[Clip], note: str, resumed: bool) -> None:
    """All epochs that are left."""
    rows = read(training.out / "log.csv") if resumed else []
    with open(training.out / "log.csv", "w", newline="") as file:
        log = csv.DictWriter(file, COLUMNS)
        log.writeheader()
        # An epoch that was broken off is run again.
        log.writerows(row for row in rows if int(row["epoch"]) < training.epoch)
        while training.epoch < training.config["epochs"]:
            training.run_epoch(log)
            file.flush()
            training.save(note, judge(training, held_out))
            write_curves(training.out)


def main() -> None:
    args = parse_arguments()
    config = configure(args)
    torch.set_num_threads(config["train"]["threads"])
    clips, held_out = read_clips(args.data), read_clips(args.val)[: args.val_clips] if args.val else []
    note = ""
    if args.init:
        first, note = load_model(args.init)
        config["model"] = vars(first.config)
        note += ", then "
    device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    training = Training(config, clips, args.out, device)
    if args.init:
        training.model.load_state_dict(first.state_dict())
    if args.resume:
        training.resume()
    model, settings = training.model.config, config["train"]
    print(f"{len(clips)} clips, {training.steps} steps an epoch on {device}, "
          f"{model.multiply_adds(model.appearance_every) / 1e6:.1f} M multiply-adds a frame")
    kind = "recorded" if any("recording" in clip.attributes for clip in clips) else "synthetic"
    note += f"{len(clips)} {kind} clips x {settings['epochs']} epochs, seed {settings['seed']}"
    run(training, held_out, note, args.resume)


def configure(args: argparse.Namespace) -> dict:
    """The configuration file with what the command line changes."""
    config = read_config(args.config)
    if args.fine_tune:
        config["train"] |= config["fine_tune"]
    for setting in args.set:
        key, _, value = setting.partition("=")
        table, _, name = key.partition(".")
        if name not in config.get(table, {}):
            raise SystemExit(f"--set {setting}: there is no {key} in {args.config}")
        old = config[table][name]
        config[table][name] = value if isinstance(old, str) else parse_value(value)
    return config


def parse_value(text: str):
    """A number, a list or a truth value, as TOML has them."""
    import tomllib

    return tomllib.loads(f"value = {text}")["value"]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default=Path(__file__).parent / "config.toml", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="TABLE.KEY=VALUE", help="overrides the file")
    parser.add_argument("--data", required=True, nargs="+", type=Path, help="folders of shards")
    parser.add_argument("--val", nargs="*", default=[], type=Path, help="folders of held-out shards")
    parser.add_argument("--val-clips", default=100, type=int, help="held-out clips read after each epoch")
    parser.add_argument("--out", required=True, type=Path, help="folder for the log and the weights")
    parser.add_argument("--init", type=Path, help="weights to start from, which bring their [model] along")
    parser.add_argument("--fine-tune", action="store_true", help="with the table [fine_tune]")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument("--device", help="cpu or cuda; cuda where there is one")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as error:
        sys.exit(f"train.py: {error}")
