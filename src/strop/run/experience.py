"""What the store's finished runs found for a family of models on a kind of device."""

from collections.abc import Iterable

from strop.core.candidate import Result
from strop.core.errors import StoreError
from strop.core.inspection import Inspection
from strop.core.kinship import family_of, kind_of, kind_of_flags
from strop.core.outcome import Outcome
from strop.core.target import Target
from strop.core.verdict import RANKS
from strop.plan.advise import Measured
from strop.run.open_run import OUTCOME
from strop.store.store import Store, load

NAMED = ("huggingface", "mlx", "gguf")
"""Formats whose files name an architecture; a graph's name is anything."""


def experience(store: Store, inspection: Inspection, target: Target) -> list[Measured]:
    """For each framework of each run that fits: its fastest candidate that kept the musts.

    A run fits where its model is of the family, it was timed, and the machine has the target's deciding instruction sets.
    """
    kind = kind_of(target.instructions)
    architecture = inspection.architecture if inspection.format in NAMED else ""
    family = family_of(architecture, inspection.operators)
    found: list[Measured] = []
    for run in store.list_runs() if kind else []:
        try:
            outcome = load(run.folder / OUTCOME, Outcome)
        except StoreError:
            continue  # damaged, or of another version: it says nothing
        if outcome is None or kind_of_flags(outcome.environment.cpu_flags) != kind:
            continue
        origin = outcome.model.origin
        if family_of(origin.architecture if origin else "", outcome.model.operators) != family:
            continue
        same = outcome.model.artifact.bytes == inspection.bytes and outcome.model.operators == inspection.operators
        found += [
            Measured(framework=r.candidate.recipe.runtime, candidate=r.name, speedup=figure, run=run.name, same_model=same)
            for r, figure in _best(outcome)
        ]
    return found


def _best(outcome: Outcome) -> Iterable[tuple[Result, float]]:
    """Each runtime's fastest candidate on the CPU that was timed and kept the musts; none where only one runtime was."""
    passed = [
        (r, r.speedup.value)
        for r in outcome.results
        if r.speedup is not None and r.verdict is not None and r.verdict.outcome in RANKS and r.candidate.recipe.device == "cpu"
        and (r.name == outcome.baseline or (r.timing is not None and r.timing.pairs))
    ]  # fmt: skip
    runtimes = {r.candidate.recipe.runtime for r, _ in passed}
    timed = outcome.noise.speedup is not None and any(r.name != outcome.baseline for r, _ in passed)
    for runtime in runtimes if timed and len(runtimes) > 1 else ():
        yield max(((r, s) for r, s in passed if r.candidate.recipe.runtime == runtime), key=lambda pair: pair[1])
