"""The report in words, as a table and as JSON, from an outcome made by hand."""

import json

import pytest

from strop.bundle.card import model_card
from strop.core.candidate import Candidate, Failure, Result, Timing
from strop.core.choose import Choice
from strop.core.gate import DEFAULT_GATES, Missing, judge
from strop.core.measurement import Environment
from strop.core.noun import SCHEMA
from strop.core.outcome import Noise, Outcome
from strop.core.prospects import Prospect, Untimed
from strop.core.recipe import Offer
from strop.core.task import Language
from strop.core.verdict import EXACTLY_ONE, Gate
from strop.report import apart
from strop.report.evidence import NO_EVIDENCE
from strop.report.lineage import over_each_framework
from strop.report.render.html import page
from strop.report.render.json import report
from strop.report.render.markdown import markdown, table
from strop.report.verdict import percent, ratio, reached, three_lines

from .makers import interval, model, recipe, target, task

P50 = {"p50": 1.234}


def result(name, speed, memory=0.4, role="candidate"):
    figures = {"speedup": interval(speed, speed - 0.1, speed + 0.1), "memory_ratio": interval(memory)}
    figures |= {"accuracy_retained": interval(1.0, 0.98, 1.01), "tail_ratio": interval(1.0)}
    return Result(
        candidate=Candidate(recipe=recipe(name, role, settings={"threads": 2}), artifact=model().artifact), status="measured",
        accuracy=0.912, retained=figures["accuracy_retained"], memory_ratio=figures["memory_ratio"], examples=100,
        confirmation=Timing(stage="confirmation", speedup=figures["speedup"], latency_ms=P50, baseline_latency_ms=P50),
        verdict=judge(DEFAULT_GATES, figures, None, {}),
    )  # fmt: skip


BASELINE = result("plain", 1.0, 1.0, "reference")
BROKEN = Result(
    candidate=Candidate(recipe=recipe("bro|ken")), status="failed", reason="build: it broke", reproduce="strop build m.null",
    failure=Failure(stage="build", kind="RuntimeError", message="it broke", log_tail="last words"),
)  # fmt: skip


def outcome(*results, chosen=None):
    here = target()
    verdict = next((r.verdict for r in (BASELINE, *results) if r.name == chosen), None)
    shared = here.model_dump(include=set(Environment.model_fields))
    return Outcome(
        run="m-123", outcome=verdict.outcome if verdict else "none", model=model(), task=task(), gates=DEFAULT_GATES,
        weights={"speed": 1.0}, offers=(Offer(name="int4", refused="too bold"),),
        results=(BASELINE, *results, BROKEN),
        baseline="plain", as_is=None, against_as_is=None, against_best_unquantized=EXACTLY_ONE, best_unquantized="plain",
        choice=Choice(name=chosen, scores={chosen: interval(0.7)}, tied=(), reason="highest score") if chosen else None,
        frontier=("plain",), noise=Noise(speedup=EXACTLY_ONE, half_width=0.01, excluded=0.1, memory_resolution_bytes=1e6),
        environment=Environment(**shared, strop="0", versions={"numpy": "2"}, governor="unknown", counters={}, seed=0),
        timing={"search": 1.0}, notes=("a remark",),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("figure", "shown"),
    [(None, "–"), (interval(2.0), "2×"), (interval(2.0567, 2.011, 2.113), "2.06× [2.01, 2.11]")],
)
def test_ratio(figure, shown):
    assert ratio(figure, "×") == shown


@pytest.mark.parametrize(
    ("figure", "shown"), [(None, "–"), (interval(1.0), "100.0%"), (interval(0.5, 0.4, 0.6), "50.0% [40.0%, 60.0%]")]
)
def test_percent(figure, shown):
    assert percent(figure) == shown


def test_three_lines_of_a_choice():
    what, brings, mind = three_lines(outcome(result("fast", 3.0), chosen="fast"))
    assert what == "chosen: use fast (null, threads=2)."
    assert "3× [2.9, 3.1] the speed of the tuned baseline" in brings
    assert "the model's part of the memory 0.4×" in brings
    assert mind == "Every gate passed."


def test_three_lines_of_a_provisional_choice_say_what_was_missed():
    what, _, mind = three_lines(outcome(result("fast", 1.5), chosen="fast"))
    assert what.startswith("provisional:")
    assert mind == "Goal not reached: speedup ≥ 2 (found 1.5)."


def test_a_must_that_was_not_measured_comes_first():
    found = result("fast", 3.0)
    figures = {r.gate.metric: r.figure for r in found.verdict.results if r.figure is not None and r.gate.kind == "goal"}
    missing = {name: Missing("unmeasured: no data were given", "no data") for name in ("accuracy_retained", "tail_ratio")}
    blind = found.model_copy(update={"verdict": judge(DEFAULT_GATES, figures, None, missing), "retained": None, "accuracy": None})
    made = outcome(blind, chosen="fast")
    first = (
        "provisional, since musts are unmeasured (accuracy_retained ≥ 0.95: no data were given; tail_ratio ≤ 1.5: no data were "
        "given): use fast (null, threads=2)."
    )
    assert three_lines(made)[0] == first
    assert page(made, NO_EVIDENCE).index("Musts are unmeasured") < page(made, NO_EVIDENCE).index("Strop tried")


def test_nobody_reads_that_a_goal_failed():
    found = outcome(result("fast", 1.5), chosen="fast")
    for text in (*three_lines(found), markdown(found), model_card(found, found.chosen)):
        assert "FAIL" not in text
        assert "missed" not in text
    assert "– not reached" in markdown(found)


def test_what_an_open_must_keeps_from_the_choice_stands_in_the_verdict():
    gate = Gate(metric="accuracy_retained", bound=0.95)
    faster = Prospect(candidate="int8", speedup=interval(2.75), confirmed=False, gate=gate, figure=interval(0.958, 0.931, 0.983))
    found = outcome(result("fast", 2.2), chosen="fast").model_copy(update={"prospects": (faster,)})
    sentence = (
        "2.75× would be possible with int8 (speed by the search, not confirmed) if 95.8% [93.1%, 98.3%] of the accuracy is "
        "enough: give more evaluation examples, or accept it: --must 'accuracy_retained>=0.93'."
    )
    assert three_lines(found)[2].endswith(sentence)
    assert sentence in markdown(found)
    assert "2.75× would be possible with int8" in page(found, NO_EVIDENCE)
    (kept,) = report(found)["prospects"]
    assert (kept["candidate"], kept["metric"], kept["reached"]) == ("int8", "accuracy_retained", 0.93)


@pytest.mark.parametrize(
    ("direction", "low", "high", "bound"),
    [
        ("at_least", 0.931, 1.0, "0.93"),
        ("at_least", 0.95, 1.0, "0.95"),
        ("at_most", 0.0, 0.0573, "0.058"),
        ("at_most", 9, 12.341, "12.35"),
    ],
)
def test_the_bound_that_a_whole_interval_meets(direction, low, high, bound):
    assert reached(Gate(metric="kl", direction=direction, bound=1.0), interval((low + high) / 2, low, high)) == bound


def test_a_setting_of_the_baseline_that_was_not_timed_is_named():
    quick = Untimed(name="threads-2", p50_ms=0.21, baseline_p50_ms=0.25)
    found = outcome(result("fast", 3.0), chosen="fast").model_copy(update={"untimed": (quick,)})
    sentence = (
        "Baseline setting threads-2 may be faster (rough p50 0.21 against 0.25 ms) but could not be timed: the speed-up may be "
        "overstated."
    )
    assert f"- {sentence}" in markdown(found)
    assert sentence in page(found, NO_EVIDENCE)
    assert report(found)["baseline"]["untimed_settings"][0]["name"] == "threads-2"


def test_keeping_the_baseline_is_said_so():
    what, brings, _ = three_lines(outcome(chosen="plain"))
    assert "keep the given model with tuned settings" in what
    assert brings.startswith("It is the tuned baseline itself")


def test_none_names_the_nearest():
    verdict = judge(DEFAULT_GATES, {}, None, {"accuracy_retained": Missing("lost")})
    failed = result("slow", 3.0).model_copy(update={"verdict": verdict})
    lines = three_lines(outcome(failed))
    assert lines[0].startswith("none:")
    assert "Nearest: plain" in lines[1]
    assert "Nothing was packed" in lines[2]


def test_the_document_is_plain_json_with_every_candidate():
    document = json.loads(json.dumps(report(outcome(result("fast", 3.0), chosen="fast")), allow_nan=False))
    assert (document["schema"], document["outcome"], document["chosen"]["name"]) == (SCHEMA, "chosen", "fast")
    assert [c["name"] for c in document["candidates"]] == ["plain", "fast", "bro|ken"]
    assert document["chosen"]["speedup"] == {"value": 3.0, "low": 2.9, "high": 3.1}
    assert document["not_offered"] == [{"name": "int4", "reason": "too bold"}]
    assert document["candidates"][2]["failure"]["message"] == "it broke"


def test_the_document_without_a_choice():
    document = report(outcome(result("slow", 0.5)))
    assert (document["outcome"], document["chosen"], document["choice"]) == ("none", None, None)


def test_the_markdown_tells_it_all():
    text = markdown(outcome(result("fast", 3.0), chosen="fast"))
    for part in (
        "# m.null: chosen",
        "- a remark",
        "**fast**",
        "plain (baseline, on the frontier)",
        "0.9120",
        "int4",
        "last words",
        "strop build m.null",
    ):
        assert part in text
    assert "bro\\|ken" in text
    assert text.index("| **fast**") < text.index("| plain (baseline")


def test_a_table_has_a_row_each_and_escapes_its_bars():
    assert table(["a", "b"], [["x|y", "two\nlines"]]).splitlines() == ["| a | b |", "|---|---|", "| x\\|y | two lines |"]


def in_runtime(found, runtime):
    """The same result of another runtime."""
    recipe = found.candidate.recipe.model_copy(update={"runtime": runtime})
    return found.model_copy(update={"candidate": found.candidate.model_copy(update={"recipe": recipe})})


def test_the_choice_is_set_beside_the_best_of_each_framework():
    others = [in_runtime(result("slow", 1.2), "other"), in_runtime(result("quick", 2.0), "other")]
    found = outcome(result("fast", 3.0), *others, chosen="fast")
    over = over_each_framework(found)
    assert {runtime: name for runtime, (name, _) in over.items()} == {"other": "quick"}
    assert over["other"][1].value == pytest.approx(1.5)
    assert over["other"][1].low < 1.5 < over["other"][1].high
    assert "Over the best that other alone gives (`quick`): 1.5× [" in markdown(found)
    assert report(found)["chosen"]["against_each_framework"]["other"]["candidate"] == "quick"


def test_what_misses_a_must_is_no_rival():
    bad = in_runtime(result("wrong", 9.0), "other")
    figures = {"speedup": interval(9.0), "accuracy_retained": interval(0.5, 0.4, 0.6)}
    bad = bad.model_copy(update={"verdict": judge(DEFAULT_GATES, figures, None, {})})
    assert over_each_framework(outcome(result("fast", 3.0), bad, chosen="fast")) == {}


def test_without_a_choice_there_is_nothing_to_set_beside():
    assert over_each_framework(outcome(result("fast", 3.0))) == {}


def test_what_says_nothing_of_speed_is_marked_wherever_a_speed_shows():
    plain = result("mlx", 3.0)
    doubtful = plain.candidate.recipe.model_copy(update={"unrepresentative": "made for another chip"})
    odd = plain.model_copy(update={
        "candidate": plain.candidate.model_copy(update={"recipe": doubtful, "notes": ("5 layers were left",)}),
        "confirmation": None, "pace": {"decode tok/s": 48.0}, "quality": {"kl": interval(0.01)},
    })  # fmt: skip
    found = outcome(odd)
    found = found.model_copy(update={"task": found.task.model_copy(update={"language": Language()})})
    written = markdown(found)
    assert "| mlx | measured | not representative (made for another chip) |" in written
    assert "48 †" in written
    assert "† not representative: null: made for another chip." in written
    assert "- mlx: 5 layers were left" in written
    candidate = next(c for c in report(found)["candidates"] if c["name"] == "mlx")
    assert (candidate["measurement"]["representative"], candidate["notes"]) == (False, ["5 layers were left"])
    shown = page(found, NO_EVIDENCE)
    assert "made for another chip" in shown
    assert "mlx: 5 layers were left" in shown


@pytest.mark.parametrize(
    ("metric", "named"),
    [
        ("difference", "largest difference from the given model 3.0% [2.0%, 5.0%] of a channel's spread (boxes[:, 4])"),
        ("agreement", "97.0% [95.0%, 98.0%] agreement with the given model"),
        ("cosine", "97.0% [95.0%, 98.0%] likeness to the given model's embeddings"),
    ],
)
def test_what_is_measured_without_labels_is_not_called_accuracy(metric, named):
    chosen = result("int8", 2.1).model_copy(
        update={
            "retained": interval(0.97, 0.95, 0.98),
            "accuracy": 0.03 if metric == "difference" else 0.97,
            "differs": "boxes[:, 4]" if metric == "difference" else "",
            "quality": {"agreement": interval(0.99)} if metric == "difference" else {},
        }
    )
    made = outcome(chosen, chosen="int8")
    made = made.model_copy(update={"task": made.task.model_copy(update={"metric": metric})})
    lines, text, html = " ".join(three_lines(made)), markdown(made), page(made, NO_EVIDENCE)
    assert f"{named}" in lines
    assert "no labels" in lines
    for shown in (lines, text, html):
        assert "of the accuracy kept" not in shown
    assert "| accuracy |" not in text
    if metric == "difference":
        assert "| 1 − difference | largest difference |" in text
        assert "the same highest value in 99.0% of the examples" in html
        (watched,) = (w for w in report(made)["watch"] if w["what"] == "difference from the given model")
        assert watched["alarm"] == "above 0.05"


@pytest.mark.parametrize(
    ("quality", "head", "text", "short"),
    [
        ({"divergence": interval(0.0098, 0.009, 0.011)}, "divergence", "0.0098 (0.009 to 0.011)", ["diverges", "0.0098"]),
        ({"difference": interval(0.021, 0.01, 0.03)}, "largest difference", "2.1% (1.0% to 3.0%)", ["differs", "2.1%"]),
    ],
)
def test_what_the_accuracy_does_not_see_stands_beside_it_in_every_report(quality, head, text, short):
    found = outcome(result("fast", 2.0).model_copy(update={"quality": quality, "ran": "int8 26, fp32 3"}), chosen="fast")
    words, html = markdown(found), page(found, NO_EVIDENCE)
    assert f"| accuracy kept | top1 | {head} |" in words and f"| {text} |" in words
    assert "int8 26, fp32 3" in words and "computed in int8 26, fp32 3" in html
    assert f">{head}" in html
    assert [apart.SHORT[apart.shown(found)], apart.brief(found, found.results[1])] == short
    measured = next(c for c in report(found)["candidates"] if c["name"] == "fast")["measurement"]
    assert set(measured["quality"]) == set(quality)
    without = outcome(result("fast", 2.0), chosen="fast")
    assert apart.shown(without) is None and "divergence" not in markdown(without)
