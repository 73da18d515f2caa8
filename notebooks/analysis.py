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
# # All metrics of one model
#
# Everything that one asks of a trained classifier, in one pass: overall and per-class metrics, curves,
# confusions, mistakes, confidence, and Grad-CAM on the mistakes. `seewhy evaluate --full` prints the
# same, and `seewhy report` writes it as a page.
#
# [Open in Colab](https://colab.research.google.com/github/seewhy-ml/seewhy/blob/main/notebooks/analysis.ipynb)

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
RECIPE = os.environ.get("RECIPE", "fast")

# %%
import tempfile

from IPython.display import Image

import seewhy

FIGURES = Path(tempfile.mkdtemp())
run = seewhy.train(DATA, RECIPE, out=RUNS / RECIPE, overrides=QUICK, resume=True)
result = seewhy.analyse(run.path, DATA, "val")
metrics, analysis = result.metrics, result.analysis
page = seewhy.report(run, DATA)

# %% [markdown]
# ## Training
#
# Training read validation, but not test.

# %%
Image(run.figures / "curves.png")

# %% [markdown]
# ## Metrics, each with its 95% confidence interval

# %%
intervals = {"accuracy": metrics.accuracy, **metrics.intervals}
for name in ("accuracy", "macro_precision", "macro_recall", "macro_f1", "mcc", "ece", "auroc"):
    value = intervals[name]
    print(
        f"{NAME}, {run.path.name}: {name:<18} {value.value:.4f} ({value.low:.4f} to {value.high:.4f})"
    )

# %%
Image(run.figures / "class-heat-map-val.png")

# %%
Image(run.figures / "ranking-val.png")

# %% [markdown]
# ROC shows how well a class is separated from all others, over all thresholds; with ten classes it
# flatters, because most images belong to the others. Precision and recall do not flatter.
#
# ## Confusions

# %%
Image(run.figures / "confusion-rates-val.png")

# %%
for pair in analysis.mistakes.pairs[:5]:
    rate = pair.rate.value
    print(
        f"{NAME}: {pair.true} taken for {pair.predicted}: {pair.count}, {rate:.1%} of {pair.true}"
    )
for name, missed in analysis.mistakes.missed.items():
    print(
        f"{NAME}: {name:<12} {missed.count:>4} of {missed.support:>4} missed, {missed.rate.value:.1%}"
    )

# %% [markdown]
# ## Confidence

# %%
confidence = analysis.confidence
print(
    f"{NAME}: mean confidence {confidence.right.value:.1%} when right, "
    f"{confidence.wrong.value:.1%} when wrong"
)
print(
    f"{NAME}: least confident right answer {confidence.least_right:.1%}, "
    f"most confident mistake {confidence.most_wrong:.1%}"
)
print(
    f"{NAME}: {confidence.sure_mistakes} mistakes above 90%, "
    f"{confidence.sure_mistake_rate.value:.2%} of all images"
)
Image(run.figures / "confidence-val.png")

# %% [markdown]
# If the model may leave the hardest images to a person, how many of its remaining answers are wrong?

# %%
Image(run.figures / "risk-coverage-val.png")

# %% [markdown]
# ## The most confident mistakes, and where the network looked

# %%
Image(run.figures / "worst-mistakes-val.png")

# %%
why = seewhy.explain(run.path, data=DATA, only="wrong", count=6, out=FIGURES / "wrong")
Image(why.folder / "explanations-1.png")
