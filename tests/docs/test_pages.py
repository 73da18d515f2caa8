"""What the pages say is so: commands, flags, code, links and public names; and the site builds."""

import ast
import json
import re
from pathlib import Path
from statistics import mean
from typing import Any
from urllib.parse import unquote

import click
import pytest
from documents import PAGES, ROOT, all_commands, blocks, flags

import seewhy
from seewhy.cli import VERBS, cli

NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
# Flags of other programs.
FOREIGN = {"--quick": "benchmarks/label_issues.py"}
LINK = re.compile(r"\]\((?!\w+:|#)([^)\s#]+)")
MODULES = {"events", "attribution", "serving", "example"}  # example.org: a host
WRITTEN = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "deploy" / "README.md"]


def command_of(arguments: list[str]) -> tuple[click.Command, list[str]]:
    """The verb that a command line names, and the arguments that are left for it."""
    command: click.Command = cli
    context = click.Context(cli)
    while arguments and isinstance(command, click.Group):
        inner = command.get_command(context, arguments[0])
        if inner is None:
            break
        command, arguments = inner, arguments[1:]
    return command, arguments


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_the_command_line_takes_every_command(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs" / "transfer").mkdir(parents=True)  # `report` asks for a directory
    monkeypatch.chdir(tmp_path)
    for arguments in all_commands(page):
        if "--help" in arguments or arguments == ["VERB", "--help"]:
            continue
        command, rest = command_of(arguments)
        where = f"seewhy {' '.join(arguments)}"
        assert command is not cli, where
        if not rest:  # a verb that a sentence names
            continue
        try:
            command.make_context(command.name, list(rest))
        except click.MissingParameter:  # in a sentence, only what matters is written
            continue
        except click.UsageError as error:
            pytest.fail(f"{where}: {error.format_message()}")


def all_flags(command: click.Command) -> set[str]:
    """The flags of a command and of those below it."""
    inner = command.commands.values() if isinstance(command, click.Group) else ()
    own = {flag for option in command.params for flag in (*option.opts, *option.secondary_opts)}
    return own.union(*map(all_flags, inner))


@pytest.fixture(scope="module")
def known_flags() -> set[str]:
    verbs = (cli.get_command(click.Context(cli), verb) for verb in VERBS)
    return set().union(*map(all_flags, verbs)) | {"--help", "--version"}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_flag_exists(page: Path, known_flags: set[str]) -> None:
    assert flags(page) - known_flags - FOREIGN.keys() == set()


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_python_on_the_pages_uses_public_names(page: Path) -> None:
    for block in blocks(page):
        if block.language == "python":
            ast.parse(block.text)
    used = re.findall(r"(?<![\w./])seewhy\.(\w+)", page.read_text())
    assert set(used) <= set(seewhy.__all__) | MODULES


def test_links_lead_to_files_of_the_repository() -> None:
    lost = [
        (str(page.relative_to(ROOT)), link)
        for page in WRITTEN
        for link in LINK.findall(re.sub(r"`[^`\n]*`", "", page.read_text()))
        if not (page.parent / unquote(link)).exists()
    ]
    assert lost == []


def test_the_reference_has_each_public_name_once() -> None:
    pages = (ROOT / "docs" / "reference").glob("*.md")
    listed = [
        n for page in pages for n in re.findall(r"^::: seewhy\.(\w+)$", page.read_text(), re.M)
    ]
    listed.remove("events")  # a module: its records are public, too
    assert sorted(listed) == sorted(seewhy.__all__), "docs/reference/*.md has a line for each name"


def test_the_readme_has_the_measured_accuracies() -> None:
    readme = (ROOT / "README.md").read_text()
    results = ROOT / "benchmarks" / "results"
    runs = json.loads((results / "cifar10.json").read_text())["runs"]
    accuracies: dict[str, list[float]] = {}
    for run in runs:
        if "epochs" not in run["recipe"]:  # shorter trainings by a recipe are in docs/log.md
            accuracies.setdefault(run["recipe"], []).append(run["test_accuracy"])
    transfer = json.loads((results / "transfer.json").read_text())["hymenoptera transfer"]
    accuracies["transfer"] = [transfer["mean"]]
    for recipe, values in accuracies.items():
        reached = mean(values)
        assert re.search(rf"\| `{recipe}` \|.*\b{reached:.2%}", readme), (recipe, reached)


def test_the_readme_fits_two_screens() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 110


def test_the_site_asks_no_other_address(site: Path) -> None:
    pages = [*site.rglob("*.html")]
    assert len(pages) > 30
    for page in pages:
        loaded = re.findall(
            r'<(?:script|img|iframe|source)[^>]* src="?([^"\s>]+)'
            r'|<link[^>]* rel="?(?:stylesheet|icon|preconnect|preload)"?[^>]* href="?([^"\s>]+)',
            page.read_text(),
        )
        addresses = {address for pair in loaded for address in pair if address}
        assert addresses and not {one for one in addresses if "//" in one}, page
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//|@import", style.read_text()), style


def test_the_site_has_every_signature_and_measurement(site: Path) -> None:
    reference = "".join(page.read_text() for page in (site / "reference").glob("*.html"))
    for name in seewhy.__all__:
        assert f'id="seewhy.{name}"' in reference, name
    networks = (site / "measured" / "networks.html").read_text()
    for name, reached in seewhy.measured_networks()["networks"].items():
        assert name in networks and f"{reached['accuracy']:.1%}" in networks
    recipes = (site / "measured" / "recipes.html").read_text()
    assert all(re.search(rf'id="{name}"', recipes) for name in ("fast", "transfer", "photos"))
    assert "89.55%" in recipes
    verbs = (site / "reference" / "commands.html").read_text()
    assert all(f'id="seewhy-{verb}"' in verbs for verb in VERBS)


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.long)])
def test_the_site_is_searched_from_a_disk_and_fits_a_phone(
    site: Path, browser: Any, theme: str
) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme=theme)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for path in (
        "index.html",
        "guide/train.html",
        "reference/train.html",
        "measured/networks.html",
    ):
        page.goto((site / path).as_uri())
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    page.click(".md-header label[for=__search]")
    page.fill(".md-search__input", "")
    page.keyboard.type("distillation", delay=20)
    found = page.locator(".md-search-result__item").first
    found.wait_for()
    assert "istillation" in found.inner_text()
    page.close()
    own = (site.as_uri(), "data:", "blob:")
    assert asked and not [address for address in asked if not address.startswith(own)]
