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
# # 4. Where it fails
#
# An accuracy says how often; this notebook asks *what* is taken for what, how sure the network was, and
# what the mistakes look like. All on validation, from one pass of the network.

# %% tags=["parameters"]
import os
from pathlib import Path

DATA = os.environ.get("DATA", "cifar10")  # a name, or a folder of pictures
NAME = os.environ.get("NAME", "CIFAR-10")  # what is said beside each figure
RUNS = Path(
    os.environ.get("RUNS", "../runs/notebooks")
)  # trainings, kept and shared by the notebooks
QUICK = {"train.epochs": 1} if "QUICK" in os.environ else {}

# %%
import seewhy
from seewhy.analysis.confidence import confidence
from seewhy.analysis.mistakes import mistakes
from seewhy.plots import analysis as analysis_figures
from seewhy.plots import metrics as draw
from seewhy.plots import sheets

run = seewhy.train(DATA, "simple-cnn", out=RUNS / "simple-cnn", overrides=QUICK, resume=True)
figures, predictions = seewhy.evaluate(run.path, DATA, "val")
print(f"{NAME}: {figures.accuracy.value:.1%} of {figures.n:,} validation pictures right")

# %%
draw.confusion_matrix(seewhy.to_json(figures))

# %% [markdown]
# Rows are what a picture is, columns what was said. Dark cells beside the diagonal are confusions, and they
# are no accident: classes that share shape, colour or background.

# %%
found = mistakes(predictions)
for pair in found.pairs[:5]:
    rate = pair.rate
    print(
        f"{NAME}: {pair.true} taken for {pair.predicted} {pair.count} times, "
        f"{rate.value:.1%} ({rate.low:.1%} to {rate.high:.1%}) of all {pair.true}"
    )

# %% [markdown]
# Precision asks "when it says cat, is it one?", recall "of all cats, how many are found?". A class may have
# one without the other.

# %%
analysis_figures.class_heat_map(seewhy.to_json(figures))

# %% [markdown]
# ## How sure was it?
#
# Confidence is worth something if mistakes are less sure than right answers, and if, of answers given at
# 80%, 80% are right.

# %%
sure = confidence(predictions)
print(
    f"{NAME}: mean confidence {sure.right.value:.1%} when right, {sure.wrong.value:.1%} when wrong"
)
print(f"{NAME}: {sure.sure_mistakes} mistakes above 90%")
analysis_figures.confidence_histograms(seewhy.to_json(sure))

# %%
draw.reliability(figures.reliability, "val")

# %% [markdown]
# ## The mistakes themselves
#
# The surest first: below each, what it is, and in red what was said. Some are the network's fault, some the
# picture's, and some the label's.

# %%
pictures = seewhy.load(run.path).splits(DATA).val.images
tiles = [
    sheets.Tile(pictures[one.row], one.true, f"{one.predicted} {one.confidence:.0%}")
    for one in found.worst[:24]
]
sheets.sheet(tiles, f"The {len(tiles)} surest of {found.count:,} mistakes")

# %% [markdown]
# Sort them in your mind: wrong label, hardly visible, odd view, plain confusion. Only the last is mended by
# a better network; the others by better data.
