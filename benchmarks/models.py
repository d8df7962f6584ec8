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

    def node(self, kind: str, inputs: list[str], name: str, **attributes: list[int] | int) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def weight(self, name: str, shape: tuple[int, ...], deviation: float) -> str:
        values = (self.rng.standard_normal(shape) * deviation).astype(np.float32)
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def constant(self, name: str, values: NDArray[np.generic]) -> None:
        self.weights.append(numpy_helper.from_array(values, name))

    def linear(self, source: str, size: tuple[int, int], name: str) -> str:
        product = self.node("MatMul", [source, self.weight(f"{name}.w", size, (2 / size[0]) ** 0.5)], f"{name}.product")
        return self.node("Add", [product, self.weight(f"{name}.b", (size[1],), 0.1)], name)

    def normal(self, source: str, width: int, name: str) -> str:
        return self.node("LayerNormalization", [source, self.weight(f"{name}.g", (width,), 1.0)], name)

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
    return classifier(layers, flat, channels, ["batch", 3, SIZE, SIZE], "residual")


def depthwise_graph() -> onnx.ModelProto:
    """Separable convolutions, as models for phones have them; input and output as the residual one's."""
    layers, channels = Layers(), WIDTHS[0]
    here = layers.node("Relu", [layers.convolution("input", (3, channels), 3, 2, "stem")], "stem.relu")
    for stage, width in enumerate((64, 128, 128, 256)):
        kernels = layers.weight(f"depth{stage}.w", (channels, 1, 3, 3), (2 / 9) ** 0.5)
        here = layers.node("Conv", [here, kernels], f"depth{stage}", kernel_shape=[3, 3], pads=[1] * 4, group=channels,
                           strides=[2, 2] if stage % 2 else [1, 1])  # fmt: skip
        here = layers.node("Relu", [here], f"depth{stage}.relu")
        here = layers.node("Relu", [layers.convolution(here, (channels, width), 1, 1, f"point{stage}")], f"point{stage}.relu")
        channels = width
    return classifier(layers, layers.node("Flatten", [layers.node("GlobalAveragePool", [here], "pool")], "flat"), channels,
                      ["batch", 3, SIZE, SIZE], "depthwise")  # fmt: skip


def perceptron_graph() -> onnx.ModelProto:
    """Three wide layers: memory decides, not arithmetic. Input [batch, 784]."""
    layers, here, width = Layers(), "input", 784
    for number in range(3):
        here, width = layers.node("Relu", [layers.linear(here, (width, 1024), f"layer{number}")], f"layer{number}.relu"), 1024
    return classifier(layers, here, width, ["batch", 784], "perceptron")


STEPS, HIDDEN, HEADS = 64, 128, 4
"""Of the encoder."""


def encoder_graph() -> onnx.ModelProto:
    """Two blocks of a transformer's encoder over 64 steps of 128 numbers each. Input [batch, 64, 128]."""
    layers, here = Layers(), "input"
    layers.constant("split", np.array([0, STEPS, HEADS, HIDDEN // HEADS], np.int64))
    layers.constant("join", np.array([0, STEPS, HIDDEN], np.int64))
    layers.constant("scale", np.array((HIDDEN // HEADS) ** -0.5, np.float32))
    for number in range(2):
        name = f"block{number}"
        attended = layers.node("Add", [here, attention(layers, here, name)], f"{name}.first")
        here = layers.normal(attended, HIDDEN, f"{name}.norm1")
        inner = layers.node("Relu", [layers.linear(here, (HIDDEN, 4 * HIDDEN), f"{name}.up")], f"{name}.relu")
        outer = layers.linear(inner, (4 * HIDDEN, HIDDEN), f"{name}.down")
        here = layers.normal(layers.node("Add", [here, outer], f"{name}.second"), HIDDEN, f"{name}.norm2")
    pooled = layers.node("ReduceMean", [here], "pooled", axes=[1], keepdims=0)
    return classifier(layers, pooled, HIDDEN, ["batch", STEPS, HIDDEN], "encoder")


def attention(layers: Layers, source: str, name: str) -> str:
    """Multi-head attention of a sequence to itself."""
    parts = {}
    for part in "qkv":
        values = layers.linear(source, (HIDDEN, HIDDEN), f"{name}.{part}")
        split = layers.node("Reshape", [values, "split"], f"{name}.{part}.split")
        order = [0, 2, 3, 1] if part == "k" else [0, 2, 1, 3]
        parts[part] = layers.node("Transpose", [split], f"{name}.{part}.heads", perm=order)
    scores = layers.node("MatMul", [parts["q"], parts["k"]], f"{name}.scores")
    weights = layers.node("Softmax", [layers.node("Mul", [scores, "scale"], f"{name}.scaled")], f"{name}.weights")
    mixed = layers.node("MatMul", [weights, parts["v"]], f"{name}.mixed")
    back = layers.node("Transpose", [mixed], f"{name}.back", perm=[0, 2, 1, 3])
    return layers.linear(layers.node("Reshape", [back, "join"], f"{name}.joined"), (HIDDEN, HIDDEN), f"{name}.out")


def classifier(layers: Layers, flat: str, width: int, shape: list[int | str], name: str) -> onnx.ModelProto:
    """With a linear layer of ten classes at its end."""
    head = [flat, layers.weight("head.w", (width, CLASSES), width**-0.5), layers.weight("head.b", (CLASSES,), 0.1)]
    layers.node("Gemm", head, "output")
    given = helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)
    got = helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", CLASSES])
    graph = helper.make_graph(layers.nodes, name, [given], [got], layers.weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


GENERATED = {
    "residual": residual_graph, "depthwise": depthwise_graph, "perceptron": perceptron_graph, "encoder": encoder_graph,
}  # fmt: skip


def residual_model(folder: Path = SCRATCH / "residual") -> Model:
    """The generated model and its random inputs, written into `folder`."""
    return generated_model("residual", folder, EXAMPLES)


def generated_model(name: str, folder: Path, examples: int) -> Model:
    """One of `GENERATED` and its random inputs, written into `folder`; as eval.npz and calibration.npz too."""
    folder.mkdir(parents=True, exist_ok=True)
    model = GENERATED[name]()
    onnx.checker.check_model(model)
    onnx.save(model, folder / f"{name}.onnx")
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim][1:]
    for seed, part in ((1, "eval"), (2, "calibration")):
        values = np.random.default_rng(seed).standard_normal((examples, *shape)).astype(np.float32)
        np.savez(folder / f"{part}.npz", input=values)
        if part == "eval":
            np.save(folder / "input.npy", values)
    return Model(name, folder / f"{name}.onnx", {"input": folder / "input.npy"}, examples, 1)
