import re
from itertools import pairwise
from xml.etree.ElementTree import fromstring

import numpy as np
import pytest
from page.conftest import made

from seewhy.page import charts


def test_charts_are_well_formed_and_on_their_page():
    stored, _ = made(("ant", "bee", "cow"))
    confidence = stored.analysis["confidence"]
    drawn = [
        charts.training_curves(stored.history, "loss", 2),
        charts.training_curves(stored.history[:1], "accuracy", 0),
        charts.reliability(confidence["reliability"]),
        charts.confidence_histogram(confidence),
        charts.risk_coverage(confidence["risk_coverage"]),
    ]
    for chart in drawn:
        for element in fromstring(chart).iter():
            for x in ("x", "x1", "x2", "cx"):
                assert 0 <= float(element.get(x, 0)) <= charts.WIDTH
            for y in ("y", "y1", "y2", "cy"):
                assert 0 <= float(element.get(y, 0)) <= charts.HEIGHT


def test_an_interval_lies_where_its_rate_does():
    svg = fromstring(charts.interval({"value": 0.75, "low": 0.6, "high": 0.8}, 0.5))
    circle = svg.find("circle")
    assert circle is not None and circle.get("cx") == "50.00%"


def test_a_loss_that_became_infinite_is_left_out_of_the_scale():
    stored, _ = made(("ant", "bee", "cow"))
    history = [{**stored.history[0], "val_loss": np.inf}, *stored.history[1:]]
    chart = charts.training_curves(history, "loss", 2)
    assert "nan" not in chart and "inf" not in chart


def test_labels_at_the_ends_of_curves_do_not_cover_each_other():
    point = {"value": 0.0, "low": 0.0, "high": 0.1}
    curve = {"about": "of 255", "strengths": [0.25, 1.0, 4.0], "accuracy": [point] * 3}
    svg = str(charts.strengths(dict.fromkeys(("one", "two", "three"), curve), 0.9, doubling=True))
    heights = [float(y) for y in re.findall(r'<text x="[\d.]+" y="([\d.]+)" class="label', svg)]
    assert len(heights) == 3
    assert all(a - b >= charts.GAP for a, b in pairwise(heights))
    places = [
        float(x) for x in re.findall(r'<text x="([\d.]+)" y="[\d.]+" class="tick middle', svg)
    ]
    assert places[1] - places[0] == pytest.approx(places[2] - places[1], abs=0.2)  # equal factors
