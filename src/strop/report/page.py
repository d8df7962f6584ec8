"""`report.html`: one page that needs nothing else. A section is a function; add one to `SECTIONS` and it is on the page."""

import base64
import hashlib
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from strop.core.candidate import Result
from strop.core.outcome import Outcome
from strop.core.verdict import Interval
from strop.report import advice
from strop.report.charts import AXES, chart_data
from strop.report.evidence import Answer, Evidence
from strop.report.lineage import Gain, gains, way_to
from strop.report.markdown import PERCENTILES
from strop.report.verdict import ordered, percent, ratio, settings, three_lines

SCRIPTS = ("vendor/chart.umd.min.js", "vendor/chartjs-chart-error-bars.umd.min.js", "page/page.js")
STYLE = "page/page.css"
MARKS = {"PASS": "✓ passed", "FAIL": "✗ missed", "INCONCLUSIVE": "? open", "UNMEASURED": "? unmeasured"}
STATUSES = {
    "measured": "measured",
    "failed": "✗ failed",
    "dropped": "dropped",
    "duplicate": "duplicate",
    "not reached": "not reached",
}
DASH = "–"


class Cell(NamedTuple):
    """`text`, a smaller line `below` it, what it sorts by (a number; None sorts last), and classes for its look."""

    text: str
    below: str = ""
    sort: float | None = None
    look: str = ""


class Table(NamedTuple):
    """The first cell of a row is its heading; `numbers` are the columns that align right."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numbers: tuple[int, ...] = ()
    sortable: bool = False


class Section(NamedTuple):
    """`id` is the anchor. `body` is safe HTML, made by a template."""

    id: str
    title: str
    body: Markup


def page(outcome: Outcome, evidence: Evidence) -> str:
    """The whole page. Everything that comes from outside is escaped; a content security policy forbids all requests.

    Example:
        >>> Path("report.html").write_text(page(outcome, evidence), encoding="utf-8")
    """
    scripts = [_asset(name) for name in SCRIPTS]
    style = _asset(STYLE)
    return _template("page.html").render(
        model=_model(outcome), outcome=outcome, scripts=[Markup(text) for text in scripts], style=Markup(style),
        script_hashes=[_hash(text) for text in scripts], style_hash=_hash(style), axes=AXES,
        data=chart_data(outcome, evidence), sections=[s for s in (make(outcome, evidence) for make in SECTIONS) if s is not None],
    )  # fmt: skip


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("strop.report", "page"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip


def _template(name: str) -> Template:
    return _environment().get_template(name)


def _fill(part: str, **values: Any) -> Markup:
    """One macro of sections.html."""
    macro = getattr(_template("sections.html").module, part)
    return Markup(macro(**values))


@cache
def _asset(name: str) -> str:
    return files("strop.report").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """As a content security policy names an inline script or style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _model(outcome: Outcome) -> str:
    return outcome.model.artifact.path.rpartition("/")[2]


def _interval(figure: Interval | None) -> str:
    if figure is None or figure.low == figure.high:
        return ""
    return f"{figure.low:.3g} to {figure.high:.3g}"


def _ratio_cell(figure: Interval | None, unit: str = "", below: str = "") -> Cell:
    if figure is None:
        return Cell(DASH)
    return Cell(f"{figure.value:.3g}{unit}", " · ".join(t for t in (_interval(figure), below) if t), figure.value)


def _percent_cell(figure: Interval | None) -> Cell:
    if figure is None:
        return Cell(DASH)
    spread = "" if figure.low == figure.high else f"{figure.low:.1%} to {figure.high:.1%}"
    return Cell(f"{figure.value:.1%}", spread, figure.value)


def _number(value: float | None, digits: str = ".3g") -> Cell:
    return Cell(DASH) if value is None else Cell(format(value, digits), "", value)


def verdict(outcome: Outcome, evidence: Evidence) -> Section:
    chosen = outcome.chosen
    first, second, third = three_lines(outcome)
    measured = sum(r.speedup is not None for r in outcome.results)
    body = _fill(
        "verdict", outcome=outcome, chosen=chosen, headline=_headline(outcome), meaning=advice.OUTCOMES[outcome.outcome],
        lines=(first, second, third), tried=len(outcome.results), measured=measured, model=_model(outcome),
        settings=settings(chosen) if chosen else "", cards=_cards(outcome, chosen) if chosen else [],
        gates=[(MARKS[g.result], g.result, advice.gate_words(g.gate), g.gate.kind, advice.gate_figure(g))
               for g in (chosen.verdict.results if chosen and chosen.verdict else ())],
        notes=outcome.notes, examples=outcome.task.evaluation.count, generated=outcome.task.evaluation.generated,
    )  # fmt: skip
    return Section("verdict", "Verdict", body)


def _headline(outcome: Outcome) -> str:
    chosen = outcome.chosen
    if chosen is None:
        return "Keep what you have: nothing here is fit to use"
    if chosen.name == outcome.baseline:
        return f"Keep the given model, with tuned settings: {chosen.name}"
    return f"Use {chosen.name}"


def _cards(outcome: Outcome, chosen: Result) -> list[tuple[str, str, str, str]]:
    """Speed, accuracy, memory: (title, figure, interval, meaning)."""
    same = chosen.name == outcome.baseline
    speed, kept, memory = chosen.speedup, chosen.retained, chosen.memory_ratio
    today = f" Against the model as it runs today: {ratio(outcome.against_as_is, '×')}." if outcome.against_as_is else ""
    return [
        ("Speed", _ratio_cell(speed, "×").text, _interval(speed),
         ("It is the tuned baseline itself." if same else "of the tuned baseline's speed, on the same cores.") + today),
        ("Accuracy kept", _percent_cell(kept).text, _percent_cell(kept).below,
         "Not measured: no labeled data were given." if kept is None else _accuracy_words(outcome, chosen)),
        ("Memory", _ratio_cell(memory, "×").text, _interval(memory),
         "Not measured here." if memory is None else "of the baseline's peak. Below 1 is less memory."),
    ]  # fmt: skip


def _accuracy_words(outcome: Outcome, chosen: Result) -> str:
    if chosen.accuracy is None:
        return "of the baseline's."
    before = outcome.result(outcome.baseline).accuracy
    was = f"; the baseline has {before:.4g}" if before is not None else ""
    return f"of the baseline's. {outcome.task.metric} is {chosen.accuracy:.4g} on {chosen.examples} examples{was}."


def leaderboard(outcome: Outcome, evidence: Evidence) -> Section:
    head = ("candidate", "status", "speed-up", "accuracy kept", outcome.task.metric, "memory", "size, MB",
            *(f"{p}, ms" for p in PERCENTILES), "first inference, ms", "load, ms")  # fmt: skip
    table = Table("All candidates", head, tuple(_candidate_row(outcome, r) for r in ordered(outcome)),
                  numbers=tuple(range(2, len(head))), sortable=True)  # fmt: skip
    return Section("leaderboard", "Leaderboard", _fill("leaderboard", table=table))


def _candidate_row(outcome: Outcome, result: Result) -> tuple[Cell, ...]:
    artifact, timing = result.candidate.artifact, result.timing
    memory = result.memory[0] if result.memory else None
    latency = timing.latency_ms if timing is not None else {}
    stage = "" if timing is None else "confirmed" if timing.stage == "confirmation" else "search only"
    return (
        Cell(result.name, ", ".join(tags(outcome, result)), look="chosen" if result is outcome.chosen else ""),
        Cell(STATUSES[result.status], stage),
        _ratio_cell(result.speedup, "×"), _percent_cell(result.retained), _number(result.accuracy, ".4f"),
        _ratio_cell(result.memory_ratio, "×"), _number(artifact.bytes / 1e6 if artifact else None, ".2f"),
        *(_number(latency.get(p)) for p in PERCENTILES),
        _number(1000 * memory.first_inference_s if memory else None), _number(1000 * memory.load_s if memory else None),
    )  # fmt: skip


def tags(outcome: Outcome, result: Result) -> list[str]:
    """What a candidate is besides a candidate: chosen, baseline, on the frontier."""
    chosen = outcome.chosen
    return [
        name
        for name, holds in (
            (f"→ {outcome.outcome}", chosen is not None and result.name == chosen.name),
            ("baseline", result.name == outcome.baseline),
            ("as it runs today", result.name == outcome.as_is),
            ("on the frontier", result.name in outcome.frontier),
        )
        if holds
    ]


def pareto(outcome: Outcome, evidence: Evidence) -> Section | None:
    shown = [r for r in ordered(outcome) if r.speedup is not None]
    if not shown:
        return None
    rows = tuple(
        (Cell(r.name, ", ".join(tags(outcome, r))), _ratio_cell(r.speedup, "×"), _percent_cell(r.retained), _ratio_cell(r.memory_ratio, "×"))
        for r in shown
    )  # fmt: skip
    table = Table("Speed, accuracy and memory of every candidate that was timed", ("candidate", "speed-up", "accuracy kept", "memory"),
                  rows, numbers=(1, 2, 3), sortable=True)  # fmt: skip
    weights = ", ".join(f"{name} {weight:g}" for name, weight in outcome.weights.items())
    scores: tuple[tuple[Cell, ...], ...] = ()
    if outcome.choice is not None:
        scores = tuple(
            (Cell(name), Cell(f"{s.value:+.3f}"), Cell(f"{s.low:+.3f} to {s.high:+.3f}"))
            for name, s in outcome.choice.scores.items()
        )
    score = Table("Scores of the finalists", ("finalist", "score", "interval"), scores, numbers=(1, 2))
    return Section("pareto", "Speed, accuracy, memory",
                   _fill("pareto", table=table, axes=AXES, frontier=outcome.frontier, weights=weights, choice=outcome.choice, score=score))  # fmt: skip


def latency(outcome: Outcome, evidence: Evidence) -> Section | None:
    rows = []
    for curve in evidence.curves:
        for side, calls, values in (
            ("baseline", curve.calls[0], curve.baseline_ms),
            (curve.name, curve.calls[1], curve.candidate_ms),
        ):
            at = dict(zip(curve.percent, values, strict=True))
            rows.append(
                (
                    Cell(side, f"in the comparison with {curve.name}"),
                    _number(calls, ",d"),
                    *(_number(at.get(int(p[1:]))) for p in PERCENTILES),
                )
            )
    if not rows:
        return None
    table = Table(
        "Percentiles of single calls, milliseconds", ("side", "calls", *PERCENTILES), tuple(rows), numbers=(1, 2, 3, 4, 5)
    )
    return Section("latency", "Latency", _fill("latency", table=table, curves=evidence.curves, baseline=outcome.baseline))


def steps(outcome: Outcome, evidence: Evidence) -> Section | None:
    found = gains(outcome)
    if not found:
        return None
    head = ("candidate", "added", "speed", "accuracy", "memory", "size, MB", "build, s")
    chosen = outcome.chosen
    way = way_to(outcome, chosen.name) if chosen is not None else []
    tables = [
        Table(caption, head, tuple(_gain_row(gain) for gain in part), numbers=(2, 3, 4, 5, 6))
        for caption, part in (("The way to the choice", way), ("Every candidate", found))
    ]
    return Section("steps", "What each step bought and cost", _fill("steps", way=tables[0], every=tables[1]))


def _gain_row(gain: Gain) -> tuple[Cell, ...]:
    points = DASH if gain.accuracy is None else advice.percentage_points(*gain.accuracy)
    size = DASH if gain.bytes is None else f"{gain.bytes[0] / 1e6:.2f} → {gain.bytes[1] / 1e6:.2f}"
    return (Cell(gain.name, f"beside {gain.parent}"), Cell(gain.added), _ratio_cell(gain.speedup, "×"), Cell(points),
            _ratio_cell(gain.memory_ratio, "×"), Cell(size), Cell(f"{gain.build_s:.1f}"))  # fmt: skip


def left_out(outcome: Outcome, evidence: Evidence) -> Section | None:
    rows = [(Cell(r.name), Cell(STATUSES[r.status]), Cell(r.reason or DASH)) for r in outcome.results if r.status != "measured"]
    rows += [(Cell(o.name), Cell("not offered"), Cell(o.reason)) for o in outcome.offers if not o.offered]
    if not rows:
        return None
    table = Table("Recipes that are not in the race, and why", ("recipe", "status", "reason"), tuple(rows))
    failed = [r for r in outcome.results if r.failure is not None]
    return Section("left-out", "Left out, and why", _fill("left_out", table=table, failed=failed))


def gates(outcome: Outcome, evidence: Evidence) -> Section:
    tables = []
    for result in ordered(outcome):
        if result.verdict is not None and (result.confirmation is not None or result.name == outcome.baseline):
            rows = tuple(
                (Cell(advice.NAMES[g.gate.metric]), Cell(DASH if g.gate.metric == "valid" else ("≥ " if g.gate.direction == "at_least" else "≤ ") + advice.bound(g.gate)),
                 Cell(g.gate.kind), Cell(advice.gate_figure(g)), Cell(MARKS[g.result], look=g.result.lower()), Cell(g.reason))
                for g in result.verdict.results
            )  # fmt: skip
            tables.append(
                Table(f"{result.name}: {result.verdict.outcome}", ("gate", "bound", "kind", "figure", "result", "reason"), rows)
            )
    return Section("gates", "Gates", _fill("gates", tables=tables))


def environment(outcome: Outcome, evidence: Evidence) -> Section:
    env = outcome.environment
    rows = (
        ("CPU", env.cpu), ("cores, and threads in the budget", f"{env.cores}, {env.threads}"),
        ("memory", f"{env.memory_bytes / 1e9:.1f} GB"), ("system", f"{env.os} {env.kernel}"), ("host", env.host),
        ("Python, Strop", f"{env.python}, {env.strop}"), ("packages", ", ".join(f"{k} {v}" for k, v in env.versions.items())),
        ("frequency governor", env.governor), ("counters", "; ".join(f"{k}: {v}" for k, v in env.counters.items()) or DASH),
        ("seed", str(env.seed)), ("CPU flags", " ".join(env.cpu_flags)),
    )  # fmt: skip
    table = Table("What the figures were measured under", ("what", "here"), tuple((Cell(k), Cell(v)) for k, v in rows))
    return Section("environment", "Environment", _fill("plain", table=table))


def noise(outcome: Outcome, evidence: Evidence) -> Section:
    confirmed = [r.confirmation for r in outcome.results if r.confirmation is not None]
    spent = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in outcome.timing.items())
    body = _fill("noise", noise=outcome.noise, aa=ratio(outcome.noise.speedup, "×"), resolution=outcome.noise.memory_resolution_bytes / 1e6,
                 confirmed=confirmed, spent=spent, baseline=outcome.baseline, as_is=outcome.as_is,
                 against_as_is=ratio(outcome.against_as_is, "×"), best=outcome.best_unquantized,
                 against_best=ratio(outcome.against_best_unquantized, "×"),
                 batches=[(batch, ratio(t.speedup, "×")) for batch, t in outcome.batches.items()])  # fmt: skip
    return Section("noise", "Noise floor, and how each number was made", body)


def examples(outcome: Outcome, evidence: Evidence) -> Section | None:
    found = evidence.examples
    if found is None and not evidence.missing:
        return None
    return Section(
        "examples", "Where the answers differ", _fill("examples", found=found, answer=_answer, missing=evidence.missing)
    )


def _answer(answer: Answer) -> str:
    right = "" if answer.right is None else " ✓ right" if answer.right else " ✗ wrong"
    return answer.text + right


def trade_offs(outcome: Outcome, evidence: Evidence) -> Section | None:
    sentences = advice.trade_offs(outcome)
    return Section("trade-offs", "What was given up", _fill("sentences", sentences=sentences)) if sentences else None


def deployment(outcome: Outcome, evidence: Evidence) -> Section | None:
    needs = advice.deployment(outcome, evidence)
    if not needs:
        return None
    table = Table("What the choice needs", ("what", "value"), tuple((Cell(k), Cell(v)) for k, v in needs))
    shell, python = "\n".join(advice.commands(outcome)), "\n".join(advice.python_lines(outcome))
    return Section("deployment", "Deployment", _fill("deployment", table=table, shell=shell, python=python))


def watch(outcome: Outcome, evidence: Evidence) -> Section | None:
    rows = tuple((Cell(w.what), Cell(w.here), Cell(w.alarm), Cell(w.how)) for w in advice.watch(outcome, evidence))
    if not rows:
        return None
    table = Table("Thresholds from this run", ("what", "in this run", "be alarmed", "how to measure it"), rows)
    return Section("watch", "What to monitor", _fill("watch", table=table))


def claims(outcome: Outcome, evidence: Evidence) -> Section | None:
    rows = tuple((Cell(r.name), Cell(k), Cell(f"{v:.6g}")) for r in outcome.results for k, v in r.candidate.claims.items())
    if not rows:
        return None
    table = Table("Claimed by the builders", ("candidate", "figure", "claim"), rows, numbers=(2,))
    return Section("claims", "Claimed, not measured by Strop", _fill("claims", table=table))


def reproduce(outcome: Outcome, evidence: Evidence) -> Section | None:
    failed = [(r.name, r.reproduce) for r in outcome.results if r.reproduce]
    if not evidence.command and not failed:
        return None
    return Section("reproduce", "Reproduce", _fill("reproduce", command=evidence.command, run=outcome.run, failed=failed))


SECTIONS: tuple[Callable[[Outcome, Evidence], Section | None], ...] = (
    verdict, leaderboard, pareto, latency, steps, left_out, gates, environment, noise, examples, trade_offs, deployment, watch,
    claims, reproduce,
)  # fmt: skip
