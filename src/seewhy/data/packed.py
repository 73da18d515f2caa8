"""The images of a pack, decoded when they are needed, in the place of the cache."""

import os
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np

from seewhy.config.input_rule import InputRule
from seewhy.data.cache import Stored, size_text, strings
from seewhy.data.images.at_once import workers
from seewhy.data.images.decode import read
from seewhy.data.images.quiet import quiet_pillow
from seewhy.data.imageset import Rows
from seewhy.data.pack import SPLITS, Pack
from seewhy.errors import DataError, ImageError
from seewhy.text import visible

TASK = 8  # images that a thread decodes in turn
SMALL = (
    4 << 10
)  # mean bytes of an image, below which threads wait for each other more than they help


class PackedImages:
    """The images of a pack by a rule, read like an array, uint8 `(N, store, store, 3)`.

    Each reading decodes; the pixels are those that the cache would hold of the same bytes. Raises
    `ArchiveError` for an image that is damaged.
    """

    def __init__(self, pack: Pack, rule: InputRule) -> None:
        self.pack, self.rule = pack, rule
        self.shape = (len(pack), rule.store, rule.store, 3)
        self.dtype, self.ndim = np.dtype(np.uint8), 4
        self._plain = pack.about.raw and rule.store == pack.about.rule.store
        sizes = pack.rows["size"]
        self._small = self._plain or (len(sizes) > 0 and sizes.mean() < SMALL)
        self._expected: dict[int, _Batch] = {}

    def __len__(self) -> int:
        return len(self.pack)

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Returns a row, or the rows in an array."""
        if np.ndim(rows) == 0:
            return self._one(int(rows))
        rows = np.asarray(rows)
        for place, batch in self._expected.items():
            if np.array_equal(batch.rows, rows):
                return self._expected.pop(place).result()
        return _Batch(self, rows).result()

    def expect(self, rows: np.ndarray, place: int) -> None:
        """Begins to decode rows that will be read together; those of one `place` replace each other."""
        if not self._small:
            self._expected[place] = _Batch(self, rows)

    def fill(self, rows: np.ndarray, into: np.ndarray) -> None:
        """Decodes these rows into an array."""
        with quiet_pillow():
            for place, row in enumerate(rows.tolist()):
                into[place] = self._one(row)

    def _one(self, row: int) -> np.ndarray:
        image = self.pack.image(row)
        if self._plain:
            return np.asarray(image)
        try:
            return read(image, self.rule)
        except ImageError as error:
            raise self.pack.damaged(f"image {visible(self.pack.about.ids[row])}: {error}") from None


class _Batch:
    """Rows that are decoded in turn, or by threads meanwhile."""

    def __init__(self, images: PackedImages, rows: np.ndarray) -> None:
        self.rows = rows
        self._pixels = np.empty((len(rows), *images.shape[1:]), np.uint8)
        self._tasks: list[Future[None]] = []
        if images._small or len(rows) <= 1:
            images.fill(rows, self._pixels)
            return
        submit = _threads(os.getpid()).submit
        for start in range(0, len(rows), TASK):
            part = slice(start, start + TASK)
            self._tasks.append(submit(images.fill, rows[part], self._pixels[part]))

    def result(self) -> np.ndarray:
        for task in self._tasks:
            task.result()
        return self._pixels


@cache
def _threads(pid: int) -> ThreadPoolExecutor:
    """Returns the threads of this process: those of another are not inherited over a fork."""
    return ThreadPoolExecutor(workers(), "seewhy-pack")


def packed(pack: Pack, rule: InputRule) -> Stored:
    """Returns the images of a pack by this rule, in the place of `cache.stored`.

    Raises `DataError` if they were made square, or their bits chosen, in another way than the rule's.
    """
    _check_rule(pack, rule)
    about, labels = pack.about, pack.rows["label"].astype(np.int64)
    kept = np.flatnonzero(labels >= 0)
    if not len(kept):
        raise DataError(f"no label on any image of {visible(pack.name)}: pack labelled images")
    rows, everything = pack.rows[kept], len(kept) == len(labels)
    ids = strings(about.ids)
    groups = None if about.groups is None else strings(about.groups)
    sizes = np.stack([rows["width"], rows["height"]], 1).astype(np.int32)
    hashes = np.frombuffer(rows["hash"].tobytes().hex().encode(), "S32")
    return Stored(
        images=Rows(PackedImages(pack, rule), kept),
        labels=labels[kept],
        splits=np.array(SPLITS)[rows["split"]],
        hashes=hashes,
        sizes=sizes,
        ids=ids if everything else ids[kept],
        groups=groups if everything or groups is None else groups[kept],
        classes=tuple(about.classes),
        merged=tuple(about.merged),
        unlabelled=len(labels) - len(kept),
        bad=(),
        pixels=size_text(sizes),
    )


def _check_rule(pack: Pack, rule: InputRule) -> None:
    own = pack.about.rule
    if rule.fit != own.fit and not (pack.rows["width"] == pack.rows["height"]).all():
        raise DataError(
            f"the images of {visible(pack.name)} are made square by fit {own.fit}, and {rule.fit} is asked "
            f"for: pack the data again with --fit {rule.fit}"
        )
    if rule.depth != own.depth and own.depth is not None:
        raise DataError(
            f"the images of {visible(pack.name)} had more than 8 bits, of which {own.depth[0]:g} to "
            f"{own.depth[1]:g} became 0 to 255; the model reads them in another way: give it the images"
        )
