"""Who may ask what: R17 (keys), R18 (hosts and origins), R19 (names) and R20 (addresses of images)."""

import asyncio
import json
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager

import httpx
import pytest
from fastapi import FastAPI
from servers import image, running

import seewhy
from seewhy.cli.serve import command
from seewhy.errors import UsageError
from seewhy.serving import admin, app
from seewhy.serving.guard import HEADERS, Scopes
from seewhy.serving.service import Service
from seewhy.serving.settings import ServeSettings

KEY = "0123456789abcdef-KEY"


def local(application):
    """A client of an application, without a server."""
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost:8000")


def ask(application, *requests):
    """The answers to requests, each the arguments of `httpx.request`."""

    async def all_of_them():
        async with local(application) as client:
            return [await client.request(*args, **options) for args, options in requests]

    return asyncio.run(all_of_them())


@pytest.fixture
def service():
    return Service({"small": "small.onnx"}, ServeSettings(allowed_hosts=("models.example",)))


def routes(scopes):
    return [(path.replace("{name}", "page.css"), scope) for path, scope in scopes.items()]


# ------------------------------------------------------------------ R17


@pytest.mark.parametrize(
    ("make", "scopes", "needed"),
    [(app.create_app, app.SCOPES, "use"), (admin.create_admin_app, admin.SCOPES, "admin")],
)
def test_r17_each_route_needs_the_key_of_its_scope(service, make, scopes, needed):
    application = make(service, KEY)
    sent = {
        "none": {},
        "wrong": {"Authorization": "Bearer " + "x" * 20},
        "part": {"Authorization": f"Bearer {KEY[:-1]}"},
        "longer": {"Authorization": f"Bearer {KEY}x"},
        "other scheme": {"Authorization": f"Basic {KEY}"},
        "empty": {"Authorization": "Bearer "},
        "not ASCII": {"Authorization": "Bearer \xe9".encode("latin-1")},
        "right": {"Authorization": f"Bearer {KEY}"},
    }
    post = ("/predict", "/explain", "/feedback", "/reload")
    for path, scope in routes(scopes):
        method = "POST" if path in post else "GET"
        asked = [((method, path), {"headers": headers}) for headers in sent.values()]
        for name, answer in zip(sent, ask(application, *asked), strict=True):
            allowed = scope == "public" or name == "right"
            assert (answer.status_code != 401) == allowed, (path, name, answer.status_code)
            if not allowed:
                assert answer.json()["error"]["code"] == "unauthorized"
    assert needed in scopes.values()


def test_r17_without_a_key_all_may_use_the_server_and_none_the_admin_routes(service):
    (answer,) = ask(app.create_app(service, None), (("GET", "/models"), {}))
    assert answer.status_code == 200
    with pytest.raises(TypeError):
        admin.create_admin_app(service)


def test_r17_a_route_without_a_scope_stops_the_start(service, monkeypatch):
    scopes = dict(app.SCOPES)
    del scopes["/info"]
    monkeypatch.setattr(app, "SCOPES", scopes)
    with pytest.raises(UsageError, match="'/info' has no scope"):
        app.create_app(service, None)


def test_r17_what_is_mounted_has_no_scope():
    outer = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    outer.mount("/files", FastAPI())
    with pytest.raises(UsageError, match="no scope"):
        Scopes({"/files": "public"}, {}).check(outer)


def test_keys_are_compared_in_constant_time():
    """By `hmac.compare_digest` alone: no `==` on what was sent."""
    import ast
    import inspect

    tree = ast.parse(inspect.getsource(inspect.getmodule(Scopes)))
    (require,) = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.AsyncFunctionDef) and node.name == "require"
    ]
    text = ast.unparse(require)
    assert "hmac.compare_digest(sent" in text and "sent ==" not in text and "== key" not in text


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_a_public_address_needs_a_key(host):
    with pytest.raises(UsageError, match="--api-key-file"):
        seewhy.serve("fast", host=host, port=0)


def test_with_a_key_file(exported, tmp_path):
    key = tmp_path / "key"
    key.write_text(KEY)
    key.chmod(0o600)
    with running(
        tmp_path, f"mine={exported}", **{"api-key-file": key, "host": "0.0.0.0"}
    ) as server:
        url = f"http://127.0.0.1:{server.url.rsplit(':')[-1]}"
        assert server.client.get(f"{url}/models").status_code == 401
        assert server.client.get(f"{url}/ready").status_code == 200
        sent = {"headers": {"Authorization": f"Bearer {KEY}"}}
        answer = server.client.post(f"{url}/predict", files={"file": image()}, **sent)
        assert answer.status_code == 200 and answer.json()["model"]["name"] == "mine"
        assert KEY not in server.log.read_text()


def test_what_needs_the_models_is_refused_while_they_are_loaded(service, tmp_path, monkeypatch):
    monkeypatch.setenv("SEEWHY_REGISTRY", str(tmp_path / "registry.db"))
    headers = {"Authorization": f"Bearer {KEY}"}
    (answer,) = ask(
        admin.create_admin_app(service, KEY), (("POST", "/reload"), {"headers": headers})
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_ready")
    recording = Service({"small": "small.onnx"}, ServeSettings(feedback=True))
    label = {"request_id": "0" * 32, "label": "no class of any model"}
    (answer,) = ask(app.create_app(recording, None), (("POST", "/feedback"), {"json": label}))
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_ready")


def test_without_the_extra_of_a_registry_there_is_no_test_of_two_models(service, monkeypatch):
    def missing(name):
        raise UsageError("a registry needs SQLAlchemy")

    monkeypatch.setattr(admin, "ab_status", missing)
    headers = {"Authorization": f"Bearer {KEY}"}
    (answer,) = ask(
        admin.create_admin_app(service, KEY), (("GET", "/ab.json"), {"headers": headers})
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "no_test")


# ------------------------------------------------------------------ R18

OURS = ("localhost", "localhost:8000", "127.0.0.1:1", "[::1]:8000", "LOCALHOST", "models.example")
FOREIGN = (
    *("evil.example", "localhost.evil.example", "evil.example:8000", "127.0.0.1.nip.io"),
    *("localhost@evil.example", "[::2]", "[::1", "127.0.0.2", "", "models.example.evil", "0.0.0.0"),
    *("169.254.169.254", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1"),
)


@pytest.mark.parametrize(("hosts", "status"), [(OURS, 200), (FOREIGN, 403)])
def test_r18_hosts(service, hosts, status):
    asked = [(("GET", "/models"), {"headers": {"host": host}}) for host in hosts]
    for host, answer in zip(hosts, ask(app.create_app(service, None), *asked), strict=True):
        assert answer.status_code == status, host
        assert "access-control-allow-origin" not in answer.headers
        assert status == 200 or answer.json()["error"]["code"] == "forbidden_host"


def test_r18_a_server_of_both_protocols_has_its_ipv4_address(service):
    asked = [
        (("GET", "http://[::ffff:192.0.2.1]/models"), {"headers": {"host": host}})
        for host in ("192.0.2.1:8000", "192.0.2.2:8000")
    ]
    answered = ask(app.create_app(service, None), *asked)
    assert [one.status_code for one in answered] == [200, 403]


def test_r18_probes_may_use_any_host(service):
    headers = {"host": "10.1.2.3:8000"}
    asked = [(("GET", path), {"headers": headers}) for path in ("/health", "/ready")]
    assert [one.status_code for one in ask(app.create_app(service, None), *asked)] == [200, 503]


@pytest.mark.parametrize(
    ("origin", "refused"),
    [
        (None, False),
        ("http://localhost:8000", False),
        ("https://localhost:8000", False),
        ("null", True),
        ("", True),
        ("http://localhost", True),
        ("http://localhost:8001", True),
        ("http://evil.example", True),
        ("http://localhost:8000.evil.example", True),
        ("http://evil.example#localhost:8000", True),
        ("http://localhost:8000@evil.example", True),
        ("file://", True),
        ("file://localhost:8000", True),
        ("http://[::1", True),
    ],
)
def test_r18_origins(service, origin, refused):
    headers = {"host": "localhost:8000"} | ({} if origin is None else {"origin": origin})
    application = app.create_app(service, None)
    for path in ("/predict", "/explain"):
        post, get, preflight = ask(
            application,
            (("POST", path), {"headers": headers}),
            (("GET", "/health"), {"headers": headers}),
            (("OPTIONS", path), {"headers": {**headers, "access-control-request-method": "POST"}}),
        )
        assert (post.status_code == 403) == refused
        assert not refused or post.json()["error"]["code"] == "forbidden_origin"
        assert (get.status_code, preflight.status_code) == (200, 405)
        for answer in (post, get, preflight):
            assert not [name for name in answer.headers if name.startswith("access-control")]


def test_every_answer_has_the_headers_that_protect(service):
    application = app.create_app(service, KEY)
    paths = ["/", "/docs", "/health", "/models", "/nothing", "/static/page.js", "/static/none"]
    for answer in ask(application, *[(("GET", path), {}) for path in paths]):
        assert HEADERS.keys() <= answer.headers.keys(), answer.url
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy


# ------------------------------------------------------------------ R19

NAMES = [
    *("../../etc/passwd", "/etc/passwd", "..\\..\\boot.ini", "C:\\windows\\win.ini", "a\0b.png"),
    *(
        "%2e%2e%2f",
        "....//....//x",
        "file:///etc/passwd",
        "\\\\host\\share",
        "x" * 5000,
        "con",
        ".",
    ),
    *(
        "..",
        "-rf",
        "a;rm -rf /",
        "$(id)",
        "`id`",
        "\u202egnp.exe",
        "a\x1b[31mb",
        "{{7*7}}",
        "..;/x",
    ),
    *("<script>alert(1)</script>", "=1+1", "a\x7f", "\ud7ff\uffff", "a.png/", "~root", "#", "?x"),
]


def test_r19_names_are_labels_only(server, tmp_path):
    boundary = "b"
    for name in NAMES:
        escaped = name.encode("utf-8").replace(b'"', b"%22")
        head = (
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="'
            + escaped
            + b'"\r\n\r\n'
        )
        answer = server.client.post(
            "/predict",
            content=head + image() + b"\r\n--b--\r\n",
            headers={"content-type": f"multipart/form-data; boundary={boundary}"},
        )
        assert answer.status_code in (200, 400), name
        if answer.status_code == 200:
            assert len(answer.json()["results"][0]["file"]) <= 255
    for path in (
        "/static/..%2fapp.py",
        "/static/%2e%2e/app.py",
        "/static/....//app.py",
        "/static/",
    ):
        assert server.client.get(path).status_code == 404
    assert server.client.get("/info", params={"model": "../../etc/passwd"}).status_code == 404
    log = server.log.read_text()
    assert "\x1b" not in log and "passwd" not in log


@contextmanager
def traced(server, calls, trace):
    """The lines of what a server calls in the block, of these kinds, which are appended when it ends."""
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    command = ["strace", "-f", "-e", f"trace={calls}", "-o", str(trace)]
    tracer = subprocess.Popen(
        [*command, "-p", str(server.process.pid)], stderr=subprocess.PIPE, text=True
    )
    assert "attached" in tracer.stderr.readline()
    lines = []
    try:
        yield lines
    finally:
        tracer.terminate()
        tracer.communicate()
        lines += trace.read_text().splitlines()


@pytest.mark.long
def test_r19_writes_nothing(exported, tmp_path):
    """No file is opened for writing but the log."""
    with running(tmp_path, exported) as server:
        with traced(server, "openat,open,creat,rename,unlink,mkdir", tmp_path / "trace") as lines:
            for name in NAMES:
                server.predict(image())
                server.client.post("/predict", files={"file": (name.replace("\0", ""), image())})
        assert not [line for line in lines if "O_WRONLY" in line or "O_RDWR" in line]


# ------------------------------------------------------------------ R20

ADDRESSES = [
    f"{scheme}{host}{rest}"
    for scheme in ("http://", "https://", "ftp://", "file://", "gopher://", "//")
    for host in ("127.0.0.1", "169.254.169.254", "[::1]", "[::ffff:10.0.0.1]", "0", "2130706433")
    for rest in ("/latest/meta-data", ":80/a.png")
]


def send_addresses(server, addresses):
    """Sends each address in all places where a server might take one for that of an image."""
    for address in addresses:
        query = {"url": address, "image": address, "image_url": address, "file": address}
        texts = json.dumps(query)
        for options in (
            {"params": query, "content": address},
            {"json": query},
            {"files": {"file": (address, address)}, "params": {"url": address}},
            {
                "content": texts,
                "headers": {"content-type": "image/png", "x-image-url": address},
            },
        ):
            assert server.client.post("/predict", **options).status_code in (415, 422), address


def test_r20_no_address_of_an_image_is_ever_read(server):
    """None is a flag, a setting or a parameter; and what is sent as one opens no connection."""
    names = [*ServeSettings.model_fields, *(parameter.name for parameter in command.params)]
    names = [name for name in names if name != "alert_url"]  # the operator's, for what is sent
    schema = server.client.get("/openapi.json").json()
    for route in schema["paths"].values():
        for method in route.values():
            names += [parameter["name"] for parameter in method.get("parameters", [])]
    assert not [name for name in names if "url" in name or "uri" in name or "link" in name]
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(0.2)
        own = f"http://127.0.0.1:{trap.getsockname()[1]}/a.png"
        send_addresses(server, [own, *(one for one in ADDRESSES if one.startswith("http://127"))])
        answer = server.client.post("/predict", json={"url": own})
        assert answer.status_code == 415
        with pytest.raises(TimeoutError):
            trap.accept()


@pytest.mark.long
def test_r20_no_name_is_resolved_and_no_connection_opened(exported, tmp_path):
    """So it does not matter what a resolver answers, or whether it answers otherwise the second time."""
    names = [f"http://{host}/a.png" for host in ("localhost", "rebinds.example", "example.com")]
    calls = "connect,accept,accept4"
    with (
        running(tmp_path, exported) as server,
        traced(server, calls, tmp_path / "trace") as lines,
    ):
        httpx.get(f"{server.url}/health", verify=False)  # a connection of its own, to be seen
        send_addresses(server, [*ADDRESSES, *names])
    assert any("accept" in line for line in lines)
    assert not [line for line in lines if "connect(" in line]  # a resolver is asked by one, too


def test_r20_the_server_has_no_client():
    """Nothing that the server imports opens a connection to an address that was sent."""
    code = (
        "import sys, seewhy.serving.server\n"
        "assert not {'httpx', 'requests', 'aiohttp', 'urllib3'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
