"""Models of arrays: pictures, texts of one length, sounds, tables."""

import math
from pathlib import Path

import numpy as np

from strop.core.channels import lost
from strop.core.errors import BaselineError
from strop.core.measurement import Check
from strop.core.metrics import Array
from strop.core.model import Model
from strop.core.task import Task
from strop.core.verdict import Interval
from strop.plan.batch import batch_to_test
from strop.run.answers import closeness, nearer_by_divergence, of_output, scored_array, scored_outputs
from strop.run.checking import open_array, shards
from strop.run.context import Run
from strop.run.families.tensor.task import tensor_task
from strop.run.family import Family
from strop.run.pairing import Subject
from strop.run.trial import Trial
from strop.worker.process import Process

LOOK_CALLS, LOOK_NS, MOST_CALLS = 20, 20_000_000, 500
"""Calls of a first look, at least and at most, and nanoseconds that they take together: twenty calls of 50 µs are still cold."""


class TensorFamily(Family):
    """What all stages need of a model of arrays."""

    name = "tensor"

    def read_task(self, run: Run, model: Model) -> Task:
        return tensor_task(run, model)

    def look(self, child: Process, of: Subject, brief: bool, patience: float) -> dict[str, list[int]]:
        return {"latencies_ns": calls(child, LOOK_CALLS, patience)}

    def scored(self, folder: Path, task: Task, longer: int = 0) -> Array:
        return of_output(folder, task)

    def answers(self, folder: Path, task: Task) -> Array:
        return open_array(shards(folder)[task.output])

    def quality(self, mine: Path, theirs: Path, task: Task, longer: int = 0) -> dict[str, Interval]:
        return closeness(mine, theirs, task)

    def advantage(self, mine: Path, theirs: Path, baseline: Path, task: Task) -> dict[str, Interval]:
        return nearer_by_divergence(mine, theirs, baseline, task)

    def collapse(self, draft: Path, found: Check, expected: Path, task: Task) -> tuple[str, str] | None:
        """The scored output is left to its labels; a scorer of the user's may look at any, so that all are looked at."""
        theirs = shards(expected)
        judged = () if task.scorer is not None or task.metric == "difference" else scored_outputs(tuple(theirs), task)
        for name, path in theirs.items():
            text = lost(name, open_array(draft / found.shards[name]), open_array(path)) if name not in judged else None
            if text is not None:
                return "collapse", text
        return None

    def same_answers(self, mine: Trial, theirs: Trial, task: Task) -> bool:
        assert mine.check_folder is not None and theirs.check_folder is not None
        return np.array_equal(scored_array(mine.check_folder, task), scored_array(theirs.check_folder, task))

    def mixing(self, run: Run, model: Model, task: Task) -> int:
        return batch_to_test(model, task.workload.batch, run.request.batch_axes)

    def require_baseline(self, run: Run, model: Model, done: Check, task: Task) -> None:
        if task.output not in done.shards:
            raise BaselineError(
                f"output {task.output!r} has no row for each example",
                "choose another with --output; where the examples lie along another axis than the first: --batch-axis INPUT=AXIS",
            )
        left = [o.name for o in model.outputs if o.name not in done.shards]
        if left:
            run.note(f"Not compared, since it has no row for each example: output {', '.join(map(repr, left))}.", first=True)


def calls(child: Process, wanted: int, patience: float) -> list[int]:
    """Latencies of some calls, ns: as many as wanted, or as fit the time after a first one; where these are so short that they
    are still cold, of later ones.
    """
    first: list[int] = child.ask("block", runs=1)["latencies_ns"]
    room = wanted if math.isinf(patience) else int(patience * 1e9 / max(1, *first))
    more = min(wanted, room) - 1
    found: list[int] = [*first, *(child.ask("block", runs=more)["latencies_ns"] if more > 0 else [])]
    if sum(found) < LOOK_NS and more > 0:
        runs = min(MOST_CALLS, 1 + LOOK_NS * len(found) // max(1, sum(found)))
        found = list(child.ask("block", runs=runs)["latencies_ns"])
    return found


FAMILY = TensorFamily()
