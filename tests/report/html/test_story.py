from dataclasses import replace

import pytest
from report.html.conftest import made

from seewhy.report.html import render
from seewhy.report.html.story import advice, best_row, verdict


@pytest.fixture(scope="module")
def stored():
    return made(("ant", "bee", "cow"))[0]


def test_the_verdict_is_three_sentences(stored):
    sentences = verdict(stored)
    assert len(sentences) == 3 and all(sentence.endswith(".") for sentence in sentences)
    assert "still sealed" in sentences[0]


def test_what_the_training_noticed_comes_first(stored):
    sign = "few pictures: 7 of ant to train on: take more"
    found = advice(replace(stored, log=(sign, "all epochs done")), "photos")
    assert (found[0].finding, found[0].action) == (
        "Few pictures: 7 of ant to train on.",
        "Take more.",
    )


def test_commands_are_safe_to_paste(stored):
    found = advice(stored, "my photos; rm -rf x")
    assert any("--data 'my photos; rm -rf x'" in item.command for item in found)


def test_a_loss_still_falling_at_a_high_rate_asks_for_more_epochs(stored):
    assert any("still falling" in item.finding for item in advice(stored, "photos"))
    low = [{**row, "lr": 0.1 / row["epoch"] ** 2} for row in stored.history]
    found = advice(replace(stored, history=low), "photos")
    assert not any("still falling" in item.finding for item in found)


def test_once_test_is_read_nothing_asks_for_it(stored):
    assert advice(stored, "photos")[-1].command.endswith("--split test")
    read = replace(stored, metrics={**stored.metrics, "test": {**stored.val, "reading": 1}})
    assert not any("--split test" in item.command for item in advice(read, "photos"))


def test_the_kept_epoch_is_the_last_marked_best():
    history = [{"best": 1, "val_accuracy": 0.9}, {"best": 1, "val_accuracy": 0.8}]
    assert best_row(history) == 1
    assert best_row([{"val_accuracy": 0.9}, {"val_accuracy": 0.8}]) == 0


def slices(p):
    rates = {"rate": {"value": 0.4, "low": 0.3, "high": 0.5}, "rest": {"value": 0.1}}
    part = {"name": "<b>dark</b>", "factors": ["brightness"], "n": 50, "p": p, **rates}
    return {"n": 300, "tested": 7, "slices": [part]}


@pytest.mark.parametrize("p, weak", [(0.01, True), (0.2, False), (None, False)])
def test_slices_worse_beyond_doubt_are_shown_and_named_in_the_advice(stored, p, weak):
    found = replace(stored, analysis={**stored.analysis, "slices": slices(p)})
    assert any("<b>dark" in item.finding for item in advice(found, "photos")) == weak
    html = render(found, "photos", None)
    assert 'id="slices"' in html and "<b>dark" not in html
    assert ("&lt;b&gt;dark&lt;/b&gt;" in html) == weak
