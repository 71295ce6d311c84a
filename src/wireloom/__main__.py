"""``python -m wireloom``, as torchrun starts it."""

import sys

from wireloom.cli import main

if __name__ == "__main__":
    sys.exit(main())
