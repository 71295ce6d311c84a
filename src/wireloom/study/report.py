"""What a study's page shows, as plain values for `wireloom.page`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from wireloom.analysis.spot import SweetSpot, sweet_spot
from wireloom.base import InvalidValue
from wireloom.study.plan import BASELINE

if TYPE_CHECKING:
    from wireloom.study.study import Study

SENTENCES = 3  # of the verdict stand at the head of the page; the rest are its notes


def document(study: Study) -> dict[str, Any]:
    """The page's document (see `wireloom.page.render`) from a study's finished runs.

    Raises:
        InvalidValue: if no run is finished yet.
    """
    frame = study.frame()
    trained = set(frame["wiring"])
    points = [
        _point(study, i, frame.loc[frame["wiring"] == i])
        for i in study.plan.wirings
        if i in trained
    ]
    try:
        found = sweet_spot(frame, resamples=200)
        verdict = found.verdict()
    except InvalidValue as error:  # too few wirings to say anything
        found, verdict = None, [f"There is no verdict: {error}."]
    plan, status = study.plan, study.status()
    missing = (
        []
        if status.done == status.runs
        else [
            f"{status.runs - status.done:,} of {status.runs:,} networks are not trained yet; "
            "the numbers are those of the finished ones."
        ]
    )
    return {
        "title": f"{plan.model.upper()} wirings on {study.data.name}",
        "subtitle": f"{status.done:,} networks: {len(plan.wirings)} wirings of {_nodes(study)} "
        f"nodes, {len(plan.seeds)} seeds each, trained for {plan.recipe.epochs} epochs at the "
        "dense baseline's cost",
        "verdict": missing + verdict[:SENTENCES],
        "error_name": "top-1 test error (%)",
        "points": [p for p in points if p["id"] != BASELINE],
        "baseline": next((p for p in points if p["id"] == BASELINE), None),
        "sweet_spot": _sweet_spot(found) if found and not found.is_noise else None,
        "slices": _slices(found) if found else [],
        "table": _facts(study, frame, found),
        "notes": [*verdict[SENTENCES:], *_notes(study)],
    }


def _nodes(study: Study) -> str:
    return " or ".join(map(str, sorted({w.nodes for w in study.plan.wirings.values()})))


def _point(study: Study, number: int, rows: pd.DataFrame) -> dict[str, Any]:
    wiring = study.plan.wirings[number]
    first = rows.iloc[0]
    errors = [float(e) for e in rows["error"]]
    return {
        "id": number,
        "label": "complete graph (dense)" if number == BASELINE else repr(wiring),
        "C": float(first["C"]),
        "L": float(first["L"]),
        "error": float(np.mean(errors)),
        "sd": float(np.std(errors, ddof=1)) if len(errors) > 1 else None,
        "errors": errors,
        "width": int(first["width"]),
        "macs": int(first["macs"]),
        "params": int(first["params"]),
        "density": wiring.density,
        "nodes": wiring.nodes,
        "edges": wiring.edges.tolist(),
        "directed": wiring.directed,
    }


def _sweet_spot(found: SweetSpot) -> dict[str, Any]:
    interval = found.interval
    return {
        "C": list(found.clustering),
        "L": list(found.path_length),
        "interval": None
        if interval is None
        else {
            "C_lo": list(interval.clustering_lo),
            "C_hi": list(interval.clustering_hi),
            "L_lo": list(interval.path_length_lo),
            "L_hi": list(interval.path_length_hi),
        },
        "bins": [
            {
                "C": list(b.clustering),
                "L": list(b.path_length),
                "mean": b.mean,
                "count": b.runs,
                "kept": b.kept,
            }
            for b in found.bins
        ],
    }


def _slices(found: SweetSpot) -> list[dict[str, Any]]:
    slices = []
    for part in found.slices:
        axis, other = ("L", "C") if part.along == "path_length" else ("C", "L")
        low, high = part.within
        slices.append(
            {
                "title": f"Error against {axis}, for {other} in [{low:g}, {high:g}]",
                "axis": axis,
                "points": [list(map(float, p)) for p in part.points],
                "fit": None
                if part.fit is None
                else {
                    "coefficients": list(part.fit.coefficients),
                    "r2": part.fit.r2,
                    "vertex": part.fit.vertex,
                },
            }
        )
    return slices


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
        reliability = "unknown" if found.reliability is None else f"{found.reliability:.2f}"
        rows.append(("Reliability of the wirings' mean errors", reliability))
        for name, gain in (("Honest gain", found.honest_gain), ("Raw gain", found.gain)):
            if gain is not None:
                rows.append((f"{name} over the dense baseline", f"{gain:+.2f} points"))
    for name in ("processor", "kernels", "threads", "torch", "python", "wireloom", "commit"):
        values = sorted({str(v) for v in frame[name]})
        rows.append((name.capitalize(), ", ".join(values)))
    return rows


def _notes(study: Study) -> list[str]:
    notes = [
        "C is the mean local clustering coefficient, L the mean shortest path length of the "
        "wiring. Every network has the multiply-adds of the dense baseline: a sparser wiring is "
        "wider.",
        "The raw gain compares the best wiring's mean with the baseline on the seeds that it was "
        "picked by, so it flatters; the honest gain is judged on seeds that took no part in the "
        "picking.",
        "Reliability is what half of the seeds tell about the other half, corrected to all seeds: "
        "1 is a perfectly repeatable map, below 0.5 the map is mostly noise.",
    ]
    if study.data.note:
        notes.append(f"Data: {study.data.note}")
    return notes
