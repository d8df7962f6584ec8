"""The choice among candidates that pass: a weighted score of log-ratios, with ties settled openly. Pure."""

import math
from collections.abc import Sequence

from strop.core.errors import ConfigError
from strop.core.frontier import Figures
from strop.core.noun import Noun
from strop.core.spelling import known_names
from strop.core.verdict import Interval

DEFAULT_WEIGHTS = {"speed": 0.6, "memory": 0.3, "accuracy": 0.1}
TIE = 0.005
"""Scores closer than this by value (0.5 % of speed, where speed is all that counts) tie; a wide interval makes no tie of a lead.

A tie gives away up to this much, and the noise of a confirmation adds to it: with twice as much, more than 1 % of the fields of
`python -m benchmarks selection` lose over 0.01."""
AXES = ("speed", "memory", "accuracy", "energy", "throughput")
TIMED = ("speed", "throughput")
"""Axes whose ratios count by value, and whose intervals make that of the score."""


def parse_weights(text: str | None) -> dict[str, float]:
    """`speed=0.6,memory=0.4` → weights that sum to 1.

    Raises:
        ConfigError: an unknown axis, a negative weight, or a sum other than 1.
    """
    if text is None:
        return dict(DEFAULT_WEIGHTS)
    weights: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = (piece.strip() for piece in part.partition("="))
        if name not in AXES:
            raise ConfigError(f"--prefer: unknown axis {name!r}", known_names(name, AXES))
        if name in weights:
            raise ConfigError(f"--prefer: {name} is given twice", "give each axis once")
        try:
            weights[name] = float(number)
        except ValueError:
            raise ConfigError(f"--prefer: {number!r} is not a number", "for example speed=0.6,memory=0.4") from None
    if any(not 0 <= w <= 1 for w in weights.values()) or not math.isclose(sum(weights.values()), 1.0, abs_tol=1e-6):
        raise ConfigError(f"--prefer: weights {text!r} must lie in 0…1 and sum to 1", "for example speed=0.6,memory=0.4")
    return weights


class Contender(Noun):
    """A candidate that may be chosen. `rank` 0 met every gate, 1 only the musts."""

    name: str
    rank: int
    safety: int
    speedup: Interval
    accuracy: Interval | None = None
    memory: Interval | None = None
    energy: Interval | None = None
    throughput: Interval | None = None
    memory_bytes: int = 0

    @property
    def figures(self) -> Figures:
        return Figures(self.speedup, self.accuracy, self.memory, self.energy)


class Choice(Noun):
    """Who was chosen, everybody's score, who tied, and the reason in words."""

    name: str
    scores: dict[str, Interval]
    tied: tuple[str, ...]
    reason: str


def score(contender: Contender, weights: dict[str, float]) -> Interval:
    """Σ wᵢ·log(ratioᵢ), higher is better, with the interval that the ratios' intervals give it.

    A difference in accuracy, memory or energy that its interval does not show counts as none; what is unmeasured counts 0.
    """
    axes = {
        "speed": (contender.speedup, 1),
        "accuracy": (contender.accuracy, 1),
        "memory": (contender.memory, -1),
        "energy": (contender.energy, -1),
        "throughput": (contender.throughput, 1),
    }
    value, spread = 0.0, 0.0
    for name, weight in weights.items():
        figure, sign = axes[name]
        if figure is None or figure.value <= 0:
            continue
        if name not in TIMED and figure.low <= 1.0 <= figure.high:
            continue
        value += weight * sign * math.log(figure.value)
        if name in TIMED and figure.low > 0:
            spread += weight * math.log(figure.high / figure.low) / 2
    return Interval(value=value, low=value - spread, high=value + spread)


def choose(contenders: Sequence[Contender], weights: dict[str, float], tie: float = TIE) -> Choice | None:
    """The best of the best rank. Those within `tie` of it that nobody significantly beats tie: less memory wins, then safety."""
    if not contenders:
        return None
    best_rank = min(c.rank for c in contenders)
    field = [c for c in contenders if c.rank == best_rank]
    scores = {c.name: score(c, weights) for c in contenders}
    surest = max(scores[c.name].low for c in field)
    least = max(scores[c.name].value for c in field) - tie
    tied = [c for c in field if scores[c.name].high >= surest and scores[c.name].value >= least]
    winner = min(tied, key=lambda c: (*_memory_order(c, tied), c.safety, -scores[c.name].value))
    if len(tied) == 1:
        reason = f"highest score {scores[winner.name].value:+.3f} among those that passed"
    else:
        others = ", ".join(c.name for c in tied if c is not winner)
        reason = f"cannot be told apart from {others} by score; {_decider(winner, tied)}"
    return Choice(name=winner.name, scores=scores, tied=tuple(c.name for c in tied if c is not winner), reason=reason)


def _decider(winner: Contender, tied: Sequence[Contender]) -> str:
    """What settled a tie."""
    others = [c for c in tied if c is not winner]
    if all(_memory_order(c, tied) > _memory_order(winner, tied) for c in others):
        return "it needs less memory"
    if all(c.safety > winner.safety for c in others if _memory_order(c, tied) == _memory_order(winner, tied)):
        return "memory does not settle it, and it is the safer recipe"
    return "neither memory nor safety settles it, and its score is the highest of them"


def _memory_order(contender: Contender, tied: Sequence[Contender]) -> tuple[int]:
    """0 where nobody tied surely needs less memory, else 1."""
    mine = contender.memory
    if mine is None:
        return (0,)
    return (int(any(o.memory is not None and o.memory.high < mine.low for o in tied if o is not contender)),)
