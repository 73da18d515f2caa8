"""The style that all figures share: colours, fonts, helpers for layout, and rendering to PNG and SVG.

Uses matplotlib's object interface: it needs no display and leaves no global state. Class names are drawn
literally: `$` does not start a formula. The colours are those of Okabe and Ito (2008), which readers with
colour blindness can tell apart; colour maps get darker evenly.
"""

import io
import logging
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import update_wrapper
from itertools import accumulate, chain, count, takewhile
from math import isnan
from pathlib import Path
from textwrap import fill
from typing import Any, Generic, ParamSpec

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.textpath import TextPath
from numpy.typing import NDArray

from seewhy.evaluation.stats.intervals import Interval
from seewhy.files import write_atomic
from seewhy.text import visible

BLUE, LIGHT_BLUE = "#0072B2", "#8CC0DE"
VERMILION, LIGHT_VERMILION = "#D55E00", "#F3C6A5"
GREY, PALE = "#6B6B6B", "#ECECEC"
LONGEST_NAME = 24  # columns, of a letter each
PAGE = 4.8  # inches: the width of a figure that the report shows, also on a phone
PNG_LEVEL = 3  # of zlib, where 6 is usual: half the time, and files of noise a fifth larger
HEADLINE = "headline"  # the id of a figure's title in SVG, which a page has elsewhere
SMALL = 64  # pixels: images up to this size are drawn without interpolation
DASHED: dict[str, Any] = {"color": GREY, "linewidth": 1, "linestyle": (0, (4, 3)), "zorder": 1}

_STYLE: dict[Any, Any] = {
    "text.parse_math": False,
    "svg.hashsalt": "seewhy",  # equal figures give equal files
    "svg.fonttype": "none",  # text stays text: to search, and in the fonts of who reads it
    "figure.dpi": 150,
    "figure.constrained_layout.use": True,
    "figure.titlesize": 11,
    "figure.titleweight": "bold",
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": PALE,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.major.size": 0,  # the grid shows the places
    "ytick.major.size": 0,
    "xtick.major.pad": 7,
    "ytick.major.pad": 7,
    "xtick.labelcolor": "black",
    "ytick.labelcolor": "black",
    "legend.frameon": False,
    "lines.linewidth": 1.8,
}
# Scripts that matplotlib's own font lacks are drawn with those of these fonts that are installed.
_OTHER_SCRIPTS = (
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "WenQuanYi Micro Hei",
    "Hiragino Sans",
    "Yu Gothic",
    "Microsoft YaHei",
    "Malgun Gothic",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
    "Noto Sans Arabic",
    "Arial Unicode MS",
)

Arguments = ParamSpec("Arguments")


class Png(bytes):
    """The bytes of a PNG file, which a notebook displays as an image."""

    def _repr_png_(self) -> bytes:
        return bytes(self)


class Drawing(Generic[Arguments]):
    """A function that draws a figure: called, it returns PNG bytes; `svg` takes the same and returns SVG.

    Always in our style, whatever matplotlib settings the user has.
    """

    def __init__(self, draw: Callable[Arguments, Figure]) -> None:
        update_wrapper(self, draw)
        self._draw = draw

    def __call__(self, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Png:
        with style():  # also while rendering, which creates the ticks
            return _png(self._draw(*args, **kwargs))

    def svg(self, *args: Arguments.args, **kwargs: Arguments.kwargs) -> bytes:
        with style():
            return _svg(self._draw(*args, **kwargs))

    def both(self, *args: Arguments.args, **kwargs: Arguments.kwargs) -> tuple[Png, bytes]:
        """PNG and SVG of one figure; the layout is computed once, which saves a third of the time."""
        with style():
            figure = self._draw(*args, **kwargs)
            png = _png(figure)
            figure.set_layout_engine("none")
            return png, _svg(figure)


def _png(figure: Figure) -> Png:
    sink = io.BytesIO()
    FigureCanvasAgg(figure).print_png(sink, pil_kwargs={"compress_level": PNG_LEVEL})
    return Png(sink.getvalue())


def _svg(figure: Figure) -> bytes:
    sink = io.BytesIO()
    FigureCanvasSVG(figure).print_svg(
        sink, metadata=dict.fromkeys(("Creator", "Date", "Format", "Type"))
    )
    return sink.getvalue()


png = Drawing  # the decorator of functions that draw a figure
Drawings = dict[
    str, tuple[Drawing[Any], Sequence[Any]]
]  # by file name: the function, its arguments


def write_drawings(drawings: Drawings, folder: Path) -> dict[str, bytes]:
    """Writes each figure to `folder` as PNG and SVG, replacing existing files; returns the SVGs by name."""
    written = {}
    for name, (drawing, arguments) in drawings.items():
        png, written[name] = drawing.both(*arguments)
        write_atomic(folder / f"{name}.png", png)
        write_atomic(folder / f"{name}.svg", written[name])
    return written


@contextmanager
def style() -> Iterator[None]:
    """Applies our style to matplotlib within the block, and restores the user's settings after it."""
    installed = {font.name for font in fontManager.ttflist}
    fonts = ["DejaVu Sans", *(name for name in _OTHER_SCRIPTS if name in installed)]
    with matplotlib.rc_context(), _quiet_fonts():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE | {"font.family": fonts})
        yield


@contextmanager
def _quiet_fonts() -> Iterator[None]:
    """Has matplotlib not warn of letters and weights that a font lacks: `font_note` says it once."""
    log = logging.getLogger("matplotlib.font_manager")
    level = log.level
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        log.setLevel(logging.ERROR)
        try:
            yield
        finally:
            log.setLevel(level)


def font_note(names: Iterable[str]) -> str:
    """Says which letters of these names no installed font has, and which font to install; else empty."""
    with style():
        fonts = [
            findfont(FontProperties(family=name)) for name in matplotlib.rcParams["font.family"]
        ]
    known = {letter for font in fonts for letter in get_font(font).get_charmap()}
    missing = sorted({c for name in names for c in visible(name) if ord(c) not in known})
    if not missing:
        return ""
    scripts = {unicodedata.name(c, "").split(" ")[0] for c in missing}
    font = "Noto Sans CJK (Debian: fonts-noto-cjk)"
    if not scripts & {"CJK", "HIRAGANA", "KATAKANA", "HANGUL"}:
        font = "Noto Sans of their script (Debian: fonts-noto-core)"
    letters = "".join(missing[:8]) + "…" * (len(missing) > 8)
    return (
        f"no installed font has the letters {letters} of the class names: figures as PNG show boxes "
        f"until you install {font}; SVG files and the report take the fonts of their reader"
    )


def short(name: str, most: int = LONGEST_NAME) -> str:
    """A name on one line, shortened in the middle to at most so many columns."""
    name = visible(name)
    if _columns(name) <= most:
        return name
    return f"{_start(name, most // 2)}…{_start(name[::-1], most - most // 2 - 1)[::-1]}"


def short_names(names: Sequence[str], most: int = LONGEST_NAME) -> list[str]:
    """`short` of each name; those that would look alike show where they differ, or get a number."""
    alike: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        alike.setdefault(short(name, most), []).append(name)
    shown, taken = dict[str, str](), set[str]()
    for label, group in alike.items():
        letters = zip(*map(visible, group), strict=False)
        same = len(list(takewhile(lambda column: len(set(column)) == 1, letters)))
        for name in group:
            if len(group) > 1:
                head = _start(visible(name), most // 3)
                label = f"{head}…{_start(visible(name)[same:], most - _columns(head) - 1)}"
            numbered = (f"{label} ({number})" for number in count(2))
            shown[name] = next(one for one in chain([label], numbered) if one not in taken)
            taken.add(shown[name])
    return [shown[name] for name in names]


def _columns(text: str) -> int:
    """The width of a text in letters; a Chinese character is as wide as two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _start(text: str, columns: int) -> str:
    """The first letters of a text, as many as fit into this width."""
    ends = accumulate(map(_columns, text))
    return "".join(c for c, end in zip(text, ends, strict=True) if end <= columns)


def name_rows(
    axes: Axes, names: Sequence[str], ylim: tuple[float, float], fontsize: float | None = None
) -> None:
    """Names horizontal rows at y = 0, 1, ..., without ticks or grid lines between them."""
    axes.set_yticks(range(len(names)), names, fontsize=fontsize)
    axes.set_ylim(*ylim)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)


def headline(figure: Figure, text: str) -> None:
    """Writes the title of a figure on as many lines as it needs; the report takes it out."""
    figure.suptitle(fill(text, round(9.2 * figure.get_figwidth())), gid=HEADLINE)


def hide_lines(axes: Axes) -> None:
    """Hides ticks, grid and spines; tick labels stay."""
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)


class Page:
    """A figure on which things are placed in inches from the top left."""

    def __init__(self, width: float, height: float) -> None:
        self.figure = Figure(figsize=(width, height))
        self.figure.set_layout_engine("none")
        self.width, self.height = width, height

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        bottom = self.height - top - height
        box = (left / self.width, bottom / self.height, width / self.width, height / self.height)
        return self.figure.add_axes(box)

    def image(self, left: float, top: float, side: float, image: NDArray[np.uint8]) -> None:
        """An image without axes; a small one is shown with its pixels as they are."""
        axes = self.axes(left, top, side, side)
        small = max(image.shape[:2]) <= SMALL
        axes.imshow(image, interpolation="nearest" if small else "antialiased")
        axes.set_axis_off()

    def fitted(
        self, left: float, top: float, width: float, text: str, fontsize: float, **how: Any
    ) -> None:
        """A line of text, drawn smaller if it would be wider than `width`."""
        size = fitting(width, text, fontsize, how.get("weight", "normal"))
        self.text(left, top, text, fontsize=size, **how)

    def text(self, left: float, top: float, text: str, **how: Any) -> None:
        self.figure.text(left / self.width, 1 - top / self.height, text, **how)


def fitting(width: float, text: str, fontsize: float, weight: str = "normal") -> float:
    """The font size up to `fontsize` at which a line is no wider than `width` in inches."""
    font = FontProperties(size=fontsize, weight=weight)
    wide = TextPath((0, 0), text, prop=font).get_extents().width if text.strip() else 0.0
    return float(fontsize * min(1, 72 * width / (wide + 1)))


def duration(seconds: float) -> str:
    """A duration as text: "3 min 12 s"."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def with_interval(interval: Interval, form: str = ".3f") -> str:
    """A value and its confidence interval as text, or the reason why it has none."""
    if isnan(interval.low):
        return f"{interval.value:{form}} ({interval.reason or 'no CI'})"
    return f"{interval.value:{form}} (95% CI {interval.low:{form}} to {interval.high:{form}})"
