"""What every figure is over: the tuned baseline, the reference of the answers, and the choice over other models."""

from strop.core.outcome import CleanUp, Outcome
from strop.report import throughput
from strop.report.blocks import Bullets, Section, Words, code
from strop.report.evidence import Evidence
from strop.report.lineage import over_each_framework
from strop.report.sections import Part
from strop.report.verdict import cleanup_speed, ratio


def make(outcome: Outcome, evidence: Evidence) -> Section:
    if outcome.place != "here":
        said: list[Words] = [
            ("Answers are compared with ", code(outcome.baseline), ": the given model, unquantized. Nothing was timed.")
        ]
    else:
        said = [*_denominator(outcome), *_choice(outcome)]
    return Section("against", "Against what", (Bullets(tuple(said)),))


SECTION = Part(125, make)


def _denominator(outcome: Outcome) -> list[Words]:
    elsewhere = bool(outcome.reference) and outcome.task.language is not None
    found = "in its fastest runtime here" if elsewhere else "under the settings found best"
    cleaned = outcome.result(outcome.baseline).candidate.recipe.cleaned
    what = "the given model with its export cleaned up, unquantized" if cleaned else "the given model, unquantized"
    lines: list[Words] = [("The denominator of every speed-up is ", code(outcome.baseline), f": {what}, {found}.")]
    lines += [words for words in [throughput.denominator(outcome)] if words]
    if outcome.reference:
        where = "in the runtime that reads it" if elsewhere else "as it is"
        lines.append(("Answers are compared with those of ", code(outcome.reference), f", the given model {where}."))
    if outcome.cleanup is not None:
        lines.append(_cleanup(outcome.cleanup))
    return lines


def _cleanup(found: CleanUp) -> Words:
    """What was cleaned up, what that gives alone, and whether the baseline includes it."""
    taken = "the baseline includes it" if found.taken else "the baseline is the file as given"
    faults = f" ({', '.join(found.faults)})" if found.faults else ""
    first = f"Cleaning up the export{faults} alone gives {cleanup_speed(found)} ("
    return (first, code(found.name), f" over the given file, same settings); {taken}.")


def _choice(outcome: Outcome) -> list[Words]:
    lines: list[Words] = []
    if outcome.as_is is not None:
        speed = ratio(outcome.result(outcome.as_is).speedup, "×")
        how = "In PyTorch" if outcome.as_is == outcome.reference else "As its runtime runs it by default"
        lines.append((f"{how} (", code(outcome.as_is), f") it has {speed} the tuned baseline's speed."))
    if outcome.against_as_is is not None:
        lines.append(f"The choice over the model as it runs today: {ratio(outcome.against_as_is, '×')}.")
    if outcome.against_best_unquantized is not None:
        over = ratio(outcome.against_best_unquantized, "×")
        lines.append(("Over the best unquantized candidate (", code(outcome.best_unquantized), f"): {over}."))
    for runtime, (name, figure) in over_each_framework(outcome).items():
        lines.append((f"Over the best that {runtime} alone gives (", code(name), f"): {ratio(figure, '×')}."))
    for batch, timing in outcome.batches.items():
        lines.append(f"At batch {batch}: {ratio(timing.speedup, '×')}{throughput.at_batch(timing)}.")
    return lines
