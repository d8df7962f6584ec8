"""What a run's accuracy is called: where there are no labels it is something else, and the reports say what."""

from strop.core.candidate import Result
from strop.core.outcome import Outcome
from strop.core.scorers.alike import ALIKE
from strop.core.verdict import Interval

KEPT = {
    "difference": "1 − difference", "agreement": "agreement", "cosine": "cosine",
    **{name: name.replace("_", " ") for name in ALIKE},
}  # fmt: skip
FIGURES = {"difference": "largest difference"}
NOUNS = {
    "difference": "difference from the given model",
    "agreement": "agreement with the given model",
    "cosine": "likeness to the given model's embeddings",
    "place_agreement": "agreement with the given model at each place",
    "mask_iou": "overlap (IoU) with the given model's masks",
    "text_agreement": "agreement with the given model's texts",
    "box_agreement": "agreement with the given model's boxes (F1, IoU from 0.5)",
}


def kept_name(metric: str) -> str:
    """The column of what is retained."""
    return "perplexity kept" if metric == "perplexity" else KEPT.get(metric, "accuracy kept")


def figure_name(metric: str, usual: str | None = None) -> str:
    """The column of the metric itself; `usual` for those that have labels."""
    return FIGURES.get(metric, metric if usual is None or metric in KEPT or metric == "perplexity" else usual)


def unlabeled_words(outcome: Outcome, chosen: Result) -> str | None:
    """What is kept, without the word accuracy, where there are no labels; None where there are."""
    metric, kept = outcome.task.metric, chosen.retained
    if kept is None or metric not in KEPT:
        return None
    if metric == "difference":
        where = f" ({chosen.differs})" if chosen.differs else ""
        share = _share(Interval(value=chosen.accuracy or 0.0, low=1 - kept.high, high=1 - kept.low))
        return f"largest difference from the given model {share} of a channel's spread{where}{_agreement(chosen)}; no labels"
    return f"{_share(kept)} {NOUNS[metric]}; no labels"


def _agreement(chosen: Result) -> str:
    found = chosen.quality.get("agreement")
    return "" if found is None else f", the same highest value in {_share(found)} of the examples"


def _share(figure: Interval) -> str:
    spread = "" if figure.low == figure.high else f" [{figure.low:.1%}, {figure.high:.1%}]"
    return f"{figure.value:.1%}{spread}"
