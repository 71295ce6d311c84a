"""`Recipe`: how networks are trained."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from wireloom.base import InvalidValue, is_whole, nearest

NUMERICS = 3  # raised whenever the same recipe gives other numbers
OPTIMISERS = ("sgd", "adam", "adamw")
SCHEDULES = ("cosine", "constant")
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class Recipe:
    """How a population is trained; the same for every member.

    epochs: passes over the training set.
    batch: samples a step; what is left at an epoch's end is dropped, and a smaller training set
        is one step.
    lr: learning rate of the first epoch.
    optimiser: "sgd" (Nesterov momentum), "adam" or "adamw".
    momentum: of sgd, in [0, 1).
    weight_decay: on all parameters.
    schedule: "cosine" (by epoch, towards 0) or "constant".
    clip: largest gradient norm of a member, or None.
    smoothing: share of a label spread over all classes, in [0, 1).
    augment: names of augmentations, or None for the data set's own.
    evaluate: epochs between two evaluations on the test set; the last is always evaluated.
    data_seed: of the samples' order and augmentation.
    accumulate: parts that a batch is cut into, one after another, to save memory; each part is
        normalised by itself.
    average: share that a step leaves of the running average of the parameters, in [0, 1); with 0
        there is none. The average is what is evaluated, and what the networks end with.
    precision: of products and convolutions: "float32", or "bfloat16" by torch's autocast, with
        parameters, normalisations, losses and sums in float32.
    """

    epochs: int = 10
    batch: int = 128
    lr: float = 0.1
    optimiser: str = "sgd"
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: str = "cosine"
    clip: float | None = None
    smoothing: float = 0.0
    augment: tuple[str, ...] | None = None
    evaluate: int = 1
    data_seed: int = 0
    accumulate: int = 1
    average: float = 0.0
    precision: str = "float32"

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch", 2), ("evaluate", 1), ("accumulate", 1)):
            value = getattr(self, name)
            if not is_whole(value) or value < least:
                raise InvalidValue(
                    f"`{name}` of a recipe must be a whole number, at least {least}; got {value!r}"
                )
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise InvalidValue(f"`lr` of a recipe must be positive; got {self.lr}")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise InvalidValue(
                f"`weight_decay` of a recipe must be at least 0; got {self.weight_decay}"
            )
        if 2 * self.accumulate > self.batch:
            raise InvalidValue(
                f"`accumulate` of a recipe must leave parts of at least 2 samples; got "
                f"{self.accumulate} parts of a batch of {self.batch}"
            )
        for name in ("momentum", "smoothing", "average"):
            if not 0 <= getattr(self, name) < 1:
                raise InvalidValue(
                    f"`{name}` of a recipe must be in [0, 1); got {getattr(self, name)}"
                )
        if self.clip is not None and not self.clip > 0:
            raise InvalidValue(f"`clip` of a recipe must be positive; got {self.clip}")
        for name, known in (
            ("optimiser", OPTIMISERS),
            ("schedule", SCHEDULES),
            ("precision", PRECISIONS),
        ):
            if getattr(self, name) not in known:
                raise InvalidValue(
                    f"`{name}` of a recipe is not known: '{getattr(self, name)}'"
                    f"{nearest(str(getattr(self, name)), known)}"
                )

    def settings(self) -> dict[str, Any]:
        """The fields by name, without those that came later and have their default."""
        found = dict(vars(self))
        if self.precision == "float32":
            del found["precision"]
        return found

    def rate(self, epoch: int) -> float:
        """Learning rate of an epoch, counted from 0."""
        if self.schedule == "constant":
            return self.lr
        return self.lr * 0.5 * (1.0 + math.cos(math.pi * epoch / self.epochs))

    def evaluates(self, epoch: int) -> bool:
        """Whether the test set is evaluated after an epoch, counted from 0."""
        return (epoch + 1) % self.evaluate == 0 or epoch + 1 == self.epochs


RECIPES = MappingProxyType(
    {
        "short": Recipe(epochs=30),
        "cifar10": Recipe(epochs=200),
        "imagenet": Recipe(epochs=100, batch=256, weight_decay=1e-4),
        "imagenet-efficientnet": Recipe(epochs=100, batch=512, lr=0.2, weight_decay=5e-5),
    }
)
"""Recipes by name: a short one, and those of You et al. 2020, appendix and published code. The last
has the learning rate of its published configuration, where the text says 0.1."""
