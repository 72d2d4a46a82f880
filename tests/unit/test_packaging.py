"""Byline's folders are packages, and git has every file that they read at run time."""

from __future__ import annotations

import subprocess

import pytest

from tests.parts import ROOT

PACKAGES = ("api", "celery_app", "compose", "model", "monitoring", "tasks")
#: Files that the packages read at run time, by their suffix.
SUFFIXES = {".css", ".html", ".js", ".lua", ".safetensors", ".svg"}


@pytest.mark.parametrize("package", PACKAGES)
def test_folder_with_modules_is_a_package(package: str) -> None:
    folders = {path.parent for path in (ROOT / package).rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


def test_git_ignores_no_file_that_a_package_reads() -> None:
    files = [
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.suffix in SUFFIXES or path.name == "openapi.json"
    ]
    assert {".lua", ".safetensors"} <= {f".{name.rpartition('.')[2]}" for name in files}
    ignored = subprocess.run(
        ["git", "check-ignore", "--stdin"],
        input="\n".join(files),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ignored.stdout == ""
