"""All that a user can cause, as one tree of exceptions.

    SeeWhyError               exit 2: wrong use or bad input
    ├── UsageError            an option, a name or a recipe that does not fit
    ├── DataError             images, labels or splits that cannot be used
    │   ├── ImageError        one picture that cannot be used; has a `code`
    │   └── ArchiveError      a zip that is damaged or not to be opened; has a `code`
    ├── ModelFileError        a model file that is damaged, foreign or unsafe
    ├── DiskFullError         exit 3: no space left while writing
    ├── MemoryLimitError      exit 4: no memory left (RAM or GPU)
    ├── ChecksumError         exit 5: a download that is not what it should be
    ├── LockedError           exit 6: another process is writing here
    └── DivergedError         exit 7: the loss became NaN or infinite

Every message says what came, what was expected and what to do. The command line shows it without a
traceback. A mistake of our own is an `assert`, never one of these.
"""


class SeeWhyError(Exception):
    """Something that the user can put right; the message says how."""

    exit_code = 2


class UsageError(SeeWhyError):
    """An option, a name or a recipe that does not fit."""


class DataError(SeeWhyError):
    """Images, labels or splits that cannot be used."""


class ImageError(DataError):
    """One picture that cannot be used.

    `code` is one of `IMAGE_ERROR_CODES`; the message never holds a path, so that it can be shown to anyone.
    """

    def __init__(self, code: str, message: str) -> None:
        assert code in IMAGE_ERROR_CODES, code
        super().__init__(message)
        self.code = code


IMAGE_ERROR_CODES = {
    "undecodable": "the file is damaged or cut short",
    "unsupported_format": "not a JPEG, PNG, WebP, GIF, BMP or TIFF",
    "unsupported_depth": "pixel values outside 0 to 65,535",
    "too_many_pixels": "more pixels than the limit, or a side that is too long",
    "too_large": "more bytes than the limit",
    "not_a_file": "not a regular file inside the folder (link, pipe, device)",
    "not_found": "no such file",
    "unreadable": "the file cannot be opened",
}


class ArchiveError(DataError):
    """A zip that is damaged or not to be opened; `code` is one of `ARCHIVE_ERROR_CODES`."""

    def __init__(self, code: str, message: str) -> None:
        assert code in ARCHIVE_ERROR_CODES, code
        super().__init__(message)
        self.code = code


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
    "zip_compression": "an entry is packed otherwise than by deflate",
    "zip_twice": "two entries have one name",
}


class ModelFileError(SeeWhyError):
    """A model file that is damaged, foreign or unsafe."""


class DiskFullError(SeeWhyError):
    """No space left while writing."""

    exit_code = 3


class MemoryLimitError(SeeWhyError):
    """No memory left."""

    exit_code = 4


class ChecksumError(SeeWhyError):
    """A download that is not what it should be."""

    exit_code = 5


class LockedError(SeeWhyError):
    """Another process is writing here."""

    exit_code = 6


class DivergedError(SeeWhyError):
    """The loss became NaN or infinite."""

    exit_code = 7


# What libraries say, besides MemoryError, when memory, address space or room for threads runs out.
_NO_MEMORY = (
    "allocate",  # PyTorch, the operating system
    "out of memory",  # CUDA
    "bad_alloc",  # C++
    "could not create a primitive",  # oneDNN
    "failed to map segment",  # the loader of libraries
    "can't start new thread",  # Python
)


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception of any library says that no memory is left."""
    if isinstance(error, MemoryError) or isinstance(error.__context__, MemoryError):
        return True
    said = str(error) if isinstance(error, RuntimeError | ImportError | OSError) else ""
    return any(sign in said for sign in _NO_MEMORY)
