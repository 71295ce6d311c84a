"""Wirings of the document drawn side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from wireloom.page.drawing import wiring_svg
from wireloom.page.keys import check_keys
from wireloom.page.markup import text

_SIZE = 260


def gallery_html(pictures: Iterable[Mapping[str, Any]] | None) -> str:
    """The wirings as figures of the page.

    Args:
        pictures: each has ``label``, ``nodes``, ``edges`` [m, 2] and perhaps ``note``. Arrows are
            drawn without heads, which a dense wiring would drown in.

    Raises:
        InvalidValue: if a key is missing or unknown, or an edge names a node that is absent.
    """
    return "\n".join(map(_picture, pictures or ()))


def _picture(picture: Mapping[str, Any]) -> str:
    name = f"the picture '{picture.get('label', '?')}'"
    check_keys(picture, name, ("label", "nodes", "edges"), ("note",))
    drawn = wiring_svg(picture["nodes"], picture["edges"], _SIZE)
    note = f'<p class="hint">{text(picture["note"])}</p>' if picture.get("note") else ""
    return f"<figure><h3>{text(picture['label'])}</h3>\n{drawn}{note}</figure>"
