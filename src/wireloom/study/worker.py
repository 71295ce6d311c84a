"""A worker process of the local engine: ``python -m wireloom.study.worker FOLDER THREADS``.

It ends when its standard input does, so none outlives the process that started it by more than
the epoch in hand.
"""

from __future__ import annotations

import os
import sys

import torch

from wireloom.study.engine import serve
from wireloom.study.study import Study


def main() -> None:
    """Serve chunks of the study named on the command line."""
    folder, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    # Whatever prints must not get among the messages.
    sink = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    serve(Study.open(folder), sys.stdin, sink)


if __name__ == "__main__":
    main()
