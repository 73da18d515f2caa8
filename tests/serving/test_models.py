"""What is served follows its alias, whatever happens at the same moment."""

import asyncio

import httpx
import numpy as np
import pytest

import seewhy
from seewhy.errors import ModelFileError, RegistryError
from seewhy.serving import explainer
from seewhy.serving import models as served
from seewhy.serving.app import create_app
from seewhy.serving.decoding import Decoded
from seewhy.serving.models import Models
from seewhy.serving.service import Service
from seewhy.serving.settings import ServeSettings


@pytest.fixture
def digests(trained, tmp_path, monkeypatch):
    """The digests of two versions of `photos`, of which the first is the champion."""
    monkeypatch.setenv("SEEWHY_REGISTRY", str(tmp_path / "registry.db"))
    found = [seewhy.register(model, "photos").digest for model in (trained, "simple-cnn")]
    promote(1)
    return found


@pytest.fixture
def models(digests):
    settings = ServeSettings(runtime="torch")
    names = {"photos": "registry:photos@champion"}
    made = Models(names, settings, runners=1, on_batch=lambda name, count: None)
    yield made
    made.close()


def promote(version, alias="champion"):
    with seewhy.open_registry() as registry:
        registry.promote("photos", version, alias)


def meanwhile(monkeypatch, act):
    """Has `act` happen while the next model is opened; returns what was opened since."""
    opened, acts = [], [act]

    def open_model(source, *rest):
        opened.append(source)
        model = real(source, *rest)
        if acts:
            acts.pop()()
        return model

    real = served.open_model
    monkeypatch.setattr(served, "open_model", open_model)
    return opened


def refuse(error):
    def act():
        raise error

    return act


def test_an_alias_that_is_moved_while_its_model_is_loaded_is_noticed(models, digests, monkeypatch):
    meanwhile(monkeypatch, lambda: promote(2))
    models.load()
    assert models.digests == {"photos": digests[0]}
    models.reload_changed()
    assert models.digests == {"photos": digests[1]}


def test_a_label_may_be_a_class_of_either_model(trained, digests):
    settings = ServeSettings(runtime="torch", challenger="registry:photos@2", split=0.5)
    service = Service({"photos": "registry:photos@1"}, settings)
    service.models.load()
    names = ("photos", "photos@challenger")
    champion, challenger = (service.models.get(name).classifier.classes for name in names)
    assert service.classes() == {names[0]: (*champion, *challenger), names[1]: challenger}
    service.models.close()


def test_what_is_explained_is_the_file_that_answers(models, digests, monkeypatch):
    """Also where its alias has moved; the process that explains is told of no registry."""
    models.load()
    one = models.get("photos")
    promote(2)
    monkeypatch.delenv("SEEWHY_REGISTRY")
    subject = explainer.Models().get(one.name, list(map(str, one.opened.files)), one.digest)
    assert subject.classifier.digest == digests[0]


def test_an_image_that_is_to_be_explained_takes_room_as_every_other(digests):
    """Else the decoders, which predictions wait for, had as many to decode as there are connections."""
    service = Service(
        {"photos": "registry:photos@champion"}, ServeSettings(runtime="torch", queue=1)
    )
    service.models.load()

    async def ask():
        transport = httpx.ASGITransport(create_app(service, None))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            with service.room.for_images(1):
                return await client.post("/explain", files={"file": b"image"})

    answer = asyncio.run(asyncio.wait_for(ask(), 20))
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "busy")
    assert service.room.taken == 0
    service.models.close()


def test_what_has_not_changed_is_not_opened_again(models, monkeypatch):
    models.load()
    opened = meanwhile(monkeypatch, lambda: None)
    models.reload_changed()
    assert opened == []


def test_a_move_is_seen_though_the_registry_goes_away_in_the_midst(models, digests, monkeypatch):
    models.load()
    promote(2)
    meanwhile(monkeypatch, refuse(RegistryError("unreachable", "it is away")))
    models.reload_changed()
    assert models.digests == {"photos": digests[0]}
    models.reload_changed()
    assert models.digests == {"photos": digests[1]}


@pytest.mark.parametrize("error", [ModelFileError("it is damaged", "m"), MemoryError()])
def test_a_model_that_cannot_be_used_is_tried_once(models, digests, monkeypatch, error):
    models.load()
    promote(2)
    opened = meanwhile(monkeypatch, refuse(error))
    for _ in range(3):
        models.reload_changed()
    assert len(opened) == 1 and models.digests == {"photos": digests[0]}


def asked_before_and_after(service, monkeypatch, act, path="/predict"):
    """The answers to a request of three images, while whose decoding `act` happens, and to one more."""
    decoded = asyncio.Event()

    async def decode(upload, model):
        await decoded.wait()
        return Decoded(np.zeros((model.classifier.rule.store,) * 2 + (3,), np.uint8), False)

    async def ask():
        transport = httpx.ASGITransport(create_app(service, None))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            files = [("file", (f"{n}.png", b"image")) for n in range(3)]
            begun = asyncio.create_task(client.post(path, files=files))
            while not service.room.taken:
                await asyncio.sleep(0)
            act()
            assert "replaced" in (await asyncio.to_thread(service.models.reload)).values()
            decoded.set()
            return [(await begun).json(), (await client.post(path, files=files)).json()]

    monkeypatch.setattr(service, "decode", decode)
    return asyncio.run(ask())


def test_what_is_recorded_of_a_unit_is_the_challenger_that_it_was_shown(digests, monkeypatch):
    challenged = ServeSettings(
        runtime="torch", challenger="registry:photos@challenger", split=1 - 1e-9
    )
    promote(2, "challenger")
    service, recorded = Service({"photos": "registry:photos@champion"}, challenged), []
    monkeypatch.setattr(service.recorder, "answered", lambda *about: recorded.append(about))
    service.models.load()
    asked_before_and_after(
        service, monkeypatch, lambda: promote(1, "challenger"), "/predict?unit=ada"
    )
    shown = [model.digest for _, _, model, _, _ in recorded]
    assert (
        shown == [asker.challenger for *_, asker in recorded] == [digests[1]] * 3 + [digests[0]] * 3
    )
    service.models.close()


def test_a_request_of_several_images_is_answered_by_one_model(digests, monkeypatch):
    """Also where another one is promoted while it is decoded."""
    service = Service({"photos": "registry:photos@champion"}, ServeSettings(runtime="torch"))
    service.models.load()
    classes = [set(service.models.get("photos").classifier.classes)]
    answers = asked_before_and_after(service, monkeypatch, lambda: promote(2))
    classes.append(set(service.models.get("photos").classifier.classes))
    assert [answer["model"]["digest"] for answer in answers] == digests
    for answer, names in zip(answers, classes, strict=True):
        assert {one["label"] for one in answer["results"]} <= names and len(answer["results"]) == 3
    service.models.close()
