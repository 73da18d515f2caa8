"""The page as a person meets it, in Chromium, over a server that answers."""

import asyncio
import csv
import io
import re
import socket
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
import uvicorn
from page.test_browser import EACH_PART, PAYLOADS
from PIL import Image

import seewhy
from seewhy.config.input_rule import InputRule
from seewhy.config.names import METHODS
from seewhy.evaluation.decision.record import Decision
from seewhy.files import to_json
from seewhy.inference import bundle as bundles
from seewhy.inference.bundle import Bundle
from seewhy.models.registry import build
from seewhy.serving import app
from seewhy.serving.explainer import Models, explanation
from seewhy.serving.service import Service
from seewhy.serving.settings import ServeSettings
from seewhy.text import escape_cell, visible

CLASSES = ("ant", "bee", "=cow")
HOSTILE = "<img src=x onerror=alert(1)>"  # the name of a model whose classes have such names, too
SOURCE = Path(seewhy.__file__).parent
STATIC = [*(SOURCE / "static").iterdir(), *(SOURCE / "serving" / "static").iterdir()]


class InThread:
    """Stands in for the process that explains, whose start takes seconds."""

    def __init__(self) -> None:
        self.models = Models()

    async def warm(self) -> None:
        pass

    def close(self) -> None:
        pass

    async def explain(self, question: Any) -> dict[str, Any]:
        return await asyncio.to_thread(self.explanation, question)

    def explanation(self, question: Any) -> dict[str, Any]:
        asked = (question.image.copy(), question.method, question.target, 60)
        subject = self.models.get(question.name, question.files, question.digest)
        parts = explanation(subject, *asked)
        return to_json({name: value for part in parts for name, value in part.items()})


class Site:
    """A server of bundles in a thread, as long as the block lasts."""

    def __init__(self, models: dict[str, str]) -> None:
        self.models = models
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.ready = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    async def _serve(self) -> None:
        service = Service(self.models, ServeSettings(runtime="torch", decoders=1))
        application = app.create_app(service, None)
        self.server = uvicorn.Server(
            uvicorn.Config(application, lifespan="off", ws="none", log_config=None)
        )
        await service.start()
        self.ready.set()
        await self.server.serve([self.socket])
        await service.close()

    def __enter__(self) -> "Site":
        self.thread.start()
        assert self.ready.wait(60)
        return self

    def __exit__(self, *exception: object) -> None:
        self.server.should_exit = self.server.force_exit = True
        self.thread.join(10)


def save(path: Path, classes: tuple[str, ...] = CLASSES, seed: int = 0, **decision: Any) -> str:
    """A bundle with random weights, sure of its answers."""
    torch.manual_seed(seed)
    network = build("regularized_cnn", num_classes=len(classes), size=16)
    made = Decision(temperature=0.02, **decision)
    rule = InputRule(size=16, store=16)
    bundles.save(Bundle(network=network, classes=classes, rule=rule, decision=made), path)
    return str(path)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    home = tmp_path_factory.mktemp("models")
    return {
        "pets": save(home / "pets.safetensors"),
        "other": save(home / "other.safetensors", seed=3),
        "unsure": save(home / "unsure.safetensors", threshold=1.0),
        HOSTILE: save(home / "hostile.safetensors", tuple(PAYLOADS)),
    }


@pytest.fixture(scope="module")
def site(models):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "Explainer", InThread)
        with Site(models) as opened:
            yield opened


class Opened:
    """A page, and whatever it said, asked for elsewhere or was refused."""

    def __init__(self, browser: Any, url: str, **options: Any) -> None:
        self.context = browser.new_context(base_url=url, **options)
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.page.on("console", lambda message: self._noted(message.text))
        self.page.on("pageerror", lambda error: self._noted(str(error)))
        self.page.on("dialog", lambda dialog: self._noted(f"dialog {dialog.message}"))
        self.page.on("request", lambda request: self._asked(request.url, url))
        self.page.add_init_script(
            "addEventListener('securitypolicyviolation', (e) => console.log('violated', e.violatedDirective))"
        )

    def _noted(self, text: str) -> None:
        if not text.startswith("Failed to load resource:"):  # a status, or no connection
            self.said.append(text)

    def _asked(self, asked: str, url: str) -> None:
        if not asked.startswith((url, f"blob:{url}", "data:image/")):
            self._noted(f"request {asked}")

    def start(self) -> Any:
        self.page.goto("/")
        self.page.wait_for_selector("body.ready")
        return self.page


@pytest.fixture
def opened(browser, site):
    pages = []

    def open_page(address=None, **options):
        pages.append(Opened(browser, address or site.url, **options))
        return pages[-1]

    yield open_page
    for each in pages:
        assert each.said == []  # neither errors nor violations nor requests, whatever was done
        each.context.close()


def png(seed=0, size=20):
    pixels = np.random.default_rng(seed).integers(0, 255, (size, size, 3), np.uint8)
    Image.fromarray(pixels).save(sink := io.BytesIO(), "PNG")
    return sink.getvalue()


def file(name="a.png", data=None, seed=0):
    return {"name": name, "mimeType": "image/png", "buffer": png(seed) if data is None else data}


def choose(page, *files):
    page.set_input_files("#choose", list(files))
    page.wait_for_selector("#bar:not([hidden])")
    page.wait_for_selector("#cancel", state="hidden")


def only(page, model="pets"):
    """Leaves one model."""
    page.select_option("#model", model)
    page.select_option("#other", "")


def table(page):
    with page.expect_download() as download:
        page.click("#save")
    text = Path(download.value.path()).read_bytes().decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_images_are_answered_as_the_model_answers(opened, models):
    page = opened().start()
    only(page)
    bad = [file("cut.png", png()[:200]), file("IMG_1.HEIC", b"\0\0\0\x18ftypheic" + bytes(40))]
    bad.append(file("empty.png", b""))
    choose(page, file("=1.png", seed=1), file("b.png", seed=2), *bad)
    assert page.inner_text("#status") == "2 of 5 images answered, 3 could not be used"
    assert page.inner_text("#live") == page.inner_text("#status")
    with seewhy.load(models["pets"], device="cpu") as classifier:
        predictions = classifier.predict([png(1), png(2)])
    rows = table(page)
    for row, card in enumerate(page.locator(".card").all()[:2]):
        label = CLASSES[predictions.predicted[row]]
        assert card.locator(".said bdi").inner_text() == label
        assert card.locator(".bars .name").first.inner_text() == label
        assert card.locator(".shot img").evaluate("image => image.naturalWidth") == 20
        assert rows[row]["label"] == escape_cell(label) and rows[row]["status"] == "ok"
        confidence = predictions.confidence()[row]
        assert float(rows[row]["confidence"]) == pytest.approx(confidence, abs=1e-4)
        width = card.locator(".fill").first.evaluate("fill => fill.style.width")
        assert float(width[:-1]) == pytest.approx(100 * confidence, abs=0.02)
    names = ["'=1.png", "b.png", "cut.png", "IMG_1.HEIC", "empty.png"]
    assert [row["path"] for row in rows] == names
    assert rows[2]["code"] == "undecodable" and rows[2]["label"] == ""
    assert "damaged" in page.locator(".card").nth(2).inner_text()
    assert "Save the photo as JPEG" in page.locator(".card").nth(3).inner_text()
    assert "The file is empty." in page.locator(".card").nth(4).inner_text()
    page.click("#clear")
    assert page.locator(".card").count() == 0 and not page.is_visible("#bar")


def test_it_says_when_a_model_is_not_sure_and_how_often_it_is_right(opened):
    seen = opened()
    rate = {"value": 0.888, "low": 0.879, "high": 0.896}
    facts = {"facts": {"metrics": {"val": {"n": 5000, "accuracy": rate}}}}
    seen.page.route("**/info**", lambda route: route.fulfill(json=facts))
    page = seen.start()
    only(page, "unsure")
    right = "88.8% of 5,000 validation images (95% confidence interval 87.9% to 89.6%)"
    page.wait_for_selector(f"#about:has-text('{right}'):has-text('unsure')")
    choose(page, file())
    assert page.inner_text(".said") == "Not sure" and "best guess" in page.inner_text(".gloss")
    assert "not sure" in page.inner_text("#limits") and "1 unsure" in page.inner_text("#status")
    assert table(page)[0]["answer"] == "not sure"


def test_the_map_of_an_answer_is_shown_with_its_faithfulness(opened):
    page = opened().start()
    only(page)
    choose(page, file("why.png"))
    page.click(".why button")
    page.wait_for_selector(".verdict h3")
    page.wait_for_selector(".map-view:not(.loading)")
    sizes = page.locator(".map-view img").evaluate_all(
        "all => all.map((image) => image.naturalWidth)"
    )
    assert sizes == [16, 16]
    assert page.locator(".why-panel select").first.locator("option").count() < len(METHODS)
    verdict = page.inner_text(".verdict")
    assert re.search("passed its test|Do not rely on this map", verdict)
    assert (
        "same shape elsewhere" in verdict
        and "what the model sees, made from the image: 16 × 16 pixels" in verdict
    )
    slider = page.locator("input[type=range]")
    slider.focus()
    page.keyboard.press("Home")
    assert slider.get_attribute("aria-valuetext") == "0%"
    assert page.locator(".over").evaluate("map => getComputedStyle(map).opacity") == "0"
    methods = page.locator(".why-panel select").first
    with page.expect_request(re.compile("method=saliency&target=")):
        methods.select_option("saliency")
    page.wait_for_selector("text=brighter pixels")
    with page.expect_response(re.compile("target=bee")) as response:
        page.locator(".why-panel select").nth(1).select_option(label="bee")
    assert response.value.json()["target"] == "bee"
    page.click(".why button")
    assert not page.is_visible(".why-panel")


def test_two_models_are_shown_side_by_side(opened, models):
    page = opened().start()
    page.select_option("#other", "other")
    choose(page, *(file(f"{seed}.png", seed=seed) for seed in range(4)))
    found = []
    for path in (models["pets"], models["other"]):
        with seewhy.load(path, device="cpu") as classifier:
            found.append(classifier.predict([png(seed) for seed in range(4)]).predicted)
    for row, card in enumerate(page.locator(".card").all()):
        labels = [CLASSES[predicted[row]] for predicted in found]
        assert card.locator(".said bdi").all_inner_texts() == labels
        assert card.locator(".by").all_inner_texts() == ["pets", "other"]
        assert card.locator(".differ").count() == (labels[0] != labels[1])
    rows = table(page)
    assert [row["model"] for row in rows] == ["pets", "other"] * 4
    assert len({row["model_digest"] for row in rows}) == 2


DROP = """async ([kind, name, bytes]) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
  const event = kind === "paste" ? new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true })
    : new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true });
  document.getElementById("drop").dispatchEvent(event);
  return document.getElementById("drop").classList.contains("over");
}"""


def test_images_are_dropped_and_pasted(opened):
    page = opened().start()
    only(page)
    assert page.evaluate(DROP, ["dragenter", "a.png", []])
    assert not page.evaluate(DROP, ["drop", "dropped.png", list(png())])
    page.evaluate(DROP, ["paste", "pasted.png", list(png())])
    page.wait_for_selector(".card >> nth=1 >> .said")
    assert page.locator(".id").all_inner_texts() == ["dropped.png", "pasted.png"]


def test_it_waits_when_the_server_is_busy_and_can_be_cancelled(opened):
    page = opened().start()
    only(page)
    asked, busy = [], {"code": "busy", "message": "later"}

    def answer(route):
        asked.append(time.monotonic())
        if len(asked) == 1:
            route.fulfill(status=429, headers={"Retry-After": "1"}, json={"error": busy})
        else:
            route.continue_()

    page.route("**/predict**", answer)
    choose(page, file())
    assert page.inner_text(".said") and 0.7 <= asked[1] - asked[0] < 3
    held = []
    page.unroute("**/predict**")
    page.route("**/predict**", lambda route: held.append(route))
    page.set_input_files("#choose", [file(f"{n}.png", seed=n) for n in range(9)])
    page.wait_for_selector("#cancel:visible")
    assert len(held) <= 4 and page.inner_text("#status") == "1 of 10 images answered"
    page.click("#cancel")
    page.wait_for_selector("#continue")
    assert page.evaluate("document.activeElement.id") == "continue"
    page.unroute("**/predict**")
    page.click("#continue")
    page.wait_for_selector("text=10 images answered")


def test_a_server_that_cannot_be_reached_is_said_and_asked_again(opened):
    page = opened().start()
    only(page)
    page.route("**/predict**", lambda route: route.abort())
    page.set_input_files("#choose", [file()])
    page.wait_for_selector("text=cannot be reached")
    page.unroute("**/predict**")
    page.click("#continue")
    page.wait_for_selector(".said:has-text('%')")


def test_a_key_is_asked_for_and_kept_in_memory_alone(opened):
    page = opened().page

    def guard(route):
        if route.request.headers.get("authorization") == "Bearer secret":
            route.continue_()
        else:
            error = {"code": "unauthorized", "message": "no"}
            route.fulfill(status=401, json={"error": error})

    page.route(re.compile("/(models|predict)"), guard)
    page.goto("/")
    page.fill("#key", "ключ")  # which no header can hold: it is not taken
    page.keyboard.press("Enter")
    assert page.evaluate("document.getElementById('key').validity.patternMismatch")
    assert page.is_visible("dialog")
    for key, then in (("wrong", "text=refused this API key"), ("secret", "body.ready")):
        page.fill("#key", key)
        page.keyboard.press("Enter")
        page.wait_for_selector(then)
    assert not page.is_visible("dialog")
    only(page)
    choose(page, file())
    assert page.inner_text(".said bdi") in CLASSES
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0
    assert "secret" not in page.content()


@EACH_PART
def test_names_are_text_whatever_they_hold(opened, names):
    assert len(PAYLOADS) >= 100
    page, shown = opened().start(), [visible(name) for name in PAYLOADS]
    only(page, HOSTILE)
    choose(page, *(file(name, seed=n) for n, name in enumerate(names)))
    texts = "all => all.map((element) => element.textContent)"
    assert page.locator(".id").evaluate_all(texts) == [visible(name) for name in names]
    labels = page.locator(".bars .name").evaluate_all(texts)
    assert labels and set(labels) <= set(shown)
    page.locator(".why button").first.click()
    page.wait_for_selector(".verdict h3")
    options = page.locator(".why-panel select").nth(1).locator("option")
    assert options.evaluate_all(texts) == shown
    tags = "script, iframe, svg[onload], [onerror], [onfocus], img[src='x']"
    assert page.locator(tags).count() == 1  # the page's own script
    assert HOSTILE in page.title() and HOSTILE in page.inner_text("#about")


NAMELESS = """all => all.filter((control) => !control.labels?.[0]?.textContent.trim()
  && !control.ariaLabel && !control.textContent.trim()).map((control) => control.outerHTML)"""
CONTRAST = """() => {
  const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, place) => sum + v * [0.2126, 0.7152, 0.0722][place], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = numbers(getComputedStyle(at).backgroundColor);
      if (colour[3] === undefined || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll("body *")].filter((element) => element.checkVisibility()
    && [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim())).map((element) => {
    const colours = [numbers(getComputedStyle(element).color), behind(element)];
    const [one, other] = colours.map(light).sort((a, b) => b - a);
    return [(one + 0.05) / (other + 0.05), element.textContent];
  });
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_can_be_used_by_keyboard_and_read_by_all(opened, theme):
    page = opened(color_scheme=theme, viewport={"width": 375, "height": 800}).start()
    choose(page, file("a.png"), file("b.png", b"no image"))
    page.locator(".why button").first.click()
    page.wait_for_selector(".verdict h3")
    assert page.locator("button, input, select").evaluate_all(NAMELESS) == []
    assert page.locator("img:not([alt])").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    faint = [pair for pair in page.evaluate(CONTRAST) if pair[0] < 4.5]
    assert faint == []
    order = []
    page.focus(".skip")
    for _ in range(12):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
    assert order[:5] == ["model", "other", "choose", "save", "clear"] and "plain-button" in order
    page.keyboard.press("Shift+Tab")
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(outline) == "solid"


def test_the_files_of_the_page_are_a_closed_list_with_a_strict_policy(site):
    with httpx.Client(base_url=site.url) as client:
        answer = client.get("/")
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "unsafe" not in policy and answer.headers["x-content-type-options"] == "nosniff"
        assert not re.search(r"<style|style=|\son\w+=|<script(?! type=\"module\" src)", answer.text)
        for path in STATIC:
            assert client.get(f"/static/{path.name}").content == path.read_bytes()
            assert len(path.read_text().splitlines()) <= 400
        for name in ("nothing.js", "..%2fpage.py", "%2e%2e/page.py", "page.css%00", "\u202e.js"):
            refused = client.get(f"/static/{name}")
            assert refused.status_code == 404 and refused.json()["error"]["code"] == "not_found"
    code = "".join(path.read_text() for path in STATIC if path.suffix == ".js")
    code = code.replace("http://www.w3.org/2000/svg", "")  # a name, which nothing asks for
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|https?:", code
    )


def test_its_colours_are_those_of_the_report():
    """Which has others beside them, for its charts."""
    report = Path(seewhy.__file__).parent / "page" / "templates" / "report.css"
    ours, theirs = (
        re.findall(r"--(\w+): (#\w+)", path.read_text())
        for path in (SOURCE / "static" / "page.css", report)
    )
    names = {name for name, _ in ours}
    assert len(names) > 5
    assert {(name, colour) for name, colour in theirs if name in names} <= set(ours)
