"""Writes a trained network as ONNX, with the `hrnet.*` metadata that the plugin reads.

Example: export.py --model runs/first/best.safetensors --out ../models/heartrate.onnx

The graph is put together by hand: it has only operators that every runtime knows, and no exporter's
version shows in it. `--fp16` (the default) stores the weights as float16 and casts them to float32
in the graph, so that inputs, outputs and arithmetic stay float32.
"""

import argparse
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from network import DeepPhys, Layer
from weights import load_model

OPSET = 13
# What the graph cannot say, as src/hrnetinfer/contract.rs reads it.
CONTRACT = {
    "hrnet.contract": "1",
    "hrnet.color": "rgb",
    "hrnet.motion": "rms 2 0.0002 5",
    "hrnet.appearance": "standardized",
    "hrnet.output": "derivative",
}


INPUTS = ("motion_input", "appearance_input")


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

    def layer(self, op: str, name: str, values, x: str, **attributes) -> str:
        """A convolution or a dense layer of these weights (and bias)."""
        parts = zip(("weight", "bias"), values)
        return self.add(op, name, x, *[self.weight(f"{name}.{part}", v) for part, v in parts], **attributes)

    def conv(self, name: str, module, values, x: str) -> str:
        return self.layer(
            "Conv", name, values, x, kernel_shape=list(module.kernel_size),
            pads=list(module.padding) * 2, strides=list(module.stride), group=module.groups,
        )

    def convolution(self, name: str, layer: Layer, x: str) -> str:
        """A layer of a branch, with its tanh."""
        if layer.depth is not None:
            x = self.conv(f"{name}.depth", layer.depth, [layer.depth.weight], x)
        x = self.conv(name, layer.conv, layer.folded(), x)
        return self.add("Tanh", f"{name}.tanh", x)

    def pool(self, name: str, x: str) -> str:
        return self.add("AveragePool", name, x, kernel_shape=[2, 2], strides=[2, 2])


def convolutions(graph: Graph, model: DeepPhys, branch: str, pair: int, x: str) -> str:
    """One pair of convolutions with their tanh."""
    for i in (2 * pair, 2 * pair + 1):
        x = graph.convolution(f"{branch}.{i}", getattr(model, branch)[i], x)
    return x


def mask(graph: Graph, model: DeepPhys, pair: int, x: str) -> str:
    """The attention mask: sigmoid, then H * W * mask / (2 * L1 norm)."""
    name, size = f"attention.{pair}", model.config.sizes()[1 + 3 * pair]
    module = model.attention[pair]
    x = graph.conv(name, module, [module.weight, module.bias], x)
    x = graph.add("Sigmoid", f"{name}.sigmoid", x)
    axes = graph.constant(f"{name}.axes", np.array([2, 3], np.int64))
    norm = graph.add("ReduceSum", f"{name}.norm", x, axes, keepdims=1)
    pixels = graph.constant(f"{name}.pixels", np.float32(size * size / 2).reshape(1, 1, 1, 1))
    scale = graph.add("Div", f"{name}.scale", pixels, norm)
    return graph.add("Mul", f"{name}.mask", x, scale)


def build(model: DeepPhys, graph: Graph) -> None:
    """The whole network."""
    motion, appearance = INPUTS
    if model.config.data_format == "channels_last":
        turn = lambda x: graph.add("Transpose", f"{x}.planes", x, perm=[0, 3, 1, 2])
        motion, appearance = turn(motion), turn(appearance)
    for pair in (0, 1):
        appearance = convolutions(graph, model, "appearance", pair, appearance)
        motion = convolutions(graph, model, "motion", pair, motion)
        motion = graph.add("Mul", f"gated.{pair}", motion, mask(graph, model, pair, appearance))
        motion = graph.pool(f"pool.{pair}", motion)
        if pair == 0:
            appearance = graph.pool("appearance.pool", appearance)
    x = graph.add("Flatten", "flatten", motion, axis=1)
    values = lambda module: [module.weight, module.bias]
    x = graph.layer("Gemm", "dense", values(model.dense), x, transB=1)
    x = graph.add("Tanh", "dense.tanh", x)
    graph.layer("Gemm", "ppg", values(model.output), x, transB=1)


def to_onnx(model: DeepPhys, note: str, fp16: bool) -> onnx.ModelProto:
    """The ONNX model: `motion_input`, `appearance_input`, [batch, 3, H, W] or [batch, H, W, 3], to
    `ppg` [batch, 1]."""
    graph, size = Graph(fp16), model.config.input_size
    build(model, graph)
    first = model.config.data_format == "channels_first"
    maps = ["batch", 3, size, size] if first else ["batch", size, size, 3]
    inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, maps) for n in INPUTS]
    output = helper.make_tensor_value_info("ppg", TensorProto.FLOAT, ["batch", 1])
    proto = helper.make_model(
        helper.make_graph(graph.nodes, "heartrate", inputs, [output], graph.weights),
        opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8,
        producer_name="gst-plugin-heartrate",
    )
    props = {**CONTRACT, "hrnet.appearance_every": str(model.config.appearance_every),
             "hrnet.training": note, "hrnet.licence": "MPL-2.0"}
    helper.set_model_props(proto, props)
    onnx.checker.check_model(proto, full_check=True)
    return proto


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, type=Path, help="best.safetensors or last.safetensors of a run")
    parser.add_argument("--out", required=True, type=Path, help="file to write")
    parser.add_argument("--fp16", action=argparse.BooleanOptionalAction, default=True)
    args = parser.parse_args()
    model, note = load_model(args.model)
    beside = args.out.with_suffix(".partial")
    onnx.save(to_onnx(model, f"{model.config.model_type}, {note}", args.fp16), beside)
    beside.rename(args.out)
    print(f"{args.out}: {args.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
