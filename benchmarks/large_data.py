"""Data larger than memory: makes a set, evaluates a small model and a candidate on it, prints the peaks of parent and children.

    python -m benchmarks.large_data [--gigabytes 5] [--form npz|npy]

The set and the store are removed at the end. Peaks are VmHWM, which counts mapped pages that are resident.
"""

import argparse
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import onnx
import psutil
from onnx import TensorProto, helper, numpy_helper

import strop

SIDE, CLASSES, SHARD_BYTES = 512, 4, 256 << 20


def make_model(path: Path) -> None:
    """Mean over [SIDE, SIDE], then a linear layer: cheap, and reads every value."""
    weight = numpy_helper.from_array(np.linspace(-1, 1, CLASSES, dtype=np.float32)[None], "w")
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[1, 2], keepdims=0),
        helper.make_node("Unsqueeze", ["m", "axis"], ["column"]),
        helper.make_node("MatMul", ["column", "w"], ["y"]),
    ]
    axis = numpy_helper.from_array(np.array([1]), "axis")
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", SIDE, SIDE])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", CLASSES])
    graph = helper.make_graph(nodes, "mean", [x], [y], [weight, axis])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def make_data(folder: Path, total: int, form: str) -> int:
    """Shards of 256 MB each. Returns the number of examples."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    rows = SHARD_BYTES // (SIDE * SIDE * 4)
    for number in range(max(1, total // SHARD_BYTES)):
        shift = rng.standard_normal((rows, 1, 1)).astype(np.float32)
        x = rng.random((rows, SIDE, SIDE), np.float32) - 0.5 + shift
        labels = np.where(shift[:, 0, 0] > 0, CLASSES - 1, 0)
        if form == "npz":
            np.savez(folder / f"shard-{number:04}.npz", x=x, labels=labels)
        else:
            np.save(folder / f"x-{number:04}.npy", x)
            np.save(folder / f"labels-{number:04}.npy", labels)
    return rows * max(1, total // SHARD_BYTES)


class Peaks:
    """Watches this process and its children; the highest resident memory of each side, bytes."""

    def __init__(self) -> None:
        self.parent = self.child = 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def watch(self) -> None:
        me = psutil.Process()
        while not self.over.is_set():
            self.parent = max(self.parent, me.memory_info().rss)
            for child in me.children(recursive=True):
                try:
                    self.child = max(self.child, child.memory_info().rss)
                except psutil.Error:
                    continue
            time.sleep(0.02)

    def __enter__(self) -> "Peaks":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=5.0)
    parser.add_argument("--form", choices=["npz", "npy"], default="npz")
    parser.add_argument("--folder", help="where the set is made [the temporary folder]")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="strop-large-", dir=given.folder) as scratch:
        place = Path(scratch)
        make_model(place / "model.onnx")
        count = make_data(place / "eval", int(given.gigabytes * 1e9), given.form)
        begin = time.monotonic()
        with Peaks() as peaks:
            strop.build(
                str(place / "model.onnx"), "int8-dynamic", check=True, data=str(place / "eval"), metric="agreement", threads=1,
                out=str(place / "out"), store=str(place / "store"),
            )  # fmt: skip
        took = time.monotonic() - begin
        print(f"{given.gigabytes:g} GB in {given.form} shards, {count} examples, two evaluations: {took:.0f} s")
        print(f"peak resident memory: parent {peaks.parent / 1e6:.0f} MB, largest child {peaks.child / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
