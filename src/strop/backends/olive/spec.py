"""Olive's parent side: which of its passes are offered for an ONNX model, and why."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from strop.core.backend import Backend
from strop.core.model import Model
from strop.core.noun import Options, Params
from strop.core.recipe import Offer, Recipe, Step
from strop.core.target import Target
from strop.core.task import Task

HERE = Path(__file__).parent
NAME, ORT = "olive", "onnxruntime"
SAMPLES = 200
CONFIG = "olive.config"


def offer(model: Model, target: Target, task: Task) -> Sequence[Offer]:
    """All recipes considered for this model, target and task; pure."""
    return [*_own_choice(model, task), *_quantizers(model, task)]


def _candidate(
    name: str, reason: str, safety: int, step: str, params: Params, calibrated: bool, precision: str = "int8"
) -> Offer:
    last = Step(
        stage="quantize", builder=NAME, name=step, consumes="onnx", produces="onnx", params=params, calibration=calibrated
    )
    recipe = Recipe(
        name=name, runtime=ORT, steps=(last,), settings={"graph": "all"}, precision=precision, safety=safety,
        follows_baseline=True, integers=precision != "int4",
    )  # fmt: skip
    return Offer(name=name, reason=reason, recipe=recipe)


def _own_choice(model: Model, task: Task) -> Iterator[Offer]:
    """What Olive picks by itself, and what the user tells it to do."""
    if model.precision == "fp32":
        yield _candidate(
            "olive-auto-opt", "what `olive auto-opt --precision int8` makes of it", 5, "auto_opt", {"precision": "int8"}, False
        )
    else:
        yield Offer(name="olive-auto-opt", refused=f"the model is {model.precision} already")
    config = task.options.get(CONFIG)
    if config is None:
        yield Offer(name="olive-config", refused="no Olive configuration was given (--olive-config)")
    else:
        params: Params = {"config": config, "samples": SAMPLES}
        calibrated = task.calibration is not None
        yield _candidate("olive-config", "your Olive configuration", 5, "run_config", params, calibrated, "unknown")


def _quantizers(model: Model, task: Task) -> Iterator[Offer]:
    if model.precision != "fp32":
        return
    if (model.fixed_batch or 1) != 1:
        yield Offer(name="olive-static", refused="Olive feeds examples one by one, the model's batch is fixed")
    elif any(not spec.shape for spec in model.inputs):
        yield Offer(name="olive-static", refused="Olive's loader gives an input without axes one")
    elif task.calibration is None:
        yield Offer(name="olive-static", refused="static quantization needs real calibration data")
    else:
        options: Options = {"activation_type": "uint8", "precision": "int8", "per_channel": True, "quant_format": "QDQ"}
        params: Params = {"type": "OnnxStaticQuantization", "options": options, "samples": SAMPLES}
        reason = "Olive's OnnxStaticQuantization, unsigned activations, per channel"
        yield _candidate("olive-static", reason, 5, "run_pass", params, True)
    matmuls = model.weights.get("MatMul", 0) + model.weights.get("Gemm", 0)
    if not matmuls:
        yield Offer(name="olive-dynamic", refused="no matrix product with a constant weight")
        return
    options = {"precision": "int8", "op_types_to_quantize": ["MatMul", "Gemm"], "per_channel": True}
    yield _candidate(
        "olive-dynamic", "Olive's OnnxDynamicQuantization of matrix products", 4, "run_pass",
        {"type": "OnnxDynamicQuantization", "options": options}, False,
    )  # fmt: skip
    if model.weights.get("MatMul"):
        options = {"bits": 4, "block_size": 32}
        yield _candidate(
            "olive-int4-weights", "Olive's OnnxBlockWiseRtnQuantization: MatMul weights in INT4", 5, "run_pass",
            {"type": "OnnxBlockWiseRtnQuantization", "options": options}, False, "int4",
        )  # fmt: skip


BACKEND = Backend(
    name=NAME,
    work=HERE / "work.py",
    runner=HERE / "work.py",
    runs=(),
    offer=offer,
    builds=("onnx",),
    packages=("olive-ai", "torch", "onnxruntime", "onnx", "numpy"),
    requirements=HERE / "requirements.txt",
)
