"""What the benchmarks share: timing two sides in turns, and a row of the table."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

from wireloom.base import write_whole
from wireloom.training import machine

Row = tuple[str, str, str, str]


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def compare(
    ours: Callable[[], object], plain: Callable[[], object], rounds: int, scale: tuple[float, float]
) -> tuple[float, float, float, float, float]:
    """Median seconds of both, scaled, and median, least and largest ratio plain / ours."""
    ours(), plain()  # warm-up
    pairs = [(seconds(ours) * scale[0], seconds(plain) * scale[1]) for _ in range(rounds)]
    ratios = [b / a for a, b in pairs]
    mine, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
    return mine, theirs, statistics.median(ratios), min(ratios), max(ratios)


def spread(work: Callable[[], object], rounds: int) -> tuple[float, str]:
    """Median seconds of a job, and their range in words."""
    times = [seconds(work) for _ in range(rounds)]
    return statistics.median(times), f"{min(times):.2f}-{max(times):.2f} s"


def show(rows: list[Row], about: str, out: Path | None) -> None:
    """Print the table, headed by the machine and ``about``, and write it as Markdown if wanted."""
    hardware = ", ".join(f"{k} {v}" for k, v in machine().items() if k != "threads")
    lines = [
        f"{hardware}; {about}",
        "",
        "| what | Wireloom | plain | ratio |",
        "|---|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
    print("\n".join(lines))
    if out:
        write_whole(out, "\n".join(lines) + "\n")
