"""Tables of a data set show names safely and cut what is long."""

import io

import numpy as np
from data.inspect.sets import a_set
from data.pictures import scenes
from plots.test_data import figures

from seewhy.cli.data_tables import findings_text, splits_table, statistics_table
from seewhy.cli.screen import written
from seewhy.data.imageset import Rows
from seewhy.data.inspect import Example, Finding, Gathered
from seewhy.workflows.check import Report


def plain(parts) -> str:
    """Lines and tables as a pipe gets them."""
    return written(parts, io.StringIO())


def report(*findings: Finding) -> Report:
    images = a_set(scenes(4, 8), [0, 1, 0, 1], ("a\x1b[31m", "b"))
    names = np.array(["train"] * 3 + ["test"])
    labels = np.array([0, 1, 0, -1])
    pictures = Gathered(images.take(np.arange(3)), None, names, images.ids, images.hashes, labels)
    assert isinstance(pictures.opened.images, Rows)
    return Report(findings, pictures, {}, ())


def test_counts_add_up_and_names_are_shown_safely():
    text = plain([splits_table(figures(("a\x1b[31m", "b"), train=[1000, 2], val=[3, 4]))])
    assert "\x1b" not in text and text.splitlines()[-1].split() == ["all", "1,002", "7"]


def test_many_classes_are_cut():
    names = tuple(f"c{n}" for n in range(80))
    text = plain([splits_table(figures(names, train=[1] * 80))])
    assert "c49" in text and "c50" not in text and "30 more classes" in text


def test_sizes_and_colours_are_told():
    text = plain(statistics_table(figures(train=[1, 2])))
    assert "to 2000x300, 3 in all" in text and "stored at  147x147" in text
    assert "0.500 0.500 0.500" in text


def test_a_finding_shows_some_examples_and_what_to_do():
    examples = [Example("agreement 0.9", (0, 3))] + [Example("x", name="\x1b")] * 9
    text = plain(findings_text(report(Finding("leak", "error", "what", "do this", examples))))
    assert "error  leak  10: what" in text and "-> do this" in text and "and 7 more" in text
    assert "0.png (train, a\\x1b[31m) = 3.png (test): agreement 0.9" in text and "\x1b" not in text


def test_nothing_found_is_said():
    assert plain(findings_text(report())) == "4 images: no problems found"
