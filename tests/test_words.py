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
    r"|symptoms?|parted)\b",
    re.IGNORECASE,
)
STORED = re.compile(r"[a-z0-9_./{}-]+")  # a key, a column or a file name is no message
HISTORY = ("docs/log.md", "docs/decisions/")
# Files that still hold a forbidden word. A file that is cleaned must leave this list.
TO_DO: set[str] = {
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "README.md",
    "docs/guide.md",
    "docs/troubleshooting.md",
    "src/seewhy/augment/__init__.py",
    "src/seewhy/augment/colour.py",
    "src/seewhy/augment/geometry.py",
    "src/seewhy/augment/mixing.py",
    "src/seewhy/augment/preview.py",
    "src/seewhy/cli/__init__.py",
    "src/seewhy/cli/ablate.py",
    "src/seewhy/cli/calibrate.py",
    "src/seewhy/cli/compare.py",
    "src/seewhy/cli/data.py",
    "src/seewhy/cli/data_tables.py",
    "src/seewhy/cli/evaluate.py",
    "src/seewhy/cli/explain.py",
    "src/seewhy/cli/find_lr.py",
    "src/seewhy/cli/labels.py",
    "src/seewhy/cli/learning_curve.py",
    "src/seewhy/cli/predict.py",
    "src/seewhy/cli/preview.py",
    "src/seewhy/cli/report.py",
    "src/seewhy/cli/robustness.py",
    "src/seewhy/cli/tables.py",
    "src/seewhy/cli/train.py",
    "src/seewhy/config/augment.py",
    "src/seewhy/config/data.py",
    "src/seewhy/config/input_rule.py",
    "src/seewhy/config/recipe.py",
    "src/seewhy/config/recipes/advanced-cnn.yaml",
    "src/seewhy/config/recipes/deep-augmented.yaml",
    "src/seewhy/config/recipes/deep-baseline.yaml",
    "src/seewhy/config/recipes/deep-dropout.yaml",
    "src/seewhy/config/recipes/digits.yaml",
    "src/seewhy/config/recipes/photo-cnn.yaml",
    "src/seewhy/config/recipes/strided-cnn.yaml",
    "src/seewhy/config/training.py",
    "src/seewhy/data/__init__.py",
    "src/seewhy/data/bad_files.py",
    "src/seewhy/data/cache.py",
    "src/seewhy/data/images/__init__.py",
    "src/seewhy/data/images/colour.py",
    "src/seewhy/data/images/decode.py",
    "src/seewhy/data/images/near_duplicates.py",
    "src/seewhy/data/imageset.py",
    "src/seewhy/data/inspect/duplicates.py",
    "src/seewhy/data/inspect/findings.py",
    "src/seewhy/data/inspect/gathered.py",
    "src/seewhy/data/inspect/quality.py",
    "src/seewhy/data/inspect/statistics.py",
    "src/seewhy/data/originals.py",
    "src/seewhy/data/sources/cifar.py",
    "src/seewhy/data/sources/cifar_pickle.py",
    "src/seewhy/data/sources/class_folders.py",
    "src/seewhy/data/sources/corrected.py",
    "src/seewhy/data/sources/folders.py",
    "src/seewhy/data/sources/layouts.py",
    "src/seewhy/data/sources/npz.py",
    "src/seewhy/data/sources/parquet.py",
    "src/seewhy/data/sources/source.py",
    "src/seewhy/data/sources/table.py",
    "src/seewhy/data/sources/tree.py",
    "src/seewhy/data/sources/zips.py",
    "src/seewhy/data/split.py",
    "src/seewhy/models/blocks.py",
    "src/seewhy/models/keras.py",
    "src/seewhy/models/network.py",
    "src/seewhy/models/resnet.py",
    "src/seewhy/models/strided_cnn.py",
    "src/seewhy/page/charts.py",
    "src/seewhy/page/figures.py",
    "src/seewhy/page/pictures.py",
    "src/seewhy/page/report.py",
    "src/seewhy/page/robustness.py",
    "src/seewhy/page/stored.py",
    "src/seewhy/page/story.py",
    "src/seewhy/page/templates/report.html.jinja",
    "src/seewhy/page/templates/report.js",
    "src/seewhy/page/templates/review.html.jinja",
    "src/seewhy/page/templates/review.js",
    "src/seewhy/plots/__init__.py",
    "src/seewhy/plots/analysis.py",
    "src/seewhy/plots/attribution.py",
    "src/seewhy/plots/compare.py",
    "src/seewhy/plots/data.py",
    "src/seewhy/plots/drawings.py",
    "src/seewhy/plots/experiments.py",
    "src/seewhy/plots/metrics.py",
    "src/seewhy/plots/network.py",
    "src/seewhy/plots/preview.py",
    "src/seewhy/plots/robustness.py",
    "src/seewhy/plots/sheets.py",
    "src/seewhy/plots/style.py",
    "src/seewhy/run.py",
    "src/seewhy/training/batches.py",
    "src/seewhy/training/objectives.py",
    "src/seewhy/weights/fast.md",
    "src/seewhy/weights/regularized-cnn.md",
    "src/seewhy/weights/simple-cnn.md",
    "src/seewhy/workflows/analyse.py",
    "src/seewhy/workflows/calibrate.py",
    "src/seewhy/workflows/check.py",
    "src/seewhy/workflows/compare.py",
    "src/seewhy/workflows/evaluate.py",
    "src/seewhy/workflows/experiments/learning_curve.py",
    "src/seewhy/workflows/experiments/repetition.py",
    "src/seewhy/workflows/explain.py",
    "src/seewhy/workflows/labels.py",
    "src/seewhy/workflows/predict.py",
    "src/seewhy/workflows/preview.py",
    "src/seewhy/workflows/report.py",
    "src/seewhy/workflows/robustness.py",
}


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


@pytest.mark.parametrize("name", files())
def test_no_forbidden_word(name: str) -> None:
    words = words_of(files()[name])
    if name in TO_DO:
        assert words, f"{name} is clean: take it from TO_DO"
    else:
        assert not words


def test_the_list_names_existing_files() -> None:
    assert files().keys() >= TO_DO


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("a.py", 'x = "a picture of it"', {"picture"}),
        ("a.py", 'x = f"{n} Pictures"  # learns by heart', {"pictures", "learns by heart"}),
        ("a.py", 'picture = stored["pictures"]', set()),
        ("a.py", '"""The field `pictures` of a record."""', set()),
        ("a.jinja", '<html><p id="pictures">{{ pictures }} symptoms</p></html>', {"symptoms"}),
        ("a.js", 'say("no picture"); /* honesty */ const pictures = [];', {"picture", "honesty"}),
        ("a.md", 'A `picture` of `the pictures`: "pictures": 3', {"pictures"}),
        ("a.md", "Departed, with a lie detector", {"lie detector"}),
    ],
)
def test_the_texts_of_a_file(tmp_path: Path, file: str, text: str, words: set[str]) -> None:
    (tmp_path / file).write_text(text)
    assert words_of(tmp_path / file) == words
