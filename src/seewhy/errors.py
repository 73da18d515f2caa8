"""The errors that a user can cause and fix, as one tree of exceptions with their facts as fields.

    SeeWhyError               exit 2: wrong use or bad input
    ├── UsageError            an option, a name or a recipe that does not fit
    ├── DataError             images, labels or splits that cannot be used
    │   ├── UntrainableError  classes that no classifier can be trained on
    │   ├── ImageError        one image that cannot be used; has a `code`
    │   ├── ArchiveError      a zip, tar or pack that is damaged or must not be opened; has a `code`
    │   └── DriftError        images that cannot be compared with a reference; has a `code`
    ├── ModelFileError        a model file that is damaged, foreign or unsafe
    ├── UnwritableError       a file or directory that cannot be made
    ├── DiskFullError         exit 3: no space left while writing
    ├── MemoryLimitError      exit 4: no memory left (RAM or GPU)
    ├── ChecksumError         exit 5: a download with the wrong checksum
    ├── RegistryError         a registry, or what is asked of it; has a `code`; exit 8 if it is unreachable
    ├── ServerError           a server that refuses a request, is busy or cannot be reached; has a `code`
    ├── LockedError           exit 6: another process is writing here
    ├── DivergedError         exit 7: the loss became NaN or infinite
    └── RankError             exit 8: a process that trains with others differs, or is gone; has a `code`

Every message says what was received, what was expected and what to do. Facts that other code reads or adds
are fields, from which the message is built. The command line shows it without a traceback. A bug in SeeWhy
is an `assert`, never one of these.
"""

import errno
import re
from dataclasses import dataclass
from pathlib import Path


class SeeWhyError(Exception):
    """An error that the user can fix; the message says how."""

    exit_code = 2


class UsageError(SeeWhyError):
    """An option, a name or a recipe that does not fit."""


class DataError(SeeWhyError):
    """Images, labels or splits that cannot be used."""


@dataclass(eq=False)
class UntrainableError(DataError):
    """Classes that no classifier can be trained on: the problem and its remedy."""

    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.problem}: {self.remedy}"


@dataclass(eq=False)
class ImageError(DataError):
    """One image that cannot be used.

    `code` is one of `IMAGE_ERROR_CODES`. The decoder's message never holds a path, so that it can be shown to
    anyone; code that was given a path adds it.
    """

    code: str
    detail: str = ""

    def __post_init__(self) -> None:
        assert self.code in IMAGE_ERROR_CODES, self.code

    def __str__(self) -> str:
        return self.detail or IMAGE_ERROR_CODES[self.code]


IMAGE_ERROR_CODES = {
    "undecodable": "the file is damaged or cut short",
    "unsupported_format": "not a JPEG, PNG, WebP, GIF, BMP, TIFF, PNM or AVIF",
    "unsupported_layout": "bands, bits or a compression that is not read",
    "unsupported_depth": "pixel values outside 0 to 65,535",
    "too_many_pixels": "more pixels than the limit, or a side that is too long",
    "too_large": "more bytes than the limit",
    "decode_timeout": "it takes too long to decode",
    "not_a_file": "not a regular file inside the folder (link, pipe, device)",
    "not_found": "no such file",
    "unreadable": "the file cannot be opened",
    "empty_folder": "an empty folder, which is no class",
}


@dataclass(eq=False)
class ArchiveError(DataError):
    """A zip, tar or pack that is damaged or must not be opened; `code` is in `ARCHIVE_ERROR_CODES`."""

    archive: str
    code: str
    detail: str

    def __post_init__(self) -> None:
        assert self.code in ARCHIVE_ERROR_CODES, self.code

    def __str__(self) -> str:
        return f"{self.archive}: {ARCHIVE_ERROR_CODES[self.code]} ({self.detail})"


ARCHIVE_ERROR_CODES = {
    "zip_damaged": "it is damaged or cut short",
    "zip_entries": "it has more entries than the limit",
    "zip_directory": "its list of entries takes more bytes than the limit",
    "zip_entry": "an entry unpacks to more bytes than the limit",
    "zip_total": "its entries unpack to more bytes than the limit",
    "zip_ratio": "it unpacks to more times its size than the limit",
    "zip_encrypted": "an entry is encrypted",
    "zip_nested": "an entry is an archive itself",
    "zip_link": "an entry is a link or a device",
    "zip_compression": "an entry has a compression other than deflate",
    "zip_twice": "two entries have one name",
    "pack_damaged": "it is damaged or cut short",
    "pack_foreign": "it is no pack of `seewhy data pack`",
    "pack_newer": "it is of a newer version",
}


@dataclass(eq=False)
class DriftError(DataError):
    """Images that cannot be compared with a reference.

    `code` is one of too_few_images, other_model (the reference is of another one) and damaged_reference.
    """

    code: str
    detail: str

    def __str__(self) -> str:
        return self.detail


@dataclass(eq=False)
class ModelFileError(SeeWhyError):
    """A model file that is damaged, foreign or unsafe; `path` is added by code that knows it."""

    fault: str
    path: str | None = None

    def __str__(self) -> str:
        return f"{self.path}: {self.fault}" if self.path else self.fault


@dataclass(eq=False)
class RegistryError(SeeWhyError):
    """A registry that cannot be used, or has not what is asked of it.

    `code` is one of unknown_model, unknown_version, unknown_alias, no_earlier_version, alias_moved,
    collected, damaged, newer_schema, no_test, unknown_request, unknown_label and unreachable.
    """

    code: str
    detail: str

    def __post_init__(self) -> None:
        if self.code == "unreachable":  # which may pass: whoever starts a server may try again
            self.exit_code = 8

    def __str__(self) -> str:
        return self.detail


@dataclass(eq=False)
class DiskFullError(SeeWhyError):
    """No space at `path` for `needed` bytes (None: unknown).

    If space is checked before writing, `free` is the number of free bytes and `purpose` what needs them.
    `resume` is the command that continues a training run; the code that trains adds it.
    """

    path: Path | str
    needed: int | None = None
    free: int | None = None
    purpose: str = ""
    resume: str | None = None
    exit_code = 3

    def __str__(self) -> str:
        again = (
            "run the same command again"
            if self.resume is None
            else f"continue with `{self.resume}`"
        )
        if self.free is not None and self.needed is not None:
            return (
                f"{self.purpose} needs {self.needed / 1e6:,.0f} MB and {self.path} has "
                f"{self.free / 1e6:,.0f} MB free: free some space and {again}, or choose another directory"
            )
        need = "" if self.needed is None else f" (need {max(self.needed / 1e6, 0.1):,.1f} MB)"
        return f"disk full while writing {self.path}{need}: free some space and {again}"


@dataclass(eq=False)
class UnwritableError(SeeWhyError):
    """A `path` that the system refuses to make or to write, and its reason."""

    path: Path
    reason: str

    def __str__(self) -> str:
        where = "allow it, choose another --out if there is one, or work in another directory"
        return f"cannot write {self.path} ({self.reason}): {where}"


@dataclass(eq=False)
class MemoryLimitError(SeeWhyError):
    """No memory left; `cause` is what ran out, `batch_size` the images per step of the training, if any."""

    cause: str
    batch_size: int | None = None
    exit_code = 4

    def __str__(self) -> str:
        if self.batch_size is None:
            return f"no memory left ({self.cause}): close other programs, or raise `ulimit -v`"
        if self.batch_size <= 2:  # a step was already cut into micro-batches of so few images
            return (
                f"no memory left for {self.batch_size} images at a time: choose a smaller data.size or "
                f"model ({self.cause})"
            )
        return (
            f"no memory left with train.batch_size={self.batch_size}: try --train.batch_size "
            f"{max(self.batch_size // 2, 1)}, or a smaller data.size or model ({self.cause})"
        )


@dataclass(eq=False)
class ChecksumError(SeeWhyError):
    """A download from `url` whose sha256 is not the expected one; `path` is where the right file belongs."""

    url: str
    received: str
    expected: str
    path: Path
    exit_code = 5

    def __str__(self) -> str:
        return (
            f"the sha256 of {self.url} was {self.received} twice; expected {self.expected}. The file was "
            f"removed: download the right one from elsewhere and put it at {self.path}"
        )


@dataclass(eq=False)
class ServerError(SeeWhyError):
    """A server that refuses a request, is busy or cannot be reached: its `code` and `message`.

    `status` is that of HTTP, None where no answer came.
    """

    code: str
    message: str
    status: int | None = None

    def __str__(self) -> str:
        return f"{self.message} ({self.code})"


@dataclass(eq=False)
class LockedError(SeeWhyError):
    """Another process, the `holder`, is writing in the directory `path`."""

    path: Path
    holder: str
    exit_code = 6

    def __str__(self) -> str:
        return f"{self.path} is being written by {self.holder}: wait for it, or choose another directory"


@dataclass(eq=False)
class DivergedError(SeeWhyError):
    """The loss, a weight or a logit became NaN or infinite: `finding` says which.

    `step` and `lr` (learning rate) are those of the training run; `highest_lr` is that of its recipe and
    `kept` the last good checkpoint or a text that there is none; the code that writes checkpoints adds them.
    """

    finding: str
    step: int | None = None
    lr: float | None = None
    kept: Path | str | None = None
    highest_lr: float | None = None
    exit_code = 7

    def __str__(self) -> str:
        step = "" if self.step is None else f" at step {self.step}"
        rate = "" if self.lr is None else f" (learning rate {self.lr:g})"
        highest = self.highest_lr or self.lr
        lower = "a lower train.lr" if highest is None else f"--train.lr {highest / 10:.2g}"
        kept = "" if self.kept is None else f" (kept: {self.kept})"
        more = f"{lower}, --train.clip 1 or --train.warmup 1"
        return f"{self.finding}{step}{rate}: start again with {more}{kept}"


@dataclass(eq=False)
class RankError(SeeWhyError):
    """A process of several that train one model differs from the others, or is gone.

    `code` is one of missing (did not start), differs (other code, settings or data), left (ended with an
    error), lost (killed, or its connection broke) and silent (stopped). `resume` is the command that
    continues the run; the code that trains adds it.
    """

    code: str
    detail: str
    resume: str | None = None
    exit_code = 8

    def __str__(self) -> str:
        return (
            self.detail if self.resume is None else f"{self.detail}: continue with `{self.resume}`"
        )


# EFBIG is the error of a file-size limit (`ulimit -f`).
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

# Of a path that cannot be made: no permission, a file among its folders, a name that is too long, ...
UNWRITABLE = {
    *(
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EEXIST,
        errno.EISDIR,
    ),
    *(errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL),
}

# Messages of libraries when memory, address space or threads run out, besides `MemoryError`.
_NO_MEMORY = re.compile(
    r"DefaultCPUAllocator: (can't|not enough)"  # PyTorch
    r"|\[enforce fail at alloc_cpu\.cpp"
    r"|_STATUS_ALLOC_FAILED"  # cuBLAS, cuDNN
    r"|\bout of memory\b"  # CUDA, Metal, Pillow
    r"|could not create a primitive(?! descriptor)"  # oneDNN; with a descriptor, it lacks the operation
    r"|[Ff]ailed to allocate memory"  # ONNX Runtime
    r"|\bbad_alloc\b|bad allocation"  # C++
    r"|Cannot allocate memory(?! in static TLS)"  # the operating system, for ENOMEM
    r"|failed to map segment"  # the loader of libraries
    r"|can't start new thread"  # Python
)


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception of any library reports that no memory is left."""
    if isinstance(error, MemoryError) or isinstance(error.__context__, MemoryError):
        return True
    reported = isinstance(error, RuntimeError | ImportError | OSError)
    return reported and bool(_NO_MEMORY.search(str(error)))


def first_line(error: BaseException) -> str:
    """The first line of an exception's message, or its type."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def as_user_error(error: Exception) -> SeeWhyError | None:
    """The error of this tree that an exception means to the user, or None for a bug."""
    if isinstance(error, SeeWhyError):
        return error
    if out_of_memory(error):
        return MemoryLimitError(first_line(error))
    if isinstance(error, OSError) and error.errno in FULL:
        return DiskFullError(error.filename or "the output")
    if isinstance(error, PermissionError) and error.filename is not None:
        return UsageError(
            f"{error.filename} cannot be opened ({error.strerror}): allow it, or name another one"
        )
    return None
