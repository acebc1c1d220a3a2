"""Files that are there whole or not at all: temporary name beside the target, fsync, rename, fsync of the folder.

Leaves out on purpose: object stores (shards/store.py publishes there by one put).
"""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from core.errors import StorageError, StorageFullError

#: Unfinished files carry this mark between name and random part; sweepers may delete old ones.
TEMPORARY_MARK = ".part-"


@contextmanager
def storage_errors(what: str) -> Iterator[None]:
    """Turns an OSError into the error tree: a full disk is StorageFullError, anything else StorageError."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFullError(f"The disk is full: {what} could not be written.") from error
        raise StorageError(f"{what} could not be written: {error.strerror or error}.") from error


def fsync_folder(folder: Path) -> None:
    """Makes a rename inside `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def temporary_path(target: Path) -> Path:
    """A name beside `target`, on the same file system, that no other process uses."""
    return target.with_name(f"{target.name}{TEMPORARY_MARK}{uuid.uuid4().hex[:12]}")


@contextmanager
def atomic_writer(target: Path) -> Iterator[IO[bytes]]:
    """Opens a temporary file; on a clean exit it becomes `target`, after an error it is gone.

    Raises StorageFullError or StorageError; `target` is then as it was before.
    """
    with storage_errors(str(target)):
        target.parent.mkdir(parents=True, exist_ok=True)
        part = temporary_path(target)
        try:
            with part.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
            fsync_folder(target.parent)
        finally:
            part.unlink(missing_ok=True)


def write_atomic(target: Path, data: bytes) -> None:
    """Writes `data` to `target`, whole or not at all."""
    with atomic_writer(target) as file:
        file.write(data)
