"""Figures without pixels, for tests that look at other things."""

import io
import sys
from pathlib import Path

import pytest
from PIL import Image

# The command line in an interpreter of its own, which renders nothing.
UNRENDERED = f"""
import sys
sys.path.append({str(Path(__file__).parent)!r})
import pytest, rendering, seewhy.cli
rendering.render_nothing(pytest.MonkeyPatch())
seewhy.cli.main(sys.argv[1:])
"""


def unrendered(*arguments: object) -> list[str]:
    """The command that runs `seewhy ARGUMENTS` so."""
    return [sys.executable, "-c", UNRENDERED, *map(str, arguments)]


def render_nothing(patch: pytest.MonkeyPatch) -> None:
    """Has each figure built of its records and its files written, but neither laid out nor rendered.

    All the figures of a run take twelve times as long as a test's training.
    """
    from seewhy.plots.style import Png

    pixel = io.BytesIO()
    Image.new("RGB", (1, 1)).save(pixel, "PNG")
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>'
    patch.setattr("seewhy.plots.style._png", lambda figure: Png(pixel.getvalue()))
    patch.setattr("seewhy.plots.style._svg", lambda figure: svg)
