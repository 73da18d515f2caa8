"""Makes the pinned artefacts, with the code of commit 9efb233: what later code must read for ever.

    python tests/pinned/make.py tests/pinned

`finished/` is a whole run, `unfinished/` the same run stopped after its second epoch,
`calibrated.safetensors` a bundle with a threshold and a rule for images of another kind, `recipe.yaml`
a recipe of a user. All but the recipe are made from the digits that come with scikit-learn.
"""

import shutil
import sys
from contextlib import suppress
from pathlib import Path

import seewhy
from seewhy import bundle as bundles
from seewhy.analysis.analyse import analyse_validation, write_analysis
from seewhy.analysis.calibrate import calibrate
from seewhy.training import Epoch

EPOCHS = 3


def stop_after_two(event: object) -> None:
    """Stops the training a step after its second epoch, whose checkpoint is then on disk."""
    if not isinstance(event, Epoch | str) and event.epoch == EPOCHS:  # type: ignore[attr-defined]
        raise KeyboardInterrupt


def main(home: Path) -> None:
    recipe = home / "recipe.yaml"
    run = seewhy.train("digits", recipe, out=home / "finished")
    found = seewhy.load(run.path)
    splits = found.splits("digits")
    predictions = seewhy.Predictions.from_parquet(run.predictions("val"))
    write_analysis(analyse_validation(predictions, found, splits), "val", run.path / "analysis")
    seewhy.evaluate(run.path, "digits", "test")
    with suppress(KeyboardInterrupt):
        seewhy.train("digits", recipe, out=home / "unfinished", show=stop_after_two)
    noise = home / "noise"
    _write_noise(noise)
    bundle, _ = calibrate(found, "digits", precision=0.8, out_of_scope=noise)
    bundles.save(bundle, home / "calibrated.safetensors")
    shutil.rmtree(noise)
    for path in (run.checkpoints, *home.glob("*/run.lock"), *home.glob("*/metrics.lock")):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    # One checkpoint is enough to go on from.
    checkpoints = (home / "unfinished" / "checkpoints").iterdir()
    for path in sorted(checkpoints, key=lambda path: int(path.name[len("step-") :]))[:-1]:
        shutil.rmtree(path)


def _write_noise(folder: Path) -> None:
    import numpy as np
    from PIL import Image

    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(40):
        Image.fromarray(rng.integers(0, 255, (16, 16, 3), np.uint8)).save(folder / f"{number}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
