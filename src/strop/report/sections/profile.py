"""Where time and memory go, of the candidates that were profiled."""

from strop.core.outcome import Outcome
from strop.core.profile import Finding, Profile
from strop.plan.bottlenecks import find_bottlenecks
from strop.report import profiling
from strop.report.blocks import (
    PAGE,
    Block,
    Bullets,
    Code,
    Heading,
    Plot,
    Plots,
    Section,
    Sentence,
    Span,
    Table,
    Words,
    strong,
    why,
)
from strop.report.evidence import Evidence
from strop.report.parts import text_rows
from strop.report.sections import Part

INTRO = (
    "Each session alone on its cores: watched as it is shipped, then once more under its runtime's own profiler. These "
    "figures explain; they decide nothing."
)
HOW = (
    "Fused and quantized operators carry the name of the ONNX operator whose work they do, so that runtimes can be "
    "compared. The profiler counts whole microseconds and costs time itself: shares hold better than milliseconds, and "
    "nodes under a microsecond vanish. Hardware events count this process and its threads, outside of the kernel. An "
    "operator's time is wall time: with several threads it is shorter than the work in it."
)


def make(outcome: Outcome, evidence: Evidence) -> Section | None:
    if outcome.place != "here":
        return None
    profiles, failures = profiling.profiles(evidence), profiling.failures(evidence)
    blocks: list[Block] = [Sentence(text) for text in failures]
    if profiles:
        blocks += [Sentence(INTRO), *_findings(profiles), *_tables(profiles), why("How a profile is made", HOW)]
    elif not failures:
        text = "This run was not profiled. Where time and memory go is measured on this machine by:"
        blocks += [Sentence(text), Code(f"strop runs profile {outcome.run}", "sh")]
    return Section("profile", "Where time and memory go", tuple(blocks))


SECTION = Part(70, make)


def _findings(profiles: list[Profile]) -> list[Block]:
    blocks: list[Block] = []
    for profile in profiles:
        found = find_bottlenecks(profile)
        blocks.append(Heading(profile.candidate))
        blocks.append(Bullets(tuple(map(_finding, found))) if found else Sentence("No bottleneck by the rules."))
    return blocks


def _finding(found: Finding) -> Words:
    bound = f"{100 * found.bound:.0f} %" if found.bound <= 1 else f"{found.bound:g} times"
    said = f" {found.evidence[0].upper()}{found.evidence[1:]} (the rule: above {bound}). "
    return (strong(f"{found.title}."), said, Span(found.advice, "small"))


def _tables(profiles: list[Profile]) -> list[Block]:
    names, columns = tuple(p.candidate for p in profiles), tuple(range(1, len(profiles) + 1))
    times, moments = profiling.operators(profiles), profiling.memory(profiles)
    blocks: list[Block] = [Table("The session, watched alone", ("what", *names), text_rows(profiling.session(profiles)))]
    if times:
        caption = "Milliseconds a call by operator, and share of all operators"
        blocks.append(Table(caption, ("operator", *names), text_rows(times), numbers=columns))
    if moments:
        plot = Plot("memory", "Resident memory over time. The table below holds the moments.", size="small")
        table = Table("Resident memory, MB", ("moment", *names), text_rows(moments), numbers=columns)
        blocks += [Plots((plot,), where=PAGE), table]
    return blocks
