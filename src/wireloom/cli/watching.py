"""What one sees of a training while it runs: lines of text, and TensorBoard's scalars."""

from __future__ import annotations

import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wireloom.cli.files import written
from wireloom.cli.progress import duration

if TYPE_CHECKING:
    from wireloom.training.running import Training

STEP_SECONDS = 30.0  # between two lines within an epoch


class Shown:
    """Says each epoch as it ends, and now and then how far a long one is."""

    def __init__(self) -> None:
        self.started = self.shown = time.monotonic()
        self.first: float | None = None  # epochs done before
        self.steps = 0  # since the last line

    def step(self, training: Training) -> None:
        """Say how far the epoch is, if the last line is long ago."""
        passed = training.epoch + training.step / training.steps
        if self.first is None:
            self.first = passed - 1 / training.steps
        self.steps += 1
        now = time.monotonic()
        if now - self.shown < STEP_SECONDS or training.step == training.steps:
            return
        rate = self.steps * training.recipe.batch / (now - self.shown)
        loss = float(training.losses[0]) / training.step
        print(
            f"epoch {training.epoch + 1} of {training.recipe.epochs}, step {training.step:,} of "
            f"{training.steps:,}: train loss {loss:.4f}, {rate:,.0f} samples/s, "
            f"{self._left(passed, training)} left",
            flush=True,
        )
        self.shown, self.steps = now, 0

    def epoch(self, training: Training) -> None:
        """Say what the epoch came to."""
        epochs, done = training.recipe.epochs, training.epoch
        curves = training.curves
        print(
            f"epoch {done:>{len(str(epochs))}} of {epochs}: train loss "
            f"{float(curves['train_loss'][-1][0]):.4f}, test loss "
            f"{float(curves['test_loss'][-1][0]):.4f}, test error "
            f"{float(curves['test_error'][-1][0]):.2f} %, {self._left(done, training)} left",
            flush=True,
        )
        self.shown, self.steps = time.monotonic(), 0

    def _left(self, passed: float, training: Training) -> str:
        before = self.first if self.first is not None else training.epoch - 1
        elapsed = time.monotonic() - self.started
        return duration(elapsed / (passed - before) * (training.recipe.epochs - passed))


class Board:
    """Scalars by epoch for TensorBoard, written anew by each run, so that no epoch stands twice."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer: Any = None

    @staticmethod
    def installed() -> bool:
        """Whether there is a TensorBoard to write for."""
        return find_spec("tensorboard") is not None

    def epoch(self, training: Training) -> None:
        """Write the last epoch, and before it at first all that were evaluated before."""
        rows = range(len(training.curves["epoch"]))
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            with written(self.folder):
                for old in self.folder.glob("events.out.tfevents.*"):
                    old.unlink()
                self._writer = SummaryWriter(str(self.folder))
        else:
            rows = rows[-1:]
        curves = training.curves
        for row in rows:
            epoch = int(curves["epoch"][row])
            for name, key in (
                ("loss/train", "train_loss"),
                ("loss/test", "test_loss"),
                ("error/test", "test_error"),
            ):
                self._writer.add_scalar(name, float(curves[key][row][0]), epoch)
            self._writer.add_scalar("rate", training.recipe.rate(epoch - 1), epoch)
        self._writer.flush()

    def close(self) -> None:
        """End the file."""
        if self._writer is not None:
            self._writer.close()
