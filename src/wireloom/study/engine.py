"""Engines: they order a study's chunks and run them somewhere; this one, on this machine.

Which runs share a chunk is fixed by the plan, so no engine changes a number.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING, Protocol

import torch

from wireloom.base import InvalidValue, WireloomError, cores
from wireloom.store import Run as Row
from wireloom.training.machine import usable_device

if TYPE_CHECKING:
    from wireloom.study.study import Study

STORE = "WIRELOOM_STORE"  # environment variable with a database's URL, password and all


@dataclass(frozen=True)
class Event:
    """Something that happened during a run.

    chunk: index of the chunk.
    member_epochs: networks times epochs that have passed since the last event.
    finished: networks stored by now in this event.
    failure: why the chunk failed, or "".
    """

    chunk: int
    member_epochs: int = 0
    finished: int = 0
    failure: str = ""


class Engine(Protocol):
    """Runs chunks of a study and stores their rows as they finish."""

    def run(
        self, study: Study, chunks: Sequence[int], on_event: Callable[[Event], None]
    ) -> None: ...


@dataclass(frozen=True)
class Local:
    """This machine: one process a core, each training a chunk at a time on one thread; or its GPU.

    A chunk that fails, or whose process dies, does not stop the others.

    workers: processes; 0 for one a core. With one, or with data of your own, everything runs in
        the calling process.
    threads: of each process; 0 shares the cores out.
    device: "cpu", or "cuda", which trains one chunk after another in the calling process.
    """

    workers: int = 0
    threads: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name in ("workers", "threads"):
            if getattr(self, name) < 0:
                raise InvalidValue(f"`{name}` must be at least 0; got {getattr(self, name)}")
        if usable_device(self.device).type != "cpu" and self.workers > 1:
            raise InvalidValue(f"`workers` must be 0 or 1 on a GPU; got {self.workers}")

    def run(self, study: Study, chunks: Sequence[int], on_event: Callable[[Event], None]) -> None:
        """Run the chunks, storing the rows of each as it finishes."""
        workers, threads = self.share(1 if study.own_data else len(chunks))
        if workers == 1:
            _run_here(study, chunks, threads, self.device, on_event)
        else:
            _run_apart(study, chunks, workers, threads, on_event)

    def share(self, chunks: int) -> tuple[int, int]:
        """How many processes so many chunks get, and the threads of each."""
        workers = min(self.workers or (cores() if self.device == "cpu" else 1), chunks)
        return workers, self.threads or max(1, cores() // workers)


def _run_here(
    study: Study,
    chunks: Sequence[int],
    threads: int,
    where: str,
    on_event: Callable[[Event], None],
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for chunk in chunks:

            def progress(passed: int, chunk: int = chunk) -> None:
                on_event(Event(chunk, member_epochs=passed))

            try:
                rows = study.train_chunk(chunk, progress, device=where)
                study.finish(chunk, rows)
            except (WireloomError, OSError, RuntimeError, MemoryError) as error:
                on_event(Event(chunk, failure=str(error) or type(error).__name__))
            else:
                on_event(Event(chunk, finished=len(rows)))
    finally:
        torch.set_num_threads(before)


class _Worker:
    """A process that trains the chunks it is told to; it speaks JSON, a line a message."""

    def __init__(self, study: Study, threads: int, messages: queue.Queue[tuple[_Worker, str]]):
        self.chunk = -1
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (lives with the worker)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "wireloom.study.worker", str(study.folder), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            process_group=0,  # an interrupt at the keyboard is the parent's to handle
            env=os.environ | {"OMP_NUM_THREADS": str(threads), STORE: study.store},
        )
        threading.Thread(target=self._listen, args=(messages,), daemon=True).start()

    def _listen(self, messages: queue.Queue[tuple[_Worker, str]]) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            messages.put((self, line))
        messages.put((self, ""))  # the process has ended

    def start(self, chunk: int) -> None:
        self.chunk = chunk
        assert self._process.stdin
        try:
            self._process.stdin.write(f"{chunk}\n")
            self._process.stdin.flush()
        except BrokenPipeError:  # it has died; its end is reported by _listen
            return

    def last_words(self) -> str:
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
        return f"its process {how}" + (f": {lines[-1]}" if lines else "")

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._errors):
            try:
                if pipe:
                    pipe.close()
            except BrokenPipeError:  # unsent words to a dead process
                continue


def _run_apart(
    study: Study,
    chunks: Sequence[int],
    workers: int,
    threads: int,
    on_event: Callable[[Event], None],
) -> None:
    waiting = list(chunks)
    messages: queue.Queue[tuple[_Worker, str]] = queue.Queue()
    alive: list[_Worker] = []

    def hire() -> None:
        worker = _Worker(study, threads, messages)
        alive.append(worker)
        worker.start(waiting.pop(0))

    try:
        for _ in range(workers):
            hire()
        while alive:
            worker, line = messages.get()
            if worker not in alive:  # the end of one that was let go
                continue
            if not line:
                on_event(Event(worker.chunk, failure=worker.last_words()))
                worker.stop()
                alive.remove(worker)
                if waiting:
                    hire()
                continue
            message = json.loads(line)
            event = _event(study, worker.chunk, message)
            on_event(event)
            if event.member_epochs:
                continue
            if waiting:
                worker.start(waiting.pop(0))
            else:
                worker.stop()
                alive.remove(worker)
    finally:
        for worker in alive:
            worker.stop()


def _event(study: Study, chunk: int, message: dict[str, object]) -> Event:
    if "member_epochs" in message:
        return Event(chunk, member_epochs=int(str(message["member_epochs"])))
    if "failure" in message:
        return Event(chunk, failure=str(message["failure"]))
    rows = [Row(**row) for row in message["rows"]]  # pyright: ignore[reportGeneralTypeIssues]
    study.finish(chunk, rows)
    return Event(chunk, finished=len(rows))


def serve(study: Study, source: IO[str], sink: IO[str]) -> None:
    """A worker's loop: a chunk's index a line in, progress and rows as JSON lines out."""

    def say(message: dict[str, object]) -> None:
        sink.write(json.dumps(message) + "\n")
        sink.flush()

    for line in source:
        try:
            rows = study.train_chunk(int(line), lambda passed: say({"member_epochs": passed}))
        except (WireloomError, OSError, RuntimeError, MemoryError) as error:
            if isinstance(error, BrokenPipeError):  # nobody listens any more
                return
            say({"failure": str(error) or type(error).__name__})
        else:
            say({"rows": [asdict(row) for row in rows]})
