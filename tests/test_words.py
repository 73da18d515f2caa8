"""Messages, comments and documents keep to the words of the field (DESIGN, "Words")."""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

import seewhy

SOURCE = Path(seewhy.__file__).parent
ROOT = Path(__file__).parents[1]
FORBIDDEN = re.compile(
    r"\b(pictures?|pictured|learn(s|ed|t|ing)? by heart|lie detectors?|honesty|likeness(es)?"
    r"|symptoms?|parted|out of scope)\b",
    re.IGNORECASE,
)
STORED = re.compile(r"[a-z0-9_./{}-]+")  # a key, a column or a file name is no message
HISTORY = ("docs/log.md", "docs/decisions/")
# Files that still hold a forbidden word. A file that is cleaned must leave this list.
TO_DO: set[str] = set()


def texts_of(path: Path) -> list[str]:
    """What a person reads in a file."""
    text = path.read_text()
    if path.suffix in (".py", ".pyi"):
        return python_texts(text)
    if path.suffix in (".jinja", ".js", ".css"):
        return template_texts(text)
    if path.suffix == ".md":
        if path.name == "CHANGELOG.md":  # its table of renamed names holds the old ones
            text = "\n".join(line for line in text.splitlines() if not line.startswith("|"))
        text = re.sub(r"\]\([^)]*\)", "]", text)
        code = re.findall(r"`([^`]*)`", text)
        return [re.sub(r'`[^`]*`|"[a-z_]+":', " ", text), *code]
    return [text]


def python_texts(text: str) -> list[str]:
    comments = [
        token.string
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT
    ]
    strings = [
        node.value
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    return comments + strings


def template_texts(text: str) -> list[str]:
    """Comments and quoted strings, and for a page also what stands between its tags."""
    quoted = re.findall(r'"([^"\n]*)"|`([^`]*)`', text)
    strings = [re.sub(r"\$\{[^}]*\}", " ", a or b) for a, b in quoted]
    comments = re.findall(r"/\*.*?\*/", text, re.DOTALL)
    tags = re.compile(r"\{[{%#].*?[}%#]\}|<[^>]*>", re.DOTALL)
    between = [tags.sub(" ", text)] if "<html" in text else []
    return strings + comments + between


def words_of(path: Path) -> set[str]:
    return {
        match.group().lower()
        for text in texts_of(path)
        if not STORED.fullmatch(text)
        for match in FORBIDDEN.finditer(re.sub(rf"`{STORED.pattern}`", " ", text))
    }


def files() -> dict[str, Path]:
    kinds = (".py", ".pyi", ".jinja", ".js", ".css", ".yaml", ".md")
    paths = [path for path in SOURCE.rglob("*") if path.suffix in kinds]
    paths += [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    named = {str(path.relative_to(ROOT)): path for path in sorted(paths)}
    return {name: path for name, path in named.items() if not name.startswith(HISTORY)}


def test_no_forbidden_word() -> None:
    found = {name: words for name, path in files().items() if (words := words_of(path))}
    assert found.keys() == TO_DO, found


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("a.py", 'x = "a picture of it"', {"picture"}),
        ("a.py", 'x = f"{n} Pictures"  # learns by heart', {"pictures", "learns by heart"}),
        ("a.py", 'picture = stored["pictures"]', set()),
        ("a.py", '"""The field `pictures` of a record."""', set()),
        ("a.jinja", '<html><p id="images">{{ pictures }} symptoms</p></html>', {"symptoms"}),
        ("a.js", 'say("no picture"); /* honesty */ const pictures = [];', {"picture", "honesty"}),
        ("a.md", 'A `picture` of `the pictures`: "pictures": 3', {"pictures"}),
        ("a.md", "Departed, with a lie detector", {"lie detector"}),
    ],
)
def test_the_texts_of_a_file(tmp_path: Path, file: str, text: str, words: set[str]) -> None:
    (tmp_path / file).write_text(text)
    assert words_of(tmp_path / file) == words


COUNTED = re.compile(
    r" (?:[a-z-]+ )?(?:images|files|links|classes|labels|epochs|runs|seeds|folds|trials|columns|rows|sets"
    r"|mistakes|paths|corrections|times)\b"
)


def uncounted(text: str) -> list[str]:
    """The numbers in f-strings that stand before a plural, whatever they are: 1 would be "1 images"."""
    return [
        ast.unparse(value.value)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.JoinedStr)
        for value, after in zip(node.values, node.values[1:], strict=False)
        if isinstance(value, ast.FormattedValue)
        and isinstance(after, ast.Constant)
        and COUNTED.match(str(after.value))
        and is_number(value)
    ]


def is_number(value: ast.FormattedValue) -> bool:
    """Whether a value is written as a whole number, and is no constant of the module."""
    written = ast.unparse(value.value)
    whole = value.format_spec is not None and ast.unparse(value.format_spec) == "f','"
    return (whole or "len(" in written) and not re.fullmatch(r"(\w+\.)*[A-Z_]+(\[\d\])?", written)


def test_numbers_are_written_with_their_noun_by_one_function() -> None:
    found = {path: uncounted(path.read_text()) for path in SOURCE.rglob("*.py")}
    wrong = {str(path): numbers for path, numbers in found.items() if numbers}
    assert not wrong, "write counted(number, noun) of seewhy.text"


def test_numbers_before_a_plural_are_seen() -> None:
    code = 'f"{n:,} other files; {len(x)} images; {MOST:,} images; {n:,} bytes; {n} files"'
    assert uncounted(code) == ["n", "len(x)"]
