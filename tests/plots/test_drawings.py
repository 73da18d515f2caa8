from typing import Any

import numpy as np
from page.conftest import made
from plots.test_metrics import measured, names, picture

from seewhy.files import to_json
from seewhy.plots.drawings import split_drawings
from seewhy.plots.style import write_drawings

MEASURED = {"confusion", "confusion-rates", "per-class", "class-heat-map"}
CAUSES: dict[str, Any] = {
    "counts": {"duplicate": 0, "label": 0, "picture": 0, "scope": 0, "confusion": 1},
    "unknown": [],
    "mistakes": [{}],
}
RATE = {"value": 0.5, "low": 0.4, "high": 0.6}
PART = {"name": "ant", "errors": 20, "n": 40, "rate": RATE, "rest": RATE, "p": 0.2}
SLICES: dict[str, Any] = {"n": 80, "rate": RATE, "tested": 1, "slices": [PART]}


def test_figures_alone_have_their_drawings_named_by_split(tmp_path) -> None:
    m = measured(names(3))
    assert set(split_drawings(to_json(m))) == {f"{name}-val" for name in MEASURED}
    drawings = split_drawings(to_json(m), m.reliability)
    assert set(drawings) == {f"{name}-val" for name in (*MEASURED, "reliability")}


def test_all_that_is_known_is_drawn_as_png_and_svg(tmp_path) -> None:
    stored, _ = made(("ant", "bee", "<b>"))
    found = {**stored.analysis, "causes": CAUSES, "slices": SLICES}
    images = np.zeros((300, 8, 8, 3), np.uint8)
    drawings = split_drawings(stored.val, None, found, images)
    others = {"ranking", "confidence", "risk-coverage", "slices", "causes"}
    others |= {"worst-mistakes", "confused-pairs"}
    assert set(drawings) == {f"{name}-val" for name in MEASURED | others}
    write_drawings(drawings, tmp_path / "figures")
    for name in drawings:
        assert picture((tmp_path / "figures" / f"{name}.png").read_bytes()).format == "PNG"
        assert b"<svg" in (tmp_path / "figures" / f"{name}.svg").read_bytes()


def test_what_is_not_there_is_not_drawn() -> None:
    stored, _ = made(("ant", "bee"))
    images = np.zeros((300, 8, 8, 3), np.uint8)
    found = {
        "slices": {**SLICES, "tested": 0, "slices": []},
        "causes": {**CAUSES, "mistakes": []},
        "mistakes": {**stored.analysis["mistakes"], "worst": [], "pairs": []},
        "confidence": None,
    }
    assert set(split_drawings(stored.val, None, found, images)) == {f"{n}-val" for n in MEASURED}
    hidden = split_drawings(stored.val, None, {"mistakes": stored.analysis["mistakes"]})
    assert set(hidden) == {f"{name}-val" for name in MEASURED}
