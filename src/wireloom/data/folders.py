"""Pictures sorted into folders by class."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch

from wireloom.base import InvalidValue, nearest
from wireloom.data.checks import whole
from wireloom.data.dataset import Dataset
from wireloom.data.pictures import EXTENSIONS, decode
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

    Cost: every picture is decoded at once and stays in memory, c*h*w bytes each.

    Example:
        >>> from_folder("flowers", size=64).image
        (3, 64, 64)
    """
    if size is not None:
        size = whole("size", size, least=1)
    root = Path(path).expanduser()
    train = root / "train"
    test = next((root / name for name in ("test", "val") if (root / name).is_dir()), None)
    if not train.is_dir() or test is None:
        raise InvalidValue(
            "`path` of folder:PATH must hold train/CLASS/picture and test/CLASS/picture (or val); "
            f"got {str(root)!r}, which has no folder {'test or val' if train.is_dir() else 'train'}"
        )
    classes = _subfolders(train)
    files, labels = _list(train, classes)
    test_files, test_labels = _list(test, classes)
    kept, test_kept = choose(labels, limit), choose(test_labels, test_limit, "test_limit")
    pictures = [files[index] for index in kept] + [test_files[index] for index in test_kept]
    images = torch.from_numpy(_read(root, pictures, size))
    mean, std = moments(images[: len(kept)])
    return Dataset(
        name=root.resolve().name,
        train_images=images[: len(kept)],
        train_labels=torch.from_numpy(labels[kept]),
        test_images=images[len(kept) :],
        test_labels=torch.from_numpy(test_labels[test_kept]),
        classes=len(classes),
        mean=mean,
        std=std,
    )


def _subfolders(folder: Path) -> list[str]:
    return sorted(
        entry.name
        for entry in folder.iterdir()
        if entry.is_dir() and not entry.name.startswith(".")
    )


def _list(folder: Path, classes: list[str]) -> tuple[list[Path], np.ndarray]:
    """The pictures of one part, by class and name, and their labels int64 [N]."""
    files: list[Path] = []
    labels: list[int] = []
    for name in _subfolders(folder):
        if name not in classes:
            raise InvalidValue(
                f"classes of {str(folder)!r} must be among those of train; "
                f"got {name!r}{nearest(name, classes)}"
            )
        found = sorted(
            entry
            for entry in (folder / name).iterdir()
            if entry.suffix.lower() in EXTENSIONS and not entry.name.startswith(".")
        )
        if not found:
            raise InvalidValue(
                f"{str(folder / name)!r} must hold pictures ({', '.join(EXTENSIONS)}); got none"
            )
        files += found
        labels += [classes.index(name)] * len(found)
    if not files:
        raise InvalidValue(f"{str(folder)!r} must hold a folder of pictures a class; got none")
    return files, np.array(labels, np.int64)


def _read(root: Path, files: list[Path], size: int | None) -> np.ndarray:
    """The pictures as uint8 [N, 1 or 3, h, w]."""
    images: list[np.ndarray] = []
    for file in files:
        image = decode(file, f"picture {str(file)!r}", size)
        if images and image.shape[1:] != images[0].shape[1:]:
            raise InvalidValue(
                f"pictures of {str(root)!r} must share one size, or be given one (`size` of "
                f"from_folder); got {_size(images[0])} in {str(files[0].relative_to(root))!r} and "
                f"{_size(image)} in {str(file.relative_to(root))!r}"
            )
        images.append(image)
    channels = max(len(image) for image in images)
    shape = images[0].shape[1:]
    return np.stack([np.broadcast_to(image, (channels, *shape)) for image in images])


def _size(image: np.ndarray) -> str:
    return f"{image.shape[2]}x{image.shape[1]}"
