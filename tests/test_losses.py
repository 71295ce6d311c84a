"""The loss of many members on shared labels."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from bodies import BODIES, assert_right_on, assert_threads_do_not_show
from refusals import refusal
from test_compute import drawn
from wireloom.compute import cross_entropy
from wireloom.compute.losses import reference

pytestmark = pytest.mark.usefixtures("one_thread")
OPERATOR = torch.ops.wireloom.cross_entropy.default


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
@pytest.mark.parametrize("batch", [1, 7, 64, 65])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_loss_is_torchs_for_every_member(smoothing, batch, dtype):
    members, classes = 3, 5
    labels = torch.arange(batch) % classes
    logits = (drawn(members, classes, batch) * 4).to(dtype).requires_grad_()
    weights = torch.tensor([1.0, -2.0, 0.5], dtype=dtype)
    losses, wrong = cross_entropy(logits, labels, smoothing=smoothing)
    (slope,) = torch.autograd.grad((losses * weights).sum(), logits)
    assert losses.dtype == slope.dtype == dtype
    assert wrong.dtype == torch.int32
    for m in range(members):
        alone = logits[m].detach().double().t().requires_grad_()
        want = F.cross_entropy(alone, labels, label_smoothing=smoothing)
        (want_slope,) = torch.autograd.grad(want * weights[m].double(), alone)
        torch.testing.assert_close(losses[m].double(), want, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(slope[m].double().t(), want_slope, rtol=1e-5, atol=1e-6)
        assert wrong[m] == (alone.argmax(1) != labels).sum()


def test_the_loss_of_enormous_logits_is_finite():
    logits = torch.tensor([1e4, -1e4, 0.0]).view(1, 3, 1).requires_grad_()
    losses, _ = cross_entropy(logits, torch.tensor([1]))
    assert losses.item() == 2e4
    (slope,) = torch.autograd.grad(losses.sum(), logits)
    assert slope.flatten().tolist() == [1.0, -1.0, 0.0]


@pytest.mark.parametrize(
    "dtype",
    [
        torch.float32,
        torch.float64,
    ],
)
def test_a_class_ruled_out_by_minus_infinity_costs_nothing(dtype):
    logits = torch.tensor([1.0, float("-inf"), 0.5], dtype=dtype).view(1, 3, 1)
    losses, wrong = cross_entropy(logits, torch.tensor([0]))
    torch.testing.assert_close(losses[0], F.cross_entropy(logits[0].t(), torch.tensor([0])))
    assert wrong.item() == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_nan_among_the_logits_counts_as_wrong_and_stays_in_its_member(dtype, place):
    logits = torch.tensor([[3.0, 1.0, 2.0]], dtype=dtype).t().repeat(2, 1, 1)
    logits[0, place] = float("nan")
    losses, wrong = cross_entropy(logits, torch.tensor([0]))
    assert wrong.tolist() == [1, 0]
    assert losses[0].isnan()
    assert torch.isfinite(losses[1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_first_of_tied_logits_is_the_one_predicted(dtype):
    logits = torch.tensor([[1.0, 2.0, 2.0], [2.0, 2.0, 2.0]], dtype=dtype).t()[None]
    for label, wrong in ((0, [1, 0]), (1, [0, 1]), (2, [1, 1])):
        for b in range(2):
            _, got = cross_entropy(logits[:, :, b : b + 1], torch.tensor([label]))
            assert got.tolist() == [wrong[b]]


@pytest.mark.parametrize(
    ("logits", "labels", "smoothing", "word"),
    [
        (drawn(3, 4), torch.zeros(4, dtype=torch.int64), 0.0, "`logits`"),
        (drawn(1, 3, 4), torch.zeros(3, dtype=torch.int64), 0.0, "`labels`"),
        (drawn(1, 3, 4), torch.zeros(5, dtype=torch.int64), 0.0, "`labels`"),
        (drawn(1, 3, 4), torch.zeros(4, 1, dtype=torch.int64), 0.0, "`labels`"),
        (drawn(1, 3, 4), torch.zeros(4), 0.0, "int64"),
        (drawn(1, 3, 4), torch.zeros(4, dtype=torch.int32), 0.0, "int64"),
        (drawn(1, 3, 4), torch.tensor([0, 1, 2, 3]), 0.0, "in [0, 2]; got 0 to 3"),
        (drawn(1, 3, 4), torch.tensor([0, 1, 2, -1]), 0.0, "in [0, 2]; got -1 to 2"),
        (drawn(1, 3, 4).double(), torch.tensor([0, 1, 2, 3]), 0.0, "in [0, 2]"),
        (drawn(1, 3, 4), torch.zeros(4, dtype=torch.int64), 1.0, "`smoothing`"),
        (drawn(1, 3, 4), torch.zeros(4, dtype=torch.int64), -0.1, "`smoothing`"),
        (drawn(1, 3, 4), torch.zeros(4, dtype=torch.int64), float("nan"), "`smoothing`"),
    ],
)
def test_the_loss_refuses_what_does_not_fit(logits, labels, smoothing, word):
    assert word in refusal(cross_entropy, logits, labels, smoothing=smoothing)


@settings(deadline=None, max_examples=60)
@given(
    members=st.integers(1, 4),
    classes=st.integers(1, 12),
    batch=st.integers(1, 40),
    spread=st.sampled_from([0.1, 3.0, 60.0]),
    seed=st.integers(0, 99),
)
def test_the_native_loss_is_the_reference(members, classes, batch, spread, seed):
    logits = (drawn(members, classes, batch, seed=seed) * spread).requires_grad_()
    labels = torch.arange(batch) * 7 % classes
    losses, wrong = cross_entropy(logits, labels, smoothing=0.2)
    wide = logits.detach().double().requires_grad_()
    want, want_wrong = reference(wide, labels, 0.2)
    torch.testing.assert_close(losses.double(), want, rtol=2e-6, atol=1e-6)
    assert torch.equal(wrong, want_wrong)
    got = torch.autograd.grad(losses.sum(), logits)[0]
    torch.testing.assert_close(
        got.double(), torch.autograd.grad(want.sum(), wide)[0], rtol=2e-6, atol=1e-6
    )


def test_a_members_loss_is_the_same_bits_alone_and_in_company():
    for batch in (1, 15, 16, 33):
        logits, labels = drawn(5, 7, batch).requires_grad_(), torch.arange(batch) % 7
        together, _ = cross_entropy(logits, labels)
        (slope,) = torch.autograd.grad(together.sum(), logits)
        for m in range(5):
            own = logits[m : m + 1].detach().clone().requires_grad_()
            alone, _ = cross_entropy(own, labels)
            assert torch.equal(alone[0], together[m])
            assert torch.equal(torch.autograd.grad(alone.sum(), own)[0][0], slope[m])


def test_a_samples_slope_does_not_depend_on_its_place_in_a_vector():
    column = drawn(7, 1)
    for batch in (1, 16, 21):
        logits = column.expand(1, 7, batch).clone().requires_grad_()
        losses, _ = cross_entropy(logits, torch.full((batch,), 3))
        (slope,) = torch.autograd.grad(losses.sum(), logits)
        assert bool((slope == slope[:, :, :1]).all())


def test_the_loss_passes_gradcheck_twice_in_float64():
    logits = drawn(2, 4, 3).double().requires_grad_()
    labels = torch.tensor([0, 3, 1])

    def losses(values):
        return cross_entropy(values, labels, smoothing=0.1)[0]

    assert torch.autograd.gradcheck(losses, logits)
    assert torch.autograd.gradgradcheck(losses, logits)


def test_gradients_of_gradients_of_the_native_loss_are_those_of_the_reference():
    results = []
    for dtype in (torch.float32, torch.float64):
        logits = drawn(2, 4, 9).to(dtype).requires_grad_()
        losses, _ = cross_entropy(logits, torch.arange(9) % 4, smoothing=0.1)
        (slope,) = torch.autograd.grad(losses.square().sum(), logits, create_graph=True)
        results.append(torch.autograd.grad(slope.square().sum(), logits)[0].double())
    torch.testing.assert_close(*results, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_torchs_own_check_of_operators_passes(dtype):
    logits, labels = drawn(2, 5, 9).to(dtype).requires_grad_(), torch.arange(9) % 5
    for sloped in (False, True):
        torch.library.opcheck(OPERATOR, (logits, labels, 0.1, sloped))


@pytest.mark.filterwarnings("ignore")
def test_compiled_without_a_break_it_uses_our_kernel_and_computes_the_same():
    torch._dynamo.reset()
    called, labels = [], torch.arange(9) % 5

    def looking(graph, inputs):
        called.extend(str(node.target) for node in graph.graph.nodes)
        return torch._dynamo.lookup_backend("aot_eager")(graph, inputs)

    def call(logits):
        return cross_entropy(logits, labels, smoothing=0.1)

    logits = drawn(2, 5, 9).requires_grad_()
    results = []
    for function in (call, torch.compile(call, backend=looking, fullgraph=True)):
        losses, wrong = function(logits)
        results.append([losses, wrong, *torch.autograd.grad(losses.sum(), logits)])
    assert any("wireloom.cross_entropy" in name for name in called)
    assert all(map(torch.equal, *results))


def test_autocast_takes_the_loss_in_float32():
    logits = drawn(2, 5, 9).bfloat16().requires_grad_()
    labels = torch.arange(9) % 5
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses, _ = cross_entropy(logits, labels)
        below = OPERATOR(logits, labels, 0.0, False)[0]
    assert losses.dtype == torch.float32
    assert torch.equal(losses, below)
    assert torch.equal(losses, cross_entropy(logits.float(), labels)[0])
    assert torch.autograd.grad(losses.sum(), logits)[0].dtype == torch.bfloat16


def everything() -> list[torch.Tensor]:
    logits = drawn(40, 10, 77).requires_grad_()
    losses, wrong = cross_entropy(logits, torch.arange(77) % 10, smoothing=0.1)
    return [losses, wrong, *torch.autograd.grad(losses.sum(), logits)]


def test_the_number_of_threads_does_not_show_in_the_bits():
    assert_threads_do_not_show(everything)


CHECKS = """
t.test_the_native_loss_is_the_reference()
t.test_a_class_ruled_out_by_minus_infinity_costs_nothing(torch.float32)
t.test_the_first_of_tied_logits_is_the_one_predicted(torch.float32)
t.test_a_samples_slope_does_not_depend_on_its_place_in_a_vector()
t.test_the_number_of_threads_does_not_show_in_the_bits()
"""


@pytest.mark.parametrize("body", BODIES)
def test_every_body_of_the_kernels_is_right(body):
    assert_right_on(body, "test_losses", CHECKS)
