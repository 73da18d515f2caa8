"""How near the exported web page comes to `seewhy predict`: pixels, logits and answers in Chromium.

    python benchmarks/web_page.py --photos FOLDER --out benchmarks/results/web-page.json

Photos of several shapes, each as PNG, JPEG and lossless WebP, upright and turned by EXIF, with a colour
profile, and in modes that need converting; by the rules crop, pad and squash and both interpolations. Needs
playwright and Chromium.
"""

import argparse
import functools
import http.server
import json
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import seewhy
from seewhy.config.input_rule import InputRule
from seewhy.data.images.decode import read
from seewhy.exporters.web import VERSION

SIZES = ((640, 427), (427, 640), (900, 300), (200, 200), (57, 41), (3000, 2000))
RULES = (
    InputRule(size=32, store=32),
    InputRule(size=96, store=110, fit="pad"),
    InputRule(size=96, store=110, fit="squash", interpolation="bilinear"),
)
IN_PAGE = """async ([address, rules]) => {
  const { predict } = await import(new URL("api.js", document.baseURI));
  const { pixels } = await import(new URL("pixels.js", document.baseURI));
  const file = new File([await (await fetch(address)).blob()], "image");
  const inputs = [];
  for (const rule of rules) inputs.push([...await pixels(file, rule)]);
  const start = performance.now();
  const { label, logits } = await predict(file, "", 3);
  return { inputs, label, logits, milliseconds: performance.now() - start };
}"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *values: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a folder, served on this machine."""
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


def variants(photos: list[Path], folder: Path) -> dict[str, Path]:
    """Writes each size, mode and format; by name."""
    files = {}
    for number, (width, height) in enumerate(SIZES):
        image = Image.open(photos[number % len(photos)]).convert("RGB").resize((width, height))
        profile = image.info.pop("icc_profile", None)
        turned = Image.Exif()
        turned[0x0112] = 6
        alpha = image.copy()
        alpha.putalpha(Image.linear_gradient("L").resize(image.size))
        kinds: dict[str, tuple[Image.Image, dict[str, Any]]] = {
            "rgb.png": (image, {}),
            "q90.jpg": (image, {"quality": 90}),
            "q60-420.jpg": (image, {"quality": 60, "subsampling": 2, "progressive": True}),
            "turned.jpg": (image, {"quality": 90, "exif": turned}),
            "lossless.webp": (image, {"lossless": True}),
            "alpha.png": (alpha, {}),
            "grey.png": (image.convert("L"), {}),
            "palette.png": (image.quantize(64), {}),
            "cmyk.jpg": (image.convert("CMYK"), {"quality": 90}),
            **(
                {"profile.jpg": (image, {"quality": 90, "icc_profile": profile})} if profile else {}
            ),
        }
        if width > 2000:
            kinds = {name: kinds[name] for name in ("q90.jpg", "turned.jpg")}
        for name, (kind, options) in kinds.items():
            path = folder / f"{width}x{height}-{name}"
            kind.save(path, **options)
            files[path.name] = path
    return files


def compare(model: str, photos: list[Path], folder: Path) -> dict[str, Any]:
    from playwright.sync_api import sync_playwright

    site = seewhy.export(model, folder / "site", "web").file
    files = variants(photos, site)
    classifier = seewhy.load(site / "model.onnx")
    rows = []
    with served(site) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page()
        page.goto(address)
        page.wait_for_selector("body.ready", timeout=60_000)
        for name, path in files.items():
            rules = [rule.model_dump() for rule in RULES]
            answer = page.evaluate(IN_PAGE, [name, rules])
            start = time.perf_counter()
            ours = classifier.predict(path)
            row: dict[str, Any] = {
                "kind": name.partition("-")[2],
                "equal": ours.classes[int(ours.predicted[0])] == answer["label"],
                "logits": float(np.abs(ours.logits[0] - np.array(answer["logits"])).max()),
                "page_ms": answer["milliseconds"],
                "predict_ms": 1000 * (time.perf_counter() - start),
                "size": name.partition("-")[0],
            }
            apart = []
            for rule, values in zip(RULES, answer["inputs"], strict=True):
                start_at = (rule.store - rule.size) // 2
                stop = start_at + rule.size
                expected = read(path, rule)[start_at:stop, start_at:stop].astype(int)
                apart.append(np.abs(expected.ravel() - np.array(values)))
            row["pixels"] = int(max(one.max() for one in apart))
            row["mean"] = float(np.mean([one.mean() for one in apart]))
            rows.append(row)
        version = browser.version
    return {
        "model": model,
        "chromium": version,
        "onnxruntime_web": VERSION,
        "kinds": {kind: summary(rows, kind) for kind in dict.fromkeys(row["kind"] for row in rows)},
        "large": [row for row in rows if row["size"] == "3000x2000" and row["kind"] == "q90.jpg"],
    }


def summary(rows: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    own = [row for row in rows if row["kind"] == kind]
    return {
        "images": len(own),
        "equal_answers": sum(row["equal"] for row in own),
        "largest_pixel_difference": max(row["pixels"] for row in own),
        "mean_pixel_difference": float(np.mean([row["mean"] for row in own])),
        "largest_logit_difference": max(row["logits"] for row in own),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--model", default="fast")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    photos = sorted(given.photos.rglob("*.jpg"))[: len(SIZES)]
    with tempfile.TemporaryDirectory() as name:
        text = json.dumps(compare(given.model, photos, Path(name)), indent=1)
    print(text)
    if given.out:
        given.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
