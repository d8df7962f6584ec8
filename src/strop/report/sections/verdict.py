"""The verdict: what to use, what it brings, and its gates."""

from strop.core import amounts, judged
from strop.core.candidate import Result
from strop.core.outcome import Outcome
from strop.core.verdict import Interval
from strop.report import advice
from strop.report.blocks import (
    PAGE,
    READ,
    TERMINAL,
    Block,
    Card,
    Cards,
    Fold,
    Heading,
    Mark,
    Marks,
    Medium,
    Notes,
    Section,
    Sentence,
    Span,
    Words,
    strong,
    why,
)
from strop.report.candidates import speed_cell
from strop.report.evidence import Evidence
from strop.report.parts import DASH, percent_cell
from strop.report.sections import Part
from strop.report.unlabeled import kept_name, unlabeled_words
from strop.report.verdict import (
    cleanup_words,
    model_name,
    possible,
    ratio,
    remarks,
    settings,
    target_name,
    three_lines,
)

FIRST: tuple[Medium, ...] = ("markdown", *TERMINAL)
WORDS: tuple[str | Span, ...] = (
    strong("Tuned baseline"), ": the given model, unquantized, with the settings found best here; of a language model, in the "
    "runtime found fastest. Every speed-up is over it, so that a bad default does not look like a gain. ", strong("Must"),
    ": a gate that has to pass. ", strong("Goal"), ": one to reach. ", strong("Interval"), ": the range in which the true "
    "figure lies in 95 of 100 such runs. A gate passes only if the whole interval is on the right side of its bound; if the "
    "interval holds the bound, the gate stays open.",
)  # fmt: skip


def make(outcome: Outcome, evidence: Evidence) -> Section:
    chosen, lines = outcome.chosen, three_lines(outcome)
    notes = tuple(note for note in (possible(outcome), *remarks(outcome)) if note)
    blocks: list[Block] = [
        *(Sentence(line, where=FIRST) for line in lines),
        *_doubt(outcome),
        Sentence(_lead(outcome), "lead"),
        *(_choice(outcome, chosen) if chosen is not None else ()),
        Fold("The verdict in three lines", tuple(map(Sentence, lines)), open=chosen is None, where=PAGE),
        why("What do these words mean?", WORDS),
        *((Heading("Notes of this run"), Notes(notes, where=READ)) if notes else ()),
    ]
    return Section("verdict", "Verdict", tuple(blocks), headline=_headline(outcome), status=outcome.outcome)


SECTION = Part(10, make)


def _doubt(outcome: Outcome) -> tuple[Block, ...]:
    """A must that nobody could measure comes before everything else; the three lines say so elsewhere."""
    chosen = outcome.chosen
    where = "" if outcome.place == "here" else target_name(outcome)
    said = judged.unmeasured_words(chosen, where) if chosen is not None else ""
    return (Sentence((strong(f"{said[0].upper()}{said[1:]}."),), where=PAGE),) if said else ()


def _lead(outcome: Outcome) -> Words:
    tried = sum(r.status != "not reached" for r in outcome.results)
    target = outcome.target
    where: tuple[str | Span, ...] = (
        (" on this machine",) if outcome.place == "here" or target is None else (" for ", strong(target.title or target.name))
    )
    said = f". {_timed(outcome, tried)} {_scored(outcome)} {advice.OUTCOMES[outcome.outcome]}"
    return (f"Strop tried {tried} versions of ", strong(model_name(outcome)), *where, said)


def _timed(outcome: Outcome, tried: int) -> str:
    if outcome.place != "here":
        return f"Nothing was timed for {target_name(outcome)}, which is not this machine."
    count = sum(r.speedup is not None for r in outcome.results if r.name != outcome.baseline)
    noisy = sum(r.noisy is not None for r in outcome.results)
    count, rough = count + noisy, f" {noisy} of these figures are rough, since the machine was busy." if noisy else ""
    unreached = len(outcome.results) - tried
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
    if chosen.name != outcome.baseline:
        return f"Use {chosen.name}"
    if chosen.candidate.recipe.steps:
        return f"Use {chosen.name}: the given model, {'cleaned up and ' if chosen.candidate.recipe.cleaned else ''}unquantized"
    return f"Keep the given model, with tuned settings: {chosen.name}"


def _choice(outcome: Outcome, chosen: Result) -> list[Block]:
    """How to run it, its figures, and its gates."""
    results = chosen.verdict.results if chosen.verdict is not None else ()
    marks = tuple(
        Mark(judged.mark(g), judged.look(g), advice.gate_words(g.gate), f"{g.gate.kind} · {advice.gate_figure(g)}")
        for g in results
    )
    return [
        Sentence(("Run it in ", strong(chosen.candidate.recipe.runtime), f" with {settings(chosen)}."), "run-in"),
        Cards((_speed(outcome, chosen), _kept(outcome, chosen), _memory(outcome, chosen))),
        Heading("Gates"),
        Marks(marks),
    ]


def _speed(outcome: Outcome, chosen: Result) -> Card:
    speed, same = speed_cell(chosen), chosen.name == outcome.baseline
    pace = (
        "It is the given model, with its export cleaned up."
        if same and chosen.candidate.recipe.cleaned
        else "It is the given model itself."
        if same
        else f"Unmeasured on {target_name(outcome)}."
        if outcome.place != "here"
        else f"of the tuned baseline's speed, on the same cores.{_unclear(chosen.speedup)}"
    )
    beside = [amounts.latency_words(outcome, chosen.name), amounts.rate_words(outcome, chosen.name)]
    pace += f" {said}." if outcome.place == "here" and (said := "; ".join(part for part in beside if part)) else ""
    today = f" Against the model as it runs today: {ratio(outcome.against_as_is, '×')}." if outcome.against_as_is else ""
    today += f" {words[0].upper()}{words[1:]}." if (words := cleanup_words(outcome)) else ""
    interval = speed.below if chosen.noisy or not speed.below else f"95 % interval: {speed.below}"
    return Card("Speed", speed.text, interval, pace + today)


def _kept(outcome: Outcome, chosen: Result) -> Card:
    kept, name = percent_cell(chosen.retained), kept_name(outcome.task.metric)
    right = _accuracy_words(outcome, chosen) if chosen.retained else "Not measured: no labeled data were given."
    return Card(name[0].upper() + name[1:], kept.text, f"95 % interval: {kept.below}" if kept.below else "", right)


def _memory(outcome: Outcome, chosen: Result) -> Card:
    whole, before = amounts.memory_mb(chosen), amounts.memory_mb(outcome.result(outcome.baseline))
    if outcome.place != "here" or whole is None:
        here = outcome.place == "here"
        return Card("Memory", DASH, "", "Not measured here." if here else f"Unmeasured on {target_name(outcome)}.")
    same = before is None or chosen.name == outcome.baseline
    room = "resident in the whole process, runtime included"
    room += "." if same or before is None else f"; the baseline has {_mb(before)}."
    part = chosen.memory_ratio
    room += f" The model's part is {ratio(part, '×')} of the baseline's.{_unclear(part)}" if part is not None and not same else ""
    spread = "" if whole.low == whole.high else f"range of repeats: {whole.low:.4g} to {whole.high:.4g}"
    return Card("Memory", _mb(whole), spread, room)


def _mb(figure: Interval) -> str:
    return f"{amounts.plain(figure.value)} MB"


def _unclear(figure: Interval | None) -> str:
    """A warning where the interval holds 1."""
    if figure is None or figure.low == figure.high or not figure.low <= 1 <= figure.high:
        return ""
    return " The interval holds 1: no difference can be seen."


def _accuracy_words(outcome: Outcome, chosen: Result) -> str:
    unlabeled = unlabeled_words(outcome, chosen)
    if unlabeled is not None:
        return f"On {chosen.examples} examples: {unlabeled}."
    if chosen.accuracy is None:
        return "of the given model's."
    before = outcome.result(outcome.quality_reference).accuracy
    was = f"; the given model has {before:.4g}" if before is not None and chosen.name != outcome.quality_reference else ""
    return f"of the given model's. {outcome.task.metric} is {chosen.accuracy:.4g} on {chosen.examples} examples{was}."
