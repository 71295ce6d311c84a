"""What every command's part of the parser shares. Imports neither torch nor numpy."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Callable
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """Errors in one line, with the nearest known option."""

    def error(self, message: str) -> NoReturn:
        unknown = message.removeprefix("unrecognized arguments: ")
        if unknown != message:
            word = next((w for w in unknown.split() if w.startswith("-")), unknown.split()[0])
            known = [o for action in self._actions for o in action.option_strings]
            close = difflib.get_close_matches(word.split("=")[0], known, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            message = f"there is no option or argument '{word}' here{hint}"
        print(f"{self.prog}: {message} (see {self.prog} --help)", file=sys.stderr)
        sys.exit(2)


class Strict(Parser):
    """A sub-command: what it does not know is its own error, with its own options to suggest."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        namespace, rest = super().parse_known_args(args, namespace)
        if rest:
            self.error(f"unrecognized arguments: {' '.join(rest)}")
        return namespace, rest


class Format(argparse.RawDescriptionHelpFormatter):
    """Descriptions and examples as they are written, in lines of 100."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26, width=100)


class Version(argparse.Action):
    """Prints the version and stops."""

    def __init__(self, option_strings: Any, dest: str, **rest: Any) -> None:
        super().__init__(option_strings, dest=argparse.SUPPRESS, nargs=0, help=rest.get("help"))

    def __call__(self, parser: Any, *_: Any) -> None:
        from importlib.metadata import version

        print(f"wireloom {version('wireloom')}")
        parser.exit()


def add_commands(parser: Parser) -> Any:
    """Room for the sub-commands of a parser."""
    return parser.add_subparsers(
        title="commands", metavar="COMMAND", required=True, parser_class=Strict
    )


def add_group(commands: Any, name: str, short: str, about: str) -> Any:
    """A command that only holds others, such as `graph`; gives the room for them."""
    made = commands.add_parser(
        name, help=short, description=about, formatter_class=Format, allow_abbrev=False
    )
    return add_commands(made)


def add_command(
    commands: Any, name: str, run: Callable[..., int], short: str, about: str, examples: str
) -> Parser:
    """A command.

    Args:
        commands: room that `add_commands` or `add_group` gave.
        name: what one types.
        run: what it does, given the options by name; its answer is the exit code.
        short: what it does, for the list of commands.
        about: the same in full.
        examples: calls that work, a line each.
    """
    lines = examples.strip().splitlines()
    epilog = "\n".join([f"example{'s' if len(lines) > 1 else ''}:", *(f"  {x}" for x in lines)])
    made = commands.add_parser(
        name, help=short, description=about, epilog=epilog, formatter_class=Format,
        allow_abbrev=False,
    )  # fmt: skip
    made.set_defaults(run=run)
    return made
