"""Pictures sorted into folders by class: which there are."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wireloom.base import InvalidValue, nearest
from wireloom.data.pictures import EXTENSIONS


@dataclass(frozen=True)
class Part:
    """The training or the test pictures of a folder, by class and name.

    folder: that holds a folder for each class.
    classes: of the training pictures, in the order of their numbers.
    names: of the files: [n].
    labels: classes' numbers: int64 [n].
    """

    folder: Path
    classes: tuple[str, ...]
    names: tuple[str, ...]
    labels: np.ndarray

    def path(self, index: int) -> str:
        """Where a picture lies."""
        return os.path.join(self.folder, self.classes[self.labels[index]], self.names[index])

    def keep(self, chosen: np.ndarray) -> Part:
        """Some of the pictures, by their indices."""
        names = tuple(self.names[i] for i in chosen)
        return Part(self.folder, self.classes, names, self.labels[chosen])


def parts_of(path: str | os.PathLike[str]) -> tuple[Part, Part]:
    """The training and test pictures of PATH/train/CLASS/* and PATH/test/CLASS/* (or val).

    Classes are numbered in the order of their names. No picture is opened.

    Raises:
        InvalidValue: for a folder that is missing or empty, or a class that only the test part has.

    Cost: one look at each folder; 1.3 million pictures take a few seconds.
    """
    root = Path(path).expanduser()
    train = root / "train"
    test = next((root / name for name in ("test", "val") if (root / name).is_dir()), None)
    if not train.is_dir() or test is None:
        raise InvalidValue(
            "`path` of folder:PATH must hold train/CLASS/picture and test/CLASS/picture (or val); "
            f"got {str(root)!r}, which has no folder {'test or val' if train.is_dir() else 'train'}"
        )
    classes = _subfolders(train)
    return _part(train, classes), _part(test, classes)


def _subfolders(folder: Path) -> tuple[str, ...]:
    with os.scandir(folder) as entries:
        return tuple(sorted(e.name for e in entries if e.is_dir() and not e.name.startswith(".")))


def _part(folder: Path, classes: tuple[str, ...]) -> Part:
    names: list[str] = []
    counts = np.zeros(len(classes), np.int64)
    for name in _subfolders(folder):
        if name not in classes:
            raise InvalidValue(
                f"classes of {str(folder)!r} must be among those of train; "
                f"got {name!r}{nearest(name, classes)}"
            )
        with os.scandir(folder / name) as entries:
            found = sorted(e.name for e in entries if _is_picture(e.name))
        if not found:
            raise InvalidValue(
                f"{str(folder / name)!r} must hold pictures ({', '.join(EXTENSIONS)}); got none"
            )
        names += found
        counts[classes.index(name)] = len(found)
    if not names:
        raise InvalidValue(f"{str(folder)!r} must hold a folder of pictures a class; got none")
    return Part(folder, classes, tuple(names), np.repeat(np.arange(len(classes)), counts))


def _is_picture(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in EXTENSIONS
