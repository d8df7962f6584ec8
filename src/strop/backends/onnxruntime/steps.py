"""ONNX Runtime's build steps. Each reads one file and writes `out`; child side.

Every step returns the name of the file to go on with, relative to the folder of `out`.
"""

import json
import os
from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType
from onnxruntime.quantization import quantize_dynamic as ort_quantize_dynamic
from onnxruntime.quantization import quantize_static as ort_quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from strop_child.onnx_faults import QUANTIZERS, default_inputs, opset_of
from strop_child.shards import feed_of, opened

from .cleaning import LARGE, OPSET, groom, save, tidy
from .cleaning import clean as clean
from .ending import Ending, ending, float_results

RANGES = "ranges.json"
FRAGILE = 0.1


class Feeds(CalibrationDataReader):  # type: ignore[misc]
    """Calibration examples one by one, as batches of `batch`, read from memory-mapped shards."""

    def __init__(self, data: dict[str, Any], samples: int, batch: int = 1) -> None:
        self.shards = opened(data["inputs"])
        self.batch = batch
        self.rows = iter(range(0, min(samples, data["count"]) // batch * batch, batch))

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        row = next(self.rows, None)
        if row is None:
            return None
        fed: dict[str, NDArray[Any]] = feed_of(self.shards, slice(row, row + self.batch))
        return fed


def halve(artifact: str, out: str, data: dict[str, Any] | None) -> str:
    """Weights and arithmetic in FP16, inputs and outputs left as they are."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    made = convert_float_to_float16(onnx.load(artifact), keep_io_types=True)
    onnx.save(made, out)
    return os.path.basename(out)


def prepare(artifact: str, out: str, data: dict[str, Any] | None, fuse: bool = True) -> str:
    """Readies the graph for quantization: what `clean` takes out, then shapes are inferred and constants folded.

    fuse: also ONNX Runtime's basic fusions, which make a Gemm of MatMul and Add (weight-only steps want the MatMul).
    """
    model = onnx.load(artifact)
    kept = default_inputs(model)
    notes = groom(model, single=True, opset=OPSET)
    if opset_of(model) < QUANTIZERS:
        raise RuntimeError(f"no quantizer takes this model: {'; '.join(notes)}")
    draft = out + ".clean.onnx"
    save(model, draft)
    external = os.path.getsize(draft) + sum(os.path.getsize(p) for p in [draft + ".data"] if os.path.exists(p)) > LARGE
    options: dict[str, Any] = {"save_as_external_data": True, "external_data_location": "model.data"} if external else {}
    options["skip_optimization"] = not fuse
    try:
        quant_pre_process(draft, out, **options)
    except Exception as error:  # "Incomplete symbolic shape inference": transformers; or an operator it cannot follow
        print(f"symbolic shape inference failed ({error}); going on without it")
        quant_pre_process(draft, out, skip_symbolic_shape=True, **options)
    tidy(out, kept)
    for leftover in (draft, draft + ".data"):
        if os.path.exists(leftover):
            os.remove(leftover)
    return os.path.basename(out)


def calibrate(artifact: str, out: str, data: dict[str, Any], method: str, samples: int, batch: int = 1) -> str:
    """Ranges of all activations, once for every type that is then tried; the model is passed on beside them."""
    ranges = os.path.join(os.path.dirname(out), RANGES)
    ort_quantize_static(
        artifact, out, Feeds(data, samples, batch), quant_format=QuantFormat.QDQ,
        calibrate_method=CalibrationMethod[method], calibration_cache_path=ranges,
        extra_options={"CalibMovingAverage": False},
    )  # fmt: skip
    save(onnx.load(artifact), out)
    return os.path.basename(out)


def quantize_static(
    artifact: str,
    out: str,
    data: dict[str, Any],
    activation: str,
    weight: str,
    per_channel: bool,
    exclude: str,
    reduce_range: bool,
    operators: list[str] | None = None,
    answers: str = "quantized",
) -> dict[str, Any]:
    """Static INT8, QDQ, from the ranges beside the model.

    Args:
        exclude: "none", or "fragile": the tenth of the nodes that lose most.
        operators: the types of nodes that are quantized; None: all that ONNX Runtime can.
        answers: "float" leaves what makes the model's answers in floating point.
    """
    kinds = {"uint8": QuantType.QUInt8, "int8": QuantType.QInt8}
    ranges = os.path.join(os.path.dirname(artifact), RANGES)
    with open(ranges) as f:
        method = CalibrationMethod[json.load(f)["calibration_method"]["value"].rpartition(".")[2]]

    graph = onnx.load(artifact, load_external_data=False).graph
    last = ending(graph) if answers == "float" else Ending((), ())

    def quantize(path: str, nodes: list[str]) -> None:
        ort_quantize_static(
            artifact, path, None, quant_format=QuantFormat.QDQ, activation_type=kinds[activation],
            weight_type=kinds[weight], per_channel=per_channel, reduce_range=reduce_range, nodes_to_exclude=[*nodes, *last.left],
            op_types_to_quantize=operators, calibration_cache_path=ranges, calibrate_method=method,
            extra_options={"CalibMovingAverage": False}, use_external_data_format=os.path.getsize(artifact) > LARGE,
        )  # fmt: skip
        float_results(path, last.results)

    floating: list[str] = []
    try:
        quantize(out, floating)
    except ValueError as error:  # seen per channel, on a Gemm whose bias scale is a vector; its own bug, the rest goes
        floating = [n.name for n in graph.node if n.op_type == "Gemm"]
        if not floating:
            raise
        print(f"quantize_static failed ({error}); Gemm is left in floating point: {floating}")
        quantize(out, floating)
    if exclude == "fragile":
        nodes = fragile_nodes(artifact, out, data)
        print(f"fragile nodes left in floating point: {nodes}")
        os.remove(out)
        quantize(out, [*floating, *nodes])
    return {"file": os.path.basename(out), "notes": kept_words(graph, last)}


def kept_words(graph: onnx.GraphProto, last: Ending) -> list[str]:
    """What stays in floating point at the end of the graph, by the types of its nodes."""
    left = sorted({n.op_type for n in graph.node if n.name in last.left})
    results = sorted({n.op_type for n in graph.node if n.name in last.results})
    parts = [*left, *(f"the result of the last {kind}" for kind in results)]
    return [f"kept in floating point, since it makes the answers: {', '.join(parts)}"] if parts else []


def fragile_nodes(float_model: str, quantized_model: str, data: dict[str, Any], examples: int = 8) -> list[str]:
    """The tenth of the quantized nodes (at least one) at whose output the signal-to-noise ratio falls the most."""
    from onnxruntime.quantization.qdq_loss_debug import (
        collect_activations,
        create_activation_matching,
        modify_model_output_intermediate_tensors,
    )  # fmt: skip

    def activations(path: str) -> Any:
        augmented = path + ".augmented.onnx"
        modify_model_output_intermediate_tensors(path, augmented)
        try:
            return collect_activations(augmented, Feeds(data, examples))
        finally:
            os.remove(augmented)

    matched = create_activation_matching(activations(quantized_model), activations(float_model))
    noise = {name: signal_to_noise(pair["float"], pair["pre_qdq"]) for name, pair in matched.items() if pair.get("float")}
    graph = onnx.load(float_model, load_external_data=False).graph
    activated = {n.input[0]: n.output[0] for n in graph.node if n.op_type in {"Relu", "Clip", "LeakyRelu"}}
    lost: dict[str, float] = {}
    for node in graph.node:
        result = node.output[0] if node.output[0] in noise else activated.get(node.output[0])  # fused: seen behind it only
        if node.op_type in {"Conv", "ConvTranspose", "MatMul", "Gemm"} and result in noise:
            before = [noise[i] for i in node.input if i in noise]
            lost[node.name] = min(before, default=60.0) - noise[result]
    return sorted(lost, key=lambda name: -lost[name])[: max(1, round(FRAGILE * len(lost)))]


def signal_to_noise(expected: Iterable[NDArray[Any]], actual: Iterable[NDArray[Any]]) -> float:
    """Decibels, over lists of arrays of equal shapes; capped at 60."""
    signal = sum(float(np.square(np.asarray(a, float)).sum()) for a in expected)
    error = sum(float(np.square(np.asarray(a, float) - b).sum()) for a, b in zip(expected, actual, strict=True))
    return min(60.0, 10 * float(np.log10(max(signal, 1e-30) / max(error, 1e-30))))


def quantize_dynamic(
    artifact: str,
    out: str,
    data: dict[str, Any] | None,
    operators: list[str] | None,
    per_channel: bool,
    weight: str = "int8",
) -> str:
    """Dynamic INT8: weights stored as INT8, activations quantized as they come."""
    kinds = {"uint8": QuantType.QUInt8, "int8": QuantType.QInt8}
    ort_quantize_dynamic(
        artifact, out, weight_type=kinds[weight], per_channel=per_channel, op_types_to_quantize=operators,
        use_external_data_format=os.path.getsize(artifact) > LARGE,
    )  # fmt: skip
    return os.path.basename(out)


def quantize_weights(artifact: str, out: str, data: dict[str, Any] | None, bits: int, block_size: int) -> str:
    """Weight-only INT4 or INT8 of MatMuls with a constant weight; refuses to pass an unchanged model off as quantized."""
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    quantizer = MatMulNBitsQuantizer(onnx.load(artifact), bits=bits, block_size=block_size, is_symmetric=True, accuracy_level=4)
    quantizer.process()
    model = quantizer.model.model
    if not any(n.op_type == "MatMulNBits" for n in model.graph.node):
        raise RuntimeError("no MatMul was quantized: the model came out unchanged")
    save(model, out)
    return os.path.basename(out)
