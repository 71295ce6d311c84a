"""`rewire` at a budget: models in the common layouts, counted, against their dense selves."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from refusals import refusal
from wireloom.models import rewire, rewired
from wireloom.models.rewiring.groups import trace
from wireloom.nn import WiredConv2d, WiredLinear
from wireloom.wiring import complete, ws_flex

GRAPH = ws_flex(nodes=8, degree=3, rewire=0.3, seed=1)


def block(into: int, out: int, size: int = 3, **rest: Any) -> nn.Sequential:
    """Convolution, normalisation, ReLU."""
    conv = nn.Conv2d(into, out, size, padding=size // 2, bias=False, **rest)
    return nn.Sequential(conv, nn.BatchNorm2d(out), nn.ReLU(inplace=True))


def head(width: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10)]


class Residual(nn.Module):
    """Two blocks, and the input as it is or by a projection."""

    def __init__(self, into: int, out: int, **rest: Any) -> None:
        super().__init__()
        self.a, self.b = block(into, out, **rest), block(out, out, **rest)
        self.short = None if into == out else nn.Conv2d(into, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.b(self.a(x))
        return F.relu(y + (x if self.short is None else self.short(x)))


class Growing(nn.Module):
    """Concatenation of all before (DenseNet)."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = block(32, 24), block(56, 24)
        self.join = block(80, 40, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([x, self.a(x)], 1)
        x = torch.cat((x, self.b(x)), dim=1)
        return self.join(x)


class Inverted(nn.Module):
    """Expand, depthwise, squeeze and excite, project, add (MobileNetV2, EfficientNet)."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.deep = block(32, 96, 1), block(96, 96, groups=96)
        self.squeeze, self.excite = nn.Conv2d(96, 16, 1), nn.Conv2d(16, 96, 1)
        self.down, self.norm = nn.Conv2d(96, 32, 1, bias=False), nn.BatchNorm2d(32)

    def forward(self, x: Tensor) -> Tensor:
        y = self.deep(self.up(x))
        weight = self.excite(torch.relu(self.squeeze(y.mean((2, 3), keepdim=True)))).sigmoid()
        return x + self.norm(self.down(y * weight))


class Modern(nn.Module):
    """Depthwise 7x7, LayerNorm on channels last, an MLP, a scale for each channel (ConvNeXt)."""

    def __init__(self) -> None:
        super().__init__()
        self.deep, self.norm = nn.Conv2d(32, 32, 7, padding=3, groups=32), nn.LayerNorm(32)
        self.up, self.down = nn.Linear(32, 128), nn.Linear(128, 32)
        self.gamma = nn.Parameter(torch.full((32,), 0.1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.deep(x).permute(0, 2, 3, 1))
        y = self.gamma * self.down(F.gelu(self.up(y)))
        return x + y.permute(0, 3, 1, 2)


class Transformer(nn.Module):
    """Attention by torch, and an MLP of its own beside it (ViT)."""

    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.zeros(1, 16, 32))
        self.first, self.second = nn.LayerNorm(32), nn.LayerNorm(32)
        self.attend = nn.MultiheadAttention(32, 4, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(32, 128), nn.GELU(), nn.Linear(128, 32))

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(2).transpose(1, 2) + self.place
        y = self.first(x)
        x = x + self.attend(y, y, y, need_weights=False)[0]
        x = x + self.mlp(self.second(x))
        return x.transpose(1, 2).unflatten(2, (4, 4))


class UNet(nn.Module):
    """Down and up again, with a skip by concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = block(32, 32), block(32, 64), block(96, 32)

    def forward(self, x: Tensor) -> Tensor:
        wide = self.a(x)
        deep = self.b(F.max_pool2d(wide, 2))
        return self.c(torch.cat([F.interpolate(deep, scale_factor=2), wide], 1))


class Mixer(nn.Module):
    """Mixing across places, then across channels."""

    def __init__(self) -> None:
        super().__init__()
        self.across, self.norm = (
            nn.Sequential(nn.Linear(16, 64), nn.GELU(), nn.Linear(64, 16)),
            None,
        )
        self.within = nn.Sequential(nn.Linear(32, 64), nn.GELU(), nn.Linear(64, 32))

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(2)  # [B, channels, places]
        x = x + self.across(x)
        x = x + self.within(x.transpose(1, 2)).transpose(1, 2)
        return x.reshape(x.shape[0], 32, 4, 4)


class Old(nn.Module):
    """A view of the maps as one row, in the code of old (AlexNet, VGG)."""

    def __init__(self, row: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.body, self.hidden, self.row = block(32, 32), nn.Linear(32 * 16, 64), row

    def forward(self, x: Tensor) -> Tensor:
        x = self.row(self.body(x))
        return torch.relu(self.hidden(x))[:, :, None, None]


BODIES: dict[str, tuple[Callable[[], nn.Module], int]] = {  # with the channels that come out
    "plain": (lambda: nn.Sequential(block(32, 64), nn.MaxPool2d(2), block(64, 64)), 64),
    "residual": (lambda: nn.Sequential(Residual(32, 32), Residual(32, 48)), 48),
    "grouped": (lambda: nn.Sequential(block(32, 64, 1), block(64, 64, groups=4)), 64),
    "growing": (Growing, 40),
    "inverted": (Inverted, 32),
    "modern": (Modern, 32),
    "transformer": (Transformer, 32),
    "unet": (UNet, 32),
    "mixer": (Mixer, 32),
    "view": (lambda: Old(lambda x: x.view(x.size(0), -1)), 64),
    "reshape": (lambda: Old(lambda x: x.reshape((x.shape[0], -1))), 64),
    "written": (lambda: Old(lambda x: x.view(-1, 512)), 64),
}
# Widths that move by four channels, and a single width that can change, by 1.4 % a channel.
COARSE = {"grouped": 0.01, "written": 0.014}
IMAGES = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))


def made(body: str) -> nn.Module:
    make, width = BODIES[body]
    torch.manual_seed(1)
    return nn.Sequential(*block(3, 32), make(), *head(width))


def counted(model: nn.Module) -> int:
    """Multiply-adds of a forward pass, by torch's counter."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        copy.deepcopy(model).eval()(IMAGES)
    total = counter.get_total_flops()
    assert total % 2 == 0
    return total // 2


def layers(model: nn.Module) -> int:
    """Multiply-adds of a forward pass in linear layers and convolutions alone, by hooks."""
    found = 0

    def count(module: Any, _: object, y: Tensor) -> None:
        nonlocal found
        out = module.pattern.shape[0] if isinstance(module, WiredLinear | WiredConv2d) else (
            module.weight.shape[0]
        )  # fmt: skip
        found += module.weight.numel() * (y.numel() // out)

    kinds = (nn.Linear, nn.Conv2d, WiredLinear, WiredConv2d)
    trial = copy.deepcopy(model).eval()
    for module in trial.modules():
        if isinstance(module, kinds):
            module.register_forward_hook(count)
    with torch.no_grad():
        trial(IMAGES)
    return found


@pytest.mark.parametrize("match", ["closest", "under", "over"])
@pytest.mark.parametrize("body", BODIES)
def test_the_wired_model_costs_what_the_dense_one_does(body: str, match: str) -> None:
    model = made(body)
    before = copy.deepcopy(model.state_dict())
    wired = rewire(model, GRAPH, budget="macs", match=match, example=IMAGES)
    table = rewired(wired)
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert table.macs == (layers(model), layers(wired))
    off = table.macs[1] / table.macs[0] - 1
    assert abs(off) <= COARSE.get(body, 0.005), table
    assert off <= 0 or match != "under"
    assert off >= 0 or match != "over"
    if body != "transformer":  # the counter sees attention's products too
        assert table.macs == (counted(model), counted(wired))
    assert sum(row.wired for row in table.rows) >= 1
    wired(IMAGES).square().sum().backward()
    assert all(p.grad is not None for p in wired.parameters() if p.requires_grad)
    assert wired(IMAGES).shape == (2, 10)


def became(body: str) -> dict[str, tuple[int, int]]:
    table = rewired(rewire(made(body), GRAPH, budget="macs", example=IMAGES))
    return {row.module: row.became for row in table.rows}


def test_channels_that_meet_stay_equal() -> None:
    found = became("residual")
    assert found["0"][0] == found["3.0.a.0"][1] == found["3.0.b.0"][0]
    assert found["3.1.short"] == (found["3.1.b.0"][0], found["0"][0])
    found = became("growing")
    assert found["3.b.0"][1] == found["0"][0] + found["3.a.0"][0]
    assert found["3.join.0"][1] == found["3.b.0"][1] + found["3.b.0"][0]
    found = became("inverted")
    assert found["3.deep.0"] == (found["3.up.0"][0],) * 2 == (found["3.excite"][0],) * 2
    assert found["3.down"][0] == found["0"][0] > 32
    assert all(width % 4 == 0 for width in became("grouped")["3.1.0"])
    assert became("view")["3.hidden"][1] == 16 * became("view")["3.body.0"][0]


def test_what_cannot_be_followed_keeps_its_width_and_says_why() -> None:
    def fixed(body: str) -> dict[str, str]:
        table = rewired(rewire(made(body), GRAPH, budget="macs", example=IMAGES))
        for row in table.rows:
            assert (row.became[0] == row.channels[0]) or not row.fixed
        assert str(table).count("its width") == sum(bool(row.fixed) for row in table.rows)
        return {row.module: row.fixed for row in table.rows}

    assert fixed("written")["3.body.0"] == "is given sizes that are written in the code"
    assert fixed("transformer")["3.mlp.0"] == ""
    assert "MultiheadAttention" in fixed("transformer")["0"]
    assert fixed("plain")["6"] == "is what the model gives out"
    assert fixed("mixer")["3.across.0"] == ""
    assert "written in the code" in fixed("mixer")["3.within.2"]


def test_a_complete_wiring_needs_no_other_widths() -> None:
    for body in BODIES:
        model = made(body)
        wired = rewire(model, complete(nodes=8), budget="macs", example=IMAGES)
        table = rewired(wired)
        assert all(row.became == row.channels for row in table.rows)
        assert table.macs is not None
        assert table.macs[0] == table.macs[1]
        kept = {row.module for row in table.rows if row.wired}
        for name, value in model.state_dict().items():
            if name.rpartition(".")[0] not in kept:
                assert torch.equal(wired.state_dict()[name], value)


def test_a_budget_of_parameters() -> None:
    for body in ("plain", "residual", "modern", "transformer"):
        model = made(body)
        wired = rewire(model, GRAPH, budget="params", match="under", example=IMAGES)
        sizes = [sum(p.numel() for p in net.parameters()) for net in (model, wired)]
        assert 0 <= 1 - sizes[1] / sizes[0] <= 0.005
        assert rewired(wired).params[1] <= rewired(wired).params[0]


@settings(max_examples=25, deadline=None)
@given(
    widths=st.lists(st.integers(12, 90), min_size=2, max_size=5),
    degree=st.floats(2, 6.9),
    seed=st.integers(0, 5),
)
def test_any_mlp_meets_the_budget(widths: list[int], degree: float, seed: int) -> None:
    sizes = [6, *widths, 4]
    model = nn.Sequential()
    for into, out in pairwise(sizes):
        model.extend([nn.Linear(into, out), nn.BatchNorm1d(out), nn.ReLU()])
    wiring = ws_flex(nodes=8, degree=degree, rewire=0.3, seed=seed)
    wired = rewire(model, wiring, budget="macs", match="closest", example=torch.zeros(3, 6))
    macs = rewired(wired).macs
    assert macs is not None
    assert macs[0] == 3 * sum(a * b for a, b in pairwise(sizes))
    assert abs(macs[1] / macs[0] - 1) <= 0.05
    if len(widths) > 2:
        assert abs(macs[1] / macs[0] - 1) <= 0.005
    assert wired(torch.zeros(2, 6)).shape == (2, 4)


def test_resized_values_start_as_said() -> None:
    model = made("modern")
    nn.init.zeros_(model[1].weight)  # a normalisation that starts silent stays so
    model[0].weight.requires_grad_(False)
    first, other, third = (
        rewire(model, GRAPH, budget="macs", example=IMAGES, seed=s) for s in (1, 1, 2)
    )
    state = first.state_dict()
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in state.items())
    assert not torch.equal(state["0.weight"], third.state_dict()["0.weight"])
    assert not first.get_parameter("0.weight").requires_grad
    assert not state["1.weight"].any()
    assert state["1.running_var"].eq(1).all()
    gamma = state["3.gamma"]
    assert len(gamma) == len(state["1.weight"]) > 32
    torch.testing.assert_close(gamma, torch.full_like(gamma, 0.1))
    bound = 27**-0.5  # of torch's own draws
    assert 0.9 * bound < state["0.weight"].abs().max() <= bound


class Deciding(nn.Module):
    """A forward function that looks at values."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        return self.a(x) if x.mean() > 0 else self.a(-x)


class Stubborn(nn.Module):
    """A size in the code that no trace shows."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.b(self.a(x)))
        return self.c(y * torch.arange(16.0))


def test_bad_input() -> None:
    model, x = made("plain"), IMAGES

    def said(net: Any = model, **rest: Any) -> str:
        given = {"budget": "macs", "example": x, "keep": ()} | rest
        return refusal(rewire, net, GRAPH, **given)

    assert "`example` of rewire must be given with a budget of multiply-adds" in said(example=None)
    assert "distilled at their own widths alone" in said(distil=True)
    assert "`budget` of rewire must be one of none, macs, params; got 'mac'" in said(budget="mac")
    assert "`match` of rewire must be one of closest, under, over" in said(match="published")
    words = said(Deciding(), example=torch.ones(2, 16))
    assert "`model` of rewire must be traceable by torch.fx for a budget; Deciding is not" in words
    assert 'With budget="none" it is wired at its own widths' in words
    lone = nn.Sequential(nn.Linear(16, 16))
    assert "must have a layer whose width can change" in said(lone, example=torch.ones(2, 16))
    assert "must be an input of the model" in said(example=torch.ones(2, 5))


def test_a_size_in_the_code_keeps_the_width_or_is_said() -> None:
    wired = rewire(Stubborn(), GRAPH, budget="macs", example=torch.ones(2, 16), keep="c")
    assert wired(torch.ones(2, 16)).shape == (2, 4)
    rows = {row.module: row for row in rewired(wired).rows}
    assert rows["b"].became[0] == 16
    assert rows["a"].became[0] > 16


def test_a_trace_tells_groups_apart() -> None:
    found = trace(made("residual").eval(), (IMAGES,))
    free = [g for g in found.groups.values() if not g.pinned]
    assert sorted(g.width for g in free) == [32, 32, 32 + 16, 48]
