"""llama.cpp's parent side: which GGUF types it offers, safest first, and why."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from strop.core.backend import Backend
from strop.core.model import Model
from strop.core.noun import Scalar
from strop.core.recipe import Held, Offer, Recipe, Step, role_of_unquantized
from strop.core.target import Target
from strop.core.task import Task

HERE = Path(__file__).parent
NAME, HF, GGUF = "llamacpp", "hf", "gguf"
TYPES = {
    "Q8_0": (2, 1, "8 bits in blocks of 32: nothing that can be seen is lost"),
    "Q6_K": (3, 3, "6 bits in blocks of 256"),
    "Q5_K_M": (4, 3, "5 bits, some tensors in 6"),
    "Q4_K_M": (5, 0, "4 bits, some tensors in 6: the usual compromise"),
    "Q4_0": (6, 2, "4 bits in blocks of 32: repacked, the fastest on most CPUs"),
    "IQ4_XS": (6, 4, "4.25 bits on a curve"),
    "Q3_K_M": (7, 4, "3 bits, some tensors in 4 and 5"),
    "Q2_K": (9, 5, "2 bits, some tensors in 3 and 4: for memory above all"),
}
"""Type → safety, turn, and what it is."""
WITH_MATRIX = {
    "Q4_K_M": (5, 2, "4 bits, some tensors in 6"), "Q4_0": (6, 3, "4 bits in blocks of 32"),
    "IQ4_XS": (6, 5, "4.25 bits on a curve"), "Q3_K_M": (7, 5, "3 bits, some tensors in 4 and 5"),
    "Q2_K": (9, 6, "2 bits, some tensors in 3 and 4"), "IQ2_XS": (10, 7, "2.3 bits, which cannot do without"),
}  # fmt: skip
"""The same for mixes whose errors are weighed by an importance matrix from the calibration text."""
BITS = {
    "F32": 32.0, "F16": 16.0, "BF16": 16.0, "Q8_0": 8.5, "Q6_K": 6.5625, "Q5_K_M": 5.68, "Q4_K_M": 4.82, "Q4_0": 4.5,
    "IQ4_XS": 4.34, "Q3_K_M": 3.9, "Q2_K": 2.97, "IQ2_XS": 2.5,
}  # fmt: skip
"""Bits a weight of the linear layers takes; of mixes, as a Llama of a billion weights came out."""
ODD = {"Q6_K": 8.5, "Q5_K_M": 6.6, "Q4_K_M": 5.64, "IQ4_XS": 4.6, "Q3_K_M": 4.7, "Q2_K": 4.5, "IQ2_XS": 4.5}
"""The same where rows fill no blocks of 256 and llama.cpp takes types of blocks of 32, as a model of 576 columns came out."""
NUMBER = {"f32": 32.0, "f16": 16.0, "q8_0": 8.5}
"""Bits a number in the cache takes."""
PARTS = 512
"""Tokens that are computed at once: llama.cpp's default."""
EACH_TOKEN = 340
"""Bytes of a token's text and what it is found by; llama.cpp keeps the vocabulary in memory."""
PRECISION = {"Q8_0": "int8", "Q6_K": "int8"}
BLOCK, WIDE = 32, 256
"""Numbers in a block of Q8_0, and in one of the K types."""
SENSITIVE, KEPT = "ffn_down|attn_v", 0.29
"""Tensors whose errors cost most, and their share of a Llama's linear weights."""
UNSLID = ("MistralForCausalLM", "Phi3ForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM")
"""Architectures whose sliding window llama.cpp has not."""
NO_TEXT = "an importance matrix needs calibration text; give --calibration, or a longer --data"


def offer(model: Model, target: Target, task: Task) -> Sequence[Offer]:
    """All recipes considered for this model, target and task; pure."""
    why = not_computed(model, task.language.context if task.language is not None else 512)
    if why:
        return [Offer(name=o.name, refused=why) for o in _all(model, target, task)]
    return sorted(_all(model, target, task), key=lambda o: o.recipe.safety if o.recipe is not None else len(TYPES) + 2)


def not_computed(model: Model, context: int) -> str:
    """Why llama.cpp's answers would be wrong; empty where they are not."""
    first = model.beyond_first(context)
    if first:
        return (
            f"llama.cpp rotates all positions for long texts where the context, {context}, is beyond the {first} tokens of the "
            f"first training; --context {first} has the same rotation everywhere"
        )
    return model.activates_not("llama.cpp") or model.slides_not("llama.cpp", UNSLID, context)


def _all(model: Model, target: Target, task: Task) -> Iterator[Offer]:
    context = task.language.context if task.language is not None else 512
    fair: dict[str, Scalar] = {"threads": target.threads, "context": context, "cache": "f16"}
    convert = Step(stage="convert", builder="transformers", name="to_gguf", consumes=HF, produces=GGUF, params={"kind": "f32"})
    given = model.artifact.kind == GGUF
    first = () if given else (convert,)

    odd = head_that_fits_no_block(model)

    def recipe(
        name: str, reason: str, steps: tuple[Step, ...], safety: int, turn: int, precision: str, kept: str = "", **more: Scalar
    ) -> Offer:  # fmt: skip
        settings = {**fair, **more}
        made = Recipe(
            name=name, runtime=NAME, steps=steps, settings=settings, precision=precision, safety=safety, turn=turn,
            role=role_of_unquantized(model.stored, kept, target.here) if kept else "candidate",
            held=held_by(steps, str(settings["cache"]), int(str(model.traits.get("hidden") or 0))),
        )  # fmt: skip
        return Offer(name=name, reason=reason, recipe=made)

    if given:
        as_given = f"the given file in llama.cpp, {target.threads} thread(s)"
        reference = Recipe(name="gguf", runtime=NAME, settings=fair, role="reference", precision=model.precision)
        yield Offer(name="gguf", reason=as_given, recipe=reference)
        if model.precision not in ("fp32", "fp16"):
            reason = "the given file, the cache in 8 bits: for long contexts"
            made = recipe("gguf-kv8", reason, (), 3, 4, model.precision, cache="q8_0")
            yield made if not odd else Offer(name=made.name, refused=odd)
            yield Offer(name="gguf-q8-0", refused="the file is quantized already, and would lose twice")
            return
    else:
        yield from _converted(recipe, convert, model.stored, target)
    for kind, (safety, turn, reason) in TYPES.items():
        yield recipe(named(kind), reason, (*first, quantized(kind)), safety, turn, PRECISION.get(kind, "int4"))
    reason = "as Q8_0, the cache in 8 bits too: for long contexts"
    made = recipe("gguf-q8-0-kv8", reason, (*first, quantized("Q8_0")), 3, 4, "int8", cache="q8_0")
    yield made if not odd else Offer(name=made.name, refused=odd)
    reason = "as Q4_0, what costs most in 8 bits"
    yield recipe("gguf-q4-0-kept", reason, (*first, quantized("Q4_0", keep=SENSITIVE)), 5, 3, "int4")
    watch = Step(stage="quantize", builder=NAME, name="importance", consumes=GGUF, produces=GGUF, calibration=True)
    for kind, (safety, turn, reason) in WITH_MATRIX.items():
        if task.calibration is None:
            yield Offer(name=f"{named(kind)}-im", refused=NO_TEXT)
            continue
        steps = (*first, watch, quantized(kind, matrix=True))
        yield recipe(f"{named(kind)}-im", f"{reason}; errors weighed by importance", steps, safety, turn, "int4")


def _converted(recipe: Callable[..., Offer], convert: Step, stored: str, target: Target) -> Iterator[Offer]:
    """The folder's model in floating point.

    The one that may be the denominator of speed has as many bits as the files, in its cache too; where the files are in bf16, in
    whichever 16-bit type this CPU computes in. With more bits it would only be slower.
    """
    computes = target.has("avx512_bf16") or target.has("amx_bf16") or target.has("bf16")
    own = "f16" if stored == "bf16" and not computes else stored

    def plain(kind: str, reason: str, precision: str, **more: Scalar) -> Offer:
        step = convert.model_copy(update={"params": {"kind": kind}})
        return recipe(f"gguf-{kind}", reason, (step,), 1, 2, precision, kept=kind if kind == own else "", **more)

    yield plain("f32", "converted, truly in fp32, cache too: what llama.cpp itself changes", "fp32", cache="f32")
    yield plain("f16", "converted, weights in fp16", "fp16")
    if own == "bf16":
        yield plain("bf16", "converted, weights in bf16 as in the files", "bf16")
    else:
        why = "this CPU does not compute in bf16" if stored == "bf16" else f"the model's files are in {stored}"
        yield Offer(name="gguf-bf16", refused=why)


def head_that_fits_no_block(model: Model) -> str:
    """Why this model's cache cannot be kept in 8 bits; empty where it can."""
    head = int(str(model.traits.get("head") or 0))
    return f"the model's head size is {head}, an 8-bit cache takes multiples of {BLOCK}" if head % BLOCK else ""


def held_by(steps: Sequence[Step], cache: str, hidden: int) -> Held | None:
    """What the file of the last step takes; None of a file that is given.

    Args:
        hidden: columns of most matrices; 0 where it is not known.
    """
    if not steps:
        return None
    kind = str(steps[-1].params.get("type") or steps[-1].params["kind"]).upper()
    odd = hidden % WIDE != 0
    bits = {**BITS, **ODD}[kind] if odd else BITS[kind]
    most = bits if kind in ("F32", "F16", "BF16", "Q8_0") else BITS["Q8_0" if odd else "Q6_K"]
    kept = KEPT if steps[-1].params.get("keep") else 0.0
    return Held(
        linear=(1 - kept) * bits + kept * BITS["Q8_0"],
        embedding=bits,
        head=most,
        cache=NUMBER[cache],
        parts=PARTS,
        each_token=EACH_TOKEN,
    )


def named(kind: str) -> str:
    return f"gguf-{kind.lower().replace('_', '-')}"


def quantized(kind: str, **params: str | bool) -> Step:
    return Step(stage="quantize", builder=NAME, name="quantize", consumes=GGUF, produces=GGUF, params={"type": kind, **params})


BACKEND = Backend(
    name=NAME,
    work=HERE / "work.py",
    runner=HERE / "runner.py",
    runs=(GGUF,),
    builds=(HF,),
    offer=offer,
    reads=((".gguf", GGUF),),
    family="llm",
    packages=("gguf", "numpy"),
    runtime_packages=("numpy",),
    takes_all_cores=False,
    requirements=HERE / "requirements.txt",
    fetch=HERE / "fetch.py",
    libraries="llama.cpp",
    libraries_variable="LLAMA_CPP",
)
