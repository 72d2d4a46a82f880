"""The wheel of the client library, installed into a project that has packages of the same names."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from compose.release import client_wheel
from tests.parts import ROOT, Stack

PAGE = (ROOT / "docs/how-to/client.md").read_text("utf-8")
#: The URL in the programs of the page.
PAGE_URL = "redis://localhost:6390/0"
PROGRAMS = [
    program
    for program in re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    if PAGE_URL in program
]
#: Packages of the project. If the client imported one of them, the program would print no author.
OWN = ("api", "bench", "celery_app", "compose", "model", "monitoring", "tasks")
#: A program that uses both its own packages and the client.
PROGRAM = f"""
import sys
import {", ".join(OWN)}
from byline_client import Client, InvalidMessage, SyncClient

with SyncClient("{PAGE_URL}") as client:
    [attribution] = client.attribute(["aeiou"], priority=3, deadline_ms=20_000)
    print(attribution.author)
    try:
        client.attribute([""])
    except InvalidMessage as error:
        print(error)
print(*({", ".join(f"{name}.OWNER" for name in OWN)},), sep=",")
print(sorted({{"torch", "api.app", "celery_app.app"}} & sys.modules.keys()))
"""


class Project:
    """A folder with packages of its own, and an environment in which only the wheel is installed.

    The requirements of the wheel come from the environment of the tests.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in OWN:
            (folder / name).mkdir(parents=True)
            (folder / name / "__init__.py").write_text("OWNER = 'project'\n")
        self._environment = folder / "environment"
        subprocess.run(
            [sys.executable, "-m", "venv", "--without-pip", self._environment], check=True
        )
        self.python = self._environment / "bin" / "python"
        wheel = client_wheel.build(folder / "dist")
        install = ["install", "--quiet", "--no-index", "--no-deps", str(wheel)]
        subprocess.run([sys.executable, "-m", "pip", "--python", self.python, *install], check=True)
        [packages] = self._environment.glob("lib/python*/site-packages")
        (packages / "requirements.pth").write_text(sysconfig.get_path("purelib"))

    def run(self, program: str, stack: Stack) -> str:
        """Runs a program in the project's folder, and returns what it prints."""
        own = program.replace(PAGE_URL, stack.env["BYLINE_REDIS_URL"])
        (self.folder / "program.py").write_text(own)
        done = subprocess.run(
            [self.python, "program.py"],
            cwd=self.folder,
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("project"))


def test_the_client_works_beside_packages_of_the_same_names(project: Project, stack: Stack) -> None:
    author, error, owners, foreign = project.run(PROGRAM, stack).splitlines()
    assert (author, error) == ("vowels", "text is empty")
    assert set(owners.split(",")) == {"project"}
    assert foreign == "[]"


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_of_the_page_prints_authors(project: Project, stack: Stack, program: str) -> None:
    said = project.run(program, stack)
    assert set(said.split()) & {"vowels", "consonants", "None"}


def test_type_checkers_find_the_types_of_the_client(project: Project) -> None:
    [marker] = project.folder.glob("environment/lib/python*/site-packages/byline_client/py.typed")
    assert marker.read_text() == ""
