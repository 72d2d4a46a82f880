"""Tests of Control with a real supervisord, and with shell scripts as parts."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from compose.native import configuration, control
from compose.native.control import Control
from compose.native.terminal import STOP_SIGNALS, StopSignal
from compose.parts.part import Part
from compose.parts.processes import alive
from tests.parts import wait_for


class Quiet(StopSignal):
    """A StopSignal that does not change the signal handlers of the tests."""

    def __init__(self) -> None:
        self._asked = self._held = False


def advice_on_any(lines: Sequence[str]) -> str:
    return "Do it." if lines else ""


def advice_on_damage(lines: Sequence[str]) -> str:
    return "Mend it." if "damage" in lines else ""


@contextmanager
def supervised(
    folder: Path,
    *scripts: str,
    advice: Callable[[Sequence[str]], str] = lambda _: "",
    stop: StopSignal | None = None,
) -> Iterator[Control]:
    """Runs ``scripts`` as the parts `part-0`, `part-1` and so on, in the state folder."""
    (folder / "logs").mkdir()
    parts = [
        Part(f"part-{n}", ["sh", "-c", script], "", lambda: True, rank=1, stop_s=1, advice=advice)
        for n, script in enumerate(scripts)
    ]
    with (
        (folder / "lock").open("w") as lock,
        Control(parts, dict(os.environ), folder, lock.fileno(), stop or Quiet()) as running,
    ):
        yield running


def runs(running: Control, part: str = "part-0") -> int:
    """Returns the process id of a part; 0 if the part does not run."""
    running.check()
    return running.pids.get(part, 0)


def daemon_of(part: int) -> psutil.Process:
    parent = psutil.Process(part).parent()
    assert parent is not None
    return parent


def test_a_part_that_ends_is_started_again_and_reported(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with supervised(tmp_path, "sleep 60") as running:
        first = wait_for(lambda: runs(running))
        os.kill(first, signal.SIGKILL)
        second = wait_for(lambda: (pid := runs(running)) != first and pid)
        said = f"byline: part-0 ended: terminated by SIGKILL; started again, {second}\n"
        assert capfd.readouterr().out == said
    assert not alive(second)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "logs"]


def test_children_that_outlive_a_killed_part_are_ended(tmp_path: Path) -> None:
    with supervised(tmp_path, "sleep 60 & sleep 60") as running:
        pid = wait_for(lambda: runs(running))
        children = wait_for(lambda: len(found := psutil.Process(pid).children()) == 2 and found)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: runs(running) not in (0, pid))
        wait_for(lambda: not any(alive(child.pid) for child in children), what="their end")


def test_a_part_that_is_given_up_is_reported_once_and_tried_for_ever(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configuration, "RETRIES", 0)
    monkeypatch.setattr(control, "AGAIN_S", 0.1)
    with supervised(tmp_path, "echo try; exit 3", advice=advice_on_any) as running:
        log = running.log("part-0")

        def tries() -> int:
            running.check()
            return len(log.read_text().split()) if log.exists() else 0

        wait_for(lambda: tries() > 3, what="more tries")
        said = capfd.readouterr().out
        assert said.count("It is tried again every 0.1 s.") == 1
        assert f"part-0 ended: exit status 3. The end of its log, {log}:\n    try\n" in said
        assert "\n  Do it.\n" in said
        assert "Do it." in wait_for(lambda: tries() and running.start_failure())


@pytest.mark.parametrize("started_s", [5, 0])
def test_only_two_wrong_starts_in_a_row_are_a_start_failure(
    started_s: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 0 the part counts as started, and restarts at once, like a part that fails late."""
    monkeypatch.setattr(configuration, "STARTED_S", started_s)
    mistaken = f"echo again >> {tmp_path}/starts; sleep 0.3; exit 2"
    with supervised(tmp_path, mistaken, "sleep 60") as running:
        starts = tmp_path / "starts"
        wait_for(starts.exists)
        words = wait_for(running.start_failure)
        assert len(starts.read_text().split()) >= 2
        assert words.startswith("part-0 ended: exit status 2.")


def test_only_damage_found_after_two_ends_in_a_row_is_a_start_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log names damage at each end except the second, so that the fourth end is a failure."""
    monkeypatch.setattr(configuration, "STARTED_S", 0)
    starts = tmp_path / "starts"
    script = f"""
        echo >> {starts}
        [ $(wc -l < {starts}) = 2 ] && echo "disk full" || echo damage
        sleep 0.5; exit 1"""
    with supervised(tmp_path, script, advice=advice_on_damage) as running:

        def start_failure() -> str:
            running.check()
            return running.start_failure()

        words = wait_for(start_failure)
        assert len(starts.read_text().splitlines()) >= 4
        assert words.endswith("Mend it.")


def test_a_configuration_that_supervisord_refuses_is_a_start_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refused(_: object, folder: Path) -> Path:
        file = folder / "supervisord.conf"
        file.write_text("[supervisord]\nnodaemon=perhaps\n")
        return file

    monkeypatch.setattr(control, "configure", refused)
    with supervised(tmp_path, "sleep 60") as running:

        def start_failure() -> str:
            running.check()
            return running.start_failure()

        assert wait_for(start_failure).startswith("supervisord does not start")
    assert "'perhaps'" in capfd.readouterr().err


def test_a_path_may_hold_what_supervisord_takes_for_a_comment(tmp_path: Path) -> None:
    folder = tmp_path / "dev #1 ;x 50% %(here)s 'y"
    folder.mkdir()
    touch = shlex.join(["touch", str(folder / "ran")])
    with supervised(folder, f"{touch}; sleep 60") as running:
        wait_for(lambda: runs(running) and (folder / "ran").exists(), what="the part")


class _Reason(Exception):
    """An exception that ends the run."""


def test_ctrl_c_does_not_cut_short_the_end_of_all_parts(tmp_path: Path) -> None:
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    stopping = tmp_path / "stopping"
    script = f"trap 'touch {stopping}' TERM; while :; do sleep 60 & wait; done"

    def interrupt() -> None:
        wait_for(stopping.exists)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    try:
        with suppress(_Reason), supervised(tmp_path, script, stop=StopSignal()) as running:
            pid = wait_for(lambda: runs(running))
            daemon = daemon_of(pid)
            # The shell has a child process once its trap is set.
            wait_for(lambda: psutil.Process(pid).children(), what="its trap")
            thread.start()
            raise _Reason
    except KeyboardInterrupt:
        pytest.fail("the end was cut short")
    finally:
        thread.join(30)
        for number, handler in before.items():
            signal.signal(number, handler)
    assert stopping.exists()
    assert not alive(daemon.pid)
    assert not alive(pid)
    assert not (tmp_path / "run").is_symlink()


def test_a_process_id_that_another_process_has_by_now_is_not_killed(tmp_path: Path) -> None:
    with (
        subprocess.Popen(["sleep", "60"], start_new_session=True) as stranger,
        supervised(tmp_path, "sleep 60") as running,
    ):
        wait_for(lambda: runs(running))
        running.pids["part-0"] = stranger.pid
        assert runs(running) != stranger.pid
        stranger.terminate()
        assert stranger.wait(10) == -signal.SIGTERM, "it was not killed before"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_supervisord_is_started_again_with_its_parts(
    number: signal.Signals, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # The first part ignores SIGTERM.
    with supervised(tmp_path, "trap '' TERM; while sleep 60; do :; done", "sleep 60") as running:
        first = wait_for(lambda: runs(running, "part-1") and runs(running, "part-0"))
        before = {**running.pids}
        daemon_of(first).send_signal(number)
        wait_for(
            lambda: (
                runs(running) not in (0, first)
                and runs(running, "part-1") not in (0, before["part-1"])
            )
        )
        assert not any(alive(pid) for pid in before.values())
        said = capfd.readouterr().out
        assert "byline: supervisord ended: " in said
        for part, pid in running.pids.items():
            assert f"byline: {part} ended: " in said
            assert f"; started again, {pid}\n" in said


def test_a_supervisord_that_does_not_answer_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "ANSWER_S", 0.1)
    with supervised(tmp_path, "sleep 60") as running:
        pid = wait_for(lambda: runs(running))
        daemon = daemon_of(pid)
        daemon.suspend()
        for _ in range(3):
            assert runs(running) == pid
        daemon.resume()
        os.kill(pid, signal.SIGKILL)
        assert wait_for(lambda: (now := runs(running)) != pid and now)
        daemon.suspend()  # supervisord stays frozen while the run ends
    assert not alive(daemon.pid)


def test_a_supervisord_that_ends_within_its_answer_ends_nothing(tmp_path: Path) -> None:
    """Instead of supervisord, a server sends incomplete XML with a correct Content-Length."""
    with supervised(tmp_path, "sleep 60") as running, socket.socket(socket.AF_UNIX) as server:
        pid = wait_for(lambda: runs(running))
        path = tmp_path / "run" / "socket"
        path.unlink()
        server.bind(str(path))
        server.listen()
        cut = b"<?xml version='1.0'?><methodResponse><params><par"
        thread = threading.Thread(target=_answer_once, args=(server, cut))
        thread.start()
        assert runs(running) == pid
        thread.join(10)
        assert not thread.is_alive(), "it was asked"


def _answer_once(server: socket.socket, body: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(65_536)
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n" % len(
            body
        )
        connection.sendall(head + body)


def test_temporary_files_of_a_part_are_removed_with_the_run(tmp_path: Path) -> None:
    script = 'touch "$TMPDIR/left"; sleep 60'
    with supervised(tmp_path, script) as running:
        wait_for(lambda: runs(running))
        wait_for((tmp_path / "run" / "left").exists, what="its file")
        folder = (tmp_path / "run").resolve()
    assert not folder.exists()
