"""The command `wireloom consistency`: the same wirings through several architectures and data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wireloom.cli.networks import MODELS
from wireloom.cli.parsing import add_command
from wireloom.cli.progress import Progress, duration
from wireloom.cli.studies import description

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wireloom.study import Local, Plan

ABOUT = """Train the same wirings in several architectures on several data sets, a study of each
pair in a folder of its own, and correlate their mean errors wiring by wiring: does a wiring that
does well in one do well in the others? (the paper's figure 4e)

Seed noise hides agreement, so each correlation stands beside its ceiling, what perfect agreement
would show with this noise, and beside its value freed of the noise. The defaults take about three
quarters of an hour on 2 cores; --dry-run measures it. Stopped at any moment, the same command goes
on where it was; each folder is a study for `wireloom status`, `report` and `analyse`."""

EXAMPLES = """
wireloom consistency --out runs/everywhere --dry-run
wireloom consistency --out runs/everywhere
wireloom consistency --data digits cifar10:pictures/cifar10 --models mlp cnn6 --out runs/two
wireloom consistency --wirings 12 --sample plane --seeds 3 --epochs 4 --out runs/quick"""


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = add_command(
        commands, "consistency", consistent, "whether the same wirings do well everywhere", ABOUT,
        EXAMPLES,
    )  # fmt: skip
    command.set_defaults(resumes=True)
    option = command.add_argument
    option("--out", metavar="FOLDER", required=True, help="folder of the studies and the page")
    option(
        "--data", nargs="+", metavar="DATA", default=["patches", "digits"],
        help="patches, digits, cifar10:PATH or folder:PATH (patches digits)",
    )  # fmt: skip
    option(
        "--models", nargs="+", metavar="NAME", default=["mlp", "cnn6", "resnet34_sep"],
        help=f"architectures: {', '.join(MODELS)} (mlp cnn6 resnet34_sep)",
    )  # fmt: skip
    option(
        "--dry-run", action="store_true", help="say what it would cost and how long it would take"
    )
    for name, kind, default, about in (
        ("wirings", int, 48, "how many, besides the dense baseline"),
        ("nodes", int, 16, "nodes of each, at most the 16 channels of the narrowest layer"),
        ("seeds", int, 6, "seeds of each wiring; 2 at least tell seed noise"),
        ("epochs", int, 10, "passes over the training set"),
        ("batch", int, 128, "samples a step"),
        ("lr", float, 0.1, "learning rate of the first epoch"),
        ("limit", int, 2000, "most training samples of each data set, 0 for all"),
    ):
        option(f"--{name}", type=kind, default=default, metavar="N", help=f"{about} ({default:g})")
    option(
        "--sample", choices=("published", "plane"), default="published",
        help="published: the paper's own 48, 326 or 2698 of 16 nodes; plane: any number, spread "
        "over clustering and path length (published)",
    )  # fmt: skip
    option("--workers", type=int, default=0, metavar="N", help="processes, 0 for one a core (0)")
    option(
        "--threads",
        type=int,
        default=0,
        metavar="N",
        help="of each process, 0 shares cores out (0)",
    )


def consistent(
    *,
    out: str,
    data: list[str],
    models: list[str],
    dry_run: bool,
    wirings: int,
    nodes: int,
    sample: str,
    seeds: int,
    epochs: int,
    batch: int,
    lr: float,
    limit: int,
    workers: int,
    threads: int,
) -> int:
    """Train what is not trained yet, then correlate."""
    from wireloom.base import InvalidValue
    from wireloom.study import Local, plan_wirings
    from wireloom.study.consistency import consistency, consistency_plans, open_studies
    from wireloom.training import Recipe

    for name, value, least in (("seeds", seeds, 1), ("limit", limit, 0), ("wirings", wirings, 3)):
        if value < least:
            raise InvalidValue(f"`--{name}` must be at least {least}; got {value}")
    recipe = Recipe(epochs=epochs, batch=batch, lr=lr, evaluate=max(1, epochs // 2))
    plans = consistency_plans(
        plan_wirings(wirings, nodes=nodes, sample=sample),
        data=data,
        models=models,
        seeds=range(1, seeds + 1),
        recipe=recipe,
        limit=limit or None,
    )
    engine = Local(workers=workers, threads=threads)
    if dry_run:
        return _dry_run(plans, engine)
    studies = open_studies(out, plans)
    failed = 0
    for name, study in studies.items():
        status = study.status()
        print(f"{name}: {description(study)}", flush=True)
        if status.done:
            print(f"{status.done:,} networks are trained already")
        left = sum(len(study.chunks[i]) for i in status.left)
        with Progress(left, epochs) as progress:
            status = study.run(engine, progress)
        if left:
            print(progress.words(), flush=True)
        if status.done == 0:
            raise InvalidValue(f"no network of {name} could be trained; the lines above say why")
        failed += len(status.left)
        study.report()
    found, files = consistency(out, studies)
    print()
    print("\n\n".join(section.text() for section in found.sections()))
    print(f"\nThe page: {files['html']}\nThe picture: {files['svg']}\nThe table: {files['csv']}")
    for study in studies.values():
        study.close()
    if failed:
        print(f"populations failed: {failed}; the same command tries again")
    return 1 if failed else 0


def _dry_run(plans: Mapping[str, Plan], engine: Local) -> int:
    from wireloom.study.estimate import estimate

    networks, seconds = 0, 0.0
    print(f"{'':24s} {'networks':>9s} {'populations':>12s} {'multiply-adds':>14s} {'time':>8s}")
    for name, plan in plans.items():
        each = estimate(plan, engine)
        networks, seconds = networks + each.networks, seconds + each.seconds
        print(
            f"{name:24s} {each.networks:9,d} {each.chunks:12,d} {each.macs:14,d} "
            f"{duration(each.seconds):>8s}",
            flush=True,
        )
    print(f"{networks:,} networks, about {duration(seconds)} in all")
    return 0
