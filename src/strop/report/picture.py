"""A model's input as a picture, where it looks like one. Pure: an array in, a PNG out."""

import base64
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from strop.core.metrics import Array

LEAST, MOST = 8, 4096
"""Sides, in pixels, that a picture may have."""
SIDE = 96
"""Pictures are thinned out to about this many pixels a side."""


def as_picture(values: Array) -> NDArray[np.uint8] | None:
    """Bytes of shape [height, width] or [height, width, 3], or None where the array does not look like a picture.

    Args:
        values: one example, shape [H, W, 1 or 3] or [1 or 3, H, W], any numeric type.
    """
    if values.ndim != 3 or values.dtype.kind not in "iuf":
        return None
    if values.shape[0] in (1, 3) and values.shape[2] not in (1, 3):
        values = np.moveaxis(values, 0, 2)
    height, width, channels = values.shape
    if channels not in (1, 3) or not all(LEAST <= side <= MOST for side in (height, width)):
        return None
    step = -(-max(height, width) // SIDE)
    pixels = _bytes(np.asarray(values[::step, ::step], dtype=np.float64))
    return pixels[:, :, 0] if channels == 1 else pixels


def how_drawn(values: Array) -> str:
    """What `as_picture` did to the values, for the reader."""
    if _is_bytes(values):
        return "The pictures show the inputs as they are: whole numbers from 0 to 255."
    if _is_unit(values):
        return "The pictures show the inputs times 255: they lie between 0 and 1."
    return (
        "The pictures show what the model is given. How it was preprocessed is not known, so nothing is undone: "
        "each picture's smallest value is drawn black, its largest white, channels are taken as red, green, blue, "
        "and colors may be off."
    )


def _is_bytes(values: Array) -> bool:
    return bool(values.min() >= 0 and 1 < values.max() <= 255 and np.array_equal(values, np.floor(values)))


def _is_unit(values: Array) -> bool:
    return bool(values.min() >= 0 and values.max() <= 1)


def _bytes(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    if _is_unit(values):
        values = values * 255
    elif not _is_bytes(values):
        low, high = float(values.min()), float(values.max())
        values = (values - low) * (255 / (high - low)) if high > low else np.zeros_like(values)
    return np.asarray(np.round(values), dtype=np.uint8)


def png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG file (ISO/IEC 15948) of shape [height, width] or [height, width, 3]."""
    height, width = pixels.shape[:2]
    color = 2 if pixels.ndim == 3 else 0
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows, 9)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def data_uri(pixels: NDArray[np.uint8]) -> str:
    """The PNG as a `data:` address, for a page that loads nothing."""
    return "data:image/png;base64," + base64.b64encode(png(pixels)).decode()
