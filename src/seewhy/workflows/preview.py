"""What a network would get to see of a data set by a recipe, before anything is trained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from seewhy.augment.preview import Ladder, Versions, ladders, versions
from seewhy.config.recipe import Recipe, load_recipe
from seewhy.data import Data, ImageSet, InputRule, Splits, load_data
from seewhy.data.originals import Original, originals
from seewhy.events import Note, OnEvent, ignore
from seewhy.files import new_folder, write_atomic
from seewhy.models.network import STD_FLOOR, channel_statistics
from seewhy.plots import preview as draw

PICTURES, CLASSES = 6, 10  # at least so many pictures, of at most so many classes
VERSIONS = 6  # of each in training
SAMPLE, BATCH = 500, 50  # training pictures that the channels are measured on; so many at a time

Channels = tuple[Sequence[float], Sequence[float]]  # mean and deviation of red, green and blue


@dataclass(frozen=True, eq=False)
class Preview:
    """Training pictures on their way to the network, and the numbers that come out.

    originals: what the files have.
    taken_off: mean and deviation of the training pictures, in [0, 1], by which the network normalises.
    files: the drawings, where they were made.
    evaluation, training: mean and deviation after that, of some training pictures as they are and varied.
    """

    rule: InputRule
    examples: ImageSet
    originals: Sequence[Original]
    versions: Versions
    ladders: Sequence[Ladder]
    taken_off: Channels
    evaluation: Channels
    training: Channels
    files: tuple[str, ...] = ()

    def json_form(self) -> dict[str, Any]:
        """All but the pixels."""
        channels = {
            name: dict(zip(("mean", "deviation"), getattr(self, name), strict=True))
            for name in ("taken_off", "evaluation", "training")
        }
        pictures = zip(self.examples.ids, self.examples.labels, self.originals, strict=True)
        return {
            "input": self.rule.model_dump(mode="json"),
            "pictures": [
                {
                    "id": key,
                    "label": self.examples.classes[label],
                    "width": original.width,
                    "height": original.height,
                }
                for key, label, original in pictures
            ],
            "augmentation": {ladder.name: ladder.value for ladder in self.ladders},
            "channels": channels,
        }


def preview(
    data: Data,
    recipe: str | Path,
    *,
    overrides: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    on_event: OnEvent = ignore,
) -> Preview:
    """Shows what a network would see of `data` by a recipe: cut and resized, varied in training, normalised.

    `overrides` sets recipe fields by dotted name. `out` is a new folder for the drawings "input" and
    "augmentation", as PNG and SVG.
    """
    chosen = load_recipe(recipe, overrides)
    folder = None if out is None else new_folder(Path(out))
    splits = load_data(data, chosen.data, on_event=on_event)
    for note in splits.notes:
        on_event(Note(note))
    shown = take_preview(data, splits, chosen)
    return shown if folder is None else replace(shown, files=_draw(shown, folder))


def _draw(shown: Preview, folder: Path) -> tuple[str, ...]:
    row = shown.examples, shown.originals, shown.rule, shown.versions
    figures = {"input.png": draw.input_sheet(*row), "input.svg": draw.input_sheet.svg(*row)}
    if shown.ladders:
        alone = shown.versions.seen[0], shown.ladders
        figures["augmentation.png"] = draw.ladder_sheet(*alone)
        figures["augmentation.svg"] = draw.ladder_sheet.svg(*alone)
    for name, figure in figures.items():
        write_atomic(folder / name, figure)
    return tuple(figures)


def take_preview(source: Data, splits: Splits, recipe: Recipe) -> Preview:
    """Takes some training pictures of each class through a recipe's input rule and augmentation.

    `splits` are those of `source`, loaded by `recipe.data`. The draws are a training's, from its seed.
    """
    train, size, config = splits.train, splits.rule.size, recipe.augment
    examples = train.take(_examples(train))
    files = originals(source, set(examples.ids), recipe.data.layout)
    mean, std = channel_statistics(train.images)
    std = np.maximum(std, STD_FLOOR)
    rows = np.random.default_rng(0).permutation(len(train))[:SAMPLE]
    sample = [
        versions(
            train.images[some], train.labels[some], size, config, 1, recipe.train.seed + number
        )
        for number, some in enumerate(np.split(rows, range(BATCH, len(rows), BATCH)))
    ]

    def normal(pictures: Sequence[np.ndarray]) -> Channels:
        found = channel_statistics(np.concatenate(pictures))
        return tuple((found[0] - mean) / std), tuple(found[1] / std)

    return Preview(
        rule=splits.rule,
        examples=examples,
        originals=[files[key] for key in examples.ids],
        versions=versions(
            examples.images[:], examples.labels, size, config, VERSIONS, recipe.train.seed
        ),
        ladders=ladders(examples.images[:2], size, config),
        taken_off=(tuple(mean), tuple(std)),
        evaluation=normal([part.seen for part in sample]),
        training=normal([part.varied[:, 0] for part in sample]),
    )


def _examples(images: ImageSet) -> np.ndarray:
    """Returns rows of some pictures, a class in turn, picked by content: the same ones each time."""
    classes = np.flatnonzero(images.counts)[:CLASSES]
    order = np.argsort(images.hashes, kind="stable")
    each = -(-PICTURES // len(classes))
    of_class = [order[images.labels[order] == label][:each] for label in classes]
    return np.array([rows[turn] for turn in range(each) for rows in of_class if turn < len(rows)])
