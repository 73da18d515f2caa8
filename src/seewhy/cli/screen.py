"""What verbs print: lines and tables, fitted to a terminal, or plain text that another program reads."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TextIO, TypeAlias

from seewhy.text import visible

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.table import Table
    from rich.text import Text

PIPED = 1_000_000  # columns: what is not a terminal has no width
GAP = 2  # columns between two of a table
NARROW = 12  # columns that a name may be wrapped to before a table becomes a block a row


Part: TypeAlias = "str | Text | Rows"  # a line, or a table


@dataclass(frozen=True)
class Rows:
    """Rows of cells as columns, the first row as header unless `header` is false.

    `align` has a letter for each column, the last one also for those after it: "l" for words, which are
    wrapped where there is no room, "r" for numbers, which never are. Where these do not fit either, each row
    is a block of its own. A cell of type `Text` may have a style.
    """

    rows: "Sequence[Sequence[str | Text]]"
    align: str = "lr"
    header: bool = True

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> Iterator[Any]:
        from rich.text import Text

        cells = [[_text(cell) for cell in row] for row in self.rows]
        titles, body = (cells[0], cells[1:]) if self.header else ([Text()] * len(cells[0]), cells)
        sides = self.align.ljust(len(titles), self.align[-1])
        room = options.max_width - GAP * (len(sides) - 1)
        widths = _widths(titles, body)
        if sum(widths) > room:  # the words of titles one above the other
            titles = [Text("\n").join(title.split(" ")) for title in titles]
            widths = _widths(titles, body)
        for least in (2 * NARROW, NARROW):  # a name, which comes first, is wrapped last
            for number in reversed(range(len(sides))):
                most = max(room - sum(widths) + widths[number], least)
                if sides[number] == "l":
                    widths[number] = min(widths[number], most)
        if sum(widths) <= room:
            yield self._columns(titles, body, sides, widths)
        else:
            yield from self._blocks(titles, body)

    def _columns(
        self, titles: "list[Text]", body: "list[list[Text]]", sides: str, widths: list[int]
    ) -> "Table":
        from rich.table import Table

        table = Table(
            box=None,
            padding=(0, GAP, 0, 0),
            pad_edge=False,
            show_header=self.header,
            header_style="bold",
        )
        for title, side, width in zip(titles, sides, widths, strict=True):
            justify: Literal["left", "right"] = "right" if side == "r" else "left"
            table.add_column(title, justify=justify, width=width, overflow="fold")
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
    """Lines and tables as text for a stream; control characters, and what it cannot encode, are escaped."""
    console = screen(stream)
    with console.capture() as capture:
        for part in parts:
            if isinstance(part, Rows):
                console.print(part)
            else:  # the terminal wraps it, so that a command in it can be copied
                console.print(_text(part), soft_wrap=True)
    text = "\n".join(line.rstrip() for line in capture.get().splitlines())
    return text.encode(console.encoding, "backslashreplace").decode(console.encoding)


def _text(cell: "str | Text") -> "Text":
    from rich.text import Text

    return Text(visible(cell)) if isinstance(cell, str) else cell.copy()


def _widths(titles: "list[Text]", body: "list[list[Text]]") -> list[int]:
    """The widest line of each column."""
    columns = zip(titles, *body, strict=True)
    return [max(line.cell_len for cell in column for line in cell.split()) for column in columns]
