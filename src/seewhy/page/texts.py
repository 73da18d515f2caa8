"""The paragraphs and facts of a report, derived from stored results."""

from seewhy.analysis.robustness_record import Robustness
from seewhy.analysis.slices import SMALLEST, Slices
from seewhy.evaluation.stats.significance import SIGNIFICANT
from seewhy.page.robustness import held
from seewhy.page.stored import Stored
from seewhy.page.template import percent, span
from seewhy.plots.style import duration
from seewhy.text import counted


def of_metrics(stored: Stored) -> str:
    """What the interval of the accuracy means, and how often the test split was evaluated."""
    text = (
        f"This is the 95% confidence interval for {counted(stored.val.metrics.n, 'image')}: 95 of 100 such "
        "intervals contain the true value."
    )
    if stored.test:
        return (
            f"{text} The test split was evaluated {counted(stored.test.reading, 'time')}. Every choice made "
            "after looking at a test result makes later results too optimistic."
        )
    if stored.test_readings:
        times = counted(stored.test_readings, "time")
        return f"{text} The test split was evaluated {times}, by a model of fewer epochs."
    if stored.images("test"):
        return f"{text} The test split has not been evaluated: its metrics will appear here."
    return text


def of_data(stored: Stored) -> str:
    """The sizes of the other splits, the files left out and the size of the input."""
    test, side, bad = stored.images("test"), stored.model.size, stored.bad_files
    others = f", the test split {test:,}" if test else ""
    skipped = counted(bad, "file", "were") if bad else "No file was"
    return (
        f"The validation split has {counted(stored.images('val'), 'image')}{others}. {skipped} skipped as "
        f"unusable. The input of the network is {side} × {side} pixels."
    )


def of_training(stored: Stored) -> str:
    """The length of the training, and what its curves show."""
    last, views = stored.history[-1], len(stored.recipe.views)
    took = f" in {duration(last['seconds'])}" if last.get("seconds") else ""
    if stored.epochs:
        text = (
            f"{counted(stored.epochs, 'epoch')}{took}. Training metrics are measured during each epoch, on "
            "augmented images and with changing weights, so they may be lower than validation metrics. If "
            "the validation loss rises while the training loss falls, the network overfits."
        )
        if views > 1:
            text += (
                f" The curves use one view of each image; all other metrics average {views} test-time "
                "augmentation (TTA) views."
            )
    else:
        text = (
            f"The last layer was fitted{took}, to features of a frozen network and without augmentation. Its "
            f"accuracy is {last['train_accuracy']:.1%} on the training images (log loss "
            f"{last['train_loss']:.3f}) and {last['val_accuracy']:.1%} on validation "
            f"({last['val_loss']:.3f})."
        )
    if stored.derived:
        text += (
            " This run has no events.jsonl: its diagnostics are computed from history.csv and "
            "splits.csv."
        )
    return text


def of_slices(slices: Slices) -> str:
    """What was tested, and which slices are listed."""
    if not slices.tested:
        return (
            f"A slice is tested if it has {SMALLEST} validation images, and the others are as many: by "
            "class, by measured properties of the image, and by pairs of these. Here no slice has so many."
        )
    was = "was" if slices.tested == 1 else "were"
    return (
        f"{counted(slices.tested, 'slice')} of the validation images {was} tested: by class, by measured "
        "properties of the image, and by pairs of these. Listed are those whose error rate is higher than "
        f"that of the other images with a corrected p-value below {SIGNIFICANT}."
    )


def of_robustness(results: Robustness) -> str:
    """What was tried, and the error that it makes."""
    error = results.mean_corruption_error
    between = f"95% confidence interval {span(error)}" if span(error) else error.reason
    severities = len(results.corruptions[results.worst])
    return (
        f"{counted(results.n, 'validation image', 'were')} changed by {len(results.corruptions)} "
        f"corruptions, each at {severities} severities. The mean corruption error is {percent(error.value)} "
        f"({between}); the error rate on clean images is {percent(1 - results.clean.value)}. {held(results)}"
    )


def facts(stored: Stored) -> dict[str, str]:
    """The model, the data, the machine and the versions, by what they are."""
    model, machine = stored.model, stored.environment
    views = ", ".join(model.views)
    texts = {
        "Network": f"{model.network}, {model.megabytes:.1f} MB, TTA views: {views}",
        "Seed": str(stored.recipe.train.seed),
        "Model digest": model.digest,
        "Data fingerprint": model.fingerprint,
    }
    if machine:
        versions = (f"{name} {version}" for name, version in machine.packages.items())
        threads = counted(machine.threads, "thread")
        texts["Machine"] = f"{machine.platform}, {machine.device}, {threads}"
        texts["Versions"] = ", ".join((f"Python {machine.python}", *versions))
    return texts
