"""DeepPhys (Chen and McDuff, ECCV 2018), the two-branch attention network of HeartRateNet.

Inputs: motion and appearance maps, N x 3 x H x W float32. Output: N values, the derivative of the
pulse wave at each frame, arbitrary unit.
"""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F


@dataclass(frozen=True)
class ModelConfig:
    """The `[model]` table of the configuration."""

    model_type: str = "DeepPhys"
    input_size: int = 36
    data_format: str = "channels_first"
    channels: tuple[int, int] = (32, 64)
    first_kernel: int = 3
    first_stride: int = 1
    dense: int = 128
    use_batch_norm: bool = False
    conv_dropout_rate: float = 0.0
    fully_connected_dropout_rate: float = 0.2

    def __post_init__(self):
        supported = (self.model_type, self.data_format, self.use_batch_norm)
        if supported != ("DeepPhys", "channels_first", False):
            raise ValueError(f"not supported: {supported}")

    @staticmethod
    def read(table: dict) -> "ModelConfig":
        """From a TOML table; an unknown key is an error."""
        unknown = set(table) - {f.name for f in fields(ModelConfig)}
        if unknown:
            raise ValueError(f"[model]: unknown keys {sorted(unknown)}")
        return ModelConfig(**{**table, "channels": tuple(table.get("channels", (32, 64)))})

    def sizes(self) -> list[int]:
        """Height of the map after conv 1, conv 2, pool, conv 3, conv 4, pool."""
        first = (self.input_size - 1) // self.first_stride + 1
        pooled = (first - 2) // 2
        return [first, first - 2, pooled, pooled, pooled - 2, (pooled - 2) // 2]

    def multiply_adds(self) -> int:
        """Multiply-adds of the convolutions and dense layers for one frame."""
        (a, b), s, k = self.channels, self.sizes(), self.first_kernel
        convs = [(3 * k * k, a, s[0]), (9 * a, a, s[1]), (9 * a, b, s[3]), (9 * b, b, s[4])]
        branch = sum(inputs * outputs * size**2 for inputs, outputs, size in convs)
        masks = a * s[1] ** 2 + b * s[4] ** 2
        return 2 * branch + masks + b * s[5] ** 2 * self.dense + self.dense


def read_config(path: str | Path) -> dict:
    """The whole configuration file as a dictionary."""
    with open(path, "rb") as file:
        return tomllib.load(file)


def branch(config: ModelConfig) -> nn.ModuleList:
    """The four convolutions that both branches have; the second of each pair is not padded."""
    (a, b), k = config.channels, config.first_kernel
    return nn.ModuleList(
        [
            nn.Conv2d(3, a, k, stride=config.first_stride, padding=k // 2),
            nn.Conv2d(a, a, 3),
            nn.Conv2d(a, b, 3, padding=1),
            nn.Conv2d(b, b, 3),
        ]
    )


def normalise_mask(mask: torch.Tensor) -> torch.Tensor:
    """Sigmoid, then H * W * mask / (2 * L1 norm), as in the paper: the mean becomes 1/2."""
    mask = torch.sigmoid(mask.float())
    pixels = mask.shape[2] * mask.shape[3]
    return mask * (pixels / 2) / mask.sum((2, 3), keepdim=True)


class DeepPhys(nn.Module):
    """The network."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        (a, b), last = config.channels, config.sizes()[-1]
        self.motion = branch(config)
        self.appearance = branch(config)
        self.attention = nn.ModuleList([nn.Conv2d(a, 1, 1), nn.Conv2d(b, 1, 1)])
        self.dense = nn.Linear(b * last * last, config.dense)
        self.output = nn.Linear(config.dense, 1)

    def masks(self, appearance: torch.Tensor) -> list[torch.Tensor]:
        """The two attention masks, N x 1 x h x w each."""
        masks, x = [], appearance
        for pair in (0, 1):
            if pair:
                x = self.drop(F.avg_pool2d(x, 2))
            x = torch.tanh(self.appearance[2 * pair](x))
            x = torch.tanh(self.appearance[2 * pair + 1](x))
            masks.append(normalise_mask(self.attention[pair](x)))
        return masks

    def forward(self, motion: torch.Tensor, appearance: torch.Tensor) -> torch.Tensor:
        """`appearance` may have fewer frames than `motion`: each then serves that many in a row."""
        repeat, x = motion.shape[0] // appearance.shape[0], motion
        for pair, mask in enumerate(self.masks(appearance)):
            if repeat > 1:
                mask = mask.repeat_interleave(repeat, 0)
            x = torch.tanh(self.motion[2 * pair](x))
            x = torch.tanh(self.motion[2 * pair + 1](x)) * mask.to(x.dtype)
            x = self.drop(F.avg_pool2d(x, 2))
        x = torch.tanh(self.dense(x.flatten(1)))
        x = F.dropout(x, self.config.fully_connected_dropout_rate, self.training)
        with torch.autocast("cpu", enabled=False):
            return self.output(x.float())[:, 0]

    def drop(self, x: torch.Tensor) -> torch.Tensor:
        return F.dropout(x, self.config.conv_dropout_rate, self.training)


def save_model(path: str | Path, model: DeepPhys, note: str) -> None:
    """Writes the weights with what is needed to build the network again."""
    config = {f.name: getattr(model.config, f.name) for f in fields(ModelConfig)}
    torch.save({"config": config, "note": note, "weights": model.state_dict()}, path)


def load_model(path: str | Path) -> tuple[DeepPhys, str]:
    """Reads what `save_model` wrote: the network, in evaluation mode, and the note."""
    saved = torch.load(path, weights_only=True)
    model = DeepPhys(ModelConfig.read(saved["config"]))
    model.load_state_dict(saved["weights"])
    return model.eval(), saved["note"]
