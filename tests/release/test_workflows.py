"""The workflows of GitHub: accepted by actionlint, with few rights, and their scripts run."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import seewhy

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
CI, RELEASE = (yaml.safe_load(path.read_text("utf-8")) for path in WORKFLOWS)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
REPOSITORY = PROJECT["urls"]["Repository"]


def test_actionlint_takes_the_workflows():
    if shutil.which("actionlint", path=PROGRAMS) is None:
        pytest.skip("actionlint is not installed: pip install 'seewhy[audit]'")
    command = ["actionlint", "-no-color", *WORKFLOWS]
    environment = {**os.environ, "PATH": PROGRAMS}  # where it finds shellcheck
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


PROGRAMS = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


def test_actions_are_pinned_by_commit_and_nothing_has_rights_that_it_does_not_use():
    for path in WORKFLOWS:
        for used in re.findall(r"uses: (.+)", path.read_text("utf-8")):
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+|\./\S+", used), used
    rights = {
        (name, job): about["permissions"]
        for name, workflow in (("ci", CI), ("release", RELEASE))
        for job, about in workflow["jobs"].items()
        if "permissions" in about
    }
    assert CI["permissions"] == RELEASE["permissions"] == {"contents": "read"}
    assert rights == {
        ("release", "pypi"): {"id-token": "write"},
        ("release", "github"): {"contents": "write"},
    }


def test_the_versions_tested_are_those_that_the_package_supports():
    matrix = CI["jobs"]["test"]["strategy"]["matrix"]
    label = "Programming Language :: Python :: "
    named = [line.removeprefix(label) for line in PROJECT["classifiers"] if line.startswith(label)]
    assert matrix["python"] == named
    assert PROJECT["requires-python"] == f">={named[0]}"
    assert matrix["os"] == ["ubuntu-latest", "macos-latest"]


def test_a_release_needs_the_tests_and_the_build():
    jobs = RELEASE["jobs"]
    assert jobs["test"]["uses"] == "./.github/workflows/ci.yml"
    assert jobs["pypi"]["needs"] == ["test", "build"] and jobs["github"]["needs"] == "pypi"
    assert jobs["pypi"]["environment"] == "pypi"


def notes(root: Path, tag: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, root / ".github" / "release.py", tag]
    return subprocess.run(command, capture_output=True, text=True)


def released(root: Path, heading: str) -> Path:
    """A repository whose changelog has this heading above two lines, and an older version."""
    (root / "src" / "seewhy").mkdir(parents=True)
    (root / ".github").mkdir()
    shutil.copy(ROOT / ".github" / "release.py", root / ".github")
    (root / "src" / "seewhy" / "__init__.py").write_text('__version__ = "1.2.3"\n')
    text = f"# Changelog\n\n## {heading}\n\n- one\n- two\n\n## 1.2.2 (2026-01-01)\n\n- older\n"
    (root / "CHANGELOG.md").write_text(text)
    return root


def test_a_tag_gives_the_section_of_its_version(tmp_path):
    done = notes(released(tmp_path, "1.2.3 (2026-02-03)"), "v1.2.3")
    assert (done.returncode, done.stdout) == (0, "- one\n- two\n")


@pytest.mark.parametrize(
    ("heading", "tag", "message"),
    [
        (
            "1.2.3 (2026-02-03)",
            "v1.2.4",
            "the tag is v1.2.4, the package's version 1.2.3: tag v1.2.3",
        ),
        ("1.2.3 (2026-02-03)", "1.2.3", "the tag is 1.2.3,"),
        ("1.2.3 (unreleased)", "v1.2.3", "CHANGELOG.md calls 1.2.3 unreleased"),
        ("1.3.0 (2026-02-03)", "v1.2.3", "CHANGELOG.md has no section 1.2.3"),
    ],
)
def test_a_tag_that_fits_nothing_makes_no_release(tmp_path, heading, tag, message):
    done = notes(released(tmp_path, heading), tag)
    assert done.returncode == 1 and message in done.stderr and not done.stdout


def test_the_newest_section_of_the_changelog_is_that_of_the_version():
    heading = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert heading and heading[1] == seewhy.__version__


def test_the_citation_is_of_this_version_and_this_repository():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == seewhy.__version__
    assert citation["license"] == PROJECT["license"]
    assert citation["repository-code"] == REPOSITORY


def test_all_links_to_the_repository_are_to_the_same():
    files = [ROOT / "CITATION.cff", *ROOT.glob("*.md"), *(ROOT / ".github").rglob("*.yml")]
    files += (ROOT / "docs").rglob("*.md")
    found = {
        link
        for path in files
        for link in re.findall(r"https://github\.com/[\w-]+/seewhy\b", path.read_text("utf-8"))
    }
    assert found == {REPOSITORY}


def test_templates_of_issues_are_forms_that_github_takes():
    """As its documentation says: a name, a description, and a body of known elements with unique ids."""
    for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"):
        form = yaml.safe_load(path.read_text("utf-8"))
        if path.name == "config.yml":
            assert form.keys() == {"blank_issues_enabled", "contact_links"}
            continue
        assert form["name"] and form["description"]
        kinds = {field["type"] for field in form["body"]}
        assert kinds <= {"checkboxes", "dropdown", "input", "markdown", "textarea"}
        ids = [field["id"] for field in form["body"]]
        assert len(ids) == len({*ids}) and all(
            field["attributes"]["label"] for field in form["body"]
        )


def test_a_commit_is_checked_by_the_tools_of_make_check():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"][0][
        "hooks"
    ]
    tools = [hook["entry"].split()[0].removeprefix(".venv/bin/") for hook in hooks]
    recipe = (ROOT / "Makefile").read_text("utf-8").partition("\ncheck:")[2].partition("\n\n")[0]
    assert tools == re.findall(r"\$\(BIN\)/(\w+)", recipe)


@pytest.mark.long
@pytest.mark.parametrize(("workflow", "job"), [(CI, "windows"), (RELEASE, "build")])
def test_the_script_of_a_job_runs_here(workflow, job, libraries, tmp_path):
    """In a clean copy and a new environment, offline; the other jobs are `make test` and `make audit`."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        (tmp_path / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / "clone" / name)
    changelog = tmp_path / "clone" / "CHANGELOG.md"
    changelog.write_text(changelog.read_text("utf-8").replace("(unreleased)", "(2026-01-01)"))
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(tmp_path / "venv" / "bin"), os.environ["PATH"]]),
        "PYTHONPATH": str(libraries),
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip's word for: without isolation
        "GITHUB_REF_NAME": f"v{seewhy.__version__}",
        "TORCH_INDEX": "",
    }
    for step in workflow["jobs"][job]["steps"]:
        if "run" in step:
            done = subprocess.run(
                ["bash", "-e", "-c", step["run"]],
                env=environment,
                cwd=tmp_path / "clone",
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, (step["name"], done.stdout[-1000:], done.stderr[-2000:])
    assert (tmp_path / "clone" / "demo" / "report.html").is_file()
