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
# # From a folder of photographs to a model that can be shipped
#
# One folder a class is enough. Look at the data, train, measure, teach it to say "not sure", write one
# file, and use that file as a stranger would: on new pictures, some of them broken.
#
# The training takes some minutes on two cores.

# %% tags=["parameters"]
import os
from pathlib import Path

PHOTOS = os.environ.get("PHOTOS", "photos")  # a folder with a folder for each class
NAME = os.environ.get("PHOTOS_NAME", "photographs")  # what is said beside each figure
RUNS = Path(os.environ.get("RUNS", "../runs/notebooks"))
QUICK = {"data.size": 48, "train.epochs": 1} if "QUICK" in os.environ else {}

# %%
import seewhy
from seewhy.data.inspect import statistics
from seewhy.inference.bundle import save
from seewhy.plots import data as data_figures
from seewhy.plots import metrics as draw
from seewhy.plots import preview as preview_figures
from seewhy.workflows.calibrate import calibrate
from seewhy.workflows.compare import latencies
from seewhy.workflows.preview import preview

recipe = seewhy.load_recipe("photos", QUICK)
splits = seewhy.load_data(PHOTOS, recipe.data)
for note in splits.notes:
    print(note)
data_figures.picture_sizes(statistics(splits))

# %% [markdown]
# Photographs come in all sizes. Each is cut to its centre square and kept once, a little larger than the
# network's input, so that training can crop from it.

# %%
for finding in seewhy.check_data(splits).findings:
    print(f"{NAME}, {finding.severity}: {finding.count:,} {finding.what}\n    -> {finding.advice}")
seen = preview(PHOTOS, splits, recipe)
preview_figures.input_sheet(seen.examples, seen.originals, seen.rule, seen.versions)

# %% [markdown]
# If the thing lies outside the frame, the network never sees it. If a training version has lost it, the
# crop is too bold for these pictures.
#
# ## Train

# %%
run = seewhy.train(PHOTOS, "photos", out=RUNS / "photos", overrides=QUICK, resume=True)
draw.curves(run.history)

# %%
figures, predictions = seewhy.evaluate(run.path, PHOTOS, "val")
right = figures.accuracy
print(
    f"{NAME}: {right.value:.1%} of {figures.n} pictures right ({right.low:.1%} to {right.high:.1%})"
)
draw.confusion_matrix(seewhy.to_json(figures))

# %% [markdown]
# So few pictures give a wide interval: believe its lower end. More pictures, or a network that has seen
# millions of others, help more than any setting.
#
# ## Let it say "not sure"
#
# On validation: the temperature that makes its confidence honest, and the confidence above which it
# answers, so that it answers four pictures in five and leaves the hardest to a person.

# %%
bundle, told = calibrate(seewhy.load(run.path), PHOTOS, coverage=0.8)
print(
    f"{NAME}: temperature {told.temperature:.2f}, calibration error {told.ece_before.value:.1%} before, "
    f"{told.ece_after.value:.1%} after"
)
print(f"{NAME}: answers when at least {told.threshold.confidence:.0%} sure")

# %% [markdown]
# ## One file
#
# Weights, classes, how a picture is prepared, temperature and threshold, and eight test patterns with their
# answers, which are replayed at each load: a file that proves itself, without code in it.

# %%
import tempfile

file = Path(tempfile.mkdtemp()) / "model.safetensors"
save(bundle, file)
model = seewhy.load(file)
print(f"{file.name}: {file.stat().st_size / 1e6:.1f} MB, classes {', '.join(model.classes)}")

# %% [markdown]
# ## Use it
#
# New pictures by path, bytes, array or Pillow image. A broken one becomes a row that says what is wrong
# with it; the others are answered all the same.

# %%
paths = [Path(PHOTOS) / name for name in splits.val.ids[:5]]
answers = model.predict([*paths, b"this is no picture"], on_error="row")
sure = answers.confidence()
for row, said in enumerate(model.answers(answers)):
    _, fault = answers.errors.get(row, ("", ""))
    best = answers.classes[answers.predicted[row]]
    print(f"picture {row + 1}: {fault or f'{said} ({best} at {sure[row]:.0%})'}")

# %%
(one,) = latencies([model])
print(
    f"{NAME}: {one.median:.0f} ms a picture ({one.low:.0f} to {one.high:.0f}), decoding not counted"
)

# %% [markdown]
# The machine that made the outputs kept here was busy with other work: time it on yours.
#
# When all choices are made, and only then: `seewhy evaluate RUN --data FOLDER --split test`, once.
