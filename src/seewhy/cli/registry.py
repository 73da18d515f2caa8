"""`seewhy registry`."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

import seewhy
from seewhy.cli.completion import models
from seewhy.cli.options import as_json, show
from seewhy.cli.screen import Part, Rows, facts
from seewhy.cli.tables import stored_interval
from seewhy.errors import UsageError
from seewhy.text import command_line, counted, registry_flags, without_password

if TYPE_CHECKING:
    from seewhy.registry.records import RegistryEvent, Version


def _without_password(_context: click.Context, _option: click.Parameter, place: str | None) -> Any:
    if place is not None and without_password(place) != place:
        raise UsageError(
            "the address of --registry has a password, which others can see in the list of processes: put "
            "the address into $SEEWHY_REGISTRY, or the password into ~/.pgpass"
        )
    return place


place_option = click.option(
    "--registry",
    callback=_without_password,
    metavar="PATH_OR_URL",
    help="a file, or postgresql://USER@HOST/DATABASE [$SEEWHY_REGISTRY, else beside the cache]",
)
why_option = click.option("--why", default="", metavar="TEXT", help="the reason, for the history")
as_option = click.option(
    "--as", "alias", default="champion", show_default=True, help="the alias to move"
)


@click.group()
def command() -> None:
    """Keep versions of models, and the aliases that say which one is in use.

    \b
    seewhy registry add runs/photos photos       photos@1
    seewhy registry promote photos 1             photos@champion
    seewhy serve registry:photos@champion        answers by what is promoted, from the next request on

    registry:NAME@VERSION or registry:NAME@ALIAS is a MODEL of every other verb.
    """


@command.command()
@click.argument("model", shell_complete=models)
@click.argument("name")
@why_option
@place_option
@as_json
def add(model: str, name: str, why: str, registry: str | None, as_json: bool) -> None:
    """Add MODEL, a file, a run or a shipped model, as the next version of NAME."""
    version = seewhy.register(model, name, registry=registry, why=why)

    show(version, as_json, lambda _: _added(version, registry))


def _added(version: "Version", registry: str | None) -> Iterator[Part]:
    yield f"{version.name}@{version.version}"
    promote = ("registry", "promote", version.name, version.version)
    yield f"next: {command_line(*promote, *registry_flags(registry))}"


@command.command(name="list")
@click.argument("name", required=False)
@place_option
@as_json
def list_(name: str | None, registry: str | None, as_json: bool) -> None:
    """List the models, or the versions of NAME, the newest first."""
    with seewhy.open_registry(registry) as opened:
        names = [name] if name else opened.names()
        versions = [one for each in names for one in opened.versions(each)]
        empty = (
            f"the registry {opened.place} is empty: `seewhy registry add MODEL NAME` adds a model"
        )
    show({"versions": versions}, as_json, lambda _: [_versions(versions) if versions else empty])


@command.command(name="show")
@click.argument("reference", metavar="NAME@VERSION_OR_ALIAS")
@place_option
@as_json
def show_(reference: str, registry: str | None, as_json: bool) -> None:
    """Show a version: what it was trained on, what it reached, what points at it."""
    with seewhy.open_registry(registry) as opened:
        show(opened.find(reference), as_json, lambda version: [_version(version)])


@command.command()
@click.argument("name")
@click.argument("version", type=int)
@as_option
@why_option
@click.option(
    "--expect", type=int, metavar="VERSION", help="change nothing unless the alias points at this"
)
@click.option(
    "--evidence",
    metavar="FILE",
    help="JSON that it was decided by, for the history: a file, or - such as from `seewhy ab status --json`",
)
@place_option
@as_json
def promote(
    name: str,
    version: int,
    alias: str,
    why: str,
    expect: int | None,
    evidence: str | None,
    registry: str | None,
    as_json: bool,
) -> None:
    """Point an alias at VERSION of NAME: servers of this alias answer by it from now on."""
    with seewhy.open_registry(registry) as opened:
        expected: Any = "any" if expect is None else expect
        event = opened.promote(
            name, version, alias, why=why, expected=expected, evidence=_evidence(evidence)
        )
    show(event, as_json, _event)


def _evidence(path: str | None) -> dict[str, Any]:
    if path is None:
        return {}
    with (
        suppress(OSError, ValueError, RecursionError),
        click.open_file(path, encoding="utf-8") as file,  # or standard input
    ):
        if isinstance(evidence := json.load(file), dict):
            return evidence
    raise UsageError(f"--evidence {path}: expected a file with one JSON object")


@command.command()
@click.argument("name")
@as_option
@why_option
@place_option
@as_json
def rollback(name: str, alias: str, why: str, registry: str | None, as_json: bool) -> None:
    """Point an alias at the version before; again, at the one before that."""
    with seewhy.open_registry(registry) as opened:
        show(opened.rollback(name, alias, why=why), as_json, _event)


@command.command()
@click.argument("name")
@place_option
@as_json
def history(name: str, registry: str | None, as_json: bool) -> None:
    """Show what happened to NAME: who did what, when and why."""
    with seewhy.open_registry(registry) as opened:
        show({"events": opened.history(name)}, as_json, lambda found: [_events(found["events"])])


@command.command()
@click.argument("reference", metavar="NAME@VERSION_OR_ALIAS")
@click.argument("where", metavar="mlflow:URI")
@place_option
@as_json
def push(reference: str, where: str, registry: str | None, as_json: bool) -> None:
    """Bring a version to MLflow's model registry, with its alias where one is named.

    MLflow moves aliases without comparing: of two who push at once, the last one wins.
    """
    pushed = seewhy.push_model(reference, where, registry=registry)
    name = pushed.name if pushed.alias is None else f"{pushed.name}@{pushed.alias}"
    text = f"{pushed.name}@{pushed.version} is {name}, version {pushed.there}, in {pushed.address}"
    show(pushed, as_json, lambda _: [text])


@command.command()
@click.argument("reference", metavar="NAME@VERSION_OR_ALIAS")
@click.argument("where", metavar="mlflow:URI")
@click.option(
    "--trust-onnx", is_flag=True, help="take an ONNX file that another machine exported, once tried"
)
@place_option
@as_json
def pull(reference: str, where: str, trust_onnx: bool, registry: str | None, as_json: bool) -> None:
    """Add a version of MLflow's model registry, that was pushed to it, as the next version of NAME.

    VERSION_OR_ALIAS are those of MLflow. No alias is moved here.
    """
    version = seewhy.pull_model(reference, where, registry=registry, trust=trust_onnx)
    show(version, as_json, lambda _: _added(version, registry))


@command.command()
@click.option("--keep", type=click.IntRange(0), default=3, show_default=True, help="newest of each")
@place_option
@as_json
def gc(keep: int, registry: str | None, as_json: bool) -> None:
    """Remove the bytes of versions that no alias needs, now or after a rollback.

    The versions and their history stay.
    """
    with seewhy.open_registry(registry) as opened:
        removed = opened.collect(keep=keep)

    show({"removed": removed}, as_json, lambda _: _removed(removed))


def _removed(removed: "Sequence[Version]") -> Iterator[Part]:
    if not removed:
        yield "nothing was removed"
        return
    names = ", ".join(f"{one.name}@{one.version}" for one in removed)
    total = sum(one.bytes for one in removed) / 1e6
    yield f"removed {counted(len(removed), 'model file')} ({total:.1f} MB): {names}"


def _versions(versions: "Sequence[Version]") -> Rows:
    tested = any("test" in one.facts.get("metrics", {}) for one in versions)
    accuracies = ("validation accuracy", *["test accuracy"] * tested)
    rows = [("version", "aliases", *accuracies, "size", "architecture", "digest")]
    for one in versions:
        size = f"{one.bytes / 1e6:.1f} MB" if one.kept else "removed"
        architecture = str(one.facts.get("architecture"))
        name, aliases = f"{one.name}@{one.version}", ", ".join(one.aliases)
        measured = [_accuracy(one, split) for split in ("val", *["test"] * tested)]
        rows.append((name, aliases, *measured, size, architecture, one.digest[:12]))
    return Rows(rows, f"ll{'r' * len(accuracies)}rl")


def _accuracy(version: "Version", split: str) -> str:
    """The accuracy that its file states, with its interval."""
    try:
        return stored_interval(version.facts["metrics"][split]["accuracy"])
    except (KeyError, TypeError):
        return "-"


def _version(version: "Version") -> Rows:
    classes = version.facts.get("classes") or ()
    shown = {
        "version": f"{version.name}@{version.version}",
        "aliases": ", ".join(version.aliases) or "-",
        "validation accuracy": _accuracy(version, "val"),
        "test accuracy": _accuracy(version, "test"),
        "classes": ", ".join(map(str, classes[:10])) + (" ..." if len(classes) > 10 else ""),
        "architecture": str(version.facts.get("architecture")),
        "recipe": str(version.facts.get("recipe") or "-"),
        "size": f"{version.bytes / 1e6:.1f} MB" + ("" if version.kept else ", removed by gc"),
        "digest": version.digest,
        "use": f"registry:{version.name}@{version.aliases[0] if version.aliases else version.version}",
    }
    return facts(shown.items())


def _event(event: "RegistryEvent") -> Iterator[Part]:
    before = "" if event.previous is None else f", before: {event.previous}"
    yield f"{event.name}@{event.alias} is version {event.version}{before}"


def _events(events: "Sequence[RegistryEvent]") -> Rows:
    words: dict[str, Callable[[RegistryEvent], str]] = {
        "add": lambda one: "added",
        "promote": lambda one: f"{one.alias}, was {one.previous or '-'}",
        "rollback": lambda one: f"{one.alias} back, was {one.previous}",
        "collect": lambda one: "bytes removed",
    }
    rows = [("event", "version", "what", "when (UTC)", "who", "why")]
    for one in events:
        when = one.at[:19].replace("T", " ")
        what = words[one.kind](one)
        rows.append((str(one.number), str(one.version), what, when, one.who, one.why))
    return Rows(rows, "rrl")
