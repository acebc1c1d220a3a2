"""The deterministic shard writer: equal members give equal bytes, on every machine and day.

Headers carry owner 0, mode 0644 and time 0, plain ustar; a pax header stands before names that ustar cannot hold. Two
zero blocks end the file. Written to a temporary name and renamed when whole, so a shard is there or it is not.
`webdataset`, tarfile and GNU tar read what it writes. Leaves out: what goes into a shard (shards/captioned.py).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO

from core.errors import BadNameError
from core.files import fsync_folder, storage_errors, temporary_path
from shards.headers import BLOCK
from shards.names import NameRejected, show, split_member

_BUFFER_BYTES = 1 << 20
_USTAR_MAX_SIZE = 8**11 - 1
_PAX_NAME = b"././@PaxHeader"


class ShardWriter:
    """Writes one shard to a path (published by rename at `finish`) or to an open binary file.

    As a context manager it finishes on a clean exit and leaves nothing behind after an error.
    """

    def __init__(self, target: Path | IO[bytes]) -> None:
        self._target = target if isinstance(target, Path) else None
        self._part: Path | None = None
        self._sha = hashlib.sha256()
        self._size = 0
        self._key: str | None = None
        self._extensions: set[str] = set()
        self._closed_keys: set[str] = set()
        self._result: tuple[str, int] | None = None
        self._file: IO[bytes]
        if isinstance(target, Path):
            with storage_errors(str(target)):
                target.parent.mkdir(parents=True, exist_ok=True)
                self._part = temporary_path(target)
                self._file = self._part.open("xb", buffering=_BUFFER_BYTES)
        else:
            self._file = target

    def add(self, name: str, data: bytes | memoryview) -> None:
        """Appends one member. Members of one key stand side by side.

        Raises BadNameError for a name that the strict reader would reject, and for a key or a member seen before;
        StorageFullError or StorageError when the bytes cannot be written.
        """
        self._check(name)
        self._write(member_header(name, len(data)))
        self._write(data)
        self._write(bytes(-len(data) % BLOCK))

    def finish(self) -> tuple[str, int]:
        """Ends the shard and publishes it. Returns its SHA-256 (hexadecimal) and its size in bytes."""
        if self._result is None:
            self._write(bytes(2 * BLOCK))
            with storage_errors(str(self._target or "the shard")):
                self._file.flush()
                if self._target is not None and self._part is not None:
                    os.fsync(self._file.fileno())
                    self._file.close()
                    self._part.replace(self._target)
                    fsync_folder(self._target.parent)
            self._result = (self._sha.hexdigest(), self._size)
        return self._result

    def abandon(self) -> None:
        """Closes and removes what was written to a path so far; an open file that was passed in is left as it is."""
        if self._part is not None:
            try:
                self._file.close()
            except OSError:
                # Closing flushes, and the disk may be full: the bytes are given up anyway.
                pass
            finally:
                self._part.unlink(missing_ok=True)

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if kind is None:
                self.finish()
        finally:
            self.abandon()

    def _check(self, name: str) -> None:
        try:
            key, extension = split_member(name)
        except NameRejected as error:
            raise BadNameError(error.sentence) from error
        if key != self._key:
            if key in self._closed_keys:
                raise BadNameError(f"The members of the key {show(key)} do not stand side by side.")
            if self._key is not None:
                self._closed_keys.add(self._key)
            self._key, self._extensions = key, set()
        if extension in self._extensions:
            raise BadNameError(f"The member {show(name)} is there twice.")
        self._extensions.add(extension)

    def _write(self, data: bytes | memoryview) -> None:
        with storage_errors(str(self._target or "the shard")):
            self._file.write(data)
        self._sha.update(data)
        self._size += len(data)


def member_header(name: str, size: int) -> bytes:
    """The block or blocks that stand before a member's data."""
    encoded = name.encode()
    records = b""
    split = _split_ustar(encoded)
    if split is None:
        records += _pax_record(b"path", encoded)
        split = (b"", encoded[:100])
    if size > _USTAR_MAX_SIZE:
        records += _pax_record(b"size", str(size).encode())
    block = _block(*split, min(size, _USTAR_MAX_SIZE), b"0")
    if not records:
        return block
    return _block(b"", _PAX_NAME, len(records), b"x") + records + bytes(-len(records) % BLOCK) + block


def _split_ustar(name: bytes) -> tuple[bytes, bytes] | None:
    """(prefix, name) where ustar's two fields can hold it, else None. Only ASCII may stand there."""
    if not name.isascii():
        return None
    if len(name) <= 100:
        return b"", name
    slash = name.find(b"/", len(name) - 101)
    return (name[:slash], name[slash + 1 :]) if 0 < slash <= 155 and slash < len(name) - 1 else None


def _pax_record(name: bytes, value: bytes) -> bytes:
    # The length counts its own digits.
    rest = len(name) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, name, value)


def _block(prefix: bytes, name: bytes, size: int, kind: bytes) -> bytes:
    before = name.ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + b"%011o\0" % size + b"00000000000\0"
    after = kind + bytes(100) + b"ustar\x0000" + bytes(64) + b"0000000\0" * 2 + prefix.ljust(155, b"\0") + bytes(12)
    checksum = sum(before) + 8 * 0x20 + sum(after)
    return before + b"%06o\0 " % checksum + after


def write_shard(path: Path, samples: Iterable[tuple[str, Mapping[str, bytes]]]) -> tuple[str, int]:
    """Packs (key, {extension: bytes}) into a shard at `path`, published by rename. Returns (SHA-256, size in bytes)."""
    with ShardWriter(path) as writer:
        for key, members in samples:
            for extension, data in members.items():
                writer.add(f"{key}.{extension}", data)
        return writer.finish()
