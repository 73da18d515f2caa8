"""Answers and labels that a server records: exactly once, after the answers, and never at their cost."""

import asyncio
import io
import signal
import threading
import time
from dataclasses import replace

import httpx
import numpy as np
import pytest
from answers import ANSWER
from PIL import Image
from prometheus_client import generate_latest
from servers import encoded, image, running, stop_under_load
from sqlalchemy import select

import seewhy
from seewhy.errors import RegistryError, ServerError, UsageError
from seewhy.inference.registered import open_feedback
from seewhy.registry.records import KeptImage
from seewhy.registry.schema import answers, kept_images, labels
from seewhy.serving import recording
from seewhy.serving.errors import Refusal
from seewhy.serving.metrics import Metrics
from seewhy.serving.recording import Recorder, Said
from seewhy.serving.settings import ServeSettings

AWAY = "postgresql://nobody@127.0.0.1:1/nothing"


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """Where the servers of a test record."""
    path = tmp_path / "registry.db"
    monkeypatch.setenv("SEEWHY_REGISTRY", str(path))
    return path


def rows(table):
    with open_feedback() as feedback, feedback.database.reading() as connection:
        return connection.execute(select(table)).all()


def code(response):
    return response.status_code, response.json()["error"]["code"]


def test_answers_are_recorded_and_take_labels(exported, tmp_path, registry):
    with running(tmp_path, f"small={exported}", feedback=True) as server:
        answered = server.predict(image(), b"no image", image(1)).json()
        request_id = answered["request_id"]
        classes = server.client.get("/models").json()["models"][0]["classes"]

        def label(label, number=0, request_id=request_id):
            told = {"request_id": request_id, "image": number, "label": label}
            return server.client.post("/feedback", json=told)

        # At once: the answer is not written yet.
        assert label(classes[0]).json() == {
            "request_id": request_id,
            "image": 0,
            "label": classes[0],
            "outcome": "recorded",
        }
        said = [label(one).json()["outcome"] for one in (classes[0], classes[1], None)]
        assert said == ["unchanged", "replaced", "withdrawn"]
        assert label("none of these", 2).json()["outcome"] == "recorded"
        assert code(label(classes[0], 1)) == (404, "unknown_request")  # it was no image
        assert code(label(classes[0], 0, "f" * 32)) == (404, "unknown_request")
        assert code(label(classes[0], 0, "\0' OR 1")) == (404, "unknown_request")
        assert code(label("no class")) == (422, "unknown_label")
        for body in (b"", b"[]", b'{"request_id": 1}', b'{"label": null, "other": 1}', b"\xff"):
            answer = server.client.post("/feedback", content=body)
            assert code(answer) == (422, "invalid_parameter")
        assert code(server.client.post("/feedback", content=b" " * 70_000)) == (413, "too_large")
        foreign = server.client.post("/feedback", json={}, headers={"origin": "https://evil"})
        assert code(foreign) == (403, "forbidden_origin")
        assert 'seewhy_recorded_total{what="answer"} 2.0' in server.metrics()
    first, second = rows(answers)
    assert [(one.request_id, one.image) for one in (first, second)] == [
        *((request_id, 0), (request_id, 2))
    ]
    sent = answered["results"][0]
    assert [first.name, first.digest] == list(answered["model"].values())
    for name in ("label", "answer", "confidence"):
        assert getattr(first, name) == sent[name]
    (row,) = rows(labels)
    assert (row.image, row.label, row.source) == (2, "none of these", "client")
    assert not rows(kept_images)


def test_clients_send_labels(exported, tmp_path, registry):
    with running(tmp_path, exported, feedback=True) as server:
        with seewhy.Client(server.url) as client:
            one, two = client.predict([image(), image(1)])
            assert (one.image, two.image) == (0, 1)
            said = client.feedback(two.request_id, two.label, image=two.image)
            assert said == "recorded"
            with pytest.raises(ServerError) as error:
                client.feedback("0" * 32, two.label)
            assert error.value.code == "unknown_request"

        async def again():
            async with seewhy.AsyncClient(server.url) as client:
                return await client.feedback(two.request_id, two.label, image=two.image)

        assert asyncio.run(again()) == "unchanged"
    assert [one.image for one in rows(labels)] == [1]


def test_a_server_that_records_nothing_says_so(server):
    told = {"request_id": "0" * 32, "label": "ant"}
    assert code(server.client.post("/feedback", json=told)) == (404, "no_feedback")


def test_r15_every_answer_before_a_stop_is_a_row(exported, tmp_path, registry):
    statuses = stop_under_load(exported, tmp_path, feedback=True)
    assert set(statuses) <= {200, 429}
    assert len(rows(answers)) == statuses.count(200)


@pytest.mark.long
@pytest.mark.parametrize("challenged", [False, True], ids=["alone", "with a challenger"])
def test_r15_fifty_stops(exported, tmp_path, registry, challenged):
    flags = {"challenger": exported} if challenged else {"feedback": True}
    answered = 0
    for _ in range(50):
        answered += stop_under_load(exported, tmp_path, **flags).count(200)
    kept = rows(answers)
    said = sum(row.shadow_label is not None for row in kept)
    print(f"{answered:,} answers, {len(kept):,} rows, {said:,} with what a challenger says")
    assert len(kept) == answered and bool(said) == challenged


def answered_and_labelled_until_killed(exported, folder, seconds):
    """A server that is killed under load; the requests whose label was acknowledged."""
    acked, asked = [], []
    with running(folder, exported, feedback=True) as server:
        classes = server.client.get("/models").json()["models"][0]["classes"]

        def work():
            with httpx.Client(base_url=server.url, timeout=20, verify=False) as client:
                try:
                    while True:
                        told = client.post("/predict", files={"file": image()}).json()
                        asked.append(told["request_id"])
                        right = {"request_id": told["request_id"], "label": classes[0]}
                        for _ in range(2):  # again, as who does not know
                            client.post("/feedback", json=right).raise_for_status()
                        acked.append(told["request_id"])
                except httpx.TransportError:
                    return

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        deadline = time.monotonic() + 60
        while len(acked) < 3 and time.monotonic() < deadline:  # on a busy machine
            time.sleep(0.02)
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        for thread in threads:
            thread.join()
    return acked, asked


def require_once(acked, asked):
    labelled = [one.request_id for one in rows(labels)]
    recorded = [one.request_id for one in rows(answers)]
    assert len(acked) > 2 and set(acked) <= set(labelled) <= set(recorded)
    assert len(labelled) == len(set(labelled)) and len(recorded) == len(set(recorded))
    assert len(set(recorded) - set(asked)) <= 3  # answers that nobody got any more


def test_acknowledged_labels_are_there_exactly_once_after_a_kill(exported, tmp_path, registry):
    require_once(*answered_and_labelled_until_killed(exported, tmp_path, 0.3))


@pytest.mark.long
def test_acknowledged_labels_are_there_after_twenty_kills(exported, tmp_path, registry):
    acked, asked = [], []
    for _ in range(20):
        one, other = answered_and_labelled_until_killed(exported, tmp_path, 2)
        acked += one
        asked += other
    labelled, recorded = rows(labels), rows(answers)
    print(
        f"{len(acked):,} acknowledged, {len(labelled):,} labels; {len(asked):,} answers, "
        f"{len(recorded):,} recorded"
    )
    assert set(acked) <= {one.request_id for one in labelled}
    assert len({one.request_id for one in labelled}) == len(labelled)
    assert len({one.request_id for one in recorded} - set(asked)) <= 60


def test_a_database_that_is_away_fails_no_answer(exported, tmp_path, monkeypatch):
    monkeypatch.setenv("SEEWHY_REGISTRY", AWAY)
    soon = {"serving.recording.FLUSH_SECONDS": 0.5}
    with running(tmp_path, exported, changed=soon, feedback=True) as server:
        answers = [server.predict(image()) for _ in range(5)]
        assert {one.status_code for one in answers} == {200}
        told = {"request_id": answers[0].json()["request_id"], "label": None}
        refused = server.client.post("/feedback", json=told)
        assert code(refused) == (503, "feedback_unavailable")
        assert refused.headers["retry-after"] == "5"
        assert "seewhy_recording_answers 5.0" in server.metrics()
    lost = [one for one in server.records() if one["event"] == "answers are not recorded"]
    assert [one["answers"] for one in lost] == [5]


class Model:
    """What a recorder asks of a model."""

    name, digest = "photos", "d" * 64


RESULT = {"label": "ant", "answer": "ant", "confidence": 0.9, "top": [{"label": "ant"}]}


def recorder(**settings):
    return Recorder(ServeSettings(feedback=True, **settings), Metrics(), "secret")


def counted(recorder, what="answer"):
    """How many answers or images were recorded, and dropped."""
    lines = generate_latest(recorder._metrics._registry).decode().splitlines()
    numbers = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    names = [f'seewhy_{name}_total{{what="{what}"}}' for name in ("recorded", "unrecorded")]
    return [float(numbers.get(name, 0)) for name in names]


def test_what_could_not_be_written_is_written_later_once(registry, monkeypatch):
    """The database fails before and after it has written: what is tried again is there once."""
    from seewhy.registry.feedback import Feedback

    real, faults = Feedback.record, ["before", "after", "before"]

    def record(self, rows, *images):
        fault = faults.pop() if faults else None
        if fault != "before":
            real(self, rows, *images)
        if fault:
            raise RegistryError("unreachable", "the connection is lost")

    monkeypatch.setattr(Feedback, "record", record)
    monkeypatch.setattr(recording, "BATCH_SECONDS", 0.02)
    one = recorder()
    one.start()
    for number in range(3):
        one.answered("a" * 32, number, Model, RESULT)
    deadline = time.monotonic() + 10
    while one.waiting and time.monotonic() < deadline:
        time.sleep(0.01)
    one.close()
    assert not faults and [row.image for row in rows(answers)] == [0, 1, 2]
    assert counted(one) == [3, 0]


def test_what_is_beyond_the_limit_is_dropped_and_counted(registry, monkeypatch):
    monkeypatch.setattr(recording, "MOST", 3)
    one = recorder()
    for number in range(5):
        one.answered("a" * 32, number, Model, RESULT)
    one.start()
    one.close()
    assert counted(one) == [3, 2]
    assert len(rows(answers)) == 3


def test_a_row_that_cannot_be_written_hinders_no_other(registry, monkeypatch):
    monkeypatch.setattr(recording, "BATCH", 1)
    one = recorder()
    one.answered("a" * 32, 0, Model, RESULT | {"label": "\ud800"})
    one.answered("a" * 32, 1, Model, RESULT)
    one.start()
    one.close()
    assert [row.image for row in rows(answers)] == [1]


def test_a_label_that_cannot_be_written_hinders_no_other(registry):
    one = recorder()
    one.answered("a" * 32, 0, Model, RESULT)

    async def ask(request_id):
        return await one.label(Said(request_id, 0, "ant", "client", {}))

    one.start()
    with pytest.raises(UnicodeEncodeError):  # the log of the server has it, and the answer is a 500
        asyncio.run(ask("\ud800"))
    assert asyncio.run(ask("a" * 32)) == "recorded"
    one.close()


def test_a_share_of_all_answers_is_drawn_by_a_key(registry):
    def drawn(share):
        one = recorder(audit_share=share)
        return {n for n in range(20_000) if one._is_audited(f"{n:032x}", 0)}

    few, half = drawn(0.02), drawn(0.5)
    assert 320 < len(few) < 480 and 9700 < len(half) < 10_300 and few < half
    assert not drawn(0) and len(drawn(1)) == 20_000


def test_a_label_waits_for_its_time_only(registry, monkeypatch):
    monkeypatch.setattr(recording, "LABEL_SECONDS", 0.05)
    one = recorder()  # its thread does not run: a database that does not answer

    async def ask():
        with pytest.raises(Refusal) as refusal:
            await one.label(Said("a" * 32, 0, "ant", "client", {}))
        return refusal.value

    assert asyncio.run(ask()).code == "feedback_unavailable"


def test_images_are_kept_without_metadata(exported, tmp_path, registry):
    flags = {"feedback": True, "keep-images": True, "keep-days": 7}
    with running(tmp_path, exported, **flags) as server:
        told = server.predict(photograph(), b"no image").json()
        note = "Images are sent to this server only, which keeps them for 7 days."
        assert note in server.client.get("/").text
    (row,) = rows(kept_images)
    assert (row.request_id, row.image, row.size) == (told["request_id"], 0, len(row.bytes))
    assert b"Exif" not in row.bytes and b"Somewhere" not in row.bytes
    with Image.open(io.BytesIO(row.bytes)) as plain:
        assert plain.format == "JPEG" and not plain.getexif() and plain.size == (30, 40)  # upright


def photograph():
    """A JPEG whose metadata says that it lies on its side, and where it was taken."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8825)[1] = "N"
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    return encoded(noise, "JPEG", exif=exif, comment=b"Somewhere")


def test_the_oldest_images_go_first(registry):
    one = recorder(keep_images=True, keep_bytes=20)
    for number in range(3):
        one.answered("a" * 32, number, Model, RESULT)
        one.keep(KeptImage("a" * 32, number, bytes(8)))
    one.start()
    one.close()
    assert [row.image for row in rows(kept_images)] == [1, 2]


def test_a_server_that_keeps_no_images_removes_those_of_one_before(registry):
    with open_feedback(make=True) as feedback:
        feedback.record(
            [replace(ANSWER, request_id="a" * 32)], [KeptImage("a" * 32, 0, b"", days=0)]
        )
    time.sleep(0.002)
    one = recorder()
    one.start()
    one.close()
    assert rows(answers) and not rows(kept_images)


def test_images_that_cannot_wait_are_dropped_and_counted(registry, monkeypatch):
    monkeypatch.setattr(recording, "MOST_BYTES", 10)
    one = recorder()
    one.answered("a" * 32, 0, Model, RESULT)
    for number in range(3):
        one.keep(KeptImage("a" * 32, number, bytes(6)))
    one.start()
    one.close()
    assert counted(one, "image") == [1, 2] and len(rows(kept_images)) == 1


def test_what_a_stop_loses_is_counted_and_logged(registry, monkeypatch):
    logged = []
    monkeypatch.setattr(recording.logger, "error", lambda _, extra: logged.append(extra))
    one = recorder()  # its thread does not run: a database that does not answer
    one.answered("a" * 32, 0, Model, RESULT)
    for number in range(2):
        one.keep(KeptImage("a" * 32, number, bytes(6)))
    one.close()
    assert counted(one) == [0, 1] and counted(one, "image") == [0, 2]
    assert logged == [{"answers": 1, "images": 2}]


@pytest.mark.parametrize(
    "options", [{"audit_share": 0.1}, {"keep_images": True}, {"feedback": True, "keep_days": 3}]
)
def test_an_option_without_effect_is_refused(options):
    with pytest.raises(UsageError, match="no effect without --"):
        seewhy.serve("fast", **options)
