"""Max-pooling: torch's values, ties, NaN and gradients, to the bit."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import max_pool2d

from bodies import BODIES, assert_right_on, assert_threads_do_not_show
from refusals import refusal
from test_compute import drawn
from wireloom.compute import Window, largest

pytestmark = pytest.mark.usefixtures("one_thread")
quick = settings(deadline=None, max_examples=60)
STEM = Window.of(3, stride=2, padding=1)
SIDE = st.integers(1, 5).flatmap(  # size, stride, padding
    lambda size: st.tuples(st.just(size), st.integers(1, 4), st.integers(0, size // 2))
)


def plain(x: torch.Tensor, window: Window) -> torch.Tensor:
    return max_pool2d(x, window.size, window.stride, window.padding, window.dilation)


def pooled(call, x: torch.Tensor, window: Window, seed: int) -> list[torch.Tensor]:
    """Values and the gradient of x."""
    x = x.clone().requires_grad_()
    y = call(x, window)
    return [y.detach(), *torch.autograd.grad(y, x, drawn(*y.shape, seed=seed).to(x.dtype))]


def assert_same_bits(got: torch.Tensor, want: torch.Tensor) -> None:
    assert got.is_contiguous()
    assert torch.equal(got.isnan(), want.isnan())
    assert torch.equal(got.nan_to_num(7.0), want.nan_to_num(7.0))
    assert torch.equal(got.nan_to_num(7.0).signbit(), want.nan_to_num(7.0).signbit())


@quick
@given(
    down=SIDE,
    across=SIDE,
    planes=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    rows=st.integers(0, 8),
    columns=st.sampled_from([0, 1, 5, 16, 31, 33, 70]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    levels=st.sampled_from([1, 2, 1000]),
    seed=st.integers(0, 99),
)
def test_it_is_torchs(down, across, planes, rows, columns, dtype, levels, seed):
    window = Window(*zip(down, across, strict=True))
    x = drawn(*planes, down[0] + rows, across[0] + columns, seed=seed).to(dtype)
    x = (x * levels).round()  # so that some are equal, and zeros of both signs
    strange = drawn(*x.shape, seed=seed + 1)
    x[strange > 2.2] = float("nan")
    x[strange < -2.2] = -float("inf")
    for got, want in zip(*(pooled(c, x, window, seed) for c in (largest, plain)), strict=True):
        assert_same_bits(got, want)


def test_a_window_with_gaps_is_torchs():
    window = Window.of((2, 3), stride=2, dilation=(3, 1))
    for got, want in zip(
        *(pooled(c, drawn(2, 2, 9, 9), window, 0) for c in (largest, plain)), strict=True
    ):
        assert_same_bits(got, want)


def test_a_map_of_nothing_but_minus_infinity_has_its_gradient_where_torchs_is():
    x = torch.full((1, 2, 6, 40), -float("inf"))
    for got, want in zip(*(pooled(c, x, STEM, 0) for c in (largest, plain)), strict=True):
        assert_same_bits(got, want)


def test_it_takes_any_layout_and_no_image():
    x = drawn(3, 2, 9, 20)
    turned = x.transpose(0, 1).contiguous().transpose(0, 1)
    assert torch.equal(largest(turned, STEM), largest(x, STEM))
    none = drawn(3, 0, 9, 20).requires_grad_()
    y = largest(none, STEM)
    assert y.shape == (3, 0, 5, 10)
    assert torch.autograd.grad(y.sum(), none)[0].shape == none.shape


def test_gradients_pass_gradcheck_twice_in_float64():
    x = drawn(2, 2, 5, 6).double().requires_grad_()
    assert torch.autograd.gradcheck(largest, (x, STEM))
    assert torch.autograd.gradgradcheck(largest, (x, STEM))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_torchs_own_check_of_operators_passes(dtype):
    x = drawn(2, 3, 6, 7).to(dtype).requires_grad_()
    dy = drawn(2, 3, 3, 4, seed=1).to(dtype).requires_grad_()
    torch.library.opcheck(torch.ops.wireloom.largest.default, (x, STEM.numbers))
    torch.library.opcheck(torch.ops.wireloom.largest_backward.default, (dy, x, STEM.numbers))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sixteen_bits_are_torchs(dtype):
    x = drawn(2, 3, 9, 9).to(dtype)
    for got, want in zip(*(pooled(c, x, STEM, 0) for c in (largest, plain)), strict=True):
        assert got.dtype == dtype
        assert_same_bits(got, want)


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: largest(drawn(3, 4), STEM), "[channels, images, height, width]"),
        (lambda: largest(drawn(1, 1, 4, 4), Window.of(3, padding=2)), "`padding`"),
        (lambda: largest(drawn(1, 1, 2, 4), Window.of(3)), "2 x 4"),
        (lambda: largest(drawn(1, 1, 2, 4).bfloat16(), Window.of(3)), "2 x 4"),
        (lambda: torch.ops.wireloom.largest_backward(
            drawn(1, 1, 2, 2), drawn(1, 1, 6, 6), STEM.numbers), "`dy`"),
    ],
)  # fmt: skip
def test_operands_that_do_not_fit_are_refused(call, word):
    assert word in refusal(call)


def everything() -> list[torch.Tensor]:
    return pooled(largest, drawn(13, 3, 31, 33), STEM, 1)


def test_the_number_of_threads_does_not_show_in_the_bits():
    assert_threads_do_not_show(everything)


CHECKS = """
t.test_it_is_torchs()
t.test_a_map_of_nothing_but_minus_infinity_has_its_gradient_where_torchs_is()
t.test_the_number_of_threads_does_not_show_in_the_bits()
"""


@pytest.mark.parametrize("body", BODIES)
def test_every_body_of_the_kernels_is_right(body):
    assert_right_on(body, "test_pooling", CHECKS)
