"""Names of classes that deceive: two that look like one, characters that do not show, numbers."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence

from seewhy.data.inspect.findings import Example, Finding
from seewhy.text import visible


def name_findings(classes: Sequence[str], merged: Sequence[str] = ()) -> list[Finding]:
    """Finds traps in the names of classes; `merged` are spelled in several forms of Unicode."""
    found = [
        Finding(
            "alike-names",
            "warning",
            "classes whose names differ only in case, spaces, or characters that look the same",
            "if they are one class, give them one name; else make the difference plain",
            _alike(classes),
        ),
        Finding(
            "odd-names",
            "warning",
            "names with spaces at an end or in a row, or with characters that do not show",
            "rename the class: nobody will type it so",
            [Example(_odd(name), name=name) for name in classes if _odd(name)],
        ),
        Finding(
            "unicode-names",
            "warning",
            "names that the source writes in several forms of Unicode; each is read as one class",
            "rename the folders or labels to one form (NFC), or other programs will see two classes",
            [Example("composed and decomposed letters", name=name) for name in merged],
        ),
        Finding(
            "number-names",
            "note",
            "classes are numbers whose order as text, by which they are numbered here, is another",
            "compare classes by name, never by position; or pad the names: 01, 02, ..., 10",
            _numbers(classes),
        ),
    ]
    return [finding for finding in found if finding.count]


def _alike(classes: Sequence[str]) -> list[Example]:
    looks = defaultdict(list)
    for name in classes:
        looks[_look(name)].append(name)
    return [
        Example(
            "looks like " + ", ".join(f"'{visible(name)}'" for name in names[1:]), name=names[0]
        )
        for names in looks.values()
        if len(names) > 1
    ]


def _look(name: str) -> str:
    """Returns what a reader sees of a name: no case, no forms of one letter, no hidden characters."""
    letters = unicodedata.normalize("NFKC", name).casefold()
    shown = "".join(c for c in letters if unicodedata.category(c) not in ("Cf", "Cc", "Cn", "Co"))
    return " ".join(re.split(r"[\s_-]+", shown.strip()))


def _odd(name: str) -> str:
    if name != name.strip():
        return "space at an end"
    if "  " in name:
        return "two spaces in a row"
    hidden = [c for c in name if c != " " and not c.isprintable()]
    return f"has {', '.join(f'U+{ord(c):04X}' for c in hidden)}" if hidden else ""


def _numbers(classes: Sequence[str]) -> list[Example]:
    if len(classes) < 2 or not all(name.isascii() and name.isdigit() for name in classes):
        return []
    by_value = sorted(classes, key=int)
    first = next((n for n, name in enumerate(classes) if name != by_value[n]), None)
    if first is None:
        return []
    return [Example(f"number {first}, where counting gives {by_value[first]}", name=classes[first])]
