"""The same wirings in several studies: correlations wiring by wiring, and the command."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from wireloom.analysis import correlate_wirings
from wireloom.base import InvalidValue
from wireloom.cli import main
from wireloom.page import matrix_svg, sheet
from wireloom.study import Study, plan_wirings
from wireloom.study.consistency import consistency_plans

TINY = (
    "--data digits --models mlp cnn6 --wirings 5 --sample plane --nodes 8 --seeds 2 --epochs 2 "
    "--limit 100 --batch 50 --workers 1 --threads 1"
)


def table(truth: np.ndarray, noise: float, key: int, seeds: int = 4) -> pd.DataFrame:
    """Errors of wirings, ``truth`` [wirings] with normal noise of each seed."""
    draw = np.random.default_rng(key)
    return pd.DataFrame(
        [
            {
                "wiring": i, "seed": s, "error": value + noise * draw.normal(),
                "C": i / 1000, "L": 1.5 + i / 1000, "is_complete_graph_baseline": False,
            }
            for i, value in enumerate(truth)
            for s in range(seeds)
        ]
    )  # fmt: skip


TRUTH = np.random.default_rng(0).normal(30, 1, 40)


# Correlations


def test_correlations_agree_with_scipy_over_wirings() -> None:
    tables = {"a": table(TRUTH, 0.4, 1), "b": table(TRUTH, 0.8, 2), "c": table(-TRUTH, 0.4, 3)}
    found = correlate_wirings(tables, resamples=50)
    means = {name: frame.groupby("wiring")["error"].mean() for name, frame in tables.items()}
    for i, one in enumerate(tables):
        for j, other in enumerate(tables):
            r = stats.pearsonr(means[one], means[other]).statistic
            assert found.pearson[i][j] == pytest.approx(r)
            rho = stats.spearmanr(means[one], means[other]).statistic
            assert found.spearman[i][j] == pytest.approx(rho)
    assert found.wirings == 40
    assert found.between("a", "b") == found.pearson[0][1]
    (low, high) = found.intervals[0][1] or (0.0, 0.0)
    assert low < found.pearson[0][1] < high
    assert found.intervals[0][0] is None
    assert "1 of the 3 pairs of studies that can tell agree" in found.verdict()[0]


def test_correction_finds_the_truth_behind_the_noise() -> None:
    truth = np.random.default_rng(9).normal(30, 1, 800)
    tables = {"a": table(truth, 2.0, 1), "b": table(truth, 2.0, 2)}
    found = correlate_wirings(tables, resamples=0)
    # With variance 1 of wirings and 4 / 4 of a mean of four seeds, half of the variance is signal.
    for value in found.reliability:
        assert value == pytest.approx(0.5, abs=0.06)
    assert found.ceiling[0][1] == pytest.approx(0.5, abs=0.06)
    assert found.between("a", "b") == pytest.approx(0.5, abs=0.08)
    assert found.corrected[0][1] == pytest.approx(1.0, abs=0.15)
    assert found.intervals[0][1] is None


def test_unrelated_studies_are_not_said_to_agree() -> None:
    other = np.random.default_rng(77).normal(30, 1, 40)
    found = correlate_wirings({"a": table(TRUTH, 0.1, 1), "b": table(other, 0.1, 2)})
    assert "the two are not known to agree: they correlate at" in found.verdict()[0]


def test_a_study_of_noise_is_named() -> None:
    found = correlate_wirings({"a": table(TRUTH, 0.1, 1), "b": table(0 * TRUTH + 30, 1, 2)})
    assert "0 of the 0 pairs of studies that can tell" in found.verdict()[0]
    assert "Mostly seed noise" in found.verdict()[1]
    assert "b (" in found.verdict()[1]
    assert "a (" not in found.verdict()[1]


def test_only_common_wirings_count_and_the_baseline_does_not() -> None:
    one, other = table(TRUTH, 0.3, 1), table(TRUTH, 0.3, 2)
    dense = one[one.wiring == 0].assign(wiring=-1, is_complete_graph_baseline=True, error=99.0)
    found = correlate_wirings({"a": pd.concat([one, dense]), "b": other[other.wiring >= 10]})
    assert found.wirings == 30
    alone = correlate_wirings({"a": one[one.wiring >= 10], "b": other[other.wiring >= 10]})
    assert found.pearson == alone.pearson


@pytest.mark.parametrize(
    ("tables", "options", "message"),
    [
        ({"a": table(TRUTH, 1, 1)}, {}, "a mapping of at least 2 named tables; got 1"),
        ({n: table(TRUTH, 1, 1) for n in "ab"}, {"resamples": 3}, "`resamples` must be 0 or"),
        (
            {"a": table(TRUTH, 1, 1), "b": table(TRUTH, 1, 1).assign(L=3.0)},
            {},
            "wiring 0 of 'b' has another path length than that of 'a'",
        ),
        (
            {n: table(TRUTH, 1, 1).assign(wiring=lambda f, k=k: f.wiring + k)
             for n, k in (("a", 0), ("b", 38))},
            {},
            "must share at least 3 wirings; got 2 common ids",
        ),
        ({"a": table(TRUTH, 1, 1), "b": {"C": [1]}}, {}, "study 'b': "),
    ],
)  # fmt: skip
def test_tables_that_cannot_be_compared_are_named(tables, options, message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        correlate_wirings(tables, **options)


# The picture and the page


def test_matrix_is_drawn_cell_by_cell() -> None:
    picture = matrix_svg(["one", "<b>"], [[1.0, -0.25], [None, 1.0]], title="t")
    assert picture.count("<rect") == 1 + 4
    assert ">1.00<" in picture
    assert ">−0.25<" in picture
    assert ">–<" in picture
    assert "&lt;b&gt;" in picture
    assert "<b>" not in picture


@pytest.mark.parametrize("values", [[[1.0]], [[1.0, 0.5], [0.5]], [[1.0, 1.5], [1.5, 1.0]]])
def test_matrix_that_is_none_is_refused(values: list[list[float]]) -> None:
    with pytest.raises(InvalidValue, match="`values` of a drawn matrix must be"):
        matrix_svg(["a", "b"], values)


def test_sheet_shows_strings_as_text_and_runs_nothing() -> None:
    page = sheet("<i>", verdict=["<script>"], tables=[{"title": "t", "head": ["h"], "rows": []}])
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "default-src 'none'" in page


# Plans


def test_every_pair_has_a_plan_of_the_same_wirings() -> None:
    wirings = plan_wirings(3, nodes=8, sample="plane")
    plans = consistency_plans(wirings, limit=100)
    assert list(plans) == [
        f"{m}-{d}" for d in ("patches", "digits") for m in ("mlp", "cnn6", "resnet34_sep")
    ]
    assert all(plan.wirings == wirings for plan in plans.values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"models": ["mlp"], "data": ["digits"]}, "must make at least 2 studies"),
        ({"models": ["mlp", "mlp"]}, "must be different kinds; got mlp-patches twice"),
        ({"models": ["mlp", "cnn7"]}, "did you mean 'cnn6'"),
        ({"data": ["digits", "cifar"]}, "cifar"),
    ],
)
def test_plans_that_cannot_be_are_named(options: dict, message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        consistency_plans(plan_wirings(3, nodes=8, sample="plane"), limit=100, **options)


# The command


def start(folder: Path) -> subprocess.Popen[bytes]:
    """The command in a process of its own, with a checkpoint after each epoch."""
    body = (
        "import sys, wireloom.study.study as module; module.CHECKPOINT_SECONDS = 0; "
        "from wireloom.cli import main; raise SystemExit(main(sys.argv[1:]))"
    )
    words = ["consistency", *TINY.split(), "--out", str(folder)]
    return subprocess.Popen(
        [sys.executable, "-c", body, *words], stdout=subprocess.DEVNULL, start_new_session=True
    )


def outcome(folder: Path) -> dict[str, dict[tuple[int, int], tuple[float, float]]]:
    found = {}
    for name in ("mlp-digits", "cnn6-digits"):
        study = Study.open(folder / name)
        found[name] = {(r.wiring, r.seed): (r.error, r.loss) for r in study.results.runs()}
        study.close()
    return found


def test_command_killed_between_studies_goes_on_to_the_same_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert main(["consistency", *TINY.split(), "--out", str(whole)]) == 0
    said = capsys.readouterr().out
    assert "mlp-digits and cnn6-digits" in said
    process = start(parts)
    end = time.monotonic() + 60
    while not (parts / "cnn6-digits" / "checkpoints").exists():
        assert time.monotonic() < end
        assert process.poll() in (None, 0)
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=10)
    assert len(outcome(parts)["mlp-digits"]) == 12
    assert main(["consistency", *TINY.split(), "--out", str(parts)]) == 0
    assert "12 networks are trained already" in capsys.readouterr().out
    assert outcome(parts) == outcome(whole)
    for name in ("html", "svg", "csv"):
        assert (parts / f"consistency.{name}").stat().st_size > 60
    assert (parts / "consistency.csv").read_bytes() == (whole / "consistency.csv").read_bytes()
    (row,) = csv.DictReader((whole / "consistency.csv").read_text().splitlines())
    assert (row["one"], row["other"], row["wirings"]) == ("mlp-digits", "cnn6-digits", "5")


def test_dry_run_says_the_time_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["consistency", *TINY.split(), "--dry-run", "--out", str(tmp_path / "s")]) == 0
    said = capsys.readouterr().out
    assert "24 networks, about 0:0" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("--seeds 0", "`--seeds` must be at least 1; got 0"),
        ("--wirings 2", "`--wirings` must be at least 3; got 2"),
        ("--nodes 32 --sample plane --wirings 3", "`nodes`"),
        ("--models mlp --data digits", "at least 2 studies"),
        ("--data digits cifar10:none", "none"),
        ("--epochs 0", "`epochs`"),
    ],
)
def test_bad_call_is_one_line(
    words: str, part: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["consistency", "--out", str(tmp_path / "s"), *words.split()]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert part in printed.err
    assert not (tmp_path / "s").exists()
