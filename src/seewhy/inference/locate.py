"""Which file a name stands for: a file, a run, a shipped model, one of a registry, or several of these."""

import os
from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path

from seewhy.errors import ModelFileError, UsageError
from seewhy.files import named_path
from seewhy.registry.records import PREFIX, Reference
from seewhy.run import Run
from seewhy.text import no_such

SHIPPED = Path(__file__).parents[1] / "weights"


def find_models(model: str | PathLike[str] | Sequence[str | PathLike[str]]) -> list[Path]:
    """The model files that a name, several names, or "A+B" stand for; an existing path wins."""
    if not isinstance(model, str | PathLike):
        if not model:
            raise UsageError(
                "no model is named: name a model file, a run directory or a shipped model"
            )
        return [file for name in model for file in find_models(name)]
    return [find_model(name) for name in _names(fspath(model))]


def _names(model: str) -> list[str]:
    """The names in "A+B"; an existing path is one."""
    names = model.split("+")
    if len(names) == 1 or named_path(model).exists():
        return [model]
    if not all(names):
        raise UsageError(f"{model!r} lacks a model beside a +: write A+B")
    return names


def is_registered(model: str | Path) -> bool:
    """Whether a model is named as one of a registry; an existing path wins."""
    return str(model).startswith(PREFIX) and not named_path(model).exists()


def find_model(model: str | Path) -> Path:
    """The model file that a path, a run directory, a shipped name or "registry:NAME@ALIAS" stands for."""
    path = named_path(model)
    if is_registered(model):
        # Here, since only these need a database.
        from seewhy.inference.registered import registered_file

        return registered_file(str(model))
    if path.is_dir():
        run = Run(path)
        if not run.started and not run.finished:
            raise ModelFileError(
                f"{path} is no run directory: expected one, a model file or a shipped model "
                f"({', '.join(shipped_models())})"
            )
        if not run.finished:
            raise ModelFileError(
                f"{path} holds no model.safetensors, as its training has not ended: `{run.resume_command}` "
                "continues it"
            )
        return run.model
    if path.exists():
        return path
    if str(model) in shipped_models():
        return SHIPPED / f"{model}.safetensors"
    raise UsageError(no_such("file, run or shipped model", str(model), shipped_models()))


def model_name(model: str | PathLike[str]) -> str:
    """What to call a model: a run by its directory, a file by its stem, a registered one by its own name.

    "A+B" is called by the names of both.
    """
    if len(names := _names(fspath(model))) > 1:
        return "+".join(map(model_name, names))
    if is_registered(fspath(model)):
        return Reference.parse(fspath(model)).name
    path = Path(os.path.abspath(named_path(fspath(model))))  # of a link, its own name
    if path.name == "model.safetensors":
        return path.parent.name or path.stem
    return path.name if path.is_dir() else path.stem


def stamps_of(model: str) -> list[tuple[int, ...] | str]:
    """What differs after a model file was replaced, or an alias of a registry was moved; reads no file."""
    stamps: list[tuple[int, ...] | str] = []
    for name in _names(model):
        if is_registered(name):
            from seewhy.inference.registered import registered_version

            stamps.append(registered_version(name).sha256)
        else:
            about = find_model(name).stat()
            stamps.append((about.st_size, about.st_mtime_ns, about.st_ino))
    return stamps


def shipped_models() -> list[str]:
    """The names of the models that come with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.safetensors"))
