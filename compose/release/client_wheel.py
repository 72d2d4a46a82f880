"""Builds the wheel ``byline-client`` from Byline's repository: ``make client``.

The wheel has copies of the client library (:mod:`celery_app.client`) and of the modules that the
library imports. All these modules are in the package ``byline_client``, so that no name clashes
with another program's. The build needs only Python's standard library.
"""

from __future__ import annotations

import ast
import csv
import re
import sys
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from hashlib import sha256
from io import StringIO
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: Byline's packages whose modules a wheel may have.
PACKAGES = ("celery_app", "model", "monitoring", "tasks")
#: The package in the wheel that has Byline's packages.
HOME = "byline_client._byline"
#: The module that becomes ``byline_client/__init__.py``.
API = Path(__file__).with_name("byline_client.py")
#: A package that no module of Byline imports. redis-py imports this package if it is installed, and
#: then reads responses faster.
INDIRECT = "hiredis"
#: The time in the archive. Always the same, so that the same files give the same wheel.
DATE = (1980, 1, 1, 0, 0, 0)

_OWN = "|".join(PACKAGES)
#: Matches the beginning of an import from one of Byline's packages, up to the package's name.
_IMPORT = re.compile(rf"^( *from )(?=(?:{_OWN})(?:\.\w+)* import )", re.MULTILINE)
#: Matches a module's name in a string, before the name of a class that Celery loads. These classes
#: are the transport and the result backend.
_LOADED = re.compile(r"""(?<=["'])celery_app(?:\.\w+)+(?=:[A-Z])""")


def imported(source: str) -> Iterator[str]:
    """Yields the names of the modules that the Python code ``source`` imports.

    For ``from a import b``, yields ``a`` and ``a.b``. Also yields the modules that Celery loads by
    a name in a string.
    """
    yield from _LOADED.findall(source)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            # An imported name may be a module.
            yield from (f"{node.module}.{name.name}" for name in node.names)


def modules(source: str) -> dict[str, Path]:
    """Returns the modules of Byline that ``source`` imports, directly or through other modules.

    The result maps the name of each module to the module's file.
    """
    found: dict[str, Path] = {}
    waiting = list(imported(source))
    while waiting:
        name = waiting.pop()
        path = _file(name)
        if path is not None and name not in found:
            found[name] = path
            waiting += imported(path.read_text("utf-8"))
    return found


def _file(module: str) -> Path | None:
    """Returns the file of the module ``module``; None if it is not a module of Byline."""
    path = ROOT.joinpath(*module.split("."))
    files = (path / "__init__.py", path.with_suffix(".py"))
    own = module.split(".", maxsplit=1)[0] in PACKAGES
    return next((file for file in files if own and file.is_file()), None)


def contents(source: str) -> dict[str, bytes]:
    """Returns the files of the wheel's package, by path.

    ``source`` is the code of the package's ``__init__.py``.
    """
    needed = modules(source)
    home = HOME.replace(".", "/")
    files = {"byline_client/__init__.py": moved(source), "byline_client/py.typed": ""}
    for path in needed.values():
        files[f"{home}/{_relative(path)}"] = moved(path.read_text("utf-8"))
        for script in (*path.parent.glob("*.lua"), *path.parent.glob("lua/*.lua")):
            files[f"{home}/{_relative(script)}"] = script.read_text("utf-8")
    # Each package that has a module in it, such as celery_app, needs an __init__.py.
    folders = {folder for name in files for folder in Path(name).parents[:-1]}
    for folder in folders:
        if folder.name != "lua":
            files.setdefault(f"{folder.as_posix()}/__init__.py", "")
    return {name: files[name].encode() for name in sorted(files)}


def moved(source: str) -> str:
    """Returns the Python code ``source``, changed for the wheel.

    Names of Byline's modules become the names that these modules have in the wheel. For example,
    ``tasks.messages`` becomes ``byline_client._byline.tasks.messages``.
    """
    return _LOADED.sub(rf"{HOME}.\g<0>", _IMPORT.sub(rf"\g<1>{HOME}.", source))


def requirements(files: Mapping[str, bytes]) -> list[str]:
    """Returns the requirements in setup.cfg that the wheel needs, one line for each package.

    The wheel needs the packages that its modules import, and the package :data:`INDIRECT`.
    ``files`` are the wheel's files, by path.
    """
    names = {INDIRECT} | {
        name.split(".")[0]
        for path, content in files.items()
        if path.endswith(".py")
        for name in imported(content.decode())
    }
    lines = _setup()["options"]["install_requires"].splitlines()
    package = re.compile(r"[\w-]+")
    own = [line for line in lines if (found := package.match(line)) and _module(found[0]) in names]
    return sorted(own)


def _module(distribution: str) -> str:
    return distribution.replace("-", "_")


def _setup() -> ConfigParser:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    return setup


def metadata(needed: list[str]) -> str:
    """Returns the text of the wheel's file METADATA. ``needed`` are the wheel's requirements."""
    setup = _setup()
    lines = [
        "Metadata-Version: 2.4",
        "Name: byline-client",
        f"Version: {setup['metadata']['version']}",
        "Summary: Sends texts to Byline's workers over Redis, and returns who wrote them",
        f"License-Expression: {setup['metadata']['license']}",
        "License-File: LICENSE",
        f"Requires-Python: {setup['options']['python_requires']}",
        *(f"Requires-Dist: {each}" for each in needed),
        "Description-Content-Type: text/markdown",
        "",
        ast.get_docstring(ast.parse(API.read_text("utf-8"))) or "",
    ]
    return "\n".join(lines) + "\n"


def build(folder: Path) -> Path:
    """Writes the wheel into a folder, and returns its path."""
    files = contents(API.read_text("utf-8"))
    version = _setup()["metadata"]["version"]
    info = f"byline_client-{version}.dist-info"
    files |= {
        f"{info}/METADATA": metadata(requirements(files)).encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: byline\n"
        b"Root-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/licenses/LICENSE": (ROOT / "LICENSE").read_bytes(),
    }
    files[f"{info}/RECORD"] = _record(files, f"{info}/RECORD")
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"byline_client-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, DATE)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return wheel


def _record(files: Mapping[str, bytes], own: str) -> bytes:
    """Returns the text of the wheel's file RECORD, which has each file's hash and size.

    ``own`` is the path of RECORD itself, which has no hash.
    """
    out = StringIO()
    rows = csv.writer(out, lineterminator="\n")
    for name, content in files.items():
        digest = urlsafe_b64encode(sha256(content).digest()).rstrip(b"=").decode()
        rows.writerow((name, f"sha256={digest}", len(content)))
    rows.writerow((own, "", ""))
    return out.getvalue().encode()


def _relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


if __name__ == "__main__":
    print(f"byline: {build(Path(sys.argv[1])).as_posix()}")
