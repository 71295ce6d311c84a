"""What each part of an analysis shows, as sections: sentences, then numbers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from wireloom.analysis.agreement import Agreement, ConsistentRegion
from wireloom.analysis.consistency import Consistency
from wireloom.analysis.curves import FewEpochs
from wireloom.analysis.effects import Effect, Effects, Estimate
from wireloom.analysis.enough import FewSeeds, FewWirings
from wireloom.analysis.forecast import HeldOut
from wireloom.analysis.parts import Absent, Bin, Range
from wireloom.analysis.planning import Power
from wireloom.analysis.sections import Section
from wireloom.analysis.spot import SweetSpot
from wireloom.analysis.verdict import METHODS, where

if TYPE_CHECKING:
    from wireloom.analysis.findings import TableFindings

_ROWS = 20
_EPOCHS = 12
HEADLINES = 3  # sentences of the verdict that stand at the head


def sections(found: TableFindings) -> list[Section]:
    """All parts of a table's findings but the head of its verdict; the leading spot is first."""
    spots = [
        _spot("Sweet spot by bin", found.by_bin, found.spot),
        _spot("Sweet spot by wiring", found.by_wiring, found.spot),
    ]
    return [
        *(spots if found.spot is found.by_bin else spots[::-1]),
        _slices(found.spot),
        _few_wirings(found.few_wirings),
        _few_seeds(found.few_seeds),
        _few_epochs(found.few_epochs),
        _effects(found.effects),
        _power(found.power),
        _forecast(found.forecast),
    ]


def between(
    tables: Sequence[TableFindings],
    agreement: Agreement | Absent,
    wirings: Consistency | Absent,
    consistent: ConsistentRegion | Absent,
) -> list[Section]:
    """What the tables have in common; of single wirings only where all have the same ones."""
    return [
        Section("The tables", (), (_overview(tables),)),
        Section("Agreement between the tables", tuple(agreement.verdict()), _pairs(agreement)),
        *([] if isinstance(wirings, Absent) else wirings.sections()),
        Section("Region in common", tuple(consistent.verdict())),
    ]


def facts(found: SweetSpot, unit: str = "") -> list[tuple[str, str]]:
    """The numbers that matter most, as names and values."""
    reliability = "unknown" if found.reliability is None else f"{found.reliability:.2f}"
    rows = [("Reliability of the wirings' mean errors", reliability)]
    for name, gain in (("Honest gain", found.honest_gain), ("Raw gain", found.gain)):
        if gain is not None:
            rows.append((f"{name} over the dense baseline", f"{gain:+.3g}{unit}"))
    if found.baseline is not None:
        rows.append(("Mean error of the dense baseline", f"{found.baseline:.4g}"))
    best = found.best_wiring
    where_ = f"C {best.clustering:.3f}, L {best.path_length:.3f}"
    rows.append(("Lowest mean error", f"{best.mean:.4g}, of wiring {best.wiring} ({where_})"))
    return rows


def _spot(title: str, found: SweetSpot | Absent, leading: SweetSpot) -> Section:
    """A sweet spot with its best bins or wirings; of the leading one, what its head leaves."""
    if isinstance(found, Absent):
        return Section(title, (found.why,))
    if found is leading:
        says = found.verdict()[HEADLINES:]
    else:
        says = found.verdict()[:1] if found.is_noise else where(found)
    kept = sorted((b for b in found.bins if b.kept), key=lambda b: b.mean)
    what = "bins" if found.by == "bin" else "wirings"
    method = METHODS[found.corrected.correction]
    count = f"{_ROWS} best of the {len(kept):,}" if len(kept) > _ROWS else f"{len(kept)}"
    note = "The one kept" if len(kept) == 1 else f"The {count} {what} kept"
    note += "; p: chance of a mean so high if no worse than the best."
    head = ["C", "L", "mean error", "runs", "p", f"p by {method}"]
    head = ["wiring", *head] if found.by == "wiring" else [*head[:4], "wirings", *head[4:]]
    rows = [_bin_row(b) for b in kept[:_ROWS]]
    return Section(
        title, tuple(says), ({"title": title, "note": note, "head": head, "rows": rows},)
    )


def _bin_row(b: Bin) -> list[Any]:
    p = [b.p_value if b.p_corrected is not None else None, b.p_corrected]
    if b.wiring is None:
        return [_span(b.clustering), _span(b.path_length), b.mean, b.runs, b.wirings, *p]
    return [str(b.wiring), b.clustering[0], b.path_length[0], b.mean, b.runs, *p]


def _span(ends: Range) -> str:
    return f"{ends[0]:.3f}-{ends[1]:.3f}"


def _slices(found: SweetSpot) -> Section:
    rows = []
    for cut, along, other in zip(found.slices, "LC", "CL", strict=True):
        fit = cut.fit
        low, high = cut.within
        shape = None if fit is None else "lowest" if fit.opens_up else "highest"
        rows.append(
            [f"on {along}, for {other} in [{low:g}, {high:g}]", len(cut.points)]
            + ([None] * 3 if fit is None else [shape, fit.vertex, fit.r2])
        )
    title = "Slices: second-degree fits of error"
    head = ["slice", "wirings", "turns at its", "where", "R2"]
    return Section(title, (), ({"title": title, "head": head, "rows": rows},), on_page=False)


def _few_wirings(found: FewWirings | Absent) -> Section:
    title = "How few wirings would do"
    if isinstance(found, Absent):
        return Section(title, (found.why,))
    rows = [[s.wirings, s.correlation, s.honest] for s in found.steps]
    labels = ["with the full table", "with the other wirings alone"]
    what = f"correlation of the means of {found.cells} cells"
    return Section(
        title,
        tuple(found.verdict()[:1]),
        ({"title": what, "head": ["wirings", *labels], "rows": rows},),
        _chart(title, "wirings", what, labels, rows, log_x=True),
    )


def _few_seeds(found: FewSeeds | Absent) -> Section:
    title = "How few seeds would do"
    if isinstance(found, Absent) or found.reliability is None:
        return Section(title, tuple(found.verdict()))
    rows = [[s.seeds, s.reliability, s.measured] for s in found.steps]
    labels = ["predicted from all seeds", "measured on disjoint seeds"]
    return Section(
        title,
        tuple(found.verdict()),
        ({"title": "reliability", "head": ["seeds", *labels], "rows": rows},),
        _chart(title, "seeds a wiring", "reliability", labels, rows),
    )


def _few_epochs(found: FewEpochs | Absent) -> Section:
    title = "How few epochs would do"
    if isinstance(found, Absent):
        return Section(title, (found.why,))
    rows = [[s.epoch, s.correlation, s.honest] for s in found.steps]
    last = len(rows) - 1
    some = sorted({0, last, *(round(last ** (i / _EPOCHS)) for i in range(_EPOCHS))})
    labels = ["of the same runs", "of other seeds"]
    what = f"correlation with epoch {found.last:g}"
    return Section(
        title,
        tuple(found.verdict()),
        (
            {
                "title": what,
                "head": ["epoch", *labels],
                "rows": [rows[i] for i in some],
            },
        ),
        _chart(title, "epoch", what, labels, rows),
    )


def _chart(
    title: str, x: str, y: str, labels: list[str], rows: list[list[Any]], **more: bool
) -> tuple[dict[str, Any], ...]:
    """One chart, or none if there is nothing to follow: fewer than two rows."""
    lines = [
        {"label": label, "points": [[row[0], row[i]] for row in rows]}
        for i, label in enumerate(labels, 1)
        if any(row[i] is not None for row in rows)
    ]
    return ({"title": title, "x": x, "y": y, "lines": lines, **more},) if len(rows) > 1 else ()


def _effects(found: Effects | Absent) -> Section:
    title = "C, L and density"
    if isinstance(found, Absent):
        return Section(title, (found.why,))
    fits = (("density", found.density), ("C and L", found.measures), ("both", found.both))
    shares = [
        [f"quadratic in {name}" if name != "both" else name, fit.terms, fit.r2, fit.held_out]
        for name, fit in fits
        if fit is not None
    ]
    slopes = []
    for effect, own, other in (
        (found.clustering, "C", "L"),
        (found.path_length, "L", "C"),
    ):
        held = f"{other} and density" if found.density else other
        slopes.append(_slope_row(own, held, effect.slope, effect))
        if found.density:
            slopes.append(_slope_row(own, "density", effect.at_density, None))
    head = ["fit", "terms", "wirings fitted", "wirings left out"]
    columns = ["measure", "held", "per 0.1", "5%", "95%", "inflation"]
    return Section(
        title,
        tuple(found.verdict()),
        (
            {"title": "Share of the differences explained", "head": head, "rows": shares},
            {"title": "Change of the error with C and L", "head": columns, "rows": slopes},
        ),
    )


def _slope_row(own: str, held: str, slope: Estimate | None, effect: Effect | None) -> list[Any]:
    ends = (None, None, None) if slope is None else (slope.value, slope.low, slope.high)
    inflation = None if effect is None or effect.inflation == float("inf") else effect.inflation
    return [own, held, *(None if v is None else v / 10 for v in ends), inflation]


def _power(found: Power | Absent) -> Section:
    title = "Runs that a question needs"
    if isinstance(found, Absent):
        return Section(title, (found.why,))
    rows: list[list[Any]] = []
    if found.effect is not None:
        rows += [
            [f"seeds of each of two wirings, to see {found.effect:.3g}", found.seeds_to_compare],
            [f"wirings in each of two bins, to see {found.effect:.3g}", found.wirings_a_bin],
        ]
    rows += [
        ["seeds a wiring, for a reliability (by variances) of 0.8", found.seeds_for_80],
        ["seeds a wiring, for a reliability (by variances) of 0.9", found.seeds_for_90],
        [f"wirings, to see a correlation of {found.correlation:g}", found.wirings_to_correlate],
        [f"smallest difference seen with {found.typical} seeds each", found.smallest],
        ["standard deviation between wirings", found.between],
        ["standard deviation between seeds of one wiring", found.within],
    ]
    table = {"title": title, "head": ["what", "number"], "rows": rows}
    return Section(title, tuple(found.verdict()), (table,))


def _forecast(found: HeldOut | Absent) -> Section:
    title = "Forecast of wirings not trained"
    if isinstance(found, Absent):
        return Section(title, (found.why,))
    rows = [
        ["share of the differences foretold, R2", found.r2],
        ["what seed noise leaves to foretell", found.ceiling],
        ["mean absolute error", found.absolute_error],
        ["mean absolute error of the plain mean", found.absolute_error_of_mean],
        [f"share inside the interval made for {found.interval:g}", found.coverage],
    ]
    table = {"title": title, "head": ["on wirings held out", "number"], "rows": rows}
    return Section(title, tuple(found.verdict()), (table,))


def _overview(tables: Sequence[TableFindings]) -> dict[str, Any]:
    rows = [
        [
            *(t.name, t.spot.wirings, t.spot.seeds),
            *(_span(t.spot.clustering), _span(t.spot.path_length)),
            *(t.spot.honest_gain, t.spot.gain, t.spot.reliability),
        ]
        for t in tables
    ]
    head = ["table", "wirings", "seeds", "sweet spot C", "sweet spot L"]
    head += ["honest gain", "raw gain", "reliability"]
    return {"title": "The tables", "head": head, "rows": rows}


def _pairs(found: Agreement | Absent) -> tuple[dict[str, Any], ...]:
    if isinstance(found, Absent):
        return ()
    matrices = (found.correlation, found.without_baseline, found.disattenuated)
    rows = [
        [f"{found.names[i]}, {found.names[j]}", *(matrix[i][j] for matrix in matrices)]
        for i, j in itertools.combinations(range(len(found.names)), 2)
    ]
    head = ["tables", "correlation", "without the complete graph", "that freed of seed noise"]
    table: dict[str, Any] = {"title": "Correlation of cell means", "head": head, "rows": rows}
    if any(row[3] is not None and abs(row[3]) > 1 for row in rows):
        table["note"] = "Freed of seed noise, more than 1 means 1, as far as the seeds can tell."
    return (table,)
