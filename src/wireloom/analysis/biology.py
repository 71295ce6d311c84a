"""Wirings of brains against the dense network, against their degrees alone, and the sweet spot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from wireloom.analysis.correction import corrected
from wireloom.analysis.sections import Section
from wireloom.analysis.statistics import constant
from wireloom.wiring import Kin, Wiring, kin

if TYPE_CHECKING:
    import pandas as pd

LEVEL = 0.05
_TITLE = "Wirings of brains"


@dataclass(frozen=True)
class Paired:
    """A difference of two groups' mean errors, seed by seed."""

    gain: float
    """The other's mean error less this one's: above 0 where this one does better."""
    deviation: float | None
    """Standard error of the gain; None with one seed."""
    p: float | None
    """Two-sided, of a paired t-test over the seeds; None where the gain does not vary."""
    p_holm: float | None
    """The same, corrected for the number of tests in the comparison (Holm)."""


@dataclass(frozen=True)
class GroupRow:
    """The wirings of one kind beside a connectome, their errors averaged for each seed."""

    name: str
    """Of the connectome."""
    kind: str
    """"connectome", "dense", "same degrees" or "sweet spot"."""
    ids: tuple[int, ...]
    """The wirings."""
    clustering: float
    """C, mean over the wirings, as are L and the density."""
    path_length: float
    """L."""
    density: float
    """Share of a layer's blocks that exist."""
    error: float
    """Mean over wirings and seeds."""
    spread: float | None
    """Standard deviation over seeds of the mean over wirings; None with one seed."""
    dense: Paired | None
    """Against the dense network; None where that is not there, or is this one."""
    matched: Paired | None
    """Against the wirings of the same degrees, likewise."""


@dataclass(frozen=True)
class Biology:
    """How the connectomes of a study do beside what they are compared with."""

    rows: tuple[GroupRow, ...]
    """For each connectome: itself, the dense network, the same degrees, the sweet spot."""
    beaten: Mapping[str, tuple[int, int]]
    """For each connectome: draws of the same degrees with a higher mean error; all draws."""
    seeds: int
    """Seeds that all compared wirings have finished."""
    tests: int
    """Tests that the corrected p-values are corrected for."""
    nodes: Mapping[str, int]
    """Nodes of each connectome."""

    def of(self, name: str, kind: str) -> GroupRow | None:
        """The row of a connectome's name and a kind, if it is there."""
        return next((row for row in self.rows if (row.name, row.kind) == (name, kind)), None)

    def verdict(self) -> list[str]:
        """Say it in plain sentences, the answer first."""
        brains = [row for row in self.rows if row.kind == "connectome"]
        said = [
            f"Over {self.seeds} seeds, "
            + "; ".join(
                f"{_count(brains, side, 1)} of {len(brains)} connectomes have a lower error than "
                f"{what}, and {_count(brains, side, -1)} a higher one"
                for side, what in (
                    ("dense", "the dense network"),
                    ("matched", "random wirings of the same degrees"),
                )
            )
            + f" (p < {LEVEL:g}, corrected for {self.tests} tests)."
        ]
        said += [
            f"{row.name}: {row.error:.2f} %{_against(row)}{self._draws(row.name)}."
            for row in brains
        ]
        said.append(
            "Wirings of the same degrees have the connectome's density, and so its widths: where "
            "the two are not told apart, nothing shows that it matters which area is joined to "
            "which, beyond density and degrees."
        )
        return said

    def section(self) -> Section:
        """The comparison as a section: sentences and one table."""
        head = ["wirings", "nodes", "C", "L", "density", "error (%)", "spread over seeds"]
        head += ["better than dense by", "p", "p, corrected"]
        head += ["better than same degrees by", "p", "p, corrected"]
        rows = []
        for row in self.rows:
            count = f" ({len(row.ids)})" if len(row.ids) > 1 else ""
            cells: list[Any] = [f"{row.name}: {row.kind}{count}", self.nodes[row.name]]
            cells += [row.clustering, row.path_length, row.density, row.error, row.spread]
            for side in (row.dense, row.matched):
                cells += [None] * 3 if side is None else [_gain(side), side.p, side.p_holm]
            rows.append([_rounded(cell) for cell in cells])
        note = (
            "Several wirings of a kind are averaged for each seed. ± is a standard error; p is of "
            f"a paired t-test over {self.seeds} seeds, two-sided, and corrected for {self.tests} "
            "tests by Holm's rule. C and L are of the undirected form."
        )
        table = {"title": _TITLE, "head": head, "rows": rows, "note": note}
        return Section(_TITLE, tuple(self.verdict()), tables=(table,))

    def _draws(self, name: str) -> str:
        better, draws = self.beaten[name]
        return f"; it does better than {better} of the {draws} draws" if draws else ""


def compare_connectomes(frame: pd.DataFrame, wirings: Mapping[int, Wiring]) -> Biology | None:
    """Compare the connectomes of a study with the wirings that go with them.

    Each group's errors are averaged over its wirings for each seed, then compared seed by seed, so
    that what the seeds share (the order of the samples) does not blur the difference. The tests
    generalise over seeds, not over draws of the same degrees: ``beaten`` tells of those.

    Args:
        frame: rows with ``wiring``, ``seed`` and ``error``, as `Study.frame` gives.
        wirings: by id, as in the study's plan.

    Returns:
        The comparison; None if no connectome is among the wirings, or no seed of all is finished.

    Cost: O(rows).
    """
    errors = frame.pivot_table(index="wiring", columns="seed", values="error")
    families = [k for k in kin(wirings) if k.connectome in errors.index]
    if not families:
        return None
    needed = [i for k in families for _, ids in _kinds(k) for i in ids]
    errors = errors.reindex(needed).dropna(axis=1)
    if errors.shape[1] == 0:
        return None
    rows, beaten = [], {}
    for family in families:
        by_seed = {kind: errors.loc[list(ids)].mean().to_numpy() for kind, ids in _kinds(family)}
        means = errors.loc[list(family.matched)].mean(axis=1)
        own = by_seed["connectome"]
        beaten[family.name] = (int((means > own.mean()).sum()), len(means))
        for kind, ids in _kinds(family):
            shown, its = [wirings[i] for i in ids], by_seed[kind]
            rows.append(
                GroupRow(
                    name=family.name,
                    kind=kind,
                    ids=ids,
                    clustering=float(np.mean([w.clustering for w in shown])),
                    path_length=float(np.mean([w.path_length for w in shown])),
                    density=float(np.mean([w.density for w in shown])),
                    error=float(its.mean()),
                    spread=float(its.std(ddof=1)) if len(its) > 1 else None,
                    dense=None if kind == "dense" else _paired(its, by_seed.get("dense")),
                    matched=None
                    if kind in ("dense", "same degrees")
                    else _paired(its, by_seed.get("same degrees")),
                )
            )
    rows, tests = _holm(rows)
    nodes = {k.name: wirings[k.connectome].nodes for k in families}
    return Biology(tuple(rows), beaten, errors.shape[1], tests, nodes)


def _kinds(family: Kin) -> list[tuple[str, tuple[int, ...]]]:
    kinds = [
        ("connectome", (family.connectome,)),
        ("dense", family.dense),
        ("same degrees", family.matched),
        ("sweet spot", family.sweet),
    ]
    return [(kind, ids) for kind, ids in kinds if ids]


def _paired(own: np.ndarray, other: np.ndarray | None) -> Paired | None:
    if other is None:
        return None
    gains = other - own
    if len(gains) < 2:
        return Paired(float(gains.mean()), None, None, None)
    deviation = float(gains.std(ddof=1) / len(gains) ** 0.5)
    if constant(gains):
        return Paired(float(gains.mean()), deviation, None, None)
    p = 2 * stats.t.sf(abs(gains.mean()) / deviation, len(gains) - 1)
    return Paired(float(gains.mean()), deviation, float(p), None)


def _holm(rows: list[GroupRow]) -> tuple[list[GroupRow], int]:
    """The rows with corrected p-values, and the number of tests."""
    p = np.array([
        np.nan if side is None or side.p is None else side.p
        for row in rows
        for side in (row.dense, row.matched)
    ])  # fmt: skip
    tested = np.isfinite(p)
    holm = corrected(p, tested, "holm").reshape(-1, 2)

    def filled(side: Paired | None, value: float) -> Paired | None:
        return replace(side, p_holm=float(value)) if side and np.isfinite(value) else side

    done = [
        replace(row, dense=filled(row.dense, one), matched=filled(row.matched, other))
        for row, (one, other) in zip(rows, holm, strict=True)
    ]
    return done, int(tested.sum())


def _count(rows: list[GroupRow], side: str, sign: int) -> int:
    pairs: list[Paired | None] = [getattr(row, side) for row in rows]
    return sum(
        x is not None and x.p_holm is not None and x.p_holm < LEVEL and sign * x.gain > 0
        for x in pairs
    )


def _against(row: GroupRow) -> str:
    said = ""
    for side, what in ((row.dense, "the dense network"), (row.matched, "the same degrees")):
        if side is None:
            continue
        how = "less" if side.gain >= 0 else "more"
        error = "" if side.deviation is None else f" ± {side.deviation:.2f}"
        known = "" if side.p_holm is None else f" (p {_p(side.p_holm)})"
        said += f", {abs(side.gain):.2f}{error} {how} than {what}{known}"
    return said


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _gain(side: Paired) -> str:
    error = "" if side.deviation is None else f" ± {side.deviation:.2f}"
    return f"{side.gain:+.2f}{error}"


def _rounded(cell: Any) -> Any:
    return round(cell, 4) if isinstance(cell, float) and abs(cell) >= 1e-3 else cell
