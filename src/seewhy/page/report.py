"""The report of a run: one HTML page that loads nothing and shows every name as text."""

import shlex
from collections.abc import Mapping

from markupsafe import Markup

from seewhy.page import robustness, rows, story, texts
from seewhy.page.advice import advice
from seewhy.page.images import MOST_CLASSES, ShownImages, packed, thumbnail
from seewhy.page.settings import flat, train_command
from seewhy.page.stored import Stored
from seewhy.page.template import embedded, page
from seewhy.plots.themed import themed
from seewhy.text import visible

MOST_SLICES = 12  # rows of the table of weak slices
CHARTS = (
    *("curves", "reliability-val", "confidence-val", "risk-coverage-val"),
    *("robustness-attacks", "robustness-transformations"),
)


def render(
    stored: Stored,
    data: str,
    images: ShownImages | None,
    drawn: Mapping[str, bytes] | None = None,
    *,
    figures: str = "",
) -> str:
    """The page as HTML, made from stored results alone.

    `data` is the path of the dataset, for the commands on the page; `drawn` the figures as SVG by name, as
    `draw_figures` returns them; `figures` their folder as files, relative to the page, or empty. Without
    `images` the page has no images.
    """
    val = stored.val.metrics
    return page(
        "report.html.jinja",
        ["report.css"],
        "report.js",
        figures_at=figures,
        images=None if images is None else _shown(stored, images),
        charts={n: Markup(themed(svg, n)) for n, svg in (drawn or {}).items() if n in CHARTS},
        robustness=robustness,
        texts=texts,
        run=stored,
        title=f"{stored.recipe.name} on {stored.data.rstrip('/').split('/')[-1]}",
        verdict=story.verdict(stored),
        headlines=story.headlines(stored),
        advice=advice(stored, data),
        causes=rows.cause_rows(stored.causes),
        weak=story.weak_slices(stored)[:MOST_SLICES],
        key_metrics=rows.key_metrics(stored),
        metric_rows=rows.metric_rows(stored),
        class_rows=rows.class_rows(val),
        lowest_mark=rows.lowest_mark(val),
        matrix=rows.matrix(val) if len(stored.classes) <= MOST_CLASSES else None,
        commands=_commands(stored, data),
        explain=_explain(stored, data),
        recipe={name: value for name, value in flat(stored.recipe).items() if value is not None},
    )


def _shown(stored: Stored, images: ShownImages) -> Markup:
    """The images for the script, as JSON that cannot contain markup."""
    place = {int(row): number for number, row in enumerate(images.rows)}
    worst = stored.mistakes.worst if stored.mistakes else ()
    causes = {
        place[one.row]: [
            one.cause,
            [visible(reason) for reason in one.reasons],
            [[near.row, visible(near.label), near.same] for near in one.nearest],
        ]
        for one in stored.explained
        if one.row in place
    }
    return embedded(
        {
            "classes": [visible(name) for name in stored.classes],
            "images": packed(images),
            "mistakes": [place[one.row] for one in worst if one.row in place],
            "causes": causes,
            "near": {row: thumbnail(image) for row, image in images.near.items()},
        }
    )


def _explain(stored: Stored, data: str) -> str:
    """The command that tests the maps of the mistakes."""
    options = ["--data", data, "--only", "wrong", "--out", "why"]
    return shlex.join(["seewhy", "explain", str(stored.path), *options])


def _commands(stored: Stored, data: str) -> list[str]:
    """The commands that reproduce the run, its metrics and this page; the first is empty if not known."""
    run = str(stored.path)
    lines = [
        ["seewhy", "evaluate", run, "--data", data, "--full"],
        ["seewhy", "report", run, "--data", data],
    ]
    return [train_command(stored.recipe, stored.init, data), *map(shlex.join, lines)]
