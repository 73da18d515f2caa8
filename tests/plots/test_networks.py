from itertools import combinations

from matplotlib.text import Text

from seewhy.plots.networks import accuracy_by_time
from seewhy.plots.style import style


def test_names_of_near_points_do_not_overlap():
    names = [f"network_{index}" for index in range(12)]
    figures = {
        name: {"seconds": 60 + index, "accuracy": 0.7 + index / 1e4}
        for index, name in enumerate(names)
    }
    figures["far"] = {"seconds": 6000, "accuracy": 0.5}
    measured = {"networks": figures, "epochs": 5, "data": "x", "machine": {"processor": "y"}}
    costs = {name: {"flops": 10**8, "parameters": 10**6} for name in figures}
    with style():
        figure = accuracy_by_time.__wrapped__(measured, costs)
        figure.draw_without_rendering()
        (axes,) = figure.axes
        places = [Text.get_window_extent(text) for text in axes.texts]
    assert len(places) == 13
    assert not any(one.overlaps(other) for one, other in combinations(places, 2))
