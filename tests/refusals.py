"""How a call refuses bad input, for all test files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wireloom.base import InvalidValue


def refusal(call: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    """The one sentence with which a call refuses its arguments."""
    with pytest.raises(InvalidValue) as caught:
        call(*args, **kwargs)
    text = str(caught.value)
    assert text
    assert "\n" not in text
    return text
