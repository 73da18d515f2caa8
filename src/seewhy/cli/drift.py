"""`seewhy drift`."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import seewhy
from seewhy.cli.completion import models
from seewhy.cli.options import DATA, PATH, as_json, device_option, reading_options, show
from seewhy.cli.progress import Terminal
from seewhy.cli.screen import Part, Rows, facts
from seewhy.cli.tables import with_interval
from seewhy.errors import UsageError
from seewhy.text import counted

if TYPE_CHECKING:
    from seewhy.analysis.drift import Drift

MOST_CLASSES, MOST_NEW = 10, 5


@click.command()
@click.argument("model", shell_complete=models)
@click.option(
    "--reference", required=True, help=f"what it was judged on: a file of --save, or {DATA}"
)
@click.option("--window", multiple=True, help="the new images: files, folders, globs or lists")
@click.option("--save", type=PATH, metavar="NAME.drift", help="keep the reference as a file")
@click.option("--out", type=PATH, help="a new folder for drift.json, a figure and a page")
@reading_options
@device_option
@as_json
def command(
    model: str,
    reference: str,
    window: tuple[str, ...],
    save: Path | None,
    out: Path | None,
    options: dict[str, Any],
    device: str,
    as_json: bool,
) -> None:
    """Say whether new images differ from those that MODEL was judged on, and what that may cost.

    Two tests look at the probabilities of the classes and at the embeddings; they need no labels. Of the
    model's own data the validation images are the reference. Exits 1 if the images differ.

    \b
    seewhy drift MODEL --reference DATA --window NEW-IMAGES --out drift/
    seewhy drift MODEL --reference DATA --save NAME.drift    for later, and for `seewhy serve --drift`
    """
    if (save is None) == (not window):
        raise UsageError(
            "expected either --window IMAGES, to compare them, or --save NAME.drift, to keep the reference"
        )
    if save is not None and out is not None:
        raise UsageError("--out is for the result of --window: leave it out with --save")
    how: Any = {"options": options, "device": device, "on_event": Terminal()}
    if save is not None:
        seewhy.drift_reference(model, reference, save, **how)
        show({"reference": save}, as_json, lambda kept: [str(kept["reference"])])
        return
    result = seewhy.drift(model, reference, list(window), out=out, **how)
    show(result, as_json, _text)
    sys.exit(1 if result.drifted else 0)


def _text(drift: "Drift") -> Iterator[Part]:
    verdict = "the window differs" if drift.drifted else "no difference shown"
    yield f"{verdict}: {counted(drift.window, 'image')}, reference {drift.reference:,}"
    yield ""
    tests = [
        (one.name, f"{one.statistic:.4f}", f"{one.p:.2g}", f"{one.corrected:.2g}")
        for one in drift.tests
    ]
    yield Rows([("test", "statistic", "p", "corrected"), *tests])
    yield ""
    before, now = drift.confidence
    rows = [("confidence before", f"{before:.1%}"), ("now", f"{now:.1%}")]
    if drift.accuracy is not None and drift.expected is not None:
        at_most = f"at most {with_interval(drift.expected)}, estimated without labels"
        rows += [("accuracy before", with_interval(drift.accuracy)), ("now", at_most)]
    yield facts(rows)
    yield from _moved(drift)
    yield ""
    if drift.untold:
        yield drift.untold
        return
    unlike = len(drift.new) / drift.window
    yield f"unlike any before: {counted(len(drift.new), 'image')} ({unlike:.1%}; 1% is usual)"
    yield from (f"  {name}" for name in drift.ids[:MOST_NEW])


def _moved(drift: "Drift") -> Iterator[Part]:
    """The classes that are predicted otherwise than before."""
    moved = [(name, share) for name, share in drift.classes.items() if share.moved]
    if not moved:
        return
    moved.sort(key=lambda item: item[1].p)
    rows = [("predicted as", "before", "now")]
    for name, share in moved[:MOST_CLASSES]:
        rows.append((name, f"{share.reference.value:.1%}", f"{share.window.value:.1%}"))
    yield ""
    yield Rows(rows)
