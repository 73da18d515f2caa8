"""What a training that starts from a model takes over from it."""

from seewhy.data import Splits
from seewhy.errors import UsageError
from seewhy.inference.bundle import Bundle
from seewhy.inference.locate import find_model
from seewhy.run import Run
from seewhy.text import counted, shortened


def what_is_kept(name: str, start: Bundle, splits: Splits) -> tuple[str, ...]:
    """What a fine-tuning keeps of its model and what is new to it, a line for classes and one for images.

    Images are counted where the model lies in its run directory, which knows those of its training.
    """
    new = [label for label in splits.classes if label not in start.classes]
    dropped = [label for label in start.classes if label not in splits.classes]
    parts = [f"kept: {counted(len(splits.classes) - len(new), 'class')} of {name}"]
    if new:
        parts.append(
            f"new: {counted(len(new), 'class')} ({shortened(new)}), whose last-layer rows start at random"
        )
    if dropped:
        parts.append(
            f"dropped: {counted(len(dropped), 'class')} that the data do not have ({shortened(dropped)})"
        )
    notes = ["; ".join(parts)]
    run = Run(find_model(name).parent)
    if run.started and (run.path / "splits.csv").is_file():
        seen = run.image_hashes("train")
        added = sum(content not in seen for content in splits.train.hashes.tolist())
        notes.append(
            f"{added:,} of {counted(len(splits.train), 'training image', 'are')} new to {name}"
        )
        known = sum(content in seen for content in splits.val.hashes.tolist())
        if known:
            notes[-1] += (
                f"; it was trained on {known:,} of the "
                f"{counted(len(splits.val), 'validation image')}, so that its "
                "validation metrics are too good: keep its split (`seewhy data split`)"
            )
    return tuple(notes)


def require_own_classes(start: Bundle, splits: Splits) -> None:
    """Raises `UsageError` unless a network of the user's own has the classes of the data, in their order."""
    if start.classes != splits.classes:
        raise UsageError(
            f"the model to fine-tune has the classes {shortened(start.classes)} and the data have "
            f"{shortened(splits.classes)}: the last layer of a network of your own is not matched by name; "
            "give data of the same classes, or start without init"
        )
