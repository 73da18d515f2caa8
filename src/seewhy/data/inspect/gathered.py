"""All pictures of a source in one numbering, test sealed in it as everywhere."""

from dataclasses import dataclass

import numpy as np

from seewhy.data.images import near_duplicates
from seewhy.data.imageset import ImageSet
from seewhy.data.split import SealedSet, Splits


@dataclass(frozen=True, eq=False)
class Gathered:
    """Pictures that may be looked at, and after them those of test, of which only names and hashes are.

    `splits` says of each "train", "val", "left_out" or "test"; `labels` of those in test is -1.
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
        """Returns the name of a picture's class; "" where it is sealed."""
        return self.opened.classes[self.labels[row]] if self.labels[row] >= 0 else ""

    def look(self, rows: np.ndarray) -> np.ndarray:
        """Returns what `near_duplicates` compares of these rows, sealed ones too."""
        sealed = rows >= len(self.opened)
        seen = near_duplicates.look(self.opened.images[np.where(sealed, 0, rows)])
        if self.sealed is not None and sealed.any():
            seen[sealed] = self.sealed.look(rows[sealed] - len(self.opened))
        return seen

    def describe(self) -> np.ndarray:
        """Returns the descriptors of `near_duplicates` of all pictures, sealed ones too."""
        parts = [near_duplicates.describe(images) for images in self.opened.chunks()]
        if self.sealed is not None:
            parts.append(self.sealed.describe())
        return np.concatenate(parts)


def gather(splits: Splits) -> Gathered:
    """Puts all pictures of a source into one numbering, save those left out as none of the classes."""
    left_out = splits.left_out.take(splits.left_out.labels >= 0)
    opened = splits.train.joined(splits.val).joined(left_out)
    parts = {"train": splits.train, "val": splits.val, "left_out": left_out}
    names = [name for name, images in parts.items() for _ in range(len(images))]
    sealed = splits.test
    ids, hashes, labels = opened.ids, opened.hashes, opened.labels
    if sealed is not None:
        names += ["test"] * len(sealed)
        ids, hashes = np.concatenate([ids, sealed.ids]), np.concatenate([hashes, sealed.hashes])
        labels = np.concatenate([labels, np.full(len(sealed), -1)])
    return Gathered(opened, sealed, np.array(names), ids, hashes, labels)
