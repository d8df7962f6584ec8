"""More text for finalists whose quality is undecided: as many windows again, and once more."""

import contextlib
from collections.abc import Mapping, Sequence

from strop.core.errors import BudgetError
from strop.core.gate import judge_one
from strop.core.metrics import TEXT_LOOKS
from strop.core.task import Task
from strop.core.verdict import Interval
from strop.run.checking import check
from strop.run.context import Run
from strop.run.families.language.answers import language_quality
from strop.run.families.language.calls import windows_of
from strop.run.planning import check_s, ready_s
from strop.run.trial import Trial, accuracy_of, quality_figures

LOOKS = TEXT_LOOKS - 1
"""Further looks at most; each doubles the text."""
QUALITY = ("accuracy_retained", "perplexity_ratio", "kl", "same_top")
OF_A_TEXT = ("perplexity", "perplexity_se")
"""Figures that compare on one text only: those of the text that all candidates were scored on are kept."""


def look_longer(run: Run, task: Task, baseline: Trial, finalists: Sequence[Trial]) -> list[Trial]:
    """The finalists, judged on more text where a gate on their quality straddles its bound."""
    return [_decided(run, task, baseline, trial) for trial in finalists]


def _decided(run: Run, task: Task, baseline: Trial, trial: Trial) -> Trial:
    for look in range(1, LOOKS + 1):
        if not open_gates(run, trial) or not _more(run, task, baseline, trial, look):
            break
        theirs = baseline.quality_reference
        assert trial.check_folder is not None and theirs.check_folder is not None
        retained = accuracy_of(trial, theirs, task, look).retained
        examples = trial.result.examples + windows_of_trial(trial, look)
        quality = language_quality(trial.check_folder, theirs.check_folder, task, look)
        same_text = {name: figure for name, figure in trial.result.quality.items() if name in OF_A_TEXT}
        trial = trial.with_result(retained=retained, quality=quality | same_text, examples=examples)
    return trial


def open_gates(run: Run, trial: Trial) -> list[str]:
    """Metrics of quality whose figure straddles its gate."""
    figures: Mapping[str, Interval | None] = quality_figures(trial)
    gates = [g for g in run.gates if g.metric in QUALITY]
    return [g.metric for g in gates if judge_one(g, figures.get(g.metric)).result == "INCONCLUSIVE"]


def windows_of_trial(trial: Trial, look: int) -> int:
    """How many windows this look adds; none where the text has ended."""
    assert trial.subject is not None
    return max(0, windows_of(trial.subject, look)["count"])


def _more(run: Run, task: Task, baseline: Trial, trial: Trial, look: int) -> bool:
    """Whether more windows were scored by it and by the one whose answers its own are compared with."""
    reference = baseline.quality_reference
    assert trial.subject is not None and reference.subject is not None
    if not windows_of_trial(trial, look) or run.budget.left() < more_s(reference, trial, look):
        return False
    run.tell("more-text", candidate=trial.name, windows=windows_of_trial(trial, look), open=open_gates(run, trial))
    with run.spending("check"), contextlib.suppress(BudgetError):
        theirs, folder = check(run, reference.subject, None, None, task, look)
        if theirs.failure is not None:
            return False
        mine, _ = check(run, trial.subject, folder, theirs, task, look)
        return mine.failure is None
    return False


def more_s(reference: Trial, trial: Trial, look: int) -> float:
    """Seconds that a further look takes, of both."""
    share = windows_of_trial(trial, look) / max(1, trial.result.examples)
    return sum(ready_s(t) + share * check_s(t) for t in (reference, trial))
