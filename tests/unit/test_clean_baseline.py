"""A cleaned-up export as the denominator: when it may be, what it is combined with, and what reports say of it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from strop.bundle.card import model_card
from strop.core.candidate import Timing
from strop.core.choose import Choice
from strop.core.measurement import Check
from strop.core.model import Artifact
from strop.core.outcome import CleanUp, Outcome
from strop.core.recipe import CLEAN, Recipe, Step
from strop.core.verdict import EXACTLY_ONE
from strop.report.evidence import NO_EVIDENCE
from strop.report.lineage import gains
from strop.report.render.html import page
from strop.report.render.json import report
from strop.report.render.markdown import markdown
from strop.report.verdict import remarks, three_lines
from strop.run.baseline import better_denominator, combined, without_other_answers
from strop.run.checking import CHECK
from strop.run.denominator import agrees, as_denominator, beyond_rounding, is_rebuilt, may_be_denominator
from strop.run.pairing import Subject
from strop.run.trial import Trial, accuracy_of, only_informs
from strop.store.store import save
from strop.worker.call import Work

from .makers import interval, recipe, task
from .test_report import outcome, result
from .test_selection import trial

STEP = Step(stage="convert", builder="onnxruntime", name=CLEAN, consumes="onnx", produces="onnx")


def answered(folder: Path, name: str, **outputs: Any) -> Path:
    """The folder of a check with these outputs."""
    place = folder / name / "check"
    place.mkdir(parents=True)
    for output, values in outputs.items():
        np.save(place / f"{output}.npy", values)
    save(place / CHECK, Check(shards={name: f"{name}.npy" for name in outputs}, examples=100, seconds=1.0))
    return place


def rebuilt(name: str = "fp32-clean", speed: float = 2.0, half: float = 0.1) -> Trial:
    found = trial(name, interval(speed, speed - half, speed + half), EXACTLY_ONE, role="baseline-variant")
    made = found.candidate.recipe.model_copy(update={"steps": (STEP,)})
    return found.with_result(candidate=found.candidate.model_copy(update={"recipe": made}))


def test_only_what_the_step_takes_out_is_its_merit() -> None:
    cleaned = rebuilt().candidate.recipe
    kept = cleaned.model_copy(update={"steps": (STEP.model_copy(update={"params": {"single": False}}),)})
    assert cleaned.takes_out("weights-as-inputs") and cleaned.takes_out("float64")
    assert not cleaned.takes_out("dynamic-axes") and not kept.takes_out("float64")


LOGITS = np.random.default_rng(0).standard_normal((100, 8)).astype(np.float32)


@pytest.mark.parametrize(
    ("theirs", "mine", "may"),
    [
        (LOGITS, LOGITS, True),
        (LOGITS, LOGITS * np.float32(1 + 1e-5), True),
        (LOGITS, LOGITS * np.float32(1.02), False),
        (LOGITS, np.where(np.arange(8) == 3, LOGITS + np.float32(0.01), LOGITS), False),
        (LOGITS * 1e-4 + 100, LOGITS * 1e-4 + np.float32(100 + 1e-5), True),  # a channel that hardly varies: one rounding
        (LOGITS.argmax(1), LOGITS.argmax(1), True),
        (LOGITS.argmax(1), np.where(np.arange(100) == 7, 9, LOGITS.argmax(1)), True),  # a near tie
        (LOGITS.argmax(1), np.where(np.arange(100) < 7, 9, LOGITS.argmax(1)), False),
    ],
)
def test_a_cleaned_up_file_must_answer_as_the_given_one_does(tmp_path: Path, theirs: Any, mine: Any, may: bool) -> None:
    reference = replace(trial("fp32", EXACTLY_ONE, EXACTLY_ONE, role="reference"), check_folder=answered(tmp_path, "r", y=theirs))
    found = replace(rebuilt(), check_folder=answered(tmp_path, "v", y=mine), reference=reference)
    assert agrees(found) == may_be_denominator(found) == may
    where, far = beyond_rounding(found)
    assert bool(where) != may and (far > 0) != may
    ready = replace(found.with_result(status="in progress", search=None), check=Check(shards={}, examples=100))
    kept = without_other_answers(ready)
    assert (kept is ready) == may
    assert may or (kept.result.status == "dropped" and "y" in kept.result.reason)


def test_the_given_file_may_be_chosen_beside_a_cleaned_up_baseline() -> None:
    """It is a setting among others; only another runtime's reference informs and no more."""
    reference = trial("fp32", interval(0.5), EXACTLY_ONE, role="reference")
    assert not only_informs(reference, replace(rebuilt(), reference=reference))
    assert is_rebuilt(rebuilt().candidate.recipe) and not is_rebuilt(reference.candidate.recipe)


@pytest.mark.parametrize(
    ("value", "low", "better"), [(1.02, 0.99, False), (1.02, 1.01, True), (1.06, 0.98, True), (0.9, 0.8, False)]
)
def test_files_are_not_changed_for_nothing(value: float, low: float, better: bool) -> None:
    def subject(found: Trial) -> Trial:
        return replace(found, subject=Subject(found.name, Work(Path("work.py")), "m", {}, {}, 1, 1, 1, False, Path("log")))

    given = subject(trial("fp32", EXACTLY_ONE, EXACTLY_ONE, role="reference"))
    figure = interval(value, low, value + 0.1)
    assert better_denominator(subject(rebuilt()), given, lambda *_: figure) == better
    setting = subject(trial("fp32-basic", EXACTLY_ONE, EXACTLY_ONE, role="baseline-variant"))
    assert better_denominator(setting, given, lambda *_: figure) == (value > 1), "a setting is taken by value"


def test_the_best_file_and_the_best_settings_are_tried_together() -> None:
    given = recipe("fp32", "reference", settings={"threads": 2})
    one = recipe("fp32-1thread", "baseline-variant", settings={"threads": 1})
    clean = recipe("fp32-clean", "baseline-variant", settings={"threads": 2}, steps=(STEP,))
    (both,) = combined(clean, one, given)
    assert (both.name, both.settings, both.steps) == ("fp32-clean+1thread", {"threads": 1}, (STEP,))
    assert combined(clean, given, given) == combined(given, one, given) == []
    assert Recipe.model_validate(both.model_dump()).cleaned and not one.cleaned


def found_of(taken: bool, chosen: str) -> Outcome:
    """A run whose cleaned-up file is the baseline, or is not."""
    speed = interval(2.47, 2.4, 2.5)
    clean = result("fp32-clean", 1.0, 1.0, "baseline-variant")
    made = clean.candidate.recipe.model_copy(update={"steps": (STEP,)})
    clean = clean.model_copy(update={
        "candidate": clean.candidate.model_copy(update={"recipe": made}), "cleanup": Timing(stage="search", speedup=speed),
    })  # fmt: skip
    found = outcome(clean, result("int8", 1.3), result("as-is", 0.4, role="as-is"), chosen=chosen)
    return found.model_copy(update={
        "baseline": "fp32-clean" if taken else "plain", "reference": "plain" if taken else "", "as_is": "as-is",
        "cleanup": CleanUp(name="fp32-clean", speedup=speed, taken=taken, faults=("weights-as-inputs",)),
    })  # fmt: skip


def test_the_verdict_names_the_share_of_the_clean_up() -> None:
    found = found_of(True, "int8")
    sentence = "cleaning up the export alone gives 2.47× [2.4, 2.5], which the baseline includes"
    assert sentence in three_lines(found)[1]
    assert sentence[1:] in page(found, NO_EVIDENCE)
    text = markdown(found)
    assert "`fp32-clean`: the given model with its export cleaned up, unquantized, under the settings found best" in text
    assert "Cleaning up the export (weights-as-inputs) alone gives 2.47× [2.4, 2.5]" in text
    assert "Answers are compared with those of `plain`, the given model as it is." in text
    kept = report(found)["baseline"]["cleanup"]
    assert (kept["candidate"], kept["in_baseline"], kept["speedup"]["value"]) == ("fp32-clean", True, 2.47)
    assert "- Cleaning up the export alone, which the baseline includes: 2.47×" in model_card(found, found.result("int8"))
    assert remarks(found) == found.notes


def test_the_way_to_the_choice_goes_over_the_given_file() -> None:
    """From the runtime's defaults to the given file, from there to the cleaned-up one, from there to what is quantized."""
    parents = {gain.name: gain.parent for gain in gains(found_of(True, "int8"))}
    assert parents == {"plain": "as-is", "fp32-clean": "plain", "int8": "fp32-clean"}


def test_a_clean_up_that_brings_nothing_is_a_remark() -> None:
    found = found_of(False, "int8")
    assert "cleaning up" not in three_lines(found)[1]
    assert remarks(found)[0] == (
        "Cleaning up the export alone (fp32-clean) gives 2.47× [2.4, 2.5]: the baseline is the file as given."
    )
    assert "the baseline is the file as given" in markdown(found)


def test_a_bundle_of_the_cleaned_up_file_is_labeled_so() -> None:
    found = found_of(True, "int8")
    found = found.model_copy(update={"choice": Choice(name="fp32-clean", scores={}, tied=(), reason="highest score")})
    what, brings, _ = three_lines(found)
    assert "use fp32-clean, the given model cleaned up and unquantized" in what
    assert "It is the tuned baseline itself" in brings and "cleaning up the export alone gives 2.47×" in brings
    assert "the given model, cleaned up and unquantized" in page(found, NO_EVIDENCE)
    card = model_card(found, found.result("fp32-clean"))
    assert "Steps: clean (the given model with its export cleaned up; nothing is quantized)" in card


def test_a_cleaned_up_baseline_keeps_all_of_the_accuracy_however_few_the_examples(tmp_path: Path) -> None:
    """Its answers are the given file's up to rounding: 32 examples leave no must on them open, or nothing could be chosen."""
    reference = trial("fp32", EXACTLY_ONE, EXACTLY_ONE, role="reference").with_result(quality={"difference": interval(0.0)})
    found = replace(rebuilt(), reference=reference).with_result(retained=interval(1.0, 0.91, 1.0), differs="y[:, 0]")
    tuned = as_denominator(found, task())
    assert tuned.result.retained == tuned.result.memory_ratio == EXACTLY_ONE
    assert tuned.result.quality == reference.result.quality and not tuned.result.differs


def test_the_given_file_under_other_settings_keeps_all_where_its_answers_are_equal(tmp_path: Path) -> None:
    """On few examples a share of 1 has a wide interval; of the same file with the same answers nothing is in doubt."""
    labels = LOGITS.argmax(axis=1)
    np.save(tmp_path / "labels.npy", labels)
    data = task().evaluation.model_copy(update={"folder": str(tmp_path), "labels": "labels.npy", "count": len(labels)})
    asked = task().model_copy(update={"evaluation": data, "metric": "top1", "output": "y"})
    file = Artifact(kind="onnx", path="m.onnx", digest="d", files=("m.onnx",), bytes=1)

    def checked(name: str, answers: Any) -> Trial:
        found = trial(name, EXACTLY_ONE, EXACTLY_ONE)
        candidate = found.candidate.model_copy(update={"artifact": file})
        return replace(found.with_result(candidate=candidate), check_folder=answered(tmp_path, name, y=answers))

    given = checked("fp32", LOGITS)
    for name, answers, exact in (("equal", LOGITS, True), ("other", -LOGITS, False)):
        assert (accuracy_of(checked(name, answers), given, asked).retained == EXACTLY_ONE) is exact
