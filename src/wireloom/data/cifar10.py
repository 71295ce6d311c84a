"""CIFAR-10 from the user's own files: the Parquet form or the binary batches."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wireloom.base import InvalidValue
from wireloom.data.dataset import Dataset
from wireloom.data.pictures import decode
from wireloom.data.selection import choose

CLASSES = 10
SHAPE = (3, 32, 32)
ROW = 1 + 3 * 32 * 32  # bytes of a binary row: the label, then the red, green and blue planes
MEAN = (125.3, 123.0, 113.9)  # as the reference publishes them, in grey levels 0..255
STD = (63.0, 62.1, 66.7)
TRAIN_FILES = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST_FILES = ("test_batch.bin",)
JPEG_NOTE = (
    "images decoded from JPEG: a re-encoded copy of CIFAR-10, so errors differ a little from "
    "the original's"
)

Part = tuple[np.ndarray, np.ndarray]


def from_cifar10(path: str | Path, limit: int | None, test_limit: int | None) -> Dataset:
    """CIFAR-10 as uint8 [N, 3, 32, 32]; only the images that the limits keep are decoded.

    Args:
        path: a folder with train.parquet and test.parquet, or with the six binary batches,
            directly or within cifar-10-batches-bin.
        limit: at most so many training images, a stratified subset; None: all.
        test_limit: the same for the test images.

    Raises:
        InvalidValue: if the files are absent, cut short, or hold something else.

    Cost: about 5 s for the 60,000 pictures of the Parquet form, one thread.
    """
    folder = Path(path).expanduser()
    binary = next(
        (place for place in (folder, folder / "cifar-10-batches-bin") if _has_batches(place)), None
    )
    note = ""
    if all((folder / f"{part}.parquet").is_file() for part in ("train", "test")):
        train, note = _from_parquet(folder / "train.parquet", limit, "limit")
        test, _ = _from_parquet(folder / "test.parquet", test_limit, "test_limit")
    elif binary is not None:
        train = _from_binary([binary / name for name in TRAIN_FILES], limit, "limit")
        test = _from_binary([binary / name for name in TEST_FILES], test_limit, "test_limit")
    else:
        state = "which holds neither" if folder.is_dir() else "which is no folder"
        raise InvalidValue(
            "`path` of cifar10:PATH must be a folder that holds train.parquet and test.parquet "
            "(columns img and label: the data set's form on the Hugging Face hub, each part as "
            f"one file) or data_batch_1.bin to data_batch_5.bin and test_batch.bin (the binary "
            f"version from the page of the data set's authors); got {str(folder)!r}, {state}"
        )
    images, labels, test_images, test_labels = (torch.from_numpy(x) for x in (*train, *test))
    return Dataset(
        name="cifar10",
        train_images=images,
        train_labels=labels,
        test_images=test_images,
        test_labels=test_labels,
        classes=CLASSES,
        mean=torch.tensor(MEAN),
        std=torch.tensor(STD),
        augment=("flip", "crop"),
        note=note,
    )


def _has_batches(folder: Path) -> bool:
    return all((folder / name).is_file() for name in (*TRAIN_FILES, *TEST_FILES))


def _from_binary(files: list[Path], limit: int | None, name: str) -> Part:
    """Images uint8 [N, 3, 32, 32] and labels int64 [N] of binary batches, in file order."""
    parts = []
    for file in files:
        data = np.fromfile(file, np.uint8)
        if data.size == 0 or data.size % ROW:
            raise InvalidValue(
                f"`{file.name}` must hold whole rows of {ROW} bytes, at least one; "
                f"got {data.size} bytes in {str(file)!r}"
            )
        rows = data.reshape(-1, ROW)
        _check_labels(file, rows[:, 0])
        parts.append(rows)
    rows = np.concatenate(parts)
    labels = rows[:, 0].astype(np.int64)
    kept = choose(labels, limit, name)
    return rows[kept, 1:].reshape(-1, *SHAPE), labels[kept]


def _from_parquet(file: Path, limit: int | None, name: str) -> tuple[Part, str]:
    """Images uint8 [N, 3, 32, 32], labels int64 [N], and a note if the pictures are JPEG."""
    labels, cells = _read_columns(file)
    _check_labels(file, labels)
    kept = choose(labels, limit, name)
    images = np.empty((len(kept), *SHAPE), np.uint8)
    jpeg = False
    for place, row in enumerate(kept.tolist()):
        content = cells[row].as_py()
        where = f"row {row} of {str(file)!r}"
        if not content:
            raise InvalidValue(f"{where} must hold the bytes of a picture; got none")
        image = decode(io.BytesIO(content), where)
        if image.shape != SHAPE:
            _, height, width = image.shape
            raise InvalidValue(
                f"{where} must be a 32x32 picture in colour; "
                f"got {width}x{height}, {'grey' if len(image) == 1 else 'colour'}"
            )
        images[place] = image
        jpeg = jpeg or content.startswith(b"\xff\xd8")
    return (images, labels[kept]), JPEG_NOTE if jpeg else ""


def _read_columns(file: Path) -> tuple[np.ndarray, Any]:
    """The labels int64 [N] and the encoded pictures, an Arrow array of N byte strings."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as table:
            names = table.schema_arrow.names
            image = next((name for name in ("img", "image") if name in names), None)
            if image is None or "label" not in names:
                raise InvalidValue(
                    f"{str(file)!r} must have the columns img (or image) and label; "
                    f"got {', '.join(names)}"
                )
            columns = table.read(columns=[image, "label"])
    except (pa.ArrowException, OSError) as problem:
        reason = str(problem).splitlines()[0]
        raise InvalidValue(f"{str(file)!r} must be a whole Parquet file; got {reason}") from problem
    labels = columns["label"]
    if not pa.types.is_integer(labels.type) or labels.null_count or len(labels) == 0:
        raise InvalidValue(
            f"column label of {str(file)!r} must hold an integer in each row, at least one; "
            f"got type {labels.type}, {len(labels)} rows, {labels.null_count} empty"
        )
    cells = columns[image].combine_chunks()
    if pa.types.is_struct(cells.type) and cells.type.get_field_index("bytes") >= 0:
        cells = cells.field("bytes")
    if not (pa.types.is_binary(cells.type) or pa.types.is_large_binary(cells.type)):
        raise InvalidValue(
            f"column {image} of {str(file)!r} must hold encoded pictures, binary or a struct with "
            f"binary field bytes; got type {cells.type}"
        )
    return labels.to_numpy().astype(np.int64), cells


def _check_labels(file: Path, labels: np.ndarray) -> None:
    wrong = np.flatnonzero((labels < 0) | (labels >= CLASSES))
    if wrong.size:
        raise InvalidValue(
            f"labels of {str(file)!r} must be in 0..{CLASSES - 1}; "
            f"got {labels[wrong[0]]} in row {wrong[0]}"
        )
