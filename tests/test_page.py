"""The page: it stands alone, shows hostile text as text, and answers to pointer and keyboard."""

from __future__ import annotations

import base64
import copy
import hashlib
import html.parser
import importlib
import json
import math
import os
import re
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wireloom.base import InvalidValue
from wireloom.page import plane_svg, render, wiring_svg

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '</script><img src=x onerror="window.hit=1"><!--<script>\'&\u2028$title ${x}'


def point(index: int, nodes: int = 12) -> dict[str, Any]:
    edges = [[u, (u + step) % nodes] for u in range(nodes) for step in range(1, 2 + index % 4)]
    errors = [30 + (index - 5) ** 2 * 0.1 + 0.05 * seed for seed in range(3)]
    return {
        "id": 100 + index,
        "label": f"ws_flex(nodes={nodes}, degree={2 + index % 4}, rewire=0.1, seed={index})",
        "C": 0.05 + 0.07 * index,
        "L": 3.6 - 0.2 * (index % 7),
        "error": sum(errors) / 3,
        "sd": 0.05,
        "errors": errors,
        "width": 1500 - 10 * index,
        "macs": 2364416 + index,
        "params": 2374000 + index,
        "density": 0.2,
        "nodes": nodes,
        "edges": edges,
        "directed": False,
    }


def example(count: int = 12) -> dict[str, Any]:
    points = [point(index) for index in range(count)]
    dense = point(4)
    dense.update(id="dense", label="complete graph (dense)", C=1.0, L=1.0, error=32.0)
    dense["edges"] = [[u, v] for u in range(12) for v in range(u)]
    return {
        "title": "MLP on digits",
        "subtitle": "12 wirings, 3 seeds",
        "verdict": ["Wired nets win.", "By a little."],
        "error_name": "top-1 test error (%)",
        "points": points,
        "baseline": dense,
        "sweet_spot": {
            "C": [0.2, 0.5],
            "L": [2.4, 3.2],
            "interval": {
                "C_lo": [0.1, 0.3],
                "C_hi": [0.4, 0.6],
                "L_lo": [2.3, 2.6],
                "L_hi": [3.0, 3.4],
            },
            "bins": [{"C": [0.2, 0.3], "L": [2.4, 2.6], "mean": 30.2, "count": 2, "kept": True}],
        },
        "slices": [
            {
                "title": "0.4 ≤ C ≤ 0.6",
                "axis": "L",
                "points": [[p["L"], p["error"]] for p in points],
                "fit": {"coefficients": [1.0, -5.0, 37.0], "r2": 0.7, "vertex": 2.5},
            }
        ],
        "charts": [
            {
                "title": "How few wirings show the map",
                "x": "number of wirings",
                "y": "correlation with the full table",
                "lines": [
                    {"label": "by bin", "points": [[4, 0.3], [52, 0.91], [3942, 1.0]]},
                    {"label": "by wiring", "points": [[4, 0.2], [52, None], [3942, 0.99]]},
                ],
                "note": "Mean of 20 draws.",
                "log_x": True,
            }
        ],
        "tables": [
            {
                "title": "The map by network",
                "note": "Over 52 bins.",
                "head": ["network", "wirings", "correlation", "p"],
                "rows": [["MLP", 3942, 0.91, 3.2e-12], ["CNN-6", 52, None, math.nan]],
            }
        ],
        "table": [["budget", "2,364,416 multiply-adds"], ["seeds", 3]],
        "notes": ["Three seeds tell 0.1 points apart."],
    }


def embedded(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found
    return json.loads(found[1])


class Tags(html.parser.HTMLParser):
    """The start tags of a page, in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, list[str]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, [name for name, _ in attrs]))


def hostile(value: Any) -> Any:
    """The value with every string that a user could have written made hostile."""
    if isinstance(value, str):
        return value if value in ("L", "C") else HOSTILE
    if isinstance(value, list):
        return [hostile(item) for item in value]
    if isinstance(value, dict):
        return {key: hostile(item) for key, item in value.items()}
    return value


def test_page_stands_alone() -> None:
    page = render(example())
    assert set(re.findall(r"https?://[^\"'\s)]*", page)) == {"http://www.w3.org/2000/svg"}
    assert set(re.findall(r"url\([^)]*\)", page)) <= {"url(#arrow)"}
    assert "@import" not in page
    links = re.findall(r"(?:src|href)=[\"']([^\"']*)", page)
    assert links == ["data:,"]


def test_policy_names_the_style_and_the_script() -> None:
    page = render(example())
    for tag in ("style", "script"):
        source = re.findall(rf"<{tag}(?: type=\"module\")?>(.*?)</{tag}>", page, re.S)
        assert len(source) == 1
        digest = base64.b64encode(hashlib.sha256(source[0].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in page


def test_hostile_strings_add_no_markup() -> None:
    plain, attacked = render(example()), render(hostile(example()))
    assert Tags(plain).seen == Tags(attacked).seen
    assert embedded(attacked)["points"][0]["label"] == HOSTILE
    assert "\u2028" not in embedded_text(attacked)


def embedded_text(page: str) -> str:
    return page.split('id="data">', 1)[1].split("</script>", 1)[0]


def test_half_a_surrogate_pair_can_be_written() -> None:
    document = example()
    document["title"] = document["points"][0]["label"] = "half \ud800"
    assert "half ?" in render(document).encode().decode()


def test_numbers_without_a_value_become_null() -> None:
    document = example()
    document["points"][0].update(error=math.nan, sd=math.inf, errors=[-math.inf, 1.0])
    document["sweet_spot"]["interval"]["C_lo"] = [math.nan, 0.2]
    data = embedded(render(document))
    first = data["points"][0]
    assert (first["error"], first["sd"], first["errors"]) == (None, None, [None, 1.0])
    assert data["sweet_spot"]["interval"] is None
    document["sweet_spot"]["L"] = [math.nan, math.nan]
    assert embedded(render(document))["sweet_spot"] is None


def test_the_document_is_left_alone() -> None:
    document = example()
    before = copy.deepcopy(document)
    render(document)
    assert document == before


def unpack(wires: str, nodes: int) -> list[tuple[int, int]]:
    pairs, code, shift = [], 0, 0
    for byte in base64.b64decode(wires):
        code += (byte & 127) << shift
        shift = shift + 7 if byte > 127 else 0
        if byte < 128:
            pairs.append(divmod(code, nodes))
    return pairs


@given(st.integers(1, 3000), st.booleans(), st.data())
@settings(max_examples=60, deadline=None)
def test_edges_survive_packing(nodes: int, directed: bool, data: st.DataObject) -> None:
    node = st.integers(0, nodes - 1)
    edges = data.draw(st.lists(st.tuples(node, node), max_size=40))
    one = {**point(0), "nodes": nodes, "edges": edges, "directed": directed}
    packed = embedded(render({"title": "", "error_name": "", "points": [one]}))["points"][0]
    expected = edges if directed else [(min(edge), max(edge)) for edge in edges]
    assert unpack(packed["wires"], nodes) == sorted(expected)
    assert packed["edge_count"] == len(edges)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.update(verdicts=[]), "unknown key 'verdicts'; did you mean 'verdict'"),
        (lambda d: d.pop("points"), "must have points"),
        (lambda d: d["points"][2].update(err=1), "the point '102' has an unknown key 'err'"),
        (lambda d: d["points"][2].pop("L"), "the point '102' must have L"),
        (lambda d: d["slices"][0].update(axes="L"), "slice '0.4 .* unknown key 'axes'"),
        (lambda d: d["slices"][0].update(axis="l"), "`axis` of the slice .* got 'l'"),
        (lambda d: d["tables"][0].update(header=[]), "table 'The map .* did you mean 'head'"),
        (lambda d: d["tables"][0].pop("rows"), "the table 'The map by network' must have rows"),
        (lambda d: d["tables"][0].update(head=[]), r"`head` of the table .* got \[\]"),
        (lambda d: d["tables"][0]["rows"][1].pop(), "must have 4 cells, as its head has; got 3"),
        (lambda d: d["charts"][0].update(xs="n"), "the chart 'How few .* unknown key 'xs'"),
        (lambda d: d["charts"][0]["lines"][0].update(name=""), "line 'by bin' of .* key 'name'"),
        (lambda d: d["charts"][0]["lines"][0].update(points=[[1]]), r"pair of .* got \[1\]"),
        (lambda d: d["charts"][0]["lines"][0].update(points=[[0, 1]]), "above 0; got 0"),
        (lambda d: d["points"][0].update(edges=[[0, 12]]), r"\[0, 11\]; got \(0, 12\)"),
        (lambda d: d["points"][0].update(edges=[[0, 1, 2]]), r"pair of nodes; got \[0, 1, 2\]"),
    ],
)
def test_a_wrong_document_is_named(change: Any, words: str) -> None:
    document = example()
    change(document)
    with pytest.raises(InvalidValue, match=words):
        render(document)


def test_a_value_json_lacks_is_refused() -> None:
    document = example()
    document["points"][0]["id"] = object()
    with pytest.raises(TypeError):
        render(document)
    document = example()
    document["tables"][0]["rows"][0][1] = [3942]
    with pytest.raises(TypeError, match=r"a cell must be .* got \[3942\]"):
        render(document)


def ramps() -> list[list[tuple[float, float, float]]]:
    """The colour ramps of the page, light then dark, in OKLab."""
    stops = re.findall(r"--ramp-(\d): oklch\(([\d.]+) ([\d.]+) ([\d.]+)\)", render(example()))
    colours = []
    for _, lightness, chroma, hue in stops:
        angle = math.radians(float(hue))
        a, b = float(chroma) * math.cos(angle), float(chroma) * math.sin(angle)
        colours.append((float(lightness), a, b))
    assert [int(stop[0]) for stop in stops] == [*range(9), *range(9)]
    return [colours[:9], colours[9:]]


def test_the_ramp_is_even_and_ordered_by_lightness() -> None:
    for ramp in ramps():
        steps = [math.dist(one, two) for one, two in pairwise(ramp)]
        assert max(steps) / min(steps) < 1.05
        lightness = [colour[0] for colour in ramp]
        assert lightness in (sorted(lightness), sorted(lightness, reverse=True))
        assert abs(lightness[0] - lightness[-1]) > 0.5


@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize(("nodes", "edges"), [(1, []), (2, [(0, 1)]), (64, [(0, 1), (5, 60)])])
def test_wiring_svg_draws_nodes_and_edges(
    nodes: int, edges: list[tuple[int, int]], directed: bool
) -> None:
    picture = ET.fromstring(wiring_svg(nodes, edges, size=200, directed=directed))
    circles = list(picture.iter(f"{SVG}circle"))
    assert len(circles) == nodes
    assert len(list(picture.iter(f"{SVG}line"))) == len(edges)
    assert bool(list(picture.iter(f"{SVG}marker"))) is directed
    radii = [math.hypot(float(c.attrib["cx"]) - 100, float(c.attrib["cy"]) - 100) for c in circles]
    assert max(radii) - min(radii) < 0.02
    assert max(radii) + float(circles[0].attrib["r"]) <= 100


def test_wiring_svg_joins_the_right_nodes() -> None:
    picture = ET.fromstring(wiring_svg(8, [(2, 7)], size=100))
    circles, line = list(picture.iter(f"{SVG}circle")), next(picture.iter(f"{SVG}line"))
    start, end = circles[2].attrib, circles[7].attrib
    assert (line.attrib["x1"], line.attrib["y1"]) == (start["cx"], start["cy"])
    assert (line.attrib["x2"], line.attrib["y2"]) == (end["cx"], end["cy"])
    assert float(circles[0].attrib["cx"]) == 50  # node 0 at the top, the others clockwise
    assert float(circles[2].attrib["cx"]) > 50


@pytest.mark.parametrize(
    ("nodes", "edges", "size", "words"),
    [
        (0, [], 100, "`nodes` of a drawn wiring must be at least 1; got 0"),
        (3, [(0, 3)], 100, r"\[0, 2\]; got \(0, 3\)"),
        (3, [(-1, 0)], 100, r"got \(-1, 0\)"),
        (3, [], 4, "`size` .* got 4"),
        (3, [], math.nan, "`size` .* got nan"),
    ],
)
def test_wiring_svg_refuses(nodes: int, edges: Any, size: float, words: str) -> None:
    with pytest.raises(InvalidValue, match=words):
        wiring_svg(nodes, edges, size)


def family(label: str, count: int, share: float | None = None, seed: int = 0) -> dict[str, Any]:
    stream = np.random.default_rng(seed)
    points = np.stack([stream.random(count), 1 + 4 * stream.random(count)], axis=1)
    return {"label": label, "points": points, "share": share}


PLANE: dict[str, Any] = {
    "x": {"label": "clustering coefficient C", "range": [0, 1]},
    "y": {"label": "mean path length L", "range": [1, 5]},
}


def texts(picture: str) -> list[str]:
    return ["".join(one.itertext()) for one in ET.fromstring(picture).iter(f"{SVG}text")]


@pytest.mark.parametrize("panels", [True, False])
def test_plane_svg_names_the_families_and_their_shares(panels: bool) -> None:
    names = ["WS-flex", "Watts-Strogatz", "Erdos-Renyi", "ring", "complete", "Harary", "none"]
    shares = [1.0, 0.996, 0.222, 0.047, 0.0004, 0.0, None]
    series = [
        family(*pair, seed=k) for k, pair in enumerate(zip(names, [40] * 7, shares, strict=True))
    ]
    picture = plane_svg(series, title="Families", panels=panels, **PLANE)
    shown = texts(picture)
    assert {"Families", PLANE["x"]["label"], PLANE["y"]["label"]} <= set(shown)
    for name in names:
        assert any(name in words for words in shown)
    for share in ("100 %", "> 99 %", "22 %", "4.7 %", "< 0.1 %", "0 %"):
        assert any(share in words for words in shown)
    colours = re.findall('"family"[^>]*"(#[0-9a-f]{6})"', picture)
    assert len(set(colours)) == len(colours) == 6


@pytest.mark.parametrize("panels", [True, False])
def test_plane_svg_stays_small(panels: bool) -> None:
    series = [family("all", 50_000, 1.0), family("many", 20_000), family("few", 10)]
    series[2]["points"] = np.repeat([[0.5, 2.5]], 10_000, axis=0)
    picture = plane_svg(series, panels=panels, **PLANE)
    assert len(picture) < 500_000
    assert picture.count("<path") < 12
    marks = [d.count("M") for d in re.findall('"family"[^>]* d="([^"]*)"', picture)]
    assert min(marks) == 1  # points on one pixel are drawn once


def test_plane_svg_puts_points_where_they_belong() -> None:
    one = {"label": "one", "points": [[0, 1], [1, 5], [0.5, 3], [2, 3], [math.nan, 3]]}
    picture = plane_svg([one], panels=False, size=(700, 400), **PLANE)
    (found,) = re.findall('"family"[^>]* d="([^"]*)"', picture)
    centres = [(float(x), float(y)) for x, y in re.findall(r"M(\S+) (\S+?)h", found)]
    assert len(centres) == 3
    (x1, top), (x2, middle), (x3, bottom) = centres  # row by row
    assert (x1 + x3) / 2 == pytest.approx(x2, abs=1)
    assert (top + bottom) / 2 == pytest.approx(middle, abs=1)
    assert x1 > x3
    empty = plane_svg([{"label": "", "points": []}], x={"label": "C"}, y={"label": "L"})
    assert "nan" not in empty


def test_plane_svg_shows_hostile_text_as_text() -> None:
    hostile_text = HOSTILE + "\0\ud800"
    series = [family(hostile_text, 5), family(hostile_text, 5)]
    names: Any = {"x": {"label": hostile_text}, "y": {"label": hostile_text}}
    for panels in (True, False):
        picture = plane_svg(series, title=hostile_text, panels=panels, **names)
        tags = {one.tag.removeprefix(SVG) for one in ET.fromstring(picture).iter()}
        assert tags == {"svg", "rect", "text", "g", "path"}
        assert HOSTILE + "??" in texts(picture)
        assert picture.encode()


@pytest.mark.parametrize(
    ("series", "change", "words"),
    [
        ([], {}, "`series` .* got none"),
        ([{"label": "a", "point": []}], {}, "'a' has an unknown key 'point'; .*'points'"),
        ([{"label": "a", "points": [1, 2, 3]}], {}, r"`points` of the series 'a' .* got \[3\]"),
        ([{"label": "a", "points": [[1, 2], [3]]}], {}, "`points` of the series 'a'"),
        ([{"label": "a", "points": [], "share": 22}], {}, r"`share` .* \[0, 1\] .* got 22"),
        ([family("a", 3)], {"x": {"label": "C", "range": [1, 0]}}, r"`range` of `x` .*\[1, 0\]"),
        ([family("a", 3)], {"y": {"label": "L", "ranges": []}}, "`y` of a plane .* 'range'"),
        ([family("a", 3)], {"size": (100, 400)}, "`size` .* got 28 by 336"),
        ([family("a", 3)], {"size": (math.inf, 400)}, "`size` .* got inf"),
        ([family("a", 3)] * 9, {"size": (300, 300)}, "`size` .* at least 60 by 60"),
    ],
)
def test_plane_svg_refuses(series: Any, change: Any, words: str) -> None:
    with pytest.raises(InvalidValue, match=words):
        plane_svg(series, **{**PLANE, **change})


def oklab(colour: str, vision: np.ndarray) -> np.ndarray:
    """An sRGB colour as an eye with that vision sees it."""
    channels = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    cones = [[0.4122, 0.5363, 0.0514], [0.2119, 0.6807, 0.1074], [0.0883, 0.2817, 0.6300]]
    axes = [[0.2105, 0.7936, -0.0041], [1.9780, -2.4286, 0.4506], [0.0259, 0.7828, -0.8087]]
    return np.array(axes) @ np.cbrt(np.array(cones) @ np.clip(vision @ linear, 0, 1))


# Machado, Oliveira and Fernandes 2009, severity 1: protanopia, deuteranopia, tritanopia.
VISIONS = (
    np.eye(3),
    np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]),
    np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]),
    np.array([[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]]),
)


def test_the_hues_are_apart_for_every_eye() -> None:
    page = render(example())
    ink = re.findall(r"--ink: (#\w{6})", page)
    hues = re.findall(r"--hue-[0-4]: (#\w{6})", page)
    light, dark = [*hues[:5], ink[0]], [*hues[5:], ink[1]]
    assert light == list(importlib.import_module("wireloom.page.marks").HUES)
    for palette in (light, dark):
        for vision in VISIONS:
            seen = [oklab(colour, vision) for colour in palette]
            apart = [np.linalg.norm(a - b) for a, b in combinations(seen, 2)]
            assert min(apart) > 0.09  # a just visible difference is some 0.02


def rows_of(page: str) -> list[list[str]]:
    table = page.split('<div class="broad"')[1].split("</table>")[0]
    rows = re.findall("<tr>(.*?)</tr>", table)
    return [re.findall(r">([^<]*)</t[hd]>", row) for row in rows]


def test_numbers_in_tables_are_readable() -> None:
    document = example()
    document["tables"] = [
        {
            "title": "numbers",
            "head": ["name", "whole", "part", "mixed", "truth"],
            "rows": [
                ["a", 2364416, 0.5, 3, True],
                ["b", -3, -0.12345, "three", False],
                ["c", None, 12.0, math.inf, None],
                ["d", np.int64(5), 1234.5, 3.2e-12, True],
            ],
        }
    ]
    page = render(document)
    assert rows_of(page) == [
        ["name", "whole", "part", "mixed", "truth"],
        ["a", "2,364,416", "0.5000", "3", "yes"],
        ["b", "−3", "−0.1235", "three", "no"],
        ["c", "–", "12.0000", "–", "–"],
        ["d", "5", "1,234.5000", "3.2 × 10⁻¹²", "yes"],
    ]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if not os.environ.get("WIRELOOM_REQUIRE"):
        pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    playwright = importlib.import_module("playwright.sync_api")
    names = ("chromium", "chromium-browser", "google-chrome")
    with playwright.sync_playwright() as driver:
        own = driver.chromium.executable_path
        found = [shutil.which(name) for name in names] + ([own] if Path(own).exists() else [])
        program = next((path for path in found if path), None)
        if program is None:
            assert not os.environ.get("WIRELOOM_REQUIRE"), "no Chromium on this machine"
            pytest.skip("no Chromium on this machine")
        flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
        flags += ["--disable-background-networking", "--disable-component-update"]
        chromium = driver.chromium.launch(executable_path=program, args=[*flags, "--disable-sync"])
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser: Any, tmp_path: Path) -> Iterator[Any]:
    """Open a document's page; at the end, require that it was silent and asked for nothing."""
    complaints: list[str] = []
    requests: list[str] = []
    contexts = []

    def opened(document: dict[str, Any], width: int = 1400, **options: Any) -> Any:
        file = tmp_path / "report.html"
        file.write_text(render(document), encoding="utf-8")
        contexts.append(
            browser.new_context(viewport={"width": width, "height": 900}, offline=True, **options)
        )
        page = contexts[-1].new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(file.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []
    assert set(requests) <= {(tmp_path / "report.html").as_uri(), "data:,"}


def panel(page: Any) -> dict[str, Any]:
    return page.evaluate(
        """() => ({
            title: document.querySelector("#panel h2").textContent,
            label: document.querySelector("#panel .label").textContent,
            nodes: document.querySelectorAll("#panel .wiring circle").length,
            edges: document.querySelectorAll("#panel .wiring line").length,
            text: document.querySelector("#panel").innerText,
        })"""
    )


def is_shown(page: Any, one: dict[str, Any]) -> None:
    shown = panel(page)
    assert shown["label"] == one["label"]
    assert (shown["nodes"], shown["edges"]) == (one["nodes"], len(one["edges"]))


def test_the_best_wiring_is_chosen_at_load(visit: Any) -> None:
    document = example()
    page = visit(document)
    is_shown(page, document["points"][5])
    assert panel(page)["title"] == "Wiring 105, the best mean"
    assert "30.05 ± 0.05" in panel(page)["text"]
    assert "−1.95 against dense" in panel(page)["text"]
    assert page.locator("#panel .seeds circle").count() == 6
    assert page.locator("#plane .dots > *").count() == 13
    assert page.locator("#table tbody tr").count() == 13


def test_a_click_on_a_point_shows_its_wiring(visit: Any) -> None:
    document = example()
    page = visit(document)
    for index in (0, 3, 10):
        page.locator(f'#plane [data-index="{index}"]').click()
        is_shown(page, document["points"][index])
        chosen = page.locator('#plane [aria-selected="true"]')
        assert chosen.count() == 1
        assert chosen.get_attribute("data-index") == str(index)
        assert page.locator('tr[aria-selected="true"]').get_attribute("data-index") == str(index)
    page.locator("#plane path.dense").click()
    is_shown(page, document["baseline"])
    assert panel(page)["title"] == "Dense baseline"


def test_edges_are_drawn_where_they_belong(visit: Any) -> None:
    document = example()
    one = document["points"][5]
    one["edges"] = [[7, 2], [0, 11], [3, 4]]
    page = visit(document)
    ends = page.evaluate(
        """() => {
            const nodes = [...document.querySelectorAll("#panel .wiring circle")].map(
                (c) => `${c.getAttribute("cx")} ${c.getAttribute("cy")}`);
            const at = (line, k) => nodes.indexOf(
                `${line.getAttribute("x" + k)} ${line.getAttribute("y" + k)}`);
            return [...document.querySelectorAll("#panel .wiring line")].map(
                (line) => [at(line, 1), at(line, 2)]);
        }"""
    )
    assert sorted(ends) == [[0, 11], [2, 7], [3, 4]]


def test_a_directed_wiring_has_arrows(visit: Any) -> None:
    document = example()
    document["points"][5].update(directed=True, edges=[[7, 2], [2, 7], [3, 4]])
    page = visit(document)
    is_shown(page, document["points"][5])
    assert page.locator("#panel line[marker-end]").count() == 3


def test_the_keyboard_moves_and_chooses(visit: Any) -> None:
    document = example()
    page = visit(document)
    assert page.locator('#plane [tabindex="0"]').count() == 1
    page.locator('#plane [tabindex="0"]').focus()
    page.keyboard.press("ArrowRight")
    moved = page.evaluate("Number(document.activeElement.dataset.index)")
    assert moved != 5
    assert page.locator("#tooltip").is_visible()
    is_shown(page, document["points"][5])
    page.keyboard.press("Enter")
    is_shown(page, document["points"][moved])
    assert page.locator('#plane [tabindex="0"]').get_attribute("data-index") == str(moved)
    page.keyboard.press("Home")
    page.keyboard.press(" ")
    is_shown(page, document["points"][5])


def test_every_point_can_be_reached_by_arrows(visit: Any) -> None:
    page = visit(example())
    reached, fringe = {5}, [5]
    while fringe:
        start = fringe.pop()
        for key in ("ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"):
            page.locator(f'#plane [data-index="{start}"]').focus()
            page.keyboard.press(key)
            index = page.evaluate("Number(document.activeElement.dataset.index)")
            if index not in reached:
                reached.add(index)
                fringe.append(index)
    assert reached == set(range(13))


def test_the_table_chooses_and_sorts(visit: Any) -> None:
    document = example()
    page = visit(document)
    page.locator('tr[data-index="8"]').click()
    is_shown(page, document["points"][8])
    page.locator('tr[data-index="8"]').focus()
    page.keyboard.press("ArrowDown")
    below = page.evaluate("Number(document.activeElement.dataset.index)")
    page.keyboard.press("Enter")
    is_shown(page, [*document["points"], document["baseline"]][below])

    def column(place: int) -> list[str]:
        return page.locator(f"#table tbody td:nth-child({place})").all_inner_texts()

    errors = [float(text) for text in column(6)]
    assert errors == sorted(errors)
    page.get_by_role("button", name="width").click()
    widths = [int(text.replace(",", "")) for text in column(5)]
    assert widths == sorted(widths)
    page.get_by_role("button", name="width").click()
    assert [int(text.replace(",", "")) for text in column(5)] == widths[::-1]
    assert page.locator("#table th[aria-sort]").get_attribute("aria-sort") == "descending"
    page.get_by_role("button", name="wiring").click()
    assert column(1) == [*map(str, range(100, 112)), "dense"]


def test_missing_values_sort_last(visit: Any) -> None:
    document = example()
    document["points"][5].update(error=math.nan, sd=None, errors=[])
    page = visit(document)
    is_shown(page, document["points"][4])
    for _ in range(2):
        assert page.locator("#table tbody td:nth-child(6)").all_inner_texts()[-1] == "–"
        page.get_by_role("button", name="error").click()
    assert page.locator("#plane .unknown").count() == 1
    assert "1 without a result" in page.locator("#tally").inner_text()


def test_hover_tells_the_numbers(visit: Any) -> None:
    page = visit(example())
    page.locator('#plane [data-index="3"]').hover()
    text = page.locator("#tooltip").inner_text()
    assert "wiring 103" in text
    assert "30.45 ± 0.05" in text
    page.mouse.move(5, 5)
    assert page.locator("#tooltip").is_hidden()


def test_the_bins_are_a_choice(visit: Any) -> None:
    page = visit(example())
    assert page.locator("#plane .spot").count() == 1
    assert page.locator("#plane .band").count() == 1
    assert page.locator("#plane .kept").is_hidden()
    page.locator("#bins").check()
    assert page.locator("#plane .kept").is_visible()


def test_charts_and_tables_are_shown(visit: Any) -> None:
    page = visit(example())
    figure = page.locator(".charts figure")
    assert figure.locator("h3").inner_text() == "How few wirings show the map"
    assert figure.locator("figcaption").inner_text() == "Mean of 20 draws."
    assert figure.locator(".entries").inner_text().split("\n") == ["by bin", "by wiring"]
    drawn = [one.get_attribute("d").count("M") for one in figure.locator("> svg .trend").all()]
    assert drawn == [1, 2]  # the unknown number leaves a gap
    assert "by bin: 0.3 at 4 to 1 at 3,942" in figure.locator("> svg").get_attribute("aria-label")
    table = page.get_by_role("table", name="The map by network Over 52 bins.")
    assert table.locator("caption h2").inner_text() == "The map by network"
    assert table.locator('th[scope="col"]').count() == 4
    assert table.locator('th[scope="row"]').all_inner_texts() == ["MLP", "CNN-6"]
    sides = table.locator("tbody tr:first-child > *").evaluate_all(
        "cells => cells.map(cell => getComputedStyle(cell).textAlign)"
    )
    assert sides == ["left", "right", "right", "right"]
    order = page.evaluate(
        "[...document.querySelectorAll('main section')].map(one => one.className || one.id)"
    )
    assert order.index("slices") < order.index("charts") < order.index("tables")
    assert order.index("tables") < order.index("facts")
    bare = {key: example()[key] for key in ("title", "error_name", "points")}
    page = visit(bare)
    for kind in ("slices", "charts", "tables"):
        assert page.locator(f".{kind}").is_hidden()


def test_a_wide_table_scrolls_in_its_own_box(visit: Any) -> None:
    document = example()
    table = document["tables"][0]
    table["head"] = [f"column {k}" for k in range(20)]
    table["rows"] = [[f"row {k}", *range(19)] for k in range(3)]
    table["title"] = "a long title " * 12
    page = visit(document, 390)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    box = page.locator(".broad")
    assert box.evaluate("box => box.scrollWidth > box.clientWidth")
    box.focus()
    page.keyboard.press("End")
    title = page.locator(".broad h2").bounding_box()
    assert title["x"] + title["width"] <= 390  # it wraps within the box


def test_the_page_needs_no_script_for_slices_charts_and_tables(visit: Any) -> None:
    page = visit(example(), java_script_enabled=False)
    for kind in ("slices", "charts", "tables"):
        assert page.locator(f".{kind}").is_visible()


@pytest.mark.parametrize("width", [320, 390, 800, 1400])
def test_no_sideways_scroll(visit: Any, width: int) -> None:
    document = example()
    document["title"] = document["points"][5]["label"] = "unbroken" * 40
    document["points"][5]["id"] = "a-long-name" * 9
    document["tables"][0]["rows"][0][0] = document["charts"][0]["title"] = "unbroken" * 40
    document["charts"][0]["lines"][0]["label"] = document["charts"][0]["note"] = "unbroken" * 40
    page = visit(document, width)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate("document.querySelector('#table').scrollWidth") <= width


def test_the_plane_follows_the_window(visit: Any) -> None:
    page = visit(example())
    wide = page.locator("#plane svg").get_attribute("width")
    page.set_viewport_size({"width": 390, "height": 800})
    page.wait_for_function(
        "(wide) => document.querySelector('#plane svg').getAttribute('width') !== wide", arg=wide
    )
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.locator('#plane [data-index="2"]').click()
    is_shown(page, example()["points"][2])


def test_hostile_strings_are_inert(visit: Any) -> None:
    page = visit(hostile(example()))
    page.locator('#plane [data-index="2"]').click()
    assert page.evaluate("window.hit") is None
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 2
    assert panel(page)["label"] == HOSTILE
    assert page.locator("h1").text_content() == HOSTILE


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(baseline=None),
        lambda d: d.update(sweet_spot=None),
        lambda d: d["sweet_spot"].update(interval=None, bins=[]),
        lambda d: d.update(slices=[]),
        lambda d: d["slices"][0].update(points=[[2.0, 30.0]], fit=None),
        lambda d: d["slices"][0].update(points=[], fit=None),
        lambda d: d.update(points=d["points"][:1]),
        lambda d: d.update(points=d["points"][:1], baseline=None, sweet_spot=None),
        lambda d: d.update(points=[]),
        lambda d: d.update(points=[], baseline=None, sweet_spot=None, slices=[]),
        lambda d: [p.update(error=30.0, errors=[30.0], sd=0.0) for p in d["points"]],
        lambda d: [p.update(error=None, errors=None, sd=None) for p in d["points"]],
        lambda d: [p.update(C=None, L=None) for p in d["points"]],
        lambda d: [p.pop("edges") for p in d["points"]],
        lambda d: [(p.pop("edges"), p.pop("nodes")) for p in d["points"]],
        lambda d: d["charts"][0].update(lines=[]),
        lambda d: d["charts"][0].update(lines=[{"label": "", "points": [[None, 1]]}], note=None),
        lambda d: d["tables"][0].update(rows=[], note=None),
        lambda d: d["points"][0].update(error=1e6),
        lambda d: d.update(verdict=[], notes=[], table=[], subtitle=""),
        lambda d: [d.pop(k) for k in [*d] if k not in ("title", "error_name", "points")],
    ],
)
def test_what_is_missing_is_left_out(visit: Any, change: Any) -> None:
    document = example()
    change(document)
    page = visit(document)
    total = len(document["points"]) + bool(document.get("baseline"))
    assert page.locator("#table tbody tr").count() == total
    assert page.locator("#panel").is_visible() is (total > 0)
    assert page.locator(".notes").is_visible() is bool(document.get("notes"))
    for word in ("NaN", "undefined", "null", "Infinity"):
        markup = page.evaluate("[...document.querySelectorAll('main')].map(x => x.outerHTML)[0]")
        assert word not in markup
    page.close()


def test_one_diverged_run_leaves_the_colours_apart(visit: Any) -> None:
    document = example()
    document["points"][0]["error"] = 90.0
    page = visit(document)
    colours = page.evaluate(
        "[...document.querySelectorAll('#plane circle')].map(c => c.style.fill)"
    )
    assert len(set(colours[1:12])) > 5
    assert "≥" in page.locator("#legend").inner_text()
    assert page.locator("#legend .bar").count() == 1


def test_thousands_of_points_stay_quick(visit: Any) -> None:
    document = example()
    document["points"] = [
        {**point(k % 12), "id": k, "C": (k % 63) / 62, "L": 1 + (k // 63) / 21} for k in range(4000)
    ]
    page = visit(document)
    load = page.evaluate("performance.getEntriesByType('navigation')[0].duration")
    assert load < 8000  # some 0.6 s on two slow cores
    page.locator('#plane [data-index="3999"]').click(force=True)
    assert panel(page)["title"] == "Wiring 3999"
    box = page.locator("#table").bounding_box()
    row = page.locator('tr[data-index="3999"]').bounding_box()
    assert box["y"] <= row["y"] <= box["y"] + box["height"]
