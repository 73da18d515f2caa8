"""`seewhy data labels` and `seewhy data apply-review`: find labels that look wrong, and correct them."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import seewhy
from seewhy.cli.completion import data_sets, recipes
from seewhy.cli.flags import RECIPE, config_of, fields, recipe_flags
from seewhy.cli.options import PATH, as_json, show
from seewhy.cli.progress import Terminal, shown
from seewhy.cli.screen import Part, Rows
from seewhy.text import command_line, counted

if TYPE_CHECKING:
    from seewhy.workflows.labels import LabelFindings

PAIRS, SUREST = 5, 5  # lines on the terminal


@click.command()
@click.argument("data", shell_complete=data_sets)
@click.option("--recipe", shell_complete=recipes, help=RECIPE)
@click.option("--folds", type=int, help="number of cross-validation folds [5]")
@click.option(
    "--out",
    type=PATH,
    help="directory of the folds and the results; finished folds are reused [runs/RECIPE-folds]",
)
@as_json
@recipe_flags
def labels(data: str, as_json: bool, **settings: Any) -> None:
    """Find labels of DATA that look wrong, by cross-validation: no network has seen the images it judges.

    Trains --folds networks as `seewhy train --folds` does, continues interrupted ones, and reuses finished
    ones. Writes label-issues.csv, .json and .png, and review.html for a person, who saves a review.csv
    for `seewhy data apply-review`. The test split stays sealed.
    """
    with shown() as terminal:
        result = seewhy.find_label_issues(data, on_event=terminal, **settings)
    show(result, as_json, _text)


@click.command(name="apply-review")
@click.argument("data", shell_complete=data_sets)
@click.argument("review", type=PATH)
@click.option("--out", type=PATH, required=True, help="a new directory for the new version")
@as_json
@fields("layout", "follow_links", "label_column", "group_from", "val", "test", "split_seed")
def apply_review(
    data: str, review: Path, out: Path, as_json: bool, layout: str | None, **values: str | None
) -> None:
    """Make a version of DATA with the labels of REVIEW, a completed review.csv; DATA is not changed.

    The answer "none of these" removes the image. If REVIEW is a folder of `seewhy feedback export`, its
    images are added to train.

    The version is a small file that identifies the images by their content; train on it with `--data OUT`.
    Give the same split flags as for training: labels of the test split are never changed.
    """
    config = config_of(values, layout=layout, on_bad="skip", max_bad=1)
    if review.is_dir():
        made: Any = seewhy.apply_feedback(data, review, out, config, on_event=Terminal())
        names = ("added", "none", "without_image", "known")
    else:
        made = seewhy.apply_review(data, review, out, config, on_event=Terminal())
        names = ("corrected", "left_out", "confirmed", "open")
    counts = {name: getattr(made, name) for name in names}
    own = [f"--set=data.{name}={value}" for name, value in values.items() if value is not None]
    lines = [
        ", ".join(f"{n:,} {what.replace('_', ' ')}" for what, n in counts.items()),
        f"{out}: {made.note}",
        f"next: {command_line('train', '--data', out, *own, *made.flags)}",
    ]
    show(made, as_json, lambda _: lines)


def _text(findings: "LabelFindings") -> Iterator[Part]:
    suspects, home = findings.suspects, findings.path
    issues = suspects.found
    yield (
        f"{len(issues):,} of {counted(suspects.n, 'label', 'look')} wrong to networks that were not "
        f"trained on them"
    )
    yield f"the networks agree with {suspects.agreed:.1%} of the labels; the lower, the more false alarms"
    if suspects.weak:
        yield (
            "that is no better than always predicting the most common class, so these results are noise: "
            "train for more --epochs, or with another --recipe"
        )
    if not issues:
        return
    pairs = Counter((one.label, one.suggested) for one in issues).most_common(PAIRS)
    yield ""
    yield Rows([("labelled", "looks like", ""), *((a, b, f"{n:,}") for (a, b), n in pairs)], "llr")
    yield ""
    surest = [(str(one.id), one.label, one.suggested) for one in issues[:SUREST]]
    yield Rows([("most confident", "labelled", "looks like"), *surest], "l")
    yield ""
    yield f"{home}: label-issues.csv, .json, .png, review.csv, review.html"
    yield f"next: open {home / 'review.html'} in a browser, save review.csv, move it to {home}, then"
    yield f"      {findings.command}"
