import json

import numpy as np
import pytest
import torch
from attribution.toys import SmallNet

from seewhy.attribution.explanations import choose, explain_images
from seewhy.attribution.faithfulness import COST
from seewhy.attribution.methods import METHODS
from seewhy.evaluation.predictions import Predictions
from seewhy.events import Event, Note, Progress
from seewhy.files import to_json
from seewhy.inference.forward import to_input

CLASSES = ("ant", "bee", "cow")


def network() -> SmallNet:
    return SmallNet().eval()


def images(count: int = 10) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3)).astype(np.uint8)


def predicted(count: int = 10, labels=None) -> Predictions:
    logits = np.random.default_rng(1).normal(size=(count, 3)).astype(np.float32)
    return Predictions(logits, labels, CLASSES, np.arange(count).astype(str).astype(object))


def test_each_image_is_explained_by_each_method_and_tested() -> None:
    targets, heard = np.arange(10) % 3, list[Event]()
    methods = {name: METHODS[name] for name in ("grad_cam", "saliency")}
    found = explain_images(
        *(network(), images(), predicted(), targets, methods),
        on_event=heard.append,
    )
    x = to_input(images(), "cpu")
    for name, method in methods.items():
        expected = method(network(), x, torch.from_numpy(targets)).numpy()
        assert found.maps[name] == pytest.approx(expected, rel=1e-4, abs=1e-6)
        assert len(found.checks[name]) == 10
    assert len(found) == 10
    steps = [event for event in heard if isinstance(event, Progress)]
    assert steps[0] == Progress("explaining", 0, 10 * 2 * COST, "prediction")
    assert steps[-1].done == steps[-1].total and len(steps) > 10 * 2 * 5
    done = [event.done for event in steps]
    assert done == sorted(done)
    notes = [event.text for event in heard if isinstance(event, Note)]
    verdicts = ", ".join(f"{name} {found.checks[name].verdict(2)}" for name in methods)
    assert len(notes) == 10 and notes[2] == f"3 of 10: 2: {verdicts}"
    assert isinstance(heard[-1], Note), "each image is reported when it is done"


def test_an_image_alone_and_maps_without_tests_are_no_notes() -> None:
    methods = {"grad_cam": METHODS["grad_cam"]}
    for count, check, total in ((1, True, COST), (3, False, 3)):
        heard: list[Event] = []
        subject = network(), images(count), predicted(count), np.zeros(count, np.int64), methods
        explain_images(*subject, check=check, on_event=heard.append)
        assert {type(event) for event in heard} == {Progress}
        assert (heard[0].done, heard[-1].done, heard[-1].total) == (0, total, total)


def test_without_checks_there_are_maps_alone() -> None:
    methods = {"grad_cam": METHODS["grad_cam"]}
    found = explain_images(
        *(network(), images(2), predicted(2), np.zeros(2, np.int64), methods), check=False
    )
    assert found.checks == {} and found.maps["grad_cam"].shape == (2, 8, 8)
    stored = to_json(found)
    assert stored["pictures"][0]["methods"] == {"grad_cam": None} and stored["methods"] == {}


def test_as_json_it_says_what_was_answered_what_is_explained_and_what_can_be_believed() -> None:
    labels = np.array([0, -1], np.int64)
    methods = {"grad_cam": METHODS["grad_cam"]}
    p = predicted(2, labels)
    found = explain_images(network(), images(2), p, np.array([2, 1]), methods)
    stored = json.loads(json.dumps(to_json(found)))
    first, second = stored["pictures"]
    assert (first["label"], second["label"]) == ("ant", None)
    assert (first["target"], second["target"]) == ("cow", "bee")
    assert first["predicted"] == CLASSES[p.predicted[0]] == first["top"][0]["class"]
    assert sum(row["probability"] for row in first["top"]) == pytest.approx(1)
    check = first["methods"]["grad_cam"]
    assert check["reliable"] == (not check["faults"])
    assert stored["methods"]["grad_cam"]["n"] == 2 and set(check["faults"]) <= set(stored["faults"])


def test_the_surest_mistakes_come_first_then_right_ones_of_all_kinds() -> None:
    logits = np.zeros((40, 3), np.float32)
    logits[:, 0] = np.arange(40)
    labels = np.where(np.arange(40) % 4 == 0, 1, 0)
    labels[39] = -1
    p = Predictions(logits, labels, CLASSES, np.arange(40).astype(str).astype(object))
    assert choose(p, 4, "wrong").tolist() == [36, 32, 28, 24]
    rows = choose(p, 8)
    assert (
        rows[:4].tolist() == [36, 32, 28, 24] and (p.predicted[rows[4:]] == labels[rows[4:]]).all()
    )
    assert len(set(rows.tolist())) == 8 and 39 not in rows
    assert choose(p, 8).tolist() == rows.tolist()
    assert set(choose(p, 100, "right").tolist()) == {r for r in range(39) if r % 4}
    assert len(choose(p, 100)) == 39
    assert choose(p, 1).tolist() == [36] and choose(p, 3)[:2].tolist() == [36, 32]


@pytest.mark.parametrize("wrong", [0, 1, 9, 10])
@pytest.mark.parametrize("count", [1, 7, 8, 50])
def test_where_one_kind_is_short_the_other_fills_its_places(wrong: int, count: int) -> None:
    logits = np.zeros((10, 3), np.float32)
    logits[:, 0] = np.arange(1, 11)
    labels = (np.arange(10) < wrong).astype(np.int64)
    rows = choose(Predictions(logits, labels, CLASSES, np.arange(10).astype(object)), count)
    assert len(set(rows.tolist())) == len(rows) == min(count, 10)
    half = -(-count // 2)
    assert (rows < wrong).sum() == min(wrong, max(half, count - (10 - wrong)))
