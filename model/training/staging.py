"""Replaces a model with a newly trained model. If training fails, the old model stays whole.

The training writes into a folder beside the model's folder. Then one file after the other replaces
the model's file of the same name. Other files stay.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from model.training.errors import DataError, place


def check_folder(out: Path) -> None:
    """Checks that a model can be written into the folder ``out``. Creates nothing.

    Raises:
        DataError: ``out`` is a file, or the user can't write into ``out`` or into the folder above.
    """
    if out.exists() and not out.is_dir():
        raise DataError(f"{place(out)}: a file and not a folder: name another folder with --out")
    above = _existing(out.resolve().parent)  # staging_folder makes a folder there
    folders = (above, out) if out.exists() else (above,)
    for folder in folders:
        if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
            raise DataError(
                f"{place(folder)}: this folder can't be written to: name another folder with --out"
            )


def _existing(path: Path) -> Path:
    """Returns ``path`` if ``path`` exists, else the nearest folder above that exists."""
    return next((one for one in (path, *path.parents) if one.exists()), path)


@contextmanager
def staging_folder(out: Path) -> Iterator[Path]:
    """Makes a folder beside ``out``, and deletes the folder when the ``with`` block ends.

    The folder may already be gone, because :func:`put_in_place` can rename the folder to ``out``.
    """
    out = out.resolve()
    folder = out.with_name(f".{out.name}-{os.getpid()}")
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def put_in_place(staged: Path, out: Path) -> None:
    """Moves the files of the folder ``staged`` into ``out``. If this fails, restores ``out``.

    A program that reads ``out`` meanwhile sees each file whole: either the old or the new file.
    """
    out = out.resolve()
    if not out.exists():
        staged.rename(out)
        return
    names = sorted(path.relative_to(staged) for path in staged.rglob("*") if path.is_file())
    saved = staged.with_name(staged.name + "-old")
    try:
        _copy(names, out, saved)
        _move_all(names, staged, out, saved)
    finally:
        shutil.rmtree(saved, ignore_errors=True)


def _copy(names: Sequence[Path], source: Path, target: Path) -> None:
    """Copies the files ``names`` from ``source`` to ``target``. Skips files that do not exist."""
    for name in names:
        if (source / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / name, target / name)


def _move_all(names: Sequence[Path], staged: Path, out: Path, saved: Path) -> None:
    """Moves the files from ``staged`` into ``out``. If a file can't be moved, undoes all moves.

    ``saved`` has copies of the files of ``out`` that are replaced.
    """
    tried = []
    try:
        for name in names:
            tried.append(name)
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            _replace(staged / name, out / name)
    except BaseException:
        for name in tried:
            if (saved / name).exists():
                _replace(saved / name, out / name)
            else:
                (out / name).unlink(missing_ok=True)
        raise


def _replace(source: Path, target: Path) -> None:
    """Replaces ``target`` with ``source`` in one step, even if their file systems differ.

    The file systems differ if the folder of ``target`` is a mount point.
    """
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        near = target.with_name(f".{target.name}-{os.getpid()}")
        shutil.copy2(source, near)
        near.replace(target)
