"""Drawings of a data set are drawn whatever it holds, and show what they say."""

import io
from dataclasses import replace

import numpy as np
import pytest
from data.inspect.sets import a_set
from data.pictures import scenes, write_scenes
from PIL import Image
from plots.test_analysis import all_on_the_page
from plots.test_metrics import drawn

from seewhy.config.data import DataConfig
from seewhy.data import load_data
from seewhy.data.inspect import Example, Finding, Statistics, gather
from seewhy.plots import data as data_figures
from seewhy.plots.data import (
    class_counts,
    class_sheet,
    finding_sheet,
    image_sizes,
    overview,
    telling_number,
)

ODD = ("$x_1$", "a\nb", "<b>", "%d", "日本", "مرحبا", "😀", "w" * 60, "\\", "_^{}")


def picture(png: bytes | None) -> np.ndarray:
    assert png is not None
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def figures(classes=("a", "b"), **counts: list[int]) -> Statistics:
    return Statistics(
        layout="folders",
        classes=tuple(classes),
        counts={name: np.array(count) for name, count in counts.items()},
        sizes=np.array([[500, 375], [375, 500], [2000, 300]], np.int32),
        stored=147,
        mean=np.full(3, 0.5),
        std=np.full(3, 0.2),
        bad=0,
    )


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    root = write_scenes(
        tmp_path_factory.mktemp("d"),
        {f"{split}/{name}": 4 for split in ("train", "val", "test") for name in "ab"},
    )
    return load_data(root, DataConfig(size=32))


@pytest.mark.parametrize("classes", [("a", "b"), ODD, tuple(f"c{n}" for n in range(300))])
def test_counts_are_drawn_for_any_classes(classes):
    counts = list(range(len(classes)))
    one = picture(class_counts(figures(classes, train=counts, val=counts, test=counts[::-1])))
    other = picture(class_counts(figures(classes, train=counts, val=counts)))
    assert one.std() > 10 and not np.array_equal(one, other[: len(one)])


def test_no_images_at_all_are_drawn_too():
    assert picture(class_counts(figures(train=[0, 0], val=[0, 0]))).std() > 5


def test_sizes_are_drawn_where_they_are():
    one = picture(image_sizes(figures(train=[1, 2])))
    moved = figures(train=[1, 2])
    moved = replace(moved, sizes=np.array([[500, 375], [375, 500], [300, 2000]], np.int32))
    assert one.std() > 5 and not np.array_equal(one, picture(image_sizes(moved)))


@pytest.mark.parametrize("stored", [16, 32, 224])
def test_the_stored_size_is_on_the_figure_also_beyond_all_images(stored):
    alike = replace(figures(train=[1]), sizes=np.full((50, 2), 32, np.int32), stored=stored)
    figure = drawn(image_sizes, alike)
    (axes,) = figure.axes
    assert all_on_the_page(figure) and axes.get_xlim()[0] < stored < axes.get_xlim()[1]
    assert figure.get_suptitle() == "50 images in 1 size, median 32x32"


def test_an_overview_shows_images_of_each_class(splits):
    drawn = picture(overview(splits.train))
    for row in range(len(splits.train)):
        colour = splits.train.images[row].reshape(-1, 3)[0]
        assert np.any(np.all(drawn == colour, axis=2))
    assert picture(overview(a_set(scenes(10, 16), range(10), ODD))).std() > 10


def test_many_classes_are_shown_in_part(monkeypatch):
    monkeypatch.setattr(data_figures, "MOST_ROWS", 2)
    images = a_set(scenes(6, 16), [0, 1, 2, 3, 4, 5])
    assert (
        len(picture(overview(images)))
        < len(picture(overview(a_set(scenes(6, 16), [0, 1, 2, 2, 2, 2])))) * 1.2
    )


@pytest.mark.parametrize("count", [0, 1, 9, 200])
def test_a_class_has_a_sheet_however_large_it_is(count):
    images = a_set(scenes(count + 1, 16), [0] * count + [1], ("a", "b"))
    assert picture(class_sheet(images, 0)).shape[1] > 500


def finding(*examples: Example) -> Finding:
    return Finding("near-leak", "warning", "pairs that look alike", "remove one", examples)


def test_pairs_are_side_by_side_and_test_is_covered(splits):
    pictures = gather(splits)
    sealed = len(pictures.opened)
    drawn = picture(finding_sheet(finding(Example("agreement 0.9", (0, sealed))), pictures))
    hidden = splits.test.unseal().images[0].reshape(-1, 3)
    shown = splits.train.images[0].reshape(-1, 3)

    def share(pixels: np.ndarray) -> float:
        wanted = np.unique(pixels, axis=0)
        return np.mean([np.any(np.all(drawn == colour, axis=2)) for colour in wanted[::9]])

    assert share(shown) == 1 and share(hidden) < 0.3
    assert np.mean(np.all(drawn == 236, axis=2)) > 0.05


def test_a_finding_about_no_image_has_no_sheet(splits):
    assert finding_sheet(finding(Example("detail", name="a")), gather(splits)) is None


def test_a_finding_of_many_is_drawn_in_part(splits, monkeypatch):
    monkeypatch.setattr("seewhy.plots.data.MOST", 24)
    many = finding(*[Example("light 0.1", (n % 16,)) for n in range(50)])
    pairs = finding(*[Example("agreement 0.9", (n % 16, (n + 1) % 16)) for n in range(50)])
    for one in (many, pairs):
        assert picture(finding_sheet(one, gather(splits))).shape[0] < 1000


def test_a_telling_number_is_drawn_with_its_classes():
    labels = np.arange(60) % 3
    images = a_set(scenes(60, 8), labels, ("a", "$b$", "c"))
    values = labels + np.linspace(0, 0.1, 60)
    red = [
        np.sum(
            np.all(picture(telling_number("red", values, images, given)) == (213, 94, 0), axis=2)
        )
        for given in ({0}, {0, 1, 2})
    ]
    assert 0 < red[0] < red[1]


def test_the_title_of_a_number_that_tells_many_classes_fits():
    labels = np.arange(60) % 12
    names = tuple(f"class {label} of a long name" for label in range(12))
    figure = drawn(
        telling_number, "red", labels.astype(float), a_set(scenes(60, 8), labels, names), range(12)
    )
    assert all_on_the_page(figure) and figure.get_suptitle().endswith("and 7 more")
