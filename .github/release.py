"""Prints the changelog's section of the version that a tag names, as the notes of its release.

    python .github/release.py v1.2.3

Fails where the tag is not the version of the package, or the changelog has no section of it, or calls it
unreleased. Needs nothing installed.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def notes(tag: str, root: Path = ROOT) -> str:
    """The section of `CHANGELOG.md`, without its heading."""
    version = re.findall(
        r'^__version__ = "(.+)"$',
        (root / "src/seewhy/__init__.py").read_text("utf-8"),
        re.MULTILINE,
    )
    if [tag] != [f"v{one}" for one in version]:
        sys.exit(f"the tag is {tag}, the package's version {', '.join(version)}: tag v{version[0]}")
    sections = re.split(r"^## ", (root / "CHANGELOG.md").read_text("utf-8"), flags=re.MULTILINE)
    for section in sections[1:]:
        heading, _, text = section.partition("\n")
        if heading.split()[0] == version[0]:
            if "unreleased" in heading:
                sys.exit(f"CHANGELOG.md calls {version[0]} unreleased: write its date instead")
            return text.strip()
    sys.exit(f"CHANGELOG.md has no section {version[0]}: write one")


if __name__ == "__main__":
    print(notes(*sys.argv[1:]))
