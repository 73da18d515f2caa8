"""The notebooks run from end to end; their saved outputs are complete, small and made by their scripts."""

import ast
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import jupytext
import pytest
from data.pictures import write_scenes
from helpers import mostly_long

import seewhy

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
NAMES = sorted(path.stem for path in NOTEBOOKS.glob("*.py") if path.stem != "run")
MOST_BYTES = 500_000


def outputs(notebook: Path) -> list[dict]:
    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    return [output for cell in cells for output in cell.get("outputs", [])]


def kinds(outputs: list[dict]) -> set[str]:
    return {kind for output in outputs for kind in output.get("data", {})}


def test_there_are_eight_notebooks():
    expected = [
        *("01_exploration", "02_model_architecture", "03_training_baseline", "04_error_analysis"),
        *("05_data_augmentation_regularization", "06_gradcam_interpretability"),
        *("analysis", "photo_pipeline"),
    ]
    assert expected == NAMES


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One epoch on the digits and on generated images; the notebooks share the trainings."""
    root = tmp_path_factory.mktemp("notebooks")
    folders = [f"{split}/{name}" for split in ("train", "val") for name in ("ant", "bee")]
    photos = write_scenes(root / "photos", dict.fromkeys(folders, 16), 72)
    small = {"QUICK": "1", "DATA": "digits", "NAME": "digits", "RECIPE": "simple-cnn"}
    here = {"RUNS": str(root / "runs"), "PHOTOS": str(photos), "OMP_NUM_THREADS": "1"}
    return {**os.environ, **small, **here}


# The others take up to half a minute each and run in the long tests.
RUN = mostly_long(NAMES, "02_model_architecture")


@pytest.mark.parametrize("name", RUN)
def test_a_notebook_runs(name: str, quick: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, NOTEBOOKS / "run.py", "--out", tmp_path, name]
    done = subprocess.run(command, env=quick, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    made = outputs(tmp_path / f"{name}.ipynb")
    assert kinds(made) & {"image/png", "image/jpeg"} and len(made) > 3
    assert not [output for output in made if output.get("name") == "stderr"]


@pytest.mark.parametrize("name", NAMES)
def test_saved_cells_are_those_of_the_script(name: str) -> None:
    script = jupytext.read(NOTEBOOKS / f"{name}.py")
    kept = jupytext.read(NOTEBOOKS / f"{name}.ipynb")
    assert [cell.source for cell in kept.cells] == [cell.source for cell in script.cells]
    ran = [cell for cell in kept.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in ran] == list(range(1, len(ran) + 1))


@pytest.mark.parametrize("name", NAMES)
def test_saved_outputs_are_small_and_name_no_path_of_the_machine(name: str) -> None:
    file = NOTEBOOKS / f"{name}.ipynb"
    assert file.stat().st_size <= MOST_BYTES
    kept = outputs(file)
    assert kinds(kept) & {"image/png", "image/jpeg"}
    assert not [output for output in kept if output["output_type"] == "error"]
    text = "".join(str(output.get("text", "")) for output in kept)
    assert "/home/" not in text and "/tmp/" not in text and "/work" not in text
    for line in text.splitlines():
        if "%" in line and name not in ("02_model_architecture", "photo_pipeline"):
            assert "JPEG copy" in line, line


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_uses_public_names(name: str) -> None:
    """Of the package, the names in `seewhy` and the records of `seewhy.events` alone."""
    tree = ast.parse((NOTEBOOKS / f"{name}.py").read_text("utf-8"))
    nodes = list(ast.walk(tree))
    modules = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    inner = {module for module in modules if module and module.startswith("seewhy.")}
    assert inner <= {"seewhy.events"}
    used = {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "seewhy"
    }
    assert used <= set(seewhy.__all__)


def first_code(name: str) -> str:
    cells = jupytext.read(NOTEBOOKS / f"{name}.py").cells
    return next(cell.source for cell in cells if cell.cell_type == "code")


def test_every_notebook_opens_in_colab_and_begins_with_the_installation():
    """The page of Colab is that of the repository which pyproject.toml names."""
    project = tomllib.loads((NOTEBOOKS.parent / "pyproject.toml").read_text("utf-8"))["project"]
    repository = project["urls"]["Repository"].removeprefix("https://github.com/")
    for name in NAMES:
        page = f"https://colab.research.google.com/github/{repository}/blob/main/notebooks/{name}.ipynb"
        title = jupytext.read(NOTEBOOKS / f"{name}.ipynb").cells[0].source
        assert title.endswith(f"[Open in Colab]({page})")
        assert first_code(name) == first_code(NAMES[0])


@pytest.mark.parametrize(
    ("modules", "asked"),
    [
        ({"seewhy": "1.0", "torch": "2.13.0"}, None),
        ({"torch": "2.12.1+cu126"}, ["seewhy", "torch==2.12.1+cu126"]),
        ({}, ["seewhy"]),
    ],
    ids=["installed", "PyTorch alone", "nothing"],
)
def test_the_first_cell_installs_what_is_missing_and_keeps_a_pytorch_that_is_there(
    modules, asked, monkeypatch
):
    commands = []
    monkeypatch.setattr("importlib.util.find_spec", modules.get)
    monkeypatch.setattr("importlib.metadata.version", modules.__getitem__)
    monkeypatch.setattr("subprocess.run", lambda command, check: commands.append(command))
    exec(first_code(NAMES[0]), {})
    pip = [sys.executable, "-m", "pip", "install", "--quiet"]
    assert commands == ([] if asked is None else [[*pip, *asked]])
