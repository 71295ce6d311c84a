"""The batches of an epoch, feature-major: [c*h*w, B], as the networks keep their activations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from wireloom.base import permutation
from wireloom.data.checks import whole
from wireloom.data.dataset import Dataset
from wireloom.data.transforms import apply, check_names, draw, normalise

Batch = tuple[torch.Tensor, torch.Tensor]


def steps_per_epoch(dataset: Dataset, batch: int) -> int:
    """How many batches ``batches`` yields: N // batch, and 1 where N < batch."""
    return max(1, len(dataset.train_images) // whole("batch", batch, least=1))


def batches(
    dataset: Dataset, *, batch: int, data_seed: int, epoch: int, augment: Sequence[str]
) -> Iterator[Batch]:
    """The training batches of one epoch: normalised, augmented, in an order of their own.

    The order is keyed by (data_seed, epoch), a sample's augmentation by (data_seed, epoch, its
    index), so an epoch can be made again, or made without those before it.

    Args:
        dataset: whose training images are walked once.
        batch: images a step. What is left at the end is dropped; a training set smaller than a
            batch makes one batch.
        data_seed: the seed of order and augmentation.
        epoch: from 0.
        augment: names among "flip" and "crop", such as ``dataset.augment``; () for none.

    Returns:
        An iterator over (features, labels): float32 [c*h*w, B], contiguous, without unit; int64
        [B]. Each is new memory, on the data set's device.

    Raises:
        InvalidValue: at the call, for a bad argument.

    Cost: a gather and a transposition a batch where ``dataset.train_features`` is kept;
    otherwise also a pass that normalises.

    Example:
        >>> for features, labels in batches(data, batch=128, data_seed=0, epoch=0, augment=()):
        ...     loss = criterion(net(features), labels)
    """
    size = min(whole("batch", batch, least=1), len(dataset.train_images))
    seed, epoch = whole("data_seed", data_seed), whole("epoch", epoch, least=0)
    return _batches(dataset, size, seed, epoch, check_names(augment, dataset.image))


def _batches(
    dataset: Dataset, size: int, seed: int, epoch: int, names: tuple[str, ...]
) -> Iterator[Batch]:
    images, features = dataset.train_images, dataset.train_features
    count, device = len(images), images.device
    order = torch.from_numpy(permutation(count, "order", seed, epoch)).to(device)
    draws = draw(count, names, seed, epoch, device)
    for start in range(0, count - size + 1, size):
        chosen = order[start : start + size]
        if features is not None:
            rows = features.index_select(0, chosen)  # [B, c*h*w]
        else:
            rows = normalise(images.index_select(0, chosen), dataset.mean, dataset.std)
        if names:
            rows = apply(rows.view(size, *dataset.image), draws, chosen)
        yield _feature_major(rows), dataset.train_labels.index_select(0, chosen)


def evaluation_batches(dataset: Dataset, batch: int) -> Iterator[Batch]:
    """The test images in order, normalised; the last batch may be short.

    Args:
        dataset: whose test images are walked.
        batch: images a step.

    Returns:
        An iterator over (features, labels): float32 [c*h*w, B], contiguous, without unit; int64
        [B].

    Raises:
        InvalidValue: at the call, if ``batch`` is not an integer of at least 1.
    """
    return _evaluation_batches(dataset, whole("batch", batch, least=1))


def _evaluation_batches(dataset: Dataset, size: int) -> Iterator[Batch]:
    images, features = dataset.test_images, dataset.test_features
    for start in range(0, len(images), size):
        part = slice(start, start + size)
        if features is not None:
            rows = features[part]  # [B, c*h*w]
        else:
            rows = normalise(images[part], dataset.mean, dataset.std)
        yield _feature_major(rows), dataset.test_labels[part]


def _feature_major(rows: torch.Tensor) -> torch.Tensor:
    """[B, ...] as new, contiguous memory [features, B]."""
    flat = rows.flatten(1).t()
    # a batch of one is contiguous as it stands, but may be a view of what the data set keeps
    return flat.clone(memory_format=torch.contiguous_format)
