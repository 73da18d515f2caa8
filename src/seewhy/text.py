"""Makes untrusted text (file names, class names) safe to show.

A spreadsheet evaluates a cell that starts like a formula, a terminal obeys control characters, and a file
name may contain both (OWASP ASVS 5.0, 1.2.10).
"""

import csv
import difflib
import io
import shlex
from collections.abc import Iterable
from math import isnan

_FORMULA = tuple("=+-@\t\r\n\0＝＋－＠")


def command_line(*words: object) -> str:
    """A command of `seewhy` that a person can copy into a terminal, whatever the names in it."""
    return visible(shlex.join(["seewhy", *map(str, words)]))


def escape_cell(text: str) -> str:
    """Returns `text` with a leading `'` if a spreadsheet would evaluate it as a formula.

    Only for text: numbers are written as numbers. `csv` does the quoting.
    """
    return "'" + text if text.startswith(_FORMULA) else text


def csv_text(rows: Iterable[Iterable[object]], floats: str = "") -> str:
    """Rows, including the header, as a CSV table (RFC 4180); text cells pass through `escape_cell`.

    `floats` is the format of floating-point numbers, such as ".6f" [full precision].
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    for row in rows:
        writer.writerow(
            escape_cell(cell)
            if isinstance(cell, str)
            else format(cell, floats)
            if isinstance(cell, float)
            else cell
            for cell in row
        )
    return text.getvalue()


def plain_cell(cell: str) -> str:
    """Reverses `escape_cell`: removes the `'` that it has added, and no other."""
    return cell[1:] if cell.startswith("'") and escape_cell(cell[1:]) == cell else cell


def visible(text: str) -> str:
    """Returns `text` with control characters and undecodable bytes escaped, for a message."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def near(name: str, known: Iterable[str]) -> str:
    """Asks for the known name that is nearest; empty if none is near."""
    names = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f": did you mean {names[0]}?" if names else ""


def no_such(kind: str, name: str, known: Iterable[str]) -> str:
    """Says that there is no such name, and which there are, the nearest first."""
    names = list(known)
    asks = near(name, names)
    return f"there is no {kind} {name!r}{asks or ':'} {'C' if asks else 'c'}hoose one of {', '.join(names)}"


def in_points(mean: float, low: float, high: float, metric: str) -> str:
    """A difference with its interval, in percentage points if the metric is a rate."""
    scale, form = (1, "+.4f") if metric == "loss" else (100, "+.2f")
    numbers = [format(scale * number, form) for number in (mean, low, high)]
    return numbers[0] if isnan(low) else f"{numbers[0]} ({numbers[1]} to {numbers[2]})"


def percent(probability: float) -> str:
    """A probability as a whole percentage; below half a percent "<1%", as it is not nothing."""
    return "<1%" if 0 < probability < 0.005 else f"{probability:.0%}"


def p_value(p: float | None) -> str:
    """A p-value with three digits; empty without a test, and a dash if the test is undefined."""
    if p is None:
        return ""
    return "-" if isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}"
