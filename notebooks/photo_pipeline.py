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
# # From a folder of photographs to a model that you can ship
#
# One folder per class is enough. Look at the data, train, measure, let the model answer "not sure", write
# one file, and use that file as somebody else would: on new images, some of them damaged.
#
# The training takes a few minutes on two cores.
#
# [Open in Colab](https://colab.research.google.com/github/seewhy-ml/seewhy/blob/main/notebooks/photo_pipeline.ipynb)

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

PHOTOS = os.environ.get("PHOTOS", "photos")  # a folder with a folder for each class
NAME = os.environ.get("PHOTOS_NAME", "photographs")  # printed beside each number
RUNS = Path(os.environ.get("RUNS", "../runs/notebooks"))
QUICK = {"data.size": 48, "train.epochs": 1} if "QUICK" in os.environ else {}

# %%
import tempfile

from IPython.display import Image

import seewhy

FIGURES = Path(tempfile.mkdtemp())
recipe = seewhy.load_recipe("photos", QUICK)
splits = seewhy.load_data(PHOTOS, recipe.data)
for note in splits.notes:
    print(note)
seewhy.data_statistics(PHOTOS, recipe.data, out=FIGURES / "statistics")
sizes = FIGURES / "statistics" / "sizes.png"  # missing where all images have one size
Image(sizes if sizes.is_file() else sizes.with_name("overview.png"))

# %% [markdown]
# Photographs have many sizes. Each is made square and stored once, a little larger than the network's
# input, so that training can crop from it. By default the whole image is squashed; the outputs saved here
# are of an earlier version, which cropped to the centre square (`data.fit`).

# %%
for finding in seewhy.check_data(PHOTOS, recipe.data).findings:
    print(f"{NAME}, {finding.severity}: {finding.count:,} {finding.what}\n    -> {finding.advice}")
seewhy.preview(PHOTOS, "photos", overrides=QUICK, out=FIGURES / "preview")
Image(FIGURES / "preview" / "input.png")

# %% [markdown]
# If the object is outside the frame, the network never sees it. If a training version has lost it, the
# crop is too strong for these images.
#
# ## Train

# %%
run = seewhy.train(PHOTOS, "photos", out=RUNS / "photos", overrides=QUICK, resume=True)
seewhy.report(run, PHOTOS)
Image(run.figures / "curves.png")

# %%
metrics, predictions = seewhy.evaluate(run.path, PHOTOS, "val")
accuracy = metrics.accuracy
print(
    f"{NAME}: {accuracy.value:.1%} of {metrics.n} images right "
    f"({accuracy.low:.1%} to {accuracy.high:.1%})"
)
Image(run.figures / "confusion-val.png")

# %% [markdown]
# So few images give a wide interval: rely on its lower end. More images, or a network that was trained on
# millions of others, help more than any setting.
#
# ## Let it answer "not sure"
#
# On validation, fit the temperature that calibrates its confidence, and the threshold above which it
# answers: it then answers four images in five and leaves the hardest to a person.

# %%
file = Path(tempfile.mkdtemp()) / "model.safetensors"
calibration = seewhy.calibrate(run.path, PHOTOS, coverage=0.8, out=file).calibration
print(
    f"{NAME}: temperature {calibration.temperature:.2f}, calibration error "
    f"{calibration.ece_before.value:.1%} before, {calibration.ece_after.value:.1%} after"
)
print(f"{NAME}: answers at {calibration.threshold.confidence:.0%} confidence or more")

# %% [markdown]
# ## One file
#
# `calibrate` has written a new model file: weights, classes, how an image is prepared, temperature and
# threshold, and eight test images with their outputs, which are checked whenever the file is loaded. It
# contains no code.

# %%
model = seewhy.load(file)
print(f"{file.name}: {file.stat().st_size / 1e6:.1f} MB, classes {', '.join(model.classes)}")

# %% [markdown]
# ## Use it
#
# New images as paths, bytes, arrays or Pillow images. A damaged one becomes a row with its error; the
# others are answered as usual.

# %%
paths = [Path(PHOTOS) / name for name in splits.val.ids[:5]]
predictions = model.predict([*paths, b"this is not an image"], on_error="row")
confidence = predictions.confidence()
for row, answer in enumerate(model.answers(predictions)):
    _, error = predictions.errors.get(row, ("", ""))
    best = predictions.classes[predictions.predicted[row]]
    print(f"image {row + 1}: {error or f'{answer} ({best} at {confidence[row]:.0%})'}")

# %%
import statistics
import time

image, milliseconds = model.preprocess(paths[0]), []
for _ in range(20):
    start = time.perf_counter()
    model.predict(image)
    milliseconds.append(1000 * (time.perf_counter() - start))
low, median, high = statistics.quantiles(milliseconds[3:], n=4)
print(f"{NAME}: {median:.0f} ms per image ({low:.0f} to {high:.0f}), decoding not counted")

# %% [markdown]
# The machine that made the outputs saved here was busy with other work: measure the time on yours.
#
# When all choices are made, and only then: `seewhy evaluate RUN --data FOLDER --split test`, once.
