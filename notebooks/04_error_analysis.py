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
# # 4. Where it fails
#
# Accuracy says how often the network is right. This notebook asks *which* classes it confuses, how
# confident it is, and what its mistakes look like. Everything is on validation, from one pass of the
# network.
#
# [Open in Colab](https://colab.research.google.com/github/seewhy-ml/seewhy/blob/main/notebooks/04_error_analysis.ipynb)

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

run = seewhy.train(DATA, "simple-cnn", out=RUNS / "simple-cnn", overrides=QUICK, resume=True)
result = seewhy.analyse(run.path, DATA, "val")
metrics = result.metrics
print(f"{NAME}: {metrics.accuracy.value:.1%} of {metrics.n:,} validation images right")

# %%
Image(run.figures / "confusion-val.png")

# %% [markdown]
# A row is the true class, a column the predicted one. Dark cells off the diagonal are confusions, and
# they are no accident: such classes share shape, colour or background.

# %%
mistakes = result.analysis.mistakes
for pair in mistakes.pairs[:5]:
    rate = pair.rate
    print(
        f"{NAME}: {pair.true} taken for {pair.predicted} {pair.count} times, "
        f"{rate.value:.1%} ({rate.low:.1%} to {rate.high:.1%}) of all {pair.true}"
    )

# %% [markdown]
# Precision asks "when it predicts cat, is it a cat?", recall "of all cats, how many does it find?". A
# class can have one without the other.

# %%
Image(run.figures / "class-heat-map-val.png")

# %% [markdown]
# ## How confident was it?
#
# Confidence is useful if it is lower for mistakes than for right answers, and if 80% of the answers given
# at 80% confidence are right.

# %%
confidence = result.analysis.confidence
print(
    f"{NAME}: mean confidence {confidence.right.value:.1%} when right, "
    f"{confidence.wrong.value:.1%} when wrong"
)
print(f"{NAME}: {confidence.sure_mistakes} mistakes above 90%")
Image(run.figures / "confidence-val.png")

# %%
Image(run.figures / "reliability-val.png")

# %% [markdown]
# ## The mistakes themselves
#
# The most confident first: below each image its class, and in red the prediction. Some are the network's
# fault, some are due to the image, and some to the label.

# %%
Image(run.figures / "worst-mistakes-val.png")

# %% [markdown]
# Sort them: wrong label, hardly visible, unusual view, true confusion. A better network helps only with
# the last kind; better data helps with the others.
