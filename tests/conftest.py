"""What several test files share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

# Before anything imports triton: without a GPU its kernels are tested in its interpreter.
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of the published graphs and results."""
    folder = Path(__file__).parents[2] / "shared" / "data" / "graph2nn"
    if not folder.is_dir():
        pytest.skip(f"the published graphs and results are not here: no folder {folder}")
    return folder


@pytest.fixture
def one_thread():
    """One thread for torch and the native kernels, for comparisons bit by bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
