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
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wireloom.base import InvalidValue
from wireloom.page import render, wiring_svg

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
        source = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.S)
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
    assert page.locator("tbody tr").count() == 13


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
        return page.locator(f"tbody td:nth-child({place})").all_inner_texts()

    errors = [float(text) for text in column(6)]
    assert errors == sorted(errors)
    page.get_by_role("button", name="width").click()
    widths = [int(text.replace(",", "")) for text in column(5)]
    assert widths == sorted(widths)
    page.get_by_role("button", name="width").click()
    assert [int(text.replace(",", "")) for text in column(5)] == widths[::-1]
    assert page.locator("th[aria-sort]").get_attribute("aria-sort") == "descending"
    page.get_by_role("button", name="wiring").click()
    assert column(1) == [*map(str, range(100, 112)), "dense"]


def test_missing_values_sort_last(visit: Any) -> None:
    document = example()
    document["points"][5].update(error=math.nan, sd=None, errors=[])
    page = visit(document)
    is_shown(page, document["points"][4])
    for _ in range(2):
        assert page.locator("tbody td:nth-child(6)").all_inner_texts()[-1] == "–"
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


@pytest.mark.parametrize("width", [320, 390, 800, 1400])
def test_no_sideways_scroll(visit: Any, width: int) -> None:
    document = example()
    document["title"] = document["points"][5]["label"] = "unbroken" * 40
    document["points"][5]["id"] = "a-long-name" * 9
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
    assert page.locator("tbody tr").count() == total
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
