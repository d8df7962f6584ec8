"""Which unquantized variant with other files than the given ones may be the denominator of speed, and what is said of it.

Of a language model, in another runtime:

The *quality reference* of a language model is the given model in the runtime that reads it, PyTorch for a folder: all answers are
compared with its answers. The *baseline*, the denominator of speed and memory, is the unquantized model in its fastest runtime,
since few deploy PyTorch; it must answer as the reference does.

Of other models, the given file with its export cleaned up, in its own runtime: what a bad export costs is no gain of
quantization. It must answer as the given file does.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from strop.core.channels import apart, names_things
from strop.core.difference import parts
from strop.core.metrics import Array
from strop.core.recipe import Offer, Recipe
from strop.core.task import Task
from strop.core.verdict import EXACTLY_ONE
from strop.plan.space import by_role
from strop.run.checking import open_array, shards
from strop.run.context import Run
from strop.run.trial import Trial, accuracy_of

ROUNDING = {"fp32": 1e-4}
"""Mean divergence from the reference's next token, nats, that the order of float32 sums explains, with a hundredfold margin."""
SIXTEEN_BITS = 1e-3
"""The same where weights, products or the cache have 16 bits. A conversion that leaves something out differs by 0.01 and more."""

FLOAT32 = 1e-3
"""Difference of the worst channel, as `strop.core.channels` takes it, that the order of float32 sums explains, with a hundredfold
margin: some 1e-5 was seen. FP16 arithmetic differs by 1e-3 to 1e-2."""
LABELS = 5e-3
"""Share of whole numbers, such as classes, that near ties may turn over; one example may differ in any case."""


def is_rebuilt(recipe: Recipe) -> bool:
    """Whether it is a variant of the baseline whose files are not the given ones."""
    return recipe.role == "baseline-variant" and bool(recipe.steps)


def divergence(trial: Trial) -> float | None:
    """Mean divergence from the reference's next token over all scored positions, nats; None where nothing was compared."""
    if trial.check_folder is None or trial.reference is None:
        return None
    files = shards(trial.check_folder)
    return float(np.mean(open_array(files["kl"]))) if "kl" in files else None


def allowed_divergence(trial: Trial) -> float:
    """What rounding explains of a variant's divergence, nats."""
    return ROUNDING.get(trial.candidate.recipe.precision, SIXTEEN_BITS)


def beyond_rounding(trial: Trial) -> tuple[str, float]:
    """The output that rounding does not explain, and how far its worst channel is from the reference's; "" where there is none.

    Whole numbers count by the share of unequal ones.
    """
    if trial.check_folder is None or trial.reference is None or trial.reference.check_folder is None:
        return "", 0.0
    return _beyond_rounding(trial.check_folder, trial.reference.check_folder)


@lru_cache(maxsize=64)
def _beyond_rounding(mine: Path, theirs: Path) -> tuple[str, float]:
    got, wanted = shards(mine), shards(theirs)
    for name in wanted:
        if name not in got:
            return f"output {name!r}, which is missing,", float("inf")
        values, answers = open_array(wanted[name]), open_array(got[name])
        if equal_in_float32(answers, values):
            continue
        found = apart(name, answers, values)
        allowed = max(LABELS, 1.5 / len(values)) if names_things(values) else FLOAT32
        if not found.figure.value <= allowed:
            return found.where or name, found.figure.value
    return "", 0.0


def equal_in_float32(mine: Array, theirs: Array) -> bool:
    """Whether no value differs by more than a few roundings, its own or those of a sum as large as the largest value: a channel
    that hardly varies differs by much of its spread then.
    """
    if theirs.dtype.kind != "f" or not theirs.size:
        return bool(mine.shape == theirs.shape and np.array_equal(mine, theirs))
    largest = max(float(np.abs(part[np.isfinite(part)]).max(initial=0.0)) for _, part in parts(mine, theirs))
    return all(np.allclose(a, b, rtol=1e-6, atol=1e-6 * largest, equal_nan=True) for a, b in parts(mine, theirs))


def agrees(trial: Trial) -> bool:
    """Whether a variant answers as the reference does, up to rounding. Without a reference it is the same files under other
    settings.
    """
    found = divergence(trial)
    if found is None:
        return not beyond_rounding(trial)[0]
    return found <= allowed_divergence(trial)


def may_be_denominator(trial: Trial) -> bool:
    """Whether it was measured and agrees with the reference."""
    return trial.alive and agrees(trial)


def as_denominator(trial: Trial, task: Task) -> Trial:
    """The tuned baseline: its memory is 1 by definition. Its answers stay compared with the reference's, which are its own unless
    it is a language model in another runtime. Those of a cleaned-up file were shown to be the reference's up to rounding, example
    by example: what a few examples leave open of a quantized model is not open here.
    """
    if trial.candidate.recipe.cleaned and trial.reference is not None:
        same = trial.reference.result.quality
        return trial.with_result(memory_ratio=EXACTLY_ONE, retained=EXACTLY_ONE, quality=same, differs="")
    return trial.with_result(memory_ratio=EXACTLY_ONE, retained=accuracy_of(trial, trial.quality_reference, task).retained)


def note_denominator(run: Run, found: Sequence[Offer], tuned: Trial, trials: Sequence[Trial]) -> None:
    """Notes of the denominator: variants that could not be it, and PyTorch where nothing else was left."""
    variants = {r.name for r in by_role(found, "baseline-variant")}
    for trial in trials:
        nats = divergence(trial)
        if trial.name in variants and nats is not None and not agrees(trial):
            run.note(
                f"{trial.name} cannot be the baseline: its answers are {nats:.2g} nats from the given model's, and rounding "
                f"explains no more than {allowed_divergence(trial):g}."
            )
        where, far = beyond_rounding(trial) if nats is None else ("", 0.0)
        if where:
            run.note(
                f"{trial.name} cannot be the baseline: {where} differs from the given model's by {far:.2g} of its spread, and "
                f"the rounding of float32 explains no more than {FLOAT32:g}."
            )
    reference = tuned.candidate.recipe
    if reference.role != "reference" or reference.runtime != "transformers":
        return
    failed = [f"{t.name} ({t.result.reason or t.result.status})" for t in trials if t.name in variants and not t.alive]
    why = (
        f"no other runtime could take its place: {'; '.join(failed)}"
        if failed
        else "no other was faster"
        if variants
        else "no other runtime for the unquantized model is installed or was asked for, and few deploy PyTorch"
    )
    run.note(f"The baseline is the given model in PyTorch: {why}.")
