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
# # 6. Why it decides so
#
# Grad-CAM marks the places of a picture that speak for a class. It can show a network that looks at the
# water instead of the ship, and it can mislead; so each map is put to the test here before it is believed.

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
from seewhy.attribution.class_averages import class_averages
from seewhy.attribution.explanations import choose, explain_images
from seewhy.attribution.layers import first_filters
from seewhy.attribution.methods import METHODS
from seewhy.data.images.decode import centre
from seewhy.plots import attribution as explain_figures

run = seewhy.train(
    DATA, "regularized-cnn", out=RUNS / "regularized-cnn", overrides=QUICK, resume=True
)
classifier = seewhy.load(run.path)
val = classifier.splits(DATA).val
predictions = classifier.predict_set(val)


def explained(only, methods, count=6):
    rows = choose(predictions, count, only)
    images, chosen = centre(val.images[rows], classifier.rule.size), predictions.take(rows)
    return explain_images(classifier, images, chosen, chosen.predicted, methods)


# %% [markdown]
# ## When it is right
#
# Vermilion speaks for the class that was named, blue against it.

# %%
right = explained("right", {"grad_cam": METHODS["grad_cam"]})
explain_figures.explanation_sheet(right, range(len(right)))

# %% [markdown]
# ## When it is wrong
#
# The surest mistakes. Look for context: sky and water for airplanes and ships, grass for deer and horses.
# Where the evidence lies beside the thing, the network has learnt the place and not the thing.

# %%
wrong = explained("wrong", {"grad_cam": METHODS["grad_cam"]})
explain_figures.explanation_sheet(wrong, range(len(wrong)))

# %% [markdown]
# ## Can the map be believed?
#
# Two tests. **Chance**: cover the marked pixels first, and the class's probability should fall sooner, show
# them first, and it should rise sooner, than with the same map moved elsewhere. **Shuffled weights**: a
# network that knows nothing should get another map; a method that draws the same one draws the picture's
# edges, not the network's reasons. Maps that fail are stamped above.

# %%
two = explained(None, {name: METHODS[name] for name in ("grad_cam", "saliency")}, count=8)
for name, check in two.checks.items():
    mean = check.means()
    print(
        f"{NAME}, {name}: deletion {mean['deletion']:.2f} (moved {mean['random_deletion']:.2f}), "
        f"insertion {mean['insertion']:.2f} (moved {mean['random_insertion']:.2f}), "
        f"{mean['reliable']:.0%} of {len(two)} maps reliable"
    )

# %%
explain_figures.faithfulness_curves(two.checks)

# %% [markdown]
# ## Habits, not cases
#
# The mean map of each class over many pictures. A class whose evidence lies at the border is told by
# something beside the thing.

# %%
import numpy as np
import torch

from seewhy.inference.forward import to_input

some = val.take(np.random.default_rng(0).permutation(len(val))[:300])
x = to_input(centre(some.images[:], classifier.rule.size), classifier.device)
labels = torch.from_numpy(some.labels)
means = class_averages(classifier.bundle.network, x, labels, METHODS["grad_cam"], val.classes)
explain_figures.class_average_sheet(means)

# %% [markdown]
# And what the first layer looks for, once it is trained: edges and colours, where notebook 2 had noise.

# %%
explain_figures.filters(first_filters(classifier.bundle.network).cpu().numpy())
