"""The command `wireloom bench`."""

from __future__ import annotations

import re

import pytest
import torch

from wireloom.cli import main


def test_bench_prints_a_row_for_each_layer_and_job(capsys, tmp_path):
    before = torch.get_num_threads()
    out = tmp_path / "bench.md"
    words = ["--shapes", "16x8", "24x5", "--shares", "0.5", "1", "--nodes", "8", "--rounds", "2"]
    assert main(["bench", *words, "--threads", "1", "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert out.read_text() == shown
    about, _, limits, _, *tables = shown.splitlines()
    assert "1 threads" in about
    most = [float(number) for number in re.findall(r"[\d.]+", limits)]
    assert len(most) == 2
    assert min(most) > 0.05
    between = tables.index("")
    header, _, *rows = tables[:between]
    assert len(rows) == 2 * 2 * 3
    assert all(row.count("|") == header.count("|") for row in rows)
    assert "16 dense" in rows[0]
    single_header, _, *single = tables[between + 1 :]
    assert len(single) == 2 * 2 * 2
    assert all(row.count("|") == single_header.count("|") for row in single)
    assert "share 0.5" in rows[0]
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--shapes", "16"], "`--shapes`"),
        (["--shapes", "16x0"], "`--shapes`"),
        (["--shares", "0.01"], "`--shares`"),
        (["--shares", "2"], "`--shares`"),
        (["--rounds", "0"], "`--rounds`"),
    ],
)
def test_bench_refuses_in_one_line(words, said, capsys):
    assert main(["bench", *words]) == 2
    text = capsys.readouterr().err
    assert said in text
    assert text.count("\n") == 1
