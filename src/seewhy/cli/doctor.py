"""`seewhy doctor`."""

import sys
from typing import TYPE_CHECKING

import click

import seewhy
from seewhy.cli.options import as_json, show
from seewhy.cli.screen import Part, Rows

if TYPE_CHECKING:
    from seewhy.workflows.doctor import Check

COLOURS = {"ok": "green", "off": "dim", "warn": "bold", "fail": "bold red"}


@click.command()
@as_json
def command(as_json: bool) -> None:
    """Check this machine and installation: versions, extras, device, cores, disk, cache, fonts, limits.

    Exits 1 if something is missing without which SeeWhy does not work.
    """
    checks = seewhy.doctor()
    usable = all(check.status != "fail" for check in checks)
    record = {"usable": usable, "checks": checks}
    show(record, as_json, lambda _: _lines(checks))
    sys.exit(0 if usable else 1)


def _lines(checks: "tuple[Check, ...]") -> list[Part]:
    from rich.text import Text

    rows: list[tuple[str | Text, ...]] = []
    for check in checks:
        text = "; ".join(filter(None, (check.detail, check.remedy)))
        rows.append((check.name, Text(check.status, COLOURS[check.status]), text))
    return [Rows(rows, "lrl", header=False)]
