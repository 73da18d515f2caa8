"""Shows a data set as a network will see it by a recipe, before training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from seewhy.augment.preview import Ladder, Versions, ladders, versions
from seewhy.config.input_rule import InputRule
from seewhy.config.recipe import Recipe, load_recipe
from seewhy.data import Data, ImageSet, Splits, load_data
from seewhy.data.originals import Original, originals
from seewhy.events import Note, OnEvent, ignore
from seewhy.files import optional_folder, write_atomic
from seewhy.models.colour import channel_statistics
from seewhy.models.network import STD_FLOOR
from seewhy.plots import preview as draw

IMAGES, CLASSES = 6, 10  # at least so many images, of at most so many classes
VERSIONS = 6  # augmented versions of each image
SAMPLE, BATCH = 500, 50  # training images for the channel statistics; so many at a time

Channels = tuple[Sequence[float], Sequence[float]]  # mean and std of red, green and blue


@dataclass(frozen=True, eq=False)
class Preview:
    """Training images on their way to the network, and their channel statistics.

    originals: the images as in their files.
    taken_off: mean and std of the training images, in [0, 1], by which the network normalises.
    evaluation, training: mean and std after that, of some training images without and with augmentation.
    files: the plots, if they were made.
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
        examples = zip(self.examples.ids, self.examples.labels, self.originals, strict=True)
        return {
            "input": self.rule.model_dump(mode="json"),
            "pictures": [
                {
                    "id": key,
                    "label": self.examples.classes[label],
                    "width": original.width,
                    "height": original.height,
                }
                for key, label, original in examples
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
    """Shows `data` as a network will see it by a recipe: cropped and resized, augmented, normalised.

    `overrides` sets recipe fields by dotted name. `out` is a new folder for the plots "input" and
    "augmentation", as PNG and SVG.
    """
    chosen = load_recipe(recipe, overrides)
    with optional_folder(out) as folder:
        splits = load_data(data, chosen.data, on_event=on_event)
        for note in splits.notes:
            on_event(Note(note))
        if chosen.train.unfreeze in (None, "auto"):
            on_event(Note("the last layer is fitted first, to images without augmentation"))
        result = take_preview(data, splits, chosen)
        return result if folder is None else replace(result, files=_draw(result, folder))


def _draw(result: Preview, folder: Path) -> tuple[str, ...]:
    row = result.examples, result.originals, result.rule, result.versions
    figures = {"input.png": draw.input_sheet(*row), "input.svg": draw.input_sheet.svg(*row)}
    if result.ladders:
        alone = result.versions.seen[0], result.ladders
        figures["augmentation.png"] = draw.ladder_sheet(*alone)
        figures["augmentation.svg"] = draw.ladder_sheet.svg(*alone)
    for name, figure in figures.items():
        write_atomic(folder / name, figure)
    return tuple(figures)


def take_preview(source: Data, splits: Splits, recipe: Recipe) -> Preview:
    """Applies a recipe's input rule and augmentation to some training images of each class.

    `splits` are those of `source`, loaded by `recipe.data`. The random numbers are those of a training.
    """
    train, size, config = splits.train, splits.rule.size, recipe.augment
    examples = train.take(_examples(train))
    files = originals(source, set(examples.ids), recipe.data, splits.rule.depth)
    mean, std = channel_statistics(train.images)
    std = np.maximum(std, STD_FLOOR)
    rows = np.random.default_rng(0).permutation(len(train))[:SAMPLE]
    sample = [
        versions(
            train.images[some], train.labels[some], size, config, 1, recipe.train.seed + number
        )
        for number, some in enumerate(np.split(rows, range(BATCH, len(rows), BATCH)))
    ]

    def normalised(images: Sequence[np.ndarray]) -> Channels:
        own_mean, own_std = channel_statistics(np.concatenate(images))
        return tuple((own_mean - mean) / std), tuple(own_std / std)

    return Preview(
        rule=splits.rule,
        examples=examples,
        originals=[files[key] for key in examples.ids],
        versions=versions(
            examples.images[:], examples.labels, size, config, VERSIONS, recipe.train.seed
        ),
        ladders=ladders(examples.images[:2], size, config),
        taken_off=(tuple(mean), tuple(std)),
        evaluation=normalised([part.seen for part in sample]),
        training=normalised([part.varied[:, 0] for part in sample]),
    )


def _examples(images: ImageSet) -> np.ndarray:
    """Returns rows of some images, class by class in turn, chosen by content: always the same."""
    classes = np.flatnonzero(images.counts)[:CLASSES]
    order = np.argsort(images.hashes, kind="stable")
    each = -(-IMAGES // len(classes))
    of_class = [order[images.labels[order] == label][:each] for label in classes]
    return np.array([rows[turn] for turn in range(each) for rows in of_class if turn < len(rows)])
