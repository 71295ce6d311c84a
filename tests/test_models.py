"""The models room: networks on wirings, their cost, matched widths, and populations of them."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from refusals import refusal
from wireloom.compute import Pattern, cross_entropy
from wireloom.models import (
    Build,
    Cost,
    Member,
    Population,
    build,
    cost,
    match_widths,
    population,
)
from wireloom.nn import FeatureNorm, WiredLinear, spans
from wireloom.wiring import Wiring, complete, published_sample, ring, ws_flex

pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = {"classes": 5, "image": (3, 4, 4), "width": 24, "stem": 20, "hidden": 2}
WIRINGS = [
    ring(nodes=6),
    ws_flex(nodes=10, degree=4.3, rewire=0.4, seed=1),
    complete(nodes=8),
    Wiring.from_edges(5, [(0, 1), (1, 2), (2, 0), (3, 0), (4, 3)], directed=True),
    None,
]


def images(count: int = 19, shape: tuple[int, ...] = (3, 4, 4), seed: int = 0) -> torch.Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed))


def labels(count: int = 19) -> torch.Tensor:
    return torch.arange(count) % 5


def shaken(net: torch.nn.Module) -> torch.nn.Module:
    """The net with every tensor moved off its round initial value."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            noise = 0.3 * torch.randn(tensor.shape, generator=generator).to(tensor)
            tensor += noise.abs() if name.endswith("variance") else noise
    return net


def state(net: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in net.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def run(net: torch.nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Logits [members, classes, batch] of a training pass and every parameter's gradient."""
    logits = net.features(x.flatten(1).t())
    losses, _ = cross_entropy(logits, labels(len(x)))
    net.zero_grad()
    losses.sum().backward()
    found = {name: p.grad.clone() for name, p in net.named_parameters()}
    return logits.detach(), {name.removeprefix("net."): grad for name, grad in found.items()}


# Networks


def test_the_dense_network_is_bitwise_the_one_on_the_complete_wiring():
    settings = {"classes": 10, "image": (3, 8, 8), "width": 130, "stem": 96, "seed": 3}
    x = images(33, (3, 8, 8))
    for nodes in (7, 64):
        dense, wired = build("mlp", **settings), build("mlp", complete(nodes=nodes), **settings)
        assert same(state(dense), state(wired))
        logits, gradients = run(dense, x)
        wired_logits, wired_gradients = run(wired, x)
        assert torch.equal(logits, wired_logits)
        assert same(gradients, wired_gradients)
        assert same(state(dense), state(wired))
        for net in (dense, wired):
            net.eval()
        with torch.no_grad():
            assert torch.equal(dense(x), wired(x))


def layers(net) -> dict[str, WiredLinear]:
    """The linear layers of an MLP by name, from stem to head."""
    hidden = {f"hidden.{i}": unit.linear for i, unit in enumerate(net.hidden.children())}
    return {"stem": net.stem.linear, **hidden, "head": net.head.linear}


def by_masked_matrices(net, x: torch.Tensor, training: bool):
    """The net's logits in float64 by dense linear layers with masked weights, and the leaves."""
    leaves = {k: v.detach().double().requires_grad_() for k, v in net.named_parameters()}
    stats = {k: v.detach().double().clone() for k, v in net.named_buffers()}

    def linear(name: str, layer: WiredLinear, x: torch.Tensor) -> torch.Tensor:
        mask = torch.from_numpy(layer.pattern.mask())
        matrix = torch.zeros(mask.shape, dtype=torch.float64)
        matrix = matrix.masked_scatter(mask, leaves[f"{name}.weight"])
        return F.linear(x, matrix * mask, leaves.get(f"{name}.bias"))

    def normal(name: str, x: torch.Tensor) -> torch.Tensor:
        mean, variance = stats[f"{name}.running_mean"], stats[f"{name}.running_variance"]
        scale, shift = leaves[f"{name}.scale"], leaves[f"{name}.shift"]
        return F.relu(F.batch_norm(x, mean, variance, scale, shift, training))

    units = layers(net)
    x = x.double().flatten(1)
    for name, layer in units.items():
        x = linear(f"{name}.linear", layer, x)
        if name != "head":
            x = normal(f"{name}.norm", x)
    return x, leaves, stats


@pytest.mark.parametrize("wiring", WIRINGS, ids=repr)
@pytest.mark.parametrize("training", [True, False])
def test_a_wired_network_is_the_dense_masked_one(wiring, training):
    net = shaken(build("mlp", wiring, seed=2, **SMALL)).train(training)
    x = images()
    want, leaves, stats = by_masked_matrices(net, x, training)
    F.cross_entropy(want, labels()).backward()
    logits = net(x)
    assert logits.shape == (19, 5)
    torch.testing.assert_close(logits.double(), want, rtol=1e-4, atol=1e-4)
    F.cross_entropy(logits, labels()).backward()
    for name, parameter in net.named_parameters():
        expected = leaves[name].grad
        largest = expected.abs().max().item()
        assert largest > 0, name
        torch.testing.assert_close(
            parameter.grad.double(), expected, rtol=1e-3, atol=1e-4 * largest + 1e-7
        )
    for name, buffer in net.named_buffers():
        torch.testing.assert_close(buffer.double(), stats[name], rtol=1e-5, atol=1e-5)


def test_a_float64_network_agrees_with_the_oracle_to_twelve_digits():
    net = shaken(build("mlp", WIRINGS[1], dtype=torch.float64, **SMALL))
    assert all(p.dtype == torch.float64 for p in net.parameters())
    want, _, _ = by_masked_matrices(net, images(), True)
    torch.testing.assert_close(net(images().double()), want, rtol=1e-12, atol=1e-12)


def test_the_published_initialisation():
    net = build("mlp", published_sample()[447])
    for layer in layers(net).values():
        weight = layer.weight.detach().double()
        assert abs(weight.mean()) < 5 * 0.01 / math.sqrt(len(weight))
        assert weight.std() == pytest.approx(0.01, rel=5 / math.sqrt(len(weight)))
    assert not net.head.linear.bias.any()
    for module in net.modules():
        if isinstance(module, FeatureNorm):
            assert (module.scale == 1).all()
            assert not module.shift.any()
    assert net.stem.linear.bias is None


@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (0, 48)])
def test_an_empty_batch_gives_no_logits(shape):
    net = build("mlp", WIRINGS[0], **SMALL).eval()
    assert net(torch.zeros(shape)).shape == (0, 5)
    pop = population("mlp", WIRINGS[:2], **SMALL).eval()
    assert pop(torch.zeros(shape)).shape == (2, 0, 5)


@pytest.mark.parametrize("shape", [(48,), (2, 47), (2, 3, 4, 5), (0, 47), ()])
def test_a_network_refuses_samples_of_another_size(shape):
    text = refusal(build("mlp", WIRINGS[0], **SMALL), torch.zeros(shape))
    assert "48 features a sample" in text
    assert str(list(shape)) in text


def test_a_network_can_be_copied_and_its_copy_is_apart():
    net = build("mlp", WIRINGS[0], **SMALL)
    again = copy.deepcopy(net)
    assert same(state(net), state(again))
    shaken(again)
    assert not same(state(net), state(again))


# Layers


def test_a_layer_is_feature_major_inside_and_batch_major_outside():
    layer = WiredLinear(Pattern.from_wiring(ring(nodes=4), out=9, into=11), bias=True, seed=4)
    with torch.no_grad():
        layer.bias.copy_(torch.arange(9.0))
    x = images(7, (11,))
    assert torch.equal(layer(x), layer.features(x.t()).t())
    assert layer(x).shape == (7, 9)
    several = images(2, (7, 11))
    assert torch.equal(layer(several)[1], layer(several[1]))
    assert layer(several[0, 0]).shape == (9,)
    for shape in ((), (10,), (2, 7, 10), (7, 10)):
        assert "11" in refusal(layer, torch.zeros(shape))


@pytest.mark.parametrize("activation", ["relu", "none"])
def test_a_normalising_layer_is_torchs(activation):
    layer, theirs = FeatureNorm(6, activation=activation), torch.nn.BatchNorm1d(6)
    after = torch.relu if activation == "relu" else torch.nn.Identity()
    x = images(12, (6,))
    for _ in range(3):
        torch.testing.assert_close(layer(x), after(theirs(x)))
    torch.testing.assert_close(layer.running_mean, theirs.running_mean)
    torch.testing.assert_close(layer.running_variance, theirs.running_var)
    layer.eval()
    theirs.eval()
    torch.testing.assert_close(layer(x), after(theirs(x)))
    torch.testing.assert_close(layer(x, x), after(theirs(x) + x))


# Cost


@pytest.mark.parametrize(("hidden", "macs"), [(3, 2_364_416), (5, 2_888_704)])
def test_the_published_mlp_costs_the_published_multiply_adds(hidden, macs):
    baseline = Build(hidden=hidden)
    assert baseline.shape(None).cost(None).macs == macs
    wired = complete(nodes=64)
    assert baseline.shape(wired).width == 512
    assert baseline.shape(wired).cost(wired).macs == macs


@pytest.mark.parametrize("wiring", WIRINGS, ids=repr)
@pytest.mark.parametrize("hidden", [1, 2, 4])
def test_the_cost_is_the_shapes_and_is_what_is_counted(wiring, hidden):
    plan = Build("mlp", **SMALL | {"hidden": hidden})
    shape = plan.shape(wiring)
    net = build("mlp", wiring, **SMALL | {"hidden": hidden})
    found = layers(net).values()
    assert len(found) == hidden + 2
    counted = Cost(
        macs=sum(int(layer.pattern.mask().sum()) for layer in found),
        params=sum(p.numel() for p in net.parameters()),
    )
    assert cost(net) == net.cost() == shape.cost(wiring) == counted
    assert plan.member(wiring, 0).cost() == counted


def test_the_dense_cost_is_what_torch_counts():
    shape = Build("mlp", **SMALL | {"hidden": 3}).shape(None)
    sizes = [48, 20, 24, 24, 24, 5]
    net = torch.nn.Sequential(*(torch.nn.Linear(a, b, bias=b == 5) for a, b in pairwise(sizes)))
    norms = [torch.nn.BatchNorm1d(width) for width in sizes[1:-1]]
    with FlopCounterMode(display=False) as counter:
        net(torch.zeros(1, 48))
    assert counter.get_total_flops() == 2 * shape.cost(None).macs
    params = sum(p.numel() for module in (net, *norms) for p in module.parameters())
    assert params == shape.cost(None).params


def test_the_cost_of_a_population_is_the_sum_of_its_members():
    pop = population("mlp", WIRINGS, seeds=range(2), **SMALL)
    alone = [member.cost() for member in pop.members]
    assert cost(pop) == Cost(sum(c.macs for c in alone), sum(c.params for c in alone))


# Widths

DENSE = -1  # the number of the dense baseline among the published wirings


def test_all_published_mlp_widths_are_matched(shared_data):
    table = pd.read_csv(shared_data / "matched_widths.csv.gz")
    table = table[table.arch == "mlp_cifar10"].set_index("graph_id")
    wirings = published_sample(64, 3942)
    assert set(table.index) == {DENSE, *wirings}
    plan = Build()
    assert plan.baseline.width == int(table.loc[DENSE].stage_widths)
    assert plan.baseline.cost(None).macs == table.loc[DENSE].flops_macs
    for graph_id, wiring in wirings.items():
        row = table.loc[graph_id]
        shape = plan.shape(wiring)
        assert shape.width == int(row.stage_widths)
        assert shape.cost(wiring).macs == row.flops_macs
        assert wiring.density * 64**2 == row.adjacency_nnz_with_self_loops


@pytest.mark.parametrize("budget", ["macs", "params", 10_000])
@pytest.mark.parametrize("wiring", WIRINGS[:4], ids=repr)
def test_the_matched_width_is_the_smallest_that_reaches_the_budget(budget, wiring):
    plan = Build("mlp", budget=budget, **SMALL | {"width": 60})
    of = "params" if budget == "params" else "macs"
    target = getattr(plan.baseline.cost(None), of) if isinstance(budget, str) else budget
    reaching = next(
        width
        for width in range(wiring.nodes, 1000)
        if getattr(replace(plan.baseline, widths=(width,)).cost(wiring), of) >= target
    )
    assert plan.shape(wiring).widths == (reaching,)


def test_budget_none_keeps_the_width():
    plan = Build("mlp", budget="none", **SMALL)
    for wiring in WIRINGS:
        assert plan.shape(wiring).widths == plan.baseline.widths


def published_rule(cost, widths, target, rounds=9):
    """Stage widths by the published rule, word by word."""
    d = list(widths)

    def scaled(d, first):
        ratios = [x / d[0] for x in d]
        return [first, *(round(first * r) for r in ratios[1:])]

    if cost(d) == target:
        return d
    for _ in range(rounds):
        q = round(math.sqrt(target / cost(d)), 2)
        d = scaled(d, round(d[0] * q))
    if cost(d) != target:
        step = 1 if cost(d) < target else -1
        crossed = False
        while not crossed:
            d = scaled(d, d[0] + step)
            crossed = cost(d) >= target if step > 0 else cost(d) <= target
        if step < 0 and cost(d) < target:
            d = scaled(d, d[0] + 1)
    caps = [round(x / d[0]) for x in d]
    step = -1 if cost(d) >= target else 1
    for stage in range(1, len(d)):
        for _ in range(caps[stage]):
            d[stage] += step
            if cost(d) < target if step < 0 else cost(d) > target:
                d[stage] -= step
                break
    return d


def toy_cost(shares: list[int]):
    """A cost like a staged network's: squares within stages, products between them."""

    def cost(widths):
        inner = sum(a * w * w for a, w in zip(shares, widths, strict=True))
        return inner + sum(a * b for a, b in pairwise(widths))

    return cost


@settings(deadline=None, max_examples=300)
@given(
    data=st.data(),
    first=st.integers(8, 64),
    factors=st.lists(st.integers(1, 6), max_size=3),
    share=st.floats(0.05, 0.95),
)
def test_widths_of_many_stages_follow_the_published_rule(data, first, factors, share):
    widths = [first]
    for factor in factors:
        widths.append(widths[-1] * factor // 2 + data.draw(st.integers(1, 8)))
    shares = [data.draw(st.integers(1, 9)) for _ in widths]
    wired = toy_cost(shares)
    target = round(wired(widths) / share)
    want = published_rule(wired, widths, target)
    assume(abs(wired(want) - target) <= 0.05 * target)
    assert match_widths(wired, widths, target) == want


@pytest.mark.parametrize(
    ("widths", "target", "want"),
    [([10, 23], 5417, [26, 58]), ([14, 41], 5490, [22, 61]), ([56, 129], 330_844, [197, 451])],
)
def test_a_stage_is_the_first_width_times_its_rounded_ratio(widths, target, want):
    """Here first * (w / w0), the published order, rounds to another width than first * w / w0."""
    assert match_widths(toy_cost([1, 1]), widths, target) == want


PUBLISHED = {
    "cnn6": ("cnn6_imagenet", 64, 52, 166_438_912),
    "resnet34": ("resnet34_imagenet", 64, 52, 3_663_761_408),
    "resnet34_sep": ("resnet34_sep_imagenet", 64, 52, 553_614_592),
    "resnet50": ("resnet50_imagenet", 64, 52, 4_089_184_256),
    "efficientnet_b0": ("efficientnet_imagenet", 16, 48, 385_824_092),
}


@pytest.mark.parametrize("model", PUBLISHED)
def test_published_widths_and_costs_of_all_stages(model, shared_data):
    name, nodes, count, macs = PUBLISHED[model]
    plan = Build(model, image=(3, 224, 224), classes=1000)
    assert plan.baseline.cost(None).macs == macs
    table = pd.read_csv(shared_data / "matched_widths.csv.gz")
    table = table[table.arch == name]
    wirings = {DENSE: None, **published_sample(nodes, count)}
    assert sorted(table.graph_id) == sorted(wirings)
    for row in table.itertuples():
        wiring = wirings[row.graph_id]
        shape = plan.baseline if wiring is None else plan.shape(wiring)
        assert " ".join(map(str, shape.widths)) == row.stage_widths
        assert shape.cost(wiring).macs == row.flops_macs


def test_trimming_takes_whole_steps_from_the_later_stages_while_the_budget_holds():
    seen = []

    def wired(widths):
        seen.append(tuple(widths))
        return 10 * widths[0] + widths[1] + widths[2]

    # Widths 10, 20, 40 cost 160; the first width steps up to 11, 22, 44, which costs 176. At most
    # 2 may go from the second stage and 4 from the third, and 171 leaves room for 5.
    assert match_widths(wired, [10, 20, 40], 171) == [11, 20, 41]
    assert (11, 19, 44) not in seen
    # Where the budget stops a stage, the next one still gets its turn.
    assert match_widths(wired, [10, 20, 40], 175) == [11, 21, 44]
    assert match_widths(wired, [10, 20, 40], 165) == [11, 20, 40]


def test_widths_that_already_meet_the_budget_stay():
    assert match_widths(lambda w: w[0] ** 2, [12, 24], 144) == [12, 24]


def test_an_unreachable_budget_names_the_nearest_widths():
    text = refusal(match_widths, lambda w: 100 * w[0], [3], 150)
    assert "budget of 150 within 5%; the nearest, 2, costs 200" in text


# Populations


def test_initial_parameters_depend_on_the_seed_and_the_name_alone():
    pop = population("mlp", WIRINGS, seeds=[3, 0, 9], **SMALL)
    assert len(pop) == 15
    for at, member in enumerate(pop.members):
        assert member.wiring == WIRINGS[at // 3]
        assert member.seed == [3, 0, 9][at % 3]
        alone = build("mlp", member.wiring, seed=member.seed, **SMALL)
        assert same(state(pop[at]), state(alone))
    torch.manual_seed(1)
    first = state(build("mlp", WIRINGS[0], **SMALL))
    torch.manual_seed(2)
    assert same(first, state(build("mlp", WIRINGS[0], **SMALL)))
    assert not torch.equal(
        first["stem.linear.weight"], build("mlp", WIRINGS[0], seed=1, **SMALL).stem.linear.weight
    )
    assert not torch.equal(first["hidden.0.linear.weight"][:50], first["stem.linear.weight"][:50])


def test_initial_parameters_have_the_golden_values():
    net = build(
        "mlp", ring(nodes=4), seed=7, image=(1, 2, 2), classes=2, width=8, stem=8, budget="none"
    )
    golden = ["0x1.d68ddap-2", "0x1.1e1b2p-3", "0x1.4bf406p+1", "0x1.b3197ap-3"]
    wanted = torch.tensor([float.fromhex(value) for value in golden]) * 0.01
    assert torch.equal(net.stem.linear.weight[:4], wanted)


def test_drawing_a_network_leaves_the_global_streams_alone():
    torch.manual_seed(0)
    np_state, want = np.random.get_state()[1].copy(), torch.rand(3)
    torch.manual_seed(0)
    population("mlp", WIRINGS[:2], **SMALL)
    assert torch.equal(torch.rand(3), want)
    np.testing.assert_array_equal(np.random.get_state()[1], np_state)


def steps(net, count: int = 3) -> torch.Tensor:
    """A few plain gradient steps; the last logits."""
    for step in range(count):
        logits, _ = run(net, images(seed=step))
        with torch.no_grad():
            for parameter in net.parameters():
                parameter -= 0.1 * parameter.grad
    return logits


def test_a_members_training_is_bitwise_the_same_in_any_company():
    pop = population("mlp", WIRINGS, seeds=[0, 1], **SMALL)
    shuffled = pop.keep([7, 2, 9, 4])
    together, few = steps(pop), steps(shuffled)
    for at in (0, 2, 4, 7, 9):
        member = pop.members[at]
        alone = build("mlp", member.wiring, seed=member.seed, **SMALL)
        logits = steps(alone)
        assert torch.equal(logits[0], together[at])
        assert same(state(alone), state(pop[at]))
    for place, at in enumerate([7, 2, 9, 4]):
        assert torch.equal(few[place], together[at])
        assert same(state(shuffled[place]), state(pop[at]))


def test_a_nan_in_one_member_stays_there():
    pop = population("mlp", WIRINGS[:3], **SMALL)
    clean = pop.keep(range(3))
    span = spans(pop.net)["hidden.0.linear.weight"]
    with torch.no_grad():
        pop.net.get_parameter("hidden.0.linear.weight")[span[1]] = float("nan")
    broken, sound = steps(pop), steps(clean)
    assert broken[1].isnan().any()
    for at in (0, 2):
        assert torch.equal(broken[at], sound[at])
        assert same(state(pop[at]), state(clean[at]))


def test_the_shapes_of_logits():
    pop = population("mlp", WIRINGS[:1], seeds=range(3), **SMALL)
    assert pop(images()).shape == (3, 19, 5)
    assert pop.features(images().flatten(1).t()).shape == (3, 5, 19)
    assert pop.keep([1])(images()).shape == (1, 19, 5)
    assert pop[1](images()).shape == (19, 5)


def test_spans_cover_every_tensor_member_by_member():
    pop = population("mlp", WIRINGS, **SMALL)
    tensors = state(pop.net)
    assert pop.spans.keys() == tensors.keys()
    for name, span in pop.spans.items():
        assert span[0] == 0
        assert span[-1] == len(tensors[name])
        sizes = [len(state(pop[m])[name]) for m in range(len(pop))]
        assert (span[1:] - span[:-1]).tolist() == sizes


def trained() -> Population:
    pop = shaken(population("mlp", WIRINGS, seeds=[0, 4], **SMALL))
    return pop.eval()


@pytest.mark.parametrize("ids", [[3], [0, 1], [9, 0, 4], [2, 2, 2], [-1, 0], range(10)])
def test_kept_members_are_in_the_order_asked_for_with_their_state(ids):
    pop = trained()
    kept = pop.keep(ids)
    assert len(kept) == len(list(ids))
    assert not kept.training
    logits = pop(images())
    for place, at in enumerate(ids):
        assert kept.members[place] == pop.members[at]
        assert same(state(kept[place]), state(pop[at]))
        assert torch.equal(kept(images())[place], logits[at])


def test_kept_members_are_copies():
    pop = trained()
    before = state(pop)
    shaken(pop.keep([0, 1]))
    shaken(pop[2])
    assert same(state(pop), before)


@pytest.mark.parametrize("sizes", [[10], [1, 9], [3, 4, 3], [1] * 10])
def test_splitting_and_merging_gives_the_same_bits_back(sizes):
    pop = trained()
    parts = pop.split(sizes)
    assert [len(part) for part in parts] == sizes
    merged = Population.merge(parts)
    assert merged.members == pop.members
    assert same(state(merged), state(pop))
    assert merged.training == pop.training
    assert torch.equal(merged(images()), pop(images()))
    fresh = population("mlp", WIRINGS, seeds=[0, 4], **SMALL)
    assert not same(state(fresh), state(pop))
    start = 0
    for part in parts:
        fresh.load(start, part)
        start += len(part)
    assert same(state(fresh), state(pop))


def test_loading_a_part_leaves_the_other_members_alone():
    pop, fresh = trained(), population("mlp", WIRINGS, seeds=[0, 4], **SMALL)
    before = [state(fresh[m]) for m in range(10)]
    fresh.load(4, pop.keep([4, 5]))
    for m in range(10):
        assert same(state(fresh[m]), state(pop[m]) if m in (4, 5) else before[m])


@pytest.mark.parametrize(("start", "ids"), [(9, [8, 9]), (-1, [9]), (10, [0]), (0, [2]), (1, [4])])
def test_loading_members_of_other_shapes_is_refused_and_changes_nothing(start, ids):
    pop = trained()
    before = state(pop)
    assert "`part`" in refusal(pop.load, start, shaken(pop.keep(ids)))
    assert same(state(pop), before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_parts_keep_the_dtype(dtype):
    pop = population("mlp", WIRINGS[:3], dtype=dtype, **SMALL)
    parts = [*pop.split([1, 2]), Population.merge(pop.split([2, 1]))]
    assert {t.dtype for part in parts for t in state(part).values()} == {dtype}
    assert pop(images().to(dtype)).dtype == dtype


def test_a_population_is_walked_member_by_member():
    pop = trained()
    nets = list(pop)
    assert len(nets) == len(pop) == 10
    assert all(same(state(net), state(pop[m])) for m, net in enumerate(nets))
    for bad in (10, -11):
        with pytest.raises(IndexError, match="no member"):
            pop[bad]


@settings(deadline=None, max_examples=15)
@given(
    nodes=st.integers(3, 12),
    degree=st.floats(0, 1),
    width=st.integers(12, 40),
    stem=st.integers(12, 30),
    hidden=st.integers(1, 3),
    seeds=st.lists(st.integers(-5, 2**70), min_size=1, max_size=3),
)
def test_any_population_holds_its_members_as_they_are_alone(
    nodes, degree, width, stem, hidden, seeds
):
    wiring = ws_flex(nodes=nodes, degree=2 + degree * (nodes - 3), rewire=0.5)
    given_shape = {"image": (7,), "classes": 3, "width": width, "stem": stem, "hidden": hidden}
    wirings = [wiring, None, ring(nodes=nodes)]
    pop = population("mlp", wirings, seeds=seeds, budget="none", **given_shape)
    x = images(6, (7,))
    logits = pop(x)
    for m, member in enumerate(pop.members):
        alone = build("mlp", member.wiring, seed=member.seed, budget="none", **given_shape)
        assert torch.equal(alone(x), logits[m])


# What is refused


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "mpl"}, ["`model`", "did you mean 'mlp'?", "resnet34"]),
        ({"model": "resnet9000"}, ["`model` 'resnet9000'", "mlp"]),
        ({"model": None}, ["`model`", "None"]),
        ({"budget": "flops"}, ["`budget`", "macs, params, none", "flops"]),
        ({"budget": 0}, ["`budget`", "at least 1", "0"]),
        ({"budget": -5}, ["`budget`", "-5"]),
        ({"budget": 1e6}, ["`budget`", "whole number", "1000000.0"]),
        ({"budget": True}, ["`budget`", "True"]),
        ({"budget": None}, ["`budget`", "None"]),
        ({"image": ()}, ["`image`", "()"]),
        ({"image": (3, 0, 4)}, ["`image`", "(3, 0, 4)"]),
        ({"image": (3, 4.5, 4)}, ["`image`", "4.5"]),
        ({"classes": 1}, ["`classes`", "at least 2", "1"]),
        ({"classes": 2.5}, ["`classes`", "2.5"]),
        ({"width": 0}, ["`width`", "0"]),
        ({"width": "512"}, ["`width`", "'512'"]),
        ({"stem": -1}, ["`stem`", "-1"]),
        ({"hidden": 0}, ["`hidden`", "0"]),
        ({"hidden": 1.0}, ["`hidden`", "1.0"]),
        ({"match": "close"}, ["`match`", "closest"]),
    ],
)
def test_a_bad_setting_is_refused_by_name(changes, words):
    settings = {"model": "mlp", **SMALL} | changes
    model = settings.pop("model")
    for call in (
        lambda: Build(model, **settings),
        lambda: build(model, WIRINGS[0], **settings),
        lambda: population(model, WIRINGS[:2], **settings),
    ):
        text = refusal(call)
        for word in words:
            assert word in text


@pytest.mark.parametrize("seed", [1.5, "0", None, True])
def test_a_seed_that_is_no_whole_number_is_refused(seed):
    for call in (
        lambda: build("mlp", WIRINGS[0], seed=seed, **SMALL),
        lambda: population("mlp", WIRINGS[:2], seeds=[0, seed], **SMALL),
        lambda: Member(Build(**SMALL).baseline, None, seed),
    ):
        text = refusal(call)
        assert "`seed`" in text
        assert repr(seed) in text


@pytest.mark.parametrize(
    ("widths", "name", "narrowest"),
    [({"width": 7}, "width", 7), ({"stem": 5}, "stem", 5), ({"width": 6, "stem": 6}, "stem", 6)],
)
@pytest.mark.parametrize("budget", ["macs", "params", "none", 9000])
def test_more_nodes_than_the_narrowest_layer_is_refused_by_its_name(
    widths, name, narrowest, budget
):
    text = refusal(build, "mlp", complete(nodes=8), budget=budget, **SMALL | widths)
    assert f"`{name}` = {narrowest}" in text
    assert "got 8 nodes" in text


@pytest.mark.parametrize("wiring", WIRINGS, ids=repr)
@pytest.mark.parametrize("budget", [1, 900, 961])
def test_a_budget_that_the_stem_alone_exceeds_is_refused(wiring, budget):
    text = refusal(build, "mlp", wiring, budget=budget, **SMALL)
    assert f"no width meets the budget of {budget:,}" in text


def test_a_budget_between_two_coarse_widths_is_refused_with_the_nearest():
    text = refusal(build, "mlp", image=(1,), stem=1, width=1, classes=100, budget=130)
    assert text.startswith("no width meets the budget of 130 within 5%; the nearest, 2, costs 211")


def test_a_population_needs_wirings_and_seeds():
    text = "at least one wiring and one seed; got 0 wirings and 1 seeds"
    assert text in refusal(population, "mlp", [], **SMALL)
    assert "got 2 wirings and 0 seeds" in refusal(population, "mlp", WIRINGS[:2], seeds=[], **SMALL)
    pop = population("mlp", WIRINGS[:2], **SMALL)
    assert "at least one" in refusal(Population, [])
    assert "at least one" in refusal(pop.keep, [])
    assert "at least one" in refusal(Population.merge, [])


def test_wirings_and_seeds_may_come_from_any_iterable():
    pop = population("mlp", (w for w in WIRINGS[:2]), seeds=iter([3, 1]), **SMALL)
    assert [member.seed for member in pop.members] == [3, 1, 3, 1]
    assert [member.wiring for member in pop.members] == [w for w in WIRINGS[:2] for _ in range(2)]


@pytest.mark.parametrize("changes", [{"classes": 6}, {"image": (3, 4, 5)}, {"hidden": 3}])
def test_members_of_one_population_agree_in_their_ends(changes):
    parts = [build_part(**SMALL), build_part(**SMALL | changes)]
    assert "must agree" in refusal(Population.merge, parts)


def build_part(**settings) -> Population:
    return population("mlp", WIRINGS[:1], **settings)


@pytest.mark.parametrize("sizes", [[], [9], [11], [0, 10], [-1, 11], [5, 6]])
def test_a_split_adds_up_to_the_whole(sizes):
    text = refusal(trained().split, sizes)
    assert "`sizes`" in text
    assert "10" in text


def test_a_population_takes_a_published_sample_as_it_comes():
    few = dict(list(published_sample().items())[:2])
    pop = population("mlp", few, seeds=[1, 2], width=64, stem=64)
    assert [m.seed for m in pop.members] == [1, 2, 1, 2]
    assert [m.wiring for m in pop.members[::2]] == list(few.values())


def test_one_where_several_are_needed_and_foreign_modules_are_refused():
    assert "`wirings` of a population must be several, such as [w]" in refusal(
        population, "mlp", ring(nodes=8)
    )
    assert "`seeds` of a population must be several, such as range(3); got 3" in refusal(
        population, "mlp", [ring(nodes=8)], seeds=3
    )
    assert "`net` of cost must be a network" in refusal(cost, torch.nn.Linear(2, 2))
