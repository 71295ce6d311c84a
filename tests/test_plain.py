"""Networks as plain torch modules: the same function, without a word of Wireloom in it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from refusals import refusal
from wireloom.models import ARCHITECTURES, build, population, to_torch
from wireloom.wiring import Wiring, ws_flex

pytestmark = pytest.mark.usefixtures("one_thread")
FLEX = ws_flex(nodes=7, degree=3.1, rewire=0.4, seed=3)
DIRECTED = Wiring.from_edges(5, [(0, 1), (1, 2), (2, 0), (3, 0), (4, 3)], directed=True)
SMALL = {"image": (3, 12, 10), "classes": 4, "width": 16, "stem": 16, "budget": "none"}


def made(model, wiring, **changes):
    settings = SMALL | ({"width": 32} if model == "resnet50" else {}) | changes
    net = build(model, wiring, seed=5, dtype=torch.float64, **settings)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            noise = 0.3 * torch.randn(tensor.shape, generator=generator).to(tensor)
            tensor += noise.abs() if name.endswith("variance") else noise
    return net


X = torch.randn(3, 3, 12, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("model", list(ARCHITECTURES))
@pytest.mark.parametrize("wiring", [None, FLEX, DIRECTED], ids=repr)
def test_the_plain_network_is_the_same_function(model, wiring):
    net = made(model, wiring).eval()
    with torch.no_grad():
        want = net(X)
        for fold in (False, True):
            copy = to_torch(net, fold=fold)
            assert not copy.training
            torch.testing.assert_close(copy(X), want, rtol=1e-9, atol=1e-9)
            norms = [m for m in copy.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
            assert bool(norms) == (not fold and model != "vit_tiny")


@pytest.mark.parametrize("model", list(ARCHITECTURES))
def test_the_plain_network_trains_as_it_does(model):
    net = made(model, FLEX).train()
    copy = to_torch(net)
    assert copy.training
    want, found = net(X), copy(X)
    torch.testing.assert_close(found, want, rtol=1e-9, atol=1e-9)
    want.square().sum().backward()
    found.square().sum().backward()
    named = dict(copy.named_parameters())
    most = max(p.grad.abs().max().item() for p in net.parameters())
    for name, unit in net.named_modules():
        if type(unit).__name__ != "Unit":
            continue
        kind = "linear" if unit.conv is None else "conv"
        mask = torch.from_numpy(unit.core.pattern.mask())
        theirs = named[f"{name}.{kind}.weight"].grad
        if theirs.shape[:2] == mask.shape:
            theirs = theirs[mask]
        torch.testing.assert_close(
            unit.core.weight.grad.view(-1), theirs.reshape(-1), rtol=1e-6, atol=1e-8 * most
        )


def test_a_copy_is_apart():
    net = made("cnn6", FLEX).eval()
    copy = to_torch(net)
    with torch.no_grad():
        before = net(X)
        for parameter in copy.parameters():
            parameter.zero_()
        assert torch.equal(net(X), before)


def test_it_runs_where_wireloom_is_not(tmp_path):
    net = made("efficientnet_b0", FLEX).eval()
    with torch.no_grad():
        want = net(X)
    torch.save(to_torch(net), tmp_path / "net.pt")
    torch.save({"x": X, "want": want}, tmp_path / "data.pt")
    program = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "wireloom":
            raise ImportError("wireloom is not here")
sys.meta_path.insert(0, Blocked())
import torch
torch.set_num_threads(1)
net = torch.load("net.pt", weights_only=False)
data = torch.load("data.pt", weights_only=True)
with torch.no_grad():
    torch.testing.assert_close(net(data["x"]), data["want"], rtol=1e-9, atol=1e-9)
assert not any(name.split(".")[0] == "wireloom" for name in sys.modules)
assert "wireloom" not in net.code
print("runs", len(net.state_dict()))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_WAIT_POLICY": "PASSIVE"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("runs")


def test_torch_exports_it():
    net = made("resnet34", FLEX).eval()
    batch = torch.export.Dim("batch", min=2)
    exported = torch.export.export(to_torch(net, fold=True), (X,), dynamic_shapes={"x": {0: batch}})
    with torch.no_grad():
        many = torch.cat([X, X.flip(3)])
        torch.testing.assert_close(exported.module()(many), net(many), rtol=1e-9, atol=1e-9)


def test_what_is_no_single_network_is_refused():
    pop = population("mlp", [FLEX, DIRECTED], **SMALL)
    assert "2 of them" in refusal(to_torch, pop)
    assert "Linear" in refusal(to_torch, nn.Linear(2, 2))
    assert torch.equal(
        to_torch(pop.keep([1]).eval())(X.float()), to_torch(pop[1].eval())(X.float())
    )
