"""A table's findings as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wireloom.analysis.places import Place, dense_picture, pictures, point
from wireloom.analysis.sections import Section, on_page
from wireloom.analysis.spot import SweetSpot
from wireloom.analysis.telling import HEADLINES, facts, sections

if TYPE_CHECKING:
    from wireloom.analysis.findings import TableFindings
    from wireloom.wiring import Wiring

DENSE = "complete graph (dense)"
NOTES = (
    "C is the mean local clustering coefficient, L the mean shortest path length of the wiring.",
    "The raw gain compares the best wiring's mean with the baseline on the seeds that it was "
    "picked by, so it flatters; the honest gain is judged on seeds that took no part in the "
    "picking.",
    "Reliability is what half of the seeds tell about the other half, corrected to all seeds: "
    "1 is a perfectly repeatable map, below 0.5 the map is mostly noise.",
)


def page_of(
    found: TableFindings,
    more: Sequence[Section] = (),
    wirings: Mapping[Any, Wiring] | None = None,
) -> dict[str, Any]:
    """The document of a table's page (see `wireloom.page.render`).

    Args:
        found: what the table says.
        more: sections on it beside other tables.
        wirings: pictures by id; by default those that the table's settings name.
    """
    spot = found.spot
    lead, *others = sections(found)
    shown = on_page([replace(lead, says=()), *others, *more])
    points, baseline, said = points_of(found.places, found.baseline, wirings)
    return {
        "title": found.name,
        "subtitle": f"{found.counts()}; error is the table's column {found.error_name}",
        "verdict": spot.verdict()[:HEADLINES],
        "error_name": found.error_name,
        "points": points,
        "baseline": baseline,
        "sweet_spot": None if spot.is_noise else _sweet_spot(spot),
        "slices": _slices(spot),
        "charts": shown["charts"],
        "tables": shown["tables"],
        "table": facts(spot),
        "notes": [*lead.says, *shown["notes"], *NOTES, *said],
    }


def points_of(
    each: Sequence[Place],
    baseline: Place | None,
    wirings: Mapping[Any, Wiring] | None = None,
) -> tuple[list[dict[str, Any]], dict[str, Any] | None, list[str]]:
    """The points of a page, that of the dense baseline, and what to know of their pictures."""
    said: list[str] = []
    dense = None if wirings is None or baseline is None else wirings.get(baseline.id)
    if wirings is None:
        dense = dense_picture(baseline)
        wirings, said = pictures(each)
    return (
        [point(place, wirings.get(place.id)) for place in each],
        None if baseline is None else point(baseline, dense, DENSE),
        said,
    )


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
            if found.by == "bin"
        ],
    }


def _slices(found: SweetSpot) -> list[dict[str, Any]]:
    shown = []
    for cut, axis, other in zip(found.slices, "LC", "CL", strict=True):
        low, high = cut.within
        fit = cut.fit
        shown.append(
            {
                "title": f"Error against {axis}, for {other} in [{low:g}, {high:g}]",
                "axis": axis,
                "points": [list(p) for p in cut.points],
                "fit": None
                if fit is None
                else {
                    "coefficients": list(fit.coefficients),
                    "r2": fit.r2,
                    "vertex": fit.vertex,
                },
            }
        )
    return shown
