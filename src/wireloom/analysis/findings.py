"""Everything that tables of results say about wirings, in one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from wireloom.analysis.agreement import Agreement, ConsistentRegion, consistent_region, correlate
from wireloom.analysis.columns import find, to_frame
from wireloom.analysis.consistency import Consistency, correlate_wirings
from wireloom.analysis.correction import Correction
from wireloom.analysis.curves import FewEpochs, few_epochs
from wireloom.analysis.effects import Effects, check_resamples, partial_effects
from wireloom.analysis.enough import FewSeeds, FewWirings, few_seeds, few_wirings
from wireloom.analysis.forecast import HeldOut, held_out
from wireloom.analysis.parts import Absent
from wireloom.analysis.places import Place, places
from wireloom.analysis.plain import plain
from wireloom.analysis.planning import Power, check_effect, power
from wireloom.analysis.sections import Section, facts_text, wrapped
from wireloom.analysis.showing import page_of
from wireloom.analysis.spot import SweetSpot, check_by, check_correction, sweet_spot
from wireloom.analysis.table import check_grid, read
from wireloom.analysis.telling import HEADLINES, between, facts, sections
from wireloom.base import InvalidValue, is_whole, nearest

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from wireloom.analysis.columns import Table
    from wireloom.wiring import Wiring

_Part = TypeVar("_Part")
FORMAT = "wireloom.findings"
VERSION = 1


@dataclass(frozen=True)
class TableFindings:
    """What one table says; a part that it cannot give is `Absent`, which says why."""

    name: str
    """What the table is called."""
    by: Literal["bin", "wiring"]
    """Which sweet spot leads."""
    error_name: str
    """The table's own name for the error."""
    runs: int
    """Runs read, the baseline's not counted."""
    baseline_runs: int
    """Runs of the dense baseline."""
    by_bin: SweetSpot | Absent
    """Where bins of the plane do best."""
    by_wiring: SweetSpot
    """Which wirings do best."""
    few_wirings: FewWirings | Absent
    """How few wirings would have told the same."""
    few_seeds: FewSeeds | Absent
    """How few seeds would have."""
    few_epochs: FewEpochs | Absent
    """How few epochs would have, if the table holds learning curves."""
    effects: Effects | Absent
    """What C and L add to density."""
    power: Power | Absent
    """How many runs a question needs."""
    forecast: HeldOut | Absent
    """How well wirings that were not trained are foretold."""
    places: tuple[Place, ...] = field(repr=False)
    """The wirings one by one."""
    baseline: Place | None = field(repr=False)
    """The dense baseline."""

    @property
    def spot(self) -> SweetSpot:
        """The sweet spot that leads: by bin if asked for and to be had, else by wiring."""
        if self.by == "bin" and not isinstance(self.by_bin, Absent):
            return self.by_bin
        return self.by_wiring

    def counts(self) -> str:
        """Runs, wirings and seeds, in words."""
        spot = self.by_wiring
        dense = f" and {self.baseline_runs:,} of the dense baseline" if self.baseline_runs else ""
        seeds = f"{spot.seeds:,} seed{'' if spot.seeds == 1 else 's'}"
        return f"{self.runs:,} runs of {spot.wirings:,} wirings ({seeds}){dense}"

    def text(self) -> str:
        """What the table says: the answer, then section by section."""
        head = [f"{self.name}: {self.counts()}", ""]
        head += [wrapped(sentence) for sentence in self.spot.verdict()[:HEADLINES]]
        head += ["", facts_text(facts(self.spot))]
        return "\n\n".join(["\n".join(head), *(section.text() for section in sections(self))])


@dataclass(frozen=True)
class Findings:
    """What tables of results say about wirings, one by one and together."""

    tables: tuple[TableFindings, ...]
    """One for each table, in the order given."""
    agreement: Agreement | Absent | None
    """How the tables' maps correlate; None for a single table."""
    wirings: Consistency | Absent | None
    """How the wirings that all tables name by the same ids correlate; None for a single table."""
    consistent: ConsistentRegion | Absent | None
    """The region in all sweet spots; None for a single table."""
    settings: Mapping[str, Any]
    """What the analysis was asked for."""

    def __getitem__(self, name: str) -> TableFindings:
        """The findings of one table, by its name."""
        known = [t.name for t in self.tables]
        if name not in known:
            raise InvalidValue(f"there is no table '{name}'{nearest(name, known)}")
        return self.tables[known.index(name)]

    def text(self) -> str:
        """All of it in words and numbers, for a terminal: the answer first, lines of 100."""
        said = []
        said += [section.text() for section in self._together()]
        said += [t.text() for t in self.tables]
        return "\n\n".join(said) + "\n"

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON has it; a number that is unknown or infinite is None.

        A part that a table cannot give is ``{"why": sentence}``. The keys are stable; more may
        come.
        """
        hidden = ("places", "baseline", "spot")
        return {
            "format": FORMAT,
            "version": VERSION,
            "settings": plain(self.settings),
            "agreement": plain(self.agreement),
            "wirings": plain(self.wirings),
            "consistent": plain(self.consistent),
            "tables": {
                t.name: {k: v for k, v in plain(t).items() if k not in hidden} for t in self.tables
            },
        }

    def document(
        self, name: str | None = None, *, wirings: Mapping[Any, Wiring] | None = None
    ) -> dict[str, Any]:
        """The page of one table, for `wireloom.page.render`.

        Args:
            name: which table; by default the first.
            wirings: their pictures, by id. By default those of the WS-flex wirings that n, k, p
                and graph_seed name are drawn, 500 at most.
        """
        found = self.tables[0] if name is None else self[name]
        return page_of(found, self._together(), wirings)

    def _together(self) -> list[Section]:
        """What the tables have in common; nothing for a single one."""
        if self.agreement is None or self.wirings is None or self.consistent is None:
            return []
        return between(self.tables, self.agreement, self.wirings, self.consistent)


def analyse(
    tables: Table | Mapping[str, pd.DataFrame | pa.Table | Mapping[str, Any]],
    *,
    by: Literal["bin", "wiring"] = "bin",
    cells: int = 15,
    longest: float = 4.5,
    resamples: int = 200,
    correction: Correction = "none",
    effect: float | None = None,
    seed: int = 0,
) -> Findings:
    """Say everything that tables of results can say about wirings.

    Of each table: the sweet spot by bin and by wiring, with corrected p-values, gains, reliability,
    interval and slices (`sweet_spot`); how few wirings, seeds and epochs would have told the same
    (`few_wirings`, `few_seeds`, `few_epochs`); what C and L add to density (`partial_effects`);
    how many runs a question needs (`power`); and how well `predict` would do on new wirings. Of
    several tables: how their maps correlate (`correlate`), how their wirings do where ids are the
    same (`correlate_wirings`), and the region that all sweet spots have in common
    (`consistent_region`). What a table cannot give is said in its place.

    Args:
        tables: a table as for `sweet_spot`, or several by name. One with a column epoch may hold
            learning curves.
        by: which sweet spot leads and makes the region in common.
        cells: cells of the grid along each measure.
        longest: upper end of the grid in L (2.5 suits wirings of 16 nodes).
        resamples: bootstrap draws behind the intervals, at least 20; 0 for no intervals.
        correction: of the p-values that decide what is kept: "none", "holm" or "fdr".
        effect: difference of error that `power` is to plan for.
        seed: of the bootstrap.

    Raises:
        InvalidValue: for a table with a missing column, fewer than three wirings or a wrong
            value, or an argument out of range.

    Cost: about 2 s for 20,000 rows on 4,000 wirings.

    Example:
        >>> table = {"C": [0.2, 0.4, 0.9] * 2, "L": [2.0, 2.2, 3.0] * 2,
        ...          "error": [5.0, 4.0, 9.0, 5.1, 4.2, 9.1],
        ...          "seed": [0, 0, 0, 1, 1, 1], "wiring": [0, 1, 2] * 2}
        >>> found = analyse(table).tables[0]
        >>> found.by_wiring.best.wiring, found.effects.why
        (1, 'This cannot be said: the table must hold at least 12 wirings; got 3.')
    """
    check_by(by)
    check_grid(cells, longest)
    check_resamples(resamples)
    check_correction(correction)
    check_effect(effect)
    if not is_whole(seed):
        raise InvalidValue(f"`seed` must be a whole number; got {seed!r}")
    grid: dict[str, Any] = {"cells": cells, "longest": longest}
    draws: dict[str, Any] = {"resamples": int(resamples), "seed": int(seed)}

    def of_table(name: str, table: Table) -> TableFindings:
        runs = read(table)
        columns = list(to_frame(table).columns)
        each, baseline = places(table, runs)
        return TableFindings(
            name=name,
            by=by,
            error_name=find(columns, ("error",))["error"],
            runs=len(runs.error),
            baseline_runs=len(runs.baseline),
            by_bin=_attempt(lambda: sweet_spot(table, correction=correction, **grid, **draws)),
            by_wiring=sweet_spot(table, "wiring", correction=correction, **draws),
            few_wirings=_attempt(lambda: few_wirings(table, **grid)),
            few_seeds=_attempt(lambda: few_seeds(table)),
            few_epochs=_attempt(lambda: few_epochs(table)) if "epoch" in columns else _NO_CURVES,
            effects=_attempt(lambda: partial_effects(table, **draws)),
            power=_attempt(lambda: power(table, effect)),
            forecast=_attempt(lambda: held_out(table)),
            places=each,
            baseline=baseline,
        )

    named, given = _named(tables)
    found = []
    for name, table in named.items():
        try:
            found.append(of_table(name, table))
        except InvalidValue as error:
            if not given:
                raise
            raise InvalidValue(f"table '{name}': {error}") from error
    several = len(named) > 1
    return Findings(
        tables=tuple(found),
        agreement=_attempt(lambda: correlate(named, **grid)) if several else None,
        wirings=_attempt(lambda: correlate_wirings(named, **draws)) if several else None,
        consistent=consistent_region({t.name: t.spot for t in found}) if several else None,
        settings={"by": by, **grid, "correction": correction, "effect": effect, **draws},
    )


_NO_CURVES = Absent("The table holds no learning curves: it has no column epoch.")


def _attempt(make: Callable[[], _Part]) -> _Part | Absent:
    try:
        return make()
    except InvalidValue as error:
        return Absent.because(error)


def _named(tables: Any) -> tuple[dict[str, Table], bool]:
    """Tables by name, and whether the names were given.

    A mapping is one of tables if its values are tables, else one of columns.
    """
    import pandas as pd
    import pyarrow as pa

    kinds = (pd.DataFrame, pa.Table, Mapping)
    if isinstance(tables, Mapping) and not tables:
        raise InvalidValue("`tables` must hold at least one table; got none")
    if isinstance(tables, Mapping) and all(isinstance(t, kinds) for t in tables.values()):
        return {str(name): table for name, table in tables.items()}, True
    return {"table": tables}, False
