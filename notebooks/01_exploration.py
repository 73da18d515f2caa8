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
# Before any training: what is there, is it sound, and what will the network see of it? Half of what goes
# wrong later is decided here.

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
from seewhy.data.inspect import statistics
from seewhy.plots import data as data_figures
from seewhy.plots import preview as preview_figures
from seewhy.workflows.preview import preview

splits = seewhy.load_data(DATA)
for note in splits.notes:
    print(note)

# %% [markdown]
# Three parts: **train** to learn from, **val** to choose by, and **test**, sealed until the very end. A
# test that was looked at while choosing is no longer a test, so nothing below opens it; its pictures are
# only counted.

# %%
figures = statistics(splits)
data_figures.class_counts(figures)

# %% [markdown]
# Are the classes of equal size? Where they are not, a network can be right often by naming the largest, and
# accuracy alone misleads: watch balanced accuracy then.

# %%
for colour, mean, deviation in zip(
    ("red", "green", "blue"), figures.mean, figures.std, strict=True
):
    print(f"{NAME}, {colour:<5}: mean {mean:.3f}, deviation {deviation:.3f}")

# %% [markdown]
# Every network here takes these means off and divides by these deviations, measured on train alone: what
# comes from val or test would be a peek. Now the pictures themselves.

# %%
data_figures.overview(splits.train)

# %% [markdown]
# Could *you* name each one? Where a person cannot, a network has only luck or a shortcut.
#
# ## Is anything wrong?
#
# Unreadable files, copies, the same picture on two sides of a split or under two labels, pictures that are
# dark or blurred, a brightness that gives the class away:

# %%
report = seewhy.check_data(splits)
for finding in report.findings:
    print(f"{NAME}, {finding.severity}: {finding.count:,} {finding.what}\n    -> {finding.advice}")
if not report.findings:
    print(f"{NAME}: nothing wrong found in {len(report.pictures):,} pictures")

# %% [markdown]
# The finding with most pictures, in the flesh. Copies on both sides of a split make the figures look better
# than they are: the network has seen the answer. (What lies in test stays grey.)

# %%
largest = max(report.findings, key=lambda finding: finding.count, default=None)
largest and data_figures.finding_sheet(largest, report.pictures)

# %% [markdown]
# ## What the network sees
#
# A picture is cut to a square and resized; in training it is also varied, anew each time. Each row: the
# file, what evaluation sees (framed in the file), and training versions by the recipe `regularized-cnn`.

# %%
seen = preview(DATA, splits, seewhy.load_recipe("regularized-cnn"))
preview_figures.input_sheet(seen.examples, seen.originals, seen.rule, seen.versions)

# %% [markdown]
# Flips and shifted crops: an airplane stays an airplane. Next: what kind of network reads such pictures?
