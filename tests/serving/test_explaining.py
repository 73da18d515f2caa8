"""`POST /explain`: what the process computes, and how it is bounded, killed and replaced."""

import asyncio
import base64
import io
import json
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import seewhy
from seewhy.attribution.faithfulness import faithfulness
from seewhy.attribution.methods import METHODS
from seewhy.config.names import PERTURBATION_METHODS
from seewhy.errors import ModelFileError, UsageError
from seewhy.inference.forward import to_input
from seewhy.serving import explainer, explaining
from seewhy.serving.errors import Refusal
from seewhy.serving.explainer import Models, Subject, explanation
from seewhy.serving.explaining import Explainer, Question
from seewhy.serving.models import Served
from seewhy.serving.opening import open_model
from seewhy.serving.settings import ServeSettings


@pytest.fixture(scope="module")
def subject(trained):
    with seewhy.load(trained) as classifier:
        yield Subject.of(classifier)


@pytest.fixture(scope="module")
def image(photos, subject):
    return subject.classifier.preprocess(photos / "bee" / "000.png").copy()


def decoded(text):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))


def test_an_explanation_has_the_numbers_of_the_attribution_code(subject, image):
    found, tested = explanation(subject, image, None, None, 60)
    x = to_input(image[None], "cpu")
    target = torch.tensor([subject.classifier.classes.index(found["label"])])
    expected = faithfulness(subject.network, x, target, METHODS["grad_cam"])
    assert np.allclose(found["values"], expected.maps[0], rtol=1e-3)
    assert tested["faithfulness"]["deletion"] == expected.of(0)["deletion"]
    assert tested["faithfulness"]["passed"] == expected.reliable[0]
    predictions = subject.classifier.predict(image)
    assert found["confidence"] == pytest.approx(predictions.confidence()[0], abs=1e-6)
    assert found["target"] == found["label"] == found["answer"]
    assert np.array_equal(decoded(found["image"]), image) and found["size"] == len(image) == 16
    drawn = decoded(found["map"])
    strongest = np.abs(expected.maps[0]).argmax()
    assert drawn.shape == (16, 16, 4) and drawn[..., 3].reshape(-1)[strongest] == 255
    json.dumps([found, tested], allow_nan=False)


def test_any_class_can_be_explained_and_nothing_else(subject, image):
    found, _ = explanation(subject, image, "integrated-gradients", "ant", 60)
    assert found["target"] == "ant"
    with pytest.raises(UsageError, match="target"):
        next(explanation(subject, image, "saliency", "wolf", 60))
    with pytest.raises(UsageError, match="expected one of") as raised:
        next(explanation(subject, image, "__import__", None, 60))
    assert "__import__" not in str(raised.value)  # what was sent is not repeated


def test_a_model_without_a_network_is_explained_by_its_pixels(trained, image):
    with seewhy.load([trained, trained]) as ensemble:
        subject = Subject.of(ensemble)
        assert subject.methods == PERTURBATION_METHODS
        found, tested = explanation(subject, image, "occlusion", None, 60)
        assert np.isfinite(found["values"]).all() and tested["faithfulness"]["randomised"] is None


def test_methods_that_a_network_does_not_take_are_not_offered(subject, monkeypatch):
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 16 * 16, 3))
    monkeypatch.setattr(explainer, "explainable", lambda _: (network, tuple(METHODS)))
    assert set(METHODS) - set(Subject.of(subject.classifier).methods) == {
        *("cam", "grad_cam", "grad_cam_plus_plus", "guided_grad_cam")
    }


def test_what_takes_too_long_is_ended(subject, image):
    with pytest.raises(TimeoutError):
        next(explanation(subject, image, "occlusion", None, -1))
    parts = explanation(subject, image, "saliency", None, 0.5)
    assert next(parts)["method"] == "saliency"
    time.sleep(0.5)
    assert next(parts) == {"faithfulness": None}
    assert not subject.network._forward_pre_hooks


def test_a_model_file_that_is_not_the_served_one_is_refused(trained):
    models = Models()
    digest = seewhy.info(trained).header.digest
    files = [str(trained)]
    assert models.get("a", files, digest) is models.get("a", files, digest)
    with pytest.raises(ModelFileError, match="reload"):
        models.get("a", files, "0" * 64)


PROCESS = """#!{python}
import json, socket, sys, time
connection = socket.socket(fileno=0)
requests = connection.makefile("rb")
def send(message):
    text = json.dumps(message).encode()
    connection.sendall(len(text).to_bytes(4, "big") + text)
while head := requests.read(4):
    asked = json.loads(requests.read(int.from_bytes(head, "big")))
    requests.read(asked["size"] ** 2 * 3)
    send({{"loaded": True}})
    if asked["method"] == "die":
        sys.exit()
    if asked["method"] == "wrong":
        send({{"error": "bad_request", "message": "no"}})
        continue
    time.sleep(30 if asked["method"] == "hang" else 0.1)
    send({{"map": "m", "of": asked["target"]}})
    time.sleep(30 if asked["method"] == "untested" else 0)
    send({{"faithfulness": {{"passed": True}}}})
"""


@pytest.fixture
def processes(tmp_path, monkeypatch):
    """Those that were started of a stand-in, which starts at once and does what the method says."""
    script = tmp_path / "process"
    script.write_text(PROCESS.format(python=sys.executable))
    script.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(script))
    monkeypatch.setattr(explaining, "GRACE", 0.1)
    started, start = [], asyncio.create_subprocess_exec

    async def noted(*command, **options):
        started.append(await start(*command, **options))
        return started[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
    return started


def asked(method="fine", target=None, seconds=10.0):
    image = np.zeros((2, 2, 3), np.uint8)
    return Question("model", ("file",), "0" * 64, image, method, target, seconds)


async def ended(explainer, processes):
    """Closes it, and waits for the end of its processes, which this event loop has to see."""
    explainer.close()
    await asyncio.gather(*(process.wait() for process in processes))


def refusal(found):
    assert isinstance(found, Refusal), found
    return found.status


def test_the_process_is_killed_and_replaced(processes):
    async def ask():
        explainer = Explainer()
        try:
            assert (await explainer.explain(asked("fine", "a")))["of"] == "a"
            for method, status in (("hang", 503), ("die", 503), ("wrong", 422)):
                with pytest.raises(Refusal) as raised:
                    await explainer.explain(asked(method, seconds=0.2))
                assert raised.value.status == status
                assert (await explainer.explain(asked("fine", method)))["of"] == method
            untested = await explainer.explain(asked("untested", seconds=0.3))
            assert untested == {"map": "m", "of": None, "faithfulness": None}
            waiting = asyncio.create_task(explainer.explain(asked("hang")))
            await asyncio.sleep(0.3)
            waiting.cancel()  # the client has left
            assert (await explainer.explain(asked("fine", "next")))["of"] == "next"
        finally:
            await ended(explainer, processes)

    asyncio.run(ask())


def test_more_than_the_queue_holds_are_told_to_come_later(processes):
    async def ask():
        explainer = Explainer(queue=2)
        questions = [asked(target=str(number)) for number in range(6)]
        found = await asyncio.gather(*map(explainer.explain, questions), return_exceptions=True)
        hanging = asyncio.create_task(explainer.explain(asked("hang", seconds=0.5)))
        await asyncio.sleep(0.05)
        late = await asyncio.gather(explainer.explain(asked(seconds=0.2)), return_exceptions=True)
        await asyncio.gather(hanging, return_exceptions=True)
        await ended(explainer, processes)
        return found, late

    found, late = asyncio.run(ask())
    answered = [each["of"] for each in found if isinstance(each, dict)]
    refused = [each for each in found if isinstance(each, Refusal)]
    assert len(answered) >= 2 and len(answered) + len(refused) == 6
    assert {refusal(each) for each in [*refused, *late]} == {429}
    assert all(each.retry_after for each in refused)


@pytest.mark.long
def test_the_process_itself_explains_ends_in_time_and_goes_on(trained, subject, image):
    async def ask():
        explainer = Explainer()
        await explainer.warm()
        question = Question("a", (str(trained),), subject.classifier.digest, image, None, None)
        try:
            found = await explainer.explain(question)
            child = explainer._child
            with pytest.raises(Refusal) as raised:
                await explainer.explain(replace(question, method="shap", seconds=0.001))
            assert raised.value.code == "timeout"
            again = await explainer.explain(question)
            assert explainer._child is child  # it was not killed
            with pytest.raises(Refusal) as raised:
                await explainer.explain(replace(question, digest="0" * 64))
            assert raised.value.status == 503 and str(trained) not in raised.value.message
        finally:
            await ended(explainer, [child[0]])
        return found, again

    found, again = asyncio.run(ask())
    here = explanation(subject, image, None, None, 60)
    assert found == again == json.loads(json.dumps({**next(here), **next(here)}))


def test_a_server_without_pytorch_offers_no_explanations(exported, image, monkeypatch):
    monkeypatch.setattr(explaining, "find_spec", {"torch": None}.get)
    assert not explaining.explains()
    with pytest.raises(Refusal) as refused:
        asyncio.run(Explainer().explain(asked()))
    assert (refused.value.status, refused.value.code) == (422, "invalid_parameter")
    one = Served("small", open_model(str(exported), ServeSettings()), None)
    assert one.listed()["methods"] == []
