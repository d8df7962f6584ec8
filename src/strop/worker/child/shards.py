"""Memory-mapped `.npy` files to write into. Needs numpy; lives in the child."""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray


def create(path: str, dtype: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """A new shard with its space reserved: a full disk is an OSError here, where a mapped page would be a SIGBUS later."""
    shard = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    if hasattr(os, "posix_fallocate") and os.path.getsize(path):
        handle = os.open(path, os.O_RDWR)
        try:
            os.posix_fallocate(handle, 0, os.path.getsize(path))
        finally:
            os.close(handle)
    return shard
