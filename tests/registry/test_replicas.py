"""Two servers of one registry behind HAProxy: killed, promoted and rolled back under load.

The registry is on Postgres, so that a server has no state of its own. Needs Debian's haproxy and postgresql.
"""

import http.client
import importlib.util
import json
import shutil
import sys
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from servers import encoded

import seewhy

ROOT = Path(__file__).parents[2]
IMAGES = 4  # of a request
CLIENTS = 3


@pytest.fixture(scope="module")
def replicas():
    """`benchmarks/replicas.py`, which starts servers and HAProxy by the file in deploy/."""
    spec = importlib.util.spec_from_file_location("replicas", ROOT / "benchmarks/replicas.py")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        sys.modules["replicas"] = module
        spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    return module


class Load:
    """Clients that send requests of several images, try nothing again, and check each answer as a whole."""

    def __init__(self, port, body, expected):
        self.port, self.body, self.expected = port, body, expected
        self.failures, self.answers = Counter(), []
        self.done = threading.Event()
        self.threads = [threading.Thread(target=self.run) for _ in range(CLIENTS)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        for thread in self.threads:
            thread.join()

    def run(self):
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            self.ask(connection)

    def ask(self, connection):
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        while not self.done.is_set():
            try:
                connection.request("POST", "/predict", self.body, kind)
                reply = connection.getresponse()
                answer = json.loads(reply.read())
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.failures[type(error).__name__] += 1
                connection.close()
                continue
            if reply.status != 200:
                self.failures[reply.status] += 1
                continue
            digest = answer["model"]["digest"]
            if [one["label"] for one in answer["results"]] != self.expected[digest]:
                self.failures["mixed"] += 1
            self.answers.append((time.monotonic(), digest))

    def answered_since(self, start):
        return {digest for at, digest in list(self.answers) if at > start}

    def settled(self, digest, seconds=30):
        """The seconds until the last answer by another digest, once a second has gone without one."""
        start = time.monotonic()
        while time.monotonic() < start + seconds:
            time.sleep(0.05)
            now = time.monotonic()
            if now > start + 1 and self.answered_since(now - 1) == {digest}:
                others = [at for at, one in self.answers if at > start and one != digest]
                return max(others, default=start) - start
        raise AssertionError(f"not all answers are by {digest} after {seconds} s")


@pytest.mark.long
@pytest.mark.parametrize("place", ["postgres"], indirect=True)
def test_replicas_of_one_registry_lose_no_request(replicas, place, exported, tmp_path, monkeypatch):
    """kill -9 of each, a promotion, a rollback, a kill amid a promotion: none failed, none mixed."""
    if shutil.which("haproxy") is None:
        pytest.skip("needs HAProxy: apt-get install haproxy")
    monkeypatch.setenv("SEEWHY_REGISTRY", place)
    shown = np.random.default_rng(0).integers(0, 256, (IMAGES, 16, 16, 3), np.uint8)
    files = [encoded(one) for one in shown]
    expected = {}
    for model in (exported, tmp_path / "other.onnx"):
        if model != exported:
            seewhy.export("simple-cnn", model)
        version = seewhy.register(model, "photos")
        with seewhy.load(model) as classifier:
            predicted = classifier.predict(files).predicted
            expected[version.digest] = [classifier.classes[k] for k in predicted]
    first, second = expected
    with seewhy.open_registry() as registry:
        registry.promote("photos", 1)
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.png"\r\n\r\n%b\r\n'
    body = b"".join(part % file for file in files) + b"--b--\r\n"
    one, two, front = replicas.free_ports(3)
    with replicas.ended() as processes:

        def start(port):
            processes.append(replicas.replica(tmp_path, "registry:photos@champion", port))
            return processes[-1]

        def killed(port):
            running[port].kill()
            running[port].wait()
            time.sleep(1)
            running[port] = start(port)
            replicas.wait_ready(port)
            time.sleep(3)  # in which HAProxy notices, too

        running = {port: start(port) for port in (one, two)}
        for port in running:
            replicas.wait_ready(port)
        processes.append(replicas.haproxy(tmp_path, front, (one, two)))
        replicas.wait_ready(front)
        with Load(front, body, expected) as load:
            time.sleep(1)
            killed(one)
            killed(two)
            assert load.answered_since(0) == {first}
            with seewhy.open_registry() as registry:
                registry.promote("photos", 2)
                promoted = load.settled(second)
                registry.rollback("photos")
                rolled_back = load.settled(first)
                registry.promote("photos", 2)
            killed(one)
            load.settled(second)
    print(
        f"{len(load.answers)} requests; promoted {promoted:.1f} s, rolled back {rolled_back:.1f} s"
    )
    assert not load.failures and len(load.answers) > 100
