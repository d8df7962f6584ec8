"""What llama.cpp multiplies its matrices with, seen by its callback while it computes a text. Child side."""

import ctypes as c
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import runner
from .runner import BOOL, FLOAT, INT, POINTER, SIZE

SOURCES = 10
F32 = 0
"""ggml's number of the type."""
Tensor = runner.structure(
    ("type", INT), ("buffer", POINTER), ("n0 n1 n2 n3", c.c_int64), ("b0 b1 b2 b3", SIZE), ("op", INT), ("params", INT * 16),
    ("flags", INT), ("sources", POINTER * SOURCES), ("view", POINTER), ("offset", SIZE), ("data", POINTER),
    ("name", c.c_char * 64),
)  # fmt: skip
"""The head of ggml's tensor; its name is held against what ggml says it is."""
CALLBACK = c.CFUNCTYPE(BOOL, POINTER, BOOL, POINTER)


class Watch:
    """Sums of squares by column of every weight that is multiplied with something."""

    def __init__(self, lib: Any) -> None:
        self.sums, self.counts = dict[str, NDArray[np.float64]](), dict[str, int]()
        self.name_of = lib.base.ggml_get_name
        self.name_of.restype, self.name_of.argtypes = c.c_char_p, (POINTER,)
        self.kind_of = lib.base.ggml_op_desc
        self.kind_of.restype, self.kind_of.argtypes = c.c_char_p, (POINTER,)
        self.error = ""
        self.callback = CALLBACK(self.seen)

    def seen(self, pointer: int, ask: bool, _data: Any) -> bool:
        """Asked first whether a tensor is wanted, then told that it is computed; an exception must not leave it."""
        try:
            if self.kind_of(pointer) != b"MUL_MAT":
                return not ask
            weight, given = (Tensor.from_address(at) for at in Tensor.from_address(pointer).sources[:2])
            name = weight.name.decode("utf-8", "replace")
            if self.name_of(c.addressof(weight)) != weight.name:
                raise runner.LlamaError("ggml's tensors are not those of 0.5")
            if ask or not name.endswith(".weight") or given.type != F32:
                return bool(name.endswith(".weight"))
            self._add(name, given)
        except Exception as error:
            self.error = str(error)
            return False
        return True

    def _add(self, name: str, given: Any) -> None:
        rows = given.n1 * given.n2 * given.n3
        if (given.b0, given.b1) != (4, 4 * given.n0):
            raise runner.LlamaError(f"{name} is multiplied with rows that are not side by side")
        values = np.ctypeslib.as_array(c.cast(given.data, c.POINTER(FLOAT)), (rows, given.n0))
        self.sums[name] = self.sums.get(name, 0) + np.square(values, dtype=np.float64).sum(axis=0)
        self.counts[name] = self.counts.get(name, 0) + rows


def importances(path: str, rows: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
    """Mean square of each column's input, by the weight's name.

    Args:
        rows: windows of token ids.
    """
    watch = Watch(runner.library())
    settings = {"context": rows.shape[1], "cache": "f32", "threads": os.cpu_count() or 1}
    session = runner.Session(path, settings, watch.callback)
    for row in rows:
        session.reset()
        session.step(row, "all")  # llama.cpp leaves out the last layer's other positions where their answers are not wanted
        if watch.error:
            raise runner.LlamaError(watch.error)
    return {name: (total / watch.counts[name]).astype(np.float32) for name, total in watch.sums.items()}
