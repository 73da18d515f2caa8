"""Takes what was said of served images out of a registry, and into a version of the data."""

import csv
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from seewhy.config.data import DataConfig
from seewhy.data import Splits, load_data
from seewhy.data.bad_files import write_csv
from seewhy.data.images.decode import content_hash, open_image
from seewhy.data.sources.corrected import (
    ADDED,
    NONE,
    PLAIN,
    Added,
    Corrected,
    is_corrected,
    read_corrected,
    write_corrected,
)
from seewhy.errors import DataError, ImageError, RegistryError, UsageError
from seewhy.events import OnEvent, ignore
from seewhy.files import atomic_directory, named_path, require_new
from seewhy.inference.registered import open_feedback, open_registry
from seewhy.registry.records import require_unicode
from seewhy.text import counted, plain_cell, visible
from seewhy.workflows.trained_on import keys_of, models_trained_on

LABELS = "labels.csv"
HEADER = ("file", "label", "request_id", "image", "at", "answer", "source", "audit")


@dataclass(frozen=True)
class ExportedFeedback:
    """A folder of labelled answers: how many, and how many of them have their image.

    `audit` were drawn at random, whatever was answered; of these, `right` were answered right.
    """

    path: Path
    labels: int
    images: int
    audit: int
    right: int


@dataclass(frozen=True)
class ForgottenRequest:
    """How many images of a request were removed, and the models, "NAME@VERSION", trained on one of them."""

    request_id: str
    images: int
    models: tuple[str, ...]


@dataclass(frozen=True)
class ServedData:
    """The folder `version`, `data` with served images: how many were added, and why others were not.

    `none` were labelled as none of the classes, `without_image` have no image, `known` are in the data
    already. `flags` are those that a training needs to leave out the files that cannot be used.
    """

    data: str
    version: Path
    added: int
    none: int
    without_image: int
    known: int
    flags: tuple[str, ...] = ()

    @property
    def note(self) -> str:
        """A summary of the version, including the images and corrections of earlier versions."""
        return read_corrected(self.version).note


def export_feedback(
    name: str,
    out: str | Path,
    *,
    registry: str | Path | None = None,
    source: str | None = None,
) -> ExportedFeedback:
    """Writes `out`, a folder of the labelled answers of the model `name`, and of the images that are kept.

    `name` is the model's in requests, `registry` as for `open_feedback`; `source` takes only labels of client
    or of review. The folder has labels.csv and images/. Raises `UsageError` if `out` exists or there are no
    labels.
    """
    require_unicode(name)
    path = named_path(out)
    require_new(path)
    rows: list[Sequence[object]] = []
    images = audit = right = 0
    with open_feedback(registry) as feedback, atomic_directory(path, hidden=True) as folder:
        (folder / ADDED).mkdir()
        for one in feedback.labelled(name):
            if source not in (None, one.source):
                continue
            file = ""
            if one.bytes is not None:
                kind = "jpg" if one.bytes.startswith(b"\xff\xd8") else "png"
                file = _plain(f"{one.request_id}-{one.image}.{kind}")
                (folder / ADDED / file).write_bytes(one.bytes)
            images += bool(file)
            audit += one.audit
            right += one.audit and one.label == one.answer
            about = (one.request_id, one.image, one.at, one.answer, one.source, int(one.audit))
            rows.append((file, one.label, *about))
        if not rows:
            raise UsageError(
                f"no answer of {visible(name)} has a label yet: give some at /review of its server, or by "
                "POST /feedback"
            )
        write_csv(HEADER, rows, folder / LABELS)
    return ExportedFeedback(path, len(rows), images, audit, right)


def forget_request(request_id: str, *, registry: str | Path | None = None) -> ForgottenRequest:
    """Removes all that is known of a request: its answers, labels and images.

    A model cannot forget: those that were trained on one of its images are named, to be trained again without
    it. `registry` is as for `open_feedback`. Raises `RegistryError` with the code unknown_request.
    """
    require_unicode(request_id)
    with open_feedback(registry) as feedback:
        hashes = set()
        for file in feedback.images(request_id):
            with suppress(ImageError):  # then nothing was trained on it either
                hashes.add(content_hash(open_image(file)).encode())
        models: list[str] = []
        if hashes:
            with open_registry(registry) as opened:
                models = models_trained_on(opened, keys_of(hashes))
        return ForgottenRequest(request_id, feedback.forget(request_id), tuple(models))


def _plain(file: str) -> str:
    """The name of a file that a row makes; rows may be anyone's. Raises `RegistryError` for a path."""
    if not PLAIN.fullmatch(file):
        raise RegistryError(
            "damaged",
            f"the registry has an answer whose image would be the file {visible(file)!r}: no server has "
            "written it, so find out who did, and remove its row",
        )
    return file


def apply_feedback(
    data: str | Path,
    served: Path,
    out: str | Path,
    config: DataConfig | None = None,
    *,
    on_event: OnEvent = ignore,
) -> ServedData:
    """Writes `out`, a version of `data` with the images that `export_feedback` wrote, as part of train.

    `data` is not changed, nor are its splits. Raises `DataError` for a label that is no class, and
    `UsageError` if `out` exists or no image is added.
    """
    out = named_path(out)
    require_new(out)
    config = config or DataConfig(on_bad="skip", max_bad=1)
    splits = load_data(data, config, trainable=False, on_event=on_event)
    rows = _read(served)
    known = _hashes(splits)
    before = (
        {one.file for one in read_corrected(Path(data)).added} if is_corrected(Path(data)) else ()
    )
    added: list[Added] = []
    counts = {"none": 0, "without_image": 0, "known": 0}
    for line, (file, label) in enumerate(rows, 2):
        if label == NONE:
            counts["none"] += 1
        elif not file:
            counts["without_image"] += 1
        elif label not in splits.classes:
            names = ", ".join(map(visible, splits.classes[:20]))
            raise DataError(
                f"{LABELS}, line {line:,}: {visible(label)!r} is no class of {visible(str(data))}: it has "
                f"{names}"
            )
        elif file not in before and _hash(served / ADDED / file) in known:
            counts["known"] += 1
        else:
            added.append(Added(file=file, label=label))
    if not added:
        raise UsageError(f"no image is added: {_why(counts)}")
    version = _version(str(data), config, added)
    write_corrected(version, out, [served, Path(data)])
    return ServedData(
        data=str(data), version=out, added=len(added), **counts, flags=splits.skip_flags
    )


def _version(data: str, config: DataConfig, added: Sequence[Added]) -> Corrected:
    """The version of the data with these images; a label that is newer than that of a version holds."""
    path = Path(data)
    source = str(path.resolve()) if path.exists() else data
    version = Corrected(
        source=source, layout=config.layout, label_column=config.label_column, corrections=()
    )
    if is_corrected(path):
        version = read_corrected(path)
    merged = {one.file: one for one in (*version.added, *added)}
    return version.model_copy(update={"added": tuple(merged.values())})


def _read(served: Path) -> list[tuple[str, str]]:
    """The file and the label of each row. Raises `DataError`."""
    table = served / LABELS
    try:
        with open(table, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, strict=True, restval=""))
        found = [(plain_cell(row["file"]), plain_cell(row["label"])) for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, TypeError) as error:
        raise DataError(
            f"{visible(str(table))} is no list of labels ({type(error).__name__}): make the folder with "
            "`seewhy feedback export`"
        ) from None
    for line, (name, _) in enumerate(found, 2):
        if name and not PLAIN.fullmatch(name):
            raise DataError(
                f"{LABELS}, line {line:,}: {visible(name)!r} is no name of a file in images/"
            )
    return found


def _hashes(splits: Splits) -> set[str]:
    """The contents of all images of the data, also of test."""
    parts = [part.hashes for part in (splits.train, splits.val, splits.left_out)]
    if splits.test is not None:
        parts.append(splits.test.hashes)
    return {digest.decode() for part in parts for digest in part}


def _hash(file: Path) -> str:
    try:
        return content_hash(open_image(file))
    except ImageError as error:
        raise DataError(f"{visible(str(file))}: {error}") from None


def _why(counts: dict[str, int]) -> str:
    return (
        f"of {counted(sum(counts.values()), 'label')}, {counts['without_image']:,} have no image (serve "
        f"--keep-images keeps them), {counts['known']:,} are of images that are in the data, and "
        f"{counts['none']:,} are {json.dumps(NONE, allow_nan=False)}"
    )
