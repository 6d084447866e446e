#!/usr/bin/env python3
"""Writes the small networks that the tests load (needs the package onnx).

`green-*` put out the mean of the motion map's green plane plus the mean of the appearance map: a
number that a test can work out. The others are wrong in one way each.
"""
import pathlib

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

HERE = pathlib.Path(__file__).parent


def model(path, inputs, nodes, weights=(), outputs=(("ppg", ["batch", 1]),), keys=()):
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(
        nodes, path, [value(*i) for i in inputs], [value(*o) for o in outputs],
        [numpy_helper.from_array(np.asarray(w), n) for n, w in weights])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    for key, text in keys:
        entry = proto.metadata_props.add()
        entry.key, entry.value = key, text
    save(proto, HERE / path)


def green(path, size, first, motion="motion_input", appearance="appearance_input", batch="batch",
          keys=()):
    shape = [batch, 3, size, size] if first else [batch, size, size, 3]
    axes = [2, 3] if first else [1, 2]
    nodes = [
        helper.make_node("ReduceMean", [motion], ["planes"], axes=axes, keepdims=0),
        helper.make_node("MatMul", ["planes", "pick"], ["green"]),
        helper.make_node("ReduceMean", [appearance], ["flat"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["flat", "one"], ["mean"]),
        helper.make_node("Add", ["green", "mean"], ["ppg"]),
    ]
    weights = [("pick", np.float32([[0], [1], [0]])), ("one", np.int64([1]))]
    model(path, [(appearance, shape), (motion, shape)], nodes, weights, (("ppg", [batch, 1]),), keys)


PLAIN = [("hrnet.motion", "gain 1 5"), ("hrnet.appearance", "unit"), ("hrnet.output", "pulse")]
green("green-nchw-36.onnx", 36, True, keys=PLAIN)
green("green-nhwc-72.onnx", 72, False, keys=PLAIN)
green("green-batch-4.onnx", 36, True, batch=4, keys=PLAIN)
green("bad-size.onnx", 40, True)
green("bad-key.onnx", 36, True, keys=[("hrnet.color", "grey")])
model("bad-one-input.onnx", [("x", ["batch", 3, 36, 36])],
      [helper.make_node("ReduceMean", ["x"], ["ppg"], axes=[2, 3], keepdims=0)])
square = [("motion_input", ["batch", 3, 36, 36]), ("appearance_input", ["batch", 3, 36, 36])]
model("bad-output.onnx", square,
      [helper.make_node("Add", ["motion_input", "appearance_input"], ["ppg"])])
