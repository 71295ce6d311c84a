"""Pictures read from their files as they are needed, such as ImageNet's."""

from __future__ import annotations

import copy
import hashlib
import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from PIL import Image

from wireloom.base import InvalidValue, cores, nearest
from wireloom.data.checks import whole
from wireloom.data.crops import AUGMENTATIONS, DEVIATION, MEAN, centre, look, scaled
from wireloom.data.listing import Part, parts_of
from wireloom.data.pictures import opened, plain
from wireloom.data.samples import Batch, Samples
from wireloom.data.selection import choose

AHEAD = 2  # batches that are read before they are asked for
_NO_SHIFT = np.zeros(3)

Read = tuple[np.ndarray, np.ndarray]  # uint8 [h, w, 3], and what is added to its colours, in 0..1


class Streamed(Samples):
    """Pictures in folders by class, decoded and augmented by threads while a network trains.

    Made by `stream_folder`. The bits of a batch do not depend on the number of threads.
    """

    def __init__(
        self, train: Part, test: Part, *, size: int, resize: int, workers: int, name: str
    ) -> None:
        self.name, self.classes = name, len(train.classes)
        self.augment, self.note = AUGMENTATIONS, ""
        self.train, self.test = train, test
        self.size, self.resize, self.workers = size, resize, workers
        self.device = torch.device("cpu")

    @property
    def image(self) -> tuple[int, int, int]:
        """The shape (c, h, w) of one image."""
        return 3, self.size, self.size

    @property
    def train_count(self) -> int:
        """Training pictures."""
        return len(self.train.names)

    @property
    def test_count(self) -> int:
        """Test pictures."""
        return len(self.test.names)

    def check_augment(self, names: Sequence[str]) -> tuple[str, ...]:
        """The names as a tuple, if they are known; see `Samples`."""
        if isinstance(names, str):
            raise InvalidValue(f"`augment` must be a tuple of names; got the string {names!r}")
        for name in names:
            if name not in AUGMENTATIONS:
                raise InvalidValue(
                    f"`augment` of streamed pictures must hold known names; got {name!r}"
                    f"{nearest(str(name), AUGMENTATIONS)}"
                )
        return tuple(names)

    def training(
        self,
        steps: Sequence[torch.Tensor],
        *,
        data_seed: int,
        epoch: int,
        augment: tuple[str, ...],
    ) -> Iterator[Batch]:
        """The batches of ``steps``; see `Samples`. Up to `AHEAD` of them are read ahead.

        Raises:
            InvalidValue: from the iterator, for a picture that cannot be read, by name.
        """

        def read(index: int) -> Read:
            with _picture(self.train, index) as picture:
                width, height = picture.size
                seen = look(width, height, augment, data_seed, epoch, index)
                if seen.box is None:
                    pixels = _evaluated(picture, self.resize, self.size)
                else:
                    pixels = _cut(picture, seen.box, self.size)
            return pixels[:, ::-1] if seen.flip else pixels, seen.shift

        return self._walk((step.tolist() for step in steps), read, self.train.labels)

    def testing(self, steps: Sequence[slice]) -> Iterator[Batch]:
        """The batches of ``steps``: scaled, cut about the centre; see `Samples` and `training`."""

        def read(index: int) -> Read:
            with _picture(self.test, index) as picture:
                return _evaluated(picture, self.resize, self.size), _NO_SHIFT

        chosen = (range(step.start, step.stop) for step in steps)
        return self._walk(chosen, read, self.test.labels)

    def _walk(
        self, steps: Iterable[Sequence[int]], read: Callable[[int], Read], labels: np.ndarray
    ) -> Iterator[Batch]:
        waiting: deque[tuple[Sequence[int], list[Future[Read]]]] = deque()
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="pictures")
        try:
            for step in steps:
                waiting.append((step, [pool.submit(read, index) for index in step]))
                if len(waiting) > AHEAD:
                    yield self._batch(*waiting.popleft(), labels)
            while waiting:
                yield self._batch(*waiting.popleft(), labels)
        finally:
            pool.shutdown(cancel_futures=True)

    def _batch(self, step: Sequence[int], found: list[Future[Read]], labels: np.ndarray) -> Batch:
        """The pictures of a step, normalised: float32 [c*h*w, B], and their labels."""
        pixels, shifts = zip(*(future.result() for future in found), strict=True)
        values = torch.from_numpy(np.stack(pixels)).to(self.device).permute(3, 1, 2, 0)
        x = values.to(torch.float32, memory_format=torch.contiguous_format)  # [3, h, w, B]
        deviation = np.array(DEVIATION)
        scale = torch.from_numpy(1.0 / (255.0 * deviation)).to(x)  # [3]
        offset = torch.from_numpy((np.stack(shifts) - MEAN) / deviation).to(x)  # [B, 3]
        # Two roundings each: a fused one would differ between a vector's body and its tail.
        x.mul_(scale[:, None, None, None]).add_(offset.T[:, None, None, :])
        return x.flatten(0, 2), torch.from_numpy(labels[list(step)]).to(self.device)

    def check(self, told: Callable[[int, int], None] | None = None) -> None:
        """Decode every picture once, at the least cost, to find the damaged before a training does.

        Args:
            told: called with the pictures done and all of them.

        Raises:
            InvalidValue: naming the first picture that cannot be read.
        """

        def read(part: Part, index: int) -> None:
            with _picture(part, index) as picture:
                picture.draft(picture.mode, (1, 1))
                plain(picture).load()

        total, done = self.train_count + self.test_count, 0
        pool = ThreadPoolExecutor(self.workers)
        try:
            for part in (self.train, self.test):
                for start in range(0, len(part.names), 1024):
                    some = range(start, min(start + 1024, len(part.names)))
                    for _ in pool.map(lambda i, part=part: read(part, i), some):
                        done += 1
                    if told:
                        told(done, total)
        finally:
            pool.shutdown(cancel_futures=True)

    def digest(self) -> str:
        """32 hexadecimal digits of names, classes and sizes; the files' contents are not read."""
        found = hashlib.blake2b(digest_size=16)
        found.update(f"{self.size} {self.resize}".encode())
        for part in (self.train, self.test):
            found.update("\0".join(["", *part.classes, "", *part.names]).encode("utf8", "replace"))
            found.update(part.labels.tobytes())
        return found.hexdigest()

    def to(self, device: torch.device | str) -> Streamed:
        """The same pictures, with batches on ``device``."""
        moved = copy.copy(self)
        moved.device = torch.device(device)
        return moved


def stream_folder(
    path: str | os.PathLike[str],
    size: int = 224,
    *,
    resize: int | None = None,
    workers: int = 0,
    limit: int | None = None,
    test_limit: int | None = None,
) -> Streamed:
    """The pictures of PATH/train/CLASS/* and PATH/test/CLASS/* (or val), read as they are needed.

    For training, a random part of each picture is scaled to size x size, mirrored and lit (see
    `wireloom.data.crops.look`); JPEG pictures are decoded at a half, a quarter or an eighth where
    that still leaves ``size`` pixels. For testing, the shorter side is scaled to ``resize`` and
    size x size pixels are cut about the centre. Scaling is bilinear, with antialiasing. All become
    RGB, normalised by ImageNet's mean and deviation; notes on orientation are ignored.

    Args:
        path: the folder that holds train and test (or val), such as ImageNet's.
        size: pixels of a side of what the network reads.
        resize: pixels of the shorter side before the cut in testing; by default size x 256 / 224.
        workers: threads that read; 0 for one a core.
        limit: at most so many training pictures, a stratified subset; None: all.
        test_limit: the same for the test pictures.

    Raises:
        InvalidValue: for a folder that is missing or empty, a class that only the test part has,
            or a number out of range. A damaged picture is named when it is met; `Streamed.check`
            looks for them beforehand.

    Cost: the folders are listed at once; memory for three batches as bytes, and one as floats.

    Example:
        >>> data = stream_folder("imagenet", workers=8)
        >>> fit(build("resnet34", w, image=data.image, classes=1000), data, RECIPES["imagenet"])
    """
    size = whole("size", size, least=1)
    shorter = math.ceil(size * 256 / 224) if resize is None else whole("resize", resize, least=1)
    if shorter < size:
        raise InvalidValue(f"`resize` must be at least `size`, {size}; got {shorter}")
    train, test = parts_of(path)
    return Streamed(
        train.keep(choose(train.labels, limit)) if limit else train,
        test.keep(choose(test.labels, test_limit, "test_limit")) if test_limit else test,
        size=size,
        resize=shorter,
        workers=whole("workers", workers, least=0) or cores(),
        name=train.folder.parent.resolve().name,
    )


def _picture(part: Part, index: int):
    path = part.path(index)
    return opened(path, f"picture {path!r}")


def _cut(picture: Image.Image, box: tuple[int, int, int, int], size: int) -> np.ndarray:
    """A part of a picture, scaled to size x size: uint8 [size, size, 3]."""
    width, height = picture.size
    left, top, right, bottom = box
    # The least size of the whole picture at which the part still has `size` pixels a side.
    least = (math.ceil(width * size / (right - left)), math.ceil(height * size / (bottom - top)))
    picture.draft(picture.mode, least)  # decodes a JPEG at a fraction of its size; else nothing
    x, y = picture.width / width, picture.height / height
    part = (left * x, top * y, min(right * x, picture.width), min(bottom * y, picture.height))
    colour = plain(picture).convert("RGB")
    return np.asarray(colour.resize((size, size), Image.Resampling.BILINEAR, box=part))


def _evaluated(picture: Image.Image, shorter: int, size: int) -> np.ndarray:
    """A picture scaled, and cut about its centre: uint8 [size, size, 3]."""
    colour = plain(picture).convert("RGB")
    scaled_ = colour.resize(scaled(*colour.size, shorter), Image.Resampling.BILINEAR)
    return np.asarray(scaled_.crop(centre(*scaled_.size, size, size)))
