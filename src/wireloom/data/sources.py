"""Data sets by name."""

from __future__ import annotations

import numpy as np
import torch

from wireloom.base import InvalidValue, nearest
from wireloom.data.cifar10 import from_cifar10
from wireloom.data.dataset import Dataset
from wireloom.data.folders import from_folder
from wireloom.data.photographs import patches
from wireloom.data.selection import limited, moments, stratified_order

SOURCES = ("cifar10", "digits", "folder", "patches")
DIGITS_TEST = 500


def load(spec: str, *, limit: int | None = None, test_limit: int | None = None) -> Dataset:
    """The data set that ``spec`` names.

    | spec           | images                                        | train / test    |
    |----------------|-----------------------------------------------|-----------------|
    | `digits`       | 8x8 grey, levels 0..16, of scikit-learn       | 1,297 / 500     |
    | `patches`      | 12x12 grey, of 16 photographs, see `patches`  | 8,000 / 4,000   |
    | `cifar10:PATH` | 32x32 RGB, from Parquet or binary files       | 50,000 / 10,000 |
    | `folder:PATH`  | PATH/train/CLASS/*, PATH/test/CLASS/*         | as found        |

    Args:
        spec: a name, with a path after a colon where one is needed. Nothing is downloaded.
        limit: at most so many training images: a subset with the classes in their shares, the
            same each time, within that of a larger limit.
        test_limit: the same for the test images.

    Raises:
        InvalidValue: for an unknown spec, a limit below 1, or files that are missing or damaged.

    Example:
        >>> load("digits", limit=200).train_images.shape
        torch.Size([200, 1, 8, 8])
    """
    source, colon, path = spec.partition(":")
    if source not in SOURCES:
        raise InvalidValue(
            "`spec` must be digits, patches, cifar10:PATH or folder:PATH; "
            f"got {spec!r}{nearest(source, SOURCES)}"
        )
    if source in ("cifar10", "folder"):
        if not path:
            raise InvalidValue(f"`spec` must name a path, {source}:PATH; got {spec!r}")
        if source == "cifar10":
            return from_cifar10(path, limit, test_limit)
        return from_folder(path, limit=limit, test_limit=test_limit)
    if colon:
        raise InvalidValue(f"`spec` {source} must stand alone, without a path; got {spec!r}")
    return limited(_digits() if source == "digits" else patches(), limit, test_limit)


def _digits() -> Dataset:
    """The 1,797 digits that scikit-learn ships, split by a fixed stratified draw."""
    from sklearn.datasets import load_digits

    levels, digits = (np.asarray(part) for part in load_digits(return_X_y=True))
    images = torch.from_numpy(levels.astype(np.uint8)).view(-1, 1, 8, 8)
    labels = torch.from_numpy(digits.astype(np.int64))
    order = stratified_order(labels.numpy(), "digits")
    test, train = (torch.from_numpy(np.sort(part)) for part in np.split(order, [DIGITS_TEST]))
    mean, std = moments(images[train])
    return Dataset(
        name="digits",
        train_images=images[train],
        train_labels=labels[train],
        test_images=images[test],
        test_labels=labels[test],
        classes=10,
        mean=mean,
        std=std,
    )
