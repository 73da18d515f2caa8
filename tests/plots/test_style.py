import pytest
from matplotlib.figure import Figure

from seewhy.plots.style import font_note, png, short_names, write_drawings


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


PLANTS = (
    "Cherry_(including_sour)___Powdery_mildew",
    "Cherry_(including_sour)___healthy",
    "Tomato___Tomato_Yellow_Leaf_Curl_Virus",
    "Tomato___Tomato_mosaic_virus",
)


@pytest.mark.parametrize(
    "names",
    [
        PLANTS,
        tuple("a" * 30 + letter + "b" * 30 for letter in "xyz"),
        tuple("a" * count for count in range(60, 70)),
        tuple("吃" * count for count in range(10, 20)),
        ("class 1", "class 10", "class 100"),
    ],
)
@pytest.mark.parametrize("most", [18, 24])
def test_shortened_names_stay_distinct_and_fit(names: tuple[str, ...], most: int) -> None:
    shown = short_names(names, most)
    assert len(set(shown)) == len(names)
    wide = [sum(2 if letter == "吃" else 1 for letter in name) for name in shown]
    assert max(wide) <= most + len(" (10)")
    assert [short for short, name in zip(shown, names, strict=True) if len(name) <= 9] == [
        name for name in names if len(name) <= 9
    ]


def test_names_of_one_beginning_show_their_ends() -> None:
    assert short_names(PLANTS)[:2] == ["Cherry_(incl…dery_mildew", "Cherry_(incl…)___healthy"]


def test_a_letter_that_no_font_has_is_named_with_the_font_to_install() -> None:
    assert font_note(("ant", "Bär", "שלום")) == ""
    assert "fonts-noto-core" in font_note(("\N{OLD PERSIAN SIGN A}",))
    note = font_note(("\N{CJK UNIFIED IDEOGRAPH-2A6D6}",))  # of the second plane
    assert "\N{CJK UNIFIED IDEOGRAPH-2A6D6}" in note and "fonts-noto-cjk" in note
