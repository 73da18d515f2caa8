"""Accuracy under corruptions, transformations and adversarial attacks, as files and plots."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seewhy.analysis.corruptions import examples
from seewhy.analysis.robustness import measure_robustness
from seewhy.analysis.robustness_record import Robustness
from seewhy.data import Data
from seewhy.data.images.decode import centre
from seewhy.events import Note, OnEvent, ignore
from seewhy.files import named_path, require_writable, write_json
from seewhy.inference.forward import full_precision
from seewhy.inference.loading import load
from seewhy.plots.robustness import draw_robustness
from seewhy.run import Run
from seewhy.workflows.evaluate import own_run, part_of, read_splits
from seewhy.workflows.experiments.task import require_count


def robustness(
    model: str | Path,
    data: Data,
    *,
    n: int = 1000,
    out: str | Path | None = None,
    options: Mapping[str, Any] | None = None,
    device: str = "auto",
    on_event: OnEvent = ignore,
) -> Robustness:
    """Measures accuracy on `n` validation images under corruptions and attacks (`analysis.robustness`).

    Metrics go to analysis/robustness.json, plots to figures/, of `out` or of the run if the data is its own.
    `options` sets fields of `DataConfig`. Raises `UsageError` for a model that is not a single network
    and for fewer than one image, `DataError` without labels.
    """
    require_count(n, 1, "images")
    if out is not None:
        out = named_path(out)
        require_writable(out)
    with load(model, device=device) as classifier:
        splits = read_splits(classifier, data, options, on_event)
        val = part_of(splits, "val")
        run = own_run(model, classifier, splits, "val")
        home = out if out is not None else run.path if run else None
        if home is None:
            on_event(Note("results are printed but not saved: --out DIR saves them, with plots"))
        with full_precision():
            measured, adversarial = measure_robustness(classifier, val, n, on_event=on_event)
    for diagnostic in measured.diagnostics:
        on_event(diagnostic)
    if home is not None:
        write_json(measured, home / "analysis" / "robustness.json")
        example = centre(val.images[:1], classifier.rule.size)
        folder = Run(home).figures
        corrupted = examples(example)
        draw_robustness(measured, corrupted, adversarial, classifier.classes, folder)
        on_event(Note(f"analysis: {home / 'analysis'}   plots: {folder}"))
    return measured
