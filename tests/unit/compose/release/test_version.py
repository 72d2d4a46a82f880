"""All files name the same version, and a release changes the version in all of them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from compose.release import version
from tests.parts import ROOT


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The files that name the version, in a folder of their own."""
    for name in ("setup.cfg", "CHANGELOG.md", "docs/kubernetes.md", "docs/releases.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "compose", tmp_path / "compose", ignore=shutil.ignore_patterns("*.py"))
    return tmp_path


def test_every_file_names_the_version_of_setup_cfg() -> None:
    assert {
        (path.name, named) for path, named in version.named() if named != version.current()
    } == (set())


def test_every_file_that_names_an_image_of_byline_is_looked_at() -> None:
    looked_at = {path for path, _ in version.named()}
    image = re.compile(r"byline[/-](api|worker|monitor|flower)[a-z-]*:\d|newTag: 0\.")
    files = [*(ROOT / "compose").rglob("*.y*ml"), *(ROOT / "docs").rglob("*.md")]
    assert {path for path in files if image.search(path.read_text("utf-8"))} <= looked_at


def test_a_release_writes_the_version_everywhere_and_keeps_all_else(copy: Path) -> None:
    before = dict(version.named(copy))
    other = (copy / "compose/compose.yaml").read_text().count("valkey/valkey:9.1.4-alpine")
    version.release("7.8.9", copy)
    assert version.current(copy) == "7.8.9"
    assert dict(version.named(copy)) == dict.fromkeys(before, "7.8.9")
    assert (copy / "compose/compose.yaml").read_text().count("valkey/valkey:9.1.4-alpine") == other
    assert "byline/worker:7.8.9-next" in (copy / "compose/compose.next.yaml").read_text()
    assert "newTag: 7.8.9-gpu" in (copy / "compose/kubernetes/gpu/kustomization.yaml").read_text()
    log = (copy / "CHANGELOG.md").read_text()
    assert re.search(r"^## Unreleased\n\n## 7\.8\.9, \d{4}-\d\d-\d\d\n\n", log, re.MULTILINE)
    assert log.replace(re.search(r"## 7.*\n\n", log)[0], "", 1) == (  # type: ignore[index]
        (ROOT / "CHANGELOG.md").read_text()
    )


@pytest.mark.parametrize("wrong", ["7.8", "v7.8.9", "7.8.9-rc1", ""])
def test_no_version_is_refused_and_changes_nothing(copy: Path, wrong: str) -> None:
    with pytest.raises(ValueError, match="is no version"):
        version.release(wrong, copy)
    assert version.current(copy) == version.current()


def test_a_second_release_without_changes_is_refused(copy: Path) -> None:
    version.release("7.8.9", copy)
    with pytest.raises(ValueError, match="nothing below"):
        version.release("7.9.0", copy)


def test_the_changelog_has_the_unreleased_changes_first_and_then_releases_by_version() -> None:
    titles = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert titles[0] == "Unreleased"
    releases = [
        tuple(map(int, re.findall(r"\d+", title.partition(",")[0]))) for title in titles[1:]
    ]
    assert releases == sorted(releases, reverse=True)
    assert releases[0] == tuple(map(int, version.current().split(".")))
