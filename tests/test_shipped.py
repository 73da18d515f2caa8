"""The models that come with the package: there, proved, with their cards, and as good as these say."""

import re
import shutil
from importlib import resources

import numpy as np
import pytest

import seewhy
from seewhy.inference.locate import shipped_models

NAMES = ["best", "fast", "regularized-cnn", "simple-cnn"]
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def test_the_promised_models_are_shipped():
    assert shipped_models() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_model_loads_and_predicts(name):
    classifier = seewhy.load(name)
    assert classifier.classes == CIFAR10
    picture = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)
    predictions = classifier.predict([picture, picture])
    assert len(predictions) == 2 and np.isfinite(predictions.logits).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_card_is_of_this_very_file(name):
    card = (resources.files("seewhy") / "weights" / f"{name}.md").read_text()
    assert seewhy.load(name).digest in card and "JPEG copy" in card


@pytest.mark.parametrize("name", NAMES)
def test_info_says_of_which_data_its_metrics_are_and_where_the_card_is(name, tmp_path):
    sections = {section.title: dict(section.rows) for section in seewhy.info(name).sections}
    data = sections["Training data"]["data"]
    card = re.search(r"seewhy/(weights/\S+)", data)[1]
    assert "JPEG copy" in data and (resources.files("seewhy") / card).is_file()
    copy = shutil.copy(seewhy.info(name).file, tmp_path / "own.safetensors")
    sections = {section.title: dict(section.rows) for section in seewhy.info(copy).sections}
    assert "data" not in sections["Training data"]


@pytest.mark.parametrize(
    "name",
    [pytest.param("best", marks=pytest.mark.long), *NAMES[1:]],  # best takes a minute
)
def test_the_card_says_the_accuracy_that_is_measured(name, some_cifar10):
    card = (resources.files("seewhy") / "weights" / f"{name}.md").read_text()
    interval = r"(?:interval |\*\*accuracy\*\*: [\d.]+% \()([\d.]+)% to ([\d.]+)%"
    low, high = map(float, re.findall(interval, card)[-1])  # test comes last
    classifier = seewhy.load(name)
    splits = seewhy.load_data(some_cifar10, rule=classifier.rule, classes=classifier.classes)
    some = splits.test.unseal()
    assert len(some) == 1000
    accuracy = 100 * (classifier.predict_set(some).predicted == some.labels).mean()
    assert low - 4 < accuracy < high + 4  # three standard errors of a thousand images
