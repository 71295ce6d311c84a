"""The command `wireloom explore`: train networks on many wirings and say what came of it."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wireloom.cli import networks
from wireloom.cli.files import written
from wireloom.cli.networks import budget_of
from wireloom.cli.parsing import add_command
from wireloom.cli.presets import DEFAULT, PRESETS, Preset
from wireloom.cli.progress import Progress, duration
from wireloom.cli.studies import description, verdict

if TYPE_CHECKING:
    from wireloom.study import Study

EXPLORE = """Train networks on many wirings, several seeds each, all at the multiply-adds of one
dense baseline; then show how their error depends on the wiring: in words, and on a page.

A study lives in a folder. Stopped at any moment, even by a power cut, the same command goes on
where it was; `wireloom status` says how far it is."""

EXAMPLES = """
wireloom explore --out runs/first                        1,007 networks on patches of photographs
wireloom explore --preset digits --out runs/digits       the quick one
wireloom explore --wirings connectomes --out runs/brains       wirings of cat and macaque brains
wireloom explore --preset paper-hour --data cifar10:~/cifar10 --out runs/hour
wireloom explore --preset paper --data cifar10:~/cifar10 --device cuda --out runs/paper --dry-run
wireloom explore --data folder:pictures --width 128 --stem 128 --epochs 30 --out runs/mine"""


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = add_command(
        commands, "explore", explore, "train networks on many wirings and find the best", EXPLORE,
        EXAMPLES,
    )  # fmt: skip
    command.set_defaults(resumes=True)
    presets = "; ".join(f"{name}: {preset.about}" for name, preset in PRESETS.items())
    base = PRESETS[DEFAULT]
    option = command.add_argument
    option(
        "--out", metavar="FOLDER", required=True, help="the study's folder; goes on if it is there"
    )
    option(
        "--preset",
        choices=tuple(PRESETS),
        help=f"{presets} ({DEFAULT}; connectomes with --wirings connectomes)",
    )
    option(
        "--data", metavar="DATA",
        help=f"patches, digits, cifar10:PATH or folder:PATH ({base.data})",
    )  # fmt: skip
    option(
        "--dry-run", action="store_true", help="say what it would cost and how long it would take"
    )

    wirings = command.add_argument_group("wirings")
    wirings.add_argument(
        "--wirings",
        type=_wirings,
        metavar="N",
        help=f"how many, besides the dense baseline ({base.wirings}); or connectomes: those of "
        "brains (52, 71 and 30 nodes, directed), beside the dense baseline, random wirings of the "
        "same degrees, and WS-flex wirings of the sweet spot",
    )
    wirings.add_argument("--nodes", type=int, metavar="N", help=f"nodes of each ({base.nodes})")
    wirings.add_argument(
        "--sample", choices=("published", "plane"), default="published",
        help="published: the paper's own 52, 449 or 3942 of 64 nodes, 48, 326 or 2698 of 16; "
        "plane: any number, spread over clustering and path length (published)",
    )  # fmt: skip
    network = command.add_argument_group("networks")
    shown = {name: getattr(base, name) for name in ("width", "stem", "hidden")}
    networks.add_options(network, shown)

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
        "--device", default="cpu", metavar="NAME", help="cpu, or cuda for a GPU (cpu)"
    )
    machine.add_argument(
        "--store", default="", metavar="URL",
        help="database of the results, e.g. postgresql+psycopg://user@host/name (SQLite in FOLDER)",
    )  # fmt: skip
    command.epilog = (
        f"{command.epilog}\n\nDefaults are those of the preset {DEFAULT}; each preset has its own."
    )


def _wirings(text: str) -> int | str:
    """A number, or the name of a set."""
    if text.lstrip("+-").isdigit():
        return int(text)
    if text != "connectomes":
        raise argparse.ArgumentTypeError(f"must be a number or connectomes; got '{text}'")
    return text


def explore(
    *,
    out: str,
    preset: str | None,
    dry_run: bool,
    sample: str,
    model: str,
    budget: str,
    match: str,
    workers: int,
    threads: int,
    device: str,
    store: str,
    **given: Any,
) -> int:
    """Train what is not trained yet, then say what came of it and write the page."""
    from wireloom.base import InvalidValue
    from wireloom.study import Local, Plan, Study, plan_wirings
    from wireloom.training import Recipe
    from wireloom.training.machine import usable_device

    preset = preset or ("connectomes" if given["wirings"] == "connectomes" else DEFAULT)
    base = PRESETS[preset]
    names = [f.name for f in fields(Preset) if f.name != "about"]
    chosen = {n: getattr(base, n) if given[n] is None else given[n] for n in names}
    if not chosen["data"]:
        raise InvalidValue(f"`--data` must be given with the preset {preset}: cifar10:PATH")
    if chosen["seeds"] < 1:
        raise InvalidValue(f"`--seeds` must be at least 1; got {chosen['seeds']}")
    if chosen["limit"] < 0:
        raise InvalidValue(f"`--limit` must be at least 0; got {chosen['limit']}")
    if chosen["wirings"] == "connectomes" and (given["nodes"] or sample != "published"):
        raise InvalidValue(
            "`--nodes` and `--sample` do not go with connectomes, which have 52, 71 "
            f"and 30 nodes; got nodes {given['nodes']}, sample {sample}"
        )
    # The presets' sizes are those of MLPs; other architectures have their own.
    sizes = {n: chosen[n] if model == "mlp" else given[n] for n in ("width", "stem", "hidden")}
    plan = Plan(
        data=chosen["data"],
        wirings=plan_wirings(chosen["wirings"], nodes=chosen["nodes"], sample=sample),
        seeds=tuple(range(1, chosen["seeds"] + 1)),
        model=model,
        budget=budget_of(budget),
        match=match,
        **sizes,
        recipe=Recipe(
            epochs=chosen["epochs"],
            batch=chosen["batch"],
            lr=chosen["lr"],
            weight_decay=chosen["weight_decay"],
            evaluate=max(min(2, chosen["epochs"]), chosen["epochs"] // 20),
        ),
        order=chosen["order"],
        limit=chosen["limit"] or None,
    )
    usable_device(device, "--device")
    engine = Local(workers=workers, threads=threads, device=device)
    if dry_run:
        return _dry_run(plan, engine)
    study = Study.create(out, plan, store=store)
    status = study.status()
    print(description(study))
    if status.done:
        print(f"{status.done:,} networks are trained already; going on with the rest")
    left = sum(len(study.chunks[i]) for i in status.left)
    with Progress(left, plan.recipe.epochs) as progress:
        status = study.run(engine, progress)
    if left:
        print(progress.words())
    if status.done == 0:
        raise InvalidValue("no network could be trained; the lines above say why")
    page = study.report()
    print("\n" + "\n".join(verdict(study)))
    print(f"\nThe page: {page}\nThe table: {_table(study)}")
    study.close()
    if status.left:
        print(f"populations failed: {len(status.left)}; the same command tries again")
        return 1
    return 0


def _table(study: Study) -> Path:
    """Write the runs as Parquet, whole or not at all."""
    import io

    from wireloom.base import write_whole

    path, buffer = study.folder / "runs.parquet", io.BytesIO()
    study.frame().to_parquet(buffer)
    with written(path):
        write_whole(path, buffer.getvalue())
    return path


def _dry_run(plan: Any, engine: Any) -> int:
    from wireloom.study.estimate import estimate

    found = estimate(plan, engine)
    print(
        f"{found.networks:,} networks in "
        + (
            "one population"
            if found.chunks == 1
            else f"{found.chunks} populations of up to {found.largest}"
        )
        + "\n"
        f"{found.macs:,} multiply-adds a network and sample (dense baseline), "
        f"{found.params:,} parameters; wired widths {found.widths[0]} to {found.widths[1]}\n"
        f"{found.training_macs:.3g} multiply-adds to train them all\n"
        f"about {duration(found.seconds)} with {found.workers} processes "
        f"(measured: {found.step_seconds * 1000:.1f} ms a step of a population)"
    )
    return 0
