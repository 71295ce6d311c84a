"""Elementwise functions and sums over pixels: accuracy, bits, gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bodies import BODIES, assert_right_on, assert_threads_do_not_show
from refusals import refusal
from test_compute import drawn
from wireloom.compute import cpu, gated, pool, sigmoid, silu

pytestmark = pytest.mark.usefixtures("one_thread")
quick = settings(deadline=None, max_examples=60)
INFINITY, NAN = float("inf"), float("nan")


def every_float(step: int) -> np.ndarray:
    """Every ``step``-th of all float32 values, NaN left out."""
    bits = np.arange(0, 2**32, step, dtype=np.uint64).astype(np.uint32)
    values = bits.view(np.float32)
    return values[~np.isnan(values)]


def units_apart(got: np.ndarray, want: np.ndarray) -> np.ndarray:
    """|got - want| in units in the last place of float32 at ``want`` (float64), where finite."""
    _, exponent = np.frexp(want)
    unit = np.ldexp(1.0, np.maximum(exponent - 24, -149))
    return np.abs(got.astype(np.float64) - want) / unit


def test_exp_is_within_one_unit_over_all_of_float32():
    """At every 1009th, and at four million in equal steps."""
    for x in (every_float(1009), np.linspace(-104, 89, 4_000_003, dtype=np.float32)):
        got = cpu.exponential(torch.from_numpy(x)).numpy()
        with np.errstate(over="ignore", under="ignore"):
            want = np.exp(x.astype(np.float64))
            overflows = np.isinf(want.astype(np.float32))
        assert np.array_equal(np.isinf(got), overflows)
        assert units_apart(got[~overflows], want[~overflows]).max() <= 1


def test_exp_of_what_is_no_number():
    x = torch.tensor([INFINITY, -INFINITY, NAN, 0.0, -0.0, 1e-45, -1e-45, -104.0, 3e38, -3e38])
    y = cpu.exponential(x)
    assert y.isnan().tolist() == [False, False, True, *[False] * 7]
    assert y[[0, 8]].tolist() == [INFINITY] * 2
    assert y[[1, 7, 9]].tolist() == [0.0] * 3
    assert y[3:7].tolist() == [1.0] * 4
    assert cpu.exponential(torch.tensor([-103.0])).item() == float(np.exp(np.float32(-103)))


def test_sigmoid_and_silu_are_theirs_in_float64():
    x = every_float(4001)
    wide = torch.from_numpy(x.astype(np.float64))
    near = wide.abs() < 87  # beyond, exp(-x) overflows float32 and the sigmoid is 0
    got = sigmoid(torch.from_numpy(x)).numpy()
    assert units_apart(got, wide.sigmoid().numpy())[near.numpy()].max() <= 3
    assert ((got >= 0) & (got <= 1)).all()
    assert (got[x < -90] == 0).all()
    assert (got[x > 90] == 1).all()
    values = drawn(1001) * 5
    torch.testing.assert_close(
        silu(values).double(), torch.nn.functional.silu(values.double()), rtol=4e-7, atol=1e-30
    )


@quick
@given(
    st.lists(st.floats(width=32), min_size=1, max_size=70),
    st.integers(0, 5),
    st.sampled_from([sigmoid, silu, cpu.exponential]),
)
def test_an_elements_bits_depend_on_its_value_alone(values, start, function):
    x = torch.tensor(values)[start:]
    together = function(x)
    alone = [function(x[i : i + 1]) for i in range(len(x))]
    assert torch.equal(together.nan_to_num(7), torch.cat([x[:0], *alone]).nan_to_num(7))


def test_activations_take_any_layout_and_shape():
    x = drawn(3, 4, 5)
    assert torch.equal(sigmoid(x.transpose(0, 2)), sigmoid(x).transpose(0, 2))
    assert sigmoid(drawn(0, 3)).shape == (0, 3)
    assert sigmoid(drawn(1)[0]).shape == ()


@pytest.mark.parametrize("function", [sigmoid, silu])
def test_activations_pass_gradcheck_twice_in_float64(function):
    x = drawn(2, 5).double().requires_grad_()
    assert torch.autograd.gradcheck(function, x)
    assert torch.autograd.gradgradcheck(function, x)


# Sums over pixels


@quick
@given(
    channels=st.integers(1, 5),
    images=st.integers(1, 4),
    height=st.integers(1, 9),
    width=st.sampled_from([1, 2, 7, 16, 33, 600]),
    seed=st.integers(0, 9),
)
def test_pool_and_gate_are_torchs(channels, images, height, width, seed):
    results = []
    for dtype in (torch.float32, torch.float64):
        x = drawn(channels, images, height, width, seed=seed).to(dtype).requires_grad_()
        gate = drawn(channels, images, seed=seed + 1).to(dtype).requires_grad_()
        up = drawn(channels, images, height, width, seed=seed + 2).to(dtype)
        if dtype == torch.float32:
            pooled, out = pool(x), gated(x, gate)
        else:
            pooled, out = x.mean((2, 3)), x * gate[..., None, None]
        slopes = torch.autograd.grad((out * up).sum() + (pooled * gate).sum(), (x, gate))
        results.append([pooled, out, *slopes])
    for got, want in zip(*results, strict=True):
        torch.testing.assert_close(got.double(), want, rtol=1e-5, atol=2e-6 * (height * width))


@pytest.mark.parametrize("threads", [1, 2])
def test_a_channels_sums_are_the_same_bits_alone_and_in_company(threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for pixels in ((1, 3), (7, 7), (56, 56), (200, 200)):
            x, y = drawn(6, 3, *pixels), drawn(6, 3, *pixels, seed=1)
            gate = drawn(6, 3, seed=2).requires_grad_()
            gate_slope = torch.autograd.grad(gated(x, gate), gate, y)[0]
            together = pool(x)
            for c in range(6):
                one = slice(c, c + 1)
                assert torch.equal(pool(x[one].clone()), together[one])
                own = gate[one].detach().clone().requires_grad_()
                alone = torch.autograd.grad(gated(x[one], own), own, y[one])[0]
                assert torch.equal(alone, gate_slope[one])
    finally:
        torch.set_num_threads(before)


def test_pool_and_gate_pass_gradcheck_twice_in_float64():
    x = drawn(2, 3, 2, 2).double().requires_grad_()
    gate = drawn(2, 3).double().requires_grad_()
    for call, operands in ((pool, (x,)), (gated, (x, gate))):
        assert torch.autograd.gradcheck(call, operands)
        assert torch.autograd.gradgradcheck(call, operands)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_torchs_own_check_of_operators_passes(dtype):
    x, y = (drawn(2, 3, 4, 5, seed=s).to(dtype).requires_grad_() for s in (1, 2))
    torch.library.opcheck(torch.ops.wireloom.sigmoid.default, (x,))
    torch.library.opcheck(torch.ops.wireloom.pixel_sums.default, (x, y))
    torch.library.opcheck(torch.ops.wireloom.pixel_sums.default, (x, None))


@pytest.mark.filterwarnings("ignore")
def test_squeeze_and_excite_compiles_without_a_break():
    torch._dynamo.reset()

    def excited(x):
        return gated(x, sigmoid(silu(pool(x))))

    x = drawn(4, 2, 3, 3).requires_grad_()
    compiled = torch.compile(excited, backend="aot_eager", fullgraph=True)
    results = [
        (y := call(x), torch.autograd.grad(y.square().sum(), x)[0]) for call in (compiled, excited)
    ]
    for got, want in zip(*results, strict=True):
        torch.testing.assert_close(got, want)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_computes_in_float32(dtype):
    x = drawn(2, 3, 4, 4).to(dtype)
    with torch.autocast("cpu", dtype=dtype):
        assert torch.equal(pool(x), pool(x.float()))
        assert torch.equal(sigmoid(x), sigmoid(x.float()))
        assert torch.equal(gated(x, pool(x)), gated(x.float(), pool(x.float())))


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: pool(drawn(3, 4)), "[channels, images, height, width]"),
        (lambda: pool(drawn(3, 4, 0, 2)), "at least one pixel"),
        (lambda: gated(drawn(3, 4, 2, 2), drawn(4, 3)), "`gate`"),
        (lambda: gated(drawn(3, 4, 2), drawn(3, 4)), "`gate`"),
        (lambda: gated(drawn(3, 4, 2, 2), drawn(3, 4).double()), "`gate`"),
        (lambda: gated(drawn(3, 4, 2, 2), drawn(3, 4).to("meta")), "`gate`"),
        (lambda: torch.ops.wireloom.pixel_sums(drawn(1, 1, 2, 2), drawn(1, 1, 2, 3)), "shape"),
    ],
)
def test_operands_that_do_not_fit_are_refused(call, word):
    assert word in refusal(call)


def everything() -> list[torch.Tensor]:
    x, y = drawn(37, 5, 31, 33), drawn(37, 5, 31, 33, seed=1)
    sums = torch.ops.wireloom.pixel_sums(x, y)
    return [sigmoid(x), cpu.exponential(x), pool(x), sums]


def test_the_number_of_threads_does_not_show_in_the_bits():
    assert_threads_do_not_show(everything)


CHECKS = """
t.test_exp_is_within_one_unit_over_all_of_float32()
t.test_exp_of_what_is_no_number()
t.test_sigmoid_and_silu_are_theirs_in_float64()
t.test_an_elements_bits_depend_on_its_value_alone()
t.test_pool_and_gate_are_torchs()
t.test_the_number_of_threads_does_not_show_in_the_bits()
"""


@pytest.mark.parametrize("body", BODIES)
def test_every_body_of_the_kernels_is_right(body):
    assert_right_on(body, "test_activations", CHECKS)
