"""Starting and stopping: R15, reload without a failed request, logs and metrics."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from servers import image, read_all, running, stop_under_load

import seewhy
from seewhy.errors import UsageError
from seewhy.serving import server as server_module
from seewhy.serving.serve import named
from seewhy.serving.settings import ServeSettings


def test_r15_a_stop_under_load_loses_no_request(exported, tmp_path):
    assert set(stop_under_load(exported, tmp_path)) <= {200, 429}


@pytest.mark.long
def test_r15_fifty_times(exported, tmp_path):
    lost = [
        s for _ in range(50) for s in stop_under_load(exported, tmp_path) if s not in (200, 429)
    ]
    print(f"lost: {lost}")
    assert not lost


def test_a_first_request_that_comes_late_is_answered_before_a_stop(exported, tmp_path):
    asked = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with (
        running(tmp_path, exported) as server,
        socket.create_connection(server.address, timeout=20) as late,
        socket.create_connection(server.address, timeout=20) as answered,
    ):
        answered.sendall(asked)
        answered.recv(1)
        server.process.send_signal(signal.SIGTERM)
        read_all(answered)  # until it is closed: nothing else was on its way
        late.sendall(asked)
        assert read_all(late).startswith(b"HTTP/1.1 200")
        assert server.process.wait(20) == 0


def test_a_request_at_work_is_finished_and_a_second_signal_ends_at_once(exported, tmp_path):
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
    data = image()
    for signals in (1, 2):
        with running(tmp_path, exported) as server:
            with socket.create_connection(server.address, timeout=20) as connection:
                connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(data) + data[:50])
                time.sleep(0.2)
                for _ in range(signals):
                    server.process.send_signal(signal.SIGTERM)
                    time.sleep(0.6)
                if signals == 1:
                    connection.sendall(data[50:])
                    answer = read_all(connection)
                    assert (
                        answer.startswith(b"HTTP/1.1 200")
                        and b"connection: close" in answer.lower()
                    )
            start = time.monotonic()
            assert server.process.wait(10) == 0
            assert time.monotonic() - start < 5


@contextmanager
def asked_meanwhile(server):
    """A client that asks all the time: the status and the digest of each answer."""
    answers: list[tuple[int, str]] = []
    stop = threading.Event()

    def work():
        with httpx.Client(base_url=server.url, timeout=60, verify=False) as client:
            while not stop.is_set():
                answer = client.post("/predict", files={"file": image()})
                answers.append((answer.status_code, answer.json()["model"]["digest"]))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield answers
    finally:
        stop.set()
        thread.join()


def test_a_changed_file_is_served_without_a_failed_request(exported, tmp_path):
    """A damaged file leaves the old model in place; nothing that is asked meanwhile fails."""
    file = tmp_path / "model.onnx"
    shutil.copy(exported, file)
    with running(tmp_path, file, reload=True) as server:
        good = file.read_bytes()
        damaged = bytearray(good)
        damaged[len(good) // 2] ^= 1
        with asked_meanwhile(server) as answers:
            (tmp_path / "new").write_bytes(damaged)
            os.replace(tmp_path / "new", file)
            deadline = time.monotonic() + 20
            while "model kept" not in server.log.read_text() and time.monotonic() < deadline:
                time.sleep(0.1)
            reply = server.client.post(f"{server.admin}/reload", headers=server.operator)
            assert reply.json() == {"models": {"model": "kept: the new file cannot be used"}}
        with seewhy.load(exported) as classifier:
            assert set(answers) == {(200, classifier.digest)}
        (tmp_path / "new").write_bytes(good)
        os.replace(tmp_path / "new", file)
        reply = server.client.post(f"{server.admin}/reload", headers=server.operator)
        assert reply.json() == {"models": {"model": "unchanged"}}


@pytest.mark.long
def test_another_model_is_served_without_a_failed_request(tmp_path):
    """A valid file replaces the model, by whichever way the server learns of it."""
    shipped = Path(seewhy.__file__).parent / "weights"
    file, new = tmp_path / "model.safetensors", tmp_path / "new"
    digests = {}
    for name in ("simple-cnn", "regularized-cnn"):
        with seewhy.load(name) as classifier:
            digests[name] = classifier.digest
    shutil.copy(shipped / "simple-cnn.safetensors", file)
    with running(tmp_path, f"mine={file}", reload=True, runtime="torch") as server:
        with asked_meanwhile(server) as answers:
            shutil.copy(shipped / "regularized-cnn.safetensors", new)
            os.replace(new, file)
            deadline = time.monotonic() + 20
            while (
                answers[-1:] != [(200, digests["regularized-cnn"])] and time.monotonic() < deadline
            ):
                time.sleep(0.05)
            shutil.copy(shipped / "simple-cnn.safetensors", new)
            os.replace(new, file)
            reply = server.client.post(f"{server.admin}/reload", headers=server.operator).json()
            assert reply["models"]["mine"] in ("replaced", "unchanged")  # or the watch was faster
            asked = server.predict(image())
            assert asked.json()["model"]["digest"] == digests["simple-cnn"]
        assert {status for status, _ in answers} == {200}
        assert {digest for _, digest in answers} == set(digests.values())
        replaced = [record for record in server.records() if record["event"] == "model replaced"]
        assert len(replaced) == 2
    assert "Exception ignored" not in server.log.read_text()


def test_what_is_logged_and_counted(server):
    answers = [server.predict(image()), server.predict(b"no image"), server.client.get("/nothing")]
    for answer, route in zip(answers, ("/predict", "/predict", "none"), strict=True):
        record = server.logged(answer)
        assert record["logger"] == "seewhy.serving"
        assert (record["status"], record["route"]) == (answer.status_code, route)
        assert record["ms"] > 0
    metrics = server.metrics()
    for line in (
        'seewhy_requests_total{route="/predict",status="200"}',
        'seewhy_requests_total{route="none",status="404"}',
        'seewhy_request_seconds_bucket{le="0.1",route="/predict"}',
        'seewhy_batch_images_count{model="small"}',
        'seewhy_predictions_total{label="',
        'seewhy_answers_total{kind="class",model="small"}',
        'seewhy_confidence_count{model="small"}',
        'seewhy_image_errors_total{code="unsupported_format"}',
        "seewhy_queue_images 0.0",
        "seewhy_ready 1.0",
    ):
        assert line in metrics, line
    assert server.client.get(f"{server.admin}/metrics").status_code == 401


def test_without_a_registry_there_is_no_test_to_show(server):
    answer = server.client.get(f"{server.admin}/ab.json", headers=server.operator)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "no_test")


def test_small_packets_are_sent_at_once():
    """asyncio asks for it only where a socket says that it is TCP; else an answer may wait 40 ms."""
    for listener in server_module._listen(ServeSettings(port=0, admin_port=0)):
        with listener:
            assert listener.proto == socket.IPPROTO_TCP


def test_names_of_models(trained):
    assert named(["fast"]) == {"fast": "fast"}
    assert named([trained, trained / "model.safetensors"][:1]) == {trained.name: str(trained)}
    assert named([trained / "model.safetensors"]) == {
        trained.name: str(trained / "model.safetensors")
    }
    assert named(["cats=fast", "dir/dogs.onnx"]) == {"cats": "fast", "dogs": "dir/dogs.onnx"}
    for models, match in [
        (["fast", "fast"], "two models have the name fast"),
        ([], "no model is named"),
        (["a\nb=fast"], "is no name"),
        (["=fast"], "is no name"),
    ]:
        with pytest.raises(UsageError, match=match):
            named(models)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"port": 99999}, "--port 99999"),
        ({"queue": 0}, "--queue 0"),
        ({"decode_seconds": "nan"}, "--decode-seconds"),
        ({"nothing": 1}, "--nothing"),
    ],
)
def test_an_option_that_does_not_fit_is_named(options, match):
    with pytest.raises(UsageError, match=match):
        seewhy.serve("fast", **options)


def test_a_port_that_is_taken_and_a_model_that_is_missing(exported):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match="--port"):
            seewhy.serve(exported, port=port)
    with pytest.raises(UsageError, match="there is no file, run or shipped model"):
        seewhy.serve("nothing-of-this-name", port=0, admin_port=0)


def test_without_the_extra_the_install_line_is_shown():
    code = (
        "import sys, seewhy\n"
        "sys.modules['uvicorn'] = None\n"
        "try:\n    seewhy.serve('fast')\n"
        "except seewhy.SeeWhyError as error:\n    assert \"pip install 'seewhy[serve]'\" in str(error)\n"
        "else:\n    raise AssertionError\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_onnx_server_loads_no_torch(server):
    maps = Path(f"/proc/{server.process.pid}/maps").read_text()
    assert "onnxruntime" in maps and "libtorch" not in maps
