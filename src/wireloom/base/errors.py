"""Errors that a user can act on: one sentence naming the parameter, the rule and the value."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class WireloomError(Exception):
    """Base of every error that Wireloom raises on purpose."""


class InvalidValue(WireloomError, ValueError):
    """A value that breaks a rule; the message names the parameter, the rule and the value."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Name the known words and, if one is close to ``word``, that one first.

    Returns a clause for the end of an error message, such as
    ``"; did you mean 'digits'? Known: cifar10, digits"``.
    """
    names = sorted(known)
    close = difflib.get_close_matches(str(word), names, n=1)
    hint = f"did you mean '{close[0]}'? Known" if close else "known"
    return f"; {hint}: {', '.join(names)}"
