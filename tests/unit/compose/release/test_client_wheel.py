"""The wheel of the client library has all that it imports, under one name, and nothing else."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path

import pytest

from compose.release import byline_client, client_wheel, version
from tests.parts import ROOT
from tests.unit.test_packaging import PACKAGES

#: Third-party modules that the client imports only if they are there, or only for type checkers.
OPTIONAL = {"numpy", "opentelemetry", "torch", "uvloop"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return client_wheel.build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def sources(wheel: Path) -> dict[str, str]:
    with zipfile.ZipFile(wheel) as archive:
        return {
            name: archive.read(name).decode() for name in archive.namelist() if name.endswith(".py")
        }


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Distribution:
    return PathDistribution(zipfile.Path(wheel, f"byline_client-{version.current()}.dist-info/"))


def roots(source: str) -> set[str]:
    return {name.split(".")[0] for name in client_wheel.imported(source)}


def test_every_file_is_below_one_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0].split("-")[0] for name in archive.namelist()}
    assert tops == {"byline_client"}


def test_no_module_imports_a_package_of_the_checkout(sources: dict[str, str]) -> None:
    own = {*PACKAGES, "bench"}
    assert {
        path: roots(source) & own for path, source in sources.items() if roots(source) & own
    } == {}


def test_every_imported_module_is_in_the_wheel(sources: dict[str, str]) -> None:
    for path, source in sources.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith(client_wheel.HOME):
                module = str(node.module).replace(".", "/")
                assert {f"{module}.py", f"{module}/__init__.py"} & set(sources), (path, module)


def test_the_api_has_each_error_that_the_page_lists() -> None:
    page = (ROOT / "docs/how-to/client.md").read_text("utf-8")
    rows = [line.split("|")[2].strip(" `") for line in page.splitlines() if line.startswith("| `")]
    errors = [name for name in rows if hasattr(byline_client, name)]
    assert len(errors) == 12
    assert set(byline_client.__all__) >= set(errors)


def test_requirements_are_those_that_the_modules_import(
    sources: dict[str, str], metadata: Distribution
) -> None:
    third_party = set[str]().union(*map(roots, sources.values())) - sys.stdlib_module_names
    required = {
        each.partition(">")[0].partition("[")[0].replace("-", "_")
        for each in metadata.requires or []
    }
    assert third_party - {"byline_client"} - OPTIONAL | {client_wheel.INDIRECT} == required
    setup = (ROOT / "setup.cfg").read_text("utf-8")
    assert all(f"    {each}\n" in setup for each in metadata.requires or [])


def test_the_same_sources_give_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    assert client_wheel.build(tmp_path).read_bytes() == wheel.read_bytes()


def test_lua_scripts_of_the_modules_are_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    home = client_wheel.HOME.replace(".", "/")
    scripts = (ROOT / "tasks/storage/lua").glob("*.lua")
    assert {f"{home}/tasks/storage/lua/{path.name}" for path in scripts} <= names


def test_pip_refuses_to_install_the_checkout_and_says_what_to_do(tmp_path: Path) -> None:
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "compose/release").mkdir(parents=True)
    (tmp_path / "compose/release/build_backend.py").write_bytes(
        (ROOT / "compose/release/build_backend.py").read_bytes()
    )
    for options in ((), ("--editable",)):
        command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index"]
        target = ["--no-build-isolation", "--target", str(tmp_path / "into"), *options, "."]
        done = subprocess.run(
            [*command, *target], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode != 0
        assert "make client builds the wheel byline-client" in done.stderr, done.stderr
        assert not (tmp_path / "into").exists()
