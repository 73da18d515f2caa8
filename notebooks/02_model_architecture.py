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
# # 2. Build a network
#
# A small convolutional network from the inside: what its layers do to an image, where its parameters are,
# what it costs, and what it predicts before it has learned anything.
#
# [Open in Colab](https://colab.research.google.com/github/seewhy-ml/seewhy/blob/main/notebooks/02_model_architecture.ipynb)

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
import math
import tempfile

import matplotlib.pyplot as plt
import torch
from IPython.display import Image

import seewhy

FIGURES = Path(tempfile.mkdtemp())
splits = seewhy.load_data(DATA)
size, classes = splits.rule.size, splits.classes
layers = seewhy.network_layers(
    "simple_cnn", size=size, classes=len(classes), out=FIGURES / "simple.png"
)
Image(FIGURES / "simple.png")

# %% [markdown]
# Read it from the top. A convolution looks for small patterns everywhere in the image; pooling halves the
# side, so that the next one sees a larger region. At the end, dense layers combine these features into
# one number per class.

# %%
total = sum(layer.parameters for layer in layers)
for layer in layers:
    shape = "x".join(map(str, layer.output_shape))
    print(
        f"{layer.name:<14}{layer.kind:<12}{shape:<12}{layer.parameters:>9,} {layer.parameters / total:>5.0%}"
    )

# %% [markdown]
# Nearly all parameters are in the first dense layer: it has a separate weight for every position of every
# map. There such a network can memorise single training images, which is why it overfits (notebook 3).
#
# ## The regularised version
#
# Batch norm keeps the output of each layer in a steady range; dropout hides half of the last layer's
# inputs, so that no prediction depends on one number.

# %%
seewhy.network_layers(
    "regularized_cnn", size=size, classes=len(classes), out=FIGURES / "regularized.png"
)
Image(FIGURES / "regularized.png")

# %% [markdown]
# ## What a network costs
#
# Parameters cost memory; FLOPs (a multiply-add counts as two) cost time.

# %%
for name, cost in seewhy.network_costs(size, len(classes)).items():
    print(
        f"{name:<18}{cost['parameters']:>12,} parameters {cost['flops'] / 1e6:>9,.1f} MFLOPs per image"
    )

# %% [markdown]
# Few parameters can still mean much work: a convolution uses each of its weights at every position.
#
# ## Before training
#
# A new network should know nothing: every class is equally likely, so the loss is ln(number of classes).
# If it is far from that, something is wrong with the input or the initial weights, and it is better to
# see it now than after an hour.

# %%
torch.manual_seed(0)
simple = seewhy.build_network("simple_cnn", size=size, classes=len(classes))
simple.fit_input(splits.train.images)
images = torch.from_numpy(splits.train.images[:256]).permute(0, 3, 1, 2).float() / 255
labels = torch.from_numpy(splits.train.labels[:256])
with torch.no_grad():
    loss = torch.nn.functional.cross_entropy(simple.eval()(images), labels).item()
print(
    f"{NAME}: loss of the untrained network {loss:.3f}, ln {len(classes)} = {math.log(len(classes)):.3f}"
)

# %% [markdown]
# Its first filters are noise. Notebook 6 shows those of a trained network.

# %%
first = next(layer for layer in simple.modules() if isinstance(layer, torch.nn.Conv2d))
weights = first.weight.detach().permute(0, 2, 3, 1)  # filters, height, width, RGB
figure, axes = plt.subplots(2, len(weights) // 2, figsize=(8, 1.2))
for axis, colours in zip(axes.flat, weights, strict=True):
    axis.imshow(0.5 + colours / (2 * colours.abs().max()))  # grey is 0
    axis.axis("off")
