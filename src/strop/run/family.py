"""What a family of models needs that others do not: one strategy each, found by entry point as backends are.

Every stage asks the run's family, the task's or the subject's, and none asks which one it is. What a method does here is what a
model of arrays needs; a family overrides what differs.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from strop.bundle.pack import TEMPLATE
from strop.core.errors import BackendError
from strop.core.measurement import Check
from strop.core.metrics import Array
from strop.core.model import Model
from strop.core.outcome import Outcome
from strop.core.task import Task
from strop.core.throughput import Load
from strop.core.verdict import Gate, Interval
from strop.plan.ladder import AUTO_S, PAIRS, ROUNDS
from strop.report.evidence import Sample
from strop.store.store import RunFolder
from strop.worker.process import Process

if TYPE_CHECKING:  # a family is below every stage, and is handed what they hold
    from strop.run.checking import Footprint
    from strop.run.context import Run
    from strop.run.pairing import Subject
    from strop.run.request import Request
    from strop.run.trial import Trial

GROUP = "strop.families"


class Pace(NamedTuple):
    """How calls of a family are timed, and what that takes.

    For planning only: start_s, to start a process and load a model where that was not measured; chunk, calls between two looks
    at a warm-up; as_is, whether the choice is usually timed over the runtime's defaults too.

    least_calls: of a block. rounds: of a set of a race, at least and at most. search: pairs and quads of what cannot race.
    most_quads: of a pair, by stage; none where the time alone says so. pairs: of a confirmation at most. second_look: whether an
    open gate gets as many pairs again. auto_s: what `--budget auto` comes to, at least and at most.
    """

    start_s: float = 1.0
    chunk: int = 3
    least_calls: int = 3
    rounds: tuple[int, int] = ROUNDS
    search: tuple[int, int] = (3, 12)
    most_quads: Mapping[str, int] = {}
    pairs: int = PAIRS
    second_look: bool = True
    as_is: bool = True
    auto_s: tuple[float, float] = AUTO_S


class Family(ABC):
    """The strategy of one family of models.

    name: what a backend's `family` says. session: the file of the module that opens sessions in the child, whose folder is a
    package there (`strop_child/session.py` says what a session gives); None for one of Strop's own. template: what becomes a
    bundle's infer.py: `load(folder)` gives an object with `manifest`, `run(feed)` and `filled` (whether a short batch is filled
    up); for `strop infer` also `feed_of` and `run_in_batches`, as in `bundle/infer_template.py`.

    pace: how its calls are timed. batches: whether examples may be answered in larger batches. own_answers: whether a candidate's
    timed answers are compared with those that its accuracy was taken from. judged_late: whether settings of the given file may be
    judged only once they matter. other_runtimes: whether the denominator may be the model in another runtime than the one that
    reads it. by_batch: whether memory grows in proportion to the batch. settles: whether a finalist's open musts can be settled
    by looking longer. ships_all: whether a bundle answers with all outputs that were measured. runner_timed: whether the bundle's
    runner is timed against the measured session. numbers: whether inputs are numbers, whose ranges say something.
    session_shown: whether reports show what sessions say of themselves. inspected: whether the inspector sees a model first, and
    refuses what is damaged in its own words.
    """

    name: str
    session: Path | None = None
    template: Path = TEMPLATE
    pace = Pace()
    batches = True
    own_answers = True
    judged_late = True
    other_runtimes = False
    by_batch = False
    settles = False
    ships_all = True
    runner_timed = True
    numbers = True
    session_shown = False
    inspected = False

    # What is asked of a model
    def code(self) -> tuple[Path, ...]:
        """The folders of its code, which is a part of what a run's figures depend on; empty for Strop's own, which always is."""
        own, strop = Path(inspect.getfile(type(self))).parent, Path(__file__).parent.parent
        return () if own.is_relative_to(strop) else (own,)

    @abstractmethod
    def read_task(self, run: "Run", model: Model) -> Task:
        """Data, metric and workload.

        Raises:
            DataError, UsageError: what was given does not fit the model, or each other.
        """

    def gates(self, request: "Request") -> tuple[Gate, ...]:
        """The gates of a run: those of the request, with what the family adds."""
        return request.gates

    def why_no_bench(self) -> str:
        """Why `strop bench` does not compare such models; empty where it does."""
        return ""

    # How a session is called
    def called(self, task: Task) -> dict[str, Any] | None:
        """What a session is opened with besides its inputs, as JSON."""
        return None

    @abstractmethod
    def look(self, child: Process, of: "Subject", brief: bool, patience: float) -> dict[str, list[int]]:
        """The first calls of a fresh session, by the name of a field of `Footprint`, ns each.

        Args:
            brief: whether nothing is decided by them. patience: seconds that they may take.
        """

    def window(self, of: "Subject", longer: int) -> dict[str, int]:
        """Which part of the evaluation data a further look takes; empty for the check itself."""
        return {}

    def quads(self, latency_ns: tuple[float, float], of: "Subject | None", usual: int) -> int:
        """Quads of a pair of the confirmation.

        Args:
            usual: what the time of a call alone says.
        """
        return usual

    def load(self, task: Task) -> Load:
        """What a call is worth, for throughput."""
        return Load(task.workload.concurrency, task.workload.batch)

    def paces(self, found: "Sequence[Footprint]", of: "Subject | None") -> dict[str, float]:
        """What first looks say of the pace, by name, for reports: from calls alone and unpaired."""
        return {}

    # What answers are worth
    @abstractmethod
    def scored(self, folder: Path, task: Task, longer: int = 0) -> Array:
        """The values of a check that the metric takes, shape [examples, …].

        Args:
            folder: the check's. longer: further looks that count too.
        """

    @abstractmethod
    def answers(self, folder: Path, task: Task) -> Array:
        """The values of a check that must be numbers."""

    def quality(self, mine: Path, theirs: Path, task: Task, longer: int = 0) -> dict[str, Interval]:
        """Further figures of a check beside another's, by metric; the baseline's own is both."""
        return {}

    def advantage(self, mine: Path, theirs: Path, baseline: Path, task: Task) -> dict[str, Interval]:
        """How much better one candidate's answers are than another's by those figures, example by example; 0: no difference."""
        return {}

    def collapse(self, draft: Path, found: Check, expected: Path, task: Task) -> tuple[str, str] | None:
        """(kind, text) of an output that no longer follows the input, or None."""
        return None

    def same_answers(self, mine: "Trial", theirs: "Trial", task: Task) -> bool:
        """Whether two sessions on the same files answer equally, bit by bit, so that nothing is lost by definition."""
        return False

    def mixing(self, run: "Run", model: Model, task: Task) -> int:
        """With how many examples the baseline is tested for answers that depend on each other; 0: it is not."""
        return 0

    def require_baseline(self, run: "Run", model: Model, done: Check, task: Task) -> None:
        """Raises BaselineError where the given model's answers cannot be scored; notes what of them nothing compares."""

    def note_baseline(self, run: "Run", quality: Mapping[str, Interval], task: Task) -> None:
        """Notes what the baseline's own figures mean for all others."""

    def look_longer(self, run: "Run", task: Task, baseline: "Trial", finalists: "Sequence[Trial]") -> "list[Trial]":
        """The finalists, judged by more where a gate on their answers is open."""
        return list(finalists)

    # What comes of it
    def infer(self, child: Process, bundle: Path, out: Path, of: "Subject") -> dict[str, str]:
        """The answers of a bundle's own code to the evaluation data: output → file."""
        found: dict[str, str] = child.call(
            "infer_shards", folder=str(bundle.absolute()), out=str(out.absolute()), inputs=of.inputs
        )
        return found

    def keep_samples(self, run: "Run", outcome: Outcome) -> None:
        """Writes down what the report shows of answers as a person reads them."""

    def samples(self, outcome: Outcome, folder: RunFolder) -> tuple[tuple[Sample, ...], str]:
        """What was written down; and why it is not all there, or nothing."""
        return (), ""


@cache
def family_named(name: str) -> Family:
    """The family of that name; no other one is imported.

    Raises:
        BackendError: it is not installed, cannot be loaded, or is no `Family` of that name.
    """
    entries = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in entries:
        known = ", ".join(sorted(entries)) or "none: install Strop again, its entry points are of another version"
        raise BackendError(f"no family {name!r} of models is installed", f"there are {known}")
    try:
        family = entries[name].load()
    except Exception as error:
        raise BackendError(f"family {name!r} cannot be loaded: {error}", f"check {entries[name].value}") from error
    if not isinstance(family, Family) or family.name != name:
        raise BackendError(f"family {name!r}: {entries[name].value} is no strop.run.family.Family of that name")
    return family


def family_of(task: Task) -> Family:
    """The family of a task's model."""
    return family_named(task.family)
