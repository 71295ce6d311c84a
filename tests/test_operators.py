"""The operators as torch knows them, plans, sparse matrices, and input that fits nothing."""

from __future__ import annotations

import gc
import shutil
import time
import weakref

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from test_compute import EMPTY, RAGGED, dense, drawn, patterns, refusal
from wireloom.base import InvalidValue
from wireloom.compute import (
    Pattern,
    Window,
    convolution,
    convolution_outer,
    convolution_reference,
    cross_entropy,
    operators,
    outer,
    product,
    reference,
)
from wireloom.compute import convolution_operators as convolutions
from wireloom.compute import plan as plans
from wireloom.compute.plan import pattern_of, plan
from wireloom.models import build
from wireloom.nn import WiredConv2d, WiredLinear
from wireloom.wiring import ring, ws_flex

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:Sparse .*beta"),  # torch says so of its own
]
quick = settings(deadline=None, max_examples=60)


def operands(pattern: Pattern, batch: int, dtype: torch.dtype = torch.float32):
    """Weight, input and output's gradient: [weights], [columns, batch], [rows, batch]."""
    rows, columns = pattern.shape
    return (
        drawn(pattern.weights).to(dtype),
        drawn(columns, batch, seed=1).to(dtype),
        drawn(rows, batch, seed=2).to(dtype),
    )


WINDOW = Window.of((3, 2), stride=(2, 1), padding=1, dilation=(1, 2))
SIZE = 4, 5  # of the maps
REST = (list(WINDOW.numbers), *SIZE)


def every_call(pattern: Pattern, batch: int, dtype: torch.dtype = torch.float32):
    """Each operator with arguments that fit it."""
    weight, x, y = operands(pattern, batch, dtype)
    made = plan(pattern)
    kernel = drawn(pattern.weights * WINDOW.taps).to(dtype)
    x_maps = drawn(made.columns, batch, *SIZE, seed=1).to(dtype)
    y_maps = drawn(made.rows, batch, *WINDOW.output(*SIZE), seed=2).to(dtype)
    return {
        operators.product: (weight, x, made.words, made.rows),
        operators.transposed_product: (weight, y, made.words, made.columns),
        operators.outer: (y, x, made.words, made.weights),
        convolutions.convolution: (kernel, x_maps, made.words, made.rows, *REST),
        convolutions.transposed_convolution: (kernel, y_maps, made.words, made.columns, *REST),
        convolutions.convolution_outer: (y_maps, x_maps, made.words, len(kernel), *REST),
    }


def by_torch(call):
    """A reference convolution, which has torch's shape, on channel-major maps."""

    def on_maps(pattern, one, other):
        one, other = (t.transpose(0, 1) if t.dim() == 4 else t for t in (one, other))
        found = call(pattern, WINDOW, one, other)
        return found.transpose(0, 1) if found.dim() == 4 else found

    return on_maps


REFERENCE = {
    operators.product: reference.product,
    operators.transposed_product: reference.transposed_product,
    operators.outer: reference.outer,
    convolutions.convolution: by_torch(convolution_reference.convolution),
    convolutions.transposed_convolution: by_torch(
        lambda *given: convolution_reference.transposed(*given, SIZE)
    ),
    convolutions.convolution_outer: by_torch(convolution_reference.outer),
}


# What torch asks of an operator


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("pattern", [RAGGED, EMPTY], ids=["ragged", "empty"])
@pytest.mark.parametrize("operator", REFERENCE, ids=str)
def test_torchs_own_check_of_operators_passes(operator, pattern, dtype):
    one, other, *rest = every_call(pattern, 6, dtype)[operator]
    leaves = [t.requires_grad_() for t in (one, other)]
    assert set(torch.library.opcheck(operator, (*leaves, *rest)).values()) == {"SUCCESS"}


@pytest.mark.parametrize("operator", REFERENCE, ids=str)
def test_shapes_are_known_without_data(operator):
    arguments = every_call(RAGGED, 5)[operator]
    want = operator(*arguments)
    got = operator(*(a.to("meta") if isinstance(a, torch.Tensor) else a for a in arguments))
    assert got.is_meta
    assert (got.shape, got.dtype, got.stride()) == (want.shape, want.dtype, want.stride())


class Seen(TorchDispatchMode):
    """Notes which operators run."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(func.name())
        return func(*args, **(kwargs or {}))


def test_whoever_watches_torch_sees_the_operators():
    weight, x, _ = (t.requires_grad_() for t in operands(RAGGED, 3))
    with Seen() as seen:
        product(RAGGED, weight, x).sum().backward()
    assert [n for n in seen.names if n.startswith("wireloom")] == [
        "wireloom::product",
        "wireloom::outer",
        "wireloom::transposed_product",
    ]


class Net(torch.nn.Module):
    """Two wired layers, one with a bias."""

    given = (24,)  # features

    def __init__(self) -> None:
        super().__init__()
        wiring = ws_flex(nodes=8, degree=3, rewire=0.3)
        first = Pattern.from_wiring(wiring, out=40, into=24)
        self.first = WiredLinear(first, bias=True, seed=1)
        self.second = WiredLinear(Pattern.from_wiring(wiring, out=16, into=40), seed=2)
        with torch.no_grad():
            self.first.weight *= 50

    def forward(self, x):
        return self.second(self.first(x).tanh())


class Maps(torch.nn.Module):
    """Wired convolutions of every kind, channel-major."""

    given = 6, 7, 8  # channels, height, width

    def __init__(self) -> None:
        super().__init__()
        wiring = ws_flex(nodes=5, degree=3, rewire=0.3)
        first = Pattern.from_wiring(wiring, out=11, into=6)
        self.first = WiredConv2d(first, 3, stride=2, padding=1, bias=True, seed=1)
        self.second = WiredConv2d(Pattern.from_wiring(wiring, out=9, into=11), 3, padding=1, seed=2)
        self.past = WiredConv2d(Pattern.from_wiring(wiring, out=9, into=6), 1, stride=2, seed=3)

    def forward(self, x):
        x = x.transpose(0, 1)
        y = self.second.features(self.first.features(x).tanh()) + self.past.features(x)
        return y.transpose(0, 1)


def trained(call, net: torch.nn.Module, batch: int) -> list[torch.Tensor]:
    x = drawn(batch, *net.given, seed=batch).requires_grad_()
    y = call(x)
    return [y.detach(), *torch.autograd.grad(y.square().sum(), [x, *net.parameters()])]


@pytest.mark.parametrize("made", [Net, Maps])
@pytest.mark.parametrize("backend", ["eager", "aot_eager", "inductor"])
@pytest.mark.filterwarnings("ignore")
def test_a_net_compiles_without_a_break_and_computes_the_same(backend, made):
    if backend == "inductor" and not shutil.which("g++"):
        pytest.skip("inductor needs a C++ compiler")
    torch._dynamo.reset()
    net = made()
    compiled = torch.compile(net, backend=backend, fullgraph=True)
    for batch in (6, 9, 17):
        for got, want in zip(trained(compiled, net, batch), trained(net, net, batch), strict=True):
            torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        x = drawn(6, *net.given)
        torch.testing.assert_close(compiled(x), net(x))


@pytest.mark.filterwarnings("ignore")
def test_a_whole_network_and_its_loss_compile_without_a_break():
    torch._dynamo.reset()
    results = []
    for compiled in (False, True):
        net = build("mlp", ring(nodes=8), classes=5, image=(1, 6, 6), width=24, stem=16)
        labels = torch.arange(20) % 5

        def loss(x, net=net, labels=labels):
            losses, wrong = cross_entropy(net.features(x), labels, smoothing=0.1)
            return losses.sum(), wrong

        call = torch.compile(loss, backend="aot_eager", fullgraph=True) if compiled else loss
        value, wrong = call(drawn(36, 20))
        value.backward()
        results.append([value.detach(), wrong, *(p.grad for p in net.parameters())])
        results[-1] += list(net.buffers())
    for got, want in zip(*results, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_a_compiled_function_follows_the_pattern_it_is_given():
    torch._dynamo.reset()
    compiled = torch.compile(product, backend="aot_eager", fullgraph=True)
    for pattern in (RAGGED, Pattern([2, 1], [3], [(1, 0)]), RAGGED):
        weight, x, _ = operands(pattern, 4)
        assert torch.equal(compiled(pattern, weight, x), product(pattern, weight, x))


@pytest.mark.parametrize(("made", "name"), [(Net, "product"), (Maps, "convolution")])
@pytest.mark.filterwarnings("ignore")
def test_a_net_can_be_exported(made, name):
    net = made()
    x = drawn(5, *net.given)
    program = torch.export.export(net, (x,))
    assert f"wireloom.{name}" in program.graph_module.code
    torch.testing.assert_close(program.module()(x), net(x))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_runs_the_operators_in_its_dtype_as_torchs_products(dtype):
    weight, x, y = operands(RAGGED, 7)
    leaves = weight.clone().requires_grad_(), x.clone().requires_grad_()
    with torch.autocast("cpu", dtype=dtype):
        got = product(RAGGED, *leaves)
        assert outer(RAGGED, y.to(dtype), x).dtype == dtype
        below = operators.product(*leaves, plan(RAGGED).words, RAGGED.shape[0])
        double = product(RAGGED, weight.double(), x.double())
        assert torch.nn.functional.linear(x.T, x.T).dtype == dtype  # torch's own
    assert (got.dtype, double.dtype) == (dtype, torch.float64)
    assert torch.equal(got, below)
    assert torch.equal(got, product(RAGGED, weight.to(dtype), x.to(dtype)))
    slopes = torch.autograd.grad(got, leaves, y.to(dtype))
    assert [s.dtype for s in slopes] == [torch.float32, torch.float32]
    wanted = outer(RAGGED, y.to(dtype), x.to(dtype))
    assert torch.equal(slopes[0], wanted.float())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("window", [Window.of(3, padding=1), Window.of(1)], ids=str)
def test_autocast_runs_the_convolutions_in_its_dtype(window, dtype):
    weight = drawn(RAGGED.weights * window.taps)
    x, y = drawn(2, 27, 5, 4, seed=1), drawn(2, 26, 5, 4, seed=2)
    leaves = weight.clone().requires_grad_(), x.clone().requires_grad_()
    with torch.autocast("cpu", dtype=dtype):
        got = convolution(RAGGED, window, *leaves)
        assert convolution_outer(RAGGED, window, y.to(dtype), x).dtype == dtype
    assert got.dtype == dtype
    low = x.to(dtype)
    assert torch.equal(got, convolution(RAGGED, window, weight.to(dtype), low))
    slopes = torch.autograd.grad(got, leaves, y.to(dtype))
    assert [s.dtype for s in slopes] == [torch.float32, torch.float32]
    wanted = convolution_outer(RAGGED, window, y.to(dtype), low)
    assert torch.equal(slopes[0], wanted.float())


def test_gradients_can_be_taken_after_a_first_look_without_them():
    pattern = Pattern([3, 2], [4], [(0, 0)])
    weight, x, _ = operands(pattern, 2)
    with torch.inference_mode():
        product(pattern, weight, x)
    product(pattern, weight.requires_grad_(), x).sum().backward()
    assert weight.grad is not None


# Plans


@quick
@given(patterns())
def test_a_plan_tells_its_pattern(pattern):
    assert pattern_of(plan(pattern).words) == pattern
    assert plans.sound(plan(pattern).words.clone())


def test_plans_with_many_nodes_use_wider_numbers():
    n = 70_000
    pattern = Pattern([1] * n, [1] * n, np.stack([np.arange(n), np.arange(n)[::-1]], 1))
    assert plan(pattern).words[1] == 4
    assert pattern_of(plan(pattern).words) == pattern
    weight, x, y = operands(pattern, 3)
    assert torch.equal(product(pattern, weight, x), weight[:, None] * x.flip(0))
    assert plans.sound(plan(pattern).words.clone())
    torch.testing.assert_close(outer(pattern, y, x), (y * x.flip(0)).sum(1))


def test_equal_patterns_share_a_plan_and_the_last_one_takes_it_away():
    def fresh() -> Pattern:
        return Pattern([3, 4], [5], [(1, 0)])

    one, other = fresh(), fresh()
    assert plan(one) is plan(other)
    kept = weakref.ref(plan(one))
    del one
    gc.collect()
    assert kept() is not None
    layer = WiredLinear(other)
    layer(torch.ones(2, 5)).sum().backward()
    del other, layer
    assert kept() is None, "without the garbage collector's help"
    assert fresh().key not in plans._plans


def test_a_long_study_keeps_no_plans():
    before = len(plans._plans), len(plans._sound)
    for seed in range(50):
        layer = WiredLinear(
            Pattern.from_wiring(ws_flex(nodes=9, degree=3, rewire=0.9, seed=seed), out=18, into=9)
        )
        layer(torch.ones(2, 9)).sum().backward()
    del layer
    gc.collect()
    assert (len(plans._plans), len(plans._sound)) <= before


def measured_plan(pattern: Pattern) -> float:
    """Bytes of the plan for each byte of the weights."""
    words = plan(pattern).words
    return words.numel() * words.itemsize / (4 * pattern.weights)


@pytest.mark.parametrize("share", [0.1, 0.2, 0.4])
@pytest.mark.parametrize("block", [2, 3, 8, 32])
def test_a_plan_is_no_larger_than_the_weights_of_blocks(block, share):
    wiring = ws_flex(nodes=64, degree=64 * share - 1, rewire=0.2)
    assert measured_plan(Pattern.from_wiring(wiring, out=64 * block, into=64 * block)) <= 1.0
    assert measured_plan(Pattern.from_wiring(ring(nodes=64), out=64 * block, into=64 * block)) <= 1


@pytest.mark.parametrize("shape", [(1024, 1024), (300, 2000)])
def test_a_plan_of_single_edges_is_at_most_three_times_the_weights(shape):
    mask = np.random.default_rng(0).random(shape) < 0.1
    assert measured_plan(Pattern.from_mask(mask)) <= 3.0


def test_plans_cost_milliseconds():
    union = Pattern.union(
        [
            Pattern.from_wiring(ws_flex(nodes=64, degree=12, rewire=0.3, seed=s), out=128, into=128)
            for s in range(53)
        ]
    )
    times = []
    for _ in range(5):
        again = Pattern(union.out_sizes, union.in_sizes, union.edges)
        started = time.perf_counter()
        plans.Plan(again)
        times.append(time.perf_counter() - started)
    assert min(times) < 0.1, f"53 wirings took {min(times) * 1e3:.1f} ms"


# Sparse matrices


def as_csr(pattern: Pattern, weight: torch.Tensor) -> torch.Tensor:
    return dense(pattern, weight).to_sparse_csr()


@quick
@given(patterns())
def test_csr_goes_there_and_back(pattern):
    weight = drawn(pattern.weights)
    matrix = pattern.to_csr(weight)
    assert matrix.values().data_ptr() == weight.data_ptr()
    assert torch.equal(matrix.to_dense(), dense(pattern, weight))
    again, values = Pattern.from_sparse(matrix)
    assert torch.equal(values, weight)
    assert again == Pattern.from_mask(pattern.mask())
    assert again == Pattern.from_csr(matrix.crow_indices(), matrix.col_indices(), matrix.shape)
    torch.sparse_csr_tensor(
        matrix.crow_indices(), matrix.col_indices(), weight, matrix.shape, check_invariants=True
    )


@st.composite
def masks(draw):
    rows, columns = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    share = draw(st.floats(0, 1))
    seed = draw(st.integers(0, 10**6))
    return np.random.default_rng(seed).random((rows, columns)) < share


@quick
@given(masks())
def test_any_mask_goes_there_and_back(mask):
    pattern = Pattern.from_mask(mask)
    np.testing.assert_array_equal(pattern.mask(), mask)
    weight = torch.arange(1.0, pattern.weights + 1)
    matrix = torch.zeros(mask.shape)
    matrix[torch.from_numpy(mask)] = weight
    assert torch.equal(pattern.to_csr(weight).to_dense(), matrix)
    again, values = Pattern.from_sparse(matrix.to_sparse_csr())
    assert again == pattern
    assert torch.equal(values, weight)


@quick
@given(patterns(), st.integers(1, 4), st.integers(1, 4), st.integers(1, 2), st.integers(1, 2))
def test_bsr_goes_there_and_back(pattern, high, wide, down, across):
    # Sizes that are multiples of the blocks' own.
    pattern = Pattern(
        [high * down * (1 + s % 3) for s in pattern.out_sizes],
        [wide * across * (1 + s % 3) for s in pattern.in_sizes],
        pattern.edges,
    )
    weight = drawn(pattern.weights)
    matrix = pattern.to_bsr(weight, (high, wide))
    assert matrix.values().shape[1:] == (high, wide)
    assert torch.equal(matrix.to_dense(), dense(pattern, weight))
    again, values = Pattern.from_sparse(matrix)
    assert torch.equal(dense(again, values), dense(pattern, weight))
    assert torch.equal(values, weight)


def test_sparse_matrices_that_do_not_fit_are_refused():
    crow, col = torch.tensor([0, 2, 3]), torch.tensor([0, 2, 1])
    assert Pattern.from_csr(crow, col, (2, 3)).weights == 3
    for arguments, word in (
        ((crow, col, (3, 3)), "`shape`"),
        ((crow, col, (2, 2)), "`col`"),
        ((crow, torch.tensor([2, 0, 1]), (2, 3)), "`col`"),
        ((crow, torch.tensor([0, 0, 1]), (2, 3)), "`col`"),
        ((crow, torch.tensor([-1, 0, 1]), (2, 3)), "`col`"),
        ((torch.tensor([0, 4, 3]), col, (2, 3)), "`crow`"),
        ((torch.tensor([0, 2, 2]), col, (2, 3)), "`crow`"),
        ((crow.float(), col, (2, 3)), "`crow`"),
        ((crow, col[None], (2, 3)), "`col`"),
    ):
        assert word in refusal(Pattern.from_csr, *arguments)
    assert "`matrix`" in refusal(Pattern.from_sparse, torch.ones(2, 2))
    assert "`matrix`" in refusal(Pattern.from_sparse, torch.ones(2, 2).to_sparse())
    assert "`weight`" in refusal(RAGGED.to_csr, drawn(3))
    assert "`blocksize`" in refusal(RAGGED.to_bsr, drawn(RAGGED.weights), (2, 1))
    assert "`blocksize`" in refusal(RAGGED.to_bsr, drawn(RAGGED.weights), (0, 1))


# Input that fits nothing: an error or the right result, never a crash


def strided(tensor: torch.Tensor, kind: int) -> torch.Tensor:
    """The same values, lying in memory in one of several ways."""
    if kind == 1:
        return torch.stack([tensor, tensor], -1)[..., 0]
    if kind == 2 and tensor.dim() == 2:
        return tensor.t().contiguous().t()
    if kind == 3:  # not at the beginning of its memory, nor on a multiple of anything
        return torch.cat([tensor.new_zeros(1), tensor.flatten()])[1:].view(tensor.shape)
    return tensor


@settings(deadline=None, max_examples=150)
@given(
    pattern=patterns(),
    batch=st.sampled_from([0, 1, 2, 16, 31, 33, 70, 129, 515]),
    kinds=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    threads=st.integers(1, 3),
)
def test_native_operators_are_the_reference_on_anything(pattern, batch, kinds, threads):
    torch.set_num_threads(threads)
    for operator, (one, other, *rest) in every_call(pattern, batch).items():
        got = operator(strided(one, kinds[0]), strided(other, kinds[1]), *rest)
        want = REFERENCE[operator](pattern, one.double(), other.double())
        scale = REFERENCE[operator](pattern, one.double().abs(), other.double().abs())
        assert got.shape == want.shape
        assert bool(((got - want).abs() <= 4e-6 * scale + 1e-7).all())


@quick
@given(patterns(), patterns(), st.integers(0, 3))
def test_a_plan_of_another_wiring_is_refused_or_right(mine, other, batch):
    for operator, (one, two, _, *rest) in every_call(mine, batch).items():
        words = plan(other).words
        if (*mine.shape, mine.weights) == (*other.shape, other.weights):
            want = REFERENCE[operator](other, one, two)
            torch.testing.assert_close(operator(one, two, words, *rest), want)
        else:
            for dtype in (torch.float32, torch.float64):
                with pytest.raises(ValueError, match="the plan is one of"):
                    operator(one.to(dtype), two.to(dtype), words, *rest)


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_a_damaged_plan_is_refused_or_harmless(data):
    for operator, (one, other, words, *rest) in every_call(RAGGED, 5).items():
        damaged = words.clone()
        raw = damaged.view(torch.uint8)
        for _ in range(data.draw(st.integers(1, 3))):
            place = data.draw(st.integers(0, len(raw) - 1))
            raw[place] = data.draw(st.integers(0, 255))
        damaged = damaged[: len(damaged) - data.draw(st.sampled_from([0, 0, 0, 1, 5]))].clone()
        try:
            got = operator(one, other, damaged, *rest)
        except ValueError:
            continue
        assert got.shape == operator(one, other, words, *rest).shape


@pytest.mark.parametrize("operator", REFERENCE, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_operators_refuse_what_is_no_plan(operator, dtype):
    one, other, words, size, *rest = every_call(RAGGED, 5, dtype)[operator]
    for wrong in (
        torch.zeros(0, dtype=torch.int64),
        torch.zeros(40, dtype=torch.int64),
        words.int(),
        words[:-1],
        words[None],
        words.double(),
    ):
        with pytest.raises(InvalidValue, match="`plan`"):
            operator(one, other, wrong.clone(), size, *rest)
    for wrong in (size + WINDOW.taps, 0):
        with pytest.raises(ValueError, match="the plan is one of"):
            operator(one, other, words, wrong, *rest)


@pytest.mark.parametrize("operator", REFERENCE, ids=str)
def test_operators_refuse_operands_that_do_not_fit(operator):
    one, other, *rest = every_call(RAGGED, 5)[operator]
    for wrong in (
        (one[:-1], other),
        (one, other[:-1]),
        (one, other[0]),
        (one[None], other),
        (one.double(), other),
        (one, other.to("meta")),
    ):
        with pytest.raises(ValueError, match=r"operands|the plan is one of"):
            operator(*wrong, *rest)
