"""What a study's page shows, as plain values for `wireloom.page`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wireloom.analysis.biology import Biology, compare_connectomes
from wireloom.analysis.findings import analyse
from wireloom.analysis.places import places
from wireloom.analysis.showing import points_of
from wireloom.analysis.spot import SweetSpot
from wireloom.analysis.table import read
from wireloom.analysis.telling import facts
from wireloom.base import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from wireloom.study.study import Study
    from wireloom.wiring import Wiring


def document(study: Study) -> dict[str, Any]:
    """The page's document (see `wireloom.page.render`) from a study's finished runs.

    Raises:
        InvalidValue: if no run is finished yet.

    Cost: about 0.5 s for 1,000 networks.
    """
    frame = study.frame()
    plan, status = study.plan, study.status()
    try:
        brains = compare_connectomes(frame, plan.wirings)
        found = None if brains else analyse(with_curves(study, frame))
    except InvalidValue as error:  # too few wirings to say anything
        points, baseline, _ = points_of(*places(frame, read(frame, least=0)), plan.wirings)
        said, spot = [f"There is no verdict: {error}."], None
        shown = {"verdict": said, "points": points, "baseline": baseline, "notes": []}
    else:
        if brains is not None:
            shown, spot = _of_brains(frame, brains, plan.wirings), None
        else:
            assert found is not None
            shown, spot = found.document(wirings=plan.wirings), found.tables[0].spot
    missing = (
        []
        if status.done == status.runs
        else [
            f"{status.runs - status.done:,} of {status.runs:,} networks are not trained yet; "
            "the numbers are those of the finished ones."
        ]
    )
    return {
        **shown,
        "title": f"{plan.model.upper()} wirings on {study.data.name}",
        "subtitle": f"{status.done:,} networks: {len(plan.wirings)} wirings of {_nodes(study)} "
        f"nodes, {len(plan.seeds)} seeds each, trained for {plan.recipe.epochs} epochs at the "
        "dense baseline's cost",
        "verdict": missing + shown["verdict"],
        "error_name": "top-1 test error (%)",
        "table": _facts(study, frame, spot),
        "notes": [*shown["notes"], *_notes(study)],
    }


def _of_brains(
    frame: pd.DataFrame, brains: Biology, wirings: Mapping[int, Wiring]
) -> dict[str, Any]:
    """A page of connectomes: their comparison in place of a sweet spot, which node counts blur."""
    points, baseline, _ = points_of(*places(frame, read(frame, least=0)), wirings)
    names = {
        i: f"{row.name}: {row.kind}{f' {k}' if len(row.ids) > 1 else ''}"
        for row in brains.rows
        for k, i in enumerate(row.ids, 1)
    }
    errors = {point["id"]: point["error"] for point in points}
    for point in points:
        point["label"] = names.get(point["id"], point["label"])
    drawn = []
    for row in brains.rows:
        if row.kind != "connectome":
            continue
        mates = [i for other in brains.rows if other.name == row.name for i in other.ids if i >= 0]
        made = [i for i in mates if i != row.ids[0]]
        best = [("", row.ids[0])]
        best += [("best artificial, ", min(made, key=errors.__getitem__))] if made else []
        for lead, i in best:
            wiring = wirings[i]
            note = (
                f"{lead}error {errors[i]:.2f} %; {wiring.nodes} nodes, C {wiring.clustering:.2f}, "
                f"L {wiring.path_length:.2f}, density {wiring.density:.2f}"
            )
            drawn.append(
                {"label": names[i], "nodes": wiring.nodes, "edges": wiring.edges, "note": note}
            )
    section = brains.section()
    return {
        "verdict": list(section.says),
        "points": points,
        "baseline": baseline,
        "gallery": drawn,
        "tables": list(section.tables),
        "notes": [
            "The best artificial wiring is the one of lowest mean error among those of the same "
            "degrees and of the sweet spot; picked by these very errors, it flatters.",
        ],
    }


def with_curves(study: Study, frame: pd.DataFrame | None = None) -> pd.DataFrame:
    """The finished runs as a table for `analyse`: a row for each run and evaluated epoch.

    Raises:
        InvalidValue: if no run is finished yet.
    """
    frame = study.frame() if frame is None else frame
    curves = study.curves()[["wiring", "seed", "epoch", "test_error"]]
    table = curves.merge(frame.drop(columns="error"), on=["wiring", "seed"], validate="many_to_one")
    return table.rename(columns={"test_error": "error"})


def _nodes(study: Study) -> str:
    return " or ".join(map(str, sorted({w.nodes for w in study.plan.wirings.values()})))


def _facts(study: Study, frame: pd.DataFrame, found: SweetSpot | None) -> list[tuple[str, str]]:
    plan, recipe, data = study.plan, study.plan.recipe, study.data
    deviation = 100 * (frame["macs"] / frame["macs"].min() - 1).max()
    rows = [
        ("Data", f"{data.name}: {len(data.train_labels):,} training and "
                 f"{len(data.test_labels):,} test images of {' x '.join(map(str, data.image))}, "
                 f"{data.classes} classes"),
        ("Network", f"{plan.model}, {plan.hidden} wired hidden layers, dense stem of {plan.stem}, "
                    f"baseline width {plan.width}"),
        ("Budget", f"{plan.budget}; {frame['macs'].min():,} to {frame['macs'].max():,} "
                   f"multiply-adds (within {deviation:.2f} %)"),
        ("Recipe", f"{recipe.optimiser}, learning rate {recipe.lr:g} ({recipe.schedule}), batch "
                   f"{recipe.batch}, weight decay {recipe.weight_decay:g}, {recipe.epochs} epochs"),
        ("Seeds", f"{len(plan.seeds)}: {', '.join(map(str, plan.seeds))}"[:200]),
        ("Sample order", "shared by all runs: the spread between seeds leaves out the order's share"
                         if plan.order == "shared" else "its own for each seed"),
        ("Training time", f"{frame['seconds'].sum():,.0f} core-seconds, "
                          f"{1000 * frame['seconds'].mean():,.0f} ms a network"),
    ]  # fmt: skip
    if found is not None:
        rows += facts(found, " points")
    for name in ("processor", "kernels", "threads", "torch", "python", "wireloom", "commit"):
        values = sorted({str(v) for v in frame[name]})
        rows.append((name.capitalize(), ", ".join(values)))
    return rows


def _notes(study: Study) -> list[str]:
    notes = [
        "Every network has the multiply-adds of the dense baseline: a sparser wiring is wider.",
    ]
    if study.data.note:
        notes.append(f"Data: {study.data.note}")
    return notes
