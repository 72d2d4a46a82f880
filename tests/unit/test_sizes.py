"""Files and folders of code are small: the limits of CONTRIBUTING.md, for the tests too."""

from __future__ import annotations

from collections import Counter

from tests.parts import ROOT

FOLDERS = (
    *("alerting", "api", "bench", "celery_app", "compose", "docs"),
    *("model", "monitoring", "tasks", "tests"),
)
#: Suffixes of files of code.
CODE = {".css", ".html", ".js", ".lua", ".py"}
FILES = sorted(
    path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in CODE
)
#: Lines of a file of code.
MAX_LINES = 300
#: Files of code in a folder.
MAX_FILES = 15


def test_each_file_of_code_has_few_lines() -> None:
    lines = {path: len(path.read_text("utf-8").splitlines()) for path in FILES}
    assert {str(path): number for path, number in lines.items() if number > MAX_LINES} == {}


def test_each_folder_has_few_files_of_code() -> None:
    files = Counter(path.parent for path in FILES)
    assert {str(folder): number for folder, number in files.items() if number > MAX_FILES} == {}


def test_there_are_files_to_look_at() -> None:
    assert {path.suffix for path in FILES} == CODE
