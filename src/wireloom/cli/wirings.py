"""Wirings named on the command line: by a family and its options, or by files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wireloom.cli.files import written

if TYPE_CHECKING:
    from pathlib import Path

    from wireloom.cli.parsing import Parser
    from wireloom.wiring import Wiring

# What each family takes of the options, and what stands where an option is not given.
TAKES = {
    "ws-flex": ("nodes", "degree", "rewire", "seed"),
    "watts-strogatz": ("nodes", "degree", "rewire", "seed"),
    "erdos-renyi": ("nodes", "degree", "seed", "directed"),
    "barabasi-albert": ("nodes", "attach", "seed"),
    "harary": ("nodes", "degree"),
    "expander": ("nodes", "degree", "seed", "directed"),
    "ring": ("nodes", "degree", "directed"),
    "complete": ("nodes", "directed"),
    "cat": (),
    "macaque": (),
    "macaque-visual": (),
}
DEFAULTS = {"nodes": 64, "degree": 8, "rewire": 0.2, "attach": 4, "seed": 0}
FAMILIES = tuple(TAKES)


def add_options(command: Parser) -> None:
    """The options that say which wiring to draw."""
    group = command.add_argument_group("wiring")
    group.add_argument(
        "--family", choices=FAMILIES, metavar="NAME",
        help=f"{', '.join(FAMILIES)}; the last three are connectomes (ws-flex)",
    )  # fmt: skip
    for name, kind, letter, about in (
        ("nodes", int, "N", "number of nodes"),
        ("degree", float, "K", "average degree; whole for expander, even for watts-strogatz"),
        ("rewire", float, "P", "rewiring probability, of ws-flex and watts-strogatz"),
        ("attach", int, "M", "edges of a new node, of barabasi-albert"),
        ("seed", int, "S", "seed of the draw"),
    ):
        group.add_argument(
            f"--{name}", type=kind, metavar=letter, help=f"{about} ({DEFAULTS[name]})"
        )
    group.add_argument(
        "--directed", action="store_true", help="of erdos-renyi, expander, ring and complete"
    )
    group.add_argument(
        "--undirected", action="store_true", help="the undirected form of a directed wiring"
    )


def drawn(options: dict[str, Any]) -> Wiring:
    """The wiring that the options name."""
    from wireloom import wiring
    from wireloom.base import InvalidValue

    family = options["family"] or "ws-flex"
    takes = TAKES[family]
    for name in given(options):
        if name not in takes:
            others = f"its options are {', '.join(f'--{n}' for n in takes)}" if takes else "none"
            raise InvalidValue(f"`--{name}` is no option of the family {family}; {others}")
    if family in wiring.AREAS:
        return wiring.connectome(family)
    chosen: dict[str, Any] = {
        name: DEFAULTS[name] if options[name] is None else options[name]
        for name in takes
        if name != "directed"
    }
    if "degree" in chosen and float(chosen["degree"]).is_integer():
        chosen["degree"] = int(chosen["degree"])
    if options["directed"]:
        chosen["directed"] = True
    return getattr(wiring, family.replace("-", "_"))(**chosen)


def given(options: dict[str, Any]) -> list[str]:
    """Names of the drawing options that were given."""
    named = [name for name in DEFAULTS if options[name] is not None]
    return [*named, *(["directed"] if options["directed"] else [])]


def named(
    files: list[str], options: dict[str, Any], *, own: tuple[str, ...] = ()
) -> list[tuple[str, Wiring]]:
    """The wirings in files, or, if there are none, the one that the options name; with names.

    Options in ``own`` mean something to the command beside a file as well.
    """
    from wireloom.base import InvalidValue
    from wireloom.wiring import Wiring

    if files:
        idle = [name for name in given(options) if name not in own]
        if idle or options["family"]:
            raise InvalidValue(
                f"`--{(idle or ['family'])[0]}` draws a wiring, and {files[0]} is one already"
            )
        found = [(file, Wiring.load(file)) for file in files]
    else:
        made = drawn(options)
        found = [(repr(made), made)]
    if options["undirected"]:
        found = [(name, wiring.undirected()) for name, wiring in found]
    return found


def target(out: str | None, endings: tuple[str, ...]) -> Path | None:
    """Where to write, if anywhere; refused before the work begins if it cannot be."""
    from pathlib import Path

    from wireloom.base import InvalidValue

    if out is None:
        return None
    path = Path(out)
    if path.suffix.lower() not in endings:
        raise InvalidValue(f"`--out` must end in {' or '.join(endings)}; got {out}")
    if not path.parent.is_dir():
        raise InvalidValue(f"`--out` must be in a folder that exists; got {out}")
    return path


def save(path: Path, wiring: Wiring) -> None:
    """Write a wiring, by the ending of the name as a picture (.svg) or as data (.json)."""
    from wireloom.base import write_whole
    from wireloom.page import wiring_svg

    with written(path):
        if path.suffix.lower() == ".json":
            wiring.save(path)
        else:
            edges = wiring.edges.tolist()
            write_whole(path, wiring_svg(wiring.nodes, edges, directed=wiring.directed))
    print(f"written: {path}")
