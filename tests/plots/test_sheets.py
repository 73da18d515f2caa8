import numpy as np
from matplotlib.figure import Figure
from plots.test_metrics import ODD, drawn, texts

from seewhy.analysis.mistakes import mistakes
from seewhy.evaluation.predictions import Predictions
from seewhy.plots.sheets import COLUMNS, PAIRS, WORST, Tile, confused_pairs, sheet, worst_mistakes


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


def test_a_single_image_has_room_for_its_title() -> None:
    figure = drawn(sheet, tiles(1), "The 1 most confident of 1 mistakes: true class, prediction")
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for box in boxes_of(figure))


def test_images_are_shown_as_they_are_and_places_left_free() -> None:
    some = tiles(3)
    figure = drawn(sheet, [some[0], None, some[1]], "title")
    shown = [axes.images[0].get_array() for axes in figure.axes]
    assert len(shown) == 2 and np.array_equal(shown[1], some[1].image)
    assert figure.axes[0].images[0].get_interpolation() == "nearest"
    assert figure.axes[1].get_position().x0 > figure.axes[0].get_position().x1 + 0.2
    large = drawn(sheet, tiles(1, side=90), "title")
    assert large.axes[0].images[0].get_interpolation() == "antialiased"


def test_the_surest_mistakes_and_each_pair_have_their_images() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 200)
    logits = rng.normal(size=(200, 3)).astype(np.float32)
    p = Predictions(logits, labels, ("a", "b", "c"), np.arange(200).astype(str))
    found = mistakes(p)
    images = rng.integers(0, 256, (200, 8, 8, 3), np.uint8)
    shown, title = worst_mistakes(found, images)
    assert len(shown) == WORST and f"40 most confident of {found.count} mistakes" in title
    first = found.worst[0]
    assert np.array_equal(shown[0].image, images[first.row])
    assert shown[0].true == first.true
    assert shown[0].predicted == f"{first.predicted} {first.confidence:.0%}"
    paired, title = confused_pairs(found, images)
    assert len(paired) == PAIRS * COLUMNS and "5 most frequent" in title
    for line, pair in enumerate(found.pairs[:PAIRS]):
        tile = paired[line * COLUMNS]
        assert tile is not None and tile.true == pair.true
        assert np.array_equal(tile.image, images[pair.examples[0].row])
