"""Which samples make the batches of an epoch.

Batches are feature-major, [c*h*w, B], as the networks keep their activations.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from wireloom.base import InvalidValue, permutation
from wireloom.data.checks import whole
from wireloom.data.samples import Batch, Samples


def steps_per_epoch(data: Samples, batch: int) -> int:
    """How many batches ``batches`` yields: N // batch, and 1 where N < batch."""
    return max(1, data.train_count // whole("batch", batch, least=1))


def batches(
    data: Samples,
    *,
    batch: int,
    data_seed: int,
    epoch: int,
    augment: Sequence[str],
    start: int = 0,
    share: tuple[int, int] = (0, 1),
) -> Iterator[Batch]:
    """The training batches of one epoch: normalised, augmented, in an order of their own.

    The order is keyed by (data_seed, epoch), a sample's augmentation by (data_seed, epoch, its
    index), so an epoch can be made again, from any step on, or made without those before it.

    Args:
        data: whose training images are walked once.
        batch: images a step. What is left at the end is dropped; a training set smaller than a
            batch makes one batch.
        data_seed: the seed of order and augmentation.
        epoch: from 0.
        augment: names of augmentations, such as ``data.augment``; () for none.
        start: the first step to make, from 0; those before it cost nothing.
        share: (i, n): of each batch only the i-th of n equal parts, in order, for n processes that
            train together.

    Returns:
        An iterator over (features, labels): float32 [c*h*w, B], contiguous, without unit; int64
        [B]. Each is new memory, on the data's device.

    Raises:
        InvalidValue: at the call, for a bad argument, or a batch that does not part evenly.

    Example:
        >>> for features, labels in batches(data, batch=128, data_seed=0, epoch=0, augment=()):
        ...     loss = criterion(net(features), labels)
    """
    size = min(whole("batch", batch, least=1), data.train_count)
    seed, epoch = whole("data_seed", data_seed), whole("epoch", epoch, least=0)
    first = whole("start", start, least=0)
    part, parts = _share(share)
    if size % parts:
        raise InvalidValue(f"`batch` must part evenly among {parts} processes; got {size} samples")
    order = torch.from_numpy(permutation(data.train_count, "order", seed, epoch))
    own = size // parts
    steps = [
        order[at + part * own : at + (part + 1) * own]
        for at in range(first * size, data.train_count - size + 1, size)
    ]
    names = data.check_augment(augment)
    return data.training(steps, data_seed=seed, epoch=epoch, augment=names)


def evaluation_batches(
    data: Samples, batch: int, *, share: tuple[int, int] = (0, 1)
) -> Iterator[Batch]:
    """The test images in order, normalised; the last batch may be short.

    Args:
        data: whose test images are walked.
        batch: images a step.
        share: (i, n): only every n-th batch, from the i-th on, for n processes that evaluate
            together; a batch has the same samples whatever the share.

    Returns:
        An iterator over (features, labels): float32 [c*h*w, B], contiguous, without unit; int64
        [B].

    Raises:
        InvalidValue: at the call, if ``batch`` is not an integer of at least 1.
    """
    size = whole("batch", batch, least=1)
    part, parts = _share(share)
    count = data.test_count
    steps = [slice(at, min(at + size, count)) for at in range(part * size, count, parts * size)]
    return data.testing(steps)


def _share(share: tuple[int, int]) -> tuple[int, int]:
    part, parts = share
    if not 0 <= part < parts:
        raise InvalidValue(f"`share` must be (i, n) with 0 <= i < n; got {share}")
    return part, parts
