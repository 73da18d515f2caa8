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
# A first network, with nothing against overfitting. Overfitting is the point here: everyone should have
# seen it once.
#
# [Open in Colab](https://colab.research.google.com/github/seewhy-ml/seewhy/blob/main/notebooks/03_training_baseline.ipynb)

# %%
import subprocess
import sys
from importlib import metadata, util

if util.find_spec("seewhy") is None:  # as in Colab: what is there of PyTorch stays as it is
    pins = [f"torch=={metadata.version('torch')}"] if util.find_spec("torch") else []
    command = [sys.executable, "-m", "pip", "install", "--quiet", "seewhy", *pins]
    subprocess.run(command, check=True)

# %% tags=["parameters"]
import os
from pathlib import Path

DATA = os.environ.get("DATA", "cifar10")  # a name, or a folder of images
NAME = os.environ.get("NAME", "CIFAR-10")  # printed beside each number
RUNS = Path(os.environ.get("RUNS", "../runs/notebooks"))  # trained once, shared by the notebooks
QUICK = {"train.epochs": 1} if "QUICK" in os.environ else {}

# %%
from IPython.display import Image

import seewhy
from seewhy.events import Epoch


def show(event):
    if isinstance(event, Epoch):
        accuracy = event.validation["accuracy"]
        print(
            f"epoch {event.epoch:>2}: training {event.train_accuracy:.1%}, validation {accuracy:.1%}"
        )


run = seewhy.train(
    DATA, "simple-cnn", out=RUNS / "simple-cnn", overrides=QUICK, resume=True, on_event=show
)

# %% [markdown]
# The recipe fixes everything, the seed too: the same call gives the same network. `resume=True` continues
# an interrupted training, and uses a finished one as it is; the outputs saved here are from a full
# training. A run is a folder of plain files: `history.csv` has the curves, and `seewhy.report` draws them
# to `figures/`.

# %%
seewhy.report(run, DATA)
Image(run.figures / "curves.png")

# %% [markdown]
# The two curves differ. Training accuracy continues to rise: the network memorises its images. Validation
# accuracy stops early, and the validation *loss* rises again: the network becomes more confident in its
# mistakes. The saved network is that of the best validation epoch, not the last.

# %%
kept = [row["epoch"] for row in run.history if row["best"]][-1]
lowest = min(run.history, key=lambda row: row["val_loss"])["epoch"]
training, validation = (run.history[-1][f"{part}_accuracy"] for part in ("train", "val"))
print(f"{NAME}: {len(run.history)} epochs, kept epoch {kept:.0f}")
print(f"{NAME}: the validation loss is lowest after epoch {lowest:.0f}")
print(f"{NAME}: last epoch: training {training:.1%}, validation {validation:.1%}")
print(f"{NAME}: gap in the last epoch {training - validation:+.1%}")

# %% [markdown]
# ## How good is it?
#
# On validation, with a 95% confidence interval: the range for the true accuracy that this number of
# images allows. Test stays sealed until all choices are made.

# %%
metrics, predictions = seewhy.evaluate(run.path, DATA, "val")
accuracy = metrics.accuracy
print(
    f"{NAME}: validation accuracy {accuracy.value:.1%} ({accuracy.low:.1%} to {accuracy.high:.1%})"
)

# %%
Image(run.figures / "per-class-val.png")

# %% [markdown]
# The classes differ more than two recipes usually do. Notebook 4 asks why; notebook 5 closes the gap.
