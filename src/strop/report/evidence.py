"""`Evidence`: what a run's folder holds beside its outcome, in the size that a report can carry."""

from typing import Literal

from strop.core.noun import Noun, Scalar
from strop.core.profile import Profiled


class Curve(Noun):
    """Latencies of one comparison: milliseconds at whole percentiles, as far as there are enough calls for them.

    `calls` counts the kept calls of baseline and candidate; `name` is the baseline's own for the A/A comparison.
    """

    name: str
    calls: tuple[int, int]
    percent: tuple[int, ...]
    baseline_ms: tuple[float, ...]
    candidate_ms: tuple[float, ...]


class Answer(Noun):
    """What a model answered: a class or a few numbers, its score, and whether it is right (None without a label)."""

    text: str
    score: float | None = None
    right: bool | None = None


class Example(Noun):
    """One evaluation example on which baseline and candidate differ. `picture` is a data URI, or empty."""

    index: int
    label: str
    baseline: Answer
    candidate: Answer
    picture: str = ""


class Examples(Noun):
    """Answers of baseline and candidate over all evaluation examples, and those shown.

    `lost`: only the baseline is right; `won`: only the candidate. Both are 0 where answers are numbers or have no labels.
    """

    candidate: str
    compared: int
    differ: int
    lost: int = 0
    won: int = 0
    classes: bool = True
    shown: tuple[Example, ...] = ()
    drawing: str = ""
    """How the pictures were made from the model's inputs."""


class Writing(Noun):
    """What a language model wrote by itself after a prompt, and why it stopped: "length", "end" (its own) or "time"."""

    candidate: str
    tokens: tuple[int, ...]
    text: str
    stopped: Literal["length", "end", "time"]


class Sample(Noun):
    """One prompt and what each candidate wrote after it."""

    prompt: str
    writings: tuple[Writing, ...]


class InputRange(Noun):
    """Values of one model input over the evaluation data, in the units that the model takes."""

    name: str
    low: float
    high: float
    mean: float
    deviation: float
    examples: int


class Evidence(Noun):
    """Everything a report shows that an `Outcome` does not hold."""

    curves: tuple[Curve, ...] = ()
    examples: Examples | None = None
    inputs: tuple[InputRange, ...] = ()
    requirements: tuple[str, ...] = ()
    profiles: tuple[Profiled, ...] = ()
    samples: tuple[Sample, ...] = ()
    sessions: dict[str, dict[str, Scalar]] = {}
    """Of a language model: what each candidate's session said of itself, such as the CPU variant that was loaded."""
    command: str = ""
    """The command that asks the run's question again."""
    missing: tuple[str, ...] = ()
    """What could not be read any more, in words."""


NO_EVIDENCE = Evidence()
