"""The rules that keep the code as docs and design say: import order, size, names, what is forbidden."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

import seewhy

SOURCE = Path(seewhy.__file__).parent
MODULES = sorted(SOURCE.rglob("*.py"))

# Lower rows never import higher ones; those of one row do not import each other, but for ALLOWED.
ROWS = [
    {"errors"},
    {"events", "text", "files"},
    {"floors", "logs"},
    {"run", "config"},
    {"data", "evaluation", "registry", "augment", "models"},
    {"inference"},
    {"training", "analysis", "attribution", "exporters"},
    {"plots"},
    {"page"},
    {"workflows"},
    {"serving"},
    {"cli"},
    {"__main__"},
]
ALLOWED = {("analysis", "attribution")}
OUTPUTS = ("out", "request.out", "csv", "figures", "profile", "copy_to", "explain")
MAX_MODULE, MAX_FUNCTION = 400, 60
FORBIDDEN_MODULES = {
    "pickle",
    "cPickle",
    "_pickle",
    "dill",
    "joblib",
    "cloudpickle",
    "shelve",
    "marshal",
}


def part(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """The parts of seewhy that a module imports when it runs (types alone do not count)."""
    guarded = {
        id(inner)
        for node in nodes_of(path)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    found = set()
    for node in nodes_of(path):
        if id(node) in guarded:
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("seewhy.")}
    return found


def violations() -> set[str]:
    """Each import that does not go one way, and each module that lies in no row."""
    rows = {name: number for number, row in enumerate(ROWS) for name in row}
    found = set()
    for path in MODULES:
        own, module = part(path), path.relative_to(SOURCE).as_posix()
        if own == "__init__":
            continue
        if own not in rows:
            found.add(f"{module}: {own} has no row")
        for other in imports(path) - {own, "__version__"}:
            lower = own in rows and other in rows and rows[other] < rows[own]
            if not lower and (own, other) not in ALLOWED:
                found.add(f"{module}: {other}")
    return found


def test_imports_go_one_way():
    assert violations() == set()


def test_the_command_line_calls_public_functions_alone():
    allowed = {"cli", "config", "errors", "events", "text", "__version__"}
    verbs = [path for path in MODULES if part(path) == "cli"]
    assert not {path for path in verbs if imports(path) - allowed}


# What loads no torch, whole packages by their prefix.
WITHOUT_TORCH = {
    "config": ["seewhy.config"],
    "run and data": ["seewhy.errors", "seewhy.run", "seewhy.data"],
    "evaluation": ["seewhy.evaluation"],
    "inference": [
        f"seewhy.inference.{name}"
        for name in ("container", "metadata", "locate", "loading", "onnx")
    ],
    "plots and page": ["seewhy.plots", "seewhy.page"],
    "cli": ["seewhy.cli"],
}


@pytest.mark.parametrize("prefixes", WITHOUT_TORCH.values(), ids=WITHOUT_TORCH)
def test_what_need_not_compute_imports_no_torch(prefixes):
    names = [".".join(p.relative_to(SOURCE.parent).with_suffix("").parts) for p in MODULES]
    names = [name.removesuffix(".__init__") for name in names]
    chosen = [n for n in names if any(n == p or n.startswith(f"{p}.") for p in prefixes)]
    assert len(chosen) >= len(prefixes)
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "    assert 'torch' not in sys.modules, name\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *chosen], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]


def test_importing_seewhy_loads_nothing_heavy():
    code = "import sys, seewhy; sys.exit(bool({'torch', 'numpy', 'PIL'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_modules_and_functions_are_short():
    for path in MODULES:
        assert len(path.read_text().splitlines()) <= MAX_MODULE, path
        for node in nodes_of(path):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno <= MAX_FUNCTION, (path, node.name)


def test_no_code_is_loaded_from_data():
    for path in MODULES:
        for node in nodes_of(path):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
                assert not FORBIDDEN_MODULES & {name.split(".")[0] for name in names}, path
            elif isinstance(node, ast.Call):
                require_no_code(path, node)


def require_no_code(path: Path, call: ast.Call) -> None:
    name, keywords = ast.unparse(call.func), list(map(ast.unparse, call.keywords))
    where = (path, ast.unparse(call))
    if (path.parent.name, path.name, name) == ("models", "pretrained.py", "torch.load"):
        # Of three pinned files alone, whose sha256 was checked.
        assert "weights_only=True" in keywords, where
        return
    assert name not in {"eval", "exec", "yaml.load", "torch.load", "__import__"}, where
    pickles = {one for one in keywords if one.startswith("allow_pickle=")}
    assert pickles <= {"allow_pickle=False"}, where
    if name in ("json.dump", "json.dumps"):  # NaN is no JSON
        assert "allow_nan=False" in keywords, where


def test_only_the_command_line_prints_and_only_data_opens_images():
    decoder = SOURCE / "data" / "images" / "decode.py"
    for path in MODULES:
        calls = {ast.unparse(node.func) for node in nodes_of(path) if isinstance(node, ast.Call)}
        assert "print" not in calls or part(path) == "cli", path
        assert "Image.open" not in calls or path == decoder, path


def test_outputs_may_lie_below_home():
    for path in (SOURCE / "workflows").rglob("*.py"):
        calls = {ast.unparse(node) for node in nodes_of(path) if isinstance(node, ast.Call)}
        assert not {f"Path({name})" for name in OUTPUTS} & calls, f"{path}: named_path knows `~`"


@cache
def nodes_of(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text())))


def reaching_for(names: set[str], files: Iterable[Path]) -> set[Path]:
    """The files that reach for an attribute of these names, also by a string, as `getattr` does."""
    word = re.compile(rf"\b({'|'.join(names)})\b")  # most files need not be parsed
    texts = {path: path.read_text() for path in files}
    return {p for p, t in texts.items() if word.search(t) and names & names_used(p, t)}


def names_used(path: Path, text: str) -> set[str]:
    if path.suffix == ".ipynb":
        return set(re.findall(r"\w+", text))
    nodes = list(ast.walk(ast.parse(text)))
    attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return attributes | {
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and path in MODULES
    }


def test_python_processes_import_nothing_of_the_working_directory():
    """Python puts the working directory first where `-m` or `-c` starts it without `-P`."""
    started = [
        (path.name, line.strip())
        for path in MODULES
        for line in path.read_text().splitlines()
        if "sys.executable, " in line
    ]
    assert started and all('sys.executable, "-P", ' in line for _, line in started), started


def test_the_test_split_is_opened_in_one_place():
    assert reaching_for({"unseal"}, MODULES) == {SOURCE / "workflows" / "evaluate.py"}


def test_nothing_walks_round_the_seal():
    """What a sealed set keeps is named `__images`, for its own class alone to see."""
    here = Path(__file__).parents[1]
    folders = (here / name for name in ("tests", "benchmarks", "notebooks"))
    files = [*MODULES, *(path for folder in folders for path in folder.rglob("*.[pi]*[yb]"))]
    ways_round = {"_images", "__images", "_SealedSet__images"}
    assert reaching_for(ways_round, files) == {SOURCE / "data" / "split.py"}


def test_public_names_are_there():
    assert all(getattr(seewhy, name) is not None for name in seewhy.__all__)
    assert set(seewhy.__all__) <= set(dir(seewhy))


def test_no_public_name_is_that_of_a_module():
    """Once such a module is imported, the name would mean the module."""
    assert not set(seewhy.__all__) & {part(path) for path in MODULES}
