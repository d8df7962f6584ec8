"""A bundle as something to run and to time: its own `infer.py`, as a user would load it. Child side."""

import importlib.util
import os
import sys
from typing import Any

import numpy as np


class DataError(Exception):
    """The arrays are refused."""


def module_of(folder: str) -> Any:
    sys.dont_write_bytecode = True
    spec: Any = importlib.util.spec_from_file_location("strop_bundle_infer", os.path.join(folder, "infer.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def open(path: str, settings: dict[str, Any]) -> Any:
    """A session for Strop's clock; `path` is the bundle's infer.py."""
    return module_of(os.path.dirname(path)).load(os.path.dirname(path))


def infer(folder: str, inputs: str, output: str) -> None:
    """Arrays of one .npz → outputs in another."""
    bundle = module_of(folder).load(folder)
    with np.load(inputs, allow_pickle=False) as arrays:
        missing = [name for name in bundle.inputs if name not in arrays]
        if missing:
            raise DataError(f"{inputs}: no array {missing[0]!r}; has {', '.join(arrays.files)}")
        feed = {name: arrays[name] for name in bundle.inputs}
    draft = output + ".partial.npz"
    np.savez(draft, **bundle.run_in_batches(feed, bundle.manifest["workload"]["batches"][0]))
    os.replace(draft, output)
