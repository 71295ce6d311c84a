"""The keys of a document and its parts: none unknown, none missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from wireloom.base import InvalidValue, nearest


def check_keys(
    mapping: Mapping[str, Any], owner: str, needed: Iterable[str], more: Iterable[str] = ()
) -> None:
    """Check that ``mapping`` has all of the ``needed`` keys and none but those and ``more``.

    Raises:
        InvalidValue: otherwise, naming ``owner``, the key and the nearest known one.
    """
    needed = set(needed)
    known = needed.union(more)
    for key in mapping:
        if key not in known:
            raise InvalidValue(f"{owner} has an unknown key '{key}'{nearest(key, known)}")
    missing = sorted(needed - set(mapping))
    if missing:
        raise InvalidValue(f"{owner} must have {', '.join(missing)}; got {sorted(mapping)}")
