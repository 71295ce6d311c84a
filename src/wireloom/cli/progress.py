"""Progress of long work: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wireloom.study.engine import Event

PLAIN_SECONDS = 10.0


def duration(seconds: float) -> str:
    """Hours, minutes and seconds, as h:mm:ss or m:ss."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


@contextmanager
def counting(unit: str) -> Iterator[Callable[[int, int], None]]:
    """Shows how many of ``unit`` are done and the time left; gives what is told (done, in all)."""
    started = shown = time.monotonic()
    live = sys.stderr.isatty()

    def told(done: int, total: int) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown < (0.2 if live else PLAIN_SECONDS):
            return
        shown = now
        left = duration((now - started) * (total - done) / max(done, 1))
        line = f"{done:,} of {total:,} {unit} ({done / total:.0%}), {left} left"
        print(f"\r{line:60s}" if live else line, end="" if live else "\n", file=sys.stderr)
        sys.stderr.flush()

    try:
        yield told
    finally:
        if live:
            print(f"\r{'':60s}\r", end="", file=sys.stderr, flush=True)


class Progress:
    """Shows how many networks are trained, how many a second, and the time left.

    Args:
        networks: to train in this run.
        epochs: of each.
    """

    def __init__(self, networks: int, epochs: int) -> None:
        self.networks, self.epochs = networks, epochs
        self.finished, self.failures = 0, 0
        self._passed = 0.0  # member-epochs
        self._resumed = 0.0  # of them, done before this run
        self._started = self._shown = time.monotonic()
        self._first: set[int] = set()
        self._live: Any = None
        self._task: Any = None

    def __enter__(self) -> Progress:
        if sys.stdout.isatty():
            from rich.progress import BarColumn, TextColumn
            from rich.progress import Progress as Live

            self._live = Live(
                TextColumn("training"),
                BarColumn(),
                TextColumn("{task.fields[words]}"),
                transient=True,
            )
            self._live.start()
            self._task = self._live.add_task(
                "", total=self.networks * self.epochs, words=self.words()
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()

    def words(self) -> str:
        """Networks done, rate and time left."""
        elapsed = max(1e-9, time.monotonic() - self._started)
        total = self.networks * self.epochs
        share = self._passed / total if total else 1.0
        rate = (self._passed - self._resumed) / elapsed  # member-epochs a second
        going = rate > 0 and self._passed < total
        left = f", {duration((total - self._passed) / rate)} left" if going else ""
        return (
            f"{self.finished:,} of {self.networks:,} networks ({share:.0%}), "
            f"{rate / self.epochs:.1f} networks/s{left}"
        )

    def __call__(self, event: Event) -> None:
        if event.member_epochs:
            self._passed += event.member_epochs
            if event.chunk not in self._first:
                self._first.add(event.chunk)
                self._resumed += event.member_epochs
        self.finished += event.finished
        if event.failure:
            self.failures += 1
            self._say(f"population {event.chunk} failed: {event.failure}")
        if self._live:
            self._live.update(self._task, completed=self._passed, words=self.words())
        elif time.monotonic() - self._shown >= PLAIN_SECONDS:
            self._shown = time.monotonic()
            print(self.words(), flush=True)

    def _say(self, line: str) -> None:
        if self._live:
            self._live.print(line, markup=False)
        else:
            print(line, flush=True)
