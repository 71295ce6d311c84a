"""What a training walks: labelled images, wherever they lie."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import torch

Batch = tuple[torch.Tensor, torch.Tensor]


class Samples(ABC):
    """Labelled images for training and testing, in memory (`Dataset`) or read as they are needed.

    Which samples make a batch is decided by `batches` and `evaluation_batches`; a source of samples
    makes the batches that it is asked for, in that order.

    Attributes:
        name: what tables and reports call it.
        classes: how many classes there are.
        augment: default augmentation of training images, names among ``augmentations``.
        augmentations: names of all that it can do.
        note: what a reader of results must know, or "".
    """

    name: str
    classes: int
    augment: tuple[str, ...]
    note: str

    @property
    @abstractmethod
    def image(self) -> tuple[int, int, int]:
        """The shape (c, h, w) of one image."""

    @property
    @abstractmethod
    def train_count(self) -> int:
        """Training samples."""

    @property
    @abstractmethod
    def test_count(self) -> int:
        """Test samples."""

    @abstractmethod
    def check_augment(self, names: Sequence[str]) -> tuple[str, ...]:
        """The augmentation names as a tuple, if each is known, named once, and fits the images.

        Raises:
            InvalidValue: naming the first that breaks the rule.
        """

    @abstractmethod
    def training(
        self,
        steps: Sequence[torch.Tensor],
        *,
        data_seed: int,
        epoch: int,
        augment: tuple[str, ...],
    ) -> Iterator[Batch]:
        """A batch for each of ``steps``, which hold indices of training samples: int64 [B].

        A sample's augmentation depends on (data_seed, epoch, its index) alone.

        Returns:
            An iterator over (features, labels): float32 [c*h*w, B], contiguous, normalised; int64
            [B].
        """

    @abstractmethod
    def testing(self, steps: Sequence[slice]) -> Iterator[Batch]:
        """A batch for each of ``steps``, which hold ranges of test samples; as `training`."""

    @abstractmethod
    def digest(self) -> str:
        """32 hexadecimal digits of all that batches are made from, for checkpoints and studies."""

    @abstractmethod
    def to(self, device: torch.device | str) -> Samples:
        """The same samples, with batches on ``device``."""
