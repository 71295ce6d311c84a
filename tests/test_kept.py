"""Commands on networks that were kept: what they cost, and where their layers stand."""

from __future__ import annotations

import re

import pytest

from wireloom.cli import main
from wireloom.models import build, population, save
from wireloom.wiring import ws_flex

FLEX = ws_flex(nodes=8, degree=3, rewire=0.2, seed=0)
SMALL = {"image": (3, 8, 8), "classes": 4, "width": 16, "stem": 16}


@pytest.fixture
def call(capsys):
    def run(*words: object) -> tuple[int, str, str]:
        try:
            code = main([str(word) for word in words])
        except SystemExit as stop:
            code = int(stop.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_cost_of_kept_networks(call, tmp_path):
    one, many = tmp_path / "one.safetensors", tmp_path / "many.safetensors"
    net, pop = build("cnn6", FLEX, **SMALL), population("mlp", [FLEX, None], **SMALL)
    save(net, one)
    save(pop, many)
    code, out, _ = call("cost", one, many, "--latency")
    assert code == 0
    lines = out.splitlines()[1:]
    assert f"one.safetensors: cnn6 on {FLEX}" in lines[0]
    assert "many.safetensors, 1: mlp dense" in lines[2]
    assert all(re.search(r"\d+\.\d\d ms$", line) for line in lines)
    for line, member in zip(lines, [*net.members, *pop.members], strict=True):
        cost = member.cost()
        assert f"{cost.macs:14,d} {cost.params:12,d}" in line
    code, _, err = call("cost", one, "w.json")
    assert code == 2
    assert "all wirings or all kept networks; got w.json too" in err


def test_a_kept_network_stands_at_its_wiring(call, tmp_path):
    save(build("cnn6", FLEX, **SMALL), tmp_path / "net.safetensors")
    code, out, _ = call("graph", "place", tmp_path / "net.safetensors")
    assert code == 0
    wired = [line for line in out.splitlines() if " wired conv2d " in line]
    assert len(wired) == 6
    where = f"{FLEX.density:.4f}  {FLEX.clustering:.4f}  {FLEX.path_length:.4f}"
    assert all(line.endswith(where) for line in wired)


def test_an_architecture_by_name(call):
    code, out, _ = call("graph", "place", "mobilenet_v1")
    assert code == 0
    depthwise = [line for line in out.splitlines() if ".depth " in line]
    assert len(depthwise) == 13
    assert all("parts that never meet" in line for line in depthwise)


def test_bad_input_is_one_sentence(call, tmp_path):
    save(population("mlp", [FLEX, None], **SMALL), tmp_path / "pop.safetensors")
    for words, said in (
        (["vgg"], "`model` 'vgg' is not known"),
        (["mlp", "--member", 0], "`--member` is for kept populations"),
        ([tmp_path / "pop.safetensors"], "name one by `--member` 0 to 1"),
        (["mlp", "--nodes", 2], "`nodes` of place must be a whole number of at least 3; got 2"),
        ([tmp_path / "none.safetensors"], "none.safetensors cannot be read"),
    ):
        code, _, err = call("graph", "place", *words)
        assert code == 2
        assert said in err
        assert err.count("\n") == 1
