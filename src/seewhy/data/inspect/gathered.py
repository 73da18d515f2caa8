"""All images of a source under one numbering; test stays sealed."""

from dataclasses import dataclass

import numpy as np

from seewhy.data.images import near_duplicates
from seewhy.data.imageset import ImageSet
from seewhy.data.split import SealedSet, Splits


@dataclass(frozen=True, eq=False)
class Gathered:
    """The images outside test, and after them those of test, of which only names and hashes are open.

    `splits` is "train", "val", "left_out" or "test" for each image; `labels` is -1 for those in test.
    """

    opened: ImageSet
    sealed: SealedSet | None
    splits: np.ndarray
    ids: np.ndarray
    hashes: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.splits)

    def label(self, row: int) -> str:
        """Returns the name of an image's class; "" where it is sealed."""
        return self.opened.classes[self.labels[row]] if self.labels[row] >= 0 else ""

    def look(self, rows: np.ndarray) -> np.ndarray:
        """Returns the grey levels that `near_duplicates` compares, for any rows, sealed ones too."""
        sealed = rows >= len(self.opened)
        seen = near_duplicates.look(self.opened.images[np.where(sealed, 0, rows)])
        if self.sealed is not None and sealed.any():
            seen[sealed] = self.sealed.look(rows[sealed] - len(self.opened))
        return seen

    def describe(self) -> np.ndarray:
        """Returns the descriptors of `near_duplicates` of all images, sealed ones too."""
        parts = [near_duplicates.describe(images) for images in self.opened.chunks()]
        if self.sealed is not None:
            parts.append(self.sealed.describe())
        return np.concatenate(parts)


def gather(splits: Splits) -> Gathered:
    """Numbers all images of a source, except those left out as none of the classes."""
    left_out = splits.left_out.take(splits.left_out.labels >= 0)
    opened = splits.train.joined(splits.val).joined(left_out)
    names = ["train"] * len(splits.train) + ["val"] * len(splits.val) + ["left_out"] * len(left_out)
    sealed = splits.test
    ids, hashes, labels = opened.ids, opened.hashes, opened.labels
    if sealed is not None:
        names += ["test"] * len(sealed)
        ids, hashes = np.concatenate([ids, sealed.ids]), np.concatenate([hashes, sealed.hashes])
        labels = np.concatenate([labels, np.full(len(sealed), -1)])
    return Gathered(opened, sealed, np.array(names), ids, hashes, labels)
