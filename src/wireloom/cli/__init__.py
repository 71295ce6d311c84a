"""The command `wireloom`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; bad input gives one line on standard error and exit code 2."""
    from wireloom.cli.parser import parser

    # Threads that wait must not take the cores from those that work.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    options = vars(parser().parse_args(arguments))
    run = options.pop("run")
    from wireloom.base import WireloomError

    try:
        return run(**options)
    except WireloomError as error:
        print(f"wireloom: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of our output has gone, as with `| head`
        sys.stderr.close()
        return 1
    except KeyboardInterrupt:
        print("\nwireloom: stopped; the same command goes on from here", file=sys.stderr)
        return 130
