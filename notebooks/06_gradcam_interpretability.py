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
# Grad-CAM marks the regions of an image that support a class. It can reveal a network that looks at the
# water instead of the ship, and it can be misleading. So each map is tested before we believe it.
#
# [Open in Colab](https://colab.research.google.com/github/seewhy-ml/seewhy/blob/main/notebooks/06_gradcam_interpretability.ipynb)

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
run = seewhy.train(
    DATA, "regularized-cnn", out=RUNS / "regularized-cnn", overrides=QUICK, resume=True
)

# %% [markdown]
# ## When it is right
#
# Vermilion supports the predicted class, blue is evidence against it.

# %%
right = seewhy.explain(run.path, data=DATA, only="right", count=6, out=FIGURES / "right")
Image(right.folder / "explanations-1.png")

# %% [markdown]
# ## When it is wrong
#
# The most confident mistakes. Look for context: sky and water for airplanes and ships, grass for deer and
# horses. Where the evidence is beside the object, the network has learned the background, not the object.

# %%
wrong = seewhy.explain(run.path, data=DATA, only="wrong", count=6, out=FIGURES / "wrong")
Image(wrong.folder / "explanations-1.png")

# %% [markdown]
# ## Can the map be believed?
#
# Two faithfulness tests. **Chance**: when the marked pixels are covered first, the probability of the
# class should fall sooner than with the same map moved elsewhere; when they are shown first, it should
# rise sooner. **Shuffled weights**: a network with shuffled weights should get a different map; a method
# that draws the same map shows the edges of the image, not the reasons of the network. Maps that fail are
# stamped above.

# %%
two = seewhy.explain(
    run.path, data=DATA, methods=("grad_cam", "saliency"), count=8, out=FIGURES / "two"
)
for name, check in two.explanations.checks.items():
    mean = check.means()
    print(
        f"{NAME}, {name}: deletion {mean['deletion']:.2f} (moved {mean['random_deletion']:.2f}), "
        f"insertion {mean['insertion']:.2f} (moved {mean['random_insertion']:.2f}), "
        f"{mean['reliable']:.0%} of {len(two.explanations)} maps reliable"
    )

# %%
Image(two.folder / "faithfulness.png")

# %% [markdown]
# ## From single images to classes
#
# The mean map of each class over many images. If the evidence for a class is at the border, the network
# recognises it by something other than the object.

# %%
learned = seewhy.explain(
    run.path, data=DATA, count=1, check=False, features=True, out=FIGURES / "learned"
)
Image(learned.folder / "class-averages.png")

# %% [markdown]
# And the filters of the first layer, once it is trained: edges and colours, where notebook 2 showed
# noise.

# %%
Image(learned.folder / "filters.png")
