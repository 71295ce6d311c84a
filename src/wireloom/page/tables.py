"""Tables of the document as HTML tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from wireloom.base import InvalidValue
from wireloom.page.keys import check_keys
from wireloom.page.markup import decimals, is_known, short, text

_LINE = 30  # letters of a cell, above which it may break into lines


def tables_html(tables: Iterable[Mapping[str, Any]] | None) -> str:
    """The tables as HTML, each in a box of its own that scrolls sideways where it must.

    Args:
        tables: each has ``title``, ``head`` [columns], ``rows`` [rows, columns] and perhaps
            ``note``. A cell is a string, a number or None; the first cell of a row names it.
            Whole numbers are written in full, others with four significant digits or as many
            decimals as their column needs; write a string for another form. A column of numbers
            is set to the right.

    Raises:
        InvalidValue: if a key is missing or unknown, ``head`` is empty or a row is not as long.
        TypeError: if a cell is anything else.
    """
    return "\n".join(_table(table, k) for k, table in enumerate(tables or ()))


def _table(table: Mapping[str, Any], k: int) -> str:
    name = f"the table '{table.get('title', '?')}'"
    check_keys(table, name, ("title", "head", "rows"), ("note",))
    head, rows = list(table["head"]), list(table["rows"])
    if not head:
        raise InvalidValue(f"`head` of {name} must name a column; got []")
    for row in rows:
        if len(row) != len(head):
            raise InvalidValue(
                f"a row of {name} must have {len(head)} cells, as its head has; got {len(row)}"
            )
    columns = [_Column.of([row[at] for row in rows]) for at in range(len(head))]
    note = f'<p class="hint">{text(table["note"])}</p>' if table.get("note") else ""
    heads = "".join(
        f'<th scope="col" class="{column.kind(words)}">{text(words)}</th>'
        for column, words in zip(columns, head, strict=True)
    )
    body = "\n".join(_row(row, columns) for row in rows)
    return (
        f'<div class="broad" role="region" aria-labelledby="table-{k}" tabindex="0">\n'
        f'<table><caption><div><h2 id="table-{k}">{text(table["title"])}</h2>{note}</div></caption>'
        f"\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


@dataclass(frozen=True)
class _Column:
    """How the cells of a column are written.

    Attributes:
        right: whether they are set to the right, as numbers are.
        digits: decimals of those that are no whole numbers.
    """

    right: bool
    digits: int

    @classmethod
    def of(cls, cells: list[Any]) -> _Column:
        words = sum(isinstance(cell, str) for cell in cells)
        digits = max((decimals(cell) for cell in cells if is_known(cell)), default=0)
        return cls(2 * words < len(cells), digits)

    def kind(self, words: str) -> str:
        return "number" if self.right else "prose" if len(words) > _LINE else "word"

    def words(self, cell: Any) -> str:
        """The cell as text."""
        if isinstance(cell, str):
            return cell
        if isinstance(cell, bool):
            return "yes" if cell else "no"
        if is_known(cell):
            return short(cell, self.digits)
        if cell is None or isinstance(cell, Real):
            return "–"
        raise TypeError(f"a cell must be a string, a number or None; got {cell!r}")


def _row(row: Sequence[Any], columns: Sequence[_Column]) -> str:
    cells = []
    for place, (cell, column) in enumerate(zip(row, columns, strict=True)):
        words = column.words(cell)
        tag, scope = ("td", "") if place else ("th", ' scope="row"')
        cells.append(f'<{tag}{scope} class="{column.kind(words)}">{text(words)}</{tag}>')
    return f"<tr>{''.join(cells)}</tr>"
