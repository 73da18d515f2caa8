"""Text that others wrote (file names, class names), made safe to show.

A spreadsheet runs a cell that starts like a formula, a terminal obeys control characters, and a file
name may hold both (OWASP ASVS 5.0, 1.2.10).
"""

import csv
import io
from collections.abc import Iterable
from math import isnan

_FORMULA = tuple("=+-@\t\r\n\0＝＋－＠")


def escape_cell(text: str) -> str:
    """Returns `text` with a leading `'` where a spreadsheet would take it for a formula.

    For text alone: numbers are written as numbers. `csv` does the quoting.
    """
    return "'" + text if text.startswith(_FORMULA) else text


def csv_text(rows: Iterable[Iterable[object]], floats: str = "") -> str:
    """Rows as a CSV table (RFC 4180), the header among them; text cells pass through `escape_cell`.

    Numbers stay numbers: `floats` is how those with a fraction are written, such as ".6f" [in full].
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
    """Returns a cell as it was meant: the `'` of `escape_cell` is taken off, and no other."""
    return cell[1:] if cell.startswith("'") and escape_cell(cell[1:]) == cell else cell


def visible(text: str) -> str:
    """Returns `text` with control characters and undecodable bytes spelled out, for a message."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def in_points(mean: float, low: float, high: float, metric: str) -> str:
    """A difference with its interval, in points where the metric is a rate."""
    scale, form = (1, "+.4f") if metric == "loss" else (100, "+.2f")
    numbers = [format(scale * number, form) for number in (mean, low, high)]
    return numbers[0] if isnan(low) else f"{numbers[0]} ({numbers[1]} to {numbers[2]})"


def p_value(p: float | None) -> str:
    """A p-value in three digits; nothing where there was no test, and a dash where it tells nothing."""
    if p is None:
        return ""
    return "-" if isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}"
