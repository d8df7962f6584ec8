"""Profiles: a candidate's session watched alone, then under its runtime's own profiler. Kept beside its measurements."""

from collections.abc import Sequence
from pathlib import Path

from strop.core.errors import StoreError, UsageError, WorkerError
from strop.core.outcome import Outcome
from strop.core.profile import MemorySample, Operator, Profile, Profiled
from strop.run.building import failure_of
from strop.run.checking import subject
from strop.run.context import Run
from strop.run.hardware import memory_limit
from strop.run.pairing import Subject, cores_for, open_request
from strop.store.store import RunFolder, load, save
from strop.worker.process import Process

PROFILE = "profile.json"
WATCH_S, PROFILE_S = 2.0, 1.0
MOST_CALLS, MOST_PROFILED = 5000, 300
NO_PROFILER = "its backend gives no times by operator"
AGAIN = "ask its `strop optimize` command again, with --fresh --profile"


def profile_candidates(run: Run, outcome: Outcome, names: Sequence[str] = (), again: bool = False) -> list[Profiled]:
    """The profiles of these candidates, or of the baseline and all finalists; failures are results.

    Args:
        again: measure even what is on disk.

    Raises:
        StoreError: what it takes was pruned. UsageError: no such candidate.
    """
    require_measured(outcome, names)
    require_files(outcome)
    found = []
    for name in names or finalists(outcome):
        path = run.folder.candidate(name) / PROFILE
        known = None if again else load(path, Profiled)
        if known is None:
            run.tell("profiling", candidate=name)
            known = _profiled(run, outcome, name)
            save(path, known)
        found.append(known)
    return found


def finalists(outcome: Outcome) -> list[str]:
    """The baseline, then the choice, then the others that were confirmed."""
    confirmed = [r.name for r in outcome.results if r.confirmation is not None]
    first = [outcome.baseline, *([outcome.choice.name] if outcome.choice is not None else [])]
    return list(dict.fromkeys([*first, *confirmed]))


def stored_profiles(outcome: Outcome, folder: RunFolder) -> list[Profiled]:
    """What was profiled so far, the baseline and the choice first."""
    order = dict.fromkeys([*finalists(outcome), *(r.name for r in outcome.results)])
    found = [load(folder.candidate(name) / PROFILE, Profiled) for name in order]
    return [profiled for profiled in found if profiled is not None]


def require_measured(outcome: Outcome, names: Sequence[str]) -> None:
    measured = [r.name for r in outcome.results if r.memory]
    odd = next((name for name in names if name not in measured), None)
    if odd is not None:
        raise UsageError(f"{odd!r} was not measured in run {outcome.run}", f"measured: {', '.join(measured)}")


def require_files(outcome: Outcome) -> None:
    if not Path(outcome.task.evaluation.folder).is_dir():
        raise StoreError(f"the data of run {outcome.run} were pruned from the store", AGAIN)


def _profiled(run: Run, outcome: Outcome, name: str) -> Profiled:
    candidate = outcome.result(name).candidate
    of = subject(run, candidate, outcome.task)
    if not Path(of.artifact).exists():
        raise StoreError(f"the files of {name} were pruned from the store", AGAIN)
    try:
        with run.spending("profile"):
            watched, profiles = _watch(run, of)
            operators = _operators(run, of) if profiles else {"no_operators": NO_PROFILER}
    except WorkerError as error:
        return Profiled(candidate=name, failure=failure_of("profile", error))
    recipe = candidate.recipe
    made = Profile.model_validate({
        "candidate": name, "runtime": recipe.runtime, "precision": recipe.precision, "threads": of.threads,
        "memory_limit": min(m for m in (run.limits().memory_bytes, memory_limit()) if m), **watched, **operators,
    })  # fmt: skip
    return Profiled(candidate=name, profile=made)


def _watch(run: Run, of: Subject) -> tuple[dict[str, object], bool]:
    """The session as it is measured and shipped; and whether its backend can profile."""
    with _child(run, of) as child:
        child.ask("count")
        opened = child.ask("open", **open_request(of._replace(reference=None)))
        watched = child.ask("watch", length_s=WATCH_S, most=MOST_CALLS)
    memory = [MemorySample.model_validate(m) for m in watched.pop("memory") if m["rss"] is not None]
    return {
        **watched, "memory": memory, "load_s": opened["load_s"], "first_inference_s": opened["first_inference_s"],
    }, opened["profiles"]  # fmt: skip


def _operators(run: Run, of: Subject) -> dict[str, object]:
    """Times by operator, in a process of their own: the profiler changes what it watches."""
    with _child(run, of) as child:
        child.ask("open", profile=True, **open_request(of._replace(reference=None)))
        raw = child.ask("operators", length_s=PROFILE_S, most=MOST_PROFILED)
    return {"profiled_ns": raw["profiled_ns"], "operators": [Operator.model_validate(o) for o in raw["operators"]]}


def _child(run: Run, of: Subject) -> Process:
    return run.place.open(of.work, of.log, run.limits(), cores_for(of.host, of.threads, 0))
