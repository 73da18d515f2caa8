"""What verbs print: lines and tables, fitted to a terminal, or plain text that another program reads."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, TextIO, TypeAlias

from seewhy.text import visible

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.table import Table
    from rich.text import Text

PIPED = 1_000_000  # columns: what is not a terminal has no width
NARROW = 12  # columns that a name may be wrapped to before a table becomes a block a row


Part: TypeAlias = "str | Text | Rows"  # a line, or a table


@dataclass(frozen=True)
class Rows:
    """Rows of cells as columns, the first row as header unless `header` is false.

    `align` has a letter for each column, the last one also for those after it: "l" for words, which are
    wrapped where there is no room, "r" for numbers, which never are. Where these do not fit either, each row
    is a block of its own. A cell of type `Text` may have a style; `widths` fixes those of columns.
    """

    rows: "Sequence[Sequence[str | Text]]"
    align: str = "lr"
    header: bool = True
    widths: Sequence[int | None] = ()

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> Iterator[Any]:
        from rich.text import Text

        cells = [[_text(cell) for cell in row] for row in self.rows]
        titles, body = (cells[0], cells[1:]) if self.header else ([Text()] * len(cells[0]), cells)
        sides = self.align.ljust(len(titles), self.align[-1])
        for stacked in (False, True):  # the words of titles one above the other
            if stacked:
                titles = [Text("\n").join(title.split(" ")) for title in titles]
            if _room(titles, body, sides) <= options.max_width:
                yield self._columns(titles, body, sides)
                return
        yield from self._blocks(titles, body)

    def _columns(self, titles: "list[Text]", body: "list[list[Text]]", sides: str) -> "Table":
        from rich.table import Table

        table = Table(box=None, pad_edge=False, show_header=self.header, header_style="bold")
        for title, side, width in zip_longest(titles, sides, self.widths):
            table.add_column(
                title,
                justify="right" if side == "r" else "left",
                no_wrap=side == "r",
                overflow="fold",
                vertical="top",
                width=width,
            )
        for row in body:
            table.add_row(*row)
        return table

    def _blocks(self, titles: "list[Text]", body: "list[list[Text]]") -> "Iterator[Text | Rows]":
        from rich.text import Text

        for name, *row in body:
            name.stylize("bold")
            yield name
            pairs = zip(titles[1:], row, strict=True)
            named = [
                (Text("  ") + Text(" ").join(title.split("\n")), cell)
                for title, cell in pairs
                if cell
            ]
            if named:
                yield Rows(named, "l", header=False)


def facts(pairs: Iterable[tuple[str, str]]) -> Rows:
    """Names, each with a text beside it."""
    return Rows(list(pairs), "l", header=False)


def screen(stream: TextIO) -> "Console":
    """A console on a stream: one that is not a terminal has neither colours nor a width."""
    from rich.console import Console

    terminal = stream.isatty()
    return Console(
        file=stream,
        force_terminal=terminal,
        width=None if terminal else PIPED,
        markup=False,
        emoji=False,
        highlight=False,
    )


def written(parts: Iterable[Part], stream: TextIO) -> str:
    """Lines and tables as text for this stream, where control characters in them are escaped."""
    console = screen(stream)
    with console.capture() as capture:
        for part in parts:
            if isinstance(part, Rows):
                console.print(part)
            else:  # the terminal wraps it, so that a command in it can be copied
                console.print(_text(part), soft_wrap=True)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def _text(cell: "str | Text") -> "Text":
    from rich.text import Text

    return Text(visible(cell)) if isinstance(cell, str) else cell.copy()


def _room(titles: "list[Text]", body: "list[list[Text]]", sides: str) -> int:
    """The columns of a terminal that a table needs at least."""
    room = 2 * (len(sides) - 1)
    for title, side, *column in zip(titles, sides, *body, strict=True):
        lines = [line.cell_len for cell in (title, *column) for line in cell.split()]
        room += max(lines) if side == "r" else min(max(lines), NARROW)
    return room
