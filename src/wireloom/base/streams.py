"""Random numbers keyed by what they are for.

A draw depends on its key alone, never on what was drawn before it, so a network's parameters are
the same whether it is made alone or among a thousand, now or after a restart.
"""

from __future__ import annotations

import hashlib
from operator import index

import numpy as np

Key = int | str
SEPARATOR = "\x1f"


def _bits(count: int, *key: Key) -> np.ndarray:
    """The first ``count`` 64-bit words of the Philox stream that ``key`` names: uint64 [count]."""
    parts = (
        "str:" + p.replace(SEPARATOR, 2 * SEPARATOR) if isinstance(p, str) else f"int:{index(p)}"
        for p in key
    )
    text = SEPARATOR.join(parts)
    digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
    generator = np.random.Philox(key=int.from_bytes(digest, "little"))
    return generator.random_raw(count)


def uniform(count: int, *key: Key) -> np.ndarray:
    """``count`` doubles in the open interval (0, 1), odd multiples of 2^-53: [count]."""
    return (_bits(count, *key) >> np.uint64(12)) * 2.0**-52 + 2.0**-53


def normal(count: int, *key: Key) -> np.ndarray:
    """``count`` standard normal draws as float32 [count], by the inverse of the distribution.

    The raw bits are the same on every machine; the inverse is computed in float64 and rounded
    once, so a last-bit difference between two mathematical libraries all but never shows.
    """
    from scipy.special import ndtri

    return ndtri(uniform(count, *key)).astype(np.float32)


def permutation(count: int, *key: Key) -> np.ndarray:
    """A permutation of 0..count-1: int64 [count]."""
    return np.argsort(_bits(count, *key), kind="stable")
