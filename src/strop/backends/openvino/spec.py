"""OpenVINO's parent side: what it reads and runs, and which recipes it and NNCF offer, and why."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from strop.backends.openvino.language_recipes import HF, IR, language_offers
from strop.core.backend import Backend
from strop.core.model import Model
from strop.core.noun import Params, Scalar
from strop.core.recipe import Offer, Recipe, Step
from strop.core.shapes import compiled_for, setting_of
from strop.core.target import Accelerator, Target
from strop.core.task import Task

HERE = Path(__file__).parent
NAME, ORT = "openvino", "onnxruntime"
SAMPLES = 300
"""Calibration examples at most: NNCF's own default."""
GROUP = 64
NO_BF16 = "the target's CPU has neither AVX-512 BF16 nor AMX"
TURNS = {"nncf-int8": 0, "nncf-int8-bf16": 1, "nncf-int8-mixed": 2, "nncf-int8-accurate": 4, "nncf-int8-onnx": 3}
MENDS = {"nncf-int8-mixed": "nncf-int8", "nncf-int8-accurate": "nncf-int8"}
ADOPTED = ("int8-static", "int8-static-all", "int8-static-tensor")
"""ONNX Runtime's candidates whose files OpenVINO runs fast; it dislikes signed activations."""
REST = frozenset((
    "LayerNormalization", "InstanceNormalization", "GroupNormalization", "MVN", "Erf", "Gelu", "Tanh", "Sigmoid", "HardSigmoid",
    "HSigmoid", "HardSwish", "HSwish", "Swish", "Elu", "Selu", "Mish", "Softplus", "LSTM", "GRU", "RNN", "LSTMSequence",
    "GRUSequence", "RNNSequence",
))  # fmt: skip
"""Operators, in ONNX's and OpenVINO's names, that stay in floating point between INT8 convolutions and products."""


def offer(model: Model, target: Target, task: Task) -> Sequence[Offer]:
    """All recipes considered for this model, target and task; pure."""
    if task.language is not None:
        found = list(language_offers(target, task, has_bf16(target), model.stored))
        first = model.beyond_first(task.language.context)
        why = (
            f"the export keeps the rotation of the first {first} tokens, and the context is of {task.language.context}; "
            f"--context {first} has no other"
        )
        return [Offer(name=o.name, refused=why) for o in found] if first else found
    offers = [*_unquantized(model, target), *_static_shapes(model, target, task), *_quantized(model, target, task)]
    return [*offers, *_accelerated(model, target, task)]


def _static_shapes(model: Model, target: Target, task: Task) -> Iterator[Offer]:
    """A given IR in the shapes of the workload, which every other recipe of this runtime has too (`compiles_shapes`)."""
    if task.shapes and model.reader == NAME:
        settings = {**fair(target), **compiled_for(task.shapes)}
        recipe = Recipe(name="openvino-f32-static", runtime=NAME, settings=settings, safety=1, role="baseline-variant")
        yield Offer(name=recipe.name, reason=f"every call has one shape: {setting_of(task.shapes[:1])}", recipe=recipe)


def fair(target: Target, **more: Scalar) -> dict[str, Scalar]:
    """One stream over the budget's threads, truly in f32."""
    return {"precision": "f32", "hint": "LATENCY", "streams": 1, "threads": target.threads, **more}


def has_bf16(target: Target) -> bool:
    return target.has("avx512_bf16") or target.has("amx_bf16")


def _unquantized(model: Model, target: Target) -> Iterator[Offer]:
    own = model.reader == NAME
    convert = Step(
        stage="convert", builder=NAME, name="convert", consumes=model.artifact.kind, produces="openvino-ir",
        params={"compress": False},
    )  # fmt: skip
    steps = () if own else (convert,)

    def plain(name: str, reason: str, settings: dict[str, Scalar], role: str = "candidate", **more: object) -> Offer:
        recipe = Recipe.model_validate({
            "name": name, "runtime": NAME, "steps": steps, "settings": settings, "safety": 1,
            "role": role if own else "candidate", **more,
        })  # fmt: skip
        return Offer(name=name, reason=reason, recipe=recipe)

    full = f"{target.threads} thread(s), one stream"
    yield plain("openvino-f32", f"OpenVINO, truly in f32, {full}", fair(target), "reference", turn=3)
    if own:
        yield plain("openvino-as-is", "the given model as OpenVINO runs it by default", {}, "as-is")
        if target.threads > 1:
            reason = "small models lose more by waking threads than they gain"
            yield plain("openvino-f32-1thread", reason, {**fair(target), "threads": 1}, "baseline-variant")
    if has_bf16(target):
        reason = "the target's CPU computes in bf16; no calibration data needed"
        yield plain("openvino-bf16", reason, fair(target, precision="bf16"), precision="bf16", safety=2, turn=1)
    else:
        yield Offer(name="openvino-bf16", refused=NO_BF16)
    if model.precision == "fp32":
        half = convert.model_copy(update={"params": {"compress": True}})
        reason = "weights stored in f16, arithmetic in f32: half the file"
        yield plain("openvino-f16-weights", reason, fair(target), steps=(half,), precision="fp16", safety=2)
        name = "openvino-f16-weights-bf16"
        if has_bf16(target):
            reason = "weights stored in f16, arithmetic in bf16: half the file of openvino-bf16"
            yield plain(name, reason, fair(target, precision="bf16"), steps=(half,), precision="bf16", safety=2, turn=2)
        else:
            yield Offer(name=name, refused=NO_BF16)


def _quantized(model: Model, target: Target, task: Task) -> Iterator[Offer]:
    if model.precision not in ("fp32", "fp16"):
        yield Offer(name="nncf-int8", refused=f"the model is {model.precision} already")
        return
    matmuls = model.weights.get("MatMul", 0) + model.weights.get("Gemm", 0)
    convolutions = model.weights.get("Conv", 0) + model.weights.get("ConvTranspose", 0)
    if not matmuls and not convolutions and not model.traits.get("folds"):
        yield Offer(name="nncf-int8", refused="no convolution or matrix product has a constant weight")
        return
    yield from _calibrated(model, target, task, is_transformer(model))
    yield from _weight_only(model, target, matmuls)


ISA_LEVELS = (
    ("amx_int8", "AVX512_CORE_AMX"), ("avx512_bf16", "AVX512_CORE_BF16"), ("avx512_vnni", "AVX512_CORE_VNNI"),
    ("avx512f", "AVX512_CORE"), ("avx_vnni", "AVX2_VNNI"), ("avx2", "AVX2"), ("avx", "AVX"), ("sse4_2", "SSE41"),
)  # fmt: skip
"""Instruction set → the level of oneDNN, which OpenVINO's CPU plugin computes with, that has it; highest first."""


def imitate(target: Target) -> dict[str, str] | None:
    """oneDNN's switch, which limits OpenVINO to the target's instruction sets; x86 only."""
    level = next((level for name, level in ISA_LEVELS if target.has(name)), None)
    return {"ONEDNN_MAX_CPU_ISA": level} if target.x86 and level is not None else None


def leaves_floats(model: Model) -> bool:
    """Whether a quantized model computes anything to speak of in floating point: a softmax at the very end is nothing."""
    last = sum(end == "Softmax" for end in model.ends.values())
    softmaxes = model.operators.get("Softmax", 0) + model.operators.get("SoftMax", 0)
    return not REST.isdisjoint(model.operators) or softmaxes > last


def is_transformer(model: Model) -> bool:
    """Attention shows as Softmax among many matrix products."""
    return bool(model.operators.get("Softmax", 0)) and model.weights.get("MatMul", 0) >= 8


def prepared(model: Model) -> tuple[tuple[Step, ...], str]:
    """Steps before NNCF's, and the kind it then gets: ONNX is folded first, or some graphs cannot be quantized."""
    if model.artifact.kind != "onnx":
        return (), model.artifact.kind
    params: Params = {"fuse": True}
    return (Step(stage="convert", builder=ORT, name="prepare", consumes="onnx", produces="onnx", params=params),), "onnx"


def _calibrated(model: Model, target: Target, task: Task, transformer: bool) -> Iterator[Offer]:
    if task.calibration is None:
        yield Offer(name="nncf-int8", refused="static quantization needs real calibration data")
        return
    first, kind = prepared(model)
    shared: Params = {
        "preset": "performance", "transformer": transformer, "samples": SAMPLES, "batch": model.fixed_batch or 1,
    }  # fmt: skip

    def quantized(
        name: str, reason: str, safety: int, step: str = "quantize", runtime: str = NAME, precision: str = "f32",
        **params: str | float | bool,
    ) -> Offer:  # fmt: skip
        produces = "onnx" if step == "quantize_onnx" else "openvino-ir"
        ends: Params = {"answers": "float"} if step == "quantize" else {}
        last = Step(
            stage="quantize", builder=NAME, name=step, consumes=kind, produces=produces, params={**shared, **ends, **params},
            calibration=True,
        )  # fmt: skip
        settings: dict[str, Scalar] = fair(target, precision=precision) if runtime == NAME else {"graph": "all"}
        recipe = Recipe(
            name=name, runtime=runtime, steps=(*first, last), settings=settings, precision="int8", safety=safety,
            follows_baseline=runtime != NAME, turn=TURNS.get(name, 5), mends=MENDS.get(name, ""), integers=True,
        )  # fmt: skip
        return Offer(name=name, reason=reason, recipe=recipe)

    kindly = " for a transformer, with SmoothQuant" if transformer else ""
    yield quantized("nncf-int8", f"NNCF after training, symmetric activations{kindly}: usually the fastest on this CPU", 4)
    if not has_bf16(target):
        yield Offer(name="nncf-int8-bf16", refused=NO_BF16)
    elif leaves_floats(model):
        yield quantized("nncf-int8-bf16", "as nncf-int8, what stays in floating point computed in bf16", 4, precision="bf16")
    else:
        why = "all that lies between convolutions and products runs in INT8 too, which leaves nothing for bf16"
        yield Offer(name="nncf-int8-bf16", refused=why)
    whole = "" if transformer else " over their whole range: nothing is clipped"
    reason = f"as nncf-int8{kindly}, asymmetric activations{whole}"
    yield quantized("nncf-int8-mixed", reason, 4, preset="mixed", whole_range=not transformer)
    if transformer:
        yield quantized("nncf-int8-smooth", "a weaker SmoothQuant than NNCF's own", 5, smooth=0.5)
    else:
        yield Offer(name="nncf-int8-smooth", refused="SmoothQuant is for transformers")
    yield quantized(
        "nncf-int8-bias", "every layer's bias corrected by running the model: slower to build, closer", 4, fast_bias=False
    )
    reason = "operators put back to floating point until the answers agree with the original's on calibration data"
    yield quantized("nncf-int8-accurate", reason, 3, step="quantize_accurately", max_drop=0.01)
    if kind == "onnx":
        reason = "NNCF's INT8 written as ONNX, run by ONNX Runtime: one runtime less"
        yield quantized("nncf-int8-onnx", reason, 5, step="quantize_onnx", runtime=ORT)


def _weight_only(model: Model, target: Target, matmuls: int) -> Iterator[Offer]:
    first, kind = prepared(model)
    for bits in (8, 4):
        name = f"nncf-int{bits}-weights"
        if bits == 4 and not matmuls:
            yield Offer(name=name, refused="no matrix product with a constant weight")
            continue
        params: Params = {"bits": bits, "group": GROUP}
        step = Step(stage="quantize", builder=NAME, name="compress", consumes=kind, produces="openvino-ir", params=params)
        arithmetic = "bf16" if has_bf16(target) and not is_transformer(model) else "f32"  # products are in INT8 there
        recipe = Recipe(
            name=name, runtime=NAME, steps=(*first, step), settings=fair(target, precision=arithmetic), precision=f"int{bits}",
            safety=3 if bits == 8 else 5,
        )  # fmt: skip
        yield Offer(name=name, reason=f"weights in INT{bits}, arithmetic in {arithmetic}: for memory", recipe=recipe)


def _accelerated(model: Model, target: Target, task: Task) -> Iterator[Offer]:
    """The GPU in FP16 and INT8, the NPU in INT8 and INT4, where the target has one that OpenVINO has a device for."""
    for kind, offers in (("gpu", _gpu), ("npu", _npu)):
        one = target.accelerator(kind, NAME)
        if one is not None:
            yield from offers(model, task, one)
            continue
        others = [a for a in target.accelerators if a.kind == kind]
        refused = next((a.why for a in others if a.why), "")
        why = f"OpenVINO has no device for {others[0].name}" if others else f"the target has no {kind.upper()}"
        yield Offer(name=f"openvino-{kind}", refused=f"present, not usable: {refused}" if refused else why)


def _on(device: str, name: str, reason: str, steps: Sequence[Step], precision: str, hint: str = "LATENCY") -> Offer:
    settings: dict[str, Scalar] = {"device": device.upper(), "hint": hint, **({"precision": "f16"} if device == "gpu" else {})}
    recipe = Recipe(
        name=name, runtime=NAME, steps=tuple(steps), precision=precision, device=device, safety=4, turn=2, settings=settings
    )
    return Offer(name=name, reason=reason, recipe=recipe)


def _converted(model: Model, batch: int | None = None, compress: bool = True) -> Step:
    """To an IR, for an NPU with every shape fixed."""
    params: Params = {"compress": compress, **({"batch": batch} if batch is not None else {})}
    return Step(
        stage="convert", builder=NAME, name="convert", consumes=model.artifact.kind, produces="openvino-ir", params=params
    )


def _integers(model: Model, task: Task) -> Step:
    """NNCF's INT8 on an IR."""
    params: Params = {
        "preset": "performance", "transformer": is_transformer(model), "samples": SAMPLES, "batch": model.fixed_batch or 1,
    }  # fmt: skip
    return Step(
        stage="quantize", builder=NAME, name="quantize", consumes="openvino-ir", produces="openvino-ir", params=params,
        calibration=True,
    )  # fmt: skip


def _gpu(model: Model, task: Task, one: Accelerator) -> Iterator[Offer]:
    bus = "; every call carries inputs and answers over the bus, which a larger batch shares"
    crossing = "" if one.memory_bytes is None else bus
    yield _on("gpu", "openvino-gpu-f16", f"{one.name} in FP16{crossing}", [_converted(model)], "fp16")
    gathered = f"{one.name} in FP16, calls gathered into batches: for throughput"
    yield _on("gpu", "openvino-gpu-f16-batched", gathered, [_converted(model)], "fp16", hint="THROUGHPUT")
    if task.calibration is None:
        yield Offer(name="nncf-int8-gpu", refused="static quantization needs real calibration data")
    elif model.precision in ("fp32", "fp16"):
        steps = [_converted(model, compress=False), _integers(model, task)]
        yield _on("gpu", "nncf-int8-gpu", f"{one.name} in INT8 by NNCF", steps, "int8")


def _npu(model: Model, task: Task, one: Accelerator) -> Iterator[Offer]:
    loose = [s.name for s in model.inputs if any(not isinstance(d, int) for d in s.shape[1:])]
    if loose:
        more = f"the file leaves more axes of {loose[0]!r} open than its batch: export it with fixed ones"
        why = f"an NPU compiles fixed shapes; {more}"
        yield Offer(name="openvino-npu", refused=why)
        return
    fixed = _converted(model, task.workload.batch, compress=False)
    if task.calibration is None:
        yield Offer(name="nncf-int8-npu", refused="static quantization needs real calibration data")
    elif model.precision in ("fp32", "fp16"):
        yield _on(
            "npu", "nncf-int8-npu", f"{one.name} in INT8 by NNCF, every shape fixed", [fixed, _integers(model, task)], "int8"
        )
    if model.weights.get("MatMul", 0) + model.weights.get("Gemm", 0):
        params: Params = {"bits": 4, "group": GROUP}
        weights = Step(
            stage="quantize", builder=NAME, name="compress", consumes="openvino-ir", produces="openvino-ir", params=params
        )
        yield _on("npu", "nncf-int4-npu", f"{one.name}: weights in INT4, every shape fixed", [fixed, weights], "int4")
    else:
        yield Offer(name="nncf-int4-npu", refused="no matrix product with a constant weight")


def adopt(recipe: Recipe, model: Model, target: Target) -> Sequence[Offer]:
    """ONNX Runtime's quantized file in OpenVINO, where that is known to run fast; what stays in floating point in bf16 too."""
    if recipe.runtime != ORT or recipe.name not in ADOPTED:
        return ()
    name, reason = f"openvino-{recipe.name}", f"the file of {recipe.name}, run by OpenVINO"
    mine = recipe.model_copy(update={
        "name": name, "runtime": NAME, "settings": fair(target), "follows_baseline": False, "safety": recipe.safety + 1,
        "turn": recipe.turn + 1,
    })  # fmt: skip
    found = [Offer(name=name, reason=reason, recipe=mine)]
    if recipe.name == ADOPTED[0] and has_bf16(target) and leaves_floats(model):
        half = mine.model_copy(update={"name": f"{name}-bf16", "settings": {**mine.settings, "precision": "bf16"}})
        found.append(Offer(name=half.name, reason=f"{reason}, what stays in floating point in bf16", recipe=half))
    return found


def variants(settings: dict[str, Scalar], target: Target) -> Mapping[str, dict[str, Scalar]]:
    """Other settings worth a try on the same file."""
    found: dict[str, dict[str, Scalar]] = {}
    if settings.get("threads") != 1:
        found["1thread"] = {**settings, "threads": 1}
        found["throughput"] = {**{k: v for k, v in settings.items() if k != "streams"}, "hint": "THROUGHPUT"}
    if settings.get("precision") == "f32" and has_bf16(target):
        found["bf16"] = {**settings, "precision": "bf16"}
    found["cached"] = {**settings, "cache": True}
    return found


def serve(settings: dict[str, Scalar], target: Target, streams: int) -> dict[str, Scalar] | None:
    """OpenVINO's own streams, which divide the threads."""
    if "device" in settings:
        return None
    return {**settings, "hint": "THROUGHPUT", "streams": streams, "threads": target.threads}


BACKEND = Backend(
    name=NAME,
    work=HERE / "work.py",
    runner=HERE / "runner.py",
    runs=("onnx", "openvino-ir", IR),
    builds=(HF,),
    offer=offer,
    reads=((".xml", "openvino-ir"),),
    packages=("openvino", "nncf", "onnx", "numpy"),
    runtime_packages=("openvino", "numpy"),
    takes_all_cores=True,
    requirements=HERE / "requirements.txt",
    adopt=adopt,
    variants=variants,
    serve=serve,
    imitate=imitate,
    compiles_shapes=True,
)
