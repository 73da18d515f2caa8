"""Misleading class names: names that look the same, invisible characters, numbers."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence

from seewhy.data.inspect.findings import Example, Finding, with_examples
from seewhy.text import visible


def name_findings(classes: Sequence[str], merged: Sequence[str] = ()) -> list[Finding]:
    """Finds misleading class names; `merged` are spelled in several ways."""
    return with_examples(
        Finding(
            "alike-names",
            "warning",
            "classes whose names differ only in case, spaces, or characters that look the same",
            "if they are one class, give them one name; otherwise make the difference clear",
            _alike(classes),
        ),
        Finding(
            "odd-names",
            "warning",
            "names that begin or end with a space, or have double spaces or invisible characters",
            "rename the class: people will type it differently",
            [Example(_odd(name), name=name) for name in classes if _odd(name)],
        ),
        Finding(
            "unicode-names",
            "warning",
            "names that the source spells in several ways: forms of Unicode, blanks at the ends, 1 and 1.0",
            "each is read as one class; rename the folders or labels, or other programs will see two",
            [Example("several spellings", name=name) for name in merged],
        ),
        Finding(
            "number-names",
            "note",
            "class names are numbers, but classes are sorted as text: 10 comes before 2",
            "compare classes by name, never by position; or pad the names: 01, 02, ..., 10",
            _numbers(classes),
        ),
    )


def _alike(classes: Sequence[str]) -> list[Example]:
    looks = defaultdict(list)
    for name in classes:
        looks[_look(name)].append(name)
    return [
        Example("looks like " + ", ".join(f"'{visible(n)}'" for n in others), name=first)
        for first, *others in looks.values()
        if others
    ]


def _look(name: str) -> str:
    """Returns a name without case, variants of letters and invisible characters."""
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
