"""The verdict in three lines, and the words that all reports share."""

import math

from strop.core import amounts, judged
from strop.core.candidate import Result, Timing
from strop.core.gate_metrics import METRICS, QUESTIONS
from strop.core.measurement import Company
from strop.core.outcome import CleanUp, Noise, Outcome
from strop.core.prospects import Untimed
from strop.core.verdict import SETTLED, Gate, Interval, inverse
from strop.report import throughput
from strop.report.unlabeled import kept_name, unlabeled_words

SPEED = "×"
NOT_REPRESENTATIVE = "not representative"
NOISY, BY_CPU_TIME = "(noisy)", "(by CPU time)"


def ratio(figure: Interval | None, unit: str = "", digits: int = 3) -> str:
    """`2.06× [2.01, 2.11]`; a dash where unmeasured."""
    if figure is None:
        return "–"
    value, low, high = (f"{x:.{digits}g}" for x in (figure.value, figure.low, figure.high))
    return f"{value}{unit}" if figure.low == figure.high else f"{value}{unit} [{low}, {high}]"


def rough(figure: Interval | None, unit: str = SPEED) -> str:
    """`~2.06× noisy`: a figure that ranks and decides nothing."""
    return f"~{figure.value:.3g}{unit} {NOISY}" if figure is not None else "–"


def speed(result: Result, unit: str = SPEED) -> str:
    """A candidate's speed-up; marked where the machine was too busy for one by wall time; or why there is none."""
    if result.candidate.recipe.unrepresentative:
        return NOT_REPRESENTATIVE
    if result.noisy is not None:
        return rough(result.noisy, unit)
    return f"{ratio(result.speedup, unit)}{f' {BY_CPU_TIME}' if result.by_cpu_time else ''}"


def by_clock(figure: Interval | None, of: Timing | Noise | None) -> str:
    """A speed-up, and what it was taken by where that is not wall time."""
    return f"{ratio(figure, SPEED)}{f' {BY_CPU_TIME}' if of is not None and of.clock == 'CPU time' else ''}"


def company_lines(company: Company, began: bool = False) -> tuple[str, ...]:
    """Who else uses the machine, and what the run makes of it.

    Args:
        began: whether that was when the run began, which is resumed or read now.
    """
    named = f" ({', '.join(company.processes)})" if company.processes else ""
    when, use = ("The machine was busy when this run began", "used") if began else ("The machine is busy", "use")
    first = f"{when}: other processes {use} {company.cores:.1f} cores{named}; disturbed measurements are repeated."
    threads = f"{company.threads} thread{'' if company.threads == 1 else 's'}"
    again = "--fresh on a quieter machine takes all cores" if began else "--threads N overrides this"
    return (first, f"Timed at {threads}, fewer than there are cores; {again}.") if company.fewer else (first,)


def percent(figure: Interval | None) -> str:
    if figure is None:
        return "–"
    if figure.low == figure.high:
        return f"{figure.value:.1%}"
    return f"{figure.value:.1%} [{figure.low:.1%}, {figure.high:.1%}]"


def model_name(outcome: Outcome) -> str:
    """The given model's file name, or its folder's where the file is called alike in all of them."""
    folder, _, name = outcome.model.artifact.path.rpartition("/")
    return folder.rpartition("/")[2] if name == "config.json" and folder else name


def ordered(outcome: Outcome) -> list[Result]:
    """Chosen first, then by speed-up, then what has none."""
    chosen = outcome.chosen

    def key(result: Result) -> tuple[bool, bool, float]:
        figure = result.speedup or result.noisy
        return (
            chosen is None or result.name != chosen.name,
            figure is None,
            -(figure.value if figure is not None else 0),
        )

    return sorted(outcome.results, key=key)


def three_lines(outcome: Outcome) -> tuple[str, str, str]:
    """What to do, what it brings, what to mind."""
    chosen = outcome.chosen
    where = "" if outcome.place == "here" else f" for {target_name(outcome)}"
    if chosen is None:
        return (
            f"none{where}: no candidate meets every must.",
            " ".join(part for part in (_nearest(outcome), possible(outcome)) if part),
            "Nothing was packed; report.json and report.md say what was tried and why each failed.",
        )
    if outcome.place != "here":
        return _elsewhere(outcome, chosen)
    same = chosen.name == outcome.baseline
    what = kept_words(chosen) if same else f"use {chosen.name}"
    doubt = since(judged.unmeasured_words(chosen))
    first = f"{outcome.outcome}{doubt}: {what} ({chosen.candidate.recipe.runtime}, {settings(chosen)})."
    over = f"{ratio(outcome.against_as_is, SPEED)} over the model as it runs today" if outcome.against_as_is else ""
    pace = f"{speed(chosen)} the speed of the tuned baseline" if not same else "It is the tuned baseline itself"
    pace += bracketed(amounts.latency_words(outcome, chosen.name), quick_words(outcome, chosen))
    accuracy = "accuracy unmeasured" if chosen.retained is None else f"{percent(chosen.retained)} of the accuracy kept"
    accuracy = unlabeled_words(outcome, chosen) or accuracy
    accuracy = language_words(outcome, chosen) if outcome.task.language is not None else accuracy
    memory = memory_words(outcome, chosen)
    second = (
        "; ".join(
            part for part in (pace, over, cleanup_words(outcome), throughput.words(outcome, chosen), memory, accuracy) if part
        )
        + "."
    )
    return first, second, " ".join(part for part in (_mind(outcome, chosen), possible(outcome)) if part)


def bracketed(*parts: str) -> str:
    """What stands beside a figure; nothing where there is nothing."""
    said = "; ".join(part for part in parts if part)
    return f" ({said})" if said else ""


def memory_words(outcome: Outcome, chosen: Result) -> str:
    """The whole process in MB, and of another than the baseline the model's part of that over the baseline's."""
    whole, part = amounts.memory_words(outcome, chosen.name), chosen.memory_ratio
    differs = part is not None and chosen.name != outcome.baseline
    beside = f"the model's part of the memory {ratio(part, SPEED)}" if differs else ""
    return "; ".join(said for said in (whole, beside) if said) or "memory unmeasured"


def quick_words(outcome: Outcome, chosen: Result) -> str:
    """Examples a second, unless they are told with what else there is to say of the throughput, or of a language model."""
    told = outcome.task.language is not None or throughput.wanted(outcome)
    return "" if told else amounts.rate_words(outcome, chosen.name)


def kept_words(baseline: Result) -> str:
    """What to do where the choice is the tuned baseline: its files may be others than those given, cleaned up, or a language
    model's converted to another runtime."""
    if baseline.candidate.recipe.cleaned:
        return f"use {baseline.name}, the given model cleaned up and unquantized"
    if baseline.candidate.recipe.steps:
        return f"use {baseline.name}, the given model unquantized"
    return "keep the given model with tuned settings"


def cleanup_words(outcome: Outcome) -> str:
    """What cleaning up the export brings alone, where the baseline has it and no speed-up over it counts that."""
    found = outcome.cleanup
    if found is None or not found.taken:
        return ""
    return f"cleaning up the export alone gives {cleanup_speed(found)}, which the baseline includes"


def cleanup_speed(found: CleanUp) -> str:
    """Its speed over the given file, marked where that is not by wall time."""
    by = f" {BY_CPU_TIME}" if found.clock == "CPU time" and found.speedup is not None else ""
    return f"{ratio(found.speedup, SPEED)}{by}" if found.speedup is not None else rough(found.rough)


def _cleanup_remark(outcome: Outcome) -> tuple[str, ...]:
    """Where the baseline is the given file though a cleaned-up one was timed."""
    found = outcome.cleanup
    if found is None or found.taken:
        return ()
    return (f"Cleaning up the export alone ({found.name}) gives {cleanup_speed(found)}: the baseline is the file as given.",)


def language_words(outcome: Outcome, chosen: Result) -> str:
    """What the choice keeps of a language model, and its pace."""
    found, kept, pace, same = perplexity_ratio(chosen), chosen.quality, amounts.DECODE, chosen.name == outcome.quality_reference
    if same and chosen.accuracy is not None:
        parts = [f"perplexity {chosen.accuracy:#.4g}"]
    else:
        parts = [
            f"{ratio(found, SPEED, digits=4)} the given model's perplexity" if found is not None else "perplexity unmeasured"
        ]
    if "kl" in kept and "same_top" in kept and not same:
        parts.append(
            f"divergence {kept['kl'].value:.2g} nats, the same likeliest token at {kept['same_top'].value:.1%} of the positions"
        )
    if pace in chosen.pace and outcome.place == "here":
        before = outcome.result(outcome.baseline).pace.get(pace)
        beside = f" (baseline {amounts.plain(before)})" if before is not None and chosen.name != outcome.baseline else ""
        texts = f", {outcome.task.workload.batch} texts together" if outcome.task.workload.batch > 1 else ""
        parts.append(f"writes {amounts.plain(chosen.pace[pace])} tokens a second{texts}{beside}")
    return "; ".join(parts)


def perplexity_ratio(result: Result) -> Interval | None:
    """A language model's perplexity over the reference's: what is retained, upside down."""
    kept = result.retained
    return None if kept is None or kept.low <= 0 else inverse(kept)


def target_name(outcome: Outcome) -> str:
    """The device that the run was for."""
    return outcome.target.name if outcome.target is not None else "this machine"


def status_of(outcome: Outcome, result: Result) -> str:
    """How far a candidate got, in a word; for a device that is not this machine nothing is measured, only judged."""
    return "judged" if outcome.place != "here" and result.status == "measured" else result.status


def is_judged(outcome: Outcome, result: Result) -> bool:
    """Whether a candidate's gates are worth a table: the finalists, the baseline and the choice."""
    chosen = outcome.choice is not None and result.name == outcome.choice.name
    return result.confirmation is not None or chosen or result.name == outcome.baseline


def _elsewhere(outcome: Outcome, chosen: Result) -> tuple[str, str, str]:
    """The three lines of a run for a device that is not this machine."""
    target = target_name(outcome)
    doubt = since(judged.unmeasured_words(chosen, target))
    first = f"{outcome.outcome} for {target}{doubt}: use {chosen.name} ({chosen.candidate.recipe.runtime}, {settings(chosen)})."
    accuracy = (
        "accuracy unmeasured" if chosen.retained is None else f"{percent(chosen.retained)} of the accuracy kept, judged here"
    )
    unlabeled = unlabeled_words(outcome, chosen)
    accuracy = f"{unlabeled}, judged here" if unlabeled is not None else accuracy
    accuracy = f"{language_words(outcome, chosen)}, judged here" if outcome.task.language is not None else accuracy
    size = f"; {chosen.candidate.artifact.bytes / 1e6:.2f} MB on disk" if chosen.candidate.artifact is not None else ""
    held = chosen.imitated
    pace = f"; imitated speed {ratio(held.speedup, SPEED)} over {held.over}, which decides nothing" if held is not None else ""
    second = f"Speed, memory and energy are unmeasured on {target}; {accuracy}{size}{pace}."
    waiting = [str(r.gate) for r in (chosen.verdict.results if chosen.verdict else ()) if r.elsewhere]
    third = f"Open until measured on {target}: {', '.join(waiting)}." if waiting else ""
    same = "Nothing was changed: it is the given model." if chosen.name == outcome.baseline else ""
    return first, second, " ".join(part for part in (same, third) if part)


def since(doubt: str) -> str:
    """What comes first in a verdict: that it rests on less than was asked for."""
    return f", since {doubt}" if doubt else ""


BESIDE_SHAPES = ("axes", "crop", "mask")
"""Settings that say the same as `shapes`, or how answers are cropped."""


def settings(result: Result) -> str:
    """Runtime settings in a few words."""
    shown = {k: v for k, v in result.candidate.recipe.settings.items() if k not in BESIDE_SHAPES}
    pairs = [f"{k}={str(v).lower()}" for k, v in shown.items()]
    return ", ".join(pairs) or "default settings"


def _mind(outcome: Outcome, chosen: Result) -> str:
    first = judged.unmeasured_musts(chosen)
    rest = [r for r in (chosen.verdict.results if chosen.verdict is not None else ()) if r not in first]
    said = judged.missed_words(rest)
    if all(r.result in SETTLED for r in rest):
        said = f"Every {'other ' if said or first else ''}gate passed. {said}".strip()
    said = f"{said}{_passed_over(outcome)}" if chosen.name == outcome.baseline else said
    return f"{said}{_busy(outcome)}"


def _busy(outcome: Outcome) -> str:
    """What company on the machine did to the figures."""
    parts = []
    if outcome.noise.speedup is None and not hasty(outcome):
        parts.append(
            "The machine was too busy to time reliably: speed-ups are rough and decide no gate; --fresh measures again on a "
            "quieter machine."
        )
    elif outcome.noise.clock == "CPU time" and not hasty(outcome):
        parts.append(
            "The machine was too busy for wall time: speed-ups are by CPU time, which ranks and decides no gate; "
            "--fresh measures again on a quieter machine."
        )
    elif outcome.chosen is not None and outcome.chosen.noisy is not None:
        parts.append("The machine was too busy to time it reliably: its speed-up is rough and decides no gate.")
    elif outcome.chosen is not None and outcome.chosen.by_cpu_time:
        parts.append("The machine was too busy for wall time: its speed-up is by CPU time and decides no gate.")
    if outcome.company is not None and outcome.company.fewer:
        parts.append(
            f"Timed at {outcome.company.threads} of {outcome.environment.cores} cores, since other processes kept "
            f"{outcome.company.cores:.1f} of them busy."
        )
    return "".join(f" {part}" for part in parts)


def hasty(outcome: Outcome) -> bool:
    """Whether it was the budget, not the machine, that left out the baseline's comparison with itself."""
    savings = outcome.budget.left_out if outcome.budget is not None else ()
    return any(saving.what in ("self-comparison", "confirmation") for saving in savings)


def _passed_over(outcome: Outcome) -> str:
    """Where nothing but the given model is left: the fastest finalist, unless it is slower, and the musts that kept it from being
    chosen."""
    finalists = [r for r in ordered(outcome) if r.confirmation is not None and r.name != outcome.baseline and r.verdict]
    for result in finalists:
        kept = [g for g in (result.verdict.results if result.verdict else ()) if g.gate.kind == "must" and g.result != "PASS"]
        figure = result.speedup or result.noisy
        if kept and (figure is None or figure.value > 1):
            return f" Not chosen: {result.name}, {speed(result)}. {judged.missed_words(kept)}"
    return ""


def possible(outcome: Outcome) -> str:
    """The fastest candidate that only an open must on its answers keeps from the choice, and what would settle it."""
    if not outcome.prospects:
        return ""
    found, language = outcome.prospects[0], outcome.task.language is not None
    gate, figure = found.gate, found.figure
    share = gate.metric in ("accuracy_retained", "task_retained")
    kept = kept_name(outcome.task.metric)
    of_what = f"{percent(figure)} of the accuracy" if kept == "accuracy kept" else f"{kept} of {percent(figure)}"
    of_what = f"{percent(figure)} of the right answers" if gate.metric == "task_retained" else of_what
    shown = of_what if share else f"{gate.metric} {ratio(figure)}"
    more = "questions" if METRICS[gate.metric].needs == QUESTIONS else "text" if language else "evaluation examples"
    unsure = "" if found.confirmed else " (speed by the search, not confirmed)"
    sign = ">=" if gate.direction == "at_least" else "<="
    accept = f", or accept it: --must '{gate.metric}{sign}{reached(gate, figure)}'"
    return (
        f"{found.speedup.value:.3g}× would be possible with {found.candidate}{unsure} if {shown} is enough: "
        f"give more {more}{accept}."
    )


def reached(gate: Gate, figure: Interval) -> str:
    """The strictest round bound that the whole interval meets: two decimals, more where the figure is small."""
    worst, toward = (figure.low, math.floor) if gate.direction == "at_least" else (figure.high, math.ceil)
    decimals = 2 if abs(worst) >= 0.1 or worst == 0 else 1 - math.floor(math.log10(abs(worst)))
    return f"{toward(round(worst * 10**decimals, 6)) / 10**decimals:g}"


def untimed_words(found: Untimed) -> str:
    """A setting of the baseline that is left out of the denominator."""
    return (
        f"Baseline setting {found.name} may be faster (rough p50 {found.p50_ms:.3g} against {found.baseline_p50_ms:.3g} ms) but "
        f"could not be timed: the speed-up may be overstated."
    )


def remarks(outcome: Outcome) -> tuple[str, ...]:
    """The notes of the run, those first that bear on its figures."""
    return (*map(untimed_words, outcome.untimed), *_cleanup_remark(outcome), *outcome.notes)


def _nearest(outcome: Outcome) -> str:
    """The candidate that fails the fewest musts, and what it fails."""
    judged = [
        (r, [g for g in r.verdict.results if g.gate.kind == "must" and g.result != "PASS"]) for r in outcome.results if r.verdict
    ]
    ranking = outcome.advice.ranking if outcome.advice is not None else ()
    if outcome.place != "here" and ranking and all(r.blocked for r in ranking):
        return f"No framework of Strop's runs it on {target_name(outcome)}: {ranking[0].title}: {ranking[0].blocked}."
    near = [entry for entry in judged if entry[0].status == "measured"]
    if not near:
        return "No candidate could be measured."
    result, failed = min(near, key=lambda entry: len(entry[1]))
    return f"Nearest: {result.name}: " + "; ".join(f"{g.gate}: {g.reason}" for g in failed) + "."
