"""Reads what `hrnet prepare` writes: safetensors shards of clips, mapped rather than loaded.

A shard holds, for each clip, `motion` and `appearance` (f16, [clips, frames, 3, H, W]), `label`
(f32, derivative of the pulse wave per second, 0 without a pulse), `wave` (f32), `time` (f64,
seconds), `interval` (f32, seconds) and `bpm` (f32, 0 without a pulse); its `__metadata__` says how
each clip was made.
"""

import json
import struct
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch

DTYPES = {"F16": np.float16, "F32": np.float32, "F64": np.float64}


def read_shard(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The tensors of a safetensors file, mapped read-only, and its metadata."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    raw = np.memmap(path, np.uint8, "r", offset=8 + length)
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        tensors[name] = raw[start:end].view(DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors, metadata


@dataclass
class Clip:
    """One clip: views into its shard."""

    name: str
    motion: np.ndarray
    appearance: np.ndarray
    label: np.ndarray
    wave: np.ndarray
    time: np.ndarray
    interval: np.ndarray
    bpm: np.ndarray
    attributes: dict

    @property
    def alive(self) -> bool:
        return bool(np.any(self.label))


def read_clips(folders: list[Path]) -> list[Clip]:
    """All clips of all shards in the folders, in order of their names."""
    clips = []
    for path in [p for folder in folders for p in sorted(Path(folder).glob("*.safetensors"))]:
        tensors, metadata = read_shard(path)
        attributes = json.loads(metadata.get("clips", "[]"))
        for i in range(len(tensors["label"])):
            views = {name: tensor[i] for name, tensor in tensors.items()}
            name = f"{path.parent.name}-{path.stem}-{i:02}"
            clips.append(Clip(name, **views, attributes=attributes[i] if attributes else {}))
    if not clips:
        raise FileNotFoundError(f"no *.safetensors in {[str(f) for f in folders]}")
    return clips


@dataclass
class Batch:
    """Stretches of equal length from several clips."""

    motion: torch.Tensor  # [stretches * frames, 3, H, W]
    appearance: torch.Tensor  # [stretches * frames / appearance_every, 3, H, W]
    label: torch.Tensor  # [stretches, frames]
    interval: torch.Tensor  # [stretches], mean frame interval in seconds

    def to(self, device: str) -> "Batch":
        return Batch(*(getattr(self, f.name).to(device) for f in fields(Batch)))


def batches(clips: list[Clip], config: dict, epoch: int):
    """One epoch: a stretch at a random place of each clip, in random order, augmented.

    The same configuration, clips and epoch give the same batches.
    """
    rng = np.random.default_rng([config["seed"], epoch])
    size = config["batch_clips"]
    order = rng.permutation(len(clips))
    for start in range(0, len(order) - size + 1, size):
        yield make_batch([clips[i] for i in order[start : start + size]], config, rng)


def make_batch(clips: list[Clip], config: dict, rng: np.random.Generator) -> Batch:
    """Cuts one stretch of each clip and augments it."""
    frames, every = config["stretch"], config["appearance_every"]
    parts = []
    for clip in clips:
        start = rng.integers(len(clip.label) - frames + 1)
        cut = slice(start, start + frames)
        seen = slice(start + rng.integers(every), start + frames, every)
        maps = (torch.from_numpy(x.astype(np.float32)) for x in (clip.motion[cut], clip.appearance[seen]))
        label = torch.from_numpy(clip.label[cut].copy())
        parts.append((*augment(*maps, label, config, rng), float(clip.interval[cut].mean())))
    motion, appearance, label, interval = zip(*parts)
    order = torch.channels_last
    return Batch(
        torch.cat(motion).contiguous(memory_format=order),
        torch.cat(appearance).contiguous(memory_format=order),
        torch.stack(label),
        torch.tensor(interval),
    )


def augment(motion, appearance, label, config: dict, rng: np.random.Generator):
    """What can be varied after the maps were made.

    Mirroring; the pair's frames swapped (motion and label change sign); motion a little stronger or
    weaker than its running scale says; another white balance and contrast of the appearance; more
    noise; something in front of the face.
    """
    if rng.random() < 0.5:
        motion, appearance = motion.flip(3), appearance.flip(3)
    if rng.random() < 0.5:
        motion, label = -motion, -label
    gain = torch.from_numpy(np.exp(rng.normal(0, 0.08, (1, 3, 1, 1))).astype(np.float32))
    offset = torch.from_numpy(rng.normal(0, 0.1, (1, 3, 1, 1)).astype(np.float32))
    appearance = appearance * gain + offset
    if rng.random() < config["noise_share"]:
        motion = add_noise(motion, rng)
    if rng.random() < config["cover_share"]:
        cover(motion, appearance, rng)
    return motion * float(np.exp(rng.normal(0, 0.2))), appearance, label


def add_noise(motion: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Frame-to-frame differences of noise that is white in time, in patches of 1, 4 or 9 pixels or
    over the whole picture (a light that flickers), kept to a mean square of about 1."""
    frames, _, size, _ = motion.shape
    patch = rng.choice([1, 4, 9, size])
    cells = -(-size // patch)
    channels = 1 if patch == size else 3
    noise = rng.standard_normal((frames + 1, channels, cells, cells), np.float32)
    noise = torch.from_numpy(np.diff(noise, axis=0)) / 2**0.5
    noise = noise.repeat_interleave(patch, 2).repeat_interleave(patch, 3)[..., :size, :size]
    strength = float(np.exp(rng.uniform(np.log(0.1), 0)) / np.sqrt(patch))
    return (motion + strength * noise) / np.sqrt(1 + strength**2)


def cover(motion: torch.Tensor, appearance: torch.Tensor, rng: np.random.Generator) -> None:
    """A still, even rectangle, as a hand or a mask would hide a part: in place."""
    size = motion.shape[-1]
    height, width = rng.integers(size // 6, size // 2, 2)
    top, left = rng.integers(0, size - height), rng.integers(0, size - width)
    place = np.s_[..., top : top + height, left : left + width]
    noise = rng.standard_normal(motion[place].shape, np.float32)
    motion[place] = torch.from_numpy(noise) * float(rng.uniform(0, 1)) * motion[place].std()
    appearance[place] = torch.from_numpy(rng.normal(0, 1, (3, 1, 1)).astype(np.float32))
