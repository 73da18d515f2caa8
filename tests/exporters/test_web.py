"""The page that an export writes, in Chromium: its answers are those of `seewhy predict`."""

import base64
import csv
import functools
import http.server
import json
import shutil
import tarfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import call
from PIL import Image

import seewhy
from seewhy.config.input_rule import InputRule
from seewhy.data.images.decode import centre, read
from seewhy.errors import UsageError
from seewhy.evaluation.decision.answers import answers
from seewhy.evaluation.decision.record import Decision, Scope
from seewhy.evaluation.predictions import Predictions
from seewhy.exporters import web

POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; "
    "img-src blob: data:; style-src 'self'"
)
HOSTILE = ("<img src=x onerror=alert(1)>", "=1+1", "\u202ebee")
IN_PAGE = "const load = (name) => import(new URL(name, document.baseURI));"


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of onnxruntime-web, from the user's cache: tests use no network."""
    package = Path("~/.cache/seewhy/onnxruntime-web").expanduser() / web.PACKAGE.name
    if not package.is_file():
        pytest.skip(f"no onnxruntime-web: `curl --create-dirs -o {package} {web.PACKAGE.url}`")
    folder = tmp_path_factory.mktemp("runtime")
    with tarfile.open(package) as archive:
        for name in web.RUNTIME:
            archive.extract(f"package/dist/{name}", folder, filter="data")
    return folder / "package"


@pytest.fixture(scope="module")
def site(exported: Path, runtime: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "site"
    return seewhy.export(exported, out, "web", runtime=runtime).file


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *values: object) -> None:
        pass


class Opened:
    """A page over a folder that is served, with all that it said and asked for elsewhere."""

    def __init__(self, browser: Any, folder: Path, **options: Any) -> None:
        handler = functools.partial(Quiet, directory=str(folder))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: self.said.append(f"dialog {dialog.message}"))
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.goto(self.url)

    def _asked(self, url: str) -> None:
        if not url.startswith((self.url, "blob:", "data:")):
            self.said.append(f"request {url}")

    def close(self) -> None:
        self.context.close()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def opened(browser: Any, site: Path) -> Iterator[Opened]:
    """The page when its model is loaded; from then on without a network."""
    one = Opened(browser, site)
    one.page.wait_for_selector("body.ready", timeout=60_000)
    yield one
    one.close()
    assert one.said == []


def written(folder: Path) -> list[Path]:
    """Images of several shapes, kinds and formats."""
    noise = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
    image = Image.fromarray(noise).resize((90, 61), Image.Resampling.BICUBIC)
    turned = Image.Exif()
    turned[0x0112] = 6
    alpha = image.copy()
    alpha.putalpha(Image.linear_gradient("L").resize(image.size))
    files = {
        "wide.png": (image, {}),
        "tall.png": (image.resize((30, 200)), {}),
        "tiny.png": (image.resize((3, 5)), {}),
        "photo.jpg": (image, {"quality": 85}),
        "turned.jpg": (image, {"quality": 85, "exif": turned}),
        "lossless.webp": (image, {"lossless": True}),
        "palette.gif": (image.quantize(16), {}),
        "alpha.png": (alpha, {}),
        "grey.png": (image.convert("L"), {}),
    }
    for name, (kind, options) in files.items():
        kind.save(folder / name, **options)
    deep = np.arange(61 * 90, dtype=np.uint16).reshape(61, 90) * 11
    Image.fromarray(deep).save(folder / "deep.png")
    return [folder / name for name in (*files, "deep.png")]


def pixels(page: Any, paths: list[Path], rule: InputRule) -> np.ndarray:
    """What the page makes of each image, (N, size, size, 3)."""
    script = f"""async ([files, rule]) => {{ {IN_PAGE}
      const {{ pixels }} = await load("pixels.js");
      const bytes = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
      const seen = (text) => pixels(new File([bytes(text)], ""), rule).then((all) => [...all]);
      return Promise.all(files.map(seen)); }}"""
    files = [base64.b64encode(path.read_bytes()).decode() for path in paths]
    values = page.evaluate(script, [files, rule.model_dump()])
    return np.array(values).reshape(len(paths), rule.size, rule.size, 3)


@pytest.mark.parametrize(
    "rule",
    [
        InputRule(size=32, store=32),
        InputRule(size=24, store=28, fit="pad"),
        InputRule(size=24, store=28, fit="squash", interpolation="bilinear"),
    ],
    ids=lambda rule: rule.fit,
)
def test_its_pixels_are_those_of_the_input_rule(
    opened: Opened, rule: InputRule, tmp_path: Path
) -> None:
    paths = written(tmp_path)
    for path, seen in zip(paths, pixels(opened.page, paths, rule), strict=True):
        apart = np.abs(seen - centre(read(path, rule), rule.size).astype(int))
        # Pillow 13 resizes some shapes down first and then across, which rounds otherwise.
        assert apart.max() <= 2 and apart.mean() <= 0.3, (path.name, apart.max(), apart.mean())


def test_it_refuses_what_a_browser_would_read_otherwise(opened: Opened, tmp_path: Path) -> None:
    deep = next(path for path in written(tmp_path) if path.name == "deep.png")
    with pytest.raises(Exception, match="8 bits of a channel"):
        pixels(opened.page, [deep], InputRule(size=8, store=8, depth=(0, 4095)))


def test_its_decision_is_that_of_python(opened: Opened) -> None:
    rng = np.random.default_rng(1)
    n, classes, width = 60, ("a", "b", "c", "d"), 6
    logits = rng.normal(scale=3, size=(n, 4)).astype(np.float32)
    logits[0] = logits[0, 0]  # of equals the first
    embeddings = np.maximum(0, rng.normal(size=(n, width))).astype(np.float32)
    embeddings[1] = 0
    means = rng.normal(size=(4, width))
    means = tuple(map(tuple, (means / np.linalg.norm(means, axis=1)[:, None]).tolist()))
    scopes = [
        None,
        Scope(score="probability", threshold=0.6),
        Scope(score="max_logit", threshold=2.5),
        Scope(score="energy", threshold=3.5),
        Scope(score="similarity", threshold=0.4, means=means),
    ]
    script = f"""async ([rows, embeddings, decision, classes]) => {{ {IN_PAGE}
      const {{ decide }} = await load("decision.js");
      return rows.map((row, place) => decide(row, embeddings[place], decision, classes, 3)); }}"""
    for scope in scopes:
        for threshold in (None, 0.7):
            decision = Decision(temperature=1.7, threshold=threshold, scope=scope)
            made = Predictions(
                logits, None, classes, np.arange(n).astype(object), embeddings, temperature=1.7
            )
            rows = opened.page.evaluate(
                script, [logits.tolist(), embeddings.tolist(), decision.model_dump(), classes]
            )
            expected = answers(decision, made).tolist()
            assert [row["answer"] for row in rows] == expected
            assert [row["label"] for row in rows] == [classes[k] for k in made.predicted]
            np.testing.assert_allclose(
                [row["confidence"] for row in rows], made.confidence(), rtol=1e-12
            )
            assert len({*expected}) > (threshold is None and scope is None)


def test_its_table_is_that_of_predict_without_a_network(
    opened: Opened, exported: Path, photos: Path, tmp_path: Path
) -> None:
    images = sorted(photos.rglob("*.png"))[::9]
    bad = tmp_path / "bad.png"
    bad.write_bytes(images[0].read_bytes()[:60])
    opened.context.set_offline(True)
    page = opened.page
    page.set_input_files("#choose", [*images, bad])
    page.wait_for_selector(f".card >> nth={len(images)} >> .said")
    assert "1 could not be used" in page.inner_text("#status")
    with page.expect_download() as saved:
        page.click("#save")
    rows = list(csv.DictReader(saved.value.path().read_text().splitlines()))
    call("predict", str(exported), *map(str, [*images, bad]), "--out", f"{tmp_path}/o.csv", code=1)
    ours = list(csv.DictReader((tmp_path / "o.csv").read_text().splitlines()))
    assert len(rows) == len(ours)
    for one, other in zip(rows, ours, strict=True):
        assert one["status"] == other["status"] and one["label"] == other["label"]
        if one["status"] == "ok":
            assert one["model_digest"] == other["model_digest"]
            assert float(one["confidence"]) == pytest.approx(float(other["confidence"]), abs=1e-4)


def test_names_are_shown_as_text_on_a_phone_and_by_keyboard(
    browser: Any,
    site: Path,
    photos: Path,
    tmp_path: Path,
) -> None:
    copy = tmp_path / "site"
    shutil.copytree(site, copy)
    about = json.loads((copy / "model.json").read_text())
    about["classes"] = HOSTILE[: len(about["classes"])]
    (copy / "model.json").write_text(json.dumps(about))
    opened = Opened(browser, copy, viewport={"width": 390, "height": 800}, color_scheme="dark")
    page = opened.page
    page.wait_for_selector("body.ready", timeout=60_000)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "choose"
    page.set_input_files("#choose", sorted(photos.rglob("*.png"))[0])
    page.wait_for_selector(".bars")
    names = page.locator(".bars .name").all_inner_texts()
    assert set(names) == {"<img src=x onerror=alert(1)>", "=1+1", "\\u202ebee"}
    assert page.inner_text("#live").startswith(f"{sorted(photos.rglob('*.png'))[0].name}: ")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert opened.said == []
    opened.close()


CAMERA = """void (navigator.mediaDevices.getUserMedia = async () => {
  const canvas = document.createElement("canvas");
  canvas.getContext("2d").fillRect(0, 0, 300, 150);
  return window.stream = canvas.captureStream();
})"""
NO_CAMERA = "void (navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error()))"


def test_a_photo_of_the_camera_is_answered(browser: Any, site: Path) -> None:
    opened = Opened(browser, site)
    page = opened.page
    page.evaluate(CAMERA)
    page.wait_for_selector("body.ready", timeout=60_000)
    page.click("text=Use the camera")
    page.click("text=Take the photo")
    page.wait_for_selector(".card .bars")
    assert page.locator(".card .id").inner_text().startswith("photo-")
    assert page.locator("dialog[open]").count() == 0
    assert page.evaluate("stream.getTracks().every((track) => track.readyState === 'ended')")
    page.evaluate(NO_CAMERA)
    page.click("text=Use the camera")
    page.wait_for_selector("dialog .fault:not(:empty)")
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0
    assert opened.said == []
    opened.close()


def test_a_model_that_is_not_the_exported_one_is_refused(
    browser: Any,
    site: Path,
    tmp_path: Path,
) -> None:
    copy = tmp_path / "site"
    shutil.copytree(site, copy)
    data = bytearray((copy / "model.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (copy / "model.onnx").write_bytes(data)
    opened = Opened(browser, copy)
    opened.page.wait_for_selector("#about .fault")
    assert "model.onnx is not the file that was exported" in opened.page.inner_text("#about")
    assert opened.page.is_visible("#about button")
    opened.close()


def test_the_folder_is_the_model_the_page_and_the_runtime(site: Path, exported: Path) -> None:
    assert (site / "model.onnx").read_bytes() == exported.read_bytes()
    page = (site / "index.html").read_text()
    assert f'http-equiv="Content-Security-Policy" content="{POLICY}"' in page
    texts = [page, *(path.read_text() for path in site.glob("*.js"))]
    assert not any("https:" in text or "innerHTML" in text for text in texts)
    assert "Microsoft Corporation" in (site / "runtime" / "LICENSE.txt").read_text()


def test_the_verb_says_how_to_serve_it_and_overwrites_nothing(
    exported: Path, runtime: Path, tmp_path: Path
) -> None:
    wanted = ("export", str(exported), "--format", "web", "--out", str(tmp_path / "site"))
    printed = call(*wanted, "--runtime", str(runtime))
    assert "python -m http.server" in printed.out
    assert "is not empty" in call(*wanted, "--runtime", str(runtime), code=2).err


def test_a_runtime_that_is_not_there_or_another_is_named(
    exported: Path, runtime: Path, tmp_path: Path, monkeypatch
) -> None:
    out = tmp_path / "site"
    with pytest.raises(UsageError, match=r"node_modules/onnxruntime-web"):
        seewhy.export(exported, out, "web", runtime=tmp_path)
    for name in web.RUNTIME:
        shutil.copy(runtime / "dist" / name, tmp_path)
    (tmp_path / web.SCRIPT).write_bytes(b"alert(1)")
    with pytest.raises(UsageError, match="sha256 differs"):
        seewhy.export(exported, out, "web", runtime=tmp_path)
    with pytest.raises(UsageError, match="--runtime is for --format web"):
        seewhy.export(exported, tmp_path / "m.onnx", runtime=tmp_path)

    def offline(*values: object, **options: object) -> None:
        raise urllib.error.URLError("no network")

    monkeypatch.setenv("SEEWHY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(urllib.request, "urlopen", offline)
    with pytest.raises(UsageError, match=r"npm install onnxruntime-web@.*--runtime"):
        seewhy.export(exported, out, "web")
    assert not out.exists()
