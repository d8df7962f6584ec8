"""`inspect`: what a model is and takes, and, for a target, what fits and what to try. No framework, no weights are loaded."""

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from strop.core.backend import Backend
from strop.core.errors import ModelError, UsageError, WorkerError, WorkerFailure, WorkerMemory, WorkerTimeout
from strop.core.inspection import Advice, Assessment, Inspection
from strop.core.target import Target
from strop.plan.advise import advise
from strop.plan.discover import backends
from strop.plan.precision import cached, fits, footprints, quantizable
from strop.plan.rules import rules
from strop.run.devices import find_device
from strop.run.experience import experience
from strop.run.request import known_purpose
from strop.store.store import Store
from strop.worker.call import INSPECTOR_WORK, Child, Limits
from strop.worker.interpreter import why_missing

STEERING = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
SECONDS, MEMORY = 5.0, 500_000_000
"""What reading a model may take; an ONNX or TFLite file whose weights are inside it gets more by its size."""
SECONDS_A_BYTE, MEMORY_A_BYTE = 1e-8, 3
WHOLE_FILES, PROTOBUF = (".onnx", ".tflite"), 2 << 30
"""Formats whose weights lie inside of what is parsed, and the most that such a file may have."""
WHOLE = "is it a whole, valid model?"


def inspect(
    model: str, *, target: str | None = None, purpose: str = "any", context: int | None = None, store: str = ".strop"
) -> Assessment:
    """What a model is, what it takes at each precision, and what to try with it on a device.

    Args:
        model: an ONNX, GGUF or TFLite file, an OpenVINO IR, a Hugging Face or MLX folder.
        target: a device of the catalog, the path of a profile, or `this-machine`; None leaves the advice out.
        purpose: one of `strop.plan.rules.PURPOSES`.
        context: tokens in a language model's cache; None takes all it was made for, 4096 at most.
        store: whose finished runs count as experience.

    Raises:
        ModelError: damaged, unsafe or unsupported. UsageError: no such device or purpose. ConfigError: an invalid profile.

    Example:
        >>> strop.inspect("model.onnx", target="raspberry-pi-5").advice.ranking[0].framework
    """
    purpose = known_purpose(purpose)
    if context is not None and context < 1:
        raise UsageError(f"--context {context} is not above 0", "give a number of tokens")
    device = find_device(target) if target is not None else None
    inspection = read_inspection(Path(model))
    most = inspection.language.context if inspection.language is not None else None
    if context is not None and most is not None and context > most:
        raise UsageError(f"--context {context}: the model was made for {most} tokens", f"give at most {most}")
    sizes = footprints(inspection, context)
    return Assessment(
        inspection=inspection, context=context or cached(inspection) or None, footprints=sizes,
        quantizable=quantizable(inspection),
        fits=fits(sizes, device) if device is not None else (),
        advice=advice_for(inspection, device, purpose, Store(Path(store)), context) if device is not None else None,
    )  # fmt: skip


def advice_for(inspection: Inspection, device: Target, purpose: str, store: Store, context: int | None = None) -> Advice:
    """The advice, from the rules and from what is true here: what is installed, and what the store's runs found."""
    fit = fits(footprints(inspection, context), device)
    measured = experience(store, inspection, device)
    return advise(inspection, device, purpose, absent_here(backends()), measured, fit)


def absent_here(installed: Mapping[str, Backend]) -> dict[str, str]:
    """Framework → why it cannot be started here."""
    missing = {name: why_missing(installed[name]) if name in installed else "Strop has no backend for it yet"
               for name in rules().frameworks}  # fmt: skip
    return {name: why for name, why in missing.items() if why}


def clean(text: str) -> str:
    """A text of a foreign file without what would steer a terminal or turn the direction of writing."""
    return STEERING.sub("�", text)


def cleaned(value: Any) -> Any:
    """Every text in plain JSON, keys too."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(key): cleaned(inner) for key, inner in value.items()}
    return [cleaned(inner) for inner in value] if isinstance(value, list) else value


def read_inspection(path: Path) -> Inspection:
    """Reads a model's files in a worker of little time and memory.

    Raises:
        ModelError: damaged, unsafe or unsupported; or it took more than a model of its size may.
    """
    if not path.exists():
        raise ModelError(f"{path}: no such file", "give the path of a model")
    size = min(path.stat().st_size, PROTOBUF) if path.is_file() and path.suffix.lower() in WHOLE_FILES else 0
    limits = Limits(SECONDS + SECONDS_A_BYTE * size, MEMORY + MEMORY_A_BYTE * size)
    with tempfile.TemporaryDirectory(prefix="strop-") as scratch:
        try:
            with Child(INSPECTOR_WORK, Path(scratch) / "inspect.log", limits) as child:
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
