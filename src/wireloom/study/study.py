"""`Study`: a folder with a plan, a table of results, and what is needed to go on after a stop."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from wireloom.base import InvalidValue, write_whole
from wireloom.data import Dataset, load
from wireloom.models import Population
from wireloom.store import Results, without_password
from wireloom.store import Run as Row
from wireloom.study.engine import STORE, Engine, Event, Local
from wireloom.study.plan import BASELINE, Plan, Run, differences
from wireloom.training import Result, fit
from wireloom.wiring import measure

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from wireloom.analysis.spot import SweetSpot

FORMAT = "wireloom.study"
VERSION = 1
CHECKPOINT_SECONDS = 20.0


@dataclass(frozen=True)
class Status:
    """How far a study is.

    runs: networks planned; ``done``: trained and stored.
    chunks: populations planned; ``left``: indices of those that are not finished.
    """

    runs: int
    done: int
    chunks: int
    left: tuple[int, ...]


class Study:
    """Networks on many wirings, trained in populations, one row of results each.

    Make one by `Study.create`, open one by `Study.open`. `run` trains what is not done yet: a study
    killed at any moment keeps its finished runs, and goes on from its last checkpoints.

    Example:
        >>> plan = Plan(data="digits", wirings=plan_wirings(52), width=64, stem=64)
        >>> study = Study.create("runs/first", plan)
        >>> study.run()
        >>> study.report()
    """

    def __init__(
        self, folder: Path, plan: Plan, store: str, data_digest: str, dataset: Dataset | None
    ) -> None:
        self.folder, self.plan, self.store, self.data_digest = folder, plan, store, data_digest
        self._dataset = dataset
        self.own_data = dataset is not None
        url = store or f"sqlite:///{folder / 'results.sqlite'}"
        self.results = Results(url, self.name)

    # ---- making and opening ------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        folder: str | os.PathLike[str],
        plan: Plan,
        *,
        dataset: Dataset | None = None,
        store: str = "",
    ) -> Study:
        """A study in ``folder``; if there is one already with the same settings, that one.

        Args:
            folder: made if absent.
            plan: what to train.
            dataset: data of your own instead of ``plan.data``, which then only names it.
            store: database URL; by default SQLite inside the folder. Its password is not written to
                the folder: later it must stand in the environment variable WIRELOOM_STORE, as the
                whole URL, or where PostgreSQL itself looks for it (PGPASSWORD, ~/.pgpass).

        Raises:
            InvalidValue: if the folder holds a study with other settings or data, or other files.
        """
        path = Path(folder)
        data = dataset or load(plan.data, limit=plan.limit, test_limit=plan.test_limit)
        found = data.digest()
        plan.chunks(data)  # every check of shapes and budgets, before anything is written
        if (path / "study.json").exists():
            there = cls.open(path, dataset=dataset)
            different = list(differences(there.plan.settings(), plan.settings()))
            if there.data_digest != found:
                different.append(f"contents of data '{plan.data}'")
            if without_password(there.store) != without_password(store):
                different.append("store")
            if different:
                raise InvalidValue(
                    f"{path} holds a study made with other settings ({'; '.join(different)}); "
                    "name another folder, or repeat the settings to go on with it"
                )
            if store and there.store != store:  # this one has the password
                there.close()
                there = cls(path, there.plan, store, found, dataset)
            there._dataset = data
            return there
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise InvalidValue(f"{path} must be a new or empty folder, or a study; got other files")
        if store:
            Results(store, "").close()  # before anything is written
        try:
            path.mkdir(parents=True, exist_ok=True)
            content = {
                "format": FORMAT,
                "version": VERSION,
                "plan": plan.settings(),
                "store": without_password(store),
                "data_digest": found,
                "own_data": dataset is not None,
            }
            write_whole(path / "study.json", json.dumps(content, indent=1) + "\n")
        except OSError as error:
            raise InvalidValue(f"{path} cannot be written: {error.strerror}") from None
        study = cls(path, plan, store, found, dataset)
        study._dataset = data
        return study

    @classmethod
    def open(cls, folder: str | os.PathLike[str], *, dataset: Dataset | None = None) -> Study:
        """The study in ``folder``.

        Raises:
            InvalidValue: if there is none, or it is damaged or of another version.
        """
        path = Path(folder)
        file = path / "study.json"
        try:
            content = json.loads(file.read_text())
        except OSError:
            raise InvalidValue(f"{path} is not a study: it has no readable study.json") from None
        except ValueError as error:
            raise InvalidValue(f"{file} is damaged: {error}") from None
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise InvalidValue(f"{file} is not a study's")
        if content.get("version") != VERSION:
            raise InvalidValue(
                f"{file} has version {content.get('version')}; this Wireloom reads {VERSION}"
            )
        try:
            plan = Plan.from_settings(content["plan"])
            store = content["store"]
            told = os.environ.get(STORE, "")
            if store and without_password(told) == store:
                store = told
            study = cls(path, plan, store, content["data_digest"], dataset)
            study.own_data = content["own_data"]
        except (KeyError, TypeError, AttributeError) as error:
            raise InvalidValue(f"{file} is damaged: {error!r}") from None
        return study

    # ---- what it is --------------------------------------------------------------------------

    @cached_property
    def name(self) -> str:
        """Names the study in its database: a digest of all that decides its numbers."""
        content = json.dumps([self.plan.settings(), self.data_digest])
        return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()

    @cached_property
    def data(self) -> Dataset:
        """The study's data set, loaded when first asked for."""
        data = self._dataset
        if data is None:
            if self.own_data:
                raise InvalidValue(
                    f"{self.folder} was made with data of your own; give it again as `dataset`"
                )
            data = load(self.plan.data, limit=self.plan.limit, test_limit=self.plan.test_limit)
        if data.digest() != self.data_digest:
            raise InvalidValue(f"data '{self.plan.data}' has changed since the study was made")
        return data

    @cached_property
    def chunks(self) -> list[list[Run]]:
        """The populations, in the order in which they are trained."""
        return self.plan.chunks(self.data)

    def key(self, run: Run) -> str:
        """The key of a run in the results."""
        return self.plan.key(run, self.data_digest)

    def status(self) -> Status:
        """How far the study is."""
        done = self.results.keys()
        left = [
            i for i, runs in enumerate(self.chunks) if any(self.key(r) not in done for r in runs)
        ]
        return Status(
            runs=sum(map(len, self.chunks)),
            done=len(done),
            chunks=len(self.chunks),
            left=tuple(left),
        )

    # ---- running -----------------------------------------------------------------------------

    def train_chunk(
        self,
        index: int,
        progress: Callable[[int], None] | None = None,
        *,
        device: torch.device | str = "cpu",
    ) -> list[Row]:
        """Train one population and give its rows; ``progress`` gets member-epochs as they pass."""
        data = self.data.to(device)
        runs = self.chunks[index]
        build = self.plan.build(self.data)
        members = [build.member(self.plan.wirings[r.wiring], r.seed) for r in runs]
        recipe = replace(self.plan.recipe, data_seed=runs[0].data_seed)
        checkpoint = self._checkpoint(index)
        checkpoint.parent.mkdir(exist_ok=True)

        def train() -> Result:
            return fit(
                Population(members, device=device),
                data,
                recipe,
                checkpoint=checkpoint,
                every=CHECKPOINT_SECONDS,
                progress=progress,
            )

        try:
            result = train()
        except InvalidValue:
            if not checkpoint.exists():
                raise
            checkpoint.unlink()  # damaged, or of other code: the chunk starts again
            result = train()
        curves = {
            name: getattr(result, name).T.tolist()
            for name in ("train_loss", "test_loss", "test_error")
        }
        rows = []
        for i, (run, member) in enumerate(zip(runs, members, strict=True)):
            cost = member.cost()
            curve: dict[str, list[float]] = {name: rows_[i] for name, rows_ in curves.items()}
            rows.append(
                Row(
                    key=self.key(run),
                    wiring=run.wiring,
                    digest=self.plan.wirings[run.wiring].digest,
                    seed=run.seed,
                    data_seed=run.data_seed,
                    chunk=index,
                    error=float(result.error[i]),
                    loss=float(result.loss[i]),
                    width=member.shape.width,
                    macs=cost.macs,
                    params=cost.params,
                    seconds=result.seconds / len(runs),
                    curve=curve | {"epoch": result.epochs.tolist()},
                    machine=result.machine,
                )
            )
        return rows

    def _checkpoint(self, index: int) -> Path:
        return self.folder / "checkpoints" / f"{index:05d}.safetensors"

    def finish(self, index: int, rows: list[Row]) -> None:
        """Store a chunk's rows, then drop its checkpoint."""
        self.results.add(rows)
        self._checkpoint(index).unlink(missing_ok=True)

    def run(
        self, engine: Engine | None = None, on_event: Callable[[Event], None] | None = None
    ) -> Status:
        """Train what is not done yet.

        Args:
            engine: where; `Local()` uses this machine's cores.
            on_event: called as member-epochs pass, chunks finish or fail; without it, a failure
                is a warning.

        Returns:
            The status at the end; ``left`` names the chunks that failed.
        """
        left = self.status().left
        if left:
            (engine or Local()).run(self, left, on_event or _warn)
        return self.status()

    # ---- reading -----------------------------------------------------------------------------

    def frame(self) -> pd.DataFrame:
        """Finished runs as a table, a row each, with their wirings' measures."""
        import pandas as pd

        wirings = self.plan.wirings
        clustering, path_length = measure(list(wirings.values()))
        places = dict(zip(wirings, zip(clustering, path_length, strict=True), strict=True))
        rows = []
        for run in self.results.runs():
            wiring = wirings[run.wiring]
            origin = wiring.origin
            rows.append(
                {
                    "wiring": run.wiring,
                    "is_complete_graph_baseline": run.wiring == BASELINE,
                    "nodes": wiring.nodes,
                    "directed": wiring.directed,
                    "k": origin.degree
                    if origin
                    else len(wiring.edges) * (1 if wiring.directed else 2) / wiring.nodes,
                    "p": origin.rewire if origin else float("nan"),
                    "graph_seed": origin.seed if origin else -1,
                    "C": float(places[run.wiring][0]),
                    "L": float(places[run.wiring][1]),
                    "density": wiring.density,
                    "seed": run.seed,
                    "data_seed": run.data_seed,
                    "error": run.error,
                    "loss": run.loss,
                    "width": run.width,
                    "macs": run.macs,
                    "params": run.params,
                    "seconds": run.seconds,
                    "chunk": run.chunk,
                    "digest": run.digest,
                    **{name: run.machine[name] for name in sorted(run.machine)},
                }
            )
        if not rows:
            raise InvalidValue(f"{self.folder} has no finished runs yet; run it first")
        return pd.DataFrame(rows)

    def curves(self) -> pd.DataFrame:
        """Learning curves: a row for each run and evaluated epoch."""
        import pandas as pd

        rows = [
            {"wiring": run.wiring, "seed": run.seed, **dict(zip(run.curve, values, strict=True))}
            for run in self.results.runs()
            for values in zip(*run.curve.values(), strict=True)
        ]
        return pd.DataFrame(rows)

    def sweet_spot(
        self, *, by: Literal["bin", "wiring"] = "bin", resamples: int = 200
    ) -> SweetSpot:
        """Where on the plane the study's networks do best."""
        from wireloom.analysis.spot import sweet_spot

        return sweet_spot(self.frame(), by=by, resamples=resamples)

    def report(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Write the page, by default report.html in the folder, and give its path."""
        from wireloom.page import render
        from wireloom.study.report import document

        target = Path(path) if path is not None else self.folder / "report.html"
        try:
            write_whole(target, render(document(self)))
        except OSError as error:
            raise InvalidValue(f"{target} cannot be written: {error.strerror}") from None
        return target

    def close(self) -> None:
        """Give back the database connections."""
        self.results.close()


def _warn(event: Event) -> None:
    if event.failure:
        warnings.warn(f"population {event.chunk} failed: {event.failure}", stacklevel=2)
