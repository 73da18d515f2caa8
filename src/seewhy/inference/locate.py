"""Which file a name stands for: a file, a run, a shipped model, one of a registry, or several of these."""

from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path

from seewhy.errors import ModelFileError, UsageError
from seewhy.files import named_path
from seewhy.run import Run
from seewhy.text import no_such

REGISTERED = "registry:"
SHIPPED = Path(__file__).parents[1] / "weights"


def find_models(model: str | PathLike[str] | Sequence[str | PathLike[str]]) -> list[Path]:
    """The model files that a name, several names, or "A+B" stand for; an existing path wins."""
    if not isinstance(model, str | PathLike):
        if not model:
            raise UsageError(
                "no model is named: name a model file, a run directory or a shipped model"
            )
        return [file for name in model for file in find_models(name)]
    model = fspath(model)
    names = model.split("+")
    if len(names) == 1 or Path(model).exists():
        return [find_model(model)]
    if not all(names):
        raise UsageError(f"{model!r} lacks a model beside a +: write A+B")
    return [find_model(name) for name in names]


def find_model(model: str | Path) -> Path:
    """The model file that a path, a run directory, a shipped name or "registry:NAME@ALIAS" stands for."""
    path = named_path(model)
    if str(model).startswith(REGISTERED) and not path.exists():
        # Here, since only these need a database.
        from seewhy.inference.registered import registered_file

        return registered_file(str(model))
    if path.is_dir():
        run = Run(path)
        if not run.finished:
            raise ModelFileError(
                f"{path} holds no model.safetensors: is it a run directory, and did its training end? "
                f"`{run.resume_command}` continues it"
            )
        return run.model
    if path.exists():
        return path
    if str(model) in shipped_models():
        return SHIPPED / f"{model}.safetensors"
    raise UsageError(no_such("file, run or shipped model", str(model), shipped_models()))


def stamps_of(model: str) -> list[tuple[int, ...] | str]:
    """What differs after a model file was replaced, or an alias of a registry was moved; reads no file."""
    stamps: list[tuple[int, ...] | str] = []
    for name in [model] if Path(model).exists() else model.split("+"):
        if name.startswith(REGISTERED):
            from seewhy.inference.registered import registered_version

            stamps.append(registered_version(name).sha256)
        else:
            about = find_model(name).stat()
            stamps.append((about.st_size, about.st_mtime_ns, about.st_ino))
    return stamps


def shipped_models() -> list[str]:
    """The names of the models that come with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.safetensors"))
