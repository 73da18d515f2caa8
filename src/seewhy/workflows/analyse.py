"""Evaluates and analyses a split: metrics, mistakes, confidence, slices, causes; as files and plots."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from seewhy.analysis.attributes import attributes
from seewhy.analysis.causes import COMPARED, Evidence, find_causes
from seewhy.analysis.labels.review import Suspect, read_suspects
from seewhy.analysis.labels.suspects import suspected_mistakes
from seewhy.analysis.overview import Analysis, analyse_predictions, write_analysis
from seewhy.analysis.slices import find_slices
from seewhy.config.data import DataConfig
from seewhy.data import Data, ImageSet, Splits
from seewhy.errors import UsageError
from seewhy.evaluation.metrics import Metrics
from seewhy.evaluation.predictions import Predictions
from seewhy.events import Note, OnEvent, ignore
from seewhy.files import named_path, require_new, require_writable
from seewhy.inference.classifier import Classifier
from seewhy.inference.loading import opened
from seewhy.page.settings import review_command
from seewhy.plots.drawings import split_drawings
from seewhy.plots.style import font_note, write_drawings
from seewhy.run import Run
from seewhy.workflows.evaluate import (
    Model,
    Split,
    choose_split,
    evaluating,
    judge,
    log_read,
    logged,
    part_of,
    read_splits,
    store_own,
)


@dataclass(frozen=True, eq=False)
class SplitAnalysis:
    """The metrics and predictions of a split, and with `full` their analysis.

    `home` is the directory whose analysis/ and figures/ contain the files, or None.
    """

    metrics: Metrics
    predictions: Predictions
    analysis: Analysis | None
    home: Path | None


def analyse(
    model: Model,
    data: Data,
    split: Split | None = None,
    *,
    full: bool = True,
    labels: str | Path | None = None,
    out: str | Path | None = None,
    csv: str | Path | None = None,
    options: Mapping[str, Any] | None = None,
    device: str = "auto",
    on_event: OnEvent = ignore,
) -> SplitAnalysis:
    """Evaluates a model on a split as `evaluate` does, analyses the predictions, and plots the results.

    The files go to `out`, or to the run if the data is its own; the predictions also to the new file `csv`.
    `full` adds mistakes and confidence, and for validation slices and causes; `labels` is the output folder
    of `find_label_issues`, which tells wrong labels from confusion. The pixels of test images are not used.
    Raises `UsageError` and `DataError` as `evaluate` does.
    """
    _require_causes(labels, full, split or "val")
    if csv is not None:
        csv = named_path(csv)
        require_new(csv)
    if out is not None:
        out = named_path(out)
        require_writable(out)
    suspects = None if labels is None else read_suspects(Path(labels))
    with evaluating(model, data) as log, opened(model, device=device) as classifier:
        splits = read_splits(classifier, data, options, on_event)
        log_read(classifier, splits)
        split = choose_split(model, classifier, splits, split, on_event)
        _require_causes(labels, full, split)
        measured, predictions = judge(classifier, splits, split, on_event=on_event)
        log |= logged(measured)
        run = store_own(model, classifier, splits, (measured, predictions), on_event)
        if csv is not None:
            predictions.to_csv(csv)
        home = out if out is not None else run.path if run else None
        analysis = None
        if full and split == "val":
            analysis = analyse_validation(
                predictions, classifier, splits, suspects, str(labels or ""), on_event
            )
        elif full:
            analysis = analyse_predictions(predictions)
        if analysis is not None and home is not None:
            write_analysis(analysis, split, home / "analysis")
            on_event(Note(f"analysis: {home / 'analysis'}   plots: {Run(home).figures}"))
            if split == "val" and isinstance(data, str | Path):
                _write_mistakes_for_review(analysis, classifier, splits, data, home, on_event)
    if home is not None:
        if note := font_note(measured.classes):
            on_event(Note(note))
        shown = full and split in ("train", "val")
        images = part_of(splits, split).images if shown else None
        write_drawings(split_drawings(measured, analysis, images), Run(home).figures)
    return SplitAnalysis(measured, predictions, analysis, home)


def _require_causes(labels: str | Path | None, full: bool, split: Split) -> None:
    """Raises `UsageError` for suspected labels where no causes are looked for."""
    if labels is not None and not (full and split == "val"):
        raise UsageError(
            "--labels is for the causes of mistakes on validation: give --full and --split val, or leave it "
            "out"
        )


def analyse_validation(
    predictions: Predictions,
    classifier: Classifier,
    splits: Splits,
    suspects: Mapping[bytes, Suspect] | None = None,
    folder: str = "",
    on_event: OnEvent = ignore,
) -> Analysis:
    """Analyses `predictions` of `splits.val`, also by comparison with training images.

    `suspects` are suspected label errors by content hash, listed in `folder`.
    """
    analysis = analyse_predictions(predictions)
    scope = classifier.decision.scope
    if scope is None:
        found = _compared(classifier, splits.val, on_event)
    else:  # whose threshold is that of all views, in fp32
        with classifier.in_full_precision():
            found = classifier.predict_set(splits.val, embed=True)
    compared = splits.train.drawn_rows(COMPARED)
    evidence = Evidence(
        val=splits.val,
        train=splits.train,
        found=found,
        known=_compared(classifier, splits.train.take(compared), on_event),
        compared=compared,
        rule=splits.rule,
        scope=scope,
        suspects=suspects,
        folder=folder,
        left_out=splits.left_out,
    )
    return replace(
        analysis,
        slices=find_slices(predictions, attributes(splits.val)),
        causes=find_causes(analysis.mistakes.worst, evidence),
    )


def _compared(classifier: Classifier, images: ImageSet, on_event: OnEvent) -> Predictions:
    """Predictions with embeddings, precise enough to tell which images are alike.

    Of a network those of one view, in bfloat16 where that is fast.
    """
    network = classifier.predictor.differentiable()
    if network is None:
        return classifier.predict_set(images, embed=True, on_event=on_event, what="comparing")
    from seewhy.inference.device import device_of, pick_amp  # here, since these load torch
    from seewhy.inference.forward import predict

    device = device_of(network)
    return predict(
        network,
        images,
        size=classifier.rule.size,
        device=device,
        amp=pick_amp("auto", device),
        embed=True,
        on_event=on_event,
    )


def _write_mistakes_for_review(
    analysis: Analysis,
    classifier: Classifier,
    splits: Splits,
    data: Data,
    home: Path,
    on_event: OnEvent,
) -> None:
    """Writes the most confident mistakes for review, if it is known how the data was split."""
    from seewhy.workflows.labels import write_for_review  # here, since it loads torch

    recipe = classifier.predictor.facts.get("recipe")
    if recipe:
        folder = home / "analysis"
        drawn = DataConfig.model_validate(recipe["data"])
        command = review_command(str(data), drawn, str(folder / "review.csv"))
        mistakes = suspected_mistakes(analysis, splits)
        write_for_review(mistakes, command, folder, mistakes=True, on_event=on_event)
        on_event(
            Note(f"to check whether labels are wrong, not the model: {folder / 'review.html'}")
        )
