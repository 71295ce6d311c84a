"""Pictures sorted into folders by class, held in memory."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch

from wireloom.base import InvalidValue
from wireloom.data.checks import whole
from wireloom.data.dataset import Dataset
from wireloom.data.listing import parts_of
from wireloom.data.pictures import decode
from wireloom.data.selection import choose, moments


def from_folder(
    path: str | os.PathLike[str],
    size: int | None = None,
    *,
    limit: int | None = None,
    test_limit: int | None = None,
) -> Dataset:
    """A data set from PATH/train/CLASS/picture and PATH/test (or val)/CLASS/picture.

    Classes are numbered in the order of their names. Pictures are grey if all are, else RGB;
    they are normalised by the mean and deviation of the training pictures kept.

    Args:
        path: the folder that holds train and test (or val).
        size: pixels; if given, each picture is scaled and cut about its centre to size x size.
            None: they must all have one size already.
        limit: at most so many training pictures, a stratified subset; None: all.
        test_limit: the same for the test pictures.

    Raises:
        InvalidValue: for a folder that is missing or empty, a class that only the test part has,
            a picture that cannot be read, or one whose size differs, by name.

    Cost: every picture is decoded at once and stays in memory, c*h*w bytes each; `stream_folder`
        reads them as they are needed.

    Example:
        >>> from_folder("flowers", size=64).image
        (3, 64, 64)
    """
    if size is not None:
        size = whole("size", size, least=1)
    train, test = parts_of(path)
    kept = train.keep(choose(train.labels, limit))
    test_kept = test.keep(choose(test.labels, test_limit, "test_limit"))
    pictures = [part.path(i) for part in (kept, test_kept) for i in range(len(part.names))]
    root, count = train.folder.parent, len(kept.names)
    images = torch.from_numpy(_read(root, pictures, size))
    mean, std = moments(images[:count])
    return Dataset(
        name=root.resolve().name,
        train_images=images[:count],
        train_labels=torch.from_numpy(kept.labels),
        test_images=images[count:],
        test_labels=torch.from_numpy(test_kept.labels),
        classes=len(train.classes),
        mean=mean,
        std=std,
    )


def _read(root: Path, files: list[str], size: int | None) -> np.ndarray:
    """The pictures as uint8 [N, 1 or 3, h, w]."""
    images: list[np.ndarray] = []
    for file in files:
        image = decode(Path(file), f"picture {file!r}", size)
        if images and image.shape[1:] != images[0].shape[1:]:
            first, this = (os.path.relpath(f, root) for f in (files[0], file))
            raise InvalidValue(
                f"pictures of {str(root)!r} must share one size, or be given one (`size` of "
                f"from_folder); got {_size(images[0])} in {first!r} and {_size(image)} in {this!r}"
            )
        images.append(image)
    channels = max(len(image) for image in images)
    shape = images[0].shape[1:]
    return np.stack([np.broadcast_to(image, (channels, *shape)) for image in images])


def _size(image: np.ndarray) -> str:
    return f"{image.shape[2]}x{image.shape[1]}"
