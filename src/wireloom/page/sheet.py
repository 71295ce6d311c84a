"""A plain page: sentences, pictures and tables, without a plane."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from wireloom.page.document import part, source_hash
from wireloom.page.markup import text
from wireloom.page.tables import tables_html

# Letters of a picture keep the colours that the picture gives them: it has a ground of its own.
_MORE = "\nfigure.plain { max-width: none; margin-bottom: 32px; }\n"
_MORE += "figure.plain > svg { width: auto; }\nmain { display: block; }\n"
_MORE += ".broad { margin-bottom: 40px; }\n"


def sheet(
    title: str,
    *,
    subtitle: str = "",
    verdict: Iterable[str] = (),
    pictures: Sequence[str] = (),
    tables: Iterable[Mapping[str, Any]] = (),
) -> str:
    """Make one HTML page that needs no other file and runs no script.

    Args:
        title: its heading.
        subtitle: a line below.
        verdict: sentences, each a paragraph.
        pictures: SVG as this room's functions give it, put in as it is.
        tables: each ``title``, ``head``, ``rows`` and perhaps ``note``, as in `render`.

    Returns:
        The text of the page; write it as UTF-8.

    Raises:
        InvalidValue: if a table lacks a key or has an unknown one.
    """
    style = part("report.css").replace("svg text { font-size: 12.5px; fill: var(--soft); }", "")
    style += _MORE
    policy = f"default-src 'none'; style-src '{source_hash(style)}'; img-src data:"
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">',
            f"<title>{text(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n<header>",
            f'<h1>{text(title)}</h1>\n<p class="subtitle">{text(subtitle)}</p>',
            '<div class="verdict">',
            *(f"<p>{text(sentence)}</p>" for sentence in verdict),
            "</div>\n</header>\n<main>",
            *(f'<figure class="plain">{picture}</figure>' for picture in pictures),
            f'<section class="tables" aria-label="Tables">\n{tables_html(tables)}\n</section>',
            "</main>\n</body>\n</html>\n",
        ]
    )
