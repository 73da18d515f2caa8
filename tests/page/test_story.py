from dataclasses import replace
from math import nan

import numpy as np
import pytest
from page.conftest import made, with_analysis
from page.runs import collapsed, five, many, one_class, perfect, upside_down

from seewhy.analysis import diagnostics
from seewhy.analysis.causes import Causes, Explained, LabelDoubts, Near
from seewhy.analysis.slices import Slice, Slices
from seewhy.config.training import TrainConfig
from seewhy.evaluation.decision.threshold import risk_coverage
from seewhy.evaluation.stats.intervals import Interval
from seewhy.page.advice import advice
from seewhy.page.figures import all_drawings
from seewhy.page.report import render
from seewhy.page.rows import cause_rows, key_metrics
from seewhy.page.story import headlines, verdict


@pytest.fixture(scope="module")
def stored():
    return made(("ant", "bee", "cow"))[0]


def test_the_verdict_is_three_sentences(stored):
    sentences = verdict(stored)
    assert len(sentences) == 3 and all(sentence.endswith(".") for sentence in sentences)
    assert "still sealed" in sentences[0]


def test_of_a_collapsed_model_no_class_is_the_best(stored):
    table = np.array([[9, 0, 0], [9, 0, 0], [9, 0, 0]])
    val = replace(stored.val, metrics=replace(stored.val.metrics, confusion=table))
    where = verdict(replace(stored, val=val))[1]
    assert where == (
        "It has collapsed: 27 of 27 images are predicted as ant, also 18 of the 18 that belong to other "
        "classes."
    )


def sentences(run):
    return verdict(run[0]), headlines(run[0])


def test_the_confidence_of_a_collapsed_model_is_not_believed():
    said, over = sentences(collapsed())
    assert "confidence says nothing about the classes" in said[2] and "reliable" not in said[2]
    assert over.risk.endswith("confidence does not tell which answers to leave out")
    assert not any("confused" in item.finding for item in advice(collapsed()[0], "photos"))


def test_classes_of_one_recall_are_neither_best_nor_worst():
    said, over = sentences(upside_down())
    assert "recognises all classes equally well (recall 90.0%)" in said[1]
    assert over.classes == "Recall 90.0% for every class"
    said, _ = sentences(many())
    assert " best (recall 66.7%) and 140 classes worst (0.0%)" in said[1]


def test_one_class_in_validation_says_so():
    said, over = sentences(one_class())
    assert said[1] == (
        "All these images are of a, so that they tell nothing about the other classes."
    )
    assert over.classes == "Recall 90.0% of the only class with images"
    assert [row.name for row in key_metrics(one_class()[0])] == ["validation accuracy"]


def test_what_happened_once_is_not_the_most_frequent():
    said, over = sentences(five())
    assert over.confusion == "No confusion occurred twice" and "frequent" not in said[1]
    said, over = sentences(upside_down())
    assert "One of its most frequent confusions: ant predicted as bee (2 times)" in said[1]
    assert over.confusion.startswith("Among the most frequent")


def test_what_abstaining_brings_is_said_as_it_is():
    assert headlines(upside_down()[0]).risk == (
        "Error rate 12.5% on the most confident 80%, 10.0% on all"
    )


def test_a_perfect_model_has_no_weakest_class():
    said, over = sentences(perfect())
    assert "makes no mistake" in said[1] and over.confusion == "No class was confused with another"
    assert key_metrics(perfect()[0])[-1].name == "recall of every class"
    assert over.confidence == "No mistake with more than 90% confidence"


def test_what_the_training_noticed_comes_first(stored):
    config = TrainConfig(batch_size=2)
    (few,) = diagnostics.at_start(np.array([20, 12]), ("bees", "ants: red"), config)
    found = advice(replace(stored, diagnostics=(few,)), "photos")
    assert (found[0].finding, found[0].action) == (
        "Few images: 12 of ants: red to train on.",
        "With fewer than 20 a class, more images help more than any setting.",
    )
    assert not any("Few" in item.finding for item in found[1:])


def test_colours_that_do_not_fit_are_in_the_advice(stored):
    grey, black = np.full(3, 0.5), np.zeros(3)
    (flat,) = diagnostics.in_colours(grey, black, grey)
    (wrong,) = diagnostics.in_colours(black, grey, grey)
    found = advice(replace(stored, diagnostics=(flat, wrong)), "photos")
    assert found[0].finding == "Flat images: all pixels are almost of one colour."
    assert found[1].finding.startswith("Wrong normalisation: the images' mean colour is (0.00")
    assert found[1].finding.endswith("(0 is black, 1 white).")
    assert found[1].action.startswith("Are they of another kind, inverted or scaled twice? Look at")


def test_commands_are_safe_to_paste(stored):
    found = advice(stored, "my photos; rm -rf x")
    assert any("--data 'my photos; rm -rf x'" in item.command for item in found)


def test_a_loss_still_falling_at_a_high_rate_asks_for_more_epochs(stored):
    assert any("still falling" in item.finding for item in advice(stored, "photos"))
    low = [{**row, "lr": 0.1 / row["epoch"] ** 2} for row in stored.history]
    found = advice(replace(stored, history=low), "photos")
    assert not any("still falling" in item.finding for item in found)


@pytest.mark.parametrize(
    ("losses", "falls"),
    [
        ((0.5, 0.48, 0.46), True),
        ((0.4, 0.3999996, 0.399999), False),  # hardly falls
        ((2e-3, 1e-3, 5e-4), False),  # near 0
    ],
)
def test_a_fall_of_the_loss_is_judged_by_the_loss(stored, losses, falls):
    rows = zip(stored.history, losses, strict=True)
    history = [{**row, "val_loss": loss} for row, loss in rows]
    found = advice(replace(stored, history=history), "photos")
    assert any("still falling" in item.finding for item in found) == falls


def test_where_there_is_no_test_split_nothing_asks_to_read_it(stored):
    without = replace(stored, counts={**stored.counts, "test": dict.fromkeys(stored.classes, 0)})
    found = advice(without, "photos")
    assert not any("--split test" in item.command for item in found)
    assert "no test split" in found[-1].finding and "no test split" in verdict(without)[0]


def test_once_test_is_read_nothing_asks_for_it(stored):
    assert advice(stored, "photos")[-1].command.endswith("--split test")
    read = replace(stored, test=replace(stored.val, reading=1))
    given_later = replace(read, counts={**read.counts, "test": dict.fromkeys(stored.classes, 0)})
    assert not any("test split" in item.finding for item in advice(given_later, "photos"))
    assert not any("--split test" in item.command for item in advice(read, "photos"))


def slices(p):
    rate, rest = Interval(0.4, 0.3, 0.5), Interval(0.1, 0.0, 0.2)
    return Slices(300, rest, 7, (Slice("<b>dark</b>", ("brightness",), 50, 20, rate, rest, p),))


@pytest.mark.parametrize("p, weak", [(0.01, True), (0.2, False), (nan, False)])
def test_slices_worse_beyond_doubt_are_shown_and_named_in_the_advice(stored, p, weak):
    found = with_analysis(stored, slices=slices(p))
    assert any("<b>dark" in item.finding for item in advice(found, "photos")) == weak
    html = render(found, "photos", None)
    assert 'id="slices"' in html and "<b>dark" not in html
    assert ("&lt;b&gt;dark&lt;/b&gt;" in html) == weak


def causes(labels=None, unknown=("label",)):
    near = (Near(3, "t", "<i>bee</i>", 0.9, True),)
    one = Explained(0, "picture", ("nearly <b>black</b>",), near)
    counts = {"duplicate": 0, "label": 0, "picture": 1, "scope": 0, "confusion": 4}
    return Causes(counts, unknown, labels, (one,))


def with_causes(stored, found):
    sure = replace(stored.confidence, sure_mistakes=5)
    return with_analysis(stored, confidence=sure, causes=found)


@pytest.mark.parametrize(
    "count, train, said",
    [(61, 55, "55 training labels look wrong."), (2, 1, "1 training label looks wrong.")],
)
def test_labels_that_look_wrong_are_to_be_reviewed_first(stored, count, train, said):
    doubts = LabelDoubts(count, train, "my folds")
    item = advice(with_causes(stored, causes(doubts, ())), "photos")[0]
    assert item.finding == said and "my folds/review.html" in item.action
    assert (
        item.command == "seewhy data apply-review photos 'my folds/review.csv' --val 0.04 --out NEW"
    )


@pytest.mark.parametrize("count", [0, 3])
def test_training_labels_in_order_are_no_advice(stored, count):
    doubts = LabelDoubts(count, 0, "folds")
    found = advice(with_causes(stored, causes(doubts, ())), "photos")
    assert not any("wrong." in item.finding and "label" in item.finding for item in found)
    assert any("1 a poor image; 4 a true confusion" in item.action for item in found)


def test_where_labels_were_never_judged_the_advice_says_how(stored):
    found = advice(with_causes(stored, causes()), "photos")
    item = next(item for item in found if "90% confidence" in item.finding)
    assert "seewhy data labels photos --recipe fast" in item.command
    assert " && seewhy evaluate" in item.command and "--labels folds" in item.command


def test_causes_are_listed_and_what_is_not_known_is_said(stored):
    rows = {row.cause: row.count for row in cause_rows(causes())}
    assert rows == {"duplicate": 0, "label": None, "picture": 1, "scope": 0, "confusion": 4}
    html = render(with_causes(stored, causes()), "photos", None)
    assert "Most likely cause" in html and "not known" in html and "seewhy data labels" in html
    assert cause_rows(None) == [] and "Most likely cause" not in render(stored, "photos", None)


def test_a_last_layer_fitted_alone_has_no_epochs_and_no_curves(stored):
    alone = replace(stored, history=[{**stored.history[0], "epoch": 0, "lr": 0.0}])
    html = render(alone, "photos", None, figures="figures")
    assert "The last layer was fitted in 1 s, to features of a frozen network" in html
    assert "on the training images" in html and "1 epoch" not in html
    assert "augmented images" not in html and "curves.svg" not in html
    assert "curves" not in all_drawings(alone, None) and "curves" in all_drawings(stored, None)


def test_few_validation_images_are_said_to_be_too_few(stored):
    few = advice(five()[0], "photos")[0]
    assert "validation images are too few to judge by: the accuracy may be anything" in few.finding
    assert "Collect more labelled images" in few.action
    assert not any("too few to judge" in item.finding for item in advice(stored, "photos"))


def test_few_test_images_are_said_to_be_too_few(stored):
    few = advice(replace(stored, test=five()[0].val), "photos")[0]
    assert "5 test images are too few to judge by" in few.finding


def test_an_image_under_two_labels_is_named_first_and_its_label_is_not_doubted_again(stored):
    found = causes()
    counts = {**found.counts, "duplicate": 5, "picture": 0, "confusion": 0}
    steps = advice(with_causes(stored, replace(found, counts=counts)), "photos")
    (item,) = (step for step in steps if "another label elsewhere" in step.finding)
    assert item.finding.startswith("5 mistakes are on an image")
    assert item.command == "seewhy data check photos"
    assert not any("seewhy data labels" in step.command for step in steps)


def test_what_abstaining_brings_has_an_interval_and_is_not_offered_again():
    run = upside_down()[0]
    sure = replace(run.confidence, risk_coverage=risk_coverage(np.arange(20), np.arange(20) > 3))
    run = with_analysis(run, confidence=replace(sure, n=20))
    (item,) = (item for item in advice(run, "photos") if "calibrate" in item.command)
    assert item.finding == (
        "On the most confident 16 of 20 images, the accuracy is 100.0% (79.4% to 100.0%)."
    )
    done = advice(replace(run, abstains=True), "photos")
    assert not any("calibrate" in item.command for item in done)


def test_after_a_look_at_test_the_steps_ask_for_new_test_images(stored):
    assert "measure it on new test images" not in render(stored, "photos", None)
    looked = replace(stored, test_readings=1)
    assert "measure it on new test images" in render(looked, "photos", None)
