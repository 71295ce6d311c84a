"""Picture files as arrays of channels, by pillow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageOps

from wireloom.base import InvalidValue

EXTENSIONS = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
GREY = ("1", "L", "LA")
COLOUR = ("RGB", "RGBA", "P", "PA", "CMYK", "YCbCr", "HSV", "LAB", "RGBX")


def plain(picture: Image.Image) -> Image.Image:
    """A picture as one of mode L if it is grey, else RGB; transparency is dropped.

    Raises:
        ValueError, OSError: as `to_array`.
    """
    if picture.mode not in GREY + COLOUR:
        raise ValueError(f"pictures must have 8 bits a channel; this one has mode {picture.mode}")
    if picture.mode in ("P", "PA"):
        picture = picture.convert("RGBA")  # pillow warns of a transparent palette turned to RGB
    return picture.convert("L" if picture.mode in GREY else "RGB")


def to_array(picture: Image.Image, size: int | None = None) -> np.ndarray:
    """A picture as uint8 [1, h, w] if it is grey, else [3, h, w]; transparency is dropped.

    Args:
        picture: opened by pillow.
        size: if given, the picture is scaled and cut about its centre to size x size pixels.

    Raises:
        ValueError: for pictures of more than 8 bits a channel, which would lose digits.
        OSError: if the file is cut short; other errors of pillow's decoders pass through.
    """
    picture = plain(picture)
    if size is not None:
        picture = ImageOps.fit(picture, (size, size))
    pixels = np.asarray(picture)
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def decode(source: Path | IO[bytes], where: str, size: int | None = None) -> np.ndarray:
    """``to_array`` of a picture in a file or in memory; ``where`` names it in the error.

    Raises:
        InvalidValue: if pillow cannot read it.
    """
    with opened(source, where) as picture:
        return to_array(picture, size)


@contextmanager
def opened(source: Path | str | IO[bytes], where: str) -> Iterator[Image.Image]:
    """A picture in a file or in memory, for as long as it is read; ``where`` names it in the error.

    Raises:
        InvalidValue: if pillow cannot open it, or fails within.
    """
    try:
        with Image.open(source) as picture:
            yield picture
    except Exception as problem:  # pillow's decoders raise many kinds on damaged bytes
        raise InvalidValue(f"{where} must be a whole, readable picture; got {problem}") from problem
