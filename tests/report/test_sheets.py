import numpy as np
from matplotlib.figure import Figure
from report.test_figures import ODD, drawn, picture, texts

from seewhy.analysis.mistakes import mistakes
from seewhy.evaluation import Predictions
from seewhy.report.sheets import Tile, draw_mistakes, sheet


def tiles(count: int, side: int = 12) -> list[Tile]:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (count, side, side, 3), np.uint8)
    return [
        Tile(pictures[n], ODD[n % len(ODD)], f"{ODD[-n % len(ODD)]} 9{n % 10}%", "a remark")
        for n in range(count)
    ]


def boxes_of(figure: Figure) -> list:
    return [text.get_window_extent() for text in texts(figure)]


def test_captions_stay_on_the_page_and_apart() -> None:
    figure = drawn(
        sheet, tiles(19), "A title that is a good deal longer than four pictures are wide"
    )
    page = figure.bbox.padded(1)
    boxes = boxes_of(figure)
    assert all(
        b.x0 >= page.x0 and b.x1 <= page.x1 and b.y0 >= page.y0 and b.y1 <= page.y1 for b in boxes
    )
    assert not any(a.overlaps(b) for n, a in enumerate(boxes) for b in boxes[:n])


def test_a_single_picture_has_room_for_its_title() -> None:
    figure = drawn(sheet, tiles(1), "The 1 most confident of 1 mistakes: what it is, what was said")
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for box in boxes_of(figure))


def test_pictures_are_shown_as_they_are_and_places_left_free() -> None:
    some = tiles(3)
    figure = drawn(sheet, [some[0], None, some[1]], "title")
    shown = [axes.images[0].get_array() for axes in figure.axes]
    assert len(shown) == 2 and np.array_equal(shown[1], some[1].picture)
    assert figure.axes[0].images[0].get_interpolation() == "nearest"
    assert figure.axes[1].get_position().x0 > figure.axes[0].get_position().x1 + 0.2
    large = drawn(sheet, tiles(1, side=90), "title")
    assert large.axes[0].images[0].get_interpolation() == "antialiased"


def test_the_mistakes_are_drawn_with_their_pictures(tmp_path) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 60)
    logits = rng.normal(size=(60, 3)).astype(np.float32)
    found = mistakes(Predictions(logits, labels, ("a", "b", "c"), np.arange(60).astype(str)))
    images = rng.integers(0, 256, (60, 8, 8, 3), np.uint8)
    draw_mistakes(found, images, "val", tmp_path / "figures")
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert names == {"worst-mistakes-val.png", "confused-pairs-val.png"}
    for path in (tmp_path / "figures").iterdir():
        assert picture(path.read_bytes()).format == "PNG"


def test_no_mistakes_are_no_picture(tmp_path) -> None:
    right = Predictions(np.eye(2, dtype=np.float32), np.array([0, 1]), ("a", "b"), np.arange(2))
    draw_mistakes(mistakes(right), np.zeros((2, 8, 8, 3), np.uint8), "val", tmp_path / "figures")
    assert not (tmp_path / "figures").exists()
