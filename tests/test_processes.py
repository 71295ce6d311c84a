"""Processes that train one network together: the result of one, and what a death leaves."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from wireloom.base import InvalidValue
from wireloom.data import load as load_data
from wireloom.models import build, load
from wireloom.training import Recipe, fit, loop
from wireloom.training.processes import Processes
from wireloom.wiring import ws_flex

TRAIN = ["--data", "digits", "--limit", "320", "--batch", "32", "--nodes", "8", "--degree", "3"]
ALONE = [sys.executable, "-m", "wireloom", "train"]
TWO = [
    *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"),
    *("-m", "wireloom", "train"),
]
ENV = os.environ | {"OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": "1"}


def run(command: list[str], *words: object) -> subprocess.CompletedProcess[str]:
    given = [*command, *TRAIN, *map(str, words)]
    return subprocess.run(given, capture_output=True, text=True, env=ENV, timeout=120, check=False)


def curves(folder: Path) -> torch.Tensor:
    with (folder / "curves.csv").open(newline="") as file:
        rows = [[float(v) for v in row.values()] for row in csv.DictReader(file)]
    return torch.tensor(rows, dtype=torch.float64)


def assert_alike(one: Path, other: Path) -> None:
    """Networks and curves to the rounding of sums in another order, over some 30 steps."""
    first, second = (load(f / "net.safetensors").state_dict() for f in (one, other))
    for name in first:
        torch.testing.assert_close(first[name], second[name], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(curves(one), curves(other), rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A convolutional net with normalisation, trained by one process, its batches in two parts."""
    folder = tmp_path_factory.mktemp("alone")
    said = run(ALONE, *CONVOLUTIONS, "--accumulate", 2, "--out", folder)
    assert said.returncode == 0, said.stderr
    return folder


CONVOLUTIONS = ["--model", "cnn6", "--width", "8", "--epochs", "3", "--average", "0.5"]


def test_two_processes_give_the_result_of_one(alone: Path, tmp_path: Path) -> None:
    said = run(TWO, *CONVOLUTIONS, "--out", tmp_path)
    assert said.returncode == 0, said.stderr
    assert "; 2 processes" in said.stdout
    assert said.stdout.count("epoch 1 of 3") == 1
    assert_alike(alone, tmp_path)


def test_the_death_of_one_ends_the_job_and_another_number_of_processes_goes_on(
    alone: Path, tmp_path: Path
) -> None:
    words = [*TRAIN, *CONVOLUTIONS, "--every", "0", "--out", str(tmp_path)]
    with subprocess.Popen(
        [*TWO, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENV
    ) as job:
        assert job.stdout is not None
        assert any(line.startswith("epoch 1 of 3") for line in job.stdout)
        (second,) = [p for p in workers(job.pid) if rank(p) == "1"]
        os.kill(second, signal.SIGKILL)
        started = time.monotonic()
        assert job.wait(timeout=60) != 0
        assert time.monotonic() - started < 60
        said = job.stderr.read() if job.stderr else ""
    assert "wireloom/cli" not in said  # torchrun has a traceback of its own, we have none
    assert not (tmp_path / "net.safetensors").exists()
    done = run(ALONE, *CONVOLUTIONS, "--accumulate", 2, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "epoch 1 of 3" not in done.stdout
    assert_alike(alone, tmp_path)


def workers(torchrun: int) -> list[int]:
    text = Path(f"/proc/{torchrun}/task/{torchrun}/children").read_text()
    return [int(pid) for pid in text.split()]


def rank(pid: int) -> str:
    settings = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(s.split("=", 1) for s in settings if "=" in s).get("RANK", "")


def test_bad_input_is_said_once(tmp_path: Path) -> None:
    said = run(TWO, "--width", 8, "--epochs", 0, "--out", tmp_path / "net")
    assert said.returncode != 0
    assert said.stderr.count("wireloom: `epochs` of a recipe must be") == 1
    assert "wireloom/cli" not in said.stderr


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (Recipe(accumulate=3), "`accumulate` of a recipe must be a multiple of the 2 processes"),
        (Recipe(batch=31, accumulate=2), "`batch` of a recipe must part evenly .* got 31"),
        (Recipe(batch=900, accumulate=4), "`batch` of a recipe must part evenly .* got 322"),
    ],
)
def test_a_batch_that_cannot_be_shared_is_refused(
    recipe: Recipe, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "current", lambda: Processes(1, 2))
    data = load_data("digits", limit=322)
    wiring = ws_flex(nodes=8, degree=3, rewire=0.2, seed=0)
    net = build("mlp", wiring, image=data.image, width=16, stem=16)
    with pytest.raises(InvalidValue, match=message):
        fit(net, data, recipe)
