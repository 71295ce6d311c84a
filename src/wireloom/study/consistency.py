"""The same wirings through several architectures on several data sets: a study of each pair."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from wireloom.analysis.consistency import Consistency, correlate_wirings
from wireloom.analysis.table import read
from wireloom.base import InvalidValue, write_whole
from wireloom.data import load
from wireloom.page import matrix_svg, sheet
from wireloom.study.plan import Plan
from wireloom.study.study import Study
from wireloom.training import Recipe
from wireloom.wiring import Wiring

if TYPE_CHECKING:
    import pandas as pd

MODELS = ("mlp", "cnn6", "resnet34_sep")
DATA = ("patches", "digits")
# First stage of the dense baseline: small, so that an hour holds them all on two cores, and at
# least the 16 nodes of the wirings.
WIDTHS = {"mlp": 64}
WIDTH = 16


def consistency_plans(
    wirings: Mapping[int, Wiring],
    *,
    data: Sequence[str] = DATA,
    models: Sequence[str] = MODELS,
    seeds: Sequence[int] = (1, 2, 3, 4, 5, 6),
    recipe: Recipe | None = None,
    limit: int | None = 2000,
) -> dict[str, Plan]:
    """A plan for each architecture and data set, by a name that suits a folder.

    The MLP's dense baseline is 64 wide with three hidden layers; the others have a stem and a first
    stage of 16 channels, the later stages in proportion.

    Args:
        wirings: the same for all, by id.
        data: data sets, as `wireloom.data.load` takes them.
        models: architectures.
        seeds: of each wiring.
        recipe: the same for all; 10 epochs by default.
        limit: most training samples of each.

    Raises:
        InvalidValue: for fewer than two pairs, one twice, or a plan that cannot be trained.
    """
    plans: dict[str, Plan] = {}
    recipe = recipe or Recipe(epochs=10, evaluate=5)
    pairs = [(model, source) for source in data for model in models]
    if len(pairs) < 2:
        raise InvalidValue(
            "`models` and `data` must make at least 2 studies to compare; got "
            f"{', '.join(models) or 'no model'} on {', '.join(data) or 'no data'}"
        )
    for model, source in pairs:
        name = f"{model}-{source.partition(':')[0]}"
        if name in plans:
            raise InvalidValue(f"`models` and `data` must be different kinds; got {name} twice")
        width = WIDTHS.get(model, WIDTH)
        plan = Plan(
            data=source,
            wirings=wirings,
            seeds=tuple(seeds),
            model=model,
            width=width,
            stem=width,
            recipe=recipe,
            limit=limit,
        )
        plan.chunks(load(source, limit=limit))  # every check, before anything is written
        plans[name] = plan
    return plans


def open_studies(folder: str | os.PathLike[str], plans: Mapping[str, Plan]) -> dict[str, Study]:
    """A study for each plan, in a folder of its name; one that is there goes on."""
    return {name: Study.create(Path(folder) / name, plan) for name, plan in plans.items()}


def consistency(
    folder: str | os.PathLike[str], studies: Mapping[str, Study]
) -> tuple[Consistency, dict[str, Path]]:
    """Correlate the studies, and write the page, the picture and the table into ``folder``.

    Returns:
        The correlations, and the files by their endings: html, svg, csv.

    Raises:
        InvalidValue: if a study has no finished runs, or a file cannot be written.
    """
    frames = {name: study.frame() for name, study in studies.items()}
    found = correlate_wirings(frames)
    title = "Do the same wirings do well everywhere?"
    picture = matrix_svg(found.names, found.pearson, title="Pearson over the wirings' mean errors")
    sections = found.sections()
    page = sheet(
        title,
        subtitle=_subtitle(studies, found),
        verdict=found.verdict(),
        pictures=[picture],
        tables=[*(table for s in sections for table in s.tables), _trained(frames)],
    )
    contents = {"html": page, "svg": picture, "csv": _csv(found)}
    paths = {kind: Path(folder) / f"consistency.{kind}" for kind in contents}
    for kind, path in paths.items():
        try:
            write_whole(path, contents[kind])
        except OSError as error:
            raise InvalidValue(f"{path} cannot be written: {error.strerror}") from None
    return found, paths


def _subtitle(studies: Mapping[str, Study], found: Consistency) -> str:
    plan = next(iter(studies.values())).plan
    nodes = sorted({wiring.nodes for wiring in plan.wirings.values()})
    return (
        f"{found.wirings} wirings of {' or '.join(map(str, nodes))} nodes, {len(plan.seeds)} seeds "
        f"each, {plan.recipe.epochs} epochs, in {len(studies)} studies"
    )


def _trained(frames: Mapping[str, pd.DataFrame]) -> dict[str, object]:
    """What each study came to, as a table of the page."""
    head = ["study", "networks", "multiply-adds", "mean error (%)", "dense error (%)"]
    head += ["spread of wirings", "training (core-seconds)"]
    rows = []
    for name, frame in frames.items():
        runs = read(frame)
        means = np.bincount(runs.wiring, runs.error) / np.bincount(runs.wiring)
        rows.append([
            name, len(frame), int(np.median(frame["macs"])), f"{means.mean():.2f}",
            f"{runs.baseline.mean():.2f}" if len(runs.baseline) else None,
            f"{means.std(ddof=1):.2f}", f"{np.sum(frame['seconds']):.0f}",
        ])  # fmt: skip
    return {"title": "The studies", "head": head, "rows": rows}


def _csv(found: Consistency) -> str:
    """A row for each pair of studies."""
    lines = ["one,other,wirings,pearson,low,high,spearman,ceiling,freed_of_noise"]
    for i, one in enumerate(found.names):
        for j, other in enumerate(found.names[i + 1 :], i + 1):
            numbers = [found.pearson[i][j], *(found.intervals[i][j] or (None, None))]
            numbers += [m[i][j] for m in (found.spearman, found.ceiling, found.corrected)]
            cells = ["" if x is None else repr(x) for x in numbers]
            lines.append(",".join([one, other, str(found.wirings), *cells]))
    return "\n".join(lines) + "\n"
