"""What a server answers is compared with a reference: in windows, beside the answers, and told of once."""

import json
import os
import signal
import stat
import threading
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from servers import encoded, running, until
from serving.test_page import save

import seewhy
from seewhy.errors import DriftError, UsageError
from seewhy.serving import alerts
from seewhy.serving import drift as module
from seewhy.serving.alerts import Alerts
from seewhy.serving.batching import Answer
from seewhy.serving.drift import DriftWatch
from seewhy.serving.metrics import Metrics
from seewhy.serving.models import Models
from seewhy.serving.service import Service
from seewhy.serving.settings import ServeSettings
from seewhy.workflows.drift_reference import write_reference

SIZE = 40  # images of a window


def images(count: int, seed: int, level: int = 128) -> np.ndarray:
    """Noise round a grey level, uint8 (N, 16, 16, 3)."""
    noise = np.random.default_rng(seed).normal(level, 40, (count, 16, 16, 3))
    return noise.clip(0, 255).astype(np.uint8)


class Watched:
    """A drift watch over one bundle, with its alerts in a list."""

    def __init__(self, folder: Any, **settings: Any) -> None:
        self.file = folder / "pets.safetensors"
        save(self.file)
        self.references = folder / "references"
        self.references.mkdir()
        made = {"drift": self.references, "drift_window": SIZE, "runtime": "torch", **settings}
        self.settings = ServeSettings(**made)
        self.metrics = Metrics()
        self.models = Models(
            {"pets": str(self.file)}, self.settings, runners=1, on_batch=lambda *_: None
        )
        self.models.load()
        self.alerts: list[dict[str, Any]] = []
        told = SimpleNamespace(send=self.alerts.append)
        self.watch = DriftWatch(self.settings, self.models, self.metrics.drift, told)

    def close(self) -> None:
        self.watch.close()
        self.models.close()

    def keep_reference(self, name: str = "pets.drift", file: Any = None) -> None:
        """Writes the reference of the model in a file."""
        with seewhy.load(file or self.file, device="cpu") as classifier:
            known = classifier.predict(images(300, 0))
            embeddings = classifier.predictor.outputs(images(300, 0), True)[1]
            known = seewhy.Predictions(
                known.logits,
                known.predicted,
                known.classes,
                known.ids,
                embeddings,
                temperature=known.temperature,
            )
            write_reference(known, classifier.digest, self.references / name)

    def answer(self, shown: np.ndarray, model: Any = None) -> None:
        model = model or self.models.get("pets")
        logits, embeddings = model.classifier.predictor.outputs(shown, True)
        for number, row in enumerate(zip(logits, embeddings, strict=True)):
            answered = Answer(np.zeros(3), "ant", *row)
            self.watch.add(model, answered, f"request/{number}")

    @property
    def state(self) -> Any:
        (state,) = self.watch.states()
        return state

    def tested(self, shown: np.ndarray) -> Any:
        """The state after a window of these images."""
        before = self.state.windows
        until(lambda: not self.watch._watches["pets"].busy)
        self.answer(shown)
        until(lambda: self.state.windows > before)
        until(lambda: not self.watch._watches["pets"].busy)
        return self.state


@pytest.fixture
def watched(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SHARE", float("inf"))
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.0)
    with closing(Watched(tmp_path)) as one:
        yield one


def test_windows_are_compared_and_a_change_is_told_once(watched):
    watched.keep_reference()
    same = watched.tested(images(SIZE, 1))
    assert (same.state, same.windows, same.alarms) == ("same", 1, 0) and not watched.alerts
    dark = watched.tested(images(SIZE, 2, level=20))
    assert (dark.state, dark.alarms) == ("drifted", 1)
    assert dark.new[0].name.startswith("request/") and dark.new[0].image is None
    assert len(dark.drift.new) > SIZE / 2 and "keeps none" in dark.detail
    watched.tested(images(SIZE, 3, level=20))
    (alert,) = watched.alerts
    assert (alert["from"], alert["to"], alert["model"]) == ("same", "drifted", "pets")
    assert alert["p"] < 0.01 and alert["digest"] == watched.models.get("pets").digest
    assert watched.tested(images(SIZE, 4)).state == "same"
    assert [one["to"] for one in watched.alerts] == ["drifted", "same"]
    assert [one.drifted for one in watched.state.history] == [False, True, True, False]
    service = SimpleNamespace(
        drift=watched.watch,
        room=SimpleNamespace(taken=0),
        memory=SimpleNamespace(taken=0),
        decoders=SimpleNamespace(replaced=0),
        recorder=None,
        ready=True,
    )
    text = watched.metrics.text(service).decode()
    assert 'seewhy_drift_windows_total{model="pets",result="differs"} 2.0' in text
    assert 'seewhy_drifted{model="pets"} 0.0' in text
    assert 'seewhy_drift_reference{model="pets"} 1.0' in text


def test_tests_take_a_small_share_of_the_time(watched, monkeypatch):
    monkeypatch.setattr(module, "SHARE", 1e-4)
    watched.keep_reference()
    watched.tested(images(SIZE, 1))
    watched.answer(images(SIZE, 2))
    assert watched.state.collected == 0 and watched.state.windows == 1


def test_a_reference_that_is_made_later_is_found(watched):
    until(lambda: watched.state.state == "no_reference")
    assert "--save" in watched.state.detail
    until(lambda: watched.alerts)
    assert [one["to"] for one in watched.alerts] == ["no_reference"]
    (watched.references / "broken.drift").write_bytes(b"no reference")
    watched.keep_reference()
    until(lambda: watched.answer(images(1, 1)) or watched.state.state == "collecting")
    assert watched.tested(images(SIZE, 1)).state == "same"
    assert [one["to"] for one in watched.alerts] == ["no_reference", "same"]


def test_another_model_is_never_compared_with_the_reference_of_the_one_before(watched):
    watched.keep_reference()
    assert watched.tested(images(SIZE, 1)).state == "same"
    old = watched.models.get("pets")
    watched.file.unlink()
    save(watched.file, seed=3)
    assert watched.models.reload() == {"pets": "replaced"}
    watched.answer(images(SIZE, 1), old)  # requests of the time before
    until(lambda: watched.state.state == "no_reference")
    state = watched.state
    assert state.digest == watched.models.get("pets").digest != old.digest
    assert (state.windows, state.drift, state.collected) == (0, None, 0)
    watched.keep_reference("new.drift")
    until(lambda: watched.answer(images(1, 1)) or watched.state.state == "collecting")
    assert watched.tested(images(SIZE, 1)).state == "same"


def test_a_window_of_three_images_and_a_place_that_is_not_there_are_refused(tmp_path):
    names = {"pets": save(tmp_path / "pets.safetensors")}
    with pytest.raises(DriftError, match="3 images says nothing: expected 10") as raised:
        Service(names, ServeSettings(drift=tmp_path, drift_window=3))
    assert raised.value.code == "too_few_images"
    with pytest.raises(UsageError, match="no such file or folder"):
        Service(names, ServeSettings(drift=tmp_path / "none.drift"))
    with pytest.raises(UsageError, match="add --drift"):
        Service(names, ServeSettings(alert_command="true"))
    with pytest.raises(UsageError, match="no program missing-program"):
        Service(names, ServeSettings(drift=tmp_path, alert_command="missing-program x"))


class Hook(BaseHTTPRequestHandler):
    """Keeps what it is sent; at /moved it points elsewhere."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        moved = self.path.startswith("/moved")
        self.server.received.append((self.path, body))
        self.send_response(307 if moved else 200)
        self.send_header("location", "/elsewhere")
        self.send_header("content-length", "0")
        self.end_headers()

    do_GET = do_POST

    def log_message(self, *arguments: Any) -> None:
        pass


@contextmanager
def hook():
    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        server.received = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def program(folder: Any, text: str) -> str:
    path = folder / "program"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def sent(metrics: Metrics, result: str) -> float:
    return metrics.drift.alerts.labels(result)._value.get()


def test_an_alert_goes_to_the_address_and_to_the_program_without_a_shell(tmp_path):
    kept = tmp_path / "kept"
    command = f"{program(tmp_path, f'echo $# $1 > {kept}; cat >> {kept}')} '$(reboot)'"
    metrics = Metrics()
    with hook() as (server, url):
        settings = ServeSettings(drift=tmp_path, alert_command=command, alert_url=f"{url}/hook?t=1")
        Alerts(settings, metrics.drift).send({"event": "drift", "p": float("nan")})
        until(lambda: sent(metrics, "sent") == 2)
    message = {"event": "drift", "p": None}
    assert [(path, json.loads(body)) for path, body in server.received] == [("/hook?t=1", message)]
    first, second = kept.read_text().splitlines()
    assert first == "1 $(reboot)" and json.loads(second) == message


def test_an_alert_does_not_wait_for_what_its_program_leaves_behind(tmp_path):
    metrics = Metrics()
    left = tmp_path / "left"
    command = program(tmp_path, f"sleep 90 & echo $! > {left}")
    settings = ServeSettings(drift=tmp_path, alert_command=command)
    Alerts(settings, metrics.drift).send({"event": "drift"})
    try:
        until(lambda: sent(metrics, "sent") == 1, 25)  # before the time of a command ends
    finally:
        os.kill(int(left.read_text()), signal.SIGKILL)


def test_an_alert_that_fails_is_logged_and_counted(tmp_path, monkeypatch):
    metrics, reasons = Metrics(), set()
    monkeypatch.setattr(alerts.logger, "error", lambda _, extra: reasons.add(extra["reason"]))
    command = program(tmp_path, "echo no such room >&2; exit 3")
    with hook() as (server, url):
        moved = f"{url}/moved?secret=abc"
        settings = ServeSettings(drift=tmp_path, alert_command=command, alert_url=moved)
        Alerts(settings, metrics.drift).send({"event": "drift"})
        until(lambda: sent(metrics, "failed") == 2)
        assert [path for path, _ in server.received] == ["/moved?secret=abc"]
    unchecked = ServeSettings.model_construct(alert_command=None, alert_url="http://[::1")
    Alerts(unchecked, metrics.drift).send({"event": "drift"})
    until(lambda: sent(metrics, "failed") == 3)
    assert reasons == {"the command ended with 3: no such room", "HTTPError 307", "ValueError"}


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        *(("https://a.example/x?t=1", True), ("https://10.0.0.7", True)),
        *(("http://127.0.0.2:80/x", True), ("http://[::1]/", True), ("http://localhost/", True)),
        *(("http://a.example/x", False), ("http://10.0.0.7/", False), ("ftp://a.example", False)),
        *(("https://", False), ("https:///x", False), ("http://[::1/x", False)),
        *(("https://a.example:port/", False), ("https://a b/", False), ("https://a\n/", False)),
        *(("https://☃.example/", False), ("http://127.0.0.1.example/", False)),
    ],
)
def test_an_alert_goes_where_nobody_reads_it_on_the_way(url, sent):
    if sent:
        assert ServeSettings(alert_url=url).alert_url == url
    else:
        with pytest.raises(ValidationError, match="expected https://HOST"):
            ServeSettings(alert_url=url)


@contextmanager
def running_with(patch: Any, home: Any, model: Any, flags: Any):
    """A server that keeps images in a registry of its own."""
    patch.setenv("SEEWHY_REGISTRY", str(home / "registry.db"))
    with running(home, f"small={model}", **flags, feedback=True, **{"keep-images": True}) as server:
        yield server


@pytest.fixture(scope="module")
def site(tmp_path_factory, exported):
    """A server of a real model whose window is full of black images, and the alerts that it sent."""
    home = tmp_path_factory.mktemp("drift")
    data = home / "photos"
    for name in ("ant", "bee"):
        (data / name).mkdir(parents=True)
        for number, one in enumerate(images(110, ord(name[0]))):
            (data / name / f"{number}.png").write_bytes(encoded(one))
    kept = home / "small.drift"
    seewhy.drift_reference(exported, data, kept, device="cpu")
    told = home / "told"
    flags = {"drift": kept, "drift-window": 20, "alert-command": program(home, f"cat > {told}")}
    with (
        pytest.MonkeyPatch.context() as patch,
        running_with(patch, home, exported, flags) as server,
    ):
        black = encoded(np.zeros((16, 16, 3), np.uint8))
        until(lambda: states(server)[0]["detail"])  # the reference is read
        for _ in range(2):
            assert server.predict(*[black] * 10).status_code == 200
        until(lambda: states(server)[0]["windows"] == 1)
        until(told.exists)
        until(lambda: told.read_text())
        yield server, json.loads(told.read_text())


def states(server: Any) -> list[dict[str, Any]]:
    answer = server.client.get(f"{server.admin}/drift.json", headers=server.operator)
    assert answer.status_code == 200 and answer.json()["watched"]
    return answer.json()["models"]


def test_a_server_tells_of_drift(site):
    server, alert = site
    (state,) = states(server)
    assert (state["state"], state["name"], state["alarms"]) == ("drifted", "small", 1)
    assert state["drift"]["drifted"] and state["drift"]["reference"] == 220
    request_id, number = state["new"][0]["name"].split("/")
    assert len(request_id) == 32 and 0 <= int(number) < 10
    assert (alert["to"], alert["digest"]) == ("drifted", state["digest"])
    assert server.client.get(f"{server.admin}/drift.json").status_code == 401
    image = f"{server.admin}/drift/image/{state['new'][0]['name']}"
    until(lambda: server.client.get(image, headers=server.operator).status_code == 200)
    assert server.client.get(image).status_code == 401
    assert server.client.get("/drift.json").status_code == 404
    assert 'seewhy_drifted{model="small"} 1.0' in server.metrics()


def test_the_page_asks_for_the_token_and_shows_the_drift(site, browser):
    server, _ = site
    context = browser.new_context(viewport={"width": 380, "height": 800}, color_scheme="dark")
    page = context.new_page()
    said, asked = [], []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on(
        "console", lambda message: said.append(message.text) if "401" not in message.text else None
    )
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{server.admin}/drift")
    page.fill("#key", "not the token of the server")
    page.click("text=Use this token")
    page.wait_for_function("document.getElementById('key-fault').textContent")
    page.fill("#key", server.operator["Authorization"].removeprefix("Bearer "))
    page.click("text=Use this token")
    page.wait_for_selector(".new img.pixels")
    text = page.inner_text("#drift")
    assert "The new images differ" in text and "1 window since the start, 1 differed" in text
    shown = page.locator(".new img").evaluate_all("all => all.map((one) => one.naturalWidth)")
    assert shown == [16] * len(states(server)[0]["new"])
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 20, 18)"
    assert said == [] and {url.removeprefix("blob:").startswith(server.admin) for url in asked} == {
        True
    }
    context.close()


def test_a_server_without_a_reference_says_how_to_make_one(server, browser):
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{server.admin}/drift")
    page.fill("#key", server.operator["Authorization"].removeprefix("Bearer "))
    page.click("text=Use this token")
    page.wait_for_selector("#status:has-text('Start it with --drift')")
    context.close()
