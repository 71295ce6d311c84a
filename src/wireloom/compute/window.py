"""`Window`: what part of its input map each output pixel of a convolution reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from wireloom.base import InvalidValue, is_whole

Pair = tuple[int, int]
LEAST = {"size": 1, "stride": 1, "padding": 0, "dilation": 1}


def _pair(name: str, value: int | Sequence[int]) -> Pair:
    pair = value if isinstance(value, Sequence) else (value, value)
    if len(pair) != 2 or not all(is_whole(v) and v >= LEAST[name] for v in pair):
        raise InvalidValue(
            f"`{name}` of a convolution must be a whole number of at least {LEAST[name]}, "
            f"or two of them (height, width); got {value!r}"
        )
    return int(pair[0]), int(pair[1])


@dataclass(frozen=True)
class Window:
    """The geometry of a convolution, each part as (height, width).

    size: taps of the kernel.
    stride: input pixels from one output pixel's window to the next one's.
    padding: pixels of zeros around the input map, on either side.
    dilation: input pixels from one tap to the next.
    """

    size: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)

    def __post_init__(self) -> None:
        for name in LEAST:
            object.__setattr__(self, name, _pair(name, getattr(self, name)))

    @classmethod
    def of(
        cls,
        size: int | Sequence[int],
        *,
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
    ) -> Window:
        """From whole numbers or pairs of them.

        Raises:
            InvalidValue: for anything else, or a number out of range.
        """
        return cls(
            _pair("size", size),
            _pair("stride", stride),
            _pair("padding", padding),
            _pair("dilation", dilation),
        )

    @classmethod
    def read(cls, numbers: Sequence[int]) -> Window:
        """From the eight numbers of `numbers`."""
        if len(numbers) != 8:
            raise InvalidValue(f"a window has 8 numbers; got {len(numbers)}")
        return _read(tuple(numbers))

    @property
    def numbers(self) -> tuple[int, ...]:
        """Size, stride, padding and dilation, as (height, width) one after another."""
        return (*self.size, *self.stride, *self.padding, *self.dilation)

    @property
    def taps(self) -> int:
        """Weights of one entry of the pattern."""
        return self.size[0] * self.size[1]

    @property
    def pointwise(self) -> bool:
        """Whether each output pixel reads one input pixel alone: a product on some pixels."""
        return self.taps == 1 and self.padding == (0, 0)

    def output(self, height: int, width: int) -> Pair:
        """Height and width of the output map; below 1 if the window does not fit."""
        height, width = (
            (n + 2 * pad - gap * (taps - 1) - 1) // step + 1
            for n, taps, step, pad, gap in zip(
                (height, width), self.size, self.stride, self.padding, self.dilation, strict=True
            )
        )
        return height, width


@lru_cache(maxsize=256)
def _read(numbers: tuple[int, ...]) -> Window:
    return Window(numbers[0:2], numbers[2:4], numbers[4:6], numbers[6:8])  # pyright: ignore[reportArgumentType]
