"""Weights from a server that speaks the Hub's protocol, from its cache, and every way in which that fails."""

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from safetensors.torch import save

from seewhy.errors import UsageError
from seewhy.models.hub import download
from seewhy.models.registry import build

COMMIT = "1" * 40
SCRIPT = Path(__file__).with_name("hub_process.py")
CARD = {
    "pretrained_cfg": {"mean": [0.4, 0.4, 0.4], "std": [0.2, 0.2, 0.2], "input_size": [3, 16, 16]}
}


def state() -> bytes:
    network = build("resnet18", num_classes=5, size=16, width=0.125)
    return save({k: v for k, v in network.state_dict().items() if k not in ("mean", "std")})


class Hub(BaseHTTPRequestHandler):
    """Two repositories: `us/whole`, and `us/pickled`, which has no safetensors."""

    files: dict[str, bytes]

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        owner, name, _, revision, file = self.path.strip("/").split("/", 4)
        data = self.files.get(f"{owner}/{name}/{file}")
        missing = None
        if name not in ("whole", "pickled"):
            missing = "RepoNotFound"
        elif revision not in ("main", COMMIT):
            missing = "RevisionNotFound"
        elif data is None:
            missing = "EntryNotFound"
        self.send_response(404 if missing else 200)
        self.send_header("X-Repo-Commit", COMMIT)
        if missing:
            self.send_header("X-Error-Code", missing)
        content = b"" if missing or data is None else data
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def hub() -> Iterator[str]:
    Hub.files = {
        "us/whole/config.json": json.dumps(CARD).encode(),
        "us/whole/model.safetensors": state(),
        "us/pickled/config.json": json.dumps(CARD).encode(),
    }
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def asked(endpoint: str, home: Path, *sources: str, **variables: str) -> list[str]:
    if importlib.util.find_spec("huggingface_hub") is None:
        pytest.skip("huggingface_hub is not installed")
    environment = {
        **os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_ETAG_TIMEOUT": "2", **variables,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *sources], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


def test_weights_come_from_the_hub_then_from_its_cache_and_what_is_missing_is_said(
    hub: str, tmp_path: Path
) -> None:
    lines = asked(
        hub, tmp_path, "hf-hub:us/whole", f"hf-hub:us/whole@{COMMIT}", "hf-hub:us/none",
        "hf-hub:us/whole@v9", "hf-hub:us/pickled",
    )  # fmt: skip
    assert lines[0].startswith("hf-hub:us/whole: ") and lines[0].endswith("tensors, mean 0.4")
    assert lines[1].endswith("tensors, mean 0.4")
    assert lines[2] == "UsageError: the Hub has no us/none, or it is private"
    assert lines[3] == "UsageError: hf-hub:us/whole@v9: the repository has no revision 'v9'"
    assert lines[4].startswith("UsageError: hf-hub:us/pickled has no model.safetensors: choose")

    offline = {"HF_HUB_OFFLINE": "1"}
    kept, none = asked(hub, tmp_path, "hf-hub:us/whole", "hf-hub:us/other", **offline)
    assert kept.endswith("tensors, mean 0.4")
    assert "is not in the cache and the Hub cannot be reached" in none
    (blob,) = (path for path in tmp_path.rglob("blobs/*") if path.stat().st_size > 10_000)
    blob.write_bytes(blob.read_bytes()[:-1])
    (damaged,) = asked(hub, tmp_path, "hf-hub:us/whole", **offline)
    assert damaged.startswith("ModelFileError: ") and "damaged or not complete" in damaged


@pytest.mark.parametrize("source", ["hf-hub:", "hf-hub:one", "hf-hub:a/b/c", "hf-hub:../x"])
def test_a_name_that_is_no_repository_is_refused(source: str) -> None:
    with pytest.raises(UsageError, match=r"expected hf-hub:OWNER/NAME"):
        download(source)
