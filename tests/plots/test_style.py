from matplotlib.figure import Figure

from seewhy.plots.style import png, write_drawings


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


def test_equal_drawings_are_equal_files(tmp_path) -> None:
    assert bars.svg(3) == bars.svg(3)
    for folder in ("one", "two"):
        write_drawings({"bars": (bars, [3])}, tmp_path / folder)
    for name in ("bars.png", "bars.svg"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert (tmp_path / "one" / "bars.png").read_bytes() == bars(3)
    assert b"<svg" in (tmp_path / "one" / "bars.svg").read_bytes()


def test_a_figure_is_drawn_once_for_both_files(tmp_path) -> None:
    made = []

    @png
    def counted() -> Figure:
        made.append(Figure())
        return made[-1]

    write_drawings({"counted": (counted, [])}, tmp_path)
    assert len(made) == 1


def test_a_notebook_shows_a_drawing_as_the_image_that_it_is() -> None:
    assert bars(3)._repr_png_() == bytes(bars(3))
