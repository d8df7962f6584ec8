"""OpenVINO's recipes for language models: weights by NNCF, safest first, and why."""

from collections.abc import Iterator

from strop.core.noun import Params, Scalar
from strop.core.recipe import Held, Offer, Recipe, Step, role_of_unquantized
from strop.core.target import Target
from strop.core.task import Task

COPIES, GROWN, ROWS, OWN = 2.0, 4.0, 3.0, 25_000_000
"""How often compressed weights, the cache, and a part of a long prompt lie in memory; bytes that any model takes besides."""
NUMBER = {"f32": 32.0, "f16": 16.0, "u8": 8.5}
"""Bits a number in the cache takes."""
NAME, HF, IR = "openvino", "hf", "openvino-lm"


def held_by(params: Params | None, cache: str) -> Held:
    """Eight bits of embedding and head, of the rest what is asked for; a 16-bit scale a group, and its offset where there is one.

    Weights are packed anew at load, beside the file that is mapped.
    """
    if params is None:
        return Held(linear=32, embedding=32, head=32, cache=NUMBER[cache], grown=GROWN, rows=ROWS)
    linear = 8.0
    if str(params["mode"]).startswith("INT4"):
        apart = 16 if params["mode"] == "INT4_SYM" else 20
        share = float(str(params.get("ratio", 1.0)))
        linear = share * (4 + apart / float(str(params["group"]))) + (1 - share) * 8
    return Held(linear=linear, embedding=8, head=8, cache=NUMBER[cache], copies=COPIES, grown=GROWN, rows=ROWS, own=OWN)


def language_offers(target: Target, task: Task, bf16: bool, stored: str) -> Iterator[Offer]:
    """All recipes considered; pure.

    Args:
        bf16: whether the target's CPU computes in bf16. stored: type of the weights in the model's files, `Model.stored`.
    """
    assert task.language is not None
    shared: dict[str, Scalar] = {
        "precision": "f32", "hint": "LATENCY", "streams": 1, "threads": target.threads, "context": task.language.context,
    }  # fmt: skip
    convert = Step(stage="convert", builder="transformers", name="to_openvino", consumes=HF, produces=IR)

    def recipe(
        name: str, reason: str, params: Params | None, safety: int, turn: int, kind: str, needs_text: bool = False,
        kept: str = "", **settings: Scalar,
    ) -> Offer:  # fmt: skip
        if needs_text and task.calibration is None:
            return Offer(name=name, refused="it needs calibration text; give --calibration, or a longer --data")
        compress = Step(
            stage="quantize", builder=NAME, name="compress_language", consumes=IR, produces=IR, params=params or {},
            calibration=needs_text,
        )  # fmt: skip
        made = Recipe(
            name=name, runtime=NAME, steps=(convert, compress) if params else (convert,), precision=kind, safety=safety,
            turn=turn, role=role_of_unquantized(stored, kept, target.here) if kept else "candidate",
            settings={**shared, "cache": "f16", **settings}, held=held_by(params, str(settings.get("cache", "f16"))),
        )  # fmt: skip
        return Offer(name=name, reason=reason, recipe=made)

    eight: Params = {"mode": "INT8_ASYM"}
    four: Params = {"mode": "INT4_ASYM", "group": 64}
    reason = "converted, truly in f32, cache too: what OpenVINO itself changes"
    yield recipe("openvino-f32", reason, None, 1, 2, "fp32", kept="f32", cache="f32")
    if bf16 and stored == "bf16":
        yield recipe("openvino-bf16", "converted, in bf16 as in the files", None, 1, 2, "bf16", kept="bf16", precision="bf16")
    yield recipe("openvino-int8", "weights in 8 bits a channel, arithmetic in f32", eight, 2, 0, "int8")
    if bf16:
        reason = "weights in 8 bits, arithmetic in bf16: a faster prompt, often a slower answer"
        yield recipe("openvino-int8-bf16", reason, eight, 3, 3, "int8", precision="bf16")
    yield recipe("openvino-int8-kv8", "weights in 8 bits, the cache too: for long contexts", eight, 3, 4, "int8", cache="u8")
    yield recipe(
        "openvino-int4-mixed", "the 60 % of the weights that vary least in 4 bits, the others in 8",
        {**four, "ratio": 0.6, "sensitive": True}, 4, 3, "int4", needs_text=True,
    )  # fmt: skip
    yield recipe(
        "openvino-int4-gptq", "4 bits in groups of 64, each column's error corrected by the next (GPTQ)", {**four, "gptq": True},
        5, 2, "int4", needs_text=True,
    )  # fmt: skip
    yield recipe(
        "openvino-int4-awq", "4 bits in groups of 64, scaled by what activations show (AWQ), scales estimated",
        {**four, "awq": True, "scale_estimation": True}, 5, 4, "int4", needs_text=True,
    )  # fmt: skip
    yield recipe("openvino-int4", "4 bits in groups of 64 with zero points; head and embedding in 8", four, 6, 1, "int4")
    yield recipe(
        "openvino-int4-sym", "4 bits in groups of 128, symmetric: the smallest", {"mode": "INT4_SYM", "group": 128}, 7, 3, "int4"
    )
