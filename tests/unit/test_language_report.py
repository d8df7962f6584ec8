"""The report of a language model's run: its figures, frontiers, and what is written side by side."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strop.core.measurement import Memory
from strop.core.outcome import Outcome
from strop.core.task import Language
from strop.report.advice import watch
from strop.report.charts import language_plots, log_floor
from strop.report.evidence import NO_EVIDENCE, Evidence, Sample, Writing
from strop.report.examples import candidate_to_compare
from strop.report.language import departure, frontier_table, frontiers, language_rows, language_table, side_by_side, visible
from strop.report.render.html import page
from strop.report.render.json import report
from strop.report.render.markdown import DEPARTS, escaped, markdown
from strop.report.verdict import model_name, three_lines

from .makers import interval, model
from .test_page import HOSTILE, Parsed
from .test_report import BASELINE, outcome, result

PACE = {"prefill tok/s": 12345.6, "decode tok/s": 412.0, "time to first token, ms": 2.5, "time per token p50, ms": 2.4,
        "time per token p95, ms": 3.1}  # fmt: skip
MEMORY = Memory(peak=7_000_000, steady=7_000_000, empty=1, total_rss=9_000_000, load_s=0.25, first_inference_s=0.1)


def scored(found, kl, decode, perplexity=4.0):
    """A result with a language model's figures; half of the perplexity is its standard error."""
    quality = {"kl": interval(kl, kl / 2, kl * 2), "kl_p99": interval(9 * kl), "same_top": interval(0.97, 0.96, 0.98)}
    quality |= {"perplexity": interval(perplexity, 3, 5), "perplexity_se": interval(perplexity / 2)}
    return found.model_copy(update={
        "quality": quality, "pace": PACE | {"decode tok/s": decode}, "memory": (MEMORY,), "accuracy": perplexity,
        "retained": interval(0.8, 0.5, 1.0) if found is not BASELINE else interval(1.0),
    })  # fmt: skip


def run(*, folder="stories", **changes) -> Outcome:
    """A baseline and two candidates, of which the first is chosen."""
    found = outcome(scored(result("small", 3.0), 0.01, 400.0), scored(result("fast", 4.0), 0.2, 500.0, 6.0), chosen="small")
    given = model("hf").artifact.model_copy(update={"path": f"/models/{folder}/config.json"})
    return found.model_copy(update={
        "task": found.task.model_copy(update={"language": Language(context=256), "metric": "perplexity", "kind": "language"}),
        "results": (scored(BASELINE, 0.0, 100.0), *found.results[1:]),
        "model": found.model.model_copy(update={"artifact": given}),
        **changes,
    })  # fmt: skip


def wrote(candidate, text, stopped="length", tokens=None):
    """A continuation with a token a letter."""
    return Writing(candidate=candidate, tokens=tokens or tuple(map(ord, text)), text=text, stopped=stopped)


def seen(*writings, prompt="Once upon a") -> Evidence:
    sessions = {"small": {"variant": "zen4", "cache": "f16", "threads": 1}, "plain": {"precision": "float32"}}
    return Evidence(samples=(Sample(prompt=prompt, writings=writings),), sessions=sessions)


SEEN = seen(wrote("plain", " time a cat sat"), wrote("small", " time a cow ran"), wrote("fast", " time a cat sat"))


def test_a_row_holds_what_was_measured():
    chosen, *_, base = sorted(language_rows(run(), SEEN), key=lambda row: row.candidate != "small")
    assert (chosen.framework, chosen.size_mb, chosen.perplexity_se, chosen.kl_p99) == ("null", 2.0, 2.0, pytest.approx(0.09))
    assert chosen.perplexity_ratio is not None  # what is retained, upside down: 1/0.8 in 1/1.0 to 1/0.5
    assert [chosen.perplexity_ratio.low, chosen.perplexity_ratio.value, chosen.perplexity_ratio.high] == [1.0, 1.25, 2.0]
    assert (chosen.load_s, chosen.memory_mb, chosen.ran["variant"]) == (0.25, 9.0, "zen4")
    assert base.pace["decode tok/s"] in (100.0, 500.0)


def test_the_table_shows_it():
    table = language_table(run(), SEEN)
    shown = dict(zip(table.head, next(row for row in table.rows if row[0].text == "small"), strict=True))
    assert {name: f"{cell.text} {cell.below}".strip() for name, cell in shown.items()} == {
        "candidate": "small null", "cold start, s": "0.35",
        "size, MB": "2", "perplexity": "4.000 ± 2", "perplexity ratio": "1.2500× 1.0000 to 2.0000",
        "divergence": "0.01 0.005 to 0.02", "divergence p99": "0.09", "same top": "97.0% 96.0% to 98.0%",
        "prefill tok/s": "12,346", "decode tok/s": "400", "time to first token, ms": "2.5", "time per token p50, ms": "2.4",
        "time per token p95, ms": "3.1", "load, s": "0.25", "memory, MB": "9", "what ran": "zen4 cache f16",
    }  # fmt: skip
    assert table.rows[0][0].look == "chosen"


def test_an_old_run_has_dashes_and_no_samples():
    """Figures that were not taken yet when the run was made."""
    bare = run()
    results = tuple(r.model_copy(update={"quality": {k: v for k, v in r.quality.items() if k in ("kl", "same_top")}})
                    for r in bare.results)  # fmt: skip
    old = bare.model_copy(update={"results": results})
    row = language_table(old, NO_EVIDENCE).rows[0]
    assert [cell.text for cell in row[2:6]] == ["4.000", "1.2500×", "0.01", "–"]
    assert "What each candidate writes" not in Parsed(page(old, NO_EVIDENCE)).text


def test_elsewhere_no_pace_is_of_the_target():
    row = language_rows(run(place="elsewhere"), SEEN)[0]
    assert (row.pace, row.memory_mb, row.load_s) == ({}, None, None)


def test_frontiers_are_those_that_nothing_beats_in_both():
    def at(size, decode, kl, perplexity=None):
        figures = {"size": size, "decode": decode, "speed": None, "kl": kl, "perplexity": perplexity}
        return {name: None if value is None else interval(value) for name, value in figures.items()}

    found = frontiers({
        "big": at(9, 1, 0.0), "small": at(1, 5, 0.5), "same": at(1, 5, 0.5), "middle": at(5, 3, 0.1), "worse": at(6, 2, 0.2),
    })  # fmt: skip
    assert found["size/kl"] == ["small", "same", "middle", "big"]
    assert found["decode/kl"] == ["big", "middle", "small", "same"]
    assert found["speed/kl"] == found["size/perplexity"] == []


points = st.dictionaries(st.text(min_size=1), st.tuples(st.floats(0, 9), st.floats(0, 9)), max_size=8)


@given(points)
def test_a_frontier_leaves_out_what_is_beaten_and_nothing_else(made):
    axes = {name: {"size": interval(x), "kl": interval(y), **dict.fromkeys(("decode", "speed", "perplexity"))}
            for name, (x, y) in made.items()}  # fmt: skip
    best = frontiers(axes)["size/kl"]
    for name, (x, y) in made.items():
        beaten = any(a <= x and b <= y and (a, b) != (x, y) for a, b in made.values())
        assert (name in best) != beaten


def test_the_plots_say_what_the_table_says():
    plots = language_plots(run(), SEEN)
    small = next(p for p in plots["points"] if p["name"] == "small")
    assert (small["role"], small["framework"], small["axes"]["kl"]) == ("chosen", "null", [0.01, 0.005, 0.02])
    assert small["axes"]["speed"] == pytest.approx([3.0, 2.9, 3.1])
    assert plots["floors"]["size"] is None
    assert plots["frontiers"]["decode/perplexity"] == ["small", "fast"]
    rows = {row[0].text: [cell.text for cell in row] for row in frontier_table(run(), SEEN).rows}
    assert rows["fast"][-2:] == ["decode pace, speed-up", "decode pace, speed-up"]
    assert rows["plain"][-2:] == ["size, decode pace, speed-up", "size"]


@pytest.mark.parametrize(
    ("values", "floor"), [([0.0, 0.003, 0.3], 0.001), ([0.1, 0.4], None), ([0.0, 0.1], None), ([], None), ([None, 1.0], None)]
)
def test_an_axis_is_logarithmic_where_its_figures_are_far_apart(values, floor):
    assert log_floor([None if v is None else interval(v) for v in values]) == (floor and pytest.approx(floor))


@pytest.mark.parametrize(
    ("base", "other", "same"),
    [
        (wrote("a", " a cat sat"), wrote("b", " a cow ran"), " a "),
        (wrote("a", " a cat sat"), wrote("b", " a cat sat"), " a cat sat"),
        (wrote("a", " a cat sat"), wrote("b", " a cat", "time"), " a cat"),
        (wrote("a", " a cat", "time"), wrote("b", " a cat sat"), " a cat sat"),
        (wrote("a", " a cat", "end"), wrote("b", " a cat sat"), " a cat "),
        (wrote("a", "The", "end"), wrote("b", "Then"), ""),
        (wrote("a", "x"), wrote("b", "y"), ""),
        (wrote("a", ""), wrote("b", ""), ""),
        (wrote("a", "one", tokens=(1, 2)), wrote("b", "one", tokens=(1, 3)), "one"),
    ],
)
def test_where_a_text_departs(base, other, same):
    """From the word on that differs; what was only cut short departs from nothing, nor does the same text in other tokens."""
    assert other.text[: departure(base, other)] == same


@given(st.text("ab \n"), st.text("ab \n"), st.sampled_from(["length", "end", "time"]))
def test_a_text_departs_inside_of_itself_and_never_where_it_is_the_baseline(one, two, stopped):
    at = departure(wrote("a", one, stopped), wrote("b", two))
    assert 0 <= at <= len(two)
    assert (one + " ").startswith(two[:at]) or at == len(two)
    assert departure(wrote("a", one), wrote("b", one)) == len(one)


def test_what_is_written_alike_stands_together_with_the_baseline_first():
    (prompt,) = side_by_side(run(), SEEN)
    assert [p.candidates for p in prompt.passages] == [("plain", "fast"), ("small",)]
    assert (prompt.passages[1].same, prompt.passages[1].departs, prompt.passages[1].alike) == (" time a ", "cow ran", 9)


def test_page_markdown_and_json_tell_the_same():
    document = json.loads(json.dumps(report(run(), SEEN), allow_nan=False))
    text, got = markdown(run(), SEEN), Parsed(page(run(), SEEN))
    assert {attrs["id"] for attrs in got.all("section")} >= {"language", "samples"}
    assert {attrs["for"] for attrs in got.all("label")} == {attrs["id"] for attrs in got.all("select")}
    told = document["language"]
    assert (told["context"], [c["candidate"] for c in told["candidates"]]) == (256, ["small", "fast", "plain"])
    assert told["candidates"][0]["ran"] == {"variant": "zen4", "cache": "f16", "threads": 1}
    assert told["samples"][0]["passages"][1]["departs"] == "cow ran"
    assert "samples" not in document["evidence"]
    for part in ("1.2500×", "± 2", "12,346", "zen4", "like the reference for 9 of 15 tokens", "Once upon a"):
        assert part in text and part in got.text, part
    assert f" time a {DEPARTS}cow ran" in text
    assert "cow ran" in got.text and len(got.all("mark")) == 1
    data = json.loads(next(script for script in got.scripts if script.startswith("{")))
    assert data["language"]["frontiers"] == told["frontiers"]


def test_what_a_model_writes_does_not_act():
    """Neither in HTML nor in Markdown, nor by characters that turn the text around."""
    hostile = HOSTILE + "\n| a | `b` **c** [d](http://e) \\| \x00\u202e"
    evil = seen(wrote("plain", "x"), wrote("small", hostile), prompt=hostile)
    got, text = Parsed(page(run(), evil)), markdown(run(), evil)
    assert len(got.all("script")) == 4 and got.all("img") == [] and got.open == []
    assert got.text.count("<script>alert(1)</script>") == 2
    for out in (got.text, text):
        assert not set("\x00\u202e") & set(out)
    for raw in ("<script>", "<img", "`b`", "**c**", "[d](", "http://e"):
        assert raw not in text, raw
    lines = [line for line in text.splitlines() if "alert(1)" in line and line.startswith("|")]
    assert [line.count("|") for line in lines] == [4]


@given(st.text())
def test_escaped_text_is_one_line_that_breaks_no_table(text):
    out = escaped(visible(text))
    assert "\n" not in out and "|" not in out and "<" not in out and ">" not in out


def test_other_models_have_no_such_sections():
    other = outcome(result("fast", 3.0), chosen="fast")
    assert report(other)["language"] is None
    assert "What each candidate writes" not in markdown(other)
    assert not {a["id"] for a in Parsed(page(other, NO_EVIDENCE)).all("section")} & {"language", "samples"}


def test_the_verdict_names_quality_and_pace():
    what, brings, _ = three_lines(run())
    assert "use small" in what
    assert brings.endswith(
        "1.25× [1, 2] the given model's perplexity; divergence 0.01 nats, the same likeliest token at 97.0% of the positions; "
        "writes 400 tokens a second (baseline 100)."
    )
    elsewhere = three_lines(run(place="elsewhere"))[1]
    assert "the same likeliest token at 97.0% of the positions, judged here" in elsewhere and "writes" not in elsewhere
    kept = run(choice=run().choice.model_copy(update={"name": "plain"}))
    assert three_lines(kept)[1].endswith("perplexity 4.000; writes 100 tokens a second.")


def test_what_does_not_fit_a_language_model_is_left_out():
    """No answers by class, and a perplexity alarms when it rises."""
    assert candidate_to_compare(run()) is None
    assert watch(run(), NO_EVIDENCE)[0].alarm.startswith("above")
    assert model_name(run()) == "stories"
