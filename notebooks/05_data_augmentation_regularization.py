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
# # 5. Against overfitting
#
# The same small network with batch norm, dropout, flips and padded crops. What does each variation do to a
# picture, what do they change in training, and is the result *better*, or only different?

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
from seewhy.plots import compare as compare_figures
from seewhy.plots import preview as preview_figures
from seewhy.workflows.compare import compare_models
from seewhy.workflows.preview import preview

recipe = seewhy.load_recipe("regularized-cnn")
splits = seewhy.load_data(DATA, recipe.data)
seen = preview(DATA, splits, recipe)
preview_figures.ladder_sheet(seen.versions.seen[0], seen.ladders)

# %% [markdown]
# Each row is one augmentation through its range. It should change the picture and not the class: mirrored
# cats are cats, mirrored digits are not digits.
#
# A stronger mix for comparison, to see when it is too much:

# %%
strong = {
    "augment.rotate": 60,
    "augment.brightness": 0.8,
    "augment.erasing": 0.5,
    "augment.mixup": 1,
}
varied = preview(DATA, splits, seewhy.load_recipe("regularized-cnn", strong))
preview_figures.ladder_sheet(varied.versions.seen[0], varied.ladders)

# %% [markdown]
# ## Train both
#
# Same data, same seed, same number of epochs. (Finished runs are taken as they are.)

# %%
runs = [
    seewhy.train(DATA, name, out=RUNS / name, overrides=QUICK, resume=True)
    for name in ("simple-cnn", "regularized-cnn")
]
found = compare_models([run.path for run in runs], DATA, "val")
compare_figures.curves_side_by_side(found.contenders)

# %% [markdown]
# On the left training runs away from validation; on the right both go together. Training may even lie
# below: it is measured on varied pictures with half the last layer hidden, which is harder than what
# validation asks.
#
# The **generalisation gap**, fairly: both kinds of pictures as they are, none varied, nothing hidden.

# %%
for contender in found.contenders:
    gap, right = contender.gap, found.comparison.metrics[contender.name].accuracy
    told = f"{NAME}, {contender.name}"
    print(f"{told}: validation {right.value:.1%} ({right.low:.1%} to {right.high:.1%})")
    print(f"{told}: training less validation {gap.value:+.1%} ({gap.low:+.1%} to {gap.high:+.1%})")

# %% [markdown]
# ## Is it better?
#
# Two accuracies with their own intervals are the wrong question: both networks saw the *same* pictures. So
# count the pictures that only one of them gets right (McNemar's test).

# %%
difference = found.comparison.differences[0]
print(f"{NAME}: {difference.verdict}")

# %%
compare_figures.class_differences(difference)

# %% [markdown]
# So the gap is closed, and the network is no better for it: in the training kept here it is even a little
# worse. With half of its last layer hidden and every picture varied, so small a network now learns too
# *little*. A gap is a symptom; what counts is validation. On a larger network the same means pay: see the
# recipe `fast` in the notebook `analysis`.
#
# One run each is one draw of luck: another seed moves either accuracy. `seewhy train --seeds 5` gives means
# with their doubt, and `seewhy ablate` says what each part brings by itself.
