"""The invariant: a member's numbers do not depend on its company; and what rests on it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wireloom.base import InvalidValue
from wireloom.data import Dataset, batches, from_tensors
from wireloom.models import Population, build, population, to_torch
from wireloom.training import Optimiser, Recipe, Result, fit, loop
from wireloom.training.running import Training
from wireloom.wiring import Wiring, complete, ring, ws_flex

WIRINGS = [
    complete(nodes=8),
    ring(nodes=8),
    ws_flex(nodes=8, degree=2.5, rewire=0.3, seed=0),
    ws_flex(nodes=8, degree=4, rewire=0.9, seed=1),
    ws_flex(nodes=8, degree=5.3, rewire=0.1, seed=2),
]
RECIPE = Recipe(epochs=3, batch=32, lr=0.05)
BOTH = [
    pytest.param(torch.float32, id="float32-native"),
    pytest.param(torch.float64, id="float64-reference"),
]


def made() -> Dataset:
    generator = torch.Generator().manual_seed(7)
    labels = torch.arange(210) % 5
    images = torch.randn(210, 1, 4, 4, generator=generator) + labels[:, None, None, None] * 0.4
    return from_tensors(images[:150], labels[:150], images[150:], labels[150:])


@pytest.fixture(scope="module")
def data() -> Dataset:
    return made()


def make(
    wirings: list[Wiring] | None = None,
    seeds: tuple[int, ...] = (0, 1),
    dtype: torch.dtype = torch.float32,
) -> Population:
    return population(
        "mlp",
        WIRINGS if wirings is None else wirings,
        seeds=seeds,
        classes=5,
        image=(1, 4, 4),
        width=20,
        stem=18,
        dtype=dtype,
    )


def state(net: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {k: v.detach().clone() for k, v in net.state_dict().items()}


def assert_same_bits(first: torch.nn.Module, second: torch.nn.Module) -> None:
    a, b = state(first), state(second)
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


def assert_same_member(result: Result, i: int, alone: Result, j: int = 0) -> None:
    for name in ("train_loss", "test_loss", "test_error"):
        assert torch.equal(getattr(result, name)[:, i], getattr(alone, name)[:, j]), name


RECIPES = {
    "sgd": RECIPE,
    "bfloat16": replace(RECIPE, precision="bfloat16"),
    "plain sgd": replace(RECIPE, momentum=0.0, weight_decay=0.0, schedule="constant"),
    "clipped": replace(RECIPE, clip=0.3),
    "adam": replace(RECIPE, optimiser="adam", lr=0.003),
    "adamw clipped and smoothed": replace(
        RECIPE, optimiser="adamw", lr=0.003, weight_decay=0.05, clip=0.5, smoothing=0.1
    ),
    "flipped and cropped": replace(RECIPE, augment=("flip", "crop")),
    "in parts and averaged": replace(RECIPE, accumulate=3, average=0.9),
}


@pytest.mark.parametrize("dtype", BOTH)
@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_member_is_bitwise_the_same_alone_and_in_company(
    data: Dataset, recipe: Recipe, dtype: torch.dtype, one_thread: None
) -> None:
    together = make(dtype=dtype)
    result = fit(together, data, recipe)
    for i, member in enumerate(together.members):
        alone = make([member.wiring], (member.seed,), dtype)  # pyright: ignore[reportArgumentType]
        assert_same_member(result, i, fit(alone, data, recipe))
        assert_same_bits(together[i], alone.net)


def test_member_is_bitwise_the_same_in_any_company(data: Dataset, one_thread: None) -> None:
    forward, backward = make(), make(WIRINGS[::-1], (1, 0))
    first, second = fit(forward, data, RECIPE), fit(backward, data, RECIPE)
    for i, member in enumerate(forward.members):
        j = backward.members.index(member)
        assert_same_member(first, i, second, j)
        assert_same_bits(forward[i], backward[j])


def test_threads_do_not_change_a_bit(data: Dataset, one_thread: None) -> None:
    first = make()
    fit(first, data, RECIPE)
    torch.set_num_threads(2)
    second = make()
    fit(second, data, RECIPE)
    assert_same_bits(first, second)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_nan_in_every_neighbour_changes_nothing(
    data: Dataset, recipe: Recipe, one_thread: None
) -> None:
    healthy, ill = make(), make()
    spared = 4
    for name, tensor in ill.net.state_dict().items():
        for m, (begin, end) in enumerate(pairwise(ill.spans[name].tolist())):
            if m != spared:
                tensor[begin:end] = torch.nan
    result = fit(ill, data, recipe)
    assert_same_member(result, spared, fit(healthy, data, recipe), spared)
    assert_same_bits(ill[spared], healthy[spared])
    others = [m for m in range(len(ill)) if m != spared]
    assert torch.equal(result.error[others], torch.full((len(others),), 100.0).double())


def linears_of(net):
    """The linear layers of an MLP, from stem to head."""
    return [unit.linear for unit in (net.stem, *net.hidden.children(), net.head)]


def test_population_trains_as_ordinary_torch_does(data: Dataset, one_thread: None) -> None:
    """One member against autograd on dense masked matrices and torch's own SGD, in float64."""
    recipe = replace(RECIPE, augment=())
    wiring = WIRINGS[2]
    net = make([wiring], (3,), torch.float64)
    oracle = make([wiring], (3,), torch.float64).net
    linears = linears_of(oracle)
    masks = [torch.from_numpy(layer.pattern.mask()) for layer in linears]
    matrices = []
    for layer, mask in zip(linears, masks, strict=True):
        matrix = torch.zeros(mask.shape, dtype=torch.float64)
        matrix[mask] = layer.weight.detach()
        matrices.append(matrix.requires_grad_())
    norms = [torch.nn.BatchNorm1d(m.shape[0], dtype=torch.float64) for m in matrices[:-1]]
    bias = torch.zeros(5, dtype=torch.float64, requires_grad=True)
    parameters = [*matrices, bias, *(p for n in norms for p in n.parameters())]
    sgd = torch.optim.SGD(parameters, lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)

    def forward(x: torch.Tensor) -> torch.Tensor:
        for matrix, mask, norm in zip(matrices, masks, norms, strict=False):
            x = norm(x @ (matrix * mask).t()).relu()
        return x @ matrices[-1].t() + bias

    for epoch in range(recipe.epochs):
        for group in sgd.param_groups:
            group["lr"] = recipe.rate(epoch)
        for x, labels in batches(data, batch=32, data_seed=0, epoch=epoch, augment=()):
            sgd.zero_grad()
            torch.nn.functional.cross_entropy(forward(x.t().double()), labels).backward()
            sgd.step()
    fit(net, data, recipe)
    for layer, matrix, mask in zip(linears_of(net.net), matrices, masks, strict=True):
        torch.testing.assert_close(layer.weight, matrix[mask], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        net.net.get_submodule("hidden.1").norm.running_variance, norms[2].running_var
    )


def test_float32_agrees_with_float64(data: Dataset, one_thread: None) -> None:
    single, double = make(), make(dtype=torch.float64)
    long = replace(RECIPE, epochs=25)  # 100 steps
    a, b = fit(single, data, long), fit(double, data, long)
    torch.testing.assert_close(a.train_loss[0], b.train_loss[0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(a.train_loss[-1], b.train_loss[-1], rtol=0.05, atol=1e-3)


def test_rates_and_decays_are_per_member(data: Dataset, one_thread: None) -> None:
    lr, decay = [0.01, 0.05, 0.2, 0.1, 0.0], [0.0, 1e-3, 5e-4, 1e-2, 1e-1]
    together = make(seeds=(2,))
    result = fit(together, data, RECIPE, lr=lr, weight_decay=decay)
    for i, wiring in enumerate(WIRINGS):
        alone = make([wiring], (2,))
        one = fit(alone, data, replace(RECIPE, weight_decay=decay[i]), lr=lr[i])
        assert_same_member(result, i, one)
        assert_same_bits(together[i], alone.net)


def test_keep_split_and_merge_carry_the_optimiser_along(data: Dataset, one_thread: None) -> None:
    whole = make()
    going = Training(whole, data, Optimiser(whole, RECIPE))
    going.run_epoch()
    parts = whole.split([4, 6])
    optimisers = [
        going.optimiser.keep(ids, part)
        for ids, part in zip([range(4), range(4, 10)], parts, strict=True)
    ]
    trainings = [Training(p, data, o) for p, o in zip(parts, optimisers, strict=True)]
    for training in trainings:
        training.epoch = 1
        training.run_epoch()
    merged = Population.merge(parts)
    again = Training(merged, data, Optimiser.merge([t.optimiser for t in trainings], merged))
    again.epoch = 2
    again.run_epoch()
    going.run_epoch()
    going.run_epoch()
    assert_same_bits(again.population, going.population)
    torch.testing.assert_close(again.evaluate(), going.evaluate(), rtol=0, atol=0)


def test_merging_optimisers_of_unequal_steps_is_refused(data: Dataset) -> None:
    first, second = make(WIRINGS[:1], (0,)), make(WIRINGS[1:2], (0,))
    a, b = Optimiser(first, RECIPE), Optimiser(second, RECIPE)
    Training(first, data, a).run_epoch()
    with pytest.raises(InvalidValue, match=r"equal steps; got steps \[4, 0\]"):
        Optimiser.merge([a, b], Population.merge([first, second]))


def test_too_little_memory_only_cuts_the_population(data: Dataset, one_thread: None) -> None:
    whole, cut = make(), make()
    first, second = fit(whole, data, RECIPE), fit(cut, data, RECIPE, memory=2_000_000)
    from wireloom.training.loop import _parts, member_bytes

    sizes = [member_bytes(m, RECIPE.batch) for m in cut.members]
    assert 1 < len(_parts(sizes, 2_000_000)) < len(cut)
    assert_same_bits(whole, cut)
    assert torch.equal(first.error, second.error)
    assert torch.equal(first.test_loss, second.test_loss)


def test_single_network_is_a_population_of_one(data: Dataset, one_thread: None) -> None:
    net = build("mlp", WIRINGS[3], classes=5, image=(1, 4, 4), width=20, stem=18, seed=1)
    together = make()
    result, one = fit(together, data, RECIPE), fit(net, data, RECIPE)
    i = [(m.wiring, m.seed) for m in together.members].index((WIRINGS[3], 1))
    assert_same_member(result, i, one)
    assert_same_bits(together[i], net)


def test_mixed_precision_is_torchs_autocast(data: Dataset, one_thread: None) -> None:
    """A step of a dense network, against the same in torch's own modules under autocast."""
    recipe = replace(RECIPE, epochs=1, batch=150, momentum=0.0, weight_decay=0.0)
    settings = {"classes": 5, "image": (1, 4, 4), "width": 20, "stem": 18}
    net = build("mlp", None, **settings)
    plain = to_torch(net).train()
    (x, labels), *_ = batches(data, batch=150, data_seed=0, epoch=0, augment=())
    with torch.autocast("cpu", torch.bfloat16):
        loss = torch.nn.functional.cross_entropy(plain(x.T.unflatten(1, (1, 4, 4))), labels)
    result = fit(net, data, replace(recipe, precision="bfloat16"))
    exact = fit(build("mlp", None, **settings), data, recipe)
    assert float(result.train_loss) == pytest.approx(loss.item(), rel=0.004)  # 8 bits, 5 layers
    assert float(result.train_loss) != float(exact.train_loss)
    assert {p.dtype for p in net.parameters()} == {torch.float32}


def test_settings_of_a_recipe_leave_out_what_came_later() -> None:
    assert "precision" not in RECIPE.settings()
    assert replace(RECIPE, precision="bfloat16").settings()["precision"] == "bfloat16"
    assert Recipe(**RECIPE.settings()) == RECIPE


class _Killed(Exception):
    pass


@pytest.mark.parametrize("average", [0.0, 0.8])
def test_checkpoint_goes_on_to_the_same_result(
    data: Dataset, tmp_path, average: float, one_thread: None
) -> None:
    recipe = replace(RECIPE, epochs=5, evaluate=2, average=average)
    path = tmp_path / "training.safetensors"
    whole = make()
    expected = fit(whole, data, recipe)
    left = [3]

    def kill(_: int) -> None:
        left[0] -= 1
        if not left[0]:
            raise _Killed

    with pytest.raises(_Killed):
        fit(make(), data, recipe, checkpoint=path, every=0, progress=kill)
    resumed = make()
    seen: list[int] = []
    result = fit(resumed, data, recipe, checkpoint=path, every=0, progress=seen.append)
    assert seen == [30, 10, 10]  # three epochs of ten members were done
    assert_same_bits(whole, resumed)
    for name in ("epochs", "train_loss", "test_loss", "test_error"):
        assert torch.equal(getattr(expected, name), getattr(result, name)), name


@pytest.mark.parametrize("average", [0.0, 0.8])
@settings(max_examples=8, deadline=None)
@given(stop=st.integers(1, 15))
def test_checkpoint_within_an_epoch_goes_on_to_the_same_bits(average: float, stop: int) -> None:
    """Stopped after any step of any epoch, also after an epoch's last, before its evaluation."""
    data = made()
    recipe = replace(RECIPE, epochs=3, batch=30, average=average)  # five steps an epoch
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        whole, resumed = make(), make()
        expected = fit(whole, data, recipe)
        left = [stop]

        def kill(_: Training) -> None:
            left[0] -= 1
            if not left[0]:
                raise _Killed

        with TemporaryDirectory() as folder:
            rest: dict[str, Any] = {"checkpoint": Path(folder) / "training.safetensors", "every": 0}
            with pytest.raises(_Killed):
                fit(make(), data, recipe, **rest, watch_step=kill)
            steps: list[tuple[int, int]] = []
            result = fit(
                resumed, data, recipe, **rest, watch_step=lambda t: steps.append((t.epoch, t.step))
            )
        assert steps == [(i // 5, i % 5 + 1) for i in range(stop, 15)]
    finally:
        torch.set_num_threads(before)
    assert_same_bits(whole, resumed)
    for name in ("epochs", "train_loss", "test_loss", "test_error"):
        assert torch.equal(getattr(expected, name), getattr(result, name)), name


def test_checkpoints_are_not_written_more_often_than_they_are_worth(
    data: Dataset, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, written = [0.0], []

    def save(training: Training, path: Path, identity: str) -> None:
        written.append(now[0])
        now[0] += 3.0  # what a write takes

    monkeypatch.setattr(loop.checkpoints, "save", save)
    monkeypatch.setattr(loop.time, "monotonic", lambda: now[0])

    def step(_: Training) -> None:
        now[0] += 1.0

    recipe = replace(RECIPE, epochs=40, batch=30, evaluate=40)
    net = build("mlp", WIRINGS[0], classes=5, image=(1, 4, 4), width=20, stem=18)
    fit(net, data, recipe, checkpoint=tmp_path / "state", every=5, watch_step=step)
    assert written[0] == 5
    gaps = np.diff(written)[:-1]  # the last is written at the end, whenever that is
    assert len(gaps) >= 1
    assert set(gaps) == {3 + 60}


def test_a_checkpoint_of_other_convolutions_is_refused(data: Dataset, tmp_path) -> None:
    """Of wirings with as many weights, drawn from one seed, so that their tensors agree."""
    settings = {"classes": 5, "image": (1, 4, 4), "width": 8, "budget": "none"}
    one = Wiring.from_edges(4, [(0, 1), (1, 2), (2, 3)])
    other = Wiring.from_edges(4, [(0, 2), (2, 1), (1, 3)])
    recipe, path = replace(RECIPE, epochs=1), tmp_path / "training.safetensors"
    fit(build("cnn6", one, **settings), data, recipe, checkpoint=path)
    with pytest.raises(InvalidValue, match="other networks, data or settings"):
        fit(build("cnn6", other, **settings), data, recipe, checkpoint=path)


def test_accumulated_parts_are_torchs_own_accumulation(data: Dataset, one_thread: None) -> None:
    recipe = replace(RECIPE, epochs=1, batch=30, accumulate=3, momentum=0.0, weight_decay=0.0)
    settings = {"classes": 5, "image": (1, 4, 4), "width": 20, "stem": 18, "dtype": torch.float64}
    net = build("mlp", WIRINGS[1], **settings)
    oracle = build("mlp", WIRINGS[1], **settings)
    sgd = torch.optim.SGD(oracle.parameters(), lr=recipe.lr)
    for x, labels in batches(data, batch=30, data_seed=0, epoch=0, augment=()):
        sgd.zero_grad()
        for part in range(3):
            some = slice(10 * part, 10 * part + 10)
            logits = oracle(x[:, some].t().double())
            (torch.nn.functional.cross_entropy(logits, labels[some]) / 3).backward()
        sgd.step()
    fit(net, data, recipe)
    for mine, theirs in zip(net.parameters(), oracle.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-12)


def test_networks_end_with_the_average_of_their_parameters(data: Dataset, one_thread: None) -> None:
    recipe = replace(RECIPE, epochs=2, average=0.75)
    plain, averaged = make(dtype=torch.float64), make(dtype=torch.float64)
    mean = {name: p.detach().clone() for name, p in plain.net.named_parameters()}
    optimiser = Optimiser(plain, replace(recipe, average=0.0))
    training = Training(plain, data, optimiser)
    step = optimiser.step

    def followed(epoch: int) -> None:
        step(epoch)
        for name, parameter in plain.net.named_parameters():
            mean[name] = 0.75 * mean[name] + 0.25 * parameter.detach()

    optimiser.step = followed
    training.run_epoch()
    training.run_epoch()
    result = fit(averaged, data, recipe)
    for name, parameter in averaged.net.named_parameters():
        torch.testing.assert_close(parameter.detach(), mean[name], rtol=1e-10, atol=1e-12)
    with torch.no_grad():
        for name, parameter in plain.net.named_parameters():
            parameter.copy_(mean[name])
    loss, error = training.evaluate()
    torch.testing.assert_close(result.loss, loss, rtol=1e-6, atol=1e-8)
    assert torch.equal(result.error, error)


def test_checkpoint_of_another_training_is_refused(data: Dataset, tmp_path) -> None:
    path = tmp_path / "training.safetensors"
    fit(make(), data, RECIPE, checkpoint=path)
    with pytest.raises(InvalidValue, match="other networks, data or settings"):
        fit(make(seeds=(5, 6)), data, RECIPE, checkpoint=path)
    with pytest.raises(InvalidValue, match="other networks, data or settings"):
        fit(make(), data, replace(RECIPE, lr=0.06), checkpoint=path)


@pytest.mark.parametrize("cut", [0, 10, 200, -100])
def test_damaged_checkpoint_is_named(data: Dataset, tmp_path, cut: int) -> None:
    path = tmp_path / "training.safetensors"
    fit(make(), data, replace(RECIPE, epochs=1), checkpoint=path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InvalidValue, match=r"training\.safetensors is damaged"):
        fit(make(), data, replace(RECIPE, epochs=1), checkpoint=path)


def test_learning_happens(data: Dataset, one_thread: None) -> None:
    result = fit(make(), data, replace(RECIPE, epochs=15))
    assert float(result.train_loss[-1].max()) < 0.6 * float(result.train_loss[0].min())
    assert float(result.error.mean()) < 50  # chance is 80
    assert result.epochs.tolist() == list(range(1, 16))
    assert result.machine["torch"] == torch.__version__


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "`epochs` of a recipe must be a whole number, at least 1; got 0"),
        ({"batch": 1}, "`batch` of a recipe must be a whole number, at least 2; got 1"),
        ({"epochs": 2.5}, "`epochs` of a recipe must be a whole number, at least 1; got 2.5"),
        ({"lr": 0.0}, "`lr` of a recipe must be positive; got 0.0"),
        ({"lr": float("nan")}, "`lr` of a recipe must be positive; got nan"),
        ({"momentum": 1.0}, r"`momentum` of a recipe must be in \[0, 1\); got 1.0"),
        ({"weight_decay": -1.0}, "`weight_decay` of a recipe must be at least 0; got -1.0"),
        ({"clip": 0.0}, "`clip` of a recipe must be positive; got 0.0"),
        ({"average": 1.0}, r"`average` of a recipe must be in \[0, 1\); got 1.0"),
        ({"accumulate": 0}, "`accumulate` of a recipe must be a whole number, at least 1; got 0"),
        ({"batch": 7, "accumulate": 4}, "got 4 parts of a batch of 7"),
        ({"optimiser": "sgdd"}, "did you mean 'sgd'"),
        ({"schedule": "cosin"}, "did you mean 'cosine'"),
    ],
)
def test_bad_recipe_is_named(change: dict, message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        Recipe(**change)


def test_the_name_of_data_is_no_data() -> None:
    net = build("mlp", image=(1, 8, 8), width=16, stem=16)
    with pytest.raises(InvalidValue, match=r"`data` of fit must be a Dataset.*; got 'digits'"):
        fit(net, "digits")  # pyright: ignore[reportArgumentType]


def test_network_that_does_not_fit_the_data_is_refused(data: Dataset) -> None:
    with pytest.raises(InvalidValue, match="reads 27 features a sample; data 'tensors' has 16"):
        fit(build("mlp", None, classes=5, image=(3, 3, 3), width=9, stem=9), data, RECIPE)
    with pytest.raises(InvalidValue, match="has 4 classes; data 'tensors' has 5"):
        fit(build("mlp", None, classes=4, image=(1, 4, 4), width=9, stem=9), data, RECIPE)
    with pytest.raises(InvalidValue, match="`lr` must be one number from 0, or one for each of 10"):
        fit(make(), data, RECIPE, lr=[0.1, 0.2])
