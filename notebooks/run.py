"""Executes the notebooks from their scripts and saves them, with small outputs, as .ipynb.

    python notebooks/run.py [--out FOLDER] [NAME...]

Parameters come from the environment: DATA, NAME, PHOTOS, PHOTOS_NAME, RUNS, RECIPE, and QUICK for one epoch.
"""

import argparse
import base64
import io
import os
import tempfile
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient
from PIL import Image
from traitlets.config import Config

HERE = Path(__file__).resolve().parent
NAMES = sorted(path.stem for path in HERE.glob("*.py") if path.stem != "run")
WIDEST = 700  # pixels of a saved image


def execute(name: str, out: Path) -> None:
    """Runs one notebook in a new process, in this folder, and writes it to `out` with its outputs."""
    notebook = jupytext.read(HERE / f"{name}.py")
    # Its sockets are files in a private folder, so no port is open to others.
    with tempfile.TemporaryDirectory() as private:
        sockets = {"transport": "ipc", "ip": f"{private}/kernel"}
        NotebookClient(
            notebook,
            timeout=3600,
            startup_timeout=600,
            resources={"metadata": {"path": str(HERE)}},
            config=Config({"KernelManager": sockets}),
        ).execute()
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"  # instead of a random one
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output["data"] = small(output["data"])
    notebook.metadata.pop("language_info", None)
    nbformat.write(notebook, out / f"{name}.ipynb")


def small(data: dict[str, Any]) -> dict[str, Any]:
    """Returns the image at most `WIDEST` pixels wide, as PNG of 256 colours or as JPEG: the smaller."""
    image = Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("RGB")
    image.thumbnail((WIDEST, 10 * WIDEST))
    png, jpeg = io.BytesIO(), io.BytesIO()
    image.quantize(256).save(png, "PNG", optimize=True)
    image.save(jpeg, "JPEG", quality=65, optimize=True)
    kind, smaller = min(("image/png", png), ("image/jpeg", jpeg), key=lambda made: made[1].tell())
    return {kind: base64.b64encode(smaller.getvalue()).decode()}


if __name__ == "__main__":
    os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"  # from tqdm, which asks for widgets
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=NAMES, help="[all of them]")
    parser.add_argument("--out", type=Path, default=HERE)
    chosen = parser.parse_args()
    for name in chosen.names:
        print(name, flush=True)
        execute(name, chosen.out)
