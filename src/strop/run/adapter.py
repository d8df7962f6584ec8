"""A LoRA adapter merged into its model before anything else: a folder like any other, kept in the store."""

from pathlib import Path

from strop.core.backend import Backend
from strop.core.errors import ModelError, UsageError, WorkerError, WorkerFailure
from strop.run.host import HERE
from strop.run.reading import read_inspection
from strop.store import files
from strop.store.store import Store
from strop.worker.call import Limits
from strop.worker.interpreter import why_missing, work_of

CONFIG = "adapter_config.json"
MERGE_S = 1800.0


def merged(reader: Backend, path: Path, adapter: Path, log: Path, limits: Limits, store: Store) -> Path:
    """The folder of the model with the adapter in its weights, from the store where it is there.

    Args:
        reader: of the model.

    Raises:
        UsageError: the model is no Hugging Face folder of a language model, or the adapter is none.
        ModelError: the adapter does not fit the model, or is of a kind that is not merged here.
    """
    if not reader.merges or not path.is_dir():
        raise UsageError(
            f"--adapter: adapters are merged into the Hugging Face folder of a language model, and {path} is none",
            "give the folder of the model that the adapter was trained on",
        )
    if not (adapter / CONFIG).is_file():
        raise UsageError(f"--adapter {adapter}: no {CONFIG} in it", "give a folder that PEFT's save_pretrained wrote")
    why = why_missing(reader)
    if why:
        raise ModelError(f"{path}: merging an adapter needs backend {reader.name!r}, which is {why}")
    read_inspection(path)  # refuses what is damaged before any framework sees it
    key = files.digest_json({
        "merge": [_digest(path), _digest(adapter)],
        "code": files.digest_files(reader.work.parent, sorted(p.name for p in reader.work.parent.glob("*.py"))),
    })  # fmt: skip

    def make(draft: Path) -> None:
        with HERE.open(work_of(reader), log, limits._replace(seconds=MERGE_S)) as child:
            child.call("merge", path=str(path.absolute()), adapter=str(adapter.absolute()), out_dir=str(draft))

    try:
        return store.once("build", key, make)
    except WorkerFailure as error:
        shown = error.message.replace(str(path.absolute()), str(path)).replace(str(adapter.absolute()), str(adapter))
        raise ModelError(shown, error.hint or "merge it yourself with PEFT's merge_and_unload, and give the result") from error
    except WorkerError as error:
        raise ModelError(f"{adapter}: merging it failed: {error.message}", "is there enough memory?") from error


def _digest(folder: Path) -> str:
    return files.digest_files(folder, sorted(p.name for p in folder.iterdir() if p.is_file()))
