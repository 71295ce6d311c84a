"""What the tests of native kernels share: other threads, other instruction sets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

BODIES = ("portable", "avx2", "avx512")


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=os.environ | environment,
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        timeout=120,
    )


def assert_threads_do_not_show(everything: Callable[[], list[torch.Tensor]]) -> None:
    """The results are the same bits on one, two and three threads."""
    before, outcomes = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            outcomes.append(everything())
    finally:
        torch.set_num_threads(before)
    for other in outcomes[1:]:
        assert all(map(torch.equal, outcomes[0], other))


def assert_right_on(body: str, module: str, checks: str) -> None:
    """Statements on a test module ``t`` hold in a process that uses this body of the kernels."""
    code = f"import json, torch\nimport {module} as t\nfrom wireloom.native import _native\n"
    code += f"torch.set_num_threads(1)\n{checks}\nprint(json.dumps(_native.body()))"
    done = run_python(code, WIRELOOM_ISA=body)
    for reason in ("which this processor lacks", "which this build lacks"):
        if reason in done.stderr:
            pytest.skip(f"{body} kernels cannot run here: {reason}")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == body
