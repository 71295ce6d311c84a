"""Operands of 16 bits on the CPU: float32 sums of exact operands, each result rounded once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bodies import BODIES, assert_right_on, assert_threads_do_not_show
from test_compute import BATCHES, RAGGED, TALL, dense, drawn, patterns
from test_convolution import operands as convolution_operands
from test_normalisation import BACKWARD, KINDS
from test_normalisation import operands as norm_operands
from test_operators import REFERENCE, every_call
from wireloom.base import InvalidValue
from wireloom.compute import (
    Pattern,
    Window,
    convolution,
    convolution_outer,
    convolution_reference,
    cross_entropy,
    gated,
    norm,
    outer,
    pool,
    product,
    sigmoid,
)
from wireloom.models import build, population
from wireloom.wiring import ring, ws_flex

pytestmark = pytest.mark.usefixtures("one_thread")
quick = settings(deadline=None, max_examples=40)
HALVES = torch.bfloat16, torch.float16
LONG = Pattern([17, 2, 33], [64, 31, 33], [(0, 0), (0, 2), (1, 1), (2, 0), (2, 1), (2, 2)])
halves = pytest.mark.parametrize("dtype", HALVES, ids=str)


def rounded_sums(got, want, sizes, terms: int) -> bool:
    """Whether ``got`` is float64 ``want`` but for its one rounding and its sums' in float32.

    Rounding to p bits errs by at most half a unit, eps / 2 of the value, or half of the smallest
    denormal. A sum of n float32 products errs by n * 2^-24 of the ``sizes``, the sum of the
    products' absolute values; two more for what rounding makes of that.
    """
    info = torch.finfo(got.dtype)
    summed = (terms + 2) * 2.0**-24 * sizes
    room = info.eps / 2 * (want.abs() + summed) + summed + info.smallest_normal * info.eps / 2
    return bool(((got.double() - want).abs() <= room).all())


def all_products(call, pattern, weight, x, y):
    """The product, its transpose by way of the gradient, and the outer product."""
    x, weight = x.requires_grad_(), weight.requires_grad_()
    made = call(pattern, weight, x)
    dweight, dx = torch.autograd.grad(made, [weight, x], y)
    return made.detach(), dx, dweight


def by_dense(pattern, weight, x):
    return dense(pattern, weight) @ x


def check_products(pattern, batch, seed, dtype):
    rows, columns = pattern.shape
    shapes = (pattern.weights,), (columns, batch), (rows, batch)
    operands = [drawn(*s, seed=seed + i).to(dtype) for i, s in enumerate(shapes)]
    got = all_products(product, pattern, *(t.clone() for t in operands))
    want = all_products(by_dense, pattern, *(t.double() for t in operands))
    sizes = all_products(by_dense, pattern, *(t.double().abs() for t in operands))
    assert torch.equal(got[2], outer(pattern, operands[2], operands[1]))
    for made, exact, size, terms in zip(got, want, sizes, (columns, rows, batch), strict=True):
        assert made.dtype == dtype
        assert rounded_sums(made, exact, size, terms)


@quick
@given(patterns(), st.sampled_from(BATCHES), st.integers(0, 9), st.sampled_from(HALVES))
def test_products_are_exact_but_for_one_rounding(pattern, batch, seed, dtype):
    check_products(pattern, batch, seed, dtype)


@halves
@pytest.mark.parametrize("batch", [1, 31, 32, 33, 100])
@pytest.mark.parametrize("pattern", [TALL, RAGGED, LONG], ids=["tall", "ragged", "long"])
def test_products_hold_at_every_edge_of_a_tile(pattern, batch, dtype):
    check_products(pattern, batch, 0, dtype)


def test_products_hold_for_more_rows_than_one_task_takes():
    parts = [TALL, RAGGED, LONG] * 15
    union = Pattern.union([parts[i] for i in np.random.default_rng(0).permutation(len(parts))])
    assert min(union.shape) > 2048
    check_products(union, 65, 0, torch.bfloat16)


@halves
@pytest.mark.parametrize(
    "window", [Window.of(3, padding=1), Window.of(1), Window.of((3, 2), stride=2)], ids=str
)
def test_convolutions_are_exact_but_for_one_rounding(window, dtype):
    weight, x, y = (t.to(dtype) for t in convolution_operands(RAGGED, 2, 6, 5, window))

    def on(call):
        return lambda pattern, *given: call(pattern, window, *given)

    got = all_products(on(convolution), RAGGED, weight.clone(), x.clone(), y)
    oracle = on(convolution_reference.convolution)
    want = all_products(oracle, RAGGED, weight.double(), x.double(), y.double())
    sizes = all_products(oracle, RAGGED, *(t.double().abs() for t in (weight, x, y)))
    assert torch.equal(got[2], convolution_outer(RAGGED, window, y, x))
    many = (27 * window.taps, 26 * window.taps, 2 * 30)
    for made, exact, size, terms in zip(got, want, sizes, many, strict=True):
        assert made.dtype == dtype
        assert rounded_sums(made, exact, size, terms)


@halves
@pytest.mark.parametrize(("activation", "added", "training"), KINDS)
def test_norm_is_exact_but_for_rounding_its_results(activation, added, training, dtype):
    x, scale, shift, mean, variance, residual = (t.to(dtype) for t in norm_operands(5, 33))
    residual = residual if added else None
    upstream = drawn(5, 33, seed=9).to(dtype)

    def run(*given):
        x, scale, shift, residual, upstream = given
        leaves = [t.requires_grad_() for t in (x, scale, shift, residual) if t is not None]
        state = [mean.to(x.dtype, copy=True), variance.to(x.dtype, copy=True)]
        y = norm(
            x, scale, shift, *state, training=training, activation=activation, residual=residual
        )
        return y.detach(), *state, *torch.autograd.grad(y, leaves, upstream)

    given = x, scale, shift, residual, upstream
    got = run(*(None if t is None else t.clone() for t in given))
    want = run(*(None if t is None else t.double() for t in given))
    for made, exact in zip(got, want, strict=True):
        assert made.dtype == dtype
        # Sums of 33 samples in float32, whose terms are below 200.
        assert rounded_sums(made, exact, 200 * torch.ones_like(exact), 33)


def test_statistics_for_the_gradient_stay_in_float32():
    given = [t.bfloat16() for t in norm_operands(5, 33)]
    x, scale, shift, mean, variance, _ = given
    _, statistics = torch.ops.wireloom.norm(
        x, scale, shift, None, mean, variance, True, "relu", 0.1, 1e-5
    )
    assert statistics.dtype == torch.float32
    torch.testing.assert_close(statistics[0], x.float().mean(1))
    with pytest.raises(InvalidValue, match="statistics"):
        BACKWARD(x, x, None, scale, shift, statistics.bfloat16(), True, "relu", 1e-5)


def test_running_values_are_left_alone_outside_of_training():
    x, scale, shift, mean, variance, _ = (t.bfloat16() for t in norm_operands(5, 33))
    state = mean.clone(), variance.clone()
    before = [t._version for t in state]
    norm(x, scale, shift, *state, training=False)
    assert [t._version for t in state] == before
    norm(x, scale, shift, *state, training=True)
    assert all(t._version > b for t, b in zip(state, before, strict=True))


@halves
def test_gradients_of_gradients_of_norm_have_the_operands_dtype(dtype):
    x, scale, shift, mean, variance, _ = norm_operands(4, 21)

    def second(to):
        leaves = [t.to(dtype).to(to).requires_grad_() for t in (x, scale, shift)]
        inputs, gamma, beta = leaves
        state = mean.to(to), variance.to(to)
        y = norm(inputs, gamma, beta, *state, training=True, activation="silu")
        first = torch.autograd.grad(y.sum(), leaves[:2], create_graph=True)
        return torch.autograd.grad([g.square().sum() for g in first], leaves)

    for got, want in zip(second(dtype), second(torch.float64), strict=True):
        assert got.dtype == dtype
        # The first gradients were rounded on the way: errors in the last place of the largest.
        room = 8 * torch.finfo(dtype).eps * want.abs().max()
        torch.testing.assert_close(got.double(), want, rtol=0, atol=float(room))


@halves
def test_elementwise_functions_and_sums_are_rounded_once(dtype):
    x = drawn(3, 2, 5, 7).to(dtype)
    gate = sigmoid(pool(x))
    ones = torch.ones(3, 2, dtype=torch.float64)
    assert rounded_sums(sigmoid(x), x.double().sigmoid(), torch.ones(3, 2, 5, 7).double(), 4)
    assert rounded_sums(pool(x), x.double().mean((2, 3)), ones, 35)
    assert torch.equal(gated(x, gate), x * gate[..., None, None])
    leaves = x.clone().requires_grad_(), gate.clone().requires_grad_()
    dgate = torch.autograd.grad(gated(*leaves).sum(), leaves[1])[0]
    assert dgate.dtype == dtype
    assert rounded_sums(dgate, x.double().sum((2, 3)), x.double().abs().sum((2, 3)), 35)


def test_the_mean_of_a_map_does_not_overflow_in_float16():
    assert torch.equal(
        pool(torch.full((2, 3, 64, 64), 100.0).half()), torch.full((2, 3), 100.0).half()
    )


@pytest.mark.parametrize(
    "mine", [Pattern.from_wiring(ring(nodes=7, degree=4), out=40, into=33), TALL]
)
def test_a_members_product_has_the_same_bits_beside_a_member_full_of_nan(mine):
    rows, columns = mine.shape
    given = [drawn(*s).bfloat16() for s in ((mine.weights,), (columns, 37), (rows, 37))]
    nan = [
        torch.full(s, float("nan")).bfloat16()
        for s in ((RAGGED.weights,), (RAGGED.shape[1], 37), (RAGGED.shape[0], 37))
    ]
    alone = all_products(product, mine, *(t.clone() for t in given))
    union = Pattern.union([RAGGED, mine])
    beside = all_products(product, union, *map(torch.cat, zip(nan, given, strict=True)))
    for one, both in zip(alone, beside, strict=True):
        assert torch.equal(both[-len(one) :], one)


@pytest.mark.parametrize("model", ["mlp", "cnn6"])
def test_a_network_of_bfloat16_runs_both_ways_the_same_alone_and_in_company(model):
    wirings = [ws_flex(nodes=8, degree=d, rewire=0.5, seed=0) for d in (3, 4.5)]
    made = population(model, wirings, seeds=[0], classes=3, image=(3, 8, 8), dtype=torch.bfloat16)
    x, labels = drawn(6, 3, 8, 8).bfloat16(), torch.arange(6) % 3
    alone = made[1]

    def losses(logits):
        assert logits.dtype == torch.bfloat16
        return cross_entropy(logits.transpose(1, 2), labels)[0]

    together = losses(made(x))
    together.sum().backward()
    mine = losses(alone(x)[None])
    mine.sum().backward()
    assert torch.equal(together[1], mine[0])
    for all_of, own in zip(made.parameters(), alone.parameters(), strict=True):
        assert all_of.grad is not None
        assert own.grad is not None
        assert own.grad.dtype == torch.bfloat16
        assert torch.isfinite(own.grad).all()
        assert own.grad.any()
        assert torch.equal(all_of.grad[-len(own) :], own.grad)


@pytest.mark.parametrize("model", ["resnet34", "efficientnet_b0", "vit_tiny"])
def test_networks_keep_bfloat16_from_end_to_end(model):
    wiring = ws_flex(nodes=8, degree=3, rewire=0.5, seed=0)
    net = build(model, wiring, classes=3, image=(3, 32, 32), dtype=torch.bfloat16)
    y = net(drawn(2, 3, 32, 32).bfloat16())
    y.float().square().sum().backward()
    assert y.dtype == torch.bfloat16
    for tensor in (*net.parameters(), *net.buffers()):
        assert tensor.dtype in (torch.bfloat16, torch.int64)
    assert all(p.grad is not None and p.grad.dtype == torch.bfloat16 for p in net.parameters())


@halves
@pytest.mark.parametrize("operator", REFERENCE, ids=str)
def test_torchs_own_check_of_operators_passes(operator, dtype):
    one, other, *rest = every_call(RAGGED, 6, dtype)[operator]
    leaves = [t.requires_grad_() for t in (one, other)]
    assert set(torch.library.opcheck(operator, (*leaves, *rest)).values()) == {"SUCCESS"}


def test_torchs_own_check_of_the_other_operators_passes():
    x, scale, shift, mean, variance, residual = (t.bfloat16() for t in norm_operands(4, 9))
    operands = [t.requires_grad_() for t in (x, scale, shift, residual)]
    calls = {
        torch.ops.wireloom.norm: (*operands, mean, variance, True, "silu", 0.1, 1e-5),
        torch.ops.wireloom.sigmoid: (operands[0],),
        torch.ops.wireloom.pixel_sums: (drawn(2, 3, 4, 5).bfloat16().requires_grad_(), None),
        torch.ops.wireloom.cross_entropy: (
            drawn(2, 5, 9).bfloat16().requires_grad_(),
            torch.arange(9) % 5,
            0.1,
            True,
        ),
    }
    for operator, arguments in calls.items():
        checked = torch.library.opcheck(operator.default, arguments)
        assert set(checked.values()) == {"SUCCESS"}


def everything() -> list[torch.Tensor]:
    pattern = Pattern.from_wiring(ring(nodes=7, degree=4), out=40, into=33)
    operands = [drawn(*s).bfloat16() for s in ((pattern.weights,), (33, 300), (40, 300))]
    return list(all_products(product, pattern, *operands))


def test_the_number_of_threads_does_not_show_in_the_bits():
    assert_threads_do_not_show(everything)


def test_torchs_own_products_of_bfloat16_are_the_same_before_and_after_ours():
    one, other = drawn(64, 64).bfloat16(), drawn(64, 64, seed=1).bfloat16()
    before = one @ other
    everything()
    assert torch.equal(one @ other, before)


@pytest.mark.parametrize("body", BODIES)
def test_every_body_of_the_kernels_is_right(body):
    assert_right_on(body, "test_bfloat16", "t.check_products(t.TALL, 33, 0, torch.bfloat16)")
