"""Reading the model: parsed in a worker, checked, turned into `Model`; one that no runtime here runs is exported first."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from strop.core.backend import Backend
from strop.core.errors import ModelError, WorkerError, WorkerFailure
from strop.core.model import Artifact, Model
from strop.plan.inspection import model_from
from strop.run.adapter import merged
from strop.run.export import exported
from strop.run.family import family_named
from strop.run.host import HERE
from strop.run.located import located
from strop.run.reading import read_inspection
from strop.store import files
from strop.store.store import Store
from strop.worker.call import Limits
from strop.worker.interpreter import work_of

LANGUAGE_MODEL = "ForCausalLM"
"""In the name of every architecture that transformers generates text with."""
ADAPTER = "adapter_config.json"


def find_reader(backends: dict[str, Backend], path: Path) -> tuple[Backend, str]:
    """The backend that knows this suffix and this family of models, and the artifact kind.

    Raises:
        ModelError: no such file, or nobody reads it.
    """
    if not path.exists():
        raise ModelError(f"{path}: no such file", "give the path of a model: a file, or a Hugging Face folder")
    readers = [(b, kind) for b in backends.values() for suffix, kind in b.reads if _fits(path, suffix)]
    if not readers:
        read_inspection(path)  # says what it is, where it is a kind that is known
        known = sorted({f"a folder with {s[1:]}" if s[0] == "/" else s for b in backends.values() for s, _ in b.reads})
        raise ModelError(f"{path}: not a model that is read here", f"known: {', '.join(known)}")
    if not os.access(path, os.R_OK):
        raise ModelError(f"{path}: cannot be read", "check its permissions")
    if len(readers) > 1:
        family = family_of(path)
        readers = [reader for reader in readers if reader[0].family == family] or readers
    return readers[0]


def family_of(path: Path) -> str:
    """The family that the inspector sees; what it refuses is left to the readers of tensor models, in their words.

    Raises:
        ModelError: a language model that the inspector refuses.
    """
    try:
        return read_inspection(path).family
    except ModelError:
        if LANGUAGE_MODEL in _text(path / "config.json") or (path / ADAPTER).is_file():
            raise
        return "tensor"


def _text(path: Path) -> str:
    """The head of a file, for a look; empty where it cannot be read."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(1 << 16)
    except OSError:
        return ""


def _fits(path: Path, suffix: str) -> bool:
    if path.is_dir():
        return suffix.startswith("/") and (path / suffix[1:]).is_file()
    return path.name.lower().endswith(suffix)


def read_model(
    backends: dict[str, Backend], path: Path, log: Path, limits: Limits, store: Store, axes: Mapping[str, int] | None = None,
    adapter: str | None = None,
) -> Model:  # fmt: skip
    """Inspects the model in a worker; one that no runtime here runs is exported first.

    Args:
        adapter: folder of a LoRA adapter, which is merged into the model before anything else.
        axes: input or output → the axis along which its examples lie, where it is not the first: the model is rewritten.

    Raises:
        ModelError: damaged, unsafe or unsupported; or it brought its reader down.
    """
    path = located(path)
    reader, kind = find_reader(backends, path)
    if adapter is not None:
        path = merged(reader, path, located(Path(adapter)), log, limits, store)
    if family_named(reader.family).inspected:
        read_inspection(path)  # refuses what is damaged in its own words, before any framework sees it
    if reader.exports is not None:
        made, origin = exported(reader, kind, store, path, log, limits)
        return inspect(*find_reader(backends, made), made, log, limits).model_copy(update={"origin": origin})
    found = inspect(reader, kind, path, log, limits)
    if not path.is_dir() and len(found.artifact.files) > 1 and any((path.parent / n).is_symlink() for n in found.artifact.files):
        path = plain_files(path, found, store)
        found = inspect(reader, kind, path, log, limits)
    if not axes or not any(axes.values()):
        return found
    return inspect(reader, kind, with_batch_first(reader, found, path, log, limits, store, axes), log, limits)


def plain_files(path: Path, model: Model, store: Store) -> Path:
    """A model whose files are links, as in the Hugging Face cache, copied to plain ones: ONNX's library refuses links to weights,
    and files that have two names.
    """
    key = files.digest_json({"plain files": model.artifact.digest, "names": list(model.artifact.files)})

    def make(draft: Path) -> None:
        for name in model.artifact.files:
            (draft / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path.parent / name, draft / name)

    return store.once("build", key, make) / path.name


def with_batch_first(
    reader: Backend, model: Model, path: Path, log: Path, limits: Limits, store: Store, axes: Mapping[str, int]
) -> Path:
    """The same model with transpositions, so that every example is a row; from the cache where it is there.

    Raises:
        ModelError: its format has no such rewriting, or it has no such axis.
    """
    if not reader.moves_batch:
        what = f"{path}: --batch-axis works on ONNX models, not on {model.artifact.kind}"
        raise ModelError(what, "give the ONNX model, or one that takes the examples first")
    code = files.digest_files(reader.work.parent, sorted(p.name for p in reader.work.parent.glob("*.py")))
    key = files.digest_json({"batch first": dict(axes), "model": model.artifact.digest, "code": code})

    def make(draft: Path) -> None:
        with HERE.open(work_of(reader), log, limits) as child:
            child.call("batch_first", path=str(path.absolute()), out_dir=str(draft), axes=dict(axes))

    try:
        return store.once("build", key, make) / path.name
    except WorkerFailure as error:
        raise ModelError(f"{path}: {error.message}", error.hint) from error


def inspect(reader: Backend, kind: str, path: Path, log: Path, limits: Limits) -> Model:
    """What its reader finds in a model.

    Raises:
        ModelError: as `read_model`.
    """
    try:
        with HERE.open(work_of(reader), log, limits) as child:
            raw = child.call("inspect", path=str(path.absolute()))
    except WorkerFailure as error:
        if error.kind == "ModelError":
            shown = error.message if str(path) in error.message else f"{path}: {error.message}"
            raise ModelError(shown.replace(str(path.absolute()), str(path)), error.hint) from error
        raise ModelError(f"{path}: cannot be read: {error.message}", "is it a whole, valid model?") from error
    except WorkerError as error:
        raise ModelError(f"{path}: reading it failed: {error.message}", "is it a whole, valid model?") from error
    whole = path.is_dir()
    folder, names = (path if whole else path.parent).absolute(), tuple(raw.pop("files"))
    artifact = Artifact(
        kind=kind, path=str(folder / raw.pop("main") if whole else path.absolute()),
        digest=files.digest_files(folder, names), files=names,
        bytes=sum((folder / n).stat().st_size for n in names),
    )  # fmt: skip
    return model_from({"family": reader.family, **raw}, artifact, reader.name)
