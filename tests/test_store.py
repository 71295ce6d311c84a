"""Results in SQLite and in a real PostgreSQL: whole batches, each key once, nothing lost."""

from __future__ import annotations

import importlib.util
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from wireloom.base import InvalidValue, WireloomError
from wireloom.store import Results, Run, without_password
from wireloom.study import Local, Plan, Study
from wireloom.training import Recipe
from wireloom.wiring import complete, ring

DIALECTS = ["sqlite", "postgresql"]
BATCH = 300


def run(key: str, **change) -> Run:
    plain = Run(
        key=key,
        wiring=3,
        digest="d" * 32,
        seed=2**40,
        data_seed=7,
        chunk=1,
        error=12.3456789012345678,
        loss=0.1 + 0.2,
        width=1522,
        macs=2**40,
        params=10**9,
        seconds=1e-3,
        curve={"epoch": [1, 2], "test_loss": [0.1, 0.3]},
        machine={"torch": "2", "threads": 1},
    )
    return replace(plain, **change)


def batch(name: str, size: int = 3) -> list[Run]:
    return [run(f"{name}-{i}", wiring=i) for i in range(size)]


class Server:
    """A private PostgreSQL cluster; each test gets a database of its own."""

    def __init__(self, port: int) -> None:
        self.port, self._made = port, 0

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{name}"

    def database(self) -> str:
        import psycopg

        self._made += 1
        name = f"test{self._made}"
        with psycopg.connect(
            host="127.0.0.1", port=self.port, user="postgres", autocommit=True
        ) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)


def absent(what: str) -> None:
    """Skip, or fail where the whole suite is required."""
    if os.environ.get("WIRELOOM_REQUIRE"):
        pytest.fail(f"required, but absent: {what}")
    pytest.skip(f"absent: {what}")


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    found = [str(p.parent) for p in Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")]
    tools = shutil.which("pg_ctl", path=os.pathsep.join([*sorted(found)[::-1], os.environ["PATH"]]))
    if tools is None:
        absent("PostgreSQL's initdb and pg_ctl")
    if importlib.util.find_spec("psycopg") is None:
        absent("psycopg")
    assert tools
    tool = Path(tools).resolve().parent
    lower = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    folder = tempfile.mkdtemp(prefix="wl-pg-")
    if lower:
        shutil.chown(folder, "postgres")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def call(*words: str) -> None:
        done = subprocess.run(
            [*lower, *words], cwd=folder, timeout=60, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, words

    data = f"{folder}/data"
    try:
        call(
            *(f"{tool}/initdb", "-D", data, "-U", "postgres", "--auth=trust"),
            *("--no-sync", "--encoding=UTF8", "--locale=C"),
        )
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        call(
            *(f"{tool}/pg_ctl", "-D", data, "-w", "-t", "30"),
            *("-l", f"{folder}/log", "-o", options, "start"),
        )
        try:
            yield Server(port)
        finally:
            call(f"{tool}/pg_ctl", "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=DIALECTS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'results.sqlite'}"
    return request.getfixturevalue("server").database()


@pytest.fixture
def results(url: str) -> Iterator[Results]:
    opened = Results(url, "study")
    yield opened
    opened.close()


def read(url: str, study: str = "study") -> list[Run]:
    opened = Results(url, study)
    try:
        return opened.runs()
    finally:
        opened.close()


def test_rows_come_back_as_they_were_by_wiring_and_seed(results: Results, url: str) -> None:
    rows = [run("a", wiring=-1), run("b", wiring=2, seed=1), run("c", wiring=2, seed=2)]
    results.add(reversed(rows))
    assert results.runs() == rows
    assert results.keys() == {"a", "b", "c"}
    assert read(url) == rows


def test_nothing_is_there_at_first_and_nothing_can_be_added(results: Results) -> None:
    results.add([])
    assert results.runs() == []
    assert results.keys() == set()


@pytest.mark.parametrize("bad", [{"wiring": None}, {"seed": 2**70}], ids=["missing", "too large"])
def test_batch_with_one_bad_row_adds_none(results: Results, bad: dict) -> None:
    results.add(batch("first"))
    with pytest.raises((WireloomError, OverflowError)):
        results.add([*batch("second"), run("broken", **bad)])
    assert results.keys() == {r.key for r in batch("first")}


def test_key_that_is_there_is_left_as_it_is(results: Results) -> None:
    results.add([run("a"), run("b")])
    results.add([run("b", error=99.0), run("c")])
    assert {r.key: r.error for r in results.runs()} == dict.fromkeys("abc", run("a").error)


def test_same_key_twice_in_a_batch_is_one_row(results: Results) -> None:
    results.add([run("a"), run("a", error=50.0)])
    assert results.runs() == [run("a")]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_come_back_as_nan(results: Results, value: float) -> None:
    results.add([run("a", error=value, loss=value, curve={"test_loss": [0.5, value]})])
    (back,) = results.runs()
    assert math.isnan(back.error)
    assert math.isnan(back.loss)
    assert back.curve["test_loss"][0] == 0.5
    assert math.isnan(back.curve["test_loss"][1])


def test_studies_share_a_database_without_seeing_each_other(results: Results, url: str) -> None:
    other = Results(url, "other")
    results.add([run("a"), run("b")])
    other.add([run("a", error=1.0)])
    assert results.keys() == {"a", "b"}
    assert other.runs() == [run("a", error=1.0)]
    assert {r.error for r in results.runs()} == {run("a").error}
    other.close()


def test_many_open_a_new_database_at_once(url: str) -> None:
    gate, failures = threading.Barrier(6), []

    def begin(number: int) -> None:
        gate.wait()
        try:
            opened = Results(url, "study")
            opened.add(batch(f"{number}"))
            opened.close()
        except WireloomError as error:
            failures.append(error)

    threads = [threading.Thread(target=begin, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(read(url)) == 18


def script(body: str, *arguments: str) -> subprocess.Popen[str]:
    """Start another process that has ``run``, ``batch`` and ``Results`` at hand."""
    head = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
    head += "from test_store import BATCH, Results, batch, run\n"
    return subprocess.Popen(
        [sys.executable, "-c", head + body, *arguments], stdout=subprocess.PIPE, text=True
    )


def test_writers_in_two_processes_lose_nothing(url: str) -> None:
    body = """
name, url = sys.argv[1:]
results = Results(url, "study")
for i in range(20):
    results.add([*batch(f"{name}-{i}", 5), run(f"both-{i}")])
"""
    writers = [script(body, name, url) for name in ("left", "right")]
    for writer in writers:
        assert writer.wait(timeout=60) == 0
        assert writer.stdout
        writer.stdout.close()
    expected = {
        f"{name}-{i}-{j}" for name in ("left", "right") for i in range(20) for j in range(5)
    }
    found = [r.key for r in read(url)]
    assert set(found) == expected | {f"both-{i}" for i in range(20)}
    assert len(found) == len(set(found))


def test_process_killed_while_adding_leaves_whole_batches(url: str) -> None:
    body = """
import time
from sqlalchemy.event import listen
results = Results(sys.argv[1], "study")
results.add(batch("first", BATCH))
def stop(connection):
    print("rows are written, not committed", flush=True)
    time.sleep(60)
listen(results._engine, "commit", stop)
results.add(batch("second", BATCH))
"""
    writer = script(body, url)
    assert writer.stdout
    assert writer.stdout.readline()
    writer.send_signal(signal.SIGKILL)
    assert writer.wait(timeout=10) == -signal.SIGKILL
    writer.stdout.close()
    assert read(url) == batch("first", BATCH)
    again = Results(url, "study")
    again.add(batch("first", BATCH) + batch("second", BATCH))
    assert len(again.keys()) == 2 * BATCH
    again.close()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://user:secret@127.0.0.1:1/name",
        "postgresql+psycopg://user:secret@127.0.0.1:port/name",
        "postgresql+psycopg://127.0.0.1:1/name?user=user&password=secret",
        "postgresql+psycopg://user:se@cret:secret@127.0.0.1:1/name",
        "oracel://user:secret@host/name",
        "user:secret@host",
        "results.sqlite",
        "",
        "sqlite:////no/such/folder/results.sqlite",
    ],
)
def test_bad_url_is_one_sentence_without_the_password(url: str) -> None:
    with pytest.raises(InvalidValue, match="cannot be opened") as caught:
        Results(url, "study")
    said = str(caught.value)
    assert "\n" not in said
    assert "secret" not in said
    assert "cret" not in said
    assert caught.value.__suppress_context__


def test_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    path.write_bytes(b"these are not the bytes of a database" * 100)
    with pytest.raises(InvalidValue, match=r"results\.sqlite cannot be opened: file is not a data"):
        Results(f"sqlite:///{path}", "study")


def test_database_lost_on_the_way_is_an_error_in_one_sentence(tmp_path: Path) -> None:
    results = Results(f"sqlite:///{tmp_path / 'results.sqlite'}", "study")
    results.add(batch("first"))
    results.close()
    for file in tmp_path.iterdir():
        file.unlink()
    with pytest.raises(WireloomError, match=r"the store .* failed: no such table"):
        results.add(batch("second"))
    results.close()


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("postgresql+psycopg://me:pa:ss@wd@host/name", "postgresql+psycopg://me@host/name"),
        ("postgresql+psycopg://me@host/name?password=x&port=5", "postgresql+psycopg://me@host/name?port=5"),
        ("postgresql+psycopg://host/name?port=5&password=x", "postgresql+psycopg://host/name?port=5"),
        ("sqlite:////tmp/a.sqlite", "sqlite:////tmp/a.sqlite"),
    ],
)  # fmt: skip
def test_a_url_without_its_password(url: str, plain: str) -> None:
    assert without_password(url) == plain


def test_a_study_keeps_no_password(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = server.database()
    store = plain.replace("://postgres@", "://postgres:geheim@")
    assert "geheim" in store
    wirings = {-1: complete(nodes=8), 0: ring(nodes=8)}
    recipe = Recipe(epochs=1, batch=50)
    plan = Plan(data="digits", wirings=wirings, seeds=(1, 2), width=8, stem=8, recipe=recipe,
                limit=100, test_limit=50, chunk=2)  # fmt: skip
    study = Study.create(tmp_path / "study", plan, store=store)
    assert study.run(Local(workers=2, threads=1)).left == ()
    study.close()
    for file in (tmp_path / "study").rglob("*"):
        if file.is_file():
            assert b"geheim" not in file.read_bytes()
    opened = Study.open(tmp_path / "study")
    assert opened.store == plain
    opened.close()
    again = Study.create(tmp_path / "study", plan, store=store)
    assert (again.store, again.status().done) == (store, 4)
    again.close()
    monkeypatch.setenv("WIRELOOM_STORE", store)
    told = Study.open(tmp_path / "study")
    assert told.store == store
    told.close()
