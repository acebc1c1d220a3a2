"""Part files: hashed while written, in few pieces of memory, and never left behind."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from api import parts
from api.parts import BUFFER_PIECES, PartFile
from core.errors import StorageError, StorageFullError


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as made:
        yield made


async def keep(folder: Path, pool: ThreadPoolExecutor, pieces: list[bytes]) -> tuple[str, int, bytes]:
    async with PartFile(folder, pool) as part:
        for piece in pieces:
            await part.write(piece)
        sha256, size = await part.finish()
        return sha256, size, part.path.read_bytes()


@pytest.mark.parametrize(
    "pieces",
    [[], [b"one"], [b"a" * 1000] * 5, [b"x"] * (2 * BUFFER_PIECES + 1), [os.urandom(3 << 20) for _ in range(5)]],
    ids=["none", "one", "few", "many-small", "several-buffers"],
)
def test_what_is_written_is_what_is_hashed(tmp_path: Path, pool: ThreadPoolExecutor, pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    sha256, size, written = asyncio.run(keep(tmp_path, pool, pieces))
    assert (sha256, size, written == data) == (hashlib.sha256(data).hexdigest(), len(data), True)
    assert list(tmp_path.iterdir()) == []


def test_writes_that_take_only_a_part_are_continued(
    tmp_path: Path, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = os.writev
    monkeypatch.setattr(parts.os, "writev", lambda handle, rest: whole(handle, [rest[0][:7]]))
    pieces = [b"0123456789", b"abc", b"", b"defghijklmnop"]
    assert asyncio.run(keep(tmp_path, pool, pieces))[2] == b"".join(pieces)


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, StorageFullError), (errno.EIO, StorageError)])
@pytest.mark.parametrize("call", ["writev", "fsync", "open"])
def test_a_failing_disk_is_named_and_nothing_stays(
    tmp_path: Path, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch, call: str, number: int, kind: type
) -> None:
    def fail(*_: Any) -> int:
        raise OSError(number, os.strerror(number))

    async def run() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(parts.os, call, fail)
            await keep(tmp_path, pool, [b"a" * (5 << 20)] * 3)

    with pytest.raises(kind):
        asyncio.run(run())
    assert list(tmp_path.iterdir()) == []


def test_an_error_in_the_block_removes_the_file_even_while_a_write_is_under_way(
    tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    async def run() -> None:
        async with PartFile(tmp_path, pool) as part:
            await part.write(b"a" * (5 << 20))
            raise KeyError("something else")

    with pytest.raises(KeyError):
        asyncio.run(run())
    assert list(tmp_path.iterdir()) == []


def test_a_cancelled_upload_removes_the_file(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    async def run() -> None:
        async with PartFile(tmp_path, pool) as part:
            await part.write(b"a" * (5 << 20))
            await asyncio.sleep(60)

    async def cancel() -> None:
        task = asyncio.create_task(run())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    pool.shutdown()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_moved_away_is_not_removed(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    async def run() -> None:
        async with PartFile(tmp_path, pool) as part:
            await part.write(b"kept")
            await part.finish()
            part.path.rename(tmp_path / "kept")

    asyncio.run(run())
    assert (tmp_path / "kept").read_bytes() == b"kept"


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    old, fresh, other = (tmp_path / name for name in ("upload.part-1", "upload.part-2", "ingest.part-3"))
    for path in (old, fresh, other):
        path.write_bytes(b"half")
    for path in (old, other):
        os.utime(path, (0, 0))
    assert parts.remove_abandoned(tmp_path) == 1
    assert sorted(tmp_path.iterdir()) == sorted([fresh, other])
