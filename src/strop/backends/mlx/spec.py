"""MLX's parent side: which precisions it offers, safest first, and why."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from strop.core.backend import Backend
from strop.core.model import LONG, Model
from strop.core.noun import Scalar
from strop.core.recipe import Held, Offer, Recipe, Step, role_of_unquantized
from strop.core.target import Target
from strop.core.task import Task

HERE = Path(__file__).parent
NAME, HF, KIND = "mlx", "hf", "mlx"
APPLE = ("Darwin", "macOS", "iOS")
NOT_APPLE = "MLX is made for Apple's GPUs; on this CPU it uses one thread and plain kernels"
UNSLID = ("Gemma2ForCausalLM", "MistralForCausalLM", "Phi3ForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM")
"""Architectures whose sliding window MLX has not."""
WIDTHS = {
    (8, 64): (2, 1, "8 bits in groups of 64: nothing that can be seen is lost"),
    (6, 64): (3, 3, "6 bits in groups of 64"),
    (4, 32): (5, 2, "4 bits in groups of 32: truer than groups of 64, a half bit more a weight"),
    (4, 64): (6, 0, "4 bits in groups of 64: the usual one"),
    (4, 128): (7, 4, "4 bits in groups of 128: smallest"),
}
"""Bits and group size → safety, turn, and what it is. A 16-bit scale and offset a group come on top of the bits."""


def offer(model: Model, target: Target, task: Task) -> Sequence[Offer]:
    """All recipes considered for this model, target and task; pure."""
    why = not_computed(model, task.language.context if task.language is not None else 512)
    found = _all(target, task, model.stored)
    return [Offer(name=o.name, refused=why) for o in found] if why else list(found)


def not_computed(model: Model, context: int) -> str:
    """Why MLX's answers would be wrong; empty where they are not."""
    if model.traits.get("rotation") in LONG:
        return "MLX computes LongRoPE with its factors for long texts only, also where a text is short"
    return model.activates_not("MLX") or model.slides_not("MLX", UNSLID, context)


def _all(target: Target, task: Task, stored: str) -> Iterator[Offer]:
    settings: dict[str, Scalar] = {"context": task.language.context if task.language is not None else 512}
    doubt = "" if target.os in APPLE else NOT_APPLE

    def recipe(name: str, reason: str, step: Step, safety: int, turn: int, precision: str, kept: str = "") -> Offer:
        made = Recipe(
            name=f"mlx-{name}", runtime=NAME, steps=(step,), settings=settings, precision=precision, safety=safety, turn=turn,
            unrepresentative=doubt, role=role_of_unquantized(stored, kept, target.here) if kept and not doubt else "candidate",
            held=held_by(step, not doubt),
        )  # fmt: skip
        return Offer(name=made.name, reason=reason, recipe=made)

    convert = Step(stage="convert", builder=NAME, name="convert", consumes=HF, produces=KIND, params={"kind": "float32"})
    yield recipe(
        "fp32", "converted, all in fp32: a check that MLX answers as the given model does", convert, 1, 5, "fp32", kept="f32"
    )
    half = convert.model_copy(update={"params": {"kind": "float16"}})
    yield recipe("fp16", "converted, weights and cache in fp16", half, 1, 2, "fp16", kept="f16")
    for (bits, group), (safety, turn, reason) in WIDTHS.items():
        params = {"bits": bits, "group": group}
        step = Step(stage="quantize", builder=NAME, name="quantize", consumes=HF, produces=KIND, params=params)
        yield recipe(f"{bits}bit-g{group}", reason, step, safety, turn, "int4" if bits == 4 else "int8")


def held_by(step: Step, apple: bool) -> Held:
    """A 16-bit scale and offset a group; on a CPU these, and the cache, are widened to 32 bits where weights are quantized."""
    if "bits" not in step.params:
        bits = {"float32": 32.0, "float16": 16.0}[str(step.params["kind"])]
        return Held(linear=bits, embedding=bits, head=bits, cache=bits)
    number = 16 if apple else 32
    bits = float(str(step.params["bits"])) + 2 * number / float(str(step.params["group"]))
    return Held(linear=bits, embedding=bits, head=bits, cache=number)


BACKEND = Backend(
    name=NAME,
    work=HERE / "work.py",
    runner=HERE / "runner.py",
    runs=(KIND,),
    builds=(HF,),
    offer=offer,
    family="llm",
    packages=("mlx", "mlx-lm", "transformers", "numpy"),
    runtime_packages=("mlx[cpu]", "mlx-lm", "transformers", "numpy"),
    requirements=HERE / "requirements.txt",
    takes_all_cores=True,
)
