"""Writes a trained network as ONNX, with the `hrnet.*` metadata that the plugin reads.

Example: export.py --model runs/first/model.pt --out ../models/heartrate.onnx

The graph is put together by hand: it has only operators that every runtime knows, and no exporter's
version shows in it. `--fp16` (the default) stores the weights as float16 and casts them to float32
in the graph, so that inputs, outputs and arithmetic stay float32.
"""

import argparse
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from network import DeepPhys, load_model

OPSET = 13
# What the graph cannot say, as src/hrnetinfer/contract.rs reads it.
CONTRACT = {
    "hrnet.contract": "1",
    "hrnet.color": "rgb",
    "hrnet.motion": "rms 2 0.0002 5",
    "hrnet.appearance": "standardized",
    "hrnet.output": "derivative",
}


class Graph:
    """Collects the nodes and weights of an ONNX graph."""

    def __init__(self, fp16: bool):
        self.fp16, self.nodes, self.weights = fp16, [], []

    def add(self, op: str, name: str, *inputs: str, **attributes) -> str:
        """A node with one output, called `name`."""
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, name: str, value: np.ndarray) -> str:
        self.weights.append(numpy_helper.from_array(value, name))
        return name

    def weight(self, name: str, value) -> str:
        """A float weight, by its name after the cast to float32."""
        value = value.detach().numpy()
        if not self.fp16:
            return self.constant(name, value)
        half = self.constant(f"{name}.f16", value.astype(np.float16))
        return self.add("Cast", name, half, to=TensorProto.FLOAT)

    def layer(self, op: str, name: str, module, x: str, **attributes) -> str:
        """A convolution or a dense layer."""
        weights = [self.weight(f"{name}.{part}", getattr(module, part)) for part in ("weight", "bias")]
        return self.add(op, name, x, *weights, **attributes)

    def conv(self, name: str, module, x: str) -> str:
        return self.layer(
            "Conv", name, module, x, kernel_shape=list(module.kernel_size),
            pads=list(module.padding) * 2, strides=list(module.stride),
        )

    def pool(self, name: str, x: str) -> str:
        return self.add("AveragePool", name, x, kernel_shape=[2, 2], strides=[2, 2])


def convolutions(graph: Graph, model: DeepPhys, branch: str, pair: int, x: str) -> str:
    """One pair of convolutions with their tanh."""
    for i in (2 * pair, 2 * pair + 1):
        x = graph.conv(f"{branch}.{i}", getattr(model, branch)[i], x)
        x = graph.add("Tanh", f"{branch}.{i}.tanh", x)
    return x


def mask(graph: Graph, model: DeepPhys, pair: int, x: str) -> str:
    """The attention mask: sigmoid, then H * W * mask / (2 * L1 norm)."""
    name, size = f"attention.{pair}", model.config.sizes()[1 + 3 * pair]
    x = graph.conv(name, model.attention[pair], x)
    x = graph.add("Sigmoid", f"{name}.sigmoid", x)
    axes = graph.constant(f"{name}.axes", np.array([2, 3], np.int64))
    norm = graph.add("ReduceSum", f"{name}.norm", x, axes, keepdims=1)
    pixels = graph.constant(f"{name}.pixels", np.float32(size * size / 2).reshape(1, 1, 1, 1))
    scale = graph.add("Div", f"{name}.scale", pixels, norm)
    return graph.add("Mul", f"{name}.mask", x, scale)


def build(model: DeepPhys, graph: Graph) -> None:
    """The whole network."""
    motion, appearance = "motion_input", "appearance_input"
    for pair in (0, 1):
        appearance = convolutions(graph, model, "appearance", pair, appearance)
        motion = convolutions(graph, model, "motion", pair, motion)
        motion = graph.add("Mul", f"gated.{pair}", motion, mask(graph, model, pair, appearance))
        motion = graph.pool(f"pool.{pair}", motion)
        if pair == 0:
            appearance = graph.pool("appearance.pool", appearance)
    x = graph.add("Flatten", "flatten", motion, axis=1)
    x = graph.layer("Gemm", "dense", model.dense, x, transB=1)
    x = graph.add("Tanh", "dense.tanh", x)
    graph.layer("Gemm", "ppg", model.output, x, transB=1)


def to_onnx(model: DeepPhys, note: str, fp16: bool) -> onnx.ModelProto:
    """The ONNX model: `motion_input`, `appearance_input` [batch, 3, H, W] to `ppg` [batch, 1]."""
    graph, size = Graph(fp16), model.config.input_size
    build(model, graph)
    maps = ["batch", 3, size, size]
    inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, maps)
              for n in ("motion_input", "appearance_input")]
    output = helper.make_tensor_value_info("ppg", TensorProto.FLOAT, ["batch", 1])
    proto = helper.make_model(
        helper.make_graph(graph.nodes, "heartrate", inputs, [output], graph.weights),
        opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8,
        producer_name="gst-plugin-heartrate",
    )
    helper.set_model_props(proto, {**CONTRACT, "hrnet.training": note, "hrnet.licence": "MPL-2.0"})
    onnx.checker.check_model(proto, full_check=True)
    return proto


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, type=Path, help="model.pt of a run")
    parser.add_argument("--out", required=True, type=Path, help="file to write")
    parser.add_argument("--fp16", action=argparse.BooleanOptionalAction, default=True)
    args = parser.parse_args()
    model, note = load_model(args.model)
    onnx.save(to_onnx(model, f"DeepPhys, {note}", args.fp16), args.out)
    print(f"{args.out}: {args.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
