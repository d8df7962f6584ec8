"""The sections of the page, in their order. A section is a function of the run; add one to `SECTIONS` and it is on the page."""

from collections.abc import Callable

from strop.core.candidate import Result
from strop.core.gate_metrics import form_of, label_of
from strop.core.outcome import Outcome
from strop.core.verdict import GateResult, Interval
from strop.plan.bottlenecks import find_bottlenecks
from strop.report import advice, apart, profiling, throughput
from strop.report.charts import axes_of
from strop.report.evidence import Answer, Curve, Evidence
from strop.report.frameworks import tree_of
from strop.report.language import (
    PACES,
    QUALITIES,
    SAMPLED,
    SIZES,
    frontier_table,
    how_alike,
    how_measured,
    language_table,
    side_by_side,
)
from strop.report.lineage import Gain, gains, over_each_framework, way_to
from strop.report.markdown import PERCENTILES
from strop.report.parts import DASH, Cell, Section, Table, fill, number_cell, percent_cell, ratio_cell
from strop.report.unlabeled import figure_name, kept_name, unlabeled_words
from strop.report.verdict import (
    NOT_REPRESENTATIVE,
    by_clock,
    cleanup_words,
    hasty,
    is_judged,
    model_name,
    ordered,
    possible,
    ratio,
    remarks,
    settings,
    status_of,
    target_name,
    three_lines,
)

MARKS = {"PASS": "✓ passed", "FAIL": "✗ missed", "INCONCLUSIVE": "? open", "UNMEASURED": "? unmeasured"}
STATUSES = {
    "measured": "measured",
    "failed": "✗ failed",
    "dropped": "dropped",
    "duplicate": "duplicate",
    "not reached": "not reached",
    "not measurable": "not measurable here",
}


def verdict(outcome: Outcome, evidence: Evidence) -> Section:
    chosen = outcome.chosen
    judged = chosen.verdict.results if chosen is not None and chosen.verdict is not None else ()
    body = fill(
        "verdict", outcome=outcome, chosen=chosen, headline=_headline(outcome), meaning=advice.OUTCOMES[outcome.outcome],
        lines=three_lines(outcome), tried=_tried(outcome), timed=_timed(outcome), scored=_scored(outcome),
        model=model_name(outcome), settings=settings(chosen) if chosen else "", cards=_cards(outcome, chosen) if chosen else [],
        gates=[(MARKS[g.result], g.result, advice.gate_words(g.gate), g.gate.kind, advice.gate_figure(g)) for g in judged],
        notes=[note for note in (possible(outcome), *remarks(outcome)) if note],
    )  # fmt: skip
    return Section("verdict", "Verdict", body)


def _tried(outcome: Outcome) -> int:
    return sum(r.status != "not reached" for r in outcome.results)


def _timed(outcome: Outcome) -> str:
    if outcome.place != "here":
        return f"Nothing was timed for {target_name(outcome)}, which is not this machine."
    count = sum(r.speedup is not None for r in outcome.results if r.name != outcome.baseline)
    noisy = sum(r.noisy is not None for r in outcome.results)
    count, rough = count + noisy, f" {noisy} of these figures are rough, since the machine was busy." if noisy else ""
    unreached = len(outcome.results) - _tried(outcome)
    left = f" {unreached} more were not reached before the budget ended." if unreached else ""
    if count:
        return f"{count} of them could be timed against the tuned original.{rough}{left}"
    return "None of them could be timed against the tuned original; the notes and the reasons below say why."


def _scored(outcome: Outcome) -> str:
    data = outcome.task.evaluation
    if data.generated:
        return "No data were given, so inputs were generated, and accuracy is not measured."
    return f"Their answers were compared on {data.count} evaluation examples."


def _headline(outcome: Outcome) -> str:
    chosen = outcome.chosen
    if chosen is None:
        return "Keep what you have: no version meets every must"
    if chosen.name == outcome.baseline:
        if chosen.candidate.recipe.steps:
            return (
                f"Use {chosen.name}: the given model, {'cleaned up and ' if chosen.candidate.recipe.cleaned else ''}unquantized"
            )
        return f"Keep the given model, with tuned settings: {chosen.name}"
    return f"Use {chosen.name}"


def _cards(outcome: Outcome, chosen: Result) -> list[tuple[str, str, str, str]]:
    """Speed, accuracy, memory: (title, figure, interval, meaning)."""
    speed, kept, memory = speed_cell(chosen), percent_cell(chosen.retained), ratio_cell(chosen.memory_ratio, "×")
    same = chosen.name == outcome.baseline
    pace = (
        "It is the given model, with its export cleaned up."
        if same and chosen.candidate.recipe.cleaned
        else "It is the given model itself."
        if same
        else f"Unmeasured on {target_name(outcome)}."
        if outcome.place != "here"
        else f"of the tuned baseline's speed, on the same cores.{_unclear(chosen.speedup)}"
    )
    today = f" Against the model as it runs today: {ratio(outcome.against_as_is, '×')}." if outcome.against_as_is else ""
    today += f" {words[0].upper()}{words[1:]}." if (words := cleanup_words(outcome)) else ""
    right = _accuracy_words(outcome, chosen) if chosen.retained else "Not measured: no labeled data were given."
    room = (
        f"of the baseline's peak; below 1 is less.{_unclear(chosen.memory_ratio)}"
        if chosen.memory_ratio
        else "Not measured here."
        if outcome.place == "here"
        else f"Unmeasured on {target_name(outcome)}."
    )
    return [
        ("Speed", speed.text, speed.below and (speed.below if chosen.noisy else f"95 % interval: {speed.below}"), pace + today),
        (_kept_title(outcome), kept.text, kept.below and f"95 % interval: {kept.below}", right),
        ("Memory", memory.text, memory.below and f"range of repeats: {memory.below}", room),
    ]


def _unclear(figure: Interval | None) -> str:
    """A warning where the interval holds 1."""
    if figure is None or figure.low == figure.high or not figure.low <= 1 <= figure.high:
        return ""
    return " The interval holds 1: no difference can be seen."


def _kept_title(outcome: Outcome) -> str:
    name = kept_name(outcome.task.metric)
    return name[0].upper() + name[1:]


def _accuracy_words(outcome: Outcome, chosen: Result) -> str:
    unlabeled = unlabeled_words(outcome, chosen)
    if unlabeled is not None:
        return f"On {chosen.examples} examples: {unlabeled}."
    if chosen.accuracy is None:
        return "of the given model's."
    before = outcome.result(outcome.quality_reference).accuracy
    was = f"; the given model has {before:.4g}" if before is not None and chosen.name != outcome.quality_reference else ""
    return f"of the given model's. {outcome.task.metric} is {chosen.accuracy:.4g} on {chosen.examples} examples{was}."


def frameworks(outcome: Outcome, evidence: Evidence) -> Section | None:
    advice_ = outcome.advice
    if advice_ is None:
        return None
    rows = tuple(
        (Cell(r.title, r.framework), Cell("cannot be used" if r.blocked else f"{r.points:+g}"),
         Cell(r.blocked or "; ".join(f"{x.text} ({x.points:+g})" if x.points else x.text for x in r.reasons) or DASH))
        for r in advice_.ranking
    )  # fmt: skip
    table = Table(
        "Frameworks in the order of the advice", ("framework", "points", "rules and facts that spoke"), rows, numbers=(1,)
    )
    body = fill("frameworks", advice=advice_, table=table, tree=tree_of(advice_), target=outcome.target, place=outcome.place)
    return Section("frameworks", "Which frameworks, and why", body)


def leaderboard(outcome: Outcome, evidence: Evidence) -> Section:
    pace = "imitated speed" if outcome.place == "imitated" else "speed-up"
    beside = apart.shown(outcome)
    head = ("candidate", "status", pace, kept_name(outcome.task.metric), figure_name(outcome.task.metric),
            *([apart.NAMES[beside]] if beside else []), "memory", "size, MB",
            throughput.head(outcome), *(f"{p}, ms" for p in PERCENTILES), "first inference, ms", "load, ms")  # fmt: skip
    table = Table("All candidates", head, tuple(_candidate_row(outcome, r) for r in ordered(outcome)),
                  numbers=tuple(range(2, len(head))), sortable=True)  # fmt: skip
    return Section("leaderboard", "Leaderboard", fill("leaderboard", table=table, beside=apart.WHAT.get(beside or "", "")))


def _candidate_row(outcome: Outcome, result: Result) -> tuple[Cell, ...]:
    artifact, timing = result.candidate.artifact, result.timing
    memory = result.memory[0] if result.memory else None
    latency = timing.latency_ms if timing is not None else {}
    stage = "" if timing is None else "confirmed" if timing.stage == "confirmation" else "search only"
    stage = "1× by definition" if result.name == outcome.baseline else stage
    return (
        Cell(result.name, ", ".join(tags(outcome, result)), look="chosen" if result is outcome.chosen else ""),
        Cell(STATUSES.get(status_of(outcome, result), "judged"), stage),
        imitated_cell(result) if outcome.place == "imitated" else speed_cell(result),
        percent_cell(result.retained), number_cell(result.accuracy, ".4f"),
        *([apart.cell(outcome, result)] if apart.shown(outcome) else []),
        ratio_cell(result.memory_ratio, "×"), number_cell(artifact.bytes / 1e6 if artifact else None, ".2f"),
        throughput.rate_cell(result),
        *(number_cell(latency.get(p)) for p in PERCENTILES),
        number_cell(1000 * memory.first_inference_s if memory else None), number_cell(1000 * memory.load_s if memory else None),
    )  # fmt: skip


def speed_cell(result: Result) -> Cell:
    """Speed-up, or why one taken here would say nothing."""
    doubt = result.candidate.recipe.unrepresentative
    if doubt:
        return Cell(NOT_REPRESENTATIVE, doubt)
    noisy = result.noisy
    if noisy is not None:
        return Cell(f"~{noisy.value:.3g}×", "noisy, decides no gate", noisy.value)
    cell = ratio_cell(result.speedup, "×")
    return cell._replace(below=f"{cell.below} by CPU time") if result.by_cpu_time else cell


def imitated_cell(result: Result) -> Cell:
    """Speed over the runtime's own unquantized candidate, on this machine held to what the target has."""
    held = result.imitated
    return Cell(DASH) if held is None else ratio_cell(held.speedup, "×")._replace(below=f"over {held.over}, decides nothing")


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
            (f"computed in {result.ran}", bool(result.ran)),
        )
        if holds
    ]


def pareto(outcome: Outcome, evidence: Evidence) -> Section | None:
    shown = [r for r in ordered(outcome) if r.speedup is not None]
    if not shown:
        return None
    head = ("candidate", "speed-up", kept_name(outcome.task.metric), "memory")
    rows = tuple(_frontier_row(outcome, r) for r in shown)
    table = Table("Every candidate that was timed", head, rows, numbers=(1, 2, 3), sortable=True)
    weights = ", ".join(f"{name} {weight:g}" for name, weight in outcome.weights.items())
    body = fill(
        "pareto",
        table=table,
        axes=axes_of(outcome),
        frontier=outcome.frontier,
        weights=weights,
        choice=outcome.choice,
        score=_scores(outcome),
    )
    return Section("pareto", "Speed, accuracy, memory", body)


def _frontier_row(outcome: Outcome, result: Result) -> tuple[Cell, ...]:
    return (
        Cell(result.name, ", ".join(tags(outcome, result))),
        ratio_cell(result.speedup, "×"),
        percent_cell(result.retained),
        ratio_cell(result.memory_ratio, "×"),
    )


def _scores(outcome: Outcome) -> Table:
    scores = outcome.choice.scores if outcome.choice is not None else {}
    rows = [(Cell(name), Cell(f"{s.value:+.3f}"), Cell(f"{s.low:+.3f} to {s.high:+.3f}")) for name, s in scores.items()]
    return Table("Scores of the finalists", ("finalist", "score", "interval"), tuple(rows), numbers=(1, 2))


def language(outcome: Outcome, evidence: Evidence) -> Section | None:
    if outcome.task.language is None:
        return None
    table, plotted = language_table(outcome, evidence), frontier_table(outcome, evidence)
    if not table.rows:
        return None
    plots = [("size", "Quality against size", SIZES), ("pace", "Quality against pace", PACES)]
    plots = [plot for plot in plots if outcome.place == "here" or plot[0] == "size"]
    body = fill("language", table=table, plotted=plotted, plots=plots, qualities=QUALITIES, how=how_measured(outcome))
    return Section("language", "Quality, size and pace", body)


def samples(outcome: Outcome, evidence: Evidence) -> Section | None:
    found = side_by_side(outcome, evidence)
    if not found:
        return None
    return Section("samples", "What each candidate writes", fill("samples", found=found, sampled=SAMPLED, how=how_alike))


def latency(outcome: Outcome, evidence: Evidence) -> Section | None:
    if not evidence.curves:
        return None
    rows = [row for curve in evidence.curves for row in _curve_rows(curve)]
    head = ("side", "calls", *PERCENTILES)
    table = Table("Percentiles of single calls, milliseconds", head, tuple(rows), numbers=(1, 2, 3, 4, 5))
    return Section("latency", "Latency", fill("latency", table=table, curves=evidence.curves, baseline=outcome.baseline))


def _curve_rows(curve: Curve) -> list[tuple[Cell, ...]]:
    """Both sides of one comparison."""
    rows = []
    for side, calls, values in zip(("baseline", curve.name), curve.calls, (curve.baseline_ms, curve.candidate_ms), strict=True):
        at = dict(zip(curve.percent, values, strict=True))
        shown = [number_cell(at.get(int(p[1:]))) for p in PERCENTILES]
        rows.append((Cell(side, f"in the comparison with {curve.name}"), number_cell(calls, ",d"), *shown))
    return rows


def steps(outcome: Outcome, evidence: Evidence) -> Section | None:
    found = gains(outcome)
    if not found:
        return None
    head = ("candidate", "added", "speed", figure_name(outcome.task.metric, "accuracy"), "memory", "size, MB", "build, s")
    chosen = outcome.chosen
    way = way_to(outcome, chosen.name) if chosen is not None else []
    tables = [
        Table(caption, head, tuple(_gain_row(gain) for gain in part), numbers=(2, 3, 4, 5, 6))
        for caption, part in (("The way to the choice", way), ("Every candidate", found))
    ]
    return Section("steps", "What each step bought and cost", fill("steps", way=tables[0], every=tables[1]))


def _gain_row(gain: Gain) -> tuple[Cell, ...]:
    points = DASH if gain.accuracy is None else advice.percentage_points(*gain.accuracy)
    size = DASH if gain.bytes is None else f"{gain.bytes[0] / 1e6:.2f} → {gain.bytes[1] / 1e6:.2f}"
    return (Cell(gain.name, f"beside {gain.parent}"), Cell(gain.added), ratio_cell(gain.speedup, "×"), Cell(points),
            ratio_cell(gain.memory_ratio, "×"), Cell(size), Cell(f"{gain.build_s:.1f}"))  # fmt: skip


def left_out(outcome: Outcome, evidence: Evidence) -> Section | None:
    rows = [(Cell(r.name), Cell(STATUSES[r.status]), Cell(r.reason or DASH)) for r in outcome.results if r.status != "measured"]
    rows += [(Cell(o.name), Cell("not offered"), Cell(o.refused)) for o in outcome.offers if not o.offered]
    if not rows:
        return None
    table = Table("Recipes that are not in the race, and why", ("recipe", "status", "reason"), tuple(rows))
    failed = [r for r in outcome.results if r.failure is not None]
    return Section("left-out", "Left out, and why", fill("left_out", table=table, failed=failed))


def gates(outcome: Outcome, evidence: Evidence) -> Section:
    head = ("gate", "bound", "kind", "figure", "result", "reason")
    tables = [
        Table(f"{r.name}: {r.verdict.outcome}", head, tuple(_gate_row(g) for g in r.verdict.results))
        for r in ordered(outcome)
        if r.verdict is not None and is_judged(outcome, r)
    ]
    return Section("gates", "Gates", fill("gates", tables=tables))


def _gate_row(result: GateResult) -> tuple[Cell, ...]:
    gate, figure, form = result.gate, result.figure, form_of(result.gate.metric)
    shown = percent_cell(figure) if form == "share" else ratio_cell(figure, "×" if form == "times" else "")
    sign = "≥" if gate.direction == "at_least" else "≤"
    bound = Cell(DASH) if gate.metric == "valid" else Cell(f"{sign} {advice.bound(gate)}")
    mark = Cell(MARKS[result.result], look=result.result.lower())
    return (Cell(label_of(gate.metric)), bound, Cell(gate.kind), shown, mark, Cell(result.reason))


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
    return Section("environment", "Environment", fill("plain", table=table))


def noise(outcome: Outcome, evidence: Evidence) -> Section:
    found = outcome.noise
    body = fill(
        "noise", place=outcome.place, noise=found, aa=by_clock(found.speedup, found), hasty=hasty(outcome),
        resolution=found.memory_resolution_bytes / 1e6,
        confirmed=[r.confirmation for r in outcome.results if r.confirmation is not None],
        spent=", ".join(f"{name} {seconds:.1f} s" for name, seconds in outcome.timing.items()),
        baseline=outcome.baseline, as_is=outcome.as_is, against_as_is=ratio(outcome.against_as_is, "×"),
        best=outcome.best_unquantized, against_best=ratio(outcome.against_best_unquantized, "×"),
        frameworks=[(runtime, name, ratio(figure, "×")) for runtime, (name, figure) in over_each_framework(outcome).items()],
        batches=[(batch, ratio(timing.speedup, "×") + throughput.at_batch(timing)) for batch, timing in outcome.batches.items()],
    )  # fmt: skip
    return Section("noise", "Noise floor, and how each number was made", body)


def examples(outcome: Outcome, evidence: Evidence) -> Section | None:
    found = evidence.examples
    if found is None and not evidence.missing:
        return None
    body = fill(
        "examples", found=found, right=_right, missing=evidence.missing, instead=advice.compared_instead(outcome, evidence)
    )
    return Section("examples", "Where the answers differ", body)


def _right(answer: Answer) -> str:
    return "" if answer.right is None else "✓ right" if answer.right else "✗ wrong"


def trade_offs(outcome: Outcome, evidence: Evidence) -> Section | None:
    sentences = advice.trade_offs(outcome)
    return Section("trade-offs", "What was given up", fill("sentences", sentences=sentences)) if sentences else None


def deployment(outcome: Outcome, evidence: Evidence) -> Section | None:
    needs = advice.deployment(outcome, evidence)
    if not needs:
        return None
    table = Table("What the choice needs", ("what", "value"), tuple((Cell(k), Cell(v)) for k, v in needs))
    shell, python = "\n".join(advice.commands(outcome)), "\n".join(advice.python_lines(outcome))
    return Section("deployment", "Deployment", fill("deployment", table=table, shell=shell, python=python))


def watch(outcome: Outcome, evidence: Evidence) -> Section | None:
    rows = tuple((Cell(w.what), Cell(w.here), Cell(w.alarm), Cell(w.how)) for w in advice.watch(outcome, evidence))
    if not rows:
        return None
    table = Table("Thresholds from this run", ("what", "in this run", "be alarmed", "how to measure it"), rows)
    return Section("watch", "What to monitor", fill("watch", table=table))


def profile(outcome: Outcome, evidence: Evidence) -> Section | None:
    if outcome.place != "here":
        return None
    profiles = profiling.profiles(evidence)
    findings = [(p.candidate, find_bottlenecks(p)) for p in profiles]
    session = Table("The session, watched alone", ("what", *(p.candidate for p in profiles)), _cells(profiling.session(profiles)))
    times = Table(
        "Milliseconds a call by operator, and share of all operators", ("operator", *(p.candidate for p in profiles)),
        _cells(profiling.operators(profiles)), numbers=tuple(range(1, len(profiles) + 1)),
    )  # fmt: skip
    memory = Table(
        "Resident memory, MB", ("moment", *(p.candidate for p in profiles)), _cells(profiling.memory(profiles)),
        numbers=tuple(range(1, len(profiles) + 1)),
    )  # fmt: skip
    body = fill(
        "profile", findings=findings, session=session, times=times, memory=memory, run=outcome.run,
        failures=profiling.failures(evidence), curves=profiles,
    )  # fmt: skip
    return Section("profile", "Where time and memory go", body)


def _cells(rows: list[list[str]]) -> tuple[tuple[Cell, ...], ...]:
    return tuple(tuple(Cell(text) for text in row) for row in rows)


def claims(outcome: Outcome, evidence: Evidence) -> Section | None:
    rows = tuple((Cell(r.name), Cell(k), Cell(f"{v:.6g}")) for r in outcome.results for k, v in r.candidate.claims.items())
    notes = [(r.name, note) for r in outcome.results for note in r.candidate.notes]
    if not rows and not notes:
        return None
    table = Table("Claimed by the builders", ("candidate", "figure", "claim"), rows, numbers=(2,))
    return Section("claims", "Claimed, not measured by Strop", fill("claims", table=table, notes=notes))


def reproduce(outcome: Outcome, evidence: Evidence) -> Section | None:
    failed = [(r.name, r.reproduce) for r in outcome.results if r.reproduce]
    if not evidence.command and not failed:
        return None
    return Section("reproduce", "Reproduce", fill("reproduce", command=evidence.command, run=outcome.run, failed=failed))


SECTIONS: tuple[Callable[[Outcome, Evidence], Section | None], ...] = (
    verdict, leaderboard, pareto, language, samples, latency, profile, frameworks, steps, left_out, gates, environment, noise,
    examples, trade_offs, deployment, watch, claims, reproduce,
)  # fmt: skip
