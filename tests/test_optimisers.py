"""Native steps of the optimisers: torch's numbers, the reference's bits, member by member."""

from __future__ import annotations

import pytest
import torch

from bodies import BODIES, assert_right_on, assert_threads_do_not_show
from test_compute import drawn
from wireloom.compute import cpu
from wireloom.compute.cpu import Stepped
from wireloom.models import population
from wireloom.training import Optimiser, Recipe
from wireloom.wiring import ring

pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = {"classes": 3, "image": (1, 4, 4), "width": 16, "stem": 9}
SIZE = 20_003  # more than one thread's piece


def one_member(parameter: torch.Tensor, rate: float, decay: float):
    spans = torch.tensor([0, parameter.numel()])
    return spans, torch.tensor([rate]), torch.tensor([decay])


def native_sgd(spans, parameter, state, gradient, rate, decay, clip, step, nesterov=True):
    stepped = Stepped(spans, parameter, state[0], state[0], gradient)
    cpu.sgd([stepped], rate, decay, clip, momentum=0.9, nesterov=nesterov)


def native_adam(spans, parameter, state, gradient, rate, decay, clip, step, decoupled=False):
    stepped = Stepped(spans, parameter, *state, gradient)
    how = {"betas": (0.9, 0.99), "epsilon": 1e-6, "step": step, "decoupled": decoupled}
    cpu.adam([stepped], rate, decay, clip, **how)


OPTIMISERS = {
    "nesterov": (
        native_sgd,
        lambda p: torch.optim.SGD([p], lr=0.1, momentum=0.9, weight_decay=0.02, nesterov=True),
    ),
    "momentum": (
        lambda *a: native_sgd(*a, nesterov=False),
        lambda p: torch.optim.SGD([p], lr=0.1, momentum=0.9, weight_decay=0.02),
    ),
    "adam": (
        native_adam,
        lambda p: torch.optim.Adam([p], lr=0.1, betas=(0.9, 0.99), eps=1e-6, weight_decay=0.02),
    ),
    "adamw": (
        lambda *a: native_adam(*a, decoupled=True),
        lambda p: torch.optim.AdamW([p], lr=0.1, betas=(0.9, 0.99), eps=1e-6, weight_decay=0.02),
    ),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_native_steps_are_those_of_torchs_optimisers(name):
    native, make = OPTIMISERS[name]
    mine = drawn(SIZE)
    theirs = mine.double().requires_grad_()
    optimiser = make(theirs)
    state = [torch.zeros(SIZE), torch.zeros(SIZE)]
    spans, rate, decay = one_member(mine, 0.1, 0.02)
    for step in range(1, 8):
        gradient = drawn(SIZE, seed=step)
        native(spans, mine, state, gradient, rate, decay, None, step)
        theirs.grad = gradient.double()
        optimiser.step()
    torch.testing.assert_close(mine.double(), theirs.detach(), rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_members_steps_are_the_same_bits_alone_and_in_company(name):
    native, _ = OPTIMISERS[name]
    sizes = [1, 16_383, 5, 0, 20_000, 17]
    ends = torch.tensor([0, *sizes]).cumsum(0)
    total = sum(sizes)
    rate = torch.linspace(0.01, 0.1, len(sizes))
    decay, clip = torch.linspace(0.0, 0.1, len(sizes)), torch.linspace(1.0, 0.2, len(sizes))
    together = drawn(total)
    state = [torch.zeros(total), torch.zeros(total)]
    alone = [part.clone() for part in together.split(sizes)]
    states = [[torch.zeros(s), torch.zeros(s)] for s in sizes]
    for step in range(1, 4):
        gradient = drawn(total, seed=step)
        native(ends, together, state, gradient, rate, decay, clip, step)
        for m, part in enumerate(gradient.split(sizes)):
            spans = torch.tensor([0, sizes[m]])
            own = [t[m : m + 1].contiguous() for t in (rate, decay, clip)]
            native(spans, alone[m], states[m], part.clone(), *own, step)
    assert torch.equal(together, torch.cat(alone))
    for slot in range(2):
        assert torch.equal(state[slot], torch.cat([s[slot] for s in states]))


@pytest.mark.parametrize("name", OPTIMISERS)
def test_clipping_is_a_factor_on_the_gradient(name):
    native, _ = OPTIMISERS[name]
    results = []
    for factor, clip in ((1.0, torch.tensor([0.25])), (0.25, None)):
        parameter, state = drawn(100), [torch.zeros(100), torch.zeros(100)]
        spans, rate, decay = one_member(parameter, 0.1, 0.02)
        native(spans, parameter, state, drawn(100, seed=1) * factor, rate, decay, clip, 1)
        results.append(parameter)
    assert torch.equal(*results)


def test_square_norms_are_added_member_by_member():
    values, more, none = drawn(70), drawn(9, seed=1), torch.zeros(0)
    spans, others = torch.tensor([0, 33, 33, 70]), torch.tensor([0, 1, 9, 9])
    sums = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    cpu.add_square_norms(
        sums,
        [
            Stepped(spans, values, values, values, values),
            Stepped(torch.zeros(4, dtype=torch.int64), none, none, none, none),
            Stepped(others, more, more, more, more),
        ],
    )
    parts = [(values[:33], more[:1]), (none, more[1:]), (values[33:], none)]
    want = torch.stack([sum((p.double() ** 2).sum() for p in part) for part in parts])
    torch.testing.assert_close(
        sums, want + torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64), rtol=1e-12, atol=0
    )
    alone = torch.zeros(1, dtype=torch.float64)
    part = values[33:].clone()
    cpu.add_square_norms(alone, [Stepped(torch.tensor([0, 37]), part, part, part, part)])
    assert alone[0] == sums[2]


def test_a_nan_gradient_stays_in_its_member():
    parameter, velocity, gradient = torch.ones(9), torch.zeros(9), torch.ones(9)
    gradient[4] = float("nan")
    spans, rates = torch.tensor([0, 3, 6, 9]), torch.full((3,), 0.1)
    sums = torch.zeros(3, dtype=torch.float64)
    stepped = Stepped(spans, parameter, velocity, velocity, gradient)
    cpu.add_square_norms(sums, [stepped])
    assert sums.isnan().tolist() == [False, True, False]
    cpu.sgd([stepped], rates, rates, None, momentum=0.9, nesterov=True)
    assert parameter.isnan().nonzero().flatten().tolist() == [4]


RECIPES = {
    "sgd": Recipe(momentum=0.9),
    "plain sgd": Recipe(momentum=0.0),
    "sgd clipped": Recipe(clip=0.5),
    "adam": Recipe(optimiser="adam", lr=0.01),
    "adamw clipped": Recipe(optimiser="adamw", lr=0.01, weight_decay=0.1, clip=0.5),
}


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_the_native_step_is_the_references_bit_by_bit(recipe, monkeypatch):
    """Their one formula, operation by operation; all parameters in one call."""
    if recipe.clip:  # its factors come of sums, which may differ in the last bit
        factors = torch.tensor([0.5, 0.3, 1.0, 0.9], dtype=torch.float64)
        monkeypatch.setattr(Optimiser, "_clip", lambda *_: factors)
    calls = []

    def counted(kernel):
        def call(*arguments, **settings):
            calls.append(kernel)
            kernel(*arguments, **settings)

        return call

    for name in ("sgd", "adam"):
        monkeypatch.setattr(cpu, name, counted(getattr(cpu, name)))
    results = []
    for native in (True, False):
        monkeypatch.setattr(cpu, "serves", lambda *_, native=native: native)
        together = population("mlp", [ring(nodes=8), None], seeds=range(2), **SMALL)
        optimiser = Optimiser(together, recipe, lr=[0.1, 0.02, 0.05, 0.07])
        for step in range(3):
            for i, parameter in enumerate(together.parameters()):
                parameter.grad = drawn(*parameter.shape, seed=10 * step + i) if i != 2 else None
            optimiser.step(step)
        results.append(list(together.parameters()))
        results[-1] += [t for slot in optimiser.state.values() for t in slot.values()]
    assert len(calls) == 3
    # torch's own square root is not always the nearest float, and it is Adam's last step.
    inexact = 0 if recipe.optimiser == "sgd" else len(list(together.parameters()))
    for i, (got, want) in enumerate(zip(*results, strict=True)):
        if i < inexact:
            torch.testing.assert_close(got, want, rtol=2e-7, atol=1e-8)
        else:
            assert torch.equal(got, want)


# Threads and instruction sets


def everything() -> list[torch.Tensor]:
    results = []
    for native, _ in OPTIMISERS.values():
        parameter, state = drawn(SIZE), [torch.zeros(SIZE), torch.zeros(SIZE)]
        spans, rate, decay = one_member(parameter, 0.1, 0.02)
        native(spans, parameter, state, drawn(SIZE, seed=1), rate, decay, None, 1)
        results += [parameter, *state]
    return results


def test_the_number_of_threads_does_not_show_in_the_bits():
    assert_threads_do_not_show(everything)


CHECKS = """
for name in t.OPTIMISERS:
    t.test_native_steps_are_those_of_torchs_optimisers(name)
    t.test_a_members_steps_are_the_same_bits_alone_and_in_company(name)
t.test_square_norms_are_added_member_by_member()
t.test_the_number_of_threads_does_not_show_in_the_bits()
"""


@pytest.mark.parametrize("body", BODIES)
def test_every_body_of_the_kernels_is_right(body):
    assert_right_on(body, "test_optimisers", CHECKS)
