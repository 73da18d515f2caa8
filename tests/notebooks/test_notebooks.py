"""The notebooks run from end to end, and what is kept of them is theirs, whole and small."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jupytext
import pytest
from data.pictures import write_scenes

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
NAMES = sorted(path.stem for path in NOTEBOOKS.glob("*.py") if path.stem != "run")
MOST_BYTES = 500_000


def outputs(notebook: Path) -> list[dict]:
    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    return [output for cell in cells for output in cell.get("outputs", [])]


def kinds(found: list[dict]) -> set[str]:
    return {kind for output in found for kind in output.get("data", {})}


def test_they_are_the_eight_of_the_texts():
    expected = [
        *("01_exploration", "02_model_architecture", "03_training_baseline", "04_error_analysis"),
        *("05_data_augmentation_regularization", "06_gradcam_interpretability"),
        *("analysis", "photo_pipeline"),
    ]
    assert expected == NAMES


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One epoch on the digits and on generated pictures; trainings are shared by the notebooks."""
    root = tmp_path_factory.mktemp("notebooks")
    folders = [f"{split}/{name}" for split in ("train", "val") for name in ("ant", "bee")]
    photos = write_scenes(root / "photos", dict.fromkeys(folders, 16), 72)
    small = {"QUICK": "1", "DATA": "digits", "NAME": "digits", "RECIPE": "simple-cnn"}
    here = {"RUNS": str(root / "runs"), "PHOTOS": str(photos), "OMP_NUM_THREADS": "1"}
    return {**os.environ, **small, **here}


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs(name: str, quick: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, NOTEBOOKS / "run.py", "--out", tmp_path, name]
    done = subprocess.run(command, env=quick, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found = outputs(tmp_path / f"{name}.ipynb")
    assert kinds(found) & {"image/png", "image/jpeg"} and len(found) > 3
    assert not [output for output in found if output.get("name") == "stderr"]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_kept_was_made_by_the_script_beside_it(name: str) -> None:
    script = jupytext.read(NOTEBOOKS / f"{name}.py")
    kept = jupytext.read(NOTEBOOKS / f"{name}.ipynb")
    assert [cell.source for cell in kept.cells] == [cell.source for cell in script.cells]
    ran = [cell for cell in kept.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in ran] == list(range(1, len(ran) + 1))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_kept_is_small_and_says_nothing_of_the_machine(name: str) -> None:
    file = NOTEBOOKS / f"{name}.ipynb"
    assert file.stat().st_size <= MOST_BYTES
    found = outputs(file)
    assert kinds(found) & {"image/png", "image/jpeg"}
    assert not [output for output in found if output["output_type"] == "error"]
    text = "".join(str(output.get("text", "")) for output in found)
    assert "/home/" not in text and "/tmp/" not in text and "/work" not in text
    for line in text.splitlines():
        if "%" in line and name not in ("02_model_architecture", "photo_pipeline"):
            assert "JPEG copy" in line, line
