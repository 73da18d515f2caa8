"""Sets of images in memory, for tests."""

import numpy as np

from seewhy.data.imageset import ImageSet


def a_set(images, labels=None, classes=None, hashes=None, sizes=None, groups=None) -> ImageSet:
    """A set of these images, each of its own content unless `hashes` says otherwise."""
    count = len(images)
    labels = np.zeros(count, np.int64) if labels is None else np.asarray(labels, np.int64)
    hashes = range(count) if hashes is None else hashes
    names = np.empty(count, object)
    names[:] = [f"{row}.png" for row in range(count)]
    parts = None
    if groups is not None:
        parts = np.empty(count, object)
        parts[:] = groups
    return ImageSet(
        images=images,
        labels=labels,
        classes=tuple(classes or (chr(97 + n) for n in range(labels.max(initial=0) + 1))),
        ids=names,
        hashes=np.array([b"%032x" % number for number in hashes], "S32"),
        groups=parts,
        sizes=None if sizes is None else np.asarray(sizes, np.int32),
    )
