"""Examples and the code of the guides run as they stand, each in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
GUIDES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SEEN = {
    "01_wirings": "networkx agrees: C 0.445, L 2.293",
    "02_figure_2": "masked dense layers agree: True",
    "03_population": "30 networks in ",
    "04_study": "63 of 63 networks trained now",
    "05_own_data": "opened again: 14 networks",
    "06_analyse": "shuffled: Treat this map as noise",
    "07_structure_not_density": "out of reach: the closest to C 0.9 has",
    "08_training_path": "written: path.svg",
    "09_rewire": "42 x 42   9,216   8,964        147,456  143,424  wired",
    "10_image_folder": "resumed to the same bits: True",
    "11_graph_convolution": "sides of 32 of 34 members found",
}


def run(*arguments: str, folder: Path) -> str:
    """What a Python process prints that must end well, warnings being errors."""
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        # Threads that spin while they wait make a busy machine many times slower.
        env=os.environ | {"OMP_WAIT_POLICY": "passive"},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def blocks(guide: Path) -> list[str]:
    """The Python blocks of a guide, each with line numbers of the file itself."""
    text = guide.read_text("utf-8")
    return [
        "\n" * text.count("\n", 0, found.start(1)) + found.group(1)
        for found in re.finditer(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    ]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_and_shows_what_it_promises(example: Path, tmp_path: Path) -> None:
    assert SEEN[example.stem] in run(str(example), str(tmp_path), folder=tmp_path)


def test_every_example_promises_something() -> None:
    assert [example.stem for example in EXAMPLES] == sorted(SEEN)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_and_says_what_one_sees(example: Path) -> None:
    source = example.read_text("utf-8")
    assert source.count("\n") < 60
    assert "One sees" in source.split('"""')[1]


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_the_code_of_a_guide_runs(guide: Path, tmp_path: Path) -> None:
    found = blocks(guide)
    assert found, f"{guide} has no Python block"
    program = "space = {'__name__': '__main__'}\n" + "\n".join(
        f"exec(compile({block!r}, {str(guide)!r}, 'exec'), space)" for block in found
    )
    (tmp_path / "guide.py").write_text(program, "utf-8")
    run("guide.py", folder=tmp_path)


def test_links_of_the_guides_lead_somewhere() -> None:
    dead = [
        f"{guide.name}: {target}"
        for guide in [*GUIDES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
        for target in re.findall(r"\]\(([^)#]+)\)", guide.read_text("utf-8"))
        if "://" not in target and not (guide.parent / target).exists()
    ]
    assert not dead
