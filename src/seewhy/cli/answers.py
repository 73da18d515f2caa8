"""The answers of a model as tables on a terminal, of some hundred images each."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

import click

from seewhy.cli.progress import Terminal
from seewhy.cli.screen import Rows, screen, written
from seewhy.text import percent

if TYPE_CHECKING:
    from rich.text import Text

BAR = 10  # characters of a confidence of 1


class Answers:
    """Prints rows of `seewhy.label_images` as they come; what is live gives way to them."""

    def __init__(self, terminal: Terminal, stream: TextIO) -> None:
        self._terminal, self._stream = terminal, stream

    def __call__(self, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        self._terminal.close()
        full, empty = "█░" if screen(self._stream).encoding.startswith("utf") else "#."
        cells = [_cells(dict(zip(columns, row, strict=True)), full, empty) for row in rows]
        table = Rows([("image", "answer", "confidence", "then"), *cells], "llrl")
        click.echo(written([table], self._stream), self._stream)


def _cells(row: Mapping[str, Any], full: str, empty: str) -> "tuple[str | Text, ...]":
    """The cells of an image: the answer, how sure the model is, and the next labels, or the error."""
    from rich.text import Text

    if row["status"] != "ok":
        return row["path"], Text(row["status"], "red"), "", f"{row['code']}: {row['error']}"
    labels = [value for name, value in row.items() if name.startswith("label")]
    shares = [value for name, value in row.items() if name.startswith("confidence")]
    best, *others = zip(labels, shares, strict=True)
    answer = row.get("answer", best[0])
    if answer != best[0]:  # "not sure" or "out of distribution"
        others = [best, *others]
    then = ", ".join(f"{label} {percent(share)}" for label, share in others)
    bar = Text((full * round(BAR * best[1])).ljust(BAR, empty), "cyan")
    return row["path"], answer, bar.append(f" {percent(best[1]):>4}", "default"), then
