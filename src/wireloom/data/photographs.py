"""Which photograph does a patch come from: a small task on real pictures that needs no download.

The photographs ship inside the scikit-image package. Each is cut into square tiles; a third of
the tiles, along diagonals, is for testing. A patch lies within one tile, and a test patch also
keeps a margin to its tile's edges, so no pixel is seen both in training and in testing.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path

import numpy as np
import torch

from wireloom.base import InvalidValue, WireloomError, permutation
from wireloom.data.checks import whole
from wireloom.data.dataset import Dataset
from wireloom.data.pictures import decode
from wireloom.data.selection import moments

# Left out: drawings and masks; "motorcycle_right", "color", "microaneurysms", "text" and
# "clock_motion" (a second view, a colour wheel, and pictures too small or too smooth).
PHOTOGRAPHS = (
    "astronaut.png",
    "brick.png",
    "camera.png",
    "cell.png",
    "chelsea.png",
    "coffee.png",
    "coins.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "moon.png",
    "motorcycle_left.png",
    "page.png",
    "retina.jpg",
    "rocket.jpg",
)
GREY_WEIGHTS = np.array([299, 587, 114], np.int64)  # thousandths of red, green, blue: BT.601
LEAST_SIZE = 4


def patches(size: int = 12, *, train: int = 8000, test: int = 4000, seed: int = 0) -> Dataset:
    """Grey patches of 16 photographs, labelled by the photograph they are cut from.

    Args:
        size: pixels; a patch is size x size.
        train: how many training patches; the classes' counts differ by at most one.
        test: how many test patches; likewise.
        seed: which patches.

    Returns:
        A data set of uint8 images [N, 1, size, size] in 16 classes, in the order of
        ``PHOTOGRAPHS``. Patches of one part may overlap each other, never those of the other.

    Raises:
        InvalidValue: for a size beyond the smallest photograph, or more patches than it has.
        WireloomError: if a photograph is missing from the installed scikit-image.

    Three photographs are JPEG files, whose decoders may differ by a grey level between
    versions of pillow.

    Example:
        >>> patches(train=1600, test=800).image
        (1, 12, 12)
    """
    places = patch_places(size, train=train, test=test, seed=seed)
    pictures = _installed()
    images = []
    for part in places:
        cut = [pictures[k][row : row + size, column : column + size] for k, row, column in part]
        images.append(torch.from_numpy(np.stack(cut)[:, None]))  # [N, 1, size, size]
    labels = [torch.from_numpy(part[:, 0].copy()) for part in places]
    mean, std = moments(images[0])
    return Dataset(
        name="patches",
        train_images=images[0],
        train_labels=labels[0],
        test_images=images[1],
        test_labels=labels[1],
        classes=len(PHOTOGRAPHS),
        mean=mean,
        std=std,
    )


def patch_places(
    size: int = 12, *, train: int = 8000, test: int = 4000, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Where the patches of ``patches`` lie.

    Returns:
        int64 [train, 3] and int64 [test, 3]: (photograph, row, column) of each patch's upper
        left pixel.

    Raises:
        InvalidValue, WireloomError: as ``patches``.
    """
    size, seed = whole("size", size, least=LEAST_SIZE), whole("seed", seed)
    counts = {"train": whole("train", train, least=2), "test": whole("test", test, least=1)}
    shapes = [picture.shape for picture in _installed()]
    largest = min(max(min(h // 4, w // 8), min(h // 8, w // 4)) for h, w in shapes)
    if size > largest:
        raise InvalidValue(f"`size` must be in {LEAST_SIZE}..{largest}; got {size}")
    parts = []
    for part, count in counts.items():
        corners = [_corners(height, width, size, part) for height, width in shapes]
        scarce = min(range(len(shapes)), key=lambda photograph: len(corners[photograph]))
        most = len(corners[scarce]) * len(shapes)
        if count > most:
            raise InvalidValue(
                f"`{part}` must be at most {most} patches of {size} pixels, as "
                f"{PHOTOGRAPHS[scarce]} has {len(corners[scarce])}; got {count}"
            )
        chosen = []
        for photograph, places in enumerate(corners):
            share = count // len(shapes) + (photograph < count % len(shapes))
            order = permutation(len(places), "patches", part, photograph, size, seed)
            chosen.append(np.insert(places[order[:share]], 0, photograph, axis=1))
        parts.append(np.concatenate(chosen))
    return parts[0], parts[1]


def _corners(height: int, width: int, size: int, part: str) -> np.ndarray:
    """The upper left pixels of all patches of one part: int64 [n, 2] of (row, column)."""
    tile = 4 * size
    margin = size // 3 if part == "test" else 0
    rows, columns = np.indices((height // tile, width // tile)).reshape(2, -1)
    of_part = ((rows + columns) % 3 == 0) == (part == "test")
    tiles = np.stack([rows[of_part], columns[of_part]], axis=1) * tile + margin  # [tiles, 2]
    steps = np.indices((tile - size - 2 * margin + 1,) * 2).reshape(2, -1).T  # [places, 2]
    return (tiles[:, None] + steps).reshape(-1, 2)


def read_photographs(folder: Path) -> tuple[np.ndarray, ...]:
    """The photographs in ``folder`` as grey uint8 [h, w], in the order of ``PHOTOGRAPHS``.

    Raises:
        WireloomError: naming those that are missing.
    """
    missing = [name for name in PHOTOGRAPHS if not (folder / name).is_file()]
    if missing:
        raise WireloomError(
            "`patches` needs photographs of the scikit-image package; "
            f"missing from {str(folder)!r}: {', '.join(missing)}"
        )
    pictures = []
    for name in PHOTOGRAPHS:
        image = decode(folder / name, f"photograph {name!r}")
        if len(image) == 3:
            image = np.tensordot(GREY_WEIGHTS, image, axes=(0, 0))[None] // 1000
        pictures.append(image[0].astype(np.uint8))
    return tuple(pictures)


@functools.cache
def _installed() -> tuple[np.ndarray, ...]:
    """The installed package's photographs, 7 MB, read once; its code is not imported."""
    found = importlib.util.find_spec("skimage")
    if found is None or found.origin is None:
        raise WireloomError("`patches` needs the scikit-image package; it is not installed")
    return read_photographs(Path(found.origin).parent / "data")
