"""A backup of the state folder, made while Valkey runs, and restored into another folder."""

from __future__ import annotations

import gzip
import io
import itertools
import stat
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from redis import Redis, RedisError

from compose.backup import snapshot
from compose.backup.contents import DATA, DESCRIPTION
from compose.backup.create import create
from compose.backup.errors import BackupError
from compose.backup.restore import restore
from tests.parts import ROOT, Stack, wait_for


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(tmp_path / "state")
    stack.folder.mkdir()
    try:
        yield stack
    finally:
        stack.close()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder with a model, a password, a log, and files as Valkey writes them."""
    state = tmp_path / "state"
    for folder in ("models/ngram", "logs", DATA):
        (state / folder).mkdir(parents=True)
    (state / "models/ngram/card.json").write_text("{}")
    (state / "flower-password").write_text("hush\n")
    (state / "logs/api.log").write_text("a line")
    (state / DATA / snapshot.MANIFEST).write_text(
        "file appendonly.aof.1.base.rdb seq 1 type b\n"
        "file appendonly.aof.1.incr.aof seq 1 type h\n"
        "file appendonly.aof.2.incr.aof seq 2 type i\n"
    )
    (state / DATA / "appendonly.aof.1.base.rdb").write_bytes(b"base")
    (state / DATA / "appendonly.aof.2.incr.aof").write_bytes(b"increment")
    return state


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def emptied(folder: Path) -> Path:
    folder.mkdir()
    return folder


class Writer:
    """A thread that writes numbered keys, as fast as Valkey takes them."""

    def __init__(self, port: int) -> None:
        self.written = 0
        self._end = threading.Event()
        self._client = Redis(port=port)
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self._client.close()

    def _write(self) -> None:
        for number in itertools.count(1):
            if self._end.is_set():
                return
            self._client.set(f"key:{number}", "x" * 500)
            self.written = number


def rewrite(client: Redis, end: threading.Event) -> None:
    """Has Valkey rewrite its files again and again."""
    while not end.wait(0.01):
        with suppress(RedisError):  # one is under way
            client.bgrewriteaof()


def test_backups_of_a_valkey_that_writes_and_rewrites_hold_all_that_was_stored(
    stack: Stack, tmp_path: Path
) -> None:
    valkey = stack.valkey()
    end = threading.Event()
    rewriting = threading.Thread(target=rewrite, args=(stack.redis, end))
    made = []
    with Writer(stack.redis_port) as writer:
        rewriting.start()
        for _ in range(5):
            before = writer.written
            wait_for(lambda before=before: writer.written > before + 100, what="100 writes")
            stored = writer.written
            archive, _ = create(stack.folder, tmp_path / "backups")
            made.append((archive, stored))
        end.set()
        rewriting.join()
    valkey.kill()
    assert len({archive for archive, _ in made}) == 5
    for number, (archive, stored) in enumerate(made):
        again = Stack(emptied(tmp_path / f"again-{number}"))
        try:
            restore(archive, again.folder, replace=False)
            again.valkey()
            # What was written later is in the backup up to one moment, without a gap.
            keys = int(again.redis.dbsize())
            assert keys >= stored
            assert all(again.redis.mget([f"key:{n}" for n in range(1, keys + 1)]))
        finally:
            again.close()


def test_backup_has_what_is_kept_and_only_its_owner_can_read_it(
    state: Path, tmp_path: Path
) -> None:
    archive, _ = create(state, tmp_path / "backups")
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    assert stat.S_IMODE(archive.parent.stat().st_mode) == 0o700
    assert archive.name.startswith("byline-20")
    empty = emptied(tmp_path / "empty")
    assert restore(archive, empty, replace=False) is None
    kept = files(state)
    del kept["logs/api.log"]
    found = files(empty)
    # Valkey's history, which it deletes by itself, is not in it.
    assert b"type h" not in found.pop(f"{DATA}/{snapshot.MANIFEST}")
    del kept[f"{DATA}/{snapshot.MANIFEST}"]
    assert found == kept


def test_second_backup_of_the_same_second_is_another_file(state: Path, tmp_path: Path) -> None:
    first, _ = create(state, tmp_path / "backups")
    content = first.read_bytes()
    (state / "flower-password").write_text("another\n")
    others = {create(state, tmp_path / "backups")[0] for _ in range(3)}
    assert len({first, *others}) == 4
    assert {*(tmp_path / "backups").iterdir()} == {first, *others}
    assert first.read_bytes() == content


def test_restore_refuses_to_overwrite_and_moves_aside_when_told(
    state: Path, tmp_path: Path
) -> None:
    archive, _ = create(state, tmp_path / "backups")
    (state / "flower-password").write_text("newer\n")
    (state / "models/later").mkdir()
    (state / "models/later/card.json").write_text("{}")
    before = files(state)
    with pytest.raises(BackupError, match=r"already holds valkey/appendonlydir, models, flower-p"):
        restore(archive, state, replace=False)
    assert files(state) == before
    aside = restore(archive, state, replace=True)
    assert aside is not None
    assert (aside / "flower-password").read_text() == "newer\n"
    assert (aside / "models/later/card.json").exists()
    assert (state / "flower-password").read_text() == "hush\n"
    assert not (state / "models/later").exists(), "a restored folder is not mixed with another"
    assert (state / "logs/api.log").exists()


@pytest.mark.parametrize("damage", ["cut", "changed", "text", "empty", "missing"])
def test_damaged_archive_changes_nothing(damage: str, state: Path, tmp_path: Path) -> None:
    archive, _ = create(state, tmp_path / "backups")
    content = bytearray(archive.read_bytes())
    if damage == "cut":
        archive.write_bytes(content[:-20])
    elif damage == "changed":
        content[len(content) // 2] ^= 0xFF
        archive.write_bytes(content)
    elif damage == "missing":
        archive.unlink()
    else:
        archive.write_text("no archive" if damage == "text" else "")
    before = files(state)
    with pytest.raises(BackupError):
        restore(archive, state, replace=True)
    assert files(state) == before


@pytest.mark.parametrize("name", ["../outside", "models/../../outside", "/outside", "logs/x"])
def test_archive_with_a_foreign_name_is_refused(name: str, tmp_path: Path) -> None:
    archive = tmp_path / "foreign.tar.gz"
    with gzip.open(archive, "wb") as stream, tarfile.open(fileobj=stream, mode="w") as members:
        for member, content in ((DESCRIPTION, b'{"layout": 1}'), (name, b"x")):
            info = tarfile.TarInfo(member)
            info.size = len(content)
            members.addfile(info, io.BytesIO(content))
    empty = emptied(tmp_path / "empty")
    with pytest.raises(BackupError, match="which is not Byline's"):
        restore(archive, empty, replace=False)
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize("description", [b"", b"\xff{}", b"[]", b"{}", b'"layout"', b"[" * 9999])
def test_archive_with_an_unreadable_description_is_refused(
    description: bytes, tmp_path: Path
) -> None:
    archive = tmp_path / "odd.tar.gz"
    with tarfile.open(archive, "w:gz") as made:
        info = tarfile.TarInfo(DESCRIPTION)
        info.size = len(description)
        made.addfile(info, io.BytesIO(description))
    (tmp_path / "empty").mkdir()
    with pytest.raises(BackupError, match="description can't be read; nothing changed"):
        restore(archive, tmp_path / "empty", replace=False)
    assert list((tmp_path / "empty").iterdir()) == []


def test_files_that_valkey_replaces_all_the_time_are_no_backup(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "TRIES", 2)
    (state / DATA / "appendonly.aof.2.incr.aof").unlink()
    with pytest.raises(BackupError, match="try again later"):
        create(state, tmp_path / "backups")
    assert list((tmp_path / "backups").iterdir()) == [], "nothing unfinished is left"


def made(target: str, state: Path, *variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a target of the Makefile in the environment of the tests."""
    command = ["make", "--no-print-directory", target, f"VENV={sys.prefix}", *variables]
    return subprocess.run(
        command,
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "BYLINE_STATE_DIR": str(state), "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_make_backup_and_make_restore(state: Path, tmp_path: Path) -> None:
    backups = tmp_path / "backups"
    done = made("backup", state, f"TO={backups}")
    assert done.returncode == 0, done.stderr
    [archive] = backups.iterdir()
    assert f"5 files of {state} are in {archive}" in done.stdout
    refused = made("restore", state, f"FILE={archive}")
    assert refused.returncode != 0
    assert "REPLACE=1" in refused.stderr
    assert made("restore", state, f"FILE={archive}", "REPLACE=1").returncode == 0
    assert made("restore", tmp_path / "new", f"FILE={archive}").returncode == 0
    assert (tmp_path / "new" / "flower-password").read_text() == "hush\n"
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new").rglob("*")}
    assert modes == {0o600, 0o700}
    assert "make restore FILE=" in made("restore", state).stderr
