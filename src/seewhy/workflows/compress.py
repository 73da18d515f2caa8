"""Makes a model smaller and faster in several ways, and keeps what proves its worth on validation images."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from seewhy.data import Data, Splits
from seewhy.data.images.decode import centre
from seewhy.errors import UsageError
from seewhy.evaluation.decision.answers import decides
from seewhy.events import Note, OnEvent, ignore
from seewhy.exporters import prune
from seewhy.exporters.gate import Candidate, judge
from seewhy.exporters.onnx import to_onnx
from seewhy.exporters.quantise import IMAGES, to_int8
from seewhy.files import (
    exclusive,
    holds_something,
    make_directory,
    named_path,
    require_writable,
    write_atomic,
    write_json,
)
from seewhy.inference import bundle as bundles
from seewhy.inference.bundle import Bundle
from seewhy.inference.classifier import Classifier
from seewhy.inference.loading import opened
from seewhy.inference.onnx import OnnxPredictor, remember
from seewhy.inference.pytorch import PyTorchPredictor
from seewhy.models.registry import cost, name_of
from seewhy.plots.compress import draw_compression
from seewhy.text import no_such
from seewhy.workflows.evaluate import part_of, read_splits
from seewhy.workflows.train import train

Method = Literal["int8", "prune", "magnitude", "distil"]

RECORD, REFERENCE = "compress.json", "fp32"
LOCK = "compress.lock"  # in a folder that was begun here, where files may be written again
TUNING = 4  # a fine-tuning has a quarter of the epochs of the training
TUNING_LR = 0.1  # of the learning rate of the training


@dataclass(frozen=True)
class Compression:
    """The reference, the model as it is in ONNX, and the candidates, measured on `n` validation images."""

    model: str
    n: int
    max_drop: float
    reference: Candidate
    candidates: tuple[Candidate, ...]
    folder: Path

    @property
    def kept(self) -> tuple[Candidate, ...]:
        """The candidates that may replace the model."""
        return tuple(one for one in self.candidates if one.rejected is None)


def compress(
    model: Classifier | str | PathLike[str],
    data: Data,
    out: str | Path,
    *,
    methods: Sequence[str] = get_args(Method),
    max_drop: float = 0.5,
    keep: float = 0.75,
    epochs: int | None = None,
    on_event: OnEvent = ignore,
) -> Compression:
    """Tries to make a bundle smaller and faster, and writes to `out` what loses little and gains something.

    `methods`: int8 quantises the model, and each candidate of the others; prune leaves out the least
    important channels and fine-tunes; magnitude makes the smallest weights zero and fine-tunes; distil trains
    a narrower network to answer as the model does. All are measured as ONNX files, by one thread, on the
    validation images of `data`, which should be the model's own. A candidate that loses more than `max_drop`
    points (0 to 100) of accuracy, or is neither smaller nor faster by 10%, is rejected and not written.

    `keep` (0 to 1) is the share of the channels, or of the weights, that is kept; `epochs` are those of each
    training (None: as many as the model's own for distil, else a quarter). `out` gets the files,
    compress.json and a figure, and trainings/, by which the same command goes on after an interruption.
    Raises `UsageError` for a model that is not a bundle, for an ensemble or a network of one's own by other
    methods than int8, and if `out` has a compress.json or other files, `LockedError` where another process
    compresses there.
    """
    _require_valid(methods, max_drop, keep)
    folder = named_path(out)
    if (folder / RECORD).exists():
        raise UsageError(f"{folder} already holds a {RECORD}: choose another --out")
    if holds_something(folder) and not (folder / LOCK).exists():
        raise UsageError(f"{folder} is not empty: choose another --out")
    require_writable(folder)
    with opened(model, device="cpu") as classifier:
        if not isinstance(classifier.predictor, PyTorchPredictor):
            raise UsageError(f"only a bundle can be compressed: {classifier.predictor.no_network}")
        if name_of(classifier.predictor.bundle.network) is None and set(methods) != {"int8"}:
            raise UsageError(
                "an ensemble, or a network of your own, cannot be trained here once more: use --methods int8"
            )
        splits = read_splits(classifier, data, None, on_event)
        job = _Job(classifier.predictor, data, splits, folder, keep, epochs, on_event)
        make_directory(folder)
        with exclusive(folder / LOCK):
            return _compressed(job, methods, max_drop / 100)


@dataclass(frozen=True)
class _Job:
    """A model to be compressed, and what its trainings need."""

    parent: PyTorchPredictor
    data: Data
    splits: Splits
    folder: Path
    keep: float
    epochs: int | None
    on_event: OnEvent

    @property
    def recipe(self) -> dict[str, Any]:
        recipe: dict[str, Any] | None = self.parent.facts.get("recipe")
        if not recipe or "train" not in recipe:
            raise UsageError(
                "the model does not say by which recipe it was trained: use --methods int8"
            )
        return recipe

    def train(self, name: str, init: Path | None, overrides: dict[str, Any]) -> PyTorchPredictor:
        """The model that the parent's own recipe gives, with changes; goes on with a training that began."""
        home = self.folder / "trainings"
        recipe = home / f"{name}.yaml"
        write_atomic(recipe, yaml.safe_dump(self.recipe).encode())
        run = train(
            self.data,
            recipe,
            out=home / name,
            init=init,
            overrides=overrides,
            resume=True,
            on_event=self.on_event,
        )
        return PyTorchPredictor.of(bundles.load(run.model), self.parent.device)

    def tuned(self, name: str, start: Bundle) -> PyTorchPredictor:
        """A changed model after a fine-tuning."""
        file = self.folder / "trainings" / f"{name}-start.safetensors"
        file.parent.mkdir(parents=True, exist_ok=True)
        bundles.save(start, file, overwrite=True)
        training = self.recipe["train"]
        epochs = self.epochs or max(1, training["epochs"] // TUNING)
        changes = {"train.epochs": epochs, "train.lr": training["lr"] * TUNING_LR}
        if training.get("ema") is not None:  # over few steps it still holds the model of before
            changes["train.ema"] = None
        if (
            training.get("unfreeze") == "auto"
        ):  # the last layer alone would not make up for channels
            changes["train.unfreeze"] = "all"
        return self.train(name, file, changes)


def _compressed(job: _Job, methods: Sequence[str], max_drop: float) -> Compression:
    parent, folder, on_event = job.parent, job.folder, job.on_event
    trained = {name: _TRAININGS[name](job) for name in methods if name in _TRAININGS}
    if decides(parent.decision) and any(trained.values()):
        on_event(
            Note(
                "the model's threshold and OOD score hold for int8 alone: calibrate the bundles of the "
                "others, and export them again"
            )
        )
    bundles_made = {"": parent} | {_NAMES[k]: v for k, v in trained.items() if v is not None}
    models = _as_onnx(bundles_made, "int8" in methods, job.splits, on_event)
    val = part_of(job.splits, "val")
    predictions = [
        Classifier(one).predict_set(val, on_event=on_event, what=f"measuring {name}")
        for name, one in models.items()
    ]
    judged = judge(list(models), list(models.values()), predictions, max_drop)
    written = [_write(one, models[one.name], bundles_made, folder) for one in judged[1:]]
    result = Compression(
        model=parent.digest,
        n=len(val),
        max_drop=max_drop,
        reference=judged[0],
        candidates=tuple(written),
        folder=folder,
    )
    draw_compression(result.reference, result.candidates, folder)
    write_json(result, folder / RECORD)
    return result


def _pruned(job: _Job) -> PyTorchPredictor | None:
    try:
        start = prune.structured(job.parent.bundle, job.keep)
    except UsageError as error:
        job.on_event(Note(f"prune: {error}"))
        return None
    return job.tuned("pruned", start)


def _sparse(job: _Job) -> PyTorchPredictor:
    """Zeros are put in again after the fine-tuning, which moves them."""
    tuned = job.tuned("sparse", prune.magnitude(job.parent.bundle, 1 - job.keep))
    file = job.folder / "trainings" / "sparse.safetensors"
    bundles.save(prune.magnitude(tuned.bundle, 1 - job.keep), file, overwrite=True)
    return PyTorchPredictor.of(bundles.load(file), job.parent.device)


def _distilled(job: _Job) -> PyTorchPredictor | None:
    bundle = job.parent.bundle
    options = bundles.options_of(bundle.network)
    if options.get("width") is None:
        job.on_event(Note("distil: this network has no width to make smaller"))
        return None
    narrower = {**options, "width": options["width"] * job.keep}
    shape = {"num_classes": len(bundle.classes), "size": bundle.rule.size}
    try:
        cost(str(name_of(bundle.network)), **shape, **narrower)
    except UsageError as error:
        job.on_event(Note(f"distil: {error}"))
        return None
    teacher = job.folder / "trainings" / "teacher.safetensors"
    teacher.parent.mkdir(parents=True, exist_ok=True)
    bundles.save(bundle, teacher, overwrite=True)
    changes = {"model.width": narrower["width"], "train.teacher": str(teacher)}
    epochs = {} if job.epochs is None else {"train.epochs": job.epochs}
    return job.train("distilled", None, changes | epochs)


_TRAININGS = {"prune": _pruned, "magnitude": _sparse, "distil": _distilled}
_NAMES = {"prune": "pruned", "magnitude": "sparse", "distil": "distilled"}


def _as_onnx(
    made: dict[str, PyTorchPredictor], int8: bool, splits: Splits, on_event: OnEvent
) -> dict[str, OnnxPredictor]:
    """All models to be measured, by name: the reference first."""
    models: dict[str, OnnxPredictor] = {}
    for name, predictor in made.items():
        on_event(Note(f"exporting {name or 'the model'}"))
        exported = models[name or REFERENCE] = to_onnx(predictor)[0]
        if int8:
            shown = splits.train.take(splits.train.drawn_rows(IMAGES)).images
            images = centre(shown[:], predictor.rule.size)
            models[f"{name}-int8" if name else "int8"] = to_int8(exported, images)
    return models


def _write(
    one: Candidate, model: OnnxPredictor, made: dict[str, PyTorchPredictor], folder: Path
) -> Candidate:
    """Writes what was not rejected, of a trained candidate its bundle too, over what a killed call wrote."""
    file, bundle = (folder / f"{one.name}.{kind}" for kind in ("onnx", "safetensors"))
    if one.rejected is not None:  # now, by other times
        for path in (file, bundle):
            path.unlink(missing_ok=True)
        return one
    write_atomic(file, model.file.data)
    remember(model.digest)
    if one.name in made:
        bundles.save(made[one.name].bundle, bundle, overwrite=True)
    return replace(one, file=file)


def _require_valid(methods: Sequence[str], max_drop: float, keep: float) -> None:
    unknown = [name for name in methods if name not in get_args(Method)]
    if unknown or not methods:
        raise UsageError(no_such("method", unknown[0] if unknown else "", get_args(Method)))
    if not 0 < keep < 1:
        raise UsageError(f"--keep {keep:g}: expected a share between 0 and 1")
    if not 0 <= max_drop <= 100:
        raise UsageError(f"--max-drop {max_drop:g}: expected points from 0 to 100")
