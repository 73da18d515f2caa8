"""The page "Which is right?": who may see it, what it asks, and how it takes labels."""

import numpy as np
import pytest
from servers import encoded, running
from sqlalchemy import delete, select

import seewhy
from seewhy.registry.records import KeptImage, ServedAnswer
from seewhy.registry.schema import answers, kept_images, labels

KINDS = [
    {"shadow_label": "cow", "shadow_digest": "e"},
    {"answer": "not sure"},
    {"audit": True},
    {"audit": True},
]
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    path = tmp_path_factory.mktemp("review") / "registry.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEEWHY_REGISTRY", str(path))
        with seewhy.open_feedback(make=True) as opened:
            yield opened


@pytest.fixture(scope="module")
def reviewed(exported, registry, tmp_path_factory):
    with running(tmp_path_factory.mktemp("serve"), f"small={exported}", feedback=True) as server:
        yield server


@pytest.fixture
def server(reviewed, registry):
    """A server with four answers to look at; of the last there is no image."""
    with registry.database.writing() as connection:
        for table in (labels, kept_images, answers):
            connection.execute(delete(table))
    for number, facts in enumerate(KINDS):
        key = f"{number:032x}"
        at = f"2026-11-29T12:00:0{number}.000+00:00"
        about = {"request_id": key, "image": 0, "name": "small", "digest": "d", "at": at}
        said = {"label": "ant", "answer": "ant", "confidence": 0.5, "top": ("ant", "bee")}
        pixels = np.full((40, 30, 3), 60 * number, np.uint8)
        image = [KeptImage(key, 0, encoded(pixels, "JPEG"))] if number < 3 else []
        registry.record([ServedAnswer(**about | said | facts)], image)
    return reviewed


def said(registry):
    with registry.database.reading() as connection:
        found = connection.execute(select(labels).order_by(labels.c.request_id)).all()
    return [(int(one.request_id, 16), one.label, one.source) for one in found]


def test_images_and_labels_are_for_the_operators_token(server, registry):
    client, key = server.client, "0" * 32
    asked = {
        "GET": ("/review/queue", f"/review/image/{key}/0"),
        "POST": ("/review/label",),
    }
    for method, paths in asked.items():
        for path in paths:
            for headers in ({}, {"Authorization": "Bearer wrong"}):
                assert client.request(method, path, headers=headers).status_code == 401
    image = client.get(f"/review/image/{key}/0", headers=server.operator)
    assert image.content.startswith(b"\xff\xd8") and image.headers["content-type"] == "image/jpeg"
    assert image.headers["cache-control"] == "no-store"
    missing = client.get(f"/review/image/{'3'.zfill(32)}/0", headers=server.operator)
    assert missing.json()["error"]["code"] == "no_image"
    for address in (f"{server.url}/review", f"{server.admin}/drift"):
        large = client.get(f"{address}/image/{key}/{10**30}", headers=server.operator)
        assert (large.status_code, large.json()["error"]["code"]) == (422, "invalid_parameter")
    right = {"request_id": key, "label": "cow"}
    assert client.post("/review/label", json=right, headers=server.operator).status_code == 200
    assert said(registry) == [(0, "cow", "review")]
    assert "/review" not in str(client.get("/openapi.json").json()["paths"])


def test_what_is_asked_does_not_say_what_was_answered(server):
    queue = server.client.get("/review/queue", headers=server.operator).json()
    assert queue["counts"] == {"disagreement": 1, "unsure": 1, "audit": 2}
    assert [one["kept"] for one in queue["items"]] == [True, True, True, False]
    for one in queue["items"]:
        assert one["classes"] == ["ant", "bee", "cow"]  # the same key for a class at all times
        assert not {"top", "reason", "answer", "shadow_label"} & one.keys()


def test_a_server_that_records_nothing_has_no_such_page(exported, tmp_path):
    with running(tmp_path, exported) as server:
        assert server.client.get("/review").status_code == 404


@pytest.fixture
def page(server, browser):
    """The page as an operator sees it, on a phone."""
    context = browser.new_context(viewport=PHONE, color_scheme="dark")
    page = context.new_page()
    page.faults, page.asked = [], []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("console", lambda line: page.faults.append(line.text))
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto(f"{server.url}/review")
    page.fill("#key", server.operator["Authorization"].removeprefix("Bearer "))
    page.keyboard.press("Enter")
    page.wait_for_selector("#image:not([hidden])")
    yield page
    context.close()
    assert all(url.startswith((server.url, "blob:")) for url in page.asked)
    assert [one for one in page.faults if "401" not in one] == []


def status(page, text):
    page.wait_for_function(
        "text => document.getElementById('status').textContent.startsWith(text)", arg=text
    )


def test_labels_are_given_by_keys_and_taken_back(page, registry):
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    status(page, "0 labelled, 4 left: 1 disagreement, 1 unsure answer, 2 random samples")
    page.keyboard.press("3")
    status(page, "1 labelled, 3 left")
    assert "Labelled cow. 3 left." in page.inner_text("#live")
    page.keyboard.press("s")
    status(page, "1 labelled, 3 left, 1 skipped")
    page.keyboard.press("0")
    status(page, "2 labelled, 2 left, 1 skipped")
    assert said(registry) == [(0, "cow", "review"), (2, "none of these", "review")]
    assert page.is_visible("#missing") and page.is_hidden("#image")  # of which no image was kept
    page.keyboard.press("u")
    status(page, "1 labelled, 3 left, 1 skipped")
    assert said(registry) == [(0, "cow", "review")]
    page.click("#classes button:nth-child(2)")
    status(page, "2 labelled, 2 left, 1 skipped")
    page.keyboard.press("1")
    status(page, "Nothing more to look at: 3 labelled, 1 left, 1 skipped.")
    assert [one[:2] for one in said(registry)] == [(0, "cow"), (2, "bee"), (3, "ant")]


def test_a_label_that_fails_is_said_and_the_image_stays(page, server, registry):
    page.route("**/review/label*", lambda route: route.abort())
    page.keyboard.press("1")
    page.wait_for_selector("#fault:not(:empty)")
    assert "cannot be reached" in page.inner_text("#fault")
    status(page, "0 labelled, 4 left")
    page.unroute("**/review/label*")
    page.keyboard.press("1")
    status(page, "1 labelled, 3 left")
    page.faults.clear()  # Chromium's line about the request that failed
