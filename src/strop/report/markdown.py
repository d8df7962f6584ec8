"""`report.md`: the outcome for people."""

from strop.core.candidate import Result
from strop.core.foreign import fenced, in_markdown
from strop.core.outcome import Outcome
from strop.plan.bottlenecks import find_bottlenecks
from strop.report import apart, profiling, throughput
from strop.report.advice import commands, compared_instead, deployment, percentage_points, python_lines, trade_offs, watch
from strop.report.evidence import NO_EVIDENCE, Answer, Evidence
from strop.report.frameworks import explain
from strop.report.language import (
    SAMPLED,
    Passage,
    frontier_table,
    how_alike,
    how_measured,
    language_table,
    side_by_side,
)
from strop.report.lineage import gains, over_each_framework
from strop.report.parts import Cell
from strop.report.unlabeled import KEPT, figure_name
from strop.report.verdict import (
    by_clock,
    cleanup_sentence,
    hasty,
    is_judged,
    model_name,
    ordered,
    percent,
    ratio,
    remarks,
    speed,
    status_of,
    target_name,
    three_lines,
)


def markdown(outcome: Outcome, evidence: Evidence = NO_EVIDENCE) -> str:
    """The whole report."""
    sections = [
        _head(outcome), _table(outcome), _ran(outcome), _latencies(outcome), _under_load(outcome), _profile(outcome, evidence),
        _language(outcome, evidence), _frameworks(outcome), _imitated(outcome), _steps(outcome), _left_out(outcome),
        _gates(outcome), _frontier(outcome), _baseline(outcome), _environment(outcome), _made(outcome),
        _examples(outcome, evidence), _trade_offs(outcome), _deployment(outcome, evidence), _watch(outcome, evidence),
        _claims(outcome), _reproduce(evidence),
    ]  # fmt: skip
    return "\n\n".join(section for section in sections if section) + "\n"


def _head(outcome: Outcome) -> str:
    notes = "".join(f"\n- {in_markdown(note)}" for note in remarks(outcome))
    lines = "  \n".join(in_markdown(line) for line in three_lines(outcome))
    return f"# {in_markdown(model_name(outcome))}: {outcome.outcome}\n\n{lines}" + (f"\n{notes}" if notes else "")


def cells(outcome: Outcome, result: Result) -> list[str]:
    """One candidate as a row of the table."""
    timing = result.timing
    stage = {"search": "search", "confirmation": "confirmed"}[timing.stage] if timing else ""
    mark = "**" if outcome.chosen is not None and result.name == outcome.chosen.name else ""
    name = f"{mark}{result.name}{mark}" + (" (baseline)" if result.name == outcome.baseline else "")
    p50 = "–"
    if timing and "p50" in timing.latency_ms:
        p50 = f"{timing.latency_ms['p50']:.3g} ({timing.baseline_latency_ms['p50']:.3g})"
    accuracy = "–" if result.accuracy is None else f"{result.accuracy:.4f}"
    size = f"{result.candidate.artifact.bytes / 1e6:.2f}" if result.candidate.artifact else "–"
    return [name, status_of(outcome, result), speed(result), stage, p50, accuracy, percent(result.retained),
            *([apart.text(outcome, result)] if apart.shown(outcome) else []), ratio(result.memory_ratio), size,
            throughput.rate(result)]  # fmt: skip


HEAD = [
    "candidate",
    "status",
    "speed-up",
    "from",
    "p50 ms (baseline's beside it)",
    "accuracy",
    "retained",
    "memory ratio",
    "MB on disk",
]


def head_of(outcome: Outcome) -> list[str]:
    """With accuracy by its name, where it is something else, and what a rate counts."""
    metric = outcome.task.metric
    names = {"accuracy": figure_name(metric, "accuracy"), "retained": KEPT.get(metric, "retained")}
    beside = apart.shown(outcome)
    at = HEAD.index("retained") + 1
    head = [*HEAD[:at], *([apart.NAMES[beside]] if beside else []), *HEAD[at:]]
    return [*(names.get(name, name) for name in head), throughput.head(outcome)]


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(in_markdown(c) for c in cells) + " |"


def table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join([_row(head), "|" + "---|" * len(head), *(_row(r) for r in rows)])


def _table(outcome: Outcome) -> str:
    text = (
        "Speed-up is over the tuned baseline, paired, with its interval (95 % where confirmed); only *confirmed* figures decide. "
        f"Memory is the peak over the baseline's. {apart.WHAT.get(apart.shown(outcome) or '', '')} {in_flight(outcome)}"
    )
    return f"## Candidates\n\n{text}\n\n" + table(head_of(outcome), [cells(outcome, r) for r in ordered(outcome)])


def _ran(outcome: Outcome) -> str:
    rows = [[r.name, str(r.candidate.recipe.settings.get("precision", "–")), r.ran] for r in ordered(outcome) if r.ran]
    if not rows:
        return ""
    text = "Kernels by the type they computed in, as the runtime says of the compiled model; what was asked for is only a hint."
    return f"## What was computed in which precision\n\n{text}\n\n" + table(["candidate", "asked for", "computed in"], rows)


def in_flight(outcome: Outcome) -> str:
    """What the last column says."""
    unit, count = throughput.unit_of(outcome), outcome.task.workload.concurrency
    if outcome.place != "here":
        return ""
    if count == 1:
        return f"{unit}: one request after another, so that it follows from the latency."
    return (
        f"{unit}: with {count} requests in flight at any time, on the same cores; beside it the ratio to the given model under "
        "those of its settings that serve them best."
    )


def _under_load(outcome: Outcome) -> str:
    rows = [
        [name, found.over, *(f"{found.latency_ms[p]:.3g}" if p in found.latency_ms else "–" for p in PERCENTILES)]
        for name, found in throughput.latencies(outcome)
    ]
    if not rows:
        return ""
    count = outcome.task.workload.concurrency
    text = f"Milliseconds of a request while {count} are in flight, waiting included; the highest throughput comes first."
    return f"## Latency under load\n\n{text}\n\n" + table(["candidate", "compared with", *PERCENTILES], rows)


PERCENTILES = ("p50", "p90", "p95", "p99")


def _latencies(outcome: Outcome) -> str:
    rows = []
    for result in ordered(outcome):
        for timing in [t for t in (result.timing,) if t is not None and t.latency_ms]:
            first = [
                f"{m:.3g}" for m in (1000 * x for memory in result.memory[:1] for x in (memory.load_s, memory.first_inference_s))
            ]
            shown = [f"{timing.latency_ms[p]:.3g}" if p in timing.latency_ms else "–" for p in PERCENTILES]
            rows.append([result.name, *shown, *(first or ["–", "–"])])
    if not rows:
        return ""
    text = (
        "Milliseconds. A percentile is printed only where there are enough calls for it. Load and first inference are taken once."
    )
    return f"## Latency\n\n{text}\n\n" + table(["candidate", *PERCENTILES, "load", "first inference"], rows)


def _profile(outcome: Outcome, evidence: Evidence) -> str:
    if outcome.place != "here":
        return ""
    profiles, failures = profiling.profiles(evidence), [in_markdown(text) for text in profiling.failures(evidence)]
    if not profiles:
        return "\n\n".join(["## Where time and memory go", *failures, f"`strop runs profile {outcome.run}` measures it."])
    parts = ["## Where time and memory go", *failures]
    for profile in profiles:
        lines = [f"- **{in_markdown(f.title)}**: {in_markdown(f'{f.evidence}. {f.advice}')}" for f in find_bottlenecks(profile)]
        parts.append(f"### {profile.candidate}\n\n" + ("\n".join(lines) or "No bottleneck by the rules."))
    names = [p.candidate for p in profiles]
    parts.append(table(["what", *names], profiling.session(profiles)))
    times = profiling.operators(profiles)
    parts += [table(["operator: ms a call (share)", *names], times)] if times else []
    moments = profiling.memory(profiles)
    parts += [table(["resident memory, MB", *names], moments)] if moments else []
    return "\n\n".join(parts)


def _frameworks(outcome: Outcome) -> str:
    if outcome.advice is None:
        return ""
    return "## Which frameworks, and why\n\n" + fenced("\n".join(explain(outcome.advice)), "text")


def _language(outcome: Outcome, evidence: Evidence) -> str:
    """Quality, size and pace; then what each candidate writes."""
    if outcome.task.language is None:
        return ""
    tables = (language_table(outcome, evidence), frontier_table(outcome, evidence))
    shown = [table(list(t.head), [[_plain(cell) for cell in row] for row in t.rows]) for t in tables if t.rows]
    parts = ["## Quality, size and pace", how_measured(outcome), *shown] if shown else []
    samples = side_by_side(outcome, evidence)
    parts += ["## What each candidate writes", f"{SAMPLED} The sign {DEPARTS} stands where it departs."] if samples else []
    for number, of in enumerate(samples, 1):
        rows = [[", ".join(p.candidates), how_alike(p, p is of.passages[0]), _written(p)] for p in of.passages]
        parts += [f"### Prompt {number}\n\n> {escaped(of.prompt)}", table(["candidate", "how far", "text"], rows)]
    return "\n\n".join(parts)


def _plain(cell: Cell) -> str:
    return f"{cell.text} ({cell.below})" if cell.below else cell.text


DEPARTS = "▸"


def _written(passage: Passage) -> str:
    return escaped(passage.same) + (f"{DEPARTS}{escaped(passage.departs)}" if passage.departs else "")


ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "\\": "&#92;", "\n": " ⏎ ", "\r": "", "\t": " "}
    | {mark: f"\\{mark}" for mark in "`*_[]~$#:@!"}
)
"""Bars and backslashes by their numbers in HTML, since a table would read them before Markdown does."""


def escaped(text: str) -> str:
    """A model's text on one line, of which neither Markdown nor HTML takes anything for its own."""
    return text.translate(ESCAPES).replace("www.", "www\\.")


def _imitated(outcome: Outcome) -> str:
    rows = [[r.name, ratio(r.imitated.speedup, "×"), r.imitated.over, r.imitated.held_to] for r in outcome.results if r.imitated]
    text = "This machine, held to what the target has. For orientation: it decides no gate."
    return f"## Imitated speed\n\n{text}\n\n" + table(["candidate", "speed", "over", "held to"], rows) if rows else ""


def _steps(outcome: Outcome) -> str:
    rows = [
        [
            gain.name, gain.parent, gain.added, ratio(gain.speedup, "×"),
            "–" if gain.accuracy is None else percentage_points(*gain.accuracy), ratio(gain.memory_ratio),
            "–" if gain.bytes is None else f"{gain.bytes[0] / 1e6:.2f} → {gain.bytes[1] / 1e6:.2f}", f"{gain.build_s:.1f}",
        ]
        for gain in gains(outcome)
    ]  # fmt: skip
    if not rows:
        return ""
    text = "Each candidate beside the one that it adds a step or a setting to. Ratios are of the candidate over that one."
    named = figure_name(outcome.task.metric, "accuracy")
    head = ["candidate", "beside", "added", "speed", named, "memory", "MB on disk", "build s"]
    return f"## What each step bought and cost\n\n{text}\n\n" + table(head, rows)


def _gates(outcome: Outcome) -> str:
    parts = []
    for result in ordered(outcome):
        if result.verdict is not None and is_judged(outcome, result):
            rows = [[str(r.gate), r.gate.kind, r.result, r.reason] for r in result.verdict.results]
            parts.append(f"### {in_markdown(result.name)}\n\n" + table(["gate", "kind", "result", "figure and reason"], rows))
    return "## Gates\n\n" + "\n\n".join(parts)


def _frontier(outcome: Outcome) -> str:
    weights = ", ".join(f"{name} {weight:g}" for name, weight in outcome.weights.items())
    lines = [f"Weights: {weights}. Pareto frontier of speed, accuracy and memory: {', '.join(outcome.frontier) or 'empty'}."]
    if outcome.choice is not None:
        lines.append(f"Choice: **{outcome.choice.name}**: {outcome.choice.reason}.")
        rows = [[name, f"{s.value:+.3f}", f"[{s.low:+.3f}, {s.high:+.3f}]"] for name, s in outcome.choice.scores.items()]
        lines.append(table(["finalist", "score Σ w·log(ratio)", "interval"], rows))
    return "## Frontier and choice\n\n" + "\n\n".join(lines)


def _left_out(outcome: Outcome) -> str:
    rows = [
        [r.name, r.status, r.reason]
        for r in outcome.results
        if r.status in ("failed", "dropped", "duplicate", "not reached", "not measurable")
    ]
    rows += [[o.name, "not offered", o.refused] for o in outcome.offers if not o.offered]
    text = "## Left out, and why\n\n" + table(["recipe", "status", "reason"], rows) if rows else ""
    for result in outcome.results:
        if result.failure is not None:
            tail = result.failure.log_tail.strip() or "(its log is empty)"
            text += (
                f"\n\n### {in_markdown(result.name)}: how it failed\n\n{in_markdown(str(result.failure))}\n\nReproduce:\n\n"
                f"{fenced(result.reproduce, 'sh')}\n\n{fenced(tail)}"
            )
    return text


def _baseline(outcome: Outcome) -> str:
    if outcome.place != "here":
        return (
            f"## Against what\n\nAnswers are compared with `{outcome.baseline}`: the given model, unquantized. Nothing was timed."
        )
    elsewhere = bool(outcome.reference) and outcome.task.language is not None
    found = "in its fastest runtime here" if elsewhere else "under the settings found best"
    cleaned = outcome.result(outcome.baseline).candidate.recipe.cleaned
    what = "the given model with its export cleaned up, unquantized" if cleaned else "the given model, unquantized"
    lines = [f"The denominator of every speed-up is `{outcome.baseline}`: {what}, {found}."]
    lines += [text for text in [throughput.denominator(outcome)] if text]
    if outcome.reference:
        where = "in the runtime that reads it" if elsewhere else "as it is"
        lines.append(f"Answers are compared with those of `{outcome.reference}`, the given model {where}.")
    if outcome.cleanup is not None:
        lines.append(cleanup_sentence(outcome.cleanup))
    if outcome.as_is is not None:
        speed = ratio(outcome.result(outcome.as_is).speedup, "×")
        how = "In PyTorch" if outcome.as_is == outcome.reference else "As its runtime runs it by default"
        lines.append(f"{how} (`{outcome.as_is}`) it has {speed} the tuned baseline's speed.")
    if outcome.against_as_is is not None:
        lines.append(f"The choice over the model as it runs today: {ratio(outcome.against_as_is, '×')}.")
    if outcome.against_best_unquantized is not None:
        lines.append(
            f"Over the best unquantized candidate (`{outcome.best_unquantized}`): {ratio(outcome.against_best_unquantized, '×')}."
        )
    for runtime, (name, figure) in over_each_framework(outcome).items():
        lines.append(f"Over the best that {runtime} alone gives (`{name}`): {ratio(figure, '×')}.")
    for batch, timing in outcome.batches.items():
        lines.append(f"At batch {batch}: {ratio(timing.speedup, '×')}{throughput.at_batch(timing)}.")
    return "## Against what\n\n" + "  \n".join(lines)


def _made(outcome: Outcome) -> str:
    noise, chosen = outcome.noise, outcome.chosen
    if outcome.place != "here":
        spent = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in outcome.timing.items())
        text = f"Nothing was timed: the target is {target_name(outcome)}, not this machine. Answers were judged here."
        return f"## How the numbers were made\n\n- {text}\n- Time spent: {spent}."
    aa = f"{by_clock(noise.speedup, noise)}; {noise.excluded:.0%} of its quads were left out"
    aa = "the budget left no time for it" if hasty(outcome) else aa
    lines = [
        f"- A/A (the baseline against itself): {aa}. "
        f"Memory differences under {noise.memory_resolution_bytes / 1e6:.1f} MB mean nothing here.",
        "- Baseline and candidate run in fresh processes, one while the other sleeps, in short blocks ABBA or BAAB; "
        "the log-ratio of each quad of blocks counts, and the interval is a t-interval over pairs of processes.",
    ]
    if chosen is not None and chosen.confirmation is not None:
        c = chosen.confirmation
        kept = f"{c.pairs} pairs of processes, {c.quads} quads kept, {c.excluded:.0%} left out"
        lines.append(f"- {chosen.name}: {kept}; samples in `{c.samples}`.")
    small = _small(outcome)
    spent = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in outcome.timing.items())
    return "## How the numbers were made\n\n" + "\n".join([*lines, *small, f"- Time spent: {spent}."])


def _small(outcome: Outcome) -> list[str]:
    memory = outcome.result(outcome.baseline).memory
    if memory and memory[0].peak < memory[0].empty:
        own, runtime = memory[0].peak / 1e6, memory[0].empty / 1e6
        return [f"- The model takes {own:.1f} MB, its runtime {runtime:.1f} MB: memory here is mostly the runtime's."]
    return []


def _environment(outcome: Outcome) -> str:
    env = outcome.environment
    rows = [["CPU", env.cpu], ["cores, threads in the budget", f"{env.cores}, {env.threads}"], ["OS", f"{env.os} {env.kernel}"],
            ["Python, Strop", f"{env.python}, {env.strop}"], ["packages", ", ".join(f"{k} {v}" for k, v in env.versions.items())],
            ["counters", "; ".join(f"{k}: {v}" for k, v in env.counters.items())], ["seed", str(env.seed)]]  # fmt: skip
    return "## Environment\n\n" + table(["what", "here"], rows)


def _examples(outcome: Outcome, evidence: Evidence) -> str:
    found = evidence.examples
    missing = "".join(f"\n\nMissing: {in_markdown(text)}." for text in evidence.missing)
    if found is None:
        return f"## Where the answers differ{missing}" if missing else ""
    text = f"{found.candidate} and the baseline differ on {found.differ} of {found.compared} evaluation examples"
    text += f"; on {found.lost} of them only the baseline is right, on {found.won} only the candidate." if found.classes else "."
    instead = compared_instead(outcome, evidence)
    text = f"{instead} {text}" if instead else text
    rows = [[str(e.index), e.label or "–", _answer(e.baseline), _answer(e.candidate)] for e in found.shown]
    shown = "\n\n" + table(["index", "label", "baseline", "candidate"], rows) if rows else ""
    return f"## Where the answers differ\n\n{text}{shown}{missing}"


def _answer(answer: Answer) -> str:
    score = "" if answer.score is None else f", score {answer.score:.4g}"
    right = "" if answer.right is None else ", right" if answer.right else ", wrong"
    return answer.text + score + right


def _trade_offs(outcome: Outcome) -> str:
    sentences = trade_offs(outcome)
    return "## What was given up\n\n" + "\n".join(f"- {in_markdown(s)}" for s in sentences) if sentences else ""


def _deployment(outcome: Outcome, evidence: Evidence) -> str:
    needs = deployment(outcome, evidence)
    if not needs:
        return ""
    shell, python = "\n".join(commands(outcome)), "\n".join(python_lines(outcome))
    return (
        "## Deployment\n\n"
        + table(["what", "value"], [list(n) for n in needs])
        + f"\n\n{fenced(shell, 'sh')}\n\n{fenced(python, 'python')}"
    )


def _watch(outcome: Outcome, evidence: Evidence) -> str:
    rows = [[w.what, w.here, w.alarm, w.how] for w in watch(outcome, evidence)]
    return "## What to monitor\n\n" + table(["what", "in this run", "be alarmed", "how"], rows) if rows else ""


def _claims(outcome: Outcome) -> str:
    rows = [[r.name, key, f"{value:.6g}"] for r in outcome.results for key, value in r.candidate.claims.items()]
    notes = "".join(f"\n- {in_markdown(f'{r.name}: {note}')}" for r in outcome.results for note in r.candidate.notes)
    if not rows and not notes:
        return ""
    parts = [table(["candidate", "figure", "claim"], rows)] if rows else []
    return "\n\n".join(["## Claimed, not measured by Strop", *parts, *([notes.strip()] if notes else [])])


def _reproduce(evidence: Evidence) -> str:
    return f"## Reproduce\n\n{fenced(evidence.command, 'sh')}" if evidence.command else ""
