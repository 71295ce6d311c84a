"""Find the columns of any table of results, and make from others those that can be made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wireloom.base import InvalidValue

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    Table = pd.DataFrame | pa.Table | Mapping[str, Any]

BASELINE = "is_complete_graph_baseline"
NAMES = {
    "C": ("C", "clustering"),
    "L": ("L", "path_length"),
    "error": ("error", "top1_err", "test_error"),
    "seed": ("seed", "train_seed"),
    "wiring": ("wiring", "graph_id"),
    "epoch": ("epoch",),
}
_SETTING = {"n": ("n", "nodes"), "k": ("k",), "p": ("p",), "graph_seed": ("graph_seed",)}
_MADE_FROM_SETTING = ("C", "L", "wiring")
_LARGEST = 1e150  # the sum of 10^7 squares still has a number
_FLAGS = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False, "": False}


def to_frame(table: Table) -> pd.DataFrame:
    """Take the table as a pandas frame; one that is given is neither copied nor changed."""
    import pandas as pd

    if isinstance(table, pd.DataFrame):
        return table
    if isinstance(table, Mapping):
        try:
            return pd.DataFrame(dict(table))
        except ValueError as error:
            raise InvalidValue(f"`table` must have columns of one length; {error}") from error
    import pyarrow as pa

    if isinstance(table, pa.Table):
        return table.to_pandas()
    raise InvalidValue(
        "`table` must be a pandas frame, a pyarrow table or a mapping of columns; "
        f"got {type(table).__name__}"
    )


def find(columns: Sequence[Hashable], needed: Sequence[str]) -> dict[str, str]:
    """The table's own name for each column that is needed.

    C, L and the wiring's id get the name "" where the table lacks them but holds the settings
    (n, k, p, graph_seed) that they can be made from; any other column that is lacking raises.
    """
    found = {wanted: _first(columns, NAMES[wanted]) for wanted in needed}
    settings = {wanted: _first(columns, names) for wanted, names in _SETTING.items()}
    made = _MADE_FROM_SETTING if all(settings.values()) else ()
    missing = [wanted for wanted, name in found.items() if not name and wanted not in made]
    if missing:
        hint = ""
        if "seed" in missing and "graph_seed" in columns:
            hint = " (graph_seed is the wiring's, not the training's)"
        makeable = [wanted for wanted in missing if wanted in _MADE_FROM_SETTING]
        if makeable:
            lacking = [" or ".join(_SETTING[name]) for name, has in settings.items() if not has]
            hint += (
                f" (n or nodes, k, p and graph_seed would do for {', '.join(makeable)}, but "
                f"{', '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} lacking too)"
            )
        names = ", ".join(
            wanted if wanted in "CL" else " or ".join(NAMES[wanted]) for wanted in missing
        )
        has = ", ".join(map(str, columns)) or "none"
        raise InvalidValue(f"`table` lacks the columns {names}{hint}; it has {has}")
    twice = [name for name in found.values() if name and list(columns).count(name) > 1]
    if twice:
        raise InvalidValue(f"`table` must have each column once; got {', '.join(twice)} twice")
    return found


def place_columns(frame: pd.DataFrame) -> tuple[str, str]:
    """The table's own names for C and L, "" for one that it lacks."""
    return _first(frame.columns, NAMES["C"]), _first(frame.columns, NAMES["L"])


def numbers(frame: pd.DataFrame, name: str) -> np.ndarray:
    """A column as float64 [rows], NaN where there is nothing."""
    import pandas as pd

    rule = f"column `{name}` of `table` must hold numbers"
    try:
        kind = pd.api.types.infer_dtype(frame[name], skipna=True)
        if kind.startswith("mixed") and any(isinstance(v, bool) for v in frame[name]):
            kind = "boolean"
        values = pd.Series(pd.to_numeric(frame[name]))
        if kind.startswith(("bool", "date", "time", "period", "complex")):
            raise InvalidValue(f"{rule}; got {kind} values")
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, OverflowError, ValueError) as error:
        if isinstance(error, InvalidValue):
            raise
        raise InvalidValue(f"{rule}; {error}") from error


def errors(frame: pd.DataFrame, name: str) -> np.ndarray:
    """The column of errors as float64 [rows], NaN where there is nothing; refused above 1e150."""
    values = numbers(frame, name)
    large = np.flatnonzero(np.isfinite(values) & (np.abs(values) > _LARGEST))
    if len(large):
        raise InvalidValue(
            f"column `{name}` of `table` must be at most {_LARGEST:g} in size, for its square to "
            f"have a number; got {values[large[0]]:g}"
        )
    return values


def flags(frame: pd.DataFrame, name: str) -> np.ndarray:
    """A column of yes and no as bool [rows], False where there is nothing."""
    import pandas as pd

    codes, values = pd.factorize(frame[name])
    means = []
    for value in values.tolist():
        word = str(value).strip().lower()
        if word not in _FLAGS:
            raise InvalidValue(
                f"column `{name}` of `table` must hold true, false, 1, 0 or nothing; got {value!r}"
            )
        means.append(_FLAGS[word])
    return np.array([*means, False])[codes]


def codes(frame: pd.DataFrame, name: str) -> tuple[np.ndarray, list[Hashable]]:
    """Number a column's different values in ascending order: int [rows], -1 for nothing."""
    import pandas as pd

    try:
        positions, values = pd.factorize(frame[name])
    except TypeError as error:
        raise InvalidValue(f"column `{name}` of `table` must hold hashable ids; {error}") from error
    known = values.tolist()
    try:
        order = sorted(range(len(known)), key=known.__getitem__)
    except TypeError:
        order = sorted(range(len(known)), key=lambda i: str(known[i]))
    rank = np.full(len(known) + 1, -1)
    rank[order] = np.arange(len(known))
    return rank[positions], [known[i] for i in order]


def log_density(frame: pd.DataFrame) -> np.ndarray:
    """Log of the density (2m + n) / n^2, the share of existing blocks, as far as it is known.

    From ``density``; else (k + 1) / n from n and k; else sparsity + 1 / n from sparsity, which
    is k / n, and n; else sparsity itself, which ranks wirings of one size alike.

    Returns:
        float64 [rows], NaN where unknown.
    """
    n, k, density, sparsity = (
        numbers(frame, name) if name else None
        for name in (
            _first(frame.columns, _SETTING["n"]),
            *(_first(frame.columns, (name,)) for name in ("k", "density", "sparsity")),
        )
    )
    one_over_n = None if n is None else np.divide(1, n, out=np.full(len(n), np.nan), where=n > 0)
    if density is None and one_over_n is not None and k is not None:
        density = (k + 1) * one_over_n
    if density is None and sparsity is not None:
        density = sparsity if one_over_n is None else sparsity + one_over_n
    if density is None:
        return np.full(len(frame), np.nan)
    positive = np.isfinite(density) & (density > 0)
    return np.log(density, out=np.full(len(density), np.nan), where=positive)


def has_settings(columns: Sequence[Hashable]) -> bool:
    """Whether there are columns that name WS-flex wirings: n (or nodes), k, p and graph_seed."""
    return all(_first(columns, names) for names in _SETTING.values())


@dataclass(frozen=True)
class Settings:
    """The WS-flex settings that the rows of a table name."""

    row: np.ndarray
    """Position of each row's setting, -1 where a number is missing: int [rows]."""
    distinct: list[tuple[int, float, float, int] | tuple[int]]
    """(n, k, p, graph_seed) in ascending order; (n,) for the complete graph, k = n - 1."""

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Settings:
        """Read the settings of a table that has all four columns."""
        import pandas as pd

        n_name = _first(frame.columns, _SETTING["n"])
        n, k, p = (numbers(frame, name) for name in (n_name, "k", "p"))
        numbers(frame, "graph_seed")
        seed, seeds = codes(
            frame.assign(graph_seed=pd.to_numeric(frame["graph_seed"])), "graph_seed"
        )
        complete = k == n - 1
        known = np.isfinite(n) & np.isfinite(k) & (complete | (np.isfinite(p) & (seed >= 0)))
        rows = np.stack([n, k, np.where(complete, 0, p), np.where(complete, -1, seed)], 1)
        distinct, position = np.unique(rows[known], axis=0, return_inverse=True)
        row = np.full(len(frame), -1)
        row[known] = position.reshape(-1)
        return cls(
            row,
            [
                (_whole(n_name, n),)
                if code < 0
                else (_whole(n_name, n), k, p, _whole("graph_seed", seeds[int(code)]))
                for n, k, p, code in distinct.tolist()
            ],
        )

    def ids(self) -> list[Hashable]:
        """A short name of each setting, such as ``n64 k9.5 p0.15 s3``.

        Of k and p four significant digits, or all where two settings would have one name.
        """
        short = [_name(setting, ".4g") for setting in self.distinct]
        count = Counter(short)
        return [
            name if count[name] == 1 else _name(setting, "")
            for name, setting in zip(short, self.distinct, strict=True)
        ]

    def measured(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw each setting's wiring and measure it.

        Returns:
            C, L and log density of each row, float64 [rows]; NaN where the setting is missing.

        Raises:
            InvalidValue: for a setting that no wiring has.

        Cost: about 20 microseconds a wiring of 64 nodes.
        """
        from wireloom.wiring import complete, measure, ws_flex

        wirings = []
        for name, setting in zip(self.ids(), self.distinct, strict=True):
            try:
                if len(setting) == 1:
                    wirings.append(complete(nodes=setting[0]))
                else:
                    n, k, p, seed = setting
                    wirings.append(ws_flex(nodes=n, degree=k, rewire=p, seed=seed))
            except InvalidValue as error:
                raise InvalidValue(
                    f"`table` names a wiring that cannot be, {name}: {error}"
                ) from error
        clustering, path_length = measure(wirings)
        density = np.log([w.density for w in wirings])
        missing = [np.nan]
        return (
            np.append(clustering, missing)[self.row],
            np.append(path_length, missing)[self.row],
            np.append(density, missing)[self.row],
        )


def _first(columns: Container[Any], names: Sequence[str]) -> str:
    return next((name for name in names if name in columns), "")


def _name(setting: tuple[int, float, float, int] | tuple[int], digits: str) -> str:
    if len(setting) == 1:
        return f"n{setting[0]} complete"
    n, k, p, seed = setting
    k, p = (format(v, digits).removesuffix(".0") for v in (k, p))
    return f"n{n} k{k} p{p} s{seed}"


def _whole(name: str, value: Any) -> int:
    if value != int(value):
        raise InvalidValue(f"column `{name}` of `table` must hold whole numbers; got {value!r}")
    return int(value)
