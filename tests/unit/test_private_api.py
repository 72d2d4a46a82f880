"""docs/private-api.md lists every private member of a library that Byline uses, and no other."""

from __future__ import annotations

import ast
import re
from configparser import ConfigParser
from functools import cache
from importlib.metadata import version
from types import ModuleType
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement

from tests.parts import ACCELERATED
from tests.private_members import (
    ROOT,
    STANDS_IN,
    Use,
    find,
    is_private,
    locate,
    owner,
)

PAGE = (ROOT / "docs" / "private-api.md").read_text()
#: Requirements of setup.cfg whose private members are used, by the packages that they install.
REQUIREMENTS = {
    "billiard": "celery",
    "celery": "celery",
    "httptools": "httptools",
    "kombu": "kombu",
    "prometheus_client": "prometheus-client",
    "redis": "redis",
    "uvicorn": "uvicorn",
}


class Row(NamedTuple):
    """A row of one of the tables in docs/private-api.md."""

    of: str
    members: list[str]
    files: list[str]
    why: str
    tests: list[str]

    @property
    def paths(self) -> list[str]:
        """The full names of the row's members."""
        return [f"{self.of}.{member}" for member in self.members]


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def rows() -> list[Row]:
    cells = (line.strip("|").split("|") for line in PAGE.splitlines() if line.startswith("| `"))
    found = [
        Row(words(of)[0], words(members), [f for f in words(files) if exists(f)], why, words(tests))
        for of, members, files, why, tests in cells
    ]
    return [row for row in found if row.files]


def exists(file: str) -> bool:
    """Returns whether a file has to exist: a copy without the accelerator lacks its files."""
    return ACCELERATED or not file.startswith("api/accelerator/")


ROWS = rows()
IDS = [f"{row.of}.{row.members[0]}" for row in ROWS]
LIBRARIES = sorted({REQUIREMENTS[row.of.partition(".")[0]] for row in ROWS})
DOCUMENTED = [
    name
    for paragraph in re.findall(r"^Documented: (.*?)\.$", PAGE, re.DOTALL | re.MULTILINE)
    for name in words(paragraph)
]


def is_documented(member: str) -> bool:
    """Returns whether the library's package exports the member, or the page calls it documented."""
    inner = member.split(".")[1:]
    if any(map(is_private, inner)):
        return False
    if len(inner) == 1 or member in DOCUMENTED:
        return True
    return any(name.endswith(".*") and member.startswith(name[:-1]) for name in DOCUMENTED)


@cache
def uses() -> frozenset[Use]:
    """Returns all uses except uses of modules: the uses of a module's members count instead."""
    return frozenset(use for use in find() if not is_module(use.member))


def is_module(member: str) -> bool:
    return "." in member and isinstance(locate(member), ModuleType)


def test_what_is_used_is_documented_or_in_a_table() -> None:
    listed = {Use(path, file) for row in ROWS for path in row.paths for file in row.files}
    classes = {row.of for row in ROWS}
    missing = [
        use
        for use in uses() - listed
        if not is_documented(use.member) and use.member not in classes
    ]
    assert not sorted(missing)


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_what_is_in_a_table_is_used_there(row: Row) -> None:
    found = {(use.member, use.file) for use in uses()}
    used = {path for path, file in found if file in row.files}
    assert not set(row.paths) - used
    using = {file for path, file in found if path in row.paths}
    assert not set(row.files) - using


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_what_is_in_a_table_is_in_the_library_that_is_installed(row: Row) -> None:
    for path in row.paths:
        locate(path)
    kind = locate(row.of)
    if isinstance(kind, type):
        assert [owner(kind, member) for member in row.members] == row.paths


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_a_row_says_why_and_names_tests_that_there_are(row: Row) -> None:
    assert row.why.strip().endswith(".")
    assert row.tests
    for test in row.tests:
        file, _, name = test.partition("::")
        tree = ast.parse((ROOT / "tests" / file).read_text())
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        assert name in {node.name for node in tree.body if isinstance(node, functions)}, test


def test_what_is_called_documented_is_in_the_library_that_is_installed() -> None:
    for name in DOCUMENTED:
        locate(name.removesuffix(".*"))


def required() -> list[Requirement]:
    """Returns the requirements of setup.cfg, with all extras."""
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lists = [setup["options"]["install_requires"], *setup["options.extras_require"].values()]
    lines = "\n".join(lists).split("\n")
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_in_a_table_has_an_upper_bound(library: str) -> None:
    bounds = [s for each in required() if each.name == library for s in each.specifier]
    assert any(bound.operator in ("<", "==") for bound in bounds)


@pytest.mark.parametrize("library", LIBRARIES)
def test_what_is_installed_and_what_is_locked_is_within_the_bounds(library: str) -> None:
    locked = [
        found[1]
        for file in (ROOT / "requirements").glob("*.lock")
        if file.stem != "exporter"  # the exporter has a separate environment
        for found in re.finditer(rf"^{library}==(\S+)", file.read_text(), re.MULTILINE)
    ]
    assert locked
    for each in (each for each in required() if each.name == library):
        assert not [found for found in [version(library), *locked] if found not in each.specifier]


def test_a_class_that_stands_in_for_another_is_there() -> None:
    for path in STANDS_IN:
        if not exists(path.replace(".", "/")):
            continue
        module, _, name = path.rpartition(".")
        tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text())
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
