"""The command line that asks for a request: every flag derived from `Request`, in one place."""

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from strop.core.choose import DEFAULT_WEIGHTS
from strop.core.gate import DEFAULT_GATES
from strop.core.shapes import text_of
from strop.core.verdict import Gate, Kind
from strop.run.devices import is_path
from strop.run.request import Request

SPELLED = {
    "batches": "batch", "memory_limit_mb": "memory-limit", "time_limit_s": "time-limit", "purpose": "for",
    "backends": "backend", "recipes": "recipe",
}  # fmt: skip
"""Keywords whose flag is not spelled like them."""
PATHS = ("data", "calibration", "questions", "classes", "tokenizer")
FIELDS = {"task": "kind"}
"""Keywords whose field of the request is called otherwise."""
SINGLE = (
    "labels", "task", "metric", "k", "output", "eval_tokens", "prompt_tokens", "output_tokens", "context", "threads",
    "concurrency", "streams", "other_shapes",
    "memory_limit_mb", "time_limit_s", "purpose", "seed",
)  # fmt: skip
PAIRS = {"map": "mapping", "column": "columns", "size": "sizes", "batch_axis": "batch_axes"}
LISTS = ("batches", "backends", "recipes")
CONFIGURABLE = ("k", "batches", "purpose", "target")
"""Fields with a default that a strop.toml may replace: they are told even where they are as by default."""


def flags_of(request: Request, names: Collection[str], absolute: bool = False) -> list[str]:
    """Flags for a command that takes these keywords.

    Args:
        names: as in `strop.run.flags`; `out`, `store`, `olive_config` and the switches are left to the caller.
        absolute: whether paths of data are absolute, for a command that is run from elsewhere.

    What is as it is by default is left out.
    """
    found = []
    for name, values in _values(request, absolute):
        if name in names:
            found += [part for value in values for part in (f"--{SPELLED.get(name, name.replace('_', '-'))}", value)]
    return found


def _values(request: Request, absolute: bool) -> Iterable[tuple[str, list[str]]]:
    """Each keyword with its values as text."""
    for name in PATHS:
        path = getattr(request, name)
        yield name, [] if path is None else [str(Path(path).absolute()) if absolute else str(path)]
    for name in SINGLE:
        yield name, _given(request, FIELDS.get(name, name), lambda value: [_text(value)])
    yield "preset", [str(request.preprocess["preset"])] if "preset" in request.preprocess else []
    for name in LISTS:
        yield name, _given(request, name, lambda values: [_text(value) for value in values])
    for name, field in PAIRS.items():
        yield name, [f"{key}={value}" for key, value in getattr(request, field).items()]
    yield "shape", [f"{key}={text_of(shape)}" for key, shape in request.shapes.items()]
    yield "target", _given(request, "target", lambda device: [str(Path(device).absolute()) if is_path(device) else device])
    yield "budget", _given(request, "budget_s", lambda asked: [{None: "none", "auto": "auto"}.get(asked) or f"{_text(asked)}s"])
    yield "prefer", _weights(request.weights)
    kinds: tuple[Kind, Kind] = ("must", "goal")
    for kind in kinds:
        yield kind, [_gate(gate) for gate in request.gates if gate.kind == kind and gate not in DEFAULT_GATES]


def _given(request: Request, field: str, told: Callable[[Any], list[str]]) -> list[str]:
    """A field's values, unless it is as it is by default."""
    value, usual = getattr(request, field), Request.model_fields[field].default
    return [] if value == usual and (request.config is None or field not in CONFIGURABLE) else told(value)


def _weights(weights: Mapping[str, float]) -> list[str]:
    return [",".join(f"{axis}={_text(weight)}" for axis, weight in weights.items())] if weights != DEFAULT_WEIGHTS else []


def _gate(gate: Gate) -> str:
    return f"{gate.metric}{'>=' if gate.direction == 'at_least' else '<='}{_text(gate.bound)}"


def _text(value: Any) -> str:
    """A value as a flag takes it; 2 rather than 2.0."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
