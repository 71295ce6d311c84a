"""Wirings of brains: random ones of the same degrees, their comparison, and a study of them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from wireloom.analysis import compare_connectomes
from wireloom.base import InvalidValue
from wireloom.cli import main
from wireloom.page import render
from wireloom.study import Local, Plan, Study, plan_wirings
from wireloom.training import Recipe
from wireloom.wiring import (
    AREAS,
    Wiring,
    biological_wirings,
    complete,
    connectome,
    degree_matched,
    kin,
    ring,
    ws_flex,
)

VISUAL = biological_wirings(["macaque-visual"], draws=2, sweet=1)
PLAN = Plan(
    data="digits",
    wirings=VISUAL,
    seeds=(1, 2, 3),
    width=32,
    stem=32,
    hidden=2,
    recipe=Recipe(epochs=2, batch=50),
    limit=200,
    test_limit=100,
    chunk=4,
)
HERE = Local(workers=1, threads=1)


# Random wirings of the same degrees


def degrees(wiring: Wiring) -> tuple[list[int], list[int]]:
    """Arrows in and out of every node, by networkx."""
    graph = wiring.to_networkx()
    if isinstance(graph, nx.DiGraph):
        return [d for _, d in graph.in_degree()], [d for _, d in graph.out_degree()]
    both = [d for _, d in graph.degree()]
    return both, both


@st.composite
def connected(draw: st.DrawFn) -> Wiring:
    nodes = draw(st.integers(3, 9))
    directed = draw(st.booleans())
    pair = st.tuples(st.integers(0, nodes - 1), st.integers(0, nodes - 1))
    edges = draw(st.lists(pair.filter(lambda e: e[0] != e[1]), min_size=nodes - 1, max_size=40))
    wiring = Wiring.from_edges(nodes, edges, directed=directed)
    assume(nx.is_connected(wiring.undirected().to_networkx()))
    return wiring


@settings(max_examples=150, deadline=None)
@given(connected(), st.integers(0, 2**32))
def test_degrees_are_kept_without_loops_or_doubles(wiring: Wiring, seed: int) -> None:
    found = degree_matched(wiring, seed=seed)
    assert degrees(found) == degrees(wiring)
    assert (found.nodes, found.directed) == (wiring.nodes, wiring.directed)
    assert len(found.edges) == len(wiring.edges)  # doubles would have been merged
    assert (found.edges[:, 0] != found.edges[:, 1]).all()
    assert nx.is_connected(found.undirected().to_networkx())
    assert degree_matched(wiring, seed=seed) == found


@pytest.mark.parametrize("name", AREAS)
def test_a_connectome_keeps_its_degrees_and_loses_the_rest(name: str) -> None:
    brain = connectome(name)
    one, other = degree_matched(brain, seed=0), degree_matched(brain, seed=1)
    assert degrees(one) == degrees(other) == degrees(brain)
    assert one != other
    assert one.density == brain.density
    joined, redrawn = brain.adjacency(), one.adjacency()
    # A random wiring shares about as many arrows as the density says, well below nine in ten.
    assert (joined & redrawn).sum() < 0.9 * joined.sum()
    assert one.path_length < brain.path_length


def test_every_small_directed_wiring_of_the_same_degrees_is_drawn_alike() -> None:
    start = Wiring.from_edges(4, [(0, 1), (1, 2), (2, 3), (3, 0)], directed=True)
    cycles = {degree_matched(start, seed=seed).digest for seed in range(60)}
    # One arrow in and out of four nodes, in one piece: the 3! = 6 ways to go round.
    assert len(cycles) == 6


@pytest.mark.parametrize("fixed", [complete(nodes=5), complete(nodes=4, directed=True)])
def test_a_wiring_without_another_of_its_degrees_comes_back(fixed: Wiring) -> None:
    assert degree_matched(fixed) == fixed


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: degree_matched("cat"), "`wiring` of degree_matched must be a Wiring; got str"),  # pyright: ignore[reportArgumentType]
        (lambda: degree_matched(ring(nodes=5), swaps=0), "`swaps` of .* from 1; got 0"),
        (lambda: degree_matched(ring(nodes=5), seed=-1), "`seed` of degree_matched .*; got -1"),
        (
            lambda: degree_matched(Wiring.from_edges(5, [(0, 1), (2, 3)])),
            "`wiring` of degree_matched must have degrees that keep it connected",
        ),
        (lambda: biological_wirings(["dog"]), "`name` of a connectome must be .*; got 'dog'"),
        (lambda: biological_wirings(draws=0), "`draws` of biological_wirings .* from 1; got 0"),
        (lambda: biological_wirings([]), "`names` of biological_wirings .*; got none"),
        (
            lambda: biological_wirings(["cat"], sweet=300),
            r"`sweet` of biological_wirings must be at most \d+ for 52 nodes; got 300",
        ),
        (lambda: plan_wirings("connectoms"), "must be a number or connectomes; got 'connectoms'"),
    ],
)
def test_what_cannot_be_is_named(call, message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        call()


# Which wirings go together


@pytest.fixture(scope="module")
def all_three() -> dict[int, Wiring]:
    return plan_wirings("connectomes")


def test_a_plan_of_connectomes_holds_each_beside_its_kin(all_three: dict[int, Wiring]) -> None:
    wirings = all_three
    families = kin(wirings)
    assert [family.name for family in families] == list(AREAS)
    assert len(wirings) == 1 + 3 * (1 + 5 + 3) == len({w.digest for w in wirings.values()})
    for family in families:
        brain = wirings[family.connectome]
        assert brain == connectome(family.name)
        (dense,) = family.dense
        assert (dense, wirings[dense]) == (-1, complete(nodes=71))
        assert (len(family.matched), len(family.sweet)) == (5, 3)
        for i in family.matched:
            assert degrees(wirings[i]) == degrees(brain)
        for i in family.sweet:
            graph = wirings[i].to_networkx()
            assert len(graph) == brain.nodes
            assert 0.43 <= nx.average_clustering(graph) <= 0.5
            assert 1.8 <= nx.average_shortest_path_length(graph) <= 2.3


def test_a_study_without_a_connectome_has_nothing_to_compare() -> None:
    wirings = {0: ws_flex(nodes=30, degree=8, rewire=0.2), 1: degree_matched(connectome("cat"))}
    frame = pd.DataFrame({"wiring": [0, 1], "seed": [1, 1], "error": [1.0, 2.0]})
    assert kin(wirings) == []
    assert compare_connectomes(frame, wirings) is None


# The comparison


def made_up(gap: float = 2.0, seeds: int = 6) -> pd.DataFrame:
    """Errors in which the connectome is ``gap`` below the dense network, and noise by seed."""
    draw = np.random.default_rng(5)
    shared = draw.normal(0, 3, seeds)
    level = {-1: 30.0, 0: 30.0 - gap, 1: 29.0, 2: 31.0, 3: 28.5}
    return pd.DataFrame(
        [
            {"wiring": i, "seed": s, "error": mean + shared[s] + draw.normal(0, 0.1)}
            for i, mean in level.items()
            for s in range(seeds)
        ]
    )


def test_comparison_agrees_with_scipy_seed_by_seed() -> None:
    frame = made_up()
    found = compare_connectomes(frame, VISUAL)
    assert found is not None
    table = frame.pivot_table(index="seed", columns="wiring", values="error")
    matched = table[[1, 2]].mean(axis=1)
    expected = {
        ("connectome", "dense"): (table[0], table[-1]),
        ("connectome", "matched"): (table[0], matched),
        ("same degrees", "dense"): (matched, table[-1]),
        ("sweet spot", "dense"): (table[3], table[-1]),
        ("sweet spot", "matched"): (table[3], matched),
    }
    ps = []
    for (kind, side), (own, other) in expected.items():
        row = found.of("macaque-visual", kind)
        assert row is not None
        pair = getattr(row, side)
        assert row.error == pytest.approx(own.mean())
        assert row.spread == pytest.approx(own.std())
        assert pair.gain == pytest.approx((other - own).mean())
        assert pair.deviation == pytest.approx((other - own).sem())
        assert pair.p == pytest.approx(stats.ttest_rel(own, other).pvalue)
        ps.append((pair.p, pair.p_holm))
    assert found.tests == len(ps) == 5
    for rank, (p, holm) in enumerate(sorted(ps)):
        below = max((5 - k) * q for k, (q, _) in enumerate(sorted(ps)[: rank + 1]))
        assert holm == pytest.approx(min(1.0, below))
        assert holm >= p
    assert found.beaten == {"macaque-visual": (2, 2)}
    assert "1 of 1 connectomes have a lower error than the dense network" in found.verdict()[0]
    assert "2.00" not in found.verdict()[0]


def test_a_worse_connectome_is_called_worse() -> None:
    found = compare_connectomes(made_up(-4.0), VISUAL)
    assert found is not None
    said = " ".join(found.verdict())
    assert (
        "0 of 1 connectomes have a lower error than the dense network, and 1 a higher one" in said
    )
    assert "more than the dense network" in said
    assert "better than 0 of the 2 draws" in said


def test_only_seeds_that_all_have_are_compared() -> None:
    frame = made_up()
    short = frame[~((frame.wiring == 2) & (frame.seed == 4))]
    found = compare_connectomes(short, VISUAL)
    assert found is not None
    assert found.seeds == 5
    again = compare_connectomes(frame[frame.seed != 4], VISUAL)
    assert again == found
    assert compare_connectomes(frame[frame.wiring != 2], VISUAL) is None


def test_one_seed_gives_differences_without_a_test() -> None:
    found = compare_connectomes(made_up(seeds=1), VISUAL)
    assert found is not None
    row = found.of("macaque-visual", "connectome")
    assert row is not None
    assert row.dense is not None
    assert (row.dense.p, row.dense.p_holm, row.dense.deviation, row.spread) == (None,) * 4
    assert found.tests == 0


# A study of several node counts, directed wirings among them


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A finished study whose wirings have 30 and 8 nodes; not to be changed."""
    small = {-2: complete(nodes=8), 9: ws_flex(nodes=8, degree=4, rewire=0.3)}
    study = Study.create(
        tmp_path_factory.mktemp("mixed") / "s", replace(PLAN, wirings=VISUAL | small)
    )
    assert study.run(HERE).left == ()
    return study


def test_plan_of_connectomes_comes_back_from_json(all_three: dict[int, Wiring]) -> None:
    plan = replace(PLAN, wirings=all_three, width=128, stem=128)
    assert Plan.from_settings(json.loads(json.dumps(plan.settings()))) == plan


def test_frame_of_mixed_wirings_survives_parquet_and_csv(mixed: Study, tmp_path: Path) -> None:
    frame = mixed.frame()
    assert len(frame) == 7 * 3
    frame.to_parquet(tmp_path / "runs.parquet")
    frame.to_csv(tmp_path / "runs.csv", index=False)
    for back in (pd.read_parquet(tmp_path / "runs.parquet"), pd.read_csv(tmp_path / "runs.csv")):
        assert list(back["nodes"]) == list(frame["nodes"])
        assert list(back["directed"]) == list(frame["directed"])
        np.testing.assert_allclose(back["C"], frame["C"], rtol=1e-12)
    brain = frame[frame.wiring == 0]
    plain = connectome("macaque-visual").undirected().to_networkx()
    assert set(brain.directed) == {True}
    np.testing.assert_allclose(brain.C, nx.average_clustering(plain))
    np.testing.assert_allclose(brain.L, nx.average_shortest_path_length(plain))
    assert set(frame[frame.is_complete_graph_baseline].wiring) == {-1}
    deviation = frame.macs / frame[frame.wiring == -1].macs.iloc[0]
    assert deviation.between(0.97, 1.06).all()  # a node count may leave coarse steps of width


def test_complete_graphs_of_all_node_counts_are_one_network(mixed: Study) -> None:
    frame = mixed.frame()
    one, other = (frame[frame.wiring == i].sort_values("seed") for i in (-1, -2))
    assert list(one.nodes) != list(other.nodes)
    assert list(one.loss) == list(other.loss)


def test_page_of_a_connectome_leads_with_its_comparison(mixed: Study) -> None:
    page = Path(mixed.report()).read_text()
    assert "connectomes have a lower error than the dense network" in page
    assert "macaque-visual: same degrees (2)" in page
    pictures = page.split('id="gallery-title"')[1].split("</section>")[0]
    assert pictures.count("<svg") == 2
    # The connectome's 308 arrows, then those of the best artificial wiring.
    counts = [picture.count("<line") for picture in pictures.split("<svg")[1:]]
    assert counts[0] == 308
    assert "best artificial, error" in pictures
    edges = {len(w.edges) for i, w in VISUAL.items() if i > 0}
    assert counts[1] in edges


def test_stopped_study_of_connectomes_goes_on_to_the_same_numbers(tmp_path: Path) -> None:
    def outcome(study: Study) -> dict[tuple[int, int], tuple[float, float]]:
        return {(r.wiring, r.seed): (r.error, r.loss) for r in study.results.runs()}

    whole, parts = (Study.create(tmp_path / name, PLAN) for name in ("whole", "parts"))
    assert whole.run(HERE).left == ()
    parts.finish(1, parts.train_chunk(1))
    parts.close()
    again = Study.open(tmp_path / "parts")
    assert again.status().done == len(again.chunks[1])
    assert again.run(HERE).left == ()
    assert outcome(again) == outcome(whole)
    for study in (whole, again):
        study.close()


def test_gallery_with_a_stray_edge_is_refused() -> None:
    bad = {"label": "x", "nodes": 2, "edges": [(0, 5)]}
    with pytest.raises(InvalidValue, match=r"an edge must join nodes in \[0, 1\]"):
        render({"title": "t", "error_name": "e", "points": [], "gallery": [bad]})


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("--wirings conectomes", "must be a number or connectomes; got 'conectomes'"),
        ("--wirings connectomes --nodes 64", "`--nodes` and `--sample` do not go with connectomes"),
        ("--wirings connectomes --sample plane", "do not go with connectomes"),
        ("--wirings connectomes --width 64", "`width` = 64"),
    ],
)
def test_bad_call_for_connectomes_is_one_line(
    words: str, part: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(["explore", "--out", str(tmp_path / "s"), *words.split()])
    except SystemExit as stop:
        code = stop.code
    printed = capsys.readouterr()
    assert (code, printed.out) == (2, "")
    assert printed.err.count("\n") == 1
    assert part in re.sub(r"\s+", " ", printed.err)
    assert not (tmp_path / "s").exists()
