"""The operator's page of an A/B test."""

from dataclasses import replace

import pytest
from answers import ANSWER
from servers import running

from seewhy.inference.registered import open_feedback
from seewhy.registry.records import now

SHADOWED = replace(
    ANSWER, name="<b>small", digest="c" * 64, shadow_digest="d" * 64, shadow_confidence=0.5
)


@pytest.fixture(scope="module")
def site(exported, tmp_path_factory):
    """A server, and the answers of a model that another one has challenged."""
    folder = tmp_path_factory.mktemp("ab")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEEWHY_REGISTRY", str(folder / "registry.db"))
        with open_feedback(make=True) as feedback:
            said = ["bee"] * 60 + ["ant"] * 540
            feedback.record(
                [
                    replace(SHADOWED, request_id=f"{number:04}", at=now(), shadow_label=label)
                    for number, label in enumerate(said)
                ]
            )
            for number in range(30):
                feedback.label(f"{number:04}", "ant" if number % 4 == 1 else "bee", source="person")
        with running(folder, f"<b>small={exported}") as server:
            yield server


def test_the_operator_alone_gets_the_state(site):
    assert site.client.get(f"{site.admin}/ab.json").status_code == 401
    state = site.client.get(f"{site.admin}/ab.json", headers=site.operator).json()
    assert state["name"] == "<b>small" and state["test"]["labels"] == 30
    assert state["text"][0].startswith("It cannot be told yet")
    other = site.client.get(
        f"{site.admin}/ab.json", params={"name": "other"}, headers=site.operator
    )
    assert other.status_code == 404 and other.json()["error"]["code"] == "no_test"


def test_the_page_shows_what_is_known(site, browser):
    context = browser.new_context(viewport={"width": 380, "height": 800}, color_scheme="dark")
    page = context.new_page()
    page.clock.install()
    said, asked = [], []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on(
        "console", lambda message: said.append(message.text) if "401" not in message.text else None
    )
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{site.admin}/ab")
    page.fill("#key", site.operator["Authorization"].removeprefix("Bearer "))
    page.click("text=Use this token")
    page.wait_for_selector("h1:has-text('It cannot be told yet')")
    text = page.inner_text("#ab")
    assert "<b>small" in text and "of 20, at which you may stop" in text
    assert "60 (10.0%), of which 30 have a label" in text and "To promote, at worst" in text
    charts = page.query_selector_all("svg.chart")
    assert len(charts) == 2 and all(chart.bounding_box()["width"] < 380 for chart in charts)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 20, 18)"
    with open_feedback() as feedback:
        for number in range(30, 50):
            feedback.label(f"{number:04}", "bee", source="person")
    page.clock.run_for(10_000)  # after which it asks again
    page.wait_for_selector("h1:has-text('The challenger is better')")
    assert said == [] and all(url.startswith(site.admin) for url in asked)
    context.close()
