"""Which unquantized variant of a language model may be the denominator of speed, and what the report says of it.

The *quality reference* of a language model is the given model in the runtime that reads it, PyTorch for a folder: all answers are
compared with its answers. The *baseline*, the denominator of speed and memory, is the unquantized model in its fastest runtime,
since few deploy PyTorch; it must answer as the reference does.
"""

from collections.abc import Sequence

import numpy as np

from strop.core.recipe import Offer
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


def divergence(trial: Trial) -> float | None:
    """Mean divergence from the reference's next token over all scored positions, nats; None where nothing was compared."""
    if trial.check_folder is None or trial.reference is None:
        return None
    files = shards(trial.check_folder)
    return float(np.mean(open_array(files["kl"]))) if "kl" in files else None


def allowed_divergence(trial: Trial) -> float:
    """What rounding explains of a variant's divergence, nats."""
    return ROUNDING.get(trial.candidate.recipe.precision, SIXTEEN_BITS)


def agrees(trial: Trial) -> bool:
    """Whether a variant answers as the reference does, up to rounding. Of other models than language models it is the same files
    under other settings.
    """
    found = divergence(trial)
    return found is None or found <= allowed_divergence(trial)


def may_be_denominator(trial: Trial) -> bool:
    """Whether it was measured and agrees with the reference."""
    return trial.alive and agrees(trial)


def as_denominator(trial: Trial, task: Task) -> Trial:
    """The tuned baseline: its memory is 1 by definition. Its answers stay compared with the reference's, which are its own unless
    it is a language model in another runtime.
    """
    return trial.with_result(memory_ratio=EXACTLY_ONE, retained=accuracy_of(trial, trial.quality_reference, task).retained)


def note_denominator(run: Run, found: Sequence[Offer], tuned: Trial, trials: Sequence[Trial]) -> None:
    """Notes of a language model's denominator: variants that could not be it, and PyTorch where nothing else was left."""
    variants = {r.name for r in by_role(found, "baseline-variant")}
    for trial in trials:
        apart = divergence(trial)
        if trial.name in variants and apart is not None and not agrees(trial):
            run.note(
                f"{trial.name} cannot be the baseline: its answers are {apart:.2g} nats from the given model's, and rounding "
                f"explains no more than {allowed_divergence(trial):g}."
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
