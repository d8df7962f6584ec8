"""The models that are compared: the given one, and a residual CNN that is generated, never committed."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from benchmarks.options import Given
from benchmarks.results import SCRATCH

WIDTHS, DEPTH, SIZE, CLASSES = (32, 64, 128), 2, 96, 10
"""About 5 ms a call at one thread of a server core."""
EXAMPLES = 32


class Model(NamedTuple):
    """A model file and the .npy shards of its inputs, shape [examples, …]."""

    name: str
    path: Path
    inputs: dict[str, Path]
    examples: int
    batch: int


def arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    """The arrays of an .npz file or of a folder of .npy files."""
    if path.is_dir():
        return {p.stem: np.load(p, allow_pickle=False) for p in sorted(path.glob("*.npy"))}
    with np.load(path, allow_pickle=False) as found:
        return {name: found[name] for name in found.files}


def given_model(given: Given, folder: Path) -> Model:
    """The given model, its evaluation inputs as shards in `folder`, in the types that it takes."""
    graph = onnx.load(given.model, load_external_data=False).graph
    weights = {i.name for i in graph.initializer}
    wanted = [v for v in graph.input if v.name not in weights]
    names = dict(pair.split("=", 1) for pair in given.mapping)
    found = arrays(given.data)
    folder.mkdir(parents=True, exist_ok=True)
    inputs = {}
    for number, value in enumerate(wanted):
        inputs[value.name] = folder / f"input{number}.npy"
        dtype = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        np.save(inputs[value.name], found[names.get(value.name, value.name)].astype(dtype))
    batch = wanted[0].type.tensor_type.shape.dim[0].dim_value
    examples = len(found[names.get(wanted[0].name, wanted[0].name)])
    return Model(given.name, given.model.absolute(), inputs, examples, batch or 1)


class Layers:
    """A graph under construction, weights from one generator."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def node(self, kind: str, inputs: list[str], name: str, **attributes: list[int]) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def weight(self, name: str, shape: tuple[int, ...], deviation: float) -> str:
        values = (self.rng.standard_normal(shape) * deviation).astype(np.float32)
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def convolution(self, source: str, channels: tuple[int, int], kernel: int, stride: int, name: str, gain: float = 1.0) -> str:
        """He's initialisation, times `gain`."""
        into, out = channels
        kernels = self.weight(f"{name}.w", (out, into, kernel, kernel), gain * (2 / (into * kernel * kernel)) ** 0.5)
        inputs = [source, kernels, self.weight(f"{name}.b", (out,), 0.1)]
        pads, strides = [kernel // 2] * 4, [stride] * 2
        return self.node("Conv", inputs, name, kernel_shape=[kernel] * 2, strides=strides, pads=pads)

    def block(self, source: str, channels: tuple[int, int], stride: int, name: str) -> str:
        """Two 3×3 convolutions and a way past them."""
        into, out = channels
        first = self.node("Relu", [self.convolution(source, channels, 3, stride, f"{name}.1")], f"{name}.1.relu")
        second = self.convolution(first, (out, out), 3, 1, f"{name}.2", gain=0.5)
        past = source if into == out and stride == 1 else self.convolution(source, channels, 1, stride, f"{name}.past")
        return self.node("Relu", [self.node("Add", [second, past], f"{name}.add")], f"{name}.relu")


def residual_graph() -> onnx.ModelProto:
    """Input `input` [batch, 3, 96, 96], output `output` [batch, 10]; random weights of seed 0."""
    layers, channels = Layers(), WIDTHS[0]
    here = layers.node("Relu", [layers.convolution("input", (3, channels), 3, 2, "stem")], "stem.relu")
    for stage, width in enumerate(WIDTHS):
        for number in range(DEPTH):
            here = layers.block(here, (channels, width), 2 if stage and not number else 1, f"stage{stage}.{number}")
            channels = width
    flat = layers.node("Flatten", [layers.node("GlobalAveragePool", [here], "pool")], "flat")
    head = [flat, layers.weight("head.w", (channels, CLASSES), channels**-0.5), layers.weight("head.b", (CLASSES,), 0.1)]
    layers.node("Gemm", head, "output")
    given = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, SIZE, SIZE])
    got = helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", CLASSES])
    graph = helper.make_graph(layers.nodes, "residual", [given], [got], layers.weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def residual_model(folder: Path = SCRATCH / "residual") -> Model:
    """The generated model and its random inputs, written into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    model = residual_graph()
    onnx.checker.check_model(model)
    onnx.save(model, folder / "residual.onnx")
    inputs = np.random.default_rng(1).standard_normal((EXAMPLES, 3, SIZE, SIZE)).astype(np.float32)
    np.save(folder / "input.npy", inputs)
    return Model("residual", folder / "residual.onnx", {"input": folder / "input.npy"}, EXAMPLES, 1)
