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
# # 1. Look at the data
#
# Before any training: what does the data set hold, is anything wrong with it, and what will the network
# see? Many later problems start here.
#
# [Open in Colab](https://colab.research.google.com/github/seewhy-ml/seewhy/blob/main/notebooks/01_exploration.ipynb)

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
splits = seewhy.load_data(DATA)
for note in splits.notes:
    print(note)

# %% [markdown]
# Three splits: **train** to learn from, **val** to choose by, and **test**, sealed until the very end. A
# test that was used to choose is no longer a test. So nothing below opens it; its images are only
# counted.

# %%
statistics = seewhy.data_statistics(DATA, out=FIGURES / "statistics")
Image(FIGURES / "statistics" / "classes.png")

# %% [markdown]
# Do all classes have the same number of images? If not, a network can be right often by always predicting
# the largest class. Accuracy alone is then misleading: use balanced accuracy.

# %%
for colour, mean, std in zip(
    ("red", "green", "blue"), statistics.mean, statistics.std, strict=True
):
    print(f"{NAME}, {colour:<5}: mean {mean:.3f}, std {std:.3f}")

# %% [markdown]
# Every network here subtracts these means and divides by these standard deviations. They are measured on
# train alone, because val and test must not influence training. Now the images themselves.

# %%
Image(FIGURES / "statistics" / "overview.png")

# %% [markdown]
# Could *you* name each one? Where a person cannot, a network can only guess or use a shortcut.
#
# ## Is anything wrong?
#
# Unreadable files, copies, the same image in two splits or with two labels, images that are dark or
# blurred, a brightness that reveals the class:

# %%
report = seewhy.check_data(DATA, out=FIGURES / "check")
for finding in report.findings:
    print(f"{NAME}, {finding.severity}: {finding.count:,} {finding.what}\n    -> {finding.advice}")
if not report.findings:
    print(f"{NAME}: no problem found in {len(report.pictures):,} images")

# %% [markdown]
# The finding with the most images. Copies in two splits make the metrics better than they should be: the
# network has already seen the answer. (Images of test stay grey.)

# %%
largest = max(report.findings, key=lambda finding: finding.count, default=None)
sheet = FIGURES / "check" / f"{largest.kind if largest else None}.png"
Image(sheet) if sheet.is_file() else None

# %% [markdown]
# ## What the network sees
#
# An image is made square and resized; in training it is also augmented, differently each time.
# Each row shows the file, the input in evaluation (framed in the file), and inputs in training by the
# recipe `regularized-cnn`.

# %%
seewhy.preview(DATA, "regularized-cnn", out=FIGURES / "preview")
Image(FIGURES / "preview" / "input.png")

# %% [markdown]
# Flips and shifted crops: an airplane is still an airplane. Next: which kind of network reads such
# images?
