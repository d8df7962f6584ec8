"""The model card of a bundle: what it is, how it was made, what was measured, what to mind."""

from collections.abc import Mapping

from strop.core import amounts
from strop.core.candidate import Result
from strop.core.foreign import in_markdown
from strop.core.judged import word
from strop.core.model import TensorSpec
from strop.core.outcome import Outcome
from strop.core.shapes import Shape, Shapes, text_of
from strop.core.verdict import Interval, inverse


def shown(figure: Interval | None, unit: str = "") -> str:
    """`2.06× [2.01, 2.11]`, or "unmeasured"."""
    if figure is None:
        return "unmeasured"
    return f"{figure.value:.3g}{unit} [{figure.low:.3g}, {figure.high:.3g}]"


def _where(outcome: Outcome) -> str:
    """A warning where the target is another machine."""
    if outcome.place == "here" or outcome.target is None:
        return ""
    held = f", on a machine that was held to {outcome.held_to}" if outcome.held_to else ""
    return (
        f"Made for **{outcome.target.name}**, which was not at hand: its speed, memory and energy there are unmeasured. "
        f"Answers were judged elsewhere{held}:\n\n"
    )


def _row(*cells: object) -> str:
    return "| " + " | ".join(in_markdown(str(cell)) for cell in cells) + " |"


def _clock(chosen: Result) -> str:
    """A mark on a speed-up that is not by wall time."""
    return " (by CPU time)" if chosen.by_cpu_time else ""


def _throughput(outcome: Outcome, chosen: Result) -> str:
    """Examples a second, with how many requests in flight, and how to have as many."""
    found = chosen.throughput
    if found is None or found.rate is None:
        return "unmeasured"
    low, high = amounts.plain(found.rate.low), amounts.plain(found.rate.high)
    rate = f"{amounts.plain(found.rate.value)} [{low}, {high}] {found.unit} a second"
    text = f"{rate} with {found.concurrency} request(s) in flight"
    if found.ratio is not None and found.over != chosen.name:
        over = next((r.candidate.recipe for r in outcome.results if r.name == found.over), None)
        which = "cleaned-up" if over is not None and over.cleaned else "given"
        text += f", {shown(found.ratio, '×')} that of the {which} model ({found.over})"
    return text + (f"; call `run` from {found.concurrency} threads" if found.concurrency > 1 else "")


def _cleanup(outcome: Outcome) -> str:
    """What cleaning up the export brings alone, where the baseline includes it; a line, or nothing."""
    found = outcome.cleanup
    if found is None or not found.taken or found.speedup is None:
        return ""
    return f"- Cleaning up the export alone, which the baseline includes: {shown(found.speedup, '×')} over the given file\n"


def _takes(shapes: Shapes | None) -> str:
    """The shapes that it is compiled for, and what becomes of others."""
    if shapes is None:
        return ""
    sets = "; ".join(", ".join(f"`{name}` {text_of(shape)}" for name, shape in one.items()) for one in shapes.sets)
    padded = " Shorter texts are padded to the next longer of these, and the answers cropped." if shapes.padded else ""
    more = f", which adds {shapes.fallback_bytes / 1e6:.0f} MB" if shapes.fallback_bytes is not None else ""
    fallback = f"Other shapes are answered, more slowly, by a second session that is opened when it is first needed{more}."
    others = fallback if shapes.others == "fallback" else "Other shapes are refused."
    return f"\nCompiled for fixed shapes: {sets}.{padded} {others} Figures below hold for the first.\n"


def _quality(outcome: Outcome, chosen: Result) -> str:
    """What was found of the answers; of a language model beside it its pace, alone and unpaired."""
    task = outcome.task
    if task.language is None:
        named = "largest difference from the given model" if task.metric == "difference" else task.metric
        metric = "unmeasured: no data were given" if chosen.accuracy is None else f"{named} {chosen.accuracy:.4f}"
        return f"- Accuracy: {metric} on {chosen.examples} examples; retained {shown(chosen.retained)}"
    if chosen.accuracy is None:
        return "- Perplexity: unmeasured: no text was given"
    found, kept = chosen.quality, chosen.retained
    over = shown(inverse(kept), "×") if kept is not None and kept.low > 0 else "unmeasured"
    lines = [f"- Perplexity: {chosen.accuracy:.4g} on {chosen.examples} windows of text; {over} the given model's"]
    if "kl" in found:
        lines.append(f"- Divergence of the next token from the given model's: {shown(found['kl'])} nats")
    if "same_top" in found:
        lines.append(f"- The same likeliest token: {found['same_top'].value:.1%} of the positions")
    if "task_accuracy" in found:
        lines.append(f"- Questions answered correctly: {found['task_accuracy'].value:.1%}")
    paces = [f"{name} {value:.3g}" for name, value in chosen.pace.items()]
    return "\n".join([*lines, *([f"- Pace, alone and unpaired: {'; '.join(paces)}"] if paces else [])])


ARRAYS = """
import sys

import numpy as np

folder = "."  # of this bundle
sys.path.insert(0, folder)
from infer import load

model = load()
feed = {{{feed}}}  # your arrays, the examples first
answers = model.run(feed)  # output name → array, a copy
views = model.run(feed, views=True)  # no copy where the runtime allows it: the next call overwrites them
print({{name: array.shape for name, array in answers.items()}})
"""
TEXT = """
import sys

folder = "."  # of this bundle
sys.path.insert(0, folder)
from infer import load

model = load()
for piece in model.generate("Once upon a time", tokens=64):
    print(piece, end="", flush=True)
"""
ITEMS = {"image": '"picture.jpg"', "text": '"a text"'}


def _from_python(outcome: Outcome, takes: Shapes | None, examples: Mapping[str, Shape]) -> str:
    """How a program uses the bundle: a block of code that runs as it stands."""
    task = outcome.task
    if task.language is not None:
        return f"```python{TEXT}```"
    shapes = call_shapes(outcome, takes, examples)
    feed = ", ".join(f"{s.name!a}: np.zeros({shapes[s.name]}, {s.dtype!a})" for s in outcome.model.inputs)
    more = ""
    if task.preprocess is not None:
        item = ITEMS.get(task.preprocess.kind, "item")
        more = f"\n\nThe bundle has the preprocessing too: `model.predict({item})`, or a list of such, gives the answers to them."
    return f"```python{ARRAYS.format(feed=feed)}```{more}"


def call_shapes(outcome: Outcome, takes: Shapes | None, examples: Mapping[str, Shape]) -> dict[str, Shape]:
    """Input → the shape of one call, as it was timed."""
    batch, fixed = outcome.model.fixed_batch or outcome.task.workload.batch, takes.sets[0] if takes is not None else {}
    return {s.name: fixed.get(s.name, _one_call(s, batch, examples.get(s.name, ()))) for s in outcome.model.inputs}


def _speed(outcome: Outcome, chosen: Result) -> str:
    """Latency in milliseconds and the ratio; what was not timed says so."""
    latency = f"- Latency: {amounts.latency_words(outcome, chosen.name) or 'not timed'}\n"
    if chosen.name == outcome.baseline:
        return f"{latency}- It is the tuned baseline itself: nothing that was tried is better"
    return f"{latency}- Speed-up over the tuned baseline ({outcome.baseline}): {shown(chosen.speedup, '×')}{_clock(chosen)}"


def _memory(outcome: Outcome, chosen: Result) -> str:
    """The whole process and the files in MB; the model's part over the baseline's."""
    artifact, here = chosen.candidate.artifact, outcome.place == "here" and bool(chosen.memory)
    whole = f"- Memory: {amounts.memory_words(outcome, chosen.name) if here else 'unmeasured'}"
    over = f"; the model's part over the baseline's: {shown(chosen.memory_ratio, '×')}"
    size = f"\n- Size: {artifact.bytes / 1e6:.2f} MB on disk" if artifact is not None else ""
    return whole + (over if here and chosen.name != outcome.baseline else "") + size


RUN = {
    None: "inputs.npz outputs.npz",
    "image": "picture.jpg",
    "text": '--text "a text"',
    "language": '--prompt "Once upon a time"',
}
"""What infer.py takes, by the kind of the preprocessing."""


def _run_lines(outcome: Outcome) -> str:
    task = outcome.task
    kind = "language" if task.language is not None else task.preprocess.kind if task.preprocess is not None else None
    return f"pip install -r requirements.txt\npython infer.py {RUN.get(kind, RUN[None])}\npython infer.py --bench"


def _one_call(spec: TensorSpec, batch: int, example: Shape) -> Shape:
    """A shape that the input takes: what the model leaves open is as in the evaluation data."""
    known = dict(enumerate(example, 1))
    return tuple(d if isinstance(d, int) else known.get(k, 1) if k else batch for k, d in enumerate(spec.shape))


def model_card(
    outcome: Outcome, chosen: Result, shapes: Shapes | None = None, examples: Mapping[str, Shape] | None = None,
    license_of: str = "",
) -> str:  # fmt: skip
    """Markdown.

    Args:
        shapes: what it takes, where it is compiled for fixed shapes. examples: input → the shape of one evaluation example.
        license_of: as the given model names it.
    """
    recipe, task = chosen.candidate.recipe, outcome.task
    source = outcome.model.artifact
    steps = " → ".join(step.name for step in recipe.steps) or "none: the given model, unchanged"
    if recipe.cleaned:
        steps += " (the given model with its export cleaned up; nothing is quantized)"
    inputs = "\n".join(_row(s.name, s.dtype, list(s.shape)) for s in outcome.model.inputs)
    outputs = "\n".join(_row(s.name, s.dtype, list(s.shape)) for s in outcome.model.outputs)
    verdict = chosen.verdict.results if chosen.verdict else ()
    gates = "\n".join(_row(r.gate, r.gate.kind, word(r), r.reason) for r in verdict)
    return f"""# {in_markdown(source.path.rpartition("/")[2])}, optimized: {in_markdown(recipe.name)}

Outcome: **{outcome.outcome}**. Run `{outcome.run}` of Strop {outcome.environment.strop}.

```sh
{_run_lines(outcome)}
```

`--bench` times it on the device that it is on, beside what was measured here.

## What it is

Made from a model of SHA-256 `{source.digest[:16]}…` ({source.bytes:,} bytes).
Steps: {steps}. Runtime: {recipe.runtime}, settings {recipe.settings or "the runtime's defaults"}.

| input | type | shape |
|---|---|---|
{inputs}

| output | type | shape |
|---|---|---|
{outputs}
{_takes(shapes)}
## What was measured

{_where(outcome)}On {outcome.environment.cpu}, {outcome.environment.threads} thread(s) in the budget, batch {task.workload.batch}.

{_speed(outcome, chosen)}
{_cleanup(outcome)}- Throughput: {_throughput(outcome, chosen)}
{_quality(outcome, chosen)}
{_memory(outcome, chosen)}

| gate | kind | result | figure |
|---|---|---|---|
{gates}

## From Python

With the packages of `requirements.txt`:

{_from_python(outcome, shapes, examples or {})}

Python writes a cache, `__pycache__`, beside a module that it imports, which `strop bundle verify` reports;
PYTHONDONTWRITEBYTECODE=1 prevents it.

## License

{in_markdown(license_of) or "The given model names none: whoever made it says what may be done with it"}. The license of the given
model holds for this one, which holds its weights.

## Mind

Timings hold for this CPU, this runtime version and these settings; on another device measure again.
{"Perplexity and divergence hold for text" if task.language is not None else "Accuracy holds for data"} like the evaluation \
data. `strop bundle verify` finds any changed, missing or extra file.
"""
