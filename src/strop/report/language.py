"""A language model's figures, once for page, Markdown and JSON: quality, size, pace, and what each candidate writes. Pure."""

import re
from collections.abc import Iterator, Mapping
from itertools import product, takewhile
from typing import Any

from strop.core.amounts import DECODE, memory_mb
from strop.core.candidate import Result
from strop.core.noun import Noun, Scalar
from strop.core.outcome import Outcome
from strop.core.verdict import Interval, exactly
from strop.report.blocks import Cell, Table
from strop.report.evidence import NO_EVIDENCE, Evidence, Writing
from strop.report.parts import DASH, number_cell, percent_cell, ratio_cell
from strop.report.verdict import NOT_REPRESENTATIVE, ordered, perplexity_ratio

SIZES = {"size": "model files, MB"}
PACES = {"decode": "decode, tokens a second", "speed": "speed-up over the tuned baseline, ×"}
QUALITIES = {"kl": "divergence, nats", "perplexity": "perplexity"}
HIGHER_IS_BETTER = tuple(PACES)
PACE_HEADS = ("prefill tok/s", DECODE, "time to first token, ms", "time per token p50, ms", "time per token p95, ms")
HEAD = ("candidate", "size, MB", "perplexity", "perplexity ratio", "divergence", "divergence p99", "same top")
TASK_HEAD = ("questions right", "of the reference's")
TAIL_HEAD = (*PACE_HEADS, "load, s", "cold start, s", "memory, MB", "what ran")
DOUBT = "†"
STOPS = {"length": "", "end": "ends by itself", "time": "cut short by the time it took"}
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters, and those that turn the direction of all that follows."""


class LanguageRow(Noun):
    """One candidate. `pace` is by the names of `PACE_HEADS`; `ran` is what its session said of itself; None is unmeasured.
    `cold_s` is from nothing to the first token: loading and the first prompt, the runtime imported.

    `doubt` says why its pace here says nothing of the devices that its framework is for; empty where it does.
    """

    candidate: str
    framework: str
    size_mb: float | None
    perplexity: Interval | None
    perplexity_se: float | None
    perplexity_ratio: Interval | None
    kl: Interval | None
    kl_p99: float | None
    same_top: Interval | None
    task_accuracy: Interval | None
    task_retained: Interval | None
    pace: dict[str, float]
    load_s: float | None
    cold_s: float | None
    memory_mb: float | None
    ran: dict[str, Scalar]
    doubt: str


def language_rows(outcome: Outcome, evidence: Evidence) -> list[LanguageRow]:
    """Every candidate whose answers were judged, the choice first; paces only where they are of the target."""
    here = outcome.place == "here"
    return [_row(r, evidence.sessions.get(r.name, {}), here) for r in ordered(outcome) if r.quality or r.accuracy is not None]


def _row(result: Result, ran: dict[str, Scalar], here: bool) -> LanguageRow:
    quality, artifact = result.quality, result.candidate.artifact
    memory = sorted(result.memory, key=lambda m: m.peak)[len(result.memory) // 2] if result.memory and here else None
    known = exactly(result.accuracy) if result.accuracy is not None else None
    return LanguageRow(
        candidate=result.name, framework=result.candidate.recipe.runtime, size_mb=artifact.bytes / 1e6 if artifact else None,
        perplexity=quality.get("perplexity", known), perplexity_se=_value(quality.get("perplexity_se")),
        perplexity_ratio=perplexity_ratio(result), kl=quality.get("kl"), kl_p99=_value(quality.get("kl_p99")),
        same_top=quality.get("same_top"), task_accuracy=quality.get("task_accuracy"), task_retained=quality.get("task_retained"),
        pace=result.pace if here else {}, load_s=memory.load_s if memory else None,
        cold_s=memory.load_s + memory.first_inference_s if memory else None,
        memory_mb=resident.value if here and (resident := memory_mb(result)) is not None else None, ran=ran,
        doubt=result.candidate.recipe.unrepresentative,
    )  # fmt: skip


def _value(figure: Interval | None) -> float | None:
    return None if figure is None else figure.value


def language_table(outcome: Outcome, evidence: Evidence) -> Table:
    """The rows as cells; a figure's interval, or its standard error, is the small print."""
    chosen = outcome.chosen.name if outcome.chosen is not None else ""
    asked = outcome.task.language is not None and outcome.task.language.questions > 0
    rows = tuple(_cells(row, row.candidate == chosen, asked) for row in language_rows(outcome, evidence))
    head = (*HEAD, *(TASK_HEAD if asked else ()), *TAIL_HEAD)
    return Table("Quality, size and pace of each candidate", head, rows, numbers=tuple(range(1, len(head) - 1)), sortable=True)


def _cells(row: LanguageRow, chosen: bool, asked: bool) -> tuple[Cell, ...]:
    error = "" if row.perplexity_se is None else f"± {row.perplexity_se:.2g}"
    perplexity = Cell(DASH) if row.perplexity is None else Cell(f"{row.perplexity.value:#.4g}", error, row.perplexity.value)
    return (
        Cell(row.candidate, row.framework, look="chosen" if chosen else ""), plain_cell(row.size_mb), perplexity,
        _near_one(row.perplexity_ratio), ratio_cell(row.kl), number_cell(row.kl_p99), percent_cell(row.same_top),
        *((percent_cell(row.task_accuracy), percent_cell(row.task_retained)) if asked else ()),
        *(_pace_cell(row, name) for name in PACE_HEADS),
        number_cell(row.load_s), number_cell(row.cold_s), number_cell(row.memory_mb, ".4g"), what_ran(row.ran),
    )  # fmt: skip


def _pace_cell(row: LanguageRow, name: str) -> Cell:
    """A pace; one that says nothing has a mark."""
    cell = plain_cell(row.pace.get(name))
    return Cell(f"{cell.text} {DOUBT}") if row.doubt and name in row.pace else cell


def plain_cell(value: float | None) -> Cell:
    """A figure from small to large, without exponents."""
    return number_cell(value, ",.0f" if value is not None and value >= 1000 else ".3g")


def _near_one(figure: Interval | None) -> Cell:
    """A ratio of which the fourth digit is what matters."""
    if figure is None:
        return Cell(DASH)
    spread = "" if figure.low == figure.high else f"{figure.low:.4f} to {figure.high:.4f}"
    return Cell(f"{figure.value:.4f}×", spread, figure.value)


def what_ran(ran: Mapping[str, Scalar]) -> Cell:
    """The CPU variant or device, the precision and the cache's type, as far as the session told them."""
    named = [str(ran[key]) for key in ("device", "variant", "precision") if ran.get(key)]
    return Cell(", ".join(named) or DASH, f"cache {ran['cache']}" if ran.get("cache") else "")


def frontier_table(outcome: Outcome, evidence: Evidence) -> Table:
    """What the plots show, in words: the figures of both axes, and on which frontiers a candidate is."""
    axes = figures_of(outcome, evidence)
    found = frontiers(axes)
    head = ("candidate", "size, MB", "decode tok/s", "speed-up", "divergence", "perplexity",
            "unbeaten by divergence at its", "unbeaten by perplexity at its")  # fmt: skip

    def best(name: str, quality: str) -> Cell:
        words = {"size": "size", "decode": "decode pace", "speed": "speed-up"}
        return Cell(", ".join(word for x, word in words.items() if name in found[f"{x}/{quality}"]) or DASH)

    rows = tuple(
        (Cell(row.candidate, row.framework), plain_cell(row.size_mb), _pace_cell(row, DECODE),
         ratio_cell(axes[row.candidate]["speed"], "×"), ratio_cell(row.kl), ratio_cell(row.perplexity),
         best(row.candidate, "kl"), best(row.candidate, "perplexity"))
        for row in language_rows(outcome, evidence)
    )  # fmt: skip
    return Table("What the plots show; unbeaten: nothing else is at least as good in both and better in one", head, rows,
                 numbers=(1, 2, 3, 4, 5))  # fmt: skip


def figures_of(outcome: Outcome, evidence: Evidence) -> dict[str, dict[str, Interval | None]]:
    """Candidate → its figure on every axis of the plots."""

    def alone(value: float | None) -> Interval | None:
        return None if value is None else exactly(value)

    return {
        row.candidate: {
            "size": alone(row.size_mb), "decode": None if row.doubt else alone(row.pace.get(DECODE)),
            "speed": outcome.result(row.candidate).speedup,
            "kl": row.kl, "perplexity": row.perplexity,
        }
        for row in language_rows(outcome, evidence)
    }  # fmt: skip


def frontiers(axes: Mapping[str, Mapping[str, Interval | None]]) -> dict[str, list[str]]:
    """`x/y` → names that no other beats in both, by value and in the order of x."""
    return {f"{x}/{y}": _undominated(axes, x, y) for x, y in product((*SIZES, *PACES), QUALITIES)}


def _undominated(axes: Mapping[str, Mapping[str, Interval | None]], x: str, y: str) -> list[str]:
    sign = -1 if x in HIGHER_IS_BETTER else 1
    at = {name: (sign * a.value, b.value) for name, of in axes.items() if (a := of[x]) and (b := of[y])}

    def beaten(name: str) -> bool:
        mine = at[name]
        return any(other != mine and other[0] <= mine[0] and other[1] <= mine[1] for other in at.values())

    return sorted((name for name in at if not beaten(name)), key=lambda name: sign * at[name][0])


SAMPLED = "The likeliest continuation of the first tokens of the evaluation windows, beside the reference's."


class Passage(Noun):
    """What one or more candidates wrote alike after a prompt.

    `alike` tokens are the reference's; `departs` is the rest of the text from the word on where it departs from the
    reference's, empty where it does not. `ends` says why it is shorter than asked for, if it is.
    """

    candidates: tuple[str, ...]
    tokens: int
    alike: int
    same: str
    departs: str
    ends: str


class Passages(Noun):
    """A prompt and what was written after it, the reference's first."""

    prompt: str
    passages: tuple[Passage, ...]


def side_by_side(outcome: Outcome, evidence: Evidence) -> list[Passages]:
    """Each prompt with the continuations of the reference and of all that were measured; those that are alike stand together."""
    reference = outcome.quality_reference
    names = [r.name for r in ordered(outcome) if r.status == "measured" and r.name != reference]
    found = []
    for sample in evidence.samples:
        of = {w.candidate: w for w in sample.writings}
        if reference in of:
            shown = [of[name] for name in (reference, *names) if name in of]
            found.append(Passages(prompt=visible(sample.prompt), passages=tuple(_passages(shown))))
    return found


def _passages(writings: list[Writing]) -> Iterator[Passage]:
    reference = writings[0]
    groups: dict[tuple[Any, ...], list[Writing]] = {}
    for one in writings:
        groups.setdefault((one.tokens, one.text, one.stopped), []).append(one)
    for group in groups.values():
        one = group[0]
        at = departure(reference, one)
        yield Passage(
            candidates=tuple(w.candidate for w in group), tokens=len(one.tokens), alike=alike(reference.tokens, one.tokens),
            same=visible(one.text[:at]), departs=visible(one.text[at:]), ends=STOPS[one.stopped],
        )  # fmt: skip


def how_alike(passage: Passage, is_reference: bool) -> str:
    """How far it goes with the reference, in words."""
    if is_reference:
        said = f"the reference, {passage.tokens} tokens"
    elif passage.departs:
        said = f"like the reference for {passage.alike} of {passage.tokens} tokens"
    else:
        said = f"like the reference, {passage.tokens} tokens"
    return f"{said}; {passage.ends}" if passage.ends else said


def alike(one: tuple[int, ...] | str, other: tuple[int, ...] | str) -> int:
    """How many of the first tokens, or letters, are the same."""
    return sum(1 for _ in takewhile(lambda both: both[0] == both[1], zip(one, other, strict=False)))


def departure(reference: Writing, other: Writing) -> int:
    """The place in the other's text of the first word that is not the reference's; its length where there is none.

    A text that was only cut short departs from nothing.
    """
    first = alike(reference.tokens, other.tokens)
    if first == len(other.tokens) or (first == len(reference.tokens) and reference.stopped != "end"):
        return len(other.text)
    shared = other.text[: alike(reference.text + " ", other.text)]  # a word that ends the one text may be whole in the other
    if shared == other.text:
        return len(shared)
    return max((space.end() for space in re.finditer(r"\s", shared)), default=0)


def visible(text: str) -> str:
    """Text that cannot hide or turn what stands around it."""
    return UNSEEN.sub("\N{REPLACEMENT CHARACTER}", text)


def language_document(outcome: Outcome, evidence: Evidence) -> dict[str, Any] | None:
    """The same facts for programs; None for other models."""
    of = outcome.task.language
    if of is None:
        return None
    return {
        "window": of.window, "prompt": of.prompt, "output": of.output, "context": of.context,
        "batch": outcome.task.workload.batch, "reference": outcome.quality_reference,
        "candidates": [row.model_dump(mode="json") for row in language_rows(outcome, evidence)],
        "frontiers": frontiers(figures_of(outcome, evidence)),
        "samples": [passages.model_dump(mode="json") for passages in side_by_side(outcome, evidence)],
    }  # fmt: skip


def how_measured(outcome: Outcome) -> str:
    """What the figures are of, in two sentences."""
    of, texts = outcome.task.language, outcome.task.workload.batch
    assert of is not None
    why = {f"{row.framework}: {row.doubt}" for row in language_rows(outcome, NO_EVIDENCE) if row.doubt}
    doubts = f" {DOUBT} {NOT_REPRESENTATIVE}: {'; '.join(sorted(why))}." if why else ""
    text = (
        f"Windows of {of.window} tokens, every position scored, tokens forced. Answers are compared with those of the reference, "
        f"{outcome.quality_reference}. Paces are of a prompt of {of.prompt} and an "
        f"answer of {of.output} tokens{f', {texts} texts side by side' if texts > 1 else ''}, alone and unpaired: for "
        f"orientation; the speed-up is of whole requests, paired. Memory is the whole process's with a cache of {of.context} "
        f"tokens{' a text' if texts > 1 else ''}."
    )
    asked = f" {of.questions} questions, answered by likelihood." if of.questions else ""
    return text + asked + doubts
