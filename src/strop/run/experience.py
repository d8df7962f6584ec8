"""What the store's finished runs found for a family of models on a kind of device."""

from collections.abc import Iterable

from strop.core.candidate import Result
from strop.core.errors import StoreError
from strop.core.inspection import Inspection
from strop.core.kinship import family_of, kind_of, kind_of_flags
from strop.core.outcome import Outcome
from strop.core.target import Target
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
    """Each runtime's fastest candidate on the CPU that was timed and missed no must; none where only one runtime was timed.

    Search figures count here: nothing is decided by them but what is tried first.
    """
    timed = [(r, r.speedup.value) for r in outcome.results if r.speedup is not None and _counts(r, outcome.baseline)]
    runtimes = {r.candidate.recipe.runtime for r, _ in timed}
    for runtime in runtimes if outcome.noise.speedup is not None and len(runtimes) > 1 else ():
        yield max(((r, s) for r, s in timed if r.candidate.recipe.runtime == runtime), key=lambda pair: pair[1])


def _counts(result: Result, baseline: str) -> bool:
    judged = result.verdict.results if result.verdict is not None else ()
    missed = any(g.gate.kind == "must" and g.result == "FAIL" for g in judged)
    compared = result.name == baseline or (result.timing is not None and result.timing.pairs > 0)
    return result.failure is None and result.candidate.recipe.device == "cpu" and compared and not missed
