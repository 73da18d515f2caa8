# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # All figures of one model
#
# Everything that one asks of a trained classifier, in one pass: overall and class figures, curves,
# confusions, mistakes, confidence, and Grad-CAM on what it gets wrong. `seewhy evaluate --full` prints the
# same and `seewhy report` puts it on a page.

# %% tags=["parameters"]
import os
from pathlib import Path

DATA = os.environ.get("DATA", "cifar10")  # a name, or a folder of pictures
NAME = os.environ.get("NAME", "CIFAR-10")  # what is said beside each figure
RUNS = Path(
    os.environ.get("RUNS", "../runs/notebooks")
)  # trainings, kept and shared by the notebooks
QUICK = {"train.epochs": 1} if "QUICK" in os.environ else {}
RECIPE = os.environ.get("RECIPE", "fast")

# %%
import seewhy
from seewhy.analysis.overview import analyse
from seewhy.attribution.explanations import choose, explain_images
from seewhy.data.images.decode import centre
from seewhy.plots import (
    analysis as analysis_figures,
)
from seewhy.plots import (
    attribution as explain_figures,
)
from seewhy.plots import metrics as draw
from seewhy.plots import (
    sheets,
)

run = seewhy.train(DATA, RECIPE, out=RUNS / RECIPE, overrides=QUICK, resume=True)
figures, predictions = seewhy.evaluate(run.path, DATA, "val")
found, told = analyse(predictions), seewhy.to_json(figures)

# %% [markdown]
# ## Training
#
# Validation was watched, test was not.

# %%
draw.curves(run.history)

# %% [markdown]
# ## Figures, each with its 95% interval

# %%
intervals = {"accuracy": figures.accuracy, **figures.intervals}
for name in ("accuracy", "macro_precision", "macro_recall", "macro_f1", "mcc", "ece", "auroc"):
    value = intervals[name]
    print(
        f"{NAME}, {run.path.name}: {name:<18} {value.value:.4f} ({value.low:.4f} to {value.high:.4f})"
    )

# %%
analysis_figures.class_heat_map(told)

# %%
analysis_figures.ranking_curves(seewhy.to_json(found.curves), told)

# %% [markdown]
# ROC asks how well a class is told from the rest, over all thresholds; with ten classes it flatters, as
# most pictures are "the rest". Precision and recall do not.
#
# ## Confusions

# %%
draw.confusion_matrix(told, rates=True)

# %%
for pair in found.mistakes.pairs[:5]:
    rate = pair.rate.value
    print(
        f"{NAME}: {pair.true} taken for {pair.predicted}: {pair.count}, {rate:.1%} of {pair.true}"
    )
for name, missed in found.mistakes.missed.items():
    print(
        f"{NAME}: {name:<12} {missed.count:>4} of {missed.support:>4} missed, {missed.rate.value:.1%}"
    )

# %% [markdown]
# ## Confidence

# %%
sure = found.confidence
print(
    f"{NAME}: mean confidence {sure.right.value:.1%} when right, {sure.wrong.value:.1%} when wrong"
)
print(
    f"{NAME}: least sure right answer {sure.least_right:.1%}, surest mistake {sure.most_wrong:.1%}"
)
print(
    f"{NAME}: {sure.sure_mistakes} mistakes above 90%, {sure.sure_mistake_rate.value:.2%} of all pictures"
)
analysis_figures.confidence_histograms(seewhy.to_json(sure))

# %% [markdown]
# If it may leave the hardest pictures to a person, how many of its answers are wrong?

# %%
analysis_figures.risk_coverage_curve(seewhy.to_json(sure.risk_coverage))

# %% [markdown]
# ## The surest mistakes, and where the network looked

# %%
classifier = seewhy.load(run.path)
pictures = classifier.splits(DATA).val.images
tiles = [
    sheets.Tile(pictures[one.row], one.true, f"{one.predicted} {one.confidence:.0%}")
    for one in found.mistakes.worst[:24]
]
sheets.sheet(tiles, f"The {len(tiles)} surest of {found.mistakes.count:,} mistakes")

# %%
rows = choose(predictions, 6, "wrong")
images, chosen = centre(pictures[rows], classifier.rule.size), predictions.take(rows)
why = explain_images(classifier, images, chosen, chosen.predicted, {"grad_cam": seewhy.grad_cam})
explain_figures.explanation_sheet(why, range(len(why)))
