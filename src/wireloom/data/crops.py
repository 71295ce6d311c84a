"""How ImageNet's pictures are cut and coloured: the geometry and the draws, without a picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from wireloom.base import uniform

AUGMENTATIONS = ("random-crop", "flip", "lighting")
MEAN = (0.485, 0.456, 0.406)  # of ImageNet's training pixels, in 0..1
DEVIATION = (0.229, 0.224, 0.225)
# Principal components of ImageNet's pixels: variances, and a column each (Krizhevsky et al. 2012).
VARIANCES = np.array([0.2175, 0.0188, 0.0045])
COMPONENTS = np.array(
    [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
)
LIGHTING = 0.1  # standard deviation of the draws
AREA = (0.08, 1.0)  # share of a picture that a crop takes
ASPECT = (3 / 4, 4 / 3)  # width over height
TRIES = 10

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Look:
    """What one epoch does to one training picture.

    box: the part that is kept, in pixels: (left, top, right, bottom); None: as in evaluation.
    flip: whether it is mirrored.
    shift: added to red, green and blue, in 0..1: float64 [3].
    """

    box: Box | None
    flip: bool
    shift: np.ndarray


def look(
    width: int, height: int, names: tuple[str, ...], data_seed: int, epoch: int, index: int
) -> Look:
    """The augmentation of a picture of that size, keyed by (data_seed, epoch, index).

    "random-crop" takes a part of 8 to 100 % of the area, the logarithm of its aspect even between
    3/4 and 4/3: the first of ten that fits, else the largest part about the centre whose aspect
    does. "flip" mirrors one in two. "lighting" moves the colours along ImageNet's principal
    components, by their variances times draws of deviation 0.1.

    Source: Szegedy et al. 2015 (crop), Krizhevsky et al. 2012, section 4.1 (lighting).
    """
    from scipy.special import ndtri

    drawn = uniform(4 * TRIES + 4, "look", data_seed, epoch, index)
    box = _box(width, height, drawn[4:].reshape(TRIES, 4)) if "random-crop" in names else None
    flip = "flip" in names and drawn[0] < 0.5
    shift = np.zeros(3)
    if "lighting" in names:
        shift = COMPONENTS @ (VARIANCES * LIGHTING * ndtri(drawn[1:4]))
    return Look(box, bool(flip), shift)


def _box(width: int, height: int, drawn: np.ndarray) -> Box:
    low, high = math.log(ASPECT[0]), math.log(ASPECT[1])
    for share, shape, left, top in drawn:
        area = width * height * (AREA[0] + share * (AREA[1] - AREA[0]))
        aspect = math.exp(low + shape * (high - low))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            x, y = int(left * (width - w + 1)), int(top * (height - h + 1))
            return x, y, x + w, y + h
    w = min(width, max(1, round(height * ASPECT[1])))
    h = min(height, max(1, round(width / ASPECT[0])))
    return centre(width, height, w, h)


def centre(width: int, height: int, w: int, h: int) -> Box:
    """The box of w x h pixels about the centre."""
    x, y = (width - w) // 2, (height - h) // 2
    return x, y, x + w, y + h


def scaled(width: int, height: int, shorter: int) -> tuple[int, int]:
    """The size that a picture gets when its shorter side is scaled to ``shorter``."""
    ratio = shorter / min(width, height)
    return max(shorter, round(width * ratio)), max(shorter, round(height * ratio))
