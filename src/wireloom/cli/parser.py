"""What `wireloom` understands, and its help. Imports neither torch nor numpy."""

from __future__ import annotations

import argparse
import difflib
import sys
from typing import Any, NoReturn

from wireloom.cli.presets import DEFAULT, PRESETS

ABOUT = """The wiring of a neural network as a value: draw wirings, measure them, train thousands of
networks on them at one budget, and find the region where they do best."""

EXPLORE = """Train networks on many wirings, several seeds each, all at the multiply-adds of one
dense baseline; then show how their error depends on the wiring: in words, and on a page.

A study lives in a folder. Stopped at any moment, even by a power cut, the same command goes on
where it was; `wireloom status` says how far it is."""

EXAMPLES = """examples:
  wireloom explore --out runs/first                        1,007 networks on patches of photographs
  wireloom explore --preset digits --out runs/digits       the quick one
  wireloom explore --preset paper --data cifar10:~/cifar10 --out runs/paper --dry-run
  wireloom explore --data folder:pictures --width 128 --stem 128 --epochs 30 --out runs/mine"""


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


def parser() -> Parser:
    """The parser of the whole command line."""
    top = Parser(prog="wireloom", description=ABOUT, formatter_class=_Format, allow_abbrev=False)
    top.add_argument("--version", action=_Version, help="print the version and exit")
    commands = top.add_subparsers(
        title="commands", metavar="COMMAND", required=True, parser_class=_Strict
    )
    _explore(
        _command(
            commands,
            "explore",
            "train networks on many wirings and find the best",
            EXPLORE,
            EXAMPLES,
        )
    )
    _study(_command(commands, "status", "how far a study is", "Say how far a study is."))
    report = _command(
        commands, "report", "write a study's page again", "Write a study's page, as far as it is."
    )
    _study(report)
    report.add_argument("--out", metavar="FILE", help="the page (STUDY/report.html)")
    graph = commands.add_parser(
        "graph", help="draw and measure wirings", description="Draw and measure wirings.",
        formatter_class=_Format, allow_abbrev=False,
    )  # fmt: skip
    actions = graph.add_subparsers(
        title="commands", metavar="COMMAND", required=True, parser_class=_Strict
    )
    draw = _command(
        actions, "draw", "draw one wiring", "Draw a wiring and write it as a picture or as data.",
        "example:\n  wireloom graph draw --nodes 64 --degree 9.5 --rewire 0.15 --out w.svg",
        name="graph draw",
    )  # fmt: skip
    _wiring(draw)
    draw.add_argument(
        "--out", metavar="FILE", required=True, help="NAME.svg (picture) or NAME.json (wiring)"
    )
    measured = _command(
        actions, "measure", "measures of wirings",
        "Print the measures of wirings: of files that `graph draw` wrote, or of one drawn here.",
        "examples:\n  wireloom graph measure w.json\n"
        "  wireloom graph measure --family ring --nodes 64 --degree 4",
        name="graph measure",
    )  # fmt: skip
    measured.add_argument("files", nargs="*", metavar="FILE", help="wirings as JSON")
    _wiring(measured)
    price = _command(
        commands, "cost", "multiply-adds, parameters and matched width of a network",
        "Print what a network on a wiring costs, beside the dense baseline at the same budget.",
        "example:\n  wireloom cost --nodes 64 --degree 9.5 --rewire 0.15 --image 3 32 32",
    )  # fmt: skip
    _wiring(price)
    price.add_argument(
        "--image",
        type=int,
        nargs="+",
        default=[3, 32, 32],
        metavar="N",
        help="shape of a sample (3 32 32)",
    )
    price.add_argument("--classes", type=int, default=10, metavar="N", help="outputs (10)")
    _network(price, {"width": 512, "stem": 512, "hidden": 3})
    return top


class _Strict(Parser):
    """A sub-command: what it does not know is its own error, with its own options to suggest."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        namespace, rest = super().parse_known_args(args, namespace)
        if rest:
            self.error(f"unrecognized arguments: {' '.join(rest)}")
        return namespace, rest


class _Format(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26, width=100)


class _Version(argparse.Action):
    def __init__(self, option_strings: Any, dest: str, **rest: Any) -> None:
        super().__init__(option_strings, dest=argparse.SUPPRESS, nargs=0, help=rest.get("help"))

    def __call__(self, parser: Any, *_: Any) -> None:
        from importlib.metadata import version

        print(f"wireloom {version('wireloom')}")
        parser.exit()


def _command(
    commands: Any, verb: str, short: str, about: str, epilog: str = "", name: str = ""
) -> Parser:
    made = commands.add_parser(
        verb, help=short, description=about, epilog=epilog, formatter_class=_Format,
        allow_abbrev=False,
    )  # fmt: skip
    made.set_defaults(command=name or verb)
    return made


def _study(command: Parser) -> None:
    command.add_argument("study", metavar="STUDY", help="folder of a study")


def _network(command: Any, default: dict[str, int]) -> None:
    command.add_argument(
        "--budget", default="macs", metavar="BUDGET",
        help="what all networks share: macs, params, none, or a number of multiply-adds (macs)",
    )  # fmt: skip
    for name, about in (
        ("width", "hidden width of the dense baseline"),
        ("stem", "width of the dense first layer"),
        ("hidden", "wired hidden layers"),
    ):
        shown = f" ({default[name]})" if name in default else ""
        command.add_argument(
            f"--{name}", type=int, default=default.get(name), metavar="N", help=about + shown
        )


def _wiring(command: Parser) -> None:
    group = command.add_argument_group("wiring")
    group.add_argument(
        "--family", choices=("ws-flex", "ring", "complete"), default="ws-flex", help="(ws-flex)"
    )
    group.add_argument("--nodes", type=int, default=64, metavar="N", help="number of nodes (64)")
    group.add_argument(
        "--degree", type=float, default=8.0, metavar="K", help="average degree, real (8)"
    )
    group.add_argument(
        "--rewire", type=float, default=0.2, metavar="P", help="rewiring probability (0.2)"
    )
    group.add_argument("--seed", type=int, default=0, metavar="S", help="seed of the draw (0)")


def _explore(command: Parser) -> None:
    presets = "; ".join(f"{name}: {preset.about}" for name, preset in PRESETS.items())
    base = PRESETS[DEFAULT]
    add = command.add_argument
    add("--out", metavar="FOLDER", required=True, help="the study's folder; goes on if it is there")
    add("--preset", choices=tuple(PRESETS), default=DEFAULT, help=f"{presets} ({DEFAULT})")
    add(
        "--data", metavar="DATA",
        help=f"patches, digits, cifar10:PATH or folder:PATH ({base.data})",
    )  # fmt: skip
    add("--dry-run", action="store_true", help="say what it would cost and how long it would take")

    wirings = command.add_argument_group("wirings")
    wirings.add_argument(
        "--wirings",
        type=int,
        metavar="N",
        help=f"how many, besides the dense baseline ({base.wirings})",
    )
    wirings.add_argument("--nodes", type=int, metavar="N", help=f"nodes of each ({base.nodes})")
    wirings.add_argument(
        "--sample", choices=("published", "plane"), default="published",
        help="published: the paper's own 52, 449 or 3942 of 64 nodes, 48, 326 or 2698 of 16; "
        "plane: any number, spread over clustering and path length (published)",
    )  # fmt: skip
    networks = command.add_argument_group("networks")
    networks.add_argument("--model", default="mlp", metavar="NAME", help="architecture: mlp (mlp)")
    _network(networks, {name: getattr(base, name) for name in ("width", "stem", "hidden")})
    for action in networks._group_actions:
        if action.dest in ("width", "stem", "hidden"):
            action.default = None  # the preset decides

    training = command.add_argument_group("training")
    for name, kind, about in (
        ("seeds", int, "seeds of each wiring"),
        ("epochs", int, "passes over the training set"),
        ("batch", int, "samples a step"),
        ("lr", float, "learning rate of the first epoch"),
        ("weight-decay", float, "on all parameters"),
        ("limit", int, "most training samples, 0 for all"),
    ):
        default = getattr(base, name.replace("-", "_"))
        training.add_argument(f"--{name}", type=kind, metavar="N", help=f"{about} ({default:g})")
    training.add_argument(
        "--order", choices=("shared", "per_seed"),
        help=f"whether seeds share the order of the samples ({base.order})",
    )  # fmt: skip
    machine = command.add_argument_group("where")
    machine.add_argument(
        "--workers", type=int, default=0, metavar="N", help="processes, 0 for one a core (0)"
    )
    machine.add_argument(
        "--threads",
        type=int,
        default=0,
        metavar="N",
        help="of each process, 0 shares cores out (0)",
    )
    machine.add_argument(
        "--store", default="", metavar="URL",
        help="database of the results, e.g. postgresql+psycopg://user@host/name (SQLite in FOLDER)",
    )  # fmt: skip
    command.epilog = (
        EXAMPLES + f"\n\nDefaults are those of the preset {DEFAULT}; each preset has its own."
    )
