"""Which scripts of the world figures can draw with the fonts that are installed."""

from contextlib import suppress

import matplotlib
from matplotlib.font_manager import findfont
from matplotlib.ft2font import FT2Font

from seewhy.plots.style import style

# A letter of each.
SCRIPTS = {
    "Chinese and Japanese": "日",
    "Korean": "한",
    "Arabic": "ع",
    "Hebrew": "א",
    "Devanagari": "ह",
    "Thai": "ก",
    "Cyrillic": "я",
    "Greek": "ω",
}


def undrawn_scripts() -> tuple[str, ...]:
    """The scripts of which no font is installed that figures use: they are drawn as boxes."""
    fonts = []
    with style():
        for family in matplotlib.rcParams["font.family"]:
            with suppress(OSError, RuntimeError, ValueError):  # of a font that was removed since
                fonts.append(FT2Font(findfont(family, fallback_to_default=False)))
    return tuple(
        script
        for script, letter in SCRIPTS.items()
        if not any(font.get_char_index(ord(letter)) for font in fonts)
    )
