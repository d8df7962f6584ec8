"""Runs this bundle's model. Needs Python, numpy and the runtime in requirements.txt; nothing of Strop.

    from infer import load
    model = load("path/to/bundle")
    outputs = model.run({"input": array})        # arrays of shape [examples, ...] by input name

or as a script, from arrays to arrays:

    python infer.py inputs.npz outputs.npz
"""

import json
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def _runner(folder: Path) -> Any:
    """The runtime's own code, compiled from the source that the manifest vouches for, never from a cache."""
    module = types.ModuleType("bundle_runner")
    source = folder / "runner.py"
    exec(compile(source.read_text(encoding="utf-8"), str(source), "exec"), module.__dict__)
    return module


class Bundle:
    """`run(dict of arrays) -> dict of arrays`. `manifest` says what the model takes and gives."""

    def __init__(self, folder: str | Path) -> None:
        folder = Path(folder)
        self.manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        self.session = _runner(folder).open(str(folder / self.manifest["model"]), self.manifest["settings"])
        self.inputs = {i["name"]: np.dtype(i["dtype"]) for i in self.manifest["inputs"]}
        first = next(iter(self.manifest["inputs"]))["shape"]
        self.fixed = first[0] if first and isinstance(first[0], int) else None

    def run(self, feed: dict[str, NDArray[Any]]) -> Any:
        """Arrays by input name, shape [examples, ...]; whole numbers are cast where the model takes floats."""
        if feed.keys() != self.inputs.keys():
            raise ValueError(f"inputs {sorted(feed)} given, the model takes {sorted(self.inputs)}")
        ready = {n: a if a.dtype == self.inputs[n] else _cast(n, a, self.inputs[n]) for n, a in feed.items()}
        if self.fixed is None or len(next(iter(ready.values()))) == self.fixed:
            return self.session.run(ready)
        return self.run_in_batches(ready, self.fixed)

    def run_in_batches(self, feed: dict[str, NDArray[Any]], batch: int) -> dict[str, NDArray[Any]]:
        """Any number of examples, `batch` at a time; a last short batch is filled up where the size is fixed."""
        count, parts = len(next(iter(feed.values()))), []
        for start in range(0, count, batch):
            rows = np.arange(start, start + batch) % count if self.fixed else np.arange(start, min(start + batch, count))
            parts.append(self.run({name: np.ascontiguousarray(array[rows]) for name, array in feed.items()}))
        return {name: np.concatenate([p[name] for p in parts])[:count] for name in parts[0]}


def _cast(name: str, array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    if not (np.can_cast(array.dtype, dtype, "same_kind") or (array.dtype.kind in "iub" and dtype.kind == "f")):
        raise ValueError(f"input {name!r} is {array.dtype}, the model takes {dtype}")
    return array.astype(dtype)


def load(folder: str | Path = ".") -> Bundle:
    """The bundle in `folder`, ready to run."""
    return Bundle(folder)


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        print(__doc__)
        return 2
    bundle = load(Path(__file__).resolve().parent)
    with np.load(arguments[0], allow_pickle=False) as arrays:
        missing = [name for name in bundle.inputs if name not in arrays]
        if missing:
            print(f"{arguments[0]}: no array {missing[0]!r}; has {', '.join(arrays.files)}", file=sys.stderr)
            return 1
        feed = {name: arrays[name] for name in bundle.inputs}
    outputs: dict[str, Any] = bundle.run_in_batches(feed, bundle.manifest["workload"]["batches"][0])
    np.savez(arguments[1], **outputs)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
