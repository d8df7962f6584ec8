"""What each fault of an export costs in ONNX Runtime: a small network with the fault over the same file after the step `clean`.

`python -m benchmarks.export_faults`, a minute on one thread. Its figures stand in `strop/plan/export.toml` as what a clean-up is
worth. Both sessions live in one process and take turns in blocks, ABBA; the interval is Student's over these quads.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from benchmarks.results import write
from benchmarks.spoil import weights_as_inputs
from strop.core.statistics import t_quantile

SIZE, CHANNELS, BLOCKS, CLASSES = 32, 32, 4, 10
QUADS, BLOCK_S = 16, 0.02
Array = NDArray[Any]
Arrays = dict[str, Array]


def weights(seed: int = 0) -> Arrays:
    """Of a network of convolutions: `w`, `b`, and the four numbers of a batch normalization for each."""
    rng = np.random.default_rng(seed)
    found: Arrays = {}
    for block in range(BLOCKS):
        inner = CHANNELS if block else 3
        found[f"w{block}"] = rng.standard_normal((CHANNELS, inner, 3, 3)) / np.sqrt(9 * inner)
        found[f"b{block}"] = rng.standard_normal(CHANNELS) / 10
        found[f"scale{block}"] = rng.uniform(0.5, 1.5, CHANNELS)
        found[f"shift{block}"] = rng.standard_normal(CHANNELS) / 10
        found[f"mean{block}"] = rng.standard_normal(CHANNELS) / 10
        found[f"var{block}"] = rng.uniform(0.5, 1.5, CHANNELS)
    found["head"] = rng.standard_normal((CHANNELS, CLASSES)) / 4
    found["bias"] = rng.standard_normal(CLASSES) / 10
    return {name: values.astype(np.float32) for name, values in found.items()}


def network(norms: bool = False, between: Callable[[str, str], list[onnx.NodeProto]] | None = None,
            more: Sequence[TensorProto] = (), opset: int = 17, ir: int = 8) -> onnx.ModelProto:  # fmt: skip
    """Convolutions with Relu, and a linear layer; in a clean form by default.

    Args:
        norms: batch normalizations as nodes of their own, instead of in the convolutions' weights.
        between: nodes from one value to another, after each Relu. more: their constants.
    """
    held, nodes, last = weights(), [], "x"
    for n in range(BLOCKS):
        if not norms:
            factor = held[f"scale{n}"] / np.sqrt(held[f"var{n}"] + 1e-5)
            held[f"w{n}"] = held[f"w{n}"] * factor[:, None, None, None]
            held[f"b{n}"] = (held[f"b{n}"] - held[f"mean{n}"]) * factor + held[f"shift{n}"]
        nodes.append(helper.make_node("Conv", [last, f"w{n}", f"b{n}"], [f"c{n}"], f"conv{n}", pads=[1, 1, 1, 1]))
        numbers = [f"{part}{n}" for part in ("scale", "shift", "mean", "var")]
        if norms:
            nodes.append(helper.make_node("BatchNormalization", [f"c{n}", *numbers], [f"n{n}"], f"norm{n}", epsilon=1e-5))
        else:
            held = {name: values for name, values in held.items() if name not in numbers}
        nodes.append(helper.make_node("Relu", [f"n{n}" if norms else f"c{n}"], [f"r{n}"], f"relu{n}"))
        last = f"r{n}"
        if between is not None:
            nodes += between(f"r{n}", f"t{n}")
            last = f"t{n}"
    nodes.append(helper.make_node("GlobalAveragePool", [last], ["pooled"]))
    nodes.append(helper.make_node("Flatten", ["pooled"], ["flat"]))
    nodes.append(helper.make_node("Gemm", ["flat", "head", "bias"], ["y"]))
    tensors = [numpy_helper.from_array(np.ascontiguousarray(v, np.float32), name) for name, v in held.items()]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, SIZE, SIZE])
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", CLASSES])
    graph = helper.make_graph(nodes, "network", [given], [made], [*tensors, *more])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)


def dynamic(model: onnx.ModelProto) -> onnx.ModelProto:
    """With every axis of the input dynamic and without a name."""
    for dim in model.graph.input[0].type.tensor_type.shape.dim:
        dim.Clear()
    return model


def in_float64(given: str, made: str) -> list[onnx.NodeProto]:
    """A product and a sum with Python numbers, which some exporters compute in float64."""
    return [
        helper.make_node("Cast", [given], [f"{made}a"], f"{made}/wide", to=TensorProto.DOUBLE),
        helper.make_node("Mul", [f"{made}a", "factor"], [f"{made}b"]),
        helper.make_node("Add", [f"{made}b", "offset"], [f"{made}c"]),
        helper.make_node("Cast", [f"{made}c"], [made], f"{made}/narrow", to=TensorProto.FLOAT),
    ]


def cast_twice(given: str, made: str) -> list[onnx.NodeProto]:
    """To float64 and back, for nothing."""
    return [
        helper.make_node("Cast", [given], [f"{made}a"], f"{made}/wide", to=TensorProto.DOUBLE),
        helper.make_node("Cast", [f"{made}a"], [made], f"{made}/narrow", to=TensorProto.FLOAT),
    ]


def copied(given: str, made: str) -> list[onnx.NodeProto]:
    """A convolution with the weights of all the others of its kind, under a name of its own."""
    return [helper.make_node("Conv", [given, f"copy_{made}"], [made], f"{made}/conv", pads=[1, 1, 1, 1])]


def copies() -> list[TensorProto]:
    rng = np.random.default_rng(1)
    values = (rng.standard_normal((CHANNELS, CHANNELS, 3, 3)) / np.sqrt(9 * CHANNELS)).astype(np.float32)
    return [numpy_helper.from_array(values, f"copy_t{n}") for n in range(BLOCKS)]


def numbers() -> list[TensorProto]:
    return [numpy_helper.from_array(np.array(value, np.float64), name) for name, value in (("factor", 1.1), ("offset", 0.1))]


FAULTS: dict[str, Callable[[], onnx.ModelProto]] = {
    "weights-as-inputs": lambda: weights_as_inputs(network(norms=True)),
    "batch-norm": lambda: network(norms=True),
    "dynamic-axes": lambda: dynamic(network()),
    "float64": lambda: network(between=in_float64, more=numbers()),
    "cast-chains": lambda: network(between=cast_twice),
    "duplicated-weights": lambda: network(between=copied, more=copies()),
    "old-opset": lambda: weights_as_inputs(network(norms=True, opset=9, ir=3)),
}
"""Fault → the network that has it."""


def cleaned(path: Path) -> Path:
    """The same file after the step `clean`."""
    from strop.backends.onnxruntime import cleaning

    out = path.parent / "clean" / path.name
    out.parent.mkdir(exist_ok=True)
    file: str = cleaning.clean(str(path), str(out), None)["file"]
    return out.parent / file


def session(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def block(of: ort.InferenceSession, feed: Arrays, calls: int) -> float:
    """Median seconds of a call."""
    found = []
    for _ in range(calls):
        begin = time.perf_counter()
        of.run(None, feed)
        found.append(time.perf_counter() - begin)
    return float(np.median(found))


def gain(given: Path, clean: Path, feed: Arrays) -> tuple[float, float, float]:
    """Speed of `clean` over `given`, with a 95 % interval."""
    a, b = session(given), session(clean)
    calls = {id(of): max(3, int(BLOCK_S / block(of, feed, 20))) for of in (a, b)}
    logs = []
    for _ in range(QUADS):
        first, second, third, fourth = (np.log(block(of, feed, calls[id(of)])) for of in (a, b, b, a))
        logs.append((first + fourth - second - third) / 2)
    half = t_quantile(0.975, QUADS - 1) * float(np.std(logs, ddof=1)) / QUADS**0.5
    centre = float(np.mean(logs))
    return float(np.exp(centre)), float(np.exp(centre - half)), float(np.exp(centre + half))


def main() -> None:
    """Measures every fault, prints a table and writes results/export_faults.json."""
    feed = {"x": np.random.default_rng(2).standard_normal((1, 3, SIZE, SIZE)).astype(np.float32)}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, make in FAULTS.items():
            path = Path(folder) / f"{name}.onnx"
            onnx.save(make(), path)
            clean = cleaned(path)
            value, low, high = gain(path, clean, feed)
            sizes = path.stat().st_size, clean.stat().st_size
            rows.append({"fault": name, "speed": value, "low": low, "high": high, "bytes": sizes[0], "clean_bytes": sizes[1]})
            print(f"{name:20} {value:.3f}× [{low:.3f}, {high:.3f}], {sizes[0]:,} → {sizes[1]:,} bytes", flush=True)
    write("export_faults", "python -m benchmarks.export_faults", {"faults": rows})


if __name__ == "__main__":
    main()
