"""Makes an ensemble in one file, with the code of the commit that introduced it: it loads for ever.

    python tests/pinned/make_ensemble.py tests/pinned/ensemble.safetensors

Its members differ in network, class order, TTA views and temperature.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

import seewhy
from seewhy.config.input_rule import InputRule
from seewhy.evaluation.decision.record import Decision
from seewhy.inference.bundle import Bundle, save
from seewhy.models.registry import build

RULE = InputRule(size=8, store=8)


def main(out: Path) -> None:
    members = {
        "regularized_cnn": (("ant", "bee", "cow"), ("identity", "flip"), 0.5),
        "strided_cnn": (("cow", "ant", "bee"), ("identity",), 2.0),
    }
    with TemporaryDirectory() as folder:
        files = []
        for name, (classes, views, temperature) in members.items():
            torch.manual_seed(0)
            network = build(name, num_classes=3, size=8)
            files.append(Path(folder) / name)
            decision = Decision(temperature=temperature)
            save(Bundle(network, classes, RULE, decision=decision, views=views), files[-1])
        seewhy.ensemble(files, out=out)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
