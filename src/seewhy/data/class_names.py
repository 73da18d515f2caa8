"""What a label says: one rule for every source.

- Blanks at its ends and its form of Unicode do not matter: `cat`, ` cat ` are one class.
- Numbers of equal value are one class: if 1, 1.0 and 01 all occur, it is named 1.
- Upper and lower case do matter: `Cat` and `cat` are two classes, and a note says so.
- An empty label, None, and NaN are no label: the image is left out, and counted in a note.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from seewhy.errors import DataError

NO_LABEL = "empty, None, NaN, or -1 where labels are numbers"  # what "without a label" means
_MISSING = ("nan", "nat", "<na>")  # as pandas and numpy write a missing value
_NUMBER = re.compile(r"([+-]?)0*([0-9]+)(?:\.([0-9]*?)0*)?")


def label_text(value: Any) -> str:
    """Returns the text of a label of any type, "" for none; a whole float is written as an integer."""
    if value is None:
        return ""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value).strip()
    return "" if text.lower() in _MISSING else text


def one_label_each(labels: np.ndarray) -> np.ndarray:
    """Returns labels (N,) of an array (N,), (N, 1) or of one-hot rows (N, K), whose labels are 0 to K - 1.

    Raises `DataError` for rows that are not one-hot.
    """
    if labels.ndim != 2 or labels.shape[1] == 1:
        return labels.reshape(-1)
    numbers = labels.dtype.kind in "buif"
    if not numbers or not (np.isin(labels, (0, 1)).all() and (labels.sum(1) == 1).all()):
        raise DataError(
            f"rows of labels {labels.shape} that are not one-hot: expected a 1 and else 0 in each, "
            "or one label per image; of probabilities, take y.argmax(1)"
        )
    return labels.argmax(1)


def class_names(labels: Iterable[str]) -> dict[str, str]:
    """Returns the class of each label that occurs in a source, by the rule above."""
    names = {label: unicodedata.normalize("NFC", label).strip() for label in labels}
    spellings: dict[str, set[str]] = defaultdict(set)
    for name in names.values():
        spellings[_plain(name)].add(name)
    return {
        label: _plain(name) if len(spellings[_plain(name)]) > 1 else name
        for label, name in names.items()
    }


class Classes(NamedTuple):
    """The classes of a source, the number of that of each label, and those spelled in several ways."""

    names: tuple[str, ...]
    number: dict[str, int]
    merged: tuple[str, ...]


def classes_of(labels: Sequence[str], order: Iterable[str] | None) -> Classes:
    """Returns the classes of labels, each given once: in this order if there is one, else sorted."""
    name = class_names([*(order or ()), *labels])
    used = {label: name[label] for label in labels}
    names = tuple(dict.fromkeys(map(name.__getitem__, order) if order else sorted(used.values())))
    number = {name: index for index, name in enumerate(names)}
    merged = sorted(name for name, count in Counter(used.values()).items() if count > 1)
    return Classes(names, {label: number[name] for label, name in used.items()}, tuple(merged))


def differ_by_case(names: Iterable[str]) -> list[list[str]]:
    """Returns the names that are equal but for upper and lower case, together."""
    alike = defaultdict(list)
    for name in names:
        alike[name.casefold()].append(name)
    return [group for group in alike.values() if len(group) > 1]


def _plain(name: str) -> str:
    """Returns a number as it is usually written, such as 1 for 01, +1 and 1.0; other names unchanged."""
    number = _NUMBER.fullmatch(name)
    if number is None:
        return name
    sign, whole, fraction = number.groups()
    value = whole + (f".{fraction}" if fraction else "")
    return f"-{value}" if sign == "-" and value != "0" else value
