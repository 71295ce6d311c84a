"""The compute room: patterns, products and their gradients; the native part in its process."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bodies import BODIES, assert_right_on, assert_threads_do_not_show, run_python
from refusals import refusal
from wireloom.compute import Pattern, cpu, outer, product, reference
from wireloom.compute.plan import plan
from wireloom.wiring import Wiring, block_sizes, ring, ws_flex

pytestmark = pytest.mark.usefixtures("one_thread")
quick = settings(deadline=None, max_examples=40)
BATCHES = [0, 1, 15, 16, 17, 64, 65, 130, 600]
RAGGED = Pattern(
    [1, 7, 3, 13, 2],
    [5, 1, 17, 4],
    [(0, 0), (1, 0), (1, 2), (3, 0), (3, 1), (3, 2), (3, 3), (4, 3)],
)  # receiver 2 reads nothing
EMPTY = Pattern([2, 3], [4], [])
SINGLE = Pattern(
    [1] * 290, [1] * 301, [(i, (7 * i * i + j) % 301) for i in range(290) for j in (0, 2, 9)]
)
STACK = Pattern([150, 1, 170], [11, 29], [(0, 0), (0, 1), (1, 1), (2, 0), (2, 1)])  # many rows
TALL = Pattern([40, 17, 3, 16], [30, 9, 50], [(0, 0), (0, 2), (1, 1), (1, 2), (2, 0), (3, 1)])


def drawn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def dense(pattern: Pattern, weight: torch.Tensor) -> torch.Tensor:
    """The weights on their places in a matrix, by the mask alone."""
    matrix = weight.new_zeros(pattern.shape)
    matrix[torch.from_numpy(pattern.mask())] = weight
    return matrix


def close(got: torch.Tensor, want: torch.Tensor, scale: torch.Tensor | float = 1.0) -> bool:
    """Whether float32 ``got`` is float64 ``want`` up to rounding of sums of size ``scale``."""
    assert got.shape == want.shape
    error = (got.detach().double() - want.detach().double()).abs()
    return bool((error <= 4e-6 * torch.as_tensor(scale) + 1e-7).all())


@st.composite
def patterns(draw):
    sizes = st.lists(st.integers(1, 14), min_size=1, max_size=6)
    out_sizes, in_sizes = draw(sizes), draw(sizes)
    every = [(r, s) for r in range(len(out_sizes)) for s in range(len(in_sizes))]
    edges = [pair for pair in every if draw(st.booleans())]
    return Pattern(out_sizes, in_sizes, draw(st.permutations(edges)))


# Patterns


@quick
@given(patterns())
def test_the_mask_the_csr_form_and_the_counts_tell_the_same(pattern):
    mask = np.zeros(pattern.shape, dtype=bool)
    tops, lefts = np.cumsum((0, *pattern.out_sizes)), np.cumsum((0, *pattern.in_sizes))
    for receiver, sender in pattern.edges:
        mask[tops[receiver] : tops[receiver + 1], lefts[sender] : lefts[sender + 1]] = True
    np.testing.assert_array_equal(pattern.mask(), mask)
    assert pattern.weights == mask.sum()
    assert pattern.density == mask.mean()
    matrix = scipy.sparse.csr_array(mask)
    matrix.sort_indices()
    pointers, columns = pattern.csr
    np.testing.assert_array_equal(pointers, matrix.indptr)
    np.testing.assert_array_equal(columns, matrix.indices)
    heights = np.array(pattern.out_sizes)
    np.testing.assert_array_equal(pattern.fan_in, mask.sum(1)[tops[:-1]])
    np.testing.assert_array_equal(np.diff(pattern.weight_starts), heights * pattern.fan_in)


@quick
@given(patterns())
def test_from_mask_gives_back_the_mask_with_the_fewest_parts(pattern):
    mask = pattern.mask()
    again = Pattern.from_mask(mask)
    np.testing.assert_array_equal(again.mask(), mask)
    assert len(again.out_sizes) == 1 + (mask[1:] != mask[:-1]).any(1).sum()
    assert len(again.in_sizes) == 1 + (mask[:, 1:] != mask[:, :-1]).any(0).sum()
    assert again.weights == pattern.weights
    assert Pattern.from_mask(again.mask()) == again


@quick
@given(st.lists(patterns(), min_size=1, max_size=4))
def test_a_union_is_block_diagonal_and_its_weights_follow_one_another(parts):
    union = Pattern.union(parts)
    want = scipy.sparse.block_diag([p.mask() for p in parts]).toarray()
    np.testing.assert_array_equal(union.mask(), want)
    weights = [torch.arange(1.0, p.weights + 1) for p in parts]
    joined = scipy.sparse.block_diag(
        [dense(p, w).numpy() for p, w in zip(parts, weights, strict=True)]
    )
    np.testing.assert_array_equal(dense(union, torch.cat(weights)).numpy(), joined.toarray())


@quick
@given(patterns(), st.integers(1, 4), st.randoms(use_true_random=False))
def test_a_union_with_shared_input_stacks_the_rows(pattern, count, shuffle):
    every = [(r, s) for r in range(len(pattern.out_sizes)) for s in range(len(pattern.in_sizes))]
    parts = [
        Pattern(
            pattern.out_sizes,
            pattern.in_sizes,
            shuffle.sample(every, shuffle.randint(0, len(every))),
        )
        for _ in range(count)
    ]
    union = Pattern.union(parts, shared_input=True)
    np.testing.assert_array_equal(union.mask(), np.concatenate([p.mask() for p in parts]))
    assert union.weights == sum(p.weights for p in parts)


@quick
@given(
    n=st.integers(3, 20), out=st.integers(0, 40), into=st.integers(0, 40), directed=st.booleans()
)
def test_a_wiring_gives_the_blocks_of_its_edges_and_its_loops(n, out, into, directed):
    wiring = ws_flex(nodes=n, degree=2 + (n - 3) / 3, rewire=0.5, seed=n)
    if directed:
        wiring = Wiring.from_edges(n, wiring.edges[::2], directed=True)
    pattern = Pattern.from_wiring(wiring, out=n + out, into=n + into)
    assert pattern.shape == (n + out, n + into)
    assert pattern.out_sizes == block_sizes(n + out, n)
    links = wiring.adjacency() | np.eye(n, dtype=bool)
    mask = np.repeat(np.repeat(links, pattern.out_sizes, 0), pattern.in_sizes, 1)
    np.testing.assert_array_equal(pattern.mask(), mask)


@pytest.mark.parametrize(
    ("channels", "nodes"), [(64, 64), (65, 4), (512, 64), (100, 64), (1539, 64)]
)
def test_blocks_are_sized_as_in_the_published_code(channels, nodes):
    floor, larger = divmod(channels, nodes)
    sizes = np.array([floor + 1] * larger + [floor] * (nodes - larger))
    want = np.random.RandomState(1).permutation(sizes)
    assert block_sizes(channels, nodes) == tuple(want)
    assert sum(block_sizes(channels, nodes)) == channels


def test_figure_2_four_nodes_share_65_dimensions_over_four_layers():
    wiring = Wiring.from_edges(4, [(0, 1), (0, 2), (0, 3), (2, 3)])
    layers = [Pattern.from_wiring(wiring, out=65, into=65) for _ in range(4)]
    for pattern in layers:
        assert sorted(pattern.out_sizes) == [16, 16, 16, 17]
        assert pattern.out_sizes == pattern.in_sizes
        exists = {tuple(edge) for edge in pattern.edges.tolist()}
        assert exists == {
            *((i, i) for i in range(4)),
            *((0, 1), (1, 0), (0, 2), (2, 0), (0, 3), (3, 0), (2, 3), (3, 2)),
        }
        assert wiring.density == len(exists) / 16
    x = torch.zeros(65, 1)
    starts = np.cumsum((0, *layers[0].out_sizes))
    x[starts[1] : starts[2]] = 1.0  # node 1 speaks; node 0 hears first, then everyone
    heard = []
    for pattern in layers:
        x = product(pattern, torch.ones(pattern.weights), x)
        heard.append({i for i in range(4) if x[starts[i] : starts[i + 1]].any()})
    assert heard == [{0, 1}, {0, 1, 2, 3}, {0, 1, 2, 3}, {0, 1, 2, 3}]


def test_patterns_compare_hash_and_print_by_value():
    same = Pattern([2, 1], [3], np.array([[1, 0], [0, 0]]))
    assert same == Pattern((2, 1), (3,), [(0, 0), (1, 0)])
    assert hash(same) == hash(Pattern((2, 1), (3,), [(0, 0), (1, 0)]))
    others = [Pattern([1, 2], [3], [(0, 0), (1, 0)]), Pattern([2, 1], [3], [(0, 0)]), "pattern"]
    assert all(same != other for other in others)
    assert repr(same) == "Pattern(3 x 3, 2 receivers, 1 senders, 2 blocks, density 1.000)"
    assert Pattern.dense(out=3, into=2) == Pattern([3], [2], [(0, 0)])


def test_a_pattern_does_not_change_and_can_be_copied():
    pattern = Pattern([2, 1], [3], [(0, 0)])
    with pytest.raises(AttributeError, match="does not change"):
        pattern.out_sizes = (1,)
    with pytest.raises(ValueError, match="read-only"):
        pattern.edges[0, 0] = 1
    for again in (copy.copy(pattern), copy.deepcopy(pattern), pickle.loads(pickle.dumps(pattern))):
        assert again == pattern
        assert again.weights == 6


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (([], [1], []), "`out_sizes`"),
        (([1], [], []), "`in_sizes`"),
        (([0], [1], []), "`out_sizes`"),
        (([1], [2, -1], []), "`in_sizes`"),
        (([1.5], [1], []), "`out_sizes`"),
        ((["2"], [1], []), "`out_sizes`"),
        (([1], [1], [(1, 0)]), "got (1, 0)"),
        (([1], [1], [(-1, 0)]), "got (-1, 0)"),
        (([1], [1], [(0, 0), (0, 0)]), "got one twice"),
        (([1], [1], [(0.5, 0)]), "`edges`"),
        (([1, 1], [1, 1], [(0, 1, 1), (1, 0, 0)]), "`edges`"),
        (([1, 1], [1, 1], [(0, 1), (1,)]), "`edges`"),
        (([1, 1], [1, 1], [0, 1]), "`edges`"),
    ],
)
def test_a_pattern_refuses_what_is_no_block_structure(arguments, word):
    assert word in refusal(Pattern, *arguments)


@pytest.mark.parametrize(
    "mask", [np.ones(3, bool), np.ones((2, 2)), np.ones((0, 2), bool), np.ones((1, 1, 1), bool)]
)
def test_from_mask_refuses_what_is_no_boolean_matrix(mask):
    assert "`mask` must be a boolean matrix" in refusal(Pattern.from_mask, mask)


def test_layers_narrower_than_the_wiring_and_odd_unions_are_refused():
    text = refusal(Pattern.from_wiring, ring(nodes=8), out=8, into=7)
    assert "8 nodes, width 7" in text
    assert "at least one" in refusal(Pattern.union, [])
    parts = [Pattern.dense(out=1, into=2), Pattern.dense(out=1, into=3)]
    assert "`in_sizes`" in refusal(Pattern.union, parts, shared_input=True)


# Products


def check_products(pattern: Pattern, batch: int, seed: int = 0) -> None:
    """All three operators, native and reference, against a dense float64 matrix."""
    rows, columns = pattern.shape
    weight, x, y = drawn(pattern.weights, seed=seed), drawn(columns, batch), drawn(rows, batch)
    matrix = dense(pattern, weight.double())
    cases = [
        (
            matrix @ x.double(),
            matrix.abs() @ x.double().abs(),
            product(pattern, weight, x),
            cpu.product(plan(pattern).words, weight, x, None, rows),
            reference.product(pattern, weight, x),
        ),
        (
            matrix.T @ y.double(),
            matrix.T.abs() @ y.double().abs(),
            cpu.transposed_product(plan(pattern).words, weight, y, columns),
            reference.transposed_product(pattern, weight, y),
        ),
        (
            (y.double() @ x.double().T)[torch.from_numpy(pattern.mask())],
            (y.double().abs() @ x.double().abs().T)[torch.from_numpy(pattern.mask())],
            outer(pattern, y, x),
            cpu.outer(plan(pattern).words, y, x, pattern.weights),
            reference.outer(pattern, y, x),
        ),
    ]
    for want, scale, *results in cases:
        for got in results:
            assert got.dtype == torch.float32
            assert close(got, want, scale), (pattern, batch)


@settings(deadline=None, max_examples=80)
@given(pattern=patterns(), batch=st.sampled_from(BATCHES), seed=st.integers(0, 99))
def test_products_are_those_of_the_dense_masked_matrix(pattern, batch, seed):
    check_products(pattern, batch, seed)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize(
    "pattern",
    [
        RAGGED,
        EMPTY,
        TALL,
        STACK,
        SINGLE,
        Pattern.from_wiring(ring(nodes=9, degree=4), out=70, into=131),
    ],
    ids=["ragged", "empty", "tall", "stack", "single", "ring"],
)
def test_products_hold_at_every_edge_of_a_tile(pattern, batch):
    check_products(pattern, batch)


def test_a_native_bias_is_added_to_every_sample():
    weight, x, bias = drawn(RAGGED.weights), drawn(27, 33), drawn(26)
    want = dense(RAGGED, weight.double()) @ x.double() + bias.double()[:, None]
    assert close(cpu.product(plan(RAGGED).words, weight, x, bias, 26), want, 20.0)


def test_operands_may_lie_in_memory_as_they_like():
    weight = drawn(RAGGED.weights * 2)[::2]
    x, y = drawn(33, 27).t(), drawn(26, 66)[:, ::2]
    for tensor in (weight, x, y):
        assert not tensor.is_contiguous()
    same = [tensor.contiguous() for tensor in (weight, x, y)]
    assert torch.equal(product(RAGGED, weight, x), product(RAGGED, same[0], same[1]))
    assert torch.equal(outer(RAGGED, y, x), outer(RAGGED, same[2], same[1]))
    got, want = gradients(RAGGED, weight, x, y), gradients(RAGGED, *same)
    assert all(map(torch.equal, got, want))
    ones = torch.ones(1, 1).expand(27, 5)
    assert torch.equal(product(RAGGED, weight, ones), product(RAGGED, weight, ones.clone()))


def test_a_matrix_is_turned_whole():
    for batch in (64, 65, 79, 200):
        for features in (128, 129, 143, 257):
            x = drawn(batch, features).t()
            got = cpu.feature_major(x)
            assert got.is_contiguous()
            assert torch.equal(got, x)
    weight, x, upstream = drawn(RAGGED.weights), drawn(500, 27).t(), drawn(500, 26).t()
    got = product(RAGGED, weight, x), *gradients(RAGGED, weight, x, upstream)
    same = x.contiguous(), upstream.contiguous()
    want = product(RAGGED, weight, same[0]), *gradients(RAGGED, weight, *same)
    assert all(map(torch.equal, got, want))


def gradients(pattern, weight, x, upstream):
    """Gradients of the product for its weight and its input."""
    leaves = [tensor.detach().requires_grad_() for tensor in (weight, x)]
    return torch.autograd.grad(product(pattern, *leaves), leaves, upstream)


@quick
@given(pattern=patterns(), batch=st.sampled_from(BATCHES))
def test_native_gradients_are_those_of_the_dense_matrix(pattern, batch):
    weight, x = drawn(pattern.weights), drawn(pattern.shape[1], batch, seed=1)
    upstream = drawn(pattern.shape[0], batch, seed=2)
    matrix, wide = dense(pattern, weight.double()).requires_grad_(), x.double().requires_grad_()
    dmatrix, dx = torch.autograd.grad(matrix @ wide, [matrix, wide], upstream.double())
    got = gradients(pattern, weight, x, upstream)
    assert close(got[0], dmatrix[torch.from_numpy(pattern.mask())], 10.0 + batch)
    assert close(got[1], dx, 100.0)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("pattern", [Pattern([1, 2, 1], [2, 1], [(0, 1), (1, 0), (1, 1)]), EMPTY])
def test_products_pass_gradcheck_twice_in_float64(pattern, batch):
    rows, columns = pattern.shape
    weight = drawn(pattern.weights, dtype=torch.float64).requires_grad_()
    x = drawn(columns, batch, seed=1, dtype=torch.float64).requires_grad_()
    y = drawn(rows, batch, seed=2, dtype=torch.float64).requires_grad_()

    def transposed(w, y):
        (dx,) = torch.autograd.grad(product(pattern, w, x), x, y, create_graph=True)
        return dx

    for call, operands in (
        (lambda w, x: product(pattern, w, x), (weight, x)),
        (transposed, (weight, y)),
        (lambda y, x: outer(pattern, y, x), (y, x)),
    ):
        assert torch.autograd.gradcheck(call, operands)
        assert torch.autograd.gradgradcheck(call, operands)


def second_order(pattern: Pattern, dtype: torch.dtype) -> list[torch.Tensor]:
    """Gradients of the size of gradients, through a nonlinearity, for weights and inputs."""
    weights = [drawn(pattern.weights, seed=s, dtype=torch.float32).to(dtype) for s in (1, 2)]
    x = drawn(pattern.shape[1], 21, seed=3).to(dtype)
    leaves = [t.requires_grad_() for t in (*weights, x)]
    hidden = torch.tanh(product(pattern, leaves[0], x))
    mixed = outer(pattern, hidden, x)  # [weights]
    loss = (product(pattern, leaves[1] * mixed, x) ** 2).mean()
    first = torch.autograd.grad(loss, leaves, create_graph=True)
    assert all(g.requires_grad for g in first)
    return list(torch.autograd.grad(sum((g**2).mean() for g in first), leaves))


def test_gradients_of_gradients_agree_between_the_native_path_and_the_reference():
    for got, want in zip(
        second_order(RAGGED, torch.float32), second_order(RAGGED, torch.float64), strict=True
    ):
        assert torch.isfinite(want).all()
        torch.testing.assert_close(
            got.double(), want, rtol=1e-3, atol=1e-3 * want.abs().max().item()
        )


def test_only_the_gradients_that_are_asked_for_are_made():
    weight, x = drawn(RAGGED.weights).requires_grad_(), drawn(27, 5)
    product(RAGGED, weight, x).sum().backward()
    assert weight.grad is not None
    assert x.grad is None
    assert not product(RAGGED, weight.detach(), x).requires_grad
    assert product(RAGGED, weight.detach(), x.requires_grad_()).requires_grad


def test_a_nan_reaches_only_the_nodes_that_read_it():
    wiring = Wiring.from_edges(4, [(0, 1), (2, 3)])
    pattern = Pattern.from_wiring(wiring, out=22, into=22)
    starts = pattern.row_starts
    weight, x = drawn(pattern.weights), drawn(22, 19)
    x[starts[2]] = float("nan")
    y = product(pattern, weight, x)
    assert torch.isfinite(y[: starts[2]]).all()
    assert y[starts[2] :].isnan().all()
    first, second = gradients(pattern, weight, x, torch.ones(22, 19))
    reads = dense(pattern, torch.arange(1.0, pattern.weights + 1))[:, starts[2]]
    poisoned = torch.zeros(pattern.weights, dtype=torch.bool)
    poisoned[(reads[reads > 0] - 1).long()] = True
    assert torch.equal(first.isnan(), poisoned)
    assert torch.isfinite(second).all()


@pytest.mark.parametrize(
    "mine", [Pattern.from_wiring(ring(nodes=7, degree=4), out=40, into=33), TALL]
)
def test_a_members_product_has_the_same_bits_alone_and_in_any_company(mine):
    others = [Pattern([5, 11], [3], [(1, 0)]), RAGGED, mine, TALL]
    (rows, columns), weight = mine.shape, drawn(mine.weights)
    x, y = drawn(columns, 37), drawn(rows, 37, seed=1)
    alone = (product(mine, weight, x), *gradients(mine, weight, x, y))
    for at in range(3):
        parts = [*others[:at], mine, *others[at:]]
        union = Pattern.union(parts)
        rows = [p.shape[0] for p in parts]
        columns = [p.shape[1] for p in parts]
        sizes = [p.weights for p in parts]
        weights, xs, ys = (
            [mine_is if i == at else drawn(*shape(p), seed=i + 5) for i, p in enumerate(parts)]
            for mine_is, shape in (
                (weight, lambda p: (p.weights,)),
                (x, lambda p: (p.shape[1], 37)),
                (y, lambda p: (p.shape[0], 37)),
            )
        )
        together = torch.cat(weights), torch.cat(xs)
        got = product(union, *together).split(rows)[at]
        dweight, dx = gradients(union, *together, torch.cat(ys))
        assert torch.equal(got, alone[0])
        assert torch.equal(dweight.split(sizes)[at], alone[1])
        assert torch.equal(dx.split(columns)[at], alone[2])


def test_float64_runs_on_the_reference():
    weight, x = drawn(RAGGED.weights).double(), drawn(27, 9).double()
    got = product(RAGGED, weight, x)
    assert got.dtype == torch.float64
    torch.testing.assert_close(got, dense(RAGGED, weight) @ x)


def test_a_large_reference_product_is_done_in_slices(monkeypatch):
    weight, x, y = drawn(RAGGED.weights), drawn(27, 9), drawn(26, 9)
    whole = [
        reference.product(RAGGED, weight, x),
        reference.transposed_product(RAGGED, weight, y),
        reference.outer(RAGGED, y, x),
    ]
    monkeypatch.setattr(reference, "SLICE", 50)
    sliced = [
        reference.product(RAGGED, weight, x),
        reference.transposed_product(RAGGED, weight, y),
        reference.outer(RAGGED, y, x),
    ]
    for one, other in zip(whole, sliced, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: product(RAGGED, drawn(3), drawn(27, 2)), ["`weight`", "[3]"]),
        (lambda: product(RAGGED, drawn(1, 1), drawn(27, 2)), ["`weight`", "[1, 1]"]),
        (lambda: product(RAGGED, drawn(RAGGED.weights), drawn(26, 2)), ["`x`", "[27, batch]"]),
        (lambda: product(RAGGED, drawn(RAGGED.weights), drawn(27)), ["`x`", "[27]"]),
        (lambda: product(RAGGED, drawn(RAGGED.weights), drawn(27, 2, 2)), ["`x`"]),
        (
            lambda: product(RAGGED, drawn(RAGGED.weights), drawn(27, 2).double()),
            ["torch.float32", "torch.float64"],
        ),
        (lambda: product(RAGGED, drawn(RAGGED.weights), drawn(27, 2).to("meta")), ["meta", "cpu"]),
        (lambda: outer(RAGGED, drawn(26, 2), drawn(27, 3)), ["`x`", "[27, 2]"]),
        (lambda: outer(RAGGED, drawn(25, 2), drawn(27, 2)), ["`y`", "[26, batch]"]),
        (lambda: outer(RAGGED, drawn(26, 2).half(), drawn(27, 2)), ["torch.float16"]),
    ],
)
def test_products_refuse_operands_that_do_not_fit(call, words):
    text = refusal(call)
    for word in words:
        assert word in text


# Threads, instruction sets, and the process


def everything() -> list[torch.Tensor]:
    """One result of every product, large enough to be shared among threads."""
    results = []
    for nodes in (64, 16):  # blocks of 6 and of 25
        wiring = ws_flex(nodes=nodes, degree=9.5, rewire=0.3)
        pattern = Pattern.from_wiring(wiring, out=401, into=333)
        weight, x, upstream = drawn(pattern.weights), drawn(333, 77), drawn(401, 77, seed=1)
        results += [product(pattern, weight, x), *gradients(pattern, weight, x, upstream)]
    return [*results, cpu.feature_major(drawn(301, 99).t())]


def test_the_number_of_threads_does_not_show_in_the_bits():
    assert_threads_do_not_show(everything)


CHECKS = """
t.test_a_matrix_is_turned_whole()
for batch in t.BATCHES:
    ring = t.Pattern.from_wiring(t.ring(nodes=9), out=70, into=131)
    for pattern in (t.RAGGED, t.EMPTY, t.TALL, t.STACK, t.SINGLE, ring):
        t.check_products(pattern, batch)
t.test_the_number_of_threads_does_not_show_in_the_bits()
"""


@pytest.mark.parametrize("body", BODIES)
def test_every_body_of_the_kernels_is_right(body):
    assert_right_on(body, "test_compute", CHECKS)


def test_an_unknown_instruction_set_is_refused_by_name():
    code = (
        "from wireloom.native import _native\ntry: _native.body()\nexcept ValueError as e: print(e)"
    )
    done = run_python(code, WIRELOOM_ISA="sse9")
    assert "WIRELOOM_ISA must be portable, avx2 or avx512; got 'sse9'" in done.stdout


MAPS = """
import json, re
found = set()
for line in open("/proc/self/maps"):
    name = line.split()[-1]
    if re.search(r"/lib(gomp|iomp5?|omp)[-.\\w]*\\.so", name):
        found.add(name)
print(json.dumps(sorted(found)))
"""
NATIVE = "from wireloom.native import _native; _native.body()\n"
USE = """
import numpy as np
ends = np.array([[0, 1], [1, 2]], np.int32)
where = np.full(64, ends.ctypes.data, np.uint64)
_native.measure(np.full(64, 3, np.int32), where, np.full(64, 2), False, 2)
torch.set_num_threads(2); torch.randn(400, 400) @ torch.randn(400, 400)
"""


@pytest.mark.parametrize("order", ["torch first", "native first"])
def test_torch_and_the_native_part_share_one_openmp_runtime(order):
    if not Path("/proc/self/maps").exists():
        pytest.skip("this system does not list a process's libraries in /proc/self/maps")
    imports = ["import torch\n", NATIVE]
    code = "".join(imports if order == "torch first" else imports[::-1]) + USE + MAPS
    done = run_python(code)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) == 1, done.stdout
