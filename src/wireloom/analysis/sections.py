"""Sections of an analysis: sentences, tables and charts, to be printed or put on a page."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH = 100
_INDENT = "  "
_DIGITS = 4
_TINY, _MANY = 1e-4, 1e4  # numbers below are written with a power of ten, above in whole
_HUGE = 1e12  # and from here on with a power again


@dataclass(frozen=True)
class Section:
    """What one part of an analysis says; tables and charts are those of `wireloom.page.render`."""

    title: str
    """Short heading."""
    says: tuple[str, ...]
    """Sentences, the answer first."""
    tables: tuple[Mapping[str, Any], ...] = ()
    """Each ``title``, ``head``, ``rows``; on a page in place of charts, if there are none."""
    charts: tuple[Mapping[str, Any], ...] = ()
    """Each ``title``, ``x``, ``y``, ``lines``, and perhaps ``log_x``."""
    on_page: bool = True
    """False for what a page shows in another way."""

    def text(self) -> str:
        """The section as lines of text."""
        blocks = ["\n".join(wrapped(sentence) for sentence in self.says)] if self.says else []
        for table in self.tables:
            caption = [_INDENT + table["title"]] if table["title"] != self.title else []
            caption += [wrapped(table["note"])] if "note" in table else []
            blocks.append("\n".join([*caption, *_aligned(table["head"], table["rows"])]))
        return "\n\n".join(["\n".join([self.title, *blocks[:1]]), *blocks[1:]])


def wrapped(sentence: str) -> str:
    """A sentence in lines of ``WIDTH``, the first set in."""
    return textwrap.fill(
        sentence, WIDTH, initial_indent=_INDENT, subsequent_indent=2 * _INDENT,
        break_on_hyphens=False, break_long_words=False,
    )  # fmt: skip


def facts_text(rows: Iterable[Sequence[str]]) -> str:
    """Names and values, a line each."""
    rows = list(rows)
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{_INDENT}{name:{width}}  {value}" for name, value in rows)


def on_page(sections: Iterable[Section]) -> dict[str, list[Any]]:
    """The charts and tables of sections, each with what is said of it, and the other sentences."""
    shown: dict[str, list[Any]] = {"charts": [], "tables": [], "notes": []}
    for section in sections:
        if not section.on_page:
            continue
        kind = "charts" if section.charts else "tables"
        parts = getattr(section, kind)
        if not parts:
            shown["notes"] += [f"{section.title}: {sentence}" for sentence in section.says]
        for number, part in enumerate(parts):
            said = [part["note"]] if "note" in part else []
            said += section.says if number == 0 else []
            shown[kind].append({**part, "note": " ".join(said)})
    return shown


def _aligned(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """A table as lines: columns of words to the left, of numbers to the right."""
    digits = [max(map(_decimals, column), default=0) for column in zip(*rows, strict=True)]
    cells = [[_cell(*pair) for pair in zip(row, digits, strict=True)] for row in rows]
    columns = list(zip(head, *cells, strict=True))
    widths = [max(map(len, column)) for column in columns]
    left = [any(isinstance(row[i], str) for row in rows) for i in range(len(head))]
    return [
        (
            _INDENT
            + _INDENT.join(
                word.ljust(width) if to_left else word.rjust(width)
                for word, width, to_left in zip(line, widths, left, strict=True)
            )
        ).rstrip()
        for line in (head, *cells)
    ]


def _decimals(value: Any) -> int:
    """Decimals that show four significant digits of a number, four at most."""
    if not isinstance(value, float) or not _TINY <= abs(value) < _MANY:
        return 0
    return len(f"{value:.4g}".partition(".")[2][:_DIGITS])


def _cell(value: Any, digits: int) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, float):
        return str(value)
    if abs(value) >= _HUGE:
        return f"{value:.4g}"
    return f"{value:.1e}" if 0 < abs(value) < _TINY else f"{value:.{digits}f}"
