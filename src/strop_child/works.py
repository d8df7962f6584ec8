"""Work modules: a backend's child side is a package, whatever its folder is called and wherever it lies. Stdlib only."""

import importlib
import importlib.machinery
import importlib.util
import os
import sys
from typing import Any

PACKAGE = "strop_work"
VARIABLE = "STROP_WORK"
"""Names the folder to processes that a step starts by `multiprocessing`, which import what they unpickle."""
HERE = os.path.dirname(os.path.abspath(__file__))


def load(path: str) -> Any:
    """The work module at a path: one of this package, or `work` of a backend's.

    Raises:
        ModuleNotFoundError: it imports what is not here; with a hint where that is a module beside it.
    """
    folder, file = os.path.split(os.path.abspath(path))
    name = os.path.splitext(file)[0]
    if os.path.commonpath([folder, HERE]) == HERE:
        parts = [__package__, *os.path.relpath(folder, HERE).split(os.sep), name]
        return importlib.import_module(".".join(part for part in parts if part != os.curdir))
    os.environ[VARIABLE] = folder
    return load_as(PACKAGE, folder, name)


def load_as(package: str, folder: str, name: str) -> Any:
    """A module of somebody else's folder, which becomes a package of this name.

    Raises:
        ModuleNotFoundError: as `load`.
    """
    make_known(folder, package)
    try:
        return importlib.import_module(f"{package}.{name}")
    except ModuleNotFoundError as error:
        missing = str(error.name)
        if "." not in missing and os.path.isfile(os.path.join(folder, f"{missing}.py")):
            error.hint = f"write `from . import {missing}`: a backend's child side is a package"  # type: ignore[attr-defined]
        raise


def make_known(folder: str, package: str = PACKAGE) -> None:
    """The folder as a package whose modules import one another by `from . import name`; its `__init__.py`, which is the
    parent's, is not run."""
    spec = importlib.machinery.ModuleSpec(package, None, is_package=True)
    spec.submodule_search_locations = [folder]
    sys.modules[package] = importlib.util.module_from_spec(spec)
