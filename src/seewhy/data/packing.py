"""A source as it is packed: each image at the stored size, with all that is known of it."""

from functools import partial
from io import BytesIO
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from PIL import Image

from seewhy.config.input_rule import InputRule
from seewhy.data.bad_files import BadFile, check_bad
from seewhy.data.cache import read_all
from seewhy.data.class_names import classes_of
from seewhy.data.images.decode import ImageLike, read_file, read_hashed
from seewhy.data.loading import Listed, groups_of
from seewhy.data.pack import About, Writer
from seewhy.data.sources.source import Record
from seewhy.errors import DataError, ImageError
from seewhy.events import OnEvent, Progress, ignore

# Colours at full resolution: smaller than quality 95 with halved ones, and nearer to the pixels.
JPEG = {"quality": 90, "subsampling": 0}
_START = b"\xff\xd8\xff"


class Encoded(NamedTuple):
    """An image to be packed: its bytes, and the content hash and the size of that which it was made from."""

    data: bytes
    hash: str
    size: tuple[int, int]


class Counts(NamedTuple):
    """How many images were packed, and those that could not be read."""

    images: int
    bad: tuple[BadFile, ...]


class Sink(Protocol):
    """What takes images one by one."""

    def add(self, record: Record, image: Encoded) -> None: ...


def encode(image: ImageLike, rule: InputRule, raw: bool = False) -> Encoded:
    """Returns an image as it is stored: a JPEG of quality 90, or its pixels; raises `ImageError`.

    A JPEG that has the stored size already is copied byte for byte.
    """
    data = read_file(image) if isinstance(image, Path) else image
    pixels, whole, size = read_hashed(data, rule)
    if raw:
        return Encoded(pixels.tobytes(), whole, size)
    if isinstance(data, bytes) and data.startswith(_START) and size == (rule.store, rule.store):
        return Encoded(data, whole, size)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", **JPEG)
    return Encoded(file.getvalue(), whole, size)


def pack_images(
    listed: Listed, rule: InputRule, sink: Sink, *, raw: bool = False, on_event: OnEvent = ignore
) -> Counts:
    """Hands all images of a source to `sink`, in its order; a few are in memory at a time.

    Raises `DataError` for images that cannot be read, unless the configuration skips them.
    """
    reading, config = listed.origin.read(), listed.config
    groups = None
    if config.group_from and not listed.origin.grouped:
        ids = [record.id for record in listed.origin.read().records]
        groups = iter(groups_of(ids, config.group_from))
    bad: list[BadFile] = []
    done = 0
    read = partial(_encoded, rule=rule, raw=raw)
    for records, results in read_all(reading.records, rule.store, read):
        for record, result in zip(records, results, strict=True):
            if groups is not None:
                record = record._replace(group=next(groups))
            if isinstance(result, ImageError):
                bad.append(BadFile(record.id, result.code, str(result)))
            else:
                sink.add(record, result)
        done += len(records)
        on_event(Progress("packing", done, max(done, reading.total)))
    check_bad(bad, done, config.on_bad, config.max_bad)
    if done == len(bad):
        raise DataError(f"no images in {listed.origin.root}")
    return Counts(done - len(bad), tuple(bad))


def _encoded(image: ImageLike, rule: InputRule, raw: bool) -> Encoded | ImageError:
    try:
        return encode(image, rule, raw)
    except ImageError as error:
        return error


def label_numbers(listed: Listed) -> dict[str, int]:
    """Returns the number of the class of each label of a source, by a pass over its records."""
    reading = listed.origin.read()
    labels = dict.fromkeys(record.label for record in reading.records if record.label.strip())
    return classes_of(tuple(labels), reading.classes).number


class PackSink:
    """Fills a pack; `finish` writes its index."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._labels: dict[str, int] = {"": -1}  # by the number of which an image is written
        self._ids: list[str] = []
        self._groups: list[str] = []

    def add(self, record: Record, image: Encoded) -> None:
        label = record.label if record.label.strip() else ""
        number = self._labels.setdefault(label, len(self._labels) - 1)
        self._writer.add(image.data, bytes.fromhex(image.hash), image.size, number, record.split)
        self._ids.append(record.id)
        if record.group is not None:
            self._groups.append(record.group)

    def finish(self, listed: Listed, rule: InputRule, raw: bool) -> None:
        origin = listed.origin
        assert len(self._groups) in (0, len(self._ids)), "either all images have groups or none"
        labels = [label for label in self._labels if label]
        classes = classes_of(labels, listed.origin.read().classes)
        names = classes.names
        if origin.names and names == tuple(map(str, range(len(origin.names)))):
            names = origin.names
        numbers = [classes.number[label] for label in labels]
        about = About(
            rule=rule,
            raw=raw,
            layout=origin.layout,
            classes=list(names),
            merged=list(classes.merged),
            ids=self._ids,
            groups=self._groups or None,
            corrections={key.decode(): name for key, name in origin.corrections.items()},
        )
        self._writer.finish(about, np.array([*numbers, -1]))
