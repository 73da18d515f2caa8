"""Makes untrusted text (file names, class names) safe to show.

A spreadsheet evaluates a cell that starts like a formula, a terminal obeys control characters, and a file
name may contain both (OWASP ASVS 5.0, 1.2.10).
"""

import codecs
import csv
import difflib
import html
import io
import re
import shlex
import unicodedata
from collections.abc import Iterable, Sequence
from contextlib import suppress
from math import isnan
from pathlib import PurePath
from typing import SupportsIndex

_MARKS = {  # the longer first: that of UTF-32 starts like that of UTF-16
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_START = 4096  # bytes that tell UTF-16 without a mark
_QUOTED = re.compile(r"(['\"]).+\1", re.DOTALL)
_FORMULA = tuple("=+-@\t\r\n\0＝＋－＠")


def command_line(*words: object) -> str:
    """A command of `seewhy` that a person can copy into a terminal, whatever the names in it."""
    texts = (word.as_posix() if isinstance(word, PurePath) else str(word) for word in words)
    return visible(shlex.join(["seewhy", *texts]))


def escape_cell(text: str) -> str:
    """Returns `text` with a leading `'` if a spreadsheet would evaluate it as a formula.

    Only for text: numbers are written as numbers. `csv` does the quoting.
    """
    return "'" + text if text.startswith(_FORMULA) else text


def escape_markdown(text: str) -> str:
    """Returns `text` so that Markdown shows it as it is: no markup, HTML, table, formula or link."""
    shown = html.escape(visible(text), quote=False)
    return re.sub(r"([\\`*_\[\]|~$!#])", r"\\\1", shown).replace("://", ":\\//")


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


def decoded(data: bytes) -> tuple[str, str]:
    """Returns text of unknown encoding, and the name of the encoding.

    A byte-order mark decides; without one, zeros at every other byte mean UTF-16; what is not UTF-8 is
    Windows-1252, or Latin-1 where that has no character.
    """
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace"), encoding
    for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if len(data) > 3 and data[first:_START:2].count(0) > 0.4 * len(data[first:_START:2]):
            return data.decode(encoding, "replace"), encoding
    for encoding in ("utf-8", "cp1252"):
        with suppress(UnicodeDecodeError):
            return data.decode(encoding), encoding
    return data.decode("latin-1"), "latin-1"


def listed(data: bytes) -> list[str]:
    """Returns the lines of a list of paths, without blanks and quotes at their ends; blank ones are left out.

    The encoding is that of `decoded`, but bytes that are not UTF-8 are kept as they are in file names. Lines
    end with any of LF, CRLF and NUL.
    """
    text, encoding = decoded(data)
    if encoding in ("cp1252", "latin-1"):
        text = data.decode("utf-8", "surrogateescape")
    lines = [line.strip() for line in re.split(r"[\r\n\0]", text)]
    return [line[1:-1] if _QUOTED.fullmatch(line) else line for line in lines if line]


_OF_ONE = {"are": "is", "were": "was", "have": "has", "look": "looks"}


def counted(count: SupportsIndex, noun: str, verb: str = "") -> str:
    """A number with its noun, and a verb: "1 image", "2,000 images", "1 class was", "3 classes were"."""
    if verb:
        return f"{counted(count, noun)} {_OF_ONE[verb] if count == 1 else verb}"
    if count == 1:
        return f"1 {noun}"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{count:,} {noun[:-1]}ies"
    return f"{count:,} {noun}{'es' if noun.endswith(('s', 'x', 'tch', 'sh')) else 's'}"


def epochs_done(epochs: int) -> str:
    """The epochs of a training; with none of them, the last layer alone was fitted to frozen features."""
    return f"{epochs:,}" if epochs else "0 (last layer)"


def visible(text: str) -> str:
    """Returns `text` with control characters and undecodable bytes escaped, for a message."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)  # by Windows
_MOST_BYTES = 200  # of a file name; systems take 255


def folder_name(text: str) -> str:
    """Returns text as the name of one folder, on every system: never a path, hidden, or too long."""
    name = re.sub(r'[\\/:*?"<>|]', "_", visible(text)).strip(" .")
    name = name.encode("utf-8")[:_MOST_BYTES].decode("utf-8", "ignore").strip(" .")
    return f"_{name}" if not name or _RESERVED.match(name) else name


def folder_names(texts: Iterable[str]) -> list[str]:
    """Returns `folder_name` of each text, with a number where two would be one, also in other case."""
    names: list[str] = []
    taken, numbers = set[str](), dict[str, int]()
    for name in map(folder_name, texts):
        numbered = name
        while _folded(numbered) in taken:
            numbers[_folded(name)] = number = numbers.get(_folded(name), 1) + 1
            numbered = f"{name}-{number}"
        taken.add(_folded(numbered))
        names.append(numbered)
    return names


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def shortened(names: Sequence[str], most: int = 5) -> str:
    """Returns the first of these names, visible, and how many more there are."""
    shown = ", ".join(map(visible, names[:most]))
    return shown + (f" and {len(names) - most:,} more" if len(names) > most else "")


def near(name: str, known: Iterable[str]) -> str:
    """Asks for the known name that is nearest; empty if none is near."""
    names = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f": did you mean {names[0]}?" if names else ""


def without_password(address: str) -> str:
    """The address of a database as it may be shown and stored: its password replaced by ***."""
    # Up to the last @ before a slash; without one, to the first @, as a slash may be in a password.
    address = re.sub(r"(://[^/@:]*):(?:[^/]*|[^@\s]*)@", r"\1:***@", address)
    return re.sub(r"(password=)[^&\s]*", r"\1***", address)


def registry_flags(place: str | PurePath | None) -> tuple[str, ...]:
    """The flags of a command that goes on in the registry at `place`; none where it is the default one."""
    return () if place is None else ("--registry", without_password(str(place)))


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
    """A probability as a whole percentage: "<1%" and ">99%" for what is neither nothing nor certain."""
    if 0 < probability <= 0.005:
        return "<1%"
    return ">99%" if 0.995 <= probability < 1 else f"{probability:.0%}"


def p_value(p: float | None) -> str:
    """A p-value with three digits; empty without a test, and a dash if the test is undefined."""
    if p is None:
        return ""
    return "-" if isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}"
