"""ONNX Runtime GenAI's parent side: which precisions and block sizes it offers, safest first, and why."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from strop.core.backend import Backend
from strop.core.model import Model
from strop.core.noun import Params, Scalar
from strop.core.recipe import Held, Offer, Recipe, Step, role_of_unquantized
from strop.core.target import Target
from strop.core.task import Task

HERE = Path(__file__).parent
NAME, HF, GENAI = "onnxruntime-genai", "hf", "genai"
HEAD = 16
"""Head sizes that its attention operator computes are multiples of it; with others a model builds and dies when it runs."""
UNBUILT = {"SmolLM3ForCausalLM": "the model builder of ONNX Runtime GenAI 0.18 fails at SmolLM3's layers without rotation"}
"""Architecture → why the builder cannot build it."""
USUAL = ("llama3",)
ROTATIONS = {"Phi3ForCausalLM": ("longrope", "su")}
"""Architecture → rotations beside the plain one, by transformers' names, that the builder computes; `USUAL` for others. Seen on a
Llama: linear and YaRN gave the answers of no scaling."""
INT4 = "4 bits in blocks of 32"
RECIPES: dict[str, tuple[Params, int, int, str]] = {
    "genai-fp32": ({"precision": "fp32"}, 1, 2, "converted to ONNX, in fp32: what ONNX Runtime itself changes"),
    "genai-int8": (
        {"precision": "int8", "block": 32, "algorithm": "default"}, 2, 1,
        "8 bits in blocks of 32: nothing that can be seen is lost; the embedding stays in fp32",
    ),
    "genai-int4-k-quant-mixed": (
        {"precision": "int4", "block": 32, "algorithm": "k_quant_mixed"}, 5, 1,
        "4 bits, the head and the matrices that matter most in 8: loses least of 4 bits, slow to build",
    ),
    "genai-int4-rtn-last": (
        {"precision": "int4", "block": 32, "algorithm": "rtn_last"}, 5, 2, f"{INT4}, rounded, the head in 8",
    ),
    "genai-int4-k-quant": (
        {"precision": "int4", "block": 32, "algorithm": "k_quant"}, 6, 3, f"{INT4} with zero points, fitted; slow to build",
    ),
    "genai-int4": ({"precision": "int4", "block": 32, "algorithm": "default"}, 6, 2, f"{INT4}: the usual one"),
    "genai-int4-block-128": (
        {"precision": "int4", "block": 128, "algorithm": "default"}, 7, 4, "4 bits in blocks of 128: the smallest",
    ),
}  # fmt: skip
"""Name → what is asked of the builder, safety, turn, and why."""
OWN = 25_000_000
"""Bytes that the runtime takes for any model."""


def offer(model: Model, target: Target, task: Task) -> Sequence[Offer]:
    """All recipes considered for this model, target and task; pure."""
    return list(_all(model, target, task))


def _all(model: Model, target: Target, task: Task) -> Iterator[Offer]:
    why = not_built(model)
    if why:
        yield from (Offer(name=name, refused=why) for name in RECIPES)
        return
    context = task.language.context if task.language is not None else 512
    settings: dict[str, Scalar] = {"threads": target.threads, "context": context, "spinning": False}
    for name, (params, safety, turn, reason) in RECIPES.items():
        precision = str(params["precision"])
        plain = precision == "fp32"
        stage = "convert" if plain else "quantize"
        step = Step(stage=stage, builder=NAME, name="convert", consumes=HF, produces=GENAI, params=params)
        recipe = Recipe(
            name=name, runtime=NAME, steps=(step,), settings=settings, precision=precision, safety=safety, turn=turn,
            held=held_by(params), role=role_of_unquantized(model.stored, "f32", target.here) if plain else "candidate",
        )  # fmt: skip
        yield Offer(name=name, reason=reason, recipe=recipe)


def held_by(params: Params) -> Held:
    """A 32-bit scale a block; int8 keeps an embedding in fp32 of which only the rows that are looked up come into memory.

    The kernels pack the numbers anew at load; how much of the file's pages stay beside that was seen at a billion weights.
    """
    if not params.get("block"):
        return Held(linear=32, embedding=0, head=32, cache=32, shared=False, looked_up=32, logits=True, own=OWN)
    scale = 32 / float(str(params["block"]))
    if params["precision"] == "int8":
        bits = 8 + scale
        return Held(linear=bits, embedding=0, head=bits, cache=32, shared=False, looked_up=32, copies=1.4, logits=True, own=OWN)
    head = 8 if "last" in str(params["algorithm"]) or "mixed" in str(params["algorithm"]) else 4
    return Held(linear=4 + scale, embedding=4 + scale, head=head + scale, cache=32, copies=1.7, logits=True, own=OWN)


def not_built(model: Model) -> str:
    """Why no recipe works for this model; empty where they do."""
    head, architecture = int(str(model.traits.get("head") or 0)), str(model.traits.get("architecture") or "")
    if head % HEAD:
        return f"the model's head size is {head}, ONNX Runtime's attention takes multiples of {HEAD}"
    rotation = str(model.traits.get("rotation") or "")
    if rotation and rotation not in ROTATIONS.get(architecture, USUAL):
        return f"the model builder of ONNX Runtime GenAI 0.18 leaves out the {rotation} rotation of {architecture}"
    return UNBUILT.get(architecture, "")


def spins(settings: dict[str, Scalar]) -> bool:
    """More than one thread, and told to wait awake."""
    return settings.get("threads") != 1 and settings.get("spinning") is True


def variants(settings: dict[str, Scalar], target: Target) -> Mapping[str, dict[str, Scalar]]:
    """Threads that spin wake faster where the cores are free; ONNX Runtime's own default."""
    return {} if settings.get("threads") == 1 else {"spinning": {**settings, "spinning": True}}


BACKEND = Backend(
    name=NAME,
    work=HERE / "work.py",
    runner=HERE / "runner.py",
    runs=(GENAI,),
    builds=(HF,),
    offer=offer,
    family="llm",
    packages=("onnxruntime-genai", "onnxruntime", "onnx", "onnx-ir", "torch", "transformers", "numpy"),
    runtime_packages=("onnxruntime-genai", "onnxruntime", "numpy"),
    requirements=HERE / "requirements.txt",
    spins=spins,
    variants=variants,
)
