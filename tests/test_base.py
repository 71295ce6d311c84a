"""The base room: keyed random streams, files written whole, errors that help."""

from __future__ import annotations

import errno
import hashlib
import os
import stat

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from wireloom.base import (
    InvalidValue,
    WireloomError,
    nearest,
    normal,
    permutation,
    uniform,
    write_whole,
)

quick = settings(deadline=None, max_examples=60)
keys = st.lists(st.integers(-(2**70), 2**70) | st.text(max_size=5), min_size=1, max_size=4)


def sha(values: np.ndarray) -> str:
    return hashlib.sha256(values.tobytes()).hexdigest()


# Streams


@pytest.mark.parametrize(
    ("key", "golden"),
    [
        (
            (0, "head.weight"),
            ["0x1.a12d965f6cd38p-4", "0x1.d3548286c5173p-1", "0x1.69f4f42eb1ebdp-1"],
        ),
        ((12345678901234567890, ""), ["0x1.c95c71011f2a7p-1", "0x1.3fe1b1dc9b7e6p-2"]),
        ((-1,), ["0x1.ebbca949ec654p-3", "0x1.935046f4568a7p-1"]),
    ],
)
def test_uniform_has_the_golden_bytes(key, golden):
    assert [value.hex() for value in uniform(len(golden), *key).tolist()] == golden


def test_normal_has_the_golden_values():
    golden = ["-0x1.45657ep+0", "0x1.5ba018p+0", "0x1.16c710p-1", "-0x1.b45a04p+0"]
    drawn = normal(4, 0, "head.weight")
    assert drawn.dtype == np.float32
    assert drawn.tolist() == [float.fromhex(value) for value in golden]


def test_permutation_has_the_golden_order():
    assert permutation(10, 3, "order").tolist() == [5, 0, 9, 7, 2, 3, 6, 1, 8, 4]


@pytest.mark.parametrize(
    ("stream", "golden"),
    [
        (uniform, "410f4bac7bf0558e51d968ec699da40ac2a93003d1bb20b4bb05b23145dab4f2"),
        (permutation, "dab814cb1728d05f28e2ced4f3900a0437f15f1bf139633c585f18cc5d698c3b"),
    ],
)
def test_a_long_stream_has_the_golden_bytes(stream, golden):
    assert sha(stream(100_000, 5, "golden")) == golden


@quick
@given(key=keys, short=st.integers(0, 40), more=st.integers(0, 40))
def test_a_stream_depends_on_its_key_alone(key, short, more):
    for stream in (uniform, normal):
        long = stream(short + more, *key)
        uniform(3, "another")
        np.testing.assert_array_equal(stream(short, *key), long[:short])


@quick
@given(one=keys, other=keys)
def test_different_keys_give_different_streams(one, other):
    same = [(type(p), p) for p in one] == [(type(p), p) for p in other]
    assert np.array_equal(uniform(4, *one), uniform(4, *other)) == same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((1,), ("1",)),
        (("a", "b"), ("ab",)),
        (("a", "b"), ("b", "a")),
        (("a", ""), ("a",)),
        (("a\x1fstr:b",), ("a", "b")),
        (("int:1",), (1,)),
    ],
)
def test_keys_that_look_alike_give_different_streams(one, other):
    assert not np.array_equal(uniform(4, *one), uniform(4, *other))


def test_numpy_numbers_and_words_name_the_same_stream_as_python_ones():
    plain = uniform(4, 7, "a")
    np.testing.assert_array_equal(uniform(4, np.int32(7), np.str_("a")), plain)


def test_neighbouring_keys_are_not_correlated():
    table = np.stack([uniform(20_000, seed, "weight") for seed in range(8)])
    apart = np.corrcoef(table)[np.triu_indices(8, 1)]
    assert np.abs(apart).max() < 4 / np.sqrt(20_000)


def test_uniform_fills_the_open_interval_evenly():
    drawn = uniform(200_000, 1, "even")
    assert drawn.min() > 0.0
    assert drawn.max() < 1.0
    odd = drawn * 2.0**53
    np.testing.assert_array_equal(odd % 2, 1)
    assert stats.kstest(drawn, "uniform").pvalue > 1e-3


def test_the_ends_of_the_interval_are_never_drawn(monkeypatch):
    from wireloom.base import streams

    ends = np.array([0, 2**64 - 1], dtype=np.uint64)
    monkeypatch.setattr(streams, "_bits", lambda count, *key: ends)
    assert uniform(2, 0).tolist() == [2.0**-53, 1 - 2.0**-53]
    assert np.isfinite(normal(2, 0)).all()


def test_normal_has_normal_moments():
    drawn = normal(200_000, 1, "moments").astype(np.float64)
    assert abs(drawn.mean()) < 4 / np.sqrt(200_000)
    assert abs(drawn.var() - 1) < 4 * np.sqrt(2 / 200_000)
    assert abs(stats.skew(drawn)) < 4 * np.sqrt(6 / 200_000)
    assert abs(stats.kurtosis(drawn)) < 4 * np.sqrt(24 / 200_000)
    assert stats.kstest(drawn, "norm").pvalue > 1e-3


@quick
@given(count=st.integers(0, 200), key=keys)
def test_permutation_holds_every_index_once(count, key):
    drawn = permutation(count, *key)
    assert drawn.dtype == np.int64
    assert sorted(drawn.tolist()) == list(range(count))


def test_permutations_put_every_index_everywhere_equally_often():
    first = [permutation(5, seed, "fair")[0] for seed in range(2000)]
    assert stats.chisquare(np.bincount(first, minlength=5)).pvalue > 1e-3


# Files written whole


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("content", [b"", b"\x00\xff\r\n", "words, Ångström\n"])
def test_a_file_holds_exactly_what_was_written(tmp_path, content):
    target = tmp_path / "file"
    write_whole(target, content)
    raw = content.encode() if isinstance(content, str) else content
    assert target.read_bytes() == raw
    write_whole(str(target), b"shorter")
    assert target.read_bytes() == b"shorter"
    assert names(tmp_path) == ["file"]


def test_a_file_gets_the_permissions_that_open_would_give(tmp_path):
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "file", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_a_bare_name_is_written_to_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_whole("file", "here")
    assert (tmp_path / "file").read_text() == "here"


def test_writing_to_a_missing_folder_fails_and_makes_nothing(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "missing" / "file", b"new")
    assert names(tmp_path) == []


@pytest.mark.parametrize("call", ["fsync", "chmod", "replace"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "disk full"), KeyboardInterrupt()])
def test_a_failed_write_leaves_the_old_file_and_no_temporary_one(
    tmp_path, monkeypatch, call, error
):
    target = tmp_path / "file"
    target.write_bytes(b"old")

    def fail(*args):
        raise error

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(type(error)):
        write_whole(target, b"new")
    monkeypatch.undo()
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_a_failed_first_write_leaves_no_file(tmp_path, monkeypatch):
    def fail(*args):
        raise OSError(errno.ENOSPC, "disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_whole(tmp_path / "file", b"new")
    assert names(tmp_path) == []


def test_a_folder_is_not_replaced_by_a_file(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):  # noqa: PT011
        write_whole(tmp_path / "folder", b"new")
    assert names(tmp_path) == ["folder"]


# Errors


def test_every_error_is_caught_as_wireloom_and_as_value_error():
    assert issubclass(InvalidValue, WireloomError)
    assert issubclass(InvalidValue, ValueError)


def test_nearest_names_the_close_word_first_and_then_all():
    known = ["digits", "cifar10"]
    assert nearest("digit", known) == "; did you mean 'digits'? Known: cifar10, digits"
    assert nearest("zzz", known) == "; known: cifar10, digits"
