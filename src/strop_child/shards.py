"""Memory-mapped `.npy` files to write into, and to read without keeping them in memory. Needs numpy; lives in the child."""

import mmap
import os
from collections.abc import Mapping
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

CHUNK_BYTES = 32 << 20


def create(path: str, dtype: Any, shape: tuple[int, ...]) -> np.memmap[Any, Any]:
    """A new shard with its space reserved: a full disk is an OSError here, where a mapped page would be a SIGBUS later."""
    shard = npy.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    if hasattr(os, "posix_fallocate") and os.path.getsize(path):
        handle = os.open(path, os.O_RDWR)
        try:
            os.posix_fallocate(handle, 0, os.path.getsize(path))
        finally:
            os.close(handle)
    return shard


def release(*arrays: Any) -> None:
    """Lets go of the pages of mapped arrays: what was written stays with the kernel, what is read again is mapped again."""
    for array in arrays:
        mapped = getattr(array, "_mmap", None)
        if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)


SINGLE = ".single.npy"
"""How the file of an input without axes ends: it holds a number for each example, of which a call takes one."""


class Single:
    """The shard of an input without axes. The examples of a batch share its number: an array of shape []."""

    ndim = 1

    def __init__(self, values: NDArray[Any]) -> None:
        self.values, self.dtype, self.shape = values, values.dtype, values.shape
        self.varies = bool((np.asarray(values) != values[:1]).any())

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: Any) -> NDArray[Any]:
        """Raises ValueError where these examples differ."""
        found = np.array(self.values[rows])
        if (found != found[:1]).any():
            raise ValueError("an input without axes takes one number a call, these examples have several")
        return found[:1].reshape(())


def file_of(number: int, spec: Mapping[str, Any]) -> str:
    """The name of an input's shard."""
    return f"input{number}{'.npy' if spec['shape'] else SINGLE}"


def opened(inputs: Mapping[str, str]) -> dict[str, Any]:
    """Input → its shard, mapped."""
    found = {name: np.load(path, mmap_mode="r", allow_pickle=False) for name, path in inputs.items()}
    return {name: Single(shard) if inputs[name].endswith(SINGLE) else shard for name, shard in found.items()}


def feed_of(shards: Mapping[str, Any], rows: Any) -> dict[str, NDArray[Any]]:
    """What a session takes for these examples."""
    parts = {name: shard[rows] for name, shard in shards.items()}
    return {name: np.ascontiguousarray(part) if part.ndim else part for name, part in parts.items()}  # the former adds an axis


def chunks(array: Any) -> list[slice]:
    """Row ranges of about 32 MB."""
    step = max(1, CHUNK_BYTES // max(1, row_bytes(array)))
    return [slice(i, min(i + step, len(array))) for i in range(0, len(array), step)]


def row_bytes(array: Any) -> int:
    return int(np.prod(array.shape[1:], dtype=np.int64)) * int(array.dtype.itemsize)


class Growing:
    """A shard of a number of rows that is not known yet; the header is written last. Leave it as a context manager."""

    def __init__(self, path: str) -> None:
        self.file: BinaryIO = open(path, "wb")  # noqa: SIM115
        self.count = 0
        self.shape: tuple[int, ...] | None = None
        self.dtype: np.dtype[Any] = np.dtype("f4")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.shape is not None:
            self.file.seek(0)
            self.header()
        self.file.close()

    def append(self, rows: NDArray[Any]) -> None:
        """Rows of shape [n, …], all of one shape and type."""
        if self.shape is None:
            self.shape, self.dtype = rows.shape[1:], rows.dtype
            self.header()
        if rows.shape[1:] != self.shape or rows.dtype != self.dtype:
            raise ValueError(f"{rows.dtype}{list(rows.shape[1:])} among {self.dtype}{list(self.shape)}")
        self.file.write(np.ascontiguousarray(rows).tobytes())
        self.count += len(rows)

    def header(self) -> None:
        """numpy leaves room for the first axis to grow, so that every header of this file has one length."""
        described = {"descr": npy.dtype_to_descr(self.dtype), "fortran_order": False, "shape": (self.count, *(self.shape or ()))}
        npy.write_array_header_1_0(self.file, described)
