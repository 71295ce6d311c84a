"""The command `wireloom graph extract`: the wiring that a file of trained weights amounts to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wireloom.cli import wirings
from wireloom.cli.parsing import add_command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from wireloom.models import Net
    from wireloom.models.matrices import Layer

ENDINGS = (".safetensors", ".pt", ".pth")


def add(group: Any) -> None:
    """Add the command to those of `wireloom graph`."""
    command = add_command(
        group,
        "extract",
        extract,
        "the wiring that trained weights amount to",
        "Group the channels of a trained net into nodes and keep the pairs of nodes that its\n"
        "hidden layers join most strongly, cut at a density, a degree or a strength: the paper's\n"
        "section 7. Reads what `wireloom train` keeps, or the state dict of any torch net;\n"
        "nothing in the file is run.",
        """
wireloom graph extract runs/net/net.safetensors --nodes 64 --density 0.2 --out w.json
wireloom graph extract net.safetensors --nodes 32 --degree 6 --layers 'blocks.*' --out w.svg
wireloom graph extract net.pt --nodes 16 --threshold 0.8 --combine norms
""",
    )
    command.add_argument(
        "file", metavar="FILE", help=f"a state dict: {', '.join(ENDINGS)} (tensors only)"
    )
    command.add_argument("--nodes", type=int, default=64, metavar="N", help="number of nodes (64)")
    cut = command.add_argument_group("cut, exactly one of")
    for name, letter, about in (
        ("density", "D", "share of the blocks to keep, those of a node with itself included"),
        ("degree", "K", "average number of neighbours"),
        ("threshold", "T", "least strength of a pair (the strengths' range is printed)"),
    ):
        cut.add_argument(f"--{name}", type=float, metavar=letter, help=about)
    command.add_argument(
        "--layers", nargs="+", metavar="GLOB",
        help="layers by name, such as 'blocks.*' (all but the first and the last)",
    )  # fmt: skip
    command.add_argument(
        "--combine", choices=("weights", "norms"), default="weights",
        help="add up the layers' weights, as the paper does, or their blocks' norms (weights)",
    )  # fmt: skip
    command.add_argument("--out", metavar="FILE", help="NAME.svg (picture) or NAME.json (wiring)")


def extract(
    *,
    file: str,
    nodes: int,
    density: float | None,
    degree: float | None,
    threshold: float | None,
    layers: list[str] | None,
    combine: str,
    out: str | None,
) -> int:
    """Extract a wiring from a file, say what it is, and write it."""
    from wireloom.cli.graph import in_words
    from wireloom.models import extract, strengths
    from wireloom.models.matrices import layers_of, named_like

    target = wirings.target(out, (".svg", ".json"))
    path = Path(file)
    source = _source(path)
    (every,) = layers_of(source)
    if layers is not None:
        chosen = named_like(every, layers)
    elif isinstance(source, Mapping) and path.suffix.lower() == ".safetensors":
        chosen = _between_the_ends(every)
    else:
        chosen = every[1:-1]
    names = [layer.name for layer in chosen] if chosen or layers else None
    wiring = extract(
        source, nodes=nodes, density=density, degree=degree, threshold=threshold,
        layers=names, combine=combine,
    )  # fmt: skip
    print(f"layers: {', '.join(f'{one.name} {one.into} -> {one.out}' for one in chosen)}")
    left = [layer.name for layer in every if layer not in chosen]
    if left:
        print(f"left out: {', '.join(left)}")
    matrix = strengths(source, nodes=nodes, layers=names, combine=combine)
    pairs = sorted(float(matrix[i, j]) for i in range(nodes) for j in range(i))
    print(f"strengths of pairs: {pairs[0]:.4g} to {pairs[-1]:.4g}")
    print(in_words(file, wiring))
    if target:
        wirings.save(target, wiring)
    return 0


def _between_the_ends(layers: Sequence[Layer]) -> list[Layer]:
    """The layers but the first and the last, told by their widths.

    A safetensors file sorts its tensors by name. What reads a width that no layer writes is the
    first layer, what writes a width that none reads the last.

    Raises:
        InvalidValue: unless there is one of each.
    """
    from wireloom.base import InvalidValue

    written = {layer.out for layer in layers}
    read = {layer.into for layer in layers}
    first = [layer for layer in layers if layer.into not in written]
    last = [layer for layer in layers if layer.out not in read]
    if len(first) != 1 or len(last) != 1 or first == last:
        raise InvalidValue(
            "`--layers` must name the layers of this file, whose order it does not keep and whose "
            "widths do not tell the first and the last; it has "
            + ", ".join(f"{layer.name} {layer.into} -> {layer.out}" for layer in layers)
        )
    return [layer for layer in layers if layer not in (first[0], last[0])]


def _source(path: Path) -> Net | Mapping[str, Tensor]:
    """The network that `wireloom train` or `save` wrote, or the tensors of any other, by name.

    Raises:
        InvalidValue: if the file is missing, of another kind, damaged, or holds more than tensors.
    """
    from wireloom.base import InvalidValue

    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise InvalidValue(f"FILE must end in {' or '.join(ENDINGS)}; got {path}")
    try:
        path.open("rb").close()
    except OSError as error:
        raise InvalidValue(f"{path} cannot be read: {error.strerror}") from None
    if ending == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        from wireloom.models import Net, load
        from wireloom.models.files import is_saved

        try:
            if is_saved(path):
                found = load(path)
                if isinstance(found, Net):
                    return found
                raise InvalidValue(
                    f"{path} holds a population of {len(found)} networks; save one of them"
                )
            return load_file(path)
        except SafetensorError as error:
            raise InvalidValue(f"{path} is not a safetensors file: {error}") from None
    import pickle

    import torch

    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError):
        raise InvalidValue(f"{path} is not a file of tensors alone, as torch.save writes") from None
    if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        found = found["state_dict"]
    if not isinstance(found, dict) or not all(torch.is_tensor(t) for t in found.values()):
        raise InvalidValue(f"{path} is not a state dict: it holds more than tensors by name")
    return found
