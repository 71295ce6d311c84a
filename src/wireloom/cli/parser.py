"""What `wireloom` understands, and its help. Imports neither torch nor numpy."""

from __future__ import annotations

from wireloom.cli import (
    analysing,
    benching,
    consistency,
    explore,
    exporting,
    graph,
    networks,
    studies,
    training,
)
from wireloom.cli.parsing import Format, Parser, Version, add_commands

ABOUT = """The wiring of a neural network as a value: draw wirings, measure them, train thousands of
networks on them at one budget, and find the region where they do best."""


def parser() -> Parser:
    """The parser of the whole command line; each module of commands adds its own."""
    top = Parser(prog="wireloom", description=ABOUT, formatter_class=Format, allow_abbrev=False)
    top.add_argument("--version", action=Version, help="print the version and exit")
    commands = add_commands(top)
    explore.add(commands)
    consistency.add(commands)
    studies.add(commands)
    analysing.add(commands)
    graph.add(commands)
    networks.add(commands)
    training.add(commands)
    exporting.add(commands)
    benching.add(commands)
    return top
