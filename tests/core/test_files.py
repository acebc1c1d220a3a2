"""Atomic files: whole or absent, whatever happens in between."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from core import files
from core.errors import StorageError, StorageFullError
from core.files import atomic_writer, write_atomic


def test_a_written_file_is_whole_and_leaves_no_temporary(tmp_path: Path) -> None:
    write_atomic(tmp_path / "new" / "file", b"data")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file"]
    assert (tmp_path / "new" / "file").read_bytes() == b"data"


def test_an_error_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write_atomic(target, b"old")
    with pytest.raises(ValueError, match="midway"), atomic_writer(target) as file:
        file.write(b"half")
        raise ValueError("midway")
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]  # noqa: PTH208


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, StorageFullError), (errno.EIO, StorageError)])
def test_a_disk_that_refuses_is_a_named_error_and_the_old_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception]
) -> None:
    target = tmp_path / "file"
    write_atomic(target, b"old")

    def refuse(_handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.os, "fsync", refuse)
    with pytest.raises(kind):
        write_atomic(target, b"new")
    monkeypatch.undo()
    assert target.read_bytes() == b"old"
