"""Networks for other programs: ONNX checked by onnxruntime, torch alone, tensors alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from refusals import refusal
from wireloom.cli import main
from wireloom.models import Net, build, export, exporting, population, save, to_torch
from wireloom.wiring import ws_flex

if os.environ.get("WIRELOOM_REQUIRE"):
    import onnxruntime
else:
    onnxruntime = pytest.importorskip("onnxruntime")

FLEX = ws_flex(nodes=7, degree=3.1, rewire=0.4, seed=3)
SMALL = {"image": (3, 12, 10), "classes": 4, "width": 16, "stem": 16, "budget": "none"}


def noisy(model: str) -> Net:
    """A network whose every parameter and running value is off its start."""
    net = build(model, FLEX, seed=5, **SMALL)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            noise = 0.3 * torch.randn(tensor.shape, generator=generator)
            tensor += noise.abs() if name.endswith("variance") else noise
    return net.eval()


@pytest.mark.parametrize("model", ["mlp", "cnn6", "resnet34_sep"])
def test_onnxruntime_gives_the_same_logits(model, tmp_path):
    net = noisy(model)
    export(net, tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    for batch in (1, 5):
        x = torch.randn(batch, 3, 12, 10)
        (found,) = session.run(["logits"], {"images": x.numpy()})
        with torch.no_grad():
            want = net(x)
        assert want.abs().max() > 0.01
        torch.testing.assert_close(torch.from_numpy(found), want, rtol=1e-3, atol=1e-3)


STRANGER = """
import sys
sys.modules["wireloom"] = None  # whoever imports it fails
import torch
from safetensors.torch import load_file
module = torch.export.load(sys.argv[1]).module()
given = load_file(sys.argv[2])
with torch.no_grad():
    for batch in (1, 5):
        found = module(given["x"][:batch])
        torch.testing.assert_close(found, given["logits"][:batch], rtol=1e-3, atol=1e-3)
print("the same")
"""


@pytest.mark.parametrize("model", ["mlp", "resnet34_sep"])
def test_a_program_runs_where_wireloom_is_not(model, tmp_path):
    net = noisy(model)
    export(net, tmp_path / "net.pt2")
    x = torch.randn(5, 3, 12, 10)
    with torch.no_grad():
        save_file({"x": x, "logits": net(x).contiguous()}, tmp_path / "given.safetensors")
    words = [sys.executable, "-c", STRANGER, "net.pt2", "given.safetensors"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "the same\n", done.stderr


def test_tensors_alone_are_those_of_the_plain_module(tmp_path):
    net = noisy("cnn6")
    export(net, tmp_path / "net.safetensors")
    state = to_torch(net, fold=True).state_dict()
    found = load_file(tmp_path / "net.safetensors")
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], value) for name, value in state.items())


@pytest.mark.parametrize("ending", ["onnx", "pt2", "safetensors"])
def test_the_command_writes_and_compares(ending, tmp_path, capsys):
    save(noisy("cnn6"), tmp_path / "net.safetensors")
    out = tmp_path / f"out.{ending}"
    assert main(["export", str(tmp_path / "net.safetensors"), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    off, largest = re.findall(r"logits: ([^,]+), of (\S+)", said)[0]
    assert float(off) <= 1e-3 * float(largest)
    assert f"written: {out} ({out.stat().st_size:,} bytes)" in said


def test_the_command_takes_one_of_a_population(tmp_path, capsys):
    pop = population("mlp", [FLEX, None], **SMALL)
    save(pop, tmp_path / "pop.safetensors")
    words = ["export", str(tmp_path / "pop.safetensors"), "--out", str(tmp_path / "one.pt2")]

    def refused(*more: str) -> str:
        assert main([*words, *more]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        return said

    assert "holds a population of 2; name one by `--member` 0 to 1" in refused()
    assert "`--member` must be in 0..1; got 2" in refused("--member", "2")
    words[1] = str(tmp_path / "none.safetensors")
    assert "none.safetensors cannot be read" in refused()
    save(pop[0], words[1])
    assert "`--member` is for populations" in refused("--member", "0")
    words[1] = str(tmp_path / "pop.safetensors")
    assert main([*words, "--member", "1"]) == 0
    program = torch.export.load(tmp_path / "one.pt2").module()
    x = torch.randn(2, 3, 12, 10)
    torch.testing.assert_close(program(x), pop[1].eval()(x), rtol=1e-4, atol=1e-4)


def test_what_cannot_be_exported_is_refused(tmp_path, monkeypatch):
    net = build("mlp", FLEX, **SMALL)
    said = refusal(export, net, tmp_path / "net.pt")
    assert "must end in .onnx, .pt2, .safetensors; got" in said
    pop = population("mlp", [FLEX, None], **SMALL)
    assert "2 of them" in refusal(export, pop, tmp_path / "net.onnx")
    monkeypatch.setattr(exporting, "find_spec", lambda name: None)
    text = refusal(export, net, tmp_path / "net.onnx")
    assert "onnx and onnxscript" in text
    assert "wireloom[export]" in text
    assert not list(tmp_path.iterdir())
