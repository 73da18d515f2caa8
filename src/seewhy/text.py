"""Text that others wrote (file names, class names), made safe to show.

A spreadsheet runs a cell that starts like a formula, a terminal obeys control characters, and a file
name may hold both (OWASP ASVS 5.0, 1.2.10).
"""

_FORMULA = tuple("=+-@\t\r\n\0＝＋－＠")


def escape_cell(text: str) -> str:
    """Returns `text` with a leading `'` where a spreadsheet would take it for a formula.

    For text alone: numbers are written as numbers. `csv` does the quoting.
    """
    return "'" + text if text.startswith(_FORMULA) else text


def plain_cell(cell: str) -> str:
    """Returns a cell as it was meant: the `'` of `escape_cell` is taken off, and no other."""
    return cell[1:] if cell.startswith("'") and escape_cell(cell[1:]) == cell else cell


def visible(text: str) -> str:
    """Returns `text` with control characters and undecodable bytes spelled out, for a message."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
