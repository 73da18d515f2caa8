"""Answers of servers, their labels and images, the same on SQLite and on Postgres."""

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from answers import ANSWER
from sqlalchemy import create_engine, select, text

from seewhy.errors import RegistryError
from seewhy.registry.feedback import Feedback
from seewhy.registry.records import KeptImage, ShadowAnswer
from seewhy.registry.registry import Registry
from seewhy.registry.schema import SCHEMA, about, answers, kept_images, labels

RECORDER = Path(__file__).with_name("recorder.py")


def rows(feedback, table):
    with feedback.database.reading() as connection:
        return connection.execute(select(table)).all()


def answer(number, **facts):
    return replace(ANSWER, request_id=f"r{number}", **facts)


def test_an_answer_is_recorded_once_however_often_it_is_tried(feedback):
    feedback.record([ANSWER, replace(ANSWER, image=1)], [KeptImage("a", 1, b"jpeg")])
    feedback.record([ANSWER, answer(1)], [KeptImage("a", 1, b"jpeg")])
    assert [(one.request_id, one.image) for one in rows(feedback, answers)] == [
        *(("a", 0), ("a", 1), ("r1", 0))
    ]
    assert feedback.image("a", 1) == b"jpeg" and feedback.image("a", 0) is None


def test_what_was_answered_is_there_as_it_was(feedback):
    other = {"shadow_digest": "e" * 64, "shadow_label": "bee", "shadow_confidence": 0.7}
    feedback.record([replace(ANSWER, unit="someone", audit=True, **other)])
    (row,) = rows(feedback, answers)
    assert row._mapping == {**vars(ANSWER), "unit": "someone", "audit": True, **other} | {
        "top": '["ant", "bee"]'
    }


def test_what_the_challenger_says_is_added_to_its_answer(feedback):
    feedback.record([ANSWER, answer(1)])
    for request_id in ("a", "a", "forgotten"):
        feedback.record([], [], [ShadowAnswer(request_id, 0, "e" * 64, "bee", 0.7)])
    first, second = sorted(rows(feedback, answers), key=lambda one: one.request_id)
    assert (first.shadow_digest, first.shadow_label, first.shadow_confidence) == (
        "e" * 64,
        "bee",
        0.7,
    )
    assert second.shadow_digest is None


def test_the_last_label_holds(feedback):
    feedback.record([ANSWER])
    said = [feedback.label("a", label) for label in ("bee", "bee", "ant", None, None, "ant")]
    assert said == ["recorded", "unchanged", "replaced", "withdrawn", "unchanged", "recorded"]
    feedback.label("a", "bee", source="review")
    (row,) = rows(feedback, labels)
    assert (row.label, row.source) == ("bee", "review")


@pytest.mark.parametrize(("request_id", "image"), [("b", 0), ("a", 1), ("", 0), ("a' OR '1", 0)])
def test_an_unknown_request_is_said(feedback, request_id, image):
    feedback.record([ANSWER])
    with pytest.raises(RegistryError, match="--feedback") as error:
        feedback.label(request_id, "ant", image=image)
    assert error.value.code == "unknown_request"


def test_many_that_label_one_answer_at_once_leave_one_label(feedback):
    feedback.record([ANSWER])
    with ThreadPoolExecutor(6) as threads:
        said = list(threads.map(lambda _: feedback.label("a", "bee"), range(24)))
    assert sorted(said) == ["recorded", *["unchanged"] * 23]


def test_a_request_is_forgotten(feedback, place):
    feedback.record([ANSWER, answer(1)], [KeptImage("a", 0, b"of a person" * 99)])
    feedback.label("a", "bee")
    assert feedback.forget("a") == 1
    assert not rows(feedback, labels) and not rows(feedback, kept_images)
    assert [one.request_id for one in rows(feedback, answers)] == ["r1"]
    feedback.record([], [KeptImage("a", 0, b"late")])  # it was still being prepared
    assert not rows(feedback, kept_images)
    with pytest.raises(RegistryError):
        feedback.forget("a")
    if "://" not in place:
        feedback.close()
        assert b"of a person" not in Path(place).read_bytes()


def test_images_are_kept_for_some_days_and_bytes_and_the_oldest_go_first(feedback):
    for number in range(5):
        feedback.record([answer(number)], [KeptImage(f"r{number}", 0, bytes(10))])
        time.sleep(0.002)
    assert feedback.expire(days=1, most=50) == 0
    assert feedback.expire(days=1, most=35) == 2
    assert [one.request_id for one in rows(feedback, kept_images)] == ["r2", "r3", "r4"]
    assert feedback.expire(days=0, most=35) == 3
    assert len(rows(feedback, answers)) == 5


def test_an_image_goes_when_its_days_are_over(feedback):
    """Whoever looks then: a server that keeps no images, or one that keeps them for longer."""
    kept = [KeptImage(f"r{number}", 0, b"jpeg", days=number) for number in range(2)]
    feedback.record([answer(0), answer(1)], kept)
    time.sleep(0.002)
    assert feedback.expire() == 1 and feedback.image("r1", 0) == b"jpeg"
    feedback.record([answer(2)], [KeptImage("r2", 0, b"jpeg", days=0)])
    time.sleep(0.002)
    assert feedback.expire(days=30, most=100) == 1


def test_a_registry_of_schema_1_gains_the_tables_and_keeps_what_it_has(place, model_file):
    with Registry(place, make=True) as registry:
        registry.add("photos", model_file(1), digest="d", kind="bundle", facts={})
        before = registry.history("photos")
    engine = create_engine(place if "://" in place else f"sqlite:///{place}")
    with engine.begin() as connection:
        for table in ("labels", "kept_images", "answers"):
            connection.execute(text(f"DROP TABLE {table}"))
        connection.execute(text("UPDATE registry SET schema = 1"))
    code = f"from seewhy.registry.feedback import Feedback; Feedback({place!r})"
    opening = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [one.wait() for one in opening] == [0] * 3
    with Feedback(place) as feedback, Registry(place) as registry:
        feedback.record([ANSWER])
        assert rows(feedback, about) == [(SCHEMA,)]
        assert registry.history("photos") == before
    engine.dispose()


def test_a_registry_of_schema_2_keeps_its_images_for_thirty_days(feedback, place):
    feedback.record([answer(1), answer(2)], [KeptImage(f"r{n}", 0, b"jpeg") for n in (1, 2)])
    with feedback.database.writing() as connection:
        connection.execute(text("DROP INDEX kept_images_by_until"))
        connection.execute(text("ALTER TABLE kept_images DROP COLUMN until"))
        connection.execute(text("UPDATE kept_images SET at = '2026' WHERE request_id = 'r1'"))
        connection.execute(text("UPDATE registry SET schema = 2"))
    with Feedback(place) as again:
        assert again.expire() == 1 and again.image("r2", 0) == b"jpeg"
        assert rows(again, about) == [(SCHEMA,)]


def recorded_with_kills(place, kills, pause):
    """Processes that record answers 0, 1, 2, ... and label each, killed again and again; what they acked."""
    with Feedback(place, make=True):
        pass
    acked = 0
    for _ in range(kills):
        command = [sys.executable, str(RECORDER), place]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as recorder:
            assert recorder.stdout.readline() == "begun\n"
            time.sleep(pause)
            recorder.kill()
            whole = recorder.stdout.read().rpartition("\n")[0]
        assert recorder.returncode == -signal.SIGKILL
        acked = max([acked, *map(int, whole.split())])
    with Feedback(place) as feedback:
        return acked, rows(feedback, answers), rows(feedback, labels)


def require_once(acked, recorded, labelled):
    """Every answer and label that was acknowledged is there, and at most one more, which was cut off."""
    for number in range(acked + 1):
        assert sum(one.request_id == f"r{number}" for one in recorded) == 2  # two images
    assert len(recorded) in (2 * (acked + 1), 2 * (acked + 2))
    assert len(labelled) - (acked + 1) in (0, 1)
    assert len({one.request_id for one in labelled}) == len(labelled)


def test_rows_are_there_exactly_once_after_kills(place):
    acked, recorded, labelled = recorded_with_kills(place, 3, 0.15)
    assert acked > 3
    require_once(acked, recorded, labelled)


@pytest.mark.long
def test_rows_are_there_exactly_once_after_forty_kills(place):
    acked, recorded, labelled = recorded_with_kills(place, 40, 0.5)
    print(f"{acked + 1:,} acknowledged, {len(recorded):,} answers, {len(labelled):,} labels")
    require_once(acked, recorded, labelled)
