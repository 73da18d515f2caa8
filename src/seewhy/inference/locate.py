"""Which file a name stands for: a model file, a run directory, a shipped model, or several of these."""

from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path

from seewhy.errors import ModelFileError, UsageError
from seewhy.files import named_path
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
    model = fspath(model)
    names = model.split("+")
    if len(names) == 1 or Path(model).exists():
        return [find_model(model)]
    if not all(names):
        raise UsageError(f"{model!r} lacks a model beside a +: write A+B")
    return [find_model(name) for name in names]


def find_model(model: str | Path) -> Path:
    """The model file that a path, a run directory or a shipped name stands for."""
    path = named_path(model)
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


def shipped_models() -> list[str]:
    """The names of the models that come with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.safetensors"))
