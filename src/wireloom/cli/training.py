"""The command `wireloom train`: one network, trained to the end, kept as files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wireloom.cli import networks, wirings
from wireloom.cli.files import written
from wireloom.cli.parsing import add_command
from wireloom.cli.progress import counting, duration
from wireloom.cli.watching import Board, Shown

if TYPE_CHECKING:
    from wireloom.data import Samples
    from wireloom.training.running import Training

TRAIN = """Train one network, on a wiring or dense, at the multiply-adds of its dense baseline.

FOLDER then holds net.safetensors (wireloom.load reads it), curves.csv (losses and error by epoch),
state.safetensors, and a folder for TensorBoard where that is installed. Stopped at any moment, the
same command goes on from the last state that was written, to the same bits as if it had never
stopped.

torchrun starts it as several processes, which share each batch: their result is that of one process
with --accumulate N, to rounding, and each can go on from the other's state."""

RECIPES = ("short", "cifar10", "imagenet", "imagenet-efficientnet")  # of wireloom.training
EXAMPLES = """
wireloom train --data digits --width 64 --nodes 16 --degree 5 --out runs/net
wireloom train --data cifar10:~/cifar10 --model cnn6 --nodes 32 --epochs 30 --out runs/cnn6
wireloom train best.json --data folder:pictures --size 64 --model mobilenet_v1 --out runs/mine
wireloom train --data stream:~/imagenet --model resnet34 --nodes 64 --recipe imagenet --out runs/r34
wireloom train --dense --data digits --width 64 --out runs/baseline
torchrun --nproc-per-node 2 -m wireloom train --data digits --width 64 --nodes 16 --out runs/two"""


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = add_command(
        commands, "train", train, "train one network and keep it", TRAIN, EXAMPLES
    )
    command.set_defaults(resumes=True)
    option = command.add_argument
    option("files", nargs="*", metavar="FILE", help="a wiring as JSON, instead of drawing one")
    option(
        "--out", metavar="FOLDER", required=True, help="where it is kept; goes on if it is there"
    )
    option(
        "--data", metavar="DATA", required=True,
        help="patches, digits, cifar10:PATH, folder:PATH, or stream:PATH for a folder whose "
        "pictures are read as they are needed, cut, mirrored and lit at random, as ImageNet's",
    )  # fmt: skip
    option(
        "--size", type=int, metavar="N",
        help="of folder and stream: pictures are cut to N x N pixels (stream: 224)",
    )  # fmt: skip
    option(
        "--resize", type=int, metavar="N",
        help="of stream: the shorter side before the cut in testing (256 for 224)",
    )  # fmt: skip
    option(
        "--readers", type=int, metavar="N", help="of stream: threads that read, 0 for one a core"
    )
    option(
        "--check", action="store_true", help="of stream: read every picture once before training"
    )
    option("--limit", type=int, metavar="N", help="most training samples (all)")
    option("--dense", action="store_true", help="the dense baseline, without a wiring")
    wirings.add_options(command)
    networks.add_options(command.add_argument_group("network"), {})
    recipe = command.add_argument_group("training")
    recipe.add_argument(
        "--recipe", choices=RECIPES, default=RECIPES[0],
        help="settings that the options below override: short (30 epochs), or the paper's for "
        f"CIFAR-10 (200), ImageNet (100) and ImageNet with EfficientNet (100) ({RECIPES[0]})",
    )  # fmt: skip
    for name, kind, about in (
        ("epochs", int, "passes over the training set (the recipe's)"),
        ("batch", int, "samples a step (the recipe's)"),
        (
            "accumulate",
            int,
            "parts of a batch, one after another, to save memory; a multiple of "
            "the processes (as many as these)",
        ),
        ("lr", float, "learning rate of the first epoch (the recipe's)"),
        ("weight-decay", float, "of all parameters (the recipe's)"),
        ("smoothing", float, "share of a label spread over all classes (0)"),
        ("average", float, "share that a step leaves of the parameters' running average (0)"),
        ("data-seed", int, "of the samples' order and augmentation (0)"),
    ):
        recipe.add_argument(f"--{name}", type=kind, metavar="N", help=about)
    recipe.add_argument(
        "--init-seed", type=int, default=0, metavar="N", help="of the initial parameters (0)"
    )
    recipe.add_argument(
        "--every", type=float, default=60.0, metavar="SECONDS",
        help="least time between two writes of the state (60)",
    )  # fmt: skip
    recipe.add_argument("--optimiser", metavar="NAME", help="sgd, adam or adamw (sgd)")
    recipe.add_argument(
        "--precision", metavar="NAME", help="float32, or bfloat16 for mixed precision (float32)"
    )
    recipe.add_argument("--device", default="cpu", metavar="NAME", help="cpu or cuda (cpu)")
    recipe.add_argument(
        "--threads",
        type=int,
        default=0,
        metavar="N",
        help="of each process, 0 shares cores out (0)",
    )


def train(
    *,
    files: list[str],
    out: str,
    data: str,
    size: int | None,
    resize: int | None,
    readers: int | None,
    check: bool,
    limit: int | None,
    dense: bool,
    model: str,
    budget: str,
    match: str,
    width: int | None,
    stem: int | None,
    hidden: int | None,
    recipe: str,
    epochs: int | None,
    batch: int | None,
    accumulate: int | None,
    lr: float | None,
    weight_decay: float | None,
    smoothing: float | None,
    average: float | None,
    init_seed: int,
    data_seed: int | None,
    optimiser: str | None,
    precision: str | None,
    every: float,
    device: str,
    threads: int,
    **options: Any,
) -> int:
    """Train, saying each epoch, and write what came of it."""
    import torch

    from wireloom import training
    from wireloom.base import InvalidValue, cores
    from wireloom.models import Build, Net, save
    from wireloom.training import processes

    rank, count, here = processes.expected()
    torch.set_num_threads(
        threads or (cores() // here if count > 1 else torch.get_num_threads()) or 1
    )
    settings = {
        "epochs": epochs,
        "batch": batch,
        "accumulate": accumulate or (count if count > 1 else None),
        "lr": lr,
        "weight_decay": weight_decay,
        "smoothing": smoothing,
        "average": average,
        "optimiser": optimiser,
        "precision": precision,
        "data_seed": data_seed,
    }
    folder = Path(out)
    try:
        chosen = replace(
            training.RECIPES[recipe], **{n: v for n, v in settings.items() if v is not None}
        )
        where = processes.device_of(device, "--device")
        if len(files) > 1:
            raise InvalidValue(f"`FILE` must be one wiring; got {len(files)}")
        if dense and (files or wirings.given(options) or options["family"]):
            raise InvalidValue(
                "`--dense` has no wiring; leave out the file or the options that draw one"
            )
        samples = _samples(data, size, resize, readers, limit, here)
        ((name, wiring),) = [("dense", None)] if dense else wirings.named(files, options)
        build = Build(
            model=model,
            image=samples.image,
            classes=samples.classes,
            budget=networks.budget_of(budget),
            width=width,
            stem=stem,
            hidden=hidden,
            match=match,
        )
        member = build.member(wiring, init_seed)
        if check:
            _check(samples)
        with written(folder):
            folder.mkdir(parents=True, exist_ok=True)
    except InvalidValue:
        if rank == 0:
            raise
        return 2  # the first process has said it
    net = Net([member], device=where)
    first = rank == 0
    if first:
        cost = net.cost()
        print(
            f"{model} on {name}, widths {' '.join(map(str, member.shape.widths))}: {cost.macs:,} "
            f"multiply-adds, {cost.params:,} parameters; {samples.name}, "
            f"{samples.train_count:,} training samples"
            + (f"; {count} processes" if count > 1 else "")
        )
    shown = Shown()
    board = Board(folder / "tensorboard") if first and Board.installed() else None

    def watch(training: Training) -> None:
        shown.epoch(training)
        if board:
            board.epoch(training)

    with processes.together(where):
        result = training.fit(
            net,
            samples.to(where),
            chosen,
            checkpoint=folder / "state.safetensors",
            every=every,
            watch=watch if first else None,
            watch_step=shown.step if first else None,
        )
    if not first:
        return 0
    net.eval()
    with written(folder):
        save(net, folder / "net.safetensors")
        _write_curves(folder / "curves.csv", result)
    print(
        f"test error {float(result.error[0]):.2f} %, test loss {float(result.loss[0]):.4f}, "
        f"{duration(result.seconds)} of training"
    )
    print(f"The network: {folder / 'net.safetensors'}\nThe curves: {folder / 'curves.csv'}")
    if board:
        board.close()
        print(f"For TensorBoard: {board.folder}")
    return 0


def _samples(
    data: str,
    size: int | None,
    resize: int | None,
    readers: int | None,
    limit: int | None,
    processes: int,
) -> Samples:
    """The data that the options name; ``processes`` of this machine share its cores to read."""
    from wireloom.base import InvalidValue, cores
    from wireloom.data import from_folder, load, stream_folder

    source, _, path = data.partition(":")
    for name, value, sources in (
        ("size", size, ("folder", "stream")),
        ("resize", resize, ("stream",)),
        ("readers", readers, ("stream",)),
    ):
        if value is not None and source not in sources:
            names = " and ".join(f"{s}:PATH" for s in sources)
            raise InvalidValue(f"`--{name}` is an option of {names} alone; got {data}")
    if source == "stream":
        return stream_folder(
            path,
            size or 224,
            resize=resize,
            workers=readers or max(1, cores() // processes),
            limit=limit,
        )
    return load(data, limit=limit) if size is None else from_folder(path, size, limit=limit)


def _check(samples: Samples) -> None:
    from wireloom.base import InvalidValue
    from wireloom.data import Streamed

    if not isinstance(samples, Streamed):
        raise InvalidValue("`--check` is an option of stream:PATH alone; others are read whole")
    with counting("pictures read") as told:
        samples.check(told)


def _write_curves(path: Path, result: Any) -> None:
    from wireloom.base import write_whole

    lines = ["epoch,train_loss,test_loss,test_error"]
    for row in zip(
        result.epochs, result.train_loss, result.test_loss, result.test_error, strict=True
    ):
        epoch, *values = (float(value.reshape(-1)[0]) for value in row)
        lines.append(",".join([f"{epoch:.0f}", *(f"{value:.6g}" for value in values)]))
    write_whole(path, "\n".join(lines) + "\n")
