"""The installer shows its progress on the terminal, and prints one line if it fails."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from compose.installer import progress
from compose.installer.environment import SCRATCH, Environment
from compose.installer.errors import CannotInstall
from compose.installer.pip_output import PipOutput
from compose.native import run
from tests.parts import ROOT, wait_for

#: Bytes of the wheel that the tests install.
SIZE = 3_000_000


def wheel(folder: Path) -> Path:
    """Makes a wheel of the package `tiny`, which has SIZE random bytes."""
    path = folder / "tiny-1.0-py3-none-any.whl"
    info = "tiny-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny.bin", os.urandom(SIZE))
        metadata = "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\nRequires-Dist: cuda-toolkit\n"
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


class Index(BaseHTTPRequestHandler):
    """A package index whose only wheel arrives within SECONDS."""

    content: ClassVar[bytes] = b""
    seconds: ClassVar[float] = 2.0

    def do_GET(self) -> None:
        page = b'<a href="/tiny-1.0-py3-none-any.whl">tiny-1.0-py3-none-any.whl</a>'
        found = self.path.startswith(("/simple/tiny", "/tiny"))
        content = self.content if self.path.endswith(".whl") else page
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(content) if found else 0))
        self.end_headers()
        for start in range(0, len(content) if found else 0, 100_000):
            self.wfile.write(content[start : start + 100_000])
            if content is self.content:
                time.sleep(self.seconds / (SIZE / 100_000))  # a slow network

    def log_message(self, *_: object) -> None:
        """Logs nothing."""


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Pip's settings for the index of the tests."""
    Index.content = wheel(tmp_path_factory.mktemp("index")).read_bytes()
    with ThreadingHTTPServer(("127.0.0.1", 0), Index) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/simple"
        yield {
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": url,
            "PIP_EXTRA_INDEX_URL": "",
            "PIP_FIND_LINKS": "",
            "PIP_CONSTRAINT": "",
            "PIP_NO_CACHE_DIR": "1",
        }
        server.shutdown()


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    environment = Environment(tmp_path_factory.mktemp("made") / ".venv")
    environment.make()
    return environment


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    (tmp_path / "tiny.lock").write_text("tiny==1.0\n")
    return tmp_path / "tiny.lock"


def test_download_shows_what_arrives_and_how_much(
    environment: Environment,
    index: dict[str, str],
    lock: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name, value in index.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(progress, "LINE_S", 0.2)
    monkeypatch.setattr(progress, "UPDATE_S", 0.05)
    environment.install("tiny.lock", "--no-deps", "--requirement", lock)
    lines = [line for line in capfd.readouterr().out.splitlines() if "downloading tiny-1.0" in line]
    assert all("(3.0 MB)" in line for line in lines)
    arrived = [int(line.split("; ")[1].removesuffix(" MB arrived")) for line in lines]
    assert arrived == sorted(arrived)
    assert len(set(arrived)) > 2
    assert environment.has("tiny==1.0")
    assert not environment.has("tiny==1.1")
    assert not environment.has("absent==1.0")
    assert not list(environment.folder.glob(f"{SCRATCH}*")), "what arrived is removed"


def test_pip_says_what_a_package_needs_before_it_is_installed(
    environment: Environment, index: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in index.items():
        monkeypatch.setenv(name, value)
    assert environment.needed_by("tiny==1.0") == ["cuda-toolkit"]
    assert environment.needed_by("absent==1.0") is None


def test_line_is_printed_at_least_every_five_seconds() -> None:
    # A second is for measuring a folder with many files.
    assert max(progress.LINE_S, run.PROGRESS_S) + progress.UPDATE_S < 5


def test_time_without_a_line_counts_across_short_steps(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "LINE_S", 0.3)
    monkeypatch.setattr(progress, "UPDATE_S", 0.02)
    monkeypatch.setattr(progress.Progress, "last_line", time.monotonic())
    for number in range(4):
        with progress.Progress(lambda number=number: f"step {number}"):
            time.sleep(0.15)
    assert "step" in capfd.readouterr().out


def test_line_on_a_terminal_is_kept_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    shown.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdout", shown)
    monkeypatch.setattr(progress, "UPDATE_S", 0.02)
    with progress.Progress(lambda: "x" * 200):
        time.sleep(0.2)
    lines = shown.getvalue().split(progress.CLEAR)
    assert len(lines) > 3
    assert lines[-1] == "", "the line is cleared in the end"
    assert {len(line) for line in lines[1:-1]} == {79}, "a longer line could not be cleared"


def test_left_half_of_a_download_is_removed(environment: Environment) -> None:
    (environment.folder / f"{SCRATCH}killed").mkdir()
    (environment.folder / f"{SCRATCH}killed" / "torch.whl").write_bytes(b"half")
    environment.make()
    assert not list(environment.folder.glob(f"{SCRATCH}*"))


def test_package_that_is_not_there_is_named_with_pips_error(
    environment: Environment,
    index: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in index.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "absent.lock").write_text("absent==1.0\n")
    with pytest.raises(CannotInstall) as caught:
        environment.install("absent.lock", "--requirement", tmp_path / "absent.lock")
    assert "No matching distribution found for absent==1.0" in str(caught.value)
    assert "could not install absent.lock" in str(caught.value)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("Collecting torch==2.13.0 (from -r run.lock (line 46))", "looking for torch"),
        (
            "  Downloading https://example.org/cpu/torch-2.13.0%2Bcpu-cp311-linux.whl (190.2 MB)",
            "downloading torch-2.13.0 (190.2 MB)",
        ),
        ("  Downloading numpy-2.4.6-cp311.whl.metadata (62 kB)", "downloading numpy-2.4.6 (62 kB)"),
        ("Processing /wheels/six-1.17.0-py2.py3-none-any.whl", "reading six-1.17.0"),
        (
            "  Using cached vine-5.1.0-py3-none.whl (9 kB)",
            "taking from pip's cache vine-5.1.0 (9 kB)",
        ),
        ("Installing collected packages: a, b, c", "installing 3 packages"),
        ("Installing collected packages: pip", "installing 1 package"),
        ("Requirement already satisfied: a", "starting"),
    ],
)
def test_lines_of_pip_become_words(line: str, words: str) -> None:
    output = PipOutput()
    output.follow(line)
    assert output.doing == words


def made(venv: Path, *variables: str, **env: str) -> subprocess.Popen[str]:
    """Starts the making of an environment by the Makefile, with a group of its own."""
    command = ["make", "--no-print-directory", f"VENV={venv}", *variables, f"{venv}/run.stamp"]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": str(venv.parent), "LANG": "C.UTF-8", **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def test_ctrl_c_during_the_installation_is_one_line(
    index: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C reaches make, its shell, the installer and pip: all that is on the terminal."""
    venv = tmp_path / "venv"
    process = made(venv, f"PYTHON={sys.executable}", **index)
    try:
        wait_for(lambda: list(venv.glob(f"{SCRATCH}*/*")), 60, "pip to begin")
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate(timeout=20)[0]
    finally:
        process.kill()
    lines = [line for line in said.splitlines() if ": making an environment" not in line]
    assert lines == ["byline: stopped"]
    assert not (venv / "run.stamp").exists()
    assert not list(venv.glob(f"{SCRATCH}*")), "nothing unfinished is left"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import sys; sys.modules['ensurepip'] = None", "apt install python3-venv"),
        ("import sys; sys.version_info = (3, 10, 2)", "is no Python >= 3.11"),
    ],
    ids=["without-venv", "too-old"],
)
def test_python_that_does_not_fit_is_one_line_with_the_remedy(
    code: str, words: str, tmp_path: Path
) -> None:
    """As Debian's Python is without python3-venv, and as an old one is."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(code + "\n")
    process = made(tmp_path / "venv", f"PYTHON={sys.executable}", PYTHONPATH=str(tmp_path / "site"))
    said = process.communicate(timeout=20)[0]
    assert process.returncode == 2
    [line] = [line for line in said.splitlines() if not line.startswith("make: ***")]
    assert words in line
