"""Which samples to keep, and what they average to."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch

from wireloom.base import permutation, uniform
from wireloom.data.checks import whole
from wireloom.data.dataset import Dataset

SMALLEST = 1e-37  # below it float32 loses digits, and its inverse overflows


def stratified_order(labels: np.ndarray, *key: int | str) -> np.ndarray:
    """An order of the samples whose every beginning holds the classes in their true shares.

    Each class is spread evenly over the order from a random start, so the first k of n samples
    hold within one of ``k * class size / n`` of a class where classes are alike in size.

    Args:
        labels: integers [n].
        key: names the random stream.

    Returns:
        int64 [n], a permutation of 0..n-1.
    """
    mixed = permutation(len(labels), *key)
    grouped = mixed[np.argsort(labels[mixed], kind="stable")]
    _, first, sizes = np.unique(labels[grouped], return_index=True, return_counts=True)
    rank = np.arange(len(labels)) - np.repeat(first, sizes)  # within its class
    start = np.repeat(uniform(len(sizes), "start", *key), sizes)
    return grouped[np.argsort((rank + start) / np.repeat(sizes, sizes), kind="stable")]


def choose(labels: np.ndarray, limit: int | None, name: str = "limit") -> np.ndarray:
    """Indices of a stratified subset of at most ``limit`` samples, ascending: int64.

    A smaller limit's subset lies within a larger one's. None, or a limit beyond the samples
    there are, keeps all.

    Raises:
        InvalidValue: if ``limit`` is not an integer of at least 1.
    """
    if limit is None:
        return np.arange(len(labels))
    return np.sort(stratified_order(labels, "limit")[: whole(name, limit, least=1)])


def limited(dataset: Dataset, limit: int | None, test_limit: int | None) -> Dataset:
    """``dataset`` with at most so many training and test images; mean and std stay as they were."""
    train = torch.from_numpy(choose(dataset.train_labels.numpy(), limit))
    test = torch.from_numpy(choose(dataset.test_labels.numpy(), test_limit, "test_limit"))
    return dataclasses.replace(
        dataset,
        train_images=dataset.train_images[train],
        train_labels=dataset.train_labels[train],
        test_images=dataset.test_images[test],
        test_labels=dataset.test_labels[test],
    )


def moments(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of each channel, in the images' own units: float32 [c] twice.

    Those of uint8 images are computed in integers, so they are the same on every machine. A
    channel that never varies gets the deviation 1, so that normalising only centres it.
    """
    channels = images.shape[1]
    mean, std = torch.zeros(channels), torch.ones(channels)
    if images.numel() == 0:  # refused later, by a sentence of its own
        return mean, std
    for channel, values in enumerate(images.unbind(1)):  # [N, h, w]
        if values.dtype == torch.uint8:
            average, deviation = _level_moments(torch.bincount(values.reshape(-1)).tolist())
        else:
            wide = values.double()
            average, deviation = float(wide.mean()), float(wide.std(correction=0))
        mean[channel] = average
        if float(values.min()) < float(values.max()) and deviation >= SMALLEST:
            std[channel] = deviation
    return mean, std


def _level_moments(times: list[int]) -> tuple[float, float]:
    """Mean and deviation of grey levels, level k occurring ``times[k]`` times."""
    count = sum(times)
    total = sum(level * number for level, number in enumerate(times))
    squares = sum(level * level * number for level, number in enumerate(times))
    return total / count, math.sqrt(count * squares - total * total) / count
