"""Normalisation and augmentation, as functions of tensors.

A sample's augmentation is keyed by (data_seed, epoch, its index in the training set), so it is
the same in any batch, at any batch size and in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from wireloom.base import InvalidValue, nearest, uniform
from wireloom.data.checks import whole

AUGMENTATIONS = ("flip", "crop")
PAD = 4


def normalise(images: torch.Tensor, mean: torch.Tensor, std: torch.Tensor) -> torch.Tensor:
    """``(images - mean) / std``, channel by channel, as new float32 memory.

    Args:
        images: uint8 or float32 [B, c, h, w].
        mean: float32 [c], in the images' own units.
        std: float32 [c], in the images' own units, above 0.

    Returns:
        float32 [B, c, h, w], without unit.
    """
    values = images.to(torch.float32, copy=True, memory_format=torch.contiguous_format)
    return values.sub_(mean[:, None, None]).div_(std[:, None, None])  # in place: 8x quicker


def check_names(names: Sequence[str], image: tuple[int, int, int]) -> tuple[str, ...]:
    """The augmentation names as a tuple, if each is known, named once, and fits ``image``.

    Raises:
        InvalidValue: naming the first that breaks the rule.
    """
    if isinstance(names, str):
        raise InvalidValue(f"`augment` must be a tuple of names; got the string {names!r}")
    for name in names:
        if name not in AUGMENTATIONS:
            raise InvalidValue(
                f"`augment` must hold known names; got {name!r}{nearest(str(name), AUGMENTATIONS)}"
            )
    if len(set(names)) < len(names):
        raise InvalidValue(f"`augment` must hold each name once; got {tuple(names)}")
    if names and image[1] * image[2] == 1:
        raise InvalidValue(
            f"`augment` must be empty for flat features (images of one pixel); got {tuple(names)}"
        )
    return tuple(names)


@dataclass(frozen=True)
class Draws:
    """What one epoch does to each training sample.

    Attributes:
        flip: bool [n], whether the sample is mirrored; None: none is.
        rows: int64 [n], the crop's first row in the padded image, 0..8; None: no crop.
        columns: int64 [n], its first column; None: no crop.
    """

    flip: torch.Tensor | None
    rows: torch.Tensor | None
    columns: torch.Tensor | None


def draw(
    count: int,
    names: tuple[str, ...],
    data_seed: int,
    epoch: int,
    device: torch.device | str = "cpu",
) -> Draws:
    """The augmentation of samples 0..count-1 in one epoch.

    A keyed stream's beginning does not depend on its length, so a sample's draw does not depend
    on ``count``.
    """

    def stream(purpose: str) -> torch.Tensor:
        return torch.from_numpy(uniform(count, purpose, data_seed, epoch))

    flip = rows = columns = None
    if "flip" in names:
        flip = (stream("flip") < 0.5).to(device)
    if "crop" in names:
        places = 2 * PAD + 1
        rows = (stream("crop-rows") * places).long().to(device)
        columns = (stream("crop-columns") * places).long().to(device)
    return Draws(flip, rows, columns)


def apply(images: torch.Tensor, draws: Draws, indices: torch.Tensor) -> torch.Tensor:
    """``images`` [B, c, h, w] augmented by the draws of samples ``indices`` [B]."""
    if draws.flip is None and draws.rows is None:
        return images
    count, channels, height, width = images.shape
    rows = torch.arange(height, device=images.device).expand(count, height)
    columns = torch.arange(width, device=images.device).expand(count, width)
    stride = width
    if draws.rows is not None and draws.columns is not None:
        images = F.pad(images, (PAD, PAD, PAD, PAD))
        stride = width + 2 * PAD
        rows = rows + draws.rows[indices][:, None]
        columns = columns + draws.columns[indices][:, None]
    if draws.flip is not None:
        columns = torch.where(draws.flip[indices][:, None], columns.flip(1), columns)
    pixels = rows[:, :, None] * stride + columns[:, None, :]  # [B, h, w]
    pixels = pixels.reshape(count, 1, height * width).expand(-1, channels, -1)  # [B, c, h*w]
    moved = images.reshape(count, channels, images.shape[2] * images.shape[3]).gather(
        2, pixels
    )  # [B, c, h*w]
    return moved.view(count, channels, height, width)


def augment(
    images: torch.Tensor,
    names: Sequence[str],
    data_seed: int,
    epoch: int,
    indices: torch.Tensor | Sequence[int],
) -> torch.Tensor:
    """Move the pixels of training images at random, each by its own key.

    "crop" pads by 4 zeros on each side and cuts the old size out at one of 9 x 9 places; "flip"
    then mirrors left and right with probability 1/2. Zero is the mean colour of normalised
    images, so normalise first, as ``batches`` does.

    Args:
        images: [B, c, h, w], any type.
        names: among "flip" and "crop"; their order does not matter.
        data_seed: the seed of order and augmentation.
        epoch: from 0.
        indices: [B], each image's index in the training set.

    Returns:
        [B, c, h, w], the type of ``images``, which are left as they are.

    Raises:
        InvalidValue: for an unknown or repeated name, flat features, or indices that do not fit.

    Example:
        >>> images = torch.rand(2, 3, 32, 32)
        >>> augment(images, ("flip", "crop"), 0, 0, [7, 41]).shape
        torch.Size([2, 3, 32, 32])
    """
    if images.ndim != 4:
        raise InvalidValue(f"`images` must be [B, c, h, w]; got shape {list(images.shape)}")
    _, channels, height, width = images.shape
    known = check_names(names, (channels, height, width))
    places = torch.as_tensor(indices, dtype=torch.int64, device=images.device)
    if places.shape != (len(images),) or (len(images) > 0 and int(places.min()) < 0):
        raise InvalidValue(
            f"`indices` must hold one index >= 0 for each of {len(images)} images; got {indices}"
        )
    count = int(places.max()) + 1 if len(images) > 0 else 0
    seed, epoch = whole("data_seed", data_seed), whole("epoch", epoch, least=0)
    return apply(images, draw(count, known, seed, epoch, images.device), places)
