"""The report as one HTML file: the document checked, its data packed, the page put together."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from string import Template
from typing import Any

from wireloom.page.chart import charts_html
from wireloom.page.drawing import checked_edges
from wireloom.page.gallery import gallery_html
from wireloom.page.keys import check_keys
from wireloom.page.markup import text
from wireloom.page.slices import slices_html
from wireloom.page.tables import tables_html

_NEEDED = ("title", "error_name", "points")
_MORE = (
    *("subtitle", "verdict", "baseline", "sweet_spot", "slices", "charts", "tables", "table"),
    *("notes", "gallery"),
)
_NEEDED_OF_POINT = ("id", "label", "C", "L", "error")
_MORE_OF_POINT = (
    *("sd", "errors", "width", "macs", "params", "density", "nodes", "edges", "directed"),
)

# The parts of the page's script, in the order in which they need each other.
_SCRIPTS = ("elements.js", "results.js", "plane.js", "panel.js", "wirings.js", "report.js")

# Every character by which a string could end the script block or start markup, and the two that
# are line ends to older JavaScript.
_INERT = {ord(mark): f"\\u{ord(mark):04x}" for mark in "<>&\u2028\u2029"}


def render(document: Mapping[str, Any]) -> str:
    """Make the report: one HTML page that needs no other file and sends no request.

    The page shows the verdict, the (C, L) plane coloured by error with the sweet spot and its
    uncertainty, the wiring of the chosen point, the slices with their fits, charts, tables, all
    wirings in a table, the facts and the notes. A content policy in the page allows its own script
    and style alone, and every string of the document is shown as text.

    Args:
        document: plain values as JSON has them. ``title``, ``error_name`` and ``points`` are
            needed; ``subtitle``, ``verdict``, ``baseline``, ``sweet_spot``, ``slices``,
            ``charts``, ``gallery``, ``tables``, ``table`` (the facts) and ``notes`` may be absent,
            None or empty. A number that is None, NaN or infinite counts as unknown.

            A point needs ``id``, ``label``, ``C``, ``L`` and ``error`` and may have ``sd``,
            ``errors``, ``width``, ``macs``, ``params``, ``density``, and ``nodes``, ``edges``,
            ``directed`` for its picture.

            A chart has ``title``, ``x`` and ``y`` (names of the axes), ``lines`` (each ``label``
            and ``points`` [[x, y], ...]) and perhaps ``note`` and ``log_x``. A table has
            ``title``, ``head``, ``rows`` (strings, numbers or None) and perhaps ``note``. The
            gallery shows wirings side by side, each ``label``, ``nodes``, ``edges`` and perhaps
            ``note``.

    Returns:
        The text of the page; write it as UTF-8. Its size is some 0.4 kB a point plus 1.3 to 3
        bytes an edge.

    Raises:
        InvalidValue: if the document or a part of it lacks a needed key or has an unknown one, an
            edge names a node that is absent, or a table's rows differ in length.
        TypeError: if a value is not one that JSON has.

    Example:
        >>> point = {"id": 1, "label": "ring", "C": 0.5, "L": 2.0, "error": 9.5}
        >>> page = render({"title": "First", "error_name": "error (%)", "points": [point]})
        >>> page.startswith("<!doctype html>")
        True
    """
    check_keys(document, "the document", _NEEDED, _MORE)
    baseline = document.get("baseline")
    data = {
        "error_name": document["error_name"],
        "points": [_packed(point) for point in document["points"]],
        "baseline": _packed(baseline) if baseline else None,
        "sweet_spot": _spot(document.get("sweet_spot")),
    }
    dense = baseline["error"] if baseline else None
    style, script = part("report.css"), "\n".join(map(part, _SCRIPTS))
    return Template(part("report.html")).substitute(
        title=text(document["title"]),
        subtitle=text(document.get("subtitle") or ""),
        error_name=text(document["error_name"]),
        verdict=_items("p", document.get("verdict")),
        slices=slices_html(document.get("slices"), document["error_name"], dense),
        charts=charts_html(document.get("charts")),
        gallery=gallery_html(document.get("gallery")),
        tables=tables_html(document.get("tables")),
        facts=_rows(document.get("table")),
        notes=_items("li", document.get("notes")),
        data=_json(data),
        style=style,
        script=script,
        style_hash=source_hash(style),
        script_hash=source_hash(script),
    )


def _packed(point: Mapping[str, Any]) -> dict[str, Any]:
    """The point with its edges as one short string: a page holds millions of them."""
    name = f"the point '{point.get('id', '?')}'"
    check_keys(point, name, _NEEDED_OF_POINT, _MORE_OF_POINT)
    packed = dict(point)
    edges = packed.pop("edges", None)
    if edges is not None and packed.get("nodes"):
        pairs = checked_edges(packed["nodes"], edges)
        packed["edge_count"] = len(pairs)
        packed["wires"] = _pack(packed["nodes"], pairs, directed=bool(packed.get("directed")))
    return packed


def _spot(spot: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The sweet spot, without what cannot be drawn for want of a number."""
    if not spot or not _all_finite([*spot["C"], *spot["L"]]):
        return None
    interval = spot.get("interval")
    if interval and not _all_finite([end for pair in interval.values() for end in pair]):
        interval = None
    return {**spot, "interval": interval}


def _all_finite(values: Iterable[Any]) -> bool:
    return all(value is not None and math.isfinite(value) for value in values)


def _pack(nodes: int, pairs: Iterable[tuple[int, int]], *, directed: bool) -> str:
    """Edges as base64 of the steps between their sorted codes u * nodes + v.

    A step is written seven bits a byte, lowest first, the top bit set on all bytes but the last;
    in a dense wiring nearly every step takes one byte.
    """
    codes = sorted(u * nodes + v if directed else min(u, v) * nodes + max(u, v) for u, v in pairs)
    packed = bytearray()
    last = 0
    for code in codes:
        step, last = code - last, code
        while step > 127:
            packed.append(step & 127 | 128)
            step >>= 7
        packed.append(step)
    return base64.b64encode(packed).decode()


def _json(value: Any) -> str:
    dumped = json.dumps(_finite(value), allow_nan=False, separators=(",", ":"))
    return dumped.translate(_INERT)


def _finite(value: Any) -> Any:
    """The value with every NaN and infinity replaced by None, for JSON has neither."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _items(tag: str, sentences: Iterable[Any] | None) -> str:
    return "\n".join(f"<{tag}>{text(sentence)}</{tag}>" for sentence in sentences or ())


def _rows(table: Iterable[Sequence[Any]] | None) -> str:
    return "\n".join(
        f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in table or ()
    )


def part(name: str) -> str:
    """A file of the page, as text."""
    return resources.files("wireloom.page").joinpath("parts", name).read_text(encoding="utf-8")


def source_hash(source: str) -> str:
    """The source's name in a content policy."""
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
