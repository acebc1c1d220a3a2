"""A part file: an upload's bytes on their way to the disk, hashed and written in threads while the next ones arrive.

At most two buffers are in memory at a time, one being filled and one being written, however large the upload is.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from core.files import TEMPORARY_MARK, storage_errors, temporary_path

#: Bytes that are collected before they are handed to a thread.
BUFFER_BYTES = 4 << 20

#: Pieces in one buffer at most, so that a slow client's many small pieces do not add up to much overhead.
BUFFER_PIECES = 512

#: After so many bytes the kernel is asked to begin writing them out, so that the fsync at the end finds little left.
FLUSH_BYTES = 32 << 20


#: A part file that was not touched for so long belongs to a process that was killed: a live upload writes far more
#: often, or is dropped as stalled.
ABANDONED_S = 3600.0

_STEM = "upload"


def remove_abandoned(folder: Path) -> int:
    """Removes the part files that a killed process left in the staging folder; returns how many."""
    removed = 0
    for path in folder.glob(f"{_STEM}{TEMPORARY_MARK}*"):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > ABANDONED_S:
                path.unlink()
                removed += 1
    return removed


class _Writer:
    """The file itself. `write`, `finish` and `discard` run in threads, one at a time; `update` beside them."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._path = path
        self._hash = hashlib.sha256()
        self._flushed = 0
        self.size = 0
        with storage_errors("The upload"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._handle: int | None = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)

    def update(self, pieces: list[bytes]) -> None:
        """Hashes the next pieces. Both this and `write` leave the interpreter's lock, so they run at the same time."""
        for piece in pieces:
            self._hash.update(piece)

    def write(self, pieces: list[bytes]) -> None:
        """Writes the next pieces; nothing after `discard`. Raises StorageFullError or StorageError."""
        with self._lock, storage_errors("The upload"):
            if self._handle is None:
                return
            _write_all(self._handle, pieces)
            self.size += sum(map(len, pieces))
            if self.size - self._flushed >= FLUSH_BYTES and hasattr(os, "posix_fadvise"):
                # Linux starts writing dirty pages that are said not to be needed, without waiting for them.
                os.posix_fadvise(self._handle, self._flushed, self.size - self._flushed, os.POSIX_FADV_DONTNEED)
                self._flushed = self.size

    def finish(self) -> str:
        """Brings everything to the disk and closes the file; returns the SHA-256 in hexadecimal."""
        with self._lock, storage_errors("The upload"):
            assert self._handle is not None
            os.fsync(self._handle)
            os.close(self._handle)
            self._handle = None
            return self._hash.hexdigest()

    def discard(self) -> None:
        """Closes and removes the file; removes nothing that was moved elsewhere meanwhile."""
        with self._lock:
            if self._handle is not None:
                os.close(self._handle)
                self._handle = None
            self._path.unlink(missing_ok=True)


def _write_all(handle: int, pieces: list[bytes]) -> None:
    rest = [memoryview(piece) for piece in pieces]
    while rest:
        written = os.writev(handle, rest)
        while rest and written >= len(rest[0]):
            written -= len(rest.pop(0))
        if rest:
            rest[0] = rest[0][written:]


class PartFile:
    """`async with PartFile(folder, pool) as part`: `write` pieces, `finish`, then move `part.path` away.

    Whatever still lies at `path` when the block ends is removed. Raises StorageFullError or StorageError.
    """

    def __init__(self, folder: Path, pool: ThreadPoolExecutor) -> None:
        self.path = temporary_path(folder / _STEM)
        self._pool = pool
        self._pieces: list[bytes] = []
        self._waiting = 0
        self._under_way: list[asyncio.Future[None]] = []

    async def __aenter__(self) -> PartFile:
        self._writer = await asyncio.get_running_loop().run_in_executor(self._pool, _Writer, self.path)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        for future in self._under_way:
            future.add_done_callback(_forget)
        # When this is cancelled the thread still removes the file, once the write under way is over.
        await asyncio.wrap_future(self._pool.submit(self._writer.discard))

    async def write(self, piece: bytes) -> None:
        """Takes the next bytes; waits only while the buffer before is still being written."""
        self._pieces.append(piece)
        self._waiting += len(piece)
        if self._waiting >= BUFFER_BYTES or len(self._pieces) >= BUFFER_PIECES:
            await self._hand_over()

    async def finish(self) -> tuple[str, int]:
        """Everything on the disk: (SHA-256 in hexadecimal, size in bytes)."""
        await self._hand_over()
        await self._settle()
        sha256 = await asyncio.get_running_loop().run_in_executor(self._pool, self._writer.finish)
        return sha256, self._writer.size

    async def _hand_over(self) -> None:
        await self._settle()
        pieces, self._pieces, self._waiting = self._pieces, [], 0
        if pieces:
            loop = asyncio.get_running_loop()
            steps = (self._writer.write, self._writer.update)
            self._under_way = [loop.run_in_executor(self._pool, step, pieces) for step in steps]

    async def _settle(self) -> None:
        """Waits for the buffer under way, and raises what went wrong with it."""
        while self._under_way:
            await self._under_way[0]
            del self._under_way[0]


def _forget(future: asyncio.Future[None]) -> None:
    """Marks a failed write as seen: another error is already on its way to the client."""
    if not future.cancelled():
        future.exception()
