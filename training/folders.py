"""A folder that is there whole at every moment: the new one beside it, the old one aside until the new one is in.

Two renames cannot be one, so a process that is killed between them leaves the old folder under its name aside:
`standing` finds it. Leaves out: single files (core/files.py). Serves what a run ends in, and what ships.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.files import TEMPORARY_MARK, fsync_folder, storage_errors, temporary_path

_ASIDE = ".old"
#: safetensors says what the system said, as a text of an error of its own.
_OS_ERROR = re.compile(r"\(os error (\d+)\)")


def standing(folder: Path) -> Path:
    """The folder, or what stands aside where a process was killed before it could put the new one in."""
    aside = _aside(folder)
    return aside if not folder.exists() and aside.is_dir() else folder


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A new folder to fill; on a clean exit it becomes `target`, after an error it is gone and `target` as it was.

    One process at a time. Raises StorageFullError or StorageError, of safetensors' errors too.
    """
    target = target.absolute()
    part, aside = temporary_path(target), _aside(target)
    with storage_errors(str(target)), _safetensors_errors():
        for left in target.parent.glob(f"{target.name}{TEMPORARY_MARK}*"):
            shutil.rmtree(left, ignore_errors=True)
        part.mkdir(parents=True)
        try:
            yield part
            for file in part.rglob("*"):
                _fsync(file)
            if target.exists():
                shutil.rmtree(aside, ignore_errors=True)
                target.rename(aside)
            part.rename(target)
            fsync_folder(target.parent)
            shutil.rmtree(aside, ignore_errors=True)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _aside(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}{_ASIDE}")


def _fsync(file: Path) -> None:
    handle = os.open(file, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _safetensors_errors() -> Iterator[None]:
    """Turns what safetensors raises for the system's error into that OSError."""
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        said = _OS_ERROR.search(str(error))
        if said is None:
            raise
        raise OSError(int(said[1]), os.strerror(int(said[1]))) from error
