"""Networks as ONNX, checked by onnxruntime."""

from __future__ import annotations

import os

import pytest
import torch

from refusals import refusal
from wireloom.models import build, export, exporting, population
from wireloom.wiring import ws_flex

if os.environ.get("WIRELOOM_REQUIRE"):
    import onnxruntime
else:
    onnxruntime = pytest.importorskip("onnxruntime")

FLEX = ws_flex(nodes=7, degree=3.1, rewire=0.4, seed=3)
SMALL = {"image": (3, 12, 10), "classes": 4, "width": 16, "stem": 16, "budget": "none"}


@pytest.mark.parametrize("model", ["mlp", "cnn6", "resnet34_sep"])
def test_onnxruntime_gives_the_same_logits(model, tmp_path):
    net = build(model, FLEX, seed=5, **SMALL)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            noise = 0.3 * torch.randn(tensor.shape, generator=generator)
            tensor += noise.abs() if name.endswith("variance") else noise
    net.eval()
    export(net, tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    for batch in (1, 5):
        x = torch.randn(batch, 3, 12, 10)
        (found,) = session.run(["logits"], {"images": x.numpy()})
        with torch.no_grad():
            want = net(x)
        assert want.abs().max() > 0.01
        torch.testing.assert_close(torch.from_numpy(found), want, rtol=1e-3, atol=1e-3)


def test_what_cannot_be_exported_is_refused(tmp_path, monkeypatch):
    net = build("mlp", FLEX, **SMALL)
    assert "must end in .onnx" in refusal(export, net, tmp_path / "net.pt")
    pop = population("mlp", [FLEX, None], **SMALL)
    assert "2 of them" in refusal(export, pop, tmp_path / "net.onnx")
    monkeypatch.setattr(exporting, "find_spec", lambda name: None)
    text = refusal(export, net, tmp_path / "net.onnx")
    assert "onnx and onnxscript" in text
    assert "wireloom[export]" in text
    assert not list(tmp_path.iterdir())
