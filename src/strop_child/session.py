"""What families of models have in common: one protocol for an open session, and the list of the families.

A family is a module of this package: its `open_session(work, **request)` gives a `Session`. Stdlib only.
"""

import importlib
import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, cast

from strop_child import memory, works

PACKAGE = "strop_family"
"""What the folder of a stranger's family is called in the child: its modules import one another by `from . import name`."""
FAMILIES = {"tensor": "strop_child.tensor", "llm": "strop_child.language"}
"""Family → its module, which is imported once a session of it is opened. A stranger's is named by its file."""


class Session(Protocol):
    """One open model under Strop's clock. What it is made of, its `runtime`, is what the work module opened: a backend's session,
    or a bundle.

    opened: the answer to `open`, as `start` makes it. begin, moments: `time.perf_counter` before the model was loaded, and its
    memory since. model_files: whose mapped pages are the model's. verbs: requests that are answered by the method of that name;
    `evaluate` is always one, others are `load` and `loaded` (requests in flight), `fallback` (fixed shapes), `phases` and `fill`
    (tokens).
    """

    @property
    def runtime(self) -> Any: ...

    @property
    def opened(self) -> dict[str, Any]: ...

    @property
    def begin(self) -> float: ...

    @property
    def moments(self) -> list[dict[str, Any]]: ...

    @property
    def model_files(self) -> list[str]: ...

    @property
    def verbs(self) -> frozenset[str]: ...

    def call(self, index: int) -> Any:
        """One call as it is timed, on its inputs in turn."""

    def warm(self) -> dict[str, int]:
        """Calls until a plateau; how many, and the median of the last ones in nanoseconds."""

    def block(self, runs: int) -> dict[str, Any]:
        """One timed block of so many calls, as `clock.block` records it."""

    def evaluate(self, out: str, expected: str | None = None) -> dict[str, Any]:
        """Every example once, its answers as shards in `out`; `expected` is the folder of the baseline's.

        Gives `shards` (output → file), `examples`, `seconds` and `rough_latency_ns`.
        """


def open_session(work: Any, family: str, **request: Any) -> Session:
    """A session of a family, by its name or the file of its module.

    Raises:
        ValueError: there is no such family.
    """
    if family not in FAMILIES and not os.path.isfile(family):
        raise ValueError(f"no family {family!r} of models: there are {', '.join(FAMILIES)}")
    module = importlib.import_module(FAMILIES[family]) if family in FAMILIES else works.load_as(PACKAGE, *named(family))
    return cast("Session", module.open_session(work, **request))


def named(path: str) -> tuple[str, str]:
    """Folder and name of a module."""
    folder, file = os.path.split(os.path.abspath(path))
    return folder, os.path.splitext(file)[0]


class Started(NamedTuple):
    """A runtime's session that has answered once, with what loading it took."""

    runtime: Any
    first: Any
    begin: float
    moments: list[dict[str, Any]]
    opened: dict[str, Any]


def start(work: Any, artifact: str, load: Callable[[], Any], answer: Callable[[Any], Any]) -> Started:
    """Loads a model and has it answer once; memory is counted from the empty process with its runtime imported.

    Args:
        load: opens it. answer: its first inference.
    """
    if hasattr(work, "warm_import"):
        work.warm_import(artifact)
    empty = memory.sample()
    memory.reset_peak()
    begin = time.perf_counter()
    moments = [memory.moment(begin, "empty")]
    start = time.perf_counter()
    runtime = load()
    load_s = time.perf_counter() - start
    moments.append(memory.moment(begin, "loaded"))
    start = time.perf_counter()
    first = answer(runtime)
    first_s = time.perf_counter() - start
    moments.append(memory.moment(begin, "first inference"))
    opened = {
        "load_s": load_s, "first_inference_s": first_s, "profiles": hasattr(work, "profile"), "empty": empty["private"],
        "properties": dict(getattr(runtime, "properties", {})),
    }  # fmt: skip
    return Started(runtime, first, begin, moments, opened)


def model_files(artifact: str) -> list[str]:
    """Every regular file beside the one that is opened, and that file."""
    folder = os.path.dirname(os.path.abspath(artifact))
    found = [os.path.abspath(artifact)]
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if os.path.isfile(path) and path not in found:
            found.append(path)
    return found
