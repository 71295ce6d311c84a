"""The command `wireloom graph place`: where a network's own layers stand on the (C, L) plane."""

from __future__ import annotations

from typing import Any

from wireloom.cli.networks import MODELS, one_of
from wireloom.cli.parsing import add_command

ABOUT = """Say where the layers of a network stand on the plane of clustering C and path length L,
by the connections that they have: dense layers at C = L = 1, wired ones at their wiring, depthwise
convolutions nowhere, with the reason. NET is a network that was kept (.safetensors), or the name of
an architecture, dense."""

EXAMPLES = """
wireloom graph place runs/net/net.safetensors
wireloom graph place mobilenet_v1 --image 3 224 224
wireloom graph place runs/net/net.safetensors --nodes 16"""


def add(group: Any) -> None:
    """Add the command to those of `wireloom graph`."""
    command = add_command(
        group, "place", placed, "where a network's layers stand on the plane", ABOUT, EXAMPLES
    )
    command.add_argument(
        "net", metavar="NET", help=f"NAME.safetensors, or an architecture: {', '.join(MODELS)}"
    )
    command.add_argument(
        "--nodes", type=int, metavar="N",
        help="blocks to cut channels into (as many as channels, or the wiring's own)",
    )  # fmt: skip
    command.add_argument(
        "--image", type=int, nargs="+", default=[3, 32, 32], metavar="N",
        help="shape of a sample, of an architecture (3 32 32)",
    )  # fmt: skip
    command.add_argument(
        "--member", type=int, metavar="I", help="which network of a population, from 0"
    )


def placed(*, net: str, nodes: int | None, image: list[int], member: int | None) -> int:
    """Print a line for each layer."""
    from wireloom.base import InvalidValue
    from wireloom.models import build, place

    if net.endswith(".safetensors"):
        model = one_of(net, member)
    elif member is not None:
        raise InvalidValue("`--member` is for kept populations; an architecture is one network")
    else:
        model = build(net, image=tuple(image))
    found = place(model, nodes=nodes)
    head = ("layer", "kind", "out x into", "nodes", "density", "C", "L")
    lines: list[tuple[str, ...]] = [(*head, "")]
    for at in found:
        size = f"{at.channels[0]} x {at.channels[1]}"
        density = f"{at.density:.4f}" if at.nodes else "-"
        plane = ("-", "-") if at.why_not else (f"{at.clustering:.4f}", f"{at.path_length:.4f}")
        name = (at.module or "(model)").removesuffix(".linear").removesuffix(".conv")
        lines.append((name, at.kind, size, str(at.nodes or "-"), density, *plane, at.why_not))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [
            cell.ljust(width) if i in (0, 1, 7) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())
    return 0
