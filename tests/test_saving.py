"""Networks written to files and read again: the same bits, and no damaged file read as sound."""

from __future__ import annotations

import json
import pickle
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save as to_bytes

from refusals import refusal
from wireloom.models import ARCHITECTURES, Population, build, load, population, save
from wireloom.wiring import Wiring, complete, ring, ws_flex

pytestmark = pytest.mark.usefixtures("one_thread")
FLEX = ws_flex(nodes=7, degree=3.1, rewire=0.4, seed=3)
DIRECTED = Wiring.from_edges(5, [(0, 1), (1, 2), (2, 0), (3, 0), (4, 3)], directed=True)
SMALL = {"image": (3, 12, 10), "classes": 4, "width": 16, "stem": 16, "budget": "none"}


def shaken(net):
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            noise = 0.3 * torch.randn(tensor.shape, generator=generator).to(tensor)
            tensor += noise.abs() if name.endswith("variance") else noise
    return net


def same(one, other) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[k], theirs[k]) for k in mine)


@pytest.mark.parametrize("model", list(ARCHITECTURES))
@pytest.mark.parametrize("wiring", [None, FLEX, DIRECTED], ids=repr)
@pytest.mark.parametrize("training", [True, False])
def test_a_network_comes_back_with_the_same_bits(model, wiring, training, tmp_path):
    settings = SMALL | ({"width": 32} if model == "resnet50" else {})
    net = shaken(build(model, wiring, seed=5, **settings)).train(training)
    save(net, tmp_path / "net.safetensors")
    again = load(tmp_path / "net.safetensors")
    assert again.members == net.members
    assert again.training == training
    assert same(again, net)
    x = torch.randn(3, 3, 12, 10)
    with torch.no_grad():
        assert torch.equal(again(x), net(x))
    (member,) = again.members
    if wiring is not None:
        assert member.wiring.origin == wiring.origin


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_population_comes_back_whole(dtype, tmp_path):
    wirings = [FLEX, ring(nodes=5), DIRECTED, None, FLEX, complete(nodes=3)]
    pop = shaken(population("mlp", wirings, seeds=[1, 9], dtype=dtype, **SMALL))
    save(pop, tmp_path / "pop.safetensors")
    again = load(tmp_path / "pop.safetensors")
    assert isinstance(again, Population)
    assert again.members == pop.members
    assert same(again, pop)
    assert {t.dtype for t in again.state_dict().values()} == {dtype}


def test_the_file_is_read_by_safetensors_alone(tmp_path):
    net = build("cnn6", FLEX, **SMALL)
    save(net, tmp_path / "net.safetensors")
    with safe_open(tmp_path / "net.safetensors", framework="numpy") as file:
        assert set(file.keys()) == set(net.state_dict())
        header = json.loads(file.metadata()["networks"])
    assert header["members"][0]["seed"] == 0
    assert header["wirings"][0]["nodes"] == 7


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "net.safetensors"
    net = build("mlp", FLEX, **SMALL)
    save(net, path)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space"):
        save(shaken(net), path)
    assert path.read_bytes() == before


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    """A file that is sound; the order of its header differs from one `save` to the next."""
    path = tmp_path_factory.mktemp("sound") / "net.safetensors"
    save(build("mlp", FLEX, **SMALL), path)
    return path


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_a_damaged_file_is_one_sentence(data, sound):
    path, whole = sound.with_name("damaged.safetensors"), bytearray(sound.read_bytes())
    if data.draw(st.booleans()):
        del whole[data.draw(st.integers(0, len(whole) - 1)) :]
    else:
        for _ in range(data.draw(st.integers(1, 3))):
            whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(whole)
    try:
        net = load(path)
    except ValueError as error:
        assert str(path) in str(error)  # noqa: PT017
        assert "\n" not in str(error)  # noqa: PT017
    else:  # what was changed is no more than the name or value of what nobody reads
        assert same(net, build("mlp", FLEX, **SMALL))
        assert net.members == build("mlp", FLEX, **SMALL).members


@pytest.mark.parametrize("digest", [b'"digest"', b'"digesu"'], ids=["known", "nameless"])
def test_a_bit_of_a_tensor_is_missed(digest, sound):
    path, whole = sound.with_name("damaged.safetensors"), bytearray(sound.read_bytes())
    whole[-3] ^= 4
    path.write_bytes(whole.replace(b'"digest"', digest, 1))
    assert refusal(load, path).endswith(
        "is damaged or no network: its contents do not fit its digest"
    )


def test_the_header_has_versions(sound):
    with safe_open(sound, framework="pt") as file:
        metadata = file.metadata()
    assert metadata["wireloom"] == version("wireloom")
    assert metadata["torch"] == torch.__version__


def test_another_dtype_on_the_way_in(tmp_path):
    path, net = tmp_path / "net.safetensors", build("mlp", FLEX, **SMALL)
    save(net, path)
    again = load(path, dtype=torch.bfloat16)
    assert {p.dtype for p in again.parameters()} == {torch.bfloat16}
    assert same(again, net.to(torch.bfloat16))
    assert "floating point numbers; got torch.int8" in refusal(load, path, dtype=torch.int8)


def changed(path, change) -> None:
    """The file with its header or tensors changed."""
    with safe_open(path, framework="pt") as file:
        metadata = dict(file.metadata())
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    header = json.loads(metadata["networks"])
    change(metadata, header, tensors)
    if "networks" in metadata:
        metadata["networks"] = json.dumps(header)
    path.write_bytes(to_bytes(tensors, metadata=metadata))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m, h, t: m.update(version="2"), "format version 2; this Wireloom reads 1"),
        (lambda m, h, t: m.update(format="other"), "no network that wireloom.save wrote"),
        (lambda m, h, t: t.pop("stem.norm.scale"), "lacks the tensor stem.norm.scale"),
        (lambda m, h, t: t.update(more=torch.ones(2)), "has the tensor more"),
        (
            lambda m, h, t: t.update({"stem.norm.scale": torch.ones(3)}),
            "stem.norm.scale must have shape [16]; it has [3]",
        ),
        (lambda m, h, t: h["wirings"][0]["edges"].pop(), "do not fit its digest"),
        (lambda m, h, t: h["members"][0].update(wiring=4), "damaged or no network"),
        (lambda m, h, t: h["members"][0]["shape"].update(model="vgg"), "'vgg' is not known"),
        (lambda m, h, t: h.pop("members"), "damaged or no network"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(change, words, tmp_path):
    path = tmp_path / "net.safetensors"
    save(build("mlp", FLEX, **SMALL), path)
    changed(path, change)
    text = refusal(load, path)
    assert words in text
    assert str(path) in text


def test_other_files_are_refused(tmp_path):
    assert "cannot be read" in refusal(load, tmp_path / "none.safetensors")
    foreign = tmp_path / "foreign.safetensors"
    foreign.write_bytes(to_bytes({"weight": torch.ones(2)}))
    assert "no network that wireloom.save wrote" in refusal(load, foreign)
    pickled = tmp_path / "net.pt"
    pickled.write_bytes(pickle.dumps({"weight": 1}))
    assert "damaged or no network" in refusal(load, pickled)
    assert "Linear" in refusal(save, torch.nn.Linear(2, 2), tmp_path / "x")
