"""A model in a format that no runtime here runs, such as a Hugging Face folder, becomes ONNX before anything else."""

from pathlib import Path
from typing import Any

from strop.core.backend import Backend
from strop.core.errors import ModelError, WorkerError, WorkerFailure
from strop.core.model import Origin
from strop.run.host import HERE
from strop.store import files
from strop.store.store import Store, read_json, write_json
from strop.worker.call import Limits
from strop.worker.interpreter import python_version_of, versions_of, why_missing, work_of

RESULT, CLASSES = "export.json", "classes.txt"
EXPORT_S = 1800.0


def exported(reader: Backend, kind: str, store: Store, path: Path, log: Path, limits: Limits) -> tuple[Path, Origin]:
    """The ONNX file that a reader makes of a model, from the cache where it is there, and where it came from.

    Raises:
        ModelError: unsafe or unsupported, cannot be exported, or the export answers differently from the original.
    """
    why = why_missing(reader)
    if why:
        raise ModelError(
            f"{path}: reading it needs backend {reader.name!r}, which is {why}", "or export the model to ONNX yourself"
        )
    about = _ask(reader, path, log, limits, "examine")
    versions = versions_of(reader, reader.packages)
    digest = files.digest_files(path, about["files"])
    code = files.digest_files(reader.work.parent, sorted(p.name for p in reader.work.parent.glob("*.py")))
    key = files.digest_json({
        "export": digest, "task": about["task"], "versions": versions, "python": python_version_of(reader), "code": code,
    })  # fmt: skip

    def make(draft: Path) -> None:
        made = _ask(reader, path, log, limits._replace(seconds=EXPORT_S), "export", out_dir=str(draft), task=about["task"])
        write_json(draft / RESULT, made)
        if about["labels"]:
            names = [about["labels"][key] for key in sorted(about["labels"], key=int)]
            files.write_text(draft / CLASSES, "".join(f"{name}\n" for name in names))

    folder = store.once("build", key, make)
    made = read_json(folder / RESULT)
    origin = Origin(
        kind=kind, path=str(path.absolute()), digest=digest, task=about["task"], architecture=about["architecture"],
        classes=str(folder / CLASSES) if about["labels"] else None,
        labels={str(k): str(v) for k, v in about["labels"].items()}, differences=made["differences"], versions=versions,
    )  # fmt: skip
    return folder / made["file"], origin


def _ask(reader: Backend, path: Path, log: Path, limits: Limits, verb: str, **arguments: Any) -> Any:
    """One call of the reader's child; its refusals become the user's."""
    try:
        with HERE.open(work_of(reader), log, limits) as child:
            return child.call(verb, path=str(path.absolute()), **arguments)
    except WorkerFailure as error:
        shown = error.message.replace(str(path.absolute()), str(path))
        if error.kind == "ModelError":
            raise ModelError(shown, error.hint) from error
        raise ModelError(f"{path}: {verb} failed: {error.kind}: {shown}", "export it to ONNX yourself, and give that") from error
    except WorkerError as error:
        raise ModelError(f"{path}: {verb} failed: {error.message}", "is there enough memory?") from error
