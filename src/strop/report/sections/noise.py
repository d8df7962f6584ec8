"""The noise floor, and how each number was made."""

from strop.core.amounts import memory_mb, plain, runtime_mb
from strop.core.candidate import Timing
from strop.core.outcome import Outcome
from strop.report.blocks import Block, Bullets, Facts, Fold, Section, Sentence, Words, code, why
from strop.report.evidence import Evidence
from strop.report.sections import Part
from strop.report.verdict import by_clock, hasty, target_name

SPEED = (
    "Two fresh processes, one with the baseline and one with the candidate, take turns in short blocks, in the order ABBA "
    "or BAAB at random. Four blocks are a quad and give one log-ratio. A pair of processes gives the median of its quads. "
    "The interval is a t-interval over pairs."
)
ACCURACY = (
    "Every evaluation example, with the settings and the batch that are timed; of a language model one text at a time. One "
    "scorer for all frameworks. Candidate and baseline are paired by example."
)
MEMORY = (
    "One process alone. Its memory in MB is all that is resident in it at its highest, runtime and libraries included. The "
    "model's part is its private pages and the model's own resident files, above the same process with an empty runtime; ratios "
    "are of that."
)
CONSISTENCY = (
    "The candidate's tail over its median, divided by the same of the baseline. The tail is the highest percentile that "
    "both have enough calls for. The interval resamples pairs of processes, then quads."
)


def make(outcome: Outcome, evidence: Evidence) -> Section:
    found = outcome.noise
    facts: list[tuple[str, Words]] = [("The baseline against itself (A/A)", _against_itself(outcome))]
    if found.half_width is not None:
        floor = f"± {100 * found.half_width:.1f} %. A smaller difference means nothing here."
        facts.append(("Noise floor of speed", floor))
    facts.append(("Noise floor of memory", f"{found.memory_resolution_bytes / 1e6:.1f} MB"))
    facts += _small(outcome)
    facts.append(("Time spent", ", ".join(f"{name} {seconds:.1f} s" for name, seconds in outcome.timing.items())))
    confirmed = tuple(_samples(r.name, r.confirmation) for r in outcome.results if r.confirmation is not None)
    speed: tuple[Block, ...] = (Sentence(SPEED), *((Bullets(confirmed),) if confirmed else ()))
    blocks = (
        Facts(tuple(facts)), Fold("Speed-up", speed), why("Accuracy", ACCURACY), why("Memory", MEMORY),
        why("Latency consistency", CONSISTENCY),
    )  # fmt: skip
    return Section("noise", "Noise floor, and how each number was made", blocks)


SECTION = Part(130, make)


def _against_itself(outcome: Outcome) -> str:
    noise, left_out = outcome.noise, hasty(outcome)
    if outcome.place != "here":
        return f"Nothing was timed: the target is {target_name(outcome)}, not this machine. Answers were judged here."
    why_not = "The budget left no time for it" if left_out else "The machine was too busy to time"
    said = by_clock(noise.speedup, noise) if noise.speedup is not None else why_not
    return f"{said}." + ("" if left_out else f" {100 * noise.excluded:.0f} % of its quads were left out as disturbed.")


def _small(outcome: Outcome) -> list[tuple[str, Words]]:
    """Where the runtime needs more memory than the model."""
    whole, runtime = memory_mb(outcome.result(outcome.baseline)), runtime_mb(outcome.result(outcome.baseline))
    if outcome.place != "here" or whole is None or runtime is None or runtime < whole.value / 2:
        return []
    said = f"Of the process's {plain(whole.value)} MB the runtime alone takes {plain(runtime)} MB, the model the rest."
    return [("Model and runtime", said)]


def _samples(name: str, timing: Timing) -> Words:
    mode = "" if timing.mode == "side by side" else f"; {timing.mode}"
    left_out = f"{100 * timing.excluded:.0f} % left out{mode}"
    return (f"{name}: {timing.pairs} pairs of processes, {timing.quads} quads kept, {left_out}. Samples: ", code(timing.samples))
