import base64
import io
from dataclasses import replace

import numpy as np
from page.conftest import made
from PIL import Image

from seewhy.evaluation.predictions import Predictions
from seewhy.page import images as module
from seewhy.page.images import A_CELL, choose_rows, packed


def predictions(n=200, k=3):
    rng = np.random.default_rng(1)
    labels = rng.integers(0, k, n)
    logits = (rng.normal(size=(n, k)) + np.eye(k)[labels]).astype(np.float32)
    return Predictions(logits, labels, tuple("abc"[:k]), np.arange(n).astype(str))


def test_a_cell_has_at_most_twelve_the_surest_mistakes_and_the_least_sure_hits():
    p = predictions()
    rows = choose_rows(p, [], None)
    assert len(set(rows.tolist())) == len(rows)
    sure = p.confidence()
    for true in range(3):
        for said in range(3):
            cell = np.flatnonzero((p.labels == true) & (p.predicted == said))
            shown = [row for row in rows if row in set(cell.tolist())]
            ordered = cell[np.argsort(sure[cell] if true == said else -sure[cell])]
            assert shown == ordered[:A_CELL].tolist()


def test_mistakes_are_shown_in_any_case_and_cells_share_what_room_there_is(monkeypatch):
    monkeypatch.setattr(module, "MOST", 9)
    p = predictions()
    rows = choose_rows(p, [], None)
    assert len({(p.labels[row], p.predicted[row]) for row in rows}) == len(rows) == 9
    asked = int(np.flatnonzero(p.labels != p.predicted)[-1])
    assert asked in choose_rows(p, [asked], None)
    assert {(p.labels[r], p.predicted[r]) for r in choose_rows(p, [], [(0, 1)])} == {(0, 1)}


def test_images_and_maps_are_small_webp():
    _, pictures = made(("ant", "bee", "cow"))
    first = packed(pictures)[0]
    picture, glow = (Image.open(io.BytesIO(base64.b64decode(str(data)))) for data in first[4:])
    assert picture.format == glow.format == "WEBP"
    assert picture.size == (8, 8) and glow.mode == "RGBA"


def test_a_map_that_speaks_for_nothing_is_clear():
    _, pictures = made(("ant", "bee", "cow"))
    none = module.ShownImages(
        pictures.rows, pictures.predictions, pictures.images, -abs(pictures.maps)
    )
    glow = Image.open(io.BytesIO(base64.b64decode(str(packed(none)[0][5]))))
    assert np.asarray(glow.convert("RGBA"))[..., 3].max() == 0


def test_weak_evidence_is_seen_beside_strong():
    _, shown = made(("ant", "bee", "cow"))
    maps = np.zeros_like(shown.maps)
    maps[:], maps[0] = 1, 0.1
    weak, strong = packed(replace(shown, maps=maps))[:2]
    alphas = [
        Image.open(io.BytesIO(base64.b64decode(str(one[5])))).getpixel((4, 4))[3]
        for one in (weak, strong)
    ]
    assert 60 < alphas[0] < 100 and alphas[1] > 200
