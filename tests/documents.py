"""The pages of the documentation, and the commands and code on them."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
# What tells how to use SeeWhy; decisions and the log tell of what was.
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs" / "guide").glob("*.md")),
    ROOT / "docs" / "troubleshooting.md",
    ROOT / "deploy" / "README.md",
]
_FENCE = re.compile(r'^```(\w+)(?: title="([^"\n]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"^ {4}(seewhy .*)$", re.MULTILINE)
_INLINE = re.compile(r"`([^`\n]+)`")


class Block(NamedTuple):
    """A fenced block: its language, the file that it is where a title says so, and its text."""

    language: str
    file: str | None
    text: str


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    return [Block(*match.groups("")) for match in _FENCE.finditer(page.read_text())]


def commands(text: str) -> list[list[str]]:
    """The arguments of each line of a shell that calls `seewhy`, without what redirects it."""
    lines = [shlex.split(line, comments=True) for line in text.splitlines()]
    plain = [line[: line.index(">")] if ">" in line else line for line in lines]
    return [line[1:] for line in plain if line and line[0] == "seewhy"]


def all_commands(page: Path) -> list[list[str]]:
    """Every command on a page: in blocks, indented, and between the words of a sentence."""
    text = page.read_text()
    shell = [block.text for block in blocks(page) if block.language == "bash"]
    text = _FENCE.sub("", text)
    inline = [code for code in _INLINE.findall(text) if code.startswith("seewhy ")]
    return commands("\n".join([*shell, *_INDENTED.findall(text), *inline]))


def flags(page: Path) -> set[str]:
    """The flags that a page speaks of between the words of a sentence."""
    text = _FENCE.sub("", page.read_text())
    codes = [code for code in _INLINE.findall(text) if code.startswith("--")]
    return {flag for code in codes for flag in re.findall(r"(?<!\S)--[\w.-]+(?![\w.*-])", code)}
