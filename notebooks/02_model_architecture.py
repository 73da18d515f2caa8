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
# A small convolutional network from the inside: what its layers do to a picture, where its parameters sit,
# what it costs, and what it answers before it has learnt anything.

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
import math

import torch

import seewhy
from seewhy.config.networks import NETWORKS
from seewhy.models.blocks import blocks
from seewhy.models.network import describe
from seewhy.models.registry import build, cost
from seewhy.plots import attribution as explain_figures
from seewhy.plots import network as network_figures

splits = seewhy.load_data(DATA)
size, classes = splits.rule.size, splits.classes
torch.manual_seed(0)
simple = build("simple_cnn", num_classes=len(classes), size=size)
network_figures.network(blocks(simple), size, "simple_cnn")

# %% [markdown]
# Read it from the top. A convolution looks for small patterns everywhere in the picture; pooling halves
# the side, so that the next one looks at a larger part. At the end, dense layers weigh what was found into
# one number a class.

# %%
layers = describe(simple)
total = sum(layer.parameters for layer in layers)
for layer in layers:
    shape = "x".join(map(str, layer.output_shape))
    print(
        f"{layer.name:<14}{layer.kind:<12}{shape:<12}{layer.parameters:>9,} {layer.parameters / total:>5.0%}"
    )

# %% [markdown]
# Nearly all parameters sit in the first dense layer: it has a weight of its own for every place of every
# map. That is where such a network learns single training pictures by heart, and why it overfits (notebook
# 3).
#
# ## The regularised twin
#
# Batch norm keeps each layer's output in a steady range; dropout hides half of what the last layer gets, so
# that no answer may hang on one number.

# %%
regularized = build("regularized_cnn", num_classes=len(classes), size=size)
network_figures.network(blocks(regularized), size, "regularized_cnn")

# %% [markdown]
# ## What a network costs
#
# Parameters are memory; FLOPs (two for a multiplication with its addition) are time.

# %%
for name, kind in NETWORKS.items():
    if size >= kind.minimum_size:
        found = cost(name, num_classes=len(classes), size=size)
        print(
            f"{name:<18}{found.parameters:>12,} parameters {found.flops / 1e6:>9,.1f} MFLOPs a picture"
        )

# %% [markdown]
# Few parameters can still be much work: a convolution uses each of its weights at every place.
#
# ## Before training
#
# A fresh network should know nothing: each class as likely as any other, so a loss of ln(number of
# classes). If it is far from that, something is wrong with the input or the first weights, and it is seen
# now, not after an hour.

# %%
simple.fit_input(splits.train.images)
pictures = torch.from_numpy(splits.train.images[:256]).permute(0, 3, 1, 2).float() / 255
labels = torch.from_numpy(splits.train.labels[:256])
with torch.no_grad():
    loss = torch.nn.functional.cross_entropy(simple.eval()(pictures), labels).item()
print(
    f"{NAME}: loss of the untrained network {loss:.3f}, ln {len(classes)} = {math.log(len(classes)):.3f}"
)

# %% [markdown]
# Its first filters are noise. Notebook 6 looks at what a trained network makes of them.

# %%
from seewhy.attribution.layers import first_filters

explain_figures.filters(first_filters(simple).numpy())
