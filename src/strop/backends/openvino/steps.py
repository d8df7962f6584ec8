"""OpenVINO's and NNCF's build steps; child side. Each returns the name of the file to go on with."""

import os
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from strop_child.shards import feed_of, opened

from .ending import ending
from .runner import name_of

IR = "model.xml"
LOW = {"i8", "u8", "i4", "u4"}
FEWEST = 2
SMALL = 4096
"""Values of a constant that is no layer's weight."""
TEXT = 128
"""Tokens of a calibration window."""
Feed = dict[str, NDArray[Any]]


def nncf() -> Any:
    """NNCF, quiet. It is imported only where something is quantized."""
    import logging

    import nncf

    nncf.set_log_level(logging.WARNING)
    return nncf


def read(artifact: str) -> Any:
    return ov.Core().read_model(artifact)


def save(model: Any, out_dir: str, compress: bool = False) -> str:
    ov.save_model(model, os.path.join(out_dir, IR), compress_to_fp16=compress)
    return IR


def feeds(data: dict[str, Any], samples: int, batch: int) -> list[Feed]:
    """Calibration examples as batches of `batch`, by input name."""
    shards = opened(data["inputs"])
    count = min(samples, data["count"]) // batch * batch
    return [feed_of(shards, slice(row, row + batch)) for row in range(0, count, batch)]


def convert(artifact: str, out_dir: str, data: dict[str, Any] | None, compress: bool, batch: int | None = None) -> str:
    """ONNX or IR → IR; with `compress` the weights are stored in f16, with `batch` the first axis of every input is fixed."""
    model = read(artifact)
    if batch is not None:
        shapes = {port: list(port.get_partial_shape()) for port in model.inputs}
        model.reshape({port: [batch, *shape[1:]] if shape else [] for port, shape in shapes.items()})
    return save(model, out_dir, compress)


def quantize(
    artifact: str, out_dir: str, data: dict[str, Any], preset: str, transformer: bool, samples: int, batch: int,
    fast_bias: bool = True, smooth: float | None = None, whole_range: bool = False, answers: str = "quantized",
) -> str:  # fmt: skip
    """INT8 after training.

    preset: "performance" (symmetric activations) or "mixed". smooth: SmoothQuant's alpha for matrix products; None: NNCF's.
    whole_range: activations keep all values seen; else NNCF averages the extremes over the examples, which clips the largest.
    answers: "float" leaves what makes the model's answers, behind the last product, in floating point.
    """
    found, model = feeds(data, samples, batch), read(artifact)
    names = ending(model) if answers == "float" else []
    quantized = nncf().quantize(
        model, nncf().Dataset(found), ignored_scope=nncf().IgnoredScope(names=names, validate=False),
        **_options(preset, transformer, len(found), fast_bias, smooth, whole_range),
    )  # fmt: skip
    require(quantized, {"FakeQuantize"}, artifact)
    return save(quantized, out_dir)


def _options(
    preset: str, transformer: bool, count: int, fast_bias: bool, smooth: float | None, whole_range: bool = False
) -> dict[str, Any]:
    tool = nncf()
    options: dict[str, Any] = {
        "preset": tool.QuantizationPreset(preset),
        "subset_size": count,
        "fast_bias_correction": fast_bias,
    }
    if transformer:
        options["model_type"] = tool.ModelType.TRANSFORMER
    advanced: dict[str, Any] = {}
    if smooth is not None:
        advanced["smooth_quant_alphas"] = tool.AdvancedSmoothQuantParameters(matmul=smooth)
    if whole_range:
        from nncf.quantization.range_estimator import RangeEstimatorParametersSet

        advanced["activations_range_estimator_params"] = RangeEstimatorParametersSet.MINMAX
    if advanced:
        options["advanced_parameters"] = tool.AdvancedQuantizationParameters(**advanced)
    return options


def quantize_accurately(
    artifact: str, out_dir: str, data: dict[str, Any], preset: str, transformer: bool, samples: int, batch: int, max_drop: float
) -> str:
    """INT8, operators put back to floating point until the answers agree with the original's as often as `1 - max_drop`.

    Half of the calibration data calibrates, the other half validates; evaluation data are never seen.
    """
    tool, found = nncf(), feeds(data, samples, batch)
    half = len(found) // 2
    if half < FEWEST:
        raise ValueError(f"{len(found)} calibration batches are too few to calibrate and to validate")
    original = ov.Core().compile_model(read(artifact), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    expected = [np.array(original(feed)[original.output(0)]) for feed in found[half:]]

    def validate(compiled: Any, items: Iterable[tuple[Feed, NDArray[Any]]]) -> tuple[float, list[float]]:
        scores = [agreement(compiled(feed)[compiled.output(0)], wanted) for feed, wanted in items]
        return float(np.mean(scores)), scores

    options = _options(preset, transformer, half, True, None)
    quantized = tool.quantize_with_accuracy_control(
        read(artifact), tool.Dataset(found[:half]),
        tool.Dataset(list(zip(found[half:], expected, strict=True)), lambda pair: pair[0]),
        validate, max_drop=max_drop, **options,
    )  # fmt: skip
    require(quantized, {"FakeQuantize"}, artifact)
    return save(quantized, out_dir)


def agreement(answer: NDArray[Any], wanted: NDArray[Any]) -> float:
    """Share of rows with the same largest value where rows are scores of classes; else 1 less the relative error."""
    if wanted.ndim == 2 and wanted.shape[1] > 1:
        return float(np.mean(np.argmax(answer, axis=1) == np.argmax(wanted, axis=1)))
    scale = float(np.linalg.norm(wanted)) or 1.0
    return 1.0 - min(1.0, float(np.linalg.norm(np.asarray(answer, float) - wanted)) / scale)


def compress(artifact: str, out_dir: str, data: dict[str, Any] | None, bits: int, group: int) -> str:
    """Weights only: INT8, or symmetric INT4 in groups of `group`; arithmetic stays in floating point."""
    tool = nncf()
    modes = tool.CompressWeightsMode
    options: dict[str, Any] = (
        {"mode": modes.INT8_ASYM} if bits == 8 else {"mode": modes.INT4_SYM, "group_size": group, "ratio": 1.0}
    )
    model = tool.compress_weights(read(artifact), **options)
    if not any(n.get_type_name() == "Constant" and n.get_output_element_type(0).get_type_name() in LOW for n in model.get_ops()):
        raise RuntimeError("no weight was compressed: the model came out unchanged")
    return save(model, out_dir)


def compress_language(
    artifact: str, out_dir: str, data: dict[str, Any] | None, mode: str, group: int = 0, ratio: float = 1.0,
    sensitive: bool = False, **methods: bool,
) -> dict[str, Any]:  # fmt: skip
    """Weights of a language model in INT8 or INT4; groups that do not fit a layer are made smaller, which is read back.

    Args:
        mode: NNCF's name of it. ratio: share of the weights in INT4, the others in INT8.
        sensitive: which those are is told by how much their activations vary.
        methods: gptq, awq, scale_estimation; with calibration text.
    """
    tool = nncf()
    from nncf.quantization.advanced_parameters import AdvancedCompressionParameters, GroupSizeFallbackMode

    options: dict[str, Any] = dict(methods)
    if group:
        fallback = AdvancedCompressionParameters(group_size_fallback_mode=GroupSizeFallbackMode.ADJUST)
        options |= {"group_size": group, "ratio": ratio, "advanced_parameters": fallback}
    if sensitive:
        options["sensitivity_metric"] = tool.SensitivityMetric.MAX_ACTIVATION_VARIANCE
    if data is not None:
        texts = text_feeds(data, {port.get_any_name() for port in read(artifact).inputs})
        options |= {"dataset": tool.Dataset(texts), "subset_size": len(texts)}
    model = tool.compress_weights(read(artifact), mode=tool.CompressWeightsMode[mode], **options)
    found = weights_of(model)
    if not any(name.startswith(("INT8", "INT4")) for name in found):
        raise RuntimeError("no weight was compressed: the model came out unchanged")
    return {"file": save(model, out_dir), "claims": {f"weights in {name}": count for name, count in found.items()}}


def text_feeds(data: dict[str, Any], names: set[str]) -> list[Feed]:
    """Calibration windows of token ids as the model's inputs."""
    rows = np.load(data["inputs"]["tokens"], mmap_mode="r", allow_pickle=False)[:, :TEXT]
    length = rows.shape[1]
    shared = {
        "attention_mask": np.ones((1, length), np.int64), "position_ids": np.arange(length)[None],
        "beam_idx": np.zeros(1, np.int32),
    }  # fmt: skip
    feeds = [{"input_ids": np.asarray(row, np.int64)[None], **shared} for row in rows]
    return [{n: v for n, v in feed.items() if n in names} for feed in feeds]


def weights_of(model: Any) -> dict[str, int]:
    """How many weights there are in each type and group, read back from the graph."""
    found: Counter[str] = Counter()
    for node in model.get_ops():
        if node.get_type_name() != "Constant":
            continue
        kind, shape = node.get_output_element_type(0).get_type_name(), list(node.get_output_shape(0))
        if int(np.prod(shape)) < SMALL or shape[-1] == 1:
            continue  # biases, scales, zero points
        low = kind in LOW
        group = f", groups of {shape[-1]}" if low and len(shape) == 3 else ""
        found[f"INT{kind[1:]}{group}" if low else kind] += 1
    return dict(found)


def quantize_onnx(
    artifact: str, out_dir: str, data: dict[str, Any], preset: str, transformer: bool, samples: int, batch: int
) -> str:
    """NNCF's INT8 as an ONNX model with QuantizeLinear nodes, which other runtimes run."""
    import onnx

    found, name = feeds(data, samples, batch), "model.onnx"
    model = nncf().quantize(onnx.load(artifact), nncf().Dataset(found), **_options(preset, transformer, len(found), True, None))
    if not any(n.op_type == "QuantizeLinear" for n in model.graph.node):
        raise RuntimeError("nothing was quantized: the model came out unchanged")
    onnx.save(model, os.path.join(out_dir, name))
    return name


def require(model: Any, kinds: set[str], artifact: str) -> None:
    """Refuses to pass an unchanged model off as quantized, or one whose ports lost their names."""
    if not kinds & {n.get_type_name() for n in model.get_ops()}:
        raise RuntimeError("nothing was quantized: the model came out unchanged")
    before = read(artifact)
    for old, new in ((before.inputs, model.inputs), (before.outputs, model.outputs)):
        names = [[name_of(p, "port", i) for i, p in enumerate(ports)] for ports in (old, new)]
        if names[0] != names[1]:
            raise RuntimeError(f"names changed from {names[0]} to {names[1]}")
