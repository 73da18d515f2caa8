"""The pages of the site that are not files of `docs/`; MkDocs calls the functions `on_...`.

Files elsewhere in the repository (README.md is the first page), the recipes and networks with what was
measured of them, the results in `benchmarks/results`, and the command line with all its flags.
"""

import json
import posixpath
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import seewhy
from seewhy.cli import VERBS, cli
from seewhy.config.networks import NETWORKS, STORED_COST
from seewhy.config.networks.options import NetworkOptions
from seewhy.config.recipe import SHIPPED, load_recipe, recipe_names
from seewhy.text import counted

ROOT = Path(__file__).parents[1]
RESULTS = "benchmarks/results"
# Files and folders elsewhere in the repository, and the pages that show them.
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "deploy/README.md": "deploy.md",
    "deploy": "deploy.md",
    "docs": "index.md",
    "docs/decisions": "decisions/0002-the-objective-returns-logits.md",
    RESULTS: "measured/results.md",
    "src/seewhy/config/recipes": "measured/recipes.md",
    "src/seewhy/config/networks/measured.json": "measured/networks.md",
    "src/seewhy/cli/train.py": "reference/commands.md",
    "notebooks": "guide/notebooks.md",
}
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)\s#]+)(?=#[^)]*\)|\))")


def on_config(config: MkDocsConfig) -> None:
    """Adds every decision and every table of results to the navigation."""
    (sections,) = [{title: pages for part in config.nav for title, pages in part.items()}]
    sections["Decisions"][:0] = [f"decisions/{path.name}" for path in _files("docs/decisions/*.md")]
    sections["Measured"] += [_measured(path) for path in _files(f"{RESULTS}/**/*.md")]


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Adds the pages that are made here, and every file that a page links to."""
    pages = {
        "measured/recipes.md": _recipes(),
        "measured/networks.md": _networks(),
        "measured/results.md": _results(),
        "reference/commands.md": _commands(),
    }
    for origin, page in PAGES.items():
        if origin.endswith(".md"):
            pages[page] = (ROOT / origin).read_text()
    for table in _files(f"{RESULTS}/**/*.md"):
        pages[_measured(table)] = _titled(table)
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    texts = {file.src_uri: file.content_string for file in files.documentation_pages()}
    linked = {link for page, text in texts.items() for link in _links(text, page)}
    for path in sorted(linked):
        if _uri(path) == f"files/{path}" and (ROOT / path).is_file():
            files.append(File.generated(config, _uri(path), abs_src_path=str(ROOT / path)))


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Has links to files of the repository lead to where they are on the site."""
    here = page.file.src_uri

    def moved(match: re.Match[str]) -> str:
        return posixpath.relpath(_uri(_target(match[0], here)), posixpath.dirname(here) or ".")

    return LINK.sub(moved, markdown)


def _links(text: str, page: str) -> Iterator[str]:
    """The files and folders of the repository that a page links to."""
    return (_target(match[0], page) for match in LINK.finditer(text))


def _target(link: str, page: str) -> str:
    """The path in the repository that a link on a page means."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(_origin(page)), link))


def _origin(page: str) -> str:
    """The path in the repository of what a page shows."""
    origins = {name: origin for origin, name in PAGES.items() if origin.endswith(".md")}
    results = {
        _measured(path): path.relative_to(ROOT).as_posix() for path in _files(f"{RESULTS}/**/*.md")
    }
    return {**origins, **results}.get(page, f"docs/{page}")


def _uri(path: str) -> str:
    """Where a file or folder of the repository is on the site."""
    if path in PAGES:
        return PAGES[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if path.startswith(RESULTS) and path.endswith(".md"):
        return _measured(ROOT / path)
    return f"files/{path}"


def _files(pattern: str) -> list[Path]:
    return sorted(ROOT.glob(pattern))


def _measured(path: Path) -> str:
    return f"measured/{path.relative_to(ROOT / RESULTS).as_posix()}"


def _titled(path: Path) -> str:
    text = path.read_text()
    return (
        text if text.startswith("# ") else f"# {path.stem.capitalize().replace('-', ' ')}\n\n{text}"
    )


def _table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    lines = [list(head), ["---"] * len(list(head)), *rows]
    cells = [[str(cell).replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _loaded(name: str) -> dict[str, Any]:
    return json.loads((ROOT / RESULTS / name).read_text())


def _accuracy(values: list[float]) -> str:
    spread = f", std {stdev(values):.2%}" if len(values) > 1 else ""
    return f"{mean(values):.2%}{spread}"


def _recipes() -> str:
    """All recipes, what they reached, and each in full."""
    head = ("recipe", "what it is for", "network", "image side", "epochs")
    rows = [_recipe_row(name) for name in recipe_names()]
    files = [f"## {name}\n\n```yaml\n{_recipe_text(name)}\n```" for name in recipe_names()]
    return "\n\n".join(
        [
            "# Recipes, measured",
            "`seewhy recipes` lists them and `seewhy recipes show NAME` prints one with all its fields. "
            "[How to change one, and how to write your own](../guide/recipes.md).",
            _table(head, rows),
            *_reached_on_cifar10(),
            *_reached_on_photographs(),
            "Below, each recipe as its file has it: a field that is not named has its default.",
            *files,
        ]
    )


def _recipe_row(name: str) -> tuple[Any, ...]:
    recipe = load_recipe(name)
    return (
        f"[{name}](#{name})",
        recipe.about,
        recipe.model.name,
        recipe.data.size,
        recipe.train.epochs,
    )


def _recipe_text(name: str) -> str:
    return (SHIPPED / f"{name}.yaml").read_text().strip()


def _reached_on_cifar10() -> Iterator[str]:
    stored = _loaded("cifar10.json")
    runs: dict[str, list[dict[str, Any]]] = {}
    for run in stored["runs"]:
        runs.setdefault(run["recipe"], []).append(run)
    rows = [
        (recipe, _accuracy([run["test_accuracy"] for run in group]), len(group), _minutes(group))
        for recipe, group in runs.items()
    ]
    yield f"## On {stored['data']}"
    yield (
        f"Test split, {_machine(stored)}; `python benchmarks/cifar10.py DATA`, stored in "
        f"[cifar10.json](../../{RESULTS}/cifar10.json)."
    )
    yield _table(("recipe", "test accuracy", "seeds", "minutes of training"), rows)
    yield (
        "`best` was trained in part beside other work: from 8 of its epochs alone, an hour and a quarter is "
        "calculated ([the log](../log.md#what-93-of-cifar-10-costs))."
    )
    yield "The same networks as in a plain tutorial, one seed; seconds for an epoch of 50,000 images:"
    baselines = [
        (row["net"], f"{row['test_accuracy']:.2%}", f"{row['epoch_seconds_50000']:.1f}")
        + (f"{row['seewhy_epoch_seconds_50000']:.1f}", f"{row['times_faster']:.1f}")
        for row in stored["baselines"]
    ]
    head = (
        "network",
        "tutorial: test accuracy",
        "tutorial: seconds",
        "SeeWhy: seconds",
        "times faster",
    )
    yield _table(head, baselines)


def _reached_on_photographs() -> Iterator[str]:
    stored, transfer = _loaded("photos.json"), _loaded("transfer.json")["hymenoptera transfer"]
    accuracies = [turn["accuracy"] for turn in transfer["turns"]]
    seconds = [transfer[name]["seconds"] for name in ("cold", "warm")]
    rows = [
        ("transfer", _accuracy(accuracies), len(accuracies), f"{seconds[0]:.0f}"),
        ("transfer, its features in the cache", "the same", "", f"{seconds[1]:.0f}"),
    ]
    rows += [
        (
            recipe,
            _accuracy(found["val_accuracy"]),
            len(found["seconds"]),
            f"{mean(found['seconds']):.0f}",
        )
        for recipe, found in stored["recipes"].items()
    ]
    yield "## On photographs of ants and bees"
    yield (
        "245 images to train on and 153 others to measure. `transfer`: "
        f"{_machine(transfer)}, `python benchmarks/transfer.py PHOTOS`, stored in "
        f"[transfer.json](../../{RESULTS}/transfer.json). The others: {_machine(stored)}, `python "
        f"benchmarks/photos.py PHOTOS`, stored in [photos.json](../../{RESULTS}/photos.json)."
    )
    yield _table(("recipe", "accuracy", "seeds", "seconds of training"), rows)


def _minutes(runs: list[dict[str, Any]]) -> str:
    return f"{mean(run['seconds'] for run in runs) / 60:.0f} ({_threads(runs)})"


def _threads(runs: list[dict[str, Any]]) -> str:
    most = {run["threads"] for run in runs}
    return " or ".join(counted(number, "thread") for number in sorted(most))


def _machine(stored: dict[str, Any]) -> str:
    machine = stored["machine"]
    return f"{machine['cores']} cores of {machine['processor']}, PyTorch {machine['torch']}"


def _networks() -> str:
    """All networks: what they cost and reached, and the options of each."""
    measured = seewhy.measured_networks()
    size, classes = STORED_COST
    head = ("network", "parameters", f"MFLOPs at {size} pixels", "smallest side")
    rows = [
        _network_row(name, options, measured["networks"].get(name, {}))
        for name, options in NETWORKS.items()
    ]
    return "\n\n".join(
        [
            "# Networks, measured",
            "`seewhy models` prints this table, and `seewhy models show NAME` the layers of a network.",
            _table((*head, "validation accuracy", "minutes"), rows),
            f"Parameters are those for {classes} classes; a multiply-add counts as two operations. "
            f"Accuracy and minutes: {measured['epochs']} epochs of {measured['data']}, one seed, all "
            f"trained alike, {_machine(measured)} (`python benchmarks/networks.py DATA`). So few epochs "
            "show how fast a network learns, not how far it gets. An empty cell was not measured.",
            "## Options",
            "Each is a flag, such as `--model.width 0.5`, and a field of a recipe. Without it the "
            "network has its default.",
            *(_options(name, options) for name, options in NETWORKS.items()),
        ]
    )


def _network_row(name: str, network: type[NetworkOptions], reached: dict[str, Any]) -> list[Any]:
    accuracy = f"{reached['accuracy']:.1%}" if reached else ""
    minutes = f"{reached['seconds'] / 60:.1f}" if reached else ""
    title = f"[{name}](#{name})"
    return [
        title,
        f"{network.parameters:,}",
        f"{network.flops / 1e6:,.1f}",
        network.minimum_size,
        accuracy,
        minutes,
    ]


def _options(name: str, network: type[NetworkOptions]) -> str:
    rows = [
        (f"`{field}`", _default(info.default), info.description)
        for field, info in network.model_fields.items()
    ]
    options = _table(("option", "default", "what it does"), rows) if rows else "No options."
    known = network.pretrained
    weights = f"\n\nPretrained weights: `{known.source}`, {known.licence}." if known else ""
    return f"### {name}\n\n{options}{weights}"


def _default(value: Any) -> str:
    return (
        "none"
        if value is None
        else str(value).lower()
        if value is True or value is False
        else str(value)
    )


def _results() -> str:
    """What every file of measurements is."""
    rows = [
        (f"[{path.stem}](../../{path.relative_to(ROOT)})", _command(path))
        for path in _files(f"{RESULTS}/*.json")
    ]
    tables = [
        f"- [{path.stem}](../../{path.relative_to(ROOT)})" for path in _files(f"{RESULTS}/**/*.md")
    ]
    return "\n\n".join(
        [
            "# All results",
            "Every number in these pages was measured by a program in `benchmarks/`, which stores what "
            "it measured and on which machine. In against, infer, prune, steps and "
            "web-page, `fast` is an earlier recipe and model of this name (88.4% on test, JPEG copy; "
            "[what came after](../log.md)).",
            "## Tables",
            "\n".join(tables),
            "## Files",
            _table(("file", "measured by"), rows),
        ]
    )


def _command(path: Path) -> str:
    """The benchmark that writes a file, as its code says."""
    writers = [p for p in _files("benchmarks/*.py") if f"{path.name}" in p.read_text()]
    return (
        ", ".join(f"[{p.name}](../../{p.relative_to(ROOT)})" for p in writers)
        or "a command of the guide"
    )


def _commands() -> str:
    """The help of every verb."""
    parts = [
        "# Command line",
        "`seewhy VERB --help` prints the same. Every verb that prints results has `--json`.",
    ]
    for verb in VERBS:
        parts += _helped(click.Context(cli, info_name="seewhy"), verb, 2)
    return "\n\n".join(parts)


def _helped(parent: click.Context, name: str, level: int) -> Iterator[str]:
    command = parent.command.get_command(parent, name)
    context = click.Context(command, info_name=name, parent=parent, max_content_width=100)
    yield f"{'#' * level} {context.command_path}"
    yield f"```text\n{command.get_help(context).strip()}\n```"
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            yield from _helped(context, inner, level + 1)
