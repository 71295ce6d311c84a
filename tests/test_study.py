"""Studies: plans as values, populations, and runs that survive whatever stops them."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors import safe_open

from wireloom.base import InvalidValue
from wireloom.data import Dataset, from_tensors, load
from wireloom.study import Local, Plan, Study, plan_wirings
from wireloom.study.engine import Event
from wireloom.study.estimate import estimate
from wireloom.training import Recipe
from wireloom.wiring import Wiring, complete, ws_flex

WIRINGS = {-1: complete(nodes=8)} | {
    i: ws_flex(nodes=8, degree=k, rewire=p, seed=i)
    for i, (k, p) in enumerate([(2.5, 0.3), (4, 0.9), (5.3, 0.1)])
}
PLAN = Plan(
    data="digits",
    wirings=WIRINGS,
    seeds=(1, 2),
    width=16,
    stem=16,
    hidden=2,
    recipe=Recipe(epochs=2, batch=50),
    limit=200,
    test_limit=100,
)
LONG = replace(PLAN, recipe=replace(PLAN.recipe, epochs=120, evaluate=60))
HERE = Local(workers=1, threads=1)
APART = Local(workers=2, threads=1)


def outcome(study: Study) -> dict[tuple[int, int], tuple]:
    """What every run came to, without times and places."""
    return {(r.wiring, r.seed): (r.error, r.loss, r.curve) for r in study.results.runs()}


def trained(folder: Path, plan: Plan = PLAN) -> Study:
    study = Study.create(folder, plan)
    assert study.run(HERE).left == ()
    return study


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A finished study; not to be changed."""
    return trained(tmp_path_factory.mktemp("done") / "study")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[int, int], tuple]:
    """What the long plan comes to when nothing stops it."""
    return outcome(trained(tmp_path_factory.mktemp("long") / "study", LONG))


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load("digits", limit=200, test_limit=100)


@pytest.fixture(scope="module")
def own() -> Dataset:
    generator = torch.Generator().manual_seed(3)
    labels = torch.arange(90) % 3
    images = torch.randn(90, 1, 4, 4, generator=generator) + labels[:, None, None, None]
    return from_tensors(images[:60], labels[:60], images[60:], labels[60:])


# Plans


@pytest.mark.parametrize(
    "wiring",
    [
        ws_flex(nodes=8, degree=3.7, rewire=0.35, seed=2**60),
        complete(nodes=8),
        Wiring.from_edges(5, [(0, 1), (1, 2), (2, 3), (3, 4)]),
        Wiring.from_edges(3, [(0, 1), (1, 2), (2, 0), (0, 2)], directed=True),
        Wiring.from_edges(3, [(a, b) for a in range(3) for b in range(3) if a != b], directed=True),
    ],
    ids=["ws_flex", "complete", "edges", "directed", "complete directed"],
)
def test_plan_comes_back_from_its_settings_as_json(wiring: Wiring) -> None:
    recipe = Recipe(augment=("flip",), clip=0.5, optimiser="adamw")
    plan = replace(PLAN, wirings={7: wiring}, recipe=recipe, order="per_seed", budget=5000)
    back = Plan.from_settings(json.loads(json.dumps(plan.settings())))
    assert back == plan
    assert back.settings() == plan.settings()
    assert back.wirings[7].origin == wiring.origin


def test_drawn_wiring_that_came_out_otherwise_is_refused() -> None:
    plain = PLAN.settings()
    plain["wirings"][1]["digest"] = "0" * 32
    with pytest.raises(InvalidValue, match="wiring 0 of the study cannot be drawn again"):
        Plan.from_settings(plain)


@pytest.mark.parametrize("order", ["shared", "per_seed"])
@pytest.mark.parametrize("most", [1, 3, 4, 5, 100])
def test_populations_hold_each_run_once_and_one_order(
    digits: Dataset, order: str, most: int
) -> None:
    plan = replace(PLAN, seeds=(1, 2, 3), order=order, chunk=most)
    chunks = plan.chunks(digits)
    assert Counter(r for c in chunks for r in c) == Counter(plan.runs())
    assert len(plan.runs()) == 12
    for chunk in chunks:
        assert 1 <= len(chunk) <= most
        (data_seed,) = {r.data_seed for r in chunk}
        assert {data_seed} == ({0} if order == "shared" else {r.seed for r in chunk})
    assert max(map(len, chunks)) - min(map(len, chunks)) <= 1


def test_populations_have_a_limit_of_their_own(digits: Dataset) -> None:
    plan = replace(PLAN, seeds=tuple(range(100)))
    sizes = [len(c) for c in plan.chunks(digits)]
    assert sum(sizes) == 400
    assert max(sizes) <= 54
    assert len(sizes) == 8


def test_keys_tell_all_runs_apart_and_ignore_the_population() -> None:
    keys = {PLAN.key(r, "data") for r in PLAN.runs()}
    assert len(keys) == len(PLAN.runs())
    assert {replace(PLAN, chunk=1, seeds=(2, 1)).key(r, "data") for r in PLAN.runs()} == keys
    for other in (replace(PLAN, width=17), replace(PLAN, recipe=Recipe(epochs=3, batch=50))):
        assert not keys & {other.key(r, "data") for r in PLAN.runs()}
    assert not keys & {PLAN.key(r, "other data") for r in PLAN.runs()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"wirings": {}}, "`wirings` of a study must be at least one; got none"),
        ({"seeds": ()}, r"`seeds` of a study must be different numbers; got \(\)"),
        ({"seeds": (1, 1)}, r"`seeds` of a study must be different numbers; got \(1, 1\)"),
        ({"order": "random"}, "`order` of a study must be shared or per_seed; got 'random'"),
        ({"chunk": -1}, "`chunk` of a study must be at least 0; got -1"),
    ],
)
def test_bad_plan_is_named(change: dict, message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        replace(PLAN, **change)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"count": 0}, "`wirings` of a study must be at least 1; got 0"),
        ({"count": 7}, "must be one that was published .*; got 7 wirings of 64 nodes"),
        ({"count": 52, "nodes": 32}, "got 52 wirings of 32 nodes"),
        ({"count": 5, "sample": "random"}, "`sample` must be published or plane; got 'random'"),
        ({"count": 5, "sample": "plane", "nodes": 4}, "`nodes` of sample_plane .*; got 4"),
    ],
)
def test_bad_sample_of_wirings_is_named(settings: dict, message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        plan_wirings(**settings)


def test_wirings_of_a_study_have_the_complete_graph_first() -> None:
    chosen = plan_wirings(6, nodes=8, sample="plane")
    assert list(chosen) == [-1, 0, 1, 2, 3, 4, 5]
    assert chosen[-1] == complete(nodes=8)
    assert list(plan_wirings(6, nodes=8, sample="plane", baseline=False)) == list(range(6))
    assert len(plan_wirings(48, nodes=16)) == 49


def test_bad_engine_is_named() -> None:
    for name in ("workers", "threads"):
        with pytest.raises(InvalidValue, match=f"`{name}` must be at least 0; got -1"):
            Local(**{name: -1})


def test_device_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mps", "disk"):
        with pytest.raises(InvalidValue, match=f"must be cpu, cuda or cuda:N; got '{name}'"):
            Local(device=name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InvalidValue, match="`device` cuda is not there: torch sees no GPU"):
        Local(device="cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(InvalidValue, match="`device` cuda:2 is not there: torch sees 2 of them"):
        Local(device="cuda:2")
    with pytest.raises(InvalidValue, match="`workers` must be 0 or 1 on a GPU; got 2"):
        Local(device="cuda", workers=2)
    assert Local(device="cuda:1").share(5)[0] == 1


def test_estimate_adds_up() -> None:
    found = estimate(replace(PLAN, chunk=3), APART)
    assert (found.networks, found.chunks, found.largest, found.workers) == (8, 3, 3, 2)
    dense = 64 * 16 + 2 * 16 * 16 + 16 * 10
    assert found.macs == dense
    assert found.training_macs == 3 * dense * 8 * 2 * 200
    assert found.widths[0] == 16 < found.widths[1]
    assert 0 < found.step_seconds < found.seconds < 60


# Running


@pytest.mark.parametrize("chunk", [1, 3])
def test_numbers_do_not_depend_on_the_population(done: Study, tmp_path: Path, chunk: int) -> None:
    study = trained(tmp_path / "study", replace(PLAN, chunk=chunk))
    assert len(study.chunks) == -(-8 // chunk)
    assert outcome(study) == outcome(done)
    study.close()


def test_events_count_every_network_and_epoch(tmp_path: Path) -> None:
    seen: list[Event] = []
    study = Study.create(tmp_path / "study", replace(PLAN, chunk=4))
    study.run(HERE, seen.append)
    assert sum(e.member_epochs for e in seen) == 8 * 2
    assert [e.finished for e in seen if e.finished] == [4, 4]
    assert not any(e.failure for e in seen)
    seen.clear()
    status = study.run(HERE, seen.append)
    assert seen == []
    assert (status.runs, status.done, status.chunks, status.left) == (8, 8, 2, ())
    study.close()


def test_frame_has_a_row_a_run_with_measures_and_costs(done: Study) -> None:
    frame = done.frame()
    assert len(frame) == 8
    assert {
        *("wiring", "is_complete_graph_baseline", "nodes", "k", "p", "graph_seed", "C", "L"),
        *("density", "seed", "data_seed", "error", "loss", "width", "macs", "params", "seconds"),
        *("chunk", "digest", "processor", "threads", "torch", "wireloom", "numerics"),
    } <= set(frame.columns)
    for row in frame.itertuples():
        wiring = WIRINGS[row.wiring]
        assert (wiring.clustering, wiring.path_length) == (row.C, row.L)
        assert row.is_complete_graph_baseline == (row.wiring == -1)
        assert row.digest == wiring.digest
    assert set(frame[frame.wiring == -1].k) == {7.0}
    assert set(frame[frame.wiring == 2].k) == {5.3}


def test_degree_of_a_directed_wiring_counts_its_edges_once(tmp_path: Path) -> None:
    wiring = Wiring.from_edges(3, [(0, 1), (1, 2), (2, 0)], directed=True)
    study = trained(tmp_path / "study", replace(PLAN, wirings={0: wiring}))
    assert set(study.frame().k) == {1.0}
    study.close()


def test_curves_end_in_the_final_numbers(done: Study) -> None:
    curves = done.curves()
    assert len(curves) == 8 * 2
    last = curves[curves.epoch == 2].sort_values(["wiring", "seed"])
    frame = done.frame().sort_values(["wiring", "seed"])
    assert list(last.test_error) == list(frame.error)
    assert list(last.test_loss) == list(frame.loss)
    assert isinstance(curves, pd.DataFrame)


def test_report_writes_a_page_with_the_verdict(done: Study, tmp_path: Path) -> None:
    page = done.report(tmp_path / "page.html")
    text = page.read_text()
    assert done.sweet_spot().verdict()[0].split(":")[0] in text
    assert "<svg" in text or "<script" in text


def test_study_without_runs_has_nothing_to_show(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "study", PLAN)
    with pytest.raises(InvalidValue, match="has no finished runs yet"):
        study.report()
    study.close()


def test_opened_study_is_the_same(done: Study) -> None:
    again = Study.open(done.folder)
    assert again.plan == done.plan
    assert again.status() == done.status()
    assert outcome(again) == outcome(done)
    again.close()


# Stops of every kind


def until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.005)


def epochs_kept(checkpoint: Path) -> int:
    """Whole epochs in a checkpoint; 0 where there is none."""
    try:
        with safe_open(checkpoint, framework="pt") as file:
            return int(file.metadata()["epoch"])
    except FileNotFoundError:
        return 0


def children(parent: int) -> list[int]:
    """Process ids of the workers that ``parent`` started."""
    found = Path(f"/proc/{parent}/task").glob("*/children")
    numbers = [int(n) for file in found for n in file.read_text().split()]
    return [n for n in numbers if b"study.worker" in Path(f"/proc/{n}/cmdline").read_bytes()]


def ended(process: int) -> bool:
    """Whether a process is gone, or dead and only not yet collected."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def start(folder: Path, engine: str) -> subprocess.Popen[bytes]:
    """Run the study in ``folder`` in another process, with a checkpoint after each step."""
    body = (
        "import sys, wireloom.study.study as module; from wireloom.study import Local, Study; "
        "module.CHECKPOINT_SECONDS = 0; Study.open(sys.argv[1]).run(" + engine + ")"
    )
    return subprocess.Popen([sys.executable, "-c", body, str(folder)], start_new_session=True)


def kill(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait(timeout=10) == -signal.SIGKILL


def test_study_killed_within_a_population_goes_on_to_the_same_numbers(
    tmp_path: Path, undisturbed: dict
) -> None:
    study = Study.create(tmp_path / "study", replace(LONG, chunk=4))
    process = start(study.folder, "Local(workers=1, threads=1)")
    until(lambda: study.status().done > 0 or epochs_kept(study._checkpoint(0)) > 0)
    kill(process)
    assert study.status().done in (0, 4)
    seen: list[Event] = []
    assert study.run(HERE, seen.append).left == ()
    assert seen[0].chunk == 1 or seen[0].member_epochs >= 4  # from the checkpoint on
    assert outcome(study) == undisturbed
    assert list((study.folder / "checkpoints").glob("*.safetensors")) == []
    study.close()


def test_workers_end_with_a_killed_parent_and_the_study_goes_on(
    tmp_path: Path, undisturbed: dict
) -> None:
    study = Study.create(tmp_path / "study", replace(LONG, chunk=1))
    process = start(study.folder, "Local(workers=2, threads=1)")
    until(lambda: study.status().done > 0)
    workers = children(process.pid)
    assert len(workers) == 2
    kill(process)
    until(lambda: all(map(ended, workers)), 10)
    assert 0 < study.status().done < 8
    assert study.run(HERE).left == ()
    assert outcome(study) == undisturbed
    study.close()


def test_two_processes_give_the_same_numbers_and_a_killed_one_costs_its_population_only(
    tmp_path: Path, undisturbed: dict
) -> None:
    study = Study.create(tmp_path / "study", replace(LONG, chunk=2))
    seen: list[Event] = []

    def strike(event: Event) -> None:
        if not any(e.member_epochs for e in seen):
            os.kill(children(os.getpid())[0], signal.SIGKILL)
        seen.append(event)

    status = study.run(APART, strike)
    failures = [e for e in seen if e.failure]
    assert len(failures) == 1
    assert "was ended by signal 9" in failures[0].failure
    assert status.left == (failures[0].chunk,)
    assert status.done == 6
    assert outcome(study).items() <= undisturbed.items()
    assert children(os.getpid()) == []
    assert study.run(HERE).left == ()
    assert outcome(study) == undisturbed
    study.close()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"\x08" + bytes(200)])
def test_damaged_checkpoint_starts_the_population_again(
    done: Study, tmp_path: Path, content: bytes
) -> None:
    study = Study.create(tmp_path / "study", PLAN)
    path = study._checkpoint(0)
    path.parent.mkdir()
    path.write_bytes(content)
    assert study.run(HERE).left == ()
    assert outcome(study) == outcome(done)
    study.close()


def full(_: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_full_disk_fails_the_population_and_a_later_run_completes(
    done: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = Study.create(tmp_path / "study", PLAN)
    seen: list[Event] = []
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert study.run(HERE, seen.append).left == (0,)
    assert "No space left on device" in seen[-1].failure
    assert list((study.folder / "checkpoints").iterdir()) == []
    assert study.run(HERE).left == ()
    assert outcome(study) == outcome(done)
    study.close()


def test_full_disk_leaves_the_old_page(
    done: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.html"
    page.write_text("the old page")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InvalidValue, match=r"page\.html cannot be written: No space left"):
        done.report(page)
    assert page.read_text() == "the old page"
    assert list(tmp_path.iterdir()) == [page]


# Folders


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"width": 17}, "width: 16 there, 17 asked for"),
        ({"seeds": (1, 2, 3)}, r"seeds: \[1, 2\] there, \[1, 2, 3\] asked for"),
        ({"recipe": replace(PLAN.recipe, lr=0.2)}, "lr: 0.1 there, 0.2 asked for"),
        ({"wirings": {0: WIRINGS[0]}}, "wirings: 4 there, 1 asked for, not the same ones"),
        ({"limit": 100}, "limit: 200 there, 100 asked for; contents of data 'digits'"),
    ],
)
def test_other_settings_are_named(done: Study, change: dict, named: str) -> None:
    with pytest.raises(InvalidValue, match=named):
        Study.create(done.folder, replace(PLAN, **change))


def test_same_settings_give_the_study_that_is_there(done: Study) -> None:
    again = Study.create(done.folder, PLAN)
    assert again.status().left == ()
    again.close()


def test_another_store_is_named(done: Study, tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match=r"other settings \(store\)"):
        Study.create(done.folder, PLAN, store=f"sqlite:///{tmp_path / 'other.sqlite'}")


def test_data_of_ones_own_must_be_given_again(own: Dataset, tmp_path: Path) -> None:
    plan = replace(PLAN, data="mine", limit=None, test_limit=None, recipe=Recipe(epochs=1, batch=9))
    study = Study.create(tmp_path / "study", plan, dataset=own)
    assert study.run(APART).left == ()
    study.close()
    without = Study.open(tmp_path / "study")
    with pytest.raises(InvalidValue, match="made with data of your own; give it again"):
        without.status()
    without.close()
    again = Study.open(tmp_path / "study", dataset=own)
    assert again.status().done == 8
    again.close()
    changed = replace(own, train_images=own.train_images + 1)
    other = Study.open(tmp_path / "study", dataset=changed)
    with pytest.raises(InvalidValue, match="data 'mine' has changed since the study was made"):
        other.status()
    other.close()
    with pytest.raises(InvalidValue, match="contents of data 'mine'"):
        Study.create(tmp_path / "study", plan, dataset=changed)


def test_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(InvalidValue, match="must be a new or empty folder, or a study"):
        Study.create(tmp_path, PLAN)
    with pytest.raises(InvalidValue, match="must be a new or empty folder, or a study"):
        Study.create(tmp_path / "letter.txt", PLAN)
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]


def test_impossible_plan_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="`nodes` of a wiring must not exceed"):
        Study.create(tmp_path / "study", replace(PLAN, width=7))
    assert not (tmp_path / "study").exists()


def settings_without(name: str) -> str:
    content = {
        "format": "wireloom.study",
        "version": 1,
        "plan": PLAN.settings(),
        "store": "",
        "data_digest": "0",
        "own_data": False,
    }
    content.pop(name)
    return json.dumps(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "study.json is damaged"),
        ('{"format": "wireloom.st', "study.json is damaged"),
        ("[]", "study.json is not a study's"),
        ('{"format": "wireloom.wiring"}', "study.json is not a study's"),
        (
            '{"format": "wireloom.study", "version": 99}',
            "study.json has version 99; this Wireloom reads 1",
        ),
        (settings_without("plan"), "study.json is damaged: KeyError"),
        (settings_without("own_data"), "study.json is damaged: KeyError"),
        (
            '{"format": "wireloom.study", "version": 1, "plan": {"seeds": 3}}',
            "study.json is damaged",
        ),
    ],
)
def test_damaged_or_foreign_study_file_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "study.json").write_text(content)
    with pytest.raises(InvalidValue, match=message):
        Study.open(tmp_path)


def test_bytes_that_are_no_text_are_a_damaged_study_file(tmp_path: Path) -> None:
    (tmp_path / "study.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidValue, match=r"study\.json is damaged"):
        Study.open(tmp_path)


def test_store_that_cannot_be_opened_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match=r"the store .* cannot be opened"):
        Study.create(tmp_path / "study", PLAN, store="sqlite:////no/such/folder/results.sqlite")
    assert not (tmp_path / "study").exists()


def test_folder_without_a_study_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match=r"is not a study: it has no readable study\.json"):
        Study.open(tmp_path / "nothing")
