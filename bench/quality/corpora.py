"""Makes labelled corpora from Python libraries, Debian change notes, and git repositories.

No corpus is a part of Byline. Each function yields the records that ``make train`` reads: objects
with ``text``, ``author`` and ``document``.
"""

from __future__ import annotations

import ast
import gzip
import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from model.training.importers.gitlog import read_git
from model.training.importers.records import Reading

#: Libraries whose functions and docstrings are read. A library that is not installed is left out.
LIBRARIES = (
    "celery", "fontTools", "google", "gunicorn", "hypothesis", "kombu", "matplotlib", "mpmath",
    "mypy", "networkx", "numpy", "pandas", "PIL", "pip", "prompt_toolkit", "pydantic", "pygments",
    "redis", "rich", "scipy", "setuptools", "sklearn", "sympy", "tornado", "torch", "werkzeug",
)  # fmt: skip
#: The folder in which Debian keeps the change notes of each package.
CHANGES = Path("/usr/share/doc")
#: Bounds of a text's length, in characters.
MIN_CHARACTERS, MAX_CHARACTERS = 20, 2_000
#: Maximum number of texts of an author. If an author has more texts, only every k-th text is kept,
#: so that the kept texts come from all documents.
MAX_TEXTS = 500
#: Smallest number of texts of an author.
MIN_TEXTS = 12
#: Number of authors in the corpus of change notes: the authors with the most notes.
PACKAGES = 60
#: An entry of a Debian changelog: source package, version, notes, and the signature.
_ENTRY = re.compile(r"^(\S+) \(([^)\n]+)\)[^\n]*\n(.*?)^ -- ", re.MULTILINE | re.DOTALL)


class Record(NamedTuple):
    """A labelled text, and the document that it is a part of."""

    text: str
    author: str
    document: str


def functions() -> Iterator[Record]:
    """Yields functions of Python libraries.

    The author is the library, and the document is the module.
    """
    for library, file, tree, source in _modules():
        lines = source.splitlines()
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                text = "\n".join(lines[node.lineno - 1 : node.end_lineno])
                yield Record(textwrap.dedent(text), library, file)


def docstrings() -> Iterator[Record]:
    """Yields docstrings of Python libraries.

    The author is the library, and the document is the module.
    """
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for library, file, tree, _ in _modules():
        for node in ast.walk(tree):
            if isinstance(node, kinds) and (text := ast.get_docstring(node)):
                yield Record(text, library, file)


def commits(repository: Path) -> Iterator[Record]:
    """Yields the commit messages of a git repository, as ``make train GIT=…`` reads them."""
    for record in read_git(repository, Reading()):
        yield Record(record.text, record.author, record.document)


def changes(folder: Path = CHANGES) -> Iterator[Record]:
    """Yields the change notes of Debian packages.

    The author is the source package, and the document is the version.
    """
    seen = set()
    for path in sorted(folder.glob("*/changelog.Debian.gz")):
        content = gzip.decompress(path.read_bytes()).decode(errors="replace")
        for package, version, notes in reversed(_ENTRY.findall(content)):
            if (package, version) not in seen:
                seen.add((package, version))
                yield Record(textwrap.dedent(notes), package, version)


def chosen(
    records: Iterable[Record], authors: int | None = None, most: int | None = MAX_TEXTS
) -> list[Record]:
    """Returns the records of authors with at least ``MIN_TEXTS`` different texts.

    ``authors`` limits the number of authors: the authors with the most texts are kept. ``most``
    limits the texts of each author. None means no limit. An author's equal texts are kept once.
    Texts below ``MIN_CHARACTERS`` are left out, and texts above ``MAX_CHARACTERS`` are cut.
    """
    unique = {
        (record.author, text): record._replace(text=text)
        for record in records
        if len(text := record.text.strip()[:MAX_CHARACTERS].rstrip()) >= MIN_CHARACTERS
    }
    counts = Counter(record.author for record in unique.values())
    kept = {name for name, n in counts.most_common(authors) if n >= MIN_TEXTS}
    steps = {name: -(-counts[name] // (most or counts[name])) for name in kept}
    place: Counter[str] = Counter()
    result = []
    for record in unique.values():
        if record.author in kept:
            if place[record.author] % steps[record.author] == 0:
                result.append(record)
            place[record.author] += 1
    return result


def few(records: Iterable[Record], authors: int, texts: int) -> list[Record]:
    """Returns the first ``texts`` records of each of ``authors`` authors.

    The authors are chosen at equal distances in the sorted list of all authors.
    """
    records = list(records)
    names = sorted({record.author for record in records})
    kept = set(names[:: max(1, len(names) // authors)][:authors])
    place: Counter[str] = Counter()
    result = []
    for record in records:
        place[record.author] += 1
        if record.author in kept and place[record.author] <= texts:
            result.append(record)
    return result


def _modules() -> Iterator[tuple[str, str, ast.Module, str]]:
    """Yields library, path, syntax tree and source of each module that can be parsed."""
    for library in LIBRARIES:
        spec = find_spec(library)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            for file in sorted(Path(folder).rglob("*.py")):
                try:
                    source = file.read_text(encoding="utf-8")
                    tree = ast.parse(source)
                except (SyntaxError, UnicodeDecodeError):
                    continue
                yield library, str(file.relative_to(folder)), tree, source
