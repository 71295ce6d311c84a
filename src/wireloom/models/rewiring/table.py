"""The table of a rewired model: what was wired, widened and kept, and why."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rewired:
    """What became of one layer.

    module: its name in the model, "" if it is the model itself.
    kind: its class.
    channels: that it wrote and read, (out, into); (0, 0) where it does not say.
    became: that it writes and reads now.
    wired: whether it was wired.
    why: why it was kept, in words; "" if it was wired.
    fixed: why it writes as many channels as before although there is a budget, or "".
    params: before and after, bias included.
    macs: multiply-adds for the example as given, before and after; None without an example.
    """

    module: str
    kind: str
    channels: tuple[int, int]
    became: tuple[int, int]
    wired: bool
    why: str
    fixed: str
    params: tuple[int, int]
    macs: tuple[int, int] | None


@dataclass(frozen=True)
class Rewiring:
    """The table of a rewired model: one row a layer, in the order in which they are registered."""

    rows: tuple[Rewired, ...]

    @property
    def macs(self) -> tuple[int, int] | None:
        """Multiply-adds of all layers for the example, before and after; None without one."""
        counted = [row.macs for row in self.rows if row.macs is not None]
        if not counted:
            return None
        before, after = (sum(side) for side in zip(*counted, strict=True))
        return before, after

    @property
    def params(self) -> tuple[int, int]:
        """Parameters of all layers, before and after."""
        before, after = (sum(side) for side in zip(*(r.params for r in self.rows), strict=True))
        return before, after

    def __str__(self) -> str:
        head = ("module", "kind", "out x into", "now", "params", "after", "multiply-adds", "after")
        lines: list[tuple[str, ...]] = [(*head, "")]
        for row in self.rows:
            now = "" if row.became == row.channels else _size(row.became)
            said = "wired" if row.wired else f"kept: {row.why}"
            said += f"; its width {row.fixed}" if row.fixed else ""
            lines.append(
                (row.module or "(model)", row.kind, _size(row.channels), now,
                 *_pair(row.params), *_pair(row.macs), said)
            )  # fmt: skip
        totals = *_pair(self.params), *_pair(self.macs)
        lines.append(("all layers", "", "", "", *totals, _share(self.macs)))
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if place in (0, 1, 8) else cell.rjust(width)
                for place, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        )


def _size(channels: tuple[int, int]) -> str:
    return f"{channels[0]} x {channels[1]}"


def _pair(numbers: tuple[int, int] | None) -> tuple[str, str]:
    return ("-", "-") if numbers is None else (f"{numbers[0]:,}", f"{numbers[1]:,}")


def _share(numbers: tuple[int, int] | None) -> str:
    if numbers is None or not numbers[0]:
        return ""
    return f"{100 * (numbers[1] / numbers[0] - 1):+.2f} % multiply-adds"
