"""Networks as files: the trainable flavour, safetensors with the configuration in its header.

Nothing in such a file is run when it is read. `import_onnx` makes one of a deployed network:

    python training/weights.py models/heartrate.onnx models/heartrate.safetensors
"""

import json
import struct
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from network import DeepPhys, ModelConfig
from data import read_shard


def save_model(path: str | Path, model: DeepPhys, note: str) -> None:
    """Writes the weights in FP32 with what is needed to build the network again."""
    header = {"__metadata__": {"config": json.dumps(asdict(model.config)), "note": note}}
    parts, offset = [], 0
    for name, value in model.state_dict().items():
        part = value.detach().cpu().float().contiguous().numpy().astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(value.shape),
                        "data_offsets": [offset, offset + len(part)]}
        parts.append(part)
        offset += len(part)
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    beside = Path(path).with_suffix(".partial")
    beside.write_bytes(struct.pack("<Q", len(encoded)) + encoded + b"".join(parts))
    beside.rename(path)


def load_model(path: str | Path) -> tuple[DeepPhys, str]:
    """Reads what `save_model` wrote: the network, in evaluation mode, and the note."""
    tensors, metadata = read_shard(Path(path))
    model = DeepPhys(ModelConfig.read(json.loads(metadata["config"])))
    model.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in tensors.items()})
    return model.eval(), metadata["note"]


def import_onnx(path: str | Path) -> tuple[DeepPhys, str]:
    """The network of a file that `export.py` wrote, without batch norm: that is folded in."""
    import onnx  # not needed to train

    proto = onnx.load(path)
    keys = {p.key: p.value for p in proto.metadata_props}
    weights = {}
    for tensor in proto.graph.initializer:
        value = torch.from_numpy(onnx.numpy_helper.to_array(tensor).astype(np.float32))
        weights[tensor.name.removesuffix(".f16").replace("ppg.", "output.")] = value
    model = DeepPhys(read_shape(proto, weights, keys))
    names = {name: onnx_name(name) for name in model.state_dict()}
    model.load_state_dict({name: weights[names[name]] for name in names})
    return model.eval(), keys.get("hrnet.training", "").split(", ", 1)[-1]


def onnx_name(name: str) -> str:
    """Of a weight in `state_dict`: convolutions have their layer's name in the graph."""
    return name.replace(".conv.", ".")


def read_shape(proto, weights: dict, keys: dict) -> ModelConfig:
    """The configuration, from the graph's tensors."""
    dims = [d.dim_value for d in proto.graph.input[0].type.tensor_type.shape.dim]
    stride = next(a.ints[0] for n in proto.graph.node if n.name == "motion.0"
                  for a in n.attribute if a.name == "strides")
    return ModelConfig(
        model_type="separable" if "motion.1.depth.weight" in weights else "DeepPhys",
        input_size=dims[2], data_format="channels_first" if dims[1] == 3 else "channels_last",
        channels=(len(weights["motion.0.bias"]), len(weights["motion.2.bias"])),
        first_kernel=weights["motion.0.weight"].shape[2], first_stride=stride,
        dense=len(weights["dense.bias"]), appearance_every=int(keys.get("hrnet.appearance_every", 1)))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    save_model(sys.argv[2], *import_onnx(sys.argv[1]))
