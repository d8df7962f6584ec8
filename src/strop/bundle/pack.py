"""From the chosen candidate to a folder that runs without Strop."""

import os
import re
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from strop import __version__
from strop.bundle.card import call_shapes, model_card
from strop.core.backend import Backend, without_extra
from strop.core.candidate import Result
from strop.core.manifest import Answer, Manifest
from strop.core.noun import SCHEMA
from strop.core.outcome import Outcome
from strop.core.shapes import Shape, Shapes
from strop.core.strict import finite, to_json
from strop.core.target import THIS
from strop.core.task import Task
from strop.store import files
from strop.worker.call import DATA_WORK
from strop.worker.interpreter import NOT_INSTALLED, work_of

TEMPLATE = Path(__file__).parent / "infer_template.py"
LANGUAGE, TOKENIZER = Path(__file__).parent / "language_template.py", "tokenizer.json"
PREPROCESS, CHAT = DATA_WORK.path.with_name("preprocess.py"), DATA_WORK.path.with_name("chat.py")
TURNS, SHAPED = DATA_WORK.path.with_name("turns.py"), DATA_WORK.path.with_name("shaped.py")
MANIFEST = "manifest.json"


def pack(
    outcome: Outcome, backend: Backend, target: Path, shapes: Shapes | None = None, template: Path = TEMPLATE
) -> Manifest:  # fmt: skip
    """Write the bundle of the chosen candidate to `target`, whole or not at all.

    Args:
        shapes: what it takes, where it is compiled for fixed shapes. template: what becomes its infer.py.

    Raises:
        OutputError: the place cannot be written, or the disk is full.
    """
    chosen = outcome.chosen
    assert chosen is not None and chosen.candidate.artifact is not None
    assert backend.runner is not None
    artifact = chosen.candidate.artifact
    with files.whole_folder(target) as draft, files.disk(target):
        for name in artifact.files:
            destination = draft / "model" / name
            destination.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(Path(artifact.folder) / name, destination)
        language = outcome.task.language is not None
        shutil.copyfile(template, draft / "infer.py")
        if not language:
            shutil.copyfile(TURNS, draft / TURNS.name)
        if shapes is not None:
            shutil.copyfile(SHAPED, draft / SHAPED.name)
        tokenizer = Path(outcome.model.artifact.folder) / TOKENIZER
        ships = language and outcome.model.traits.get("tokenizer") != "own"
        if ships:
            shutil.copyfile(tokenizer, draft / TOKENIZER)
        chats = outcome.task.language is not None and outcome.task.language.chat is not None
        if chats:
            shutil.copyfile(CHAT, draft / CHAT.name)
        ship_libraries(backend, draft)
        shutil.copyfile(backend.runner, draft / "runner.py")
        ship_preprocessing(outcome.task, draft)
        prefix = f"{backend.name}/" if backend.requirements is not None else ""
        versions = {p: outcome.environment.versions.get(prefix + without_extra(p)) for p in backend.runtime_packages}
        pins = [f"{package}=={number}" for package, number in versions.items() if number is not None]
        pins += [f"{package}=={number}" for package, number in sorted(outcome.task.packages.items())]
        pins += ["tokenizers>=0.22,<0.24"] if ships else []
        pins += ["jinja2>=3.1.6,<4"] if chats else []
        (draft / "requirements.txt").write_text("\n".join(pins) + "\n", encoding="utf-8")
        examples = examples_of(outcome.task)
        license_of = ship_license(outcome, draft)
        (draft / "MODEL_CARD.md").write_text(model_card(outcome, chosen, shapes, examples, license_of), encoding="utf-8")
        manifest = describe(outcome, chosen, f"model/{Path(artifact.path).name}", {"shapes": shapes, **listed(draft)}, examples)
        (draft / MANIFEST).write_text(to_json(dump(manifest), indent=1) + "\n", encoding="utf-8")
    return manifest


def examples_of(task: Task) -> dict[str, Shape]:
    """Input → the shape of one evaluation example, as far as the data are still there."""
    paths = {name: Path(task.evaluation.folder) / file for name, file in task.evaluation.inputs.items()}
    there = {name: path for name, path in paths.items() if path.is_file()}
    return {name: np.load(path, mmap_mode="r", allow_pickle=False).shape[1:] for name, path in there.items()}


def ship_libraries(backend: Backend, draft: Path) -> None:
    """The libraries that pip does not bring, beside the runner, which looks for them there."""
    if backend.libraries:
        own = os.environ.get(backend.libraries_variable) if backend.libraries_variable else None
        place = Path(own) if own else Path(work_of(backend).python).parent.parent / backend.libraries
        shutil.copytree(place, draft / backend.libraries)


def ship_preprocessing(task: Task, draft: Path) -> None:
    """The file that made the evaluation data, and what it needs; nothing where the data were arrays."""
    if task.preprocess is None:
        return
    shutil.copyfile(PREPROCESS, draft / "preprocess.py")
    for name, path in task.ships.items():
        (draft / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, draft / name)


def dump(manifest: Manifest) -> dict[str, Any]:
    made: dict[str, Any] = finite({"schema": SCHEMA, **manifest.model_dump(mode="json")})
    return made


def seal(written: Mapping[str, Any]) -> str:
    """SHA-256 of a manifest as it is written, without its own digest: what a later Strop adds to it breaks no seal."""
    return files.digest_json({**written, "digest": ""})


def listed(folder: Path) -> dict[str, Any]:
    """The fields of a manifest that say what a bundle holds: each file's digest and size, and which may be run."""
    found = {str(p.relative_to(folder)): p for p in sorted(folder.rglob("*")) if p.is_file()}
    return {
        "files": {name: files.digest_file(path) for name, path in found.items()},
        "sizes": {name: path.stat().st_size for name, path in found.items()},
        "executables": tuple(name for name, path in found.items() if may_be_run(path)),
    }


def may_be_run(path: Path) -> bool:
    """Whether its owner may execute the file: the one bit of its mode that a copy keeps whatever the umask."""
    return bool(path.stat().st_mode & stat.S_IXUSR)


LICENSES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE", "NOTICE.txt", "USE_POLICY.md")


def ship_license(outcome: Outcome, draft: Path) -> str:
    """The license that a model's folder names, whose texts are copied; empty for a file, which has no place for one."""
    origin = outcome.model.origin
    path = Path(origin.path if origin is not None else outcome.model.artifact.path)
    folder = path if path.is_dir() else path.parent if path.name == "config.json" else None
    if folder is None:
        return ""
    texts = [name for name in LICENSES if (folder / name).is_file()]
    for name in texts:
        shutil.copyfile(folder / name, draft / name)
    about = folder / "README.md"
    head = files.read_bytes(about, 1 << 16).decode("utf-8", "replace") if about.is_file() else ""
    named = re.search(r"\A---\n(?:.*\n)*?license:\s*(\S+)", head)
    return ", ".join([*([named.group(1)] if named is not None else []), *texts])


def versions_of(outcome: Outcome, chosen: Result) -> dict[str, str]:
    """Of what made the chosen candidate and runs it; what is not installed, or had no part in it, is left out."""
    recipe = chosen.candidate.recipe
    part = {recipe.runtime, *(step.builder for step in recipe.steps)}
    known = {**outcome.environment.versions, **chosen.candidate.versions}
    return {n: v for n, v in known.items() if v != NOT_INSTALLED and ("/" not in n or n.partition("/")[0] in part)}


def describe(
    outcome: Outcome, chosen: Result, model: str, holds: Mapping[str, Any], examples: Mapping[str, Shape] | None = None
) -> Manifest:  # fmt: skip
    """The manifest of a chosen result, sealed. A figure over the baseline stands there only where one was taken."""
    itself = chosen.name == outcome.baseline
    source = outcome.model.artifact
    timing = chosen.timing
    manifest = Manifest(
        strop=__version__, outcome="chosen" if outcome.outcome == "chosen" else "provisional", model=model,
        inputs=outcome.model.inputs, outputs=outcome.model.outputs,
        preprocessing=outcome.task.evaluation.cast_words, workload=outcome.task.workload,
        target=outcome.target.name if outcome.target is not None else THIS,
        arrays=outcome.task.arrays, by_call=outcome.task.by_call, language=outcome.task.language,
        preprocess=outcome.task.preprocess,
        task=Answer(kind=outcome.task.kind, pooling=outcome.task.pooling, output=outcome.task.output, cut=outcome.task.cut),
        recipe=chosen.candidate.recipe, settings=chosen.candidate.recipe.settings,
        source={"file": Path(source.path).name, "digest": source.digest, "bytes": source.bytes},
        versions=versions_of(outcome, chosen),
        measurements={
            "speedup": None if itself or chosen.speedup is None else chosen.speedup.model_dump(),
            "clock": timing.clock if timing else None,
            "metric": outcome.task.metric, "accuracy": chosen.accuracy,
            "accuracy_retained": chosen.retained and chosen.retained.model_dump(), "examples": chosen.examples,
            "throughput": chosen.throughput and chosen.throughput.model_dump(exclude={"samples"}),
            "memory_ratio": None if itself or chosen.memory_ratio is None else chosen.memory_ratio.model_dump(),
            "memory_bytes": [m.peak for m in chosen.memory], "latency_ms": timing.latency_ms if timing else {},
            "baseline": outcome.baseline, "pace": chosen.pace,
            "shapes": call_shapes(outcome, holds.get("shapes"), examples or {}),
        },
        gates=chosen.verdict.results if chosen.verdict else (),
        environment=outcome.environment.model_dump(mode="json", exclude={"versions", "counters", "seed"}), **holds,
    )  # fmt: skip
    return manifest.model_copy(update={"digest": seal(dump(manifest))})
