"""Language models: a prompt and an answer, token by token."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from strop.bundle.pack import LANGUAGE
from strop.core.errors import UsageError
from strop.core.gate import for_language
from strop.core.metrics import Array, chance_of
from strop.core.model import Model
from strop.core.outcome import Outcome
from strop.core.task import Task
from strop.core.throughput import Load
from strop.core.verdict import Gate, Interval
from strop.report.evidence import Sample
from strop.run.checking import Footprint, open_array, shards
from strop.run.context import Run
from strop.run.families.language.answers import advantage, language_quality, looks, question_rows
from strop.run.families.language.calls import QUADS, plan_language_quads, requests, token_paces, windows_of
from strop.run.families.language.longer import look_longer
from strop.run.families.language.samples import keep_samples, samples_of
from strop.run.families.language.task import language_task
from strop.run.family import Family, Pace
from strop.run.pairing import Subject
from strop.run.request import Request
from strop.run.trial import Trial
from strop.store.store import RunFolder
from strop.worker.process import Process

LOSSES = "nll"
"""The output that is scored: the loss of each token of a window."""
PAIRS = 3
"""Of a confirmation: a language model takes seconds to start and to load."""


class LanguageFamily(Family):
    """What all stages need of a language model."""

    name = "llm"
    template = LANGUAGE
    pace = Pace(
        start_s=5.0, chunk=1, least_calls=1, rounds=(3, 6), search=(1, 4), most_quads={"search": 4, "confirmation": QUADS[1]},
        pairs=PAIRS, second_look=False, as_is=False, auto_s=(120.0, 600.0),
    )  # fmt: skip
    batches = False
    own_answers = False
    judged_late = False
    other_runtimes = True
    by_batch = True
    settles = True
    ships_all = False
    runner_timed = False
    numbers = False
    session_shown = True
    inspected = True

    def read_task(self, run: Run, model: Model) -> Task:
        if run.request.shapes:
            raise UsageError(
                "--shape is for models of arrays, not for language models", "--prompt-tokens says how long prompts are"
            )
        return language_task(run, model)

    def gates(self, request: Request) -> tuple[Gate, ...]:
        return for_language(request.gates, request.questions is not None)

    def why_no_bench(self) -> str:
        return "bench compares models of arrays, not language models"

    def called(self, task: Task) -> dict[str, Any] | None:
        return task.language.model_dump() if task.language is not None else None

    def look(self, child: Process, of: Subject, brief: bool, patience: float) -> dict[str, list[int]]:
        found = requests(child, brief, patience)
        if not brief:
            child.ask("fill")
        return found

    def window(self, of: Subject, longer: int) -> dict[str, int]:
        return windows_of(of, longer)

    def quads(self, latency_ns: tuple[float, float], of: Subject | None, usual: int) -> int:
        return plan_language_quads(latency_ns, int((of.called or {})["output"]) if of is not None else 1, PAIRS)

    def load(self, task: Task) -> Load:
        output = task.language.output if task.language is not None else 1
        return Load(1, task.workload.batch, output, "tokens")

    def paces(self, found: Sequence[Footprint], of: Subject | None) -> dict[str, float]:
        return token_paces(found, of)

    def scored(self, folder: Path, task: Task, longer: int = 0) -> Array:
        return looks(folder, longer, LOSSES)

    def answers(self, folder: Path, task: Task) -> Array:
        return open_array(shards(folder)[LOSSES])

    def quality(self, mine: Path, theirs: Path, task: Task, longer: int = 0) -> dict[str, Interval]:
        return language_quality(mine, theirs, task, longer)

    def advantage(self, mine: Path, theirs: Path, baseline: Path, task: Task) -> dict[str, Interval]:
        return advantage(mine, theirs, task)

    def note_baseline(self, run: Run, quality: Mapping[str, Interval], task: Task) -> None:
        """What a model keeps of guessing says nothing; said, since perplexity and divergence still hold."""
        right = quality.get("task_accuracy")
        chance = chance_of(question_rows(task)) if right is not None else 0.0
        if right is not None and right.low <= chance:
            run.note(
                f"The given model answers {right.value:.1%} [{right.low:.1%}, {right.high:.1%}] of the questions, guessing would "
                f"answer {chance:.1%}: what is retained of that says nothing. Give easier questions, or more."
            )

    def look_longer(self, run: Run, task: Task, baseline: Trial, finalists: Sequence[Trial]) -> list[Trial]:
        return look_longer(run, task, baseline, finalists)

    def infer(self, child: Process, bundle: Path, out: Path, of: Subject) -> dict[str, str]:
        found: dict[str, str] = child.call(
            "language_losses", folder=str(bundle.absolute()), out=str(out.absolute()), tokens=of.inputs["tokens"],
            language=of.called, count=of.examples,
        )  # fmt: skip
        return found

    def keep_samples(self, run: Run, outcome: Outcome) -> None:
        keep_samples(run, outcome)

    def samples(self, outcome: Outcome, folder: RunFolder) -> tuple[tuple[Sample, ...], str]:
        return samples_of(outcome, folder)


FAMILY = LanguageFamily()
