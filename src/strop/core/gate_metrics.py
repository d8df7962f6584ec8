"""The metrics that gates may use, declared once: what each is, how it is printed, what it can be, and what settles it. Pure."""

from math import inf
from typing import Literal, NamedTuple

from strop.core.verdict import Direction, Gate

Source = Literal["answers", "files", "clock", "load", "memory", "pace"]
"""What a metric comes from: a candidate's answers, the size of its files, one call after another, several requests in flight, its
memory, or a language model's calls alone."""
Form = Literal["plain", "share", "times"]
"""How its figures and bounds are printed: 0.05, 95 %, 2×."""


class Range(NamedTuple):
    """What a metric can be. `above`: it never reaches `low` itself."""

    low: float = 0.0
    high: float = inf
    above: bool = False

    def admits(self, direction: Direction, bound: float) -> bool:
        """Whether any figure can meet the bound."""
        if direction == "at_least":
            return bound <= self.high
        return bound > self.low if self.above else bound >= self.low


MOST_RETAINED = 2.0
"""Of what is retained: a bound above it is a percentage by mistake."""
SHARE, AT_LEAST_ZERO, POSITIVE, RETAINED = Range(high=1.0), Range(), Range(above=True), Range(high=MOST_RETAINED)
EXAMPLES, QUESTIONS, TEXT = "needs more evaluation examples", "needs more questions", "needs more text"
QUIET, LARGER = "needs a quieter machine or more time", "needs a model larger than the memory resolution"


class GateMetric(NamedTuple):
    """One metric.

    label: its name in reports. meaning: in the reference. better: the direction that is better for everybody; None where that
    depends on the metric of the task. range: what it can be; None where that does. needs: what an open gate on it needs.
    of_target: whether only the target itself can tell it. over_baseline: whether it is a ratio over the baseline, whose own is 1.
    language: of language models only. gate: its default gate, if it has one.
    """

    name: str
    label: str
    meaning: str
    source: Source
    better: Direction | None
    range: Range | None
    needs: str
    form: Form = "plain"
    of_target: bool = False
    over_baseline: bool = False
    language: bool = False
    gate: Gate | None = None


REGISTRY = (
    GateMetric(
        "accuracy_retained", "accuracy kept", "share of the given model's metric that is kept", "answers", "at_least", RETAINED,
        EXAMPLES, "share", gate=Gate(metric="accuracy_retained", bound=0.95, kind="must"),
    ),
    GateMetric(
        "tail_ratio", "latency consistency (slow calls beside those to be expected by the baseline's)",
        "slow calls (p99; p95 or p90 where there are too few for it, and said so) over those to be expected of a candidate that "
        "is as steady as the baseline; of a language model's steps", "clock", "at_most", AT_LEAST_ZERO, QUIET,
        of_target=True, over_baseline=True, gate=Gate(metric="tail_ratio", direction="at_most", bound=1.5, kind="must"),
    ),
    GateMetric(
        "speedup", "speed-up over the tuned baseline", "against the tuned baseline, same budget of cores", "clock", "at_least",
        POSITIVE, QUIET, "times", of_target=True, over_baseline=True, gate=Gate(metric="speedup", bound=2.0, kind="goal"),
    ),
    GateMetric(
        "throughput", "throughput, a second",
        "examples a second with `--concurrency` requests in flight; of a language model, tokens of answers a second", "load",
        "at_least", POSITIVE, QUIET, of_target=True,
    ),
    GateMetric(
        "throughput_ratio", "throughput over the unquantized model's",
        "the same over the tuned baseline's file under those of its settings that serve the load best", "load", "at_least",
        POSITIVE, QUIET, "times", of_target=True, over_baseline=True,
    ),
    GateMetric(
        "memory_ratio", "memory of the model's part over the baseline's",
        "the model's part of the memory, above an empty runtime, over the baseline's", "memory", "at_most", AT_LEAST_ZERO,
        LARGER, of_target=True, over_baseline=True, gate=Gate(metric="memory_ratio", direction="at_most", bound=0.5, kind="goal"),
    ),
    GateMetric("accuracy", "accuracy", "the metric itself", "answers", None, None, EXAMPLES),
    GateMetric(
        "difference", "largest difference from the given model's answers",
        "the largest difference from the given model's answers, as a share of a channel's spread; for data without labels and "
        "for answers other than class scores", "answers", "at_most", AT_LEAST_ZERO, EXAMPLES, "share",
    ),
    GateMetric(
        "divergence", "divergence of the class probabilities from the given model's, nats",
        "classifiers: mean Kullback-Leibler divergence of the class probabilities from the given model's, nats; top-1 is blind "
        "to it", "answers", "at_most", AT_LEAST_ZERO, EXAMPLES,
    ),
    GateMetric(
        "agreement", "agreement with the baseline",
        "without labels, one output of scores: share of examples where the highest is the given model's", "answers", "at_least",
        SHARE, EXAMPLES, "share",
    ),
    GateMetric(
        "latency_ms", "typical latency, ms",
        "typical latency: the mean over processes of their median call, milliseconds", "clock", "at_most", POSITIVE, QUIET,
        of_target=True,
    ),
    GateMetric(
        "memory_mb", "memory of the whole process, MB",
        "resident memory of the whole process at its highest, runtime included, MB", "memory", "at_most", AT_LEAST_ZERO, LARGER,
        of_target=True,
    ),
    GateMetric(
        "same_top", "positions with the given model's likeliest next token",
        "language models: share of positions where the likeliest next token is the given model's", "answers", "at_least", SHARE,
        TEXT, "share", language=True, gate=Gate(metric="same_top", bound=0.9, kind="goal"),
    ),
    GateMetric(
        "kl", "divergence from the given model's next token, nats",
        "language models: mean Kullback-Leibler divergence of the next token's distribution from the given model's, nats",
        "answers", "at_most", AT_LEAST_ZERO, TEXT, language=True,
        gate=Gate(metric="kl", direction="at_most", bound=0.05, kind="must"),
    ),
    GateMetric(
        "perplexity", "perplexity", "language models: exp of the mean loss a token, nats", "answers", "at_most", Range(low=1.0),
        TEXT, language=True,
    ),
    GateMetric(
        "perplexity_ratio", "perplexity over the given model's",
        "language models: perplexity over the given model's, paired by window; accuracy_retained is its inverse", "answers",
        "at_most", POSITIVE, TEXT, language=True,
    ),
    GateMetric(
        "task_accuracy", "questions answered correctly", "language models: share of the questions answered correctly", "answers",
        "at_least", SHARE, QUESTIONS, "share", language=True,
    ),
    GateMetric(
        "task_retained", "right answers kept", "language models: share of the given model's task accuracy that is kept",
        "answers", "at_least", RETAINED, QUESTIONS, "share", language=True,
    ),
    GateMetric(
        "decode_tok_s", "tokens of an answer a second",
        "language models: tokens of an answer a second, of all texts of a batch together", "pace", "at_least", POSITIVE, QUIET,
        of_target=True, language=True,
    ),
    GateMetric(
        "first_token_ms", "time to first token, ms", "language models: time to first token, milliseconds", "pace", "at_most",
        POSITIVE, QUIET, of_target=True, language=True,
    ),
    GateMetric("size_mb", "model files, MB", "size of the model files, MB", "files", "at_most", POSITIVE, "needs more data"),
)  # fmt: skip
"""All but `valid`, which has no figure."""
METRICS = {metric.name: metric for metric in REGISTRY}
VALID = Gate(metric="valid", kind="must")
VALID_LABEL, VALID_MEANING = "gives valid answers", "runs, right shapes and types, finite, deterministic enough"


def named(*sources: Source) -> tuple[str, ...]:
    """Names of the metrics from these."""
    return tuple(metric.name for metric in REGISTRY if metric.source in sources)


def form_of(name: str) -> Form:
    """How its figures are printed; `valid` has none."""
    return METRICS[name].form if name in METRICS else "plain"


def label_of(name: str) -> str:
    """What reports call it."""
    return METRICS[name].label if name in METRICS else VALID_LABEL
