"""`Plan`: everything that decides a study's numbers, as a value that is stored with it."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from wireloom.base import InvalidValue, nearest
from wireloom.data import Dataset
from wireloom.models import Build, Member
from wireloom.training import NUMERICS, Recipe
from wireloom.training.loop import member_bytes
from wireloom.wiring import (
    FlexOrigin,
    Wiring,
    biological_wirings,
    complete,
    published_sample,
    sample_plane,
    ws_flex,
)

BASELINE = -1  # id of the complete graph
ORDERS = ("shared", "per_seed")
MOST_MEMBERS = 56  # of a chunk: beyond it activations leave the caches and nothing is gained
CHUNK_BYTES = 2 << 30


@dataclass(frozen=True)
class Run:
    """One network to train: a wiring by its id, the seeds of its parameters and of its data."""

    wiring: int
    seed: int
    data_seed: int


@dataclass(frozen=True)
class Plan:
    """What a study trains.

    data: data set, as `wireloom.data.load` takes it.
    wirings: by id, or a sequence, numbered from 0; the id -1 is the dense baseline, the complete
        graph. Node counts may differ, and wirings may be directed.
    seeds: of each wiring's initial parameters.
    model, budget, width, stem, hidden, match: how networks are made, as in `wireloom.build`.
    recipe: how they are trained.
    order: "shared": every run sees the samples in one order, that of the recipe's ``data_seed``;
        the spread between seeds then leaves out the order's share. "per_seed": in an order of its
        seed's own.
    limit, test_limit: most training and test samples, or None for all.
    chunk: most members trained as one population, or 0 to choose by memory.
    """

    data: str
    wirings: Mapping[int, Wiring]
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    model: str = "mlp"
    budget: str | int = "macs"
    width: int | None = None
    stem: int | None = None
    hidden: int | None = None
    match: str = "published"
    recipe: Recipe = field(default_factory=Recipe)
    order: str = "shared"
    limit: int | None = None
    test_limit: int | None = None
    chunk: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.wirings, Mapping):
            numbered = dict(enumerate(self.wirings))
            object.__setattr__(self, "wirings", numbered)
        if isinstance(self.seeds, int):
            raise InvalidValue(f"`seeds` of a study must be several numbers; got {self.seeds}")
        object.__setattr__(self, "seeds", tuple(map(int, self.seeds)))
        if not self.wirings:
            raise InvalidValue("`wirings` of a study must be at least one; got none")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise InvalidValue(f"`seeds` of a study must be different numbers; got {self.seeds}")
        if self.order not in ORDERS:
            raise InvalidValue(
                f"`order` of a study must be {' or '.join(ORDERS)}; got '{self.order}'"
            )
        if self.budget == "latency":
            raise InvalidValue(
                "`budget` of a study must not be latency, which differs from one measurement to "
                "the next; build networks with it and give a study their width"
            )
        if self.chunk < 0:
            raise InvalidValue(f"`chunk` of a study must be at least 0; got {self.chunk}")

    def build(self, data: Dataset) -> Build:
        """How this study's networks are made on its data."""
        return Build(
            model=self.model,
            image=data.image,
            classes=data.classes,
            budget=self.budget,
            width=self.width,
            stem=self.stem,
            hidden=self.hidden,
            match=self.match,
        )

    def runs(self) -> list[Run]:
        """All runs, seeds outermost, so that an unfinished study has seen every wiring."""
        return [
            Run(wiring, seed, seed if self.order == "per_seed" else self.recipe.data_seed)
            for seed in self.seeds
            for wiring in self.wirings
        ]

    def chunks(self, data: Dataset) -> list[list[Run]]:
        """Which runs are trained as one population: nearly equal parts of one data order.

        Networks that differ in more than widths are apart.
        """
        members = self.members(data, {run.wiring for run in self.runs()})
        largest = max(member_bytes(m, self.recipe.batch) for m in members.values())
        most = self.chunk or max(1, min(MOST_MEMBERS, CHUNK_BYTES // largest))
        alike: dict[Any, list[Run]] = {}
        for run in self.runs():
            alike.setdefault((run.data_seed, members[run.wiring].shape.form), []).append(run)
        found = []
        for runs in alike.values():
            count = -(-len(runs) // most)
            ends = [round(len(runs) * i / count) for i in range(count + 1)]
            found += [runs[a:b] for a, b in itertools.pairwise(ends)]
        return found

    def members(self, data: Dataset, wirings: Iterable[int]) -> dict[int, Member]:
        """The network on each of the given wirings, with seed 0."""
        build = self.build(data)
        return {i: build.member(self.wirings[i], 0) for i in sorted(wirings)}

    def key(self, run: Run, data_digest: str) -> str:
        """Names a run: equal keys, equal numbers."""
        settings = self.settings()
        for name in ("wirings", "seeds", "chunk"):
            settings.pop(name)
        content = [settings, data_digest, self.wirings[run.wiring].digest, asdict(run), NUMERICS]
        return hashlib.blake2b(json.dumps(content).encode(), digest_size=16).hexdigest()

    # ---- as JSON -----------------------------------------------------------------------------

    def settings(self) -> dict[str, Any]:
        """The plan as plain values."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        plain["seeds"] = list(self.seeds)
        plain["recipe"] = {
            k: list(v) if isinstance(v, tuple) else v for k, v in self.recipe.settings().items()
        }
        plain["wirings"] = [_stored(i, w) for i, w in self.wirings.items()]
        return plain

    @classmethod
    def from_settings(cls, plain: Mapping[str, Any]) -> Plan:
        """The plan that `settings` described."""
        known = dict(plain)
        known["seeds"] = tuple(known["seeds"])
        recipe = dict(known["recipe"])
        if recipe["augment"] is not None:
            recipe["augment"] = tuple(recipe["augment"])
        known["recipe"] = Recipe(**recipe)
        known["wirings"] = dict(_restored(entry) for entry in known["wirings"])
        return cls(**known)


def _stored(number: int, wiring: Wiring) -> dict[str, Any]:
    entry: dict[str, Any] = {"id": number, "nodes": wiring.nodes, "digest": wiring.digest}
    if wiring.origin:
        return entry | {"ws_flex": asdict(wiring.origin)}
    if wiring.is_complete and not wiring.directed:
        return entry | {"complete": True}
    return entry | {"directed": wiring.directed, "edges": wiring.edges.tolist()}


def _restored(entry: Mapping[str, Any]) -> tuple[int, Wiring]:
    nodes = entry["nodes"]
    if "ws_flex" in entry:
        origin = FlexOrigin(**entry["ws_flex"])
        wiring = ws_flex(nodes=nodes, **asdict(origin))
        if wiring.digest != entry["digest"]:
            raise InvalidValue(
                f"wiring {entry['id']} of the study cannot be drawn again: {wiring!r} has changed"
            )
    elif entry.get("complete"):
        wiring = complete(nodes=nodes)
    else:
        wiring = Wiring.from_edges(nodes, entry["edges"], directed=entry["directed"])
    return entry["id"], wiring


def plan_wirings(
    count: int | str, *, nodes: int = 64, sample: str = "published", baseline: bool = True
) -> dict[int, Wiring]:
    """Wirings for a study, by id, with the complete graph as -1.

    Args:
        count: how many, without the baseline; or "connectomes", the wirings of brains with those
            to compare them with (see `biological_wirings`), whose nodes and sample are their own.
        nodes: of each.
        sample: "published" (the paper's own sets: 52, 449 or 3942 of 64 nodes; 48, 326 or 2698
            of 16) or "plane" (any number, drawn to cover the (C, L) plane).
        baseline: whether to add the complete graph.
    """
    if isinstance(count, str):
        if count != "connectomes":
            raise InvalidValue(
                f"`wirings` of a study must be a number or connectomes; got '{count}'"
                f"{nearest(count, ('connectomes',))}"
            )
        return {i: w for i, w in biological_wirings().items() if baseline or i >= 0}
    if count < 1:
        raise InvalidValue(f"`wirings` of a study must be at least 1; got {count}")
    if sample == "published":
        chosen = published_sample(nodes, count)
    elif sample == "plane":
        chosen = dict(enumerate(sample_plane(nodes=nodes, count=count)))
    else:
        raise InvalidValue(f"`sample` must be published or plane; got '{sample}'")
    return ({BASELINE: complete(nodes=nodes)} if baseline else {}) | chosen


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> Sequence[str]:
    """What differs between two plans' settings, one phrase each."""
    found = []
    for name in first:
        a, b = first[name], second[name]
        if a == b:
            continue
        if name == "wirings":
            found.append(f"wirings: {len(a)} there, {len(b)} asked for, not the same ones")
        elif name == "recipe":
            usual = vars(Recipe())
            there, asked = ({k: each.get(k, usual[k]) for k in usual} for each in (a, b))
            found += [
                f"{k}: {there[k]} there, {asked[k]} asked for"
                for k in usual
                if there[k] != asked[k]
            ]
        else:
            found.append(f"{name}: {a} there, {b} asked for")
    return found
