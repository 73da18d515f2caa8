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
# The same small network with batch norm, dropout, flips and padded crops. What does each augmentation do
# to an image, what changes in training, and is the result *better*, or only different?
#
# [Open in Colab](https://colab.research.google.com/github/seewhy-ml/seewhy/blob/main/notebooks/05_data_augmentation_regularization.ipynb)

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
import tempfile

from IPython.display import Image

import seewhy

FIGURES = Path(tempfile.mkdtemp())
seewhy.preview(DATA, "regularized-cnn", out=FIGURES / "preview")
Image(FIGURES / "preview" / "augmentation.png")

# %% [markdown]
# Each row is one augmentation through its range. It should change the image but not the class: mirrored
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
seewhy.preview(DATA, "regularized-cnn", overrides=strong, out=FIGURES / "strong")
Image(FIGURES / "strong" / "augmentation.png")

# %% [markdown]
# ## Train both
#
# Same data, same seed, same number of epochs. (Finished runs are used as they are.)

# %%
runs = [
    seewhy.train(DATA, name, out=RUNS / name, overrides=QUICK, resume=True)
    for name in ("simple-cnn", "regularized-cnn")
]
result = seewhy.compare([run.path for run in runs], DATA, "val", out=FIGURES / "compare")
Image(FIGURES / "compare" / "curves.png")

# %% [markdown]
# On the left, the training curve moves away from validation; on the right, both stay together. Training
# accuracy may even be lower: it is measured on augmented images with half of the last layer hidden, which
# is harder than validation.
#
# The **generalisation gap**, measured fairly: training and validation images as they are, without
# augmentation and dropout.

# %%
for contender in result.contenders:
    gap, accuracy = contender.gap, result.comparison.metrics[contender.name].accuracy
    name = f"{NAME}, {contender.name}"
    print(f"{name}: validation {accuracy.value:.1%} ({accuracy.low:.1%} to {accuracy.high:.1%})")
    print(f"{name}: training less validation {gap.value:+.1%} ({gap.low:+.1%} to {gap.high:+.1%})")

# %% [markdown]
# ## Is it better?
#
# Comparing two accuracies with their intervals asks the wrong question, because both networks saw the
# *same* images. So count the images that only one of them gets right (McNemar's test).

# %%
difference = result.comparison.differences[0]
print(f"{NAME}: {difference.verdict}")

# %%
Image(FIGURES / "compare" / "classes-simple-cnn-regularized-cnn.png")

# %% [markdown]
# The gap is closed, but the network is not better: in the training saved here it is even a little worse.
# With half of its last layer hidden and every image augmented, such a small network now learns too
# *little*. A gap is a diagnostic; what counts is validation. On a larger network the same methods help:
# see the recipe `fast` in the notebook `analysis`.
#
# One run each depends on luck: another seed changes both accuracies. `seewhy train --seeds 5` gives means
# with confidence intervals, and `seewhy ablate` measures the effect of each part.
