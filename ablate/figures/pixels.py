"""Pixels as a PNG, for scenes that show images or a grid of shades. No library: a PNG is a header and zlib."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAST = 128
"""Pixels of a side that a viewer is given at least: fewer, enlarged by a browser, are a blur."""

MOST = 256
"""Of a larger image every k-th pixel is kept: on paper a picture is less than an inch."""

Pixels = NDArray[Any]
"""uint8 (height, width, 1 or 3): grey or red, green and blue."""


def png(pixels: Pixels) -> str:
    """A PNG of an image in base64; each pixel a square of pixels where there are few."""
    height, width, channels = pixels.shape
    step = max(1, -(-max(height, width) // MOST))
    pixels = pixels[::step, ::step]
    times = max(1, -(-LEAST // min(pixels.shape[:2])))
    shown = np.repeat(np.repeat(pixels, times, 0), times, 1)
    height, width = shown.shape[:2]
    lines = np.zeros((height, 1 + width * channels), np.uint8)  # each begins with the number of its filter: none
    lines[:, 1:] = shown.reshape(height, -1)
    head = struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b""))
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)).decode()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def shades(values: NDArray[np.float64], low: tuple[int, int, int], high: tuple[int, int, int]) -> Pixels:
    """Values from -1 to 1 as colours between white and `high`, below 0 and `low`. values: (rows, columns)."""
    share = np.abs(values)[..., None]
    ends = np.where((values < 0)[..., None], np.array(low), np.array(high))
    mixed: Pixels = np.rint(255 * (1 - share) + ends * share).astype(np.uint8)
    return mixed
