"""The command `wireloom cost`, and the options that say which network is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wireloom.cli import wirings
from wireloom.cli.parsing import add_command

if TYPE_CHECKING:
    from wireloom.models import Shape
    from wireloom.wiring import Wiring

MODELS = (
    "mlp",
    "cnn6",
    "resnet34",
    "resnet34_sep",
    "resnet50",
    "efficientnet_b0",
    "mobilenet_v1",
    "vit_tiny",
)


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
wireloom cost w.json --model resnet34 --image 3 224 224 --classes 1000 --match closest
wireloom cost runs/net/net.safetensors --latency
""",
    )
    command.add_argument(
        "files", nargs="*", metavar="FILE",
        help="wirings as JSON; or networks that were kept, as .safetensors",
    )  # fmt: skip
    wirings.add_options(command)
    command.add_argument(
        "--image", type=int, nargs="+", default=[3, 32, 32], metavar="N",
        help="shape of a sample (3 32 32)",
    )  # fmt: skip
    command.add_argument("--classes", type=int, default=10, metavar="N", help="outputs (10)")
    add_options(command, {})
    command.add_argument(
        "--latency", action="store_true",
        help="also measure the inference of one sample on this machine",
    )  # fmt: skip


def add_options(command: Any, shown: dict[str, int]) -> None:
    """The options that say which network.

    Args:
        command: a parser or a group of one.
        shown: the sizes of a preset, which decide where nothing is given; else the model's own.
    """
    command.add_argument(
        "--model", default="mlp", metavar="NAME", help=f"architecture: {', '.join(MODELS)} (mlp)"
    )  # fmt: skip
    command.add_argument(
        "--budget", default="macs", metavar="BUDGET",
        help="what all networks share: macs, params, latency (measured here), none, or a number of "
        "multiply-adds (macs)",
    )  # fmt: skip
    command.add_argument(
        "--match", default="published", metavar="RULE",
        help="how widths meet the budget: published, closest, under, over (published)",
    )  # fmt: skip
    for name, about in (
        ("width", "channels of the dense baseline's first stage; an MLP's hidden width"),
        ("stem", "width of the dense first layer"),
        ("hidden", "wired hidden layers of an MLP"),
    ):
        command.add_argument(
            f"--{name}", type=int, default=None, metavar="N",
            help=f"{about} ({shown.get(name, 'the model' + chr(39) + 's own')})",
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
    model: str,
    budget: str,
    match: str,
    width: int | None,
    stem: int | None,
    hidden: int | None,
    latency: bool,
    **options: Any,
) -> int:
    """Print what networks cost beside their dense baseline."""
    from wireloom.models import Build

    if any(name.endswith(".safetensors") for name in files):
        return _price_kept(files, latency=latency)
    build = Build(
        model=model,
        image=tuple(image),
        classes=classes,
        budget=budget_of(budget),
        width=width,
        stem=stem,
        hidden=hidden,
        match=match,
    )
    rows: list[tuple[str, Shape, Wiring | None]] = [("dense baseline", build.baseline, None)]
    for name, wiring in wirings.named(files, options):
        rows.append((name, build.shape(wiring), wiring))
    _show(rows, latency=latency)
    return 0


def _price_kept(files: list[str], *, latency: bool) -> int:
    """Print what kept networks cost, and their baselines, a line each."""
    from wireloom.base import InvalidValue
    from wireloom.models import Net, load

    rows: list[tuple[str, Shape, Wiring | None]] = []
    for name in files:
        if not name.endswith(".safetensors"):
            raise InvalidValue(f"`FILE` must be all wirings or all kept networks; got {name} too")
        kept = load(name)
        inner = kept if isinstance(kept, Net) else kept.net
        for i, member in enumerate(inner.members):
            called = name if len(inner.members) == 1 else f"{name}, {i}"
            on = "dense" if member.wiring is None else f"on {member.wiring}"
            rows.append((f"{called}: {member.shape.model} {on}", member.shape, member.wiring))
    _show(rows, latency=latency)
    return 0


def _show(rows: list[tuple[str, Shape, Wiring | None]], *, latency: bool) -> None:
    """Print widths and costs, a line each."""
    from wireloom.models import Member, Net
    from wireloom.models import latency as seconds

    widths = [" ".join(map(str, shape.widths)) for _, shape, _ in rows]
    names = [name for name, _, _ in rows]
    long, wide = max(map(len, names)), max(6, *map(len, widths))
    last = f" {'latency':>10s}" if latency else ""
    print(f"{'':{long}s} {'widths':>{wide}s} {'multiply-adds':>14s} {'parameters':>12s}{last}")
    for (name, shape, wiring), written in zip(rows, widths, strict=True):
        cost = shape.cost(wiring)
        if latency:
            last = f" {1e3 * seconds(Net([Member(shape, wiring, 0)])):7.2f} ms"
        print(f"{name:{long}s} {written:>{wide}s} {cost.macs:14,d} {cost.params:12,d}{last}")


def one_of(file: str, member: int | None) -> Any:
    """The network that a file holds, or one of its population.

    Raises:
        InvalidValue: for a file that holds none, or several of which none is named.
    """
    from wireloom.base import InvalidValue
    from wireloom.models import Net, load

    kept = load(file)
    if isinstance(kept, Net):
        if member is not None:
            raise InvalidValue(f"`--member` is for populations; {file} holds one network")
        return kept
    if member is None and len(kept) > 1:
        raise InvalidValue(
            f"{file} holds a population of {len(kept)}; name one by `--member` 0 to {len(kept) - 1}"
        )
    if member is not None and not 0 <= member < len(kept):
        raise InvalidValue(f"`--member` must be in 0..{len(kept) - 1}; got {member}")
    return kept[member or 0]
