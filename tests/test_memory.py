"""What training holds in memory at equal multiply-adds, beside the dense baseline in torch."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from wireloom.compute import Window, convolution_features
from wireloom.compute.pattern import Pattern
from wireloom.compute.plan import plan
from wireloom.models import Population, build
from wireloom.training import Recipe
from wireloom.training.optimiser import Optimiser
from wireloom.wiring import published_sample, ws_flex

BATCH = 64
WIRINGS = [published_sample(64, 52)[i] for i in list(published_sample(64, 52))[::9]]


def held(net, x: torch.Tensor) -> int:
    """Bytes that a forward pass keeps for the backward one, parameters apart, each storage once."""
    own = {p.untyped_storage().data_ptr() for p in net.parameters()}
    seen: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own and tensor.is_floating_point():
            seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        y = net(x)
    kept = sum(seen.values())
    y.sum().backward()
    return kept


def dense_mlp(width: int, hidden: int) -> nn.Module:
    layers: list[nn.Module] = []
    sizes = [192, *[width] * (hidden + 1)]
    for into, out in itertools.pairwise(sizes):
        layers += [nn.Linear(into, out, bias=False), nn.BatchNorm1d(out), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, 10))


@pytest.mark.parametrize("wiring", WIRINGS, ids=lambda w: f"density {w.density:.2f}")
def test_weights_gradients_and_optimiser_are_the_dense_ones(wiring):
    width, hidden = 256, 4
    net = build("mlp", wiring, image=(3, 8, 8), width=width, stem=width, hidden=hidden)
    dense = dense_mlp(width, hidden)
    x = torch.randn(BATCH, 192)
    held(net, x)
    population = Population(net)
    optimiser = Optimiser(population, Recipe())
    optimiser.step(0)
    ours = sum(p.nbytes + p.grad.nbytes for p in net.parameters())
    ours += sum(t.nbytes for slot in optimiser.state.values() for t in slot.values())
    theirs = sum(3 * p.nbytes for p in dense.parameters())
    assert ours <= 1.05 * theirs
    weights = [unit.core for unit in net.modules() if type(unit).__name__ == "Unit"]
    assert ours >= 3 * 4 * sum(core.pattern.weights for core in weights)


@pytest.mark.parametrize("wiring", WIRINGS, ids=lambda w: f"density {w.density:.2f}")
def test_activations_grow_as_the_widths_and_no_more(wiring):
    width, hidden = 256, 4
    net = build("mlp", wiring, image=(3, 8, 8), width=width, stem=width, hidden=hidden)
    x = torch.randn(BATCH, 192)
    ours, theirs = held(net, x), held(dense_mlp(width, hidden), x)
    wired = net.members[0].shape.width
    features = (width + hidden * wired) / ((hidden + 1) * width)
    assert ours <= features * theirs


@pytest.mark.parametrize("size", [56, 14])
def test_a_convolution_keeps_its_input_alone(size):
    pattern = Pattern.from_wiring(ws_flex(nodes=16, degree=4, rewire=0.2), out=48, into=32)
    weight = torch.randn(pattern.weights * 9, requires_grad=True)
    x = torch.randn(32, 4, size, size, requires_grad=True)
    kept: list[int] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor.nbytes)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        convolution_features(pattern, Window.of(3, padding=1), weight, x)
    assert sum(kept) == x.nbytes + weight.nbytes + plan(pattern).words.nbytes


def test_a_plan_is_smaller_than_the_weights():
    for block, most in ((1, 3.0), (2, 1.0), (3, 1.0), (8, 1.0)):
        for wiring in WIRINGS:
            width = 64 * block
            pattern = Pattern.from_wiring(wiring, out=width, into=width)
            assert plan(pattern).words.nbytes <= most * 4 * pattern.weights
