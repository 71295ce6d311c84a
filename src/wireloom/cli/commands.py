"""What each command does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wireloom.base import InvalidValue, write_whole
from wireloom.cli.presets import PRESETS, Preset
from wireloom.cli.progress import Progress, duration

if TYPE_CHECKING:
    from wireloom.study import Study
    from wireloom.wiring import Wiring


def explore(
    *,
    out: str,
    preset: str,
    dry_run: bool,
    sample: str,
    model: str,
    budget: str,
    workers: int,
    threads: int,
    store: str,
    **given: Any,
) -> int:
    """Train what is not trained yet, then say what came of it and write the page."""
    from wireloom.study import Local, Plan, Study, plan_wirings
    from wireloom.training import Recipe

    base = PRESETS[preset]
    names = [f.name for f in fields(Preset) if f.name != "about"]
    chosen = {n: getattr(base, n) if given[n] is None else given[n] for n in names}
    if not chosen["data"]:
        raise InvalidValue(f"`--data` must be given with the preset {preset}: cifar10:PATH")
    if chosen["seeds"] < 1:
        raise InvalidValue(f"`--seeds` must be at least 1; got {chosen['seeds']}")
    if chosen["limit"] < 0:
        raise InvalidValue(f"`--limit` must be at least 0; got {chosen['limit']}")
    plan = Plan(
        data=chosen["data"],
        wirings=plan_wirings(chosen["wirings"], nodes=chosen["nodes"], sample=sample),
        seeds=tuple(range(1, chosen["seeds"] + 1)),
        model=model,
        budget=_budget(budget),
        width=chosen["width"],
        stem=chosen["stem"],
        hidden=chosen["hidden"],
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
    engine = Local(workers=workers, threads=threads)
    if dry_run:
        return _dry_run(plan, engine)
    study = Study.create(out, plan, store=store)
    status = study.status()
    print(_describe(study))
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
    print("\n" + "\n".join(_verdict(study)))
    print(f"\nThe page: {page}\nThe table: {_table(study)}")
    study.close()
    if status.left:
        print(f"{len(status.left)} populations failed; the same command tries them again")
        return 1
    return 0


def _budget(text: str) -> str | int:
    plain = text.replace(",", "").replace("_", "")
    return int(plain) if plain.isdigit() else text


def _describe(study: Study) -> str:
    plan, data = study.plan, study.data
    dense = plan.build(data).baseline.cost(None)
    return (
        f"{len(plan.runs()):,} networks: {len(plan.wirings)} wirings x {len(plan.seeds)} seeds on "
        f"{data.name} ({len(data.train_labels):,} training images), {plan.recipe.epochs} epochs, "
        f"{dense.macs:,} multiply-adds each, in {len(study.chunks)} populations"
    )


def _verdict(study: Study) -> list[str]:
    try:
        return study.sweet_spot(resamples=0).verdict()
    except InvalidValue as error:
        return [f"There is no verdict: {error}."]


def _table(study: Study) -> Path:
    """Write the runs as Parquet, whole or not at all."""
    import io

    path, buffer = study.folder / "runs.parquet", io.BytesIO()
    study.frame().to_parquet(buffer)
    try:
        write_whole(path, buffer.getvalue())
    except OSError as error:
        raise InvalidValue(f"{path} cannot be written: {error.strerror}") from None
    return path


def _dry_run(plan: Any, engine: Any) -> int:
    from wireloom.study.estimate import estimate

    found = estimate(plan, engine)
    print(
        f"{found.networks:,} networks in {found.chunks} populations of up to {found.largest}\n"
        f"{found.macs:,} multiply-adds a network and sample (dense baseline), "
        f"{found.params:,} parameters; wired widths {found.widths[0]} to {found.widths[1]}\n"
        f"{found.training_macs:.3g} multiply-adds to train them all\n"
        f"about {duration(found.seconds)} with {found.workers} processes "
        f"(measured: {found.step_seconds * 1000:.1f} ms a step of a population)"
    )
    return 0


def status(*, study: str) -> int:
    """Say how far a study is."""
    from wireloom.study import Study

    opened = Study.open(study)
    found = opened.status()
    print(_describe(opened))
    print(f"{found.done:,} of {found.runs:,} networks trained ({found.done / found.runs:.0%})")
    if found.left:
        waiting = sum(opened._checkpoint(i).exists() for i in found.left)
        print(
            f"{len(found.left)} of {found.chunks} populations left, {waiting} of them begun; "
            "the command that made the study goes on"
        )
    else:
        print(f"complete; the page: {opened.folder / 'report.html'}")
    return 0


def report(*, study: str, out: str | None) -> int:
    """Write a study's page."""
    from wireloom.study import Study

    opened = Study.open(study)
    page = opened.report(out)
    print("\n".join(_verdict(opened)))
    print(f"\nThe page: {page}")
    return 0


def _wiring(*, family: str, nodes: int, degree: float, rewire: float, seed: int) -> Wiring:
    from wireloom.wiring import complete, ring, ws_flex

    if family == "ring":
        if not degree.is_integer():
            raise InvalidValue(f"`--degree` of a ring must be a whole number; got {degree}")
        return ring(nodes=nodes, degree=int(degree))
    if family == "complete":
        return complete(nodes=nodes)
    return ws_flex(nodes=nodes, degree=degree, rewire=rewire, seed=seed)


def draw(*, out: str, **wiring: Any) -> int:
    """Draw a wiring and write it."""
    from wireloom.page import wiring_svg

    target = Path(out)
    drawn = _wiring(**wiring)
    if target.suffix not in (".svg", ".json"):
        raise InvalidValue(f"`--out` must end in .svg or .json; got {out}")
    try:
        if target.suffix == ".json":
            drawn.save(target)
        else:
            write_whole(target, wiring_svg(drawn.nodes, drawn.edges.tolist()))
    except OSError as error:
        raise InvalidValue(f"{target} cannot be written: {error.strerror}") from None
    _print_measures([(out, drawn)])
    return 0


def measured(*, files: list[str], **wiring: Any) -> int:
    """Print measures of files, or of one wiring drawn here."""
    from wireloom.wiring import Wiring

    if files:
        _print_measures([(file, Wiring.load(file)) for file in files])
    else:
        drawn = _wiring(**wiring)
        _print_measures([(repr(drawn), drawn)])
    return 0


def _print_measures(named: list[tuple[str, Wiring]]) -> None:
    for name, wiring in named:
        degree = len(wiring.edges) * (1 if wiring.directed else 2) / wiring.nodes
        print(
            f"{name}: {wiring.nodes} nodes, {len(wiring.edges)} edges, "
            f"average degree {degree:.4g}, density {wiring.density:.4f}, "
            f"C {wiring.clustering:.6f}, L {wiring.path_length:.6f}"
        )


def price(
    *,
    image: list[int],
    classes: int,
    budget: str,
    width: int,
    stem: int,
    hidden: int,
    **wiring: Any,
) -> int:
    """Print what a network costs beside its dense baseline."""
    from wireloom.models import Build

    build = Build(
        image=tuple(image),
        classes=classes,
        budget=_budget(budget),
        width=width,
        stem=stem,
        hidden=hidden,
    )
    drawn = _wiring(**wiring)
    print(f"{'':42s} {'width':>6s} {'multiply-adds':>14s} {'parameters':>12s}")
    for name, found in (("dense baseline", None), (repr(drawn), drawn)):
        shape = build.baseline if found is None else build.shape(found)
        cost = shape.cost(found)
        print(f"{name:42s} {shape.width:6d} {cost.macs:14,d} {cost.params:12,d}")
    return 0


COMMANDS: dict[str, Callable[..., int]] = {
    "explore": explore,
    "status": status,
    "report": report,
    "graph draw": draw,
    "graph measure": measured,
    "cost": price,
}
