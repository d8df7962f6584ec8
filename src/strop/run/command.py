"""The command line that asks for a request: what `make_request` reads, told again by the same declarations."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from strop.core.gate import DEFAULT_GATES
from strop.core.gate_metrics import VALID
from strop.run.devices import is_path
from strop.run.forms import DATA, DEVICE, PATH, SWITCH
from strop.run.options import Option
from strop.run.request import Request

AS_USUAL: Any = object()
"""The value of an option that need not be told."""


def to_argv(request: Request, takes: Collection[Option], absolute: bool = False) -> list[str]:
    """The flags that ask for this request, of a command that takes these options. What is as it is by default is left out.

    Args:
        absolute: whether paths are absolute, for a command that is run from elsewhere.

    Example:
        >>> to_argv(make_request("model.onnx", k=3), OPTIMIZE)
        ['--k', '3']
    """
    found = []
    for option in takes:
        value = told(option, request)
        if value is AS_USUAL:
            continue
        if absolute and (option.form in (PATH, DATA) or (option.form is DEVICE and is_path(value))):
            value = str(Path(value).absolute())
        texts = option.form.written(value)
        found += [option.spelled] * len(texts) if option.form is SWITCH else [p for text in texts for p in (option.spelled, text)]
    return found


def told(option: Option, request: Request) -> Any:
    """The option's value where it is to be told, else AS_USUAL. What a strop.toml may say otherwise is told in any case."""
    if option.name == "preset":
        return request.preprocess.get("preset", AS_USUAL)
    if option.name == "strict":
        return AS_USUAL  # its gates are musts already
    if option.part == "gates":
        usual_gates = (VALID,) if request.config is not None else DEFAULT_GATES
        return [gate for gate in request.gates if gate.kind == option.name and gate not in usual_gates]
    value, usual = getattr(request, option.part), Request.model_fields[option.part].default
    overridden = option.key and request.config is not None and value is not None
    return value if value != usual or overridden else AS_USUAL
