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
    appearance_every: int = 1

    def __post_init__(self):
        choices = {"model_type": ("DeepPhys", "separable"), "input_size": (36, 72),
                   "data_format": ("channels_first", "channels_last")}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"[model]: {name} is {getattr(self, name)!r}, not one of {allowed}")
        for field in fields(self):
            if field.type is bool and not isinstance(getattr(self, field.name), bool):
                raise ValueError(f"[model]: {field.name} is neither true nor false")

    @staticmethod
    def read(table: dict) -> "ModelConfig":
        """From a TOML table; an unknown key is an error."""
        refuse_unknown("[model]", table, [f.name for f in fields(ModelConfig)])
        return ModelConfig(**{**table, "channels": tuple(table.get("channels", (32, 64)))})

    def sizes(self) -> list[int]:
        """Height of the map after conv 1, conv 2, pool, conv 3, conv 4, pool."""
        first = (self.input_size - 1) // self.first_stride + 1
        pooled = (first - 2) // 2
        return [first, first - 2, pooled, pooled, pooled - 2, (pooled - 2) // 2]

    def multiply_adds(self, appearance_every: int = 1) -> float:
        """Multiply-adds of the convolutions and dense layers for one frame, where the appearance
        branch is run once in so many."""
        (a, b), s, k = self.channels, self.sizes(), self.first_kernel
        branch = 3 * k * k * a * s[0] ** 2
        for inputs, outputs, size in ((a, a, s[1]), (a, b, s[3]), (b, b, s[4])):
            separable = 9 * inputs + inputs * outputs
            branch += (9 * inputs * outputs if self.model_type == "DeepPhys" else separable) * size**2
        masks = a * s[1] ** 2 + b * s[4] ** 2
        dense = b * s[5] ** 2 * self.dense + self.dense
        return branch + dense + (branch + masks) / appearance_every


def refuse_unknown(where: str, table: dict, known: list[str]) -> None:
    """An error that names the keys that nobody reads."""
    unknown = sorted(set(table) - set(known))
    if unknown:
        raise ValueError(f"{where}: unknown keys {unknown}")


def read_config(path: str | Path) -> dict:
    """The whole configuration file as a dictionary."""
    with open(path, "rb") as file:
        config = tomllib.load(file)
    refuse_unknown(str(path), config, ["model", "train", "fine_tune"])
    return config


class Layer(nn.Module):
    """A convolution, plain or depthwise-separable, and its batch norm where that is asked for."""

    def __init__(self, config: ModelConfig, inputs: int, outputs: int, first: bool, padded: bool):
        super().__init__()
        kernel = config.first_kernel if first else 3
        padding = kernel // 2 if padded else 0
        stride = config.first_stride if first else 1
        separable = config.model_type == "separable" and not first
        self.depth = None
        if separable:
            self.depth = nn.Conv2d(inputs, inputs, kernel, padding=padding, groups=inputs, bias=False)
            kernel, padding = 1, 0
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=padding)
        self.norm = nn.BatchNorm2d(outputs) if config.use_batch_norm else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.depth is not None:
            x = self.depth(x)
        x = self.conv(x)
        return torch.tanh(x if self.norm is None else self.norm(x))

    def folded(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Weight and bias of the convolution with the batch norm's scale and shift in them."""
        weight, bias = self.conv.weight.detach(), self.conv.bias.detach()
        if self.norm is None:
            return weight, bias
        scale = self.norm.weight.detach() / (self.norm.running_var + self.norm.eps).sqrt()
        shift = self.norm.bias.detach() - self.norm.running_mean * scale
        return weight * scale[:, None, None, None], bias * scale + shift


def branch(config: ModelConfig) -> nn.ModuleList:
    """The four convolutions that both branches have; the second of each pair is not padded."""
    a, b = config.channels
    shapes = [(3, a, True, True), (a, a, False, False), (a, b, False, True), (b, b, False, False)]
    return nn.ModuleList([Layer(config, *shape) for shape in shapes])


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
            x = self.appearance[2 * pair + 1](self.appearance[2 * pair](x))
            masks.append(normalise_mask(self.attention[pair](x)))
        return masks

    def forward(self, motion: torch.Tensor, appearance: torch.Tensor) -> torch.Tensor:
        """`appearance` may have fewer frames than `motion`: each then serves that many in a row."""
        repeat, x = motion.shape[0] // appearance.shape[0], motion
        for pair, mask in enumerate(self.masks(appearance)):
            if repeat > 1:
                mask = mask.repeat_interleave(repeat, 0)
            x = self.motion[2 * pair + 1](self.motion[2 * pair](x)) * mask.to(x.dtype)
            x = self.drop(F.avg_pool2d(x, 2))
        x = torch.tanh(self.dense(x.flatten(1)))
        x = F.dropout(x, self.config.fully_connected_dropout_rate, self.training)
        with torch.autocast(x.device.type, enabled=False):
            return self.output(x.float())[:, 0]

    def drop(self, x: torch.Tensor) -> torch.Tensor:
        return F.dropout(x, self.config.conv_dropout_rate, self.training)
