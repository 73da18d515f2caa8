"""What a training takes over from a model that it starts from, and whether models saw its held-out images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from seewhy.config.recipe import Recipe
from seewhy.data import Splits
from seewhy.errors import UsageError
from seewhy.inference.bundle import Bundle
from seewhy.inference.ensemble_network import EnsembleNetwork
from seewhy.inference.locate import find_model, find_models
from seewhy.models.pretrained import last_layer
from seewhy.models.registry import Network, name_of
from seewhy.run import Run
from seewhy.text import counted, shortened

INTERPOLATION = "data.interpolation"


def what_is_kept(name: str, start: Bundle, splits: Splits, fitted: bool) -> tuple[str, ...]:
    """What a fine-tuning keeps of its model and what is new to it, a line for classes and one for images.

    Where the last layer is `fitted` anew, none of its rows is kept, whatever the class. Images are counted
    where the model lies in its run directory, which knows those of its training.
    """
    new = [label for label in splits.classes if label not in start.classes]
    dropped = [label for label in start.classes if label not in splits.classes]
    known = f"{counted(len(splits.classes) - len(new), 'class')} of {name}"
    parts = [f"kept: all but the last layer; known: {known}" if fitted else f"kept: {known}"]
    if new:
        rows = "" if fitted else ", whose last-layer rows start at random"
        parts.append(f"new: {counted(len(new), 'class')} ({shortened(new)}){rows}")
    if dropped:
        parts.append(
            f"dropped: {counted(len(dropped), 'class')} that the data do not have ({shortened(dropped)})"
        )
    notes = ["; ".join(parts)]
    seen = training_images(find_model(name), start.fingerprint)
    if seen is not None:
        added = sum(content not in seen for content in splits.train.hashes.tolist())
        notes.append(
            f"{added:,} of {counted(len(splits.train), 'training image', 'are')} new to {name}"
            + _held_out_seen(seen, splits)
        )
    return tuple(notes)


def what_teachers_saw(name: str, teachers: Sequence[Bundle], splits: Splits) -> str:
    """The rest of a line on models that were trained on held-out images; "" where none is known to be."""
    files = zip(find_models(name), teachers, strict=True)
    seen = [training_images(file, model.fingerprint) or set() for file, model in files]
    return _held_out_seen(set().union(*seen), splits)


def training_images(file: Path, fingerprint: str) -> set[bytes] | None:
    """The content hashes of the training images of a model of this data fingerprint.

    None unless it lies in the directory of its run.
    """
    run = Run(file.parent)
    if not run.started or not (run.path / "splits.csv").is_file():
        return None
    own = run.config.get("data_fingerprint") == fingerprint
    return run.image_hashes("train") if own else None


def _held_out_seen(seen: set[bytes], splits: Splits) -> str:
    """The rest of a line on held-out images that a model was trained on; "" if there are none."""
    held_out = {"validation image": splits.val.hashes}
    if splits.test is not None:
        held_out["test image"] = splits.test.hashes
    counts = [
        f"{known:,} of the {counted(len(hashes), kind)}"
        for kind, hashes in held_out.items()
        if (known := sum(content in seen for content in hashes.tolist()))
    ]
    if not counts:
        return ""
    return (
        f"; it was trained on {' and '.join(counts)}, so that metrics on them are too good: keep its split "
        "(`seewhy data split`)"
    )


def require_own_classes(start: Bundle, splits: Splits) -> None:
    """Raises `UsageError` unless a network of the user's own has the classes of the data, in their order."""
    if start.classes != splits.classes:
        raise UsageError(
            f"the model to fine-tune has the classes {shortened(start.classes)} and the data have "
            f"{shortened(splits.classes)}: the last layer of a network of your own is not matched by name; "
            "give data of the same classes, or start without init"
        )


def fine_tuned(
    recipe: Recipe, start: Bundle, overrides: Mapping[str, Any], begun: Run | None
) -> Recipe:
    """The recipe with the network and the input rule of the bundle to fine-tune.

    A run that stored another size, when sizes were not yet taken over, keeps it. Raises `UsageError` for an
    ensemble, and for an override that would have no effect.
    """
    if isinstance(start.network, EnsembleNetwork):
        raise UsageError(
            "--init names an ensemble, which is not fine-tuned: name one of its members"
        )
    update: dict[str, Any] = {}
    depth = "range" if start.rule.depth else "upper_byte"
    if begun is None:
        own = {"size": start.rule.size, "fit": start.rule.fit, "depth": depth}
        update["data"] = recipe.data.model_copy(update=own)
    elif begun.config["recipe"]["data"]["size"] != recipe.data.size:
        update["data"] = recipe.data.model_copy(update={"size": start.rule.size})
    if isinstance(start.network, Network):
        arguments = start.network.arguments
        options = {k: v for k, v in arguments.items() if k not in ("num_classes", "size")}
        update["model"] = recipe.model.model_validate({"name": name_of(start.network), **options})
    tuned = recipe.model_copy(update=update)
    for name in overrides:
        section, _, field = name.rpartition(".")
        taken_over = section == "model" and "model" in update
        if not taken_over and name not in ("data.size", "data.fit", "data.depth", INTERPOLATION):
            continue
        own, now = (getattr(getattr(one, section), field) for one in (recipe, tuned))
        if name == INTERPOLATION:  # which no run stores of its model
            now = start.rule.interpolation if own else own
        if own != now:
            raise UsageError(
                f"{name}={own} has no effect with --init: the model to fine-tune has {now}; leave it out"
            )
    return tuned


def weights_by_name(start: Bundle, network: Network, classes: tuple[str, ...]) -> dict[str, Tensor]:
    """The bundle's weights for `network`: last-layer rows by class name, new classes initialised."""
    last = last_layer(network)
    old, new = start.network.state_dict(), network.state_dict()
    shared = [name for name in classes if name in start.classes]
    targets = [classes.index(name) for name in shared]
    rows = [start.classes.index(name) for name in shared]
    for name in new:
        if name.rpartition(".")[0] == last:
            new[name][targets] = old[name][rows]
        else:
            new[name] = old[name]
    return new
