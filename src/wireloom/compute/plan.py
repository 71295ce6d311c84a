"""Plans: the index lists by which a pattern's products run, made once for each pattern."""

from __future__ import annotations

from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import torch
from torch import Tensor

from wireloom.compute.pattern import Pattern

MARK = 0x316E616C70776C77  # of a plan, as in native/plans.hpp
HEAD = 8  # words before the lists


class Plan:
    """What a pattern's operators need: its index lists, in one tensor.

    The lists name blocks, not entries, in 16-bit numbers where these suffice; native/plans.hpp
    says where each lies. Both directions of the product and the outer product read the same ones.
    """

    __slots__ = ("__weakref__", "_elsewhere", "columns", "rows", "weights", "words")

    def __init__(self, pattern: Pattern) -> None:
        self.rows, self.columns = pattern.shape
        self.weights = pattern.weights
        self.words = torch.from_numpy(_words(pattern))
        self._elsewhere: dict[torch.device, Tensor] = {}

    def on(self, device: torch.device) -> Tensor:
        """The lists on a device: int64 [words]."""
        if device.type == "cpu":
            return self.words
        found = self._elsewhere.get(device)
        if found is None:
            found = self._elsewhere[device] = self.words.to(device)
        return found


def _words(pattern: Pattern) -> np.ndarray:
    receivers, senders = pattern.edges.T
    heights = np.array(pattern.out_sizes, dtype=np.int64)
    widths = np.array(pattern.in_sizes, dtype=np.int64)
    # Where in its receiver's rows each block begins.
    ends = np.cumsum(widths[senders])
    places = ends - widths[senders] - (np.cumsum(pattern.fan_in) - pattern.fan_in)[receivers]
    back = np.argsort(senders, kind="stable")  # by sender, then by receiver
    largest = max(len(heights), len(widths), int(pattern.fan_in.max()))
    index = np.uint16 if largest <= 1 << 16 else np.uint32
    head = [
        *(MARK, np.dtype(index).itemsize, len(heights), len(widths), len(senders)),
        *(*pattern.shape, pattern.weights),
    ]
    starts = [
        pattern.row_starts,
        pattern.column_starts,
        np.searchsorted(receivers, np.arange(len(heights) + 1)),
        np.searchsorted(senders[back], np.arange(len(widths) + 1)),
    ]
    lists = [senders, receivers[back], places[back]]
    return np.concatenate(
        [
            np.array(head, dtype=np.int64),
            pattern.weight_starts,
            _packed(np.concatenate(starts).astype(np.int32)),
            _packed(np.concatenate(lists).astype(index)),
        ]
    )


def _packed(values: np.ndarray) -> np.ndarray:
    """The bytes of small numbers as 64-bit words, filled up with zeros."""
    short = -values.nbytes % 8 // values.itemsize
    return np.concatenate([values, np.zeros(short, dtype=values.dtype)]).view(np.int64)


_plans: WeakValueDictionary[Any, Plan] = WeakValueDictionary()


def plan(pattern: Pattern) -> Plan:
    """The plan of a pattern: kept as long as an equal pattern lives that it was made for."""
    found = pattern.__dict__.get("_plan")
    if found is None:
        # Not the pattern itself, which would keep its own plan alive.
        found = _plans.get(pattern.key)
        if found is None:
            found = _plans[pattern.key] = Plan(pattern)
        pattern.__dict__["_plan"] = found
    return found
