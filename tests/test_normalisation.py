"""Normalisation with residual and activation: torch's numbers, gradients to any order, bits."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from bodies import BODIES, assert_right_on, assert_threads_do_not_show
from refusals import refusal
from test_compute import drawn
from wireloom.compute import norm
from wireloom.compute import normalisation_reference as reference
from wireloom.nn import FeatureNorm

pytestmark = pytest.mark.usefixtures("one_thread")
ACTIVATIONS = {"none": lambda z: z, "relu": F.relu, "silu": F.silu}
KINDS = list(itertools.product(ACTIVATIONS, [False, True], [False, True]))
kinds = pytest.mark.parametrize(("activation", "added", "training"), KINDS)
OPERATOR = torch.ops.wireloom.norm.default
BACKWARD = torch.ops.wireloom.norm_backward.default


def operands(features: int, *samples: int, seed: int = 0):
    """x, scale, shift, running mean and variance, and a residual."""
    one = (features, *[1] * len(samples))
    x = drawn(features, *samples, seed=seed + 1) * 3 + drawn(*one, seed=seed + 2)
    scale, shift, mean, variance = (drawn(features, seed=seed + s) for s in (3, 4, 5, 6))
    return x, scale, shift, mean, variance**2 + 0.1, drawn(features, *samples, seed=seed + 7)


def torch_norm(
    x, scale, shift, mean, variance, *, training, activation, residual, momentum, epsilon
):
    y = F.batch_norm(
        x.transpose(0, 1), mean, variance, scale, shift, training, momentum, epsilon
    ).transpose(0, 1)
    return ACTIVATIONS[activation](y if residual is None else y + residual)


def outcome(call, dtype, given, upstream, *, added, training, activation, **settings):
    """y, all gradients and the running values of one call, in float64."""
    x, scale, shift, mean, variance, residual = (t.to(dtype) for t in given)
    leaves = [t.clone().requires_grad_() for t in (x, scale, shift, residual)[: 3 + added]]
    state = [mean.clone(), variance.clone()]
    y = call(
        *leaves[:3],
        *state,
        training=training,
        activation=activation,
        residual=leaves[3] if added else None,
        **settings,
    )
    slopes = torch.autograd.grad(y, leaves, upstream.to(dtype))
    assert y.dtype == dtype
    return [t.detach().double() for t in (y, *slopes, *state)]


def check_against_torch(shape, dtype, *, seed=0, **kind) -> None:
    given, upstream = operands(*shape, seed=seed), drawn(*shape, seed=seed + 9)
    how = {"momentum": 0.3, "epsilon": 1e-3} | kind
    got = outcome(norm, dtype, given, upstream, **how)
    want = outcome(torch_norm, torch.float64, given, upstream, **how)
    tolerance = 2e-5 if dtype == torch.float32 else 1e-10
    for mine, theirs in zip(got, want, strict=True):
        scale = max(1.0, theirs.abs().max().item()) if theirs.numel() else 1.0
        torch.testing.assert_close(mine, theirs, rtol=tolerance, atol=tolerance * scale)


@kinds
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_normalisation_is_torchs_forward_and_backward(activation, added, training, dtype):
    for batch in (2, 3, 15, 16, 17, 64, 65, 130):
        for features in (1, 11, 16, 35):
            check_against_torch(
                (features, batch), dtype, activation=activation, added=added, training=training
            )
    for shape in ((5, 2, 3, 7), (3, 1, 2, 1), (2, 3, 40, 36), (18, 2, 1, 1)):
        check_against_torch(shape, dtype, activation=activation, added=added, training=training)


@settings(deadline=None, max_examples=60)
@given(
    kind=st.sampled_from(KINDS),
    features=st.integers(1, 40),
    samples=st.lists(st.integers(1, 11), min_size=1, max_size=3),
    seed=st.integers(0, 999),
)
def test_normalisation_is_torchs_on_any_shape(kind, features, samples, seed):
    activation, added, training = kind
    samples[0] += 2  # torch's own float64 is the measure, so leave it some samples
    check_against_torch(
        (features, *samples),
        torch.float32,
        seed=seed,
        activation=activation,
        added=added,
        training=training,
    )


@pytest.mark.parametrize("samples", [(200,), (7, 30, 31), (4097,), (1, 4096), (3, 4099)])
def test_large_offsets_keep_their_precision(samples):
    """Mean 1e4, variance 1e-2: float32 itself steps by 1e-3 there."""
    x = drawn(5, *samples) * 0.1 + 1e4
    up = drawn(5, *samples, seed=1)
    results = []
    for dtype, epsilon in ((torch.float32, 1e-5), (torch.float64, 1e-5)):
        leaves = [t.to(dtype).requires_grad_() for t in (x, torch.ones(5), torch.zeros(5))]
        state = [torch.zeros(5, dtype=dtype), torch.ones(5, dtype=dtype)]
        y = norm(*leaves, *state, training=True, activation="none", epsilon=epsilon, momentum=1.0)
        results.append([y, *torch.autograd.grad(y, leaves, up.to(dtype)), *state])
    for got, want in zip(results[0], results[1], strict=True):
        largest = want.abs().max().item()
        torch.testing.assert_close(got.double(), want, rtol=2e-6, atol=2e-6 * largest)


@pytest.mark.parametrize("outlier", [1e4, -1e6])
def test_the_variance_survives_whatever_comes_first(outlier):
    for count in (100, 9000):
        x = drawn(3, count)
        x[:, :16] = outlier
        state = [torch.zeros(3), torch.zeros(3)]
        norm(x, torch.ones(3), torch.zeros(3), *state, training=True, momentum=1.0)
        torch.testing.assert_close(state[0].double(), x.double().mean(1), rtol=1e-6, atol=0)
        torch.testing.assert_close(state[1].double(), x.double().var(1), rtol=1e-6, atol=0)


def test_a_constant_feature_becomes_its_shift():
    for value in (0.0, 0.1, 1e4, 12345.678):
        for count in (2, 33, 5001):
            x, shift = torch.full((2, count), value), torch.tensor([0.5, -1.0])
            state = [torch.zeros(2), torch.ones(2)]
            y = norm(x, torch.ones(2), shift, *state, training=True, activation="none")
            torch.testing.assert_close(y, shift[:, None].expand(2, count), rtol=0, atol=1e-3)
            assert bool((state[1] <= 0.9 + 1e-6).all())


def test_running_values_stay_when_not_training():
    *given, _ = operands(4, 8)
    before = [t.clone() for t in given]
    norm(*given, training=False)
    assert all(map(torch.equal, given, before))
    norm(*given, training=True)
    assert all(map(torch.equal, given[:3], before[:3]))
    assert not torch.equal(given[3], before[3])
    assert not torch.equal(given[4], before[4])


@kinds
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_stays_in_its_own_feature(activation, added, training, value):
    given, upstream = list(operands(18, 21)), drawn(18, 21, seed=9)
    kind = {"activation": activation, "added": added, "training": training}
    clean = outcome(norm, torch.float32, given, upstream, **kind)
    given[0] = given[0].clone()
    given[0][2, 7] = value
    struck = outcome(norm, torch.float32, given, upstream, **kind)
    others = [f for f in range(18) if f != 2]
    for got, want in zip(struck, clean, strict=True):
        assert torch.equal(got[others], want[others])
    if training:
        assert struck[0][2].isnan().all()


@kinds
@pytest.mark.parametrize("samples", [(2,), (37,), (2, 9, 10), (4100,)])
def test_a_feature_is_the_same_bits_alone_and_in_company(activation, added, training, samples):
    given, upstream = operands(21, *samples), drawn(21, *samples, seed=9)
    kind = {"activation": activation, "added": added, "training": training}
    together = outcome(norm, torch.float32, given, upstream, **kind)
    for part in (slice(0, 1), slice(4, 20), slice(15, 21), slice(20, 21)):
        alone = outcome(
            norm, torch.float32, [t[part].clone() for t in given], upstream[part], **kind
        )
        for got, want in zip(alone, together, strict=True):
            assert torch.equal(got, want[part])


def test_any_layout_gives_the_same_bits():
    x, scale, shift, mean, variance, residual = operands(6, 21)
    strange = x.t().contiguous().t(), *(torch.stack([t, t], 1)[:, 0] for t in (scale, shift))
    assert not any(t.is_contiguous() for t in strange)
    for training in (True, False):
        got, want = (
            norm(*three, mean.clone(), variance.clone(), training=training, residual=extra)
            for three, extra in (
                (strange, residual.t().contiguous().t()),
                ((x, scale, shift), residual),
            )
        )
        assert torch.equal(got, want)
    state = [torch.stack([t, t], 1)[:, 0] for t in (mean, variance)]
    kept = [mean.clone(), variance.clone()]
    torch.testing.assert_close(
        norm(x, scale, shift, *state, training=True), norm(x, scale, shift, *kept, training=True)
    )
    torch.testing.assert_close(state, kept)


# Gradients


@kinds
def test_normalisation_passes_gradcheck_twice_in_float64(activation, added, training):
    x, scale, shift, mean, variance, residual = (t.double() for t in operands(3, 5))

    def call(x, scale, shift, *residual):
        return norm(
            x,
            scale,
            shift,
            mean.clone(),
            variance.clone(),
            training=training,
            activation=activation,
            residual=residual[0] if residual else None,
        )

    leaves = [t.requires_grad_() for t in (x, scale, shift, residual)[: 3 + added]]
    assert torch.autograd.gradcheck(call, leaves)
    assert torch.autograd.gradgradcheck(call, leaves)


@kinds
def test_native_gradients_of_gradients_are_those_of_the_reference(activation, added, training):
    results = []
    for dtype in (torch.float32, torch.float64):
        given = [t.to(dtype) for t in operands(4, 9)]
        leaves = [t.clone().requires_grad_() for t in (*given[:3], given[5])[: 3 + added]]
        residual = leaves[3] if added else None
        if dtype == torch.float32:
            y = norm(
                *leaves[:3],
                *given[3:5],
                training=training,
                activation=activation,
                residual=residual,
            )
        else:  # autograd through plain torch
            y, _ = reference.norm(
                *leaves[:3], residual, *given[3:5], training, activation, 0.1, 1e-5
            )
        up = drawn(4, 9, seed=9).to(dtype)
        slopes = torch.autograd.grad((y.square() * up).sum(), leaves, create_graph=True)
        penalty = sum(s.square().sum() for s in slopes)
        results.append([s.double() for s in torch.autograd.grad(penalty, leaves)])
    for got, want in zip(*results, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4 * want.abs().max().item())


def test_third_derivatives_are_right():
    x, scale, shift, mean, variance, _ = (t.double() for t in operands(2, 4))

    def curvature(x):
        y = norm(x, scale, shift, mean.clone(), variance.clone(), training=True, activation="silu")
        (slope,) = torch.autograd.grad(y.pow(3).sum(), x, create_graph=True)
        return torch.autograd.grad(slope.pow(2).sum(), x, create_graph=True)[0]

    assert torch.autograd.gradcheck(curvature, x.requires_grad_())


def test_what_is_kept_for_the_gradient_is_no_more_than_needed():
    x, scale, shift, mean, variance, residual = operands(64, 500)
    leaves = [t.requires_grad_() for t in (x, scale, shift, residual)]
    for activation, extra, kept in (
        ("relu", None, {x}),
        ("silu", None, {x}),
        ("none", residual, {x}),
        ("silu", residual, {x, residual}),
        ("relu", residual, {x, "y"}),
    ):
        sizes = []

        def pack(tensor, sizes=sizes):
            if tensor.numel() == x.numel():
                sizes.append(tensor.data_ptr())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
            y = norm(
                *leaves[:3], mean, variance, training=True, activation=activation, residual=extra
            )
        assert set(sizes) == {(y if t == "y" else t).data_ptr() for t in kept}


# As torch sees it


@kinds
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_torchs_own_check_of_operators_passes(activation, added, training, dtype):
    given = [t.to(dtype) for t in operands(3, 2, 3, 4)]
    x, scale, shift, residual = (t.requires_grad_() for t in (*given[:3], given[5]))
    residual = residual if added else None
    torch.library.opcheck(
        OPERATOR,
        (x, scale, shift, residual, *given[3:5], training, activation, 0.1, 1e-5),
    )
    with torch.no_grad():
        y, statistics = OPERATOR(
            x, scale, shift, residual, *given[3:5], training, activation, 0.1, 1e-5
        )
    gate = None
    if added and activation != "none":
        gate = y if activation == "relu" else residual
    arguments = (drawn(*x.shape).to(dtype).requires_grad_(), x, gate, scale, shift, statistics)
    torch.library.opcheck(
        BACKWARD,
        (*arguments, training, activation, 1e-5),
        # A gradient of a gradient is something that torch's compiler does not take.
        test_utils=("test_schema", "test_autograd_registration", "test_faketensor"),
    )


class Block(torch.nn.Module):
    """A residual block's normalisations."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = FeatureNorm(6, activation="silu"), FeatureNorm(6)

    def forward(self, x):
        return self.last(self.first(x), x)


@pytest.mark.parametrize("backend", ["eager", "aot_eager", "inductor"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.filterwarnings("ignore")
def test_compiled_without_a_break_it_uses_our_kernels_and_computes_the_same(backend, training):
    torch._dynamo.reset()
    called = []

    def looking(graph, inputs):
        called.extend(str(node.target) for node in graph.graph.nodes)
        return torch._dynamo.lookup_backend(backend)(graph, inputs)

    results = []
    for compiled in (False, True):
        block = Block().train(training)
        call = torch.compile(block, backend=looking, fullgraph=True) if compiled else block
        for batch in (5, 8):
            x = drawn(batch, 6, 3, 2, seed=batch).requires_grad_()
            y = call(x)
            leaves = [x, *block.parameters()]
            results.append([y.detach(), *torch.autograd.grad(y.square().sum(), leaves)])
            results[-1] += [b.clone() for b in block.buffers()]
    assert sum("wireloom.norm" in name for name in called) >= 2
    for got, want in zip(results[2:], results[:2], strict=True):
        for mine, theirs in zip(got, want, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_an_evaluated_layer_can_be_exported():
    block, x = Block().eval(), drawn(5, 6, 3, 2)
    program = torch.export.export(block, (x,))
    assert program.graph_module.code.count("wireloom.norm") == 2
    assert torch.equal(program.module()(x), block(x))


def test_an_evaluated_layer_takes_no_samples_and_inference_leaves_the_layer_as_it_was():
    layer = FeatureNorm(4)
    assert layer.eval()(torch.zeros(0, 4)).shape == (0, 4)
    with torch.inference_mode():
        layer.train()(drawn(5, 4))
    layer(drawn(5, 4).requires_grad_()).sum().backward()
    assert layer.scale.grad is not None


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_normalises_in_float32(dtype):
    x, scale, shift, mean, variance, residual = operands(4, 9)
    x, residual = x.to(dtype).requires_grad_(), residual.to(dtype)
    with torch.autocast("cpu", dtype=dtype):
        state = [mean.clone(), variance.clone()]
        got = norm(x, scale, shift, *state, training=True, residual=residual)
        below, _ = OPERATOR(
            x, scale, shift, residual, mean.clone(), variance.clone(), True, "relu", 0.1, 1e-5
        )
    want = norm(x.float(), scale, shift, mean, variance, training=True, residual=residual.float())
    assert got.dtype == torch.float32
    assert torch.equal(got, want)
    assert torch.equal(below, want)
    assert torch.equal(state[0], mean)
    assert torch.autograd.grad(got.sum(), x)[0].dtype == dtype


def test_autograd_notices_that_running_values_have_changed():
    x, scale, shift, mean, variance, _ = operands(4, 9)
    product = mean * scale.requires_grad_()
    norm(x, scale, shift, mean, variance, training=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        product.sum().backward()


# Refusals


@pytest.mark.parametrize(
    ("place", "value", "word"),
    [
        (0, drawn(3), "`x`"),
        (0, drawn(4, 1), "at least 2 samples"),
        (0, drawn(4, 0), "at least 2 samples"),
        (0, drawn(4, 1, 1, 1), "at least 2 samples"),
        (1, drawn(5), "`scale`"),
        (2, drawn(4, 1), "`shift`"),
        (3, drawn(3), "`running_mean`"),
        (4, drawn(3), "`running_variance`"),
        (1, drawn(4).double(), "torch.float64"),
        (3, drawn(4).to("meta"), "meta"),
        (5, drawn(4, 9), "`residual`"),
        (5, drawn(4, 1), "`residual`"),
        (5, drawn(4, 8).double(), "torch.float64"),
    ],
)
def test_operands_that_do_not_fit_are_refused(place, value, word):
    given = list(operands(4, 8))
    given[place] = value
    residual = given[5] if place == 5 else None
    assert word in refusal(norm, *given[:5], training=True, residual=residual)


def test_an_unknown_activation_is_refused_by_name():
    *given, _ = operands(4, 8)
    assert "did you mean 'relu'" in refusal(norm, *given, training=True, activation="relu6")
    assert "'gelu'" in refusal(FeatureNorm, 4, activation="gelu")


@pytest.mark.parametrize("place", range(6))
def test_the_backward_operator_refuses_what_does_not_fit(place):
    given = [drawn(4, 8), drawn(4, 8), drawn(4, 8), drawn(4), drawn(4), drawn(3, 4)]
    given[place] = drawn(3, 5)
    assert refusal(BACKWARD, *given, True, "relu", 1e-5)


# Threads and instruction sets


def everything() -> list[torch.Tensor]:
    results = []
    for shape, (activation, added, training) in itertools.product(((401, 77), (3, 9000)), KINDS):
        results += outcome(
            norm,
            torch.float32,
            operands(*shape),
            drawn(*shape, seed=9),
            activation=activation,
            added=added,
            training=training,
        )
    return results


def test_the_number_of_threads_does_not_show_in_the_bits():
    assert_threads_do_not_show(everything)


CHECKS = """
for kind in t.KINDS:
    t.test_normalisation_is_torchs_forward_and_backward(*kind, torch.float32)
    t.test_a_feature_is_the_same_bits_alone_and_in_company(*kind, (37,))
for samples in ((200,), (3, 4099)):
    t.test_large_offsets_keep_their_precision(samples)
t.test_the_number_of_threads_does_not_show_in_the_bits()
"""


@pytest.mark.parametrize("body", BODIES)
def test_every_body_of_the_kernels_is_right(body):
    assert_right_on(body, "test_normalisation", CHECKS)
