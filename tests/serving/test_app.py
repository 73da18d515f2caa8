"""The HTTP contract, and R2, R6 and R7: mutants, one bad image among good ones, and limits."""

import asyncio
import concurrent.futures
import gc
import re
import weakref
import zlib
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
from servers import encoded, image

import seewhy
from seewhy.serving.settings import ServeSettings
from seewhy.serving.uploads import Memory, receive


def test_an_answer_has_what_the_contract_says(server, exported):
    answer = server.predict(image(), image(1), top_k=2)
    assert answer.status_code == 200
    content = answer.json()
    assert re.fullmatch("[0-9a-f]{32}", content["request_id"])
    assert answer.headers["x-request-id"] == content["request_id"]
    with seewhy.load(exported) as classifier:
        assert content["model"] == {"name": "small", "digest": classifier.digest}
        predictions = classifier.predict([image(), image(1)])
        texts = classifier.answers(predictions)
    for row, result in enumerate(content["results"]):
        label = classifier.classes[predictions.predicted[row]]
        confidence = round(float(predictions.confidence()[row]), 6)
        assert result == {
            "file": f"{row}.png",
            "status": "ok",
            "label": label,
            "confidence": pytest.approx(confidence, abs=2e-6),
            "answer": texts[row],
            "top": result["top"],
        }
        assert result["top"][0] == {"label": label, "confidence": result["confidence"]}
        assert [len(result["top"]), len({one["label"] for one in result["top"]})] == [2, 2]


@pytest.mark.parametrize("kind", ["image/png", "image/anything", "application/octet-stream"])
def test_an_image_may_be_the_whole_body(server, kind):
    raw = server.client.post("/predict", content=image(), headers={"content-type": kind})
    assert (
        raw.json()["results"][0] | {"file": "0.png"} == server.predict(image()).json()["results"][0]
    )


def test_the_models_and_what_is_known_of_them(server):
    (listed,) = server.client.get("/models").json()["models"]
    assert listed["name"] == "small" and listed["ready"] and listed["runtime"] == "onnx"
    assert listed["methods"] == ["occlusion", "shap"]
    info = server.client.get("/info?model=small").json()
    assert listed.items() <= info.items() and info["rule"]["size"] == listed["size"]
    assert "/" not in str(info["facts"])


def test_docs_ask_for_nothing_from_outside(server):
    page = server.client.get("/docs")
    assert "/predict" in page.text and "top_k" in page.text
    assert not re.findall(r'(?:src|href)="(?!/)', page.text) and "<script" not in page.text


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 415, "unsupported_format"),
        (b"<html>", 415, "unsupported_format"),
        (image()[:200], 422, "undecodable"),
        (b"GIF89a" + bytes(40), 422, "undecodable"),
    ],
)
def test_a_bad_image_alone_is_the_status_of_its_request(server, body, status, code):
    answer = server.predict(body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code)
    assert error["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/predict", 405, "method_not_allowed"),
        ("OPTIONS", "/predict", 405, "method_not_allowed"),
        ("POST", "/predict?model=other", 404, "unknown_model"),
        ("POST", "/predict?top_k=0", 422, "invalid_parameter"),
        ("POST", "/predict?top_k=1e9", 422, "invalid_parameter"),
        ("POST", "/predict?top_k=NaN", 422, "invalid_parameter"),
        ("POST", "/predict", 415, "unsupported_media_type"),
    ],
)
def test_every_error_is_json_with_a_code(server, method, path, status, code):
    answer = server.client.request(method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def form(*parts: bytes, boundary: bytes = b"b", end: bytes = b"--b--\r\n") -> httpx.Request:
    body = b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + end
    kind = b"multipart/form-data; boundary=" + boundary
    return {"content": body, "headers": {"content-type": kind.decode()}}


def file_part(data: bytes, name: str = "a.png") -> bytes:
    head = f'Content-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    return head.encode() + data


def text_part(size: int, name: str = "note") -> bytes:
    return f'Content-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + bytes(size)


@pytest.mark.parametrize(
    ("request_of", "code"),
    [
        (form(), "no_image"),
        (form(text_part(3)), "no_image"),
        (form(text_part(3, "file")), "no_image"),
        (form(file_part(bytes(70_000)).replace(b'"file"', b'"image"')), "no_image"),
        (form(file_part(image()), end=b""), "malformed"),
        (form(file_part(image()), boundary=b"other"), "malformed"),
        (form(file_part(image()), boundary=b""), "malformed"),
        (form(file_part(image()), boundary=b"x" * 300), "malformed"),
    ],
)
def test_a_damaged_form_is_refused(server, request_of, code):
    answer = server.client.post("/predict", **request_of)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


def test_an_image_is_let_go_with_its_request():
    """At once, not when Python collects what refers to itself: it may have megabytes."""
    form = httpx.Request("POST", "http://a", files={"file": image()})
    body = form.read()

    async def stream():
        yield body

    async def received():
        asked = SimpleNamespace(headers=form.headers, stream=stream)
        with Memory(1 << 20).held() as holding:
            return await receive(asked, ServeSettings(), holding)

    gc.disable()
    try:
        (upload,) = asyncio.run(received())
        gone = weakref.ref(upload)
        del upload
        assert gone() is None
    finally:
        gc.enable()


def test_frames_that_are_ignored_are_named(server):
    from PIL import Image

    frames = [Image.new("RGB", (16, 16), (shade, 0, 0)) for shade in (0, 99, 199)]
    for format in ("GIF", "PNG", "WEBP", "TIFF"):
        import io

        sink = io.BytesIO()
        frames[0].save(sink, format, save_all=True, append_images=frames[1:])
        (result,) = server.predict(sink.getvalue()).json()["results"]
        assert result["frames_ignored"] is True, format
        sink = io.BytesIO()
        frames[0].save(sink, format)
        (alone,) = server.predict(sink.getvalue()).json()["results"]
        assert "frames_ignored" not in alone and alone == {k: result[k] for k in alone}, format


# ------------------------------------------------------------------ R6


def bad_among_good(server, positions):
    images = [image(seed) for seed in range(32)]
    expected = server.predict(*images).json()["results"]
    bad = [image()[:90], b"", b"%PDF-1.4", encoded(np.zeros((1, 1, 3), np.uint8))[:40]]
    for position in positions:
        sent = list(images)
        sent[position] = bad[position % len(bad)]
        answer = server.predict(*sent)
        assert answer.status_code == 200
        results = answer.json()["results"]
        assert results[position]["status"] == "error" and results[position]["error"]["code"]
        del results[position]
        others = expected[:position] + expected[position + 1 :]
        for result, other in zip(results, others, strict=True):
            assert result["label"] == other["label"] and result["answer"] == other["answer"]
            assert result["confidence"] == pytest.approx(other["confidence"], abs=2e-6)


def test_r6_one_bad_image_does_not_touch_its_neighbours(server):
    bad_among_good(server, (0, 1, 15, 31))


@pytest.mark.long
def test_r6_at_every_position(server):
    bad_among_good(server, range(32))


# ------------------------------------------------------------------ R7


def grown(size: int) -> bytes:
    """A PNG of so many bytes, by what follows its end."""
    return image() + bytes(size - len(image()))


def test_r7_bytes_of_an_image(server):
    assert server.predict(grown(10 << 20)).status_code == 200
    over = server.predict(grown((10 << 20) + 1))
    assert (over.status_code, over.json()["error"]["code"]) == (413, "too_large")
    beside = server.predict(image(), grown((10 << 20) + 1)).json()["results"]
    assert [result["status"] for result in beside] == ["ok", "error"]
    raw = {"headers": {"content-type": "image/png"}, "timeout": 60}
    assert server.client.post("/predict", content=grown(10 << 20), **raw).status_code == 200
    over = server.client.post("/predict", content=grown((10 << 20) + 1), **raw)
    assert (over.status_code, over.json()["error"]["code"]) == (413, "too_large")


def flat_png(width: int, height: int) -> bytes:
    """A PNG of one bit a pixel, made row by row."""
    row = b"\0" + bytes(-(-width // 8))
    packer = zlib.compressobj(1)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content).to_bytes(4, "big")
        return len(content).to_bytes(4, "big") + kind + content + check

    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    head = chunk(b"IHDR", size + bytes([1, 0, 0, 0, 0]))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("size", "status"),
    [
        ((5000, 5000), 200),
        ((5000, 5001), 422),
        ((16384, 1), 200),
        ((16385, 1), 422),
        ((1, 16384), 200),
    ],
)
def test_r7_pixels_and_sides(server, size, status):
    answer = server.predict(flat_png(*size))
    assert answer.status_code == status
    assert status == 200 or answer.json()["error"]["code"] == "too_many_pixels"


def test_r7_images_parts_and_texts(server):
    def code(**request_of):
        answer = server.client.post("/predict", timeout=60, **request_of)
        return answer.status_code, answer.json().get("error", {}).get("code")

    one = file_part(image())
    assert code(**form(*[one] * 32)) == (200, None)
    assert code(**form(*[one] * 33)) == (413, "too_many_images")
    assert code(**form(one, *[text_part(1)] * 39)) == (200, None)
    assert code(**form(one, *[text_part(1)] * 40)) == (413, "too_many_parts")
    assert code(**form(one, text_part(65536))) == (200, None)
    assert code(**form(one, text_part(65537))) == (413, "too_large")
    assert code(**form(one, text_part(65000), text_part(537))) == (413, "too_large")


def test_r7_bytes_of_a_request(server):
    def status(size):
        parts = [file_part(grown(9 << 20)) for _ in range(7)]
        rest = size - len(form(*parts, file_part(b""))["content"])
        request_of = form(*parts, file_part(grown(rest)))
        assert len(request_of["content"]) == size
        return server.client.post("/predict", timeout=60, **request_of).status_code

    assert [status(64 << 20), status((64 << 20) + 1)] == [200, 413]


def test_r7_headers_and_top_k(server):
    def status(size):
        head = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: "
        answer = server.raw(head + b"x" * (size - len(head) - 4) + b"\r\n\r\n")
        return int(answer.split(b" ", 2)[1]), b'"headers_too_large"' in answer

    most = 16 << 10
    assert status(most) == (200, False)
    for size in (most + 2, 2 * most, 20 * most):  # read whole; longer than is read
        assert status(size) == (431, True), size
    assert server.predict(image(), top_k=100).status_code == 200
    assert server.predict(image(), top_k=101).status_code == 422


# ------------------------------------------------------------------ R2


def mutants(count: int, seed: int):
    """Damaged images of four formats, by six ways to damage them."""
    rng = np.random.default_rng(seed)
    seeds = [
        image(n, 24, format)
        for n, format in enumerate(("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"))
    ]
    for number in range(count):
        data = bytearray(seeds[number % len(seeds)])
        at = int(rng.integers(len(data)))
        match rng.integers(6):
            case 0:
                del data[at:]
            case 1:
                data[at] ^= 1 << int(rng.integers(8))
            case 2:
                data[at : at + 4] = rng.bytes(4)
            case 3:
                del data[at : at + int(rng.integers(1, 64))]
            case 4:
                data[at:at] = rng.bytes(int(rng.integers(1, 64)))
            case 5:
                data[at : at + 8] = b"\xff" * 8
        yield bytes(data)


def send_mutants(server, count, seed=0):
    replaced = server.status()["decoders_replaced"]
    with httpx.Client(timeout=60) as client, concurrent.futures.ThreadPoolExecutor(8) as pool:

        def send(data):
            return client.post(f"{server.url}/predict", files={"file": ("x", data)})

        answers = list(pool.map(send, mutants(count, seed)))
    codes = [answer.status_code for answer in answers]
    assert set(codes) <= {200, 415, 422, 429}, set(codes)
    for answer in answers:
        assert answer.status_code == 200 or answer.json()["error"]["code"], answer.text
    assert codes.count(200) > count // 20 and codes.count(422) > count // 20
    assert server.status()["decoders_replaced"] == replaced  # no process has ended
    return codes


def test_r2_mutants(server):
    send_mutants(server, 300)


@pytest.mark.long
def test_r2_ten_thousand_mutants(server):
    send_mutants(server, 10_000, seed=1)
