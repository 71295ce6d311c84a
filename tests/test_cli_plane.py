"""`wireloom graph sample|span|steer` and the families of the command line."""

from __future__ import annotations

import csv
import xml.etree.ElementTree as ET

import pytest

from wireloom.cli import main
from wireloom.cli.wirings import FAMILIES
from wireloom.wiring import AREAS, Wiring, connectome, expander, measure, published_sample, ws_flex


@pytest.fixture
def call(capsys):
    def run(*words):
        try:
            code = main([str(word) for word in words])
        except SystemExit as stop:
            code = stop.code
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_measured(call, family):
    code, out, _ = call("graph", "measure", "--family", family, "--nodes", 20, "--degree", 6)
    assert code == 0
    assert f"{AREAS.get(family, 20)} nodes" in out


@pytest.mark.parametrize(
    ("words", "wiring"),
    [
        (("--family", "expander", "--degree", "5"), expander(nodes=64, degree=5)),
        (("--family", "macaque-visual"), connectome("macaque-visual")),
        (("--family", "erdos-renyi", "--degree", "9", "--directed"), None),
    ],
)  # fmt: skip
def test_draw_writes_the_familys_wiring(call, tmp_path, words, wiring):
    target = tmp_path / "w.json"
    code, out, _ = call("graph", "draw", *words, "--out", target)
    assert code == 0
    assert f"written: {target}" in out
    drawn = Wiring.load(target)
    assert drawn == wiring if wiring else drawn.directed


def test_sample_writes_rows_that_draw_the_same_wirings(call, tmp_path):
    target = tmp_path / "sample.csv"
    axes = ("modularity", "spectral_gap")
    code, out, _ = call(
        "graph", "sample", "--nodes", 20, "--count", 6, "--axes", *axes, "--out", target
    )
    assert code == 0
    assert "6 wirings of 20 nodes" in out
    rows = rows_of(target)
    assert len(rows) == 6
    for row in rows:
        wiring = ws_flex(
            nodes=int(row["n"]),
            degree=float(row["k"]),
            rewire=float(row["p"]),
            seed=int(row["graph_seed"]),
        )
        assert float(row["C"]) == wiring.clustering
        assert float(row["L"]) == wiring.path_length
        for axis, value in zip(axes, measure([wiring], axes), strict=True):
            assert float(row[axis]) == value[0]


def test_the_papers_sampling_writes_its_three_tables(call, tmp_path):
    code, out, _ = call("graph", "sample", "--paper", "--nodes", 16, "--out", tmp_path / "paper")
    assert code == 0
    assert "1,800,000 WS-flex graphs of 16 nodes" in out
    assert out.count("the published rows") == 3
    assert "NOT" not in out
    for count, rows in ((2698, 2698), (326, 326), (48, 48)):
        table = rows_of(tmp_path / "paper" / f"n16_{count}.csv")
        assert len(table) == rows
        ids = list(dict.fromkeys(int(row["graph_id"]) for row in table))
        assert ids == list(published_sample(16, count))


def test_span_tells_the_shares_and_draws_the_figure(call, tmp_path):
    target = tmp_path / "span.svg"
    code, out, _ = call("graph", "span", "--nodes", 16, "--out", target)
    assert code == 0
    for family in ("WS-flex", "Watts-Strogatz", "Erdős-Rényi", "Barabási-Albert", "Harary"):
        assert family in out
        assert family in target.read_text()
    assert ET.parse(target).getroot().tag.endswith("svg")
    target = tmp_path / "span.csv"
    assert call("graph", "span", "--nodes", 12, "--out", target)[0] == 0
    assert {row["family"] for row in rows_of(target)} >= {"WS-flex", "ring", "complete"}


def test_steer_writes_a_wiring_of_the_same_degrees(call, tmp_path):
    first, second = tmp_path / "w.json", tmp_path / "v.json"
    words = ("graph", "steer", "--degree", 10, "--rewire", 0.5, "--clustering", 0.4)
    code, out, _ = call(*words, "--out", first)
    assert code == 0
    assert "0.2171 -> 0.39" in out
    steered = Wiring.load(first)
    start = ws_flex(nodes=64, degree=10, rewire=0.5)
    assert (steered.degrees == start.degrees).all()
    assert call("graph", "steer", first, "--path-length", 2.6, "--out", second)[0] == 0
    assert Wiring.load(second).path_length == pytest.approx(2.6, rel=0.01)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("measure", "--family", "cow"), "invalid choice: 'cow'"),
        (("measure", "--family", "expander", "--degree", "7.5"), "`degree` of expander"),
        (("measure", "--family", "harary", "--directed"), "`--directed` needs a family"),
        (("sample", "--count", "0"), "`count` of sample_plane"),
        (("sample", "--axes", "clustering", "beauty"), "there is no measure 'beauty'"),
        (("sample", "--paper", "--nodes", "32"), "must be 64 or 16; got 32"),
        (("sample", "--out", "x.json"), "`--out` must end in .csv; got x.json"),
        (("span", "--nodes", "5"), "`nodes` of span"),
        (("span", "--out", "x.pdf"), "`--out` must end in .svg or .csv; got x.pdf"),
        (("steer",), "steer needs one of clustering, path_length, spectral_gap"),
        (("steer", "--family", "cat", "--clustering", "0.5"), "must be undirected"),
        (("steer", "--clustering", "0.99", "--swaps", "200"), "the closest has clustering"),
        (("steer", "missing.json", "--clustering", "0.5"), "cannot be read"),
        (("steer", "--clustering", "0.3", "--out", "no/such/w.json"), "cannot be written"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(call, words, message):
    code, _, err = call("graph", *words)
    assert code == 2
    assert err.count("\n") == 1
    assert message in err
