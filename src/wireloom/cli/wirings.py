"""Wirings named on the command line: by a family and its options, or by files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wireloom.cli.files import written

if TYPE_CHECKING:
    from pathlib import Path

    from wireloom.cli.parsing import Parser
    from wireloom.wiring import Wiring

FAMILIES = (
    *("ws-flex", "watts-strogatz", "erdos-renyi", "barabasi-albert", "harary", "expander"),
    *("ring", "complete", "cat", "macaque", "macaque-visual"),
)


def add_options(command: Parser) -> None:
    """The options that say which wiring to draw."""
    group = command.add_argument_group("wiring")
    group.add_argument(
        "--family", choices=FAMILIES, default="ws-flex", metavar="NAME",
        help=f"{', '.join(FAMILIES)}; the last three are connectomes (ws-flex)",
    )  # fmt: skip
    group.add_argument("--nodes", type=int, default=64, metavar="N", help="number of nodes (64)")
    group.add_argument(
        "--degree", type=float, default=8.0, metavar="K",
        help="average degree; whole for expander, even for watts-strogatz (8)",
    )  # fmt: skip
    group.add_argument(
        "--rewire", type=float, default=0.2, metavar="P", help="rewiring probability (0.2)"
    )
    group.add_argument(
        "--attach", type=int, default=4, metavar="M", help="barabasi-albert: edges a new node (4)"
    )
    group.add_argument(
        "--directed", action="store_true", help="erdos-renyi, expander, ring and complete only"
    )
    group.add_argument("--seed", type=int, default=0, metavar="S", help="seed of the draw (0)")


def drawn(
    *,
    family: str,
    nodes: int,
    degree: float,
    rewire: float,
    attach: int,
    directed: bool,
    seed: int,
) -> Wiring:
    """The wiring that the options name."""
    from wireloom import wiring
    from wireloom.base import InvalidValue

    if family in wiring.AREAS:
        return wiring.connectome(family)
    drawer = getattr(wiring, family.replace("-", "_"))
    given = {"nodes": nodes, "degree": degree, "rewire": rewire, "attach": attach, "seed": seed}
    takes = {
        "ws-flex": ("nodes", "degree", "rewire", "seed"),
        "watts-strogatz": ("nodes", "degree", "rewire", "seed"),
        "erdos-renyi": ("nodes", "degree", "seed"),
        "barabasi-albert": ("nodes", "attach", "seed"),
        "harary": ("nodes", "degree"),
        "expander": ("nodes", "degree", "seed"),
        "ring": ("nodes", "degree"),
        "complete": ("nodes",),
    }[family]
    chosen: dict[str, Any] = {name: given[name] for name in takes}
    if "degree" in chosen and degree.is_integer():
        chosen["degree"] = int(degree)
    if directed:
        if family not in ("erdos-renyi", "expander", "ring", "complete"):
            raise InvalidValue(
                f"`--directed` needs a family that has a directed form; got {family}"
            )
        chosen["directed"] = True
    return drawer(**chosen)


def save(target: Path, wiring: Wiring) -> None:
    """Write a wiring, by the ending of the name as a picture (.svg) or as data (.json)."""
    from wireloom.base import InvalidValue, write_whole
    from wireloom.page import wiring_svg

    if target.suffix not in (".svg", ".json"):
        raise InvalidValue(f"`--out` must end in .svg or .json; got {target}")
    with written(target):
        if target.suffix == ".json":
            wiring.save(target)
        else:
            edges = wiring.edges.tolist()
            write_whole(target, wiring_svg(wiring.nodes, edges, directed=wiring.directed))
    print(f"written: {target}")


def named(files: list[str], options: dict[str, Any]) -> list[tuple[str, Wiring]]:
    """The wirings in files, or, if there are none, the one that the options name; with names."""
    from wireloom.wiring import Wiring

    if files:
        return [(file, Wiring.load(file)) for file in files]
    names = ("family", "nodes", "degree", "rewire", "attach", "directed", "seed")
    made = drawn(**{name: options[name] for name in names})
    return [(repr(made), made)]
