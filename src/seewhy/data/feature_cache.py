"""Features of images by a frozen network, kept beside the images in the cache.

    features/<rule>/<network>/<part>/   values.npy hashes.npy checksums.json

`rule` is that of the stored images (`InputRule.key`), `network` names all else that decides the features. A
part holds what one reading added, by content hash, so a new image costs its own features alone. The features
of a rule are removed with the last set of images of that rule, and to make room (`cache_sets`).
"""

from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import numpy as np

from seewhy.data.cache_root import cache_root, writable
from seewhy.data.cache_sets import adding
from seewhy.data.checksums import intact, write_checksums
from seewhy.files import atomic_directory


class FeatureCache:
    """Features float32 (N, ...) by the content hashes of images, for one network and one rule.

    Their files stay open, so that those which another process removes can still be read.
    """

    def __init__(self, rule: str, network: str) -> None:
        self._home = cache_root() / "features" / rule / network
        self._parts: list[tuple[np.ndarray, np.ndarray]] = []  # hashes and values
        for path in sorted(self._home.glob("*")):
            if path.suffix != ".tmp" and intact(path):
                with suppress(FileNotFoundError):  # removed by another process
                    self._open(path)

    def missing(self, hashes: np.ndarray) -> np.ndarray:
        """Returns rows of images without features; of identical ones the first."""
        _, first = np.unique(hashes, return_index=True)
        known = [there for there, _ in self._parts]
        rows: np.ndarray = np.sort(first[~np.isin(hashes[first], np.concatenate([[], *known]))])
        return rows

    def add(self, hashes: np.ndarray, values: np.ndarray) -> None:
        """Keeps the features of images with these hashes."""
        path = self._home / uuid4().hex
        with writable(cache_root()), adding():
            with atomic_directory(path) as directory:
                np.save(directory / "hashes.npy", hashes)
                np.save(directory / "values.npy", values)
                write_checksums(directory)
            self._open(path)

    def read(self, hashes: np.ndarray) -> np.ndarray:
        """Returns the features of images with these hashes, none of which may be missing."""
        parts = self._parts
        known = np.concatenate([there for there, _ in parts])
        order = np.argsort(known)
        places = order[np.searchsorted(known[order], hashes)]
        assert np.array_equal(known[places], hashes), "features are missing"
        starts = np.cumsum([0, *(len(there) for there, _ in parts)])
        read = np.empty((len(hashes), *parts[0][1].shape[1:]), np.float32)
        for (_, values), start, stop in zip(parts, starts, starts[1:], strict=False):
            mine = (places >= start) & (places < stop)
            read[mine] = values[places[mine] - start]
        return read

    def _open(self, path: Path) -> None:
        hashes = np.load(path / "hashes.npy", allow_pickle=False)
        values = np.load(path / "values.npy", mmap_mode="r", allow_pickle=False)
        self._parts.append((hashes, values))
