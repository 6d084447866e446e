"""Shards as `hrnet prepare` writes them, with pictures that hold a plain pulse: for tests alone."""

import json
import struct
from pathlib import Path

import numpy as np

FPS = 30.0


def toy_tensors(clips: int, frames: int, size: int, seed: int) -> dict[str, np.ndarray]:
    """Noise everywhere, a pulse in the middle; every fourth clip is lifeless."""
    rng = np.random.default_rng(seed)
    time = np.tile(np.arange(frames) / FPS, (clips, 1))
    bpm = rng.uniform(50, 180, clips).astype(np.float32)
    bpm[3::4] = 0
    omega = 2 * np.pi * bpm[:, None] / 60
    wave, label = np.sin(omega * time), omega * np.cos(omega * time)
    motion = rng.normal(0, 0.5, (clips, frames, 3, size, size))
    inner = slice(size // 4, -size // 4)
    motion[..., inner, inner] -= (label / np.maximum(omega, 1))[..., None, None, None]
    label[3::4] = 0
    appearance = rng.normal(0, 0.2, motion.shape)
    appearance[..., inner, inner] += 1
    maps = {"motion": motion.astype(np.float16), "appearance": appearance.astype(np.float16)}
    rows = {"label": label, "wave": wave, "interval": np.full(label.shape, 1 / FPS)}
    return {**maps, **{k: v.astype(np.float32) for k, v in rows.items()}, "time": time, "bpm": bpm}


def write_shard(path: Path, tensors: dict[str, np.ndarray], attributes: list[dict]) -> None:
    """A safetensors file."""
    header, offset = {"__metadata__": {"clips": json.dumps(attributes)}}, 0
    for name, value in tensors.items():
        dtype = {"float16": "F16", "float32": "F32", "float64": "F64"}[str(value.dtype)]
        end = offset + value.nbytes
        header[name] = {"dtype": dtype, "shape": value.shape, "data_offsets": [offset, end]}
        offset = end
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(encoded)) + encoded)
        for value in tensors.values():
            file.write(value.tobytes())


def write_toy(folder: Path, clips: int = 8, frames: int = 160, size: int = 36, seed: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    attributes = [{"motion": "none", "face": "toy"}] * clips
    write_shard(folder / "shard-00000.safetensors", toy_tensors(clips, frames, size, seed), attributes)
