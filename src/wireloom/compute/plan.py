"""Plans: the index lists by which a pattern's operators run, made once for each pattern."""

from __future__ import annotations

from typing import Any
from weakref import WeakValueDictionary, finalize

import numpy as np
import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from wireloom.compute.pattern import Pattern
from wireloom.native import _native

MARK = 0x316E616C70776C77  # of a plan's words, as in native/plans.hpp
HEAD = 8  # words before the lists


def _words(pattern: Pattern) -> np.ndarray:
    """A pattern's plan as native/plans.hpp lays it out: int64 [words]."""
    receivers, senders = pattern.edges.T
    heights = np.array(pattern.out_sizes, dtype=np.int64)
    widths = np.array(pattern.in_sizes, dtype=np.int64)
    # Where in its receiver's rows each block begins.
    ends = np.cumsum(widths[senders])
    places = ends - widths[senders] - (np.cumsum(pattern.fan_in) - pattern.fan_in)[receivers]
    back = np.argsort(senders, kind="stable")  # by sender, then by receiver
    largest = max(len(heights), len(widths), int(pattern.fan_in.max()))
    index = np.uint16 if largest <= 1 << 16 else np.uint32
    head = [MARK, np.dtype(index).itemsize, len(heights), len(widths), len(senders)]
    starts = [
        pattern.row_starts,
        pattern.column_starts,
        np.searchsorted(receivers, np.arange(len(heights) + 1)),
        np.searchsorted(senders[back], np.arange(len(widths) + 1)),
    ]
    return np.concatenate(
        [
            np.array([*head, *pattern.shape, pattern.weights], dtype=np.int64),
            pattern.weight_starts,
            _filled(np.concatenate(starts).astype(np.int32)),
            _filled(np.concatenate([senders, receivers[back], places[back]]).astype(index)),
        ]
    )


def _filled(values: np.ndarray) -> np.ndarray:
    """The bytes of small numbers as 64-bit words, filled up with zeros."""
    short = -values.nbytes % 8 // values.itemsize
    return np.concatenate([values, np.zeros(short, dtype=values.dtype)]).view(np.int64)


def pattern_of(words: Tensor) -> Pattern:
    """The pattern that a plan's words were made for, kept as long as words made here live."""
    found = _patterns.get(words)
    if found is None:
        found = _read(words)
        if words.data_ptr() in _sound:
            _patterns[words] = found
    return found


def _read(words: Tensor) -> Pattern:
    held = words.cpu().numpy()
    width, receivers, senders, blocks = (int(n) for n in held[1:5])
    starts = held[HEAD + receivers + 1 :].view(np.int32)
    rows, columns, first, _ = np.split(
        starts[: 2 * (receivers + senders + 2)],
        np.cumsum([receivers + 1, senders + 1, receivers + 1]),
    )
    lists = held[HEAD + receivers + 1 + receivers + senders + 2 :]
    index = lists.view(np.uint16 if width == 2 else np.uint32)[:blocks].astype(np.int64)
    reading = np.repeat(np.arange(receivers), np.diff(first))
    return Pattern(np.diff(rows).tolist(), np.diff(columns).tolist(), np.stack([reading, index], 1))


_patterns: Any = WeakTensorKeyDictionary()
_sound: set[int] = set()  # addresses of words that were made here and still live


def sound(words: Tensor) -> bool:
    """Whether words on the CPU lead no kernel astray: made here, or looked at index by index."""
    if words.data_ptr() in _sound:
        return True
    fits = words.dtype == torch.int64 and words.dim() == 1 and words.is_contiguous()
    return fits and not _native.plan_fault(words.data_ptr(), len(words))


class Plan:
    """What a pattern's operators need.

    words: the index lists of the products, for both directions, in one tensor: int64 [words]. They
        name blocks, not entries, in 16-bit numbers where these suffice.
    rows, columns, weights: of the pattern.
    """

    def __init__(self, pattern: Pattern) -> None:
        self.rows, self.columns = pattern.shape
        self.weights = pattern.weights
        with torch.inference_mode(False):  # else no later gradient could be taken
            self.words = torch.from_numpy(_words(pattern))
        self.elsewhere: dict[torch.device, Tensor] = {}  # the words on other devices
        _sound.add(self.words.data_ptr())
        finalize(self, _sound.discard, self.words.data_ptr())


_plans: WeakValueDictionary[Any, Plan] = WeakValueDictionary()


def _constant(function: Any) -> Any:
    """What `torch.compiler.assume_constant_result` does, without loading the whole compiler."""
    function._dynamo_marked_constant = True
    return function


@_constant
def plan(pattern: Pattern) -> Plan:
    """The plan of a pattern, shared by equal ones, kept as long as one of them lives."""
    found = pattern.__dict__.get("_plan")
    if found is None:
        # By the pattern's value: the pattern itself as a key would keep its own plan alive.
        found = _plans.get(pattern.key)
        if found is None:
            found = _plans[pattern.key] = Plan(pattern)
        pattern.__dict__["_plan"] = found
    return found


@_constant
def words_on(pattern: Pattern, device: torch.device) -> Tensor:
    """The words of a pattern's plan on a device that is not the CPU."""
    there = plan(pattern).elsewhere
    if device not in there:
        with torch.inference_mode(False):
            there[device] = plan(pattern).words.to(device)
    return there[device]
