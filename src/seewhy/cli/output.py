"""Where a verb writes."""

from pathlib import Path

from seewhy.errors import UsageError


def new_folder(out: Path | None) -> Path | None:
    """Makes the directory; raises `UsageError` for one that holds something, which would be lost."""
    if out is None:
        return None
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} already holds something: choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    return out


def refuse_existing(out: Path | None) -> None:
    """Raises `UsageError` where there is something, which would be lost."""
    if out is not None and out.exists():
        raise UsageError(f"{out} exists and is not written over: choose another --out")
