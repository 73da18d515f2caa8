"""A challenger beside the server: what it says is recorded, and whatever becomes of it harms no answer."""

import asyncio
import os
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chisquare
from servers import Running, image, running, until
from sqlalchemy import select

import seewhy
from seewhy.config.input_rule import InputRule
from seewhy.errors import RegistryError, UsageError
from seewhy.inference.registered import open_feedback
from seewhy.registry.records import ShadowAnswer
from seewhy.registry.schema import answers
from seewhy.serving import shadowing
from seewhy.serving.challenge import challenge_of, is_drawn, unit_hash
from seewhy.serving.children import Child
from seewhy.serving.metrics import Metrics
from seewhy.serving.settings import ServeSettings
from seewhy.serving.shadow import ANSWER, FILE
from seewhy.serving.shadowing import Shadow, _Process

WATCHED = {"serving.shadowing.WATCH_SECONDS": 0.2}


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the servers of a test record."""
    path = tmp_path / "registry.db"
    monkeypatch.setenv("SEEWHY_REGISTRY", str(path))
    return path


def rows() -> list:
    with open_feedback() as feedback, feedback.database.reading() as connection:
        return connection.execute(select(answers)).all()


def challenger(server: Running) -> dict:
    return server.status()["challenger"]


def counted(server: Running, outcome: str) -> float:
    prefix = f'seewhy_shadow_total{{outcome="{outcome}"}} '
    lines = server.metrics().splitlines()
    return sum(float(line.removeprefix(prefix)) for line in lines if line.startswith(prefix))


@pytest.fixture
def shadowed(exported: Path, tmp_path: Path, registry: Path) -> Iterator[Running]:
    """A server of a model whose challenger is the same model; it is started again after 3 s at least."""
    again = {**WATCHED, "serving.shadowing.RETRY_SECONDS": 3}
    with running(tmp_path, f"small={exported}", changed=again, challenger=exported) as server:
        until(lambda: challenger(server)["ready"])
        yield server


def test_both_answer_and_one_is_shown(shadowed: Running) -> None:
    answer = shadowed.predict(image(), b"no image", image(1)).json()
    assert set(answer) == {"request_id", "model", "results"}
    until(lambda: [bool(row.shadow_label) for row in rows()] == [True, True])
    for row, result in zip(rows(), (answer["results"][0], answer["results"][2]), strict=True):
        assert row.label == row.shadow_label == result["label"]
        assert row.confidence == result["confidence"] == pytest.approx(row.shadow_confidence)
        assert row.shadow_digest == answer["model"]["digest"] == challenger(shadowed)["digest"]
        assert row.unit is None
    assert counted(shadowed, "answered") == 2
    assert [one["name"] for one in shadowed.client.get("/models").json()["models"]] == ["small"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems know niceness alone")
def test_it_computes_when_nothing_else_wants_a_core(shadowed: Running) -> None:
    process = challenger(shadowed)["process"]
    until(lambda: os.sched_getscheduler(process) == os.SCHED_IDLE)


def test_a_challenger_with_another_input_reads_the_file_itself(
    exported: Path, enlarging: Path, tmp_path: Path, registry: Path
) -> None:
    flags = {"challenger": enlarging, "audit-share": 1}
    with running(tmp_path, exported, **flags) as server:
        until(lambda: challenger(server)["ready"])
        right = {"request_id": server.predict(image()).json()["request_id"], "label": "wasp"}
        until(lambda: counted(server, "answered") == 1 and rows())
        (item,) = server.client.get("/review/queue", headers=server.operator).json()["items"]
        assert item["classes"] == ["ant", "bee", "cow", "wasp"]  # of both
        labelled = server.client.post("/review/label", json=right, headers=server.operator)
        assert labelled.json()["outcome"] == "recorded"
    (row,) = rows()
    with seewhy.load(enlarging) as model:
        predictions = model.predict([image()])
    assert row.shadow_digest == model.digest
    assert row.shadow_label == model.classes[predictions.predicted[0]]
    assert row.shadow_confidence == pytest.approx(float(predictions.confidence()[0]), abs=1e-5)
    assert abs(row.shadow_confidence - row.confidence) > 1e-4  # it saw other pixels


def test_a_challenger_that_dies_harms_no_answer_and_is_started_again(
    shadowed: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = challenger(shadowed)["process"]
    os.kill(process, signal.SIGSTOP)
    answers = [shadowed.predict(image(n)) for n in range(70)]
    assert [one.status_code for one in answers] == [200] * 70
    right = {"request_id": answers[0].json()["request_id"], "label": None}
    assert shadowed.client.post("/feedback", json=right).json()["outcome"] == "unchanged"
    assert counted(shadowed, "dropped") >= 70 - 64  # of what it cannot keep up with
    os.kill(process, signal.SIGKILL)
    assert shadowed.predict(image()).status_code == 200
    assert len(until(lambda: rows() if len(rows()) == 71 else None)) == 71
    assert all(row.shadow_label is row.shadow_digest is None for row in rows())
    until(lambda: challenger(shadowed).get("process", process) != process)
    shadowed.predict(image())
    until(lambda: counted(shadowed, "answered") == 1)


class Silent:
    """Stands in for a process, its input and its end, that takes what it is asked and does not answer."""

    pid, returncode = 1, None

    def writelines(self, parts: object) -> None: ...

    def close(self) -> None: ...

    def kill(self) -> None:
        self.returncode = -9

    async def wait(self) -> None: ...


def silent(shadow: Shadow) -> _Process:
    """A process that answers nothing but what its reader is fed with."""
    one, rule = Silent(), InputRule(size=16, store=16)
    process = _Process(
        one, asyncio.StreamReader(), one, "d", rule, (), shadow._count, shadow._record
    )
    process.reading = asyncio.create_task(process._read())
    return process


def test_what_is_given_up_takes_room_until_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadowing, "LATE_SECONDS", 0)

    async def ask() -> None:
        process = silent(Shadow("m", ServeSettings(), Metrics(), print))
        process.ask(FILE, bytes(shadowing.QUEUE_BYTES), ("a" * 32, 0))
        process.drop_late()
        assert not process.waiting and not process.has_room
        process.reader.feed_data(ANSWER.pack(1, 2) + b"[]")
        await asyncio.sleep(0)
        assert process.has_room
        await process.end()

    asyncio.run(ask())


def test_one_that_exports_ends_with_the_server_and_so_does_the_export(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told no secrets, which others could read among its arguments."""
    program, started = tmp_path / "program", tmp_path / "started"
    program.write_text(f"#!/bin/sh\necho $$ > {started}\nexec sleep 60")
    program.chmod(0o700)
    begin = f"import sys; sys.executable = {str(program)!r}; from seewhy.serving.shadow import main; main()"
    told: list[str] = []

    async def start_child(module: str, *arguments: str, variables: tuple[str, ...]) -> Child:
        told.extend(arguments)
        ours, theirs = socket.socketpair()
        command = (sys.executable, "-c", begin, *arguments)
        with theirs:
            process = await asyncio.create_subprocess_exec(*command, stdin=theirs)
        return process, *await asyncio.open_connection(sock=ours)

    async def stop() -> None:
        shadow = Shadow(str(trained), settings, Metrics(), print)
        await shadow.start()
        while not (started.exists() and started.read_text().strip()):
            await asyncio.sleep(0.05)
        await shadow.close()

    monkeypatch.setenv("SEEWHY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(shadowing, "start_child", start_child)
    monkeypatch.setattr(shadowing, "END_SECONDS", 20)
    settings = ServeSettings(alert_url="https://alerts.example/secret")
    asyncio.run(stop())
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)
    assert not list((tmp_path / "cache").rglob("*.tmp"))
    assert "secret" not in "".join(told)


def test_one_that_hangs_is_ended_and_may_be_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadowing, "LATE_SECONDS", 0)
    monkeypatch.setattr(shadowing, "HUNG_SECONDS", -1)

    async def hang() -> None:
        process = silent(Shadow("m", ServeSettings(), Metrics(), print))
        process.process = await asyncio.create_subprocess_exec("sleep", "60")
        process.ask(FILE, b"x", ("a" * 32, 0))
        process.drop_late()
        assert await process.process.wait() == -signal.SIGKILL
        await asyncio.sleep(0)
        process.drop_late()  # the server looks every second, and may not know yet that it has ended
        await process.end()

    asyncio.run(hang())


def test_the_one_before_answers_and_ends_when_the_server_stops(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def stop() -> tuple[list, list]:
        said: list = []
        shadow = Shadow("m", ServeSettings(), Metrics(), said.append)
        processes = [silent(shadow), silent(shadow)]
        started = iter(processes)

        async def start(*_: object) -> _Process:
            return next(started)

        monkeypatch.setattr(_Process, "start", start)
        await shadow._replace()
        shadow.ask("a" * 32, 0, np.zeros((16, 16, 3), np.uint8), processes[0].rule, b"")
        await shadow._replace()
        asyncio.get_running_loop().call_later(
            0.1, processes[0].reader.feed_data, ANSWER.pack(1, 12) + b'["bee", 0.5]'
        )
        await shadow.close()
        return [one.process.returncode for one in processes], said

    codes, said = asyncio.run(stop())
    assert codes == [-9, -9] and said == [ShadowAnswer("a" * 32, 0, "d", "bee", 0.5)]


def test_what_waits_for_it_when_the_server_stops_is_recorded(
    exported: Path, tmp_path: Path, registry: Path
) -> None:
    short = {"serving.shadowing.STOP_SECONDS": 0.5}
    with running(tmp_path, exported, changed=short, challenger=exported) as server:
        until(lambda: challenger(server)["ready"])
        os.kill(challenger(server)["process"], signal.SIGSTOP)
        assert [server.predict(image(n)).status_code for n in range(5)] == [200] * 5
    assert len(rows()) == 5


def test_it_follows_its_alias(
    exported: Path, enlarging: Path, tmp_path: Path, registry: Path
) -> None:
    first = seewhy.register(exported, "photos")
    flags = {"challenger": "registry:photos@challenger", "changed": WATCHED}
    with seewhy.open_registry() as opened:
        opened.promote("photos", 1)
        with running(tmp_path, "registry:photos@champion", **flags) as server:
            assert challenger(server) == {"ready": False}  # there is none yet
            assert server.predict(image()).status_code == 200
            opened.promote("photos", 1, "challenger")
            until(lambda: challenger(server).get("digest") == first.digest)
            second = seewhy.register(enlarging, "photos")
            opened.promote("photos", 2, "challenger")
            until(lambda: challenger(server).get("digest") == second.digest)
            server.predict(image())
            until(lambda: len(rows()) == 2)
    assert [row.shadow_digest for row in rows()] == [None, second.digest]
    assert {row.digest for row in rows()} == {first.digest}


def test_a_model_that_cannot_be_used_leaves_the_one_before(
    exported: Path, tmp_path: Path, registry: Path
) -> None:
    copy = tmp_path / "copy.onnx"
    shutil.copy(exported, copy)
    flags = {"challenger": copy, "reload": True, "changed": WATCHED}
    with running(tmp_path, exported, **flags) as server:
        digest = until(lambda: challenger(server).get("digest"))
        copy.write_bytes(b"no model")
        until(lambda: "the challenger cannot be used" in server.log.read_text())
        assert challenger(server)["digest"] == digest
        server.predict(image())
        until(lambda: counted(server, "answered") == 1)


def test_units_are_split_and_stay_where_they_are(
    exported: Path, tmp_path: Path, registry: Path
) -> None:
    copy = tmp_path / "other.onnx"
    shutil.copy(exported, copy)
    with running(tmp_path, f"small={exported}", challenger=copy, split=0.5) as server:
        names = [one["name"] for one in server.client.get("/models").json()["models"]]
        assert names == ["small", "small@challenger"]
        for unit in ("ada", "ben", "ada"):
            answer = server.predict(image(), unit=unit).json()
            assert answer["model"]["name"] == "small"
        files = {"file": image()}
        server.client.post("/predict", files=files, headers={"X-Unit-Id": "ada"})
        server.predict(image())  # of nobody: by the champion, and in no experiment
        assert server.predict(image(), unit="a" * 201).status_code == 422
    units = [row.unit for row in rows()]
    assert units[0] == units[2] == units[3] != units[1] and units[4] is None
    assert "ada" not in units[0]
    assert [row.shadow_digest is None for row in rows()] == [False] * 4 + [True]
    assert all(row.shadow_label is None for row in rows())


@pytest.mark.parametrize(
    ("names", "options", "words"),
    [
        ({"a": "x"}, {"split": 0.5}, "--split needs --challenger"),
        ({"a": "x", "b": "y"}, {"challenger": "z"}, "expected NAME=MODEL, with NAME one of a, b"),
        ({"a": "x"}, {"challenger": "c=z"}, "expected NAME=MODEL"),
    ],
)
def test_what_does_not_fit_is_refused(names: dict, options: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        challenge_of(names, ServeSettings(**options))


def test_a_wrong_name_of_a_challenger_ends_the_start(
    exported: Path, registry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="nothing-there"):
        seewhy.serve(exported, challenger="nothing-there", port=0, admin_port=0)
    with pytest.raises(RegistryError):
        seewhy.serve(exported, challenger="registry:nothing@challenger", port=0, admin_port=0)


def test_r39_a_hundred_thousand_units_are_split_as_asked_and_stay() -> None:
    units = [f"user-{n}" for n in range(100_000)]

    def drawn(digest: str) -> list[bool]:
        return [is_drawn(unit_hash(digest, unit), 0.3) for unit in units]

    seen = sum(drawn("0" * 64))
    assert chisquare([seen, 100_000 - seen], [30_000, 70_000]).pvalue > 0.001
    assert drawn("0" * 64) == drawn("0" * 64)
    both = sum(map(all, zip(drawn("0" * 64), drawn("1" * 64), strict=True)))
    assert both == pytest.approx(9_000, abs=500)  # another challenger: drawn anew


@pytest.mark.long
def test_r39_a_server_that_is_killed_writes_no_row_twice(
    exported: Path, tmp_path: Path, registry: Path
) -> None:
    with running(tmp_path, exported, challenger=exported) as server:
        until(lambda: challenger(server)["ready"])
        first = [server.predict(image(n)).json()["request_id"] for n in range(5)]
        until(lambda: len(rows()) == 5)
        second = [server.predict(image(n)).json()["request_id"] for n in range(5)]
        server.process.kill()
        server.process.wait()
    found = [row.request_id for row in rows()]
    assert len(found) == len(set(found)) and set(first) <= set(found) <= {*first, *second}


@pytest.mark.long
@pytest.mark.parametrize("years", [-1, 1])
def test_r39_a_clock_that_is_set_wrong_changes_no_count(
    exported: Path, tmp_path: Path, registry: Path, years: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not (library := next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)):
        pytest.skip("needs faketime: apt-get install faketime")
    clock = tmp_path / "clock"
    clock.write_text("+0y")
    for name, value in (
        ("LD_PRELOAD", str(library)),
        ("FAKETIME_TIMESTAMP_FILE", str(clock)),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ):
        monkeypatch.setenv(name, value)
    with running(tmp_path, exported, challenger=exported) as server:
        monkeypatch.delenv("LD_PRELOAD")
        until(lambda: challenger(server)["ready"])
        assert server.predict(image()).status_code == 200
        until(lambda: counted(server, "answered") == 1)
        clock.write_text(f"{years:+d}y")
        assert server.predict(image(1)).status_code == 200
        until(lambda: counted(server, "answered") == 2)
        seconds = [
            float(line.rsplit(" ", 1)[1])
            for line in server.metrics().splitlines()
            if line.startswith("seewhy_request_seconds_sum")
        ]
    assert len(rows()) == 2 and all(row.shadow_label for row in rows())
    assert all(0 <= value < 60 for value in seconds)
    assert all(one["ms"] >= 0 for one in server.records() if "ms" in one)
    dates = [int(row.at[:4]) for row in rows()]
    assert max(dates) - min(dates) == 1
