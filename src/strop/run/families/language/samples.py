"""What every candidate writes after the same prompts: ids from the checks, turned into text once and kept with the run."""

from pathlib import Path

from strop.core.errors import DataError
from strop.core.outcome import Outcome
from strop.report.evidence import Sample, Writing
from strop.run.context import Run
from strop.run.datasets import ask
from strop.run.families.language.task import tokenizer_of
from strop.store.store import RunFolder, read_json, write_json

SAMPLES = "samples.json"
"""Of a check: token ids. Of a run: the texts of all its candidates."""


def keep_samples(run: Run, outcome: Outcome) -> None:
    """Texts of the continuations, by the model's own tokenizer; a run whose texts cannot be made still has its figures."""
    ids = {r.name: read_json(path)["samples"] for r in outcome.results if (path := ids_of(run.folder, r.name)).exists()}
    if not ids:
        return
    work, tokenizer = tokenizer_of(run, outcome.model)
    flat = [sample for each in ids.values() for sample in each]
    try:
        texts = iter(ask(run, "decode_tokens", work, tokenizer=str(tokenizer.absolute()), sequences=flat))
    except DataError:
        return  # `gather` says that they are missing
    write_json(run.folder.folder / SAMPLES, {
        "candidates": {name: [{**sample, "text": next(texts)} for sample in each] for name, each in ids.items()}
    })  # fmt: skip


def ids_of(folder: RunFolder, name: str) -> Path:
    """Where a candidate's check left what it wrote."""
    return folder.candidate(name) / "check" / SAMPLES


def samples_of(outcome: Outcome, folder: RunFolder) -> tuple[tuple[Sample, ...], str]:
    """The texts, prompt by prompt; and why they are not there, where candidates wrote something."""
    found = stored_samples(folder)
    if found or not any(ids_of(folder, r.name).exists() for r in outcome.results):
        return found, ""
    return found, "what the candidates write could not be turned into text; data.log in the run's folder says why"


def stored_samples(folder: RunFolder) -> tuple[Sample, ...]:
    """The texts, prompt by prompt; empty where the run has none."""
    path = folder.folder / SAMPLES
    found = read_json(path)["candidates"] if path.exists() else {}
    prompts = max((len(each) for each in found.values()), default=0)
    return tuple(
        Sample(
            prompt=next(iter(found.values()))[place]["text"]["prompt"],
            writings=tuple(writing(name, each[place]) for name, each in found.items()),
        )
        for place in range(prompts)
    )


def writing(name: str, sample: dict[str, object]) -> Writing:
    """One continuation as the report takes it."""
    text = sample["text"]
    assert isinstance(text, dict)
    return Writing.model_validate({
        "candidate": name, "tokens": sample["made"], "text": text["made"], "stopped": sample["stopped"],
    })  # fmt: skip
