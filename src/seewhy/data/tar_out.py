"""A data set as WebDataset tars: `KEY.jpg` beside `KEY.cls` and `KEY.json`, a row of tars for each split."""

import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from seewhy.config.input_rule import InputRule
from seewhy.data.packing import Encoded
from seewhy.data.sources.source import Record
from seewhy.files import atomic_directory, require_new

TAR_BYTES = 1 << 30
UNSPLIT = "all"  # the name of tars of images that have no split


class TarSink:
    """Adds images to tars of at most so many bytes, or one image; `number` is that of each class.

    The .json has id, label, split and group; an image without a label has no .cls. Pixels become PNG files.
    """

    def __init__(
        self,
        folder: Path,
        files: ExitStack,
        number: Mapping[str, int],
        most: int,
        raw_side: int | None,
    ) -> None:
        self._folder, self._files = folder, files
        self._number, self._most, self._raw_side = number, most, raw_side
        self._tars: dict[str, tuple[int, tarfile.TarFile]] = {}
        self._count = 0

    def add(self, record: Record, image: Encoded) -> None:
        split = "train" if record.split == "added" else record.split
        facts = {
            "id": record.id,
            "label": record.label,
            "split": split,
        }
        # An empty group is said, as the first images tell whether there are groups.
        group = {} if record.group is None else {"group": record.group}
        said = {name: value for name, value in facts.items() if value} | group
        data, ending = image.data, "jpg"
        if self._raw_side is not None:
            data, ending = _png(data, self._raw_side), "png"
        parts = {ending: data, "json": json.dumps(said, allow_nan=False).encode("ascii")}
        if record.label.strip():
            parts["cls"] = str(self._number[record.label]).encode()
        tar = self._tar(split or UNSPLIT, sum(map(len, parts.values())))
        key = f"{self._count:08}"
        self._count += 1
        for suffix, content in parts.items():
            member = tarfile.TarInfo(f"{key}.{suffix}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))

    def _tar(self, split: str, size: int) -> tarfile.TarFile:
        number, tar = self._tars.get(split, (-1, None))
        if tar is None or (tar.offset and tar.offset + size > self._most):
            if tar is not None:
                tar.close()
            number += 1
            path = self._folder / f"{split}-{number:06}.tar"
            tar = self._files.enter_context(tarfile.TarFile(path, "w", format=tarfile.USTAR_FORMAT))
            self._tars[split] = number, tar
        return tar


def _png(pixels: bytes, side: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.frombuffer(pixels, np.uint8).reshape(side, side, 3)).save(file, "PNG")
    return file.getvalue()


@contextmanager
def new_tars(
    out: Path, rule: InputRule, number: Mapping[str, int], *, raw: bool, most: int | None
) -> Iterator[TarSink]:
    """Yields what takes images; the folder `out` is there when the block succeeds.

    Raises `UsageError` if `out` exists.
    """
    require_new(out)
    with atomic_directory(out, hidden=True) as folder, ExitStack() as files:
        yield TarSink(folder, files, number, most or TAR_BYTES, rule.store if raw else None)
