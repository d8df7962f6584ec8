"""`Candidate`: what was built from a recipe, or why it was not; and all that was found out about it."""

from typing import Literal

from strop.core.measurement import Clock, Memory, Mode
from strop.core.model import Artifact
from strop.core.noun import Noun
from strop.core.recipe import Recipe
from strop.core.verdict import Interval, Verdict

FailedIn = Literal["build", "check", "memory", "timing", "profile"]
Status = Literal["in progress", "measured", "failed", "dropped", "duplicate", "not reached", "not measurable"]
"""`in progress`: its turn has come, and is not over; of a finished run nothing is. `not reached`: the budget ended before its
turn, or during it. `not measurable`: built, but what it runs on is not on this machine."""


MISSING = "missing"
"""Kind of the failures that an interpreter which is not there causes; the only ones that are tried again."""


class Failure(Noun):
    """How a candidate failed: a recorded result, not an error of the run. `log_tail` is the end of its own log."""

    stage: FailedIn
    kind: str
    message: str
    log_tail: str = ""

    def __str__(self) -> str:
        return f"{self.stage}: {self.message}"


class Candidate(Noun):
    """A recipe and its artifact. `failure` where the build went wrong; `versions` are the builders' packages.

    `claims` are figures that a builder gave for its own work: shown as such, never used; `notes` are its remarks.
    """

    recipe: Recipe
    artifact: Artifact | None = None
    failure: Failure | None = None
    versions: dict[str, str] = {}
    claims: dict[str, float] = {}
    notes: tuple[str, ...] = ()
    build_s: float = 0.0
    built: tuple[str, ...] = ()
    """Keys of its steps in the build cache, in order."""

    @property
    def name(self) -> str:
        return self.recipe.name


class Throughput(Noun):
    """Examples a second, or tokens of answers a second for a language model, with so many requests in flight.

    ratio: over the unquantized model's, the tuned baseline's file under the settings that serve the load best (`over`). rate:
    with its interval over processes. One or both are None where there are too few undisturbed samples. latency_ms: a request's,
    while the others are in flight. With one in flight all of it follows from the latency's samples.
    """

    concurrency: int
    batch: int
    unit: Literal["examples", "tokens"] = "examples"
    stage: Literal["search", "confirmation"]
    over: str
    rate: Interval | None
    ratio: Interval | None
    latency_ms: dict[str, float] = {}
    pairs: int = 0
    quads: int = 0
    excluded: float = 0.0
    samples: str = ""


class Timing(Noun):
    """Statistics of one comparison with the tuned baseline; the samples they come from stand in `samples`.

    clock: what `speedup` is taken by. By CPU time it may rank and choose; gates on time stay unmeasured.
    rough: where too much was disturbed for a `speedup`, the figure from all blocks; it ranks and decides no gate.
    refused: blocks of each side (baseline, candidate) that were disturbed and taken again. uneven: whether these counts
    differ by more than chance.
    """

    stage: Literal["search", "confirmation"]
    speedup: Interval | None
    clock: Clock = "wall time"
    rough: Interval | None = None
    refused: tuple[int, int] = (0, 0)
    uneven: bool = False
    tail_ratio: Interval | None = None
    tail_percentile: int | None = None
    latency: Interval | None = None
    """Typical latency, milliseconds."""
    latency_ms: dict[str, float] = {}
    baseline_latency_ms: dict[str, float] = {}
    pairs: int = 0
    """Of processes; of a race: its sets."""
    quads: int = 0
    """That count; of a race: its rounds."""
    excluded: float = 0.0
    excluded_why: dict[str, int] = {}
    mode: Mode = "side by side"
    energy_ratio: Interval | None = None
    samples: str = ""
    throughput: Throughput | None = None
    """Of a further batch size, one request after another."""


class Imitated(Noun):
    """Speed over another candidate of the same runtime, on this machine held to what the target has; decides no gate."""

    over: str
    speedup: Interval
    held_to: str


class Result(Noun):
    """Everything about one candidate, as the report shows it."""

    candidate: Candidate
    status: Status = "in progress"
    reason: str = ""
    failure: Failure | None = None
    accuracy: float | None = None
    retained: Interval | None = None
    differs: str = ""
    """Of the metric `difference`: the channel that is furthest from the given model's, as `boxes[:, 4]`."""
    ran: str = ""
    """In which types its kernels computed, as the runtime says afterwards: `int8 26, fp32 3`; empty where it does not say."""
    examples: int = 0
    memory: tuple[Memory, ...] = ()
    memory_ratio: Interval | None = None
    search: Timing | None = None
    cleanup: Timing | None = None
    """Of the given model with its export cleaned up: over the given file under the same settings, by the race of the settings."""
    confirmation: Timing | None = None
    imitated: Imitated | None = None
    throughput: Throughput | None = None
    quality: dict[str, Interval] = {}
    """Further figures that gates may use, by metric."""
    pace: dict[str, float] = {}
    """Of a language model, alone and unpaired: tokens a second and milliseconds, by name."""
    verdict: Verdict | None = None
    reproduce: str = ""

    @property
    def name(self) -> str:
        return self.candidate.name

    @property
    def timing(self) -> Timing | None:
        return self.confirmation or self.search

    @property
    def speedup(self) -> Interval | None:
        return self.timing.speedup if self.timing is not None else None

    @property
    def by_cpu_time(self) -> bool:
        """Whether the machine was too busy for wall time, so that the speed-up is taken by CPU time and decides no gate."""
        return self.timing is not None and self.timing.speedup is not None and self.timing.clock == "CPU time"

    @property
    def noisy(self) -> Interval | None:
        """A rough speed-up, where the machine was too busy for one that could decide anything."""
        found = [t.rough for t in (self.confirmation, self.search) if t is not None and t.rough is not None]
        return found[0] if found and self.speedup is None else None
