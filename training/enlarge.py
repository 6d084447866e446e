"""Makes a network of 72 x 72 pixels that reads what one of 36 x 36 does, to train on from there.

    python training/enlarge.py SMALL.safetensors OUT.safetensors

Each pixel becomes four, so the first convolution has twice the stride and a kernel of twice the
side less one, each weight a quarter on four pixels; the last column and row, which an odd kernel
has no room for, go to the ones beside them. All that follows stays as it is.
"""

import sys
from dataclasses import replace

import torch

from network import DeepPhys, ModelConfig
from weights import load_model, save_model


def enlarged_kernel(weight: torch.Tensor) -> torch.Tensor:
    """Outputs x inputs x K x K to outputs x inputs x (2K - 1) x (2K - 1), of the same sum."""
    for dim in (2, 3):
        weight = weight.repeat_interleave(2, dim) / 2
        last = weight.shape[dim] - 1
        weight, rest = weight.split([last, 1], dim)
        weight = weight.clone()
        weight.select(dim, last - 1).add_(rest.select(dim, 0))
    return weight


def enlarge(small: DeepPhys) -> DeepPhys:
    """The network for maps of twice the side."""
    config = small.config
    large = DeepPhys(enlarged_config(config))
    weights = small.state_dict()
    for branch in ("motion", "appearance"):
        name = f"{branch}.0.conv.weight"
        weights[name] = enlarged_kernel(weights[name])
    large.load_state_dict(weights)
    return large.eval()


def enlarged_config(config: ModelConfig) -> ModelConfig:
    """Twice the side and stride, so that the maps behind the first convolution stay the size."""
    return replace(config, input_size=2 * config.input_size, first_stride=2 * config.first_stride,
                   first_kernel=2 * config.first_kernel - 1)


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    small, note = load_model(sys.argv[1])
    save_model(sys.argv[2], enlarge(small), f"{note}, enlarged")


if __name__ == "__main__":
    main()
