"""ONNX Runtime's parent side: what it reads and runs, and which recipes it offers, safest first, and why."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from strop.core.backend import Backend
from strop.core.model import Model
from strop.core.noun import Params, Scalar
from strop.core.recipe import CLEAN, STAYS, Offer, Recipe, Step
from strop.core.shapes import compiled_for, setting_of
from strop.core.target import Accelerator, Target
from strop.core.task import Task

HERE = Path(__file__).parent
NAME = "onnxruntime"
SAMPLES = 200
"""Calibration examples at most: more cost memory and changed nothing where it was tried."""
HISTOGRAM_SAMPLES = 50
"""Percentile keeps every activation in memory."""
CLEANED = {
    "weights-as-inputs": "weight(s) listed as inputs",
    "float64": "value(s) in float64",
    "cast-chains": "needless cast(s)",
    "batch-norm": "batch normalization(s) that fold into weights",
    "duplicated-weights": "duplicated weight(s)",
}
"""Faults of an export that may cost speed or memory; of others, such as an old opset, ONNX Runtime makes nothing slower."""
TURNS = {"int8-static": 1, "int8-dynamic": 2, "int8-static-all": 2, "int8-static-tensor": 3, "int8-static-s8s8": 4}
"""What usually wins is tried first."""
PRODUCTS = ["MatMul", "Gemm"]
FEATURES = [
    "Conv", "ConvTranspose", *PRODUCTS, "Relu", "Clip", "LeakyRelu", "MaxPool", "AveragePool", "GlobalAveragePool", "Concat",
    "Add", "Flatten", "Gather", "Pad", "Reshape", "Resize", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze",
]  # fmt: skip
"""Operators of a convolutional network that compute as fast and nearly as exactly in 8 bits: convolutions and products with their
activations, pooling, sums, and what only moves values. Softmax, normalization and other functions are not among them."""
FUNCTIONS = ["Mul", "Sigmoid"]
"""Gates and swish activations: ONNX Runtime can compute them in 8 bits too, at some cost of accuracy."""


def offer(model: Model, target: Target, task: Task) -> Sequence[Offer]:
    """All recipes considered for this model, target and task; pure."""
    reference, *settings = _settings(target)
    unquantized = [reference, *_cleaned(model, target), *_static_shapes(model, target, task), *settings]
    return [*unquantized, *_quantized(model, target, task), *_accelerated(model, target, task)]


def _fair(target: Target) -> dict[str, Scalar]:
    return {"graph": "all", "threads": target.threads, "spinning": False}


def _static_shapes(model: Model, target: Target, task: Task) -> Iterator[Offer]:
    """The unquantized model in the shapes of the workload.

    In this runtime that gains little, and a transformer lost a tenth by it: so it is one variant, and candidates have fixed
    shapes where it becomes the baseline that they follow. It comes before other settings, so that a short budget has time for it.
    """
    if not task.shapes:
        return
    shapes = compiled_for(task.shapes, model)
    if not shapes:
        yield Offer(name="fp32-static", refused="axes are fixed by their names, and one of the inputs has none")
        return
    recipe = Recipe(name="fp32-static", runtime=NAME, settings={**_fair(target), **shapes}, safety=1, role="baseline-variant")
    yield Offer(name=recipe.name, reason=f"every call has one shape: {setting_of(task.shapes[:1])}", recipe=recipe)


def _settings(target: Target) -> Iterator[Offer]:
    """The unquantized model under the settings that a tuned baseline may have."""
    fair = _fair(target)

    def variant(name: str, reason: str, settings: dict[str, Scalar]) -> Offer:
        role = "reference" if name == "fp32" else "as-is" if name == "fp32-as-is" else "baseline-variant"
        recipe = Recipe(name=name, runtime=NAME, settings=settings, safety=0 if name == "fp32" else 1, role=role)
        return Offer(name=name, reason=reason, recipe=recipe)

    yield variant("fp32", f"the given model: all graph optimizations, {target.threads} thread(s), no spinning", fair)
    yield variant("fp32-as-is", "the given model as ONNX Runtime runs it by default", {})
    if target.threads > 1:
        yield variant("fp32-1thread", "small models lose more by waking threads than they gain", {**fair, "threads": 1})
        yield variant("fp32-spinning", "threads that spin wake faster, at the price of the cores", {**fair, "spinning": True})
    else:
        yield Offer(name="fp32-spinning", refused="one thread has nobody to wait for")
    for level in ("extended", "basic"):
        yield variant(f"fp32-{level}", "fewer graph rewrites are sometimes faster", {**fair, "graph": level})
    yield variant("fp32-unoptimized", "no graph rewrites at all", {**fair, "graph": "none"})


def _cleaned(model: Model, target: Target) -> Iterator[Offer]:
    """The given model without what its export does badly, under the settings of the reference."""
    found = [f for f in model.faults if f.name in CLEANED]
    if not found:
        undone = any(f.name not in STAYS for f in model.faults)
        left = "; ONNX Runtime itself undoes the rest as it loads the file" if undone else ""
        yield Offer(name="fp32-clean", refused=f"nothing to clean up that could change speed or memory{left}")
        return

    def cleaned(name: str, reason: str, single: bool) -> Offer:
        recipe = Recipe(
            name=name, runtime=NAME, steps=(clean_step(single),), settings=_fair(target), safety=1, role="baseline-variant"
        )
        return Offer(name=name, reason=reason, recipe=recipe)

    names = [f.name for f in found]
    words = ", ".join(f"{f.count} {CLEANED[f.name]}" for f in found)
    yield cleaned("fp32-clean", f"the given model with its export cleaned up: {words}", True)
    if "float64" in names and len(names) > 1:
        yield cleaned("fp32-clean-float64", "as fp32-clean, float64 kept: in case float32 changes the answers", False)


def clean_step(single: bool = True) -> Step:
    """Takes out what an export does badly.

    Args:
        single: whether float64 inside a float32 model becomes float32.
    """
    return Step(stage="convert", builder=NAME, name=CLEAN, consumes="onnx", produces="onnx", params={"single": single})


def _quantized(model: Model, target: Target, task: Task) -> Iterator[Offer]:
    if model.precision != "fp32":
        yield Offer(name="int8", refused=f"the model is {model.precision} already")
        return
    matmuls = model.weights.get("MatMul", 0) + model.weights.get("Gemm", 0)
    convolutions = model.weights.get("Conv", 0) + model.weights.get("ConvTranspose", 0)
    foldable = int(model.traits.get("folds", 0) or 0)  # type: ignore[arg-type]
    if not matmuls and not convolutions and not foldable:
        yield Offer(name="int8", refused="no convolution or matrix product has a constant weight")
        return
    yield from _static(model, target, task)
    yield from _dynamic(model, matmuls + foldable, convolutions)
    yield from _weight_only(model)


def _recipe(
    name: str, steps: Sequence[Step], safety: int, precision: str = "int8", fuse: bool = True, integers: bool = True
) -> Recipe:
    first = Step(stage="convert", builder=NAME, name="prepare", consumes="onnx", produces="onnx", params={"fuse": fuse})
    return Recipe(
        name=name, runtime=NAME, steps=(first, *steps), precision=precision, safety=safety,
        settings={"graph": "all"}, follows_baseline=True, turn=TURNS.get(name, 5), integers=integers,
    )  # fmt: skip


def _static(model: Model, target: Target, task: Task) -> Iterator[Offer]:
    if task.calibration is None:
        yield Offer(name="int8-static", refused="static quantization needs real calibration data")
        return
    batch = model.fixed_batch or 1
    exact = target.dots_int8 is True  # where it is not known, the range is reduced, which saturates nowhere
    transformer = "Softmax" in model.operators and model.weights.get("MatMul", 0) >= 8
    operators = PRODUCTS if transformer else FEATURES

    def calibrated(method: str, samples: int) -> Step:
        params: Params = {"method": method, "samples": samples, "batch": batch}
        return Step(
            stage="quantize", builder=NAME, name="calibrate", consumes="onnx", produces="onnx+ranges",
            params=params, calibration=True,
        )  # fmt: skip

    def static(
        name: str,
        reason: str,
        safety: int,
        method: str = "MinMax",
        samples: int = SAMPLES,
        **params: str | bool | list[str],
    ) -> Offer:
        settings: Params = {
            "activation": "uint8", "weight": "int8", "per_channel": True, "exclude": "none", "reduce_range": not exact,
            "operators": operators, "answers": "float", **params,
        }  # fmt: skip
        step = Step(
            stage="quantize", builder=NAME, name="quantize_static", consumes="onnx+ranges", produces="onnx",
            params=settings, calibration=settings["exclude"] == "fragile",
        )  # fmt: skip
        return Offer(name=name, reason=reason, recipe=_recipe(name, [calibrated(method, samples), step], safety))

    what = "the matrix products of a transformer" if transformer else "all but what makes the answers"
    yield static("int8-static", f"unsigned activations, signed weights, per channel: the CPU's fast kernels; {what}", 4)
    if not transformer and any(name in model.operators for name in FUNCTIONS):
        reason = "as int8-static, gates and swish activations too: faster where there are many, less exact"
        yield static("int8-static-all", reason, 5, operators=[*FEATURES, *FUNCTIONS])
    if batch == 1:
        reason = "as int8-static, the tenth of the nodes that lose most left in floating point"
        yield static("int8-static-fragile", reason, 3, exclude="fragile")
    yield static(
        "int8-static-tensor",
        "one scale a tensor: for graphs whose weights cannot be split by channel",
        5,
        per_channel=False,
    )
    if target.x86:
        why = "signed activations miss the fast kernels of x86 CPUs; at the same accuracy they are slower than fp32"
        yield Offer(name="int8-static-s8s8", refused=why)
    else:
        yield static("int8-static-s8s8", "signed activations: the default of quantize_static", 6, activation="int8")
    why = "with as many bins as steps, its default, ONNX Runtime's Entropy calibration clips nothing"
    yield Offer(name="int8-static-entropy", refused=why)
    if not task.shapes and _open_axes(model):
        why = "Percentile calibration needs equal shapes, the inputs' vary; if they never do, fix them with --shape"
        yield Offer(name="int8-static-percentile", refused=why)
    else:
        reason = "Percentile calibration clips outliers"
        yield static("int8-static-percentile", reason, 6, method="Percentile", samples=HISTOGRAM_SAMPLES)
    if not exact:
        yield Offer(name="int8-static-full-range", refused="without VNNI 8-bit products saturate; range is reduced")


def _dynamic(model: Model, matmuls: int, convolutions: int) -> Iterator[Offer]:
    def dynamic(name: str, reason: str, safety: int, operators: list[str], per_channel: bool) -> Offer:
        params: Params = {"operators": operators, "per_channel": per_channel}
        step = Step(stage="quantize", builder=NAME, name="quantize_dynamic", consumes="onnx", produces="onnx", params=params)
        return Offer(name=name, reason=reason, recipe=_recipe(name, [step], safety))

    if matmuls:
        reason = "matrix products with INT8 weights, activations quantized as they come; no calibration"
        yield dynamic("int8-dynamic", reason, 2, PRODUCTS, True)
        if model.weights.get("Gather"):
            yield dynamic("int8-dynamic-embedding", "the embedding table too: smallest file", 3, [*PRODUCTS, "Gather"], True)
    else:
        yield Offer(name="int8-dynamic", refused="no matrix product with a constant weight")
    if convolutions:
        reason = "convolutions too, as quantize_dynamic does by default: usually far slower, measured to be sure"
        yield dynamic("int8-dynamic-all", reason, 9, [*PRODUCTS, "Conv"], False)


def _weight_only(model: Model) -> Iterator[Offer]:
    if not model.weights.get("MatMul"):
        yield Offer(name="int4-weights", refused="no MatMul with a constant weight")
        return
    for bits in (8, 4):
        params: Params = {"bits": bits, "block_size": 32}
        step = Step(stage="quantize", builder=NAME, name="quantize_weights", consumes="onnx", produces="onnx", params=params)
        name = f"int{bits}-weights"
        recipe = _recipe(name, [step], 3 if bits == 8 else 5, precision=f"int{bits}", fuse=False, integers=False)
        yield Offer(name=name, reason=f"MatMul weights in INT{bits}, arithmetic in floating point: for memory", recipe=recipe)


def _open_axes(model: Model) -> list[str]:
    """The inputs whose file leaves more open than the batch, whatever the user fixes."""
    return [s.name for s in model.inputs if any(not isinstance(d, int) for d in s.shape[1:])]


PROVIDERS = {("gpu", "NVIDIA"): "CUDA", ("gpu", "AMD"): "MIGraphX", ("npu", "Apple"): "CoreML", ("npu", "Qualcomm"): "QNN",
             ("npu", "AMD"): "VitisAI"}  # fmt: skip
"""The execution provider of an accelerator; Core ML decides itself what runs on the Neural Engine, the GPU or the CPU."""
INTEGERS_ONLY = ("QNN", "VitisAI")
"""Providers whose device computes in INT8; others take FP16."""


def _accelerated(model: Model, target: Target, task: Task) -> Iterator[Offer]:
    """The accelerators that ONNX Runtime has a provider for, in the precision they are made for."""
    able = [a for a in target.accelerators if NAME in a.frameworks and (a.kind, a.vendor) in PROVIDERS]
    mine = list({PROVIDERS[a.kind, a.vendor]: a for a in sorted(able, key=lambda a: a.usable is not False)}.values())
    if not mine:
        yield Offer(name="onnxruntime-accelerator", refused="the target has none that ONNX Runtime has a provider for")
    for one in mine:
        provider = PROVIDERS[one.kind, one.vendor]
        name = provider.lower()
        if one.usable is False:
            yield Offer(name=f"{name}-fp16", refused=f"{one.name} is present, not usable: {one.why}")
        elif provider in INTEGERS_ONLY:
            yield _static_on(model, task, one, provider)
        elif model.precision == "fp32":
            half = Step(stage="quantize", builder=NAME, name="halve", consumes="onnx", produces="onnx")
            crossing = "" if one.memory_bytes is None else "; every call crosses the bus, which a larger batch shares"
            recipe = Recipe(name=f"{name}-fp16", runtime=NAME, steps=(half,), precision="fp16", device=one.kind, safety=4, turn=2,
                            settings={"provider": provider, "graph": "all"})  # fmt: skip
            yield Offer(name=recipe.name, reason=f"{one.name} in FP16{crossing}", recipe=recipe)


def _static_on(model: Model, task: Task, one: Accelerator, provider: str) -> Offer:
    """The INT8 file of `int8-static`, on a device that computes in INT8; shapes must be fixed."""
    name = f"int8-{provider.lower()}"
    loose = _open_axes(model)
    if task.calibration is None or loose or model.precision != "fp32":
        fixed = "the file leaves more axes of {} open than its batch: export it with fixed ones"
        why = fixed.format(repr(loose[0])) if loose else "it needs an fp32 model and real calibration data"
        return Offer(name=name, refused=f"{one.name} computes INT8 in fixed shapes; {why}")
    params: Params = {"method": "MinMax", "samples": SAMPLES, "batch": model.fixed_batch or 1}
    settings: Params = {
        "activation": "uint8", "weight": "int8", "per_channel": False, "exclude": "none", "reduce_range": False,
    }  # fmt: skip
    steps = (
        Step(stage="convert", builder=NAME, name="prepare", consumes="onnx", produces="onnx", params={"fuse": True}),
        Step(stage="quantize", builder=NAME, name="calibrate", consumes="onnx", produces="onnx+ranges", params=params,
             calibration=True),
        Step(stage="quantize", builder=NAME, name="quantize_static", consumes="onnx+ranges", produces="onnx", params=settings),
    )  # fmt: skip
    recipe = Recipe(name=name, runtime=NAME, steps=steps, precision="int8", device=one.kind, safety=5, turn=2, integers=True,
                    settings={"provider": provider, "graph": "all"})  # fmt: skip
    return Offer(name=name, reason=f"{one.name} in INT8, one scale a tensor", recipe=recipe)


def spins(settings: dict[str, Scalar]) -> bool:
    """ONNX Runtime spins by default wherever it has more than one thread."""
    return settings.get("threads", 0) != 1 and settings.get("spinning", True) is True


def serve(settings: dict[str, Scalar], target: Target, streams: int) -> dict[str, Scalar] | None:
    """One session that several threads call; each call computes with a share of the threads."""
    if "provider" in settings:
        return None
    return {**settings, "threads": max(1, target.threads // streams), "spinning": False}


BACKEND = Backend(
    name=NAME,
    work=HERE / "work.py",
    runner=HERE / "runner.py",
    runs=("onnx",),
    offer=offer,
    reads=((".onnx", "onnx"),),
    packages=("onnxruntime", "onnx", "numpy"),
    runtime_packages=("onnxruntime", "numpy"),
    spins=spins,
    takes_all_cores=True,
    moves_batch=True,
    serve=serve,
)
