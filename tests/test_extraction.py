"""`extract`: against loops over single weights, planted wirings, and what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from refusals import refusal
from wireloom.cli import main
from wireloom.cli.parser import parser
from wireloom.compute import Pattern
from wireloom.models import build, extract, population, strengths
from wireloom.nn import WiredConv2d, WiredLinear
from wireloom.wiring import Wiring, block_sizes, complete, erdos_renyi, ring, ws_flex


def filled(net: nn.Module, seed: int) -> nn.Module:
    """The net with weights of its own for each seed."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return net


def chain(*widths: int, seed: int = 0) -> nn.Module:
    pairs = zip(widths[1:], widths[:-1], strict=True)
    return filled(nn.Sequential(*(nn.Linear(into, out) for out, into in pairs)), seed)


def whole(layer: nn.Module) -> np.ndarray:
    """The layer as [out, in, height, width], grouped convolutions written out in full."""
    weight = layer.weight.detach().double().numpy()
    if weight.ndim == 2:
        return weight[:, :, None, None]
    if weight.ndim == 3:
        weight = weight[:, :, None]
    out, own = weight.shape[:2]
    full = np.zeros((out, own * layer.groups, *weight.shape[2:]))
    for o in range(out):
        first = o // (out // layer.groups) * own
        full[o, first : first + own] = weight[o]
    return full


def channels(width: int, nodes: int) -> list[list[int]]:
    """The channels of each node."""
    ends = np.cumsum(block_sizes(width, nodes)).tolist()
    return [list(range(a, b)) for a, b in zip([0, *ends], ends, strict=False)]


def by_loops(matrices: list[np.ndarray], nodes: int, combine: str) -> np.ndarray:
    """Strengths, weight by weight."""

    def norm2(entry, rows, columns, taps, mean) -> float:
        total = math.fsum(entry(o, i, t) ** 2 for o in rows for i in columns for t in taps)
        return total * mean / (len(rows) * len(columns))

    found = np.zeros((nodes, nodes))
    groups: dict[tuple, np.ndarray] = {}
    for k, m in enumerate(matrices):
        key = (k,) if combine == "norms" else m.shape
        groups[key] = groups.get(key, 0) + m
    for m in groups.values():
        height, width = m.shape[2:]
        taps = [(a, b) for a in range(height) for b in range(width)]
        out, into = channels(m.shape[0], nodes), channels(m.shape[1], nodes)
        mean = m.shape[0] * m.shape[1] / nodes**2
        square = m.shape[0] == m.shape[1] and combine == "weights"
        for i in range(nodes):
            for j in range(nodes):
                if square:

                    def both(o, c, t, m=m, height=height, width=width):
                        return m[o, c, *t] + m[c, o, height - 1 - t[0], width - 1 - t[1]]

                    found[i, j] += norm2(both, out[i], into[j], taps, mean)
                    continue
                there = norm2(lambda o, c, t, m=m: m[o, c, *t], out[i], into[j], taps, mean)
                back = norm2(lambda o, c, t, m=m: m[o, c, *t], out[j], into[i], taps, mean)
                found[i, j] += (
                    there + back if combine == "weights" else math.sqrt(there) + math.sqrt(back)
                )
    return found if combine == "norms" else np.sqrt(found)


# Strengths


@settings(max_examples=25, deadline=None)
@given(
    nodes=st.integers(2, 5),
    extra=st.lists(st.integers(0, 7), min_size=4, max_size=5),
    combine=st.sampled_from(["weights", "norms"]),
    seed=st.integers(0, 99),
)
def test_strengths_of_linear_layers_are_those_of_the_loops(nodes, extra, combine, seed):
    net = chain(3, *(nodes + e for e in extra), 2, seed=seed)
    found = strengths(net, nodes=nodes, combine=combine)
    oracle = by_loops([whole(layer) for layer in list(net)[1:-1]], nodes, combine)
    np.testing.assert_allclose(found, oracle, rtol=1e-12)
    assert (found == found.T).all()


@pytest.mark.parametrize("combine", ["weights", "norms"])
def test_strengths_of_convolutions_are_those_of_the_loops(combine):
    layers = [
        nn.Conv2d(3, 9, 3),
        nn.Conv2d(9, 9, 3),
        nn.Conv2d(9, 9, 3),
        nn.Conv2d(9, 9, 1),
        nn.Conv2d(9, 6, 1),
        nn.Conv2d(6, 12, (1, 3), groups=3),
        nn.Conv2d(12, 12, 3, groups=12),
        nn.Linear(12, 9),
        nn.Linear(9, 2),
    ]
    net = filled(nn.Sequential(*layers), 5)
    found = strengths(net, nodes=4, combine=combine)
    oracle = by_loops([whole(layer) for layer in layers[1:-1]], 4, combine)
    np.testing.assert_allclose(found, oracle, rtol=1e-12)


def test_convolutions_of_one_and_three_dimensions_are_read():
    flat = filled(nn.Conv1d(6, 6, 5, groups=2), 1)
    oracle = by_loops([whole(flat)], 3, "weights")
    np.testing.assert_allclose(strengths(flat, nodes=3, layers="*"), oracle, rtol=1e-12)
    deep = filled(nn.Conv3d(5, 5, (1, 2, 3)), 2)
    plain = nn.Conv2d(5, 5, (2, 3))
    plain.weight = nn.Parameter(deep.weight.detach()[:, :, 0])
    oracle = by_loops([whole(plain)], 3, "weights")
    np.testing.assert_allclose(strengths(deep, nodes=3, layers="*"), oracle, rtol=1e-12)


def test_the_papers_formula_in_one_line():
    """Equal square layers and even blocks: || (sum W) + (sum W)^T || block by block."""
    net = chain(5, 12, 12, 12, 12, 3)
    total = sum(layer.weight.detach().double().numpy() for layer in list(net)[1:-1])
    blocks = (total + total.T).reshape(4, 3, 4, 3)
    found = strengths(net, nodes=4)
    np.testing.assert_allclose(found, np.linalg.norm(blocks, axis=(1, 3)), rtol=1e-12)


def test_weights_of_equal_size_give_equal_strengths_in_uneven_blocks():
    net = chain(3, 11, 11, 11, 3)
    for layer in net:
        nn.init.constant_(layer.weight, 0.5)
    found = strengths(net, nodes=4)
    np.testing.assert_allclose(found, np.full((4, 4), 2 * 0.5 * 2 * 11 / 4), rtol=1e-12)


def test_opposite_weights_cancel_as_weights_and_not_as_norms():
    net = chain(3, 8, 8, 8, 3)
    with torch.no_grad():
        net[2].weight.copy_(-net[1].weight)
    assert (strengths(net, nodes=4) == 0).all()
    assert (strengths(net, nodes=4, combine="norms") > 0).all()


def test_wired_layers_are_read_as_the_matrices_they_stand_for():
    wiring = ws_flex(nodes=6, degree=3, rewire=0.4, seed=2)
    linear = WiredLinear(Pattern.from_wiring(wiring, out=14, into=9), seed=1)
    conv = WiredConv2d(Pattern.from_wiring(wiring, out=8, into=14), 3, seed=2)
    plain_linear, plain_conv = nn.Linear(9, 14), nn.Conv2d(14, 8, 3)
    with torch.no_grad():
        for wired, plain in ((linear, plain_linear), (conv, plain_conv)):
            plain.weight.zero_()
            mask = torch.from_numpy(wired.pattern.mask())
            plain.weight[mask] = wired.weight.view(-1, *plain.weight.shape[2:])
    for combine in ("weights", "norms"):
        found = strengths(nn.Sequential(linear, conv), nodes=6, layers="*", combine=combine)
        oracle = by_loops([whole(plain_linear), whole(plain_conv)], 6, combine)
        np.testing.assert_allclose(found, oracle, rtol=1e-12, atol=1e-15)


def test_a_state_dict_gives_what_its_network_gives():
    net = nn.Sequential(
        *(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 10, 1), nn.Linear(10, 4)),
    )
    found = strengths(filled(net, 3).state_dict(), nodes=5)
    assert (found == strengths(net, nodes=5)).all()


def test_half_precision_and_parametrised_weights_are_read():
    net = chain(3, 8, 8, 8, 3).to(torch.bfloat16)
    assert strengths(net, nodes=4).dtype == np.float64
    net = chain(3, 8, 8, 8, 3)
    before = strengths(net, nodes=4)
    nn.utils.parametrizations.weight_norm(net[1])
    np.testing.assert_allclose(strengths(net, nodes=4), before, rtol=1e-5)


# Which layers


def test_hidden_layers_by_default_or_those_that_globs_name():
    net = chain(7, 8, 9, 10, 7)
    assert (strengths(net, nodes=4) == strengths(net, nodes=4, layers=["1", "2"])).all()
    assert (strengths(net, nodes=4) == strengths(net, nodes=4, layers="[12]")).all()
    both = strengths(net, nodes=4, layers="*")
    oracle = by_loops([whole(layer) for layer in net], 4, "weights")
    np.testing.assert_allclose(both, oracle, rtol=1e-12)


# Planted wirings


@settings(max_examples=20, deadline=None)
@given(
    nodes=st.integers(4, 12),
    degree=st.floats(2.0, 3.0),
    seed=st.integers(0, 999),
    extra=st.integers(0, 13),
    combine=st.sampled_from(["weights", "norms"]),
)
def test_a_planted_wiring_comes_back(nodes, degree, seed, extra, combine):
    wiring = ws_flex(nodes=nodes, degree=degree, rewire=0.5, seed=seed)
    width = 2 * nodes + extra
    net = chain(5, width, width, width, width + 3, 2, seed=seed)
    with torch.no_grad():
        for layer in list(net)[1:-1]:
            rows, columns = layer.weight.shape
            mask = Pattern.from_wiring(wiring, out=rows, into=columns).mask()
            layer.weight[torch.from_numpy(mask)] *= 30.0
    given = {"nodes": nodes, "combine": combine}
    assert extract(net, density=wiring.density, **given) == wiring
    assert extract(net, degree=2 * len(wiring.edges) / nodes, **given) == wiring
    matrix = strengths(net, **given)
    weakest = min(matrix[u, v] for u, v in wiring.edges)
    below = np.nextafter(weakest, 0)
    assert extract(net, threshold=below, **given) == wiring
    assert len(extract(net, threshold=weakest, **given).edges) == len(wiring.edges) - 1


@pytest.mark.parametrize("combine", ["weights", "norms"])
def test_a_wired_network_comes_back_at_its_own_wiring(combine):
    wiring = ws_flex(nodes=8, degree=4, rewire=0.3, seed=4)
    net = build("mlp", wiring, image=(1, 4, 4), width=32, stem=32)
    assert extract(net, nodes=8, threshold=0, combine=combine) == wiring
    assert extract(net, nodes=8, density=wiring.density, combine=combine) == wiring


def test_a_population_gives_each_members_own():
    wirings = [ring(nodes=8, degree=4), complete(nodes=8), ws_flex(nodes=8, degree=3, rewire=0.5)]
    pop = population("mlp", wirings, seeds=range(2), image=(1, 4, 4), width=32, stem=32)
    for levels in ({"threshold": 0}, {"degree": [1, 2.5]}):
        alone = [extract(pop[i], nodes=8, **levels) for i in range(len(pop))]
        assert extract(pop, nodes=8, **levels) == alone
    assert extract(pop, nodes=8, threshold=0) == [w for w in wirings for _ in range(2)]
    assert extract(pop.keep([0]), nodes=8, threshold=0) == wirings[:1]
    assert strengths(pop, nodes=8).shape == (6, 8, 8)
    assert strengths(pop.net, nodes=8).shape == (6, 8, 8)


# The cut


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 9), st.floats(0, 1), st.integers(0, 99))
def test_the_cut_takes_the_strongest_pairs(nodes, share, seed):
    net = chain(3, nodes, nodes, nodes, 3, seed=seed)
    matrix = strengths(net, nodes=nodes)
    ranked = sorted(
        ((-matrix[i, j], i, j) for i in range(nodes) for j in range(i + 1, nodes)), reverse=False
    )
    degree = share * (nodes - 1)
    count = round(degree * nodes / 2)
    wanted = Wiring.from_edges(nodes, [(i, j) for _, i, j in ranked[:count]])
    assert extract(net, nodes=nodes, degree=degree) == wanted
    assert extract(net, nodes=nodes, density=wanted.density) == wanted


def test_ties_go_to_the_first_pairs():
    level = np.random.default_rng(0).integers(1, 4, (40, 40))
    level = np.triu(level) + np.triu(level, 1).T
    net = chain(3, 40, 40, 3)
    with torch.no_grad():
        net[1].weight.copy_(torch.from_numpy(level))
    pairs = [(i, j) for i in range(40) for j in range(i + 1, 40)]
    ranked = sorted(pairs, key=lambda pair: -level[pair])  # keeps the order of equal ones
    for degree in (2, 11, 29):
        wanted = Wiring.from_edges(40, ranked[: degree * 20])
        assert extract(net, nodes=40, degree=degree) == wanted


def test_a_range_of_levels_gives_wirings_inside_each_other():
    net = chain(3, 16, 16, 16, 3)
    matrix = strengths(net, nodes=8)
    levels = np.quantile(matrix, [0.2, 0.5, 0.8])
    found = extract(net, nodes=8, threshold=levels)
    assert found == [extract(net, nodes=8, threshold=level) for level in levels]
    edges = [{tuple(e) for e in w.edges.tolist()} for w in found]
    assert edges[0] > edges[1] > edges[2]
    assert extract(net, nodes=8, density=[0.5]) == [extract(net, nodes=8, density=0.5)]


def test_a_cut_may_leave_a_wiring_apart():
    net = chain(3, 16, 16, 16, 3)
    wiring = extract(net, nodes=8, degree=0.5)
    assert len(wiring.edges) == 2
    assert "need a connected wiring" in refusal(lambda: wiring.clustering)


def test_before_training_a_network_looks_like_a_random_graph():
    """The paper's section 7: at initialisation C and L are those of Erdos-Renyi graphs."""
    pop = population("mlp", [None], seeds=range(12), image=(1, 8, 8), width=96, stem=96)
    found = np.array([(w.clustering, w.path_length) for w in extract(pop, nodes=32, density=0.3)])
    degree = 2 * round((0.3 * 32**2 - 32) / 2) / 32
    drawn = [erdos_renyi(nodes=32, degree=degree, seed=s) for s in range(40)]
    random = np.array([(w.clustering, w.path_length) for w in drawn])
    error = np.sqrt(found.var(0, ddof=1) / len(found) + random.var(0, ddof=1) / len(random))
    assert (np.abs(found.mean(0) - random.mean(0)) < 4 * error).all()


# Refusals


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            {"density": 0.5, "degree": 3},
            "extract needs exactly one of density, degree and threshold; got density and degree",
        ),
        ({}, "extract needs exactly one of density, degree and threshold; got none"),
        (
            {"nodes": 10, "degree": 3},
            "`nodes` of extract must not exceed the narrowest layer; got 10 nodes, and layer '2' "
            "has 12 input and 9 output channels",
        ),
        (
            {"nodes": 1, "degree": 0},
            "`nodes` of extract must be a whole number of at least 2; got 1",
        ),
        (
            {"density": 1.2},
            "`density` of extract must be in [0.25, 1]; got 1.2 (nodes=4)",
        ),
        ({"density": 0.2}, "`density` of extract must be in [0.25, 1]; got 0.2 (nodes=4)"),
        ({"density": math.nan}, "`density` of extract must be in [0.25, 1]; got nan (nodes=4)"),
        ({"degree": [1, 4]}, "`degree` of extract must be in [0, 3]; got 4 (nodes=4)"),
        ({"degree": True}, "`degree` of extract must be in [0, 3]; got True (nodes=4)"),
        (
            {"threshold": -1.0},
            "`threshold` of extract must be a finite number of at least 0; got -1.0 (nodes=4)",
        ),
        (
            {"threshold": "high"},
            "`threshold` of extract must be a finite number of at least 0; got high (nodes=4)",
        ),
        (
            {"degree": 1, "layers": "hidden.*"},
            "`layers` must fit the name of a layer; got 'hidden.*'; known: 0, 1, 2, 3",
        ),
        ({"degree": 1, "layers": []}, "`layers` must name at least one layer; got none"),
        (
            {"degree": 1, "combine": "sum"},
            "`combine` must be one of weights, norms; got 'sum'",
        ),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence(arguments, sentence):
    net = chain(3, 12, 12, 9, 2)
    assert refusal(extract, net, **({"nodes": 4} | arguments)) == sentence


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_weights_that_are_not_finite_are_named(value):
    net = chain(3, 12, 12, 12, 2)
    with torch.no_grad():
        net[2].weight[3, 4] = value
    sentence = refusal(extract, net, nodes=4, degree=1)
    assert sentence == f"the weights of layer '2' must be finite; got {value}"


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (3, "`model` must be a torch module or a state dict; got int"),
        (nn.ReLU(), "`model` has no linear layer and no convolution"),
        ({"scale": torch.ones(3)}, "`model` has no linear layer and no convolution"),
        (
            {"hidden.0.weight": torch.ones(30)},
            "`model` has no linear layer and no convolution; flat weights, as wired layers keep "
            "them, need the network itself",
        ),
        (
            nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8)),
            "`layers` must be given for a network of fewer than three layers, which has none "
            "between the first and the last; got '0', '1'",
        ),
        (
            nn.Sequential(*(nn.Linear(8, 8, device="meta") for _ in range(3))),
            "the weights of layer '1' have no values: meta",
        ),
        (
            nn.Sequential(nn.Linear(8, 8), nn.LazyLinear(8), nn.Linear(8, 8)),
            "the weights of layer '1' have no values: it is lazy",
        ),
    ],
)
def test_what_is_no_network_with_layers_is_refused(model, sentence):
    assert refusal(extract, model, nodes=4, degree=1) == sentence


def test_more_pairs_than_weights_join_are_refused():
    net = build("mlp", ring(nodes=8, degree=2), image=(1, 4, 4), width=32, stem=32)
    assert refusal(extract, net, nodes=8, degree=3) == (
        "`degree` of extract must not ask for more pairs than the weights join; got 3, which is "
        "12 pairs, and 8 are joined"
    )


# The command


@pytest.fixture
def call(capsys):
    def run(*words):
        try:
            code = main(["graph", "extract", *map(str, words)])
        except SystemExit as stop:
            code = stop.code
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_the_command_writes_what_the_function_gives(call, tmp_path):
    net = chain(20, 16, 16, 17, 10)
    wanted = extract(net, nodes=8, density=0.4)
    names = dict(zip("0123", ("to", "a", "b", "end"), strict=True))
    state = {f"{names[key[0]]}{key[1:]}": t.detach() for key, t in net.state_dict().items()}
    stored, kept = tmp_path / "net.safetensors", tmp_path / "net.pt"
    save_file(state, stored)  # sorted by name: a, b, end, to
    torch.save({"state_dict": state}, kept)
    for file in (stored, kept):
        out = tmp_path / "w.json"
        code, said, err = call(file, "--nodes", 8, "--density", 0.4, "--out", out)
        assert (code, err) == (0, "")
        assert "layers: a 16 -> 16, b 16 -> 17\nleft out:" in said
        assert f"{file}: 8 nodes, {len(wanted.edges)} edges" in said
        assert Wiring.load(out) == wanted
        out.unlink()
    words = ("--nodes", 8, "--degree", 3, "--layers", "[ab]", "to", "--combine", "norms")
    assert call(stored, *words, "--out", tmp_path / "w.json")[0] == 0
    wanted = extract(net, nodes=8, degree=3, layers=["0", "1", "2"], combine="norms")
    assert Wiring.load(tmp_path / "w.json") == wanted
    code, said, _ = call(stored, "--nodes", 8, "--degree", 0.5, "--out", tmp_path / "w.svg")
    assert code == 0
    assert "disconnected" in said
    assert (tmp_path / "w.svg").read_text().startswith("<svg")


def test_examples_of_the_help_are_understood(call):
    code, said, _ = call("--help")
    assert code == 0
    assert max(map(len, said.splitlines())) <= 100
    examples = [line.split()[1:] for line in said.splitlines() if line.startswith("  wireloom ")]
    assert len(examples) == 3
    for words in examples:
        assert parser().parse_args(words).run.__name__ == "extract"


class Planted:
    """What no reader of tensors may run."""

    def __reduce__(self):
        return print, ("run",)


def test_bad_files_are_one_line_and_exit_2(call, tmp_path):
    def refused(name: str, *words: object) -> str:
        code, said, err = call(tmp_path / name, *(words or ("--nodes", 4, "--degree", 1)))
        assert (code, said, err.count("\n")) == (2, "", 1)
        return err.replace(str(tmp_path), "").removeprefix("wireloom: ").strip()

    (tmp_path / "bad.safetensors").write_bytes(b"no tensors here")
    (tmp_path / "bad.pt").write_bytes(b"no tensors here")
    torch.save({"weight": Planted()}, tmp_path / "code.pt")
    torch.save([torch.ones(3)], tmp_path / "list.pt")
    even = {f"{i}.weight": torch.ones(8, 8) for i in range(3)}
    save_file(even, tmp_path / "even.safetensors")
    save_file({"a.weight": torch.ones(8)}, tmp_path / "flat.safetensors")
    assert refused("gone.pt") == "/gone.pt cannot be read: No such file or directory"
    assert refused("net.onnx") == "FILE must end in .safetensors or .pt or .pth; got /net.onnx"
    assert refused("bad.safetensors").startswith("/bad.safetensors is not a safetensors file: ")
    alone = "is not a file of tensors alone, as torch.save writes"
    assert refused("bad.pt") == f"/bad.pt {alone}"
    assert refused("code.pt") == f"/code.pt {alone}"
    assert refused("list.pt") == "/list.pt is not a state dict: it holds more than tensors by name"
    assert refused("even.safetensors") == (
        "`--layers` must name the layers of this file, whose order it does not keep and whose "
        "widths do not tell the first and the last; it has 0 8 -> 8, 1 8 -> 8, 2 8 -> 8"
    )
    assert "flat weights, as wired layers keep them" in refused("flat.safetensors")
    words = ("--nodes", 9, "--degree", 1, "--layers", "1")
    assert "layer '1' has 8 input and 8 output channels" in refused("even.safetensors", *words)
    words = ("--nodes", 4, "--degree", 1, "--density", 0.5, "--layers", "1")
    assert "got density and degree" in refused("even.safetensors", *words)
    words = ("--nodes", 4, "--degree", 1, "--layers", "conv*")
    assert "got 'conv*'; known: 0, 1, 2" in refused("even.safetensors", *words)
