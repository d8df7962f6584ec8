"""One candidate on its way through the run: its result so far, and what is needed to measure it further."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from strop.core.candidate import Candidate, Failure, Result
from strop.core.gate import judge_one
from strop.core.measurement import Check, Pair
from strop.core.metrics import Accuracy
from strop.core.recipe import Recipe
from strop.core.rivalry import Racer
from strop.core.statistics import geometric_interval, range_ratio
from strop.core.task import Task
from strop.core.verdict import EXACTLY_ONE, Gate, Interval, exactly, inverse
from strop.run.answers import accuracy
from strop.run.checking import Footprint
from strop.run.family import family_named, family_of
from strop.run.pairing import Subject

TWO = 2
LONG_S = 2.0
"""Seconds of the given model's evaluation, from which on its other settings are judged only where one may be chosen."""
MEMORY_FLOOR = 1_000_000
"""Bytes: what allocators and page sizes alone make of no difference."""


@dataclass(frozen=True)
class Trial:
    """`subject` is None where there is nothing to run (the build failed). `cut`: the budget ended while it was built.

    `reference`: of a language model, and of a variant of the baseline whose files are not the given ones: whose answers its own
    were compared with. None of the reference itself, and of all others, whose answers are compared with the baseline's reference.

    `pairs` are those of the confirmation. `loaded` are pairs with several requests in flight. `server`, of the baseline: the
    setting of the unquantized model that serves these best, and the denominator of throughput; None where it is the baseline.

    `unjudged`: the given file under another setting, whose answers were not taken, since that would take long. What becomes the
    baseline, the denominator of throughput or a finalist is judged first.
    """

    result: Result
    subject: Subject | None = None
    check: Check | None = None
    check_folder: Path | None = None
    footprints: tuple[Footprint, ...] = ()
    pairs: tuple[Pair, ...] = ()
    loaded: tuple[Pair, ...] = ()
    server: Subject | None = None
    cut: bool = False
    unjudged: bool = False
    reference: "Trial | None" = None

    @property
    def quality_reference(self) -> "Trial":
        """Of a baseline: whose answers all others are compared with, those of the given files. The denominator is often another,
        of a language model or where an export was cleaned up."""
        return self.reference or self

    @property
    def name(self) -> str:
        return self.result.name

    @property
    def candidate(self) -> Candidate:
        return self.result.candidate

    @property
    def alive(self) -> bool:
        """Measured, and neither failed nor dropped."""
        return self.result.status == "measured"

    @property
    def ready(self) -> bool:
        """Built, looked at and checked: it may be timed."""
        return self.result.status == "in progress" and self.check is not None

    @property
    def untuned(self) -> bool:
        """A setting of the baseline that the budget left no time to try."""
        return self.result.status == "not reached" and self.candidate.recipe.role == "baseline-variant"

    @property
    def lost_accuracy(self) -> bool:
        """Dropped before it was timed, for what its answers showed."""
        return self.result.status == "dropped" and self.result.retained is not None and self.result.search is None

    def with_result(self, **changes: Any) -> Self:
        return replace(self, result=self.result.model_copy(update=changes))

    def failed(self, failure: Failure, reproduce: str) -> Self:
        return self.with_result(status="failed", failure=failure, reason=str(failure), reproduce=reproduce)

    def not_reached(self, reason: str) -> Self:
        return self.with_result(status="not reached", reason=reason)

    def dropped(self, reason: str) -> Self:
        return self.with_result(status="dropped", reason=reason)

    @property
    def peaks(self) -> list[float]:
        """Peak memory of each repeat, bytes."""
        return [float(f.memory.peak) for f in self.footprints if f.memory is not None]

    @property
    def rough_ns(self) -> tuple[float, float]:
        """Of the first calls: the fastest, and what nine of ten took at most."""
        calls = self.footprints[0].latencies_ns if self.footprints else ()
        return (float(min(calls)), float(np.percentile(calls, 90))) if calls else (0.0, 0.0)

    @property
    def rough_p50_ns(self) -> float | None:
        """Median of the first calls, alone and unpaired: for a remark, never for a decision."""
        calls = self.footprints[0].latencies_ns if self.footprints else ()
        return float(np.median(calls)) if calls else None

    @property
    def outpaced(self) -> bool:
        """Its race ended early since another was faster: valid, accurate enough, and timed in too few sets to be sure."""
        return self.result.status == "dropped" and self.result.search is not None

    @property
    def warm_ns(self) -> float:
        """A typical call for planning: the median of the first calls, less the first third, which may still be cold."""
        calls = self.footprints[0].latencies_ns if self.footprints else ()
        return float(np.median(calls[len(calls) // 3 :])) if calls else 0.0


def memory_resolution(peaks: Sequence[float]) -> float:
    """The smallest difference in peak memory that means anything: what repeats of the baseline differ by, at least 1 MB.

    Args:
        peaks: of each repeat of the baseline, bytes.
    """
    return max(MEMORY_FLOOR, max(peaks) - min(peaks)) if peaks else MEMORY_FLOOR


def memory_ratio(trial: Trial, baseline: Trial) -> Interval | None:
    """Peak over the baseline's; None where the platform cannot tell.

    The interval spans the repeats' extremes. A difference under the resolution is "no difference": it then holds 1.
    """
    if not trial.peaks or not baseline.peaks:
        return None
    ratio = range_ratio(trial.peaks, baseline.peaks, MEMORY_FLOOR)
    if abs(float(np.median(trial.peaks)) - float(np.median(baseline.peaks))) > memory_resolution(baseline.peaks):
        return ratio
    return ratio.model_copy(update={"low": min(ratio.low, 1.0), "high": max(ratio.high, 1.0)})


def accuracy_of(trial: Trial, baseline: Trial, task: Task, longer: int = 0) -> Accuracy:
    """Metric and retained share, from the output shards of both and of that many further looks."""
    assert trial.check_folder is not None and baseline.check_folder is not None
    found = accuracy(trial.check_folder, baseline.check_folder, task, longer)
    if found.retained is not None and (trial.name == baseline.name or _same_answers(trial, baseline, task)):
        return Accuracy(found.value, EXACTLY_ONE)
    return found


def _same_answers(trial: Trial, baseline: Trial, task: Task) -> bool:
    """Whether it is the baseline's own file under other settings, and each of its answers is equal bit by bit."""
    mine, theirs = trial.candidate.artifact, baseline.candidate.artifact
    if mine is None or theirs is None or mine.digest != theirs.digest:
        return False
    if trial.candidate.recipe.runtime != baseline.candidate.recipe.runtime:
        return False
    return family_of(task).same_answers(trial, baseline, task)


def quality_figures(trial: Trial) -> dict[str, Interval]:
    """Gate metrics that come from a candidate's answers."""
    result = trial.result
    figures = dict(result.quality)
    if result.retained is not None:
        figures["accuracy_retained"] = result.retained
    if result.retained is not None and result.retained.low > 0 and "perplexity" in result.quality:
        figures["perplexity_ratio"] = inverse(result.retained)
    return figures


def known_figures(trial: Trial) -> dict[str, Interval]:
    """Gate metrics that are known before anything is timed: of the answers, and the size of the files."""
    artifact = trial.candidate.artifact
    return quality_figures(trial) | ({"size_mb": exactly(artifact.bytes / 1e6)} if artifact is not None else {})


def racer_of(trial: Trial) -> Racer:
    """What the search knows of a trial."""
    result = trial.result
    energy = result.timing.energy_ratio if result.timing is not None else None
    return Racer(trial.name, result.memory_ratio, known_figures(trial), energy)


def must_left_open(trial: Trial, gates: Sequence[Gate]) -> int:
    """How many musts its known figures do not pass."""
    known = known_figures(trial)
    musts = [g for g in gates if g.kind == "must" and g.metric in known]
    return sum(judge_one(g, known[g.metric]).result != "PASS" for g in musts)


def misses_must(trial: Trial, gates: Sequence[Gate]) -> bool:
    """Whether its known figures miss a must by their whole interval."""
    known = known_figures(trial)
    return any(g.kind == "must" and g.metric in known and judge_one(g, known[g.metric]).result == "FAIL" for g in gates)


def pace_figures(trial: Trial) -> dict[str, Interval]:
    """Gate metrics that come from a language model's calls alone: medians of processes, with the interval over these.

    Each process has a bias of its own, by its memory's layout alone: of a single one nothing is claimed.
    """
    timed = [f for f in trial.footprints if f.token_ns and f.prompt_ns]
    if len(timed) < TWO or trial.subject is None:
        return {}
    token = geometric_interval([float(np.median(f.token_ns)) for f in timed])
    first = geometric_interval([float(np.median(f.prompt_ns)) / 1e6 for f in timed])
    return {"decode_tok_s": inverse(token, trial.subject.batch * 1e9), "first_token_ms": first}


def only_informs(trial: Trial, baseline: Trial) -> bool:
    """Whether it is timed for information only and never chosen: the runtime's defaults, or a language model in PyTorch, which is
    the reference of quality, where another runtime gives the baseline.
    """
    reference, cleaned = baseline.reference, baseline.candidate.recipe.cleaned
    return trial.candidate.recipe.role == "as-is" or (reference is not None and trial.name == reference.name and not cleaned)


def is_setting(mine: Recipe, given: Recipe) -> bool:
    """Whether it is the given file in its own runtime under other settings."""
    return mine.role in ("baseline-variant", "as-is") and mine.steps == given.steps and mine.runtime == given.runtime


def goes_unjudged(recipe: Recipe, given: Trial) -> bool:
    """Whether a recipe is the given file under another setting, and judging it takes so long that it waits until it matters."""
    if given.subject is None or given.check is None or not family_named(given.subject.family).judged_late:
        return False
    return given.check.seconds > LONG_S and is_setting(recipe, given.candidate.recipe)


def find(trials: Sequence[Trial], name: str) -> Trial:
    return next(t for t in trials if t.name == name)
