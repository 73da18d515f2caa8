"""The wheel and the source distribution: complete, valid, and enough on their own."""

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import BytesParser
from pathlib import Path

import pytest
from packaging.metadata import Metadata

import seewhy

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
BESIDE = {
    *("CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE", "MANIFEST.in", "README.md"),
    *("SECURITY.md", "constraints.txt", "pyproject.toml", "requirements.txt"),
}
MOST_BYTES = 20_000_000  # of the wheel, and of the source distribution


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel, and the source distribution that it was built from."""
    pytest.importorskip("build")
    root = tmp_path_factory.mktemp("package")
    left_out = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "src", root / "src", ignore=left_out)
    for name in BESIDE:
        shutil.copy(ROOT / name, root)
    shutil.copytree(ROOT / "tests" / "release", root / "tests" / "release")  # to be left out
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", root / "dist", root]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return root / "dist"


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (path,) = built.glob("*.whl")
    return path


def sources() -> set[str]:
    folder = ROOT / "src" / "seewhy"
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {path.relative_to(folder.parent).as_posix() for path in files}


def test_the_wheel_holds_all_files_of_the_package(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "seewhy/weights/fast.safetensors" in names
    assert {name for name in names if ".dist-info/" not in name} == sources()
    assert wheel.stat().st_size < MOST_BYTES


def test_the_source_distribution_holds_what_builds_and_explains(built):
    (path,) = built.glob("*.tar.gz")
    top = path.name.removesuffix(".tar.gz")
    with tarfile.open(path) as archive:
        members = [member for member in archive.getmembers() if member.isfile()]
    files = {member.name.removeprefix(f"{top}/") for member in members}
    made = {name for name in files if ".egg-info" in name} | {"PKG-INFO", "setup.cfg"}
    assert files - made == BESIDE | {f"src/{name}" for name in sources()}
    assert path.stat().st_size < MOST_BYTES


def test_the_metadata_are_valid(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        text = archive.read(name)
    metadata = Metadata.from_email(text, validate=True)
    assert str(metadata.version) == seewhy.__version__ == PROJECT["version"]
    assert metadata.license_expression == "MIT" and metadata.license_files == ["LICENSE"]
    assert metadata.description_content_type == "text/markdown"
    assert "# SeeWhy" in BytesParser().parsebytes(text).get_payload()


def test_requirements_are_the_package_itself():
    """For services that install what a requirements.txt names: the versions are those of pyproject.toml."""
    assert (ROOT / "requirements.txt").read_text("utf-8") == ".\n"


@pytest.fixture(scope="module")
def alone(wheel: Path, libraries: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel, and the libraries that are here: the folder of its programs."""
    home = tmp_path_factory.mktemp("alone")
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    python = home / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--no-index", wheel]
    subprocess.run(install, env=without_clone(libraries), check=True)
    return home / "bin"


def without_clone(libraries: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(libraries), "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.mark.long
def test_the_wheel_works_without_a_clone(alone, libraries, tmp_path):
    """pip itself finds that all libraries are there, by what the wheel declares."""

    def run(*command: object) -> str:
        done = subprocess.run(
            [*map(str, command)],
            env=without_clone(libraries),
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    where = run(alone / "python", "-c", "import seewhy; print(seewhy.__file__)")
    assert Path(where.strip()).is_relative_to(alone.parent)
    assert run(alone / "seewhy", "--version") == f"seewhy, version {seewhy.__version__}\n"
    assert "test: 447 images" in run(alone / "seewhy", "demo", "--out", "demo")
    assert (tmp_path / "demo" / "report.html").is_file()
    image = ROOT / "docs" / "images" / "fast-confusion.png"
    for model in ("fast", "simple-cnn", "regularized-cnn", "demo"):
        assert ",ok," in run(alone / "seewhy", "predict", model, image)
    run(alone / "seewhy", "recipes", "show", "photos")
    run(alone / "seewhy", "models")
