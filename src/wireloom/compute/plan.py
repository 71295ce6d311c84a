"""Plans: the index lists by which a pattern's operators run, made once for each pattern."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakValueDictionary, finalize

import numpy as np
import torch
from torch import Tensor

from wireloom.compute.pattern import Pattern
from wireloom.native import _native

MARK = 0x316E616C70776C77  # of a plan's words, as in native/plans.hpp
HEAD = 8  # words before the lists


@dataclass(frozen=True)
class Lists:
    """Groups of output rows that share a list of inputs, for one direction of the product.

    row_start: first output row of each group, and the end: int32 [groups + 1].
    input_start: where each group's inputs begin, and the end: int64 [groups + 1].
    inputs: input rows, group after group: int32 [inputs].
    weight_start: where each input's weights begin, or None where they follow one another from
        ``weight_first``: int64 [inputs].
    weight_first: where each group's weights begin: int64 [groups], or None.
    row_stride: distance of the weights of two neighbouring rows: int64 [groups], or None for 1.
    """

    row_start: Tensor
    input_start: Tensor
    inputs: Tensor
    weight_start: Tensor | None
    weight_first: Tensor | None
    row_stride: Tensor | None

    @cached_property
    def addresses(self) -> tuple[int, int, int, int, int, int, int]:
        """Number of groups and the arrays' addresses, in the order of the native product."""
        arrays = (
            self.row_start,
            self.input_start,
            self.inputs,
            self.weight_start,
            self.weight_first,
            self.row_stride,
        )
        found = tuple(0 if a is None else a.data_ptr() for a in arrays)
        return (len(self.row_start) - 1, *found)  # pyright: ignore[reportReturnType]


@dataclass(frozen=True)
class Spans:
    """Runs of groups that share no inputs with one another, as the members of a population.

    starts: first group of each span, and the end: int32 [spans + 1].
    inputs: first and end of the input rows that each reads: int32 [spans, 2].
    """

    starts: Tensor
    inputs: Tensor

    @classmethod
    def of(cls, lists: Lists) -> Spans:
        """The shortest spans of a product's groups."""
        start, inputs = lists.input_start.numpy(), lists.inputs.numpy()
        reads = np.flatnonzero(start[1:] > start[:-1])  # groups that read anything
        if len(reads) == 0:
            return cls(_int32(np.array([0])), _int32(np.empty((0, 2))))
        least = np.minimum.reduceat(inputs, start[reads])
        most = np.maximum.reduceat(inputs, start[reads])
        before = np.maximum.accumulate(most)[:-1]
        after = np.minimum.accumulate(least[::-1])[::-1][1:]
        first = np.concatenate([[0], np.flatnonzero(before < after) + 1])
        groups = len(start) - 1
        starts = np.concatenate([[0], reads[first[1:]], [groups]])
        ends = np.maximum.reduceat(most, first) + 1
        return cls(_int32(starts), _int32(np.stack([np.minimum.reduceat(least, first), ends], 1)))

    @cached_property
    def addresses(self) -> tuple[int, int, int]:
        """Number of spans and the arrays' addresses."""
        return len(self.inputs), self.starts.data_ptr(), self.inputs.data_ptr()


def _int32(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.int32))


def _int64(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.int64))


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
    """The pattern that a plan's words were made for."""
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

    Other lists are made when first used.
    """

    def __init__(self, pattern: Pattern) -> None:
        self.rows, self.columns = pattern.shape
        self.weights = pattern.weights
        with torch.inference_mode(False):  # else no later gradient could be taken
            self.words = torch.from_numpy(_words(pattern))
        self.elsewhere: dict[torch.device, Tensor] = {}  # the words on other devices
        self._out_sizes = np.array(pattern.out_sizes, dtype=np.int64)
        self._in_sizes = np.array(pattern.in_sizes, dtype=np.int64)
        self._edges = pattern.edges
        self._row_starts = pattern.row_starts
        self._column_starts = pattern.column_starts
        self._fan_in = pattern.fan_in
        self._weight_starts = pattern.weight_starts
        _sound.add(self.words.data_ptr())
        finalize(self, _sound.discard, self.words.data_ptr())

    @cached_property
    def _columns(self) -> np.ndarray:
        return pattern_of(self.words).columns()

    @cached_property
    def forward(self) -> Lists:
        """Receivers and the columns that they read."""
        return Lists(
            row_start=_int32(self._row_starts),
            input_start=_int64(np.concatenate([[0], np.cumsum(self._fan_in)])),
            inputs=_int32(self._columns),
            weight_start=None,
            weight_first=_int64(self._weight_starts[:-1]),
            row_stride=_int64(self._fan_in),
        )

    @cached_property
    def forward_spans(self) -> Spans:
        """Spans of receivers."""
        return Spans.of(self.forward)

    @cached_property
    def transposed_spans(self) -> Spans:
        """Spans of senders."""
        return Spans.of(self.transposed)

    @cached_property
    def transposed(self) -> Lists:
        """Senders and the rows that read them."""
        receivers, senders = self._edges.T
        sizes = self._in_sizes[senders]
        ends = np.cumsum(sizes)
        # Within a receiver's row, the place of each block's first weight.
        first_of = np.concatenate([[0], np.cumsum(self._fan_in)])[receivers]
        place = ends - sizes - first_of
        order = np.argsort(senders, kind="stable")  # by sender, then by receiver
        receivers, senders, place = receivers[order], senders[order], place[order]
        heights = self._out_sizes[receivers]
        tops = np.cumsum(heights)
        within = np.arange(tops[-1] if len(tops) else 0) - np.repeat(tops - heights, heights)
        counts = np.bincount(senders, weights=heights, minlength=len(self._in_sizes))
        return Lists(
            row_start=_int32(self._column_starts),
            input_start=_int64(np.concatenate([[0], np.cumsum(counts)])),
            inputs=_int32(np.repeat(self._row_starts[receivers], heights) + within),
            weight_start=_int64(
                np.repeat(self._weight_starts[receivers] + place, heights)
                + within * np.repeat(self._fan_in[receivers], heights)
            ),
            weight_first=None,
            row_stride=None,
        )


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
