"""Measured latency, and widths that meet it. No test depends on how fast the machine is."""

from __future__ import annotations

import time

import pytest
import torch
from torch import nn

from refusals import refusal
from wireloom.models import Build, build, latency, making
from wireloom.study import Plan
from wireloom.wiring import complete, ring, ws_flex

FLEX = ws_flex(nodes=8, degree=3.5, rewire=0.3, seed=1)
SMALL = {"image": (3, 8, 8), "classes": 4, "width": 16}


class Sleeper(nn.Module):
    """Takes at least some milliseconds, and counts its passes."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, ...]] = []
        self.modes: set[bool] = set()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(tuple(x.shape))
        self.modes.add(self.training)
        assert torch.is_inference_mode_enabled()
        time.sleep(0.004)
        return x


def test_a_latency_is_the_time_of_a_pass():
    net = Sleeper()
    found = latency(net, (3, 4, 4), batch=2, rounds=3)
    assert found >= 0.004  # a sleep is never shorter
    assert set(net.seen) == {(2, 3, 4, 4)}
    assert net.modes == {False}
    assert net.training
    assert len(net.seen) <= 2 + 3 * 5


@pytest.mark.parametrize("model", ["mlp", "cnn6"])
def test_a_network_knows_its_image(model):
    net = build(model, FLEX, **SMALL)
    assert 0 < latency(net, rounds=1) < 60
    assert net.training


@pytest.mark.parametrize("model", ["mlp", "cnn6", "resnet34"])
@pytest.mark.parametrize("slower", [0.2, 1.0, 4.0])
def test_the_widths_are_the_widest_that_are_as_fast(monkeypatch, model, slower):
    """With multiply-adds for seconds, wired ones some times as long."""

    def pretended(net: nn.Module) -> float:
        (member,) = net.members
        return member.cost().macs * (1.0 if member.wiring is None else slower)

    monkeypatch.setattr(making, "latency", pretended)
    making._matched.cache_clear()
    plan = Build(model, budget="latency", **SMALL)
    shape, base = plan.shape(FLEX), plan.baseline
    making._matched.cache_clear()
    goal = base.cost(None).macs
    assert slower * shape.cost(FLEX).macs <= goal or shape.width <= 8
    wider = max(shape.width + 1, round(shape.width * 1.05))
    ratios = tuple(round(wider * w / base.width) for w in base.widths)
    assert slower * making.replace(shape, widths=ratios).cost(FLEX).macs > goal


def test_the_dense_network_is_its_own_baseline():
    plan = Build(budget="latency", **SMALL)
    assert plan.shape(None) == plan.shape(complete(nodes=4)) == plan.baseline


def test_what_cannot_be_measured_is_refused():
    text = refusal(latency, nn.Linear(3, 2))
    assert "`image`" in text
    assert "Linear" in text
    assert "`batch`" in refusal(latency, nn.Linear(3, 2), (3,), batch=0)
    assert "`rounds`" in refusal(latency, nn.Linear(3, 2), (3,), rounds=1.5)


def test_a_study_refuses_a_budget_that_is_measured():
    text = refusal(Plan, data="digits", wirings=[ring(nodes=5)], budget="latency")
    assert "`budget` of a study" in text
