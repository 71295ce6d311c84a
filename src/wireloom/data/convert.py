"""Data sets from what the caller already holds: tensors, arrays, torch data sets."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import IterableDataset

from wireloom.base import InvalidValue
from wireloom.data.dataset import Dataset
from wireloom.data.pictures import to_array
from wireloom.data.selection import moments


def from_tensors(
    train_images: torch.Tensor | np.ndarray,
    train_labels: torch.Tensor | np.ndarray,
    test_images: torch.Tensor | np.ndarray,
    test_labels: torch.Tensor | np.ndarray,
    classes: int | None = None,
    name: str = "tensors",
) -> Dataset:
    """A data set from tensors or arrays, normalised by its own training mean and deviation.

    Args:
        train_images: [N, c, h, w], or features [N, f], which become [N, f, 1, 1]. uint8 and
            float32 stay as they are and share memory; other real types become float32.
        train_labels: integers [N], from 0.
        test_images: as ``train_images``: [M, c, h, w] or [M, f].
        test_labels: integers [M].
        classes: how many classes there are; None: the largest label + 1.
        name: what tables and reports call it.

    Raises:
        InvalidValue: for complex values, fractional labels, or what ``Dataset`` refuses.

    Example:
        >>> x, y = torch.rand(100, 20), torch.arange(100) % 3
        >>> from_tensors(x[:80], y[:80], x[80:], y[80:]).image
        (20, 1, 1)
    """
    images = _images("train_images", train_images)
    labels = _labels("train_labels", train_labels)
    test = _images("test_images", test_images)
    known = _labels("test_labels", test_labels)
    if classes is None:
        # max(..., 1): a single class is refused by the rule on labels, not by one on `classes`
        classes = max([1, *(int(part.max()) for part in (labels, known) if part.numel())]) + 1
    mean, std = moments(images)
    device = images.device
    return Dataset(name, images, labels, test, known, classes, mean.to(device), std.to(device))


def from_torch(train: Any, test: Any, name: str = "torch") -> Dataset:
    """A data set from two map-style torch data sets of (image, label) pairs, read once each.

    An image is a tensor [c, h, w], [h, w] or [f]; a pillow picture; or an array [h, w, c],
    [h, w] or [f], in the axis order that torchvision takes. Transforms run once: a random one
    would freeze, so leave augmentation to ``Dataset.augment``.

    Args:
        train: anything with ``len`` and ``[index]``, such as ``torch.utils.data.Dataset``.
        test: the same.
        name: what tables and reports call it.

    Raises:
        InvalidValue: for a stream, an item that is no pair, a label that is no integer, an image
            whose shape or type differs from the first, or what ``Dataset`` refuses.
    """
    return from_tensors(*_materialise("train", train), *_materialise("test", test), name=name)


def _tensor(name: str, value: Any) -> torch.Tensor:
    if isinstance(value, np.ndarray) and (
        not value.flags.writeable or min(value.strides, default=0) < 0
    ):
        value = value.copy()  # torch takes neither kind of array as it is
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError) as problem:
        raise InvalidValue(
            f"`{name}` must be a tensor or an array of numbers; got a {type(value).__name__}"
        ) from problem


def _images(name: str, value: torch.Tensor | np.ndarray) -> torch.Tensor:
    images = _tensor(name, value).detach()
    if images.ndim == 2:
        images = images[:, :, None, None]  # [N, f, 1, 1]
    if images.ndim != 4:
        raise InvalidValue(
            f"`{name}` must be [N, c, h, w] or [N, f]; got shape {list(images.shape)}"
        )
    if images.is_complex():
        raise InvalidValue(f"`{name}` must be real; got {images.dtype}")
    if images.dtype != torch.uint8:
        images = images.to(torch.float32)
    return images.contiguous()


def _labels(name: str, value: torch.Tensor | np.ndarray) -> torch.Tensor:
    labels = _tensor(name, value)
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise InvalidValue(f"`{name}` must be integers; got {labels.dtype}")
    return labels.to(torch.int64)


def _materialise(part: str, source: Any) -> tuple[np.ndarray, np.ndarray]:
    """All images [N, c, h, w] and labels int64 [N] of a map-style data set."""
    try:
        count = None if isinstance(source, IterableDataset) else len(source)
    except TypeError:
        count = None
    if count is None:
        raise InvalidValue(
            f"`{part}` must be a map-style data set, with len() and [index]; "
            f"got a {type(source).__name__}"
        )
    if count == 0:
        raise InvalidValue(f"`{part}` must not be empty; got a data set of length 0")
    labels = np.empty(count, np.int64)
    images = np.empty(0)
    for index in range(count):
        item = source[index]
        try:
            picture, label = item
            labels[index] = operator.index(label)
        except (TypeError, ValueError, OverflowError) as problem:
            raise InvalidValue(
                f"`{part}` must hold (image, integer label) pairs; item {index} is no such pair: "
                f"{problem}"
            ) from problem
        image = _channels(part, index, picture)
        if index == 0:
            images = np.empty((count, *image.shape), image.dtype)
        if image.shape != images.shape[1:] or image.dtype != images.dtype:
            raise InvalidValue(
                f"`{part}` must hold images of one shape and type; item {index} is {image.dtype} "
                f"{list(image.shape)}, item 0 is {images.dtype} {list(images.shape[1:])}"
            )
        images[index] = image
    return images, labels


def _channels(part: str, index: int, picture: Any) -> np.ndarray:
    """One item's image as an array [c, h, w]."""
    if isinstance(picture, Image.Image):
        try:
            return to_array(picture)
        except (OSError, ValueError) as problem:
            raise InvalidValue(f"`{part}` item {index}: {problem}") from problem
    channels_last = isinstance(picture, np.ndarray)
    if isinstance(picture, torch.Tensor):
        picture = picture.detach().cpu()
        if picture.dtype == torch.bfloat16:  # numpy has no such type
            picture = picture.float()
        picture = picture.numpy()
    if not isinstance(picture, np.ndarray) or picture.ndim not in (1, 2, 3):
        raise InvalidValue(
            f"`{part}` must hold images that are tensors [c, h, w], [h, w] or [f], pillow "
            f"pictures or arrays; item {index} is a {type(picture).__name__}"
            + (f" of {picture.ndim} dimensions" if isinstance(picture, np.ndarray) else "")
        )
    if picture.ndim == 1:
        return picture[:, None, None]
    if picture.ndim == 2:
        return picture[None]
    return picture.transpose(2, 0, 1) if channels_last else picture
