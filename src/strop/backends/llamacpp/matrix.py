"""What llama.cpp multiplies its matrices with, seen by its callback while it computes a text. Child side."""

import ctypes as c
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import runner
from .experts import by_expert, means, numbers_of
from .runner import BOOL, INT, POINTER, SIZE

SOURCES = 10
PRODUCTS = (b"MUL_MAT", b"MUL_MAT_ID")
"""ggml's products with a weight: with one matrix, and with those of the experts that a token is given to."""
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
    """Sums of squares by column of every weight that is multiplied with something, experts apart."""

    def __init__(self, lib: Any) -> None:
        self.sums, self.counts = dict[str, NDArray[np.float64]](), dict[str, NDArray[np.int64]]()
        self.name_of = lib.base.ggml_get_name
        self.name_of.restype, self.name_of.argtypes = c.c_char_p, (POINTER,)
        self.kind_of = lib.base.ggml_op_desc
        self.kind_of.restype, self.kind_of.argtypes = c.c_char_p, (POINTER,)
        self.error = ""
        self.callback = CALLBACK(self.seen)

    def seen(self, pointer: int, ask: bool, _data: Any) -> bool:
        """Asked first whether a tensor is wanted, then told that it is computed; an exception must not leave it."""
        try:
            kind = self.kind_of(pointer)
            if kind not in PRODUCTS:
                return not ask
            sources = Tensor.from_address(pointer).sources
            weight, given = (Tensor.from_address(at) for at in sources[:2])
            name = weight.name.decode("utf-8", "replace")
            if self.name_of(c.addressof(weight)) != weight.name:
                raise runner.LlamaError("ggml's tensors are not those of 0.5")
            if ask or not name.endswith(".weight") or given.type != F32:
                return bool(name.endswith(".weight"))
            experts = Tensor.from_address(sources[2]) if kind == PRODUCTS[1] else None
            self._add(name, given, weight.n2 if experts is not None else 1, experts)
        except Exception as error:
            self.error = str(error)
            return False
        return True

    def _add(self, name: str, given: Any, many: int, chosen: Any) -> None:
        """Adds the rows of one product.

        Args:
            many: matrices in the weight. chosen: which of them a row is multiplied with; None where there is one.
        """
        values = numbers_of(given, np.float32)[0]
        if chosen is None:
            values, experts = values.reshape(-1, 1, given.n0), np.zeros((values.size // given.n0, 1), np.int32)
        else:
            experts = numbers_of(chosen, np.int32)[0, 0]
        sums, counts = by_expert(values, experts, many)
        self.sums[name] = self.sums.get(name, 0) + sums
        self.counts[name] = self.counts.get(name, 0) + counts


def importances(path: str, rows: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
    """Mean square of each column's input, by the weight's name; of a mixture those of all experts, one after another.

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
    return {name: means(total, watch.counts[name]) for name, total in watch.sums.items()}
