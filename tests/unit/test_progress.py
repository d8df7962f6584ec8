"""What the terminal says of how far a run is: the counts end at their total, and the end is told from the beginning."""

import io

import pytest
from rich.console import Console

from strop.cli.progress import Progress

RECIPES = ["given", "a", "b", "c", "d"]


@pytest.fixture
def shown():
    return Progress(Console(file=io.StringIO(), width=200))


def told(progress):
    return progress.console.file.getvalue()


def done(progress, name, status="measured"):
    details = dict.fromkeys(("speedup", "rough", "accuracy"))
    progress(
        "candidate-done", {"candidate": name, "status": status, "reason": "", "metric": "top1", "clock": "wall time", **details}
    )


def test_a_group_is_counted_and_the_counts_end_at_their_total(shown):
    shown("planned", {"offered": RECIPES, "refused": []})
    shown("reference-done", {"candidate": "given"})
    shown("preparing", {"candidates": ["a", "b", "c"]})
    for name in ("a", "b", "c"):
        shown("candidate-built", {"candidate": name})
    assert "built 4, done 1 of 5" in told(shown)
    for name in ("a", "b", "c"):
        shown("candidate-checked", {"candidate": name})
    done(shown, "b", "failed")
    assert shown.counts() == "built 4, checked 4, done 2 of 5"
    done(shown, "a")
    done(shown, "c")
    assert shown.counts() == "done 4 of 5"
    shown("confirmation-planned", {"finalists": 1, "pairs": 5, "quads": 12, "second_look": False, "with_self": True})
    assert "1 of 5 recipes was not reached" in told(shown)
    assert shown.counts() == "done 5 of 5"


def test_the_end_is_told_before_anything_was_tried(shown):
    shown("planned", {"offered": RECIPES, "refused": []})
    assert shown.left() == ""
    shown("estimated", {"seconds": 300.0})
    assert "no budget: about 5 min left, by an estimate" in told(shown)
    assert shown.left() == "about 5 min left"
    shown("budget-settled", {"seconds": 120.0, "asked": "auto", "estimate": 120.0})
    assert "of the budget left" in shown.left()


def test_a_tick_means_a_figure(shown):
    shown("confirmed", {"candidate": "a", "speedup": [1.7, 1.75, 1.8], "rough": None, "clock": "wall time"})
    shown("confirmed", {"candidate": "b", "speedup": None, "rough": 1.2, "clock": "wall time"})
    shown("confirmed", {"candidate": "c", "speedup": None, "rough": None, "clock": "wall time"})
    shown("loaded", {"candidate": "c", "concurrency": 4, "rate": None, "ratio": None})
    done(shown, "d")
    lines = told(shown).splitlines()
    assert "✓ a confirmed: 1.750× [1.700, 1.800]" in lines[0]
    assert "? b not confirmed: the machine was too busy for a figure; roughly 1.20×, which decides nothing" in lines[1]
    assert "? c not confirmed" in lines[2]
    assert not [line for line in lines[1:] if "✓" in line]


@pytest.mark.parametrize("metric", ["perplexity", "agreement", "cosine", "difference", "mae"])
def test_nothing_but_accuracy_is_called_so(shown, metric):
    details = {"candidate": "a", "status": "measured", "reason": "", "speedup": 2.0, "rough": None, "accuracy": 0.5}
    shown("candidate-done", {**details, "metric": metric, "clock": "wall time"})
    shown("more-text", {"candidate": "a", "windows": 8, "open": ["accuracy_retained"]})
    assert "accuracy" not in told(shown)
