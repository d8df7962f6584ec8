"""What an outcome means, in sentences: what was given up, how to deploy, what to watch. Pure; shared by all reports."""

from statistics import median

from strop.core.amounts import MB, P50, latency_ms, memory_mb, memory_words, plain
from strop.core.candidate import Result
from strop.core.gate_metrics import VALID, VALID_LABEL, form_of, label_of
from strop.core.judged import word
from strop.core.metrics import kept_of
from strop.core.noun import Noun
from strop.core.outcome import Outcome
from strop.core.throughput import counts
from strop.core.verdict import Gate, GateResult
from strop.report.evidence import Evidence
from strop.report.unlabeled import NOUNS, figure_name, unlabeled_words
from strop.report.verdict import ordered, percent, ratio, settings, target_name

OUTCOMES = {
    "chosen": "Every gate passed: what must hold and every goal.",
    "provisional": "Every must that could be measured holds, but a goal was not reached or something could not be measured. "
    "It is the best there is: fit to use if you accept that.",
    "none": "No version meets everything that must hold, so nothing was packed.",
}


class Watch(Noun):
    """One thing to monitor: what this run found, and from where on to be alarmed."""

    what: str
    here: str
    alarm: str
    how: str


def gate_words(gate: Gate) -> str:
    """`accuracy kept ≥ 95 %`."""
    if gate == VALID:
        return VALID_LABEL
    sign = "≥" if gate.direction == "at_least" else "≤"
    return f"{label_of(gate.metric)} {sign} {bound(gate)}"


def bound(gate: Gate) -> str:
    """The bound with its unit."""
    form = form_of(gate.metric)
    if form == "share":
        return f"{100 * gate.bound:.12g} %"
    return f"{gate.bound:.12g}{'×' if form == 'times' else ''}"


def gate_figure(result: GateResult) -> str:
    """The figure that was judged, with its interval, or why there is none."""
    if result.figure is None or result.result == "NOT APPLICABLE":
        return result.reason
    form = form_of(result.gate.metric)
    if form == "share":
        return percent(result.figure)
    return ratio(result.figure, "×" if form == "times" else "")


def trade_offs(outcome: Outcome) -> list[str]:
    """What the choice gives up or leaves open, a sentence each; empty where nothing was chosen.

    Example:
        >>> for sentence in trade_offs(outcome):
        ...     print(sentence)
        No loss of accuracy can be seen, and a loss of more than 1.0% of it is unlikely.
    """
    chosen = outcome.chosen
    if chosen is None:
        return []
    parts = [
        _faster(outcome, chosen), _accuracy(outcome, chosen), _memory(outcome, chosen), _size(outcome, chosen),
        _load(outcome, chosen),        _cores(chosen), _missed(chosen),
    ]  # fmt: skip
    return [part for part in parts if part]


def _faster(outcome: Outcome, chosen: Result) -> str:
    if outcome.place != "here":
        return f"Nobody has timed it on {target_name(outcome)}: whether it is faster there is open. Measure it there."
    mine = chosen.speedup
    others = [r for r in ordered(outcome) if r.name != chosen.name and r.speedup is not None]
    if not others:
        return "Nothing else could be timed, so it is not known whether another version is faster."
    above = [r for r in others if mine is not None and r.speedup is not None and r.speedup.value > mine.value]
    if not above:
        return "Nothing that was measured is faster by value than the choice."
    fastest = above[0]
    return f"{fastest.name} looks faster ({ratio(fastest.speedup, '×')}) and was not chosen: {_why_not(outcome, fastest)}."


def _why_not(outcome: Outcome, other: Result) -> str:
    if other.status != "measured":
        return other.reason or other.status
    if other.confirmation is None and other.name != outcome.baseline:
        return "its figure is from the search alone, which is too rough to decide by"
    lost = [r for r in (other.verdict.results if other.verdict else ()) if r.gate.kind == "must" and r.result != "PASS"]
    if lost:
        return "it does not pass " + ", ".join(gate_words(r.gate) for r in lost)
    choice = outcome.choice
    if choice is not None and other.name in choice.tied:
        return "the two cannot be told apart by score, and then less memory decides, then the safer recipe"
    costs = "memory, accuracy or throughput" if counts(outcome.gates, outcome.weights) else "memory or accuracy"
    return f"with the weights that were asked for, what it costs in {costs} counts for more, or it meets fewer goals"


def _accuracy(outcome: Outcome, chosen: Result) -> str:
    kept = chosen.retained
    if kept is None:
        return "Accuracy was not measured: no labeled data were given. Measure it before you deploy."
    name = NOUNS.get(outcome.task.metric, "accuracy")
    if outcome.task.metric == "difference" and chosen.name != outcome.baseline:
        return f"How right it is nobody knows; its answers are near the given model's: {unlabeled_words(outcome, chosen)}."
    if chosen.name == outcome.quality_reference:
        return "Accuracy is that of the given model: the choice is the given model itself."
    if kept.high < 1:
        return f"Some {name} was given up: {percent(kept)} is kept."
    if kept.low > 1:
        return f"On these data {name} is even better than the baseline's: {percent(kept)}. Take it as no loss."
    if kept.low == kept.high:
        return f"No {name} was lost on these data."
    return f"No loss of {name} can be seen, and a loss of more than {max(0.0, 1 - kept.low):.1%} of it is unlikely."


def _memory(outcome: Outcome, chosen: Result) -> str:
    if outcome.place != "here":
        return ""
    memory = chosen.memory_ratio
    if memory is None:
        return "Memory could not be measured here."
    whole = f"; {words}" if (words := memory_words(outcome, chosen.name)) else ""
    if memory.high < 1:
        return f"The model's part of the memory is less: {ratio(memory, '×')} of the baseline's{whole}."
    if memory.low > 1:
        return f"The model's part of the memory is more: {ratio(memory, '×')} of the baseline's{whole}."
    return "" if memory.low == memory.high else f"Memory cannot be told apart from the given model's: {ratio(memory, '×')}."


def _size(outcome: Outcome, chosen: Result) -> str:
    artifact, given = chosen.candidate.artifact, outcome.model.artifact
    if artifact is None or not given.bytes or artifact.digest == given.digest:
        return ""
    return f"The model files take {artifact.bytes / 1e6:.2f} MB instead of {given.bytes / 1e6:.2f} MB."


def _load(outcome: Outcome, chosen: Result) -> str:
    before = outcome.result(outcome.baseline)
    if not chosen.memory or not before.memory or chosen.name == before.name:
        return ""
    mine, theirs = (r.memory[0].load_s + r.memory[0].first_inference_s for r in (chosen, before))
    if mine <= 1.5 * theirs or mine - theirs < 0.1:
        return ""
    return f"It takes longer until the first answer: {mine:.2f} s to load and run once, the baseline {theirs:.2f} s."


def _cores(chosen: Result) -> str:
    if chosen.candidate.recipe.settings.get("spinning") is True:
        return "Its threads spin while they wait for work: they keep cores busy between calls, which others on the machine feel."
    return ""


def _missed(chosen: Result) -> str:
    missed = chosen.verdict.missed if chosen.verdict is not None else ()
    said = [f"{gate_words(r.gate)} ({r.gate.kind} {word(r)}; found {gate_figure(r)})" for r in missed]
    return f"Did not pass: {'; '.join(said)}." if said else ""


def deployment(outcome: Outcome, evidence: Evidence) -> list[tuple[str, str]]:
    """What the choice needs where it is to run: (what, value). Empty where nothing was chosen."""
    chosen = outcome.chosen
    if chosen is None:
        return []
    recipe, env = chosen.candidate.recipe, outcome.environment
    threads = recipe.settings.get("threads")
    measured = ", as measured" if outcome.place == "here" else ""
    return [
        ("Runtime", recipe.runtime),
        ("Pinned packages", ", ".join(evidence.requirements) or "see requirements.txt in the bundle"),
        ("Session settings", settings(chosen)),
        ("Threads", f"{threads}{measured}" if threads is not None else "the runtime's default"),
        ("Batch size", f"{outcome.task.workload.batch}{measured}"),
        *([] if outcome.place == "here" else [("Target", f"{target_name(outcome)}: not measured there")]),
        (
            "Measured on" if outcome.place == "here" else "Answers judged on",
            f"{env.cpu}, {env.cores} cores, {env.threads} of them in the budget",
        ),
        ("Elsewhere", "on another CPU, runtime version or thread count measure again: the order of candidates may change"),
    ]


def commands(outcome: Outcome) -> list[str]:
    """Shell lines that deploy the bundle, from the folder that holds it; empty where nothing was packed."""
    if outcome.chosen is None:
        return []
    if outcome.task.language is not None:
        last = 'python bundle/infer.py --prompt "TEXT"'
        return ["strop bundle verify bundle", "python -m pip install -r bundle/requirements.txt", last]
    return [
        "strop bundle verify bundle",
        "python -m pip install -r bundle/requirements.txt",
        "python bundle/infer.py INPUTS.npz OUTPUTS.npz",
    ]


def python_lines(outcome: Outcome) -> list[str]:
    """The same from Python, with the model's own input names; run with the bundle's folder on the path."""
    if outcome.chosen is None:
        return []
    if outcome.task.language is not None:
        return ["from infer import load", 'print("".join(load("bundle").generate("TEXT", tokens=64)))']
    feed = ", ".join(f"{spec.name!r}: array{number or ''}" for number, spec in enumerate(outcome.model.inputs))
    return [
        "from infer import load",
        'model = load("bundle")',
        f"outputs = model.run({{{feed}}})  # arrays of shape [examples, ...]",
    ]


def watch(outcome: Outcome, evidence: Evidence) -> list[Watch]:
    """What to monitor once the choice is deployed, with this run's figures as thresholds. Empty where nothing was chosen."""
    chosen = outcome.chosen
    if chosen is None:
        return []
    return [*_watch_accuracy(outcome, chosen), *_watch_latency(outcome, chosen), *_watch_memory(chosen), *_watch_inputs(evidence)]


def _watch_accuracy(outcome: Outcome, chosen: Result) -> list[Watch]:
    how = "score a labeled sample of live inputs, of at least as many examples as here, at regular times"
    before, kept = outcome.result(outcome.quality_reference).accuracy, chosen.retained
    if chosen.accuracy is None or before is None or kept is None:
        return [Watch(what="accuracy", here="not measured", alarm="measure it first, then set one", how=how)]
    gate = next((g for g in outcome.gates if g.metric == "accuracy_retained"), None)
    here = f"{outcome.task.metric} {chosen.accuracy:.4f} on {chosen.examples} examples"
    if outcome.task.metric in NOUNS:
        least = gate.bound if gate is not None else kept.low
        how = "run the given model too on a sample of live inputs, and compare the answers as here"
        here = f"{figure_name(outcome.task.metric)} {chosen.accuracy:.4f} on {chosen.examples} examples"
        alarm = f"above {1 - least:.4g}" if outcome.task.metric == "difference" else f"below {least:.4g}"
        return [Watch(what=NOUNS[outcome.task.metric], here=here, alarm=alarm, how=how)]
    if outcome.task.metric == "perplexity" or kept_of(outcome.task.metric) == "inverse":
        share = gate.bound if gate is not None and gate.bound else kept.low
        return [Watch(what="accuracy", here=here, alarm=f"above {before / max(share, 1e-9):.4g}", how=how)]
    share = gate.bound if gate is not None else kept.low
    if kept_of(outcome.task.metric) == "complement":
        return [Watch(what="accuracy", here=here, alarm=f"above {1 - (1 - before) * share:.4g}", how=how)]
    least = before * share
    return [Watch(what="accuracy", here=here, alarm=f"below {least:.4g}", how=how)]


def _watch_latency(outcome: Outcome, chosen: Result) -> list[Watch]:
    how = "time the call itself, on the same kind of machine, over at least 700 calls"
    latency = latency_ms(outcome, chosen.name)
    if P50 not in latency:
        return [Watch(what="latency", here="not measured", alarm="measure it first, then set one", how=how)]
    p50, figure = latency[P50], chosen.speedup
    slower = figure.value / figure.low if figure is not None and figure.low > 0 else 1.0
    parts = [Watch(what="typical latency (p50)", here=f"{p50:.3g} ms", alarm=f"above {p50 * max(1.1, slower):.3g} ms", how=how)]
    tail = next((f"p{p}" for p in (99, 95, 90) if f"p{p}" in latency), None)
    if tail is not None:
        gate = next((g for g in outcome.gates if g.metric == "tail_ratio"), None)
        usual = latency[tail] / p50
        most = usual * (gate.bound if gate is not None else 1.5)
        parts.append(
            Watch(what=f"slow calls ({tail}/p50)", here=f"{usual:.2f} ({tail} {latency[tail]:.3g} ms)",
                  alarm=f"above {most:.2f}", how=how)
        )  # fmt: skip
    return parts


def _watch_memory(chosen: Result) -> list[Watch]:
    whole = memory_mb(chosen)
    if whole is None:
        return []
    peak = median(m.peak for m in chosen.memory) / MB
    return [
        Watch(what="memory of the process", here=f"{plain(whole.value)} MB resident, {plain(peak)} MB of them the model's part",
              alarm=f"above {1.2 * whole.value:.0f} MB, or growing without end",
              how="resident size (RSS) after some thousand calls")
    ]  # fmt: skip


def _watch_inputs(evidence: Evidence) -> list[Watch]:
    return [
        Watch(
            what=f"input {i.name}",
            here=f"{i.low:.4g} to {i.high:.4g}, mean {i.mean:.4g}, standard deviation {i.deviation:.4g}",
            alarm="values outside the range, or a mean that lies more than a quarter of the standard deviation away: outside "
            f"{i.mean - i.deviation / 4:.4g} to {i.mean + i.deviation / 4:.4g}",
            how=f"the same figures of live inputs, as the model takes them; here over {i.examples} evaluation examples",
        )
        for i in evidence.inputs
    ]


def compared_instead(outcome: Outcome, evidence: Evidence) -> str:
    """Why examples are shown for another candidate than the choice; empty where they are the choice's."""
    found, chosen = evidence.examples, outcome.chosen
    if found is None or (chosen is not None and chosen.name == found.candidate):
        return ""
    why = "Nothing was chosen" if chosen is None else "No step changed the model that was chosen"
    return f"{why}, so the fastest candidate that a step did change is shown."


def percentage_points(before: float, after: float) -> str:
    """`+0.25 points` of a share."""
    return f"{100 * (after - before):+.2f} points"
