"""One scorer for all frameworks: from output shards and labels to a metric, paired by example.

Labels are whole numbers of shape [examples], or [examples, alternatives] where several classes count as right
(-1 fills the row); for `mae`, `spearman` and `pearson` they are numbers of the output's shape; for tokens [examples, length].
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strop.core import resampled
from strop.core.classes import class_labels, cut_of, flat, hits, predicted, width
from strop.core.errors import ConfigError, DataError
from strop.core.resampled import Drawn
from strop.core.scorers import DETECTION, READY, Kept, once
from strop.core.scorers.alike import ALIKE, SURE
from strop.core.scorers.told import EXAMPLES, Told
from strop.core.scorers.told import told as parsed
from strop.core.spelling import known_names
from strop.core.statistics import LEVEL, bootstrap_ratio, paired_proportion_ratio, t_quantile, wilson
from strop.core.verdict import Interval

Array = NDArray[Any]
UNLABELED = ("agreement", "cosine", "difference", *ALIKE)
"""Metrics that compare a candidate with the baseline and need no labels."""
CHANCE_SHUFFLES = 200
CHANCE_P = 0.05
COSTLY_SHUFFLES, COSTLY_EXAMPLES = 40, 200
"""Of metrics that take long, and examples that are shuffled."""
IGNORED = -100
"""The label of a token that is not scored."""
TEXT_LOOKS = 3
"""A language model's text is scored, and up to twice more where a gate stays undecided."""
NEEDED = {"pinball": "quantiles", "wer": "separator", **dict.fromkeys(DETECTION, "layout")}
"""Options without which a metric would be a guess."""
TINY = 1e-12
"""An error of nothing is counted as this, so that what is retained stays a number."""


def f1(outputs: Array, labels: Array, cut: float | None = None) -> float:
    """F1 of class 1 for two classes, else the mean of the classes' F1 (macro)."""
    return f1_of(predicted(outputs, cut), _single(labels, "f1"))


def f1_of(guess: Array, truth: Array) -> float:
    """`f1` of classes, both of shape [n]."""
    classes = np.unique(np.concatenate([guess, truth]))
    if set(classes.tolist()) <= {0, 1}:
        classes = np.array([1])
    scores = []
    for one in classes:
        both = np.sum((guess == one) & (truth == one))
        total = np.sum(guess == one) + np.sum(truth == one)
        scores.append(2 * both / total if total else 0.0)
    return float(np.mean(scores))


def roc_auc(outputs: Array, labels: Array) -> float:
    """Area under the ROC curve for two classes, by ranks (Mann–Whitney), ties counted half."""
    return _of_all("roc_auc", resampled.roc_auc, outputs, labels)


def _of_all(name: str, figure: resampled.OverDraws, outputs: Array, labels: Array) -> float:
    return float(over_scores(name, figure)(outputs, labels, np.ones((1, len(labels)), np.int64))[0])


def over_scores(name: str, figure: resampled.OverDraws) -> resampled.OverDraws:
    """A figure of one score an example: of two classes that of class 1, else the first value."""

    def found(outputs: Array, labels: Array, counts: resampled.Counts) -> resampled.Floats:
        scores = flat(outputs)
        column = (1 if scores.shape[1] > 1 else 0) if name == "roc_auc" else 0
        return figure(scores[:, column], _single(labels, name), counts)

    return found


def _single(labels: Array, name: str) -> Array:
    """Labels of shape [n]; alternatives are for top-1 and top-k only."""
    if labels.reshape(len(labels), -1).shape[1] != 1:
        raise DataError(f"metric {name!r} takes one label an example, found shape {list(labels.shape)}", "use top1 or topk")
    return labels.reshape(-1)


def mae(outputs: Array, labels: Array) -> float:
    """Mean absolute error; lower is better.

    Raises:
        DataError: labels and outputs differ in shape.
    """
    if flat(outputs).shape != labels.reshape(len(labels), -1).shape:
        raise DataError(f"metric 'mae': labels {list(labels.shape)} for outputs {list(outputs.shape)}", "give them one shape")
    return float(np.mean(np.abs(flat(outputs) - labels.reshape(len(labels), -1))))


def mae_over_draws(outputs: Array, labels: Array, counts: resampled.Counts) -> resampled.Floats:
    """`mae` of each draw."""
    apart = np.abs(flat(outputs) - labels.reshape(len(labels), -1))
    return resampled.mean(apart.mean(axis=1), counts)


def spearman(outputs: Array, labels: Array) -> float:
    """Rank correlation of one output value per example with the labels."""
    return _of_all("spearman", resampled.spearman, outputs, labels)


def pearson(outputs: Array, labels: Array) -> float:
    """Linear correlation of one output value per example with the labels."""
    return _of_all("pearson", resampled.pearson, outputs, labels)


def tokens(outputs: Array, labels: Array) -> tuple[Array, Array]:
    """Scores [tokens, classes] and labels [tokens] of all tokens that count; a label of -100 does not.

    Raises:
        DataError: outputs are not [examples, length, classes] for labels [examples, length].
    """
    if outputs.ndim != 3 or outputs.shape[:2] != labels.shape:
        raise DataError(
            f"token metrics: outputs {list(outputs.shape)} for labels {list(labels.shape)}",
            "they take outputs [examples, length, classes] and a label for each token",
        )
    counted = labels != IGNORED
    return outputs[counted], labels[counted]


def token_classes(outputs: Array) -> Array:
    """The class of each token, shape [examples, length], of scores [examples, length, classes]; classes as they are."""
    return outputs.argmax(axis=2) if outputs.ndim == 3 else outputs


def token_accuracy(outputs: Array, labels: Array) -> float:
    """Share of counted tokens whose class is right; of scores, or of `token_classes`."""
    guess, truth = _counted(outputs, labels)
    return float((guess == truth).mean()) if len(truth) else 0.0


def token_f1(outputs: Array, labels: Array) -> float:
    """`f1` over counted tokens; of scores, or of `token_classes`."""
    guess, truth = _counted(outputs, labels)
    return f1_of(guess, truth) if len(truth) else 0.0


def _counted(outputs: Array, labels: Array) -> tuple[Array, Array]:
    """Classes and labels of all tokens that count, shape [tokens] both."""
    if outputs.shape == labels.shape and outputs.dtype.kind in "iu":
        return outputs[labels != IGNORED], labels[labels != IGNORED]
    scores, truth = tokens(outputs, labels)
    return scores.argmax(axis=1), truth


def agreement(outputs: Array, baseline: Array) -> NDArray[np.bool_]:
    """Per example: whether both name the same class; the first axis is the example."""
    cut = cut_of(baseline)
    return np.asarray(predicted(outputs, cut) == predicted(baseline, cut))


def cosine(outputs: Array, baseline: Array) -> NDArray[np.float64]:
    """Per example: cosine of its vector with the baseline's, from 0 (or below) to 1. Shapes [n, size]."""
    mine, theirs = flat(outputs).astype(np.float64), flat(baseline).astype(np.float64)
    lengths = np.linalg.norm(mine, axis=1) * np.linalg.norm(theirs, axis=1)
    return np.asarray(np.clip((mine * theirs).sum(axis=1) / np.maximum(lengths, TINY), 0, 1))


@dataclass(frozen=True)
class Metric:
    """`figure(outputs, labels) -> float`; `per_example` where the figure is a share of right examples.

    `classes`: the labels are one class per example. `reduced`: all that the figure takes of the outputs, found once where it is
    computed for many draws of examples. `over_draws`: that for all draws at once; None: for one after the other. `drawn`:
    the same, of outputs and labels (`core/scorers`). `kept`: what the retained share is, as in `scorers.Kept`.
    """

    name: str
    figure: Callable[[Array, Array], float]
    lower_is_better: bool = False
    per_example: Callable[[Array, Array], NDArray[np.bool_]] | None = None
    classes: bool = True
    reduced: Callable[[Array], Array] = np.asarray
    over_draws: resampled.OverDraws | None = None
    drawn: Callable[[Array, Array], Drawn] | None = None
    kept: Kept = "ratio"
    costly: bool = False

    def figures(self, outputs: Array, labels: Array) -> Drawn:
        """Figures of many draws at once."""
        if self.drawn is not None:
            return self.drawn(outputs, labels)
        over_draws, answers = self.over_draws or one_by_one(self), self.reduced(outputs)
        return lambda counts: over_draws(answers, labels, counts)


def metric(name: str, k: int = 5, cut: float | None = None, told: Told | None = None) -> Metric:
    """The metric of that name.

    Args:
        k: of top-k.
        cut: where class 1 begins, for outputs of one number per example; None: by the outputs themselves.
        told: options of the metric. Its threshold is taken, where it has one, else `cut`.

    Raises:
        ConfigError: no such metric.
    """
    told = told or Told()
    cut = cut if told.threshold is None else told.threshold
    if name in READY:
        return _ready(name, told._replace(threshold=cut))
    table = {
        "top1": Metric("top1", lambda o, y: float(hits(o, y, 1, cut).mean()), per_example=lambda o, y: hits(o, y, 1, cut)),
        "topk": Metric("topk", lambda o, y: float(hits(o, y, k).mean()), per_example=lambda o, y: hits(o, y, k)),
        "binary": Metric("binary", lambda o, y: float(binary(o, y, cut).mean()), per_example=lambda o, y: binary(o, y, cut)),
        "f1": Metric("f1", lambda o, y: f1(o, y, cut)),
        "roc_auc": Metric("roc_auc", roc_auc, over_draws=over_scores("roc_auc", resampled.roc_auc)),
        "mae": Metric("mae", mae, lower_is_better=True, classes=False, over_draws=mae_over_draws, kept="inverse"),
        "spearman": Metric("spearman", spearman, classes=False, over_draws=over_scores("spearman", resampled.spearman)),
        "pearson": Metric("pearson", pearson, classes=False, over_draws=over_scores("pearson", resampled.pearson)),
        "token_accuracy": Metric("token_accuracy", token_accuracy, classes=False, reduced=token_classes),
        "token_f1": Metric("token_f1", token_f1, classes=False, reduced=token_classes),
        "scorer": Metric("scorer", lambda o, _: float(np.mean(o)), classes=False),
    }
    if name not in table:
        raise ConfigError(f"unknown metric {name!r}", known_names(name, [*table, *READY, *UNLABELED], "known metrics"))
    return table[name]


def _ready(name: str, told: Told) -> Metric:
    """A metric of `core/scorers`."""
    ready = READY[name]

    each = ready.per_example

    def drawn(outputs: Array, labels: Array) -> Drawn:
        return ready.scorer(outputs, labels, told)

    return Metric(
        name, lambda outputs, labels: once(drawn(outputs, labels), len(labels)), lower_is_better=ready.kept != "ratio",
        per_example=None if each is None else lambda outputs, labels: each(outputs, labels, told),
        classes=False, drawn=drawn, kept=ready.kept, costly=ready.costly,
    )  # fmt: skip


def kept_of(name: str) -> Kept:
    """How the retained share of that metric comes from its figures."""
    return READY[name].kept if name in READY else "inverse" if name == "mae" else "ratio"


def told_of(name: str, options: Mapping[str, str]) -> Told:
    """Options of that metric.

    Raises:
        ConfigError: it has no such option, the option no such value, or one is missing that it needs.
    """
    needed = NEEDED.get(name)
    if needed is not None and needed not in options:
        raise ConfigError(f"metric {name!r} needs its option {needed!r}", f"e.g. --metric-option {needed}={EXAMPLES[needed]}")
    usual = {"score": SURE} if name == "box_agreement" else {}
    return parsed(usual | dict(options), options_of(name), name)


def options_of(name: str) -> tuple[str, ...]:
    """The options that the metric reads."""
    if name in READY:
        return READY[name].options
    return ALIKE[name].options if name in ALIKE else ("threshold",) if name == "binary" else ()


def binary(outputs: Array, labels: Array, cut: float | None) -> NDArray[np.bool_]:
    """Whether the one number of each example is on the label's side of the threshold.

    Raises:
        DataError: outputs of several values, or labels of more than two classes.
    """
    if width(outputs) != 1:
        raise DataError(
            f"metric 'binary' takes one number an example, found outputs {list(outputs.shape)}",
            "use top1 for one class of several, multilabel_f1 for several at once; --output chooses another output",
        )
    truth = _single(labels, "binary")
    if not np.isin(truth, (-1, 0, 1)).all():
        raise DataError(f"metric 'binary': labels go from {truth.min()} to {truth.max()}", "label them 0 and 1, or -1 and 1")
    level = level_of("binary", outputs) if cut is None else cut
    return np.asarray((flat(outputs)[:, 0] > level) == (truth > 0))


def level_of(name: str, baseline: Array, told: Told | None = None) -> float:
    """Where a score begins to count as yes: as told, else 0.5 for probabilities, 0 for logits; by all answers of the baseline.

    Raises:
        DataError: scores as whole numbers, as a fully quantized model gives them, without a threshold.
    """
    if told is not None and told.threshold is not None:
        return told.threshold
    if "threshold" not in options_of(name):
        return cut_of(baseline)
    if baseline.dtype.kind != "f":
        if name != "miou" and baseline.size and baseline.max() > 1:
            raise DataError(
                f"metric {name!r}: the output holds whole numbers up to {baseline.max()}",
                "say above which one it counts as yes: --metric-option threshold=NUMBER",
            )
        return 0.0
    return 0.5 if bool(baseline.min() >= 0 and baseline.max() <= 1) else 0.0


@dataclass(frozen=True)
class Accuracy:
    """A metric's figure for one candidate, and the share of the baseline's that it retains.

    Of `difference`: `where` is the channel that differs most, `figure` its difference with the interval.
    """

    value: float | None
    retained: Interval | None
    where: str = ""
    figure: Interval | None = None


def score(name: str, outputs: Array, baseline: Array, labels: Array | None, k: int = 5, told: Told | None = None) -> Accuracy:
    """Metric and retained share of a candidate, paired by example with the baseline.

    Args:
        outputs, baseline: shape [examples, …].
        labels: None for `agreement`, `cosine` and `unmeasured`.
    """
    if name == "unmeasured":
        return Accuracy(None, None)
    if name == "perplexity":
        return perplexity(outputs, baseline)
    if name == "cosine":
        near = cosine(outputs, baseline)
        return Accuracy(float(near.mean()), bootstrap_ratio(lambda n: (resampled.mean(near, n), np.ones(len(n))), len(near)))
    if name in ALIKE:
        return _alike(nearness(name, outputs, baseline, told))
    if name == "agreement":
        found = share(agreement(outputs, baseline))
        return Accuracy(found.value, found)
    if labels is None:
        raise DataError(f"metric {name!r} needs labels", "name the array that holds them, or use --metric agreement")
    chosen = metric(name, k, level_of(name, baseline, told), told)
    known = class_labels(baseline, labels, name, k) if chosen.classes else labels
    if chosen.per_example is not None:
        right, right_before = chosen.per_example(outputs, known), chosen.per_example(baseline, known)
        return Accuracy(float(right.mean()), paired_proportion_ratio(right, right_before))

    sides = [chosen.figures(side, known) for side in (outputs, baseline)]

    def both(counts: resampled.Counts) -> tuple[resampled.Floats, resampled.Floats]:
        mine, theirs = (figures(counts) for figures in sides)
        if chosen.kept == "complement":
            return np.maximum(1 - mine, 0), np.maximum(1 - theirs, 0)
        return (np.maximum(theirs, TINY), np.maximum(mine, TINY)) if chosen.kept == "inverse" else (mine, theirs)

    value = chosen.figure(outputs, known) if chosen.drawn is None else once(sides[0], len(known))
    return Accuracy(value, bootstrap_ratio(both, len(known)))


def nearness(name: str, outputs: Array, baseline: Array, told: Told | None = None) -> NDArray[np.float64]:
    """How near each answer is to the baseline's, from 0 to 1, by a metric that needs no labels."""
    if name == "cosine":
        return cosine(outputs, baseline)
    if name not in ALIKE:
        return agreement(outputs, baseline).astype(np.float64)
    told = told or Told()
    return ALIKE[name].near(outputs, baseline, told._replace(threshold=level_of(name, baseline, told)))


def _alike(near: NDArray[np.float64]) -> Accuracy:
    """The mean, with Wilson's interval where each answer is the same or not."""
    if np.isin(near, (0, 1)).all():
        found = share(near == 1)
        return Accuracy(found.value, found)
    return Accuracy(float(near.mean()), bootstrap_ratio(lambda n: (resampled.mean(near, n), np.ones(len(n))), len(near)))


def one_by_one(chosen: Metric) -> resampled.OverDraws:
    """A metric's figures of one draw after the other."""

    def figures(answers: Array, labels: Array, counts: resampled.Counts) -> resampled.Floats:
        rows = (np.repeat(np.arange(len(labels)), drawn) for drawn in counts)
        return np.array([chosen.figure(answers[row], labels[row]) for row in rows])

    return figures


def perplexity(losses: Array, baseline: Array) -> Accuracy:
    """exp of the mean negative log-likelihood a token, and the baseline's over it, paired by window.

    The interval is Student's over the windows' mean differences: tokens of one window depend on one another.

    Args:
        losses, baseline: nats, shape [windows, positions].
    """
    mine, theirs = (np.asarray(a, np.float64).mean(axis=1) for a in (losses, baseline))
    value = float(np.exp(mine.mean()))
    return Accuracy(value, exponential(student(theirs - mine)) if len(mine) > 1 else None)


def perplexity_interval(losses: Array) -> Interval:
    """A perplexity alone, with its interval by windows; losses in nats, shape [windows, positions]."""
    return exponential(mean_interval(losses))


def perplexity_error(losses: Array) -> float | None:
    """Standard error of the perplexity; None of one window, which says nothing of the spread.

    By the delta method: exp has the slope exp, so the error of the mean loss counts as many times as the perplexity is.

    Args:
        losses: nats, shape [windows, positions].
    """
    each = np.asarray(losses, np.float64).mean(axis=1)
    return math.exp(each.mean()) * standard_error(each) if len(each) > 1 else None


def answered(likelihood: Array, greedy: Array, rows: Array) -> NDArray[np.bool_]:
    """Whether each question is answered rightly: its likeliest choice, or an exact answer whose tokens are all the likeliest.

    Args:
        likelihood: log-likelihood of every continuation, nats. greedy: whether each of its tokens was the likeliest.
        rows: shape [continuations, 5]; the last two columns are the question and whether it is the right one.
    """
    question, right = np.asarray(rows)[:, 3], np.asarray(rows)[:, 4] == 1
    count = int(question.max()) + 1
    best = np.full(count, -np.inf)
    np.maximum.at(best, question, likelihood)
    alone = np.bincount(question, minlength=count)[question] == 1
    hit = np.where(alone, np.asarray(greedy) > 0, np.asarray(likelihood) >= best[question])
    beaten = np.bincount(question[hit & ~right], minlength=count) > 0  # a tie with a wrong one is no answer
    found = np.bincount(question[hit & right], minlength=count) > 0
    return np.asarray(found & ~beaten)


def chance_of(rows: Array) -> float:
    """The share of questions that guessing answers; rows as in `answered`. An exact answer is not guessed."""
    choices = np.bincount(np.asarray(rows)[:, 3])
    return float(np.where(choices > 1, 1 / choices, 0.0).mean())


def share(right: NDArray[np.bool_]) -> Interval:
    """The share that is right, with Wilson's interval."""
    value = float(right.mean())
    low, high = wilson(float(right.sum()), len(right), 1.959964)
    return Interval(value=value, low=min(low, value), high=max(high, value), level=LEVEL)


def mean_interval(values: Array, most: float = math.inf) -> Interval:
    """Mean over windows with Student's interval, within what the mean can be; shape [windows, positions], from 0 to `most`."""
    found = student(np.asarray(values, np.float64).mean(axis=1))
    return found.model_copy(update={"low": max(found.low, 0.0), "high": min(found.high, most)})


def standard_error(values: NDArray[np.float64]) -> float:
    """Of the mean; shape [n], at least two."""
    return float(values.std(ddof=1)) / math.sqrt(len(values))


def student(values: NDArray[np.float64]) -> Interval:
    """Mean with Student's interval, shape [n]; a single value has no width that could be known.

    The error is shared among the looks that may be taken at a text.
    """
    middle = float(values.mean())
    half = t_quantile(1 - (1 - LEVEL) / (2 * TEXT_LOOKS), len(values) - 1) * standard_error(values) if len(values) > 1 else 0.0
    return Interval(value=middle, low=middle - half, high=middle + half, level=LEVEL)


def exponential(figure: Interval) -> Interval:
    """The interval of exp(figure)."""
    low, value, high = (math.exp(x) for x in (figure.low, figure.value, figure.high))
    return Interval(value=value, low=low, high=high, level=figure.level)


def better_than_chance(
    name: str, outputs: Array, labels: Array, k: int = 5, seed: int = 0, told: Told | None = None
) -> tuple[bool, float]:
    """Whether the figure beats that of shuffled labels (a permutation test at 5 %), and the shuffled mean.

    A constant answer, however often it is right, is chance; a skewed but working classifier is not.
    """
    chosen = metric(name, k, level_of(name, outputs, told), told)
    if chosen.classes:
        labels = class_labels(outputs, labels, name, k)
    rng, shuffles = np.random.default_rng(seed), CHANCE_SHUFFLES
    if chosen.costly:
        rows, shuffles = np.sort(rng.permutation(len(labels))[:COSTLY_EXAMPLES]), COSTLY_SHUFFLES
        outputs, labels = outputs[rows], labels[rows]
    sign = -1.0 if chosen.lower_is_better else 1.0
    real = sign * chosen.figure(outputs, labels)
    answers = chosen.reduced(outputs)
    shuffled = np.array([sign * chosen.figure(answers, rng.permutation(labels)) for _ in range(shuffles)])
    reached = (1 + int(np.sum(shuffled >= real - 1e-12))) / (1 + shuffles)
    return bool(real > shuffled.mean() and reached <= CHANCE_P), float(sign * shuffled.mean())
