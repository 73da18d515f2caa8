"""The files in deploy/: the tools that run them accept them, and their limits are the server's.

A tool that is not installed is named as skipped: `apt-get install haproxy nginx systemd`, and `pip install
'seewhy[audit]'` for the rest. The measured proof is `benchmarks/replicas.py`.
"""

import http.client
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from packaging.requirements import Requirement

import seewhy
from seewhy.cli.serve import command

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
LIMITS = seewhy.ServeSettings()
UNIT = (DEPLOY / "seewhy@.service").read_text()
HAPROXY = (DEPLOY / "haproxy.cfg").read_text()
NGINX = (DEPLOY / "nginx.conf").read_text()
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
DEPLOYMENT, SERVICE, BUDGET, POLICY = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
POD = DEPLOYMENT["spec"]["template"]["spec"]
CONTAINER = POD["containers"][0]


def checked(*arguments: object) -> None:
    """Runs a tool that must accept; skips where it is not installed."""
    if shutil.which(str(arguments[0])) is None:
        pytest.skip(f"{arguments[0]} is not installed")
    done = subprocess.run([*map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_haproxy_takes_its_file():
    checked("haproxy", "-c", "-f", DEPLOY / "haproxy.cfg")


def test_nginx_takes_its_file(tmp_path):
    config = tmp_path / "nginx.conf"
    config.write_text(
        f"pid {tmp_path}/pid; events {{}} http {{ include {DEPLOY / 'nginx.conf'}; }}"
    )
    checked("nginx", "-t", "-p", tmp_path, "-c", config, "-e", tmp_path / "log")


def test_systemd_takes_the_unit(tmp_path):
    unit = tmp_path / "seewhy@8001.service"  # a copy, of a program that is here
    unit.write_text(UNIT.replace("/opt/seewhy/bin/seewhy", "/bin/true"))
    checked("systemd-analyze", "verify", unit)


def test_hadolint_takes_the_containerfile():
    checked("hadolint", DEPLOY / "Containerfile")


def test_kubernetes_takes_the_manifest():
    validate = pytest.importorskip("kubernetes_validate")
    for resource in (DEPLOYMENT, SERVICE, BUDGET, POLICY):
        validate.validate(resource, "1.31", strict=True)


def test_nginx_has_deadlines_before_it_knows_the_name():
    first, second = NGINX.split("\nserver {")[1:]
    for line in ("client_header_timeout", "large_client_header_buffers"):
        assert line in first and line in second


def words(line: str) -> list[str]:
    return line.replace("\\\n", " ").split()


STARTED = {
    "Containerfile": json.loads(
        re.search(r"^CMD (\[.*\])$", (DEPLOY / "Containerfile").read_text(), re.MULTILINE)[1]
    )[1:],
    "compose": COMPOSE["x-replica"]["command"][1:],
    "systemd": words(re.search(r"ExecStart=\S+ serve ((?:.*\\\n)*.*)", UNIT)[1]),
    "kubernetes": CONTAINER["args"][1:],
}


@pytest.mark.parametrize("arguments", STARTED.values(), ids=STARTED)
def test_the_server_knows_the_flags(arguments):
    arguments = [one.replace("%i", "8001") for one in arguments]
    with click.Context(command) as context:
        command.parse_args(context, arguments)
        given = {
            name: value for name, value in context.params.items() if value not in (None, (), False)
        }
    fields = {name: value for name, value in given.items() if name not in ("models", "log_json")}
    settings = seewhy.ServeSettings(**fields)
    assert settings.trust_onnx and settings.api_key_file is not None


def number(pattern: str, text: str) -> int:
    (found,) = {*re.findall(rf"(?m)^\s*{pattern}", text)}
    return int(found)


def test_proxies_accept_what_the_server_accepts_and_wait_as_long():
    assert number(r"timeout http-request (\d+)s", HAPROXY) == LIMITS.header_seconds
    assert number(r"http-request wait-for-body time (\d+)s", HAPROXY) == LIMITS.body_seconds
    assert number(r"timeout client (\d+)s", HAPROXY) == LIMITS.write_seconds
    assert number(r"timeout http-keep-alive (\d+)s", HAPROXY) == LIMITS.idle_seconds
    assert re.findall(r"req.body_size gt (\d+)", HAPROXY) == [str(LIMITS.request_bytes)]
    assert f"{LIMITS.request_bytes:,} bytes" in HAPROXY
    assert number(r"client_max_body_size (\d+)m", NGINX) << 20 == LIMITS.request_bytes
    assert number(r"client_header_timeout (\d+)s", NGINX) == LIMITS.header_seconds
    assert number(r"client_body_timeout (\d+)s", NGINX) == LIMITS.body_seconds
    assert number(r"send_timeout (\d+)s", NGINX) == LIMITS.write_seconds
    assert number(r"large_client_header_buffers 2 (\d+)k", NGINX) << 11 == LIMITS.header_bytes
    # Fewer connections than the server takes, each given up before it does.
    for text in (HAPROXY, NGINX):
        (most,) = {*map(int, re.findall(r"(?:\bmaxconn|max_conns=) ?(500)\b", text))}
        assert most < LIMITS.connections
    assert number(r".*pool-purge-delay (\d+)s", HAPROXY) < LIMITS.idle_seconds
    assert re.findall(r"\n    keepalive_timeout (\d+)s", NGINX) == ["2", str(LIMITS.idle_seconds)]


def test_whoever_stops_a_server_waits_until_it_has_answered():
    pause = int(CONTAINER["lifecycle"]["preStop"]["exec"]["command"][1])
    waits = {
        "systemd": number(r"TimeoutStopSec=(\d+)", UNIT),
        "compose": int(COMPOSE["x-replica"]["stop_grace_period"].removesuffix("s")),
        "kubernetes": POD["terminationGracePeriodSeconds"] - pause,
    }
    assert all(wait > LIMITS.drain_seconds for wait in waits.values()), waits
    assert "KillMode=mixed" in UNIT  # else its decoders end first


def test_memory_is_bounded_alike():
    assert "MemoryMax=2G\n" in UNIT
    assert COMPOSE["x-replica"]["mem_limit"] == "2g"
    assert CONTAINER["resources"]["limits"]["memory"] == "2Gi"
    # Measured: server and two decoders 0.25 GB, each decoder 0.3 GB more at 25 megapixels.
    assert LIMITS.upload_memory + (850 << 20) < 2 << 30


def test_containers_hold_no_rights():
    for service in COMPOSE["services"].values():
        assert service["read_only"] and service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    security = CONTAINER["securityContext"]
    assert security["readOnlyRootFilesystem"] and not security["allowPrivilegeEscalation"]
    assert security["capabilities"] == {"drop": ["ALL"]} and POD["securityContext"]["runAsNonRoot"]
    assert "USER 10001:10001" in (DEPLOY / "Containerfile").read_text()
    assert POLICY["spec"]["egress"] == []


def test_probes_ask_for_what_they_decide_about():
    paths = {
        kind: CONTAINER[f"{kind}Probe"]["httpGet"]["path"]
        for kind in ("startup", "readiness", "liveness")
    }
    assert paths == {"startup": "/ready", "readiness": "/ready", "liveness": "/health"}
    assert "httpchk GET /ready" in HAPROXY
    assert "127.0.0.1:8000/health" in (DEPLOY / "Containerfile").read_text()


def pins(file: Path) -> dict[str, str]:
    lines = [line for line in file.read_text().splitlines() if re.match(r"[\w-]+==", line)]
    found = [Requirement(line.removesuffix("\\").strip()) for line in lines]
    return {re.sub("[-_.]+", "-", one.name).lower(): str(one.specifier) for one in found}


def test_hashed_pins_are_those_of_the_constraints():
    constraints = pins(ROOT / "constraints.txt")
    assert pins(ROOT / "constraints-hashed.txt") == constraints
    image = pins(DEPLOY / "requirements.txt")
    assert image.items() <= constraints.items()
    for file in (
        ROOT / "constraints-hashed.txt",
        DEPLOY / "requirements.txt",
        DEPLOY / "build.txt",
    ):
        blocks = re.split(r"(?m)^(?=[\w-]+==)", file.read_text())[1:]
        assert blocks and all("--hash=sha256:" in block for block in blocks)


ABSENT = """
import sys
for name in sys.argv[2:]:
    sys.modules[name] = None
import numpy as np
import seewhy
import seewhy.serving.server, seewhy.serving.decoder, seewhy.serving.drift
from seewhy.serving.opening import open_model
opened = open_model(sys.argv[1], seewhy.ServeSettings())
size = opened.classifier.rule.size
shown = [np.full((size, size, 3), level, np.uint8) for level in range(0, 240, 12)]
predictions = opened.classifier.predict(shown)
print(predictions.logits.shape)
print(seewhy.serving.drift.drift(predictions, predictions).drifted)
with seewhy.open_registry(sys.argv[1] + ".db", make=True) as registry:
    print(registry.names())
"""


def test_a_server_runs_without_what_the_image_leaves_out(exported, tmp_path):
    """It answers, compares what it answers with a reference, and asks a registry."""
    model = shutil.copy(exported, tmp_path / "model.onnx")
    lines = (DEPLOY / "not-needed.txt").read_text().splitlines()
    names = [line for line in lines if not line.startswith("#")]
    assert not {*names} & pins(DEPLOY / "requirements.txt").keys()
    modules = [
        {"scikit-learn": "sklearn"}.get(line, line.replace("-", "_"))
        for line in lines
        if not line.startswith("#")
    ]
    done = subprocess.run(
        [sys.executable, "-c", ABSENT, str(model), *modules], capture_output=True, text=True
    )
    shape, *others = done.stdout.splitlines() or [""]
    assert shape.startswith("(20, ") and others == ["False", "[]"], done.stderr


class Replica(BaseHTTPRequestHandler):
    """Answers with the headers that it was sent."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        sent = json.dumps({name.lower(): value for name, value in self.headers.items()}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    do_POST = do_GET

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture(params=["haproxy", "nginx"])
def proxy(request, tmp_path) -> Iterator[int]:
    """The port of a proxy, by the file in deploy/, before replicas that answer with what they were sent."""
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    spec = importlib.util.spec_from_file_location("replicas", ROOT / "benchmarks/replicas.py")
    replicas = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        sys.modules["replicas"] = replicas
        spec.loader.exec_module(replicas)
    finally:
        sys.path.pop(0)
    tmp_path.chmod(0o755)
    (front,) = replicas.free_ports(1)
    with ThreadingHTTPServer(("127.0.0.1", 0), Replica) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ports = (server.server_port, server.server_port)
        with replicas.ended() as processes:
            processes.append(getattr(replicas, request.param)(tmp_path, front, ports))
            replicas.wait_ready(front)
            yield front
        server.shutdown()


def test_a_proxy_passes_on_what_is_true_and_refuses_what_the_server_would(proxy):
    def ask(method: str, headers: dict[str, str], body: bytes | None = None) -> tuple[int, bytes]:
        with closing(http.client.HTTPConnection("127.0.0.1", proxy, timeout=10)) as connection:
            connection.request(method, "/predict", body, headers)
            with connection.getresponse() as answer:
                return answer.status, answer.read()

    lies = {"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "https", "Forwarded": "for=1.2.3.4"}
    status, body = ask("POST", {"Host": "seewhy.example.org:8443", **lies}, b"image")
    sent = json.loads(body)
    assert status == 200
    assert (sent["host"], sent["content-length"]) == ("seewhy.example.org:8443", "5")
    assert (sent["x-forwarded-for"], sent["x-forwarded-proto"]) == ("127.0.0.1", "http")
    assert "forwarded" not in sent
    assert ask("GET", {"Host": "evil.example"})[0] in (403, 421)
    assert ask("POST", {"Content-Length": str(LIMITS.request_bytes + 1)})[0] == 413
