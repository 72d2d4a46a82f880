"""Prints or changes Byline's version: ``python -m compose.release.version [NEW]``.

The version is in ``setup.cfg``. The manifests for compose and kustomize, and some pages, repeat the
version. A test compares all places.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from configparser import ConfigParser
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: Files that name the images of Byline with their version. compose and kustomize can't read
#: ``setup.cfg``.
MANIFESTS = ("compose/*.yaml", "compose/kubernetes/*/kustomization.yaml", "docs/*.md")
#: Matches a version in such a file, after the name of an image. A suffix such as ``-next`` may
#: follow.
IMAGE = re.compile(r"(\bbyline[-/][a-z-]+(?:\n +newTag: |:))(\d+\.\d+\.\d+)\b")
#: Matches the version in ``setup.cfg``.
SETUP = re.compile(r"(^version = )(\S+)$", re.MULTILINE)
UNRELEASED = "## Unreleased\n"
VERSION = re.compile(r"\d+\.\d+\.\d+")


def current(root: Path = ROOT) -> str:
    """Returns the version in ``setup.cfg``."""
    setup = ConfigParser()
    setup.read(root / "setup.cfg")
    return setup["metadata"]["version"]


def named(root: Path = ROOT) -> Iterator[tuple[Path, str]]:
    """Yields each version that a manifest or a page gives for an image of Byline.

    Each item is a pair: the manifest or the page, and the version.
    """
    for path in _manifests(root):
        for _, version in IMAGE.findall(path.read_text("utf-8")):
            yield path, version


def release(version: str, root: Path = ROOT) -> None:
    """Changes Byline's version to ``version`` in all files that name the version.

    In the changelog, puts a heading with the version above the unreleased changes.

    Raises:
        ValueError: ``version`` is not three numbers, or the changelog has no unreleased changes.
    """
    if not VERSION.fullmatch(version):
        raise ValueError(f"{version!r} is no version: give three numbers, such as 0.2.0")
    log = root / "CHANGELOG.md"
    before, heading, after = log.read_text("utf-8").partition(UNRELEASED)
    if not heading or after.lstrip().startswith("## "):
        raise ValueError("CHANGELOG.md has nothing below '## Unreleased'")
    today = datetime.now(UTC).date()
    log.write_text(f"{before}{UNRELEASED}\n## {version}, {today}\n{after}", "utf-8")
    for path, pattern in ((root / "setup.cfg", SETUP), *((m, IMAGE) for m in _manifests(root))):
        path.write_text(pattern.sub(rf"\g<1>{version}", path.read_text("utf-8")), "utf-8")


def main(arguments: Sequence[str]) -> int:
    """Changes Byline's version if ``arguments`` has a new one, and prints Byline's version.

    Returns the exit status.
    """
    try:
        for version in arguments[:1]:
            release(version)
    except ValueError as error:
        print(f"byline: {error}", file=sys.stderr)
        return 2
    print(current())
    return 0


def _manifests(root: Path) -> list[Path]:
    return sorted(path for pattern in MANIFESTS for path in root.glob(pattern))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
