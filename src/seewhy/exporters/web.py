"""A model as a web page that runs it in the browser, by onnxruntime-web: a folder for any static host."""

import base64
import hashlib
import json
import tarfile
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from seewhy.data.cache_root import cache_root, writable
from seewhy.data.download import Download, download
from seewhy.errors import DataError, UsageError
from seewhy.evaluation.decision.answers import decides
from seewhy.events import OnEvent, ignore
from seewhy.files import to_json
from seewhy.inference.onnx import OnnxPredictor

VERSION = "1.30.0"
PACKAGE = Download(
    f"https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz",
    33_106_585,
    "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71",
)
# Of its dist/: one thread, WebAssembly alone. Many hosts do not know .mjs as a script, so it becomes .js.
SCRIPT, BINARY = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
RUNTIME = {
    SCRIPT: "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    BINARY: "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}


def get_runtime(folder: Path | None = None, on_event: OnEvent = ignore) -> Mapping[str, bytes]:
    """The files of onnxruntime-web, by name: from `folder`, or downloaded once (33 MB) into the cache.

    Raises `UsageError` where they are missing or not those of this version.
    """
    if folder is not None:
        for place in (folder, folder / "dist"):
            if all((place / name).is_file() for name in RUNTIME):
                return _checked({name: (place / name).read_bytes() for name in RUNTIME}, folder)
        raise UsageError(
            f"--runtime {folder} has no {SCRIPT} and {BINARY}, nor a folder dist/ with them: expected the "
            f"folder of the npm package onnxruntime-web {VERSION}, node_modules/onnxruntime-web"
        )
    cache = cache_root() / "onnxruntime-web"
    try:
        with writable(cache_root()):
            package = download(PACKAGE, cache, on_event)
    except DataError as error:
        reason = str(error).split(". ")[0]
        raise UsageError(
            f"{reason}. The page needs it once; without a network: `npm install onnxruntime-web@{VERSION}` "
            "where there is one, copy its folder here, and add --runtime node_modules/onnxruntime-web"
        ) from None
    with tarfile.open(package) as archive:
        members = {name: archive.extractfile(f"package/dist/{name}") for name in RUNTIME}
        return _checked({name: file.read() for name, file in members.items() if file}, package)


def _checked(runtime: Mapping[str, bytes], source: Path) -> Mapping[str, bytes]:
    for name, expected in RUNTIME.items():
        if hashlib.sha256(runtime[name]).hexdigest() != expected:
            raise UsageError(
                f"{source}: its {name} is not that of onnxruntime-web {VERSION} (its sha256 differs)"
            )
    return runtime


def write_site(
    predictor: OnnxPredictor, name: str, runtime: Mapping[str, bytes], folder: Path
) -> None:
    """Writes the page, the model as it is, and what the page knows of it, into an empty folder."""
    for place in ("seewhy", "seewhy.exporters"):
        for file in files(place).joinpath("static").iterdir():
            folder.joinpath(file.name).write_bytes(file.read_bytes())
    folder.joinpath("runtime").mkdir()
    folder.joinpath("LICENSE.txt").rename(folder / "runtime" / "LICENSE.txt")
    loaded = {
        "model.onnx": predictor.file.data,
        f"runtime/{BINARY}": runtime[BINARY],
    }
    for path, data in loaded.items():
        folder.joinpath(path).write_bytes(data)
    folder.joinpath("runtime", SCRIPT.replace(".mjs", ".js")).write_bytes(runtime[SCRIPT])
    about = _about(predictor, name) | {
        "integrity": {path: _integrity(data) for path, data in loaded.items()}
    }
    text = json.dumps(to_json(about), ensure_ascii=False, allow_nan=False)
    folder.joinpath("model.json").write_text(text, "utf-8")


def _about(predictor: OnnxPredictor, name: str) -> dict[str, Any]:
    """What the page says of the model, and how it makes inputs and answers."""
    return {
        "name": name,
        "digest": predictor.digest,
        "bundle": predictor.file.about.bundle,
        "classes": predictor.classes,
        "rule": predictor.rule.model_dump(),
        "decision": predictor.decision.model_dump(),
        "abstains": decides(predictor.decision),
        "methods": (),  # of attribution
        "facts": {"metrics": predictor.facts.get("metrics")},
    }


def _integrity(data: bytes) -> str:
    """The sha256 of a file as browsers check it (https://www.w3.org/TR/SRI/)."""
    return f"sha256-{base64.b64encode(hashlib.sha256(data).digest()).decode()}"
