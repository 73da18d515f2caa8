"""What zips and tars have in common: their limits, and the list of their files."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from seewhy.data.sources.folders import Scan, folders_of, is_litter, is_output, named_as_image
from seewhy.data.sources.splits import lone, split_folders
from seewhy.errors import ArchiveError
from seewhy.text import shortened, visible

Entry = TypeVar("Entry")

ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
TARS = (".tar", ".tar.gz", ".tgz")  # that are read, as zips are
_KNOWN = (*ARCHIVES, ".tbz", ".tbz2", ".txz", ".tzst", ".zst", ".lzma", ".lz4", ".z")


@dataclass(frozen=True)
class ArchiveLimits:
    """Limits of an archive: its entries, the bytes of their list, of one entry unpacked and of all.

    `max_ratio` is the ratio of all bytes unpacked to those of the file, so that overlapping entries
    count as often as they are unpacked.
    """

    max_entries: int
    max_directory: int
    max_entry: int
    max_total: int
    max_ratio: int


# For the user's own files: Kaggle's CIFAR-10 has 350,001 entries. Images are unpacked one at a time, so
# memory limits the list (about 1 KB per entry) and the single entry; the sum only takes time.
LOCAL_ARCHIVE = ArchiveLimits(500_000, 64 << 20, 2 << 30, 256 << 30, 100)

SMALL = 1 << 20  # bytes unpacked in all; below, the ratio does not matter


def is_unread(name: str) -> bool:
    """Says whether a name is that of an archive of a kind that is not read."""
    return name.lower().endswith(_KNOWN) and not name.lower().endswith((".zip", *TARS))


def not_looked_into(files: Iterable[str]) -> str:
    """Returns a line on the archives among the files of a folder, and what to do; "" without any."""
    names = [name for name in files if "/" not in name and name.lower().endswith(_KNOWN)]
    if not names:
        return ""
    alone = len(names) == 1
    given = ", or give it as --data" if alone and not is_unread(names[0]) else ""
    return (
        f"Nothing was looked for in {shortened(names)}: extract {'it' if alone else 'them'}{given}"
    )


def refusal(archive: str, code: str, detail: str) -> ArchiveError:
    return ArchiveError(visible(archive), code, detail)


def check_sums(archive: str, entries: int, total: int, size: int, limits: ArchiveLimits) -> None:
    """Refuses an archive of `size` bytes with too many entries, or that unpacks to too many bytes."""
    if entries > limits.max_entries:
        raise refusal(archive, "zip_entries", f"{entries:,}; at most {limits.max_entries:,}")
    if total > limits.max_total:
        raise refusal(archive, "zip_total", f"{total:,}; at most {limits.max_total:,}")
    if total > max(SMALL, limits.max_ratio * size):
        raise refusal(archive, "zip_ratio", f"{total / size:,.1f}; at most {limits.max_ratio}")


def list_archive(
    archive: str,
    files: Iterable[tuple[str, Entry]],
    folders: Iterable[str],
    is_image: Callable[[Entry], bool],
) -> tuple[Scan, dict[str, Entry]]:
    """Lists an archive like a folder; if it holds a single folder, paths are relative to that.

    Names with `..` and the like are skipped as `not_a_file`. `is_image` looks at the first bytes of a file
    whose name does not tell. Raises `ArchiveError` for a name used twice.
    """
    scan, entries = Scan(), dict[str, Entry]()
    names = defaultdict[str, set[str]](set)
    for path, entry in files:
        parts = path.split("/")
        names["/".join(parts[:-1])].add(parts[-1])
        if any(is_litter(part) for part in parts if part.strip(".")):
            continue
        if any(part.strip(".") == "" for part in parts):
            scan.skip(path, "not_a_file")
        elif path in entries:
            raise refusal(archive, "zip_twice", visible(path))
        else:
            entries[path] = entry
    scan.outputs = [folder for folder in names if folder and is_output(names[folder])]
    entries = {path: e for path, e in entries.items() if not _below(path, scan.outputs)}
    known = folders_of([*entries, *(f"{folder}/" for folder in folders)])
    scan.folders = [f for f in known if _is_plain(f) and not _below(f + "/", scan.outputs)]
    top = lone(entries)
    if top and not split_folders([top]) and top not in entries:
        entries = {path.removeprefix(top + "/"): entry for path, entry in entries.items()}
        scan.folders = scan.inside(top).folders
    for path, entry in entries.items():
        image = named_as_image(path) or is_image(entry)
        (scan.images if image else scan.others).append(path)
    scan.sort()
    return scan, entries


def _below(path: str, folders: list[str]) -> bool:
    return any(path.startswith(folder + "/") for folder in folders)


def _is_plain(folder: str) -> bool:
    return all(part and not is_litter(part) for part in folder.split("/"))
