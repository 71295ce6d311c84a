"""`rewire`: against masked dense models, on models in the common layouts."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from refusals import refusal
from wireloom.compute import Pattern
from wireloom.models import rewire, rewired
from wireloom.nn import WiredConv2d, WiredLinear
from wireloom.wiring import Wiring, complete, connectome, ring, ws_flex

GRAPH = ws_flex(nodes=8, degree=4, rewire=0.3, seed=1)


class Basic(nn.Module):
    """A residual block: two 3x3 convolutions, or 1x1, 3x3, 1x1."""

    def __init__(self, into: int, out: int, stride: int, *, bottleneck: bool) -> None:
        super().__init__()
        inner = 12
        sizes = [(into, inner, 1), (inner, inner, 3), (inner, out, 1)]
        sizes = sizes if bottleneck else [(into, inner, 3), (inner, out, 3)]
        self.body = nn.Sequential()
        for i, (a, b, k) in enumerate(sizes):
            step = stride if i == len(sizes) - 2 else 1
            self.body.append(nn.Conv2d(a, b, k, step, k // 2, bias=False))
            self.body.append(nn.BatchNorm2d(b))
        self.short = nn.Conv2d(into, out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.short(x))


class Dense(nn.Module):
    """Concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(16, 10, 3, padding="same"), nn.Conv2d(26, 10, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([x, torch.relu(self.a(x))], 1)
        return torch.cat([x, self.b(x)], 1)


class Inverted(nn.Module):
    """1x1, depthwise, 1x1."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.deep = nn.Conv2d(16, 32, 1), nn.Conv2d(32, 32, 3, padding=1, groups=32)
        self.down = nn.Conv2d(32, 16, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down(F.relu6(self.deep(F.relu6(self.up(x)))))


class UNet(nn.Module):
    """Down, up, and a skip."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(16, 16, 3, padding=1), nn.Conv2d(16, 24, 3, 2, 1)
        self.up, self.c = (
            nn.ConvTranspose2d(24, 16, 2, 2),
            nn.Conv2d(32, 16, (3, 1), padding=(1, 0)),
        )

    def forward(self, x: Tensor) -> Tensor:
        skip = torch.relu(self.a(x))
        return self.c(torch.cat([skip, self.up(torch.relu(self.b(skip)))], 1))


class Attention(nn.Module):
    """A transformer block on pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.mix = nn.LayerNorm(16), nn.MultiheadAttention(16, 2, batch_first=True)
        self.up, self.down = nn.Linear(16, 40), nn.Linear(40, 16)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        y = self.norm(tokens)
        tokens = tokens + self.mix(y, y, y)[0]
        tokens = tokens + self.down(F.gelu(self.up(tokens)))
        return tokens.transpose(1, 2).unflatten(2, x.shape[2:])


class Mixer(nn.Module):
    """Linear layers over pixels, then over channels."""

    def __init__(self) -> None:
        super().__init__()
        self.pixels, self.channels = nn.Linear(64, 64), nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        y = x.flatten(2)
        y = y + self.pixels(y)
        y = y + self.channels(y.transpose(1, 2)).transpose(1, 2)
        return y.unflatten(2, x.shape[2:])


class Deciding(nn.Module):
    """What is computed depends on the data, and one layer is called again and again."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(16, 16, 3, padding=1), nn.Conv2d(16, 16, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.a(x))
        return self.b(self.b(x)) if x.mean() > -2 else self.a(x)


BODIES: dict[str, tuple[Callable[[], nn.Module], int, int]] = {  # channels out; layers wired
    "vgg": (
        lambda: nn.Sequential(*[nn.Conv2d(16, 16, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2)]),
        16,
        1,
    ),
    "basic": (lambda: Basic(16, 24, 2, bottleneck=False), 24, 3),
    "bottleneck": (lambda: Basic(16, 24, 2, bottleneck=True), 24, 4),
    "dense": (Dense, 36, 2),
    "inverted": (Inverted, 16, 2),
    "unet": (UNet, 16, 3),
    "attention": (Attention, 16, 2),
    "mixer": (Mixer, 16, 2),
    "deciding": (Deciding, 16, 2),
}


def made(body: str) -> nn.Module:
    make, width, _ = BODIES[body]
    torch.manual_seed(3)
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 5)]
    return nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), make(), *head).double()


def images() -> Tensor:
    return torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)).double()


def masked(model: nn.Module, wired: nn.Module, wiring: Wiring) -> nn.Module:
    """The dense model with the wired one's weights in their places and zeros elsewhere."""
    dense = copy.deepcopy(model)
    found = dict(wired.named_modules())
    with torch.no_grad():
        for name, layer in dense.named_modules():
            other = found[name]
            if isinstance(other, WiredLinear | WiredConv2d):
                assert isinstance(layer, nn.Linear | nn.Conv2d)
                out, into = layer.weight.shape[:2]
                mask = Pattern.from_wiring(wiring, out=out, into=into).mask()
                full = torch.zeros_like(layer.weight).reshape(out, into, -1)
                full[torch.from_numpy(mask)] = other.weight.reshape(int(mask.sum()), -1)
                layer.weight.copy_(full.view_as(layer.weight))
    return dense


@pytest.mark.parametrize("distil", [False, True])
@pytest.mark.parametrize("body", BODIES)
def test_outputs_and_gradients_are_those_of_the_masked_dense_model(body: str, distil: bool) -> None:
    model = made(body)
    before = copy.deepcopy(model.state_dict())
    wired = rewire(model, GRAPH, distil=distil, example=images())
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert sum(row.wired for row in rewired(wired).rows) == BODIES[body][2]
    dense = masked(model, wired, GRAPH)
    for net in (dense, wired):
        net(images()).square().sum().backward()
    torch.testing.assert_close(wired(images()), dense(images()), rtol=1e-10, atol=1e-12)
    theirs = dict(dense.named_parameters())
    for name, p in wired.named_parameters():
        if p.shape == theirs[name].shape and p.grad is not None:
            torch.testing.assert_close(p.grad, theirs[name].grad, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("body", BODIES)
def test_a_complete_wiring_distilled_is_the_dense_model(body: str) -> None:
    model = made(body)
    wired = rewire(model, complete(nodes=8), distil=True)
    torch.testing.assert_close(wired(images()), model(images()), rtol=1e-10, atol=1e-12)


def test_distilled_weights_are_the_dense_ones_by_the_root_of_the_density() -> None:
    layer = nn.Linear(16, 24).double()
    wired = rewire(layer, GRAPH, keep=(), distil=True)
    mask = Pattern.from_wiring(GRAPH, out=24, into=16).mask()
    wanted = layer.weight[torch.from_numpy(mask)] / mask.mean() ** 0.5
    torch.testing.assert_close(wired.get_parameter("weight"), wanted)


def test_a_directed_wiring() -> None:
    cortex = connectome("macaque-visual")
    model = nn.Sequential(nn.Linear(3, 64), nn.Linear(64, 50), nn.Linear(50, 4)).double()
    wired = rewire(model, cortex)
    x = torch.randn(6, 3, dtype=torch.float64)
    torch.testing.assert_close(wired(x), masked(model, wired, cortex)(x))


@pytest.mark.parametrize("body", BODIES)
def test_state_is_saved_and_loaded_and_copies_train_alike(body: str) -> None:
    first, other = (rewire(made(body), GRAPH, seed=s) for s in (1, 2))
    assert not torch.equal(first(images()), other(images()))
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file))
    twin = copy.deepcopy(first)
    assert rewired(twin) == rewired(first)
    for net in (first, other, twin):
        step = torch.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(2):
            step.zero_grad()
            loss = net(images()).square().mean()
            loss.backward()
            step.step()
    assert torch.equal(first(images()), twin(images()))
    assert all(
        torch.equal(a, b) for a, b in zip(twin.parameters(), first.parameters(), strict=True)
    )


def test_draws_do_not_depend_on_what_else_is_wired() -> None:
    some, all_ = (
        rewire(made("unet"), GRAPH, keep=["first", "last", "1.a"]),
        rewire(made("unet"), GRAPH),
    )
    kinds = [type(net.get_submodule("1.a")) for net in (some, all_)]
    assert kinds == [nn.Conv2d, WiredConv2d]
    assert torch.equal(some.get_parameter("1.b.weight"), all_.get_parameter("1.b.weight"))


def test_the_table_counts() -> None:
    model = made("deciding")
    model.eval()
    rows = {row.module: row for row in rewired(rewire(model, GRAPH, example=images())).rows}
    density = GRAPH.density  # 16 channels in 8 even blocks
    pixels = 4 * 64
    assert rows["1.b"].macs == (256 * pixels * 2, round(256 * density) * pixels * 2)  # called twice
    assert rows["1.a"].params == (2304 + 16, round(2304 * density) + 16)
    assert rows["4"].macs == (80 * 4, 80 * 4)
    assert rows["0"].why == rows["4"].why == "named in `keep`"
    shown = str(rewired(rewire(model, GRAPH)))
    assert "1.a" in shown
    assert "kept: named in `keep`" in shown


class Backwards(nn.Module):
    """Layers called in another order than that in which they are registered."""

    def __init__(self) -> None:
        super().__init__()
        self.end, self.mid, self.start = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.mid(self.start(x)))


def test_first_is_the_first_called_where_an_example_is_given() -> None:
    def kept(**options: Any) -> list[str]:
        rows = rewired(rewire(Backwards(), GRAPH, keep="first", **options)).rows
        return [row.module for row in rows if not row.wired]

    assert kept() == ["end"]
    assert kept(example=torch.zeros(1, 16)) == ["start"]


def hooked() -> nn.Module:
    layer = nn.Linear(16, 16)
    layer.register_forward_hook(lambda module, args, y: y)
    return layer


class Own(nn.Linear):
    """A user's class."""


KEPT: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "grouped": (lambda: nn.Conv2d(16, 16, 3, groups=4), "of 4 groups"),
    "depthwise": (lambda: nn.Conv2d(16, 16, 3, groups=16), "depthwise"),
    "reflect": (lambda: nn.Conv2d(16, 16, 3, padding=1, padding_mode="reflect"), "reflect"),
    "uneven": (lambda: nn.Conv2d(16, 16, 2, padding="same"), "one side"),
    "narrow": (lambda: nn.Linear(16, 7), "7 channels, fewer than the wiring's 8 nodes"),
    "normed": (lambda: parametrizations.weight_norm(nn.Linear(16, 16)), "parametrised"),
    "pruned": (lambda: prune.l1_unstructured(nn.Linear(16, 16), "weight", 0.5), "pruning"),
    "lazy": (lambda: nn.LazyLinear(16), "lazy"),
    "hooked": (hooked, "hooks"),
    "own": (lambda: Own(16, 16), "Own"),
    "conv1d": (lambda: nn.Conv1d(16, 16, 3), "Conv1d"),
    "encoder": (lambda: nn.TransformerEncoderLayer(16, 2, 32), "reads its weights itself"),
}


@pytest.mark.parametrize("kind", KEPT)
def test_kept_by_name_with_the_reason(kind: str) -> None:
    make, why = KEPT[kind]
    model = nn.ModuleDict({"x": make(), "free": nn.Linear(16, 16)})
    rows = rewired(rewire(model, GRAPH, keep=())).rows
    odd = [row for row in rows if row.module.startswith("x")]
    assert odd
    assert not any(row.wired for row in odd)
    assert any(why in row.why for row in odd)
    assert [row.module for row in rows if row.wired] == ["free"]


def test_tied_weights_are_kept_and_stay_tied() -> None:
    model = nn.ModuleDict({"words": nn.Embedding(20, 16), "out": nn.Linear(16, 20, bias=False)})
    model["out"].weight = model["words"].weight
    model["free"] = nn.Linear(16, 16)
    wired = rewire(model, GRAPH, keep=())
    assert wired.get_parameter("out.weight") is wired.get_parameter("words.weight")
    assert "shares" in rewired(wired).rows[0].why


def test_one_layer_under_two_names_is_replaced_under_both() -> None:
    layer = nn.Linear(16, 16)
    wired = rewire(nn.ModuleDict({"a": layer, "b": layer}), GRAPH, keep=())
    assert wired.get_submodule("a") is wired.get_submodule("b")
    assert isinstance(wired.get_submodule("b"), WiredLinear)


def test_frozen_stays_frozen_and_a_lone_layer_is_replaced() -> None:
    layer = nn.Linear(16, 16).requires_grad_(False).eval()
    wired = rewire(layer, GRAPH, keep=(), distil=True)
    assert isinstance(wired, WiredLinear)
    assert not wired.training
    assert wired.bias is not None
    assert not any(p.requires_grad for p in wired.parameters())
    assert torch.equal(wired.bias, layer.bias)


def test_bad_input() -> None:
    model: Any = made("vgg")
    wrong: Any = 3
    compiled: Any = torch.compile(model, backend="eager")
    for bad, words in [
        (lambda: rewire(model, GRAPH, keep="1.9"), ["`keep`", "'1.9'", "1.0"]),
        (lambda: rewire(model, ring(nodes=17)), ["17 nodes", "16 channels"]),
        (lambda: rewire(model, GRAPH, keep="*"), ["must have a layer", "named in `keep`"]),
        (lambda: rewire(nn.ReLU(), GRAPH), ["it has no layer"]),
        (lambda: rewire(wrong, GRAPH), ["`model`", "int"]),
        (lambda: rewire(model, wrong), ["`wiring`", "int"]),
        (lambda: rewire(compiled, GRAPH), ["compiled"]),
        (lambda: rewired(model), ["`model` of rewired", "Sequential"]),
    ]:
        said = refusal(bad)
        assert all(word in said for word in words), said
