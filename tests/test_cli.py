"""The command line: what it prints, what it refuses, and in how many lines."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
import torch

from wireloom.cli import main
from wireloom.wiring import Wiring, published_sample, ws_flex

COMMANDS = (
    "explore",
    "consistency",
    "status",
    "report",
    "analyse",
    "graph draw",
    "graph measure",
    "cost",
)
TINY = (
    "--preset digits --wirings 6 --sample plane --nodes 8 --width 16 --stem 16 --seeds 2 "
    "--epochs 2 --limit 200 --workers 1 --threads 1"
)


@dataclass(frozen=True)
class Said:
    """What a call printed and its exit code."""

    code: int
    out: str
    err: str


@pytest.fixture
def wireloom(capsys: pytest.CaptureFixture[str]):
    def call(*words: str | Path) -> Said:
        try:
            code = main([str(w) for w in words])
        except SystemExit as stop:
            code = stop.code
        printed = capsys.readouterr()
        assert isinstance(code, int)
        return Said(code, printed.out, printed.err)

    return call


def python(code: str, *words: str) -> Said:
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def apart(words: str) -> Said:
    """`wireloom` in a process of its own."""
    return python("from wireloom.cli import main; raise SystemExit(main())", *words.split())


def assert_refused(said: Said, *parts: str) -> None:
    """Exit code 2 and one line that holds all parts."""
    assert said.code == 2
    assert said.err.endswith("\n")
    assert said.err.count("\n") == 1, said.err
    assert said.err.startswith("wireloom")
    assert "Traceback" not in said.err
    for part in parts:
        assert part in said.err


# Help


@pytest.mark.parametrize("command", ["", "graph", *COMMANDS])
def test_help_is_printed_and_fits(wireloom, command: str) -> None:
    said = wireloom(*command.split(), "--help")
    assert said.code == 0
    assert said.err == ""
    assert said.out.startswith(f"usage: wireloom {command}".rstrip())
    assert max(map(len, said.out.splitlines())) <= 120


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_in_the_help_are_understood(wireloom, command: str) -> None:
    from wireloom.cli.parser import parser

    said = wireloom(*command.split(), "--help")
    examples = re.findall(rf"^  wireloom ({command} .*?)(?:  .*)?$", said.out, re.MULTILINE)
    assert examples
    runs = {parser().parse_args(example.split()).run for example in examples}
    assert len(runs) == 1


def test_help_and_errors_load_neither_torch_nor_numpy() -> None:
    done = python(
        "import sys\nfrom wireloom.cli import main\n"
        "for words in ('--help', 'explore --help', 'analyse --help', 'cost --nope'):\n"
        "    try: main(words.split())\n"
        "    except SystemExit: pass\n"
        "print(sorted({'torch', 'numpy', 'pandas', 'sqlalchemy', 'rich'} & set(sys.modules)))"
    )
    assert done.code == 0
    assert done.out.endswith("[]\n")


def test_version_is_printed(wireloom) -> None:
    from importlib.metadata import version

    assert wireloom("--version") == Said(0, f"wireloom {version('wireloom')}\n", "")


# Refusals


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("", ["COMMAND"]),
        ("explor --out x", ["explor"]),
        ("graph", ["COMMAND"]),
        ("graph drow", ["drow"]),
        ("explore", ["--out"]),
        ("explore --out x --wiring 6", ["'--wiring'", "did you mean --wirings?"]),
        ("explore --out x --epoch=6", ["'--epoch=6'", "did you mean --epochs?"]),
        ("explore --out x more", ["'more'"]),
        ("explore --out x --preset digit", ["digits"]),
        ("explore --out x --seeds two", ["--seeds", "two"]),
        ("explore --out x --order mixed", ["--order", "per_seed"]),
        ("status", ["STUDY"]),
        ("status x --degree 3", ["'--degree'"]),
        ("analyse", ["TABLE"]),
        ("analyse x.csv --by bins", ["--by", "wiring"]),
        ("analyse x.csv --correct holm", ["'--correct'", "did you mean --correction?"]),
        ("analyse x.csv --cells many", ["--cells", "many"]),
        ("graph draw --out w.svg --node 8", ["'--node'", "did you mean --nodes?"]),
        ("graph draw --nodes 8", ["--out"]),
        ("cost --family small-world", ["ws-flex"]),
        ("cost --hiden 2", ["did you mean --hidden?"]),
    ],
)
def test_what_is_not_understood_is_one_line(wireloom, words: str, parts: list[str]) -> None:
    said = wireloom(*words.split())
    assert_refused(said, *parts, "--help")
    assert said.out == ""


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("graph draw --nodes 8 --degree 9 --out {t}/w.svg", ["`degree`", "[2, 7]", "got 9"]),
        ("graph draw --nodes 8 --degree nan --out {t}/w.svg", ["`degree`", "nan"]),
        ("graph draw --nodes 8 --degree 4 --rewire 1.5 --out {t}/w.svg", ["`rewire`", "1.5"]),
        ("graph draw --nodes 2 --out {t}/w.svg", ["`nodes`", "got 2"]),
        ("graph draw --seed -1 --out {t}/w.svg", ["`seed`", "-1"]),
        ("graph draw --out {t}/w.png", [".svg or .json"]),
        ("graph draw --out {t}/no/w.svg", ["must be in a folder that exists"]),
        ("graph draw --family ring --degree nan --out {t}/w.svg", ["`degree`", "nan"]),
        ("graph draw --family ring --degree inf --out {t}/w.svg", ["`degree`", "inf"]),
        ("graph measure {t}/none.json", ["none.json"]),
        ("graph measure {t}/letter.txt", ["letter.txt"]),
        ("cost --nodes 64 --width 32", ["`nodes`", "`width` = 32", "got 64 nodes"]),
        ("cost --nodes 8 --degree 4 --budget 100", ["no width meets the budget of 100"]),
        ("cost --budget flops", ["`budget`", "macs, params, none"]),
        ("cost --budget 0", ["`budget`", "got 0"]),
        ("cost --image 0 8", ["`image`"]),
        ("cost --classes 0", ["`classes`"]),
        ("cost --hidden -1", ["`hidden`"]),
        ("status {t}/none", ["is not a study"]),
        ("status {t}", ["is not a study"]),
        ("report {t}/none", ["is not a study"]),
        ("explore --out {t}/s --data digit", ["digit", "did you mean 'digits'"]),
        ("explore --out {t}/s --data cifar10:{t}/none", ["none"]),
        ("explore --out {t}/s --data cifar10", ["cifar10:PATH"]),
        ("explore --out {t}/s --data folder:{t}/none", ["none"]),
        ("explore --out {t}/s --preset paper", ["`--data` must be given", "cifar10:PATH"]),
        ("explore --out {t}/s --wirings 0", ["`wirings`", "got 0"]),
        ("explore --out {t}/s --wirings 7", ["published", "got 7 wirings"]),
        ("explore --out {t}/s --wirings 2000 --sample plane", ["`count`", "2000"]),
        ("explore --out {t}/s --epochs 0", ["`epochs`", "got 0"]),
        ("explore --out {t}/s --batch 1", ["`batch`", "got 1"]),
        ("explore --out {t}/s --lr 0", ["`lr`", "got 0"]),
        ("explore --out {t}/s --weight-decay -1", ["`weight_decay`", "got -1"]),
        ("explore --out {t}/s --seeds 0", ["`--seeds`", "got 0"]),
        ("explore --out {t}/s --limit -1", ["`--limit`", "got -1"]),
        ("explore --out {t}/s --workers -1", ["`workers`", "got -1"]),
        ("explore --out {t}/s --model mpl --preset digits", ["`model`", "did you mean 'mlp'"]),
        ("explore --out {t}/s --preset digits --width 32", ["`nodes`", "`width` = 32"]),
        ("explore --out {t}/s --preset digits --budget 100", ["`budget`|budget of 100"]),
        ("explore --out {t} --preset digits", ["new or empty folder"]),
        ("explore --out {t}/letter.txt/s --preset digits", ["letter.txt"]),
        ("explore --out {t}/s --preset digits --store sqlite:////no/x.db", ["cannot be opened"]),
    ],
)
def test_value_that_breaks_a_rule_is_one_line(
    wireloom, tmp_path: Path, words: str, parts: list[str]
) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    said = wireloom(*words.format(t=tmp_path).split())
    assert_refused(said)
    for part in parts:
        assert any(p in said.err for p in part.split("|")), said.err
    assert not (tmp_path / "s").exists()


def test_refusal_in_a_process_of_its_own_has_no_traceback() -> None:
    said = apart("cost --nodes 8 --degree 9")
    assert_refused(said, "`degree` of ws_flex")
    assert said.out.count("\n") <= 1


# Wirings and costs


def test_drawn_wiring_is_measured_alike_from_its_file(wireloom, tmp_path: Path) -> None:
    drawing = ("--nodes", 16, "--degree", 4.5, "--rewire", 0.3, "--seed", 5)
    wiring = ws_flex(nodes=16, degree=4.5, rewire=0.3, seed=5)
    drawn = wireloom("graph", "draw", *drawing, "--out", tmp_path / "w.json")
    assert Wiring.load(tmp_path / "w.json") == wiring
    from_file = wireloom("graph", "measure", tmp_path / "w.json")
    direct = wireloom("graph", "measure", *drawing)
    measures = {said.out.splitlines()[0].split(": ")[1] for said in (drawn, from_file, direct)}
    assert len(measures) == 1
    assert f"C {wiring.clustering:.6f}, L {wiring.path_length:.6f}" in measures.pop()
    assert drawn.out.endswith(f"written: {tmp_path / 'w.json'}\n")


def test_picture_of_a_wiring_is_svg(wireloom, tmp_path: Path) -> None:
    for family in ("ws-flex", "ring", "complete"):
        path = tmp_path / f"{family}.svg"
        degree = "" if family == "complete" else "--degree 4"
        said = wireloom(*f"graph draw --nodes 12 {degree} --family {family} --out".split(), path)
        assert said.code == 0
        assert "12 nodes" in said.out
        assert path.read_text().startswith("<svg")


def test_cost_shows_the_published_budget_and_width(wireloom) -> None:
    origin = published_sample(64, 3942)[3552].origin
    assert origin
    said = wireloom(
        "cost", "--nodes", 64, "--degree", origin.degree, "--rewire", origin.rewire,
        "--seed", origin.seed,
    )  # fmt: skip
    assert said.code == 0
    _, dense, wired = said.out.splitlines()
    assert "2,364,416" in dense
    assert dense.split()[2] == "512"
    assert " 1522 " in wired


def test_cost_of_a_complete_wiring_is_the_baseline(wireloom) -> None:
    said = wireloom("cost", "--family", "complete", "--nodes", 16, "--width", 64, "--stem", 64)
    _, dense, wired = said.out.splitlines()
    assert dense.split()[-3:] == wired.split()[-3:]


def test_directed_wiring_is_drawn_measured_and_priced(wireloom, tmp_path: Path) -> None:
    arcs = [(i, (i + step) % 8) for i in range(8) for step in (1, 3)]
    wiring = Wiring.from_edges(8, arcs, directed=True)
    wiring.save(tmp_path / "w.json")
    said = wireloom("graph", "measure", tmp_path / "w.json")
    assert said.code == 0
    assert "8 nodes, 16 arrows, average degree 2" in said.out
    assert (
        f"C {wiring.clustering:.6f}, L {wiring.path_length:.6f} (of the undirected form)"
        in said.out
    )
    said = wireloom("graph", "draw", tmp_path / "w.json", "--out", tmp_path / "w.svg")
    assert said.code == 0
    assert "<marker" in (tmp_path / "w.svg").read_text()
    plain = wiring.undirected()
    plain.save(tmp_path / "plain.json")
    words = ("--budget", "none", "--width", 16, "--stem", 16)
    said = wireloom("cost", tmp_path / "w.json", tmp_path / "plain.json", *words)
    assert said.code == 0
    _, dense, one, other = said.out.splitlines()
    macs = [int(line.split()[-2].replace(",", "")) for line in (dense, one, other)]
    block = 3 * (16 // 8) ** 2  # multiply-adds of a block in the three hidden layers
    assert macs[0] - macs[1] == block * (64 - 8 - 16)
    assert macs[2] - macs[1] == block * (len(plain.blocks()) - 24)


# Studies


@pytest.fixture(scope="module")
def explored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a tiny study, and what the process that trained it printed."""
    folder = tmp_path_factory.mktemp("cli") / "runs" / "tiny"
    said = apart(f"explore {TINY} --out {folder}")
    assert (said.code, said.err) == (0, "")
    return folder, said.out


def test_explore_trains_and_says_what_came_of_it(explored: tuple[Path, str]) -> None:
    folder, out = explored
    assert "14 networks: 7 wirings x 2 seeds on digits (200 training images), 2 epochs" in out
    assert "14 of 14 networks (100%)" in out
    assert "cannot tell signal from noise: the errors do not differ" in out
    assert "left" not in out.split("14 of 14")[1].splitlines()[0]
    assert f"The page: {folder / 'report.html'}" in out
    assert (folder / "report.html").stat().st_size > 10_000
    table = pd.read_parquet(folder / "runs.parquet")
    assert len(table) == 14
    assert table["wiring"].nunique() == 7
    assert table["is_complete_graph_baseline"].sum() == 2


def test_explore_again_trains_nothing_more(wireloom, explored: tuple[Path, str]) -> None:
    folder, out = explored
    said = wireloom("explore", *TINY.split(), "--out", folder)
    assert said.code == 0
    assert "14 networks are trained already" in said.out
    assert "networks/s" not in said.out
    assert said.out.split("\n\n", 1)[1] == out.split("\n\n", 1)[1]


def test_explore_with_other_settings_is_refused(wireloom, explored: tuple[Path, str]) -> None:
    said = wireloom("explore", *TINY.split(), "--lr", 0.2, "--out", explored[0])
    assert_refused(said, "lr: 0.1 there, 0.2 asked for", "name another folder")


def test_status_says_how_far_a_study_is(wireloom, explored: tuple[Path, str]) -> None:
    said = wireloom("status", explored[0])
    assert said.code == 0
    assert "14 of 14 networks trained (100%)" in said.out
    assert f"complete; the page: {explored[0] / 'report.html'}" in said.out


def test_report_is_written_where_asked(
    wireloom, explored: tuple[Path, str], tmp_path: Path
) -> None:
    said = wireloom("report", explored[0], "--out", tmp_path / "page.html")
    assert said.code == 0
    assert f"The page: {tmp_path / 'page.html'}" in said.out
    assert (tmp_path / "page.html").read_bytes() == (explored[0] / "report.html").read_bytes()
    lost = wireloom("report", explored[0], "--out", tmp_path / "no" / "page.html")
    assert_refused(lost, "page.html cannot be written")


def test_study_is_analysed_with_its_curves(
    wireloom, explored: tuple[Path, str], tmp_path: Path
) -> None:
    said = wireloom("analyse", explored[0], "--resamples", 0, "--out", tmp_path / "out")
    assert said.code == 0
    assert said.out.startswith("tiny: 12 runs of 6 wirings (2 seeds) and 2 of the dense baseline")
    assert "the learning curves must hold at least 2 epochs" in " ".join(said.out.split())
    page = (tmp_path / "out" / "tiny.html").read_text()
    assert "How few epochs would do" in page
    assert "How few epochs would do" in (explored[0] / "report.html").read_text()
    table = wireloom("analyse", explored[0] / "runs.parquet", "--resamples", 0)
    assert table.out.splitlines()[2:10] == said.out.splitlines()[2:10]


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is there")
def test_explore_on_a_device_that_is_not_there_is_refused(wireloom, tmp_path: Path) -> None:
    said = wireloom("explore", *TINY.split(), "--device", "cuda", "--out", tmp_path / "study")
    assert_refused(said, "`--device` cuda is not there: torch sees no GPU on this machine")
    assert list(tmp_path.iterdir()) == []


def test_dry_run_says_the_time_and_writes_nothing(wireloom, tmp_path: Path) -> None:
    said = wireloom("explore", *TINY.split(), "--dry-run", "--out", tmp_path / "study")
    assert said.code == 0
    assert "14 networks in one population" in said.out
    assert re.search(r"about \d+:\d\d with 1 process", said.out)
    assert list(tmp_path.iterdir()) == []


def test_full_disk_is_one_line(
    wireloom, explored: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = (explored[0] / "report.html").read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    said = wireloom("explore", *TINY.split(), "--out", explored[0])
    assert_refused(said, "report.html cannot be written: No space left on device")
    assert (explored[0] / "report.html").read_bytes() == before


def test_interrupt_says_how_to_go_on(
    wireloom, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from wireloom.cli import explore, networks

    def interrupted(**_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(networks, "price", interrupted)
    said = wireloom("cost")
    assert said.code == 130
    assert "stopped; nothing was written" in said.err
    monkeypatch.setattr(explore, "explore", interrupted)
    said = wireloom("explore", "--out", tmp_path)
    assert said.code == 130
    assert "the same command goes on from here" in said.err
