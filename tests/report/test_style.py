from matplotlib.figure import Figure

from seewhy.report.style import png


@png
def bars(count: int) -> Figure:
    """Bars."""
    figure = Figure()
    figure.add_subplot().bar(range(count), range(count))
    return figure


def test_a_drawing_gives_png_and_svg_of_the_same_arguments() -> None:
    assert bars(3).startswith(b"\x89PNG")
    assert b"<svg" in bars.svg(3)
    assert bars.__doc__ == "Bars."


def test_equal_drawings_are_equal_files() -> None:
    assert bars.svg(3) == bars.svg(3)


def test_a_notebook_shows_a_drawing_as_the_picture_that_it_is() -> None:
    assert bars(3)._repr_png_() == bytes(bars(3))
