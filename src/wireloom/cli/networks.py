"""The command `wireloom cost`, and the options that say which network is meant."""

from __future__ import annotations

from typing import Any

from wireloom.cli import wirings
from wireloom.cli.parsing import add_command


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = add_command(
        commands,
        "cost",
        price,
        "multiply-adds, parameters and matched width of a network",
        "Print what a network costs on a wiring, drawn here or of a file, beside the dense\n"
        "baseline at the same budget.",
        """
wireloom cost --nodes 64 --degree 9.5 --rewire 0.15 --image 3 32 32
wireloom cost w.json --budget params --width 256 --stem 256
""",
    )
    command.add_argument("files", nargs="*", metavar="FILE", help="wirings as JSON")
    wirings.add_options(command)
    command.add_argument(
        "--image", type=int, nargs="+", default=[3, 32, 32], metavar="N",
        help="shape of a sample (3 32 32)",
    )  # fmt: skip
    command.add_argument("--classes", type=int, default=10, metavar="N", help="outputs (10)")
    add_options(command, {"width": 512, "stem": 512, "hidden": 3})


def add_options(command: Any, shown: dict[str, int], *, preset: bool = False) -> None:
    """The options that say which network.

    Args:
        command: a parser or a group of one.
        shown: the defaults.
        preset: whether these are only shown, and a preset decides.
    """
    command.add_argument(
        "--budget", default="macs", metavar="BUDGET",
        help="what all networks share: macs, params, none, or a number of multiply-adds (macs)",
    )  # fmt: skip
    for name, about in (
        ("width", "hidden width of the dense baseline"),
        ("stem", "width of the dense first layer"),
        ("hidden", "wired hidden layers"),
    ):
        command.add_argument(
            f"--{name}", type=int, default=None if preset else shown[name], metavar="N",
            help=f"{about} ({shown[name]})",
        )  # fmt: skip


def budget_of(text: str) -> str | int:
    """The budget that an option names: a word or a number of multiply-adds."""
    digits = text.replace(",", "").replace("_", "")
    return int(digits) if digits.isdigit() else text


def price(
    *,
    files: list[str],
    image: list[int],
    classes: int,
    budget: str,
    width: int,
    stem: int,
    hidden: int,
    **options: Any,
) -> int:
    """Print what networks cost beside their dense baseline."""
    from wireloom.models import Build

    build = Build(
        image=tuple(image),
        classes=classes,
        budget=budget_of(budget),
        width=width,
        stem=stem,
        hidden=hidden,
    )
    rows = [("dense baseline", build.baseline, build.baseline.cost(None))]
    for name, wiring in wirings.named(files, options):
        shape = build.shape(wiring)
        rows.append((name, shape, shape.cost(wiring)))
    print(f"{'':42s} {'width':>6s} {'multiply-adds':>14s} {'parameters':>12s}")
    for name, shape, cost in rows:
        print(f"{name:42s} {shape.width:6d} {cost.macs:14,d} {cost.params:12,d}")
    return 0
