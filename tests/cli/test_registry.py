"""`seewhy registry`, and models by `registry:NAME@ALIAS`."""

import json
import shlex
import shutil
import time

import pytest
from helpers import call
from servers import image, running

import seewhy
from seewhy.errors import ModelFileError


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Where the registry is, which is the default one."""
    path = tmp_path / "registry.db"
    monkeypatch.setenv("SEEWHY_REGISTRY", str(path))
    return path


def test_a_model_is_added_promoted_used_and_rolled_back(place, trained, photos):
    added = call("registry", "add", trained, "photos", "--why", "the first").out
    assert added.startswith("photos@1") and "seewhy registry promote photos 1" in added
    call("registry", "add", "fast", "photos")
    assert "version 1" in call("registry", "promote", "photos", 1).out
    image = next(photos.rglob("*.png"))
    expected = call("predict", trained, image).out
    for name in ("registry:photos", "registry:photos@champion", "registry:photos@1"):
        assert call("predict", name, image).out == expected
    assert "before: 1" in call("registry", "promote", "photos", 2, "--why", "better").out
    assert json.loads(call("info", "registry:photos", "--json").out)["classes"][0] == "airplane"
    assert "version 1" in call("registry", "rollback", "photos").out
    listed = json.loads(call("registry", "list", "--json").out)["versions"]
    assert [(one["version"], one["aliases"]) for one in listed] == [(2, []), (1, ["champion"])]
    assert listed[1]["digest"] == json.loads(call("info", trained, "--json").out)["digest"]
    events = json.loads(call("registry", "history", "photos", "--json").out)["events"]
    assert [one["kind"] for one in events] == ["add", "add", "promote", "promote", "rollback"]
    assert [events[0]["why"], events[3]["why"]] == ["the first", "better"]
    for verb in ("list", "history", "show"):
        shown = call("registry", verb, *(["photos"] if verb != "list" else [])).out
        assert "champion" in shown and "\x1b" not in shown


def test_the_next_command_is_of_the_registry_that_was_named(place, trained, tmp_path):
    other = tmp_path / "an other.db"
    added = call("registry", "add", trained, "photos", "--registry", other).out
    promote = shlex.split(added.split("next: seewhy ")[1])
    assert promote[-2:] == ["--registry", str(other)]
    call(*promote)
    assert not place.exists()
    assert "champion" in call("registry", "list", "--registry", other).out


def test_what_a_version_states_is_shown_without_its_file(place, trained):
    version = seewhy.register(trained, "photos")
    shown = call("registry", "show", "photos@1").out
    accuracy = json.loads((trained / "metrics.json").read_text())["val"]["accuracy"]
    assert "({low:.1%} to {high:.1%})".format(**accuracy) in shown
    assert version.facts["recipe"] == "regularized-cnn" and "ant" in shown


def test_accuracies_on_validation_and_on_test_have_columns_of_their_own(
    place, trained, photos, tmp_path
):
    seewhy.register(trained, "photos")
    assert "test accuracy" not in call("registry", "list").out
    evaluated = shutil.copytree(trained, tmp_path / "run")
    seewhy.evaluate(evaluated, photos, "test")
    seewhy.register(evaluated, "evaluated")
    lines = call("registry", "list").out.splitlines()
    assert "validation accuracy" in lines[0] and "test accuracy" in lines[0]
    assert [line.count(" to ") for line in lines] == [0, 2, 1]


def test_gc_says_what_it_removed(place, trained):
    for model in (trained, "fast"):
        call("registry", "add", model, "photos")
    call("registry", "promote", "photos", 2)
    assert "photos@1" in call("registry", "gc", "--keep", 1).out
    assert "nothing" in call("registry", "gc", "--keep", 1).out
    assert "removed by gc" in call("predict", "registry:photos@1", "x.png", code=2).err


def test_a_damaged_model_is_not_added(place, trained, tmp_path):
    file = tmp_path / "m.safetensors"
    data = bytearray((trained / "model.safetensors").read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(ModelFileError):
        seewhy.register(file, "photos")
    assert not place.exists()


def test_a_lost_move_says_who_was_first(place, trained):
    call("registry", "add", trained, "photos")
    call("registry", "add", "fast", "photos")
    call("registry", "promote", "photos", 1)
    error = call("registry", "promote", "photos", 2, "--expect", 2, code=2).err
    assert "points at version 1, not at version 2" in error and "moved it at" in error


@pytest.mark.parametrize("content", [None, "folder", b"\xff\xfe\x00", b"[1]", b"{", b"[" * 10**5])
def test_what_is_no_evidence_is_refused(place, trained, tmp_path, content):
    call("registry", "add", trained, "photos")
    file = tmp_path / "evidence.json"
    if content == "folder":
        file.mkdir()
    elif content is not None:
        file.write_bytes(content)
    told = call("registry", "promote", "photos", 1, "--evidence", file, code=2).err
    assert f"--evidence {file}: expected a file with one JSON object" in told
    assert "champion" not in call("registry", "history", "photos").out


@pytest.mark.parametrize("number", [2**31, 2**63, 10**40])
def test_a_number_that_no_database_holds_is_an_unknown_version(place, trained, number):
    call("registry", "add", trained, "photos")
    for verb in (("show", f"photos@{number}"), ("promote", "photos", number)):
        told = call("registry", *verb, code=2).err
        assert f"photos has no version {number}: it has 1 version" in told


def test_a_registry_is_made_beside_the_cache(trained, tmp_path, monkeypatch):
    monkeypatch.delenv("SEEWHY_REGISTRY", raising=False)
    monkeypatch.setenv("SEEWHY_CACHE", str(tmp_path / "cache"))
    assert "no registry" in call("registry", "list", code=2).err
    call("registry", "add", trained, "photos")
    assert (tmp_path / "cache-registry" / "registry.db").is_file()
    shutil.rmtree(tmp_path / "cache")
    assert "photos@1" in call("registry", "list").out


def test_a_password_on_the_command_line_is_refused():
    place = "postgresql://me:secret@db.example/models"
    error = call("registry", "list", "--registry", place, code=2).err
    assert "secret" not in error and "SEEWHY_REGISTRY" in error


def test_a_server_answers_by_what_is_promoted_and_outlives_its_registry(
    place, exported, enlarging, tmp_path
):
    """Within 5 seconds, without a failed request; then the database goes away, and comes back."""
    digests = [seewhy.register(model, "photos").digest for model in (exported, enlarging)]
    call("registry", "promote", "photos", 1)

    def answers_by(server, digest, seconds):
        deadline = time.monotonic() + seconds
        while True:
            reply = server.client.post("/predict", files={"file": image()})
            assert reply.status_code == 200
            if reply.json()["model"]["digest"] == digest:
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)

    watched = {"serving.server.WATCH_SECONDS": 0.2}
    with running(tmp_path, "registry:photos@champion", changed=watched) as server:
        assert answers_by(server, digests[0], 0)
        assert server.client.get("/models").json()["models"][0]["name"] == "photos"
        call("registry", "promote", "photos", 2)
        assert answers_by(server, digests[1], 30)
        call("registry", "rollback", "photos")
        assert answers_by(server, digests[0], 30)
        away = place.rename(tmp_path / "away.db")
        for _ in range(5):
            assert answers_by(server, digests[0], 0)
            time.sleep(0.2)
        away.rename(place)
        call("registry", "promote", "photos", 2)
        assert answers_by(server, digests[1], 30)
