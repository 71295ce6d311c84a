"""`wireloom train`: one network trained, kept, and resumed after a kill."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from importlib import import_module

import numpy as np
import pytest
import torch
from PIL import Image

from wireloom import training
from wireloom.base import InvalidValue
from wireloom.cli import main, watching
from wireloom.cli import training as cli_training
from wireloom.data import load as load_data
from wireloom.models import load, population, save
from wireloom.wiring import Wiring, ws_flex

SMALL = ["--data", "digits", "--limit", "256", "--width", "16", "--threads", "1", "--batch", "32"]
RUN = "import sys; from wireloom.cli import main; sys.exit(main(sys.argv[1:]))"
WIRED = ["--nodes", "8", "--degree", "3"]


@pytest.fixture
def call(capsys):
    def run(*words):
        before = torch.get_num_threads()
        try:
            code = main([str(word) for word in words])
        except SystemExit as stop:
            code = stop.code
        finally:
            torch.set_num_threads(before)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def curves(folder) -> list[dict[str, str]]:
    with (folder / "curves.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_network_is_trained_and_kept(call, tmp_path):
    code, out, err = call("train", *SMALL, *WIRED, "--epochs", 4, "--out", tmp_path / "net")
    assert (code, err) == (0, "")
    rows = curves(tmp_path / "net")
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3, 4]
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])
    assert out.count("epoch ") == 4
    net = load(tmp_path / "net" / "net.safetensors")
    assert not net.training
    assert net.members[0].wiring == ws_flex(nodes=8, degree=3, rewire=0.2, seed=0)
    data = load_data("digits")
    images = (data.test_images.float() - load_data("digits", limit=256).mean[:, None, None]) / (
        load_data("digits", limit=256).std[:, None, None]
    )
    with torch.no_grad():
        wrong = (net(images).argmax(1) != data.test_labels).double().mean()
    assert 100 * wrong.item() == pytest.approx(float(rows[-1]["test_error"]), abs=0.5)
    assert f"test error {float(rows[-1]['test_error']):.2f} %" in out


def test_the_wiring_of_a_kept_network_is_extracted(call, tmp_path):
    call("train", *SMALL, *WIRED, "--hidden", 2, "--epochs", 1, "--out", tmp_path / "net")
    words = ["graph", "extract", tmp_path / "net" / "net.safetensors", "--nodes", 8]
    code, out, err = call(*words, "--threshold", 0, "--out", tmp_path / "w.json")
    assert (code, err) == (0, "")
    assert "layers: hidden.0" in out
    assert "left out: stem" in out
    # All pairs that have a weight: the wiring itself.
    assert Wiring.load(tmp_path / "w.json") == ws_flex(nodes=8, degree=3, rewire=0.2, seed=0)
    pop = population("mlp", [None, None], image=(1, 8, 8), width=16)
    save(pop, tmp_path / "pop.safetensors")
    words[2] = tmp_path / "pop.safetensors"
    code, _, err = call(*words, "--density", 0.3)
    assert code == 2
    assert "a population of 2 networks" in err


def test_the_same_command_again_trains_nothing_more(call, tmp_path):
    words = ["train", *SMALL, *WIRED, "--epochs", 2, "--average", 0.5, "--out", tmp_path / "net"]
    call(*words)
    first = load(tmp_path / "net" / "net.safetensors").state_dict()
    code, out, _ = call(*words)
    assert code == 0
    assert "epoch 1" not in out
    again = load(tmp_path / "net" / "net.safetensors").state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_a_killed_training_goes_on_to_the_same_network(tmp_path):
    def command(folder) -> list[str]:
        words = ["train", *SMALL, *WIRED, "--epochs", "40", "--every", "0", "--out", str(folder)]
        return [sys.executable, "-c", RUN, *words]

    env = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run(command(whole), check=True, capture_output=True, env=env)
    with subprocess.Popen(command(killed), stdout=subprocess.PIPE, text=True, env=env) as going:
        assert going.stdout is not None
        assert any(line.startswith("epoch  9") for line in going.stdout)
        going.send_signal(signal.SIGKILL)
    assert not (killed / "net.safetensors").exists()
    done = subprocess.run(command(killed), check=True, capture_output=True, text=True, env=env)
    assert "epoch  1 of" not in done.stdout
    assert "epoch 40 of" in done.stdout
    assert curves(whole) == curves(killed)
    one, other = (load(f / "net.safetensors").state_dict() for f in (whole, killed))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_folder_of_pictures_and_another_architecture(call, tmp_path):
    generator = np.random.default_rng(0)
    for part, count in (("train", 12), ("test", 4)):
        for name in ("dark", "light"):
            (tmp_path / "pictures" / part / name).mkdir(parents=True)
            for i in range(count):
                level = generator.integers(0, 60) + (150 if name == "light" else 0)
                pixels = np.full((20 + i, 24, 3), level, np.uint8)
                Image.fromarray(pixels).save(tmp_path / "pictures" / part / name / f"{i}.png")
    code, out, _ = call(
        "train", "--data", f"folder:{tmp_path / 'pictures'}", "--size", 16, "--model", "cnn6",
        "--width", 8, "--dense", "--epochs", 2, "--batch", 8, "--threads", 1, "--lr", 0.01,
        "--out", tmp_path / "net",
    )  # fmt: skip
    assert code == 0
    assert "cnn6 on dense, widths 8 16 32" in out
    assert load(tmp_path / "net" / "net.safetensors").image == (3, 16, 16)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "vgg"], "`model` 'vgg' is not known"),
        (["--size", "8"], "`--size` is an option of folder:PATH and stream:PATH alone; got digits"),
        (["--dense", "--nodes", "8"], "`--dense` has no wiring"),
        (["--nodes", "20"], "must not exceed the narrowest layer, `width` = 16; got 20 nodes"),
        (["--epochs", "0"], "`epochs` of a recipe"),
        (["--average", "1"], "`average` of a recipe"),
        (["--device", "cuda"], "`--device` cuda is not there"),
        (["missing.json"], "missing.json cannot be read"),
    ],
)
def test_bad_input_is_one_sentence(call, tmp_path, words, said):
    if words[0] == "--device" and torch.cuda.is_available():
        pytest.skip("a GPU is there")
    given = [] if words[0] in ("--nodes", "--dense", "missing.json") else WIRED
    code, _, err = call("train", *SMALL, *given, *words, "--out", tmp_path / "net")
    assert code == 2
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "net" / "net.safetensors").exists()


def test_recipes_have_names_and_options_override_them(call, monkeypatch, tmp_path):
    seen = []

    def fit(net, data, recipe, **rest):
        seen.append(recipe)
        raise InvalidValue("far enough")

    monkeypatch.setattr(training, "fit", fit)
    assert tuple(training.RECIPES) == cli_training.RECIPES
    for name in ([], ["--recipe", "imagenet"], ["--recipe", "imagenet-efficientnet"]):
        more = ["--epochs", 3, "--lr", 0.05] if name else []
        code, _, _ = call("train", *SMALL, *WIRED, *name, *more, "--out", tmp_path / "net")
        assert code == 2
    short, imagenet, efficientnet = seen
    assert short == training.Recipe(epochs=30, batch=32, lr=0.1, weight_decay=5e-4)
    assert (imagenet.epochs, imagenet.batch, imagenet.lr) == (3, 32, 0.05)
    assert (imagenet.weight_decay, imagenet.momentum, imagenet.schedule) == (1e-4, 0.9, "cosine")
    assert efficientnet.weight_decay == 5e-5
    published = {name: (r.epochs, r.batch, r.lr) for name, r in training.RECIPES.items()}
    assert published["cifar10"] == (200, 128, 0.1)
    assert published["imagenet"] == (100, 256, 0.1)
    assert published["imagenet-efficientnet"] == (100, 512, 0.2)


def test_tensorboard_has_each_epoch_once_also_after_a_stop(call, monkeypatch, tmp_path):
    name = "tensorboard.backend.event_processing.event_accumulator"
    required = os.environ.get("WIRELOOM_REQUIRE")
    accumulator = import_module(name) if required else pytest.importorskip(name)
    words = ["train", *SMALL, *WIRED, "--epochs", 4, "--out", tmp_path / "net", "--every", 0]
    plain = watching.Shown.epoch

    def stop(self, training):
        plain(self, training)
        if training.epoch == 3 and not stopped:
            stopped.append(True)
            raise KeyboardInterrupt

    stopped: list[bool] = []
    monkeypatch.setattr(watching.Shown, "epoch", stop)
    assert call(*words)[0] == 130
    code, out, _ = call(*words)
    assert code == 0
    assert f"For TensorBoard: {tmp_path / 'net' / 'tensorboard'}" in out
    events = accumulator.EventAccumulator(str(tmp_path / "net" / "tensorboard"))
    events.Reload()
    rows = curves(tmp_path / "net")
    for name, key in (("loss/train", "train_loss"), ("error/test", "test_error")):
        found = events.Scalars(name)
        assert [e.step for e in found] == [1, 2, 3, 4]
        want = [float(row[key]) for row in rows]
        assert [e.value for e in found] == pytest.approx(want, rel=1e-5)
    assert events.Scalars("rate")[0].value == pytest.approx(0.1)


def test_a_damaged_picture_of_a_stream_is_one_sentence(call, tmp_path):
    for part in ("train", "val"):
        for name in ("a", "b"):
            folder = tmp_path / "pictures" / part / name
            folder.mkdir(parents=True)
            for i in range(4):
                pixels = np.full((20, 24, 3), 40 * i + 3, np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    words = [
        *("train", "--data", f"stream:{tmp_path / 'pictures'}", "--size", 16, "--model", "cnn6"),
        *("--width", 8, "--dense", "--epochs", 1, "--batch", 4, "--threads", 1),
        *("--out", tmp_path / "net"),
    ]
    code, out, _ = call(*words, "--check")
    assert code == 0
    assert "8 training samples" in out
    whole = tmp_path / "pictures" / "train" / "b" / "2.png"
    whole.write_bytes(whole.read_bytes()[:45])
    for more in (["--check"], []):
        code, _, err = call(*words[:-1], tmp_path / "other", *more)
        assert code == 2
        assert f"{str(whole)!r} must be a whole, readable picture" in err
        assert err.count("wireloom:") == 1
    code, _, err = call("train", *SMALL, *WIRED, "--check", "--out", tmp_path / "third")
    assert code == 2
    assert "`--check` is an option of stream:PATH alone" in err


def test_another_training_in_the_same_folder_is_refused(call, tmp_path):
    call("train", *SMALL, *WIRED, "--epochs", 1, "--out", tmp_path / "net")
    code, _, err = call("train", *SMALL, *WIRED, "--epochs", 2, "--out", tmp_path / "net")
    assert code == 2
    assert "other networks, data or settings" in err


def test_a_progress_line_tells_the_time_left(call, tmp_path):
    started = time.monotonic()
    _, out, _ = call("train", *SMALL, *WIRED, "--epochs", 2, "--out", tmp_path / "net")
    assert time.monotonic() - started < 60
    lines = [line for line in out.splitlines() if line.startswith("epoch")]
    assert all(line.endswith(" left") for line in lines)
    assert lines[-1].endswith("0:00 left")
