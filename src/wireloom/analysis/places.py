"""The wirings of a table one by one: where they lie, how they did, and what they look like."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from wireloom.analysis.columns import BASELINE, Settings, find, has_settings, numbers, to_frame
from wireloom.analysis.table import Runs, is_dense, wirings_of
from wireloom.base import InvalidValue
from wireloom.wiring import Wiring, complete, measure, ws_flex

if TYPE_CHECKING:
    import pandas as pd

    from wireloom.analysis.columns import Table

PICTURES = 500
_BEST = 100
_SAME = 2e-3  # in C and L: measures in a table may be rounded
_FACTS = ("width", "macs", "params", "density")

Setting = tuple[int, float, float, int] | tuple[int]


@dataclass(frozen=True)
class Place:
    """A wiring of a table, or its dense baseline."""

    id: Hashable
    """Its id in the table."""
    clustering: float
    """C."""
    path_length: float
    """L."""
    errors: tuple[float, ...] = field(repr=False)
    """Of its runs, by rising seed."""
    setting: Setting | None
    """(n, k, p, graph_seed) of the WS-flex wiring, (n,) of the complete graph; None if unknown."""
    facts: Mapping[str, float] = field(repr=False)
    """What else the table has of width, macs, params and density."""

    @property
    def error(self) -> float:
        """Mean error."""
        return float(np.mean(self.errors))

    @property
    def label(self) -> str:
        """Its settings if known, else its id."""
        if self.setting is None or len(self.setting) == 1:
            return f"wiring {self.id}"
        n, k, p, seed = self.setting
        return f"ws_flex(nodes={n}, degree={k:.6g}, rewire={p:.6g}, seed={seed})"


def places(table: Table, runs: Runs) -> tuple[tuple[Place, ...], Place | None]:
    """The wirings of a table, by rising id, and its dense baseline if it has one.

    Args:
        table: as for `sweet_spot`.
        runs: what was read of it.

    Cost: O(rows log rows).
    """
    frame = to_frame(table)
    found = find(list(frame.columns), ("C", "L", "error", "seed", "wiring"))
    settings = _settings(frame, needed=not found["wiring"])
    wiring, ids = wirings_of(frame, found, settings)
    known, first = np.unique(wiring, return_index=True)
    row = {ids[code]: int(i) for code, i in zip(known, first, strict=True) if code >= 0}
    facts = {name: numbers(frame, name) for name in _FACTS if name in frame.columns}

    def place(i: int, wiring_id: Hashable, c: float, ell: float, errors: np.ndarray) -> Place:
        known = settings is not None and settings.row[i] >= 0
        return Place(
            id=wiring_id,
            clustering=c,
            path_length=ell,
            errors=tuple(errors.tolist()),
            setting=settings.distinct[settings.row[i]] if settings is not None and known else None,
            facts={n: float(v[i]) for n, v in facts.items() if np.isfinite(v[i])},
        )

    ends = np.searchsorted(runs.wiring, np.arange(len(runs.ids) + 1))
    each = tuple(
        place(row[name], name, float(c), float(ell), runs.error[start:end])
        for name, c, ell, start, end in zip(
            runs.ids, runs.clustering, runs.path_length, ends[:-1], ends[1:], strict=True
        )
    )
    if not len(runs.baseline):
        return each, None
    i = _dense_row(frame, found, settings)
    name = ids[wiring[i]] if wiring[i] >= 0 and ids[wiring[i]] not in runs.ids else "dense"
    return each, place(i, name, 1.0, 1.0, runs.baseline)


def _dense_row(frame: pd.DataFrame, found: dict[str, str], settings: Settings | None) -> int:
    """A row of the dense baseline."""
    if settings is not None and BASELINE not in frame.columns and not (found["C"] and found["L"]):
        complete_ = np.array([len(setting) == 1 for setting in settings.distinct])
        return int(np.flatnonzero((settings.row >= 0) & complete_[settings.row])[0])
    nowhere = np.full(len(frame), np.nan)
    c, ell = (numbers(frame, found[name]) if found[name] else nowhere for name in ("C", "L"))
    return int(np.flatnonzero(is_dense(frame, c, ell))[0])


def _settings(frame: pd.DataFrame, *, needed: bool) -> Settings | None:
    """The settings that rows name; None if they name none, or none that can be read."""
    if not has_settings(list(frame.columns)):
        return None
    try:
        return Settings.of(frame)
    except InvalidValue:
        if needed:
            raise
        return None


def pictures(
    found: Sequence[Place], most: int = PICTURES
) -> tuple[dict[Hashable, Wiring], list[str]]:
    """Draw the wirings that the table names by their settings, the best and an even rest.

    One whose C or L is not the table's is left out: the table means another wiring.

    Args:
        found: wirings of a table.
        most: pictures at most; the best fifth of them by error, the rest spread over the plane.

    Returns:
        The wirings drawn, by id; and what a reader must know of the choice, in sentences.

    Cost: about 30 microseconds a picture.
    """
    named = [place for place in found if place.setting is not None]
    if not named:
        return {}, []
    chosen, said = named, []
    if len(named) > most:
        best, rest = most * _BEST // PICTURES, most - most * _BEST // PICTURES
        ranked = sorted(named, key=lambda place: place.error)
        others = sorted(ranked[best:], key=lambda p: (round(10 * p.clustering), p.path_length))
        even = np.linspace(0, len(others) - 1, rest).round().astype(int)
        chosen = [*ranked[:best], *(others[i] for i in even)]
        said.append(
            f"{len(chosen):,} of the {len(named):,} wirings have pictures: the {best} of lowest "
            f"error, and {rest} others spread over the plane."
        )
    drawn = [(place, wiring) for place in chosen if (wiring := _drawn(place.setting))]
    clustering, path_length = measure([wiring for _, wiring in drawn])
    same = {
        place.id: wiring
        for (place, wiring), c, ell in zip(drawn, clustering, path_length, strict=True)
        if abs(c - place.clustering) < _SAME and abs(ell - place.path_length) < _SAME
    }
    if len(same) < len(chosen):
        said.append(
            f"{len(chosen) - len(same)} wirings have no picture, because the WS-flex wiring of "
            "their n, k, p and graph_seed has another C or L than the table."
        )
    return same, said


def dense_picture(baseline: Place | None) -> Wiring | None:
    """The complete graph of the baseline, if its number of nodes is known."""
    setting = None if baseline is None else baseline.setting
    return None if setting is None else _drawn(setting[:1])


def point(place: Place, wiring: Wiring | None, label: str = "") -> dict[str, Any]:
    """A wiring as a point of the page (see `wireloom.page.render`)."""
    errors = list(place.errors)
    facts: dict[str, Any] = {n: int(v) if v == int(v) else v for n, v in place.facts.items()}
    if wiring is not None:
        facts |= {
            "density": wiring.density,
            "nodes": wiring.nodes,
            "edges": wiring.edges.tolist(),
            "directed": wiring.directed,
        }
    number = isinstance(place.id, (int, float, str)) and not isinstance(place.id, bool)
    return {
        "id": place.id if number else str(place.id),
        "label": label or (place.label if wiring is None else repr(wiring)),
        "C": place.clustering,
        "L": place.path_length,
        "error": place.error,
        "sd": float(np.std(errors, ddof=1)) if len(errors) > 1 else None,
        "errors": errors,
        **facts,
    }


def _drawn(setting: Setting | None) -> Wiring | None:
    try:
        if setting is None or len(setting) == 1:
            return None if setting is None else complete(nodes=setting[0])
        n, k, p, seed = setting
        return ws_flex(nodes=n, degree=k, rewire=p, seed=seed)
    except InvalidValue:
        return None
