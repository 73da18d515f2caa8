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
# # 3. Train a baseline
#
# A first network, without any means against overfitting. Overfitting is the point: one has to have seen it
# once.

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
from seewhy.analysis.training_curves import training_curves
from seewhy.events import Epoch
from seewhy.plots import metrics as draw


def show(event):
    if isinstance(event, Epoch):
        reached = event.validation["accuracy"]
        print(
            f"epoch {event.epoch:>2}: training {event.train_accuracy:.1%}, validation {reached:.1%}"
        )


run = seewhy.train(
    DATA, "simple-cnn", out=RUNS / "simple-cnn", overrides=QUICK, resume=True, on_event=show
)

# %% [markdown]
# The recipe fixes everything, the seed too: the same call gives the same network. `resume=True` goes on
# with a training that was stopped, and takes one that is finished as it is; the outputs kept here are of
# one at full length. A run is a folder of plain files, and the curves are drawn from its `history.csv`.

# %%
draw.curves(run.history)

# %% [markdown]
# Two curves, two stories. Training goes on getting better: the network learns its pictures by heart.
# Validation stops early, and its *loss* rises again: the network becomes surer of its mistakes. The kept
# network is that of the best validation epoch, not the last.

# %%
told = training_curves(run.history)
trained, validated = (run.history[-1][f"{part}_accuracy"] for part in ("train", "val"))
print(f"{NAME}: {told.epochs} epochs, kept epoch {told.kept}")
if told.onset is not None:
    print(f"{NAME}: overfitting sets in after epoch {told.onset}")
print(f"{NAME}: last epoch: training {trained:.1%}, validation {validated:.1%}")
print(f"{NAME}: gap in the last epoch {trained - validated:+.1%}")

# %% [markdown]
# ## How good is it?
#
# On validation, with a 95% interval: the range in which the true rate lies, given only so many pictures.
# Test stays sealed until nothing is left to choose.

# %%
figures, predictions = seewhy.evaluate(run.path, DATA, "val")
right = figures.accuracy
print(f"{NAME}: validation accuracy {right.value:.1%} ({right.low:.1%} to {right.high:.1%})")

# %%
draw.per_class(seewhy.to_json(figures))

# %% [markdown]
# The classes differ more than any two recipes will. Notebook 4 asks why; notebook 5 closes the gap.
