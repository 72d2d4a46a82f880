"""An installed Byline has every file that its packages read, such as Lua scripts."""

from __future__ import annotations

from configparser import ConfigParser
from pathlib import Path

import pytest

from tests.parts import ROOT

PACKAGES = ("api", "celery_app", "compose", "model", "monitoring", "tasks")
#: Files that the packages read at run time, by their suffix.
SUFFIXES = {".css", ".html", ".js", ".lua", ".safetensors", ".svg"}
FILES = sorted(
    path
    for package in PACKAGES
    for path in (ROOT / package).rglob("*")
    if path.suffix in SUFFIXES or path.name == "openapi.json"
)


def patterns() -> dict[str, list[str]]:
    """Returns the patterns of ``package_data`` in setup.cfg, by package. ``*`` is every package."""
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    data = setup["options.package_data"]
    return {package: [each.strip() for each in data[package].split(",")] for package in data}


def package_of(path: Path) -> Path:
    """Returns the folder of the package that holds a file."""
    return next(folder for folder in path.parents if (folder / "__init__.py").exists())


def test_there_are_files_to_look_at() -> None:
    assert {".lua", ".safetensors"} <= {path.suffix for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_file_is_part_of_an_installed_package(path: Path) -> None:
    folder = package_of(path)
    name = folder.relative_to(ROOT).as_posix().replace("/", ".")
    allowed = [*patterns().get("*", []), *patterns().get(name, [])]
    assert any(path in folder.glob(pattern) for pattern in allowed)


@pytest.mark.parametrize("package", PACKAGES)
def test_folder_with_modules_is_a_package(package: str) -> None:
    folders = {path.parent for path in (ROOT / package).rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []
