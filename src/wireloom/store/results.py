"""One row a finished run, by SQLAlchemy Core; SQLite by default, PostgreSQL by URL."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from wireloom.base import InvalidValue, WireloomError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, Table


@dataclass(frozen=True)
class Run:
    """One trained network.

    key: names what was run: digest of study settings, wiring, seed and numerics version.
    wiring: its id in the study.
    digest: of the wiring.
    seed: of the initial parameters; ``data_seed``: of order and augmentation.
    chunk: the population that it was trained in.
    error: top-1 test error after the last epoch, percent.
    loss: test cross-entropy, nats.
    curve: by name, values at the evaluated epochs.
    width: of its hidden layers; ``macs``, ``params``: its cost.
    seconds: its share of the time that its population took.
    machine: hardware and versions.
    """

    key: str
    wiring: int
    digest: str
    seed: int
    data_seed: int
    chunk: int
    error: float
    loss: float
    width: int
    macs: int
    params: int
    seconds: float
    curve: dict[str, list[float]] = field(default_factory=dict)
    machine: dict[str, str | int] = field(default_factory=dict)


class Results:
    """The runs of one study in a database.

    Rows are added whole, in one transaction; a key that is there already is left as it is.

    Args:
        url: "sqlite:///PATH" or "postgresql+psycopg://...".
        study: name of the study; several may share a database.

    Raises:
        InvalidValue: if the database cannot be opened.
    """

    def __init__(self, url: str, study: str) -> None:
        import sqlalchemy as sql
        from sqlalchemy.event import listen
        from sqlalchemy.exc import ArgumentError, SQLAlchemyError

        self.study, self._shown = study, without_password(url)
        try:
            parsed = sql.make_url(url)
        except (ArgumentError, ValueError):
            raise InvalidValue(
                f"the store '{self._shown}' cannot be opened: it is not a database URL, such as "
                "sqlite:///results.sqlite or postgresql+psycopg://user@host/name"
            ) from None
        try:
            self._engine: Engine = sql.create_engine(parsed)
            if self._engine.dialect.name == "sqlite":
                listen(self._engine, "connect", _prepare_sqlite)
            self._runs: Table = sql.Table(
                "wireloom_runs",
                sql.MetaData(),
                sql.Column("study", sql.String(64), primary_key=True),
                sql.Column("key", sql.String(64), primary_key=True),
                sql.Column("wiring", sql.BigInteger, nullable=False),
                sql.Column("digest", sql.String(32), nullable=False),
                sql.Column("seed", sql.BigInteger, nullable=False),
                sql.Column("data_seed", sql.BigInteger, nullable=False),
                sql.Column("chunk", sql.Integer, nullable=False),
                # A diverged network has no finite loss; its row is kept all the same.
                sql.Column("error", sql.Double),
                sql.Column("loss", sql.Double),
                sql.Column("width", sql.Integer, nullable=False),
                sql.Column("macs", sql.BigInteger, nullable=False),
                sql.Column("params", sql.BigInteger, nullable=False),
                sql.Column("seconds", sql.Double, nullable=False),
                sql.Column("curve", sql.LargeBinary, nullable=False),
                sql.Column("machine", sql.Text, nullable=False),
            )
            try:
                self._create()
            except SQLAlchemyError:  # PostgreSQL: another process made the table meanwhile
                self._create()
        except (SQLAlchemyError, ImportError, OSError) as error:
            raise InvalidValue(
                f"the store {self._shown} cannot be opened: {_reason(error)}"
            ) from None

    def _create(self) -> None:
        from sqlalchemy.schema import CreateTable

        with self._engine.begin() as connection:
            connection.execute(CreateTable(self._runs, if_not_exists=True))

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        from sqlalchemy.exc import SQLAlchemyError

        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise WireloomError(f"the store {self._shown} failed: {_reason(error)}") from None

    def add(self, runs: Iterable[Run]) -> None:
        """Add finished runs, all or none of them."""
        rows = []
        for run in runs:
            row = asdict(run) | {"study": self.study, "loss": _finite(run.loss)}
            row["error"] = _finite(run.error)
            row["curve"] = json.dumps(_plain(run.curve)).encode()
            row["machine"] = json.dumps(run.machine, sort_keys=True)
            rows.append(row)
        if not rows:
            return
        if self._engine.dialect.name == "postgresql":
            from sqlalchemy.dialects.postgresql import insert
        else:
            from sqlalchemy.dialects.sqlite import insert
        with self._begin() as connection:
            connection.execute(insert(self._runs).on_conflict_do_nothing(), rows)

    def keys(self) -> set[str]:
        """The keys of the finished runs."""
        import sqlalchemy as sql

        query = sql.select(self._runs.c.key).where(self._runs.c.study == self.study)
        with self._begin() as connection:
            return set(connection.execute(query).scalars())

    def runs(self) -> list[Run]:
        """All finished runs, by wiring and seed."""
        import sqlalchemy as sql

        columns = self._runs.c
        query = (
            sql.select(self._runs)
            .where(columns.study == self.study)
            .order_by(columns.wiring, columns.seed)
        )
        with self._begin() as connection:
            rows = connection.execute(query).mappings().all()
        return [_run(dict(row)) for row in rows]

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.execute("PRAGMA busy_timeout=30000")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


def without_password(url: str) -> str:
    """A database URL without its password, as files and messages may hold it."""
    head, at, tail = url.rpartition("@")
    if at:
        scheme, mark, user = head.partition("://") if "://" in head else ("", "", head)
        url = f"{scheme}{mark}{user.split(':')[0]}@{tail}"
    url = re.sub(r"(?<=[?&])password=[^&]*&?", "", url)
    return url.rstrip("?&")


def _reason(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0]


def _finite(value: float) -> float | None:
    return value if value - value == 0 else None


def _plain(curve: dict[str, list[float]]) -> dict[str, list[float | None]]:
    return {name: [_finite(v) for v in values] for name, values in curve.items()}


def _run(row: dict[str, Any]) -> Run:
    nan = float("nan")
    row.pop("study")
    for name in ("error", "loss"):
        row[name] = nan if row[name] is None else row[name]
    curve = json.loads(row["curve"])
    row["curve"] = {n: [nan if v is None else v for v in values] for n, values in curve.items()}
    row["machine"] = json.loads(row["machine"])
    return Run(**row)
