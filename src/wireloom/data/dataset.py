"""Data in memory: the value that most loaders make."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from wireloom.base import InvalidValue
from wireloom.data.checks import whole
from wireloom.data.samples import Batch, Samples
from wireloom.data.transforms import apply, check_names, draw, normalise

CACHE_BYTES = 256 * 10**6
TENSORS = ("train_images", "train_labels", "test_images", "test_labels", "mean", "std")


@dataclass(frozen=True, eq=False)
class Dataset(Samples):
    """Labelled images in memory, checked once.

    Features without a spatial shape, [N, f], are images of shape (f, 1, 1). The tensors are
    shared with whoever passed them, not copied: do not write to them. Another augmentation, mean
    or note: ``dataclasses.replace(dataset, augment=("flip",))``.

    Attributes:
        name: what tables and reports call it.
        train_images: uint8 (0..255) or float32 [N, c, h, w].
        train_labels: int64 [N], in 0..classes-1; at least two classes occur.
        test_images: as ``train_images``, of the same type and image shape: [M, c, h, w].
        test_labels: int64 [M], in 0..classes-1.
        classes: how many classes there are.
        mean: float32 [c], subtracted to normalise, in the images' own units.
        std: float32 [c], divided by to normalise, in the images' own units; above 0.
        augment: default augmentation of training images, names among "flip" and "crop".
        note: what a reader of results must know, such as that images were re-encoded; or "".

    Raises:
        InvalidValue: naming the field, the rule it breaks and its value.

    Not for data beyond memory: everything stays resident.
    """

    name: str
    train_images: torch.Tensor
    train_labels: torch.Tensor
    test_images: torch.Tensor
    test_labels: torch.Tensor
    classes: int
    mean: torch.Tensor
    std: torch.Tensor
    augment: tuple[str, ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        for name in TENSORS:
            if not isinstance(getattr(self, name), torch.Tensor):
                raise InvalidValue(
                    f"`{name}` must be a tensor; got a {type(getattr(self, name)).__name__} "
                    "(from_tensors takes arrays)"
                )
        whole("classes", self.classes, least=2)
        _check_part("train", self.train_images, self.train_labels, self.classes)
        _check_part("test", self.test_images, self.test_labels, self.classes)
        for rule, train, test in (
            ("the image shape", self.image, tuple(self.test_images.shape[1:])),
            ("the type", self.train_images.dtype, self.test_images.dtype),
        ):
            if train != test:
                raise InvalidValue(
                    f"`test_images` must have {rule} of `train_images`, {train}; got {test}"
                )
        if bool((self.train_labels == self.train_labels[0]).all()):
            raise InvalidValue(
                "`train_labels` must hold at least two classes; "
                f"got only {int(self.train_labels[0])}"
            )
        for name, value in (("mean", self.mean), ("std", self.std)):
            channels = self.image[0]
            if value.dtype != torch.float32 or value.shape != (channels,):
                raise InvalidValue(
                    f"`{name}` must be float32 [{channels}], one number a channel; "
                    f"got {_describe(value)}"
                )
            if not bool(torch.isfinite(value).all()):
                raise InvalidValue(f"`{name}` must be finite; got {value.tolist()}")
        if float(self.std.min()) <= 0:
            raise InvalidValue(f"`std` must be above 0; got {float(self.std.min())}")
        device = self.train_images.device
        for name in TENSORS:
            if getattr(self, name).device != device:
                raise InvalidValue(
                    f"`{name}` must be on the device of `train_images`, {device}; "
                    f"got {getattr(self, name).device}"
                )
        object.__setattr__(self, "augment", self.check_augment(self.augment))  # a tuple

    @property
    def image(self) -> tuple[int, int, int]:
        """The shape (c, h, w) of one image."""
        channels, height, width = self.train_images.shape[1:]
        return channels, height, width

    @property
    def train_count(self) -> int:
        """Training samples."""
        return len(self.train_labels)

    @property
    def test_count(self) -> int:
        """Test samples."""
        return len(self.test_labels)

    def check_augment(self, names: Sequence[str]) -> tuple[str, ...]:
        """The names as a tuple, if they are known and fit; see `Samples`."""
        return check_names(names, self.image)

    @cached_property
    def train_features(self) -> torch.Tensor | None:
        """Normalised training images, float32 [N, c*h*w], kept; None if they exceed 256 MB."""
        return self._features(self.train_images)

    @cached_property
    def test_features(self) -> torch.Tensor | None:
        """Normalised test images, float32 [M, c*h*w], kept; None if they exceed 256 MB."""
        return self._features(self.test_images)

    def _features(self, images: torch.Tensor) -> torch.Tensor | None:
        if images.numel() * 4 > CACHE_BYTES:
            return None
        return normalise(images, self.mean, self.std).flatten(1)

    def training(
        self,
        steps: Sequence[torch.Tensor],
        *,
        data_seed: int,
        epoch: int,
        augment: tuple[str, ...],
    ) -> Iterator[Batch]:
        """The batches of ``steps``; see `Samples`.

        Cost: a gather and a transposition a batch where ``train_features`` is kept; otherwise also
        a pass that normalises.
        """
        features, device = self.train_features, self.train_images.device
        draws = draw(self.train_count, augment, data_seed, epoch, device)
        for step in steps:
            chosen = step.to(device)
            if features is not None:
                rows = features.index_select(0, chosen)  # [B, c*h*w]
            else:
                rows = normalise(self.train_images.index_select(0, chosen), self.mean, self.std)
            if augment:
                rows = apply(rows.view(len(chosen), *self.image), draws, chosen)
            yield _feature_major(rows), self.train_labels.index_select(0, chosen)

    def testing(self, steps: Sequence[slice]) -> Iterator[Batch]:
        """The batches of ``steps``; see `Samples`."""
        features = self.test_features
        for part in steps:
            if features is not None:
                rows = features[part]  # [B, c*h*w]
            else:
                rows = normalise(self.test_images[part], self.mean, self.std)
            yield _feature_major(rows), self.test_labels[part]

    def digest(self) -> str:
        """32 hexadecimal digits of the contents: images, labels, mean and deviation."""
        found = hashlib.blake2b(digest_size=16)
        for name in TENSORS:
            plain = getattr(self, name).detach().cpu().contiguous()
            found.update(f"{plain.dtype}{list(plain.shape)}".encode())
            found.update(memoryview(plain.numpy()))  # pyright: ignore[reportArgumentType]
        return found.hexdigest()

    def to(self, device: torch.device | str) -> Dataset:
        """The same data with every tensor on ``device``, where batches are then made."""
        if torch.device(device) == self.train_images.device:
            return self
        return dataclasses.replace(
            self, **{name: getattr(self, name).to(device) for name in TENSORS}
        )


def _feature_major(rows: torch.Tensor) -> torch.Tensor:
    """[B, ...] as new, contiguous memory [features, B]."""
    flat = rows.flatten(1).t()
    # a batch of one is contiguous as it stands, but may be a view of what the data set keeps
    return flat.clone(memory_format=torch.contiguous_format)


def _describe(tensor: torch.Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


def _check_part(part: str, images: torch.Tensor, labels: torch.Tensor, classes: int) -> None:
    """Check the images and labels of one part, "train" or "test"."""
    if images.ndim != 4 or images.dtype not in (torch.uint8, torch.float32):
        raise InvalidValue(
            f"`{part}_images` must be uint8 or float32 [N, c, h, w]; got {_describe(images)}"
        )
    if images.numel() == 0:
        raise InvalidValue(f"`{part}_images` must not be empty; got shape {list(images.shape)}")
    if labels.ndim != 1 or labels.dtype != torch.int64:
        raise InvalidValue(f"`{part}_labels` must be int64 [N]; got {_describe(labels)}")
    if len(labels) != len(images):
        raise InvalidValue(
            f"`{part}_labels` must hold one label an image, {len(images)}; got {len(labels)}"
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise InvalidValue(
            f"`{part}_labels` must be in 0..{classes - 1}; got {low if low < 0 else high}"
        )
    if images.is_floating_point() and not bool(torch.isfinite(images).all()):
        wrong = int((~torch.isfinite(images).flatten(1).all(1)).nonzero()[0])
        raise InvalidValue(f"`{part}_images` must be finite; got NaN or infinity in image {wrong}")
