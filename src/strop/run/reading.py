"""Reading a model's files in the inspector: a worker of little time and memory, no framework."""

import tempfile
from pathlib import Path

from pydantic import ValidationError

from strop.core.errors import ModelError, WorkerError, WorkerFailure, WorkerMemory, WorkerTimeout
from strop.core.foreign import clean, cleaned
from strop.core.inspection import Inspection
from strop.run.host import HERE
from strop.run.located import located
from strop.worker.call import INSPECTOR_WORK, Limits

SECONDS, MEMORY = 5.0, 500_000_000
"""What reading a model may take; an ONNX or TFLite file whose weights are inside it gets more by its size."""
SECONDS_A_BYTE, MEMORY_A_BYTE = 1e-8, 3
WHOLE_FILES, PROTOBUF = (".onnx", ".tflite"), 2 << 30
"""Formats whose weights lie inside of what is parsed, and the most that such a file may have."""
WHOLE = "is it a whole, valid model?"


def read_inspection(path: Path) -> Inspection:
    """Reads a model's files in a worker of little time and memory.

    Raises:
        ModelError: damaged, unsafe or unsupported; or it took more than a model of its size may.
    """
    if not path.exists() and not path.is_symlink():
        raise ModelError(f"{path}: no such file", "give the path of a model")
    path = located(path)
    size = min(path.stat().st_size, PROTOBUF) if path.is_file() and path.suffix.lower() in WHOLE_FILES else 0
    limits = Limits(SECONDS + SECONDS_A_BYTE * size, MEMORY + MEMORY_A_BYTE * size)
    with tempfile.TemporaryDirectory(prefix="strop-") as scratch:
        try:
            with HERE.open(INSPECTOR_WORK, Path(scratch) / "inspect.log", limits) as child:
                raw = child.call("inspect", path=str(path.absolute()))
        except WorkerFailure as error:
            text = clean(error.message.replace(str(path.absolute()), str(path)))
            if error.kind == "ModelError":
                raise ModelError(text if str(path) in text else f"{path}: {text}", error.hint) from None
            raise ModelError(f"{path}: cannot be read: {text}", WHOLE) from error
        except (WorkerMemory, WorkerTimeout) as error:
            raise ModelError(f"{path}: reading it took more than a model of its size may: {error.message}", WHOLE) from error
        except WorkerError as error:
            raise ModelError(f"{path}: reading it failed: {error.message}", WHOLE) from error
    try:
        return Inspection.model_validate({"path": str(path), **cleaned(raw)})
    except ValidationError as error:
        first = error.errors()[0]
        raise ModelError(f"{path}: not a model that makes sense: {first['loc']}: {first['msg']}", WHOLE) from None
